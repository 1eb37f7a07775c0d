"""Maxima of ELF: model fields of known sites and charges, and Na2He at 300 GPa by GPAW."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from megabar.cli.main import main
from megabar.crystals.prototypes import build
from megabar.electrons.elf import basins, find_sites, interpolate
from megabar.electrons.gpaw import check_cell, primitive
from megabar.errors import InputError


def field(cell, shape, centres, widths, heights):
    """Sum of periodic Gaussians at fractional `centres`, on a grid of `shape`."""
    grid = np.stack(np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij"), axis=-1)
    total = np.zeros(shape)
    for centre, width, height in zip(centres, widths, heights, strict=True):
        offset = grid - np.array(centre)
        for shift in np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3):
            total += height * np.exp(-0.5 * np.sum(((offset + shift) @ cell) ** 2, axis=-1) / width**2)
    return total


def na2he(a=3.95):
    return crystal(["Na", "He"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[a, a, a, 90, 90, 90])


def test_basins_of_two_gaussians_split_space_and_hold_their_charge():
    cell = np.diag([6.0, 4.0, 4.0])
    centres = [(0.25, 0.5, 0.5), (0.75, 0.5, 0.5)]
    values = field(cell, (36, 24, 24), centres, [0.5, 0.5], [1.0, 1.0])
    labels = basins(values, cell)
    assert len(np.unique(labels)) == 2
    one = values[labels == labels[9, 12, 12]].sum() * np.linalg.det(cell) / values.size
    assert one == pytest.approx((2.0 * np.pi) ** 1.5 * 0.5**3, rel=1e-3)  # the integral of one Gaussian


def test_basins_do_not_depend_on_where_the_cell_begins():
    cell = np.diag([5.0, 5.0, 5.0])
    values = field(cell, (20, 20, 20), [(0.1, 0.2, 0.9), (0.6, 0.7, 0.4)], [0.6, 0.7], [1.0, 0.8])
    sizes = np.unique(basins(values, cell), return_counts=True)[1]
    moved = np.unique(basins(np.roll(values, (7, 3, 11), axis=(0, 1, 2)), cell), return_counts=True)[1]
    assert sorted(sizes) == sorted(moved)


def test_interpolation_is_exact_on_the_grid_and_periodic():
    cell = bulk("Na", "bcc", a=4.0).cell[:]
    values = field(cell, (12, 12, 12), [(0.3, 0.3, 0.3)], [0.8], [1.0])
    points = np.array([[0.25, 0.5, 0.75], [0.0, 0.25, 0.5]]) @ cell
    expected = values[[3, 0], [6, 3], [9, 6]]
    np.testing.assert_allclose(interpolate(values, cell, points), expected, atol=1e-10)
    np.testing.assert_allclose(interpolate(values, cell, points + cell[0] - 2 * cell[2]), expected, atol=1e-10)


def test_cage_bond_and_shell_are_told_apart():
    """A fluorite-like cage site, a bond, and a maximum on a nucleus, which is not a site at all."""
    atoms = primitive(na2he())
    shape = (20, 20, 20)
    elf = field(atoms.cell[:], shape, [(0.5, 0.5, 0.5), (0, 0, 0)], [0.5, 0.4], [0.99, 0.98])
    density = field(atoms.cell[:], shape, [(0.5, 0.5, 0.5), (0, 0, 0), (0.25, 0.25, 0.25), (0.75, 0.75, 0.75)],
                    [0.35, 0.25, 0.2, 0.2], [1.6, 8.0, 60.0, 60.0])
    sites = find_sites(elf, density, atoms)
    assert len(sites) == 1
    site = sites[0]
    np.testing.assert_allclose(site.position_frac, [0.5, 0.5, 0.5], atol=1e-6)
    assert site.kind == "cage" and site.neighbours == "8 Na" and site.charge_by == "density basin"
    assert site.distance_A == pytest.approx(3.95 * np.sqrt(3.0) / 4.0, rel=1e-4)
    assert site.charge_e == pytest.approx(1.6 * (2.0 * np.pi) ** 1.5 * 0.35**3, rel=0.05)
    assert site.electride
    dimer = Atoms("C2", scaled_positions=[(0.4, 0.5, 0.5), (0.6, 0.5, 0.5)], cell=np.diag([8.0, 5.0, 5.0]), pbc=True)
    bond = find_sites(field(dimer.cell[:], (40, 24, 24), [(0.5, 0.5, 0.5)], [0.4], [0.9]),
                      np.full((40, 24, 24), 0.01), dimer)
    assert [s.kind for s in bond] == ["bond"] and not bond[0].electride
    assert bond[0].charge_by == "ELF basin"


def test_primitive_keeps_orientation_and_origin():
    conventional = na2he()
    small = primitive(conventional)
    assert len(small) == 3 and abs(small.get_volume() * 4 / conventional.get_volume() - 1.0) < 1e-9
    scaled = conventional.cell.scaled_positions(small.positions) % 1.0
    given = conventional.get_scaled_positions() % 1.0
    for position in scaled:
        assert np.min(np.abs((given - position + 0.5) % 1.0 - 0.5).max(axis=1)) < 1e-6


@pytest.mark.parametrize("digits", [8, 5, 4])
@pytest.mark.parametrize("name", ["H2-P6_3/mmc", "MH2-P6_3/mmc", "MH4-I4/mmm"])
def test_rounded_cells_get_their_symmetry_back(name, digits):
    """GPAW fails, or finds fewer operations, on hexagonal cells rounded to a few digits."""
    symmetry = pytest.importorskip("gpaw.new.symmetry")
    exact = build(name, pressure_GPa=50.0)
    rounded = Atoms(exact.numbers, cell=np.round(exact.cell[:], digits), pbc=True,
                    scaled_positions=np.round(exact.get_scaled_positions(), digits))
    expected = len(symmetry.create_symmetries_object(exact, symmorphic=False))
    mended = primitive(rounded)
    assert len(symmetry.create_symmetries_object(mended, symmorphic=False)) == expected
    moved = mended.get_scaled_positions() - rounded.get_scaled_positions()
    assert np.max(np.abs((moved - np.rint(moved)) @ exact.cell[:])) < 1e-3


@pytest.mark.parametrize(("atoms", "said"), [
    (Atoms("H2", positions=[(0, 0, 0), (0, 0, 0.74)]), "not a crystal"),
    (Atoms("H2", positions=[(0, 0, 0), (0, 0, 0.3)], cell=[4, 4, 4], pbc=True), "apart"),
    (bulk("Na", "bcc", a=4.0).repeat(5), "atoms in the primitive cell"),
])
def test_unsuitable_cells_are_refused(atoms, said):
    with pytest.raises(InputError, match=said):
        check_cell(atoms, "x")


@pytest.mark.parametrize("arguments", [["no.cif"], ["bad.cif"], ["Na2He.cif", "--threshold", "2"], []])
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    na2he().write("Na2He.cif")
    (tmp_path / "bad.cif").write_text("data_\nnonsense")
    assert main(["elf", *arguments, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["Na2He.cif", "bad.cif"]


@pytest.mark.gpaw
def test_na2he_at_300_gpa_is_an_insulating_electride(tmp_path, capsys, monkeypatch):
    """Dong et al., Nat. Chem. 9, 440 (2017), doi:10.1038/nchem.2716: electron pairs in the empty Na8 cubes, a gap."""
    pytest.importorskip("gpaw")
    monkeypatch.chdir(tmp_path)
    na2he().write("Na2He.cif")
    assert main(["elf", "Na2He.cif", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["electride_sites"] == 4  # per conventional cell: one for each empty cube
    for site in result["sites"]:
        assert site["neighbours"] == "8 Na" and site["elf"] > 0.95
        assert 0.9 < site["charge_e"] < 2.0  # the pair of the eight-centre bond, shared with its walls
        twice = 2.0 * np.array(site["position_frac"])
        np.testing.assert_allclose(twice, np.rint(twice), atol=1e-3)
    assert result["insulating"] and result["gap_eV"]["direct"] > 0.5
    assert result["pressure_GPa"] == pytest.approx(300.0, rel=0.04)  # the a = 3.95 A of that paper
    assert {p.name for p in (tmp_path / "elf-Na2He").iterdir()} == {
        "result.json", "elf.cube", "elf.png", "elf.csv", "gpaw.txt", "run.yaml"}
