"""The one file that knows the trainer (torchnep): settings and frames in, a nep.txt with absolute energies out."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from pydantic import Field

from megabar.campaign.settings import Settings
from megabar.errors import ExtraMissing, InputError, RunError
from megabar.potential.dataset import LabelledFrame
from megabar.potential.nep import NEPModel
from megabar.units import pressure_GPa


class NEPSettings(Settings):
    """Form and fit of a NEP4 potential."""

    cutoff_radial_A: float = Field(5.5, gt=2.0, le=10.0, description="Cutoff of the radial descriptor, A.")
    cutoff_angular_A: float = Field(4.0, ge=3.0, le=8.0, description="Cutoff of the angular descriptor, A.")
    n_max: tuple[int, int] = Field((6, 6), description="Highest radial function, radial and angular descriptor.")
    basis_size: tuple[int, int] = Field((8, 8), description="Highest Chebyshev order, radial and angular.")
    l_max: tuple[int, int, int] = Field((4, 2, 0), description="Angular degree of 3-, 4- and 5-body invariants.")
    neurons: int = Field(30, gt=1, le=200, description="Neurons per element; one carries the energy shift.")
    zbl_A: float = Field(1.5, ge=1.0, le=2.5, description="Outer cutoff of the ZBL wall, A; inner is half of it.")
    epochs: int = Field(400, gt=0, description="Passes over the training frames.")
    batch: int = Field(8, gt=0, description="Frames per step.")
    learning_rate: float = Field(0.01, gt=0.0, description="Initial learning rate.")
    weight_energy: float = Field(0.1, ge=0.0, description="Weight of the energy (eV/atom)^2, first half.")
    weight_force: float = Field(1.0, ge=0.0, description="Weight of the force (eV/A)^2.")
    weight_virial: float = Field(0.1, ge=0.0, description="Weight of the virial (eV/atom)^2.")
    late_weight_energy: float = Field(5.0, ge=0.0, description="Weight of the energy in the second half.")
    late_weight_force: float = Field(0.5, ge=0.0, description="Weight of the force in the second half.")
    late_weight_virial: float = Field(0.5, ge=0.0, description="Weight of the virial in the second half.")
    force_scale_eV_per_A: float = Field(
        15.0, gt=0.0, description="Frames with larger forces count less: weight 1 / (1 + (F_max / scale)^2)."
    )
    pressure_scale_GPa: float = Field(200.0, gt=0.0, description="Frames at higher pressure count less: weight 1/2 a "
                                      "fifth above it, 1/26 at twice.")
    cold_force_eV_per_A: float = Field(0.6, gt=0.0, description="Frames whose largest force is below are near "
                                                                "equilibrium: crystals, and enthalpies stand on them.")
    cold_weight: float = Field(1.0, gt=0.0, description="Weight of those; above 1 where hot frames outnumber them.")
    isolated_weight: float = Field(1.0, gt=0.0, description="Weight of molecules alone in a box, such as dimers: they "
                                                            "keep walls and bonds sane, at errors of eV.")


_CRUSHED = 5.0
"""Pressure a fifth above its scale counts as a force at its own."""
_CONDENSED_A = 4.5
"""Within this an atom of a crystal or fluid has three neighbours and more, up to the lowest densities in use; one of a
molecule in a box does not."""


def available() -> str | None:
    """None when the trainer can run, else the reason with its remedy."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("torchnep") is None:
        return "training needs torch and torchnep: pip install 'megabar[train]'"
    return None


def frame_weight(frame: LabelledFrame, settings: NEPSettings) -> float:
    """Weight of a frame in the fit: walls, squeezed cells and dimers must not outweigh the states that are run, nor hot
    states the crystals between which enthalpies are taken."""
    largest = float(np.linalg.norm(frame.forces_eV_per_A, axis=1).max()) if len(frame.atoms) else 0.0
    # Symmetry can leave a crushed crystal without a force; its pressure tells.
    crushed = max(0.0, pressure_GPa(frame.stress_eV_per_A3) / settings.pressure_scale_GPa - 1.0)
    wall = max(1e-3, 1.0 / (1.0 + (largest / settings.force_scale_eV_per_A) ** 2 + (_CRUSHED * crushed) ** 2))
    if len(neighbor_list("i", frame.atoms, _CONDENSED_A)) < 3 * len(frame.atoms):
        return settings.isolated_weight * wall
    return settings.cold_weight if largest < settings.cold_force_eV_per_A and not crushed else wall


