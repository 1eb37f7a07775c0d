"""Runs that find a melting point: a crystal heated until it melts, its melt cooled, and both side by side.

Each is a task (inputs, folder) -> mapping for `megabar.campaign.tasks`. The forces come from any LAMMPS pair style.
Atoms are moved by `fix nph` with Langevin friction, which takes the latent heat away where it is set free (a global
thermostat would let the interface warm itself) and heats the stiff H2 vibration alike; the coexistence cell keeps the
crystal's own in-plane edges and only its normal is free, so that both phases feel the pressure and the crystal no
strain. The cell is made in one piece: one half of the crystal is stretched beyond the density of the melt and melted
while the other is held by springs, then the cell closes on the melt like a piston until its density is right, and only
then the crystal is let go: no seam is joined, no shock runs, and the composition is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from megabar.campaign.files import file_hash, write_csv
from megabar.dynamics import protocols
from megabar.dynamics.guards import Guards
from megabar.dynamics.lammps import PairStyle, bars
from megabar.dynamics.stage import Stage, StageResult, run_stage
from megabar.dynamics.trajectory import Frame, read_trajectory
from megabar.errors import InputError, RunError
from megabar.potential.library import load
from megabar.thermodynamics.melt_checks import believable, sites_of, solid_share
from megabar.thermodynamics.runs import LARGEST_SEED, NO_DRIFT, enthalpy_eV
from megabar.thermodynamics.solidity import BRAGG_SOLID, Growth, Lattice, bragg_peak, diffusion, growth

FRICTION_STEPS, BAROSTAT_STEPS = 400, 1500
"""Times of friction and barostat in steps: 0.2 and 0.75 ps at 0.5 fs."""
LIQUID_ORDER = 0.55
"""Local order between that of crystals near melting (0.7-0.9) and of melts (0.25-0.4), before a run has its own."""
MELTED_DISPLACEMENT = 0.2
"""A framework has melted when it has flowed farther over a segment, root mean square, than this share of the spacing
of its sites; vibration and rotation are not counted."""
CLOSE_RADII_SHARE = 0.55
"""Share of covalent radii for the distance guard of a metal and hydrogen, below the usual 0.60: superheated melts come
closer than crystals do, and potentials are trained on dimers and squeezed cells there."""
SEGMENT_RATIO = 1.15
"""Rise of temperature over one heating segment, after which it is asked whether the crystal still stands: much hotter
than its melting point a melt leaves the domain of its potential."""
BEFORE_MELTING = 0.95
"""Share of the temperature at which it melts up to which a heated crystal is taken as whole in fits."""
MELTING_TRIES, LEFT_CRYSTALLINE, FLOWED = 12, 0.2, 0.7
"""One half is heated on while more than this share of its middle, away from the crystal, which orders what touches it,
is crystalline, and until its framework has gone this share of its spacing, root mean square: before, calcium in CaH4
falls back to where it was within a picosecond, even above the melting point. Not hotter, since a melt far above its
melting point leaves the domain of its potential (seen in CaH4 above 4000 K)."""
CLOSING_STEPS, REST_STEPS, SETTLING_STEPS = 800, 400, 1000
"""The melt closes in and comes to temperature, stays (two times of its friction), and both are let go (0.4, 0.2 and
0.5 ps at 0.5 fs): no longer, since all the while the crystal cannot melt but the melt can freeze."""
FRAMES = 80
"""Frames of each run; a heating segment has half as many."""


def pair_style(pair: Mapping[str, Any]) -> PairStyle:
    """Forces from task inputs: {"potential": name or folder, "hash": of nep.txt}, or {"elements": [], "lines": []}.

    Raises RunError when the potential has changed since the task was made.
    """
    if "lines" in pair:
        return PairStyle(tuple(pair["elements"]), tuple(pair["lines"]))
    potential = load(pair["potential"])
    if file_hash(potential.nep_path) != pair["hash"]:
        raise RunError(f"potential {pair['potential']} has changed while the task waited; run the command again")
    return PairStyle.nep(potential.nep_path, potential.elements)


def cell_record(atoms: Atoms) -> dict[str, Any]:
    """A rectangular cell as task inputs."""
    return {"numbers": atoms.numbers.tolist(), "edges_A": np.round(np.diag(atoms.cell[:]), 9).tolist(),
            "scaled": np.round(atoms.get_scaled_positions(), 9).tolist()}


def cell_of(record: Mapping[str, Any]) -> Atoms:
    return Atoms(record["numbers"], scaled_positions=record["scaled"], cell=record["edges_A"], pbc=True)


def moves(start_K: float, end_K: float, pressure_GPa: float, seed: int, timestep_fs: float, steps: int,
          axes: str, drag: bool = False) -> list[str]:
    """LAMMPS lines: constant pressure on `axes` ("each", "all", "normal" or "none"), temperature from start to end.

    The target is a function of the step, so that a resumed run goes on along the same ramp.
    """
    p, t = bars(pressure_GPa), BAROSTAT_STEPS * timestep_fs * 1e-3
    words = {"each": f"x {p} {p} {t:.6g} y {p} {p} {t:.6g} z {p} {p} {t:.6g}", "all": f"iso {p} {p} {t:.6g}",
             "normal": f"z {p} {p} {t:.6g}"}
    damped = " drag 1.0" if drag else ""
    mover = "fix move all nve" if axes == "none" else f"fix move all nph {words[axes]}{damped}{protocols.FIXED_POINT}"
    return [f"variable target equal {start_K:.10g}+({end_K - start_K:.10g})*step/{max(steps, 1)}", mover,
            f"fix friction all langevin v_target {end_K:.10g} {FRICTION_STEPS * timestep_fs * 1e-3:.6g} "
            f"{1 + (seed * 7919 + 101) % LARGEST_SEED}", NO_DRIFT]


def _stage(inputs: Mapping[str, Any], atoms: Atoms, ensemble: Sequence[str], time_ps: float, hottest_K: float,
           frames: int = FRAMES, **more: Any) -> Stage:
    dt = float(inputs["timestep_fs"])
    steps = _steps(inputs, time_ps)
    return Stage(atoms=atoms, pair=pair_style(inputs["pair"]), ensemble=ensemble, steps=steps, timestep_fs=dt,
                 guards=Guards(temperature_max_K=5.0 * hottest_K, volume_change=0.7,
                               shortest_A=_shortest_A(sorted(set(atoms.get_chemical_symbols())))),
                 dump_every=max(1, steps // frames), thermo_every=max(1, steps // (4 * frames)),
                 checkpoint_every=max(1000, steps // 4), **more)


def _shortest_A(elements: Sequence[str]) -> dict[tuple[str, str], float]:
    """Shortest distances of hydrogen and each other element, by sorted pair; others are left at the usual guard."""
    others = [e for e in elements if e != "H"] if "H" in elements else []
    radius = {e: float(covalent_radii[atomic_numbers[e]]) for e in elements}
    return {(min(e, "H"), max(e, "H")): CLOSE_RADII_SHARE * (radius[e] + radius["H"]) for e in others}


def _steps(inputs: Mapping[str, Any], time_ps: float) -> int:
    return max(FRAMES, round(time_ps * 1e3 / float(inputs["timestep_fs"])))


def heat(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Heat a bulk crystal in segments, each hotter by `SEGMENT_RATIO`, until its framework has melted.

    The temperature at which it goes is an upper bound of the melting point, since nothing there starts the melting. On
    the way: edges and enthalpy of the crystal against temperature, and where hydrogen begins to flow.
    Raises RunError when it has not melted at `limit_K`.
    """
    atoms, pressure = cell_of(inputs["crystal"]), float(inputs["pressure_GPa"])
    lattice = Lattice.of(atoms)
    low, dt, seed = float(inputs["start_K"]), float(inputs["timestep_fs"]), int(inputs["seed"])
    rows: dict[str, list[float]] = {k: [] for k in ("target_K", "measured_K", "order", "bragg", "ex", "ey", "ez",
                                                    "enthalpy_eV", "volume_A3")}
    flows: list[dict[str, Any]] = []
    current, prepare = atoms, [*protocols.relax_cell(pressure), *protocols.velocities(low, seed)]
    edges0 = np.diag(atoms.cell[:])
    start, number, end_state = low, 0, None
    while end_state is None:
        if start >= float(inputs["limit_K"]):
            raise RunError(f"the crystal has not melted at {start:.0f} K, heated over {number} segments; "
                           "raise --limit or look at its trajectory in the folder of the task")
        end = low if number == 0 else start * SEGMENT_RATIO
        steps = _steps(inputs, float(inputs["segment_ps"]))
        ensemble = moves(start, end, pressure, seed + number, dt, steps, "each", drag=number == 0)
        result = run_stage(_stage(inputs, current, ensemble, float(inputs["segment_ps"]), end, FRAMES // 2,
                                  prepare=prepare), folder / f"heat-{number}")
        frames = list(read_trajectory(result.trajectory))
        if number > 0:
            _read_ramp(rows, result, frames, lattice, edges0, start, end, pressure)
            flows.append(_flow(frames, start, end))
            quarter = slice(-(len(frames) // 4), None)
            crystalline = np.mean(rows["bragg"][quarter]) > BRAGG_SOLID
            if not crystalline and _has_melted(rows["order"][quarter], flows[-1], len(sites_of(frames[-1])), result):
                end_state = result
        prepare, current = [], result.atoms
        start, number = end, number + 1
    table = {name: np.array(column) for name, column in rows.items()}
    melted_at = _melting_index(table["order"])
    if melted_at < 8:
        raise RunError(f"the crystal fell apart within its first segment above {low:.0f} K; start lower, or it is no "
                       "crystal of this potential at this pressure")
    write_csv(folder / "heat.csv", {k: v.tolist() for k, v in table.items()})
    _share_axes(table, inputs["alike"])
    kelvin = _without_lag(table["target_K"], table["measured_K"])
    solid = kelvin < BEFORE_MELTING * kelvin[melted_at]
    fits = {name: np.polyfit(kelvin[solid], table[name][solid], 2).tolist()
            for name in ("ex", "ey", "ez", "enthalpy_eV", "volume_A3")}
    scatter = {name: _scatter(kelvin[solid], table[name][solid]) for name in ("enthalpy_eV", "volume_A3")}
    superionic = [f["temperature_K"] for f in flows if f["superionic"]]
    liquid = slice(min(melted_at + 3, len(table["order"]) - 3), None)
    hot = end_state.atoms.copy()
    hot.wrap()
    return {"melted_at_K": float(kelvin[melted_at]), "end_K": start, "fits": fits,
            "scatter": scatter,
            "order_fit": np.polyfit(kelvin[solid], table["order"][solid], 2).tolist(),
            "liquid_order": float(table["order"][liquid].mean()),
            "liquid_volume_A3": float(table["volume_A3"][liquid].mean()),
            "solid_volume_A3": float(table["volume_A3"][max(0, melted_at - 6):melted_at - 1].mean()),
            "rate_K_per_ps": (start - start / SEGMENT_RATIO) / float(inputs["segment_ps"]),
            "superionic_from_K": min(superionic) if superionic else None, "flows": flows,
            "liquid": {**cell_record(hot), "velocities": end_state.atoms.get_velocities().tolist()},
            "atoms": len(atoms), "segments": number}


def _read_ramp(rows: dict[str, list[float]], result: StageResult, frames: Sequence[Frame], lattice: Lattice,
               edges0: np.ndarray, start: float, end: float, pressure: float) -> None:
    """Append the frames of one heating segment to the columns `rows`; edges as ratios to the perfect crystal's."""
    thermo, total = result.thermo, frames[-1].time_ps
    enthalpy = enthalpy_eV(thermo, pressure)
    for frame in frames[1:]:
        near = np.abs(thermo["time_ps"] - frame.time_ps) <= 0.5 * total / max(1, len(frames) - 1)
        target = start + (end - start) * frame.time_ps / total
        sites = sites_of(frame)
        rows["target_K"].append(target)
        rows["measured_K"].append(float(thermo["temperature_K"][near].mean()))
        rows["order"].append(float(lattice.order(sites, frame.cell_A, np.diag(frame.cell_A)).mean()))
        rows["bragg"].append(bragg_peak(sites, frame.cell_A))
        for axis, (name, edge) in enumerate(zip(("ex", "ey", "ez"), ("lx_A", "ly_A", "lz_A"), strict=True)):
            rows[name].append(float(thermo[edge][near].mean() / edges0[axis]))
        rows["enthalpy_eV"].append(float(enthalpy[near].mean()))
        rows["volume_A3"].append(float(thermo["volume_A3"][near].mean()))


def _without_lag(target_K: np.ndarray, measured_K: np.ndarray) -> np.ndarray:
    """The temperature that the atoms have on a ramp: it lags by a constant behind the thermostat's, and fluctuates."""
    return np.polyval(np.polyfit(target_K, measured_K, 1), target_K)


def _scatter(x: np.ndarray, y: np.ndarray) -> float:
    """Standard error of a quadratic through (x, y), four neighbouring frames counted as one sample."""
    residual = y - np.polyval(np.polyfit(x, y, 2), x)
    return float(residual.std() * np.sqrt(3.0 / max(1.0, len(x) / 4.0)))


def _share_axes(table: dict[str, np.ndarray], alike: Sequence[int]) -> None:
    """Average in place the edges that symmetry makes equal: `alike` numbers the class of each axis."""
    names = np.array(["ex", "ey", "ez"])
    for kind in set(alike):
        members = names[np.array(alike) == kind]
        mean = np.mean([table[name] for name in members], axis=0)
        for name in members:
            table[name] = mean


def _flow(frames: Sequence[Frame], start: float, end: float) -> dict[str, Any]:
    """Diffusion over a segment, and how far it takes the framework in that time."""
    found = diffusion(frames)
    flowed = 6.0 * max(found.framework_A2_per_ps, 0.0) * frames[-1].time_ps
    return {"temperature_K": 0.5 * (start + end), "framework_A2_per_ps": found.framework_A2_per_ps,
            "hydrogen_A2_per_ps": found.hydrogen_A2_per_ps, "superionic": found.superionic,
            "flowed_A": float(np.sqrt(flowed))}


def _has_melted(order: Sequence[float], flow: Mapping[str, Any], sites: int, result: StageResult) -> bool:
    """Low order over the last quarter, and a framework that flows: otherwise it has only changed its lattice."""
    spacing = (result.atoms.get_volume() / sites) ** (1.0 / 3.0)
    return float(np.mean(order)) < LIQUID_ORDER and flow["flowed_A"] > MELTED_DISPLACEMENT * spacing


def _melting_index(order: np.ndarray) -> int:
    """Index where the order falls for good: below halfway between crystal and melt there."""
    threshold = LIQUID_ORDER
    for _ in range(3):
        above = np.flatnonzero(order >= threshold)
        index = int(above[-1]) + 1 if len(above) else 0
        if not 4 <= index <= len(order) - 3:
            break
        melt = float(order[min(index + 3, len(order) - 2):].mean())
        threshold = 0.5 * (float(order[max(0, index - 8):max(1, index - 2)].mean()) + melt)
    return min(index, len(order) - 1)


def cool(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Cool the melt that `heat` left, at the same rate, and say where it crystallised, if it did.

    That temperature is a lower bound of the melting point. Also: enthalpy and volume of the melt against temperature.
    """
    record, pressure = inputs["liquid"], float(inputs["pressure_GPa"])
    atoms = cell_of(record)
    atoms.set_velocities(np.array(record["velocities"]))
    start, end = float(inputs["start_K"]), float(inputs["end_K"])
    time_ps = (start - end) / float(inputs["rate_K_per_ps"])
    dt, seed = float(inputs["timestep_fs"]), int(inputs["seed"])
    result = run_stage(_stage(inputs, atoms, moves(start, end, pressure, seed, dt, _steps(inputs, time_ps), "all"),
                              time_ps, start), folder / "cool")
    frames = list(read_trajectory(result.trajectory))[1:]
    total = frames[-1].time_ps
    target = np.array([start + (end - start) * f.time_ps / total for f in frames])
    peak = np.array([bragg_peak(sites_of(f), f.cell_A) for f in frames])
    thermo = result.thermo
    enthalpy = enthalpy_eV(thermo, pressure)
    near = [np.abs(thermo["time_ps"] - f.time_ps) <= 0.5 * total / FRAMES for f in frames]
    h = np.array([enthalpy[k].mean() for k in near])
    v = np.array([thermo["volume_A3"][k].mean() for k in near])
    kelvin = _without_lag(target, np.array([thermo["temperature_K"][k].mean() for k in near]))
    write_csv(folder / "cool.csv", {"temperature_K": kelvin.tolist(), "bragg": peak.tolist(),
                                    "enthalpy_eV": h.tolist(), "volume_A3": v.tolist()})
    low = np.flatnonzero(peak < BRAGG_SOLID)
    frozen = int(low[-1]) + 1 if len(low) else 0
    froze = 4 < frozen < len(peak) - 3
    liquid = slice(3, max(8, frozen - 4) if froze else len(peak))
    columns = {"enthalpy_eV": h, "volume_A3": v}
    return {"scatter": {name: _scatter(kelvin[liquid], values[liquid]) for name, values in columns.items()},
            "froze_at_K": float(kelvin[frozen]) if froze else None, "coldest_K": end,
            "fits": {name: np.polyfit(kelvin[liquid], values[liquid], 2).tolist()
                     for name, values in columns.items()}}


def coexist(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Crystal and melt side by side at `temperature_K`: which one grows, how fast, and whether the run may be believed.

    With `thermostat` false the run keeps its enthalpy instead (NPH): freezing warms it and melting cools it until it
    stands at the melting point. Runs on, `time_ps` at a time up to `extensions` times more, while it is undecided.
    """
    target, pressure = float(inputs["temperature_K"]), float(inputs["pressure_GPa"])
    dt, seed, hot = float(inputs["timestep_fs"]), int(inputs["seed"]), float(inputs["hot_K"])
    crystal = cell_of(inputs["crystal"])
    lattice = Lattice.of(crystal)
    edges = np.diag(crystal.cell[:]) * [np.polyval(inputs["fits"][k], target) for k in ("ex", "ey", "ez")]
    stretch = float(inputs["stretch"])
    start, cold = two_phases(crystal, edges, stretch)
    groups = {"cold": np.flatnonzero(cold), "hot": np.flatnonzero(~cold)}
    melt_ps = float(inputs["melt_ps"])
    # Atoms keep their places while the cell closes from both sides about the crystal's middle: only the melt at its
    # boundary is pushed. The pressure cannot lead here: atoms on springs do not show the crystal's own. A velocity and
    # not a path: after each checkpoint LAMMPS counts a path anew from the cell of that moment.
    closing_ps = CLOSING_STEPS * dt * 1e-3
    speed = edges[2] * (float(inputs["melt_ratio"]) - stretch) / closing_ps
    piston = f"fix piston all deform 1 z vel {speed:.10g} remap none units box"

    def held(kelvin: float, salt: int) -> list[str]:
        """The cold half on springs at the target, the other one at `kelvin`."""
        lines = ["fix move all nve", *protocols.held("cold"), NO_DRIFT]
        for k, (group, at) in enumerate((("cold", target), ("hot", kelvin))):
            lines.append(f"fix friction_{group} {group} langevin {at:.10g} {at:.10g} "
                         f"{FRICTION_STEPS * dt * 0.25e-3:.6g} {1 + (seed * 104_729 + salt + k) % LARGEST_SEED}")
        return lines

    state, warm, gone_A = start, protocols.velocities(target, seed), np.zeros((len(start), 3))
    carrier = ~cold & (start.numbers != 1) if (start.numbers != 1).any() else ~cold
    spacing_A = (np.prod(edges) * stretch / carrier.sum()) ** (1.0 / 3.0)
    for number in range(MELTING_TRIES):
        melted = run_stage(_stage(inputs, state, held(hot, 11 + 7 * number), melt_ps, hot, groups=groups, prepare=warm),
                           folder / f"melt-{number}")
        state, warm = melted.atoms, []
        first, *_, last = read_trajectory(melted.trajectory)
        assert first.unwrapped_A is not None and last.unwrapped_A is not None  # every stage dumps image flags
        gone_A += last.unwrapped_A - first.unwrapped_A
        flowed = float(np.sqrt((gone_A[carrier] ** 2).sum(axis=1).mean())) > FLOWED * spacing_A
        if flowed and solid_share(last, lattice, edges, float(inputs["threshold"]),
                                  from_ends=0.25 * stretch / (1.0 + stretch)) < LEFT_CRYSTALLINE:
            break
    else:  # a crystal that never melted would be counted as one that grew
        raise RunError(f"the hot half is still crystalline after {MELTING_TRIES} x {melt_ps:g} ps at {hot:.0f} K; "
                       "lengthen melt_time or give more atoms")
    # The melt is brought to temperature and density while the crystal is still held: let go before, heat and shock
    # melt the crystal (seen in hydrogen at 40 and at 10 GPa).
    closed = run_stage(_stage(inputs, melted.atoms, [*held(target, 31), piston], closing_ps, hot, groups=groups),
                       folder / "piston")
    quenched = run_stage(_stage(inputs, closed.atoms, held(target, 33), REST_STEPS * dt * 1e-3, hot, groups=groups),
                         folder / "quench")
    settle_ps = SETTLING_STEPS * dt * 1e-3
    settled = run_stage(_stage(inputs, quenched.atoms, moves(target, target, pressure, seed + 1, dt, 1, "normal", True),
                               settle_ps, hot, max(4, round(FRAMES * settle_ps / float(inputs["time_ps"])))),
                        folder / "settle")
    # From the moment of letting go, at -settle_ps, since a crystal far above its melting point does not outlive that.
    frames = [(frame.time_ps - settle_ps, frame) for frame in list(read_trajectory(settled.trajectory))[:-1]]
    shares = [solid_share(frame, lattice, edges, float(inputs["threshold"])) for _, frame in frames]
    current, thermos = settled.atoms, []
    verdict = Growth("undecided", 0.0, math.inf, 0.5, 0.5)
    for number in range(1 + int(inputs["extensions"])):
        ensemble = moves(target, target, pressure, seed + 2 + number, dt, 1, "normal")
        if not inputs["thermostat"]:
            ensemble = [ensemble[1]]
        part = run_stage(_stage(inputs, current, ensemble, float(inputs["time_ps"]), hot,
                                prepare=protocols.at_rest()), folder / f"run-{number}")
        offset = float(inputs["time_ps"]) * number
        for frame in read_trajectory(part.trajectory):
            if number and frame.time_ps == 0.0:
                continue
            frames.append((offset + frame.time_ps, frame))
            shares.append(solid_share(frame, lattice, edges, float(inputs["threshold"])))
        thermos.append(part.thermo)
        current = part.atoms
        verdict = growth(np.array([t for t, _ in frames]), np.array(shares))
        if verdict.verdict != "undecided" or not inputs["thermostat"]:
            break
    write_csv(folder / "coexist.csv", {"time_ps": [t for t, _ in frames], "solid_share": shares})
    return {**believable([f for _, f in frames], thermos, lattice, edges, inputs, verdict),
            "verdict": verdict.verdict, "rate_per_ps": verdict.rate_per_ps,
            "rate_error_per_ps": min(verdict.rate_error_per_ps, 1e6), "solid_start": verdict.start,
            "solid_end": verdict.end, "time_ps": [round(t, 4) for t, _ in frames],
            "solid_share": [round(s, 4) for s in shares], "atoms": len(start)}


def two_phases(crystal: Atoms, edges_A: np.ndarray, stretch: float) -> tuple[Atoms, np.ndarray]:
    """A crystal of `edges_A` (3,) in the middle of the cell along z, one `stretch` times as long around it, across the
    boundary; and the (n,) mask of the first."""
    if not 0.7 < stretch < 2.0:
        raise InputError(f"melt of {stretch:.2f} times the crystal's volume: heat the crystal again, with another seed")
    count, scaled = len(crystal), crystal.get_scaled_positions()
    below = 0.5 * stretch * edges_A[2]
    middle = scaled * edges_A + [0.0, 0.0, below]
    around = scaled * (edges_A * [1.0, 1.0, stretch]) + [0.0, 0.0, below + edges_A[2]]
    atoms = Atoms(np.tile(crystal.numbers, 2), positions=np.concatenate([middle, around]), pbc=True,
                  cell=edges_A * [1.0, 1.0, 1.0 + stretch])
    atoms.wrap()
    return atoms, np.arange(2 * count) < count
