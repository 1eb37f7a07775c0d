"""Fourier interpolation of force constants and electron-phonon matrices from the q-mesh of ph.x to any q.

Both are short-ranged in real space. Phases go with lattice vectors, as in Quantum ESPRESSO:
M_ab(q) = sum_R M(a in cell R, b in cell 0) exp(-2 pi i q.R); of the images of R in the supercell of the mesh, the
nearest to the pair are taken, in equal parts (Wigner-Seitz). matdyn.x gives the same numbers (a test, with four atoms).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms

from megabar.errors import RunError
from megabar.superconductivity.qe_coupling import AMU_RY
from megabar.superconductivity.qe_read import Coupling, Matrices
from megabar.superconductivity.spectrum import KELVIN_PER, Spectrum

TIE_A = 1e-4
SPREAD = 0.015
"""Half width of the triangles of alpha2F, in highest frequencies: what a mesh of 36^3 needs to look smooth."""


@dataclass(frozen=True)
class RealSpace:
    """Matrices in real space: lattice vectors (n, 3) in units of the cell, `blocks` (n, 3N, 3N), weights included."""

    vectors: np.ndarray
    blocks: np.ndarray

    def at(self, q: np.ndarray) -> np.ndarray:
        """Hermitian matrices (m, 3N, 3N) at fractional `q` (m, 3)."""
        phase = np.exp(-2j * np.pi * (np.atleast_2d(q) @ self.vectors.T))
        result = np.tensordot(phase, self.blocks, axes=1)
        return 0.5 * (result + np.conj(np.swapaxes(result, -1, -2)))


def full_mesh(stars: Sequence[Matrices], atoms: Atoms, mesh: Sequence[int]) -> np.ndarray:
    """Matrices on the whole mesh (n1, n2, n3, 3N, 3N) from those of its stars; RunError when a point lacks."""
    size = 3 * len(atoms)
    full = np.full((*mesh, size, size), np.nan + 0j)
    for star in stars:
        steps = star.q @ atoms.cell[:].T * np.asarray(mesh)
        index = np.rint(steps).astype(int)
        if np.abs(steps - index).max() > 1e-3:
            raise RunError("a q-point of ph.x is not on the mesh: the cell or the mesh is not the one it ran with")
        for point, matrix in zip(index % np.asarray(mesh), star.matrix, strict=True):
            full[tuple(point)] = matrix
            # ph.x leaves out -q where inversion makes it a copy of q.
            opposite = tuple(-point % np.asarray(mesh))
            if np.isnan(full[opposite]).any():
                full[opposite] = matrix.conj()
    if np.isnan(full).any():
        raise RunError("the stars of ph.x do not fill the q-mesh: a task of it is missing")
    return full


def real_space(full: np.ndarray, atoms: Atoms) -> RealSpace:
    """Fourier transform of `full` (n1, n2, n3, 3N, 3N) with each pair's Wigner-Seitz images."""
    mesh = full.shape[:3]
    count = len(atoms)
    raw = np.fft.ifftn(full, axes=(0, 1, 2))
    # exp(-2 pi i q.R) forwards is NumPy's fft, so ifftn gives the matrices at R.
    cell, positions = atoms.cell[:], atoms.positions
    collected: dict[tuple[int, int, int], np.ndarray] = {}
    for base in product(*(range(n) for n in mesh)):
        images = np.array([[b + n * s for b, n, s in zip(base, mesh, shift, strict=True)]
                           for shift in product((-2, -1, 0, 1), repeat=3)])
        for a in range(count):
            for b in range(count):
                distance = np.linalg.norm(images @ cell + positions[a] - positions[b], axis=1)
                near = images[distance < distance.min() + TIE_A]
                block = raw[base][3 * a:3 * a + 3, 3 * b:3 * b + 3].real / len(near)
                for vector in near:
                    matrix = collected.setdefault(tuple(vector), np.zeros((3 * count, 3 * count)))
                    matrix[3 * a:3 * a + 3, 3 * b:3 * b + 3] += block
    return RealSpace(np.array(list(collected)), np.array(list(collected.values())))


def acoustic_force_constants(full: np.ndarray) -> np.ndarray:
    """`full` with the acoustic sum rule: what a uniform translation costs is taken from the self-terms."""
    count = full.shape[-1] // 3
    gamma = full[0, 0, 0].real
    result = full.copy()
    for a in range(count):
        rows = slice(3 * a, 3 * a + 3)
        excess = sum(gamma[rows, 3 * b:3 * b + 3] for b in range(count))
        result[..., rows, rows] -= 0.5 * (excess + excess.T)
    return result


