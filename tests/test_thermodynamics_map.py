"""The synthesis map on constructed parts, and the estimate of hydrogen's entropy against tables and identities."""

from __future__ import annotations

import json

import numpy as np
import pytest

from megabar.campaign.files import write_json
from megabar.cli.main import main
from megabar.errors import InputError
from megabar.thermodynamics import hydrogen_gas as gas
from megabar.thermodynamics.map import REGIONS, synthesis_map
from megabar.thermodynamics.map_parts import EXPERIMENTS, EnthalpyPart, MeltPart, read_runs
from megabar.thermodynamics.melting_curves import datchi_K, fit_line
from megabar.thermodynamics.reactions import parse_reaction
from megabar.units import BOLTZMANN_EV_PER_K

REACTION = parse_reaction("CaH2 + H2 -> CaH4")
P, T = np.arange(0.0, 101.0, 5.0), np.arange(100.0, 3001.0, 50.0)


def enthalpy(liquid: np.ndarray | None = None, error: float | None = 0.0, slope: float = -0.01) -> EnthalpyPart:
    """Crosses zero at 20 GPa with `slope` eV/GPa."""
    p = np.linspace(0.0, 100.0, 11)
    return EnthalpyPart("made up", p, slope * (p - 20.0), None, error,
                        np.zeros((0, 4)) if liquid is None else liquid, ())


def melt() -> MeltPart:
    """1000 K at 0 GPa, 10 K/GPa, fusion 0.3 eV."""
    p = np.array([0.0, 50.0, 100.0])
    table = np.stack([p, 1000.0 + 10.0 * p, np.full(3, 50.0)], axis=1)
    fusion = np.stack([p, np.full(3, 0.3), np.full(3, 0.01)], axis=1)
    return MeltPart("CaH4", fit_line(*table.T.tolist()), table, fusion)


# hydrogen ----------------------------------------------------------------------------------------------------------

def test_ideal_hydrogen_has_the_entropy_of_tables():
    """130.68 J/(mol K) at 298.15 K and 1 bar (CODATA key values 1989, without nuclear spin): to 0.5 %, the rotor being
    at its high-temperature expansion."""
    volume = BOLTZMANN_EV_PER_K * 298.15 / (1e-4 / 160.2176634)
    assert gas.fluid_entropy_k(volume, 298.15, 0.0) * 8.314463 == pytest.approx(130.68, rel=0.005)


def test_hydrogen_gibbs_is_an_integral_of_its_entropy_and_continuous():
    t = np.arange(50.0, 2001.0, 10.0)
    for pressure in (5.0, 40.0, 100.0):
        g = gas.hydrogen_gibbs_eV(pressure, t)
        slope = -(g[2:] - g[:-2]) / 20.0 / BOLTZMANN_EV_PER_K
        s = np.array([gas.hydrogen_entropy_k(pressure, x) for x in t[1:-1]])
        away = np.abs(t[1:-1] - datchi_K(pressure)) > 15.0
        assert slope[away] == pytest.approx(s[away], abs=0.06)  # trapezoids of 3 K and central differences of 20 K
        jump = (gas.hydrogen_entropy_k(pressure, float(datchi_K(pressure)))
                - gas.hydrogen_entropy_k(pressure, float(datchi_K(pressure)) - 1e-6))
        assert jump == pytest.approx(gas.FUSION_ENTROPY_K, abs=1e-3)
        assert (np.diff(g) < 0.0).all() and abs(gas.hydrogen_gibbs_eV(pressure, np.array([1.0]))[0]) < 1e-6
    assert gas.mode_entropy_k(1e-4) == pytest.approx(1.0 - np.log(1e-4), rel=1e-3)  # classical limit
    assert gas.hydrogen_entropy_k(10.0, 1500.0) > gas.hydrogen_entropy_k(100.0, 1500.0)


def test_absorption_band_is_ordered_and_vanishes_when_cold():
    band = gas.absorption_gibbs_eV(40.0, T)
    assert (band[1] <= band[0]).all() and (band[0] <= band[2]).all()
    assert np.abs(gas.absorption_gibbs_eV(40.0, np.array([2.0]))).max() < 1e-4


# the map -----------------------------------------------------------------------------------------------------------

