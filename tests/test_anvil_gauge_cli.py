"""`megabar gauge`: its JSON, its files, its chain and its refusals."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.anvil.calibration import load_line, read_load, read_vibron
from megabar.anvil.chain import read_chain
from megabar.anvil.columns import read_two_columns
from megabar.anvil.lattice import parse_hkl, parse_lattice_A
from megabar.cli.main import main
from megabar.errors import InputError


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def answer(capsys, *arguments):
    status, out, err = run(capsys, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def refused(capsys, *arguments):
    status, out, err = run(capsys, *arguments)
    assert status == 2 and out == ""
    assert err.startswith("megabar: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


def test_ruby_json(capsys):
    got = answer(capsys, "gauge", "ruby", "--wavelength-nm", 740, "--reference-nm", 694.24, "--scale", "mao1986")
    assert got["pressure_GPa"] == pytest.approx(156.775, abs=1e-3)
    assert got["scale"] == "mao1986" and got["doi"] == "10.1029/JB091iB05p04673"
    assert got["validity_range_GPa"] == [0.0, 80.0] and got["uncertainty_GPa"] > 5
    assert {s["scale"] for s in got["other_scales"]} >= {"ruby2020", "dewaele2004", "dewaele2008", "chijioke2005"}
    assert got["warnings"]


def test_edge_and_sm_json(capsys):
    got = answer(capsys, "gauge", "diamond-edge", "--shift-cm1", 1800, "--scale", "akahama2006")
    assert got["pressure_GPa"] == pytest.approx(282.86, abs=0.01)
    got = answer(capsys, "gauge", "sm", "--wavelength-nm", 700, "--reference-nm", 685.44)
    shift = 14.56
    by_hand = 3.989 * shift * (1 + 0.006915 * shift) / (1 + 0.0166 * shift)
    assert got["pressure_GPa"] == pytest.approx(by_hand) and got["scale"] == "datchi2007"


def test_marker_json_by_ratio_lattice_and_line(capsys):
    got = answer(capsys, "gauge", "marker", "--material", "Re", "--volume-ratio", 0.8, "--scale", "zha2004")
    assert got["pressure_GPa"] == pytest.approx(133.191, abs=1e-3) and got["material"] == "Re"
    by_cell = answer(capsys, "gauge", "marker", "--material", "W", "--lattice-A", 2.95)
    by_line = answer(capsys, "gauge", "marker", "--material", "w", "--d-A", 2.95 / np.sqrt(2), "--hkl", "110")
    assert by_line["pressure_GPa"] == pytest.approx(by_cell["pressure_GPa"])
    hot = answer(capsys, "gauge", "marker", "--material", "Au", "--volume-ratio", 0.9, "--temperature", "2000 K")
    cold = answer(capsys, "gauge", "marker", "--material", "Au", "--volume-ratio", 0.9)
    # Far above the Debye temperature of 170 K the rise is 3 k_B gamma/V per atom, gamma = 2.97 x 0.9^0.6.
    classical = 3 * 8.617333e-5 * 1700 * 2.97 * 0.9**0.6 / (0.9 * 67.85 / 4) * 160.21766
    assert hot["pressure_GPa"] - cold["pressure_GPa"] == pytest.approx(classical, rel=0.01)


def test_marker_inverse_json(capsys):
    got = answer(capsys, "gauge", "marker", "--material", "Re", "--pressure", "100 GPa")
    back = answer(capsys, "gauge", "marker", "--material", "Re", "--volume-A3", got["volume_A3"])
    assert back["pressure_GPa"] == pytest.approx(100.0) and len(got["lattice_A"]) == 2


def test_convert_json(capsys):
    got = answer(
        capsys,
        "gauge",
        "convert",
        "diamond-edge",
        "--pressure",
        "495 GPa",
        "--from",
        "akahama2010",
        "--to",
        "eremets2023",
    )
    assert got["pressure_GPa"] == pytest.approx(420.6, abs=0.5)


def test_scales_json(capsys):
    got = answer(capsys, "gauge", "scales")["scales"]
    assert len(got) > 50 and all(s["doi"].startswith("10.") for s in got)


def test_reading_is_saved_with_its_figure(capsys, tmp_path):
    status, _, err = run(capsys, "gauge", "ruby", "--wavelength-nm", 720, "--out", tmp_path / "r")
    assert status == 0, err
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == ["reading.json", "scales.csv", "scales.png"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("ruby", "--wavelength-nm", "690"),
        ("ruby", "--wavelength-nm", "7400"),
        ("ruby", "--wavelength-nm", "nan"),
        ("ruby", "--wavelength-nm", "720", "--scale", "ruby1066"),
        ("ruby", "--wavelength-nm", "720", "--temperature", "400"),
        ("ruby", "--wavelength-nm", "720", "--temperature", "3000 K"),
        ("ruby",),
        ("vibron", "--shift-cm1", "4000"),
        ("marker", "--material", "Unobtainium", "--volume-ratio", "0.9"),
        ("marker", "--material", "Re"),
        ("marker", "--material", "Re", "--lattice-A", "2.6"),
        ("marker", "--material", "W", "--d-A", "2.0"),
        ("marker", "--material", "W", "--d-A", "2.0", "--hkl", "1x0"),
        ("diamond-edge", "--shift-cm1", "-5"),
        ("diamond-edge", "--shift-cm1", "2600"),
        ("convert", "thermometer", "--pressure", "5 GPa", "--from", "a", "--to", "b"),
        ("convert", "ruby", "--pressure", "5", "--from", "mao1986", "--to", "ruby2020"),
        ("chain", "no_such_file.csv"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    refused(capsys, "gauge", *arguments)
    assert not list(tmp_path.iterdir())


RUN = """load,gauge,value,sigma,label
10,ruby,697.9,0.02,
20,ruby,701.4,0.02,
30,given,30,1,vibron
40,given,40,1,vibron
45,load,,,
50,diamond-edge,1445,2,
"""


def test_chain(tmp_path, capsys):
    file = tmp_path / "run.csv"
    file.write_text(RUN)
    got = answer(capsys, "gauge", "chain", file, "--out", tmp_path / "out")
    # The rows lie on 1 GPa per unit of load: the line says 50, the edge scales 44 to 50.
    lines = [v for k, v in got["final_GPa"].items() if k.startswith("line")]
    assert lines == pytest.approx([50.0] * len(lines), abs=0.8)
    assert set(got["final_GPa"]) >= {"akahama2004", "akahama2006", "eremets2023"}
    assert "akahama2010" not in got["final_GPa"] and any("akahama2010" in w for w in got["warnings"])
    assert got["lowest_GPa"] < got["pressure_GPa"] < got["highest_GPa"]
    assert got["rows"][4]["pressures_GPa"] and (tmp_path / "out" / "chain.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("load,gauge,value", "a,b,c", "no header"),
        ("20,ruby", "5,ruby", "does not rise"),
        ("697.9", "nan", "not finite"),
        ("10,ruby", "10,thermometer", "unknown"),
        ("30,given,30", "30,given,-3", "negative"),
        ("697.9", "wide", "not a number"),
        ("sigma,label", "sigma,colour", "unknown column"),
    ],
)
def test_bad_chain(tmp_path, capsys, old, new, match):
    file = tmp_path / "run.csv"
    file.write_text(RUN.replace(old, new, 1))
    assert match in refused(capsys, "gauge", "chain", file)


def test_load_line_prediction_error_is_that_of_statistics():
    rng = np.random.default_rng(7)
    load = np.linspace(10, 100, 12)
    wanted, inside = 130.0, 0
    for _ in range(400):
        pressure = 2.0 * load + 5 + rng.normal(0, 3, load.size)
        value, error, _ = load_line(load, pressure, wanted)
        inside += abs(2.0 * wanted + 5 + rng.normal(0, 3) - value) < 2.228 * error  # Student t, 10 degrees, 95 %
    assert 0.92 < inside / 400 < 0.98


def test_load_extrapolation_carries_the_curvature(tmp_path):
    file = tmp_path / "load.csv"
    # A cell that saturates, P = 12 load^0.7: a straight line through the middle overshoots.
    load = np.array([10, 20, 30, 40, 50.0])
    file.write_text("load pressure_GPa\n" + "\n".join(f"{x} {12 * x**0.7}" for x in load))
    reading = read_load(70.0, file)
    truth = 12 * 70**0.7
    assert reading.extrapolated and reading.warnings
    assert abs(reading.pressure_GPa - truth) < reading.uncertainty_GPa * 1.01
    with pytest.raises(InputError, match="1.5 times"):
        read_load(80.0, file)


def test_vibron_interpolates_and_never_extrapolates(tmp_path):
    file = tmp_path / "vibron.csv"
    file.write_text(
        "# points of some paper\nshift_cm1,pressure_GPa\n3600,240\n3700,222\n3800,205\n3900,180\n4000,150\n"
    )
    assert 205 < read_vibron(3750.0, file).pressure_GPa < 222
    assert read_vibron(3800.0, file).pressure_GPa == pytest.approx(205.0)
    with pytest.raises(InputError, match="not extrapolated"):
        read_vibron(4100.0, file)
    file.write_text("4150,0\n4200,10\n4250,30\n4255,50\n4300,20\n")
    with pytest.raises(InputError, match="one branch"):
        read_vibron(4200.0, file)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("1 2\n2 3\n", "at least"),
        ("1 2\n2 nan\n3 4\n" * 4, "NaN"),
        ("1 2\n3 4\n2 5\n4 6\n5 7\n6 8\n7 9\n8 9\n", "line 3"),
        ("1 2\n2 3\n2 4\n4 6\n5 7\n6 8\n7 9\n8 9\n", "not sorted"),
        ("1 2\n2 3\nhello\n4 5\n", "not two numbers"),
        ("", "points"),
        ("\0\0\0", "points"),
    ],
)
def test_two_columns_names_what_is_wrong(tmp_path, text, match):
    file = tmp_path / "spectrum.txt"
    file.write_text(text)
    with pytest.raises(InputError, match=match):
        read_two_columns(file, "spectrum")


def test_two_columns_takes_what_instruments_write(tmp_path):
    file = tmp_path / "spectrum.txt"
    rows = [(1340.0 - i, i * 1.5) for i in range(10)]
    for separator in (" ", "\t", ",", ";", ", "):
        file.write_text(
            "# made on a spectrometer\nshift, counts\n" + "\n".join(separator.join(map(str, r)) for r in rows)
        )
        data = read_two_columns(file, "spectrum")
        assert data.x[0] == 1331.0 and data.y[0] == 13.5 and len(data.header) == 2


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=200))
def test_two_columns_never_crashes(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("fuzz") / "x.txt"
    file.write_text(text, encoding="utf-8", errors="replace")
    try:
        data = read_two_columns(file, "spectrum")
    except InputError:
        return
    assert np.all(np.diff(data.x) > 0) and np.all(np.isfinite(data.y))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=20))
def test_index_and_lattice_parsers_never_crash(text):
    for parse in (parse_hkl, parse_lattice_A):
        try:
            parse(text)
        except InputError:
            continue


@pytest.mark.parametrize(
    ("text", "hkl"), [("110", (1, 1, 0)), ("10-1", (1, 0, -1)), ("1,0,-11", (1, 0, -11)), ("0 0 2", (0, 0, 2))]
)
def test_hkl(text, hkl):
    assert parse_hkl(text) == hkl


def test_example_chain_runs():
    from pathlib import Path

    result = read_chain(Path(__file__).parents[1] / "examples" / "anvil" / "loading_run.csv")
    # The claim's own reading and the newest scale are 74 GPa apart for the same spectrum.
    assert result.final_GPa["akahama2010"] == pytest.approx(495.0, abs=0.5)
    assert result.final_GPa["akahama2010"] - result.final_GPa["eremets2023"] == pytest.approx(74.4, abs=1.0)
