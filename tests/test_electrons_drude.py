"""Drude optics: limits, causality, the sum rule, published numbers, and what few points leave open."""

import json
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from megabar.cli.main import main
from megabar.electrons import drude
from megabar.electrons.drude import HBAR_EV_FS, HC_EV_NM, Reflectances, fit_drude, permittivity, reflectance
from megabar.electrons.tables import read_columns
from megabar.errors import InputError


def test_carrier_density_of_dias_and_silvera():
    # doi:10.1126/science.aal1579: 32.5(2.1) eV, 7.7(1.1)e23 1/cm3.
    assert drude.carrier_density_per_cm3(32.5) == pytest.approx(7.66e23, rel=1e-3)
    assert 2.0 * 2.1 / 32.5 * drude.carrier_density_per_cm3(32.5) == pytest.approx(1.0e23, rel=0.1)


def test_constants_are_codata():
    from scipy import constants as c

    assert drude.DENSITY_PER_EV2 == pytest.approx(c.epsilon_0 * c.m_e / c.hbar**2 * 1e-6, rel=1e-5)
    assert HC_EV_NM == pytest.approx(c.h * c.c / c.e * 1e9, rel=1e-9)
    assert HBAR_EV_FS == pytest.approx(c.hbar / c.e * 1e15, rel=1e-9)


def test_permittivity_obeys_kramers_kronig():
    """Re eps - 1 at w from Im eps on the whole axis; the conductivity pole at zero is taken off analytically."""
    plasma, rate, at = 3.0, 0.4, np.array([0.5, 1.5, 4.0])
    w = np.linspace(0.0, 4000.0, 4_000_001)[1:] - 0.0005
    imaginary = permittivity(w, plasma, rate).imag
    for x in at:
        own = permittivity(np.array([x]), plasma, rate).imag[0]
        integrand = (w * imaginary - x * own) / (w**2 - x**2)  # without its pole, whose integral is zero
        value = 2.0 / np.pi * np.sum(integrand) * (w[1] - w[0])
        assert value == pytest.approx(permittivity(np.array([x]), plasma, rate).real[0] - 1.0, rel=2e-3)


def test_conductivity_sum_rule():
    # int_0^inf omega Im eps d omega = (pi/2) omega_p^2, for any scattering time.
    for rate in (0.1, 2.0):
        w = np.geomspace(1e-5, 1e6, 400_000)
        total = np.trapezoid(w * permittivity(w, 5.0, rate).imag, w)
        assert total == pytest.approx(0.5 * np.pi * 25.0, rel=1e-4)


def test_limits():
    # Hagen and Rubens 1903: R = 1 - 2 sqrt(2 eps0 omega / sigma0) when omega tau << 1, vacuum.
    plasma, time = 10.0, 1.0
    far = np.array([1e6])
    omega = HC_EV_NM / far / HBAR_EV_FS
    expected = 1.0 - 2.0 * np.sqrt(2.0 * omega / ((plasma / HBAR_EV_FS) ** 2 * time))
    assert 1.0 - reflectance(far, plasma, time)[0] == pytest.approx(1.0 - expected[0], rel=0.02)
    # Above the plasma edge the metal is transparent, and the interface of the window is left.
    assert reflectance(np.array([HC_EV_NM / 100.0]), plasma, 100.0)[0] < 1e-5
    glass = reflectance(np.array([HC_EV_NM / 500.0]), 1.0, 100.0, "2.42")[0]
    assert glass == pytest.approx((1.42 / 3.42) ** 2, rel=1e-3)
    # Without scattering everything is reflected below the edge, behind any window.
    assert reflectance(np.array([400.0]), plasma, 1e6, "diamond")[0] == pytest.approx(1.0, abs=1e-4)


def test_window_lowers_the_reflectance_of_metallic_hydrogen():
    # 32.5 eV with hbar/tau = 0.982 eV at 980 nm, evaluated by hand: 0.945 in vacuum, 0.872 from n = 2.42.
    time = HBAR_EV_FS / 0.982
    assert reflectance(np.array([980.0]), 32.5, time)[0] == pytest.approx(0.945, abs=1e-3)
    assert reflectance(np.array([980.0]), 32.5, time, "2.42")[0] == pytest.approx(0.872, abs=1e-3)


def test_index_of_diamond():
    # 2.4173 at the sodium line, 2.4100 at 656 nm and 2.4354 at 486 nm (Fraunhofer lines, handbook values).
    for wavelength, index in ((589.3, 2.417), (656.3, 2.410), (486.1, 2.435)):
        assert drude.diamond_index(wavelength) == pytest.approx(index, abs=1.5e-3)


@pytest.mark.parametrize(("plasma", "time", "window"), [
    (32.5, 0.67, "diamond"), (8.0, 5.0, "vacuum"), (3.0, 2.0, "1.76")])
def test_fit_recovers_its_own_model(plasma, time, window):
    wavelength = np.geomspace(300.0, 10000.0, 12)
    data = Reflectances("x", wavelength, reflectance(wavelength, plasma, time, window), np.full(12, 1e-3))
    fit = fit_drude(data, window)
    assert fit.plasma_eV == pytest.approx(plasma, rel=1e-4)
    assert fit.scattering_time_fs == pytest.approx(time, rel=1e-4)
    low, high = fit.plasma_interval_eV
    assert low < plasma < high
    # Well determined: the profile interval is the linear error.
    assert high - low == pytest.approx(2.0 * np.sqrt(fit.covariance_eV2[0, 0]), rel=0.15)


