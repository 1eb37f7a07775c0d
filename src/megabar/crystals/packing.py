"""Random packings that keep every pair at its minimum distance: random cells, melts and fluid hydrogen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from megabar.crystals.volumes import HYDROGEN_MOLECULE, hydride_volume_A3
from megabar.errors import InputError

_PACKING_LIMIT = 0.60
"""Random sequential close packing ends near 0.64 of the volume; beyond 0.60 the search is hopeless."""

_HOLE_LIMIT = 1.5
"""Spheres on the thinnest lattice that covers space, bcc, hold 1.46 times its volume (Bambah, Proc. Natl. Inst. Sci.
India 20, 25 (1954)): larger holes around evenly spread metal atoms leave hydrogen no place."""

MIN_DISTANCES_A = {"H-H": 0.74, "H-M": 1.6, "M-M": 2.1}
"""Default minimum distances of random cells: the H2 bond, and for M calcium's contacts near 200 GPa."""


def relative_size(number: int, with_hydrogen: bool) -> float:
    """Contact of metal `number` with hydrogen, or with its own kind, against calcium's: covalent radii (Cordero et al.
    2008, 10.1039/b801115j)."""
    hydrogen = covalent_radii[1] if with_hydrogen else 0.0
    return float((covalent_radii[number] + hydrogen) / (covalent_radii[20] + hydrogen))


def minimum_distances_A(numbers: np.ndarray, minima: Mapping[str, float]) -> dict[str, float]:
    """Minimum distances by pair: `minima` where given, else the defaults, those of M for the size of the largest metal
    among `numbers`."""
    table = dict(MIN_DISTANCES_A)
    metals = numbers[numbers != 1]
    if len(metals):
        largest = max(map(int, metals), key=lambda number: covalent_radii[number])
        table["H-M"] *= relative_size(largest, True)
        table["M-M"] *= relative_size(largest, False)
    return {**table, **minima}


def pair_minimum_A(numbers: np.ndarray, minima: Mapping[str, float]) -> np.ndarray:
    """(n, n) minimum distances in A for atoms with `numbers`; every element but hydrogen counts as the metal M."""
    kinds = np.where(numbers == 1, "H", "M")
    table = minimum_distances_A(numbers, minima)
    return np.array([[table["-".join(sorted((a, b)))] for b in kinds] for a in kinds])


def check_packing(numbers: np.ndarray, volume_A3: float, minima: Mapping[str, float]) -> None:
    """Raise InputError at once when no arrangement in `volume_A3` can keep the minima, naming the worst of them."""
    table = minimum_distances_A(numbers, minima)
    metals, hydrogens = int(np.sum(numbers != 1)), int(np.sum(numbers == 1))
    shares = {"M-M": metals * np.pi / 6.0 * table["M-M"] ** 3 / volume_A3,
              "H-H": hydrogens * np.pi / 6.0 * table["H-H"] ** 3 / volume_A3}
    if sum(shares.values()) > _PACKING_LIMIT:
        worst = max(shares, key=lambda pair: shares[pair])
        raise InputError(
            f"minimum distances fill {sum(shares.values()):.0%} of {volume_A3:.1f} A^3 (limit {_PACKING_LIMIT:.0%}): "
            f"lower min_distance_A {worst} or the pressure"
        )
    # Around every metal a sphere without hydrogen. They overlap only as far as metals come closer than twice the
    # minimum, so with metals spread evenly the hydrogen has what is left; nothing left is hopeless.
    if metals and hydrogens:
        hole = 4.0 / 3.0 * np.pi * table["H-M"] ** 3
        if hole > volume_A3 / metals * _HOLE_LIMIT:
            raise InputError(
                f"H-M minimum of {table['H-M']:g} A clears {hole:.1f} A^3 around each of {metals} metal atoms in "
                f"{volume_A3:.1f} A^3: lower min_distance_A H-M or the pressure"
            )


def separate(atoms: Atoms, minima: np.ndarray, steps: int = 300) -> bool:
    """Push overlapping atoms apart in place until no pair is below 0.97 of its minimum; True when that was reached."""
    cutoff = float(minima.max())
    for _ in range(steps):
        i, j, distance, vector = neighbor_list("ijdD", atoms, cutoff)
        overlap = minima[i, j] - distance
        touching = overlap > 0
        if not np.any(overlap > 0.03 * minima[i, j]):
            return True
        i, vector, distance, overlap = i[touching], vector[touching], distance[touching], overlap[touching]
        push = np.zeros((len(atoms), 3))
        np.add.at(push, i, -0.3 * (overlap / np.maximum(distance, 1e-3))[:, None] * vector)
        atoms.positions += push
    return False


