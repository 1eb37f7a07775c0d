"""Fits of noisy patterns whose cells and pressure are known; the patterns are made here, by textbook formulas only."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from ase.spacegroup import crystal

from megabar.anvil.diffraction.measured import noise_of, read_pattern, snip_background
from megabar.anvil.diffraction.phase import phase_from_atoms, phase_from_marker
from megabar.anvil.diffraction.refine import refine
from megabar.anvil.materials import MATERIALS
from megabar.cli.main import main
from megabar.errors import InputError

WAVELENGTH = 0.3344
A_NA2HE = 4.2100
RE = (2.5600, 4.1300)
# Intensities by N = h2 + k2 + l2 of fluorite and of a body-centred metal, and by hkl of rhenium, near a true pattern.
FLUORITE = {3: 2, 4: 100, 8: 84, 11: 1, 12: 23, 16: 12, 20: 26, 24: 18, 32: 5}
BCC = {2: 100, 4: 17, 6: 35, 8: 10, 10: 15, 12: 5}
REMARKS = {
    (1, 0, 0): 30,
    (0, 0, 2): 33,
    (1, 0, 1): 100,
    (1, 0, 2): 12,
    (1, 1, 0): 18,
    (1, 0, 3): 17,
    (2, 0, 0): 2,
    (1, 1, 2): 19,
    (2, 0, 1): 13,
    (0, 0, 4): 2,
    (2, 0, 2): 3,
    (1, 0, 4): 2,
    (2, 0, 3): 7,
    (2, 1, 0): 2,
    (2, 1, 1): 10,
    (1, 1, 4): 6,
}


def tungsten_edge(pressure):
    """Cell edge of W from the Vinet equation of Dewaele et al., Phys. Rev. B 70, 094112 (2004), by bisection."""
    V0, K0, K1 = 2 * 15.862, 295.2, 4.32
    low, high = 0.4, 1.0
    for _ in range(60):
        x = 0.5 * (low + high)
        r = x ** (1 / 3)
        P = 3 * K0 * (1 - r) / r**2 * np.exp(1.5 * (K1 - 1) * (1 - r))
        low, high = (x, high) if P > pressure else (low, x)
    return (x * V0) ** (1 / 3)


def lines(edge, wanted):
    return {edge / np.sqrt(n): i for n, i in wanted.items()}


def rhenium():
    a, c = RE
    return {
        1 / np.sqrt(4 / 3 * (h * h + h * k + k * k) / a**2 + l * l / c**2): i
        for (h, k, l), i in REMARKS.items()  # noqa: E741
    }


def measured(phases, seed=0, counts=2000, texture=0.3, x=None, without=()):
    """(2 theta, counts): pseudo-Voigt lines whose width grows with angle, a curved background, counting noise."""
    rng = np.random.default_rng(seed)
    x = np.arange(4.0, 24.0, 0.012) if x is None else x
    y = np.zeros_like(x)
    for share, table in phases:
        for d, intensity in table.items():
            angle = 2 * np.degrees(np.arcsin(WAVELENGTH / 2 / d))
            if any(abs(angle - w) < 0.05 for w in without):
                continue
            width = np.hypot(0.07, np.degrees(2 * np.tan(np.radians(angle / 2)) * 1.5e-3))
            u = (x - angle) / width
            shape = 0.6 * (2 / np.pi) / (1 + 4 * u**2) + 0.4 * 2 * np.sqrt(np.log(2) / np.pi) * np.exp(
                -4 * np.log(2) * u**2
            )
            y += share * intensity * np.exp(texture * rng.standard_normal()) * shape / width
    y = counts * y / y.max() + 120 + 300 * np.exp(-x / 8) + 60 * np.exp(-(((x - 9) / 5) ** 2))
    return x, rng.poisson(y).astype(float)


def bench(seed=0, tungsten=0.25, gasket=0.12, **options):
    phases = [(1.0, lines(A_NA2HE, FLUORITE)), (tungsten, lines(tungsten_edge(140.0), BCC)), (gasket, rhenium())]
    return measured(phases, seed, **options)


def store(path, x, y, header="2theta intensity"):
    path.write_text(f"# {header}\n" + "".join(f"{float(a)!r} {float(b)!r}\n" for a, b in zip(x, y, strict=True)))
    return path


def na2he(a):
    return crystal(["Na", "He"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[a, a, a, 90, 90, 90])


def start():
    """What theory hands over: a cell 1.5 % too large, and markers that know nothing of the pressure."""
    return [
        phase_from_atoms(na2he(1.015 * A_NA2HE), "Na2He"),
        phase_from_marker(MATERIALS["W"], 100.0),
        phase_from_marker(MATERIALS["Re"], 100.0),
    ]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cells_and_pressure_come_back_within_their_errors(tmp_path, seed):
    data = read_pattern(store(tmp_path / "p.xy", *bench(seed=seed)), WAVELENGTH)
    result = refine(data, start(), WAVELENGTH, scale="dewaele2004")
    sodium, tungsten, rhenium_ = result.phases
    assert abs(sodium.free_cell[0] - A_NA2HE) < 4 * sodium.errors[0] < 0.004
    assert abs(tungsten.free_cell[0] - tungsten_edge(140.0)) < 4 * tungsten.errors[0] < 0.004
    assert np.all(np.abs(rhenium_.free_cell - RE) < 4 * rhenium_.errors) and np.all(rhenium_.errors < 0.01)
    reading = result.readings[0]
    assert result.marker == "W" and reading.pressure_GPa == pytest.approx(140.0, abs=4 * reading.measurement_GPa)
    assert reading.measurement_GPa < 0.5 and reading.uncertainty_GPa > reading.between_scales_GPa > 1.0
    # The noise is not given but told from the pattern itself, to about a tenth.
    assert result.reduced_chi2 == pytest.approx(1.0, abs=0.25)
    assert not result.unexplained and all(p.detected for p in result.phases)


def test_errors_are_honest(tmp_path):
    pulls = []
    true = tungsten_edge(60.0)
    for seed in range(12):
        x = np.arange(7.0, 20.0, 0.012)
        file = store(tmp_path / "p.xy", *measured([(1.0, lines(true, BCC))], seed, counts=400, texture=0.6, x=x))
        data = read_pattern(file, WAVELENGTH)
        w = refine(data, [phase_from_marker(MATERIALS["W"], 50.0)], WAVELENGTH).phases[0]
        pulls.append((w.free_cell[0] - true) / w.errors[0])
    # Mean square of twelve unit normals: 1 +- 0.4.
    assert 0.25 < np.mean(np.square(pulls)) < 2.2


def test_units_of_the_first_column_agree(tmp_path):
    x, y = measured([(1.0, lines(tungsten_edge(60.0), BCC))], 3, texture=0.0, x=np.arange(7.0, 20.0, 0.012))
    s = 2 * np.sin(np.radians(x / 2)) / WAVELENGTH
    files = {
        "2th_deg I": x,
        "q_A^-1 I": 2 * np.pi * s,
        "q_nm^-1 I": 20 * np.pi * s,
        "d_A I": 1 / s,
        "wavelength: 3.344e-11 m, 2theta (degree)": x,
        "wavelength (A) 0.3344; two theta": x,
    }
    cells = []
    for i, (header, column) in enumerate(files.items()):
        order = np.argsort(column)
        data = read_pattern(store(tmp_path / f"{i}.xy", column[order], y[order], header), WAVELENGTH)
        assert not data.warnings and data.two_theta_deg == pytest.approx(x)
        assert data.intensity == pytest.approx(y)
        cells.append(len(data.intensity))
    assert len(set(cells)) == 1
    with pytest.raises(InputError, match=r"0\.4133 A, the command 0\.3344 A"):
        read_pattern(store(tmp_path / "w.xy", x, y, "2theta; wavelength 0.4133 A"), WAVELENGTH)
    unnamed = read_pattern(store(tmp_path / "n.xy", x, y, "run 7"), WAVELENGTH)
    assert "taken as 2 theta" in unnamed.warnings[0]


def test_noise_and_background():
    rng = np.random.default_rng(1)
    x = np.arange(5.0, 22.0, 0.01)
    under = 200 + 100 * np.exp(-x / 6)
    y = rng.poisson(under + 800 * np.exp(-(((x - 10) / 0.05) ** 2))).astype(float)
    background = snip_background(x, y, 1.0)
    away = np.abs(x - 10) > 0.3
    assert np.abs(background - under)[away].mean() < 12  # noise of a point is 15
    assert np.median(noise_of(y, background)[away] / np.sqrt(under[away])) == pytest.approx(1.0, abs=0.1)


def test_a_phase_left_out_shows_up_as_unexplained_peaks(tmp_path):
    data = read_pattern(store(tmp_path / "p.xy", *bench(seed=4, gasket=0.3)), WAVELENGTH)
    result = refine(data, start()[:2], WAVELENGTH, pressure_GPa=120.0)
    assert result.phases[0].free_cell[0] == pytest.approx(A_NA2HE, abs=0.002)
    angles = [2 * np.degrees(np.arcsin(WAVELENGTH / 2 / d)) for d in rhenium()]
    found = [u["two_theta_deg"] for u in result.unexplained]
    assert len(found) >= 4 and all(min(abs(f - a) for a in angles) < 0.08 for f in found)


def test_a_line_that_is_not_there_is_missing(tmp_path):
    gone = 2 * np.degrees(np.arcsin(WAVELENGTH / 2 / (A_NA2HE / np.sqrt(8))))
    data = read_pattern(store(tmp_path / "p.xy", *bench(seed=5, tungsten=0.0, without=(gone,))), WAVELENGTH)
    result = refine(data, start()[::2], WAVELENGTH, pressure_GPa=140.0)
    assert [(m["phase"], sorted(map(abs, m["hkl"]))) for m in result.missing] == [("Na2He", [0, 2, 2])]


def test_a_marker_that_is_not_there_is_said_to_be_absent(tmp_path):
    data = read_pattern(store(tmp_path / "p.xy", *bench(seed=6)), WAVELENGTH)
    phases = [*start(), phase_from_marker(MATERIALS["Au"], 140.0)]
    result = refine(data, phases, WAVELENGTH, pressure_GPa=140.0)
    assert [p.detected for p in result.phases] == [True, True, True, False]
    assert any(w.startswith("Au: fewer than two of its lines") for w in result.warnings)


def test_a_cell_beyond_the_search_is_not_passed_off_silently(tmp_path):
    # Lines of W and Na2He can trade places when the true cell lies outside the search: the intensities tell.
    x, y = measured([(1.0, lines(A_NA2HE, FLUORITE)), (0.9, lines(tungsten_edge(140.0), BCC))], 2, texture=0.1)
    data = read_pattern(store(tmp_path / "p.xy", x, y), WAVELENGTH)
    phases = [phase_from_atoms(na2he(1.06 * A_NA2HE), "Na2He"), phase_from_marker(MATERIALS["W"], 100.0)]
    poor = refine(data, phases, WAVELENGTH, search_percent=2.0)
    assert any("stray" in w or "another assignment" in w or "bounds" in w for w in poor.warnings) or poor.unexplained
    good = refine(data, phases, WAVELENGTH, search_percent=8.0)
    assert good.phases[0].free_cell[0] == pytest.approx(A_NA2HE, abs=0.002)
    assert not any("stray" in w for w in good.warnings)


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_fit_command(capsys, tmp_path):
    store(tmp_path / "p.xy", *bench(seed=7))
    write(tmp_path / "Na2He.cif", na2he(4.17))
    command = ["xrd", tmp_path / "Na2He.cif", "W", "Re", "--wavelength-A", 0.3344, "--fit", tmp_path / "p.xy"]
    options = ["--marker", "W", "--scale", "dewaele2004", "--range-deg", "5,22", "--pressure", "130 GPa"]
    status, out, err = run(capsys, *command, *options, "--json", "--out", tmp_path / "o")
    assert status == 0, err
    got = json.loads(out)
    assert got["marker"] == "W" and got["scale"] == "dewaele2004"
    assert abs(got["pressure_GPa"] - 140.0) < 2.0 and got["uncertainty_GPa"] > 0
    first = got["phases"][0]
    assert first["name"] == "Na2He" and abs(first["a_A"] - A_NA2HE) < 4 * first["a_error_A"]
    assert first["volume_A3"] == pytest.approx(first["a_A"] ** 3)
    assert first["volume_error_A3"] == pytest.approx(3 * first["a_A"] ** 2 * first["a_error_A"], rel=1e-3)
    assert {"missing", "unexplained", "r_weighted", "reduced_chi2", "readings"} <= set(got)
    names = {p.name for p in (tmp_path / "o").iterdir()}
    assert {"fit.json", "fit.csv", "fit.png", "Na2He.cif", "Na2He.jcpds", "W.jcpds", "Re.jcpds"} <= names
    assert "A: 4.2" in (tmp_path / "o" / "Na2He.jcpds").read_text()


def test_worked_example(capsys):
    """Na2He, host-guest sodium, W and Re in one synthetic pattern; make_inputs.py beside it says what it holds."""
    here = Path(__file__).parent.parent / "examples" / "anvil"
    phases = [here / "Na2He.cif", here / "Na-tI19.cif", "W", "Re"]
    options = ["--fit", here / "measured.xy", "--marker", "W", "--u-iso-A2", 0.01]
    status, out, err = run(capsys, "xrd", *phases, "--wavelength-A", 0.3344, *options, "--json")
    assert status == 0 and err == ""
    got = json.loads(out)
    fitted = {p["name"]: p for p in got["phases"]}
    for name, key, true in (("Na2He", "a", 4.348), ("Na-tI19", "a", 7.09), ("Na-tI19", "c", 2 * 3.512)):
        assert abs(fitted[name][f"{key}_A"] - true) < 4 * fitted[name][f"{key}_error_A"] < 0.01
    first, second = got["readings"]
    assert abs(first["pressure_GPa"] - 141.7) < 4 * first["uncertainty_parts_GPa"]["measurement"] < 1.0
    assert abs(second["pressure_GPa"] - 118.0) < 4 * second["uncertainty_parts_GPa"]["measurement"] < 2.0
    assert got["missing"] == [] and got["unexplained"] == []


@pytest.mark.parametrize(
    ("text", "extra", "words"),
    [
        ("", (), "p.xy"),
        ("a b\n", (), "p.xy"),
        ("1 2\n" * 100, (), "p.xy"),
        ("".join(f"{5 + 0.01 * i} {'nan' if i == 30 else 100}\n" for i in range(400)), (), "p.xy"),
        ("".join(f"{5 + 0.01 * (i ^ 1)} 100\n" for i in range(400)), (), "p.xy"),
        ("".join(f"{5 + 0.01 * i} 100\n" for i in range(400)), (), "no peaks"),
        ("".join(f"{5 + i} {i % 7}\n" for i in range(400)), (), "--unit"),
        ("".join(f"{5 + 0.01 * i} {i % 7}\n" for i in range(400)), ("--unit", "q"), "q_nm-1"),
        ("".join(f"{0.05 + 0.01 * i} {i % 7}\n" for i in range(100)), (), "--unit"),
        ("".join(f"{5 + 0.01 * i} {i % 7}\n" for i in range(400)), ("--range-deg", "30,40"), "range"),
        ("".join(f"{5 + 0.01 * i} {i % 7}\n" for i in range(400)), ("--range-deg", "30"), "range"),
        ("".join(f"{5 + 0.01 * i} {i % 7}\n" for i in range(400)), ("--marker", "Au"), "--marker"),
        ("".join(f"{5 + 0.01 * i} {i % 7}\n" for i in range(400)), ("--search-percent", "40"), "search_percent"),
    ],
)
def test_bad_patterns_are_refused_in_one_line(capsys, tmp_path, text, extra, words):
    (tmp_path / "p.xy").write_text(text)
    command = ["xrd", "W", "--wavelength-A", 0.3344, "--fit", tmp_path / "p.xy", *extra, "--out", tmp_path / "o"]
    status, out, err = run(capsys, *command)
    assert status == 2 and out == "" and words in err and err.startswith("megabar: ") and err.count("\n") == 1
    assert not (tmp_path / "o").exists()
