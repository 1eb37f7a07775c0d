"""alpha2F files: every layout read, every damage refused in one line, and the moments of known shapes."""

import json
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from megabar.cli.main import main
from megabar.errors import InputError, UnitMissing
from megabar.superconductivity.readers import parse_unit, read_alpha2f
from megabar.superconductivity.spectrum import KELVIN_PER, MASS_RATIO_D_TO_H, Spectrum

OMEGA_THZ = np.linspace(0.0, 70.0, 281)
PEAKS = 0.6 * np.exp(-0.5 * ((OMEGA_THZ - 12.0) / 2.0) ** 2) + 1.1 * np.exp(-0.5 * ((OMEGA_THZ - 45.0) / 6.0) ** 2)
ALPHA2F = PEAKS * np.minimum(1.0, (OMEGA_THZ / 4.0) ** 2)


def write(path, unit="THz", header="", values=ALPHA2F, extra=(), footer="", separator="  "):
    scale = KELVIN_PER["THz"] / KELVIN_PER[unit]
    rows = [separator.join(f"{v:.9e}" for v in row) for row in zip(OMEGA_THZ * scale, values, *extra, strict=True)]
    path.write_text("\n".join([*([header] if header else []), *rows, *([footer] if footer else [])]) + "\n")
    return path


def files(tmp_path):
    cumulative = np.concatenate([[0.0], np.cumsum(2 * ALPHA2F[1:] / np.arange(1, 281))])
    total = f"{cumulative[-1]:.7f}"
    return {
        "QE matdyn": write(tmp_path / "a2F.dos3", "Ry", "\n # Eliashberg function a2F (per both spin)\n #  frequencies "
                           "in Rydberg  \n # DOS normalized to E in Rydberg: a2F_total, a2F(mode) ",
                           extra=(ALPHA2F / 2, ALPHA2F / 2),
                           footer=f"  lambda =   {total}         Delta =   1.410051744312960E-005"),
        "QE lambda": write(tmp_path / "alpha2F.dat", "THz", "# E(THz)     0.005     0.010     0.015",
                           extra=(ALPHA2F * 0.9, ALPHA2F * 0.85)),
        "EPW": write(tmp_path / "x.a2f", "meV", " w[meV] a2f and integrated 2*a2f/w for   10 smearing values",
                     extra=(cumulative,),
                     footer=f" Integrated el-ph coupling\n  #            {total}\n Phonon smearing (meV)\n"
                     "  #            0.5000000\nElectron smearing (eV)   0.0500000\nFermi window (eV)   0.8000000"),
        "ABINIT": write(tmp_path / "t_A2F", "Ha", "#\n# ABINIT package : a2f file\n#\n# a2f function integrated "
                        "over the FS. omega in a.u.\n#  number of energy points :  281"),
        "columns": write(tmp_path / "plain.csv", "cm-1", '"freqs, cm-1","a2f"', separator=","),
    }


def test_every_layout_gives_the_same_spectrum_from_its_own_header(tmp_path):
    reference = None
    for layout, path in files(tmp_path).items():
        curve = read_alpha2f(path)
        assert curve.layout == layout
        spectrum = curve.spectrum()
        numbers = (spectrum.coupling, spectrum.omega_log_K, spectrum.omega_2_K, curve.omega_max_K)
        reference = reference or numbers
        np.testing.assert_allclose(numbers, reference, rtol=1e-6)
        assert not [w for w in curve.warnings if "states lambda" in w]


def test_moments_of_a_debye_spectrum():
    # alpha2F = a (omega/omega_D)^2: lambda = a, omega_log = omega_D e^{-1/2}, omega_2 = omega_D / sqrt 2.
    omega = np.linspace(0.0, 400.0, 4001)
    values = 0.7 * (omega / 400.0) ** 2
    width = np.full(4000, 0.1)
    width[-1] = 0.05
    spectrum = Spectrum(omega[1:], values[1:] * width, 400.0)
    assert spectrum.coupling == pytest.approx(0.7, rel=1e-3)
    assert spectrum.omega_log_K == pytest.approx(400.0 * np.exp(-0.5), rel=1e-3)
    assert spectrum.omega_2_K == pytest.approx(400.0 / np.sqrt(2.0), rel=1e-3)


