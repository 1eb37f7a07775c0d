// Laying out a model for the inner loops, and choosing the instruction set.
#include "nep.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <type_traits>

namespace megabar {

namespace {

constexpr double kPi = 3.14159265358979323846;
// Constants as in nep.py, where their sources are given.
constexpr double kQ222 = -0.809943929279723;
constexpr double kQ1111 = 0.026596810706114;
constexpr double kZblCoulomb = 14.399645;
constexpr double kZblInverseLength = 2.134563;

enum class Isa { baseline, avx2, avx512 };

Isa instruction_set_in_use() {
#ifdef MEGABAR_X86_VARIANTS
  // MEGABAR_ISA lets a test or a careful user fall back; it cannot ask for more than the processor has.
  static const Isa best = [] {
    const char *asked = std::getenv("MEGABAR_ISA");
    const auto allows = [&](const char *name) { return asked == nullptr || std::strcmp(asked, name) == 0; };
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (avx512 && allows("avx512")) return Isa::avx512;
    if (avx2 && (allows("avx2") || allows("avx512"))) return Isa::avx2;
    return Isa::baseline;
  }();
  return best;
#else
  return Isa::baseline;
#endif
}

template <class Real>
Kernel<Real> kernel() {
  constexpr bool single = std::is_same_v<Real, float>;
#ifdef MEGABAR_X86_VARIANTS
  const Isa isa = instruction_set_in_use();
  if constexpr (single) {
    if (isa == Isa::avx512) return avx512::kernel_float();
    if (isa == Isa::avx2) return avx2::kernel_float();
  } else {
    if (isa == Isa::avx512) return avx512::kernel_double();
    if (isa == Isa::avx2) return avx2::kernel_double();
  }
#endif
  if constexpr (single)
    return baseline::kernel_float();
  else
    return baseline::kernel_double();
}

// sum_k c_k (T_k + 1) / 2 as a plain Chebyshev series.
std::vector<double> shifted_series(const std::vector<double> &c) {
  std::vector<double> series(c.size());
  for (std::size_t k = 0; k < c.size(); ++k) {
    series[k] += 0.5 * c[k];
    series[0] += 0.5 * c[k];
  }
  return series;
}

// Chebyshev series of the derivative (one term shorter; the last entry stays 0).
std::vector<double> derivative_series(const std::vector<double> &c) {
  std::vector<double> d(c.size() + 2, 0.0);
  for (std::size_t k = c.size(); k-- > 1;) d[k - 1] = d[k + 1] + 2.0 * static_cast<double>(k) * c[k];
  d[0] *= 0.5;
  d.resize(c.size());
  return d;
}

// Memory aligned for the widest vector.
class Aligned {
 public:
  void reserve(std::size_t bytes) {
    if (bytes <= size_) return;
    storage_ = std::make_unique<char[]>(bytes + 64);
    size_ = bytes;
  }
  void *get() const {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.get());
    return reinterpret_cast<void *>((address + 63) & ~std::uintptr_t{63});
  }

 private:
  std::unique_ptr<char[]> storage_;
  std::size_t size_ = 0;
};

int padded(int count, int lanes) { return (count + lanes - 1) / lanes * lanes; }

}  // namespace

double Model::cutoff() const { return *std::max_element(cutoff_radial.begin(), cutoff_radial.end()); }

void Model::check() const {
  const auto fail = [](const char *reason) { throw std::invalid_argument(std::string("NEP model: ") + reason); };
  if (cutoff_radial.empty() || cutoff_radial.size() != cutoff_angular.size()) fail("cutoffs of unequal number");
  for (std::size_t t = 0; t < cutoff_radial.size(); ++t)
    if (!(cutoff_angular[t] > 0 && cutoff_radial[t] >= cutoff_angular[t] && cutoff_radial[t] <= 100))
      fail("the cutoffs must satisfy 0 < angular <= radial <= 100 A");
  if (n_radial < 1 || n_angular < 1 || n_radial > kMaxRadial || n_angular > kMaxRadial) fail("n_max out of range");
  if (k_radial < 1 || k_angular < 1 || k_radial > kMaxBasis || k_angular > kMaxBasis) fail("basis_size out of range");
  if (l_max < 0 || l_max > kMaxL || (q222 && l_max < 2) || (q1111 && l_max < 1)) fail("l_max out of range");
  if (neurons < 1) fail("no neurons");
  if (zbl && !(zbl_inner > 0 && zbl_outer > zbl_inner &&
               zbl_outer <= *std::min_element(cutoff_angular.begin(), cutoff_angular.end())))
    fail("the ZBL cutoffs must satisfy 0 < inner < outer <= angular cutoff");
  const std::size_t t = cutoff_radial.size(), h = static_cast<std::size_t>(neurons);
  const std::size_t d = static_cast<std::size_t>(dim());
  const std::size_t angular = l_max > 0 ? static_cast<std::size_t>(n_angular * k_angular) * t * t : 0;
  if (w0.size() != t * h * d || b0.size() != t * h || w1.size() != t * h || q_scaler.size() != d ||
      c_radial.size() != static_cast<std::size_t>(n_radial * k_radial) * t * t || c_angular.size() != angular ||
      (zbl && atomic_number.size() != t))
    fail("arrays of the wrong length");
}

