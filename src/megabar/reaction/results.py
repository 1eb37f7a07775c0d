"""What an analysis gives: one frozen result that saves its tables and figures and sums itself up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import write_csv, write_json
from megabar.reaction import events as ev
from megabar.reaction import speciation as spec
from megabar.reaction.energetics import Energetics, energetics
from megabar.reaction.events import Event
from megabar.reaction.front import Front, find_front
from megabar.reaction.geometry import AXES
from megabar.reaction.kinetics import Kinetics, uptake_kinetics
from megabar.reaction.layers import Layers, layers_from_rows
from megabar.reaction.product import Product, identify
from megabar.reaction.speciation import LengthHistogram, Speciation, UnitHistory
from megabar.reaction.uptake import Profiles, Uptake

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Snapshot:
    """One instant to draw: the slab in the middle of the cell, its normal along axis `axis`.

    positions_A (n, 3) wrapped; order (m,) and crystalline (m,) of the metals; species (h,) codes and
    absorbed_for_ps (h,) of the hydrogens; lower_face_A, upper_face_A along the normal.
    """

    time_ps: float
    cell_A: np.ndarray
    axis: int
    numbers: np.ndarray
    positions_A: np.ndarray
    order: np.ndarray
    crystalline: np.ndarray
    species: np.ndarray
    absorbed_for_ps: np.ndarray
    lower_face_A: float
    upper_face_A: float


@dataclass(frozen=True)
class ReactionAnalysis:
    """A reaction run, analysed. Parts that need a metal are None without one.

    Attributes:
        source: the trajectory. symbols: atoms by element. frames: analysed. normal: "a", "b", "c" or None (bulk cell).
        speciation, uptake, profiles, layers, front, kinetics, product, energetics, snapshots: see their classes. front
            is None in a bulk cell, energetics without energies in the frames.
        events: in order of time.
        notes: what could not be analysed and why, one line each.
    """

    source: str
    symbols: dict[str, int]
    frames: int
    time_ps: tuple[float, float]
    normal: str | None
    speciation: Speciation
    uptake: Uptake | None
    profiles: Profiles | None
    layers: Layers | None
    front: Front | None
    kinetics: Kinetics | None
    product: Product | None
    energetics: Energetics | None
    events: tuple[Event, ...]
    snapshots: tuple[Snapshot, ...]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Numbers of the run for --json, units in the names."""
        result: dict[str, Any] = {
            "source": self.source, "symbols": self.symbols, "frames": self.frames, "start_ps": self.time_ps[0],
            "end_ps": self.time_ps[1], "normal": self.normal,
            "species_atoms": {name: {"first": self.speciation.counts[0, k], "last": _tail(self.speciation.counts[:, k])}
                              for k, name in enumerate(spec.SPECIES)},
            "exchanges": self.speciation.exchanges, "dissociations": self.speciation.dissociations,
            "first_dissociation_ps": self.speciation.first_dissociation_ps,
        }
        if self.uptake is not None:
            result["uptake"] = {
                "first_H_per_metal": self.uptake.h_per_metal[0], "last_H_per_metal": _tail(self.uptake.h_per_metal),
                "last_lower_H_per_metal": _tail(self.uptake.h_per_metal_lower),
                "last_upper_H_per_metal": _tail(self.uptake.h_per_metal_upper),
                "last_absorbed_H2_per_metal": _tail(self.uptake.absorbed_h2_per_metal),
                "cell_H_per_metal": self.uptake.cell_h_per_metal,
                "thickness_first_A": self.uptake.thickness_A[0], "thickness_last_A": _tail(self.uptake.thickness_A),
            }
        if self.layers is not None:
            layers = self.layers
            result["layers"] = {
                "layers": layers.order.shape[1], "order_first": layers.order[0].mean(),
                "order_last": layers.order[-1].mean(),
                "liquid_by_order_most": np.nanmax(layers.liquid_by_order, axis=0),
                "liquid_by_mobility_most": _nanmax(layers.liquid_by_mobility),
                "liquid_most": _nanmax(layers.liquid),
                "liquid_last": [_last_known(layers.liquid[:, k]) for k in (0, 1)],
            }
        for name in ("front", "kinetics", "product", "energetics"):
            part = getattr(self, name)
            if part is not None:
                result[name] = part.summary()
        result["events"] = [vars(event) for event in self.events]
        result["notes"] = list(self.notes)
        return result

    def table(self) -> list[list[Any]]:
        """Rows of quantity, value at the start and at the end, for people."""
        rows: list[list[Any]] = [["time (ps)", *self.time_ps]]
        if self.uptake is not None:
            for name, values in (("H per metal in the hydride", self.uptake.h_per_metal),
                                 ("  as absorbed H2", 2.0 * self.uptake.absorbed_h2_per_metal),
                                 ("  as hydridic H", self.uptake.hydridic_per_metal),
                                 ("thickness of the hydride (A)", self.uptake.thickness_A)):
                rows.append([name, float(values[0]), _tail(values)])
        if self.product is not None:
            rows.append(["phase", self.product.parent, self.product.phase])
        for k, species in enumerate(spec.SPECIES):
            counts = self.speciation.counts[:, k]
            rows.append([f"{species} (atoms)", float(counts[0]), _tail(counts)])
        if self.layers is not None and self.normal is not None:
            for k, face in enumerate(("lower", "upper")):
                for name, depth in (("disordered", self.layers.liquid_by_order),
                                    ("mobile", self.layers.liquid_by_mobility)):
                    known = depth[np.isfinite(depth[:, k]), k]
                    rows.append([f"{name} layers at the {face} face", *(
                        (float(known[0]), float(known[-1])) if len(known) else (None, None))])
        return rows

    def save(self, out: str | Path) -> list[Path]:
        """Tables (CSV), figures (PNG, each beside its CSV) and summary.json in the folder `out`; returns the paths."""
        from megabar.reaction import figures

        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        written = self.speciation.save(folder)
        for part in (self.uptake, self.profiles, self.layers, self.front, self.kinetics, self.product, self.energetics):
            if part is not None:
                written += part.save(folder)
        written += ev.save_events(self.events, folder)
        if self.snapshots:
            written.append(_save_snapshots(folder / "snapshots.csv", self.snapshots))
        written += figures.save_figures(self, folder)
        write_json(folder / "summary.json", self.summary())
        return [*written, folder / "summary.json"]

    def plot(self, ax: Axes) -> None:
        """Uptake against time, the first thing to look at; species where there is no metal."""
        (self.speciation if self.uptake is None else self.uptake).plot(ax)