def _write_frames(path: Path, frames: Sequence[LabelledFrame], elements: Sequence[str], shifts: np.ndarray,
                  settings: NEPSettings) -> None:
    """torchnep's extxyz: energies relative to the shifts, virial = -stress V, weight per frame."""
    with path.open("w", encoding="utf-8") as handle:
        for frame in frames:
            atoms: Atoms = frame.atoms
            symbols = atoms.get_chemical_symbols()
            energy = frame.energy_eV - sum(shifts[elements.index(s)] for s in symbols)
            virial = -frame.stress_eV_per_A3 * atoms.get_volume()
            handle.write(f"{len(atoms)}\n")
            handle.write('Lattice="' + " ".join(f"{x:.10g}" for x in atoms.cell[:].ravel()) + '" '
                         f"energy={energy:.10g} weight={frame_weight(frame, settings):.6g} "
                         'virial="' + " ".join(f"{x:.10g}" for x in virial.ravel()) + '" '
                         'Properties=species:S:1:pos:R:3:forces:R:3 pbc="T T T"\n')
            for symbol, position, force in zip(symbols, atoms.positions, frame.forces_eV_per_A, strict=True):
                numbers = " ".join(f"{x:.10g}" for x in (*position, *force))
                handle.write(f"{symbol} {numbers}\n")


def _input_file(elements: Sequence[str], settings: NEPSettings) -> str:
    s = settings
    lines = [
        f"type {len(elements)} {' '.join(elements)}", "version 4", f"zbl {s.zbl_A}",
        f"cutoff {s.cutoff_radial_A} {s.cutoff_angular_A}", f"n_max {s.n_max[0]} {s.n_max[1]}",
        f"basis_size {s.basis_size[0]} {s.basis_size[1]}", f"l_max {s.l_max[0]} {s.l_max[1]} {s.l_max[2]}",
        # One neuron is kept for the energy shift (see with_shifts).
        f"neuron {s.neurons - 1}", f"lambda_e {s.weight_energy}", f"lambda_f {s.weight_force}",
        f"lambda_v {s.weight_virial}", f"batch {s.batch}", f"epoch {s.epochs}", f"lr {s.learning_rate}",
        "stage2 1", f"stage2_lambda_e {s.late_weight_energy}", f"stage2_lambda_f {s.late_weight_force}",
        f"stage2_lambda_v {s.late_weight_virial}", f"stage2_lr {s.learning_rate / 3.0:.6g}",
    ]
    return "\n".join(lines) + "\n"


def fit(train: Sequence[LabelledFrame], validation: Sequence[LabelledFrame], elements: Sequence[str],
        shifts_eV: np.ndarray, settings: NEPSettings, folder: Path, seed: int, start: Path | None = None,
        progress: Callable[[int, str], None] | None = None) -> Path:
    """Fit in `folder` (resumes there) and return the path of a nep.txt that gives absolute energies.

    `start` is another potential to begin from (its folder or nep.txt); its energies may have other shifts. Raises
    ExtraMissing, InputError for a `start` of another form, and RunError.
    """
    reason = available()
    if reason is not None:
        raise ExtraMissing(reason)
    folder.mkdir(parents=True, exist_ok=True)
    _write_frames(folder / "train.xyz", train, elements, shifts_eV, settings)
    _write_frames(folder / "validation.xyz", validation, elements, shifts_eV, settings)
    (folder / "nep.in").write_text(_input_file(elements, settings), encoding="utf-8")
    if (folder / "checkpoint.pt").is_file():
        start = None  # it began already, and resumes from there
    if start is not None:
        begin = without_energy_shifts(NEPModel.read(start / "nep.txt" if start.is_dir() else start))
        _check_form(begin, elements, settings, start)
        start = folder / "start.txt"
        begin.write(start)
    from torchnep import train_nep

    with contextlib.redirect_stdout(_EpochWatcher(folder / "trainer.log", progress)):  # type: ignore[type-var]
        train_nep(str(folder / "nep.in"), str(folder / "train.xyz"), output_dir=str(folder), device="cpu",
                  run_seed=seed, valid_file=str(folder / "validation.xyz") if validation else None,
                  finetune_from=str(start) if start else None, prediction_interval=0, use_compile=False)
    best = folder / "nep_best.txt"
    if not best.is_file():
        raise RunError(f"{folder}: the trainer left no nep_best.txt; see {folder / 'trainer.log'}")
    absolute = folder / "nep.txt"
    with_energy_shifts(NEPModel.read(best), shifts_eV).write(absolute)
    return absolute


