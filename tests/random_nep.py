"""Random NEP4 models and random Ca-H cells for the tests: seeded, and of the size that a trained model has."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from megabar.potential.nep import NEPModel


def random_model(seed: int = 0, *, elements=("H", "Ca"), cutoffs=((5.0, 4.0),), n_max=(6, 5), basis=(8, 7), l_max=4,
                 q222=True, q1111=True, zbl=None, neurons=12) -> NEPModel:
    """Energies of an eV an atom and forces of a few eV/A: weights of order one on descriptors scaled to order one."""
    rng = np.random.default_rng(seed)
    types = len(elements)
    dim = n_max[0] + 1 + (n_max[1] + 1) * (l_max + int(q222) + int(q1111))
    cutoffs = np.broadcast_to(cutoffs, (types, 2))
    shape = (n_max[1] + 1, basis[1] + 1, types, types) if l_max else (0, 0, types, types)
    # q222 and q1111 are of third and fourth order in the moments, so they span more and are scaled down more.
    powers = [1.0] * (n_max[0] + 1) + [1.0] * ((n_max[1] + 1) * l_max)
    powers += [0.3] * ((n_max[1] + 1) * int(q222)) + [0.1] * ((n_max[1] + 1) * int(q1111))
    return NEPModel(
        elements=tuple(elements), cutoff_radial_A=cutoffs[:, 0], cutoff_angular_A=cutoffs[:, 1], n_max=n_max,
        basis_size=basis, l_max=l_max, has_q222=q222, has_q1111=q1111,
        w0=rng.normal(0, 0.5, (types, neurons, dim)), b0=rng.normal(0, 0.5, (types, neurons)),
        w1=rng.normal(0, 0.3, (types, neurons)), b1=0.7,
        c_radial=rng.normal(0, 0.3, (n_max[0] + 1, basis[0] + 1, types, types)), c_angular=rng.normal(0, 0.3, shape),
        q_scaler=np.array(powers) * rng.uniform(0.1, 0.3, dim), zbl_A=zbl)


def random_cell(seed: int, *, atoms: int | None = None, elements=("H", "Ca"), density=0.17, shortest=0.7) -> Atoms:
    """A skewed cell of 1-20 atoms at the atom density of CaH4 under pressure, no two closer than `shortest` A.

    The first element is four times as frequent as each of the others.
    """
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 21)) if atoms is None else atoms
    while True:
        cell = np.eye(3) + rng.uniform(-0.35, 0.35, (3, 3))
        cell *= (count / density / abs(np.linalg.det(cell))) ** (1 / 3)
        symbols = rng.choice([*[elements[0]] * 3, *elements], count)
        cells = Atoms(symbols, scaled_positions=rng.uniform(0, 1, (count, 3)), cell=cell, pbc=True)
        # Random points almost always hold a close pair; push pairs apart a little instead of drawing for ever.
        for _ in range(200):
            i, d, v = neighbor_list("idD", cells, shortest)
            if not len(d):
                return cells
            move = np.zeros((count, 3))
            np.add.at(move, i, -0.6 * (shortest - d)[:, None] * v / np.maximum(d, 1e-3)[:, None])
            cells.positions += move
