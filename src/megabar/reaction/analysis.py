"""The analysis of a reaction: one pass over the frames, one neighbour list a frame, constant memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import units
from ase.data import atomic_masses, chemical_symbols

from megabar.errors import InputError
from megabar.reaction import speciation as spec
from megabar.reaction import templates
from megabar.reaction.geometry import (
    AXES,
    SMOOTHING_A,
    Region,
    find_region,
    heights_A,
    profile_bins,
    slab_centre,
    slab_normal,
    whole_cell,
)
from megabar.reaction.layers import LAG_PS, ORDER_LIMIT, assign, count_layers, mobility_limit_A2
from megabar.reaction.order import environment, order_parameter
from megabar.reaction.results import ReactionAnalysis, Snapshot, assemble
from megabar.reaction.series import RecentMean, Rows, Thinned
from megabar.units import BOLTZMANN_EV_PER_K

BLOCK_PS = 0.25
"""Order and mobility are taken from metal positions averaged over this time: longer than a lattice vibration (0.1 to
0.2 ps for Ca), shorter than the residence of an atom in a melt."""
_MOST_FRAMES = 50
_DEEP = 1.6
"""Depth below a face, in units of density^(-1/3), from which metals of a slab match their templates like those of a
bulk crystal (all faces of MH2 and MH4: from 4.4 A at 40 GPa)."""
SNAPSHOTS = 6
CITATIONS = (
    "Steinhardt, Nelson and Ronchetti, Phys. Rev. B 28, 784 (1983), 10.1103/PhysRevB.28.784",
    "Lechner and Dellago, J. Chem. Phys. 129, 114707 (2008), 10.1063/1.2977970",
    "Avrami, J. Chem. Phys. 7, 1103 (1939), 10.1063/1.1750380",
    "Kunsch, Ann. Statist. 17, 1217 (1989), 10.1214/aos/1176347265",
    "Togo, Shinohara and Tanaka, Sci. Technol. Adv. Mater. Methods 4, 2384822 (2024), 10.1080/27660400.2024.2384822",
    "Ong et al., Comput. Mater. Sci. 68, 314 (2013), 10.1016/j.commatsci.2012.10.028",
)
"""What the analysis rests on, spglib and pymatgen included."""


class FrameLike(Protocol):
    """What an analysis needs of a frame; `megabar.dynamics.trajectory.Frame` has it."""

    @property
    def time_ps(self) -> float: ...
    @property
    def cell_A(self) -> np.ndarray: ...
    @property
    def numbers(self) -> np.ndarray: ...
    @property
    def positions_A(self) -> np.ndarray: ...
    @property
    def unwrapped_A(self) -> np.ndarray | None: ...
    @property
    def velocities_A_per_fs(self) -> np.ndarray | None: ...
    @property
    def potential_energy_eV(self) -> np.ndarray | None: ...


@dataclass
class _Digest:
    """What is kept of a frame until its block is complete. z is counted from the slab's centre, -0.5 to 0.5."""

    time_ps: float
    cell_A: np.ndarray
    unwrapped: np.ndarray
    z: np.ndarray
    bonds: spec.Bonds
    metal_profile: np.ndarray
    hydrogen_profile: np.ndarray
    kinetic_eV: np.ndarray | None
    potential_eV: np.ndarray | None


