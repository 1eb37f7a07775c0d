"""Exploration: short runs from many small cells, and of what they pass through the frames worth a label.

A frame is worth a label when its atoms lie far, in descriptor space, from the atoms of the training set and of the
frames picked before it (farthest-point sampling); runs that a guard stopped give their last frames too. Small cells
are used because a label costs the square of their size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.neighborlist import neighbor_list

from megabar.crystals.files import read_frames
from megabar.crystals.symmetry import SpaceGroup, space_group, symmetric_vectors, symmetrized
from megabar.dynamics import protocols
from megabar.dynamics.guards import LABELLED_HH_A, Guards, frame_atoms
from megabar.dynamics.lammps import PairStyle
from megabar.dynamics.stage import Stage, run_stage
from megabar.dynamics.trajectory import read_trajectory
from megabar.errors import GuardFired, InputError, RunError
from megabar.potential.library import Potential

LARGEST_VOLUME_A3 = 2000.0
"""A cell of a dozen atoms above this has boiled away; its plane waves would cost as much as a hundred atoms."""


@dataclass(frozen=True)
class Excursion:
    """One short run: the start's kind, conditions, how long it lived (ps) and what ended it ("" for its full time).

    `frames` can be labelled; `broken` is the number of those that cannot.
    """

    kind: str
    pressure_GPa: float
    temperature_K: float
    lived_ps: float
    ended_by: str
    frames: tuple[Atoms, ...]
    broken: int = 0


def excursion(atoms: Atoms, potential: Potential, pressure_GPa: float, temperature_K: float, time_ps: float,
              folder: Path, seed: int, frames: int = 20, timestep_fs: float = 0.5, protocol: str = "npt",
              to_pressure_GPa: float | None = None, grade_max: float | None = None) -> Excursion:
    """Run `atoms` at constant pressure and temperature in `folder`; never raises for a run that blows up.

    `protocol`: "npt"; "search", which minimises the enthalpy first; "compress", which takes the pressure to
    `to_pressure_GPa`; "fixed", which holds the cell. A start with a space group in its `info` keeps it in the first
    two. The run stops where an atom's grade passes `grade_max` (if the potential has an active set).
    """
    steps = max(frames, int(round(time_ps * 1000.0 / timestep_fs)))
    start = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    if protocol == "compress":
        assert to_pressure_GPa is not None
        ensemble = protocols.compress(temperature_K, (pressure_GPa, to_pressure_GPa), seed)
    elif protocol == "fixed":
        ensemble = protocols.fixed_cell(temperature_K, seed)
    else:
        ensemble = protocols.startup(temperature_K, pressure_GPa, seed, "independent")
    prepare = protocols.relax_cell(pressure_GPa) if protocol == "search" else protocols.relax_positions()
    kept = protocol in ("npt", "search") and "space_group" in atoms.info
    group = space_group(atoms.info["space_group"]) if kept else None
    if group is None:
        prepare += protocols.velocities(temperature_K, seed)
    else:
        # Friction draws a force for every atom; Nose-Hoover chains scale what is there, and symmetric it stays.
        ensemble = protocols.deterministic(temperature_K, pressure_GPa)
        start.set_velocities(_symmetric_velocities(start, group, temperature_K, seed))
    stage = Stage(
        atoms=start, pair=PairStyle.nep(potential.nep_path, potential.elements), ensemble=ensemble, prepare=prepare,
        steps=steps, timestep_fs=timestep_fs, dump_every=max(1, steps // frames), checkpoint_every=steps,
        guards=Guards(temperature_max_K=5.0 * max(temperature_K, 600.0), volume_change=0.6,
                      grade_max=grade_max if potential.has_grade else None),
    )
    ended_by = ""
    try:
        run_stage(stage, folder)
    except GuardFired as error:
        ended_by = str(error)
    except RunError as error:
        return Excursion(str(atoms.info.get("kind", "?")), pressure_GPa, temperature_K, 0.0, str(error)[:200], (), 1)
    path = folder / "trajectory.dump"
    read = list(read_trajectory(path)) if path.is_file() and path.stat().st_size else []
    seen = [_as_cell(frame_atoms(frame)) for frame in read]
    if ended_by and (folder / "guard_frames.extxyz").is_file():
        # Its first ones are the last of the trajectory once more.
        seen += [a for a in map(_as_cell, read_frames(folder / "guard_frames.extxyz")) if not _repeats(a, seen)]
    kind = str(atoms.info.get("kind", "all"))
    good = []
    if group is not None:
        seen = [frame for frame in (_symmetric(frame, group) for frame in seen) if frame is not None]
    whole = [frame for frame in seen if labellable(frame)]
    for number, frame in enumerate(whole):
        frame.info = {
            "kind": kind, "parent": str(atoms.info.get("parent", folder.name)),
            "metallic": bool(atoms.info.get("metallic", False)),
            "target_pressure_GPa": round(float(pressure_GPa), 3),
            "origin": f"explore {potential.name} T={temperature_K:.0f} P={pressure_GPa:.1f} {folder.name}/{number}"
                      + (" guard" if ended_by else ""),
        } | ({} if group is None else {"space_group": group.name})
        good.append(frame)
    lived = read[-1].time_ps if read else 0.0
    return Excursion(kind, pressure_GPa, temperature_K, lived, ended_by, tuple(good[1:]), len(seen) - len(whole))


def _as_cell(atoms: Atoms) -> Atoms:
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)


def _symmetric_velocities(atoms: Atoms, group: SpaceGroup, temperature_K: float, seed: int) -> np.ndarray:
    """(n, 3) velocities of `atoms` with its symmetry and exactly this temperature (3 n degrees of freedom)."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(len(atoms), 3)) / np.sqrt(atoms.get_masses())[:, None]
    kept = symmetric_vectors(drawn, atoms, group)
    twice_kinetic = float((atoms.get_masses()[:, None] * kept**2).sum())
    return kept * np.sqrt(3.0 * len(atoms) * units.kB * temperature_K / max(twice_kinetic, 1e-12))


