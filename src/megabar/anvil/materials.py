"""The marker materials: lattice, atoms per conventional cell, and volume from lattice parameters or d-spacings."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal

from megabar.errors import InputError, PhaseUnknown


@dataclass(frozen=True)
class Material:
    """A crystal used as a pressure marker or gasket. `ambient_A` is (a,) or (a, c) at ambient conditions."""

    name: str
    formula: str
    lattice: str
    spacegroup: int
    sites: tuple[tuple[str, tuple[float, float, float]], ...]
    formulas_per_cell: int
    atoms_per_formula: int
    ambient_A: tuple[float, ...]
    source: str

    @property
    def atoms_per_cell(self) -> int:
        return self.formulas_per_cell * self.atoms_per_formula

    @property
    def hexagonal(self) -> bool:
        return self.lattice == "hcp"

    @property
    def c_over_a(self) -> float:
        """Ambient axial ratio (1 for cubic cells)."""
        return self.ambient_A[1] / self.ambient_A[0] if self.hexagonal else 1.0

    def volume_A3(self, a_A: float, c_A: float | None = None) -> float:
        """Volume of the conventional cell from its lattice parameters in A; a hexagonal cell needs both."""
        if self.hexagonal:
            if c_A is None:
                raise InputError(f"{self.name} is hexagonal: give both a and c, like --lattice-A 2.761,4.458")
            return math.sqrt(3.0) / 2.0 * a_A**2 * c_A
        if c_A is not None:
            raise InputError(f"{self.name} is cubic: give a alone, like --lattice-A {self.ambient_A[0]}")
        return a_A**3

    def lattice_A(self, volume_A3: float, c_over_a: float | None = None) -> tuple[float, ...]:
        """(a,) or (a, c) in A of the conventional cell of `volume_A3`; hexagonal cells keep `c_over_a`."""
        if not self.hexagonal:
            return (volume_A3 ** (1.0 / 3.0),)
        ratio = self.c_over_a if c_over_a is None else c_over_a
        a = (2.0 * volume_A3 / (math.sqrt(3.0) * ratio)) ** (1.0 / 3.0)
        return (a, a * ratio)

    def volume_from_d_A3(self, d_A: float, hkl: tuple[int, int, int], c_over_a: float | None = None) -> float:
        """Conventional-cell volume from one d-spacing in A; a hexagonal cell takes `c_over_a` (default: ambient)."""
        h, k, l = hkl  # noqa: E741 - the names of the Miller indices
        if (h, k, l) == (0, 0, 0):
            raise InputError("hkl 0 0 0 is no reflection: give the indices of the line, like --hkl 111")
        if not self.hexagonal:
            return (d_A * math.sqrt(h * h + k * k + l * l)) ** 3
        ratio = self.c_over_a if c_over_a is None else c_over_a
        a = d_A * math.sqrt(4.0 / 3.0 * (h * h + h * k + k * k) + (l / ratio) ** 2)
        return self.volume_A3(a, a * ratio)

    def atoms(self, volume_A3: float | None = None, c_over_a: float | None = None) -> Atoms:
        """The conventional cell as ase.Atoms, at ambient size or at `volume_A3`."""
        lattice = self.ambient_A if volume_A3 is None else self.lattice_A(volume_A3, c_over_a)
        a, c = lattice[0], lattice[-1]
        gamma = 120.0 if self.hexagonal else 90.0
        symbols, positions = zip(*self.sites, strict=True)
        return crystal(list(symbols), np.array(positions), spacegroup=self.spacegroup,
                       cellpar=[a, a, c, 90.0, 90.0, gamma])


_ORIGIN = (0.0, 0.0, 0.0)
_ALL = (
    Material("W", "W", "bcc", 229, (("W", _ORIGIN),), 2, 1, (3.1656,),
             "Dewaele et al. (2004), 10.1103/PhysRevB.70.094112"),
    Material("Re", "Re", "hcp", 194, (("Re", (1 / 3, 2 / 3, 0.25)),), 2, 1, (2.7622, 4.4595),
             "Anzellini et al. (2014), Table III (0.65 GPa row) scaled to V0, 10.1063/1.4863300"),
    Material("Au", "Au", "fcc", 225, (("Au", _ORIGIN),), 4, 1, (4.0786,),
             "Fei et al. (2007), 10.1073/pnas.0609013104"),
    Material("Pt", "Pt", "fcc", 225, (("Pt", _ORIGIN),), 4, 1, (3.9231,),
             "Fei et al. (2007), 10.1073/pnas.0609013104"),
    Material("Cu", "Cu", "fcc", 225, (("Cu", _ORIGIN),), 4, 1, (3.6150,),
             "Dewaele et al. (2004), 10.1103/PhysRevB.70.094112"),
    Material("MgO", "MgO", "B1", 225, (("Mg", _ORIGIN), ("O", (0.5, 0.5, 0.5))), 4, 2, (4.2115,),
             "Tange et al. (2009), 10.1029/2008JB005813"),
    Material("NaCl-B1", "NaCl", "B1", 225, (("Na", _ORIGIN), ("Cl", (0.5, 0.5, 0.5))), 4, 2, (5.6404,),
             "Decker (1971), 10.1063/1.1660714"),
    Material("NaCl-B2", "NaCl", "B2", 221, (("Na", _ORIGIN), ("Cl", (0.5, 0.5, 0.5))), 1, 2, (3.4578,),
             "extrapolated to zero pressure by Fei et al. (2007), 10.1073/pnas.0609013104"),
    Material("Ne", "Ne", "fcc", 225, (("Ne", _ORIGIN),), 4, 1, (4.4642,),
             "extrapolated to zero pressure by Fei et al. (2007), 10.1073/pnas.0609013104"),
    Material("diamond", "C", "diamond", 227, (("C", _ORIGIN),), 8, 1, (3.5662,),
             "Dewaele et al. (2008), 10.1103/PhysRevB.77.094106"),
)
MATERIALS = {m.name: m for m in _ALL}


def material(name: str) -> Material:
    """The marker of that name (W, Re, Au, Pt, Cu, MgO, NaCl-B1, NaCl-B2, Ne, diamond), whatever its capitals."""
    wanted = {key.lower(): m for key, m in MATERIALS.items()}
    found = wanted.get(name.strip().lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), wanted, n=1)
        hint = f"did you mean {wanted[near[0]].name!r}?" if near else f"known: {', '.join(MATERIALS)}"
        raise PhaseUnknown(f"marker {name!r} is unknown; {hint}")
    return found