class Analyser:
    """Takes frames with `push` and gives the `ReactionAnalysis` so far with `result`.

    normal: axis "a", "b" or "c" across the slab, found from the first frame when None. lag_ps: time over which
    displacements are taken. pressure_GPa: of the run, for enthalpies. seed: of the bootstrap errors. watch: called with
    every frame as a `Snapshot` (the metal's order being that of its block), for movies; not without a metal.
    """

    def __init__(self, source: str = "trajectory", normal: str | None = None, lag_ps: float = LAG_PS,
                 pressure_GPa: float | None = None, seed: int = 0,
                 watch: Callable[[Snapshot], None] | None = None) -> None:
        if normal is not None and normal not in AXES:
            raise InputError(f"normal {normal!r} is no axis of the cell: give a, b or c")
        self.source, self.lag_ps, self.pressure_GPa, self.seed = source, lag_ps, pressure_GPa, seed
        self.notes: list[str] = []
        self.frames = 0
        self._watch = watch
        self._seen: list[tuple[np.ndarray, np.ndarray]] = []
        self._asked_normal = normal
        self._digests: list[_Digest] = []
        self._first = 0  # first digest of the next block
        self._block: int | None = None
        self._rows = Rows()
        self._lengths = spec.LengthHistogram()
        self._snapshots = Thinned(SNAPSHOTS)
        self._recent = RecentMean()
        self._early: np.ndarray | None = None
        self._kind = np.zeros(0, dtype=np.int64)
        self._past: list[tuple[float, np.ndarray]] = []
        self._limit_A2 = float("nan")
        self._layers = 0
        self._last_cell = np.eye(3)

    # Frames ------------------------------------------------------------------------------------------------------

    def push(self, frame: FrameLike) -> None:
        """Add the next frame. Raises InputError when its atoms are not those of the first frame."""
        if self.frames == 0:
            self._begin(frame)
        elif len(frame.numbers) != len(self._numbers):
            raise InputError(f"{self.source}: frame {self.frames} has {len(frame.numbers)} atoms, the first "
                             f"{len(self._numbers)}; split the trajectory there")
        elif frame.numbers is not self._numbers and not np.array_equal(frame.numbers, self._numbers):
            raise InputError(f"{self.source}: frame {self.frames} has other elements than the first; "
                             "split the trajectory there")
        elif frame.time_ps <= self._digests[-1].time_ps:
            self._note("frames that do not advance in time (a restart?) were left out")
            return
        elif self._block is None:
            interval = frame.time_ps - self._digests[-1].time_ps
            self._block = int(np.clip(round(BLOCK_PS / interval), 1, _MOST_FRAMES))
        self._digests.append(self._digest(frame))
        self.frames += 1
        ahead = spec.WINDOW - spec.WINDOW // 2 - 1
        if self._block is not None and len(self._digests) >= self._first + self._block + ahead:
            self._close(self._first, self._first + self._block)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _begin(self, frame: FrameLike) -> None:
        self._numbers = np.asarray(frame.numbers)
        self._hydrogen = np.flatnonzero(self._numbers == 1)
        self._metal = np.flatnonzero(self._numbers != 1)
        if abs(float(np.linalg.det(frame.cell_A))) < 1e-6:
            raise InputError(f"{self.source}: its cell has no volume; give a periodic trajectory")
        if len(self._metal) == 0:
            self._note("no metal: only the species of hydrogen can be told")
        if len(self._hydrogen) == 0:
            self._note("no hydrogen: only the order and mobility of the metal can be told")
        fractions = frame.positions_A @ np.linalg.inv(frame.cell_A)
        if self._asked_normal is not None:
            self._axis, self.is_slab = AXES.index(self._asked_normal), True
        else:
            found = slab_normal(fractions[self._metal], frame.cell_A) if len(self._metal) else None
            self._axis, self.is_slab = (2 if found is None else found), found is not None
        if len(self._metal) == 0:
            self.is_slab = False
        elif not self.is_slab:
            self._note("no slab: the cell is analysed as one bulk phase")
        height = heights_A(frame.cell_A)[self._axis]
        self._bins = profile_bins(float(height))
        self._history = spec.UnitHistory(len(self._hydrogen))
        self._unwrapped = fractions.copy()
        self._wrapped = fractions.copy()

    def _digest(self, frame: FrameLike) -> _Digest:
        cell = np.asarray(frame.cell_A, dtype=float)
        inverse = np.linalg.inv(cell)
        fractions = frame.positions_A @ inverse
        if frame.unwrapped_A is not None:
            unwrapped = frame.unwrapped_A @ inverse
        else:
            step = fractions - self._wrapped
            step -= np.rint(step)
            unwrapped = self._unwrapped + step
            self._wrapped, self._unwrapped = fractions, unwrapped
        z = fractions[:, self._axis].copy()
        if self.is_slab:
            z -= slab_centre(z[self._metal])
        z -= np.rint(z)
        profile_bin = ((z + 0.5) * self._bins).astype(np.int64)
        np.clip(profile_bin, 0, self._bins - 1, out=profile_bin)
        kinetic = None
        if frame.velocities_A_per_fs is not None:
            speed2 = np.einsum("ij,ij->i", frame.velocities_A_per_fs, frame.velocities_A_per_fs)
            kinetic = 0.5 * atomic_masses[self._numbers] * speed2 / units.fs**2
        return _Digest(
            frame.time_ps, cell, unwrapped, z, spec.bonds(frame.positions_A[self._hydrogen], cell),
            np.bincount(profile_bin[self._metal], minlength=self._bins),
            np.bincount(profile_bin[self._hydrogen], minlength=self._bins), kinetic,
            None if frame.potential_energy_eV is None else np.asarray(frame.potential_energy_eV))

    # Blocks ------------------------------------------------------------------------------------------------------

    def _close(self, first: int, stop: int) -> None:
        """Analyse the block of digests first..stop-1 with the frames around it, and forget what is no longer needed."""
        half = spec.WINDOW // 2
        low, high = max(0, first - half), min(len(self._digests), stop + spec.WINDOW - half - 1)
        around, core = self._digests[low:high], self._digests[first:stop]
        row: dict[str, Any] = {"time_ps": np.mean([d.time_ps for d in core])}
        row["volume_A3"] = np.mean([abs(np.linalg.det(d.cell_A)) for d in core])
        region = self._region(around)
        species, since = self._species(row, around, core, first - low, stop - low, region)
        if len(self._metal):
            self._structure(row, core, region, species, since)
        for name, key in (("potential_energy_eV", "potential_eV"), ("temperature_K", "kinetic_eV")):
            values = [getattr(d, key) for d in core]
            known = all(v is not None for v in values)
            row[name] = np.mean([np.sum(v) for v in values]) if known else np.nan
        row["temperature_K"] *= 2.0 / (3.0 * BOLTZMANN_EV_PER_K * len(self._numbers))
        self._rows.add(row)
        keep = max(0, stop - half)
        self._digests = self._digests[keep:]
        self._first = stop - keep

    def _region(self, around: list[_Digest]) -> Region:
        height = float(np.mean([heights_A(d.cell_A)[self._axis] for d in around]))
        area = float(np.mean([abs(np.linalg.det(d.cell_A)) for d in around])) / height
        if not self.is_slab:
            return whole_cell(len(self._metal), height, area)
        region = find_region(np.mean([d.metal_profile for d in around], axis=0), height, area)
        if region.pieces > 1:
            self._note(f"at {around[0].time_ps:.3f} ps the slab is in {region.pieces} pieces: "
                       "only the one around its centre is counted as the hydride")
        return region

    def _species(self, row: dict[str, Any], around: list[_Digest], core: list[_Digest], first: int, stop: int,
                 region: Region) -> tuple[np.ndarray, np.ndarray]:
        """Fill the row's species and uptake; returns the species codes (h,) of the block's middle frame and since when
        each H is part of an absorbed unit."""
        unit = spec.held_units(np.array([d.bonds.partner for d in around]), first, stop)
        lonely = spec.held(np.array([d.bonds.lonely for d in around]), first, stop)
        crowded = spec.held(np.array([d.bonds.crowded for d in around]), first, stop)
        counts = np.zeros((len(core), len(spec.SPECIES)))
        uptake = np.zeros((len(core), 3))
        hydridic = np.zeros(len(core))
        middle, since = np.zeros(0, dtype=np.int8), np.zeros(0)
        n_metal = len(self._metal)
        for k, digest in enumerate(core):
            z = digest.z[self._hydrogen]
            inside = region.inside(z) if n_metal else np.zeros(len(z), dtype=bool)
            if n_metal and region.inside(z, SMOOTHING_A).all():
                inside[:] = True  # beside vacuum: hydrogen of a face swings across it without leaving the slab
            species = spec.classify(unit[k], lonely[k], crowded[k], digest.bonds.pairs, inside)
            counts[k] = np.bincount(species, minlength=len(spec.SPECIES))
            hydridic[k] = np.sum(inside & (species == spec.HYDRIDIC))
            lower_half = z < 0
            metal_low = max(1, int(np.sum(digest.z[self._metal] < 0)))
            below = int(np.sum(inside & lower_half))
            above = int(inside.sum()) - below
            uptake[k] = below + above, below / metal_low, above / max(1, n_metal - metal_low)
            self._lengths.add(digest.bonds.pairs, inside)
            self._history.add(digest.time_ps, unit[k], species)
            if self._watch is not None:
                self._seen.append((species, self._history.absorbed_since_ps.copy()))
            if k == len(core) // 2:
                middle, since = species, self._history.absorbed_since_ps.copy()
        row["counts"] = counts.mean(axis=0)
        row["dissociations"] = self._history.dissociations
        row["h_per_metal"] = uptake[:, 0].mean() / n_metal if n_metal else np.nan
        row["h_per_metal_lower"], row["h_per_metal_upper"] = uptake[:, 1:].mean(axis=0)
        row["hydridic_per_metal"] = hydridic.mean() / n_metal if n_metal else np.nan
        row["lower_face_A"], row["upper_face_A"] = region.lower_A, region.upper_A
        scale = self._bins / (region.height_A * region.area_A2)
        row["metal_per_A3"] = np.mean([d.metal_profile for d in core], axis=0) * scale
        row["hydrogen_per_A3"] = np.mean([d.hydrogen_profile for d in core], axis=0) * scale
        row["height_A"] = region.height_A
        return middle, since

    def _structure(self, row: dict[str, Any], core: list[_Digest], region: Region, species: np.ndarray,
                   since_ps: np.ndarray) -> None:
        """Fill the row's layers and matches of the metal, from positions averaged over the block."""
        metal, hydrogen, middle = self._metal, self._hydrogen, core[len(core) // 2]
        mean = np.mean([d.unwrapped for d in core], axis=0)
        cell = np.mean([d.cell_A for d in core], axis=0)
        self._last_cell = cell
        surroundings = environment(mean[metal] @ cell, cell, region.metal_per_A3)
        order = order_parameter(surroundings)
        kind = templates.match(surroundings)
        crystalline = (order > ORDER_LIMIT) | (kind != templates.NONE)
        z = np.mean([d.z[metal] for d in core], axis=0) if self.is_slab else middle.z[metal]
        if self._layers == 0:
            self._layers = count_layers(z * region.height_A, region) if self.is_slab else 1
            self._limit_A2 = mobility_limit_A2(region.metal_per_A3)
        layer, cuts = assign(z, self._layers)
        edges = np.concatenate([[region.lower], cuts, [region.upper]])
        many = np.bincount(layer, minlength=self._layers)

        def per_layer(values: np.ndarray) -> np.ndarray:
            return np.bincount(layer, values, self._layers) / many

        row["order"], row["crystalline"] = per_layer(order), per_layer(crystalline.astype(float))
        row["layer_thickness_A"] = np.diff(edges) * region.height_A
        filled = np.concatenate([[0.0], np.cumsum(np.mean([d.hydrogen_profile for d in core], axis=0))])
        held = np.diff(np.interp((edges + 0.5) * self._bins, np.arange(self._bins + 1), filled))
        row["layer_h_per_metal"] = held / many
        # Only deep metals can be told from templates: those near a face lack neighbours, or their neighbours do.
        depth = np.minimum(z - region.lower, region.upper - z) * region.height_A
        deep = depth > _DEEP * region.metal_per_A3 ** (-1.0 / 3.0) if self.is_slab else np.ones(len(metal), dtype=bool)
        names = len(templates.NAMES)
        row["kinds"] = np.bincount(kind[deep] + 1, minlength=names + 1)
        row["kinds_hydrogen"] = np.bincount(kind[deep] + 1, row["layer_h_per_metal"][layer[deep]], names + 1)
        self._kind = kind

        mean = mean - mean[metal].mean(axis=0)  # drift
        self._recent.add(mean)
        if self._early is None:
            self._early = mean
        self._displacements(row, mean, cell, region, layer, edges, middle.z[hydrogen])
        self._energies(row, core, layer, edges, many)
        self._snapshots.offer(lambda: self._snapshot(middle, order, crystalline, species, since_ps, region))
        if self._watch is not None:
            for digest, (kinds, since) in zip(core, self._seen, strict=True):
                self._watch(self._snapshot(digest, order, crystalline, kinds, since, region))
            self._seen.clear()

    def _displacements(self, row: dict[str, Any], mean: np.ndarray, cell: np.ndarray, region: Region,
                       layer: np.ndarray, edges: np.ndarray, z_hydrogen: np.ndarray) -> None:
        row["msd_in_plane_A2"] = row["msd_hydrogen_A2"] = np.full(self._layers, np.nan)
        time = row["time_ps"]
        self._past.append((time, mean))
        while len(self._past) > 1 and time - self._past[1][0] >= self.lag_ps * (1 - 1e-9):
            self._past.pop(0)
        then, before = self._past[0]
        if time - then < self.lag_ps * (1 - 1e-9):
            return
        # In fractions of the cell of today, so that a breathing cell is no displacement; scaled to the lag asked for,
        # as blocks need not hit it exactly.
        step = (mean - before) @ cell
        scale = self.lag_ps / (time - then)
        across = np.cross(cell[(self._axis + 1) % 3], cell[(self._axis + 2) % 3])
        across /= np.linalg.norm(across)
        along = step @ across
        square = np.einsum("ij,ij->i", step, step)
        in_plane = np.bincount(layer, (square - along**2)[self._metal] * scale, self._layers)
        row["msd_in_plane_A2"] = in_plane / np.bincount(layer, minlength=self._layers)
        if len(self._hydrogen):
            at = np.searchsorted(edges, z_hydrogen) - 1
            good = (at >= 0) & (at < self._layers)
            many = np.bincount(at[good], minlength=self._layers)
            total = np.bincount(at[good], square[self._hydrogen][good] * scale, self._layers)
            row["msd_hydrogen_A2"] = np.where(many > 0, total / np.maximum(many, 1), np.nan)

    def _energies(self, row: dict[str, Any], core: list[_Digest], layer: np.ndarray, edges: np.ndarray,
                  many: np.ndarray) -> None:
        at = np.searchsorted(edges, core[len(core) // 2].z[self._hydrogen]) - 1
        good = (at >= 0) & (at < self._layers)

        def per_layer(name: str) -> tuple[np.ndarray, np.ndarray]:
            values = np.mean([getattr(d, name) for d in core], axis=0)
            total = np.bincount(layer, values[self._metal], self._layers)
            total += np.bincount(at[good], values[self._hydrogen][good], self._layers)
            return total, many + np.bincount(at[good], minlength=self._layers)

        unknown = np.full(self._layers, np.nan)
        row["layer_temperature_K"] = row["layer_energy_eV_per_metal"] = unknown
        if core[0].kinetic_eV is not None:
            total, atoms = per_layer("kinetic_eV")
            row["layer_temperature_K"] = total / atoms / (1.5 * BOLTZMANN_EV_PER_K)
        if core[0].potential_eV is not None:
            row["layer_energy_eV_per_metal"] = per_layer("potential_eV")[0] / many

    def _snapshot(self, digest: _Digest, order: np.ndarray, crystalline: np.ndarray, species: np.ndarray,
                  since_ps: np.ndarray, region: Region) -> Snapshot:
        fractions = digest.unwrapped - np.floor(digest.unwrapped)
        fractions[:, self._axis] = digest.z + 0.5
        middle_A = 0.5 * region.height_A
        return Snapshot(digest.time_ps, digest.cell_A, self._axis, self._numbers, fractions @ digest.cell_A,
                        order, crystalline, species, digest.time_ps - since_ps,
                        region.lower_A + middle_A, region.upper_A + middle_A)

    # Result ------------------------------------------------------------------------------------------------------

    def result(self) -> ReactionAnalysis:
        """Analysis of all frames so far; no more can be pushed after it. Raises InputError without any frame."""
        if self.frames == 0:
            raise InputError(f"{self.source}: no frames; give a trajectory with at least one")
        if self.frames == 1:
            self._note("one frame only: species are those of this instant, nothing is known of times")
        block = self._block or 1
        while self._first < len(self._digests):
            self._close(self._first, min(self._first + block, len(self._digests)))
        symbols = {chemical_symbols[z]: int(np.sum(self._numbers == z)) for z in np.unique(self._numbers)}
        rows = self._rows.columns()
        if not np.isfinite(rows.get("msd_in_plane_A2", np.array([np.nan]))).any() and len(self._metal):
            self._note(f"shorter than the lag of {self.lag_ps:g} ps: mobility cannot be told")
        recent = self._recent.mean_and_scatter() if len(self._metal) else None
        return assemble(
            source=self.source, symbols=symbols, frames=self.frames, axis=self._axis if self.is_slab else None,
            numbers=self._numbers, rows=rows, lengths=self._lengths, history=self._history,
            snapshots=tuple(self._snapshots.chosen()), recent=recent, early=self._early, kind=self._kind,
            cell_A=self._last_cell, lag_ps=self.lag_ps, msd_limit_A2=self._limit_A2, pressure_GPa=self.pressure_GPa,
            seed=self.seed, notes=tuple(self.notes))


def analyse(trajectory: str | Path | Iterable[FrameLike], *, normal: str | None = None, lag_ps: float = LAG_PS,
            pressure_GPa: float | None = None, timestep_fs: float | None = None, seed: int = 0,
            watch: Callable[[Snapshot], None] | None = None) -> ReactionAnalysis:
    """Analyse a reaction run.

    Args:
        trajectory: a LAMMPS dump or extxyz file, or frames in order of time.
        normal: axis "a", "b" or "c" across the slab; found from the first frame when None.
        lag_ps: time over which displacements are taken.
        pressure_GPa: pressure of the run, for enthalpies.
        timestep_fs: for files that number their steps without times.
        seed: of the bootstrap errors.
        watch: gets every frame as a `Snapshot`, for movies.

    A trajectory that goes wrong after its first frame (cut off, damaged, other atoms) is analysed up to there, and
    the result says so in `notes`. Raises InputError when not even one frame can be had.
    """
    from megabar.dynamics.trajectory import read_trajectory

    if isinstance(trajectory, (str, Path)):
        source = str(trajectory)
        frames: Iterator[FrameLike] = read_trajectory(trajectory, timestep_fs=timestep_fs)
    else:
        source, frames = "trajectory", iter(trajectory)
    analyser = Analyser(source, normal, lag_ps, pressure_GPa, seed, watch)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            for frame in frames:
                analyser.push(frame)
        except InputError as error:
            if analyser.frames == 0:
                raise
            analyser.notes.append(f"stopped after {analyser.frames} frames: {error}")
    analyser.notes.extend(str(w.message) for w in caught if issubclass(w.category, UserWarning))
    return analyser.result()


def hydrogen_per_metal(frame: FrameLike) -> float:
    """H in the hydride region per metal in one frame, for a live line; NaN without a metal.

    The axis is that across which the metal forms a slab; in a bulk cell all H counts.
    """
    hydrogen, metal = frame.numbers == 1, frame.numbers != 1
    if not metal.any():
        return float("nan")
    fractions = frame.positions_A @ np.linalg.inv(frame.cell_A)
    axis = slab_normal(fractions[metal], frame.cell_A)
    if axis is None:
        return float(hydrogen.sum() / metal.sum())
    height = float(heights_A(frame.cell_A)[axis])
    z = fractions[:, axis] - slab_centre(fractions[metal, axis])
    z -= np.rint(z)
    profile = np.histogram(z[metal], bins=profile_bins(height), range=(-0.5, 0.5))[0]
    region = find_region(profile, height, abs(float(np.linalg.det(frame.cell_A))) / height)
    return float(region.inside(z[hydrogen]).sum() / metal.sum())
