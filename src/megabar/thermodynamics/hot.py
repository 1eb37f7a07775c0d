"""Enthalpy of a solid, a liquid or a fluid at pressure and temperature from molecular dynamics.

A crystal is taken to temperature and must stay one; a liquid is made by heating far above melting and quenching, and
must not freeze on the way: both are judged by the order of the framework (metal atoms, or molecules of pure hydrogen).
Nuclei are classical: H2 stretches with kT instead of its zero-point energy, alike in all states that hold H2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms

from megabar.campaign.tasks import Outcome, Store, Task, run_tasks
from megabar.crystals.packing import pair_minimum_A, separate
from megabar.dynamics import protocols
from megabar.dynamics.guards import Guards
from megabar.dynamics.lammps import PairStyle, bars
from megabar.dynamics.stage import Stage, StageResult, run_stage
from megabar.dynamics.trajectory import Frame, read_trajectory
from megabar.potential import library as potentials
from megabar.thermodynamics.averages import block_error
from megabar.thermodynamics.engines import EnergySource, from_identity
from megabar.thermodynamics.reactions import Formula, State
from megabar.thermodynamics.runs import (
    LARGEST_SEED,
    NO_DRIFT,
    enthalpy_eV,
    pressure_missed,
    rectangular_unit,
    temperature_missed,
)
from megabar.thermodynamics.solidity import BRAGG_SOLID, diffusion, steady_order
from megabar.units import BOLTZMANN_EV_PER_K

VERSION = {"solid": "2", "fluid": "2", "liquid": "3"}
TIMESTEP_FS = 0.5
MELT_FACTOR, MELT_LEAST_K, MELT_STEP_K, MELT_TRIES = 2.0, 3000.0, 500.0, 3
"""A liquid is made at twice the temperature, at least 3000 K, and 500 K more for each try that stayed crystalline: no
more, since far above its melting point a melt leaves the domain of its potential."""
FLUID_FACTOR = 1.5
"""Pure hydrogen is heated by this only: it is above its melting line anyhow."""
SHAKE_A = 0.8
"""Random displacement (each axis) of the metal before the melt: far beyond the Lindemann limit, since a perfect crystal
of a few hundred atoms without surfaces can be overheated for many picoseconds."""
CONTACTS_A = {"H-H": 0.70, "H-M": 1.5, "M-M": 2.6}
"""Distances that the shaken start keeps at least (M-M shrinks with the volume per metal where that is dense)."""
HOT_GUARD = 0.85
"""The guard's shortest distances times this in the melt: at twice the temperature atoms do come a little closer."""
MELT_PS, QUENCH_PS, SETTLE_PS = 3.0, 0.5, 1.0
"""Quenched fast: hydrides can freeze within picoseconds far below melting."""
MOLTEN_ORDER, MOLTEN_A2_PER_PS = 0.15, 0.1
"""A melt has less order than the first and diffuses faster than the second; a crystal in pieces fails the one or other.
"""
WINDOW = 10
"""Frames of one window in which a liquid is looked at; the mean stops before the first that is crystalline."""
LADDER, LADDER_PS, LADDER_SETTLE_PS = (1.0, 0.8, 0.6, 0.45), 2.5, 0.5
"""A liquid that freezes at once is followed at these shares of the way from the temperature up to that of the melt, and
its enthalpy extrapolated in a straight line: its heat capacity changes little over this range."""
FARTHEST = 2.0
"""It is extrapolated by no more than this times the range it was followed over."""
HEAT_CAPACITY_K = (0.5, 4.0)
"""Between these (in Boltzmann constants per atom, without kinetic energy; 1.5 in a harmonic solid) a liquid's enthalpy
rises. Outside, the rungs were not one liquid: in CaH4 at 80 GPa and 3500 K a potential let calcium clump together."""
FLOWS_A2_PER_PS = 0.02
"""Diffusion (2e-10 m^2/s) below which disorder is a glass on this time scale: atoms move less than 1.5 A in 20 ps."""
_DRIFT = 4.0
"""Halves of a run whose means differ by more than this many standard errors have not settled."""
_SECONDS = 2.5e-5
"""Rough cost per atom and step on one core."""


