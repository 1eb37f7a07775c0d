"""Faces of a slab: the Gibbs surface of profiles with a known answer, drift, periodicity."""

from __future__ import annotations

import numpy as np
import pytest

from megabar.reaction.geometry import find_region, heights_A, slab_centre, slab_normal, smooth

HEIGHT, AREA, BINS = 50.0, 120.0, 250


def profile(density: np.ndarray) -> np.ndarray:
    """Atoms per bin of a density given at the bins' centres."""
    return density * HEIGHT * AREA / BINS


Z = ((np.arange(BINS) + 0.5) / BINS - 0.5) * HEIGHT


def test_step_lies_where_it_is():
    region = find_region(profile(0.047 * ((Z > -9.0) & (Z < 11.0))), HEIGHT, AREA)
    assert region.lower_A == pytest.approx(-9.0, abs=0.02)
    assert region.upper_A == pytest.approx(11.0, abs=0.02)
    assert region.metal_per_A3 == pytest.approx(0.047, rel=1e-3)
    assert region.pieces == 1


@pytest.mark.parametrize("width", [0.5, 2.0, 3.0])
def test_smeared_faces_are_equimolar(width):
    """For a symmetric profile the half-height place is the Gibbs surface: bulk density times thickness is all metal."""
    density = 0.05 * 0.5 * (np.tanh((Z + 10) / width) - np.tanh((Z - 10) / width))
    region = find_region(profile(density), HEIGHT, AREA)
    # The bulk value is the mean over the middle half, into which the widest face (3 A) reaches by 2 %.
    assert region.thickness_A == pytest.approx(20.0, abs=0.15)
    assert region.metal_per_A3 * region.thickness_A * AREA == pytest.approx(profile(density).sum(), rel=0.015)


def test_lattice_planes_end_half_a_spacing_outside():
    planes = np.zeros(BINS)
    spacing = 2.4
    for k in range(8):
        planes[int(np.argmin(np.abs(Z - (k - 3.5) * spacing)))] = 16.0
    region = find_region(planes, HEIGHT, AREA)
    assert region.thickness_A == pytest.approx(8 * spacing, abs=0.15)


def test_stray_metal_is_not_the_slab():
    density = 0.047 * (np.abs(Z) < 10) + 0.004 * (np.abs(Z - 18) < 2)
    region = find_region(profile(density), HEIGHT, AREA)
    assert region.thickness_A == pytest.approx(20.0, abs=0.1) and region.pieces == 1
    density = 0.047 * (np.abs(Z) < 10) + 0.04 * (np.abs(Z - 20) < 3)
    assert find_region(profile(density), HEIGHT, AREA).pieces == 2


def test_a_full_cell_has_no_faces():
    region = find_region(profile(np.full(BINS, 0.05)), HEIGHT, AREA)
    assert (region.lower, region.upper) == (-0.5, 0.5)
    assert region.inside(np.array([-0.5, 0.0, 0.5])).all()


def test_smoothing_keeps_the_number_of_atoms():
    rng = np.random.default_rng(0)
    values = rng.random(BINS)
    assert smooth(values, HEIGHT).sum() == pytest.approx(values.sum(), rel=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_normal_is_found_on_any_axis(axis):
    rng = np.random.default_rng(axis)
    fractions = rng.random((100, 3))
    fractions[:, axis] = 0.9 + 0.5 * rng.random(100)  # through the border
    cell = np.diag([15.0, 16.0, 17.0])
    cell[axis, axis] = 40.0
    assert slab_normal(fractions, cell) == axis
    assert abs((slab_centre(fractions[:, axis]) - 0.15 + 0.5) % 1.0 - 0.5) < 3 * 0.5 / np.sqrt(12 * 100)


def test_bulk_has_no_normal():
    grid = np.stack(np.meshgrid(*[np.arange(4) / 4] * 3), axis=-1).reshape(-1, 3)
    shaken = grid + np.random.default_rng(0).normal(size=grid.shape) * 0.01
    assert slab_normal(shaken, np.eye(3) * 14.0) is None
    assert slab_normal(np.random.default_rng(0).random((150, 3)), np.eye(3) * 15.0) is None


def test_a_thin_gap_is_enough_for_a_slab():
    """A slab of 85 % of the cell: the gap of 6 A is wider than the smoothing."""
    fractions = np.random.default_rng(0).random((300, 3))
    fractions[:, 2] *= 0.85
    assert slab_normal(fractions, np.diag([15.0, 15.0, 40.0])) == 2


def test_heights_of_a_sheared_cell():
    cell = np.array([[4.0, 0, 0], [2.0, 5.0, 0], [1.0, 1.0, 6.0]])
    volume = np.linalg.det(cell)
    expected = [volume / np.linalg.norm(np.cross(cell[(k + 1) % 3], cell[(k + 2) % 3])) for k in range(3)]
    np.testing.assert_allclose(heights_A(cell), expected)
