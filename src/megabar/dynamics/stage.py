"""A stage: one LAMMPS run in a folder, with checkpoints, guards and a trajectory; killed, it goes on where it was.

The folder holds `data.lmp` (the start), `in.lmp` (the input; `in.resume.lmp` after a kill), `lammps.out`,
`checkpoint.STEP.restart`, `trajectory.dump`, `final.dump` and, when the stage has ended, `done.json` (or `guard.json`).
A checkpoint is written under another name and renamed, so it is always whole; on resuming, the trajectory is cut back
to the checkpoint's step, from which LAMMPS writes it again.
"""

from __future__ import annotations

import json
import mmap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units

from megabar.campaign.files import write_json, write_text
from megabar.crystals.files import write_frames
from megabar.dynamics import guards as guarding
from megabar.dynamics.guards import Guards
from megabar.dynamics.lammps import (
    START_MARK,
    PairStyle,
    halts,
    parse_thermo,
    read_thermo,
    restricted_cell,
    run_lammps,
    thermo_lines,
    thermo_point,
    write_data,
)
from megabar.dynamics.trajectory import read_trajectory
from megabar.errors import GuardFired, InputError, RunError

_FRAME = ("custom {every} trajectory.dump id element x y z ix iy iz vx vy vz c_pe",
          '"%8d %2s %11.5f %11.5f %11.5f %3d %3d %3d %9.3f %9.3f %9.3f %10.5f"')
_BLOWN_UP = ("Lost atoms", "Non-numeric", "Out of range atoms", "Neighbor list overflow", "not finite", "Atoms lost")
"""LAMMPS errors that mean the dynamics, not the input, went wrong."""

