"""Measured transitions: synthetic curves of known Tc, published critical fields and isotope exponents, bad tables."""

import json
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from megabar.cli.main import main
from megabar.errors import InputError
from megabar.superconductivity import fields, history
from megabar.superconductivity.transition import Measured, isotonic, read_measured, read_transition


def resistance(tc=203.0, width=1.5, noise=0.002, points=400, residue=0.0, seed=1):
    """Normal state 0.3 + 0.001 T ohm times a logistic step: 50 % at tc, tangent onset at tc + 2 width."""
    t = np.linspace(2.0, 300.0, points)
    step = 1.0 / (1.0 + np.exp(-np.clip((t - tc) / width, -60, 60)))
    clean = (0.3 + 0.001 * t) * (residue + (1.0 - residue) * step)
    return t, clean + noise * np.random.default_rng(seed).normal(size=points)


def write(path, t, *columns, header="T_K,R_ohm"):
    np.savetxt(path, np.c_[t, *columns], delimiter=",", header=header, comments="")
    return path


@pytest.mark.parametrize(("width", "noise", "points"), [(1.5, 0.002, 400), (3.0, 0.01, 120), (1.5, 0.02, 400),
                                                        (0.2, 0.005, 150)])
def test_known_tc_is_found_within_the_stated_error(width, noise, points):
    """Over 20 noises the error in units of the stated one has to stay below 4, and be of order one at most."""
    pulls = []
    for seed in range(20):
        t, r = resistance(width=width, noise=noise, points=points, seed=seed)
        step = read_transition(Measured("x", "R", t, r))
        pulls.append((step.midpoint_K - 203.0) / step.midpoint_error_K)
        assert step.onset_K == pytest.approx(203.0 + 2.0 * width, abs=4.0 * step.onset_error_K + 0.1 * width)
    assert np.max(np.abs(pulls)) < 4.0 and np.std(pulls) < 1.5


def test_criteria_are_ordered_and_follow_the_logistic():
    step = read_transition(Measured("x", "R", *resistance(noise=1e-6)))
    # logit(0.9) = 2.197: the 90 % and 10 % points of a logistic lie 2.197 widths off the middle.
    assert step.upper_K == pytest.approx(203.0 + 2.197 * 1.5, abs=0.05)
    assert step.lower_K == pytest.approx(203.0 - 2.197 * 1.5, abs=0.05)
    assert step.zero_fraction == pytest.approx(0.01)
    assert step.zero_K == pytest.approx(203.0 - np.log(99.0) * 1.5, abs=0.1)


def test_verdict_states_a_bound_a_residue_and_an_offset():
    t, r = resistance(noise=0.002)
    clean = read_transition(Measured("x", "R", t, r))
    assert "zero within noise" in clean.verdict and "does not prove" in clean.verdict
    assert "no normal metal falls as far" in read_transition(Measured("x", "R", *resistance(noise=1e-6))).verdict
    stuck = read_transition(Measured("x", "R", *resistance(residue=0.05)))
    assert stuck.zero_K is None and "not zero" in stuck.verdict
    assert stuck.residual_fraction == pytest.approx(0.05, abs=4 * stuck.residual_error_fraction)
    assert "offset" in read_transition(Measured("x", "R", t, r - 0.002)).verdict


def test_noise_alone_and_a_metal_have_no_transition():
    t = np.linspace(2.0, 300.0, 300)
    noise = 0.01 * np.random.default_rng(0).normal(size=300)
    for signal in (0.3 + noise, 0.3 + 0.001 * t + 0.1 * noise, 0.3 - 0.0005 * t + 0.1 * noise):
        with pytest.raises(InputError, match="x: "):
            read_transition(Measured("x", "R", t, signal))


def test_moment_gives_onset_irreversibility_and_meissner_fraction(tmp_path):
    t = np.linspace(5.0, 250.0, 246)
    rng = np.random.default_rng(3)
    zfc = -1.0 / (1.0 + np.exp((t - 190.0) / 4.0)) + 1e-4 * t
    fc = -0.2 / (1.0 + np.exp((t - 190.0) / 4.0)) + 1e-4 * t
    path = write(tmp_path / "m.csv", t, zfc + 0.005 * rng.normal(size=246), fc + 0.005 * rng.normal(size=246),
                 header="T (K),ZFC moment (emu),FC moment (emu)")
    data = read_measured(path)
    assert data.kind == "M"
    step = read_transition(data)
    assert step.midpoint_K == pytest.approx(190.0, abs=4.0 * step.midpoint_error_K)
    assert step.meissner_fraction == pytest.approx(0.2, abs=0.02)
    assert 195.0 < step.irreversibility_K < 215.0
    assert "diamagnetic" in step.verdict


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40))
def test_isotonic_is_monotone_keeps_the_mean_and_projects(values):
    fit = isotonic(np.array(values))
    assert np.all(np.diff(fit) >= -1e-9)
    assert fit.sum() == pytest.approx(np.sum(values), rel=1e-9, abs=1e-6)
    np.testing.assert_allclose(isotonic(fit), fit, atol=1e-9)