def _tail(values: np.ndarray) -> float:
    """Mean over the last tenth."""
    return float(np.mean(values[-max(1, len(values) // 10):]))


def _last_known(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else None


def _nanmax(values: np.ndarray) -> list[float | None]:
    return [float(np.nanmax(column)) if np.isfinite(column).any() else None for column in values.T]


def _save_snapshots(path: Path, snapshots: tuple[Snapshot, ...]) -> Path:
    from ase.data import chemical_symbols

    columns: dict[str, list[Any]] = {name: [] for name in (
        "time_ps", "atom", "element", "x_A", "y_A", "z_A", "order", "species", "absorbed_for_ps")}
    for shot in snapshots:
        metal, hydrogen = shot.numbers != 1, shot.numbers == 1
        order = np.full(len(shot.numbers), np.nan)
        kind = np.full(len(shot.numbers), "metal", dtype=object)
        age = np.full(len(shot.numbers), np.nan)
        order[metal] = shot.order
        kind[hydrogen] = [spec.SPECIES[k] for k in shot.species]
        age[hydrogen] = shot.absorbed_for_ps
        columns["time_ps"] += [round(shot.time_ps, 6)] * len(shot.numbers)
        columns["atom"] += list(range(len(shot.numbers)))
        columns["element"] += [chemical_symbols[z] for z in shot.numbers]
        for k, name in enumerate(("x_A", "y_A", "z_A")):
            columns[name] += np.round(shot.positions_A[:, k], 4).tolist()
        columns["order"] += ["" if np.isnan(v) else round(v, 4) for v in order]
        columns["species"] += kind.tolist()
        columns["absorbed_for_ps"] += ["" if np.isnan(v) else round(v, 4) for v in age]
    write_csv(path, columns)
    return path


def assemble(source: str, symbols: dict[str, int], frames: int, axis: int | None, numbers: np.ndarray,
             rows: dict[str, np.ndarray], lengths: LengthHistogram, history: UnitHistory,
             snapshots: tuple[Snapshot, ...], recent: tuple[np.ndarray, np.ndarray, int] | None,
             early: np.ndarray | None, kind: np.ndarray, cell_A: np.ndarray, lag_ps: float, msd_limit_A2: float,
             pressure_GPa: float | None, seed: int, notes: tuple[str, ...]) -> ReactionAnalysis:
    """The result from the columns that an `Analyser` has gathered."""
    time = rows["time_ps"]
    edges, lives = history.lives()
    many = max(1, lengths.frames)
    species = Speciation(time, rows["counts"], lengths.lengths_A(), lengths.free / many, lengths.absorbed / many, edges,
                         lives, history.exchanges, history.dissociations, history.first_dissociation_ps)
    uptake = profiles = layers = front = kinetics = product = energy = None
    events: list[Event] = []
    n_metal = int(np.sum(numbers != 1))
    if species.first_dissociation_ps is not None:
        events.append(Event("an H2 unit dissociates", species.first_dissociation_ps))
    if n_metal and recent is not None and early is not None:
        uptake = Uptake(time, rows["h_per_metal"], rows["h_per_metal_lower"], rows["h_per_metal_upper"],
                        0.5 * rows["counts"][:, spec.ABSORBED] / n_metal, rows["hydridic_per_metal"],
                        rows["lower_face_A"], rows["upper_face_A"], float(np.sum(numbers == 1) / n_metal))
        bins = rows["metal_per_A3"].shape[1]
        z = ((np.arange(bins) + 0.5) / bins - 0.5) * float(rows["height_A"].mean())
        profiles = Profiles(time, z, rows["metal_per_A3"], rows["hydrogen_per_A3"], rows["lower_face_A"],
                            rows["upper_face_A"])
        layers = layers_from_rows(rows, lag_ps, msd_limit_A2)
        onset = ev.uptake_onset(time, uptake.h_per_metal) if axis is not None else None
        saturated = ev.saturation(time, uptake.h_per_metal, onset, uptake.cell_h_per_metal, seed)
        if axis is not None:
            front = find_front(time, layers.h_per_metal, layers.thickness_A, seed)
            kinetics = uptake_kinetics(time, uptake.h_per_metal, onset,
                                       None if saturated is None else saturated.time_ps, seed)
            events += ev.melting_events(time, {"order": layers.liquid_by_order, "mobility": layers.liquid_by_mobility,
                                               "both": layers.liquid})
        if onset is not None:
            events.append(Event("hydrogen enters", onset))
        if saturated is not None:
            events.append(saturated)
        metals = {s: n for s, n in symbols.items() if s != "H"}
        share = layers.liquid.sum(axis=1) / layers.order.shape[1]
        metal = max(metals, key=lambda s: metals[s])
        product = identify(rows, share, metal, numbers, axis, recent, early, kind, cell_A)
        events += ev.phase_events(time, product.shares[:, :-1], product.sublattices[:-1])
        energy = energetics(time, uptake.h_per_metal, rows["potential_energy_eV"], rows["volume_A3"], n_metal,
                            pressure_GPa)
    return ReactionAnalysis(source, symbols, frames, (float(time[0]), float(time[-1])),
                            None if axis is None else AXES[axis], species, uptake, profiles, layers, front, kinetics,
                            product, energy, tuple(sorted(events, key=lambda e: e.time_ps)), snapshots, notes)