Progress = Callable[[Mapping[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What to run.

    `ensemble` are the LAMMPS fixes that move the atoms (see `megabar.dynamics.protocols`), `prepare` the lines done
    once before the first step. `groups` are sets of atom indices (from 0) which these lines may name, beside one
    group per element, `element_H`. Steps are counted from 0; `dump_every` and `checkpoint_every` are in steps.
    """

    atoms: Atoms
    pair: PairStyle
    ensemble: Sequence[str]
    steps: int
    timestep_fs: float
    guards: Guards
    prepare: Sequence[str] = ()
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    dump_every: int = 100
    thermo_every: int = 50
    checkpoint_every: int = 500


@dataclass(frozen=True)
class StageResult:
    """How a stage ended: `atoms` (cell, positions in the cell, velocities; oriented as at the start), columns of
    thermo output by name with unit, the trajectory file, and the speed."""

    atoms: Atoms
    thermo: Mapping[str, np.ndarray]
    trajectory: Path
    wall_time_s: float
    ns_per_day: float


def run_stage(stage: Stage, folder: str | Path, *, ranks: int = 1, progress: Progress | None = None,
              keep_open: Sequence[int] = ()) -> StageResult:
    """Run `stage` in `folder`, or go on from its checkpoint, or read what it left when it has ended.

    `progress` gets every thermo line as a mapping. Raises GuardFired (again, on a folder where it did before) and
    RunError.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "guard.json").is_file():
        raise GuardFired(json.loads((folder / "guard.json").read_text())["message"])
    rotation = restricted_cell(stage.atoms.cell[:])[1]
    if not (folder / "done.json").is_file():
        _run(stage, folder, ranks, progress, keep_open)
    done = json.loads((folder / "done.json").read_text())
    return StageResult(_state(folder / "final.dump", rotation), read_thermo(folder / "lammps.out"),
                       folder / "trajectory.dump", done["wall_time_s"], done["ns_per_day"])


def _run(stage: Stage, folder: Path, ranks: int, progress: Progress | None, keep_open: Sequence[int]) -> None:
    clock, script = folder / "clock.json", "in.lmp"
    before = 0.0
    saved = _checkpoints(folder)
    if saved:
        before = json.loads(clock.read_text())["wall_time_s"] if clock.is_file() else 0.0
        script = "in.resume.lmp"
        cut_trajectory(folder / "trajectory.dump", saved[-1])
        write_text(folder / script, _script(stage, saved[-1]))
    else:
        for name in ("trajectory.dump", "lammps.out", "clock.json"):
            (folder / name).unlink(missing_ok=True)
        write_data(folder / "data.lmp", stage.atoms, stage.pair)
        write_text(folder / script, _script(stage))
    start = time.monotonic()
    moving = bool(saved)

    def on_line(line: str) -> None:
        nonlocal moving
        if line.startswith(START_MARK):
            moving = True
        elif line.startswith("MEGABAR-CHECKPOINT"):
            write_json(clock, {"wall_time_s": round(before + time.monotonic() - start, 3)})
            for step in _checkpoints(folder)[:-1]:
                (folder / f"checkpoint.{step}.restart").unlink(missing_ok=True)
        elif progress is not None and moving and (values := parse_thermo(line)) is not None:
            progress(thermo_point(values))

    try:
        lines = run_lammps(folder, script, ranks, on_line, keep_open)
    except RunError as error:
        if any(word in str(error) for word in _BLOWN_UP):
            steps = read_thermo(folder / "lammps.out")["step"]
            _stopped(stage, folder, "explosion", int(steps[-1]) if len(steps) else 0, 0.0, str(error))
        raise
    fired = next(halts(lines), None)
    if fired is not None:
        _stopped(stage, folder, fired[0].removeprefix("guard_"), fired[1], fired[2], "")
    wall = before + time.monotonic() - start
    write_json(folder / "done.json", {
        "steps": stage.steps, "wall_time_s": round(wall, 3),
        "ns_per_day": round(stage.steps * stage.timestep_fs * 1e-6 / max(wall, 1e-9) * 86400.0, 4)})
    for path in folder.glob("checkpoint.*"):
        path.unlink()


def _checkpoints(folder: Path) -> list[int]:
    """Steps of the checkpoints, oldest first."""
    return sorted(int(path.name.split(".")[1]) for path in folder.glob("checkpoint.*.restart"))


def _script(stage: Stage, resume_at: int | None = None) -> str:
    elements = sorted(set(stage.atoms.get_chemical_symbols()))
    lines = ["units metal", "atom_style atomic", "atom_modify map yes", "boundary p p p"]
    if resume_at is None:
        lines += ["box tilt large", "read_data data.lmp"]
    else:
        lines.append(f"read_restart checkpoint.{resume_at}.restart")
    lines += stage.pair.lines
    lines += [f"group element_{e} type {stage.pair.elements.index(e) + 1}" for e in elements]
    for name, members in stage.groups.items():
        lines += [f"group {name} id {ids}" for ids in _ranges(np.asarray(members) + 1)]
    lines += [f"timestep {stage.timestep_fs * 1e-3:.10g}", "neighbor 1.0 bin", "neigh_modify every 1 delay 0 check yes",
              "compute pe all pe/atom", *thermo_lines(stage.thermo_every)]
    if resume_at is None:
        lines += [*stage.prepare, "reset_timestep 0 time 0.0", f"print {START_MARK}"]
    lines += stage.guards.lines(elements, stage.atoms.get_volume())
    lines += stage.ensemble
    style, form = _FRAME
    names = " ".join(stage.pair.elements)
    lines += [f"dump frames all {style.format(every=stage.dump_every)}",
              f"dump_modify frames element {names} sort id units yes time yes flush yes "
              f"append {'no' if resume_at is None else 'yes'} format line {form}"]
    save = ('"write_restart checkpoint.new" "shell mv checkpoint.new checkpoint.$(step).restart" '
            '"print \'MEGABAR-CHECKPOINT $(step)\'"')
    lines.append(f"run {stage.steps} upto every {stage.checkpoint_every} {save}")
    lines.append(f"write_dump all custom final.dump id element x y z ix iy iz vx vy vz modify element {names} sort id "
                 "units yes time yes format float %.14g")
    return "\n".join(lines) + "\n"


def _ranges(ids: np.ndarray, per_line: int = 100) -> list[str]:
    """Sorted ids as LAMMPS ranges like "1:40 57:60", some on each line, since the lines of an input have a limit."""
    ids = np.unique(ids)
    runs = np.split(ids, np.flatnonzero(np.diff(ids) > 1) + 1)
    words = [f"{run[0]}:{run[-1]}" for run in runs if len(run)]
    return [" ".join(words[k:k + per_line]) for k in range(0, len(words), per_line)]


def _state(path: Path, rotation: np.ndarray) -> Atoms:
    frame = list(read_trajectory(path))[-1]
    # Unwrapped, so that whoever cuts the cell open can still see which side an atom belongs to.
    atoms = Atoms(frame.numbers, positions=frame.unwrapped_A @ rotation.T, cell=frame.cell_A @ rotation.T, pbc=True)
    if frame.velocities_A_per_fs is not None:
        atoms.set_velocities(frame.velocities_A_per_fs @ rotation.T / units.fs)
    return atoms


def cut_trajectory(path: str | Path, step: int) -> None:
    """Remove from a LAMMPS dump the frames of `step` and later, and a frame that is cut off."""
    path = Path(path)
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("r+b") as handle:
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as text:
            end, header = 0, text.rfind(_STEP)
            while header >= 0:
                number = text[header + len(_STEP):header + len(_STEP) + 24].split(b"\n")[0]
                if number.isdigit() and int(number) < step and (found := _frame_end(text, header)) is not None:
                    end = found
                    break
                header = text.rfind(_STEP, 0, header)
        handle.truncate(end)


_STEP, _COUNT, _ATOMS = b"ITEM: TIMESTEP\n", b"ITEM: NUMBER OF ATOMS\n", b"ITEM: ATOMS "


def _frame_end(text: Any, header: int) -> int | None:
    """Offset behind the frame whose TIMESTEP line is at `header`; None when the file ends before it does."""
    count, atoms = text.find(_COUNT, header), text.find(_ATOMS, header)
    if count < 0 or atoms < count:
        return None
    end = atoms
    for _ in range(int(text[count + len(_COUNT):count + len(_COUNT) + 24].split(b"\n")[0]) + 1):
        end = text.find(b"\n", end) + 1
        if end == 0:
            return None
    return end


def _stopped(stage: Stage, folder: Path, guard: str, step: int, value: float, detail: str) -> None:
    """Name what happened, leave the cells ready to label, remember it, and raise GuardFired."""
    last = [guarding.frame_atoms(frame) for frame in _last_frames(folder / "trajectory.dump", 3)]
    end = folder / "final.dump"
    if end.is_file():
        last.append(_state(end, np.eye(3)))
        last[-1].wrap()
    if not last:
        raise RunError(f"{folder}: stopped by the {guard} guard before its first frame ({detail}); look at lammps.out")
    grades = stage.pair.grades(last[-1]) if guard == "grade" else None
    found = guarding.offence(guard, value, last[-1], stage.guards, grades)
    reason = found.reason if guard != "explosion" else detail.split(";")[0]
    small = []
    for frame in last:
        cut = guarding.neighbourhood(frame, found.atoms[0])
        hydrogen = cut[cut.numbers == 1]
        distances = hydrogen.get_all_distances(mic=True)[np.triu_indices(len(hydrogen), 1)]
        if len(distances) == 0 or distances.min() > guarding.LABELLED_HH_A:
            cut.info.update(kind="guard", guard=guard, centre=found.atoms[0] + 1)
            small.append(cut)
    write_frames(folder / "guard_frames.extxyz", last)
    if small:
        write_frames(folder / "guard_to_label.extxyz", small)
    cells = folder / ("guard_to_label.extxyz" if small else "guard_frames.extxyz")
    message = (f"{folder.name}: the {guard} guard stopped the run at {step * stage.timestep_fs * 1e-3:.3f} ps: "
               f"{reason}; label {cells} and train again")
    write_json(folder / "guard.json", {"message": message, "guard": guard, "atoms": [i + 1 for i in found.atoms],
                                       "reason": reason, "step": step})
    raise GuardFired(message)


def _last_frames(path: Path, count: int) -> list[Any]:
    import warnings
    from collections import deque

    if not path.is_file() or path.stat().st_size == 0:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return list(deque(read_trajectory(path), maxlen=count))
        except InputError:
            return []