def with_energy_shifts(model: NEPModel, shifts_eV: np.ndarray) -> NEPModel:
    """`model` with `shifts_eV` (T,) added to the energy of every atom of each element, inside the nep.txt itself.

    NEP4 has one output bias for all elements, so the shift is one more neuron that is saturated: w0 = 0 and b0 = -25
    make tanh(w0 q - b0) exactly 1 in single and double precision, and w1 is the shift. Forces do not change, and any
    program that reads the file gives absolute energies.
    """
    types, _, dim = model.w0.shape
    return dataclasses.replace(
        model,
        w0=np.concatenate([model.w0, np.zeros((types, 1, dim))], axis=1),
        b0=np.concatenate([model.b0, np.full((types, 1), -25.0)], axis=1),
        w1=np.concatenate([model.w1, np.asarray(shifts_eV, dtype=float)[:, None]], axis=1),
    )


def without_energy_shifts(model: NEPModel) -> NEPModel:
    """The inverse of `with_energy_shifts`: `model` without its saturated neurons, energies relative again."""
    live = ~((model.w0 == 0.0).all(axis=2) & (model.b0 == -25.0)).all(axis=0)
    return dataclasses.replace(model, w0=model.w0[:, live], b0=model.b0[:, live], w1=model.w1[:, live])


def energy_shifts_eV(model: NEPModel) -> np.ndarray:
    """The shifts (T,) that `model` of `with_energy_shifts` holds, as they are after any refinement."""
    return model.w1.sum(axis=1) - without_energy_shifts(model).w1.sum(axis=1)


def moved(model: NEPModel, shifts_eV: np.ndarray) -> NEPModel:
    """`model` of `with_energy_shifts` with `shifts_eV` (T,) more for every atom of each element."""
    return with_energy_shifts(without_energy_shifts(model), energy_shifts_eV(model) + shifts_eV)


def _check_form(model: NEPModel, elements: Sequence[str], settings: NEPSettings, path: Path) -> None:
    wanted = {"elements": tuple(elements), "neurons": settings.neurons, "n_max": tuple(settings.n_max),
              "basis_size": tuple(settings.basis_size), "l_max": tuple(settings.l_max),
              "cutoffs_A": (settings.cutoff_radial_A, settings.cutoff_angular_A)}
    found = {"elements": tuple(model.elements), "neurons": model.neurons + 1, "n_max": tuple(model.n_max),
             "basis_size": tuple(model.basis_size),
             "l_max": (model.l_max, 2 * int(model.has_q222), int(model.has_q1111)),
             "cutoffs_A": (float(model.cutoff_radial_A.max()), float(model.cutoff_angular_A.max()))}
    if other := [f"{key} {found[key]} for {wanted[key]}" for key in wanted if found[key] != wanted[key]]:
        raise InputError(f"{path}: has {', '.join(other)}; start from a potential of the form that is trained, or give "
                         "its settings with --config")


class _EpochWatcher:
    """Takes the trainer's output: into a log file, and the epoch number to a progress bar."""

    def __init__(self, log: Path, progress: Callable[[int, str], None] | None) -> None:
        self._log, self._progress, self._line = log.open("a", encoding="utf-8"), progress, ""

    def write(self, text: str) -> int:
        self._log.write(text)
        self._line += text
        while "\n" in self._line:
            line, self._line = self._line.split("\n", 1)
            match = re.match(r"\s*(\d+)\s+", line)
            if match and self._progress is not None:
                self._progress(int(match.group(1)), line.strip())
        return len(text)

    def flush(self) -> None:
        self._log.flush()


