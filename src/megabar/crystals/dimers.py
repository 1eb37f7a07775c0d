"""Pairs in a box: the repulsive wall and the bond, from contact to beyond the cutoff."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from megabar.crystals.packing import relative_size


def dimer(a: str, b: str, distance_A: float, box_A: float = 6.0) -> Atoms:
    """Atoms `a` and `b` at `distance_A` along the body diagonal of a periodic cubic box of `box_A`.

    The box is periodic because the reference level is: the potential sees the same images as DFT.
    """
    direction = np.ones(3) / np.sqrt(3.0)
    centre = np.full(3, box_A / 2.0)
    positions = [centre - direction * distance_A / 2.0, centre + direction * distance_A / 2.0]
    return Atoms([a, b], positions=positions, cell=[box_A] * 3, pbc=True)


def wall_distances_A(a: str, b: str, count: int) -> np.ndarray:
    """Distances in A for `count` dimers, denser towards contact; H-H never below 0.5 A, where PAW spheres overlap, and
    from 1.1 A (H-Ca) or 1.9 A (Ca-Ca) for calcium, other metals by their size."""
    metals = [atomic_numbers[s] for s in (a, b) if s != "H"]
    first = (0.50, 1.1, 1.9)[len(metals)]
    if metals:
        first *= max(relative_size(number, len(metals) == 1) for number in metals)
    return first + (4.5 - first) * np.linspace(0.0, 1.0, count) ** 1.7
