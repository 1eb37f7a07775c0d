"""Measuring the cost of a step: LAMMPS under NPT as a simulation has it, beside other evaluators of the same nep.txt.

Processor time of one rank is the measure that other work on the machine disturbs least; wall-clock time decides what a
user waits. Evaluators run alternately, so that a change of the machine's state falls on all, and medians are taken.
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.verlet import VelocityVerlet

from megabar.dynamics import protocols
from megabar.dynamics.lammps import PairStyle, run_lammps, thermo_lines, write_data
from megabar.errors import InputError, RunError
from megabar.performance.cells import PRESSURE_GPA
from megabar.potential.library import Potential
from megabar.potential.uncertainty import FILE

TIMESTEP_FS = 0.5
TEMPERATURE_K = 300.0
GRADE_EVERY = 10
"""Steps between extrapolation grades in the run that measures what they cost."""

_PARTS = {"Pair": "kernel", "Neigh": "neighbour_lists", "Comm": "communication", "Output": "output",
          "Modify": "integration", "Other": "other"}


@dataclass(frozen=True)
class Timing:
    """One LAMMPS run; times in microseconds for one atom and one step. `cpu_us` is processor time, of all ranks."""

    ranks: int
    wall_us: float
    cpu_us: float
    shares: Mapping[str, float]
    memory_kB_per_atom: float


@dataclass(frozen=True)
class Bench:
    """What was measured. `ranks` by number of ranks, `against` by name; times in us per atom and step, medians."""

    potential: str
    atoms: int
    steps: int
    ranks: Mapping[int, Timing]
    against: Mapping[str, Mapping[str, float]]
    grade_ratio: float | None
    machine: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        first = self.ranks[min(self.ranks)]
        return {
            "potential": self.potential, "atoms": self.atoms, "steps": self.steps,
            "us_per_atom_step": first.cpu_us, "wall_us_per_atom_step": first.wall_us,
            "share_of_processor": first.cpu_us / first.wall_us / first.ranks,
            "ns_per_day": ns_per_day(first.wall_us, self.atoms), "shares": dict(first.shares),
            "memory_kB_per_atom": first.memory_kB_per_atom,
            "ranks": {str(n): {"wall_us_per_atom_step": t.wall_us, "us_per_atom_step": t.cpu_us,
                               "speedup": first.wall_us / t.wall_us, "ns_per_day": ns_per_day(t.wall_us, self.atoms),
                               "shares": dict(t.shares)}
                      for n, t in self.ranks.items()},
            "against": {name: dict(values) for name, values in self.against.items()},
            "grade": None if self.grade_ratio is None else {"every": GRADE_EVERY, "ratio": self.grade_ratio},
            "projection": self.projection(), "machine": dict(self.machine),
        }

    def projection(self) -> list[dict[str, float]]:
        """ns/day of larger systems on the fastest number of ranks, the cost of an atom being constant."""
        best = min(self.ranks, key=lambda n: self.ranks[n].wall_us)
        return [{"atoms": n, "ranks": best, "ns_per_day": ns_per_day(self.ranks[best].wall_us, n)}
                for n in (1_000, 10_000, 100_000, 1_000_000)]


def ns_per_day(us_per_atom_step: float, n_atoms: int) -> float:
    """Simulated time of a day at `TIMESTEP_FS`."""
    return 86400e6 / (us_per_atom_step * n_atoms) * TIMESTEP_FS * 1e-6


def evaluators() -> dict[str, Callable[[str], Calculator]]:
    """Installed programs other than ours that read a nep.txt, each as a maker of an ASE calculator."""
    found: dict[str, Callable[[str], Calculator]] = {}
    if find_spec("nep_adapters") is not None:
        def adapters(path: str) -> Calculator:
            from nep_adapters.ase import NepAseCalculator

            return NepAseCalculator(path)
        found["nep-adapters"] = adapters
    if find_spec("calorine") is not None:
        def calorine(path: str) -> Calculator:
            from calorine.calculators import CPUNEP

            return CPUNEP(path)
        found["calorine"] = calorine
    return found


def chosen_evaluators(names: Sequence[str] | None) -> dict[str, Callable[[str], Calculator]]:
    """Those named, or all that are installed. Raises InputError for one that is not there."""
    known = evaluators()
    for name in names or []:
        if name not in known:
            raise InputError(f"--against {name}: not installed, or it does not read nep.txt; there is "
                             f"{', '.join(known) or 'none: pip install nep-adapters'}")
    return {name: known[name] for name in (known if names is None else names)}


def bench(potential: Potential, atoms: Atoms, *, ranks: Sequence[int] = (1,), against: Sequence[str] | None = None,
          repeats: int = 5, progress: Callable[[str], None] = lambda text: None) -> Bench:
    """Time `potential` on `atoms` in LAMMPS and in the evaluators `against` (None: all that are installed).

    Raises InputError for unknown evaluators or ranks below 1, and RunError when a run fails.
    """
    others = chosen_evaluators(against)
    if not ranks or min(ranks) < 1 or repeats < 1:
        raise InputError("ranks and repeats must be 1 or more")
    ranks = sorted(set(ranks))
    steps = steps_for(len(atoms))
    ours: dict[int, list[Timing]] = {n: [] for n in ranks}
    graded: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in others}
    calculators = {name: make(str(potential.nep_path)) for name, make in others.items()}
    has_grade = (potential.path / FILE).is_file()
    with tempfile.TemporaryDirectory(prefix="megabar-bench-") as scratch:
        for k in range(repeats):
            for n in ranks:
                progress(f"round {k + 1} of {repeats}: LAMMPS on {n} rank{'s' * (n > 1)}")
                ours[n].append(lammps_timing(potential, atoms, steps, n, Path(scratch)))
            if has_grade:
                progress(f"round {k + 1} of {repeats}: LAMMPS with grades")
                graded.append(lammps_timing(potential, atoms, steps, ranks[0], Path(scratch), grade=True).cpu_us)
            for name, calculator in calculators.items():
                progress(f"round {k + 1} of {repeats}: {name}")
                theirs[name].append(ase_us(calculator, atoms))
    base = [t.cpu_us for t in ours[ranks[0]]]
    return Bench(
        potential.name, len(atoms), steps, {n: _median(ours[n]) for n in ranks},
        {name: {"us_per_atom_step": statistics.median(times),
                "ratio": statistics.median(a / b for a, b in zip(base, times, strict=True))}
         for name, times in theirs.items()},
        statistics.median(a / t.cpu_us for a, t in zip(graded, ours[ranks[0]], strict=True)) if graded else None,
        machine())


def steps_for(n_atoms: int) -> int:
    """Steps of about a second and a half, which is long against the clock and short against a user's patience."""
    return max(20, min(500, int(1.5e6 / (6.0 * n_atoms))))


