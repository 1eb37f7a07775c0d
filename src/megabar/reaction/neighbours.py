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
    fraction = positions_A @ inverse
    fraction -= np.floor(fraction)
    at = (fraction * bins).astype(np.int64)
    np.minimum(at, bins - 1, out=at)  # a fraction of -1e-17 wraps to 1.0
    at += 1
    fraction, at, atom = _with_borders(fraction, at, bins, ((row, True), (v, True), (u, False)))
    width, depth = int(bins[row]) + 2, int(bins[v]) + 2
    key = (at[:, u] * depth + at[:, v]) * width + at[:, row]
    order = np.argsort(key, kind="stable")
    start = np.zeros((int(bins[u]) + 2) * depth * width + 1, dtype=np.int64)
    np.cumsum(np.bincount(key, minlength=len(start) - 1), out=start[1:])
    coordinates = (fraction[order] @ cell_A).T.copy()
    atom = atom[order]
    centre = np.flatnonzero(order < n)
    base = key[order[centre]] + (_ROWS @ [depth * width, width])[:, None]
    low, high = start[base - 1], start[base + 2]
    low[0] = centre + 1
    low, count = low.ravel(), (high - low).ravel()
    filled = np.flatnonzero(count)
    low, count, here = low[filled], count[filled], centre[filled % n]
    found = []
    for begin in range(0, len(filled), _STRETCHES):
        part = slice(begin, begin + _STRETCHES)
        counts = count[part]
        other = np.arange(int(counts.sum())) + np.repeat(low[part] - (np.cumsum(counts) - counts), counts)
        who = np.repeat(here[part], counts)
        vector = np.empty((3, len(who)))
        for k, coordinate in enumerate(coordinates):
            np.subtract(coordinate[other], coordinate[who], out=vector[k])
        square = np.einsum("km,km->m", vector, vector)
        near = np.flatnonzero(square < cutoff_A * cutoff_A)
        found.append((atom[who[near]], atom[other[near]], square[near], vector[:, near]))
    if len(found) == 1:
        i, j, square, vector = found[0]
    elif found:
        i, j, square = (np.concatenate(piece) for piece in list(zip(*found, strict=True))[:3])
        vector = np.concatenate([piece[3] for piece in found], axis=1)
    else:
        return Pairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros((0, 3)))
    return Pairs(i, j, np.sqrt(square), vector.T)


def _with_borders(fraction: np.ndarray, at: np.ndarray, bins: np.ndarray, axes: tuple[tuple[int, bool], ...]) -> tuple[
        np.ndarray, np.ndarray, np.ndarray]:
    """Fractions, bins (1..bins) and atoms with copies of the first bins behind the last and, where asked for, of the
    last before the first, so that no search has to turn around."""
    atom = np.arange(len(fraction))
    for axis, both in axes:
        first = np.flatnonzero(at[:, axis] == 1)
        last = np.flatnonzero(at[:, axis] == bins[axis]) if both else first[:0]
        chosen = np.concatenate([first, last])
        more, more_at = fraction[chosen], at[chosen]
        more[: len(first), axis] += 1.0
        more[len(first):, axis] -= 1.0
        more_at[: len(first), axis] = bins[axis] + 1
        more_at[len(first):, axis] = 0
        fraction, at = np.concatenate([fraction, more]), np.concatenate([at, more_at])
        atom = np.concatenate([atom, atom[chosen]])
    return fraction, at, atom


def _pairs_of_images(positions_A: np.ndarray, cell_A: np.ndarray, cutoff_A: float) -> Pairs:
    """The same for cells that are narrow against the cutoff: all images within reach, an atom's own ones included."""
    inverse = np.linalg.inv(cell_A)
    margin = cutoff_A * np.linalg.norm(inverse, axis=0) * (1.0 + 1e-9)
    reach = np.ceil(margin).astype(int)
    shifts = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    fraction = positions_A @ inverse
    fraction -= np.floor(fraction)
    n = len(fraction)
    images = (fraction + shifts[:, None]).reshape(-1, 3)
    kept = np.flatnonzero(((images > -margin) & (images < 1.0 + margin)).all(axis=1))
    images, place = images[kept] @ cell_A, fraction @ cell_A
    if n == 0:
        return Pairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros((0, 3)))
    near = cKDTree(place).sparse_distance_matrix(cKDTree(images), cutoff_A, output_type="ndarray")
    i, hit = near["i"], near["j"]
    j, which = kept[hit] % n, kept[hit] // n
    middle = len(shifts) // 2
    once = ((which > middle) | ((which == middle) & (j > i))) & (near["v"] < cutoff_A)
    i, j, vector = i[once], j[once], images[hit[once]] - place[i[once]]
    return Pairs(i, j, near["v"][once], vector)
