"""What every hydrogen is: free H2, absorbed H2 unit, hydridic H, H3-like H, or other.

An instant is not enough at 1500 K: bonds stretch and strangers pass by, so every class is held to a majority of the
WINDOW frames around the instant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import write_csv
from megabar.reaction.neighbours import Pairs, close_pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BOND_A = 0.95
"""Longest H-H distance of an H2 unit: between the molecule (0.74 A) with its vibration at 1500 K and the H...H of
clathrates (1.2 A)."""
HYDRIDIC_A = 1.2
"""A hydridic H has no other H closer than this."""
TRIPLE_A = 1.1
"""Both neighbours of the middle atom of an H3-like group are closer than this."""
WINDOW = 10
"""Frames over which a class must be held, in half of them at least."""
SPECIES = ("free H2", "absorbed H2", "hydridic H", "H3-like H", "other H")
"""In the order of the codes 0 to 4; "other" is H between 0.95 and 1.2 A from its neighbour, as in a clathrate."""
FREE, ABSORBED, HYDRIDIC, TRIPLE, OTHER = range(5)

_LENGTH_EDGES_A = np.linspace(0.5, HYDRIDIC_A, 71)
# Shortest to longest lifetimes that a histogram must hold: one frame of a fine run to nanoseconds.
_LIFE_EDGES_PS = np.concatenate([[0.0], np.logspace(-3, 4, 57)])


@dataclass(frozen=True)
class Bonds:
    """Hydrogen neighbours of one frame; h is the number of hydrogens, counted among themselves.

    Attributes:
        partner: (h,) the other atom of a mutual nearest pair closer than BOND_A, or -1.
        lonely: (h,) no H closer than HYDRIDIC_A.
        crowded: (h,) two H or more closer than TRIPLE_A.
        pairs: all H-H pairs closer than HYDRIDIC_A.
    """

    partner: np.ndarray
    lonely: np.ndarray
    crowded: np.ndarray
    pairs: Pairs


def bonds(positions_A: np.ndarray, cell_A: np.ndarray) -> Bonds:
    """Bonds of hydrogens at positions_A (h, 3) in the periodic cell (3, 3)."""
    count = len(positions_A)
    pairs = close_pairs(positions_A, cell_A, HYDRIDIC_A)
    i, j, distance = pairs.i, pairs.j, pairs.distance_A
    short = np.flatnonzero(distance < BOND_A)
    short = short[np.argsort(-distance[short], kind="stable")]
    nearest = np.full(count, -1)
    # The nearest is written last and stays.
    ends = np.stack([i[short], j[short]], axis=1).ravel()
    nearest[ends] = np.stack([j[short], i[short]], axis=1).ravel()
    has = np.flatnonzero(nearest >= 0)
    mutual = has[nearest[nearest[has]] == has]
    partner = np.full(count, -1, dtype=np.int32)
    partner[mutual] = nearest[mutual]
    lonely = np.ones(count, dtype=bool)
    lonely[i] = lonely[j] = False
    close = distance < TRIPLE_A
    crowded = np.bincount(i[close], minlength=count) + np.bincount(j[close], minlength=count) >= 2
    return Bonds(partner, lonely, crowded, pairs)


def held_units(partner: np.ndarray, first: int, stop: int) -> np.ndarray:
    """(stop - first, h) partner in a held H2 unit, or -1, for the frames first..stop-1 of partner (m, h).

    Held means the same partner in at least half of the WINDOW frames around (of those that there are).
    """
    m = len(partner)
    result = np.full((stop - first, partner.shape[1]), -1, dtype=np.int32)
    for row, frame in enumerate(range(first, stop)):
        low, high = _window(frame, m)
        around = partner[low:high]
        needed = (high - low + 1) // 2
        now = partner[frame]
        held = (now >= 0) & ((around == now).sum(axis=0, dtype=np.int32) >= needed)
        result[row, held] = now[held]
        # A bond stretched at this very instant: the majority of the window, which stands in the middle when sorted.
        open_ = np.flatnonzero(~held)
        ordered = np.sort(around[:, open_], axis=0)
        for middle in {(high - low - 1) // 2, (high - low) // 2}:
            candidate = ordered[middle]
            good = (candidate >= 0) & ((ordered == candidate).sum(axis=0) >= needed)
            result[row, open_[good]] = candidate[good]
        # With half the frames each, two partners can tie for one atom; only pairs that agree are units.
        has = np.flatnonzero(result[row] >= 0)
        result[row, has[result[row, result[row, has]] != has]] = -1
    return result


def held(flags: np.ndarray, first: int, stop: int) -> np.ndarray:
    """(stop - first, h) whether flags (m, h) hold in at least half of the window around each frame first..stop-1."""
    m = len(flags)
    total = np.concatenate([np.zeros((1, flags.shape[1]), dtype=np.int32), np.cumsum(flags, axis=0, dtype=np.int32)])
    rows = []
    for frame in range(first, stop):
        low, high = _window(frame, m)
        rows.append(total[high] - total[low] >= (high - low + 1) // 2)
    return np.array(rows)


def _window(frame: int, m: int) -> tuple[int, int]:
    return max(0, frame - WINDOW // 2), min(m, frame + WINDOW - WINDOW // 2)


def classify(unit: np.ndarray, lonely: np.ndarray, crowded: np.ndarray, pairs: Pairs, inside: np.ndarray) -> np.ndarray:
    """(h,) species codes of one frame.

    unit: (h,) held partner or -1. lonely, crowded: (h,) held flags. pairs: close pairs of this very frame.
    inside: (h,) in the hydride region.
    """
    species = np.full(len(unit), OTHER, dtype=np.int8)
    species[lonely] = HYDRIDIC
    molecule = unit >= 0
    species[molecule] = np.where(inside[molecule], ABSORBED, FREE)
    if crowded.any():
        close = pairs.distance_A < TRIPLE_A
        i, j = pairs.i[close], pairs.j[close]
        species[crowded] = TRIPLE
        species[j[crowded[i]]] = TRIPLE
        species[i[crowded[j]]] = TRIPLE
    return species


@dataclass
class UnitHistory:
    """Follows held units from frame to frame: how long they live, how often atoms change partner."""

    count: int
    since_ps: np.ndarray = field(init=False)
    absorbed_since_ps: np.ndarray = field(init=False)
    exchanges: int = 0
    dissociations: int = 0
    first_dissociation_ps: float | None = None
    _partner: np.ndarray = field(init=False)
    _last: np.ndarray = field(init=False)
    _lives: np.ndarray = field(init=False)
    _start_ps: float | None = None

    def __post_init__(self) -> None:
        self._partner = np.full(self.count, -1, dtype=np.int32)
        self._last = np.full(self.count, -1, dtype=np.int32)
        self.since_ps = np.full(self.count, np.nan)
        self.absorbed_since_ps = np.full(self.count, np.nan)
        self._lives = np.zeros(len(_LIFE_EDGES_PS) - 1, dtype=np.int64)

    def add(self, time_ps: float, unit: np.ndarray, species: np.ndarray) -> None:
        """unit (h,): held partners at time_ps; species (h,): their codes."""
        absorbed = species == ABSORBED
        self.absorbed_since_ps[~absorbed] = np.nan
        self.absorbed_since_ps[absorbed & np.isnan(self.absorbed_since_ps)] = time_ps
        changed = np.flatnonzero(unit != self._partner)
        if self._start_ps is None:
            self._start_ps = time_ps
        if len(changed) == 0:
            return
        before, now = self._partner[changed], unit[changed]
        ended = changed[(before >= 0) & (changed < before)]
        known = ended[self.since_ps[ended] > self._start_ps]  # units older than the run have no known age
        self._lives += np.histogram(time_ps - self.since_ps[known], _LIFE_EDGES_PS)[0]
        broken = ended[(unit[ended] < 0) & (species[ended] == HYDRIDIC) & (species[self._partner[ended]] == HYDRIDIC)]
        self.dissociations += len(broken)
        if len(broken) and self.first_dissociation_ps is None:
            self.first_dissociation_ps = time_ps
        born = changed[now >= 0]
        self.exchanges += int(np.sum((self._last[born] >= 0) & (self._last[born] != unit[born])))
        self._last[born] = unit[born]
        self.since_ps[changed] = np.nan
        self.since_ps[born] = time_ps
        self._partner[changed] = now

    def lives(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges in ps (b + 1,) and the number (b,) of units that were seen to begin and to end, by lifetime."""
        return _LIFE_EDGES_PS, self._lives.copy()


