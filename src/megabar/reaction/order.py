"""Local order of the metal sublattice: bond-orientational invariants averaged over neighbours.

Steinhardt, Nelson and Ronchetti, Phys. Rev. B 28, 784 (1983), 10.1103/PhysRevB.28.784; neighbour averaging after
Lechner and Dellago, J. Chem. Phys. 129, 114707 (2008), 10.1063/1.2977970. Only rotations matter, not the lattice
they belong to, so that the parent crystal, its melt and the product are seen on one scale.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array

from megabar.reaction.neighbours import close_pairs

DEGREES = (4, 6, 8)
SHELLS = (8, 12, 14)
"""Numbers of nearest neighbours: complete shells of bcc (8, 14), of close-packed and of bct lattices (12)."""
_Q6_COLUMN = 4  # 12 neighbours, degree 6
REACH = 1.30
"""Neighbours lie within REACH times the mean distance of the six nearest: below the next shell of hcp, fcc, bcc and
of the bct lattice of MH4, so that at a free surface no farther atom stands in for a missing one."""
_SEARCH = 1.7
"""Search radius in units of density^(-1/3): beyond REACH (1.46 in these units) even where a slab is a third less
dense."""


# Every even harmonic up to degree 8 is, on the unit sphere, a sum of the 45 monomials x^a y^b z^c with a + b + c = 8.
_TOP = max(DEGREES)
_POWERS = [(a, b, _TOP - a - b) for a in range(_TOP + 1) for b in range(_TOP + 1 - a)]


def _moments(unit: np.ndarray) -> np.ndarray:
    """(45, ...) monomials of degree 8 of vectors (3, ...); all zero for a zero vector."""
    powers = np.empty((3, _TOP + 1, *unit.shape[1:]))
    powers[:, 0] = 1.0
    for k in range(3):
        for a in range(_TOP):
            np.multiply(powers[k, a], unit[k], out=powers[k, a + 1])
    result = np.empty((len(_POWERS), *unit.shape[1:]))
    for row, (a, b, c) in zip(result, _POWERS, strict=True):
        np.multiply(powers[0, a], powers[1, b], out=row)
        np.multiply(row, powers[2, c], out=row)
    return result


@lru_cache
def _metric(degree: int) -> np.ndarray:
    """(45, 45) G with moments(u) G moments(v) = P_l(u.v) for unit vectors, so that M G M is q_l^2 for mean moments M.

    This is the addition theorem: (4 pi / (2 l + 1)) sum_m Y_lm(u) Y*_lm(v) = P_l(u.v).
    """
    points = np.random.default_rng(0).normal(size=(90, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    inverse = np.linalg.pinv(_moments(points.T).T)
    return inverse @ np.polynomial.legendre.legval(points @ points.T, [0.0] * degree + [1.0]) @ inverse.T


def nearest(positions_A: np.ndarray, cell_A: np.ndarray, density_per_A3: float,
            count: int = SHELLS[-1]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbour numbers (n, count), vectors (n, count, 3) and distances (n, count) in A, nearest first.

    Where there are fewer within 1.7 density^(-1/3), distances are infinite and numbers 0.
    """
    n = len(positions_A)
    radius = _SEARCH * density_per_A3 ** (-1.0 / 3.0)
    pairs = close_pairs(positions_A, cell_A, radius)
    i, j = np.concatenate([pairs.i, pairs.j]), np.concatenate([pairs.j, pairs.i])
    distance = np.concatenate([pairs.distance_A, pairs.distance_A])
    vector = np.concatenate([pairs.vector_A, -pairs.vector_A])
    order = np.argsort(i + distance / (1.001 * radius))
    start = np.searchsorted(i[order], np.arange(n))
    rank = np.arange(len(order)) - start[i[order]]
    keep = rank < count
    order, rank = order[keep], rank[keep]
    who = i[order]
    number = np.zeros((n, count), dtype=np.int64)
    vectors = np.zeros((n, count, 3))
    vectors[..., 2] = 1.0
    distances = np.full((n, count), np.inf)
    number[who, rank], vectors[who, rank], distances[who, rank] = j[order], vector[order], distance[order]
    return number, vectors, distances


def environment(positions_A: np.ndarray, cell_A: np.ndarray, density_per_A3: float) -> np.ndarray:
    """(n, 10) averaged invariants of each atom: q4, q6, q8 over 8, 12, 14 neighbours, and a tenth of the mean number.

    positions_A (n, 3) of one sublattice in the periodic cell; density_per_A3 of that sublattice, for the search only.
    Rotation, translation and scale leave the result unchanged. Atoms without six neighbours have zeros.
    """
    n = len(positions_A)
    number, vector, distance = nearest(positions_A, cell_A, density_per_A3)
    with np.errstate(invalid="ignore"):
        reach = REACH * distance[:, :6].mean(axis=1)
    used = (distance < reach[:, None]) & np.isfinite(reach)[:, None]
    unit = vector.transpose(2, 0, 1) * (used / np.where(used, distance, 1.0))
    shells = (np.arange(SHELLS[-1])[:, None] < np.array(SHELLS)).astype(float)
    own = _moments(unit) @ shells  # (45, n, shells)
    columns: list[np.ndarray] = []
    metrics = np.stack([_metric(degree) for degree in DEGREES])
    for k, shell in enumerate(SHELLS):
        inner = used[:, :shell]
        many = inner.sum(axis=1)
        around = csr_array((np.ones(many.sum()), number[:, :shell][inner], np.append(0, np.cumsum(many))), shape=(n, n))
        mean = own[:, :, k].T / np.maximum(many, 1)[:, None]
        mean = (mean + around @ mean) / (many + 1)[:, None]
        squares = np.einsum("dij,ij->di", mean @ metrics, mean)
        columns.extend(np.sqrt(np.maximum(squares, 0.0)))
    many = used.sum(axis=1)
    crowd = (many + (many[number] * used).sum(axis=1)) / (many + 1)
    result = np.stack([*columns, 0.1 * crowd], axis=1)
    result[many < 6] = 0.0
    return result


def order_parameter(environments: np.ndarray) -> np.ndarray:
    """(n,) averaged q6 over 12 neighbours: 0.40-0.58 in hcp-, bct- and bcc-like metal lattices, 0.15 in melts.

    The one exception is A15, whose averaged q6 is below that of a melt (0.07); template matching tells it.
    """
    return environments[:, _Q6_COLUMN]