def lammps_timing(potential: Potential, atoms: Atoms, steps: int, ranks: int, folder: Path,
                  grade: bool = False) -> Timing:
    """Run `steps` steps of NPT in `folder` after half as many to warm up, with the output that a simulation writes."""
    pair = PairStyle.nep(potential.nep_path, potential.elements)
    write_data(folder / "data.lmp", atoms, pair)
    grades = [f"fix grade all pair {GRADE_EVERY} nep/megabar grade 1", "compute grade all reduce max f_grade",
              "variable grade equal c_grade", f"fix domain all halt {GRADE_EVERY} v_grade > 1e300"]
    lines = ["units metal", "atom_style atomic", "atom_modify map yes", "boundary p p p", "box tilt large",
             "read_data data.lmp", *pair.lines, f"timestep {TIMESTEP_FS * 1e-3}", "neighbor 1.0 bin",
             "neigh_modify every 1 delay 0 check yes", *thermo_lines(50), *protocols.velocities(TEMPERATURE_K, 1),
             *protocols.production(TEMPERATURE_K, PRESSURE_GPA), *(grades if grade else []),
             "dump frames all custom 100 out.dump id type x y z vx vy vz", f"run {max(10, steps // 2)}", f"run {steps}"]
    (folder / "in.lmp").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return parse_timing(run_lammps(folder, "in.lmp", ranks), folder / "lammps.out")


def parse_timing(lines: Sequence[str], where: str | Path = "LAMMPS") -> Timing:
    """Timing of the last run in LAMMPS's output; RunError when there is none."""
    text = "\n".join(lines)
    loops = list(re.finditer(r"^Loop time of (\S+) on (\d+) procs for (\d+) steps with (\d+) atoms", text, re.M))
    use = re.findall(r"^([\d.]+)% CPU use", text, re.M)
    memory = re.findall(r"^Per MPI rank memory allocation .* = \S+ \| (\S+) \|", text, re.M)
    if not loops or not use or not memory:
        raise RunError(f"{where}: LAMMPS printed no timing; see that file")
    seconds, (ranks, steps, atoms) = float(loops[-1][1]), (int(loops[-1][k]) for k in (2, 3, 4))
    shares = {}
    for name, part in _PARTS.items():
        # "Pair | min | avg | max | %varavg | %total"; "Other" has no minimum.
        row = re.findall(rf"^{name}\s*\|.*\|\s*([\d.]+)\s*$", text[loops[-1].end():], re.M)
        shares[part] = float(row[0]) / 100 if row else 0.0
    wall = 1e6 * seconds / steps / atoms
    return Timing(ranks, wall, wall * ranks * float(use[-1]) / 100, shares, float(memory[-1]) * 1024 * ranks / atoms)


def ase_us(calculator: Calculator, atoms: Atoms) -> float:
    """Processor time (all threads) of an atom and a step of molecular dynamics in ASE, in microseconds."""
    moving = atoms.copy()
    moving.calc = calculator
    dynamics = VelocityVerlet(moving, TIMESTEP_FS * units.fs)
    dynamics.run(1)
    steps = max(2, min(10, int(1e6 / (40.0 * len(atoms)))))
    start = time.process_time()
    dynamics.run(steps)
    return 1e6 * (time.process_time() - start) / steps / len(atoms)


def machine() -> dict[str, Any]:
    """Processor, cores and the instruction set that the kernel uses."""
    from megabar.kernel import _nep

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(encoding="utf-8", errors="replace"), re.M)
        name = names[0] if names else name
    return {"processor": name, "cores": os.cpu_count(), "instruction_set": _nep.instruction_set()}


def _median(timings: Sequence[Timing]) -> Timing:
    """The run of median processor time (the lower of two)."""
    return sorted(timings, key=lambda t: t.cpu_us)[(len(timings) - 1) // 2]
