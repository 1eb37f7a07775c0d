"""Migdal-Eliashberg: closed limits, an independent solver, and the thermodynamics below Tc."""

import math

import numpy as np
import pytest
from scipy.linalg import eigvals
from scipy.optimize import brentq

from megabar.superconductivity import eliashberg, formulas
from megabar.superconductivity.spectrum import Spectrum
from megabar.superconductivity.thermodynamics import below_tc, isotope


def hydride() -> Spectrum:
    """Two groups of modes like those of a clathrate hydride: 500-1000 K and 1500-2500 K."""
    omega = np.linspace(50.0, 3000.0, 600)
    alpha2f = 0.8 * np.exp(-0.5 * ((omega - 700.0) / 120.0) ** 2) + 1.1 * np.exp(-0.5 * ((omega - 2000.0) / 300.0) ** 2)
    return Spectrum(omega, alpha2f * (omega[1] - omega[0]), 2900.0)


def soft_metal() -> Spectrum:
    omega = np.linspace(1.0, 110.0, 400)
    alpha2f = 1.0 * np.exp(-0.5 * ((omega - 51.0) / 8.0) ** 2) + 1.0 * np.exp(-0.5 * ((omega - 97.0) / 4.0) ** 2)
    return Spectrum(omega, alpha2f * (omega[1] - omega[0]), 105.0)


def independent_tc(spectrum: Spectrum, mu_star: float, cutoff: float) -> float:
    """Tc from Delta(omega_n) over both signs of n, Z by explicit summation, unsymmetrised, kernel written out again.

    The largest eigenvalue of Delta_n -> (pi T / Z_n) sum_m [lambda(n-m) - mu*] Delta_m / |omega_m| is one at Tc.
    """

    def largest(temperature: float, count: int) -> float:
        n = np.arange(-count, count)
        omega = np.pi * temperature * (2 * n + 1)
        nu = omega[:, None] - omega[None, :]
        kernel = sum(2.0 * w * o / (o**2 + nu**2) for o, w in zip(spectrum.omega_K, spectrum.weight_K, strict=True))
        # Z needs frequencies far beyond the cutoff of Delta: one sum of signs, for every n.
        far = np.pi * temperature * (2 * np.arange(-20 * count, 20 * count) + 1)
        z = np.empty(2 * count)
        for i in range(2 * count):
            near = sum(2.0 * w * o / (o**2 + (omega[i] - far) ** 2)
                       for o, w in zip(spectrum.omega_K[::10], 10 * spectrum.weight_K[::10], strict=True))
            z[i] = 1.0 + np.pi * temperature / omega[i] * np.sum(near * np.sign(far))
        edge = 2.0 * np.pi * temperature * count
        mu_cutoff = 1.0 / (1.0 / mu_star + math.log(spectrum.omega_max_K / edge))
        matrix = np.pi * temperature / z[:, None] * (kernel - mu_cutoff) / np.abs(omega)
        return float(np.max(eigvals(matrix).real)) - 1.0

    moments = formulas.Moments(spectrum.coupling, spectrum.omega_log_K, spectrum.omega_2_K)
    guess = formulas.allen_dynes_tc_K(moments, mu_star)
    count = round(cutoff * spectrum.omega_max_K / (2.0 * np.pi * guess))
    return float(brentq(largest, 0.8 * guess, 1.25 * guess, args=(count,), rtol=1e-5))


@pytest.mark.parametrize(("spectrum", "mu_star"), [(hydride(), 0.10), (hydride(), 0.16), (soft_metal(), 0.12)])
def test_tc_agrees_with_an_independent_solver(spectrum, mu_star):
    # At the same cutoff the two must agree to the coarser quadrature of Z in the check.
    expected = independent_tc(spectrum, mu_star, 12.0)
    assert eliashberg.eliashberg_tc_K(spectrum, mu_star, 12.0) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(("coupling", "relative"), [(1e3, 1e-3), (1e5, 4e-4)])
