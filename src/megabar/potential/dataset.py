"""Labelled frames: reading with every check, per-element shifts, and splits that keep siblings together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.files import content_hash
from megabar.crystals.files import read_frames
from megabar.errors import InputError, LabelMissing
from megabar.units import pressure_GPa, stress_matrix


@dataclass(frozen=True)
class LabelledFrame:
    """A cell with its reference energy (eV), forces (n, 3) in eV/A and tension-positive stress (3, 3) in eV/A^3."""

    atoms: Atoms
    energy_eV: float
    forces_eV_per_A: np.ndarray
    stress_eV_per_A3: np.ndarray

    @property
    def kind(self) -> str:
        return str(self.atoms.info.get("kind", "all"))

    @property
    def parent(self) -> str:
        """What a split must not tear apart; a frame without a parent is its own."""
        if "parent" in self.atoms.info:
            return str(self.atoms.info["parent"])
        return content_hash([self.atoms.numbers, np.round(self.atoms.positions, 6)])

    @property
    def pressure_GPa(self) -> float:
        return pressure_GPa(self.stress_eV_per_A3)


def labelled(atoms: Atoms, where: str) -> LabelledFrame:
    """The labels of `atoms`: REF_* keys, or the results of its calculator when there are none.

    Raises LabelMissing when one is absent, has the wrong shape or is not finite. `where` names the frame.
    """
    info, results = atoms.info, dict(atoms.calc.results) if atoms.calc is not None else {}
    energy: Any
    energy = info.get("REF_energy", results.get("free_energy", results.get("energy")))
    forces = atoms.arrays.get("REF_forces", results.get("forces"))
    stress = info.get("REF_stress", results.get("stress"))
    for name, value in (("energy", energy), ("forces", forces), ("stress", stress)):
        if value is None:
            key = f"REF_{name}"
            raise LabelMissing(f"{where}: no {key}; label it with 'megabar label', or name your key {key}")
    try:
        values = float(energy), np.array(forces, dtype=float), stress_matrix(np.array(stress, dtype=float))
    except (TypeError, ValueError):
        raise LabelMissing(f"{where}: a label is not a number; label it again") from None
    if values[1].shape != (len(atoms), 3):
        raise LabelMissing(f"{where}: forces of shape {values[1].shape} for {len(atoms)} atoms; label it again")
    if not all(np.isfinite(v).all() for v in map(np.asarray, values)):
        raise LabelMissing(f"{where}: a label is not finite (NaN or infinite); label it again or remove the frame")
    return LabelledFrame(atoms, *values)


def read_dataset(paths: Sequence[str | Path]) -> list[LabelledFrame]:
    """All labelled frames of the files, exact repeats dropped.

    Raises LabelMissing for absent labels, and InputError for two levels of theory in one set or for one cell with
    two different energies: both would be averaged silently by a fit.
    """
    frames: list[LabelledFrame] = []
    seen: dict[str, LabelledFrame] = {}
    levels: dict[str, str] = {}
    for path in paths:
        for number, atoms in enumerate(read_frames(path)):
            where = f"{path} frame {number}"
            frame = labelled(atoms, where)
            if "level" in atoms.info:
                levels.setdefault(str(atoms.info["level"]), where)
                if len(levels) > 1:
                    named = "; ".join(f"{name} ({place})" for name, place in levels.items())
                    raise InputError(f"two levels of theory in one set: {named}; train on one of them")
            key = geometry_hash(atoms)
            if key in seen:
                if abs(seen[key].energy_eV - frame.energy_eV) > 1e-4 * len(atoms):
                    raise InputError(f"{where}: the same cell stands in the set with another energy "
                                     f"({seen[key].energy_eV:.4f} and {frame.energy_eV:.4f} eV); remove one")
                continue
            seen[key] = frame
            frames.append(frame)
    return frames


def of_elements(frames: Sequence[LabelledFrame], elements: Sequence[str]) -> list[LabelledFrame]:
    """The frames that hold nothing but `elements`. InputError when there are none, naming what the frames hold."""
    kept = [f for f in frames if set(f.atoms.get_chemical_symbols()) <= set(elements)]
    if not kept:
        held = sorted({symbol for f in frames for symbol in f.atoms.get_chemical_symbols()})
        raise InputError(f"elements {', '.join(elements)}: no frame is of these alone; the frames hold "
                         f"{', '.join(held)}")
    return kept


def element_order(frames: Sequence[LabelledFrame]) -> list[str]:
    """Hydrogen first, then by symbol: the order of elements in the file."""
    return sorted({s for f in frames for s in f.atoms.get_chemical_symbols()}, key=lambda s: (s != "H", s))


def geometry_hash(atoms: Atoms) -> str:
    """Hash of species, cell and positions to 1e-6 A."""
    digest = hashlib.sha256(atoms.numbers.tobytes())
    digest.update(np.round(atoms.cell[:], 6).tobytes() + np.round(atoms.positions, 6).tobytes())
    return digest.hexdigest()[:16]


def dataset_hash(frames: Sequence[LabelledFrame]) -> str:
    """Hash of a set that does not depend on the order of its frames."""
    return content_hash(sorted(geometry_hash(f.atoms) + f"{f.energy_eV:.6f}" for f in frames))


def element_shifts_eV(frames: Sequence[LabelledFrame], elements: Sequence[str]) -> np.ndarray:
    """Least-squares energy per atom of each element (eV), small ridge for elements that always come together."""
    counts = np.array([[f.atoms.get_chemical_symbols().count(e) for e in elements] for f in frames], dtype=float)
    energies = np.array([f.energy_eV for f in frames])
    weights = 1.0 / counts.sum(axis=1)
    a, b = counts * weights[:, None], energies * weights
    return np.linalg.solve(a.T @ a + 1e-6 * np.eye(len(elements)), a.T @ b)


def split_by_parent(frames: Sequence[LabelledFrame], validation_share: float,
                    seed: int) -> tuple[list[LabelledFrame], list[LabelledFrame]]:
    """(training, validation): whole families of siblings, drawn kind by kind so that every region is validated.

    A kind whose only family would go to validation stays in training.
    """
    rng = np.random.default_rng(seed)
    chosen: set[str] = set()
    home: dict[str, str] = {}  # a family that spans kinds is drawn with the first of them
    for frame in frames:
        home.setdefault(frame.parent, frame.kind)
    for kind in sorted(set(home.values())):
        families = sorted(parent for parent, first in home.items() if first == kind)
        take = int(round(validation_share * len(families)))
        if len(families) >= 4:
            take = max(take, 1)
        chosen.update(rng.permutation(families)[: min(take, len(families) - 1)].tolist())
    train = [f for f in frames if f.parent not in chosen]
    return train, [f for f in frames if f.parent in chosen]


def h_per_metal(atoms: Atoms) -> float | None:
    """H atoms per metal atom; None for pure hydrogen."""
    metal = int(np.sum(atoms.numbers != 1))
    return None if metal == 0 else float(np.sum(atoms.numbers == 1)) / metal


def manifest(frames: Sequence[LabelledFrame]) -> dict[str, Any]:
    """Counts by kind, H per metal and pressure, with hash and ranges: what a reader wants to know of a set."""
    pressures = np.array([f.pressure_GPa for f in frames])
    edges_p = [-1e9, 0, 20, 40, 60, 100, 150, 200, 1e9]
    names_p = ["below 0", "0-20", "20-40", "40-60", "60-100", "100-150", "150-200", "above 200"]
    ratios = [h_per_metal(f.atoms) for f in frames]

    def ratio_name(x: float | None) -> str:
        if x is None:
            return "pure H"
        for low, high in ((0, 0), (0, 2), (2, 3), (3, 5), (5, 7), (7, 1e9)):
            if low == high == x or low < x <= high:
                return "0" if high == 0 else f"{low}-{high:g}" if high < 1e9 else f"above {low}"
        return "?"

    return {
        "frames": len(frames),
        "atoms": int(sum(len(f.atoms) for f in frames)),
        "hash": dataset_hash(frames),
        "levels": sorted({str(f.atoms.info.get("level", "unknown")) for f in frames}),
        "by_kind": dict(sorted(Counter(f.kind for f in frames).items())),
        "by_h_per_metal": dict(sorted(Counter(ratio_name(x) for x in ratios).items())),
        "by_pressure_GPa": {name: int(np.sum((pressures > low) & (pressures <= high))) for name, low, high in
                            zip(names_p, edges_p, edges_p[1:], strict=False)},
        "pressure_range_GPa": [round(float(pressures.min()), 2), round(float(pressures.max()), 2)],
        "largest_force_eV_per_A": round(max(float(np.abs(f.forces_eV_per_A).max()) for f in frames), 2),
    }