template <class Real>
struct Evaluator::Prepared {
  Tables<Real> tables;
  Kernel<Real> code;
  std::vector<double> cutoff2_radial, cutoff2_angular, inverse_radial, inverse_angular, zbl_strength, zbl_length;
  std::vector<Real> c_radial, c_angular, d_angular, moment_weight, w0, w0_transposed, b0, w1;
  Aligned workspace;

  explicit Prepared(const Model &m) : code(kernel<Real>()) {
    const int types = m.types(), dim = m.dim();
    const int neurons_padded = padded(m.neurons, code.lanes), dim_padded = padded(dim, code.lanes);
    const auto real = [](double v) { return static_cast<Real>(v); };
    const auto index = [](int i) { return static_cast<std::size_t>(i); };

    for (int a = 0; a < types; ++a)
      for (int b = 0; b < types; ++b) {
        const double radial = 0.5 * (m.cutoff_radial[index(a)] + m.cutoff_radial[index(b)]);
        const double angular = 0.5 * (m.cutoff_angular[index(a)] + m.cutoff_angular[index(b)]);
        cutoff2_radial.push_back(radial * radial);
        cutoff2_angular.push_back(angular * angular);
        inverse_radial.push_back(1 / radial);
        inverse_angular.push_back(1 / angular);
        if (m.zbl) {
          const double za = m.atomic_number[index(a)], zb = m.atomic_number[index(b)];
          zbl_strength.push_back(kZblCoulomb * za * zb);
          zbl_length.push_back(kZblInverseLength * (std::pow(za, 0.23) + std::pow(zb, 0.23)));
        }
        const auto contract = [&](const std::vector<double> &c, int n_count, int k_count, std::vector<Real> &series_of,
                                  std::vector<Real> *derivative_of) {
          for (int n = 0; n < n_count; ++n) {
            std::vector<double> row;
            for (int k = 0; k < k_count; ++k) row.push_back(c[index(((n * k_count + k) * types + a) * types + b)]);
            const std::vector<double> series = shifted_series(row);
            for (double v : series) series_of.push_back(real(v));
            if (derivative_of)
              for (double v : derivative_series(series)) derivative_of->push_back(real(v));
          }
        };
        contract(m.c_radial, m.n_radial, m.k_radial, c_radial, nullptr);
        if (m.l_max > 0) contract(m.c_angular, m.n_angular, m.k_angular, c_angular, &d_angular);
      }

    for (int l = 1; l <= m.l_max; ++l)
      for (int k = 0; k < 2 * l + 1; ++k) {
        const int order = (k + 1) / 2;
        double weight = (order > 0 ? 2.0 : 1.0) * (2 * l + 1) / (4 * kPi);
        for (int i = l - order + 1; i <= l + order; ++i) weight /= i;
        moment_weight.push_back(real(weight));
      }

    w0.assign(index(types * dim * neurons_padded), 0);
    w0_transposed.assign(index(types * m.neurons * dim_padded), 0);
    b0.assign(index(types * neurons_padded), 0);
    w1.assign(index(types * neurons_padded), 0);
    for (int t = 0; t < types; ++t)
      for (int h = 0; h < m.neurons; ++h) {
        b0[index(t * neurons_padded + h)] = real(m.b0[index(t * m.neurons + h)]);
        w1[index(t * neurons_padded + h)] = real(m.w1[index(t * m.neurons + h)]);
        for (int d = 0; d < dim; ++d) {
          const double weight = m.w0[index((t * m.neurons + h) * dim + d)] * m.q_scaler[index(d)];
          w0[index((t * dim + d) * neurons_padded + h)] = real(weight);
          w0_transposed[index((t * m.neurons + h) * dim_padded + d)] = real(weight);
        }
      }

    tables = {types,
              m.n_radial,
              m.k_radial,
              m.n_angular,
              m.k_angular,
              m.l_max,
              m.l_max * (m.l_max + 2),
              m.q222,
              m.q1111,
              m.zbl,
              dim,
              dim_padded,
              m.neurons,
              neurons_padded,
              cutoff2_radial.data(),
              cutoff2_angular.data(),
              inverse_radial.data(),
              inverse_angular.data(),
              c_radial.data(),
              c_angular.data(),
              d_angular.data(),
              moment_weight.data(),
              w0.data(),
              w0_transposed.data(),
              b0.data(),
              w1.data(),
              m.b1,
              kQ222,
              kQ1111,
              m.zbl_inner,
              m.zbl_outer,
              zbl_strength.data(),
              zbl_length.data()};
  }

  double centre(const Centre &c) {
    workspace.reserve(code.workspace_bytes(tables, c.count));
    return code.evaluate(tables, c, workspace.get());
  }
};

Evaluator::Evaluator(const Model &model, bool single) {
  model.check();
  cutoff_ = model.cutoff();
  dim_ = model.dim();
  if (single)
    single_ = std::make_unique<Prepared<float>>(model);
  else
    double_ = std::make_unique<Prepared<double>>(model);
}

Evaluator::~Evaluator() = default;

double Evaluator::centre(const System &s, int atom, const int *neighbours, int count, double *descriptor) {
  const Centre c{atom, neighbours, count, s.mask, s.x, s.type, s.type_map, s.force, s.virial, s.atom_virial, descriptor};
  return single_ ? single_->centre(c) : double_->centre(c);
}

std::string Evaluator::instruction_set() {
  switch (instruction_set_in_use()) {
    case Isa::avx512: return "avx512";
    case Isa::avx2: return "avx2";
    default: return "baseline";
  }
}

}  // namespace megabar
