"""Guards: what a run may not leave, how LAMMPS watches it, and what is handed to the labeller when it did.

A potential is trusted inside its training domain only. Outside, hydrogen fuses or the cell runs away within a
picosecond, and everything after that is fiction: so the run stops at the first sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from megabar.crystals.packing import separate
from megabar.dynamics.trajectory import Frame

SHORTEST_HH_A = 0.45
"""An H2 of PBE's Morse curve (4.54 eV, 0.75 A, 4300 1/cm) needs 2.8 eV to get there, 22 kT at 1473 K: thermal vibration
does not, hydrogen that fuses in a hole of the potential does."""
LABELLED_HH_A = 0.5
"""Below this H-H distance PAW spheres overlap and a label would be wrong: such cells are not handed to the labeller."""
SHORTEST_RADII_SHARE = 0.6
"""Hydrogen and metal: this share of the sum of covalent radii (Cordero et al. 2008, 10.1039/b801115j). Ca-H 1.24 A,
against 1.9 A in CaH6 at 200 GPa."""
SHORTEST_METAL_SHARE = 0.5
"""Metal and metal, Ca-Ca 1.76 A. Under pressure metals come close: neighbours in simple cubic Ca are 2.32 A apart at
128 GPa (PBE), and labelled melts above 60 GPa have pairs at 2.00 to 2.10 A with forces of 2 to 8 eV/A."""


@dataclass(frozen=True)
class Guards:
    """Limits of a run. `volume_change` is relative to the start; distances by sorted element pair, in A.

    `grade_max` limits the extrapolation grade of every atom, for pair styles whose nep.txt has an active set beside it.
    """

    temperature_max_K: float
    volume_change: float = 0.25
    every: int = 20
    shortest_A: Mapping[tuple[str, str], float] = field(default_factory=dict)
    grade_max: float | None = None

    def limit_A(self, a: str, b: str) -> float:
        """Shortest distance allowed between the elements `a` and `b`."""
        pair = (min(a, b), max(a, b))
        if pair in self.shortest_A:
            return self.shortest_A[pair]
        if pair == ("H", "H"):
            return SHORTEST_HH_A
        share = SHORTEST_RADII_SHARE if "H" in pair else SHORTEST_METAL_SHARE
        return share * float(covalent_radii[Atoms([a, b]).numbers].sum())

    def lines(self, elements: Sequence[str], volume_A3: float) -> list[str]:
        """LAMMPS lines that stop the run softly, so that the last state is still written; need a group per element."""
        lines, counts = [], []
        present = sorted(elements)
        for k, a in enumerate(present):
            for b in present[k:]:
                name = f"close_{a}_{b}"
                lines += [f"compute {name} element_{a} coord/atom cutoff {self.limit_A(a, b):.6g} group element_{b}",
                          f"compute sum_{name} element_{a} reduce sum c_{name}"]
                counts.append(f"c_sum_{name}")
        lines += [f"variable guard_distance equal {'+'.join(counts)}",
                  f"variable guard_volume equal abs(vol/{volume_A3:.10g}-1.0)",
                  "variable guard_temperature equal temp"]
        limits = [("distance", 0.5), ("volume", self.volume_change), ("temperature", self.temperature_max_K)]
        if self.grade_max is not None:
            lines += [f"fix grade all pair {self.every} nep/megabar grade 1",
                      "compute worst_grade all reduce max f_grade",
                      "variable guard_grade equal c_worst_grade"]
            limits.append(("grade", self.grade_max))
        for name, limit in limits:
            lines.append(f"fix guard_{name} all halt {self.every} v_guard_{name} > {limit:.10g} error soft message yes")
        return lines


@dataclass(frozen=True)
class Offence:
    """Which guard fired, at which atoms (indices from 0), and the reason in words."""

    guard: str
    atoms: tuple[int, ...]
    reason: str


def closest_pair(atoms: Atoms, guards: Guards) -> tuple[int, int, float, float]:
    """(i, j, distance, limit) of the pair that is nearest to, or furthest below, its shortest distance (in A)."""
    symbols = sorted(set(atoms.get_chemical_symbols()))
    reach = 1.5 * max(guards.limit_A(a, b) for a in symbols for b in symbols)
    i, j, distance = neighbor_list("ijd", atoms, reach)
    while len(i) == 0:
        reach *= 1.5
        i, j, distance = neighbor_list("ijd", atoms, reach)
    limit = np.array([guards.limit_A(atoms.symbols[a], atoms.symbols[b]) for a, b in zip(i, j, strict=True)])
    k = int(np.argmin(distance / limit))
    return int(i[k]), int(j[k]), float(distance[k]), float(limit[k])


def offence(guard: str, value: float, atoms: Atoms, guards: Guards, grades: np.ndarray | None = None) -> Offence:
    """Say in words what fired, from the state `atoms` at the stop and its grades (n,). Ids are LAMMPS's, from 1."""
    if guard == "grade" and grades is not None:
        worst = int(np.argmax(grades))
        return Offence(guard, (worst,), f"atom {worst + 1} ({atoms.symbols[worst]}) has extrapolation grade "
                                        f"{value:.1f}, the limit is {guards.grade_max:g}")
    if guard == "distance":
        i, j, distance, limit = closest_pair(atoms, guards)
        return Offence(guard, (i, j), f"atoms {i + 1} ({atoms.symbols[i]}) and {j + 1} ({atoms.symbols[j]}) are "
                                      f"{distance:.3f} A apart, the limit is {limit:.2f} A")
    if guard == "temperature":
        fastest = int(np.argmax(atoms.get_masses() * (atoms.get_velocities() ** 2).sum(axis=1)))
        return Offence(guard, (fastest,), f"temperature {value:.0f} K is above {guards.temperature_max_K:.0f} K, "
                                          f"fastest is atom {fastest + 1} ({atoms.symbols[fastest]})")
    i, j, distance, _ = closest_pair(atoms, guards)
    return Offence(guard, (i, j), f"the volume changed by {value:.0%}, the limit is {guards.volume_change:.0%}; "
                                  f"closest are atoms {i + 1} ({atoms.symbols[i]}) and {j + 1} ({atoms.symbols[j]}), "
                                  f"{distance:.3f} A")


