"""The reaction run: a slab of hydride beside fluid hydrogen at a pressure and a temperature, on LAMMPS.

Stages, each a folder with its own checkpoints: `crystal` (the slab's crystal at P and T), `fluid` (H2 at P and T over
the crystal's in-plane cell), `contact` (both joined, the slab held by springs while the seams close, so that nothing
reacts early), `reaction` (free NPT, the normal stress apart from the in-plane one). The same call resumes a run that
was killed and answers at once for one that has ended. Controls: beside `vacuum` there is no fluid, the cell is fixed
and smooth walls hold the slab at the crystal's density; with `none` the bulk crystal runs alone.
"""

from __future__ import annotations

import fcntl
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.files import atomic_path, file_hash, plain, read_yaml, write_csv, write_json, write_yaml
from megabar.campaign.record import RunRecord
from megabar.dynamics import protocols
from megabar.dynamics import walls as walled
from megabar.dynamics.guards import Guards
from megabar.dynamics.lammps import PairStyle, lammps_command, read_thermo
from megabar.dynamics.stage import Stage, StageResult, run_stage
from megabar.dynamics.trajectory import last_frame
from megabar.errors import InputError
from megabar.potential.domain import Breach
from megabar.potential.library import Potential, load
from megabar.potential.uncertainty import FILE as ACTIVE_SET
from megabar.reaction.build import (
    Layout,
    build_crystal,
    build_fluid,
    choose_bulk,
    choose_layout,
    choose_phase,
    hydride,
    join,
    open_slab,
    open_to_vacuum,
)
from megabar.reaction.settings import ReactSettings
from megabar.units import parse_pressure_GPa, parse_temperature_K, parse_time_ps

CITATIONS = (
    "LAMMPS: Thompson et al., Comput. Phys. Commun. 271, 108171 (2022), 10.1016/j.cpc.2021.108171",
    "NEP: Fan et al., J. Chem. Phys. 157, 114801 (2022), 10.1063/5.0106617; Song et al., Nat. Commun. 15, 10208 (2024)",
    "the reaction: Sato et al., Proc. Natl. Acad. Sci. (2025), 10.1073/pnas.2413480122",
)
SECONDS_PER_ATOM_STEP = 8e-6
"""One core, NEP4 at the density of hydrogen at 40 GPa: for the estimate of a dry run only."""
PRESSURES_GPA = (1.0, 1000.0)
"""Where the starting volumes hold; at 1 GPa and 1473 K the ideal gas has 20 A^3 per H2."""
RESULT, STOPPED = "result.json", "stopped.json"
_NOT_IDENTITY = {"ranks", "grade_max", "outside_domain"}
"""Settings that may change between a run and its resumption."""


