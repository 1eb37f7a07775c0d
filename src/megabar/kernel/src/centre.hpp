// What the evaluation of one centre atom reads and writes. Plain pointers only: centre.cpp is compiled once for each
// instruction set, and must share no inline code of the standard library with the rest (the linker would keep one copy
// of it, perhaps one that this processor cannot run).
#pragma once

#include <cstddef>

namespace megabar {

// Largest basis_size + 1, n_max + 1 and l_max.
constexpr int kMaxBasis = 32;
constexpr int kMaxRadial = 32;
constexpr int kMaxL = 8;

// A model laid out for the inner loops. T types; pair arrays are indexed [centre type * T + neighbour type].
template <class Real>
struct Tables {
  int types, n_radial, k_radial, n_angular, k_angular, l_max, moments;
  bool q222, q1111, zbl;
  int dim, dim_padded, neurons, neurons_padded;
  const double *cutoff2_radial, *cutoff2_angular;   // [pair], A^2
  const double *inverse_radial, *inverse_angular;   // [pair], 1/A
  const Real *c_radial;                             // [pair][n][k], for fc * sum_k c_k T_k
  const Real *c_angular, *d_angular;                // [pair][n][k], the same and its derivative series in x
  const Real *moment_weight;                        // [lm]
  const Real *w0;                                   // [type][dim][neuron], q_scaler folded in
  const Real *w0_transposed;                        // [type][neuron][dim]
  const Real *b0, *w1;                              // [type][neuron]
  double b1, q222_factor, q1111_factor;
  double zbl_inner, zbl_outer;
  const double *zbl_strength, *zbl_inverse_length;  // [pair], eV A and 1/A
};

// One centre atom. Atoms may include ghosts; every array is indexed as the neighbour list does.
struct Centre {
  int atom;
  const int *neighbours;
  int count;
  int mask;             // and-ed to each neighbour index (LAMMPS keeps flags in the top bits)
  const double *x;      // [atom][3]
  const int *type;      // [atom], mapped by type_map to the model's types; negative: not seen by this potential
  const int *type_map;
  double *force;        // [atom][3], added to
  double *virial;       // [9], sum of r_ij (x) dE_i/dr_ij, added to; may be null
  double *atom_virial;  // [atom][9], the share of a pair goes to the neighbour, added to; may be null
  double *descriptor;   // [dim] of this centre, written; may be null
};

// Energy of the centre in eV. The workspace is aligned to 64 bytes and holds workspace_bytes(tables, count).
template <class Real>
struct Kernel {
  int lanes;
  std::size_t (*workspace_bytes)(const Tables<Real> &, int count);
  double (*evaluate)(const Tables<Real> &, const Centre &, void *workspace);
};

namespace baseline {
Kernel<double> kernel_double();
Kernel<float> kernel_float();
}  // namespace baseline
#ifdef MEGABAR_X86_VARIANTS
namespace avx2 {
Kernel<double> kernel_double();
Kernel<float> kernel_float();
}  // namespace avx2
namespace avx512 {
Kernel<double> kernel_double();
Kernel<float> kernel_float();
}  // namespace avx512
#endif

}  // namespace megabar
