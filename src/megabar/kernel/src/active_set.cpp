#include "active_set.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "reader.hpp"

namespace megabar {

namespace {

// CRC-32 as in zlib (reflected polynomial 0xEDB88320), over the bytes of the numbers, low byte first.
class Crc {
 public:
  Crc() {
    for (std::uint32_t n = 0; n < 256; ++n) {
      std::uint32_t c = n;
      for (int k = 0; k < 8; ++k) c = (c & 1) ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      table_[n] = c;
    }
  }
  void add(const std::vector<double> &values) {
    for (const double value : values) {
      std::uint64_t bits;
      std::memcpy(&bits, &value, sizeof(bits));
      for (int k = 0; k < 8; ++k) state_ = table_[(state_ ^ (bits >> (8 * k))) & 255] ^ (state_ >> 8);
    }
  }
  std::uint32_t value() const { return state_ ^ 0xFFFFFFFFu; }

 private:
  std::array<std::uint32_t, 256> table_;
  std::uint32_t state_ = 0xFFFFFFFFu;
};

// One more copy for each instruction set, chosen when the library is loaded; measured, a third off the cost of a grade.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512")))
#endif
void add_rows(std::size_t size, const double *__restrict rows, const double *__restrict q, double *__restrict sums) {
  for (std::size_t k = 0; k < size; ++k)
    for (std::size_t j = 0; j <= size; ++j) sums[j] += q[k] * rows[k * (size + 1) + j];
}

}  // namespace

std::uint32_t fingerprint(const Model &m) {
  Crc crc;
  for (const auto *part : {&m.cutoff_radial, &m.cutoff_angular, &m.w0, &m.b0, &m.w1}) crc.add(*part);
  crc.add({m.b1});
  for (const auto *part : {&m.c_radial, &m.c_angular, &m.q_scaler}) crc.add(*part);
  return crc.value();
}

ActiveSet::ActiveSet(const std::string &path, const Model &model)
    : size_(static_cast<std::size_t>(model.dim()) + 1), sums_(size_) {
  Reader in(path, "active_set.txt", "build it anew with ActiveSet.build");
  const auto title = in.after("megabar_active_set", 1, 1);
  if (title[0] != "1") in.fail("version " + title[0].substr(0, 40) + " is not known");
  char own[9];
  std::snprintf(own, sizeof(own), "%08x", static_cast<unsigned>(fingerprint(model)));
  const std::string belongs = in.after("potential", 1, 1)[0].substr(0, 40);
  if (belongs != own) in.fail("belongs to potential " + belongs + ", this nep.txt is " + own);
  if (in.after("elements", 1, 1000) != model.elements) in.fail("names other elements than nep.txt");
  if (static_cast<std::size_t>(in.integer(in.after("size", 1, 1)[0])) != size_) in.fail("has another size than nep.txt");
  matrix_.resize(model.elements.size() * size_ * size_);
  for (std::size_t t = 0; t < model.elements.size(); ++t)
    for (std::size_t j = 0; j < size_; ++j) {
      const std::vector<std::string> row = in.words();
      if (row.size() != size_) in.fail("should hold " + std::to_string(size_) + " numbers");
      for (std::size_t k = 0; k < size_; ++k) matrix_[(t * size_ + k) * size_ + j] = in.number(row[k]);
    }
  in.end();
}

double ActiveSet::grade(int type, const double *descriptor) {
  const double *m = matrix_.data() + static_cast<std::size_t>(type) * size_ * size_;
  double *sums = sums_.data();
  std::copy(m, m + size_, sums);
  add_rows(size_ - 1, m + size_, descriptor, sums);
  double largest = 0;
  for (std::size_t j = 0; j < size_; ++j) {
    // Written so that a descriptor that is not a number gives infinity, which stops a guarded run.
    if (!(std::fabs(sums[j]) <= largest)) largest = std::isnan(sums[j]) ? HUGE_VAL : std::fabs(sums[j]);
  }
  return largest;
}

}  // namespace megabar