@dataclass(frozen=True)
class ReactionPlan:
    """Settings with everything resolved and checked; making one writes nothing."""

    settings: ReactSettings
    pressure_GPa: float
    temperature_K: float
    time_ps: float
    equilibration_ps: float
    potential: Potential
    layout: Layout

    @classmethod
    def make(cls, settings: ReactSettings) -> ReactionPlan:
        """Check `settings` against crystals, potentials and LAMMPS; InputError names what is wrong and the remedy."""
        pressure, temperature = parse_pressure_GPa(settings.pressure), parse_temperature_K(settings.temperature)
        if temperature <= 0:
            raise InputError(f"temperature {settings.temperature!r}: nothing moves there; give more than 0 K")
        low, high = PRESSURES_GPA
        if not low <= pressure <= high:
            raise InputError(f"pressure {settings.pressure!r}: hydrogen is a thin gas below {low:g} GPa, and volumes "
                             f"are not known above {high:g} GPa; stay between")
        times = parse_time_ps(settings.time), parse_time_ps(settings.equilibration)
        metal, h_per_metal = hydride(settings.formula)
        bulk = settings.reactant == "none"
        phase = choose_phase(metal, h_per_metal, pressure, settings.phase, bulk)
        potential = load(settings.potential or f"{metal}-H")
        potential.require_elements([metal, "H"])
        layout = choose_bulk(metal, phase, pressure, settings.atoms) if bulk else choose_layout(
            metal, phase, settings.face, pressure, settings.atoms, settings.h2_per_metal, settings.slab_cells)
        if settings.reactant == "vacuum":  # the same slab as beside hydrogen
            layout = replace(layout, n_molecules=0)
        lammps_command(settings.ranks)
        plan = cls(settings, pressure, temperature, *times, potential, layout)
        if not settings.outside_domain:
            for breach in plan._breaches():
                if breach.far:
                    raise InputError(f"potential {potential.name}: {breach.text}, too far to trust: stay nearer, train "
                                     "on it, or set outside_domain: true in --config")
        return plan

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages in order; a bulk crystal and one beside vacuum need no fluid."""
        return _STAGES[self.settings.reactant]

    def steps(self, stage: str) -> int:
        share = {"crystal": self.equilibration_ps, "fluid": self.equilibration_ps,
                 "contact": self.equilibration_ps / 3.0, "reaction": self.time_ps}[stage]
        return max(1, round(share * 1e3 / self.settings.timestep_fs))

    def atoms(self, stage: str) -> int:
        return {"crystal": self.layout.n_slab, "fluid": 2 * self.layout.n_molecules}.get(stage, self.layout.n_atoms)

    def work(self) -> dict[str, float]:
        """Atom steps by stage."""
        return {stage: float(self.atoms(stage) * self.steps(stage)) for stage in self.stages}

    def summary(self) -> dict[str, Any]:
        """What a dry run says."""
        return {"formula": self.settings.formula, "phase": self.layout.phase, "face": self.layout.face,
                "potential": self.potential.name, "pressure_GPa": self.pressure_GPa,
                "temperature_K": self.temperature_K, "time_ps": self.time_ps, "beside": self.settings.reactant,
                "atoms": self.layout.n_atoms, "slab_atoms": self.layout.n_slab, "metal_atoms": self.layout.n_metal,
                "h2_molecules": self.layout.n_molecules, "steps": {stage: self.steps(stage) for stage in self.stages},
                "estimated_hours": round(sum(self.work().values()) * SECONDS_PER_ATOM_STEP
                                         / self.settings.ranks / 3600.0, 3), "notes": list(self.notes())}

    def notes(self) -> tuple[str, ...]:
        """What a reader should know before believing the run."""
        notes = [f"potential {self.potential.name}: {breach.text}" for breach in self._breaches()]
        if self.settings.reactant == "vacuum":
            notes.append(f"vacuum: smooth walls hold the slab at the density of the crystal at {self.pressure_GPa:g} "
                         "GPa, at a fixed volume; without them it would fly apart")
        return tuple(notes)

    def _breaches(self) -> tuple[Breach, ...]:
        """What of the run lies outside the domain that the potential's card states."""
        return self.potential.domain.breaches(
            pressure_GPa=self.pressure_GPa, temperature_K=self.temperature_K,
            h_per_metal=(self.layout.n_slab - self.layout.n_metal) / self.layout.n_metal,
            pure_hydrogen=self.settings.reactant == "H2")

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same run."""
        return {**self.settings.model_dump(exclude=_NOT_IDENTITY), "potential": self.potential.name,
                "phase": self.layout.phase, "face": self.layout.face,
                "potential_hash": file_hash(self.potential.nep_path)}


_STAGES = {"H2": ("crystal", "fluid", "contact", "reaction"), "vacuum": ("crystal", "contact", "reaction"),
           "none": ("crystal", "reaction")}
_GAP_A = 12.0
"""Empty space behind the walls of a slab beside vacuum: beyond the reach of the potential."""


@dataclass(frozen=True)
class RunProgress:
    """One live line. `h_per_metal` is the hydrogen in the hydride region per metal atom, once there is a frame."""

    stage: str
    time_ps: float
    total_ps: float
    temperature_K: float
    pressure_GPa: float
    h_per_metal: float | None
    ns_per_day: float
    left_s: float


@dataclass(frozen=True)
class ReactionResult:
    """What a run gave. Means are over the second half of the reaction stage.

    `analysis` are the numbers of the `ReactionAnalysis` by name, `overview` its table (quantity, start, end);
    `trajectory` and `figures` are files in the run's folder, `thermo` columns of the reaction stage by name with unit;
    `reactant` is what the hydride stood beside. `stopped_by` names the guard that stopped the reaction stage, and why,
    at `stopped_ps`; everything is then of what was reached.
    """

    formula: str
    potential: str
    phase: str
    face: str
    atoms: int
    metal_atoms: int
    h2_molecules: int
    pressure_GPa: float
    temperature_K: float
    time_ps: float
    mean_pressure_GPa: float
    mean_pressure_normal_GPa: float
    mean_temperature_K: float
    ns_per_day: float
    wall_time_s: float
    trajectory: str
    notes: tuple[str, ...]
    analysis: Mapping[str, Any]
    overview: tuple[list[Any], ...]
    figures: tuple[str, ...]
    thermo: Mapping[str, np.ndarray]
    reactant: str = "H2"
    stopped_by: str = ""
    stopped_ps: float | None = None

    def summary(self) -> dict[str, Any]:
        """Everything but the columns of `thermo`, for JSON."""
        return plain({name: value for name, value in vars(self).items() if name != "thermo"})

    def save(self, folder: str | Path) -> None:
        """`result.json` (`stopped.json` for a stopped run), and `thermo.csv` with `thermo.png`, in `folder`."""
        from matplotlib.figure import Figure

        folder = Path(folder)
        write_csv(folder / "thermo.csv", {name: column.tolist() for name, column in self.thermo.items()})
        figure = Figure(figsize=(6.0, 4.0), layout="constrained")
        self.plot(figure.subplots())
        with atomic_path(folder / "thermo.png") as temporary:
            figure.savefig(temporary, dpi=150)
        write_json(folder / (STOPPED if self.stopped_by else RESULT), self.summary())

    @classmethod
    def load(cls, folder: str | Path, name: str = RESULT) -> ReactionResult:
        """The result that `save` left in a run's folder, as file `name`."""
        folder = Path(folder)
        values = json.loads((folder / name).read_text(encoding="utf-8"))
        return cls(**{**values, **{name: tuple(values[name]) for name in ("notes", "overview", "figures")}},
                   thermo=read_thermo(folder / "reaction" / "lammps.out"))

    def plot(self, ax: Any) -> None:
        """Pressure (left axis) and temperature (right) against time, with the values asked for."""
        t = self.thermo["time_ps"]
        ax.plot(t, self.thermo["pressure_GPa"], color="tab:blue", lw=0.8)
        ax.axhline(self.pressure_GPa, color="tab:blue", ls=":", lw=1)
        ax.set_xlabel("time (ps)")
        ax.set_ylabel("pressure (GPa)", color="tab:blue")
        right = ax.twinx()
        right.plot(t, self.thermo["temperature_K"], color="tab:red", lw=0.8)
        right.axhline(self.temperature_K, color="tab:red", ls=":", lw=1)
        right.set_ylabel("temperature (K)", color="tab:red")


