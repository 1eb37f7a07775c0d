"""Bond-orientational order: published lattice values, invariances, melts."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.special import sph_harm_y

from megabar.reaction.order import environment, order_parameter


def of(atoms: Atoms) -> np.ndarray:
    return environment(atoms.positions, atoms.cell[:], len(atoms) / atoms.get_volume())


# Steinhardt et al. 1983 and Mickel et al., J. Chem. Phys. 138, 044501 (2013), 10.1063/1.4774084, table I, to the digits
# printed there. Columns: q4, q6, q8 over 8, 12 and 14 neighbours.
@pytest.mark.parametrize(("atoms", "column", "value"), [
    (bulk("Ca", "fcc", 5.0, cubic=True).repeat(3), 3, 0.191), (bulk("Ca", "fcc", 5.0, cubic=True).repeat(3), 4, 0.575),
    (bulk("Ca", "hcp", 3.5, 3.5 * np.sqrt(8 / 3)).repeat((4, 4, 3)), 3, 0.097),
    (bulk("Ca", "hcp", 3.5, 3.5 * np.sqrt(8 / 3)).repeat((4, 4, 3)), 4, 0.485),
    (bulk("Ca", "bcc", 4.0, cubic=True).repeat(3), 6, 0.036), (bulk("Ca", "bcc", 4.0, cubic=True).repeat(3), 7, 0.511),
    (bulk("Ca", "bcc", 4.0, cubic=True).repeat(3), 0, 0.509), (bulk("Ca", "bcc", 4.0, cubic=True).repeat(3), 1, 0.629),
])
def test_lattice_values(atoms, column, value):
    np.testing.assert_allclose(of(atoms)[:, column], value, atol=6e-4)


def test_rotation_scale_translation_and_order_of_atoms_do_not_matter():
    rng = np.random.default_rng(0)
    atoms = bulk("Ca", "bcc", 4.0, cubic=True).repeat(3)
    atoms.positions += rng.normal(size=atoms.positions.shape) * 0.2
    before = of(atoms)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    moved = Atoms(atoms.numbers, cell=1.3 * atoms.cell[:] @ turn, pbc=True,
                  positions=1.3 * (atoms.positions + [0.3, 1.0, -4.0]) @ turn)
    shuffle = rng.permutation(len(atoms))
    np.testing.assert_allclose(of(moved[shuffle]), before[shuffle], atol=1e-9)


def test_same_as_spherical_harmonics():
    """An independent evaluation, atom by atom with scipy's harmonics."""
    rng = np.random.default_rng(5)
    atoms = bulk("Ca", "fcc", 5.0, cubic=True).repeat(2)
    atoms.positions += rng.normal(size=atoms.positions.shape) * 0.25
    vectors = atoms.get_all_distances(mic=True, vector=True)
    distances = np.linalg.norm(vectors, axis=2)

    def near(i: int, shell: int) -> np.ndarray:
        order = np.argsort(distances[i])[1:shell + 1]
        return order[distances[i, order] < 1.30 * np.sort(distances[i])[1:7].mean()]

    for shell, degree, column in ((8, 4, 0), (12, 6, 4), (14, 8, 8)):
        def moments(i: int, shell: int = shell, degree: int = degree) -> np.ndarray:
            v = vectors[i, near(i, shell)]
            theta = np.arccos(v[:, 2] / np.linalg.norm(v, axis=1))
            phi = np.arctan2(v[:, 1], v[:, 0])
            return np.array([sph_harm_y(degree, m, theta, phi).mean() for m in range(-degree, degree + 1)])

        for i in (0, 7, 31):
            group = [i, *near(i, shell)]
            mean = np.mean([moments(k) for k in group], axis=0)
            expected = np.sqrt(4 * np.pi / (2 * degree + 1) * np.sum(np.abs(mean) ** 2))
            assert of(atoms)[i, column] == pytest.approx(expected, rel=1e-9)


def test_a_free_surface_is_still_a_crystal():
    slab = bulk("Ca", "fcc", 5.0, cubic=True).repeat((3, 3, 3))
    slab.center(vacuum=10.0, axis=2)
    rng = np.random.default_rng(1)
    slab.positions += rng.normal(size=slab.positions.shape) * 0.1
    order = order_parameter(environment(slab.positions, slab.cell[:], 4 / 125))
    assert order.min() > 0.40


def test_atoms_alone_have_no_order():
    gas = Atoms("Ca4", positions=[[0, 0, 0], [20, 0, 0], [0, 20, 0], [0, 0, 20]], cell=[40, 40, 40], pbc=True)
    np.testing.assert_array_equal(environment(gas.positions, gas.cell[:], 0.03), 0.0)
