"""What a prototype is: space group, Wyckoff sites and axial ratios; the volume follows from the pressure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal

from megabar.crystals.volumes import HYDROGEN_MOLECULE, hydride_volume_A3, valence


@dataclass(frozen=True)
class Prototype:
    """A crystal up to scale. `sites` are (symbol, fractional xyz) with "M" for the metal; axes relative to a."""

    name: str
    space_group: int
    sites: tuple[tuple[str, tuple[float, float, float]], ...]
    b_over_a: float
    c_over_a: float
    gamma_deg: float
    h_per_metal: float | None  # None for pure hydrogen
    source: str
    volume_scale: float = 1.0
    metallic: bool = False  # with a divalent metal
    h2_bond_A: float | None = None  # restores the H-H length of molecules (or H2 units) after scaling
    primitive: bool = True

    def build(self, metal: str, pressure_GPa: float) -> Atoms:
        """Primitive (or conventional where `primitive` is False) cell near `pressure_GPa`; info["metallic"] is set."""
        symbols = [metal if symbol == "M" else symbol for symbol, _ in self.sites]
        # Built large, then scaled: spacegroup tools merge sites closer than their tolerance.
        atoms = crystal(symbols, [xyz for _, xyz in self.sites], spacegroup=self.space_group,
                        cellpar=[10.0, 10.0 * self.b_over_a, 10.0 * self.c_over_a, 90.0, 90.0, self.gamma_deg],
                        primitive_cell=self.primitive, symprec=1e-4)
        atoms = Atoms(atoms.numbers, cell=atoms.cell, scaled_positions=atoms.get_scaled_positions(), pbc=True)
        atoms.set_cell(atoms.cell * (self.volume_A3(atoms, metal, pressure_GPa) / atoms.get_volume()) ** (1 / 3),
                       scale_atoms=True)
        if self.h2_bond_A is not None:
            _set_bonds(atoms, self.h2_bond_A)
        # The flags are those of divalent metals; a third electron is one too many for MH2 and for MH4 with its H2.
        atoms.info["metallic"] = self.metallic or (self.h_per_metal is not None and valence(metal) != 2)
        return atoms

    def volume_A3(self, atoms: Atoms, metal: str, pressure_GPa: float) -> float:
        """Volume in A^3 of the cell `atoms` near `pressure_GPa`."""
        n_metal = int(np.sum(atoms.numbers != 1))
        if self.h_per_metal is None:
            volume = HYDROGEN_MOLECULE.volume_A3(pressure_GPa) * len(atoms) / 2.0
        else:
            volume = hydride_volume_A3(metal, self.h_per_metal, pressure_GPa) * n_metal
        return volume * self.volume_scale


def _set_bonds(atoms: Atoms, bond_A: float) -> None:
    """Stretch every mutual nearest H-H pair to `bond_A`, its centre kept."""
    hydrogen = np.flatnonzero(atoms.numbers == 1)
    distances = np.array([[atoms.get_distance(i, j, mic=True) if i != j else np.inf for j in hydrogen]
                          for i in hydrogen])
    nearest = distances.argmin(axis=1)
    for a, b in enumerate(nearest):
        if nearest[b] == a and a < b and distances[a, b] < 2.0:
            atoms.set_distance(hydrogen[a], hydrogen[b], bond_A, fix=0.5, mic=True)
