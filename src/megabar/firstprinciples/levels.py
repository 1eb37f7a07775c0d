"""Reference levels of theory: what a label means. A level is never changed, only added."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

from megabar.errors import InputError
from megabar.units import EV_PER_A3_IN_GPA

RYDBERG_EV = 13.605693122994
"""CODATA 2018."""


@dataclass(frozen=True)
class Level:
    """Everything that fixes an energy, a force and a stress.

    `pulay_GPa_A3[element] / V` is what a constant plane-wave cutoff leaves out of the pressure, summed over atoms.
    """

    id: str
    engine: str
    functional: str
    cutoff_eV: float
    hard_cutoff_eV: float
    hard_elements: frozenset[str]
    k_spacing_per_A: float
    k_spacing_metal_per_A: float
    smearing_eV: float
    pulay_GPa_A3: Mapping[str, float] = field(default_factory=dict)
    shortest_HH_A: float = 0.5
    dispersion: str = ""
    """"d3zero": pairs of Grimme's D3 with zero damping (10.1063/1.3382344), constants of the functional."""

    def cutoff(self, atoms: Atoms) -> float:
        """Plane-wave cutoff in eV for the elements of `atoms`."""
        hard = self.hard_elements & set(atoms.get_chemical_symbols())
        return self.hard_cutoff_eV if hard else self.cutoff_eV

    def k_mesh(self, atoms: Atoms) -> tuple[int, int, int]:
        """Gamma-centred mesh: spacing (2 pi included) at most the level's along every reciprocal vector.

        Axes whose reciprocal vectors are equal in length to 1e-3 get equal counts, so that symmetry is kept.
        """
        spacing = self.k_spacing_metal_per_A if atoms.info.get("metallic") else self.k_spacing_per_A
        lengths = 2.0 * np.pi * np.linalg.norm(atoms.cell.reciprocal()[:], axis=1)
        counts = [max(1, int(np.ceil(length / spacing - 1e-6))) for length in lengths]
        for i in range(3):
            for j in range(3):
                if abs(lengths[i] / lengths[j] - 1.0) < 1e-3:
                    counts[i] = counts[j] = max(counts[i], counts[j])
        return counts[0], counts[1], counts[2]

    def add_pulay(self, stress_eV_per_A3: np.ndarray, atoms: Atoms) -> np.ndarray:
        """3x3 tension-positive stress with the Pulay pressure sum_i c_i / V put in (taken from the diagonal).

        Raises InputError for an element whose constant is not known: a silently wrong pressure is worse than none.
        """
        missing = sorted(set(atoms.get_chemical_symbols()) - set(self.pulay_GPa_A3))
        if missing:
            raise InputError(f"level {self.id} has no Pulay constant for {', '.join(missing)}; "
                             "measure it with 'python tools/pulay_constant.py METAL' and add it to levels.py")
        pressure = sum(self.pulay_GPa_A3[s] for s in atoms.get_chemical_symbols()) / atoms.get_volume()
        return np.asarray(stress_eV_per_A3) - np.eye(3) * pressure / EV_PER_A3_IN_GPA


# H and Ca constants: against 1400 eV the pressures of CaH2, CaH4, CaH6 and H2 agree to 0.01 GPa. C (800 eV): against
# 1600 eV those of diamond at 0 and 44 GPa and of graphite at 3 GPa agree to 0.02 GPa (4.04, 4.14, 4.21 GPa A^3). Sr:
# against 1400 eV those of fcc Sr at 0 and 60 GPa and of fluorite SrH2 at 20 GPa agree to 0.005 GPa (0.05, 0.18, 0.24).
PBE_GPAW_1 = Level(
    id="pbe-gpaw-1", engine="gpaw", functional="PBE", cutoff_eV=700.0, hard_cutoff_eV=800.0,
    hard_elements=frozenset({"He", "Na", "S", "C"}), k_spacing_per_A=0.35, k_spacing_metal_per_A=0.28,
    smearing_eV=0.1, pulay_GPa_A3={"H": 0.70, "Ca": 0.55, "Sr": 0.15, "C": 4.13},
)
# A fifth of the cost (5 s for 12 atoms), forces within 0.03 to 0.12 eV/A of pbe-gpaw-1 and energies within 10 meV/atom
# but for a constant (ten hot cells of 9 to 16 atoms). For the first of two fits, whose shape labels at the reference
# level then correct, and never in one set with them. Constants: pressures of those cells against pbe-gpaw-1, residual
# 0.3 GPa.
PBE_GPAW_DRAFT_1 = Level(
    id="pbe-gpaw-draft-1", engine="gpaw", functional="PBE", cutoff_eV=400.0, hard_cutoff_eV=800.0,
    hard_elements=frozenset({"He", "Na", "S", "C"}), k_spacing_per_A=0.65, k_spacing_metal_per_A=0.52,
    smearing_eV=0.1, pulay_GPa_A3={"H": 12.3, "Ca": 26.8},
)
# The second engine, for cross-checks and never for training beside the first: 80 Ry, same k rule.
PBE_QE_1 = Level(
    id="pbe-qe-1", engine="qe", functional="PBE", cutoff_eV=80.0 * RYDBERG_EV, hard_cutoff_eV=80.0 * RYDBERG_EV,
    hard_elements=frozenset(), k_spacing_per_A=0.35, k_spacing_metal_per_A=0.28, smearing_eV=0.1,
)
# Carbon: a functional for covalent bonds and the gap between graphite layers at once. PBE puts graphite 120 meV/atom
# below diamond, SCAN about 90, LDA 12 above it; measured (enthalpies at 0 K less zero points) it lies about 15 below,
# and this level has 7. PBEsol: 10.1103/PhysRevLett.100.136406; its D3 constants: 10.1039/c0cp02984j. The C constant
# is against 160 Ry.
PBESOL_D3_QE_1 = Level(
    id="pbesol-d3-qe-1", engine="qe", functional="PBESOL", cutoff_eV=80.0 * RYDBERG_EV,
    hard_cutoff_eV=80.0 * RYDBERG_EV, hard_elements=frozenset(), k_spacing_per_A=0.35, k_spacing_metal_per_A=0.28,
    smearing_eV=0.1, pulay_GPa_A3={"C": 1.77}, dispersion="d3zero",
)

LEVELS = {level.id: level for level in (PBE_GPAW_1, PBE_GPAW_DRAFT_1, PBE_QE_1, PBESOL_D3_QE_1)}


def metal_rich(atoms: Atoms) -> bool:
    """Whether `atoms` has fewer than two hydrogen to a metal, and so no band to spare among those of bound orbitals."""
    return 3 * int((atoms.numbers == 1).sum()) < 2 * len(atoms)


def level(name: str) -> Level:
    """The level called `name`; InputError lists those there are.

    "module:NAME" is a level defined elsewhere, with its engine a module as in `engine.py`: a code of one's own, or a
    stand-in that costs nothing.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise InputError(f"level {name!r}: {error}; give module:NAME of a Level that Python can import") from None
        if not isinstance(found, Level):
            raise InputError(f"level {name!r}: is a {type(found).__name__}, not a Level")
        return found
    if name not in LEVELS:
        near = difflib.get_close_matches(name, LEVELS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known levels: {', '.join(LEVELS)}"
        raise InputError(f"level {name!r} is unknown; {hint}")
    return LEVELS[name]
