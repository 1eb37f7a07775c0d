// The NEP4 evaluator that the Python binding and the LAMMPS pair style share: a model, and its evaluation over
// neighbour lists with ghosts. The physics is documented in megabar/potential/nep.py, its plain NumPy reference.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "centre.hpp"

namespace megabar {

// Contents of a nep.txt; array orders are those of the file.
struct Model {
  std::vector<std::string> elements;
  std::vector<int> atomic_number;                       // needed for ZBL only
  std::vector<double> cutoff_radial, cutoff_angular;    // [type], A
  int n_radial = 0, n_angular = 0;                      // n_max + 1
  int k_radial = 0, k_angular = 0;                      // basis_size + 1
  int l_max = 0;
  bool q222 = false, q1111 = false, zbl = false;
  double zbl_inner = 0, zbl_outer = 0;
  int neurons = 0;
  std::vector<double> w0, b0, w1;                       // [type][neuron][dim], [type][neuron], [type][neuron]
  double b1 = 0;
  std::vector<double> c_radial, c_angular;              // [n][k][centre type][neighbour type]
  std::vector<double> q_scaler;                         // [dim]

  int types() const { return static_cast<int>(cutoff_radial.size()); }
  int dim() const { return n_radial + n_angular * (l_max + static_cast<int>(q222) + static_cast<int>(q1111)); }
  double cutoff() const;
  // Throws std::invalid_argument when the parts do not fit together.
  void check() const;
};

// Reads a nep.txt; throws std::runtime_error with file, line and reason in one line.
Model read_model(const std::string &path);

// Number of the element of this symbol, or 0.
int atomic_number(const std::string &symbol);

// Atoms, ghosts included, and what the evaluation adds to; arrays as in Centre.
struct System {
  const double *x = nullptr;
  const int *type = nullptr;
  const int *type_map = nullptr;
  int mask = -1;
  double *force = nullptr;
  double *virial = nullptr;
  double *atom_virial = nullptr;
};

// A model in the layout of the fastest instruction set this processor has. `single` computes the inner loops in float
// and accumulates forces, energies and virials in double.
class Evaluator {
 public:
  Evaluator(const Model &model, bool single);
  ~Evaluator();
  Evaluator(const Evaluator &) = delete;
  Evaluator &operator=(const Evaluator &) = delete;

  // Adds the forces and virials of the energy of one centre, and returns that energy (eV).
  double centre(const System &system, int atom, const int *neighbours, int count, double *descriptor = nullptr);

  double cutoff() const { return cutoff_; }
  int dim() const { return dim_; }
  // Instruction set in use: baseline, avx2 or avx512.
  static std::string instruction_set();

 private:
  template <class Real>
  struct Prepared;
  double cutoff_;
  int dim_;
  std::unique_ptr<Prepared<double>> double_;
  std::unique_ptr<Prepared<float>> single_;
};

}  // namespace megabar
