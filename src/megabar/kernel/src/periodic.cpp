#include "periodic.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>

namespace megabar {

namespace {

using Three = std::array<double, 3>;

Three cross(const double *a, const double *b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

void add_images(const std::array<double, 9> &cell, const std::array<bool, 3> &periodic, double cutoff, int count,
                const std::array<Three, 3> &reciprocal, Surroundings &out) {
  std::array<int, 3> reach = {0, 0, 0};
  std::array<double, 3> margin = {0, 0, 0};
  for (std::size_t a = 0; a < 3; ++a) {
    if (!periodic[a]) continue;
    const Three &g = reciprocal[a];
    margin[a] = cutoff * std::sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2]);
    // The loop below counts images in int.
    if (margin[a] > 1e4) throw std::invalid_argument("a lattice vector is shorter than the cutoff / 10000");
    reach[a] = static_cast<int>(std::ceil(margin[a]));
  }
  const double images = (2.0 * reach[0] + 1) * (2.0 * reach[1] + 1) * (2.0 * reach[2] + 1) * count;
  if (images > 1e7) throw std::invalid_argument("the cell is so small or thin that it has over ten million images");

  for (int i = 0; i < count; ++i) {
    const double *p = out.x.data() + 3 * static_cast<std::size_t>(i);
    const Three at = {p[0], p[1], p[2]};
    Three s;
    for (std::size_t a = 0; a < 3; ++a)
      s[a] = reciprocal[a][0] * at[0] + reciprocal[a][1] * at[1] + reciprocal[a][2] * at[2];
    for (int u = -reach[0]; u <= reach[0]; ++u) {
      if (periodic[0] && (s[0] + u < -margin[0] || s[0] + u > 1 + margin[0])) continue;
      for (int v = -reach[1]; v <= reach[1]; ++v) {
        if (periodic[1] && (s[1] + v < -margin[1] || s[1] + v > 1 + margin[1])) continue;
        for (int w = -reach[2]; w <= reach[2]; ++w) {
          if (periodic[2] && (s[2] + w < -margin[2] || s[2] + w > 1 + margin[2])) continue;
          if (u == 0 && v == 0 && w == 0) continue;
          for (std::size_t a = 0; a < 3; ++a) out.x.push_back(at[a] + u * cell[a] + v * cell[3 + a] + w * cell[6 + a]);
          out.type.push_back(out.type[static_cast<std::size_t>(i)]);
          out.owner.push_back(i);
        }
      }
    }
  }
}

void link(int count, double cutoff, Surroundings &out) {
  const std::size_t total = out.owner.size();
  Three low, high;
  low.fill(std::numeric_limits<double>::max());
  high.fill(-std::numeric_limits<double>::max());
  for (std::size_t i = 0; i < total; ++i)
    for (std::size_t a = 0; a < 3; ++a) {
      low[a] = std::min(low[a], out.x[3 * i + a]);
      high[a] = std::max(high[a], out.x[3 * i + a]);
    }
  // Boxes of half the cutoff; wider ones where atoms are so far apart that the boxes would outnumber them.
  std::array<int, 3> boxes;
  double side = 0.5 * cutoff;
  for (;; side *= 2) {
    double product = 1;
    for (std::size_t a = 0; a < 3; ++a) product *= std::floor((high[a] - low[a]) / side) + 1;
    if (product > 8.0 * static_cast<double>(total) + 1000) continue;
    for (std::size_t a = 0; a < 3; ++a) boxes[a] = static_cast<int>(std::floor((high[a] - low[a]) / side)) + 1;
    break;
  }
  const int reach = static_cast<int>(std::ceil(cutoff / side));
  const auto box_of = [&](std::size_t i, std::size_t a) {
    return std::min(static_cast<int>((out.x[3 * i + a] - low[a]) / side), boxes[a] - 1);
  };
  const auto number = [&](int u, int v, int w) {
    return (static_cast<std::size_t>(u) * static_cast<std::size_t>(boxes[1]) + static_cast<std::size_t>(v)) *
               static_cast<std::size_t>(boxes[2]) + static_cast<std::size_t>(w);
  };
  // Counting sort, so that the atoms of neighbouring boxes along the last axis lie in one stretch of memory.
  std::vector<int> start(number(boxes[0] - 1, boxes[1] - 1, boxes[2] - 1) + 2, 0);
  std::vector<std::size_t> box(total);
  for (std::size_t i = 0; i < total; ++i) ++start[(box[i] = number(box_of(i, 0), box_of(i, 1), box_of(i, 2))) + 1];
  for (std::size_t b = 1; b < start.size(); ++b) start[b] += start[b - 1];
  std::vector<int> order(total), next(start.begin(), start.end() - 1);
  std::vector<double> sorted(3 * total);
  for (std::size_t i = 0; i < total; ++i) {
    const std::size_t k = static_cast<std::size_t>(next[box[i]]++);
    order[k] = static_cast<int>(i);
    for (std::size_t a = 0; a < 3; ++a) sorted[3 * k + a] = out.x[3 * i + a];
  }

  const double cutoff2 = cutoff * cutoff;
  out.first.assign(1, 0);
  out.list.clear();
  for (int i = 0; i < count; ++i) {
    const std::size_t at = static_cast<std::size_t>(i);
    const double x = out.x[3 * at], y = out.x[3 * at + 1], z = out.x[3 * at + 2];
    const int bu = box_of(at, 0), bv = box_of(at, 1), bw = box_of(at, 2);
    for (int u = std::max(bu - reach, 0); u <= std::min(bu + reach, boxes[0] - 1); ++u)
      for (int v = std::max(bv - reach, 0); v <= std::min(bv + reach, boxes[1] - 1); ++v) {
        const std::size_t begin = static_cast<std::size_t>(start[number(u, v, std::max(bw - reach, 0))]);
        const std::size_t end = static_cast<std::size_t>(start[number(u, v, std::min(bw + reach, boxes[2] - 1)) + 1]);
        std::size_t size = out.list.size();
        out.list.resize(size + (end - begin));
        for (std::size_t k = begin; k < end; ++k) {
          const double dx = sorted[3 * k] - x, dy = sorted[3 * k + 1] - y, dz = sorted[3 * k + 2] - z;
          out.list[size] = order[k];
          size += static_cast<std::size_t>((dx * dx + dy * dy + dz * dz < cutoff2) & (order[k] != i));
        }
        out.list.resize(size);
      }
    out.first.push_back(static_cast<int>(out.list.size()));
  }
}

}  // namespace