def run_reaction(settings: ReactSettings, out: str | Path,
                 report: Callable[[RunProgress], None] | None = None) -> ReactionResult:
    """Run the reaction in the folder `out`, resume it, or read its result.

    Raises InputError before anything is written, also for a folder that holds a run with other settings; GuardFired
    when the run left the domain of its potential; RunError when LAMMPS failed.
    """
    plan, out = ReactionPlan.make(settings), Path(out)
    _check_folder(plan, out)
    if (out / RESULT).is_file():
        return ReactionResult.load(out)
    resolved = {**settings.model_dump(), **plan.identity()}
    out.mkdir(parents=True, exist_ok=True)
    with _locked(out) as lock, RunRecord(out, "react", resolved, settings.seed) as record:
        if not (out / "settings.yaml").is_file():
            if plan.potential.has_grade:
                shutil.copyfile(plan.potential.path / ACTIVE_SET, out / ACTIVE_SET)
            shutil.copyfile(plan.potential.nep_path, out / "nep.txt")
            write_yaml(out / "settings.yaml", plan.identity())
        record.hashes["nep.txt"] = file_hash(out / "nep.txt")
        record.citations += [*CITATIONS, *plan.potential.card.get("citations", [])]
        result = _Run(plan, out, report, lock).run()
        record.results = result.summary()
        record.speed = {"ns_per_day": result.ns_per_day}
        result.save(out)
    return result


