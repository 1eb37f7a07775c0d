"""Optical scales: published formulas, published conversions, inverse and slope of every registered scale."""

import numpy as np
import pytest

from megabar.anvil.gauge import convert, optical_scale, read_optical
from megabar.anvil.scales import DEFAULT_SCALE, SCALES
from megabar.anvil.temperature_shift import shift_nm
from megabar.errors import InputError

# Pressures in GPa worked out by hand from the published formulas with lambda0 = 694.24 nm.
RUBY = {
    "mao1986": (16.241, 80.024, 156.775),
    "dewaele2004": (16.366, 82.888, 167.118),
    "dewaele2008": (16.511, 83.762, 169.175),
    "chijioke2005": (16.207, 83.602, 171.851),
    "dorogokupets2007": (16.345, 84.173, 169.201),
    "ruby2020": (16.240, 83.882, 169.000),
}
EDGE = {
    "akahama2006": {1400: 28.90, 1600: 138.98, 1800: 282.86, 2000: 460.56},
    "akahama2004": {1400: 30.22, 1600: 139.70, 1800: 277.86, 2000: 444.70},
}


@pytest.mark.parametrize("scale", RUBY)
def test_ruby_formulas(scale):
    for wavelength, expected in zip((700.0, 720.0, 740.0), RUBY[scale], strict=True):
        assert optical_scale("ruby", scale).pressure_GPa(wavelength, 694.24) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("scale", EDGE)
def test_diamond_edge_formulas(scale):
    for shift, expected in EDGE[scale].items():
        assert optical_scale("diamond-edge", scale).pressure_GPa(float(shift)) == pytest.approx(expected, abs=6e-3)


def test_ruby2020_initial_slope_is_the_measured_one():
    # 0.3722(20) nm/GPa from the melting of mercury, High Press. Res. 41, 175 (2021), 10.1080/08957959.2021.1931168.
    slope = 1.0 / optical_scale("ruby", "ruby2020").slope_GPa(694.25)
    assert slope == pytest.approx(0.3722, abs=0.002)


@pytest.mark.parametrize(("old", "new"), [(90.0, 93.6), (115.9, 122.0), (144.3, 153.0)])
def test_conversion_reproduces_the_two_pressure_columns_of_dewaele_2004(old, new):
    # Table I of Phys. Rev. B 70, 094112 prints each point on the scale of Mao (1986) and on the revised one; above
    # 100 GPa to the nearest GPa only, below to 0.1, and the ambient wavelength is theirs.
    answer = convert("ruby", old, "mao1986", "dewaele2004")
    assert answer.pressure_GPa == pytest.approx(new, abs=0.6 if new > 100 else 0.2)


def test_the_two_papers_of_akahama_agree_where_they_overlap():
    old, new = optical_scale("diamond-edge", "akahama2006"), optical_scale("diamond-edge", "akahama2010")
    for pressure in (200.0, 250.0, 310.0):
        edge = old.value(pressure)
        # The published errors of the 2006 coefficients alone are 2.6 to 3.2 % here.
        assert abs(new.pressure_GPa(edge) - pressure) < 1.5 * old.parameter_sigma_GPa(edge)


def test_eremets_finds_half_a_terapascal_a_fifth_lower_than_the_older_scale():
    # "substantially lower by 20 % at ~0.5 terapascal compared to the extrapolation of the existing scales" (abstract
    # of Nat. Commun. 14, 907 (2023)).
    edge = optical_scale("diamond-edge", "eremets2023").value(500.0)
    older = optical_scale("diamond-edge", "akahama2010").pressure_GPa(edge)
    assert 1.0 - 500.0 / older == pytest.approx(0.20, abs=0.02)


def test_sm_scales_agree_with_each_other():
    # Two formulas on two primary scales: 2 % between them at 50 GPa, and the 1997 one low as the ruby scale under it.
    line = optical_scale("sm", "datchi2007").value(50.0)
    assert optical_scale("sm", "rashchenko2015").pressure_GPa(line) == pytest.approx(50.0, rel=0.02)
    assert 47.0 < optical_scale("sm", "datchi1997").pressure_GPa(line) < 50.0


