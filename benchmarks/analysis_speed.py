"""Speed of the reaction analysis in atom-frames per second on one core, and its memory.

Run with `OMP_NUM_THREADS=1 python benchmarks/analysis_speed.py [--frames 100]`. Processor time is measured; a slab of
CaH2 in H2 vibrates, one frame each 0.02 ps, with or without the reading of a LAMMPS dump. The share that a plain k-d
tree search for the same H-H pairs would need alone is shown beside it. Memory is what is held after all frames have
gone through (the largest that Python has allocated between, without reading).
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from megabar.dynamics.trajectory import read_trajectory
from megabar.reaction.analysis import Analyser
from megabar.reaction.templates import distances
from megabar.testing.trajectories import hydride_slab, thermal

SIZES = ((4, 120), (6, 400), (9, 900), (12, 1600))
"""Cells along each in-plane axis of an 8-layer slab, and molecules of H2."""


def write_dump(path: Path, frames) -> None:
    with path.open("w") as handle:
        for step, frame in enumerate(frames):
            cell = frame.cell_A
            xy = cell[1, 0]
            handle.write(f"ITEM: UNITS\nmetal\nITEM: TIME\n{frame.time_ps}\nITEM: TIMESTEP\n{step}\n"
                         f"ITEM: NUMBER OF ATOMS\n{len(frame.numbers)}\nITEM: BOX BOUNDS xy xz yz pp pp pp\n"
                         f"{min(0.0, xy)} {cell[0, 0] + max(0.0, xy)} {xy}\n0.0 {cell[1, 1]} 0.0\n"
                         f"0.0 {cell[2, 2]} 0.0\nITEM: ATOMS id element x y z\n")
            for k, (z, (a, b, c)) in enumerate(zip(frame.numbers, frame.positions_A, strict=True)):
                handle.write(f"{k + 1:7d} {'H ' if z == 1 else 'Ca'} {a:12.5f} {b:12.5f} {c:12.5f}\n")


def seconds(frames) -> float:
    analyser = Analyser()
    start = time.process_time()
    for frame in frames:
        analyser.push(frame)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100)
    count = parser.parse_args().frames
    distances(np.zeros((1, 10)))  # builds the templates once
    print(f"{'atoms':>7} {'analysis':>12} {'with reading':>14} {'k-d tree alone':>15} {'memory':>9}"
          "   (atom-frames/s, MB)")
    for wide, molecules in SIZES:
        slab = hydride_slab(8, wide, molecules)
        frames = list(thermal(slab, count, 0.02, amplitude_A=0.2, memory_ps=0.1))
        work = len(slab) * len(frames)
        analysis = min(seconds(frames) for _ in range(3))
        with tempfile.TemporaryDirectory() as folder:
            write_dump(Path(folder) / "run.dump", frames)
            reading = min(seconds(read_trajectory(Path(folder) / "run.dump")) for _ in range(2))
        hydrogen = slab.numbers == 1
        box = np.diag(frames[0].cell_A)  # orthorhombic stand-in: a k-d tree knows no other periodic cell
        start = time.process_time()
        for frame in frames[:20]:
            cKDTree(np.mod(frame.positions_A[hydrogen], box), boxsize=box).query_pairs(1.2, output_type="ndarray")
        tree = (time.process_time() - start) / 20 * len(frames)
        tracemalloc.start()
        seconds(frames)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"{len(slab):7d} {work / analysis:12.3g} {work / reading:14.3g} {work / tree:15.3g} {peak / 1e6:9.1f}")


if __name__ == "__main__":
    main()