def test_moments_do_not_depend_on_the_grid(tmp_path):
    coarse = tmp_path / "coarse.dat"
    np.savetxt(coarse, np.c_[OMEGA_THZ, ALPHA2F][::4])
    fine = read_alpha2f(write(tmp_path / "fine.dat"), "THz").spectrum()
    spectrum = read_alpha2f(coarse, "THz").spectrum()
    assert spectrum.coupling == pytest.approx(fine.coupling, rel=5e-3)
    assert spectrum.omega_log_K == pytest.approx(fine.omega_log_K, rel=5e-3)


def test_kelvin_per_unit_is_codata():
    from scipy import constants as c

    # scipy may carry the 2022 adjustment; the two differ in the twelfth digit of the Rydberg.
    expected = {"THz": c.h * 1e12 / c.k, "meV": c.e * 1e-3 / c.k, "cm-1": c.h * c.c * 100.0 / c.k,
                "Ry": c.physical_constants["Rydberg constant times hc in J"][0] / c.k, "K": 1.0}
    expected["Ha"] = 2.0 * expected["Ry"]
    for unit, value in expected.items():
        assert KELVIN_PER[unit] == pytest.approx(value, rel=1e-9)


def test_heavier_mass_lowers_frequencies_and_keeps_lambda():
    spectrum = Spectrum(np.array([300.0, 1500.0]), np.array([60.0, 400.0]), 1500.0)
    heavy = spectrum.with_mass(MASS_RATIO_D_TO_H, above_K=1000.0)
    assert heavy.coupling == pytest.approx(spectrum.coupling)
    np.testing.assert_allclose(heavy.omega_K, [300.0, 1500.0 / np.sqrt(MASS_RATIO_D_TO_H)])
    assert heavy.omega_max_K == 1500.0


@pytest.mark.parametrize(("change", "unit", "said"), [
    (lambda w, a: (w[::-1], a[::-1]), "THz", "do not rise"),
    (lambda w, a: (w, -a), "THz", "no positive"),
    (lambda w, a: (w, np.where(w > 40.0, -a, a)), "THz", "negative"),
    (lambda w, a: (w, a), "Ry", "no solid"),
    (lambda w, a: (0.3 * w, a), "K", "did you mean --unit THz"),
    (lambda w, a: (w * 1e-4, a), "Ha", None),
    (lambda w, a: (w, 100.0 * a), "THz", "lambda"),
    (lambda w, a: (w, 0.0 * a), "THz", "only zeros"),
    (lambda w, a: (w[:5] + 30.0, a[200:205]), "THz", "rows"),
    (lambda w, a: (w, np.where(w > 69.0, np.nan, a)), "THz", "NaN"),
    (lambda w, a: (w - 20.0, a), "THz", "imaginary"),
    (lambda w, a: (np.repeat(w[::2], 2)[: len(w)], a), "THz", "do not rise"),
])
def test_damaged_spectra_are_refused_by_name(tmp_path, change, unit, said):
    path = tmp_path / "a2f.dat"
    np.savetxt(path, np.c_[change(OMEGA_THZ, ALPHA2F)])
    if said is None:
        assert read_alpha2f(path, unit).omega_max_K < 7000.0
        return
    with pytest.raises(InputError, match="a2f.dat") as error:
        read_alpha2f(path, unit)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "said"), [
    ("", "no rows"), ("1 2\n2 3\n3\n", "line 3"), ("1\n2\n3\n", "one column"), ("1 2\nnonsense here\n3 4\n", "line 3"),
    ("omega_eV alpha2F\n", "no rows"),
])
def test_malformed_tables_name_the_line(tmp_path, text, said):
    path = tmp_path / "a2f.dat"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_alpha2f(path, "THz")


def test_unit_of_header_and_of_caller_must_agree(tmp_path):
    path = write(tmp_path / "x.dat", "THz", "# E(THz) 0.005")
    with pytest.raises(InputError, match="states THz"):
        read_alpha2f(path, "meV")
    several = write(tmp_path / "s.csv", "meV", '"freqs, meV","a2f","Tc, K","T (K)"', separator=",")
    assert read_alpha2f(several, "meV").unit == read_alpha2f(several).unit == "meV"
    with pytest.raises(UnitMissing):
        read_alpha2f(write(tmp_path / "y.dat"))
    with pytest.raises(InputError, match="one of"):
        parse_unit("furlong")
    assert parse_unit("CM^-1") == "cm-1"


