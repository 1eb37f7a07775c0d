"""Checks 8, 9 and 10: fluid hydrogen, the hygiene of the dynamics, and the reaction with its controls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from megabar.campaign.files import content_hash, file_hash, read_yaml
from megabar.crystals.prototypes import build
from megabar.dynamics import protocols
from megabar.dynamics.guards import Guards
from megabar.dynamics.lammps import PairStyle
from megabar.dynamics.stage import Stage, StageResult, run_stage
from megabar.dynamics.trajectory import read_trajectory
from megabar.errors import GuardFired, InputError, RunError
from megabar.thermodynamics.solidity import diffusion
from megabar.validation.check import Bench, Check, Measure, at_most, not_run, within
from megabar.validation.energetics import relabelled

BOND_A = 0.95
"""An H2 unit: mutual nearest hydrogens closer than this."""
MELTING_K = 832.0
"""H2 at 40 GPa: Datchi, Loubeyre and LeToullec, Phys. Rev. B 61, 6535 (2000), 10.1103/PhysRevB.61.6535."""
LIQUID_A2_PER_PS = 0.1
"""1e-9 m^2/s: molecules of a crystal do not diffuse, those of the fluid at 1473 K do so ten times faster."""


def _run(bench: Bench, name: str, atoms: Atoms, ensemble: Sequence[str], prepare: Sequence[str], time_ps: float,
         timestep_fs: float, temperature_K: float, volume_change: float, frames: int) -> StageResult:
    steps = max(2 * frames, int(round(time_ps * bench.md_scale * 1e3 / timestep_fs)))
    stage = Stage(atoms=atoms, pair=PairStyle.nep(bench.potential.nep_path, bench.potential.elements),
                  ensemble=ensemble,
                  prepare=prepare, steps=steps, timestep_fs=timestep_fs, dump_every=max(1, steps // frames),
                  thermo_every=max(1, steps // 400), checkpoint_every=max(1, steps // 10),
                  guards=Guards(temperature_max_K=3.0 * temperature_K + 500.0, volume_change=volume_change))
    # A run is that of one potential and length: another starts anew.
    own = content_hash([file_hash(bench.potential.nep_path), bench.md_scale], 8)
    return run_stage(stage, bench.folder / "runs" / own / name)


def fluid(bench: Bench) -> Check:
    """Check 8: H2 at 40 GPa and 1473 K: molecular, liquid, its bond and its volume."""
    title = "Fluid H2 at 1473 K and 40 GPa"
    start = build("H2-Pa-3", bench.metal, 40.0)
    start = start.repeat((3, 3, 3))
    start.set_cell(start.cell[:] * 1.09, scale_atoms=True)  # hot H2 needs a third more room than the cold crystal
    try:
        result = _run(bench, "fluid", start, protocols.startup(1473.0, 40.0, 11, "independent"),
                      [*protocols.relax_positions(), *protocols.velocities(1473.0, 11)], 4.0, 0.5, 1473.0, 0.8, 80)
    except (GuardFired, RunError) as error:
        return Check(8, title, (Measure("run of 4 ps", "stopped", "", "ends whole", False, str(error)),))
    frames = list(read_trajectory(result.trajectory))
    late = frames[len(frames) // 2:]
    grid, g = _pair_distribution(late)
    bonds = [_bonds(f) for f in late]
    lengths = np.concatenate([b for b in bonds if len(b)]) if any(len(b) for b in bonds) else np.array([np.nan])
    share = float(np.mean([2.0 * len(b) / len(f.numbers) for b, f in zip(bonds, late, strict=True)]))
    volume = float(np.mean([abs(np.linalg.det(f.cell_A)) / len(f.numbers) for f in late]))
    thermo = result.thermo
    half = thermo["step"] >= 0.5 * thermo["step"][-1]
    moving = diffusion(late).framework_A2_per_ps
    first = grid[:len(grid) // 3]
    measures = (
        within("g(r), first peak", float(first[g[:len(first)].argmax()]), "A", 0.73, 0.77, "0.74 to 0.76 A"),
        within("atoms in H2 units", 100.0 * share, "%", 95.0, 100.0,
               f"mutual nearest H below {BOND_A} A; no dissociation"),
        within("mean bond", float(np.nanmean(lengths)), "A", 0.72, 0.80),
        within("volume per H", volume, "A^3", 3.4, 3.9),
        within("diffusion of molecules", moving, "A^2/ps", LIQUID_A2_PER_PS, float("inf"),
               f"liquid: melts at {MELTING_K:.0f} K"),
        within("mean temperature", float(thermo["temperature_K"][half].mean()), "K", 1373.0, 1573.0),
        not_run("freezes below", "750 to 910 K", f"two-phase runs around {MELTING_K:.0f} K: megabar melt H2"))

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        axis.plot(grid, g, lw=1.2)
        axis.axvspan(0.74, 0.76, color="0.9")
        axis.set_xlabel("r (A)")
        axis.set_ylabel("g(r) of H in fluid H2, 40 GPa, 1473 K")
        axis.set_ylim(0, min(8.0, g.max() * 1.05))

    figure = bench.figure("08-fluid-h2", draw, {"r_A": grid, "g": g})
    return Check(8, title, measures, (figure,))


def hygiene(bench: Bench) -> Check:
    """Check 9: energy drift, pressure, extrapolation in an interface, relabelled frames."""
    title = "Hygiene of the dynamics"
    crystal = build("MH4-I4/mmm", bench.metal, 50.0).repeat((3, 3, 2))
    measures: list[Measure] = [Measure("time step", 0.25, "fs", "<= 0.5 fs (0.25 for NVE)", True,
                                       "H2 vibrates in 7.6 fs")]
    figures: list[str] = []
    try:
        warm = _run(bench, "npt", crystal, protocols.production(300.0, 50.0),
                    [*protocols.relax_cell(50.0), *protocols.velocities(600.0, 5)], 6.0, 0.5, 600.0, 0.4, 20)
        late = warm.thermo["step"] >= 0.4 * warm.thermo["step"][-1]
        mean = float(warm.thermo["pressure_GPa"][late].mean())
        measures.append(within("NPT: mean pressure for 50 GPa", mean, "GPa", 49.5, 50.5,
                               f"{bench.formula('H4')}, {len(crystal)} atoms, 300 K"))
        state = warm.atoms
        nve = _run(bench, "nve", state, protocols.microcanonical(), protocols.at_rest(), 10.0, 0.25, 600.0, 0.1, 20)
        time, energy = nve.thermo["time_ps"], nve.thermo["total_energy_eV"] / len(state) * 1e3
        drift = float(np.polyfit(time, energy, 1)[0]) * 10.0
        measures.append(at_most("NVE: drift in 10 ps at 0.25 fs", abs(drift), "meV/atom", 1.0,
                                f"from {time[-1]:.3g} ps of {len(state)} atoms"))

        def draw(figure: Any) -> None:
            left, right = figure.subplots(1, 2)
            left.plot(warm.thermo["time_ps"], warm.thermo["pressure_GPa"], lw=0.6)
            left.axhline(50.0, color="k", lw=0.8)
            left.set_xlabel("time (ps)")
            left.set_ylabel("pressure, NPT (GPa)")
            right.plot(time, energy - energy[0], lw=0.8)
            right.set_xlabel("time (ps)")
            right.set_ylabel("total energy, NVE (meV/atom)")

        figures.append(bench.figure("09-hygiene", draw, {"time_ps": time, "total_energy_meV_per_atom": energy},
                                    (8.0, 3.2)))
    except (GuardFired, RunError) as error:
        measures.append(Measure("NPT and NVE runs", "stopped", "", "end whole", False, str(error)))
    measures += _extrapolation(bench)
    return Check(9, title, (*measures, *relabelled(bench)), tuple(figures))


def _extrapolation(bench: Bench) -> list[Measure]:
    """Largest grade in the frames of the reaction runs that were given."""
    if not bench.potential.has_grade:
        return [not_run("extrapolation in an interface", "grade <= 1", "the potential has no active set")]
    paths = [p / "reaction" / "trajectory.dump" for p in bench.reactions]
    paths = [p for p in paths if p.is_file()]
    if not paths:
        return [not_run("extrapolation in an interface", "grade <= 1", "no reaction run given: --reaction DIR")]
    calculator, top, over, total = bench.potential.calculator(), 0.0, 0, 0
    for path in paths:
        frames = list(read_trajectory(path))
        for frame in frames[:: max(1, len(frames) // 25)]:
            calculator.calculate(Atoms(frame.numbers, positions=frame.positions_A, cell=frame.cell_A, pbc=True))
            grade = calculator.results["grade"]
            top, over, total = max(top, float(grade.max())), over + int((grade > 1.0).sum()), total + len(grade)
    return [Measure("interface: share of atoms with a grade above 1", 100.0 * over / total, "%", "none", over == 0,
                    f"largest grade {top:.2f}, {len(paths)} run(s)")]


def headline(bench: Bench) -> Check:
    """Check 10: uptake, product and controls of the reaction runs that were given."""
    title, wanted = "The reaction with its controls", ("3 seeds", "2 sizes", "2 faces")
    runs = []
    for folder in bench.reactions:
        try:
            runs.append((folder, json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))))
        except (OSError, ValueError):
            runs.append((folder, None))
    beside = [(f, r) for f, r in runs if r is not None and r.get("reactant", "H2") == "H2"
              and 30.0 <= float(r["pressure_GPa"]) <= 60.0]
    measures: list[Measure] = [Measure(f"{f}", "no result.json", "", "a finished run", False) for f,
                               r in runs if r is None]
    if not beside:
        measures.append(not_run("H/M climbs to about 4 at 40 GPa and 1473 K, then MH4 crystallises", "3.5 to 4.5",
                                "no finished reaction run given: --reaction DIR"))
    for folder, r in beside:
        analysis = r.get("analysis", {})
        uptake = float((analysis.get("uptake") or {}).get("last_H_per_metal", float("nan")))
        measures.append(within(f"{Path(folder).name}: H per metal after {float(r['time_ps']):g} ps", uptake, "", 3.5,
                               4.5))
        product = analysis.get("product") or {}
        wanted_phase = f"{bench.formula('H4')} I4/mmm"
        measures.append(Measure(f"{Path(folder).name}: product", str(product.get("phase")), "", wanted_phase,
                                product.get("phase") == wanted_phase, str(product.get("reason", ""))))
    seeds = {_seed(Path(f)) for f, _ in beside}
    counts = (len(seeds), len({r["atoms"] for _, r in beside}), len({r["face"] for _, r in beside}))
    for text, count in zip(wanted, counts, strict=True):
        need = int(text.split()[0])
        measures.append(Measure(f"runs with different {text.split()[1]}", float(count), "", f">= {need}",
                                count >= need) if beside else not_run(f"runs with different {text.split()[1]}",
                                                                      f">= {need}",
                                                                      "no reaction run given"))
    controls = {"no uptake at 15 GPa or less": [r for _, r in runs if r and float(r["pressure_GPa"]) <= 15.0],
                "beside vacuum the slab stays solid": [r for _, r in runs if r and r.get("reactant") == "vacuum"],
                "bulk crystals stay solid": [r for _, r in runs if r and r.get("reactant") == "none"]}
    for name, found in controls.items():
        if not found:
            measures.append(not_run(name, "as said", "no such control run given"))
            continue
        analysis = [r.get("analysis", {}) for r in found]
        if name.startswith("no uptake"):
            most = max(float((a.get("uptake") or {}).get("last_H_per_metal", np.nan)) for a in analysis)
            measures.append(at_most(name, most, "H per metal", 2.3))
        else:
            orders = [float((a.get("layers") or {}).get("order_last", np.nan)) for a in analysis]
            measures.append(within(f"{name}: order of the metal", float(np.nanmin(orders)), "", 0.3, float("inf"),
                                   "see the run's layers figure for its calibration"))
    return Check(10, title, tuple(measures))


def _seed(folder: Path) -> str:
    """The seed in a run's settings; without one the run counts by its name."""
    try:
        return str(read_yaml(folder / "settings.yaml")["seed"])
    except (InputError, KeyError, TypeError):
        return folder.name


