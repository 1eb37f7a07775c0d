"""3 H2S -> 2 H3S + S under pressure, static PBE by Quantum ESPRESSO.

    python decomposition.py --out H2S --pressure 200,150,100 [--only S]
    python decomposition.py --out H2S --quick      # 170 GPa from the published cells, two minutes of processor time

Type it again and it goes on. `--only` computes the phases of one formula. Where the cells come from:

- H2S P-1 (90 GPa) and Cmca (170 GPa): Li et al., J. Chem. Phys. 140, 174712 (2014), doi:10.1063/1.4874158, with the
  parameters as tabulated in Hicks et al., Comput. Mater. Sci. 161, S1 (2019), doi:10.1016/j.commatsci.2018.10.043
  (A2B_aP6_2_aei_i and A2B_oC24_64_2f_f);
- H3S Im-3m (a = 2.984 A at 200 GPa) and R3m (its hydrogens moved off the middle of S-S): Duan et al., Sci. Rep. 4, 6968
  (2014), doi:10.1038/srep06968;
- S beta-Po (S-V, above 162 GPa): Luo, Greene and Ruoff, Phys. Rev. Lett. 71, 2943 (1993),
  doi:10.1103/PhysRevLett.71.2943; bcc for comparison. Below 162 GPa sulfur is S-IV, modulated, a few 10 meV lower than
  beta-Po at 100 GPa at most: the products are that much better there than the number says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal

from megabar.campaign.tasks import Store
from megabar.superconductivity import qe_tasks
from megabar.superconductivity.qe_enthalpy import mesh, reaction_enthalpies
from megabar.superconductivity.qe_input import pw_input, run_program, standard_primitive
from megabar.superconductivity.qe_read import read_state
from megabar.units import EV_PER_A3_IN_GPA, parse_pressures_GPa


def cells() -> dict[str, tuple[str, Atoms]]:
    a = 2.7804
    triclinic = crystal(["H", "H", "H", "S"], [(0, 0, 0), (0.5, 0.5, 0), (0.259, 0.415, 0.663), (0.192, 0.183, 0.255)],
                        spacegroup=2, cellpar=[a, 1.00438785786 * a, 1.53100273342 * a, 78.28, 76.53, 70.42])
    a = 2.9986
    orthorhombic = crystal(["H", "H", "S"], [(0, 0.372, 0.27), (0, 0.6, 0.092), (0, 0.371, 0.615)], spacegroup=64,
                           cellpar=[a, 1.44314013206 * a, 2.534682852 * a, 90, 90, 90])
    bcc = 0.5 * np.ones((3, 3)) - np.eye(3)
    # Fractional in that cell: the middles of the cubic edges, and the same moved along the edge.
    off, cubic = 0.04, 3.05 * bcc
    edges = np.linalg.solve(bcc.T, (0.5 + off) * np.eye(3)).T
    trigonal = Atoms("SH3", cell=cubic, scaled_positions=np.vstack([np.zeros(3), edges]), pbc=True)
    im3m = Atoms("SH3", cell=2.984 * bcc, scaled_positions=[[0, 0, 0], [.5, .5, 0], [.5, 0, .5], [0, .5, .5]], pbc=True)
    polonium = Atoms("S", cell=[2.15, 2.15, 2.15, 103.0, 103.0, 103.0], positions=[[0, 0, 0]], pbc=True)
    return {"S beta-Po": ("S", polonium), "S bcc": ("S", Atoms("S", cell=2.55 * bcc, positions=[[0, 0, 0]], pbc=True)),
            "H3S Im-3m": ("H3S", im3m), "H3S R3m": ("H3S", trigonal), "H2S P-1": ("H2S", triclinic),
            "H2S Cmca": ("H2S", orthorhombic)}


def quick(out: Path, target_GPa: float = 170.0) -> float:
    """Reaction enthalpy in eV near the pressure of the published Cmca cell: it and H3S as published, S relaxed.

    H(P) = E + P V - (P - P0)^2 V / 2K, with P0 the pressure of the cell and K = 680 GPa (H3S between 178 and 202 GPa).
    60 Ry, k-spacing 0.45 1/A, H2S not relaxed: 0.1 eV more negative than with relaxed cells (nine atoms).
    """
    bcc = 0.5 * np.ones((3, 3)) - np.eye(3)
    h3s = Atoms("SH3", cell=3.02 * bcc, scaled_positions=[[0, 0, 0], [.5, .5, 0], [.5, 0, .5], [0, .5, .5]], pbc=True)
    common = {"cutoff_Ry": 60.0, "smearing_Ry": 0.02, "functional": "PBE"}
    total = 0.0
    for count, name, atoms in ((-3, "H2S-Cmca", cells()["H2S Cmca"][1]), (2, "H3S-Im-3m", h3s),
                               (1, "S-beta-Po", cells()["S beta-Po"][1])):
        folder = out / "quick" / name
        folder.mkdir(parents=True, exist_ok=True)
        cell = standard_primitive(atoms)
        if name.startswith("S-"):
            inputs = qe_tasks.cell_inputs(cell) | common | {
                "k_mesh": mesh(cell, 0.45), "pressure_GPa": target_GPa, "tolerance_GPa": 2.0}
            found = qe_tasks.relax(inputs, folder)
            energy, volume, pressure = found["energy_eV"], found["volume_A3"], found["pressure_GPa"]
        else:
            run_program("pw.x", pw_input(cell, calculation="scf", k_mesh=mesh(cell, 0.45), **common), folder, "scf")
            state = read_state(folder / "out" / "x.save" / "data-file-schema.xml")
            units = cell.symbols.formula.reduce()[1]
            energy, volume, pressure = state.energy_eV / units, cell.get_volume() / units, state.pressure_GPa
        off = target_GPa - pressure
        enthalpy = energy + (target_GPa - off**2 / (2.0 * 680.0)) * volume / EV_PER_A3_IN_GPA
        print(f"{name}: {volume:.3f} A3, {pressure:.1f} GPa, H({target_GPa:g} GPa) = {enthalpy:.4f} eV", flush=True)
        total += count * enthalpy
    print(f"{target_GPa:g} GPa: {1e3 * total:+.0f} meV")
    return total


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("H2S"))
    parser.add_argument("--pressure", default="200,150,100 GPa")
    parser.add_argument("--only", help="S, H3S or H2S")
    parser.add_argument("--quick", action="store_true", help="170 GPa from the published cells")
    given = parser.parse_args()
    if given.quick:
        quick(given.out)
        return
    phases = {name: pair for name, pair in cells().items() if given.only in (None, pair[0])}
    counts = {"H2S": -3, "H3S": 2, "S": 1}
    if given.only:
        counts = {given.only: 1}
    result = reaction_enthalpies("3 H2S -> 2 H3S + S", counts, phases, parse_pressures_GPa(given.pressure),
                                 Store(given.out / "tasks"), lambda line: print(line, flush=True))
    if not given.only:
        result.save(given.out)
        rows = zip(result.pressures_GPa, result.reaction_eV, *result.best.values(), strict=True)
        for pressure, value, *names in rows:
            print(f"{pressure:g} GPa: {1e3 * value:+.0f} meV ({', '.join(names)})")


if __name__ == "__main__":
    main()
