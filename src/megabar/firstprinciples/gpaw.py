"""GPAW as an engine: one cell in, free energy, forces and stress out."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.errors import ExtraMissing, NotConverged
from megabar.firstprinciples.engine import Label
from megabar.firstprinciples.levels import Level, metal_rich

MOST_ITERATIONS = 80
"""Cells of the set converge in 7 to 50 iterations; stretched spin-paired dimers never do, and would take ten minutes
to say so at GPAW's own limit of 333."""
EMPTY = 1e-2
"""Largest occupation (of 1) that the highest band may have at any k-point. GPAW takes no more bands than the atoms have
bound orbitals, five for calcium: metal without hydrogen then has every band full (fcc Ca at 50 GPa 127 meV/atom and
3 GPa off; simple cubic Ca never converges)."""

# Positions and cells known to 1e-8 A (from a file) can give GPAW a set of operations that is no group: glide
# translations must close to 1e-10, and of a hexagonal cell some rotations pass its tolerance of 1e-7 and some do not.
# The later choices find fewer operations, have more k-points to compute, and give the same numbers.
_SYMMETRIES: tuple[Any, ...] = ({"symmorphic": False}, {"symmorphic": True, "tolerance": 1e-5}, "off")


def available() -> str | None:
    """None when GPAW can run, else the reason in one line."""
    if importlib.util.find_spec("gpaw") is None:
        return "GPAW is not installed: run 'make dft' (needs root), or pip install 'megabar[dft]'"
    return None


def parameters(atoms: Atoms, level: Level) -> dict[str, Any]:
    """Keyword arguments of the GPAW calculator for `atoms` at `level`."""
    from gpaw import PW, FermiDirac

    return ({"nbands": _enough_bands(atoms)} if _too_few_by_default(atoms) else {}) | {
        "mode": PW(level.cutoff(atoms)),
        "xc": level.functional,
        "kpts": {"size": level.k_mesh(atoms), "gamma": True},
        "occupations": FermiDirac(level.smearing_eV),
        "spinpol": False,
        "symmetry": _SYMMETRIES[0],
        "maxiter": MOST_ITERATIONS,
    }


def compute(atoms: Atoms, level: Level, folder: Path) -> Label:
    """Label of `atoms`; the log is `folder/gpaw.txt`. Raises NotConverged or ExtraMissing."""
    reason = available()
    if reason is not None:
        raise ExtraMissing(reason)
    from gpaw import KohnShamConvergenceError

    # An atom alone has the symmetry of its lattice wherever it sits; GPAW sees it only at the origin, and would take
    # every k-point off it (hours for compressed strontium).
    positions = np.zeros((1, 3)) if len(atoms) == 1 else atoms.positions
    frame = Atoms(atoms.numbers, positions=positions, cell=atoms.cell, pbc=True)
    log = folder / "gpaw.txt"
    settings = {**parameters(atoms, level), "txt": str(log)}
    try:
        energy = _converge(frame, settings)
        if _top_occupation(frame.calc) > EMPTY:
            settings["nbands"] = max(_enough_bands(atoms), int(1.3 * frame.calc.get_number_of_bands()))
            energy = _converge(frame, settings)
            if _top_occupation(frame.calc) > EMPTY:
                raise NotConverged(f"the highest of {settings['nbands']} bands is occupied")
        forces = np.asarray(frame.get_forces())
        stress = np.asarray(frame.get_stress(voigt=False))
    except KohnShamConvergenceError:
        raise NotConverged(f"self-consistency not reached ({_last_line(log)})") from None
    iterations = int(getattr(frame.calc, "get_number_of_iterations", lambda: 0)())
    return Label(energy, forces, level.add_pulay(stress, atoms), iterations)


def _converge(frame: Atoms, settings: dict[str, Any]) -> float:
    """Free energy (eV) of `frame`, whose calculator is then the converged one. Raises NotConverged."""
    from gpaw import GPAW
    from gpaw.new.symmetry import SymmetryAnalysisBug

    _all_phases_at_once()
    _grids_end()
    for symmetry in _SYMMETRIES:
        try:
            frame.calc = GPAW(**{**settings, "symmetry": symmetry})
            return float(frame.get_potential_energy(force_consistent=True))
        except (SymmetryAnalysisBug, _NoGrid):
            continue
        except AssertionError as error:
            # A displaced atom can leave a mirror that swaps two axes, for which GPAW finds no common grid.
            if "consistent" not in str(error) and "constistent" not in str(error):
                raise
    raise NotConverged("GPAW could not analyse the symmetry of the cell")


def _too_few_by_default(atoms: Atoms) -> bool:
    """Whether GPAW's own bands are too few or likely so: where they are limited by bound orbitals, half as many are
    empty as there are hydrogen atoms; 47 of 54 cells with a metal and at most four of those had to be done twice."""
    hydrogen = int(np.sum(atoms.numbers == 1))
    return metal_rich(atoms) or (hydrogen <= 4 and hydrogen < len(atoms))


def _enough_bands(atoms: Atoms) -> int:
    """What GPAW takes where bound orbitals do not limit it: 1.2 times the occupied bands, and four."""
    from gpaw.setup import create_setup

    valence = {symbol: create_setup(symbol, "PBE").Nv for symbol in set(atoms.get_chemical_symbols())}
    return int(np.ceil(0.6 * sum(valence[symbol] for symbol in atoms.get_chemical_symbols()))) + 4


def _top_occupation(calculator: Any) -> float:
    """Largest occupation (0 to 1) of the highest band over the k-points."""
    points = len(calculator.get_ibz_k_points())
    return max(float(calculator.get_occupation_numbers(kpt=k, raw=True)[-1]) for k in range(points))


def _all_phases_at_once() -> None:
    """Bloch phases of GPAW's starting orbitals in one array operation instead of a loop over the k-points.

    The same numbers; the loop takes a third of a label of 16 atoms on 48 points.
    """
    from gpaw.lcao.overlap import BlochPhases

    def apply(self: Any, source: np.ndarray, target: np.ndarray) -> None:
        target += self.phase_q.reshape(-1, *[1] * source.ndim) * source

    setattr(BlochPhases, "apply", apply)  # noqa: B010 (a method of another package)


class _NoGrid(Exception):
    """No grid of an efficient size has the translations of an operation."""


def _grids_end() -> None:
    """GPAW looks for a grid that is a multiple of a translation's denominator and has factors 2, 3, 5 and 7 only. Two
    atoms 5/11 of a cell apart have an inversion that no such grid holds, and GPAW looks for ever."""
    from gpaw.fftw import check_fft_size, get_efficient_fft_size
    from gpaw.utilities import gpts

    def size(least: int, multiple_of: int = 1) -> int:
        if not check_fft_size(int(multiple_of)):
            raise _NoGrid(f"no efficient grid is a multiple of {multiple_of}")
        return int(get_efficient_fft_size(int(least), int(multiple_of)))

    setattr(gpts, "get_efficient_fft_size", size)  # noqa: B010 (a function of another package)


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip().startswith("|iter:")]
    return lines[-1] if lines else "no iteration in the log"