def test_strong_coupling_limit(coupling, relative):
    # Tc -> 0.1827262477 omega_E sqrt(lambda): Allen and Dynes 1975, digits from Kiessling, Altshuler and Yuzbashyan,
    # arXiv:2409.00532. Corrections are of order 1/lambda; the finite cutoff leaves a few 1e-4.
    tc = eliashberg.eliashberg_tc_K(Spectrum.einstein(coupling, 100.0), 0.0)
    assert tc == pytest.approx(0.1827262477 * 100.0 * math.sqrt(coupling), rel=relative)


def test_weak_coupling_limit_has_the_root_e_of_the_einstein_mode():
    # Tc -> (2 e^gamma / pi) e^{-1/2} omega_E exp[-(1 + lambda)/lambda] (Karakozov et al. 1976; Marsiglio, Phys. Rev. B
    # 98, 024523 (2018), doi:10.1103/PhysRevB.98.024523). The correction factor is 1 + O(lambda).
    limit = 2.0 * math.exp(np.euler_gamma - 0.5) / math.pi
    deviation = []
    for coupling in (0.15, 0.3):
        tc = eliashberg.eliashberg_tc_K(Spectrum.einstein(coupling, 100.0), 0.0)
        deviation.append(tc / (100.0 * limit * math.exp(-(1.0 + coupling) / coupling)) - 1.0)
    assert 0.0 < deviation[0] < 0.06
    assert deviation[0] == pytest.approx(0.5 * deviation[1], rel=0.2)  # linear in lambda


def test_one_matsubara_frequency_gives_the_lower_bound():
    # 2 pi Tc > omega_E sqrt(lambda - 1) from the 1x1 matrix (Allen and Dynes 1975, eq. 22), for any lambda.
    for coupling in (1.5, 3.0, 10.0):
        assert eliashberg.eliashberg_tc_K(Spectrum.einstein(coupling, 100.0), 0.0) > \
            100.0 * math.sqrt(coupling - 1.0) / (2.0 * math.pi)


def test_tc_is_homogeneous_in_frequency():
    a, b = Spectrum.einstein(1.3, 100.0), Spectrum.einstein(1.3, 1700.0)
    assert eliashberg.eliashberg_tc_K(b, 0.12) == pytest.approx(17.0 * eliashberg.eliashberg_tc_K(a, 0.12), rel=1e-4)


@pytest.mark.parametrize("mu_star", [0.0, 0.1, 0.2, 0.3])
def test_cutoff_converges_as_its_inverse_square(mu_star):
    values = eliashberg.cutoff_convergence(hydride(), mu_star, (10.0, 20.0, 30.0))["tc_K"]
    assert values[1] == pytest.approx(values[2], rel=2e-3)
    assert abs(values[1] - values[2]) <= abs(values[0] - values[2]) + 1e-9


def test_convolution_and_matrix_are_the_same_operator():
    spectrum, temperature, count = soft_metal(), 1.0, 150
    by_fft = eliashberg._Matsubara(spectrum, temperature, count)
    assert not by_fft.dense
    coupling = eliashberg.kernel(spectrum, temperature, 2 * count)
    n = np.arange(count)
    vector = np.cos(n / 7.0) / (n + 1.0)
    near, far = coupling[np.abs(n[:, None] - n)], coupling[n[:, None] + n + 1]
    np.testing.assert_allclose(by_fft.even(vector), (near + far) @ vector, atol=1e-12)
    np.testing.assert_allclose(by_fft.odd(vector), (near - far) @ vector, atol=1e-12)


def test_far_kernel_series_matches_the_sum():
    spectrum = soft_metal()
    values = eliashberg.kernel(spectrum, 3.0, 200)
    nu = 2.0 * np.pi * 3.0 * np.arange(200)
    direct = [np.sum(2 * spectrum.weight_K * spectrum.omega_K / (spectrum.omega_K**2 + x**2)) for x in nu]
    np.testing.assert_allclose(values, direct, rtol=1e-11)
    assert values[0] == pytest.approx(spectrum.coupling)


def test_no_superconductivity_when_repulsion_wins():
    assert eliashberg.eliashberg_tc_K(Spectrum.einstein(0.08, 300.0), 0.2) == 0.0


