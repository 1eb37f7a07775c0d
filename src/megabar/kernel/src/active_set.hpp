// The extrapolation grade of an atom: how far its descriptor leaves the box spanned by the active set of its element.
// The physics and the file are documented in megabar/potential/uncertainty.py.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nep.hpp"

namespace megabar {

// CRC-32 of the parameters, by which an active set knows its potential.
std::uint32_t fingerprint(const Model &model);

class ActiveSet {
 public:
  // Reads active_set.txt; throws std::runtime_error when it is damaged or belongs to another potential.
  ActiveSet(const std::string &path, const Model &model);

  // max_j |M_j . (1, q)| of an atom of this type with the (unscaled) descriptor q [dim].
  double grade(int type, const double *descriptor);

 private:
  std::size_t size_;                    // dim + 1
  std::vector<double> matrix_, sums_;   // [type][k][j], so that the inner loop runs over j; [j]
};

}  // namespace megabar