def test_regions_follow_from_enthalpy_fusion_and_melting_line():
    found = synthesis_map(REACTION, enthalpy(), melt(), P, T, "none")
    assert found.boundary_GPa(1000.0) == pytest.approx(20.0, abs=1e-6)
    assert found.boundary_GPa(1000.0, "driving_low_eV") == pytest.approx(20.0, abs=1e-6)
    for pressure, kelvin, region in ((10.0, 500.0, 0), (10.0, 2500.0, 0), (25.0, 500.0, 1), (40.0, 2500.0, 3),
                                     # -0.01 (P - 20) + 0.3 <= kT: at 45 GPa 0.05 eV, 580 K; at 60 GPa always.
                                     (45.0, 550.0, 1), (45.0, 650.0, 2), (60.0, 100.0, 2), (45.0, 1400.0, 2),
                                     (45.0, 1500.0, 3)):
        assert found.at(pressure, kelvin)["region"] == REGIONS[region], (pressure, kelvin)
    assert any("no entropy" in n for n in found.notes) and any("zero-point" in n for n in found.notes)
    # A surface must never cost more than the bulk where the reaction is favoured: barrier <= enthalpy of fusion.
    good = found.driving_eV < 0.0
    assert (found.barrier_eV[good] <= 0.3 + 1e-12).all()


def test_md_rows_replace_the_sum_and_do_not_reach_beyond_their_pressures():
    rows = np.array([[40.0, 1473.0, 0.2, 0.01], [80.0, 1473.0, -0.2, 0.01]])
    found = synthesis_map(REACTION, enthalpy(rows), melt(), P, T, "none")
    assert found.at(60.0, 1473.0)["barrier_eV"] == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(found.at(20.0, 1473.0)["barrier_eV"]) and "MD" in found.barrier_how
    assert found.at(30.0, 500.0)["region"] == REGIONS[4]


def test_entropy_and_errors_make_the_band():
    sharp, wide = (synthesis_map(REACTION, enthalpy(error=e), None, P, T) for e in (0.0, 0.1))
    assert (sharp.driving_low_eV <= sharp.driving_eV).all() and (sharp.driving_eV <= sharp.driving_high_eV).all()
    assert wide.driving_high_eV == pytest.approx(sharp.driving_high_eV + 0.1)
    cold = synthesis_map(REACTION, enthalpy(), None, P, np.array([1.0, 2.0]))
    assert cold.boundary_GPa(1.0) == pytest.approx(20.0, abs=0.1)
    assert wide.boundary_GPa(1500.0, "driving_low_eV") < wide.boundary_GPa(1500.0, "driving_high_eV")
    reverse = synthesis_map(parse_reaction("CaH4 -> CaH2H2"), enthalpy(), None, P, T)
    assert (reverse.driving_low_eV == reverse.driving_high_eV).all()  # no H2 goes in: no entropy of it
    assert any("estimate" in n for n in sharp.notes) and any("megabar melt" in n for n in sharp.notes)


def test_map_refuses_what_it_cannot_know():
    with pytest.raises(InputError, match="one product"):
        synthesis_map(parse_reaction("CaH4 -> CaH2 + H2"), enthalpy(), None, P, T)
    with pytest.raises(InputError, match="known from 0 to 100"):
        synthesis_map(REACTION, enthalpy(), None, np.array([50.0, 200.0]), T)


def run_folder(root, last: float, name: str = "run") -> None:
    write_json(root / name / "result.json", {
        "formula": "CaH2", "potential": "Ca-H", "mean_pressure_GPa": 40.0, "mean_temperature_K": 1473.0,
        "time_ps": 20.0, "h2_molecules": 192,
        "analysis": {"uptake": {"first_H_per_metal": 2.0, "last_H_per_metal": last}, "product": {"phase": "none"}}})


def test_runs_are_read_and_damaged_ones_said(tmp_path):
    run_folder(tmp_path, 3.9)
    run_folder(tmp_path, 2.4, "cold")
    run_folder(tmp_path, 4.1, "series/tasks/ab/abcd/run")  # its task holds the same result beside it
    run_folder(tmp_path, 4.1, "series/tasks/ab/abcd")
    write_json(tmp_path / "control" / "result.json", {"h2_molecules": 0, "analysis": {}})
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "result.json").write_text("{")
    write_json(tmp_path / "melt" / "result.json", {"kind": "melting point"})
    points, notes = read_runs([tmp_path, tmp_path])
    assert [p.made for p in points] == [False, True] and len(notes) == 1 and "bad" in notes[0]
    assert points[1].pressure_GPa == 40.0 and "2.0 to 3.9" in points[1].note
    assert [p.note.split(" in ")[0] for p in read_runs([tmp_path / "series"])[0]] == ["H per metal 2.0 to 4.1"]


