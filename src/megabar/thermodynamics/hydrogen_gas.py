"""Thermal Gibbs energy of molecular hydrogen and of hydrogen in a hydride: estimates for maps, with their band.

Above its melting line H2 is a fluid of free rotors whose centres have the entropy of hard spheres (Carnahan and
Starling, J. Chem. Phys. 51, 635 (1969), 10.1063/1.1672048) at a packing that is 0.494 on Datchi's melting line, where
hard spheres freeze (Hoover and Ree, J. Chem. Phys. 49, 3609 (1968), 10.1063/1.1670641), and falls as (Tm/T)^(1/4), as
for r^-12 spheres. Below, it is an Einstein solid whose entropy on the melting line is that of the fluid less 1.16 k,
the entropy of fusion of hard spheres. Volumes are those of the 300 K curve. Absorbed as H2 in a hydride
it has five soft modes. The stretch is left out on both sides.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from megabar.crystals.volumes import HYDROGEN_MOLECULE
from megabar.thermodynamics.melting_curves import datchi_K
from megabar.units import BOLTZMANN_EV_PER_K

ROTATION_K = 87.6
"""Rotational temperature of H2 (60.853 1/cm: Huber and Herzberg, Constants of Diatomic Molecules, 1979)."""
WAVELENGTH_A = 17.458 / np.sqrt(2.01588)
"""Thermal wavelength of H2 times sqrt(T/K): h / sqrt(2 pi m k T) (CODATA)."""
LEAST_PRESSURE_GPA = 5.0
"""Below, hydrogen melts so cold (250 K at 5 GPa) that its translation is quantal and classical spheres say nothing."""
FREEZING_PACKING, FUSION_ENTROPY_K = 0.494, 1.16
ABSORBED_MODES = 5
ABSORBED_EV = (0.060, 0.100, 0.150)
"""Lowest, assumed and highest mean energy of these modes: translations and librations of H2 units in polyhydrides lie
between about 500 and 1200 1/cm. An assumption, which is why it is drawn as a band."""


def fluid_entropy_k(volume_A3: float, temperature_K: float, packing: float) -> float:
    """Entropy in k per molecule at `volume_A3` per molecule: ideal gas (Sackur-Tetrode), classical rotor, hard-sphere
    excess; packing 0 is the ideal gas. Nuclear spin is left out, as in tables."""
    ideal = np.log(volume_A3 / (WAVELENGTH_A / np.sqrt(temperature_K)) ** 3) + 2.5
    # Quantum rotor by its high-temperature expansion: exact to 1 % from 150 K on.
    x = ROTATION_K / temperature_K
    rotor = np.log(1.0 / (2.0 * x) * (1.0 + x / 3.0 + x * x / 15.0)) + 1.0 - (x / 3.0 + 2.0 * x * x / 15.0) / (
        1.0 + x / 3.0 + x * x / 15.0)
    return float(ideal + rotor - packing * (4.0 - 3.0 * packing) / (1.0 - packing) ** 2)


def mode_entropy_k(energy_over_kT: float) -> float:
    """Entropy in k of one harmonic mode."""
    x = energy_over_kT
    return float(x / np.expm1(x) - np.log(-np.expm1(-x)))


def mode_gibbs_eV(energy_eV: float, temperature_K: np.ndarray) -> np.ndarray:
    """Thermal free energy in eV of one harmonic mode, without zero point; shape of `temperature_K`."""
    kT = BOLTZMANN_EV_PER_K * np.maximum(np.asarray(temperature_K, dtype=float), 1e-6)
    return kT * np.log(-np.expm1(-energy_eV / kT))


def hydrogen_entropy_k(pressure_GPa: float, temperature_K: float) -> float:
    """Entropy in k per H2 molecule at `pressure_GPa` (5 GPa or more) and `temperature_K`."""
    melting = float(datchi_K(pressure_GPa))
    if temperature_K >= melting:
        packing = FREEZING_PACKING * (melting / temperature_K) ** 0.25
        return fluid_entropy_k(HYDROGEN_MOLECULE.volume_A3(pressure_GPa), temperature_K, packing)
    return ABSORBED_MODES * mode_entropy_k(_solid_K(pressure_GPa) / max(temperature_K, 1e-3))


def _solid_K(pressure_GPa: float) -> float:
    """Einstein temperature of the five soft modes of the solid that puts its entropy at melting where it belongs."""
    melting = float(datchi_K(pressure_GPa))
    target = fluid_entropy_k(HYDROGEN_MOLECULE.volume_A3(pressure_GPa), melting, FREEZING_PACKING) - FUSION_ENTROPY_K
    return float(brentq(lambda t: ABSORBED_MODES * mode_entropy_k(t / melting) - target, 1.0, 20.0 * melting))


def hydrogen_gibbs_eV(pressure_GPa: float, temperature_K: np.ndarray) -> np.ndarray:
    """(m,) thermal Gibbs energy of H2 in eV per molecule at rising temperatures (m,): minus the integral of S from 0 K,
    so that it is 0 there; zero-point energy is not in it."""
    t = np.asarray(temperature_K, dtype=float)
    melting = float(datchi_K(pressure_GPa))
    einstein = _solid_K(pressure_GPa) * BOLTZMANN_EV_PER_K
    solid = ABSORBED_MODES * mode_gibbs_eV(einstein, np.minimum(t, melting))
    top = max(float(t.max(initial=0.0)), melting + 1.0)
    fine = np.linspace(melting, top, 400)
    entropy = np.array([hydrogen_entropy_k(pressure_GPa, x) for x in fine]) * BOLTZMANN_EV_PER_K
    integral = np.concatenate([[0.0], np.cumsum(0.5 * (entropy[1:] + entropy[:-1]) * np.diff(fine))])
    return solid - np.where(t > melting, np.interp(t, fine, integral), 0.0)


def absorption_gibbs_eV(pressure_GPa: float, temperature_K: np.ndarray) -> np.ndarray:
    """(3, m) thermal Gibbs energy in eV of taking one H2 into a hydride, for the assumed energy of its modes and
    for the two ends of the band: [assumed, lowest, highest]. The host's own modes are taken as unchanged."""
    low, middle, high = ABSORBED_EV
    gas = hydrogen_gibbs_eV(pressure_GPa, temperature_K)
    return np.stack([ABSORBED_MODES * mode_gibbs_eV(e, temperature_K) - gas for e in (middle, low, high)])