def test_oddities_are_reported_and_kept(tmp_path):
    wavy = ALPHA2F - 0.02 * np.exp(-0.5 * ((OMEGA_THZ - 22.0) / 0.7) ** 2)
    curve = read_alpha2f(write(tmp_path / "wavy.dat", values=wavy), "THz")
    assert "Methfessel" in " ".join(curve.warnings)
    assert curve.alpha2f.min() < 0.0
    cut = tmp_path / "cut.dat"
    np.savetxt(cut, np.c_[OMEGA_THZ, ALPHA2F][44:])
    assert "low-frequency end is missing" in " ".join(read_alpha2f(cut, "THz").warnings)
    header = "# Eliashberg function a2F\n# frequencies in Rydberg"
    wrong = write(tmp_path / "a2F.dos1", "Ry", header, footer=" lambda = 9.0  Delta = 1")
    assert "states lambda = 9" in " ".join(read_alpha2f(wrong).warnings)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=string.digits + " .-+eEdD,\n#abTHz\x00é", max_size=400))
def test_no_text_breaks_the_reader(tmp_path, text):
    path = tmp_path / "fuzz.dat"
    path.write_text(text, encoding="utf-8")
    try:
        assert read_alpha2f(path, "THz").spectrum().coupling > 0.0
    except InputError as error:
        assert "fuzz.dat" in str(error)


def test_command_line_writes_numbers_and_figures(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "h.csv", separator=",")
    before = path.read_bytes()
    assert main(["tc", "h.csv", "--unit", "THz", "--mu-star", "0.10", "--split", "25", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {"mcmillan", "allen_dynes", "eliashberg"} <= set(result["tc_K"])
    assert result["tc_K"]["mcmillan"] < result["tc_K"]["allen_dynes"]
    assert [row["mu_star"] for row in result["mu_star_band"]] == [0.08, 0.10, 0.12, 0.14, 0.16]
    assert 0.2 < result["isotope"]["exponent_hydrogen"] < 0.5
    assert path.read_bytes() == before
    written = {p.name for p in (tmp_path / "tc-h").iterdir()}
    assert written == {"result.json", "run.yaml", "alpha2f.png", "alpha2f.csv", "tc_mu_star.png", "tc_mu_star.csv",
                       "gap.csv"}


def test_command_line_from_moments(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    moments = ["--lambda", "2.19", "--omega-log-K", "1335", "--omega-2-K", "1500"]
    assert main(["tc", *moments, "--mu-star", "0.1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["lambda"] == 2.19 and result["tc_K"]["eliashberg"] is None
    assert result["tc_K"]["mcmillan"] == pytest.approx(204.0, abs=1.0)  # doi:10.1038/srep06968


@pytest.mark.parametrize("arguments", [
    ["nofile.dat", "--unit", "THz"], ["h.dat"], ["h.dat", "--unit", "THz", "--mu-star", "0.5"],
    ["h.dat", "--unit", "Ry"],
    ["h.dat", "--unit", "THz", "--column", "7"], ["h.dat", "--unit", "THz", "--lambda", "1"], [], ["--lambda", "2"],
    ["h.dat", "--unit", "THz", "--split", "500"], ["h.dat", "--unit", "THz", "--f2", "new"],
    ["one.dat", "--unit", "THz"],
    ["h.dat", "--unit", "THz", "--dos", "0.5"],
])
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "h.dat")
    (tmp_path / "one.dat").write_text("\n".join(str(x) for x in range(20)))
    names = sorted(p.name for p in tmp_path.iterdir())
    assert main(["tc", *arguments, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and "Traceback" not in captured.err
    assert sorted(p.name for p in tmp_path.iterdir()) == names


def test_dry_run_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "h.dat")
    assert main(["tc", "h.dat", "--unit", "THz", "--dry-run"]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["h.dat"]