def random_cell_vectors(volume_A3: float, rng: np.random.Generator) -> np.ndarray:
    """(3, 3) random cell of `volume_A3`: edges within a factor 1.8 of each other, angles of 60 to 120 degrees."""
    from ase.geometry import cellpar_to_cell

    while True:
        lengths = rng.uniform(0.7, 1.25, 3)
        angles = rng.uniform(60.0, 120.0, 3)
        cell = cellpar_to_cell([*lengths, *angles])
        scaled = abs(np.linalg.det(cell))
        if scaled > 0.5 * lengths.prod():
            return cell * (volume_A3 / scaled) ** (1.0 / 3.0)


def random_volume_A3(metal: str, n_metal: int, n_hydrogen: int, pressure_GPa: float) -> float:
    """Starting volume of a random cell, A^3: a hydride's of that content, or fluid hydrogen's."""
    if n_metal:
        return n_metal * hydride_volume_A3(metal, n_hydrogen / n_metal, pressure_GPa)
    return HYDROGEN_MOLECULE.volume_A3(pressure_GPa) * n_hydrogen / 2.0


def random_hydride(metal: str, n_metal: int, n_hydrogen: int, pressure_GPa: float, rng: np.random.Generator,
                   minima: Mapping[str, float] | None = None, volume_scale: float = 1.0,
                   cubic: bool = False, h2_share: float = 0.0) -> Atoms:
    """Random cell of n_metal M and n_hydrogen H near `pressure_GPa`.

    `h2_share` of the hydrogen comes as H2 molecules (0.70-0.85 A); the rest keeps 1.1 A or the minimum given.
    Raises InputError when the minimum distances cannot be packed.
    """
    minima = dict(minima or {})
    n_molecules = int(h2_share * n_hydrogen / 2.0 + 1e-9)
    numbers = np.array([_number(metal)] * n_metal + [1] * n_hydrogen)
    volume = random_volume_A3(metal, n_metal, n_hydrogen, pressure_GPa) * volume_scale
    check_packing(numbers, volume, minima)
    for _ in range(10):
        cell = np.eye(3) * volume ** (1.0 / 3.0) if cubic else random_cell_vectors(volume, rng)
        atoms = Atoms(numbers, cell=cell, scaled_positions=rng.random((len(numbers), 3)), pbc=True)
        if n_molecules == 0:
            if separate(atoms, pair_minimum_A(numbers, minima)):
                return atoms
        else:
            packed = _pack_with_molecules(atoms, n_molecules, rng, minima)
            if packed is not None:
                return packed
    raise InputError(
        f"no packing of {n_metal} {metal} and {n_hydrogen} H found in {volume:.1f} A^3 with minimum distances "
        f"{ {pair: round(d, 2) for pair, d in minimum_distances_A(numbers, minima).items()} }: lower them or the "
        "pressure"
    )


def _pack_with_molecules(atoms: Atoms, n_molecules: int, rng: np.random.Generator,
                         minima: Mapping[str, float]) -> Atoms | None:
    """Pack molecules as single spheres first, then give each a bond and an orientation that touches nobody."""
    n_metal = int(np.sum(atoms.numbers != 1))
    n_single = len(atoms) - n_metal - 2 * n_molecules
    kinds = np.array(["M"] * n_metal + ["H"] * n_single + ["H2"] * n_molecules)
    between = 1.15  # closest H...H of different molecules in A at 100-200 GPa
    contacts = minimum_distances_A(atoms.numbers, minima)
    h_m, m_m = contacts["H-M"], contacts["M-M"]
    table = {("M", "M"): m_m, ("H", "M"): h_m, ("H", "H"): 1.1, ("H", "H2"): between + 0.25, ("H2", "M"): h_m + 0.15,
             ("H2", "H2"): between + 0.45}
    sites = Atoms(np.where(kinds == "M", atoms.numbers[0], 1), cell=atoms.cell, pbc=True,
                  scaled_positions=rng.random((len(kinds), 3)))
    limits = np.array([[table[min(a, b), max(a, b)] for b in kinds] for a in kinds])
    if not separate(sites, limits):
        return None
    singles = sites[: n_metal + n_single]
    positions = [*singles.positions]
    for centre in sites.positions[n_metal + n_single:]:
        direction = rng.normal(size=3)
        half = rng.uniform(0.70, 0.85) / 2.0 * direction / np.linalg.norm(direction)
        positions += [centre - half, centre + half]
    packed = Atoms(atoms.numbers, positions=positions, cell=atoms.cell, pbc=True)
    limit = pair_minimum_A(packed.numbers, {**minima, "H-H": 0.95})
    for m in range(n_molecules):  # a bond may be short
        a = n_metal + n_single + 2 * m
        limit[a, a + 1] = limit[a + 1, a] = 0.0
    return packed if separate(packed, limit, steps=150) and _shortest(packed) > 0.6 else None


def _shortest(atoms: Atoms) -> float:
    distances = neighbor_list("d", atoms, 1.5)
    return float(distances.min()) if len(distances) else 1.5


def _number(symbol: str) -> int:
    from ase.data import atomic_numbers

    return atomic_numbers[symbol]