void find_neighbours(const double *positions, const int *types, int count, const std::array<double, 9> &cell,
                     const std::array<bool, 3> &periodic, double cutoff, Surroundings &out) {
  const double *a = cell.data(), *b = a + 3, *c = a + 6;
  std::array<Three, 3> reciprocal = {cross(b, c), cross(c, a), cross(a, b)};
  const double volume = a[0] * reciprocal[0][0] + a[1] * reciprocal[0][1] + a[2] * reciprocal[0][2];
  const bool any = periodic[0] || periodic[1] || periodic[2];
  if (any && !(std::fabs(volume) > 1e-9)) throw std::invalid_argument("the cell has no volume");
  if (any)
    for (Three &g : reciprocal)
      for (double &v : g) v /= volume;

  const std::size_t n = static_cast<std::size_t>(count);
  out.x.assign(positions, positions + 3 * n);
  out.type.assign(types, types + n);
  out.owner.resize(n);
  for (std::size_t i = 0; i < n; ++i) out.owner[i] = static_cast<int>(i);
  for (std::size_t k = 0; k < 3; ++k) {
    if (!periodic[k]) continue;
    for (std::size_t i = 0; i < n; ++i) {
      double *p = out.x.data() + 3 * i;
      const double turns = std::floor(reciprocal[k][0] * p[0] + reciprocal[k][1] * p[1] + reciprocal[k][2] * p[2]);
      for (std::size_t d = 0; d < 3; ++d) p[d] -= turns * cell[3 * k + d];
    }
  }
  if (any) add_images(cell, periodic, cutoff, count, reciprocal, out);
  link(count, cutoff, out);
}

}  // namespace megabar
