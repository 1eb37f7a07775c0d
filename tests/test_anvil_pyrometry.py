"""Thermal radiation: tabulated radiances, recovered temperatures, error bars, and honesty about emissivity."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from megabar.anvil.columns import TwoColumns
from megabar.anvil.pyrometry import C1L_W_M2_SR, C2_M_K, planck_radiance, read_temperature
from megabar.cli.main import main
from megabar.errors import InputError, MegabarError


def glow(T, low=550.0, high=850.0, noise=0.005, slope=0.0, emissivity=0.3, seed=0, points=200):
    x = np.linspace(low, high, points)
    y = emissivity * np.exp(slope * (x - 700.0) * 1e-3) * planck_radiance(x, T)
    return TwoColumns(x, y + noise * y.max() * np.random.default_rng(seed).standard_normal(points), ())


@pytest.mark.parametrize(
    ("kelvin", "nm", "radiance"),
    [
        (2000, 600, 9.508e9),
        (2000, 700, 2.439e10),
        (2000, 800, 4.521e10),
        (3000, 600, 5.175e11),
        (3000, 800, 9.078e11),
        (5000, 600, 1.2762e13),
        (5000, 800, 1.0243e13),
    ],
)
def test_black_body_radiance(kelvin, nm, radiance):
    assert float(planck_radiance(nm, kelvin)) == pytest.approx(radiance, rel=3e-4)


def test_planck_obeys_wien_displacement_and_stefan_boltzmann():
    for kelvin in (1473.0, 3000.0):
        peak = minimize_scalar(
            lambda nm, T=kelvin: -float(planck_radiance(nm, T)), bounds=(300, 5000), method="bounded"
        )
        assert peak.x == pytest.approx(2.897771955e6 / kelvin, rel=1e-4)
    total = quad(lambda m: float(planck_radiance(m * 1e9, 3000.0)), 5e-8, 1e-3, limit=400, points=[1e-6, 1e-5])[0]
    assert np.pi * total == pytest.approx(5.670374419e-8 * 3000.0**4, rel=1e-6)


def test_wien_and_planck_differ_by_a_quarter_per_cent_at_3000_K():
    wien = C1L_W_M2_SR / (800e-9) ** 5 * np.exp(-C2_M_K / (800e-9 * 3000.0))
    assert wien / float(planck_radiance(800.0, 3000.0)) == pytest.approx(1 - 0.0025, abs=1e-4)


@pytest.mark.parametrize("kelvin", [1200.0, 1473.0, 2000.0, 3000.0, 5000.0])
def test_grey_body_is_recovered(kelvin):
    got = read_temperature(glow(kelvin, noise=1e-6))
    assert got.temperature_K == pytest.approx(kelvin, rel=1e-4)
    assert got.emissivity == pytest.approx(0.3, rel=1e-3)
    assert got.free_temperature_K == pytest.approx(kelvin, rel=2e-3)
    assert abs(got.emissivity_slope_per_um) < 0.02
    # Wien's line has the slope -(1 + e^-x)/T, x = c2/(lambda T), so it reads low by e^-x: 1.6 % at 5000 K and 700 nm.
    low, high = (np.exp(-C2_M_K / (nm * 1e-9 * kelvin)) for nm in (600.0, 850.0))
    assert low < 1 - got.wien_temperature_K / kelvin < high


def test_error_bars_cover_the_truth():
    pulls, free = [], []
    for seed in range(60):
        got = read_temperature(glow(2400.0, noise=0.02, seed=seed))
        pulls.append((got.temperature_K - 2400.0) / got.statistical_K)
        free.append((got.free_temperature_K - 2400.0) / got.free_error_K)
    assert 0.75 < np.std(pulls) < 1.3 and abs(np.mean(pulls)) < 0.5
    assert 0.6 < np.std(free) < 1.4


def test_emissivity_slope_shifts_the_grey_temperature_inside_the_quoted_error():
    for slope in (-0.3, 0.3):
        got = read_temperature(glow(2500.0, slope=slope, noise=1e-4))
        assert abs(got.temperature_K - 2500.0) > 20.0
        assert abs(got.temperature_K - 2500.0) < got.uncertainty_K
        assert got.free_temperature_K == pytest.approx(2500.0, rel=0.01)
        assert got.emissivity_slope_per_um == pytest.approx(slope, abs=0.05)
        assert any("not grey" in w for w in got.warnings)


def test_emissivity_systematic_is_the_known_formula():
    # Wien: d(1/T) = (lambda^2/c2) d ln eps/d lambda, so dT = T^2 lambda^2 slope/c2 near the weighted middle.
    got = read_temperature(glow(2500.0, low=640, high=660, noise=1e-7))
    by_hand = 2500.0**2 * (650e-9) ** 2 * 0.5e6 / C2_M_K
    assert got.emissivity_K == pytest.approx(by_hand, rel=0.05)


def test_a_narrow_noisy_window_says_it_cannot_tell():
    got = read_temperature(glow(2000.0, low=650, high=720, noise=0.02))
    assert any("cannot tell temperature from emissivity" in w for w in got.warnings)
    assert not read_temperature(glow(2000.0, low=500, high=1000, noise=0.001)).warnings


def test_two_temperatures_in_one_spot_give_a_trend():
    mixed = glow(2000.0, low=500, high=900, noise=0)
    hot = glow(3000.0, low=500, high=900, noise=0)
    got = read_temperature(TwoColumns(mixed.x, mixed.y + 0.3 * hot.y, ()))
    assert got.two_colour_trend_K_per_um < -50.0  # the blue end sees the hot part
    assert 2000.0 < got.temperature_K < 3000.0


def test_range_and_background_points():
    spectrum = glow(2500.0, low=400, high=900, noise=0.002)
    y = spectrum.y.copy()
    y[:20] -= 0.05 * y.max()
    got = read_temperature(TwoColumns(spectrum.x, y, ()))
    assert any("left out" in w for w in got.warnings)
    inner = read_temperature(spectrum, (600.0, 800.0))
    assert inner.range_nm[0] >= 600.0 and inner.range_nm[1] <= 800.0


@pytest.mark.parametrize(
    ("spectrum", "match"),
    [
        (TwoColumns(np.linspace(0.5, 0.9, 50), np.ones(50), ()), "micrometres"),
        (TwoColumns(np.linspace(5e4, 9e4, 50), np.ones(50), ()), "not in nm"),
        (TwoColumns(np.linspace(500, 900, 50), -np.ones(50), ()), "nowhere positive"),
        (TwoColumns(np.linspace(500, 900, 50), np.exp(-np.linspace(0, 40, 50)), ()), "fewer than 12"),
        (TwoColumns(np.linspace(500, 900, 50), np.linspace(3, 0.5, 50) ** 8, ()), "no grey body|fewer than 12"),
    ],
)
def test_bad_spectra_are_named(spectrum, match):
    with pytest.raises(InputError, match=match):
        read_temperature(spectrum)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_random_spectra_never_crash(seed):
    rng = np.random.default_rng(seed)
    try:
        got = read_temperature(TwoColumns(np.linspace(500, 900, 60), np.abs(np.cumsum(rng.normal(0, 1, 60))) + 0.1, ()))
    except MegabarError:
        return
    assert np.isfinite(got.temperature_K)


def test_command(capsys, tmp_path):
    spectrum = glow(2400.0, noise=0.003)
    file = tmp_path / "glow.txt"
    file.write_text("\n".join(f"{a};{b:.6e}" for a, b in zip(spectrum.x, spectrum.y, strict=True)))
    assert main(["pyrometry", str(file), "--range-nm", "600,850", "--json", "--out", str(tmp_path / "o")]) == 0
    got = json.loads(capsys.readouterr().out)
    assert got["temperature_K"] == pytest.approx(2400.0, abs=3 * got["statistical_K"])
    assert {p.name for p in (tmp_path / "o").iterdir()} == {"pyrometry.csv", "pyrometry.json", "pyrometry.png"}
    for bad in (["--range-nm", "800,600"], ["--range-nm", "600"], ["--range-nm", "a,b"], ["--range-nm", "600,601"]):
        assert main(["pyrometry", str(file), *bad]) == 2
        assert capsys.readouterr().err.count("\n") == 1
