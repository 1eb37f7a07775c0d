"""Input decks for a larger machine: the same nep.txt, the same ensemble, in LAMMPS on a cluster or in GPUMD on a GPU.

A deck is a folder that holds all it needs: the potential, the cell, the input, and a SLURM script that goes on from the
last checkpoint when it is submitted again, and submits itself again until the run is complete.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import write

from megabar.campaign.files import atomic_path, write_text
from megabar.dynamics import protocols
from megabar.dynamics.lammps import PairStyle, restricted_cell, thermo_lines, write_data
from megabar.errors import InputError
from megabar.potential.library import Potential
from megabar.potential.uncertainty import FILE

GRADE_LIMIT = 10.0
"""Grade at which a LAMMPS deck stops; Lysogorskiy et al. (2023) call an extrapolation above 10 dangerous."""


@dataclass(frozen=True, kw_only=True)
class Deck:
    """What to run: `atoms` under NPT for `time_ps`. `hours` is the time limit of a job on the queue."""

    potential: Potential
    atoms: Atoms
    pressure_GPa: float
    temperature_K: float
    time_ps: float
    timestep_fs: float = 0.5
    ranks: int = 32
    hours: float = 24.0
    seed: int = 0

    @property
    def steps(self) -> int:
        """Steps of the whole run, in hundreds, since that is how often its state is looked at."""
        return 100 * max(1, round(10.0 * self.time_ps / self.timestep_fs))

    def check(self, target: str, folder: str | Path) -> None:
        """Raise InputError for an unknown target, a folder that holds something or values out of range, and
        PotentialUnknown when the potential lacks an element."""
        folder = Path(folder)
        if target not in ("lammps", "gpumd"):
            raise InputError(f"--to {target}: use lammps or gpumd")
        for name, value, least in (("timestep-fs", self.timestep_fs, 0.01), ("temperature", self.temperature_K, 1.0),
                                   ("ranks", self.ranks, 1), ("hours", self.hours, 0.5)):
            if not value >= least:
                raise InputError(f"--{name} {value:g}: is too small; give {least:g} or more")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: exists and is not empty; give another folder to --out")
        self.potential.require_elements(self.atoms.get_chemical_symbols())
        restricted_cell(self.atoms.cell[:])

    def write(self, target: str, folder: str | Path) -> list[str]:
        """Write the deck for "lammps" or "gpumd" into `folder`; returns the names of its files. Raises as `check`."""
        self.check(target, folder)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.potential.nep_path, folder / "nep.txt")
        if target == "lammps":
            self._lammps(folder)
        else:
            self._gpumd(folder)
        return sorted(path.name for path in folder.iterdir())

    def _lammps(self, folder: Path) -> None:
        elements = self.potential.elements
        write_data(folder / "cell.data", self.atoms, PairStyle(elements, ()))
        fresh = not np.abs(self.atoms.get_velocities()).any()
        draw = protocols.velocities(self.temperature_K, self.seed) if fresh else []
        guard, verdict = [], []
        if (self.potential.path / FILE).is_file():
            shutil.copy(self.potential.path / FILE, folder / FILE)
            # Grades are of megabar's own pair style; another one runs the same forces without the guard.
            guard = _if("${style} == nep/megabar", [
                "fix grade all pair 100 nep/megabar grade 1", "compute worst all reduce max f_grade",
                "variable worst equal c_worst", "fix history all ave/time 100 1 100 c_worst append grade.txt",
                f"fix domain all halt 100 v_worst > {GRADE_LIMIT:g} error soft message yes"])
            verdict = _if("${style} == nep/megabar", [
                # Status 1, so that the next job does not start: what is outside has to be labelled first.
                f"if '$(v_worst) > {GRADE_LIMIT:g}' then 'write_data outside.data' 'quit 1'"])
        minutes = round(60 * self.hours) - 15
        write_text(folder / "in.lmp", "\n".join([
            "# lmp -in in.lmp [-var style nep] [-var restart FILE]",
            "# style: nep/megabar (LAMMPS_PLUGIN_PATH names the folder of megabarplugin.so), or nep of USER-NEP.",
            "variable style index nep/megabar", "variable restart index none",
            "units metal", "atom_style atomic", "atom_modify map yes", "boundary p p p",
            *_if("${restart} == none", ["box tilt large", "read_data cell.data"], ["read_restart ${restart}"]),
            "pair_style ${style}", f"pair_coeff * * nep.txt {' '.join(elements)}",
            f"timestep {self.timestep_fs * 1e-3:.10g}", "neighbor 1.0 bin", "neigh_modify every 1 delay 0 check yes",
            *thermo_lines(100), *(_if("${restart} == none", draw) if draw else []),
            *protocols.production(self.temperature_K, self.pressure_GPa), *guard,
            "dump frames all custom 1000 trajectory.dump id element x y z ix iy iz vx vy vz",
            f"dump_modify frames element {' '.join(elements)} sort id append yes",
            # No dots in these names: LAMMPS's "if" does not take them.
            "restart 10000 restart_1 restart_2",
            # LAMMPS stops by itself and writes its state before the queue ends the job.
            f"timer timeout {minutes // 60}:{minutes % 60:02d}:00 every 100",
            f"run {self.steps} upto", "write_restart restart_0", *verdict,
            *_if(f"$(step) >= {self.steps}", ["shell touch finished"])]) + "\n")
        processes = [f"#SBATCH --ntasks={self.ranks}", "#SBATCH --cpus-per-task=1"]
        write_text(folder / "job.sh", _job(self.hours, processes, [
            "export OMP_NUM_THREADS=1",
            "# Folder of megabarplugin.so, built against this machine's LAMMPS.",
            'export LAMMPS_PLUGIN_PATH="${LAMMPS_PLUGIN_PATH:-$HOME/megabar-plugin}"',
            "last=$(ls -t restart_? 2>/dev/null | head -n 1)",
            'srun "${LAMMPS:-lmp}" -in in.lmp -log none -var restart "${last:-none}" >> lammps.out']))

    def _gpumd(self, folder: Path) -> None:
        frame = Atoms(self.atoms.numbers, positions=self.atoms.get_positions(wrap=True), cell=self.atoms.cell, pbc=True)
        if np.abs(self.atoms.get_velocities()).any():
            frame.set_array("vel", self.atoms.get_velocities() * units.fs)  # A/fs
        with atomic_path(folder / "model.xyz") as temporary:
            write(temporary, frame, format="extxyz")
        temperature, pressure = f"{self.temperature_K:.10g}", f"{self.pressure_GPa:.10g}"
        thermostat, barostat = (round(1000 * period / self.timestep_fs)
                                for period in (protocols.THERMOSTAT_PS, protocols.BAROSTAT_PS))
        write_text(folder / "run.in", "\n".join([
            # Velocities in model.xyz win, but GPUMD leaves them unset without this line.
            "potential nep.txt", f"velocity {temperature} seed {self.seed + 1}", f"time_step {self.timestep_fs:.10g}",
            f"ensemble npt_mttk temp {temperature} {temperature} aniso {pressure} {pressure} "
            f"tperiod {thermostat} pperiod {barostat}",
            "dump_thermo 100", "dump_exyz 1000 1 0", "dump_restart 10000", f"run {self.steps}"]) + "\n")
        write_text(folder / "job.sh", _job(self.hours, ["#SBATCH --ntasks=1", "#SBATCH --gres=gpu:1"], [
            "# GPUMD counts steps from zero at each start: those up to the checkpoint are taken off. thermo.out has a",
            "# line for each 100 steps, and there is a checkpoint every 10000.",
            "done=$(cat steps.done 2>/dev/null || echo 0)",
            "if [ -f restart.xyz ]; then",
            "  done=$((done + $(wc -l < thermo.out) / 100 * 10000)); echo $done > steps.done",
            "  mv restart.xyz model.xyz; cat thermo.out >> thermo.all.out",
            "fi",
            "rm -f thermo.out",
            f'sed -i "s/^run .*/run $(({self.steps} - done))/" run.in',
            "# 124: the time was up, which is no failure.",
            f'status=0; timeout {round(60 * self.hours) - 15}m "${{GPUMD:-gpumd}}" >> gpumd.out || status=$?',
            "[ $status -eq 0 ] && touch finished", "[ $status -eq 0 ] || [ $status -eq 124 ]"]))


def _if(condition: str, then: list[str], otherwise: list[str] | None = None) -> list[str]:
    """LAMMPS lines that run the commands `then` under a condition."""
    parts = [f'if "{condition}" then', *(f'  "{line}"' for line in then)]
    if otherwise:
        parts += ["else", *(f'  "{line}"' for line in otherwise)]
    return [" &\n".join(parts)]


def _job(hours: float, resources: list[str], commands: list[str]) -> str:
    """A SLURM script that runs `commands` and has itself run again until the file `finished` is there."""
    minutes = round(60 * hours)
    return "\n".join([
        "#!/bin/bash", "# sbatch job.sh; it goes on by itself, and again when it is submitted again.",
        "#SBATCH --job-name=megabar", f"#SBATCH --time={minutes // 60}:{minutes % 60:02d}:00", *resources,
        "#SBATCH --output=slurm-%j.out", "set -eu", "[ -f finished ] && exit 0",
        "# The next job starts when this one ends well, and then finds the run finished or goes on with it.",
        'sbatch --dependency="afterok:$SLURM_JOB_ID" --kill-on-invalid-dep=yes job.sh', *commands, ""])
