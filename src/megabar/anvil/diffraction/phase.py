"""A crystalline phase in a diffraction experiment: cell in the conventional setting, sites, thermal factors, share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import gemmi
import numpy as np
import spglib
from ase import Atoms
from ase.cell import Cell

from megabar.anvil.gauge import marker_scale
from megabar.anvil.materials import Material
from megabar.campaign.files import atomic_path
from megabar.errors import InputError

_SYSTEM_ENDS = ((2, "triclinic"), (15, "monoclinic"), (74, "orthorhombic"), (142, "tetragonal"), (167, "trigonal"),
                (194, "hexagonal"), (230, "cubic"))
_FREE = {"cubic": "a", "tetragonal": "ac", "hexagonal": "ac", "trigonal": "ac", "orthorhombic": "abc",
         "monoclinic": "abcB", "triclinic": "abcABG"}
PARAMETER_NAMES = {"a": "a_A", "b": "b_A", "c": "c_A", "A": "alpha_deg", "B": "beta_deg", "G": "gamma_deg"}


def crystal_system(number: int) -> str:
    """Crystal system of a space-group number (hexagonal axes for trigonal groups)."""
    return next(name for last, name in _SYSTEM_ENDS if number <= last)


@dataclass(frozen=True, eq=False)
class Phase:
    """One phase. `atoms` is the conventional cell in spglib's standard setting (hexagonal axes for trigonal groups).

    `U_A2` is (n, 3, 3): mean-square displacement tensors in Cartesian A^2, zero for atoms at rest. `fraction` is the
    volume share in the sample, `microstrain` the spread of d-spacings (dimensionless), which broadens lines as tan
    theta. `material` names the marker whose equations of state tell the pressure, where it is one.
    """

    name: str
    atoms: Atoms
    U_A2: np.ndarray
    spacegroup: int
    symbol: str
    hall_number: int
    fraction: float = 1.0
    microstrain: float = 0.0
    material: str | None = None
    pressure_GPa: float | None = None
    comment: str = ""

    @property
    def system(self) -> str:
        return crystal_system(self.spacegroup)

    @property
    def volume_A3(self) -> float:
        return float(self.atoms.get_volume())

    @property
    def free_names(self) -> list[str]:
        """Names of the cell parameters that symmetry leaves free, with units."""
        return [PARAMETER_NAMES[k] for k in _FREE[self.system]]

    @property
    def free_cell(self) -> np.ndarray:
        """Their values, in A and degrees."""
        values = dict(zip("abcABG", self.atoms.cell.cellpar(), strict=True))
        return np.array([values[k] for k in _FREE[self.system]])

    def cell_of(self, free: np.ndarray) -> Cell:
        """The cell with these free parameters; the others follow from the crystal system."""
        values = dict(zip(_FREE[self.system], (float(v) for v in free), strict=True))
        a = values["a"]
        c = values.get("c", a)
        b = values.get("b", a)
        gamma = 120.0 if self.system in ("hexagonal", "trigonal") else values.get("G", 90.0)
        return Cell.fromcellpar([a, b, c, values.get("A", 90.0), values.get("B", 90.0), gamma])

    def with_cell(self, free: np.ndarray) -> Phase:
        """The same phase, its atoms carried along, with other free cell parameters."""
        moved = self.atoms.copy()
        moved.set_cell(self.cell_of(free), scale_atoms=True)
        return replace(self, atoms=moved)

    def small_structure(self) -> gemmi.SmallStructure:
        """The whole cell as a gemmi structure in P 1, from which structure factors are computed."""
        structure = gemmi.SmallStructure()
        structure.name = self.name
        structure.cell = gemmi.UnitCell(*self.atoms.cell.cellpar())
        structure.spacegroup_hm = "P 1"
        structure.setup_cell_images()
        for i, fract in enumerate(self.atoms.get_scaled_positions()):
            structure.add_site(_site(self, i, fract))
        return structure


def _site(phase: Phase, index: int, fract: np.ndarray) -> gemmi.SmallStructure.Site:
    site = gemmi.SmallStructure.Site()
    element = phase.atoms[index].symbol
    site.label = f"{element}{index + 1}"
    site.type_symbol = element
    site.element = gemmi.Element(element)
    site.fract = gemmi.Fractional(*fract)
    site.occ = 1.0
    U = phase.U_A2[index]
    site.u_iso = float(np.trace(U) / 3.0)
    if np.any(np.abs(U - np.eye(3) * site.u_iso) > 1e-9):
        # CIF's U_ij refers to the basis a* a, b* b, c* c: U_cart = (A N) U_cif (A N)^T, N = diag(a*, b*, c*).
        reciprocal = phase.atoms.cell.reciprocal()
        basis = phase.atoms.cell[:].T @ np.diag(np.linalg.norm(reciprocal, axis=1))
        inverse = np.linalg.inv(basis)
        V = inverse @ U @ inverse.T
        site.aniso = gemmi.SMat33d(V[0, 0], V[1, 1], V[2, 2], V[0, 1], V[0, 2], V[1, 2])
    return site


def standard_dataset(atoms: Atoms, symprec: float) -> spglib.SpglibDataset | None:
    """spglib's dataset of a crystal in the conventional setting; where there are two origins, that at the inversion.

    Readers of CIF files take origin choice 2 for granted, spglib's own default is choice 1.
    """
    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.get_atomic_numbers())
    dataset = spglib.get_symmetry_dataset(cell, symprec=symprec)
    if dataset is not None and dataset.choice == "1":
        dataset = spglib.get_symmetry_dataset(cell, symprec=symprec, hall_number=dataset.hall_number + 1)
    return dataset


def phase_from_atoms(
    atoms: Atoms, name: str, *, symprec: float = 1e-3, u_iso_A2: float = 0.0, fraction: float = 1.0,
    microstrain: float = 0.0, pressure_GPa: float | None = None, comment: str = "",
) -> Phase:
    """A phase from any cell of a crystal: brought to the conventional standard setting found within `symprec` (A).

    Raises InputError for cells without three periodic directions or without a symmetry that spglib can find.
    """
    if atoms.cell.rank != 3 or len(atoms) == 0:
        raise InputError(f"{name}: not a crystal with three lattice vectors; give a periodic cell")
    dataset = standard_dataset(atoms, symprec)
    if dataset is None:
        raise InputError(f"{name}: spglib finds no symmetry (atoms too close?); check the cell or change --symprec")
    standard = Atoms(numbers=dataset.std_types, scaled_positions=dataset.std_positions, cell=dataset.std_lattice,
                     pbc=True)
    return Phase(name, standard, np.tile(np.eye(3) * u_iso_A2, (len(standard), 1, 1)), int(dataset.number),
                 str(dataset.international), int(dataset.hall_number), fraction, microstrain, None, pressure_GPa,
                 comment)


def phase_from_marker(
    material: Material, pressure_GPa: float, *, scale: str | None = None, temperature_K: float | None = None,
    u_iso_A2: float = 0.0, fraction: float = 1.0, microstrain: float = 0.0,
) -> Phase:
    """A marker or gasket material at a pressure, its cell from the equation of state `scale`, c/a kept at ambient."""
    eos = marker_scale(material.name, scale)
    if pressure_GPa > eos.refused_above_GPa:
        raise InputError(f"{material.name} at {pressure_GPa:g} GPa: {eos.scale} has been tested to "
                         f"{eos.refused_above_GPa / 1.5:g} GPa; choose another scale with --scale")
    volume = eos.volume_A3(pressure_GPa, temperature_K)
    phase = phase_from_atoms(material.atoms(volume), material.name, u_iso_A2=u_iso_A2, fraction=fraction,
                             microstrain=microstrain, pressure_GPa=pressure_GPa,
                             comment=f"cell at {pressure_GPa:g} GPa from {eos.scale} ({eos.source.doi})")
    return replace(phase, material=material.name)


def write_cif(path: str | Path, phase: Phase) -> None:
    """Write the phase as CIF with its symmetry operations spelt out, asymmetric unit and thermal factors.

    The operations are listed because a space-group name alone does not fix the origin of Fd-3m and its like.
    """
    database = spglib.get_symmetry_from_database(phase.hall_number)
    cell = (phase.atoms.cell[:], phase.atoms.get_scaled_positions(), phase.atoms.get_atomic_numbers())
    dataset = spglib.get_symmetry_dataset(cell, symprec=1e-4, hall_number=phase.hall_number)
    block = gemmi.cif.Block(phase.name.replace(" ", "_"))
    for key, value in zip(("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"),
                          phase.atoms.cell.cellpar(), strict=True):
        block.set_pair(f"_cell_{key}", f"{value:.6f}")
    block.set_pair("_cell_volume", f"{phase.volume_A3:.5f}")
    if phase.pressure_GPa is not None:
        block.set_pair("_diffrn_ambient_pressure", f"{phase.pressure_GPa * 1e6:.6g}")  # the CIF core unit is kPa
    if dataset is not None and database is not None:
        triplets = [_triplet(r, t) for r, t in zip(database["rotations"], database["translations"], strict=True)]
        keep = sorted({int(i) for i in dataset.crystallographic_orbits})
    else:
        triplets, keep = ["x,y,z"], list(range(len(phase.atoms)))
    group = gemmi.find_spacegroup_by_ops(gemmi.GroupOps([gemmi.Op(t) for t in triplets]))
    # Origin choice 2 is what a name without a suffix means to most readers, and some know no suffix.
    name = "P 1" if group is None else group.xhm().removesuffix(":2")
    block.set_pair("_space_group_name_H-M_alt", f"'{name}'")
    block.set_pair("_space_group_name_Hall", f"'{'P 1' if group is None else group.hall}'")
    block.set_pair("_space_group_IT_number", str(1 if group is None else group.number))
    loop = block.init_loop("_space_group_symop_", ["operation_xyz"])
    for triplet in triplets:
        loop.add_row([f"'{triplet}'"])
    fractions = phase.atoms.get_scaled_positions()
    sites = [_site(phase, i, fractions[i]) for i in keep]
    loop = block.init_loop("_atom_site_", ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy",
                                           "U_iso_or_equiv", "adp_type"])
    for site in sites:
        loop.add_row([site.label, site.type_symbol, *(f"{x:.7f}" for x in site.fract.tolist()), "1",
                      f"{site.u_iso:.6f}", "Uani" if site.aniso.nonzero() else "Uiso"])
    if any(site.aniso.nonzero() for site in sites):
        loop = block.init_loop("_atom_site_aniso_", ["label", "U_11", "U_22", "U_33", "U_12", "U_13", "U_23"])
        for site in sites:
            U = site.aniso
            loop.add_row([site.label, *(f"{x:.6f}" for x in (U.u11, U.u22, U.u33, U.u12, U.u13, U.u23))])
    document = gemmi.cif.Document()
    document.add_copied_block(block)
    with atomic_path(path) as temporary:
        document.write_file(str(temporary))


def _triplet(rotation: np.ndarray, translation: np.ndarray) -> str:
    parts = []
    for row, shift in zip(rotation, translation, strict=True):
        text = "".join(f"{'+' if c > 0 else '-'}{axis}" for c, axis in zip(row, "xyz", strict=True) if c)
        fraction = Fraction(float(shift) % 1.0).limit_denominator(12)
        parts.append(text.lstrip("+") + (f"+{fraction}" if fraction else ""))
    return ",".join(parts)
