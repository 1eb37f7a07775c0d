"""Equations of state: identities of every form, fits that return what was put in, errors that match the scatter."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar import coldcurves
from megabar.cli.main import main
from megabar.errors import InputError, RunError
from megabar.thermodynamics.eos import FORMS, EOSData, EOSFit, fit_all, fit_eos
from megabar.thermodynamics.eosdata import electrons_in, read_points
from megabar.units import EV_PER_A3_IN_GPA


def curve(form, V0=21.0, K0=60.0, prime=4.3, E0=-5.0, electrons=22.0):
    return EOSFit(form, np.array([V0, K0, prime, E0]), np.zeros((4, 4)), electrons, (0.6 * V0, V0), 0.0, 0.0)


@pytest.mark.parametrize("form", FORMS)
@given(K0=st.floats(0.2, 500.0), prime=st.floats(2.5, 7.0))
@settings(max_examples=20, deadline=None)
def test_identities(form, K0, prime):
    """P = -dE/dV and K = -V dP/dV by central difference, E0 and P = 0 at V0, K0 and K0' there."""
    fit = curve(form, K0=K0, prime=prime)
    volume, h = np.array([13.0, 16.0, 19.5, 21.0, 21.5]), 1e-4
    slope = -(fit.energy_eV(volume + h) - fit.energy_eV(volume - h)) / (2 * h) * EV_PER_A3_IN_GPA
    scale = K0 + np.abs(fit.pressure_GPa(volume))
    np.testing.assert_allclose(slope / scale, fit.pressure_GPa(volume) / scale, atol=2e-7)
    modulus = -volume * (fit.pressure_GPa(volume + h) - fit.pressure_GPa(volume - h)) / (2 * h)
    np.testing.assert_allclose(fit.bulk_modulus_GPa(volume), modulus, rtol=1e-6)
    assert float(fit.pressure_GPa(21.0)) == pytest.approx(0.0, abs=1e-12)
    assert float(fit.energy_eV(21.0)) == pytest.approx(-5.0, abs=1e-12)
    assert float(fit.bulk_modulus_GPa(21.0)) == pytest.approx(K0)
    rise = fit.bulk_modulus_GPa(21.0 - h) - fit.bulk_modulus_GPa(21.0 + h)
    drop = fit.pressure_GPa(21.0 - h) - fit.pressure_GPa(21.0 + h)
    assert float(rise / drop) == pytest.approx(prime, rel=1e-4)


def test_all_forms_agree_near_the_minimum():
    """Forms with the same K0 and K0' differ from the third order in compression on only."""
    for small, bound in ((0.01, 1e-4), (0.02, 8e-4)):
        values = [float(curve(f).pressure_GPa(21.0 * (1 - small))) for f in FORMS]
        assert np.ptp(values) < bound * 60.0


def test_ap2_ends_in_the_fermi_gas():
    """Holzapfel's form goes to P = P_FG0 (V0/V)^(5/3) for V to 0; P_FG of n electrons is (2/5) n E_F."""
    hbar2_over_m = 7.6199642  # eV A^2, CODATA
    density = 22.0 / 21.0
    fermi_energy = 0.5 * hbar2_over_m * (3 * np.pi**2 * density) ** (2 / 3)
    expected = 0.4 * density * fermi_energy * EV_PER_A3_IN_GPA
    assert coldcurves.fermi_pressure_GPa(22.0, 21.0) == pytest.approx(expected, rel=1e-7)
    x = 1e-12
    assert coldcurves.holzapfel_ap2(x, 60.0, 4.3, expected) * x ** (5 / 3) == pytest.approx(expected, rel=1e-3)


def test_vinet_energy_keeps_its_digits_at_the_minimum():
    """Where the closed form cancels, the energy is 9/2 K0 (1-y)^2 to leading order."""
    y = 1.0 - 1e-5
    assert float(coldcurves.vinet_energy(y**3, 60.0, 4.3)) == pytest.approx(4.5 * 60.0 * 1e-10, rel=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("with_energy, with_pressure", [(True, False), (False, True), (True, True)])
def test_exact_points_return_their_parameters(form, with_energy, with_pressure):
    truth, volume = curve(form), np.linspace(13.5, 20.0, 9)
    data = EOSData(volume, truth.energy_eV(volume) if with_energy else None,
                   truth.pressure_GPa(volume) if with_pressure else None, electrons=22.0)
    fit = fit_eos(data, form)
    np.testing.assert_allclose(fit.values[:3], truth.values[:3], rtol=1e-6)
    assert fit.volume_A3(30.0) == pytest.approx(truth.volume_A3(30.0), rel=1e-9)
    if with_energy:
        assert fit.E0_eV == pytest.approx(-5.0, abs=1e-8)
        step = 1e-3
        slope = (fit.enthalpy_eV(30 + step) - fit.enthalpy_eV(30 - step)) / (2 * step) * EV_PER_A3_IN_GPA
        assert slope == pytest.approx(fit.volume_A3(30.0), rel=1e-6)  # dH/dP = V


@pytest.mark.parametrize("noise_E, noise_P", [(2e-3, None), (None, 0.3), (2e-3, 0.3)])
def test_standard_errors_are_the_scatter_of_repeated_fits(noise_E, noise_P):
    """300 noisy copies: the spread of each parameter, of V(40 GPa) too, is what one fit claims."""
    rng = np.random.default_rng(1)
    truth, volume = curve("Vinet"), np.linspace(13.0, 21.0, 12)
    values, derived, claimed, claimed_derived = [], [], [], []
    for _ in range(100):
        data = EOSData(volume,
                       None if noise_E is None else truth.energy_eV(volume) + rng.normal(scale=noise_E, size=12),
                       None if noise_P is None else truth.pressure_GPa(volume) + rng.normal(scale=noise_P, size=12))
        fit = fit_eos(data, "Vinet")
        values.append(fit.values[:3])
        claimed.append(fit.sigma[:3])
        derived.append(fit.volume_A3(40.0))
        claimed_derived.append(fit.sigma_of(lambda f: f.volume_A3(40.0)))
    # The spread of 100 draws is known to 7 %; three standard errors, and the scatter-based estimate adds its own.
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(claimed), axis=0)), np.std(values, axis=0), rtol=0.3)
    assert np.sqrt(np.mean(np.square(claimed_derived))) == pytest.approx(np.std(derived), rel=0.3)


