"""Cool the end of a reaction run at its pressure and measure the metal lattice of the product: bct with which c/a?

    python cool.py RUN --out cooled [--to 200] [--time 15]

RUN is a folder of 'megabar react'. All three axes move freely. The metal positions are averaged over the last
twentieth; neighbour vectors below 4.6 A are gathered into the lattice's own, of which spglib makes the standard cell.
Typed again it only measures.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import spglib
from ase import Atoms

from megabar.campaign.files import read_yaml
from megabar.dynamics import protocols
from megabar.dynamics.guards import Guards, frame_atoms
from megabar.dynamics.lammps import PairStyle
from megabar.dynamics.stage import Stage, run_stage
from megabar.dynamics.trajectory import read_trajectory
from megabar.potential.library import load
from megabar.units import parse_pressure_GPa, parse_temperature_K

BAR_PER_GPA = 1e4
NEAR_A, SAME_A = 4.6, 0.6


def cool(run: Path, out: Path, last_K: float, time_ps: float) -> None:
    settings = read_yaml(run / "settings.yaml")
    pressure, first_K = parse_pressure_GPa(settings["pressure"]), parse_temperature_K(settings["temperature"])
    *_, last = read_trajectory(run / "reaction" / "trajectory.dump")
    atoms: Atoms = frame_atoms(last)
    potential = load(run if (run / "nep.txt").is_file() else settings["potential"])
    p = pressure * BAR_PER_GPA
    steps = int(round(time_ps * 2000.0))
    run_stage(Stage(
        atoms=Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True),
        pair=PairStyle.nep(potential.nep_path, potential.elements),
        ensemble=[f"fix move all npt temp {first_K} {last_K} 0.1 aniso {p} {p} 1.0"],
        prepare=protocols.velocities(first_K, 3), steps=steps, timestep_fs=0.5, dump_every=400, checkpoint_every=steps,
        guards=Guards(temperature_max_K=3.0 * first_K, volume_change=0.6)), out)


def lattice(trajectory: Path) -> tuple[str, np.ndarray, float]:
    """Space group of the metal lattice, its standard cell (3, 3) in A, and the share of metals that have it."""
    frames = [frame_atoms(frame) for frame in read_trajectory(trajectory)]
    frames = frames[-max(2, len(frames) // 20):]
    metal = frames[0].numbers != 1
    first = frames[0].get_scaled_positions()[metal]
    moved = [f.get_scaled_positions()[metal] - first for f in frames]
    places = first + np.mean([m - np.round(m) for m in moved], axis=0)
    cell = np.mean([f.cell[:] for f in frames], axis=0)
    apart = places[:, None] - places[None]
    vectors = (apart - np.round(apart)) @ cell
    near = vectors[(np.linalg.norm(vectors, axis=-1) > 0.1) & (np.linalg.norm(vectors, axis=-1) < NEAR_A)]
    gathered: list[tuple[np.ndarray, int]] = []
    for vector in near:
        for k, (total, count) in enumerate(gathered):
            if np.linalg.norm(vector - total / count) < SAME_A:
                gathered[k] = (total + vector, count + 1)
                break
        else:
            gathered.append((vector.copy(), 1))
    common = sorted(gathered, key=lambda pair: -pair[1])[:14]
    cells = [(sum(count for _, count in three), np.array([total / count for total, count in three]))
             for three in combinations(common, 3)]
    volume = abs(np.linalg.det(cell)) / metal.sum()
    # Primitive: the smallest cells that three common vectors span, and of these the commonest.
    spanned = [(count, basis) for count, basis in cells if 0.4 * volume < abs(np.linalg.det(basis)) < 1.3 * volume]
    count, basis = max(spanned, key=lambda pair: pair[0])
    found = spglib.get_symmetry_dataset((basis, [[0.0, 0.0, 0.0]], [1]), symprec=0.2)
    if found is None:
        raise SystemExit(f"{trajectory}: the metals have no lattice")
    return found.international, found.std_lattice, count / 3.0 / metal.sum()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("cooled"))
    parser.add_argument("--to", type=float, default=200.0, help="last temperature, K")
    parser.add_argument("--time", type=float, default=15.0, help="ps")
    given = parser.parse_args()
    if not (given.out / "done.json").is_file():
        cool(given.run, given.out, given.to, given.time)
    for name, folder in (("before", given.run / "reaction"), ("after", given.out)):
        group, standard, share = lattice(folder / "trajectory.dump")
        a, c = np.linalg.norm(standard[0]), np.linalg.norm(standard[2])
        print(f"{name}: metals {group}, a {a:.3f} A, c {c:.3f} A, c/a {c / a:.3f}, {share:.0%} of the metals")


if __name__ == "__main__":
    main()
