"""Small periodic cells out of a reaction run, by region and time, for labels of what the run really passed through.

A run has no reference energies; its cell is too large for them. Boxes of 14 to 24 atoms are: of many around an atom the
one is taken in which the run's own potential gives most nearly the forces of the run. No atom is moved; boxes whose new
faces bring two atoms too close, or whose pressure is far from that of the run, are dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.files import read_yaml
from megabar.crystals import volumes
from megabar.dynamics.exploration import labellable
from megabar.errors import InputError
from megabar.potential.calculator import NEP
from megabar.potential.library import load
from megabar.reaction.analysis import analyse
from megabar.reaction.build import hydride
from megabar.reaction.geometry import heights_A
from megabar.reaction.layers import Layers, assign
from megabar.reaction.neighbours import close_pairs
from megabar.reaction.results import ReactionAnalysis, Snapshot
from megabar.reaction.series import Thinned
from megabar.units import BOLTZMANN_EV_PER_K, EV_PER_A3_IN_GPA, parse_pressure_GPa, parse_temperature_K

FLUID, DISSOLVED, INTERFACE, LIQUID, HYDRIDE = REGIONS = (
    "H2 fluid", "metal in H2", "interface", "liquid", "hydride")
"""Kinds of the cells, by where their centre is: beyond 3 A from a face without and with metal near, at a face, and
inside in layers that are liquid by both measures or not. "H2 fluid" cells hold no metal, all
others at least one."""
SIZES = (14, 24)
"""Fewest and most atoms of a cell: a label costs about the square."""
SHORTEST_SHARE = 0.9
"""Across its new faces a cell may bring atoms no closer than this share of the run's shortest distance between their
elements."""
PRESSURE_WITHIN_GPA = 10.0
"""Pressure of a cell against that of the run; in so small a cell it swings by about 5 GPa (sqrt(k T K / V))."""
_OUTER_A = 3.0
_INNER_A = 1.5
_NEAR_METAL_A = 4.0
_APART_A = 3.0
"""Centres in one frame are at least this far apart, so that no cell nearly repeats another."""
_CROWD = 40
"""Atoms over which the density around a centre is taken: twice a cell."""
_REACH_A = 10.0
_DRAWS = 4000
_BOXES = 150
"""Boxes tried around a centre, at most, and those of them weighed with the potential."""


@dataclass(frozen=True)
class Carving:
    """Cells carved out of a run, `asked` the number wanted; `instants` how many they come from, `failed` the centres
    around which no box was sane."""

    cells: tuple[Atoms, ...]
    asked: int
    instants: int
    failed: int


def carve_run(run: str | Path, count: int, seed: int = 0) -> Carving:
    """At most `count` cells out of the reaction run in folder `run`, finished, stopped or going on.

    Regions take turns and instants are spread over the run; within a region every second centre is the atom of the
    largest extrapolation grade, the others are drawn by `seed`. `info` of each cell: kind (its region), origin (run,
    time, region, atom, grade), parent (run and time), metallic, target_pressure_GPa. Raises InputError for a folder
    without a run.
    """
    folder = Path(run)
    trajectory = folder / "reaction" / "trajectory.dump"
    if not (folder / "settings.yaml").is_file() or not (folder / "nep.txt").is_file():
        raise InputError(f"{folder}: holds no reaction run; give the --out of a 'megabar react'")
    if not trajectory.is_file() or trajectory.stat().st_size == 0:
        raise InputError(f"{folder}: the reaction stage has no frames yet; type the run's command again")
    settings: Any = read_yaml(folder / "settings.yaml")
    instants = Thinned(int(np.clip(count // 4, 4, 100)))
    analysis = analyse(trajectory, normal=None if settings["reactant"] == "none" else "c",
                       watch=lambda shot: instants.offer(lambda: shot))
    shots: list[Snapshot] = instants.chosen()
    potential = load(folder)
    if not potential.has_grade:
        raise InputError(f"{folder}: its potential has no active set, so nothing tells what was new to it; use a run "
                         "of a potential with one")
    calculator = potential.calculator()
    frames = [_Frame(shot, analysis, calculator) for shot in shots]
    if settings["reactant"] == "vacuum":
        for frame in frames:
            frame.forget(FLUID, DISSOLVED)
    pressure = parse_pressure_GPa(settings["pressure"])
    carver = _Carver(calculator, shortest_A(shots), pressure, parse_temperature_K(settings["temperature"]))
    cells, failed = _choose(frames, carver, count, np.random.default_rng(seed))
    name, metal = folder.resolve().name, hydride(settings["formula"])[0]
    for atoms in cells:
        where = atoms.info
        hydrogens, metals = int(np.sum(atoms.numbers == 1)), int(np.sum(atoms.numbers != 1))
        atoms.info = {
            "kind": where["region"], "parent": f"{name}-{where['time_ps']:.3f}ps",
            "metallic": volumes.short_of_hydrogen(metal, metals, hydrogens), "target_pressure_GPa": round(pressure, 3),
            "origin": f"react {name} {where['time_ps']:.3f} ps {where['region']} atom {where['centre'] + 1} grade "
                      f"{where['grade']:.2f} ({where['choice']}) seed={seed}"}
    if not cells:
        raise InputError(f"{folder}: no cell could be carved, no box is near the run's {pressure:g} GPa; look "
                         "at its thermo.csv")
    return Carving(tuple(cells), count, len({atoms.info["parent"] for atoms in cells}), failed)


def shortest_A(shots: Sequence[Snapshot]) -> dict[tuple[int, int], float]:
    """Shortest distance in the frames between atoms of each pair of elements, by sorted atomic numbers; pairs never
    closer than 3 A are left out."""
    found: dict[tuple[int, int], float] = {}
    for shot in shots:
        pairs = close_pairs(shot.positions_A, shot.cell_A, 3.0)
        kinds = np.sort(np.stack([shot.numbers[pairs.i], shot.numbers[pairs.j]], axis=1), axis=1)
        for a, b in np.unique(kinds, axis=0).tolist():
            nearest = float(pairs.distance_A[(kinds == (a, b)).all(axis=1)].min())
            found[a, b] = min(nearest, found.get((a, b), nearest))
    return found


def regions(shot: Snapshot, liquid: tuple[float, float], layers: int, slab: bool) -> np.ndarray:
    """(n,) number in REGIONS of the region of each atom; `liquid` counts liquid layers from the lower and upper face,
    of `layers` in all; in a bulk cell (not `slab`) there is no outside."""
    place = (shot.positions_A @ np.linalg.inv(shot.cell_A))[:, shot.axis]
    height = heights_A(shot.cell_A)[shot.axis]
    metal = shot.numbers != 1
    _, cuts = assign(place[metal] - 0.5, layers)
    layer = np.searchsorted(cuts, place - 0.5)
    result = np.where((layer < liquid[0]) | (layer >= layers - liquid[1]), REGIONS.index(LIQUID),
                      REGIONS.index(HYDRIDE))
    if slab:
        depth = np.minimum(place * height - shot.lower_face_A, shot.upper_face_A - place * height)
        result[depth < _INNER_A] = REGIONS.index(INTERFACE)
        result[depth < -_OUTER_A] = REGIONS.index(FLUID)
        pairs = close_pairs(shot.positions_A, shot.cell_A, _NEAR_METAL_A)
        near = metal.copy()
        near[pairs.i[metal[pairs.j]]] = near[pairs.j[metal[pairs.i]]] = True
        result[(result == REGIONS.index(FLUID)) & near] = REGIONS.index(DISSOLVED)
    return result


def _liquid_layers(layers: Layers, time_ps: float) -> tuple[float, float]:
    """Liquid layers at either face by both measures; by order alone where mobility is not known (half a lag at the
    ends of a run)."""
    row = int(np.abs(layers.time_ps - time_ps).argmin())
    lower, upper = np.where(np.isfinite(layers.liquid[row]), layers.liquid[row], layers.liquid_by_order[row])
    return float(lower), float(upper)


class _Frame:
    """An instant: atoms, what the potential felt, the region of every atom, and which may still become a centre."""

    def __init__(self, shot: Snapshot, analysis: ReactionAnalysis, calculator: NEP) -> None:
        self.time_ps = shot.time_ps
        self.atoms = Atoms(shot.numbers, positions=shot.positions_A, cell=shot.cell_A, pbc=True)
        calculator.calculate(self.atoms)
        self.forces, self.grade = calculator.results["forces"], calculator.results["grade"]
        assert analysis.layers is not None
        self.region = regions(shot, _liquid_layers(analysis.layers, shot.time_ps), analysis.layers.order.shape[1],
                              analysis.normal is not None)
        self._free = np.ones(len(self.atoms), dtype=bool)

    def forget(self, *names: str) -> None:
        """Make no centre of atoms in these regions."""
        self._free &= ~np.isin(self.region, [REGIONS.index(name) for name in names])

    def take(self, region: str, strange: bool, rng: np.random.Generator) -> int | None:
        """A centre in `region`, the strangest or one by chance, away from those taken before; None without any left."""
        free = np.flatnonzero(self._free & (self.region == REGIONS.index(region)))
        if len(free) == 0:
            return None
        centre = int(free[self.grade[free].argmax()] if strange else rng.choice(free))
        self._free &= self.atoms.get_distances(centre, range(len(self.atoms)), mic=True) > _APART_A
        return centre

    def left(self) -> bool:
        """Whether any atom may still become a centre."""
        return bool(self._free.any())

    def around(self, centre: int, reach_A: float) -> tuple[np.ndarray, np.ndarray]:
        """Offsets (m, 3) from `centre` and numbers (m,) of all atoms, images too, within `reach_A`, nearest first."""
        cell = self.atoms.cell[:]
        copies = np.ceil(reach_A / heights_A(cell)).astype(int)
        shifts = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in copies), indexing="ij"), axis=-1).reshape(-1, 3)
        scaled = self.atoms.get_scaled_positions()
        nearest = (scaled - scaled[centre] + 0.5) % 1.0 - 0.5
        offsets = ((nearest[:, None] + shifts) @ cell).reshape(-1, 3)
        distance = np.linalg.norm(offsets, axis=1)
        order = np.argsort(distance, kind="stable")
        order = order[distance[order] < reach_A]
        return offsets[order], order // len(shifts)


class _Carver:
    """Cuts the best sane box around an atom."""

    def __init__(self, calculator: NEP, shortest: dict[tuple[int, int], float], pressure_GPa: float,
                 temperature_K: float) -> None:
        self._calculator, self._pressure_GPa, self._temperature_K = calculator, pressure_GPa, temperature_K
        size = max(max(pair) for pair in shortest) + 1
        self._limit_A = np.full((size, size), 3.0 * SHORTEST_SHARE)
        for (a, b), nearest in shortest.items():
            self._limit_A[a, b] = self._limit_A[b, a] = SHORTEST_SHARE * nearest

    def cut(self, frame: _Frame, centre: int, rng: np.random.Generator) -> Atoms | None:
        """The best of some dozens of boxes around `centre`; None when none is sane."""
        offsets, who = frame.around(centre, _REACH_A)
        if len(who) <= _CROWD:
            return None
        # The local density: a run holds hydride and fluid, and their mean is that of neither.
        radius = float(np.linalg.norm(offsets[_CROWD]))
        edge = (4.0 / 3.0 * np.pi * radius**3 / (_CROWD - 0.5) * np.mean(SIZES)) ** (1.0 / 3.0)
        metal = bool(frame.region[centre] != REGIONS.index(FLUID))
        boxes: list[tuple[float, Atoms]] = []
        tried = 0
        for _ in range(_DRAWS):
            shape = rng.uniform(-0.3, 0.3, 3)
            edges = edge * np.exp(shape - shape.mean() + rng.uniform(-0.08, 0.08))
            low = -edges * rng.uniform(0.3, 0.7, 3)
            if np.linalg.norm(np.maximum(-low, low + edges)) > _REACH_A:
                continue
            inside = ((offsets >= low) & (offsets < low + edges)).all(axis=1)
            box = self._box(frame.atoms.numbers[who[inside]], offsets[inside] - low, edges, metal)
            if box is None:
                continue
            change, pressure = self._felt(box, frame.forces[who[inside]])
            if abs(pressure - self._pressure_GPa) < PRESSURE_WITHIN_GPA:
                boxes.append((change, box))
            tried += 1
            if tried == _BOXES:
                break
        return next((box for _, box in sorted(boxes, key=lambda found: found[0]) if labellable(box)), None)

    def _box(self, numbers: np.ndarray, places_A: np.ndarray, edges_A: np.ndarray, metal: bool) -> Atoms | None:
        """The box, if it has the right size, metal or none as its region has, an even number of electrons (the
        reference level pairs all spins) and no pair too close across its faces."""
        if not SIZES[0] <= len(numbers) <= SIZES[1] or numbers.sum() % 2 or metal != (numbers != 1).any():
            return None
        direct = places_A[:, None] - places_A[None]
        nearest = direct - edges_A * np.round(direct / edges_A)
        seam = (nearest != direct).any(axis=2)
        limit = self._limit_A[numbers[:, None], numbers[None]]
        if (seam & (np.linalg.norm(nearest, axis=2) < limit)).any():
            return None
        return Atoms(numbers, positions=places_A, cell=edges_A, pbc=True)

    def _felt(self, box: Atoms, forces_eV_per_A: np.ndarray) -> tuple[float, float]:
        """Root mean square change of the forces (n, 3) in eV/A, and the pressure at the run's temperature in GPa."""
        result = self._calculator.evaluate(box)
        change = result.forces_eV_per_A - forces_eV_per_A
        static = -float(np.trace(result.virials_eV.sum(axis=0))) / 3.0 / box.get_volume()
        thermal = len(box) * BOLTZMANN_EV_PER_K * self._temperature_K / box.get_volume()
        return float(np.sqrt((change**2).sum(axis=1).mean())), (static + thermal) * EV_PER_A3_IN_GPA


def _choose(frames: Sequence[_Frame], carver: _Carver, count: int, rng: np.random.Generator) -> tuple[list[Atoms], int]:
    """At most `count` cells, a region at a time from the next instant, and the number of centres that gave none."""
    order = rng.permutation(len(frames))
    turns, made, failed = Counter[str](), Counter[str](), 0
    cells: list[Atoms] = []
    while len(cells) < count:
        before = len(cells)
        for region in REGIONS:
            for _ in range(len(frames) if len(cells) < count else 0):
                frame = frames[order[turns[region] % len(frames)]]
                turns[region] += 1
                strange = made[region] % 2 == 0
                centre = frame.take(region, strange, rng)
                if centre is None:
                    continue
                cell = carver.cut(frame, centre, rng)
                if cell is None:
                    failed += 1
                    continue
                cell.info = {"region": region, "time_ps": frame.time_ps, "centre": centre,
                             "grade": float(frame.grade[centre]), "choice": "highest" if strange else "by chance"}
                cells.append(cell)
                made[region] += 1
                break
        if len(cells) == before and not any(frame.left() for frame in frames):
            break
    return cells, failed