@dataclass(frozen=True)
class HotState:
    """One state at a pressure and a temperature, per formula unit as written.

    `asked` is the state that was wanted, `seen` what the framework's order says it was ("solid" or "liquid"; "" where
    the run failed). `good` says that the two agree. Errors are standard errors of the mean, by blocks.
    """

    formula: str
    phase: str
    asked: State
    seen: str
    good: bool
    pressure_GPa: float
    temperature_K: float
    atoms: int
    time_ps: float
    enthalpy_eV: float
    error_eV: float
    volume_A3: float
    volume_error_A3: float
    mean_pressure_GPa: float
    mean_temperature_K: float
    bragg: float
    framework_diffusion_A2_per_ps: float
    hydrogen_diffusion_A2_per_ps: float | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def default_state(formula: Formula) -> State:
    """Hydrogen is a fluid at synthesis temperatures (its melting line stays below 1100 K, Datchi et al., Phys. Rev. B
    61, 6535 (2000), 10.1103/PhysRevB.61.6535); anything else is taken as a solid."""
    return "fluid" if formula.elements == ("H",) else "solid"


def rectangular(crystal: Atoms, n_atoms: int) -> Atoms:
    """A supercell of `crystal` with right angles, about `n_atoms` atoms and edges as equal as that allows.

    Raises InputError as `rectangular_unit`.
    """
    cell = rectangular_unit(crystal, 1e-2)
    edges = cell.cell.lengths()
    side = float((n_atoms / len(cell) * edges.prod()) ** (1.0 / 3.0))
    best: tuple[int, ...] = (1, 1, 1)
    least = np.inf
    choices = [range(max(1, int(side / e) - 1), int(side / e) + 3) for e in edges]
    for repeat in np.stack(np.meshgrid(*choices, indexing="ij"), axis=-1).reshape(-1, 3):
        lengths = edges * repeat
        cost = abs(np.log(repeat.prod() * len(cell) / n_atoms)) + np.log(lengths.max() / lengths.min())
        if cost < least:
            best, least = tuple(int(n) for n in repeat), cost
    block = cell.repeat(best)  # type: ignore[arg-type]
    return Atoms(block.numbers, cell=block.cell.lengths(), scaled_positions=block.get_scaled_positions(), pbc=True)


def hot_task(source: EnergySource, formula: Formula, phase: str, crystal: Atoms, state: State, pressure_GPa: float,
             temperature_K: float, time_ps: float, n_atoms: int, seed: int) -> Task:
    """The task of one state; `crystal` is the relaxed cell of `phase` at that pressure. InputError as `rectangular`."""
    block = rectangular(crystal, n_atoms)
    return Task("megabar.thermodynamics.hot:compute_hot", VERSION[state], {
        "source": source.identity, "formula": formula.text, "formula_atoms": float(formula.atoms), "phase": phase,
        "numbers": block.numbers.tolist(), "edges_A": np.round(block.cell.lengths(), 6).tolist(),
        "scaled_positions": np.round(block.get_scaled_positions(), 8).tolist(), "state": state,
        "pressure_GPa": float(pressure_GPa), "temperature_K": float(temperature_K), "time_ps": float(time_ps),
        "seed": seed})


def cost_s(tasks: Sequence[Task]) -> float:
    """Rough seconds on one core of all `tasks`."""
    total = 0.0
    for task in tasks:
        extra = SETTLE_PS + (MELT_PS + QUENCH_PS if task.inputs["state"] != "solid" else 0.0)
        total += len(task.inputs["numbers"]) * (task.inputs["time_ps"] + extra) * 1e3 / TIMESTEP_FS * _SECONDS
    return total


def hot_states(tasks: Sequence[Task], store: Store, jobs: int = 1,
               progress: Callable[[Outcome], None] | None = None) -> tuple[HotState, ...]:
    """Run (or read) the states of `tasks`, in their order; one that failed is not good and says why."""
    outcomes: dict[str, Outcome] = {}
    for outcome in run_tasks(tasks, store, jobs):
        outcomes[outcome.task.hash] = outcome
        if progress is not None:
            progress(outcome)
    return tuple(_state(outcomes[task.hash]) for task in tasks)


def _state(outcome: Outcome) -> HotState:
    i = outcome.task.inputs
    if outcome.result is not None:
        names = {f.name for f in fields(HotState)}
        values = {k: v for k, v in outcome.result.items() if k in names}
        return HotState(**{**values, "notes": tuple(values["notes"])})
    nan = float("nan")
    where = f"{i['formula']} {i['state']} at {i['pressure_GPa']:g} GPa, {i['temperature_K']:g} K"
    return HotState(i["formula"], i["phase"], i["state"], "", False, i["pressure_GPa"], i["temperature_K"],
                    len(i["numbers"]), 0.0, nan, nan, nan, nan, nan, nan, nan, nan, None,
                    (f"{where}: the run failed: {outcome.reason}",))