@dataclass(frozen=True)
class Speciation:
    """Species against time and what is known of the H2 units.

    Attributes:
        time_ps: (t,).
        counts: (t, 5) mean numbers of H atoms in the order of SPECIES.
        length_A: (b,) middle of each bin; length_free, length_absorbed: (b,) H-H pairs closer than 1.2 A and frame,
            by where they are.
        lifetime_edges_ps: (c + 1,); lifetimes: (c,) units that were seen to begin and to end.
        exchanges: atoms that took a partner other than their last one.
        dissociations: units whose atoms were both hydridic next.
    """

    time_ps: np.ndarray
    counts: np.ndarray
    length_A: np.ndarray
    length_free: np.ndarray
    length_absorbed: np.ndarray
    lifetime_edges_ps: np.ndarray
    lifetimes: np.ndarray
    exchanges: int
    dissociations: int
    first_dissociation_ps: float | None

    def save(self, out: Path) -> list[Path]:
        """speciation.csv, hh_lengths.csv and h2_lifetimes.csv in the folder `out`."""
        names = [f"{s.replace(' ', '_').replace('-', '_')}_atoms" for s in SPECIES]
        tables: dict[str, dict[str, Any]] = {
            "speciation.csv": {"time_ps": self.time_ps, **dict(zip(names, self.counts.T, strict=True))},
            "hh_lengths.csv": {"length_A": self.length_A, "free_pairs": self.length_free,
                               "absorbed_pairs": self.length_absorbed},
            "h2_lifetimes.csv": {"from_ps": self.lifetime_edges_ps[:-1], "to_ps": self.lifetime_edges_ps[1:],
                                 "units": self.lifetimes}}
        for name, table in tables.items():
            write_csv(out / name, table)
        return [out / name for name in tables]

    def plot(self, ax: Axes) -> None:
        from megabar.reaction.figures import plot_species

        plot_species(ax, self)


class LengthHistogram:
    """H-H distances below 1.2 A, inside and outside the hydride region, added up over frames."""

    def __init__(self) -> None:
        self.free, self.absorbed = (np.zeros(len(_LENGTH_EDGES_A) - 1) for _ in range(2))
        self.frames = 0

    def add(self, pairs: Pairs, inside: np.ndarray) -> None:
        bin_ = ((pairs.distance_A - _LENGTH_EDGES_A[0]) * (70 / (HYDRIDIC_A - 0.5))).astype(int)
        np.clip(bin_, 0, 69, out=bin_)
        within = inside[pairs.i]
        self.absorbed += np.bincount(bin_[within], minlength=70)
        self.free += np.bincount(bin_[~within], minlength=70)
        self.frames += 1

    def lengths_A(self) -> np.ndarray:
        return 0.5 * (_LENGTH_EDGES_A[1:] + _LENGTH_EDGES_A[:-1])