def _symmetric(atoms: Atoms, group: SpaceGroup) -> Atoms | None:
    """`atoms` without the rounding that a run has added to its symmetry; None where it has grown to more than that."""
    try:
        return symmetrized(atoms, group)
    except InputError:
        return None


def _repeats(atoms: Atoms, seen: Sequence[Atoms]) -> bool:
    """Whether `atoms` is one of `seen` to the precision of a trajectory."""
    for other in seen[-4:]:
        if np.allclose(other.cell[:], atoms.cell[:], atol=1e-3):
            off = np.linalg.solve(atoms.cell[:].T, (atoms.positions - other.positions).T)
            if np.abs(off - np.round(off)).max() < 1e-4:
                return True
    return False


def labellable(atoms: Atoms) -> bool:
    """False for cells on which the reference level cannot be trusted, or which have fallen apart."""
    distances = neighbor_list("d", atoms, {("H", "H"): LABELLED_HH_A})
    close = neighbor_list("d", atoms, 1.6)
    i = neighbor_list("i", atoms, 1.0)
    heavy = atoms.numbers[i] != 1
    return (len(distances) == 0 and not heavy.any() and len(close) < 20 * len(atoms)
            and atoms.get_volume() < LARGEST_VOLUME_A3 * max(1.0, len(atoms) / 12.0))


def fingerprint(atoms: Atoms, potential: Potential) -> np.ndarray:
    """(2 dim,) mean and width over hydrogen and metal atoms of the scaled descriptors: where a cell lies as a whole."""
    calculator = potential.calculator()
    result = calculator.evaluate(atoms, descriptors=True)  # type: ignore[attr-defined]
    q = np.asarray(result.descriptors) * potential.model.q_scaler
    parts = []
    for mask in (atoms.numbers == 1, atoms.numbers != 1):
        block = q[mask] if mask.any() else np.zeros((1, q.shape[1]))
        parts += [block.mean(axis=0), block.max(axis=0), block.min(axis=0)]
    return np.concatenate(parts)


def pick(candidates: Sequence[Atoms], known: Sequence[Atoms], potential: Potential, count: int,
         progress: Callable[[], None] | None = None) -> list[Atoms]:
    """The `count` candidates farthest from `known` and from each other, one kind after the other in turn.

    Kinds take turns so that one strange region cannot use up the round; at most one frame in three of a parent.
    """
    if not candidates:
        return []
    features = np.array([fingerprint(a, potential) for a in candidates])
    reference = np.array([fingerprint(a, potential) for a in known]) if len(known) else features[:1] + 1e3
    scale = reference.std(axis=0) + 1e-3 if len(known) > 1 else np.ones(features.shape[1])
    features, reference = features / scale, reference / scale
    distance = np.array([np.linalg.norm(reference - f, axis=1).min() for f in features])
    kinds = sorted({str(a.info["kind"]) for a in candidates})
    member = {kind: np.array([str(a.info["kind"]) == kind for a in candidates]) for kind in kinds}
    chosen: list[int] = []
    while len(chosen) < min(count, len(candidates)):
        for kind in kinds:
            open_ = np.where(member[kind], distance, -1.0)
            k = int(open_.argmax())
            if open_[k] <= 0.0 or len(chosen) == count:
                continue
            chosen.append(k)
            distance = np.minimum(distance, np.linalg.norm(features - features[k], axis=1))
            distance[k] = -1.0
            if progress is not None:
                progress()
        if distance.max() <= 0.0:
            break
    return [candidates[k] for k in chosen]
