"""The one neighbour search against brute force over all images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.reaction.neighbours import close_pairs


def brute_force(positions: np.ndarray, cell: np.ndarray, cutoff: float) -> list[tuple[int, int, float]]:
    """All pairs over all images within reach, an atom with its own images included, each once."""
    reach = np.ceil(cutoff * np.linalg.norm(np.linalg.inv(cell), axis=0)).astype(int)
    fractions = positions @ np.linalg.inv(cell)
    positions = (fractions - np.floor(fractions)) @ cell
    found = []
    for a in range(-reach[0], reach[0] + 1):
        for b in range(-reach[1], reach[1] + 1):
            for c in range(-reach[2], reach[2] + 1):
                for i in range(len(positions)):
                    for j in range(i, len(positions)):
                        if i == j and (a, b, c) <= (0, 0, 0):
                            continue
                        distance = float(np.linalg.norm(positions[j] + np.array([a, b, c]) @ cell - positions[i]))
                        if distance < cutoff:
                            found.append((i, j, round(distance, 9)))
    return sorted(found)


def as_list(pairs) -> list[tuple[int, int, float]]:
    low, high = np.minimum(pairs.i, pairs.j), np.maximum(pairs.i, pairs.j)
    return sorted(zip(low.tolist(), high.tolist(), np.round(pairs.distance_A, 9).tolist(), strict=True))


CELLS = {
    "orthorhombic": np.diag([6.0, 7.5, 11.0]),
    "hexagonal": np.array([[7.0, 0, 0], [3.5, 6.06, 0], [0, 0, 9.0]]),
    "hexagonal, obtuse": np.array([[7.0, 0, 0], [-3.5, 6.06, 0], [0, 0, 9.0]]),
    "triclinic": np.array([[6.5, 0.4, -0.3], [1.5, 7.0, 0.8], [-2.0, 1.0, 8.0]]),
    "left-handed": np.array([[0, 7.0, 0], [7.0, 0, 0], [0, 0, 8.0]]),
}


@pytest.mark.parametrize("cutoff", [1.2, 2.0, 4.5])  # by bins, by bins in threes, by images
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
def test_pairs_are_those_of_brute_force(cell, cutoff):
    rng = np.random.default_rng(1)
    positions = (rng.random((40, 3)) * 3.0 - 1.0) @ cell  # also outside the cell
    assert as_list(close_pairs(positions, cell, cutoff)) == brute_force(positions, cell, cutoff)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), cutoff=st.floats(0.8, 3.0))
def test_random_cells(seed, n, cutoff):
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(2.0, 9.0, 3)) + rng.uniform(-1.0, 1.0, (3, 3))
    positions = rng.random((n, 3)) @ cell
    assert as_list(close_pairs(positions, cell, cutoff)) == brute_force(positions, cell, cutoff)


def test_atoms_on_the_border_are_counted_once():
    cell = np.diag([6.0, 6.0, 6.0])
    positions = np.array([[0.0, 0.0, 0.0], [6.0 - 1e-15, 0.0, 0.0], [0.5, 0.0, 0.0], [5.7, 3.0, 6.0], [0.2, 3.0, 0.0]])
    assert as_list(close_pairs(positions, cell, 1.0)) == brute_force(positions, cell, 1.0)


def test_vectors_lead_from_i_to_an_image_of_j():
    rng = np.random.default_rng(2)
    cell = CELLS["triclinic"]
    positions = rng.random((60, 3)) @ cell
    pairs = close_pairs(positions, cell, 1.8)
    assert len(pairs.i) > 20
    np.testing.assert_allclose(np.linalg.norm(pairs.vector_A, axis=1), pairs.distance_A, rtol=1e-12)
    turns = (positions[pairs.j] - positions[pairs.i] - pairs.vector_A) @ np.linalg.inv(cell)
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-9)


def test_more_atoms_than_one_stretch_holds():
    rng = np.random.default_rng(3)
    cell = np.diag([30.0, 30.0, 40.0])
    positions = rng.random((9000, 3)) @ cell
    pairs = close_pairs(positions, cell, 1.2)
    # A random gas: n (n - 1) / 2 pairs, each close with the probability v / V; Poisson error.
    expected = 9000 * 8999 / 2 * (4 / 3 * np.pi * 1.2**3) / np.linalg.det(cell)
    assert abs(len(pairs.i) - expected) < 5 * np.sqrt(expected)