def acoustic_coupling(full: np.ndarray) -> np.ndarray:
    """`full` with uniform translations projected out at Gamma: the mean force on an electron in a stationary state is
    zero, so they do not scatter. Without this lambda of the longest waves would diverge as 1/omega^2. The other points
    keep what was computed there; matdyn.x instead mends the self-terms of all of them by what Gamma lacks."""
    size = full.shape[-1]
    translations = np.tile(np.eye(3), (size // 3, 1)) / np.sqrt(size // 3)
    projector = np.eye(size) - translations @ translations.T
    result = full.copy()
    result[0, 0, 0] = projector @ full[0, 0, 0] @ projector
    return result


@dataclass(frozen=True)
class Interpolation:
    """Force constants and, per broadening, electron-phonon matrices of a crystal, ready for any q and any masses."""

    atoms: Atoms
    mesh: tuple[int, int, int]
    force_constants: RealSpace
    couplings: tuple[RealSpace, ...]
    dos_per_spin_Ry: tuple[float, ...]

    @classmethod
    def build(cls, atoms: Atoms, mesh: Sequence[int], dynamical: Sequence[Matrices],
              couplings: Sequence[Sequence[Coupling]]) -> Interpolation:
        """From the stars of ph.x: `dynamical[star]`, `couplings[star][broadening]`."""
        forces = acoustic_force_constants(full_mesh(dynamical, atoms, mesh))
        number = len(couplings[0])
        parts = [acoustic_coupling(full_mesh([star[i].star for star in couplings], atoms, mesh))
                 for i in range(number)]
        return cls(atoms, (mesh[0], mesh[1], mesh[2]), real_space(forces, atoms),
                   tuple(real_space(part, atoms) for part in parts),
                   tuple(one.dos_per_spin_Ry for one in couplings[0]))

    def modes(self, q: np.ndarray, masses_amu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """omega (m, modes) in K, imaginary ones negative, and displacements (m, 3N, modes) = M^(-1/2) e."""
        root = 1.0 / np.sqrt(np.repeat(np.asarray(masses_amu) * AMU_RY, 3))
        squares, vectors = np.linalg.eigh(self.force_constants.at(q) * np.outer(root, root))
        omega = np.sign(squares) * np.sqrt(np.abs(squares)) * KELVIN_PER["Ry"]
        return omega, vectors * root[None, :, None]

    def fine(self, mesh: Sequence[int], masses_amu: np.ndarray) -> FineModes:
        """Modes and lambda on the irreducible points of a fine mesh, shifted off Gamma."""
        q, weights = irreducible_mesh(self.atoms, mesh)
        omega, shapes = self.modes(q, masses_amu)
        squares = (omega / KELVIN_PER["Ry"]) ** 2
        coupling = np.zeros((len(self.couplings), *omega.shape))
        for i, (matrix, dos) in enumerate(zip(self.couplings, self.dos_per_spin_Ry, strict=True)):
            # Along the modes of each q: u' G u.
            width = np.einsum("mij,mik,mkj->mj", shapes.conj(), matrix.at(q), shapes, optimize=True).real
            coupling[i] = np.where(omega > 0.0, width / (2.0 * dos * np.maximum(squares, 1e-30)), 0.0)
        return FineModes(q, weights, omega, coupling)


def irreducible_mesh(atoms: Atoms, mesh: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Fractional q (m, 3) and weights (m,) of a mesh moved by half a step, so that Gamma is not on it.

    A shift may break the symmetry of the mesh (fcc, hexagonal); spglib then keeps fewer operations, which costs time
    and nothing else.
    """
    import spglib

    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.get_ir_reciprocal_mesh(list(mesh), cell, is_shift=[1, 1, 1], symprec=1e-5)
    if found is None:
        raise RunError("spglib finds no symmetry in the cell; mend it")
    mapping, grid = found
    unique, counts = np.unique(mapping, return_counts=True)
    return (grid[unique] + 0.5) / np.asarray(mesh), counts / counts.sum()


@dataclass(frozen=True)
class FineModes:
    """`q` (m, 3) fractional, `weights` (m,) of sum one, `omega_K` (m, modes), `coupling` (broadenings, m, modes)."""

    q: np.ndarray
    weights: np.ndarray
    omega_K: np.ndarray
    coupling: np.ndarray

    @property
    def imaginary_share(self) -> float:
        """Share of the modes that the interpolation makes imaginary; they are left out of alpha2F."""
        return float(np.sum(self.weights[:, None] * (self.omega_K < 0.0)) / self.omega_K.shape[1])

    def spectrum(self, broadening: int) -> Spectrum:
        """alpha2F as delta peaks, one for each mode."""
        omega = self.omega_K.ravel()
        coupling = (self.weights[:, None] * self.coupling[broadening]).ravel()
        keep = omega > 0.0
        order = np.argsort(omega[keep], kind="stable")
        nodes = omega[keep][order]
        return Spectrum(nodes, 0.5 * (coupling[keep] * omega[keep])[order], float(nodes.max()))

    def curve(self, broadening: int, points: int = 200) -> tuple[np.ndarray, np.ndarray]:
        """alpha2F on an even grid of frequencies in K, from zero to above the highest mode: (points,), (points,).

        Each mode's lambda is spread over a triangle of `SPREAD` of the highest frequency, which, unlike a Gaussian,
        puts nothing at zero frequency; what would go below the first step stays on it. lambda is kept. Modes whose
        coupling the interpolation makes negative, which no sum of squares is, only diminish their neighbours.
        """
        peaks = self.spectrum(broadening)
        top = peaks.omega_K[-1]
        grid = np.linspace(0.0, (1.0 + 2.0 * SPREAD) * top, points)
        step = grid[1]
        low = np.floor(peaks.omega_K / step).astype(int)
        upper = peaks.omega_K / step - low
        share = peaks.weight_K / peaks.omega_K
        density = np.bincount(low, share * (1.0 - upper), points + 1) + np.bincount(low + 1, share * upper, points + 1)
        half = max(1, round(SPREAD * top / step))
        triangle = np.concatenate([np.arange(1, half + 1), np.arange(half - 1, 0, -1)]) / half**2
        wide = np.convolve(density, triangle)
        shifted = wide[half - 1:half - 1 + points].copy()
        shifted[1] += shifted[0] + wide[:half - 1].sum()
        shifted[0] = 0.0
        return grid, np.maximum(shifted, 0.0) * grid / step
