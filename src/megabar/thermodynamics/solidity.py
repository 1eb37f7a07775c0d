"""Solid or liquid: what the framework of a cell says (the metal sublattice, H2 centres in pure hydrogen, else all).

Hydrogen of a hydride may run through a crystal that has not melted (superionic), so it is never asked. Two measures:
the local Fourier order along the crystal's own reciprocal vectors, which tells where in the cell the crystal is, and
the mean-square displacement, which tells a melt from another crystal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

from megabar.dynamics.trajectory import Frame

NEIGHBOURS = 15
"""Sites, the centre among them, over which phases are averaged: two shells of bcc, one of close-packed lattices."""
STRONG = 0.4
"""Share of the full Bragg intensity from which a reciprocal vector of the framework is used."""
BOND_A = 1.10
"""Mutual nearest hydrogens below this are one molecule; a stretched H2 at 3000 K stays below 1.0 A."""
BRAGG_SOLID = 0.25
"""Largest Bragg intensity per site squared above which a whole cell is called crystalline: thermal vibration at the
Lindemann limit leaves above 0.5 of it, a melt of 100 sites has below 0.1."""
IONIC_DIFFUSION_A2_PER_PS = 0.1
"""1e-9 m^2/s: hydrogen that diffuses faster through a standing framework is called superionic."""


def framework(numbers: np.ndarray, positions_A: np.ndarray, cell_A: np.ndarray) -> np.ndarray:
    """(m, 3) framework sites in A: metal atoms; molecular centres when all atoms are hydrogen; all atoms otherwise.

    `cell_A` (3, 3) must be rectangular, since periodic images are looked up along its axes.
    """
    metal = numbers != 1
    if metal.any():
        return positions_A[metal]
    edges = np.diag(cell_A)
    inside = np.mod(positions_A, edges)
    distance, index = cKDTree(np.where(inside >= edges, 0.0, inside), boxsize=edges).query(inside, k=2)
    partner = index[:, 1]
    one = np.arange(len(inside))
    bonded = (partner[partner] == one) & (distance[:, 1] < BOND_A) & (one < partner)
    vector = inside[partner[bonded]] - inside[bonded]
    vector -= edges * np.round(vector / edges)
    return inside[bonded] + 0.5 * vector


def mobile(numbers: np.ndarray) -> np.ndarray | None:
    """(n,) mask of the hydrogen of a hydride; None where hydrogen is the framework or absent."""
    hydrogen = numbers == 1
    return hydrogen if hydrogen.any() and not hydrogen.all() else None


@dataclass(frozen=True)
class Lattice:
    """Strong reciprocal vectors of a crystal's framework: integers (k, 3) along the axes of the cell `edges_A` (3,)."""

    integers: np.ndarray
    edges_A: np.ndarray

    @classmethod
    def of(cls, crystal: Atoms) -> Lattice:
        """From a perfect crystal in a rectangular cell: all vectors up to 1.6 times the shortest strong one."""
        edges = np.diag(crystal.cell[:])
        sites = framework(crystal.numbers, crystal.positions, crystal.cell[:]) / edges
        spacing = (edges.prod() / len(sites)) ** (1.0 / 3.0)
        top = np.ceil(1.8 * edges / spacing).astype(int)
        grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in top], indexing="ij"), axis=-1).reshape(-1, 3)
        half = grid[(grid @ np.array([10_000, 100, 1])) > 0]
        strength = np.abs(np.exp(2j * np.pi * half @ sites.T).mean(axis=1)) ** 2
        length = np.linalg.norm(half / edges, axis=1)
        strong = strength > STRONG
        shortest = length[strong].min()
        chosen = half[strong & (length < 1.6 * shortest)]
        order = np.argsort(np.linalg.norm(chosen / edges, axis=1), kind="stable")
        return cls(chosen[order][:16], edges)

    def order(self, sites_A: np.ndarray, cell_A: np.ndarray, edges_A: np.ndarray | None = None) -> np.ndarray:
        """(m,) local order of `sites_A` (m, 3) in the rectangular `cell_A`: 1 in a perfect crystal, 0.3 in a melt.

        `edges_A` is the crystal's cell at the temperature of the run (its own when left out); the cell that holds both
        phases may have any length.
        """
        edges = self.edges_A if edges_A is None else edges_A
        box = np.diag(cell_A)
        inside = np.mod(sites_A, box)
        inside = np.where(inside >= box, 0.0, inside)
        _, near = cKDTree(inside, boxsize=box).query(inside, k=min(NEIGHBOURS, len(inside)))
        direct = inside[near] - inside[:, None]
        direct -= box * np.round(direct / box)
        phase = np.exp(2j * np.pi * (direct / edges) @ self.integers.T)
        own = np.abs(phase.mean(axis=1)).mean(axis=1)
        return own[near].mean(axis=1)