@pytest.mark.parametrize("key", SCALES, ids="-".join)
def test_every_scale(key):
    scale = SCALES[key]
    assert scale.source.doi.startswith("10.") and scale.range_source and scale.source.table
    assert scale.scale == scale.scale.lower()
    low, high = scale.range_GPa
    start = max(low, 0.02 * high)
    for pressure in np.linspace(start, high, 7):
        value = scale.value(pressure)
        assert scale.pressure_GPa(value) == pytest.approx(pressure, rel=1e-9)
        step = 1e-4
        slope = (scale.pressure_GPa(value + step) - scale.pressure_GPa(value - step)) / (2 * step)
        assert scale.slope_GPa(value) == pytest.approx(slope, rel=1e-6)
        assert slope > 0
    if low == 0.0:
        ambient = max(scale.reference, scale.lowest_value)
        assert abs(scale.pressure_GPa(ambient)) < 0.5  # akahama2004, a quadratic in the frequency, leaves 0.4 GPa


def test_defaults_exist():
    for gauge, scale in DEFAULT_SCALE.items():
        assert (gauge, scale) in SCALES


def test_uncertainty_is_first_order_exact():
    # P = A d (1 + m d): dP/dA and dP/dm by hand.
    reading = read_optical("ruby", 720.0, scale="ruby2020", reference=694.25, sigma=0.05)
    d = 720.0 / 694.25 - 1.0
    coefficients = np.hypot(10.0 * d * (1 + 5.63 * d), 0.03 * 1870 * d**2)
    assert reading.coefficients_GPa == pytest.approx(coefficients, rel=1e-6)
    assert reading.measurement_GPa == pytest.approx(0.05 * 1870 / 694.25 * (1 + 2 * 5.63 * d), rel=1e-6)
    total = np.sqrt(reading.measurement_GPa**2 + reading.coefficients_GPa**2 + reading.between_scales_GPa**2)
    assert reading.uncertainty_GPa == pytest.approx(total)


def test_temperature_shift():
    # Slope of 0.0075 nm/K near room temperature is common knowledge of ruby work: 0.0206 GPa/K.
    assert shift_nm("ruby", 296.0) == 0.0
    assert shift_nm("ruby", 297.0) == pytest.approx(0.0075, abs=1e-4)
    # The two cubics of Datchi et al. meet at 296 K, with slopes 12 % apart.
    assert shift_nm("ruby", 295.0) == pytest.approx(-0.0066, abs=1e-4)
    # Forgetting 300 K of heating would cost about 7 GPa.
    hot = read_optical("ruby", 700.0, temperature_K=596.0, reference=694.25)
    cold = read_optical("ruby", 700.0, reference=694.25)
    assert cold.pressure_GPa - hot.pressure_GPa == pytest.approx(6.4, abs=0.4)
    assert any("596" in w for w in hot.warnings)


def test_a_reference_measured_hot_needs_no_correction():
    same = read_optical("ruby", 705.0, temperature_K=500.0, reference_K=500.0, reference=695.9)
    plain = read_optical("ruby", 705.0, reference=695.9)
    assert same.pressure_GPa == pytest.approx(plain.pressure_GPa)


def test_extrapolation_warns_then_refuses():
    beyond = optical_scale("ruby", "ruby2020").value(180.0)
    assert any("outside the range" in w for w in read_optical("ruby", beyond).warnings)
    far = optical_scale("ruby", "ruby2020").value(230.0)
    with pytest.raises(InputError, match="beyond 1.5 times"):
        read_optical("ruby", far)
    others = {a.scale: a for a in read_optical("ruby", far, scale="holzapfel2005").others}
    assert others["ruby2020"].pressure_GPa is None and others["ruby2020"].status == "refused"


@pytest.mark.parametrize(
    ("gauge", "value", "match"),
    [
        ("ruby", 690.0, "negative pressure"),
        ("ruby", 0.694, "check the unit"),
        ("ruby", 6942.0, "check the unit"),
        ("ruby", float("nan"), "finite"),
        ("diamond-edge", 466.0, "line itself"),
        ("diamond-edge", 1300.0, "negative"),
        ("sm", 680.0, "negative pressure"),
    ],
)
def test_bad_lines_are_named(gauge, value, match):
    with pytest.raises(InputError, match=match):
        read_optical(gauge, value)


def test_akahama2010_is_not_read_on_its_wrong_branch():
    with pytest.raises(InputError, match="where akahama2010 begins"):
        read_optical("diamond-edge", 1400.0, scale="akahama2010")


def test_unknown_scale_gets_a_hint():
    with pytest.raises(InputError, match="did you mean 'dewaele2008'"):
        read_optical("ruby", 700.0, scale="dewael2008")
