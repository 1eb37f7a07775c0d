"""The enthalpy verb: a small real run, resumed, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from megabar.cli.main import main
from megabar.crystals.files import write_frames
from megabar.crystals.prototypes import build


def test_run_and_again(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_frames("cah4.extxyz", [build("MH4-I4/mmm", "Ca", 50.0)])
    write_frames("cah2.extxyz", [build("MH2-P6_3/mmc", "Ca", 50.0)])
    write_frames("h2.extxyz", [build("H2-Pa-3", "Ca", 50.0)])
    command = ["enthalpy", "CaH2 + H2 -> CaH4", "--pressure", "50 GPa", "--no-library", "--phase", "cah4.extxyz",
               "--phase", "cah2.extxyz", "--phase", "h2.extxyz", "--json", "--out", "e"]
    assert main(command) == 0
    first = json.loads(capsys.readouterr().out)
    # Sign and order: the reference level gives -0.367 eV at 50 GPa; the potential is trained to tens of meV per atom.
    assert -1.0 < first["static_eV"][0] < 0.0
    assert first["volume_change_A3"][0] < 0.0 and first["error_eV"] > 0.0
    assert {"enthalpy.json", "enthalpy.csv", "enthalpy.png", "phases.csv", "phases.png", "run.yaml"} <= {
        p.name for p in Path("e").iterdir()}
    results = sorted(p.stat().st_mtime_ns for p in Path("e/tasks").glob("??/*/result.json"))
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["static_eV"] == first["static_eV"]
    assert sorted(p.stat().st_mtime_ns for p in Path("e/tasks").glob("??/*/result.json")) == results


def test_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["enthalpy", "CaH2 + H2 -> CaH4", "--temperature", "1473 K", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["relaxations"] == 8 * 13 and plan["runs"] == 12 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("words", "said"), [
    (["CaH2 + H2 -> CaH6"], "2 H too many"),
    (["CaH2 + H2"], "one arrow"),
    (["CaH2 + 5 H2 -> CaH12"], "no known phase of CaH12"),
    (["NaH + He -> NaHHe"], "no shipped potential"),
    (["CaH2 + H2 -> CaH4", "--pressure", "900 GPa"], "outside the domain"),
    (["CaH2 + H2 -> CaH4", "--pressure", "50:10:10"], "does not rise"),
    (["CaH2 + H2 -> CaH4", "--potential", "Xx"], "neither shipped nor a folder"),
    (["CaH2 + H2 -> CaH4", "--phase", "none.cif"], "no such file"),
    (["CaH2 + H2 -> CaH4", "--no-library"], "no known phase"),
    (["CaH2 + H2 -> CaH4", "--temperature", "hot"], "hot"),
    (["CaH2 + H2 -> CaH4", "--time", "5"], "unit"),
    ([], "reaction"),
])
def test_refusals(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["enthalpy", *words, "--out", "e"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not list(tmp_path.iterdir())