def compute_hot(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Task: bring a block to its state and average over the run. Stages resume where they were killed."""
    source = from_identity(inputs["source"])
    potential = potentials.load(source.name)
    pair = PairStyle.nep(potential.nep_path, potential.elements)
    crystal = Atoms(inputs["numbers"], cell=inputs["edges_A"], scaled_positions=inputs["scaled_positions"], pbc=True)
    run = _Runner(pair, inputs["pressure_GPa"], inputs["temperature_K"], inputs["seed"], folder)
    notes: list[str] = []
    kelvin = inputs["temperature_K"]
    if inputs["state"] == "solid":
        # Half of what a harmonic crystal gets as velocities goes into its springs, hence twice the temperature.
        start = run.stage("settle", crystal, run.langevin(kelvin, None, "xyz", 2), SETTLE_PS,
                          [*protocols.relax_positions(), *protocols.velocities(2.0 * kelvin, inputs["seed"])]).atoms
        result = run.stage("run", start, run.nose_hoover(kelvin, "xyz"), inputs["time_ps"], [], thermo_every=10)
        return _judge(inputs, result, notes)
    molten, hot_K, notes = run.melt(crystal, inputs["state"] == "fluid")
    start = run.quench(molten, hot_K)
    result = run.stage("run", start, run.nose_hoover(kelvin, "iso"), inputs["time_ps"], [], thermo_every=10)
    found = _judge(inputs, result, notes)
    if not found["good"] and inputs["state"] == "liquid":
        return _extrapolated(inputs, run, molten, hot_K, found)
    return found


@dataclass(frozen=True)
class _Runner:
    """Stages of one state, each in its folder."""

    pair: PairStyle
    pressure_GPa: float
    temperature_K: float
    seed: int
    folder: Path

    def stage(self, name: str, atoms: Atoms, ensemble: list[str], time_ps: float, prepare: list[str],
              thermo_every: int = 50, hot: bool = False) -> StageResult:
        steps = int(round(time_ps * 1e3 / TIMESTEP_FS))
        usual = Guards(temperature_max_K=0.0)
        there = sorted(set(atoms.get_chemical_symbols()))
        closer = {(a, b): HOT_GUARD * usual.limit_A(a, b) for a in there for b in there if a <= b} if hot else {}
        return run_stage(Stage(
            atoms=atoms, pair=self.pair, ensemble=ensemble, prepare=prepare, steps=steps, timestep_fs=TIMESTEP_FS,
            dump_every=max(1, steps // 60), thermo_every=thermo_every, checkpoint_every=max(500, steps // 10),
            guards=Guards(temperature_max_K=6.0 * max(self.temperature_K, MELT_LEAST_K), volume_change=2.0,
                          shortest_A=closer)), self.folder / name)

    def barostat(self, axes: Literal["xyz", "iso"], period_ps: float) -> str:
        p = bars(self.pressure_GPa)
        words = ["iso"] if axes == "iso" else list(axes)
        return " ".join(f"{axis} {p} {p} {period_ps:g}" for axis in words) + " fixedpoint 0 0 0"

    def langevin(self, from_K: float, to_K: float | None, axes: Literal["xyz", "iso"], salt: int) -> list[str]:
        """Friction, which heats the stiff H2 stretch as fast as the rest, with a damped barostat."""
        seed = 1 + (self.seed * 1_000_003 + salt * 7919) % LARGEST_SEED
        return [f"fix move all nph {self.barostat(axes, protocols.STARTUP_BAROSTAT_PS)} drag 1.0",
                f"fix friction all langevin {from_K:.6g} {to_K or from_K:.6g} {protocols.THERMOSTAT_PS} {seed}",
                NO_DRIFT]

    def nose_hoover(self, temperature_K: float, axes: Literal["xyz", "iso"]) -> list[str]:
        t = f"{temperature_K:.6g}"
        return [f"fix move all npt temp {t} {t} {protocols.THERMOSTAT_PS} "
                + self.barostat(axes, protocols.BAROSTAT_PS), NO_DRIFT]

    def melt(self, crystal: Atoms, fluid: bool) -> tuple[Atoms, float, list[str]]:
        """Heat until the framework has lost its order: the melt, its temperature, and what has to be said."""
        hot_K = FLUID_FACTOR * self.temperature_K if fluid else max(MELT_FACTOR * self.temperature_K, MELT_LEAST_K)
        notes: list[str] = []
        atoms = shaken(crystal, self.seed)
        for number in range(1, MELT_TRIES + 1):
            prepare = [*protocols.relax_positions(), *protocols.velocities(hot_K, self.seed + number)]
            molten = self.stage(f"melt-{number}", atoms, self.langevin(hot_K, None, "iso", 10 + number), MELT_PS,
                                prepare if number == 1 else [], hot=True)
            atoms = molten.atoms
            late = _frames(molten)[30:]
            if steady_order(late) < MOLTEN_ORDER and diffusion(late).framework_A2_per_ps > MOLTEN_A2_PER_PS:
                break
            if number < MELT_TRIES:
                hot_K += MELT_STEP_K
        else:
            notes.append(f"still crystalline after {MELT_PS:g} ps at {hot_K:g} K")
        return atoms, hot_K, notes

    def quench(self, molten: Atoms, hot_K: float) -> Atoms:
        """The melt at the temperature of the run."""
        t = self.temperature_K
        cold = self.stage("quench", molten, self.langevin(hot_K, t, "iso", 20), QUENCH_PS, [], hot=True)
        return self.stage("settle", cold.atoms, self.langevin(t, None, "iso", 21), SETTLE_PS, []).atoms


def shaken(crystal: Atoms, seed: int) -> Atoms:
    """`crystal` with its metal displaced at random by `SHAKE_A` and overlaps pushed apart; pure hydrogen as it is (it
    melts within a picosecond, and breaking its molecules would cost more than it gains)."""
    atoms = crystal.copy()
    metal = atoms.numbers != 1
    if not metal.any():
        return atoms
    rng = np.random.default_rng(seed)
    atoms.positions[metal] += rng.normal(scale=SHAKE_A, size=(int(metal.sum()), 3))
    spacing = float((crystal.get_volume() / metal.sum()) ** (1.0 / 3.0))
    separate(atoms, pair_minimum_A(atoms.numbers, {**CONTACTS_A, "M-M": min(CONTACTS_A["M-M"], 0.85 * spacing)}))
    return atoms


def _frames(result: StageResult) -> list[Frame]:
    return list(read_trajectory(result.trajectory))


def _judge(inputs: dict[str, Any], result: StageResult, notes: list[str]) -> dict[str, Any]:
    n, p, t = len(inputs["numbers"]), inputs["pressure_GPa"], inputs["temperature_K"]
    units = n / inputs["formula_atoms"]
    where = f"{inputs['formula']} {inputs['state']} at {p:g} GPa, {t:g} K"
    frames = _frames(result)
    wanted = "solid" if inputs["state"] == "solid" else "liquid"
    used, time_ps = len(frames), inputs["time_ps"]
    if wanted == "liquid":
        starts = range(0, max(1, len(frames) - WINDOW + 1), WINDOW)
        used = next((k for k in starts if steady_order(frames[k:k + WINDOW]) > BRAGG_SOLID), len(frames))
        if WINDOW <= used < len(frames):
            time_ps = frames[used].time_ps - frames[0].time_ps
            notes = [*notes, f"{where}: froze after {time_ps:.1f} ps; the mean is over what came before"]
    kept = frames[:used] if used >= WINDOW else frames
    inside = result.thermo["time_ps"] <= result.thermo["time_ps"][0] + time_ps + 1e-9
    thermo = {name: column[inside] for name, column in result.thermo.items()}
    order, moves = steady_order(kept[len(kept) // 2:] if wanted == "solid" else kept), diffusion(kept)
    seen = "solid" if order > BRAGG_SOLID else "liquid"
    series = enthalpy_eV(thermo, p, "potential_energy_eV") / units
    enthalpy, error = block_error(series)
    # The kinetic part is known exactly for classical nuclei, so its noise is left out.
    enthalpy += 1.5 * BOLTZMANN_EV_PER_K * t * n / units
    mean_volume, volume_error = block_error(thermo["volume_A3"] / units)
    pressure, temperature = (float(thermo[k].mean()) for k in ("pressure_GPa", "temperature_K"))
    if seen != wanted:
        verb = "melted during the solid run" if wanted == "solid" else "froze (or never melted) before the run began"
        notes = [*notes, f"{where}: the sample {verb} (Bragg order {order:.2f}); its enthalpy is not used"]
    elif wanted == "liquid" and moves.framework_A2_per_ps < FLOWS_A2_PER_PS:
        notes = [*notes, f"{where}: disordered but it hardly flows ({moves.framework_A2_per_ps:.3f} A^2/ps), a glass"]
    if moves.superionic and seen == "solid":
        notes = [*notes, f"{where}: hydrogen diffuses through the standing framework (superionic)"]
    halves = [block_error(part) for part in np.array_split(series, 2)]
    if abs(halves[0][0] - halves[1][0]) > _DRIFT * float(np.hypot(halves[0][1], halves[1][1])):
        notes = [*notes, f"{where}: still drifting by {halves[1][0] - halves[0][0]:+.3f} eV between its halves"]
    if pressure_missed(thermo["pressure_GPa"], p) or temperature_missed(temperature, t):
        notes = [*notes, f"{where}: ran at {pressure:.2f} GPa and {temperature:.0f} K on average"]
    return {
        "formula": inputs["formula"], "phase": inputs["phase"], "asked": inputs["state"], "seen": seen,
        "good": seen == wanted, "pressure_GPa": p, "temperature_K": t, "atoms": n, "time_ps": time_ps,
        "enthalpy_eV": enthalpy, "error_eV": error, "volume_A3": mean_volume, "volume_error_A3": volume_error,
        "mean_pressure_GPa": pressure, "mean_temperature_K": temperature, "bragg": order,
        "framework_diffusion_A2_per_ps": moves.framework_A2_per_ps,
        "hydrogen_diffusion_A2_per_ps": moves.hydrogen_A2_per_ps, "notes": list(notes)}


def _extrapolated(inputs: dict[str, Any], run: _Runner, molten: Atoms, hot_K: float, frozen: dict[str, Any],
                  ) -> dict[str, Any]:
    """The liquid that does not last, from temperatures at which it does; `frozen` unchanged (but for a note) when these
    are too few or do not look like those of one liquid."""
    kelvin, atoms, rows = inputs["temperature_K"], molten, []
    where = f"{inputs['formula']} liquid at {inputs['pressure_GPa']:g} GPa, {kelvin:g} K"
    for number, share in enumerate(LADDER):
        t = kelvin + share * (hot_K - kelvin)
        result = run.stage(f"ladder-{number}", atoms, run.nose_hoover(t, "iso"), LADDER_PS, [], thermo_every=10,
                           hot=True)
        atoms = result.atoms
        late = [f for f in _frames(result) if f.time_ps >= LADDER_SETTLE_PS]
        if steady_order(late) > BRAGG_SOLID:
            break
        settled = result.thermo["time_ps"] >= LADDER_SETTLE_PS
        mean, error = block_error(enthalpy_eV(result.thermo, inputs["pressure_GPa"], "potential_energy_eV")[settled])
        rows.append((t, mean, error, float(result.thermo["volume_A3"][settled].mean()), diffusion(late)))
    followed = rows[0][0] - rows[-1][0] if rows else 0.0
    if not rows or rows[-1][0] - kelvin > FARTHEST * followed:
        notes = [*frozen["notes"], f"{where}: it froze at {t:.0f} K too, so nothing could be extrapolated"]
        return {**frozen, "notes": notes}
    t_K, means, errors, volumes, moves = zip(*rows, strict=True)
    capacity = np.polyfit(t_K, means, 1)[0] / BOLTZMANN_EV_PER_K / len(inputs["numbers"])
    if not HEAT_CAPACITY_K[0] < capacity < HEAT_CAPACITY_K[1]:
        notes = [*frozen["notes"], f"{where}: between {t_K[-1]:.0f} and {t_K[0]:.0f} K its enthalpy rises by "
                                   f"{capacity:.1f} k per atom, as no single liquid's does: not extrapolated; look at "
                                   "its trajectories (has the potential left its domain?)"]
        return {**frozen, "notes": notes}
    units = len(inputs["numbers"]) / inputs["formula_atoms"]
    x, weight = np.array(t_K) - kelvin, 1.0 / np.array(errors)
    # Weights are known errors, so the covariance is that of the design alone, whatever the scatter of few points.
    design = np.stack([np.ones_like(x), x], axis=1) * weight[:, None]
    covariance = np.linalg.inv(design.T @ design)
    enthalpy = float((covariance @ design.T @ (np.array(means) * weight))[0])
    kinetic = 1.5 * BOLTZMANN_EV_PER_K * kelvin * len(inputs["numbers"])
    note = (f"{where}: froze at once; extrapolated from the liquid at {', '.join(f'{t:.0f}' for t in t_K)} K "
            "(straight line)")
    return {**frozen, "seen": "liquid", "good": True, "enthalpy_eV": (enthalpy + kinetic) / units,
            "error_eV": float(np.sqrt(covariance[0, 0])) / units, "time_ps": LADDER_PS * len(rows),
            "volume_A3": float(np.polyval(np.polyfit(x, volumes, 1), 0.0)) / units, "volume_error_A3": float("nan"),
            "bragg": float("nan"), "framework_diffusion_A2_per_ps": moves[-1].framework_A2_per_ps,
            "hydrogen_diffusion_A2_per_ps": moves[-1].hydrogen_A2_per_ps, "notes": [note]}
