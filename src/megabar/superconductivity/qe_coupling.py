"""From the matrices of ph.x to modes and alpha2F, for any masses.

Force constants Phi(q) and electron-phonon matrices G(q) contain no mass. With D = M^(-1/2) Phi M^(-1/2) and its modes
e, omega, the coupling of a mode is lambda = e' M^(-1/2) G M^(-1/2) e / (2 N(0) omega^2), N(0) per spin; so deuterium
costs nothing more, and the sum of lambda over the modes of a q, Tr(G Phi^-1) / 2 N(0), does not depend on the masses.
(Allen, Phys. Rev. B 6, 2577 (1972); Wierzbowska, de Gironcoli and Giannozzi, arXiv:cond-mat/0504077.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from megabar.superconductivity.qe_read import Coupling, Matrices
from megabar.superconductivity.spectrum import KELVIN_PER, Spectrum

AMU_RY = 911.4442431
"""Atomic mass constant in Rydberg units (2 m_e): m_u / 2 m_e (CODATA 2018)."""
GAMMA_POINT = 1e-6


@dataclass(frozen=True)
class StarModes:
    """Modes of the q-points of one star. `omega_K` (modes,), imaginary ones negative; `coupling` (broadenings, modes).

    `weight` is the share of the star in the whole mesh. The three acoustic modes at Gamma carry no coupling here.
    """

    q: np.ndarray
    weight: float
    omega_K: np.ndarray
    coupling: np.ndarray


def star_modes(dynamical: Matrices, couplings: Sequence[Coupling], masses_amu: np.ndarray,
               mesh_points: int) -> StarModes:
    """Modes and coupling at the first q of a star; `masses_amu` (N,), in the order of the matrices."""
    mass = np.repeat(np.asarray(masses_amu) * AMU_RY, 3)
    scale = 1.0 / np.sqrt(np.outer(mass, mass))
    squares, vectors = np.linalg.eigh(dynamical.matrix[0] * scale)
    omega = np.sign(squares) * np.sqrt(np.abs(squares)) * KELVIN_PER["Ry"]
    coupling = np.zeros((len(couplings), len(squares)))
    at_gamma = np.linalg.norm(dynamical.q[0]) < GAMMA_POINT
    first = 3 if at_gamma else 0
    for i, one in enumerate(couplings):
        width = np.einsum("ij,ik,kj->j", vectors.conj(), one.star.matrix[0] * scale, vectors).real
        coupling[i, first:] = width[first:] / (2.0 * one.dos_per_spin_Ry * squares[first:])
    if at_gamma:
        omega[:3] = 0.0
    return StarModes(dynamical.q[0], len(dynamical.q) / mesh_points, omega, coupling)


def lowest_omega_K(stars: Sequence[StarModes]) -> tuple[float, np.ndarray]:
    """The lowest frequency of all (negative when imaginary) and its q; the acoustic modes at Gamma do not count."""
    values = [(float(s.omega_K.min()), s.q) for s in stars if np.linalg.norm(s.q) > GAMMA_POINT]
    values += [(float(s.omega_K[3:].min()), s.q) for s in stars if np.linalg.norm(s.q) <= GAMMA_POINT
               and len(s.omega_K) > 3]
    return min(values, key=lambda pair: pair[0])


def mesh_spectrum(stars: Sequence[StarModes], broadening: int) -> Spectrum:
    """alpha2F of the mesh alone, without interpolation: one delta for each mode of each star, weighted by the star.

    alpha2F = (1/2) sum_q w_q sum_nu lambda omega delta(omega - omega_qnu). Modes of negative coupling (noise of the
    Fermi-surface sum) count as they are.
    """
    omega = np.concatenate([s.omega_K for s in stars])
    coupling = np.concatenate([s.weight * s.coupling[broadening] for s in stars])
    keep = (omega > 0.0) & (coupling != 0.0)
    order = np.argsort(omega[keep], kind="stable")
    nodes = omega[keep][order]
    return Spectrum(nodes, 0.5 * (coupling[keep] * omega[keep])[order], float(omega.max()))
