"""Zero-point and harmonic free energies added to curves of enthalpy, each point a resumable task.

Harmonic, at the static volume: the outward push of the vibrations on the cell is left out (it is second order in G at
fixed pressure); `quasiharmonic` has it. A crystal with imaginary modes gets no number, since it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from megabar.campaign.files import atomic_path
from megabar.campaign.tasks import Outcome, Store, Task, run_tasks
from megabar.errors import RunError
from megabar.thermodynamics.curves import NO_ZERO_POINT, PhaseCurve
from megabar.thermodynamics.engines import EnergySource, from_identity
from megabar.thermodynamics.harmonic import harmonic
from megabar.thermodynamics.phonons import phonons
from megabar.thermodynamics.relax import Relaxed, relax
from megabar.thermodynamics.series import crystal_inputs, crystal_of

VERSION = "1"
_FILE = "frequencies.npz"


def vibration_task(source: EnergySource, relaxed: Relaxed) -> Task:
    return Task("megabar.thermodynamics.vibrations:compute", VERSION,
                crystal_inputs(relaxed.atoms, source, relaxed.target_pressure_GPa))


def compute(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Task: phonons of a relaxed crystal; frequencies on a mesh go into a file beside the result."""
    source = from_identity(inputs["source"])
    relaxed = relax(crystal_of(inputs), source.calculator(folder), inputs["pressure_GPa"])
    found = phonons(relaxed, source, Store(folder / "tasks"))
    with atomic_path(folder / _FILE) as path:
        np.savez_compressed(path, frequencies_THz=found.frequencies_THz, weights=found.weights)
    return {"atoms": len(found.relaxed.atoms), "has_free_energy": found.verdict.free_energy,
            "verdict": found.verdict.text}


def free_energy_eV_per_atom(folder: Path, atoms: int, temperature_K: float) -> float:
    """Vibrational free energy (zero-point energy at 0 K) of a finished task, per atom."""
    with np.load(folder / _FILE) as data:
        return float(harmonic(data["frequencies_THz"], data["weights"], temperature_K).free_energy_eV[0]) / atoms


def with_vibrations(curves: Sequence[PhaseCurve], needed: np.ndarray, source: EnergySource, store: Store,
                    temperature_K: float = 0.0, progress: Callable[[Outcome], None] | None = None,
                    ) -> tuple[PhaseCurve, ...]:
    """`curves` with `vibrational_eV` filled in where `needed` (curves, n) is True; NaN, with the reason among the
    notes, for a crystal that is not dynamically stable or whose phonons failed."""
    wanted = {(i, k): vibration_task(source, relaxed) for i, curve in enumerate(curves)
              for k, relaxed in enumerate(curve.relaxed) if needed[i, k] and relaxed is not None}
    outcomes: dict[str, Outcome] = {}
    for outcome in run_tasks(list(wanted.values()), store):
        outcomes[outcome.task.hash] = outcome
        if progress is not None:
            progress(outcome)
    if wanted and all(o.result is None for o in outcomes.values()):
        raise RunError(f"no phonons could be computed; the first said: {next(iter(outcomes.values())).reason}")
    filled = []
    for i, curve in enumerate(curves):
        values, notes = curve.vibrational_eV.copy(), list(curve.notes)
        for k in range(len(values)):
            if (i, k) not in wanted:
                continue
            outcome = outcomes[wanted[i, k].hash]
            if outcome.result is None:
                notes[k] = _joined(notes[k], f"failed: phonons: {outcome.reason}")
            elif not outcome.result["has_free_energy"]:
                notes[k] = _joined(notes[k], NO_ZERO_POINT + outcome.result["verdict"])
            else:
                values[k] = free_energy_eV_per_atom(store.folder(outcome.task), outcome.result["atoms"], temperature_K)
        filled.append(replace(curve, vibrational_eV=values, notes=tuple(notes)))
    return tuple(filled)


def _joined(note: str, more: str) -> str:
    return f"{note}; {more}" if note else more