def peak_vectors(edges_A: np.ndarray, sites: int) -> np.ndarray:
    """(k, 3) reciprocal vectors near the first diffraction peak of `sites` in a rectangular cell of `edges_A` (3,), as
    integers along its axes, one of each pair of opposites."""
    spacing = (edges_A.prod() / max(1, sites)) ** (1.0 / 3.0)
    top = np.ceil(1.6 * edges_A / spacing).astype(int)
    grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in top], indexing="ij"), axis=-1).reshape(-1, 3)
    length = np.linalg.norm(grid / edges_A, axis=1) * spacing
    return np.asarray(grid[((grid @ np.array([10_000, 100, 1])) > 0) & (length > 0.7) & (length < 1.6)])


def bragg_peak(sites_A: np.ndarray, cell_A: np.ndarray) -> float:
    """Largest |rho_G|^2 / m^2 over reciprocal vectors of the cell near the first diffraction peak: any crystal in any
    orientation that fits the cell has a large one (1 when perfect), a melt about ln(m) / m."""
    edges = np.diag(cell_A)
    vectors = peak_vectors(edges, len(sites_A))
    return float((np.abs(np.exp(2j * np.pi * vectors @ (sites_A / edges).T).mean(axis=1)) ** 2).max())


def steady_order(frames: Sequence[Frame]) -> float:
    """As `bragg_peak` of the framework, of the mean of rho_G over time (drift taken out): 0.5 or more in a crystal,
    however small the cell. One frame of a melt of 20 sites can look like a crystal by chance; the mean over the time in
    which its atoms change places cannot."""
    sites = [framework(f.numbers, f.positions_A, f.cell_A) / np.diag(f.cell_A) for f in frames]
    carrier = frames[0].numbers != 1 if (frames[0].numbers != 1).any() else np.ones(len(frames[0].numbers), bool)
    drift = np.zeros((len(frames), 3))
    if all(f.unwrapped_A is not None for f in frames):
        path = np.array([f.unwrapped_A[carrier] / np.diag(f.cell_A) for f in frames])  # type: ignore[index]
        drift = (path - path[0]).mean(axis=1)
    vectors = peak_vectors(np.mean([np.diag(f.cell_A) for f in frames], axis=0), len(sites[0]))
    rho = np.array([np.exp(2j * np.pi * (s - d) @ vectors.T).mean(axis=0) for s, d in zip(sites, drift, strict=True)])
    return float((np.abs(rho.mean(axis=0)) ** 2).max())


@dataclass(frozen=True)
class Diffusion:
    """Diffusion coefficients in A^2/ps (1e-8 m^2/s) from mean-square displacements between half and the whole of the
    time `lag_ps`, so that vibration and rotation, which do not grow, drop out. `hydrogen` is None outside hydrides."""

    lag_ps: float
    framework_A2_per_ps: float
    hydrogen_A2_per_ps: float | None

    @property
    def superionic(self) -> bool:
        """Hydrogen flows while the framework stands."""
        return (self.hydrogen_A2_per_ps is not None and self.hydrogen_A2_per_ps > IONIC_DIFFUSION_A2_PER_PS
                and self.framework_A2_per_ps < 0.1 * self.hydrogen_A2_per_ps)


