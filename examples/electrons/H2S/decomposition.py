"""3 H2S -> 2 H3S + S under pressure, static PBE by Quantum ESPRESSO.

    python decomposition.py --out H2S --pressure 200,150,100 [--only S]

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
from megabar.superconductivity.qe_enthalpy import reaction_enthalpies
from megabar.units import parse_pressures_GPa


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("H2S"))
    parser.add_argument("--pressure", default="200,150,100 GPa")
    parser.add_argument("--only", help="S, H3S or H2S")
    given = parser.parse_args()
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
