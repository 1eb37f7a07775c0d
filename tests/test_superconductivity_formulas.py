"""Closed Tc formulas against published rows, and their limits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megabar.errors import InputError
from megabar.superconductivity import formulas
from megabar.superconductivity.formulas import Moments
from megabar.superconductivity.tc import tc_from_moments


@pytest.mark.parametrize(("moments", "mu_star", "expected", "relative"), [
    # H3S Im-3m, 200 GPa: Duan et al., Sci. Rep. 4, 6968 (2014), doi:10.1038/srep06968: 204 and 191 K.
    (Moments(2.19, 1334.6), 0.10, 204.0, 0.005),
    (Moments(2.19, 1334.6), 0.13, 191.0, 0.005),
    # La4H23, arXiv:2307.13067: lambda is given to two or three digits, and dTc/Tc = 1.1 dlambda/lambda there.
    (Moments(1.49, 650.0, 1121.0), 0.10, 73.5, 0.01),
    (Moments(1.0, 892.0, 1383.0), 0.10, 61.4, 0.02),
])
def test_mcmillan_reproduces_published_rows(moments, mu_star, expected, relative):
    assert formulas.mcmillan_tc_K(moments, mu_star) == pytest.approx(expected, rel=relative)


@pytest.mark.parametrize(("moments", "mu_star", "form", "expected", "relative"), [
    # LaH6, 180 GPa, arXiv:2012.04787 table S5: 207 K with the standard f2.
    (Moments(2.41, 1011.0, 1312.0), 0.10, "standard", 207.0, 0.005),
    # La4H23, arXiv:2307.13067: 91.7 and 68.0 K with the f2 that lacks omega_2 / omega_log.
    (Moments(1.49, 650.0, 1121.0), 0.10, "no-ratio", 91.7, 0.01),
    (Moments(1.0, 892.0, 1383.0), 0.10, "no-ratio", 68.0, 0.02),
])
def test_allen_dynes_reproduces_published_rows_with_the_f2_of_each_paper(moments, mu_star, form, expected, relative):
    assert formulas.allen_dynes_tc_K(moments, mu_star, form) == pytest.approx(expected, rel=relative)


@pytest.mark.parametrize(("moments", "eliashberg"), [
    (Moments(2.41, 1011.0, 1312.0), 235.0),  # LaH6, arXiv:2012.04787
    (Moments(1.49, 650.0, 1121.0), 94.7), (Moments(1.0, 892.0, 1383.0), 70.4),  # La4H23, arXiv:2307.13067
])
def test_xie_formula_stands_in_for_published_eliashberg_solutions(moments, eliashberg):
    # Those papers put mu* = 0.1 at the cutoff; Xie et al. quote a few per cent for hydrides.
    assert formulas.xie_tc_K(moments, 0.10) == pytest.approx(eliashberg, rel=0.05)


def test_low_tc_metals_come_out_near_experiment():
    # Allen and Dynes 1975 table I: Pb lambda 1.55, omega_log 56, omega_2 65 K, mu* 0.131; measured 7.19 K. Al: 0.43,
    # 296 K; measured 1.18 K. The formula is good to about 10 % for Pb.
    assert formulas.allen_dynes_tc_K(Moments(1.55, 56.0, 65.0), 0.131) == pytest.approx(7.19, rel=0.10)
    assert formulas.mcmillan_tc_K(Moments(0.43, 296.0), 0.12) == pytest.approx(1.18, rel=0.03)


def test_isotropic_formula_does_not_explain_mgb2():
    # Two gaps: the isotropic average must stay far below the 39 K of experiment.
    assert formulas.allen_dynes_tc_K(Moments(0.73, 700.0), 0.10) < 32.0


def test_weak_coupling_ratios_are_those_of_bcs():
    assert formulas.gap_ratio(1e-4, 1.0) == pytest.approx(3.53, rel=1e-5)
    assert formulas.specific_heat_jump_ratio(1e-4, 1.0) == pytest.approx(1.43, rel=1e-4)
    assert formulas.field_ratio(1e-4, 1.0) == pytest.approx(0.168, rel=1e-4)
    assert formulas.mcmillan_isotope_exponent(1.0, 0.0) == 0.5


@given(st.floats(0.3, 3.0), st.floats(0.0, 0.15))
def test_mcmillan_isotope_exponent_is_the_derivative_of_tc(coupling, mu_star):
    """Mass changes omega_log and, through the frequency at which it is defined, mu*; lambda stays."""
    exponent = formulas.mcmillan_isotope_exponent(coupling, mu_star)
    if exponent is None or exponent < -5.0:
        return

    def log_tc(log_mass):
        scale = math.exp(-0.5 * log_mass)
        moved = formulas.rescaled_mu_star(mu_star, 1.0, scale)
        return math.log(formulas.mcmillan_tc_K(Moments(coupling, 100.0 * scale), moved))

    step = 1e-4
    assert -(log_tc(step) - log_tc(-step)) / (2 * step) == pytest.approx(exponent, rel=1e-4, abs=1e-6)


def test_allen_dynes_grows_as_the_square_root_of_lambda():
    # Lambda >> 10: f1 f2 McMillan -> 0.18 sqrt(lambda <omega^2>) for one mode (Allen and Dynes 1975, eq. 26).
    high = formulas.allen_dynes_tc_K(Moments(1e4, 100.0, 100.0), 0.0)
    assert high == pytest.approx(0.1827 * 100.0 * math.sqrt(1e4), rel=0.05)


def test_repulsion_that_outweighs_the_attraction_gives_zero():
    assert formulas.mcmillan_tc_K(Moments(0.1, 300.0), 0.13) == 0.0
    assert formulas.mcmillan_isotope_exponent(0.1, 0.13) is None
    assert tc_from_moments(Moments(0.1, 300.0, 310.0), 0.13).tc_K["allen_dynes"] == 0.0


@pytest.mark.parametrize("call", [
    lambda: formulas.check_mu_star(0.31), lambda: formulas.check_mu_star(-0.01), lambda: Moments(-1.0, 300.0),
    lambda: Moments(1.0, 300.0, 200.0), lambda: Moments(1.0, -5.0), lambda: tc_from_moments(Moments(40.0, 300.0), 0.1),
    lambda: formulas.check_mu_star(float("nan")),
])
def test_impossible_numbers_are_refused_in_one_line(call):
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