def _bonds(frame: Any) -> np.ndarray:
    """Lengths (m,) in A of mutual nearest pairs below `BOND_A`."""
    atoms = Atoms(frame.numbers, positions=frame.positions_A, cell=frame.cell_A, pbc=True)
    i, j, d = neighbor_list("ijd", atoms, 1.3)
    nearest = np.full(len(atoms), -1)
    length = np.full(len(atoms), np.inf)
    for a, b, r in zip(i, j, d, strict=True):
        if r < length[a]:
            nearest[a], length[a] = b, r
    one = np.arange(len(atoms))
    pair = (nearest >= 0) & (nearest[nearest] == one) & (length < BOND_A) & (one < nearest)
    return length[pair]


def _pair_distribution(frames: Sequence[Any], reach_A: float = 4.0, width_A: float = 0.01) -> tuple[np.ndarray,
                                                                                                    np.ndarray]:
    """(r, g(r)) averaged over frames, normalised by the mean density."""
    edges = np.arange(0.0, reach_A + width_A, width_A)
    total = np.zeros(len(edges) - 1)
    for frame in frames:
        atoms = Atoms(frame.numbers, positions=frame.positions_A, cell=frame.cell_A, pbc=True)
        d = neighbor_list("d", atoms, reach_A)
        n, volume = len(atoms), atoms.get_volume()
        shell = 4.0 / 3.0 * np.pi * np.diff(edges**3)
        total += np.histogram(d, edges)[0] / (n * (n / volume) * shell)
    return 0.5 * (edges[1:] + edges[:-1]), total / len(frames)
