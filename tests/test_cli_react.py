"""`megabar react`: bad input costs one line and leaves nothing, a dry run says what would be done."""

from __future__ import annotations

import json

import pytest

from megabar.cli.main import main
from megabar.potential.library import load

GOOD = {"--with": "H2", "--pressure": "40 GPa", "--temperature": "1200 C", "--time": "20 ps"}


def react(capsys, *arguments: str, formula: str = "CaH2", **changes: str | None) -> tuple[int, str, str]:
    options = {**GOOD, **{"--" + k.replace("_", "-"): v for k, v in changes.items()}}
    flags = [word for key, value in options.items() if value is not None for word in (key, value)]
    status = main(["react", formula, *flags, *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("formula, changes, word", [
    ("SiO7", {}, "SiO7"), ("CaH2x", {}, "CaH2x"), ("XxH2", {}, "XxH2"), ("H2", {}, "metal"),
    ("CaH2", {"pressure": "40"}, "no unit"), ("CaH2", {"pressure": "-4 GPa"}, "negative"),
    ("CaH2", {"pressure": "0 GPa"}, "gas"), ("CaH2", {"pressure": "3 TPa"}, "1000 GPa"),
    ("CaH2", {"pressure": None}, "--pressure"), ("CaH2", {"pressure": "4 potatoes"}, "unknown unit"),
    ("CaH2", {"temperature": "1200"}, "no unit"), ("CaH2", {"temperature": "0 K"}, "more than 0 K"),
    ("CaH2", {"time": "0 ps"}, "not positive"), ("CaH2", {"time": "20"}, "no unit"),
    ("CaH2", {"with": "D2O"}, "H2"), ("CaH2", {"face": "713"}, "known faces"),
    ("CaH2", {"phase": "MH2-Pnmo"}, "MH2-Pnma"), ("SrH2", {"phase": "MH2-Pnma", "potential": "Ca-H"}, "lacks Sr"),
    ("MgH2", {"phase": "MH2-Pnma"}, "Mg-H"), ("CaH2", {"potential": "Ca-J"}, "Ca-H"),
    ("CaH2", {"atoms": "7"}, "100"), ("CaH2", {"timestep_fs": "2"}, "0.5"), ("CaH2", {"ranks": "0"}, "ranks"),
])
def test_bad_input_is_one_line_and_nothing_written(tmp_path, capsys, monkeypatch, formula, changes, word):
    monkeypatch.chdir(tmp_path)
    status, out, err = react(capsys, formula=formula, **changes)
    assert status == 2 and out == ""
    assert err.count("\n") == 1 and word in err
    assert not list(tmp_path.iterdir())


def test_corrupted_potential(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = load("Ca-H").nep_path.read_text()
    (tmp_path / "p").mkdir()
    for damage in (whole[: len(whole) // 2], whole.replace("nep4", "nep9", 1), "", whole.replace("e", "x")):
        (tmp_path / "p" / "nep.txt").write_text(damage)
        status, out, err = react(capsys, potential="p")
        assert (status, out) == (2, "") and err.count("\n") == 1 and "nep.txt" in err
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


def test_unknown_key_in_the_settings_file(tmp_path, capsys):
    (tmp_path / "s.yaml").write_text("presure: 40 GPa\n")
    status, _, err = react(capsys, "--config", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "o"))
    assert status == 2 and "did you mean 'pressure'" in err and not (tmp_path / "o").exists()


def test_out_that_is_a_file(tmp_path, capsys):
    (tmp_path / "o").write_text("mine")
    status, _, err = react(capsys, "--out", str(tmp_path / "o"))
    assert status == 2 and "is a file" in err and (tmp_path / "o").read_text() == "mine"


def test_dry_run_counts_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = react(capsys, "--dry-run", "--json")
    said = json.loads(out)
    assert (status, err) == (0, "") and said["atoms"] == 600
    assert said["slab_atoms"] + 2 * said["h2_molecules"] == 600 and said["slab_atoms"] == 3 * said["metal_atoms"]
    assert said["notes"] == [] and said["steps"]["reaction"] == 40_000 and said["estimated_hours"] > 0
    status, out, _ = react(capsys, "--dry-run", timestep_fs="0.25", atoms="1000")
    low, high = load("Ca-H").domain.pressure_GPa
    near, far = high + 0.1 * (high - low), high + 0.3 * (high - low)
    assert react(capsys, "--dry-run", pressure=f"{near} GPa")[1].count("outside the") == 1
    refused, _, err = react(capsys, "--dry-run", pressure=f"{far} GPa")
    assert refused == 2 and "too far to trust" in err and "outside_domain" in err
    (tmp_path / "far.yaml").write_text("outside_domain: true\n")
    assert react(capsys, "--dry-run", "--config", str(tmp_path / "far.yaml"), pressure=f"{far} GPa")[0] == 0
    (tmp_path / "far.yaml").unlink()
    assert status == 0 and "80000" in out and "1000" in out and "nothing written" in out
    assert not list(tmp_path.iterdir())


def test_line_wins_over_the_file(tmp_path, capsys):
    (tmp_path / "s.yaml").write_text("pressure: 60 GPa\ntime: 1 ps\natoms: 400\n")
    status, out, _ = react(capsys, "--dry-run", "--json", "--config", str(tmp_path / "s.yaml"), pressure="50 GPa",
                           time=None)
    said = json.loads(out)
    assert status == 0 and (said["pressure_GPa"], said["time_ps"], said["atoms"]) == (50.0, 1.0, 400)
