"""Isotropic Migdal-Eliashberg equations on the Matsubara axis, with a constant density of states.

Temperatures and frequencies in K (k_B = hbar = 1). With omega_n = (2n+1) pi T, E_n = sqrt(omega_n^2 + Delta_n^2) and
lambda(l) = 2 sum_j weight_j omega_j / [omega_j^2 + (2 pi T l)^2]:

    Z_n         = 1 + (pi T / omega_n) sum_m lambda(n-m) omega_m / E_m
    Z_n Delta_n = pi T sum_m [lambda(n-m) - mu*_c theta(omega_c - |omega_m|)] Delta_m / E_m

(Allen and Mitrovic, Solid State Phys. 37, 1 (1982), doi:10.1016/S0081-1947(08)60665-7; Allen and Dynes 1975). Delta is
even in n, so sums run over n = 0..N-1 with lambda(n-m) +- lambda(n+m+1). Beyond the cutoff Delta is taken as zero, and
the sum in Z is then that of the normal state, known in closed form, so that Z does not depend on the cutoff.

mu* is defined at the highest phonon frequency, as by Allen and Dynes, and carried to omega_c = 2 pi T N (the middle
between the last Matsubara frequency kept and the first left out) by 1/mu*_c = 1/mu* + ln(omega_max / omega_c).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator, eigsh

from megabar.errors import NotConverged
from megabar.superconductivity.formulas import Moments, allen_dynes_tc_K, rescaled_mu_star
from megabar.superconductivity.spectrum import Spectrum

CUTOFF = 30.0
"""Matsubara cutoff in units of the highest phonon frequency. What it leaves of Tc falls as its inverse square: 0.3 % at
10 and 0.02 % at 30 (Einstein spectrum, lambda = 1, mu* = 0.1); `cutoff_convergence` shows it for any spectrum."""
_DENSE = 96
_LOWEST_T = 1e-4
"""Lowest Tc searched for, in units of the highest phonon frequency (20 mK for Al)."""


def kernel(spectrum: Spectrum, temperature_K: float, size: int) -> np.ndarray:
    """lambda(l) for l = 0..size-1, shape (size,)."""
    nu2 = (2.0 * np.pi * temperature_K * np.arange(size)) ** 2
    numerator, omega2 = 2.0 * spectrum.weight_K * spectrum.omega_K, spectrum.omega_K**2
    top2 = 16.0 * omega2[-1]
    exact = int(np.searchsorted(nu2, top2))
    result = np.empty(size)
    chunk = max(1, 4_000_000 // len(omega2))
    for start in range(0, exact, chunk):
        part = slice(start, min(start + chunk, exact))
        result[part] = np.sum(numerator / (omega2 + nu2[part, None]), axis=1)
    # Beyond four times the highest phonon the geometric series in (omega/nu)^2 < 1/16 is exact to 1e-12 in ten terms.
    far = nu2[exact:]
    result[exact:] = sum(np.sum(numerator * (-omega2 / top2) ** k) * (top2 / far) ** k for k in range(10)) / far
    return result


class _Matsubara:
    """lambda(n-m) +- lambda(n+m+1) at one temperature, as products with vectors over n = 0..N-1."""

    def __init__(self, spectrum: Spectrum, temperature_K: float, count: int) -> None:
        self.temperature_K, self.count = temperature_K, count
        coupling = kernel(spectrum, temperature_K, 2 * count)
        self.omega = np.pi * temperature_K * (2.0 * np.arange(count) + 1.0)
        self.normal_sum = coupling[0] + 2.0 * np.concatenate([[0.0], np.cumsum(coupling[1:count])])
        self.normal_z = 1.0 + self.normal_sum / (2.0 * np.arange(count) + 1.0)
        self.dense = count <= _DENSE
        if self.dense:
            n = np.arange(count)
            near, far = coupling[np.abs(n[:, None] - n)], coupling[n[:, None] + n + 1]
            self._even, self._odd = near + far, near - far
        else:
            self._length = next_fast_len(4 * count, real=True)
            ring = np.zeros(self._length)
            ring[: 2 * count] = coupling
            ring[-2 * count + 1:] = coupling[1:][::-1]
            self._ring = rfft(ring)

    def _convolved(self, vector: np.ndarray, sign: float) -> np.ndarray:
        """Both Matsubara signs written out and convolved by FFT: N log N, where the matrix would not fit in memory."""
        both = np.concatenate([sign * vector[::-1], vector])
        return irfft(self._ring * rfft(both, self._length), self._length)[self.count: 2 * self.count]

    def even(self, vector: np.ndarray) -> np.ndarray:
        return self._even @ vector if self.dense else self._convolved(vector, 1.0)

    def odd(self, vector: np.ndarray) -> np.ndarray:
        return self._odd @ vector if self.dense else self._convolved(vector, -1.0)

    def eigenvalue(self, mu_cutoff: float) -> float:
        """Largest eigenvalue of the linearised gap equation; it crosses 1 at Tc, larger below."""
        scale = 1.0 / np.sqrt(2.0 * np.arange(self.count) + 1.0 + self.normal_sum)
        if self.dense:
            matrix = scale[:, None] * (self._even - 2.0 * mu_cutoff) * scale
            last = self.count - 1
            return float(eigh(matrix, eigvals_only=True, subset_by_index=[last, last])[0])

        def apply(vector: np.ndarray) -> np.ndarray:
            scaled = scale * vector.ravel()
            return scale * (self.even(scaled) - 2.0 * mu_cutoff * scaled.sum())

        operator = LinearOperator((self.count, self.count), matvec=apply, dtype=float)
        return float(eigsh(operator, k=1, which="LA", v0=scale, tol=1e-8, return_eigenvectors=False)[0])


def _count(spectrum: Spectrum, mu_star: float, temperature_K: float, cutoff: float) -> int:
    """Number of positive Matsubara frequencies up to `cutoff` times the larger of omega_max and 2 pi T.

    The cutoff stays below exp(1/mu*) / 2 omega_max, where the rescaled mu* would diverge (mu* above 0.24 only).
    """
    allowed = cutoff if mu_star == 0.0 else min(cutoff, 0.5 * np.exp(min(1.0 / mu_star, 50.0)))
    return max(2, round(allowed * np.hypot(1.0, spectrum.omega_max_K / (2.0 * np.pi * temperature_K))))


def eliashberg_tc_K(spectrum: Spectrum, mu_star: float, cutoff: float = CUTOFF, mu_at_cutoff: bool = False) -> float:
    """Tc of the linearised equations, in K; 0.0 when there is none above 1e-4 of the highest phonon frequency.

    `cutoff` is in units of `spectrum.omega_max_K`. With `mu_at_cutoff` the number given for mu* is put into the
    equations as it is, without carrying it from omega_max to the cutoff, as several codes do: Tc is then higher.
    """
    reference = spectrum.omega_max_K
    lowest = _LOWEST_T * reference

    def excess(temperature: float, count: int) -> float:
        edge = 2.0 * np.pi * temperature * count
        mu_cutoff = mu_star if mu_at_cutoff else rescaled_mu_star(mu_star, reference, edge)
        return _Matsubara(spectrum, temperature, count).eigenvalue(mu_cutoff) - 1.0

    moments = Moments(spectrum.coupling, spectrum.omega_log_K, max(spectrum.omega_2_K, spectrum.omega_log_K))
    guess = max(allen_dynes_tc_K(moments, mu_star), lowest)
    low = high = guess
    def count_at(temperature: float) -> int:
        return _count(spectrum, 0.0 if mu_at_cutoff else mu_star, temperature, cutoff)

    while excess(high, count_at(high)) > 0.0:
        low, high = high, 1.3 * high
        if high > 2.0 * reference * max(1.0, np.sqrt(spectrum.coupling)):
            raise NotConverged("Eliashberg: no upper bound found for Tc; check alpha2F")
    while excess(low, count_at(low)) < 0.0:
        if low <= lowest:
            return 0.0
        low, high = max(low / 1.5, lowest), low
    # The number of frequencies is an integer: hold it while the root is refined, so that the function is smooth.
    for _ in range(2):
        count = count_at(0.5 * (low + high))
        while excess(low, count) < 0.0:
            low /= 1.05
        while excess(high, count) > 0.0:
            high *= 1.05
        root = float(brentq(excess, low, high, args=(count,), rtol=1e-6))
        low, high = 0.99 * root, 1.01 * root
    return root


def cutoff_convergence(spectrum: Spectrum, mu_star: float,
                       cutoffs: tuple[float, ...] = (5.0, 10.0, 20.0, 30.0)) -> dict[str, list[float]]:
    """Tc against the Matsubara cutoff: {"cutoff_over_omega_max": [...], "tc_K": [...]}."""
    return {"cutoff_over_omega_max": list(cutoffs), "tc_K": [eliashberg_tc_K(spectrum, mu_star, c) for c in cutoffs]}


@dataclass(frozen=True)
class GapSolution:
    """Delta(i omega_n) and Z(i omega_n) at one temperature; arrays of shape (N,), in K (Z without unit).

    `free_energy_K2` is (F_s - F_n) / N(0), with N(0) the density of states of one spin: -Delta^2/2 in the BCS limit.
    """

    temperature_K: float
    omega_K: np.ndarray
    delta_K: np.ndarray
    z: np.ndarray
    free_energy_K2: float
    iterations: int


def solve_gap(spectrum: Spectrum, mu_star: float, temperature_K: float, start: np.ndarray | float,
              cutoff: float = CUTOFF, tolerance: float = 1e-9, maximum: int = 2000) -> GapSolution:
    """The full equations at one temperature, by iteration with Anderson acceleration.

    `start` is a first guess of Delta (a number, or an array cut or padded to the frequencies needed). Raises
    NotConverged. The free energy is that of Bardeen and Stephen, Phys. Rev. 136, A1485 (1964),
    doi:10.1103/PhysRev.136.A1485.
    """
    count = _count(spectrum, mu_star, temperature_K, cutoff)
    matsubara = _Matsubara(spectrum, temperature_K, count)
    omega, odd_index = matsubara.omega, 2.0 * np.arange(count) + 1.0
    mu_cutoff = rescaled_mu_star(mu_star, spectrum.omega_max_K, 2.0 * np.pi * temperature_K * count)

    def z_of(energy: np.ndarray) -> np.ndarray:
        return matsubara.normal_z - matsubara.odd(1.0 - omega / energy) / odd_index

    def step(delta: np.ndarray) -> np.ndarray:
        energy = np.sqrt(omega**2 + delta**2)
        ratio = delta / energy
        pairing = matsubara.even(ratio) - 2.0 * mu_cutoff * ratio.sum()
        return np.pi * temperature_K * pairing / z_of(energy)

    guess = np.atleast_1d(np.asarray(start, dtype=float))
    delta = np.concatenate([guess[:count], np.full(max(0, count - len(guess)), guess[-1])])
    inputs: list[np.ndarray] = []
    residuals: list[np.ndarray] = []
    for iteration in range(1, maximum + 1):
        residual = step(delta) - delta
        if np.max(np.abs(residual)) < tolerance * max(float(np.max(np.abs(delta))), 1e-3 * temperature_K):
            energy = np.sqrt(omega**2 + delta**2)
            z = z_of(energy)
            terms = (energy - omega) * (z - matsubara.normal_z * omega / energy)
            free_energy = float(-2.0 * np.pi * temperature_K * terms.sum())
            return GapSolution(temperature_K, omega, delta, z, free_energy, iteration)
        inputs, residuals = [*inputs[-5:], delta], [*residuals[-5:], residual]
        if len(inputs) > 1:
            changes = np.array([residual - r for r in residuals[:-1]]).T
            gamma = np.linalg.lstsq(changes, residual, rcond=1e-12)[0]
            mixed = delta - np.array([delta - x for x in inputs[:-1]]).T @ gamma
            delta = mixed + residual - changes @ gamma
        else:
            delta = delta + residual
        if delta[0] < 0.0:
            delta = -delta
    raise NotConverged(f"Eliashberg: the gap at {temperature_K:.4g} K did not converge in {maximum} iterations")


def gap_edge_K(solution: GapSolution, spectrum: Spectrum) -> float:
    """Delta_0 with Delta(omega = Delta_0) = Delta_0 on the real axis, by Pade continuation (Vidberg and Serene 1977).

    Only frequencies up to about the highest phonon are used: beyond it Delta varies little and only noise is added.
    """
    used = min(len(solution.omega_K), max(6, int(np.searchsorted(solution.omega_K, 1.2 * spectrum.omega_max_K))), 60)
    stride = max(1, int(np.searchsorted(solution.omega_K, 1.2 * spectrum.omega_max_K)) // used)
    points = 1j * solution.omega_K[: used * stride: stride]
    coefficients = np.zeros((len(points), len(points)), dtype=complex)
    coefficients[0] = solution.delta_K[: used * stride: stride]
    for i in range(1, len(points)):
        previous = coefficients[i - 1]
        with np.errstate(all="ignore"):
            coefficients[i, i:] = (previous[i - 1] - previous[i:]) / ((points[i:] - points[i - 1]) * previous[i:])
    a = np.diag(coefficients)
    a = a[: int(np.argmax(~np.isfinite(a))) or len(a)] if np.any(~np.isfinite(a)) else a

    def delta(frequency: float) -> float:
        tail = 1.0 + 0j
        for k in range(len(a) - 1, 0, -1):
            tail = 1.0 + a[k] * (frequency - points[k - 1]) / tail
        return float((a[0] / tail).real)

    edge = float(solution.delta_K[0])
    for _ in range(60):
        edge = 0.5 * (edge + delta(edge))
    if not 0.8 * solution.delta_K[0] < edge < 1.6 * solution.delta_K[0]:
        raise NotConverged(f"Eliashberg: the continuation to the real axis gave a gap of {edge:.4g} K from "
                           f"{solution.delta_K[0]:.4g} K on the imaginary axis; give alpha2F on a finer grid")
    return edge
