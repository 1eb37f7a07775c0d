"""Close pairs in a periodic cell of any shape, by bins; the one neighbour search of the analysis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

# Rows of bins that hold the second half of the 27 bins around one; the own row is searched forward only.
_ROWS = np.array([[0, 0], [0, 1], [1, -1], [1, 0], [1, 1]])
# Stretches read at a time: their candidates then fit the cache of a core.
_STRETCHES = 32768


class Pairs(NamedTuple):
    """Each pair once: atoms i and j (m,), distance_A (m,), vector_A (m, 3) from i to the image of j that is meant."""

    i: np.ndarray
    j: np.ndarray
    distance_A: np.ndarray
    vector_A: np.ndarray


def close_pairs(positions_A: np.ndarray, cell_A: np.ndarray, cutoff_A: float) -> Pairs:
    """All pairs of positions_A (n, 3) closer than cutoff_A in the cell (rows are vectors), images included.

    Sorting atoms by bins makes three neighbouring bins of a row one contiguous stretch, so that only five stretches per
    atom have to be read, and all of it in whole arrays.
    """
    n = len(positions_A)
    inverse = np.linalg.inv(cell_A)
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    bins = np.floor(heights / cutoff_A).astype(int)
    if n < 2 or bins.min() < 3:
        return _pairs_of_images(positions_A, cell_A, cutoff_A)
    # More bins than about two an atom cost more than they save.
    bins = np.minimum(bins, np.maximum(3, (bins * (2.0 * n / bins.prod()) ** (1.0 / 3.0)).astype(int)))
    row = int(np.argmax(bins))
    u, v = (axis for axis in range(3) if axis != row)
    n_u, n_v, n_row = int(bins[u]), int(bins[v]), int(bins[row])

    fraction = positions_A @ inverse
    fraction -= np.floor(fraction)
    at = (fraction * bins).astype(np.int64)
    np.minimum(at, bins - 1, out=at)  # a fraction of -1e-17 wraps to 1.0
    place = fraction @ cell_A
    # Rows are closed by copies of their first bin behind the last and of their last bin before the first.
    first, last = np.flatnonzero(at[:, row] == 0), np.flatnonzero(at[:, row] == n_row - 1)
    atom = np.concatenate([np.arange(n), first, last])
    xyz = np.concatenate([place, place[first] + cell_A[row], place[last] - cell_A[row]])
    along = np.concatenate([at[:, row] + 1, np.full(len(first), n_row + 1), np.zeros(len(last), dtype=np.int64)])
    width = n_row + 2
    key = (at[atom, u] * n_v + at[atom, v]) * width + along
    order = np.argsort(key, kind="stable")
    start = np.zeros(n_u * n_v * width + 1, dtype=np.int64)
    np.cumsum(np.bincount(key, minlength=len(start) - 1), out=start[1:])
    x, y, z = xyz[order].T.copy()
    centre = np.flatnonzero(order < n)

    atom = atom[order]
    at_u, at_v, at_row = at[atom[centre], u], at[atom[centre], v], at[atom[centre], row]
    to_u, to_v = at_u + _ROWS[:, :1], at_v + _ROWS[:, 1:]  # (5, n)
    over_u = (to_u == n_u).astype(np.int64)
    over_v = (to_v == n_v).astype(np.int64) - (to_v < 0)
    base = ((to_u - n_u * over_u) * n_v + to_v - n_v * over_v) * width + at_row
    low, high = start[base], start[base + 3]
    low[0] = centre + 1
    count, shift = (high - low).ravel(), low.ravel()
    centres = len(centre)
    from_here = np.stack([(coordinate[centre] - over_u * cell_A[u, k] - over_v * cell_A[v, k]).ravel()
                          for k, coordinate in enumerate((x, y, z))])
    found = []
    for begin in range(0, count.size, _STRETCHES):
        part = slice(begin, begin + _STRETCHES)
        counts = count[part]
        total = int(counts.sum())
        who = np.repeat(np.arange(len(counts)) + begin, counts)
        other = np.arange(total) + np.repeat(shift[part] - (np.cumsum(counts) - counts), counts)
        vector = np.empty((3, total))
        for k, coordinate in enumerate((x, y, z)):
            np.subtract(coordinate[other], from_here[k][who], out=vector[k])
        square = np.einsum("km,km->m", vector, vector)
        near = np.flatnonzero(square < cutoff_A * cutoff_A)
        found.append((atom[centre[who[near] % centres]], atom[other[near]], square[near], vector[:, near]))
    i, j, square = (np.concatenate(piece) for piece in list(zip(*found, strict=True))[:3])
    return Pairs(i, j, np.sqrt(square), np.concatenate([piece[3] for piece in found], axis=1).T)


def _pairs_of_images(positions_A: np.ndarray, cell_A: np.ndarray, cutoff_A: float) -> Pairs:
    """The same for cells that are narrow against the cutoff: all images within reach, an atom's own ones included."""
    inverse = np.linalg.inv(cell_A)
    reach = np.ceil(cutoff_A * np.linalg.norm(inverse, axis=0)).astype(int)
    shifts = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    fraction = positions_A @ inverse
    place = (fraction - np.floor(fraction)) @ cell_A
    n = len(place)
    if n == 0:
        return Pairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros((0, 3)))
    images = (place[None] + (shifts @ cell_A)[:, None]).reshape(-1, 3)
    near = cKDTree(images).query_ball_point(place, cutoff_A * (1 - 1e-15))
    i = np.repeat(np.arange(n), [len(row) for row in near])
    hit = np.concatenate([np.asarray(row, dtype=int) for row in near])
    j, which = hit % n, hit // n
    middle = len(shifts) // 2
    once = (which > middle) | ((which == middle) & (j > i))
    i, j, hit = i[once], j[once], hit[once]
    vector = images[hit] - place[i]
    return Pairs(i, j, np.linalg.norm(vector, axis=1), vector)
