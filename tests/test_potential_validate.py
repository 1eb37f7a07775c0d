"""Validation: the analysis on closed forms, verdicts that hide nothing, and the verb."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from megabar.cli.main import main
from megabar.errors import InputError
from megabar.thermodynamics.curves import PhaseCurve
from megabar.thermodynamics.reactions import parse_formula
from megabar.validation import check, crystals, energetics, molecules, moving, page, reference, run
from megabar.validation.check import Bench, Check, Measure, at_most, not_run, within
from megabar.validation.reference import ReferencePoint


def test_verdicts():
    assert within("x", 1.0, "GPa", 0.5, 1.5).verdict == "pass" and within("x", 1.6, "GPa", 0.5, 1.5).verdict == "FAIL"
    assert at_most("x", float("nan"), "", 1.0).verdict == "FAIL"  # what is not a number has met nothing
    assert not_run("x", "y", "z").verdict == "not run" and Measure("x", 0.0, "", "-", None).verdict == "-"
    good, bad, none = at_most("x", 0, "", 1), at_most("x", 2, "", 1), not_run("x", "", "")
    assert [Check(1, "t", ms).status for ms in ((good,), (good, none), (good, bad, none), (none,))] == [
        "pass", "incomplete", "fail", "not run"]
    one = Check(3, "t", (good, bad, none), ("a.png",), ("n",))
    assert Check.from_dict(json.loads(json.dumps(one.as_dict()))) == one


def test_page_shows_failures_and_escapes(tmp_path):
    checks = (Check(1, "H2 <molecule>", (at_most("a|b", 2.0, "eV", 1.0), not_run("c", "d", "no data")), ("f.png",)),)
    result = run.Validation("Ca-H", 2, "abc", checks, 1.0)
    result.save(tmp_path)
    text, html = (tmp_path / "validation.md").read_text(), (tmp_path / "validation.html").read_text()
    assert "FAIL" in text and "not run" in text and "a\\|b" in text and "![H2 <molecule>](f.png)" in text
    assert "H2 &lt;molecule&gt;" in html and "class='FAIL'" in html and "f.png" in html
    assert json.loads((tmp_path / "validation.json").read_text())["checks_by_status"]["fail"] == 1
    assert page.markdown(result) == text


def morse(r, depth=4.54, re=0.752, a=1.95):
    return depth * (1.0 - np.exp(-a * (r - re))) ** 2 - depth


def test_bond_and_wavenumber_of_a_morse_molecule():
    grid = np.concatenate([np.arange(0.40, 1.6, 0.01), np.arange(1.6, 6.001, 0.02)])
    labels = np.array([[r, morse(r) + 0.002] for r in (0.6, 0.7, 0.8, 1.0, 2.0, 4.5)])
    found = {m.quantity: m for m in molecules._hydrogen(grid, morse(grid), labels)}
    assert found["H2 bond length r_e"].value == pytest.approx(0.752, abs=1e-4)
    # omega = a sqrt(2 D / mu): 4.54 eV, 1.95 1/A and 0.504 amu.
    per_second = 1.95e10 * np.sqrt(2 * 4.54 * 1.602176634e-19 / (0.504 * 1.66053906660e-27))
    expected = per_second / (2 * np.pi * 2.99792458e10)
    assert found["H2 harmonic wavenumber"].value == pytest.approx(expected, rel=3e-3)
    assert found["H2 curve below 1.2 A: RMS error against labels"].value == pytest.approx(1.0,
                                                                                          abs=0.05)  # 2 meV, 2 atoms
    depth = next(m for name, m in found.items() if "depth" in name)
    assert depth.passed and depth.value < 5.0


def test_second_minimum_is_the_depth_below_the_lower_barrier():
    r = np.linspace(0.5, 6.0, 2000)
    assert molecules._second_minimum(morse(r)) == pytest.approx(0.0, abs=1e-9)
    hole = morse(r) - 0.3 * np.exp(-((r - 4.0) / 0.2) ** 2)
    rim = (morse(r) - 0.3 * np.exp(-((r - 4.0) / 0.2) ** 2))[(r > 3.0) & (r < 4.0)].max()
    assert molecules._second_minimum(hole) == pytest.approx(rim - hole[(r > 3.5)].min(), rel=1e-6)


@dataclass
class Frame:
    numbers: np.ndarray
    positions_A: np.ndarray
    cell_A: np.ndarray


def as_frame(atoms: Atoms) -> Frame:
    return Frame(atoms.numbers, atoms.positions, atoms.cell[:])


def test_pair_distribution_of_a_gas_is_one_and_of_a_crystal_counts_neighbours():
    rng = np.random.default_rng(0)
    gas = [as_frame(Atoms("H300", positions=rng.random((300, 3)) * 12, cell=[12] * 3, pbc=True)) for _ in range(4)]
    r, g = moving._pair_distribution(gas)
    assert g[(r > 1.0)].mean() == pytest.approx(1.0, abs=0.02)
    fcc = bulk("Ar", "fcc", a=4.0, cubic=True).repeat(2)
    r, g = moving._pair_distribution([as_frame(fcc)])
    near = (r > 2.7) & (r < 3.0)
    density = len(fcc) / fcc.get_volume()
    neighbours = (g * density * 4 / 3 * np.pi * ((r + 0.005) ** 3 - (r - 0.005) ** 3))[near].sum()
    assert neighbours == pytest.approx(12.0, rel=1e-6) and g[r < 2.7].max() == 0.0


def test_bonds_are_mutual_and_counted_once():
    centres = np.array([[0, 0, 0], [3, 0, 0], [0, 3, 0]], dtype=float)
    positions = np.concatenate([centres, centres + [0.75, 0, 0], [[3.0, 1.2, 0.0]]])  # the last leans on a molecule
    bonds = moving._bonds(as_frame(Atoms("H7", positions=positions, cell=[6] * 3, pbc=True)))
    np.testing.assert_allclose(bonds, 0.75)
    assert len(bonds) == 3


def test_height_above_the_hull():
    x, y = np.array([2.0, 4.0, 5.75, 6.0]), np.array([0.0, -1.0, -1.4, -1.3])
    # 6 lies above 5.75 with hydrogen split off; 5.75 and 4 are on the hull.
    np.testing.assert_allclose(crystals._above_hull(x, y), [0, 0, 0, 0.1], atol=1e-12)
    line = crystals._above_hull(x, np.array([0.0, -0.2, -1.5, -1.6]))
    assert line[1] == pytest.approx(-0.2 + 1.5 * 2 / 3.75) and line[3] == 0.0
    assert np.isnan(crystals._above_hull(x, np.array([0.0, np.nan, -1.5, -1.6]))[1])


@dataclass(frozen=True, eq=False)
class Analytic(Bench):
    """Phases with V = V0 / (1 + P / K) and the enthalpy that follows, exactly."""

    def curve(self, prototype, ratio, pressures_GPa):
        v0, e0 = {"H2": (5.0, -3.0), "CaH2": (10.0, -4.0), "CaH4": (8.5, -3.75)}[ratio]
        stiff = 60.0
        p = np.array(pressures_GPa)
        volume = v0 / (1.0 + p / stiff)
        enthalpy = e0 + v0 * stiff * np.log1p(p / stiff) / 160.2176634
        blank = ("",) * len(p)
        return PhaseCurve(prototype, parse_formula(ratio), "test", p, enthalpy, volume, blank, blank, (False,) * len(p),
                          (None,) * len(p), np.full(len(p), np.nan))


def analytic(tmp_path, shift=0.0):
    bench = Analytic(potential=None, metal="Ca", source=None, store=None, folder=tmp_path)
    points = []
    for formula, atoms in (("CaH2", 3), ("CaH4", 5), ("H2", 2)):
        curve = bench.curve("x", formula, list(energetics.PRESSURES_GPA))
        for p, h, v in zip(curve.pressure_GPa, curve.enthalpy_eV, curve.volume_A3, strict=True):
            extra = shift if formula == "CaH4" else 0.0
            points.append(ReferencePoint(formula, "x", float(p), float(h * atoms + extra), float(v * atoms), "l"))
    return Analytic(potential=None, metal="Ca", source=None, store=None, folder=tmp_path, references=points)


@pytest.mark.parametrize("shift, passes", [(0.0, True), (0.019, True), (-0.021, False)])
def test_synthesis_against_references_that_are_known(tmp_path, shift, passes):
    result = energetics.synthesis(analytic(tmp_path, shift))
    errors = [m for m in result.measures if m.quantity.startswith("error at")]
    assert len(errors) == 5 and all(m.passed is passes for m in errors)
    assert all(m.value == pytest.approx(abs(shift) * 1e3, abs=1e-6) for m in errors)
    slopes = [m for m in result.measures if m.quantity.startswith("dH/dP")]
    assert len(slopes) == 5 and all(m.passed for m in slopes), slopes
    assert (tmp_path / "06-synthesis.png").is_file() and (tmp_path / "06-synthesis.csv").is_file()


def test_without_references_it_says_not_run(tmp_path):
    bench = Analytic(potential=None, metal="Ca", source=None, store=None, folder=tmp_path)
    errors = [m for m in energetics.synthesis(bench).measures if m.quantity.startswith("error at")]
    assert [m.verdict for m in errors] == ["not run"] * 5


def test_reference_table_round_trip_and_bad_ones(tmp_path):
    path = tmp_path / "r.csv"
    points = [ReferencePoint("CaH4", "I4/mmm", p, -6.0 + p, 26.0, "pbe-gpaw-1") for p in (50.0, 20.0, 50.0)]
    reference.write(path, points)
    assert [p.pressure_GPa for p in reference.read(path)] == [20.0, 50.0]
    text = path.read_text()
    for bad, word in ((text.replace("26.0", "wide", 1), "line 2"), (text.replace("formula,", "formel,", 1), "line 2"),
                      (text.replace("pbe-gpaw-1", "pbe-qe-1", 1), "two levels")):
        path.write_text(bad)
        with pytest.raises(InputError, match=word):
            reference.read(path)


def test_shipped_references_are_those_of_the_level():
    found = reference.find(run.load("Ca-H").path, "Ca-H")
    points = {(p.formula, p.pressure_GPa): p for p in reference.read(found)}
    delta = (points["CaH4", 50.0].enthalpy_eV_per_formula - points["CaH2", 50.0].enthalpy_eV_per_formula
             - points["H2", 50.0].enthalpy_eV_per_formula)
    assert delta == pytest.approx(-0.367, abs=0.002)  # measured at the level when it was fixed


@pytest.mark.parametrize("arguments, word", [
    (["--potential", "Ca-X"], "Ca-H"), (["--checks", "1,12"], "1 to 10"), (["--checks", "one"], "1 to 10"),
    (["--reaction", "nowhere"], "no such folder"), (["--frames", "no.extxyz"], "no such file"),
    (["--references", "no.csv"], "cannot be read"), (["--md-scale", "0"], "md-scale"),
])
def test_bad_input_is_one_line_and_nothing_written(tmp_path, capsys, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    assert main(["validate", "--out", "V", *arguments]) == 2
    captured = capsys.readouterr()
    assert word in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert not list(tmp_path.iterdir())


def test_the_verb_keeps_what_is_done_and_redoes_what_changed(tmp_path, capsys):
    command = ["validate", "--potential", "Ca-H", "--checks", "1,3,10", "--out", str(tmp_path / "V"), "--json"]
    assert main([*command, "--dry-run"]) == 0 and not (tmp_path / "V").exists()
    capsys.readouterr()
    assert main(command) == 0
    first = json.loads(capsys.readouterr().out)
    assert [c["number"] for c in first["checks"]] == [1, 3, 10] and first["checks"][2]["status"] == "not run"
    assert all((tmp_path / "V" / name).is_file() for c in first["checks"] for name in c["figures"])
    stamp = (tmp_path / "V" / "checks" / "01.json").stat().st_mtime_ns
    (tmp_path / "V" / "03-errors-by-region.png").unlink()  # a check whose figure is gone is done again
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["checks"] == first["checks"]
    assert (tmp_path / "V" / "checks" / "01.json").stat().st_mtime_ns == stamp
    assert (tmp_path / "V" / "03-errors-by-region.png").is_file()
    (tmp_path / "V" / "checks" / "01.json").write_text("{")  # half-written by a kill
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["checks"] == first["checks"]


def test_a_check_that_raises_is_a_failed_check(tmp_path, monkeypatch):
    def stops(bench):
        raise InputError("cell: no such thing; mend it")

    monkeypatch.setitem(run.CHECKS, 1, ("H2", stops))
    bench = run.make_bench("Ca-H", tmp_path / "V", run.Inputs())
    result = run.validate(bench, [1])
    assert result.checks[0].status == "fail" and "no such thing" in result.checks[0].measures[0].note
    assert check.NOT_RUN not in [c.status for c in result.checks]