def test_gap_closes_at_the_linear_tc():
    spectrum = hydride()
    tc = eliashberg.eliashberg_tc_K(spectrum, 0.1)
    below = eliashberg.solve_gap(spectrum, 0.1, 0.99 * tc, tc)
    above = eliashberg.solve_gap(spectrum, 0.1, 1.01 * tc, tc)
    assert below.delta_K[0] > 0.2 * tc
    assert above.delta_K[0] < 1e-3 * tc
    assert below.free_energy_K2 < 0.0


def test_weak_coupling_thermodynamics_is_bcs():
    spectrum = Spectrum.einstein(0.3, 100.0)
    tc = eliashberg.eliashberg_tc_K(spectrum, 0.0)
    result = below_tc(spectrum, 0.0, tc)
    assert result.gap_ratio == pytest.approx(3.528, rel=5e-3)
    assert result.specific_heat_jump_ratio == pytest.approx(1.426, rel=0.02)
    assert result.field_ratio == pytest.approx(0.1684, rel=0.01)
    # BCS: Delta(0.5 Tc) / Delta(0) = 0.9569 (Muehlschlegel, Z. Phys. 155, 313 (1959), doi:10.1007/BF01332932).
    half = result.gap_meV[np.argmin(np.abs(result.temperature_K / tc - 0.5))]
    assert half / result.gap_meV[0] == pytest.approx(0.9569, abs=0.005)


def test_strong_coupling_ratios_follow_the_semi_empirical_forms():
    # Carbotte 1990 quotes 10 % scatter of real materials about these forms.
    for spectrum in (soft_metal(), hydride()):
        tc = eliashberg.eliashberg_tc_K(spectrum, 0.12)
        result = below_tc(spectrum, 0.12, tc)
        assert result.gap_ratio == pytest.approx(formulas.gap_ratio(tc, spectrum.omega_log_K), rel=0.1)
        assert result.field_ratio == pytest.approx(formulas.field_ratio(tc, spectrum.omega_log_K), rel=0.1)
        assert result.specific_heat_jump_ratio == pytest.approx(
            formulas.specific_heat_jump_ratio(tc, spectrum.omega_log_K), rel=0.15)


def test_critical_field_in_tesla_matches_the_gaussian_ratio():
    # Hc(0)^2 = gamma Tc^2 / ratio (Gaussian), and Hc^2 / 8 pi = B^2 / 2 mu0. Pb-like: 0.50 states/eV/atom, 30.3 A^3.
    spectrum = soft_metal()
    tc = eliashberg.eliashberg_tc_K(spectrum, 0.1)
    result = below_tc(spectrum, 0.1, tc)
    gamma = math.pi**2 / 3.0 * (1.0 + spectrum.coupling) * 0.50 / 30.3 / 11604.518**2  # eV / A^3 K^2
    energy = gamma * tc**2 / result.field_ratio / (8.0 * math.pi) * 1.602176634e11  # J / m^3
    assert result.critical_field_T(0.50, 30.3) == pytest.approx(math.sqrt(2.0 * 4e-7 * math.pi * energy), rel=1e-6)
    assert 0.02 < result.critical_field_T(0.50, 30.3) < 0.2  # Pb: 0.080 T


def test_isotope_exponent_is_half_without_repulsion_and_less_with_it():
    spectrum = hydride()
    for mu_star, expected in ((0.0, 0.5), (0.13, formulas.mcmillan_isotope_exponent(spectrum.coupling, 0.13))):
        result = isotope(spectrum, mu_star, eliashberg.eliashberg_tc_K(spectrum, mu_star))
        assert result.exponent_all == pytest.approx(expected, abs=0.005)
        assert result.exponent_H_to_D == pytest.approx(expected, abs=0.01)


def test_isotope_exponents_of_host_and_hydrogen_add_up():
    spectrum = hydride()
    result = isotope(spectrum, 0.1, eliashberg.eliashberg_tc_K(spectrum, 0.1), split_K=1200.0)
    assert result.exponent_above > result.exponent_below > 0.0
    assert result.exponent_above + result.exponent_below == pytest.approx(result.exponent_all)
    assert result.tc_D_K > isotope(spectrum, 0.1, result.tc_H_K).tc_D_K  # fewer modes move
