// Neighbours in a periodic cell of any shape and size, by explicit images and linked cells.
#pragma once

#include <array>
#include <vector>

namespace megabar {

// The atoms of the cell, then the images within reach of it; and the neighbours of each atom of the cell.
struct Surroundings {
  std::vector<double> x;            // [atom][3], wrapped into the cell along periodic directions
  std::vector<int> type, owner;     // [atom]; owner: the atom of the cell that an image copies
  std::vector<int> first, list;     // neighbours of atom i are list[first[i]] .. list[first[i + 1] - 1]
};

// cell: rows are the lattice vectors; along non-periodic directions they must still be independent of the others.
// Throws std::invalid_argument for a cell without volume or one so thin that it has more than ten million images.
void find_neighbours(const double *positions, const int *types, int count, const std::array<double, 9> &cell,
                     const std::array<bool, 3> &periodic, double cutoff, Surroundings &out);

}  // namespace megabar