def test_whh_reduced_field_has_its_known_limits():
    # Werthamer, Helfand and Hohenberg 1966: 0.693 at T = 0 in the dirty limit; slope one at Tc.
    assert fields.whh_reduced_field(0.0) == pytest.approx(0.693, abs=5e-4)
    assert fields.whh_reduced_field(0.02) == pytest.approx(fields.whh_reduced_field(0.0), rel=1e-2)
    assert fields.whh_reduced_field(0.999) == pytest.approx(0.001, rel=1e-2)


def test_coherence_length_of_cah6():
    # Li et al., Nat. Commun. 13, 2863 (2022), doi:10.1038/s41467-022-30454-w: Hc2(0) 268 T, xi 11 A.
    assert fields.coherence_length_A(268.0) == pytest.approx(11.0, abs=0.2)


def test_critical_field_fits_recover_their_own_law():
    tc = 215.0
    t = np.array([0.95, 0.9, 0.85, 0.8, 0.7]) * tc
    gl = fields.upper_field([*fields.ginzburg_landau_T(t, 160.0, tc)], [*t], [0.2] * 5)
    assert gl.gl_field_T == pytest.approx(160.0, rel=1e-6) and gl.gl_tc_K == pytest.approx(tc)
    whh = fields.upper_field([*fields.whh_T(t, 1.36, tc)], [*t], [0.2] * 5)
    # The slope of CaH6 gives its 203 T: Ma et al., doi:10.1103/PhysRevLett.128.167001.
    assert whh.whh_field_T == pytest.approx(0.693 * 1.36 * tc, rel=2e-3)
    assert whh.whh_field_error_T > 0.0


@pytest.mark.parametrize(("values", "tc"), [
    ([0, 1], [200, 199]), ([1, 1, 1], [200, 199, 198]), ([0, 1, 2], [198, 199, 200])])
def test_unusable_fields_are_refused(values, tc):
    with pytest.raises(InputError):
        fields.upper_field(values, tc, [0.1] * len(tc))


def test_isotope_exponent_of_h3s():
    # Drozdov et al. 2015, doi:10.1038/nature14964: 203 K and about 150 K.
    exponent, error = fields.isotope_exponent(203.0, 1.0, 150.0, 2.0)
    assert exponent == pytest.approx(0.44, abs=0.01)
    assert error == pytest.approx(np.hypot(1 / 203, 2 / 150) / np.log(2.0), rel=0.01)


def test_history_rows_are_cited_and_in_range():
    rows = history.records()
    assert len(rows) >= 25
    for row in rows:
        assert "(" in row.reference and 1911 <= row.year <= 2026 and 0.0 < row.tc_K < 300.0
    assert {r.compound for r in rows if r.status == "retracted"} == {"C-S-H", "Lu-N-H"}


@pytest.mark.parametrize(("text", "said"), [
    ("T,R\n" + "1,2\n" * 5, "points"), ("T,R\n" + "1,2\n" * 20, "does not fall"), ("T,R\n1,2\nx,y\n", "line 3"),
    ("T,R\n1,2\n1\n", "line 3"), ("", "no rows"), ("T,R\n" + "\n".join(f"{-i},1" for i in range(20)), "positive"),
])
def test_bad_tables_are_one_line(tmp_path, capsys, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text(text)
    assert main(["transition", "bad.csv", "--json"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert [p.name for p in tmp_path.iterdir()] == ["bad.csv"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=string.digits + " .-+eE,;\n#TRMé", max_size=500))
def test_no_text_breaks_the_reader(tmp_path, text):
    path = tmp_path / "fuzz.csv"
    path.write_text(text, encoding="utf-8")
    try:
        read_transition(read_measured(path))
    except InputError as error:
        assert "fuzz.csv" in str(error)


def test_command_line_isotope_fields_and_history(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "h.csv", *resistance())
    write(tmp_path / "d.csv", *resistance(tc=150.0))
    assert main(["transition", "h.csv", "--deuterium", "d.csv", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["midpoint_K"] == pytest.approx(203.0, abs=0.3)
    assert result["isotope"]["exponent"] == pytest.approx(-np.log(150 / 203) / np.log(1.9985), abs=0.01)
    names = []
    for tesla in (0, 3, 6, 9):
        names.append(f"{tesla}.csv")
        write(tmp_path / names[-1], *resistance(tc=203.0 * np.sqrt(1.0 - tesla / 100.0)))
    assert main(["transition", *names, "--fields", "0,3,6,9", "--json"]) == 0
    field = json.loads(capsys.readouterr().out)["upper_field"]["ginzburg_landau"]
    assert field["hc2_T"] == pytest.approx(100.0, abs=3.0 * field["hc2_error_T"])
    assert (tmp_path / "transition-0" / "upper_field.csv").is_file()
    assert main(["transition", "--history", "--json"]) == 0
    assert (tmp_path / "transition-history" / "history.png").is_file()


@pytest.mark.parametrize("arguments", [
    [], ["no.csv"], ["h.csv", "h.csv"], ["h.csv", "--fields", "a"], ["h.csv", "h.csv", "--fields", "0"],
    ["h.csv", "h.csv", "--fields", "0,1"], ["h.csv", "--history"], ["h.csv", "--kind", "Q"],
])
def test_bad_requests_write_nothing(tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "h.csv", *resistance())
    assert main(["transition", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["h.csv"]
