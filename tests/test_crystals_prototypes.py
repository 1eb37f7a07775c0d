"""Prototypes: symmetry, composition and density."""

import numpy as np
import pytest
import spglib
from ase.neighborlist import neighbor_list

from megabar.crystals import prototypes
from megabar.crystals.volumes import HYDROGEN_MOLECULE, hydride_volume_A3
from megabar.errors import InputError, PhaseUnknown

EXPECTED_H_PER_METAL = {"MH2-Pnma": 2, "MH2-P6_3/mmc": 2, "MH2-P6/mmm": 2, "MH2-Fm-3m": 2, "MH4-I4/mmm": 4,
                        "MH6-Im-3m": 6, "MH5.75-Pm-3n": 5.75, "M-fcc": 0, "M-bcc": 0, "M-sc": 0}


@pytest.mark.parametrize("name", prototypes.names())
def test_symmetry_and_composition(name):
    entry, atoms = prototypes.prototype(name), prototypes.build(name, "Ca", 50.0)
    dataset = spglib.get_symmetry_dataset((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), symprec=1e-4)
    assert dataset.number == entry.space_group
    metal, hydrogen = np.sum(atoms.numbers == 20), np.sum(atoms.numbers == 1)
    if name in EXPECTED_H_PER_METAL:
        assert hydrogen == EXPECTED_H_PER_METAL[name] * metal
    else:
        assert metal == 0


def test_cah2_pnma_has_the_cell_of_the_neutron_experiment():
    """COD 4103660: 36.737 A^3 per formula unit at ambient conditions; shortest Ca-H 2.2-2.3 A."""
    atoms = prototypes.build("MH2-Pnma", "Ca", 0.0)
    assert atoms.get_volume() / 4 == pytest.approx(36.737, rel=0.01)
    assert np.sort(atoms.cell.lengths()) == pytest.approx([3.6022, 5.9696, 6.8336], rel=0.01)
    assert 2.15 < neighbor_list("d", atoms, {("Ca", "H"): 3.0}).min() < 2.35


def test_clathrate_bond_lengths():
    """CaH6: d(HH) = a / (2 sqrt 2) and d(CaH) = a sqrt(5) / 4, from the site symmetry (Wang et al. 2012)."""
    atoms = prototypes.build("MH6-Im-3m", "Ca", 150.0)
    a = (2.0 * atoms.get_volume()) ** (1 / 3)
    assert a == pytest.approx(3.51, abs=0.03)
    assert neighbor_list("d", atoms, {("H", "H"): 1.6}).min() == pytest.approx(a / (2 * np.sqrt(2)), rel=1e-6)
    assert neighbor_list("d", atoms, {("Ca", "H"): 2.5}).min() == pytest.approx(a * np.sqrt(5) / 4, rel=1e-6)


def test_cah4_keeps_its_hydrogen_molecules_at_every_pressure():
    for pressure in (10.0, 50.0, 150.0):
        atoms = prototypes.build("MH4-I4/mmm", "Ca", pressure)
        assert neighbor_list("d", atoms, {("H", "H"): 1.0}).min() == pytest.approx(0.83, abs=1e-6)
        assert len(neighbor_list("d", atoms, {("H", "H"): 1.0})) == 2


@pytest.mark.parametrize("ratio, pressure, expected", [(2, 50, 21.42), (4, 50, 26.30), (6, 150, 21.6)])
def test_starting_volumes_are_near_pbe(ratio, pressure, expected):
    """PBE volumes in A^3 per Ca; 6 % is enough for a starting point."""
    assert hydride_volume_A3("Ca", ratio, pressure) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("metal, ratio, pressure, expected", [
    ("Mg", 0, 0.0, 23.2),  # hcp, a 3.21 A, c/a 1.624 (ase.data)
    ("Sr", 0, 0.0, 56.2),  # fcc, a 6.08 A
    ("Y", 0, 0.0, 33.1),  # hcp, a 3.65 A, c/a 1.571
    ("Sr", 4, 51.4, 30.32),  # one PBE label (700 eV): SrH4 I4/mmm, atoms displaced by 0.1 A
])
def test_starting_volumes_of_other_metals(metal, ratio, pressure, expected):
    """A^3 per metal atom."""
    assert hydride_volume_A3(metal, ratio, pressure) == pytest.approx(expected, rel=0.06)


def test_metals_and_insulators():
    """YH2 is a metal (fluorite, one electron left), CaH2 none: metals get the denser k-mesh."""
    for metal, name, expected in (("Ca", "MH2-Fm-3m", False), ("Y", "MH2-Fm-3m", True), ("Sr", "MH4-I4/mmm", False),
                                  ("Ca", "MH6-Im-3m", True), ("Mg", "M-fcc", True), ("Y", "H2-Pa-3", False)):
        assert prototypes.build(name, metal, 50.0).info["metallic"] is expected


def test_hydrogen_volume_is_the_published_curve():
    """Loubeyre et al., Nature 383, 702 (1996): V/H 3.397 A^3 at 40 GPa and 1.978 at 150 GPa (Vinet, 300 K)."""
    assert HYDROGEN_MOLECULE.volume_A3(40.0) / 2 == pytest.approx(3.397, abs=0.002)
    assert HYDROGEN_MOLECULE.volume_A3(150.0) / 2 == pytest.approx(1.978, abs=0.002)


def test_volume_falls_with_pressure_and_rises_with_hydrogen():
    for pressure in (0.0, 30.0, 100.0):
        volumes = [hydride_volume_A3("Ca", x, pressure) for x in (2, 4, 6, 12)]
        assert volumes == sorted(volumes)
    assert hydride_volume_A3("Ca", 4, 20.0) > hydride_volume_A3("Ca", 4, 80.0)


def test_unknown_names_say_what_is_near():
    with pytest.raises(PhaseUnknown, match="MH4-I4/mmm"):
        prototypes.prototype("CaH4-I4/mmm")
    with pytest.raises(InputError, match="known metals"):
        hydride_volume_A3("Xx", 2, 0.0)