def _check_folder(plan: ReactionPlan, out: Path) -> None:
    """InputError when `out` is a file, or holds a run with other settings."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder to --out")
    if not (out / "settings.yaml").is_file():
        return
    stored = read_yaml(out / "settings.yaml")
    for name, value in plan.identity().items():
        before = stored.get(name) if isinstance(stored, dict) else None
        if before != value:
            raise InputError(f"{out}: holds a run with {name} {before!r}, not {value!r}; "
                             "give another --out, or the same settings to go on")


@contextmanager
def _locked(out: Path) -> Iterator[int]:
    """Hold `out` for this run; LAMMPS inherits the lock, so that one left behind by a kill is waited for."""
    with (out / ".lock").open("w") as handle:
        deadline = time.monotonic() + 15.0
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InputError(f"{out}: another run is at work there; wait, or give another --out") from None
                time.sleep(0.2)
        yield handle.fileno()


class _Run:
    """The stages of one run, in order."""

    def __init__(self, plan: ReactionPlan, out: Path, report: Callable[[RunProgress], None] | None, lock: int) -> None:
        self.plan, self.out, self.report, self.lock = plan, out, report, lock
        self.pair = PairStyle.nep(out / "nep.txt", plan.potential.elements)

    def run(self) -> ReactionResult:
        crystal, perfect = self._crystal()
        plan = self.plan
        if plan.settings.reactant == "none":
            reaction = self._reaction(crystal)
        elif plan.settings.reactant == "vacuum":
            reaction = self._reaction(*self._settled(crystal, perfect))
        else:
            reaction = self._reaction(self._contact(crystal, perfect, self._fluid(crystal)))
        return _gather(plan, self.out, reaction.thermo, reaction.ns_per_day, reaction.wall_time_s)

    def _crystal(self) -> tuple[Atoms, Atoms]:
        plan = self.plan
        perfect = build_crystal(plan.layout, plan.pressure_GPa)
        result = self._stage("crystal", perfect, volume_change=0.4,
                             prepare=[*protocols.relax_cell(plan.pressure_GPa), *self._velocities(1)],
                             ensemble=protocols.startup(plan.temperature_K, plan.pressure_GPa, self._seed(2),
                                                        "independent"))
        return _at_mean_cell(result), perfect

    def _fluid(self, crystal: Atoms) -> Atoms:
        plan = self.plan
        start = build_fluid(plan.layout, crystal.cell[:2], plan.pressure_GPa, np.random.default_rng(plan.settings.seed))
        result = self._stage("fluid", start, volume_change=0.6,
                             prepare=[*protocols.relax_positions(), *self._velocities(3)],
                             ensemble=protocols.startup(plan.temperature_K, plan.pressure_GPa, self._seed(4), "fixed"))
        return _at_mean_cell(result)

    def _contact(self, crystal: Atoms, perfect: Atoms, fluid: Atoms) -> Atoms:
        plan = self.plan
        fluid.set_cell(np.array([*crystal.cell[:2], fluid.cell[2]]), scale_atoms=True)  # the same up to rounding
        joined = join(open_slab(perfect, crystal), fluid)
        closing = protocols.startup(plan.temperature_K, plan.pressure_GPa, self._seed(5), "fixed")
        result = self._stage("contact", joined, volume_change=0.3, prepare=protocols.relax_positions("slab"),
                             ensemble=[*closing, *protocols.held("slab")],
                             groups={"slab": np.flatnonzero(joined.arrays["region"] == 0)})
        result.atoms.wrap()
        return result.atoms

    def _settled(self, crystal: Atoms, perfect: Atoms) -> tuple[Atoms, list[str]]:
        """The slab between walls at rest, and the walls: one pair an element, where its outermost atoms stood in the
        hot crystal, for a wall in common would give the metal room that belongs to its neighbours."""
        apart = open_to_vacuum(open_slab(perfect, crystal), _GAP_A)
        walls = []
        for element in sorted(set(apart.get_chemical_symbols())):
            z = apart.positions[apart.symbols == element, 2]
            walls += walled.walls(f"element_{element}", float(z.min()), float(z.max()))
        result = self._stage("contact", apart, volume_change=0.3, prepare=(), ensemble=[
            *walled.settling(self.plan.temperature_K, self._seed(5)), *walls])
        result.atoms.wrap()
        return result.atoms, walls

    def _reaction(self, start: Atoms, walls: Sequence[str] = ()) -> StageResult:
        plan = self.plan
        ensemble = ([*walled.production(plan.temperature_K), *walls] if walls
                    else protocols.production(plan.temperature_K, plan.pressure_GPa))
        return self._stage("reaction", start, volume_change=0.25, prepare=protocols.at_rest(), ensemble=ensemble)

    def _seed(self, salt: int) -> int:
        return self.plan.settings.seed * 16 + salt

    def _velocities(self, salt: int) -> list[str]:
        return protocols.velocities(self.plan.temperature_K, self._seed(salt))

    def _stage(self, name: str, atoms: Atoms, *, volume_change: float, prepare: Sequence[str],
               ensemble: Sequence[str], groups: Mapping[str, np.ndarray] | None = None) -> StageResult:
        plan, settings = self.plan, self.plan.settings
        dump_every = max(1, round(settings.frame_every_fs / settings.timestep_fs))
        guards = Guards(temperature_max_K=1.5 * plan.temperature_K + 300.0, volume_change=volume_change,
                        grade_max=settings.grade_max if self.pair.has_grade else None)
        stage = Stage(atoms=atoms, pair=self.pair, ensemble=ensemble, prepare=prepare, steps=plan.steps(name),
                      timestep_fs=settings.timestep_fs, guards=guards, groups=groups or {}, dump_every=dump_every,
                      thermo_every=max(1, min(dump_every, 50)), checkpoint_every=10 * dump_every)
        progress = None if self.report is None else _Meter(plan, name, self.report, self.out)
        return run_stage(stage, self.out / name, ranks=settings.ranks, progress=progress, keep_open=[self.lock])


def stopped_result(plan: ReactionPlan, out: str | Path) -> ReactionResult | None:
    """What the run in `out` reached before a guard stopped its reaction stage; None when none did.

    It is analysed once and kept as `stopped.json` beside its figures. Raises InputError when no frame was written.
    """
    out = Path(out)
    if (out / STOPPED).is_file():
        return ReactionResult.load(out, STOPPED)
    stage = out / "reaction"
    if not (stage / "guard.json").is_file():
        return None
    fired = json.loads((stage / "guard.json").read_text(encoding="utf-8"))
    lived_ps = float(fired["step"]) * plan.settings.timestep_fs * 1e-3
    clock = stage / "clock.json"
    wall_s = float(json.loads(clock.read_text())["wall_time_s"]) if clock.is_file() else math.nan
    thermo = read_thermo(stage / "lammps.out")
    found = _gather(plan, out, thermo, lived_ps * 1e-3 / wall_s * 86400.0, wall_s)
    found = replace(found, stopped_by=f"{fired['guard']} guard: {fired['reason']}", stopped_ps=lived_ps)
    found.save(out)
    return found


def _gather(plan: ReactionPlan, out: Path, thermo: Mapping[str, np.ndarray], ns_per_day: float,
            wall_time_s: float) -> ReactionResult:
    """Analyse the reaction stage in `out`, save tables and figures of it, and put everything together."""
    from megabar.reaction.analysis import analyse

    trajectory = out / "reaction" / "trajectory.dump"
    analysis = analyse(trajectory, normal=None if plan.settings.reactant == "none" else "c",
                       pressure_GPa=None if plan.settings.reactant == "vacuum" else plan.pressure_GPa)
    figures = [path.name for path in analysis.save(out) if path.suffix == ".png"]
    half = thermo["time_ps"] >= 0.5 * thermo["time_ps"][-1]
    # The virial of a slab with a gap is spread over the whole cell.
    height = float(thermo["lz_A"][-1])
    filled = (height - _GAP_A) / height if plan.settings.reactant == "vacuum" else 1.0
    return ReactionResult(
        formula=plan.settings.formula, potential=plan.potential.name, phase=plan.layout.phase,
        face=plan.layout.face, atoms=plan.layout.n_atoms, metal_atoms=plan.layout.n_metal,
        h2_molecules=plan.layout.n_molecules, pressure_GPa=plan.pressure_GPa, temperature_K=plan.temperature_K,
        time_ps=plan.time_ps, mean_pressure_GPa=float(thermo["pressure_GPa"][half].mean()) / filled,
        mean_pressure_normal_GPa=float(thermo["pressure_zz_GPa"][half].mean()) / filled,
        mean_temperature_K=float(thermo["temperature_K"][half].mean()), ns_per_day=ns_per_day,
        wall_time_s=wall_time_s, trajectory=str(trajectory.relative_to(out)), notes=(*plan.notes(), *analysis.notes),
        analysis=plain(analysis.summary()), overview=tuple(plain(analysis.table())), figures=(*figures, "thermo.png"),
        thermo=thermo, reactant=plan.settings.reactant)


class _Meter:
    """Turns thermo lines into live lines: speed since this process began the stage, time left over all stages."""

    def __init__(self, plan: ReactionPlan, stage: str, report: Callable[[RunProgress], None], out: Path) -> None:
        self.plan, self.stage, self.report = plan, stage, report
        self.trajectory = out / stage / "trajectory.dump" if stage == "reaction" else None
        self.first: tuple[float, float] | None = None
        self.uptake: float | None = None
        self.looked = float("-inf")

    def __call__(self, point: Mapping[str, float]) -> None:
        from megabar.reaction.analysis import hydrogen_per_metal

        now, plan, step = time.monotonic(), self.plan, point["step"]
        if self.first is None:
            self.first = now, step
        if step <= self.first[1] or now <= self.first[0]:
            return
        if self.trajectory is not None and now - self.looked > 5.0:
            self.looked = now
            frame = last_frame(self.trajectory)
            self.uptake = None if frame is None else hydrogen_per_metal(frame)
        speed = (step - self.first[1]) / (now - self.first[0])
        work = plan.work()
        later = sum(work[name] for name in plan.stages[plan.stages.index(self.stage) + 1:])
        timestep_fs = plan.settings.timestep_fs
        self.report(RunProgress(
            stage=self.stage, time_ps=point["time_ps"], total_ps=plan.steps(self.stage) * timestep_fs * 1e-3,
            temperature_K=point["temperature_K"], pressure_GPa=point["pressure_GPa"], h_per_metal=self.uptake,
            ns_per_day=speed * timestep_fs * 1e-6 * 86400.0,
            left_s=(plan.steps(self.stage) - step + later / plan.atoms(self.stage)) / speed))


def _at_mean_cell(result: StageResult) -> Atoms:
    """The last state, scaled to the mean cell of the second half: one snapshot of a small cell is a poor density."""
    thermo = result.thermo
    half = thermo["step"] >= 0.5 * thermo["step"][-1]
    mean = {name: float(thermo[name][half].mean()) for name in ("lx_A", "ly_A", "lz_A", "xy_A", "xz_A", "yz_A")}
    atoms = result.atoms.copy()
    atoms.set_cell([[mean["lx_A"], 0.0, 0.0], [mean["xy_A"], mean["ly_A"], 0.0],
                    [mean["xz_A"], mean["yz_A"], mean["lz_A"]]], scale_atoms=True)
    return atoms