def test_stated_errors_cover_the_truth():
    wavelength = np.geomspace(300.0, 8000.0, 10)
    clean = reflectance(wavelength, 12.0, 1.5, "diamond")
    inside = 0
    for seed in range(20):
        noisy = clean + 0.01 * np.random.default_rng(seed).normal(size=10)
        low, high = fit_drude(Reflectances("x", wavelength, noisy, np.full(10, 0.01)), "diamond").plasma_interval_eV
        inside += (low or 0.0) < 12.0 < (high or np.inf)
    assert 8 <= inside <= 19  # 68 % of 20 is 13.6, standard deviation 2.1


def test_four_visible_points_do_not_determine_metallic_hydrogen():
    fit = drude.plan([405.0, 532.0, 642.0, 980.0], 32.5, 0.67, 0.03)
    result = fit.to_dict()
    assert result["plasma_energy_eV"] == pytest.approx(32.5, rel=1e-3)
    assert not result["determined"] and result["plasma_energy_interval_eV"][1] is None
    assert result["plasma_energy_interval_eV"][0] < 16.0  # half the value, a quarter of the carriers, is allowed
    assert abs(fit.correlation) > 0.9
    # The far infrared would tell.
    assert drude.plan([405.0, 980.0, 3000.0, 10000.0], 32.5, 0.67, 0.005).to_dict()["determined"]


def write(path, rows, header="wavelength_nm,reflectance,error"):
    path.write_text(header + "\n" + "\n".join(",".join(str(v) for v in row) for row in rows) + "\n")
    return path


def test_absorption_in_the_window_is_divided_out(tmp_path):
    data = write(tmp_path / "r.csv", [(405, 0.40, 0.02), (980, 0.80, 0.02)])
    correction = write(tmp_path / "t.csv", [(400, 0.5), (410, 0.5), (980, 1.0)], "wavelength_nm,transmission")
    read = drude.read_reflectances(data, correction)
    np.testing.assert_allclose(read.reflectance, [0.8, 0.8])
    np.testing.assert_allclose(read.error, [0.04, 0.02])


@pytest.mark.parametrize(("rows", "arguments", "said"), [
    ([(405, 87, 3), (532, 88, 3)], [], "per cent"), ([(0.405, 0.8, 0.1), (0.9, 0.8, 0.1)], [], "nm"),
    ([(405, 0.8, 0.1)], [], "one wavelength"), ([(405, 0.8), (532, 0.8)], [], "points for two unknowns"),
    ([(405, 0.8, -0.1), (532, 0.8, 0.1)], [], "positive"), ([(405, 0.0, 0.1), (532, 0.8, 0.1)], [], "above 0"),
    ([(405, 0.8, 0.1), (532, 0.8)], [], "line 3"), ([("a", 1, 1)], [], "no rows"),
    ([(405, 0.8, 0.1), (532, 0.8, 0.1)], ["--window", "glass"], "window"),
    ([(405, 0.8, 0.1), (532, 0.8, 0.1)], ["--window", "9"], "1-5"),
    ([(405, 0.8, 0.1), (532, 0.8, 0.1)], ["--plasma-eV", "3"], "either"),
    ([(405, 0.8, 0.1), (532, 0.8, 0.1)], ["--epsilon-infinity", "0"], "0.5-30"),
    ([(405, 0.8, 0.1), (532, 0.8, 0.1)], ["--absorption", "none.csv"], "none.csv"),
])
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, capsys, monkeypatch, rows, arguments, said):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "r.csv", rows)
    assert main(["drude", "r.csv", *arguments, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.out == ""
    assert said in captured.err or (said == "either" and "give a table" in captured.err)
    assert [p.name for p in tmp_path.iterdir()] == ["r.csv"]


def test_command_line_fit_and_plan(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wavelength = np.array([405.0, 532.0, 642.0, 980.0, 3000.0, 8000.0])
    write(tmp_path / "r.csv", [(w, r, 0.01) for w, r in zip(wavelength, reflectance(wavelength, 20.0, 1.0, "diamond"),
                                                            strict=True)])
    assert main(["drude", "r.csv", "--window", "diamond", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["plasma_energy_eV"] == pytest.approx(20.0, rel=1e-3)
    for name in ("drude.png", "drude.csv", "drude_confidence.csv", "result.json", "run.yaml"):
        assert (tmp_path / "drude-r" / name).is_file()
    assert main(["drude", "--plasma-eV", "32.5", "--time-fs", "0.67", "--dry-run", "--json"]) == 0
    assert not (tmp_path / "drude-plan").exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=string.digits + " .-+eE,;\n#abé", max_size=300))
def test_no_text_breaks_the_table_reader(tmp_path, text):
    path = tmp_path / "fuzz.csv"
    path.write_text(text, encoding="utf-8")
    try:
        assert read_columns(path, 2, "two numbers")[0].shape[1] >= 2
    except InputError as error:
        assert "fuzz.csv" in str(error)