def frame_atoms(frame: Frame) -> Atoms:
    """A trajectory frame as ase.Atoms, with `time_ps` in info."""
    atoms = Atoms(frame.numbers, positions=frame.positions_A, cell=frame.cell_A, pbc=True)
    atoms.info["time_ps"] = frame.time_ps
    return atoms


def neighbourhood(atoms: Atoms, centre: int, n_atoms: int = 36) -> Atoms:
    """A small periodic cell around atom `centre` (atom 0 of it), cheap enough to label, its surroundings as they are.

    Of many boxes of about `n_atoms` the one is cut out whose new boundaries keep the density and bring atoms least too
    close; what is still too close there is pushed apart. `info["kept_within_A"]` is the distance from atom 0 within
    which nothing was moved or cut off.
    """
    edge = float((n_atoms * atoms.get_volume() / len(atoms)) ** (1.0 / 3.0))
    offsets, numbers = _around(atoms, centre, 1.2 * edge)
    density = len(atoms) / atoms.get_volume()
    rng = np.random.default_rng(centre)
    best: tuple[float, Atoms, np.ndarray, float] | None = None
    for _ in range(300):
        edges, low = edge * rng.uniform(0.88, 1.12, 3), -edge * rng.uniform(0.44, 0.56, 3)
        inside = ((offsets >= low) & (offsets < low + edges)).all(axis=1)
        z, direct = numbers[inside], offsets[inside][:, None] - offsets[inside][None]
        nearest = direct - edges * np.round(direct / edges)
        seam = (nearest != direct).any(axis=2)
        limit = _seam_A(z[:, None], z[None, :])
        limit = np.where(seam, limit, 0.0)  # pairs inside stay: what made the guard fire is what has to be labelled
        overlap = np.maximum(limit - np.linalg.norm(nearest, axis=2), 0.0).sum()
        cost = float(overlap) / n_atoms + abs(np.log(len(z) / edges.prod() / density))
        if best is None or cost < best[0]:
            box = Atoms(z, positions=offsets[inside] - low, cell=edges, pbc=True)
            best = cost, box, limit, float(np.minimum(-low, low + edges).min())
    assert best is not None
    _, small, limits, to_face = best
    before = small.get_positions()
    separate(small, limits, steps=200)
    moved = np.linalg.norm(small.positions - before, axis=1) > 1e-3
    reach = np.linalg.norm(before - before[0], axis=1)
    small.info["kept_within_A"] = round(float(reach[moved].min(initial=to_face)), 3)
    return small


def _around(atoms: Atoms, centre: int, reach_A: float) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (m, 3) from atom `centre` and numbers (m,) of all atoms, images too, within `reach_A`; nearest first."""
    inverse = np.linalg.inv(atoms.cell[:])
    copies = [int(np.ceil(reach_A * np.linalg.norm(inverse[:, k]))) for k in range(3)]
    shifts = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in copies], indexing="ij"), axis=-1).reshape(-1, 3)
    scaled = atoms.get_scaled_positions(wrap=False)
    nearest = (scaled - scaled[centre] + 0.5) % 1.0 - 0.5
    offsets = ((nearest[:, None, :] + shifts[None, :, :]) @ atoms.cell[:]).reshape(-1, 3)
    distance = np.linalg.norm(offsets, axis=1)
    order = np.argsort(distance, kind="stable")
    order = order[distance[order] < reach_A]
    return offsets[order], np.repeat(atoms.numbers, len(shifts))[order]


def _seam_A(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances at which atoms that new boundaries have brought together may stay."""
    radii = 0.75 * (covalent_radii[a] + covalent_radii[b])
    return np.where((a == 1) & (b == 1), 0.75, radii)
