"""Random cells with a space group: the group is there, exactly, and runs keep it."""

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.campaign.settings import validate
from megabar.crystals.plan import Plan, generate
from megabar.crystals.symmetry import fits, random_symmetric, space_group, symmetric_vectors, symmetrized
from megabar.dynamics.exploration import excursion
from megabar.errors import InputError
from megabar.potential.library import load

WITHOUT_FIXED_POINTS = ("P2_1", "Pc", "P2_12_12_1", "Pca2_1", "Pna2_1")


def found(atoms, symprec=1e-5):
    return spglib.get_symmetry((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), symprec=symprec)


@pytest.mark.parametrize("name, number, order", [("P2_1", 4, 2), ("Pc", 7, 2), ("P222", 16, 4), ("P2_12_12_1", 19, 4),
                                                 ("Pmm2", 25, 4), ("Pna2_1", 33, 4), ("Pnma", 62, 8)])
def test_operations_are_a_group_of_the_tables_order(name, number, order):
    """International Tables A: number and order of the point group; products of operations are operations."""
    group = space_group(name)
    assert group.order == order
    whole = {(tuple(r.ravel()), tuple(np.round(t % 1.0, 6) % 1.0))
             for r, t in zip(group.rotations, group.translations, strict=True)}
    for r, t in zip(group.rotations, group.translations, strict=True):
        for s, u in zip(group.rotations, group.translations, strict=True):
            assert (tuple((r @ s).ravel()), tuple(np.round((r @ u + t) % 1.0, 6) % 1.0)) in whole
    assert spglib.get_spacegroup_type_from_symmetry(group.rotations, group.translations).number == number


@pytest.mark.parametrize("name", WITHOUT_FIXED_POINTS)
def test_no_point_is_special(name):
    """Bieberbach groups: no operation but the identity (modulo the lattice) leaves a point where it is."""
    group = space_group(name)
    rng = np.random.default_rng(0)
    for n in range(1, group.order):
        assert not fits(n, 0, group, rng)
    assert fits(group.order, 2 * group.order, group, rng)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["P2_1", "Pc", "P222", "Pmm2", "P2_12_12_1", "Pna2_1", "Pmmn"]), st.integers(0, 10_000),
       st.sampled_from([0.0, 0.6]))
def test_cells_have_their_group_and_their_atoms(name, seed, h2_share):
    group, rng = space_group(name), np.random.default_rng(seed)
    atoms = random_symmetric("Ca", group.order, 2 * group.order, 60.0, group, rng, h2_share=h2_share)
    assert (atoms.numbers == 20).sum() == group.order and (atoms.numbers == 1).sum() == 2 * group.order
    have = {(tuple(r.ravel()), tuple(np.round(t % 1.0, 4) % 1.0)) for r, t in
            zip(found(atoms)["rotations"], found(atoms)["translations"], strict=True)}
    for rotation, translation in zip(group.rotations, group.translations, strict=True):
        assert (tuple(rotation.ravel()), tuple(np.round(translation % 1.0, 4) % 1.0)) in have
    distances = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]
    assert distances.min() > (0.6 if h2_share else 0.97 * 1.0)


def test_symmetrized_takes_out_rounding_and_refuses_another_cell():
    group, rng = space_group("P2_12_12_1"), np.random.default_rng(3)
    atoms = random_symmetric("Ca", 4, 8, 40.0, group, rng)
    off = atoms.copy()
    off.positions += rng.normal(scale=0.002, size=off.positions.shape)
    mended = symmetrized(off, group)
    assert np.abs(mended.positions - off.positions).max() < 0.01
    assert len(found(mended, 1e-8)["rotations"]) >= 4
    other = atoms.copy()
    other.positions[0] += [0.4, 0.0, 0.0]
    with pytest.raises(InputError, match="P2_12_12_1"):
        symmetrized(other, group)


def test_symmetric_vectors_are_a_projection():
    """Twice is once; what is left of a random field has no total momentum in a group without polar direction."""
    group, rng = space_group("P222"), np.random.default_rng(1)
    atoms = random_symmetric("Ca", 2, 8, 40.0, group, rng)
    once = symmetric_vectors(rng.normal(size=(len(atoms), 3)), atoms, group)
    assert np.allclose(symmetric_vectors(once, atoms, group), once)
    assert np.allclose(once.sum(axis=0), 0.0)
    assert np.linalg.norm(once) > 0.1


def test_exploration_keeps_the_group(tmp_path):
    group = space_group("Pna2_1")
    plan = validate(Plan, {"metal": "Ca", "seed": 4, "blocks": [
        {"generator": "random", "kind": "liquid", "count": 1, "n_metal": [4, 4], "h_per_metal": [2, 2],
         "pressure_GPa": [40, 40], "volume_scale": [1.0, 1.1], "space_groups": ["Pna2_1"]}]}, "test")
    start, = generate(plan)
    assert start.info["space_group"] == "Pna2_1"
    run = excursion(start, load("Ca-H"), 40.0, 900.0, 0.05, tmp_path, seed=2, frames=10)
    assert len(run.frames) >= 5
    moved = np.abs(run.frames[-1].get_scaled_positions() - start.get_scaled_positions()).max()
    assert moved > 0.01
    for frame in run.frames:
        assert len(found(frame)["rotations"]) >= group.order


@pytest.mark.parametrize("name, words", [("P9_1", "no such symbol"), ("Fm-3m", "primitive"),
                                         ("P6_3/mmc", "orthorhombic")])
def test_other_groups_are_refused(name, words):
    with pytest.raises(InputError, match=words):
        space_group(name)


def test_numbers_that_no_orbit_makes_are_refused():
    with pytest.raises(InputError, match="orbits"):
        random_symmetric("Ca", 1, 3, 20.0, space_group("P2_12_12_1"), np.random.default_rng(0))


def test_volume_is_that_of_a_cell_without_symmetry():
    from megabar.crystals.packing import random_volume_A3

    group = space_group("P222")
    atoms = random_symmetric("Ca", 2, 8, 50.0, group, np.random.default_rng(5), volume_scale=1.1)
    assert atoms.get_volume() == pytest.approx(1.1 * random_volume_A3("Ca", 2, 8, 50.0), rel=1e-5)