def diffusion(frames: Sequence[Frame]) -> Diffusion:
    """From frames at even times with unwrapped positions; displacements are scaled to the mean cell."""
    count = len(frames)
    lag = max(2, count // 2)
    if count < 4 or any(frame.unwrapped_A is None for frame in frames):
        return Diffusion(0.0, float("nan"), None)
    numbers = frames[0].numbers
    edges = np.array([np.diag(frame.cell_A) for frame in frames])
    path = np.array([frame.unwrapped_A for frame in frames]) / edges[:, None] * edges.mean(axis=0)
    carrier = numbers != 1 if (numbers != 1).any() else np.ones(len(numbers), dtype=bool)
    path -= path[:, carrier].mean(axis=1, keepdims=True)
    step = frames[1].time_ps - frames[0].time_ps

    def coefficient(mask: np.ndarray) -> float:
        long, short = (float((((path[k:] - path[:-k])[:, mask]) ** 2).sum(axis=2).mean()) for k in (lag, lag // 2))
        return (long - short) / (6.0 * (lag - lag // 2) * step)

    hydrogen = mobile(numbers)
    return Diffusion(lag * step, coefficient(carrier), None if hydrogen is None else coefficient(hydrogen))


@dataclass(frozen=True)
class Growth:
    """What a coexistence run did: `verdict` is "grew", "melted" or "undecided" (of the solid).

    `rate_per_ps` is the slope of the solid share of the framework with its standard error; `start` and `end` are the
    shares over the first and last eighth.
    """

    verdict: str
    rate_per_ps: float
    rate_error_per_ps: float
    start: float
    end: float


LEAST_CHANGE = 0.08
"""Change of the solid share below which a drift is not called growth: a fluctuation moves one layer of a dozen."""
GONE = 0.12
"""Below this solid share (above one minus it) one phase is used up; what follows says nothing about the interface."""


def growth(time_ps: np.ndarray, solid_share: np.ndarray, blocks: int = 6) -> Growth:
    """Judge the solid share (t,) at times (t,). The rate is fitted until one phase is used up, its error comes from
    the scatter of block means about the line, since neighbouring frames are not independent. One phase alone that then
    turns into the other without an interface has said more than any rate."""
    share = np.asarray(solid_share, dtype=float)
    time = np.asarray(time_ps, dtype=float)
    eighth = max(1, len(share) // 8)
    start, end = float(share[:eighth].mean()), float(share[-eighth:].mean())
    used_up = np.flatnonzero((share < GONE) | (share > 1.0 - GONE))
    stop = len(share) if len(used_up) == 0 else max(int(used_up[0]) + 1, min(len(share), 2 * blocks))
    if len(used_up) and (share[used_up[0]] < 0.5) != (end < 0.5):
        return Growth("melted" if end < 0.5 else "grew", 0.0, float("inf"), start, end)
    parts = np.array_split(np.arange(stop), min(blocks, stop))
    t = np.array([time[p].mean() for p in parts])
    x = np.array([share[p].mean() for p in parts])
    if start < GONE or start > 1.0 - GONE:  # one phase has won before the run began
        return Growth("melted" if start < GONE else "grew", 0.0, float("inf"), start, end)
    if len(t) < 3:
        return Growth("undecided", 0.0, float("inf"), start, end)
    slope, intercept = np.polyfit(t, x, 1)
    scatter = float(((x - slope * t - intercept) ** 2).sum()) / (len(t) - 2)
    error = float(np.sqrt(scatter / ((t - t.mean()) ** 2).sum()))
    error = max(error, 1e-12)
    change = end - start
    if abs(change) >= LEAST_CHANGE and slope * change > 0 and (abs(slope) > 2.0 * error or len(used_up)):
        verdict = "grew" if change > 0 else "melted"
    else:
        verdict = "undecided"
    return Growth(verdict, float(slope), error, start, end)
