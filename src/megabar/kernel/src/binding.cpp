// Python binding: megabar.kernel._nep.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "nep.hpp"
#include "periodic.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace megabar {
namespace {

using Array = nb::ndarray<const double, nb::c_contig, nb::device::cpu>;
using Integers = nb::ndarray<const int, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::vector<double> copy(const Array &array) { return {array.data(), array.data() + array.size()}; }

// A NumPy array that owns `values`.
template <std::size_t N>
nb::object numpy(std::vector<double> values, const std::size_t (&shape)[N]) {
  auto *kept = new std::vector<double>(std::move(values));
  nb::capsule owner(kept, [](void *p) noexcept { delete static_cast<std::vector<double> *>(p); });
  return nb::cast(nb::ndarray<nb::numpy, double>(kept->data(), N, shape, owner));
}

class Nep {
 public:
  Nep(const Integers &atomic_numbers, const Array &cutoff_radial, const Array &cutoff_angular, int l_max, bool q222,
      bool q1111, const Array &w0, const Array &b0, const Array &w1, double b1, const Array &c_radial,
      const Array &c_angular, const Array &q_scaler, double zbl_inner, double zbl_outer, bool single) {
    if (b0.ndim() != 2 || c_radial.ndim() != 4 || c_angular.ndim() != 4)
      throw std::invalid_argument("NEP model: arrays of the wrong rank");
    Model m;
    m.atomic_number.assign(atomic_numbers.data(), atomic_numbers.data() + atomic_numbers.size());
    m.cutoff_radial = copy(cutoff_radial);
    m.cutoff_angular = copy(cutoff_angular);
    m.n_radial = static_cast<int>(c_radial.shape(0));
    m.k_radial = static_cast<int>(c_radial.shape(1));
    m.l_max = l_max;
    // A model without angular part has no angular coefficients, but still one (unused) function.
    m.n_angular = l_max > 0 ? static_cast<int>(c_angular.shape(0)) : 1;
    m.k_angular = l_max > 0 ? static_cast<int>(c_angular.shape(1)) : 1;
    m.q222 = q222;
    m.q1111 = q1111;
    m.zbl = zbl_outer > 0;
    m.zbl_inner = zbl_inner;
    m.zbl_outer = zbl_outer;
    m.neurons = static_cast<int>(b0.shape(1));
    m.w0 = copy(w0);
    m.b0 = copy(b0);
    m.w1 = copy(w1);
    m.b1 = b1;
    m.c_radial = copy(c_radial);
    m.c_angular = copy(c_angular);
    m.q_scaler = copy(q_scaler);
    types_ = m.types();
    evaluator_ = std::make_unique<Evaluator>(m, single);
  }

  nb::tuple evaluate(const Array &positions, const Array &cell, const nb::tuple &pbc, const Integers &types,
                     bool descriptors) {
    if (positions.ndim() != 2 || positions.shape(1) != 3 || cell.size() != 9 || pbc.size() != 3 ||
        types.size() != positions.shape(0) || types.size() == 0)
      throw std::invalid_argument("positions (N, 3), cell (3, 3), pbc (3) and types (N) are needed");
    const std::size_t n = types.size();
    for (std::size_t i = 0; i < n; ++i)
      if (types.data()[i] < 0 || types.data()[i] >= types_) throw std::invalid_argument("a type is out of range");
    std::array<double, 9> lattice;
    std::copy(cell.data(), cell.data() + 9, lattice.begin());
    const std::array<bool, 3> periodic = {nb::cast<bool>(pbc[0]), nb::cast<bool>(pbc[1]), nb::cast<bool>(pbc[2])};

    std::vector<double> energies(n), forces, virials, q;
    {
      nb::gil_scoped_release release;
      // The evaluator keeps its workspace between calls.
      const std::lock_guard<std::mutex> one_at_a_time(busy_);
      Surroundings around;
      find_neighbours(positions.data(), types.data(), static_cast<int>(n), lattice, periodic, evaluator_->cutoff(),
                      around);
      const std::size_t total = around.owner.size();
      std::vector<int> identity(static_cast<std::size_t>(types_));
      for (std::size_t t = 0; t < identity.size(); ++t) identity[t] = static_cast<int>(t);
      forces.assign(3 * total, 0.0);
      virials.assign(9 * total, 0.0);
      const std::size_t dim = static_cast<std::size_t>(evaluator_->dim());
      if (descriptors) q.assign(n * dim, 0.0);
      System system;
      system.x = around.x.data();
      system.type = around.type.data();
      system.type_map = identity.data();
      system.force = forces.data();
      system.atom_virial = virials.data();
      for (std::size_t i = 0; i < n; ++i) {
        const int begin = around.first[i], count = around.first[i + 1] - begin;
        energies[i] = evaluator_->centre(system, static_cast<int>(i), around.list.data() + begin, count,
                                         descriptors ? q.data() + i * dim : nullptr);
      }
      // Images give what they received to the atoms they copy.
      for (std::size_t g = n; g < total; ++g) {
        const std::size_t i = static_cast<std::size_t>(around.owner[g]);
        for (std::size_t a = 0; a < 3; ++a) forces[3 * i + a] += forces[3 * g + a];
        for (std::size_t a = 0; a < 9; ++a) virials[9 * i + a] += virials[9 * g + a];
      }
      forces.resize(3 * n);
      virials.resize(9 * n);
    }
    return nb::make_tuple(numpy(std::move(energies), {n}), numpy(std::move(forces), {n, 3}),
                          numpy(std::move(virials), {n, 3, 3}),
                          descriptors ? numpy(std::move(q), {n, static_cast<std::size_t>(evaluator_->dim())})
                                      : nb::object(nb::none()));
  }

 private:
  int types_ = 0;
  std::mutex busy_;
  std::unique_ptr<Evaluator> evaluator_;
};

}  // namespace
}  // namespace megabar

NB_MODULE(_nep, module) {
  using megabar::Nep;
  module.doc() = "NEP4 evaluator in C++; use megabar.potential, which checks its input.";
  nb::class_<Nep>(module, "NEP", "A NEP4 model ready to evaluate; arrays as in megabar.potential.nep.NEPModel.")
      .def(nb::init<const megabar::Integers &, const megabar::Array &, const megabar::Array &, int, bool, bool,
                    const megabar::Array &, const megabar::Array &, const megabar::Array &, double,
                    const megabar::Array &, const megabar::Array &, const megabar::Array &, double, double, bool>(),
           nb::kw_only(), "atomic_numbers"_a, "cutoff_radial"_a, "cutoff_angular"_a, "l_max"_a, "has_q222"_a,
           "has_q1111"_a, "w0"_a, "b0"_a, "w1"_a, "b1"_a, "c_radial"_a, "c_angular"_a, "q_scaler"_a, "zbl_inner"_a,
           "zbl_outer"_a, "single"_a)
      .def("evaluate", &Nep::evaluate, "positions"_a, "cell"_a, "pbc"_a, "types"_a, "descriptors"_a = false,
           "(energies (N,) eV, forces (N, 3) eV/A, virials (N, 3, 3) eV with sum = volume * stress, descriptors "
           "(N, dim) or None). Raises ValueError for a cell without volume or arrays that do not fit.");
  module.def("instruction_set", &megabar::Evaluator::instruction_set, "Instruction set in use on this processor.");
}