def test_experiments_are_cited_with_their_conditions():
    made = {(e.pressure_GPa, e.temperature_K) for e in EXPERIMENTS if e.kind == "experiment" and e.what == "CaH4"}
    assert made == {(25.5, None), (116.0, 1600.0)}
    assert all(len(e.source) > 10 for e in EXPERIMENTS)


# the command -------------------------------------------------------------------------------------------------------

def parts(root) -> None:
    p = np.linspace(0.0, 120.0, 7)
    write_json(root / "enthalpy" / "enthalpy.json", {
        "reaction": "H2 + CaH2 -> CaH4", "source": "made up", "pressure_GPa": p, "static_eV": -0.01 * (p - 20.0),
        "with_zero_point_eV": None, "error_eV": 0.02, "notes": [], "hot": []})
    for pressure in (20.0, 60.0, 100.0):
        write_json(root / "melt" / f"{pressure:g}" / "result.json", {
            "kind": "melting point", "formula": "CaH4", "pressure_GPa": pressure, "error_K": 40.0,
            "temperature_K": 1500.0 + 5 * pressure, "fusion_enthalpy_eV_per_fu": 0.4,
            "fusion_enthalpy_error_eV_per_fu": 0.02})


def test_map_from_cached_parts(tmp_path, capsys):
    parts(tmp_path)
    run_folder(tmp_path / "runs", 3.9)
    out = tmp_path / "out"
    arguments = ["map", "CaH2 + H2 -> CaH4", "--enthalpy", str(tmp_path / "enthalpy"), "--melt", str(tmp_path / "melt"),
                 "--runs", str(tmp_path / "runs"), "--pressure", "0:120:10", "--temperature", "300:3000:100",
                 "--out", str(out)]
    assert main([*arguments, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["missing"] == [] and plan["runs"] == 1 and not out.exists()
    assert main([*arguments, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    kinds = [p["kind"] for p in values["points"]]
    assert kinds.count("run") == 1 and kinds.count("experiment") == 3
    assert {"map.png", "map.csv", "map.json", "map-points.csv", "run.yaml"} <= {f.name for f in out.iterdir()}
    rows = (out / "map.csv").read_text().splitlines()
    assert len(rows) == 1 + 13 * 28
    with_entropy = [r["favoured_from_GPa"] for r in values["boundary"]]
    assert main([*arguments, "--entropy", "none", "--json"]) == 0
    without = json.loads(capsys.readouterr().out)["boundary"]
    assert all(r["favoured_from_GPa"] == pytest.approx(20.0) for r in without) and with_entropy != [20.0] * len(without)


def test_dry_run_names_what_is_missing_and_its_cost(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["map", "CaH2 + H2 -> CaH4", "--dry-run", "--json"]) == 0
    missing = json.loads(capsys.readouterr().out)["missing"]
    assert [m["part"] for m in missing] == ["enthalpy", "melting line of CaH4"]
    assert all(m["core_hours"] > 0.0 and m["command"].startswith("megabar ") for m in missing)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments, word", [
    (["CaH2 + H2 -> CaH6"], "balance"), (["CaH4 -> CaH2 + H2"], "one product"), (["CaH2 + H2 CaH4"], "->"),
    (["CaH2 + H2 -> CaH4", "--enthalpy", "nowhere"], "nowhere"),
    (["CaH2 + H2 -> CaH4", "--melt", "nowhere"], "nowhere"),
    (["CaH2 + H2 -> CaH4", "--pressure", "40 GPa"], "two or more"),
    (["CaH2 + H2 -> CaH4", "--temperature", "0:100:50"], "above 0 K"),
    (["CaH2 + H2 -> CaH4", "--planet", "krypton"], "krypton")])
def test_bad_input_is_one_line_and_nothing_written(tmp_path, capsys, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    assert main(["map", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and word in captured.err
    assert not list(tmp_path.iterdir())


def test_damaged_or_foreign_parts_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts(tmp_path)
    path = tmp_path / "enthalpy" / "enthalpy.json"
    whole = path.read_text()
    for text, word in ((whole[:40], "damaged"), (whole.replace("CaH4", "CaH4x"), "CaH4x"), ("{}", "lacks"),
                       (whole.replace("H2 + CaH2 -> CaH4", "CaH2 + 2 H2 -> CaH6"), "not CaH2 + H2 -> CaH4")):
        path.write_text(text)
        assert main(["map", "CaH2 + H2 -> CaH4", "--enthalpy", "enthalpy"]) == 2
        assert word in capsys.readouterr().err