def test_known_solid():
    """MgO, third-order Birch-Murnaghan fit of Tange et al. (2009), doi:10.1029/2008JB005813: 57.55 GPa at V/V0 = 0.8
    with K0 160.64, K0' 4.221; points on it give the constants back."""
    V0 = 11.2463 / 0.602214076
    volume = V0 * np.linspace(0.65, 1.0, 8)
    fit = fit_eos(EOSData(volume, pressure_GPa=coldcurves.birch_murnaghan_3(volume / V0, 160.64, 4.221)), "BM3")
    assert float(fit.pressure_GPa(0.8 * V0)) == pytest.approx(57.551, abs=2e-3)
    assert fit.K0_GPa == pytest.approx(160.64) and fit.K0_prime == pytest.approx(4.221)


def test_two_phases_in_one_table_are_called_a_bad_fit():
    volume = np.linspace(13.0, 21.0, 12)
    pressure = curve("BM3").pressure_GPa(volume)
    broken = pressure + np.where(volume < 17.0, -12.0, 0.0)
    assert any("no form" in n for n in fit_all(EOSData(volume, pressure_GPa=broken)).notes)
    assert not any("no form" in n for n in fit_all(EOSData(volume, pressure_GPa=pressure)).notes)


def test_too_few_and_senseless_points():
    with pytest.raises(InputError, match="too few"):
        fit_eos(EOSData(np.array([20.0, 19.0, 18.0]), energy_eV=np.array([0.0, 0.1, 0.3])))
    volume = np.linspace(10, 20, 8)
    with pytest.raises(InputError, match="bulk modulus|unit"):
        fit_eos(EOSData(volume, energy_eV=-((volume - 15.0) ** 2)), "Vinet")
    with pytest.raises(InputError, match="electrons"):
        fit_eos(EOSData(volume, pressure_GPa=20.0 - volume), "AP2")
    with pytest.raises(RunError, match="hold together"):
        curve("Vinet").volume_A3(-30.0)


def test_units_of_a_table(tmp_path):
    (tmp_path / "a.csv").write_text("volume_cm3_per_mol,pressure_kbar\n" + "".join(
        f"{v * 0.602214076},{10 * float(curve('BM3').pressure_GPa(v))}\n" for v in np.linspace(14, 21, 8)))
    data = read_points(tmp_path / "a.csv", "CaH2")
    assert data.electrons == 22.0 == electrons_in("CaH2")
    assert fit_eos(data, "BM3").K0_GPa == pytest.approx(60.0, rel=1e-6)


def table(path, names="volume_A3,energy_eV"):
    volume = np.linspace(14, 21, 8)
    path.write_text(names + "\n" + "".join(f"{v},{float(curve('Vinet').energy_eV(v))}\n" for v in volume))


def test_cli_fits_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "points.csv")
    assert main(["eos", "points.csv", "--formula", "CaH2", "--pressure", "0:40:20", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["fits"]["Vinet"]["K0_GPa"] == pytest.approx(60.0, rel=1e-4)
    assert set(result["fits"]) == set(FORMS) and result["table"]["pressure_GPa"] == [0.0, 20.0, 40.0]
    assert {"eos.png", "eos.csv", "result.json", "run.yaml"} <= {p.name for p in (tmp_path / "eos-points").iterdir()}


@pytest.mark.parametrize("arguments, word", [
    (["none.csv"], "no such file"), (["bare.csv"], "no unit"), (["names.csv"], "wanted"), (["torn.csv"], "row 3"),
    (["points.csv", "--potential", "Ca-H"], "table"), (["points.csv", "--formula", "Xq2"], "formula"),
    (["MH4-I4/mmm", "--pressure", "0:100:20"], "no source"), (["MH4-I4/mmm", "--potential", "Ca-H"], "four pressures"),
    (["MH4-I4/mm", "--potential", "Ca-H", "--pressure", "0:100:20"], "did you mean"),
    (["MH4-I4/mmm", "--potential", "Ca-H", "--pressure", "0:1000:100"], "domain"),
    (["points.csv", "--pressure", "high"], "pressure"),
])
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, capsys, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "points.csv")
    table(tmp_path / "bare.csv", "V,E")
    table(tmp_path / "names.csv", "a,b")
    (tmp_path / "torn.csv").write_text("volume_A3,energy_eV\n20,1\n19\n")
    before = sorted(p.name for p in tmp_path.iterdir())
    assert main(["eos", *arguments]) == 2
    captured = capsys.readouterr()
    assert word in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == before
