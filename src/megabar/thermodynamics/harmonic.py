"""Harmonic oscillators: free energy, energy, entropy and heat capacity of a set of frequencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from megabar.units import BOLTZMANN_EV_PER_K

PLANCK_EV_PER_THZ = 4.135667696e-3
"""h in eV/THz (SI 2019, exact to the digits given)."""
LOWEST_THZ = 0.05
"""Modes below are left out of sums: the three translations at Gamma, and imaginary ones, which have no free energy."""


@dataclass(frozen=True)
class Harmonic:
    """Thermodynamic functions per cell at temperatures (n,): eV, eV/K; `left_out` is the share of modes that were
    below `LOWEST_THZ`."""

    temperature_K: np.ndarray
    free_energy_eV: np.ndarray
    energy_eV: np.ndarray
    entropy_eV_per_K: np.ndarray
    heat_capacity_eV_per_K: np.ndarray
    zero_point_eV: float
    left_out: float


def harmonic(frequencies_THz: np.ndarray, weights: np.ndarray, temperatures_K: Any) -> Harmonic:
    """Sums over modes (q, modes) with q-point `weights` (q,), which are normalised; imaginary modes are negative.

    F = h nu / 2 + k T ln(1 - exp(-h nu / k T)) per mode.
    """
    frequencies = np.atleast_2d(np.asarray(frequencies_THz, dtype=float))
    share = np.broadcast_to((np.asarray(weights, dtype=float) / np.sum(weights))[:, None], frequencies.shape)
    kept = frequencies > LOWEST_THZ
    quantum, weight = frequencies[kept] * PLANCK_EV_PER_THZ, share[kept]
    temperature = np.atleast_1d(np.asarray(temperatures_K, dtype=float))
    zero_point = float(0.5 * weight @ quantum)
    free, energy, entropy, capacity = (np.zeros(len(temperature)) for _ in range(4))
    for i, kelvin in enumerate(temperature):
        if kelvin <= 0.0:
            free[i] = energy[i] = zero_point
            continue
        thermal = BOLTZMANN_EV_PER_K * kelvin
        x = quantum / thermal
        # exp(-x) and -expm1(-x) neither overflow at low temperature nor cancel at high.
        decay, gap = np.exp(-x), -np.expm1(-x)
        free[i] = zero_point + thermal * (weight @ np.log(gap))
        energy[i] = zero_point + weight @ (quantum * decay / gap)
        entropy[i] = (energy[i] - free[i]) / kelvin
        capacity[i] = BOLTZMANN_EV_PER_K * (weight @ (x**2 * decay / gap**2))
    return Harmonic(temperature, free, energy, entropy, capacity, zero_point,
                    float(share[~kept].sum() / frequencies.shape[1]))
