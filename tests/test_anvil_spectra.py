"""Ruby doublet and diamond edge in synthetic spectra with known places; what is said about bad ones."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfc

from megabar.anvil.columns import TwoColumns
from megabar.anvil.peaks import fit, pseudo_voigt
from megabar.anvil.spectra import diamond_edge, ruby_doublet
from megabar.cli.main import main
from megabar.errors import InputError, MegabarError


def ruby(r1=705.0, split=1.45, fwhm=0.7, ratio=0.7, counts=2000.0, background=200.0, seed=0, step=0.05):
    x = np.arange(r1 - 12.0, r1 + 10.0, step)
    lines = pseudo_voigt(x, r1, fwhm, 0.6) + ratio * pseudo_voigt(x, r1 - split, fwhm, 0.6)
    y = background + 3.0 * (x - r1) + counts * lines / lines.max()
    return TwoColumns(x, np.random.default_rng(seed).poisson(np.clip(y, 1, None)).astype(float), ())


def edge(position=1830.0, width=8.0, counts=3000.0, seed=0, step=0.7):
    x = np.arange(1200.0, 2100.0, step)
    band = 0.5 * erfc((x - position) / (np.sqrt(2) * width)) * (0.3 + 0.7 * np.exp(-(((x - position) / 250.0) ** 2)))
    band *= 0.5 * erfc(-(x - 1332.0) / 5.0)
    y = 500.0 + 0.2 * (2100.0 - x) + counts * band + 4000.0 * pseudo_voigt(x, 1332.0, 4.0, 1.0)
    return TwoColumns(x, np.random.default_rng(seed).poisson(y).astype(float), ())


def test_pseudo_voigt_is_normalised():
    x = np.linspace(-4000, 4000, 800001)
    for eta in (0.0, 0.4, 1.0):
        y = pseudo_voigt(x, 1.0, 2.0, eta)
        assert np.trapezoid(y, x) == pytest.approx(1.0, abs=4e-4 * eta + 1e-9)
        assert np.interp(2.0, x, y) == pytest.approx(0.5 * y.max(), rel=1e-6)


def test_fit_covariance_is_that_of_a_straight_line():
    rng = np.random.default_rng(5)
    x = np.linspace(0, 10, 60)
    y = 2.0 * x + 1.0 + rng.normal(0, 0.3, 60)
    got = fit(lambda p: p[0] * x + p[1] - y, np.array([1.0, 0.0]), np.array([-10.0, -10]), np.array([10.0, 10]))
    parameters, covariance = np.polyfit(x, y, 1, cov=True)
    assert got.parameters == pytest.approx(parameters, rel=1e-6)
    assert got.covariance == pytest.approx(covariance, rel=1e-4)


@pytest.mark.parametrize(
    ("r1", "fwhm", "ratio"), [(694.25, 0.4, 0.6), (705.0, 0.7, 0.7), (722.0, 1.1, 0.5), (735.0, 0.9, 1.3)]
)
def test_ruby_doublet_is_found(r1, fwhm, ratio):
    found = ruby_doublet(ruby(r1=r1, fwhm=fwhm, ratio=ratio, seed=3))
    assert found.position == pytest.approx(r1, abs=4 * found.error + 1e-3)
    assert found.error < 0.05
    assert found.details["splitting_nm"] == pytest.approx(1.45, abs=0.1)
    assert found.width == pytest.approx(fwhm, rel=0.15)


def test_ruby_error_bars_cover_the_truth():
    pulls = []
    for seed in range(40):
        found = ruby_doublet(ruby(counts=600.0, seed=seed))
        pulls.append((found.position - 705.0) / found.error)
    # 40 draws of a standard normal: the standard deviation is 1.00 +- 0.11.
    assert 0.7 < np.std(pulls) < 1.4 and abs(np.mean(pulls)) < 0.6


def test_cosmic_rays_do_not_move_the_lines():
    clean = ruby(seed=1)
    y = clean.y.copy()
    y[[40, 200, 230, 300]] += 20000.0
    moved = ruby_doublet(TwoColumns(clean.x, y, ()))
    assert moved.position == pytest.approx(ruby_doublet(clean).position, abs=0.01)


def test_broad_lines_warn_of_stress():
    assert any("not hydrostatic" in w for w in ruby_doublet(ruby(fwhm=2.2, split=1.5, counts=20000.0)).warnings)
    assert any("deviatoric" in w for w in ruby_doublet(ruby(split=2.2)).warnings)


@pytest.mark.parametrize(("position", "width"), [(1450.0, 6.0), (1830.0, 8.0), (1960.0, 14.0)])
def test_edge_is_found(position, width):
    found = diamond_edge(edge(position=position, width=width, seed=2))
    assert found.position == pytest.approx(position, abs=2 * found.error)
    assert found.error < 2.0 and found.width == pytest.approx(2.355 * width, rel=0.15)


def test_edge_in_nanometres_with_the_laser():
    shift = edge(seed=4)
    nm = TwoColumns(1e7 / (1e7 / 660.0 - shift.x), shift.y, ())
    assert diamond_edge(nm, laser_nm=660.0).position == pytest.approx(diamond_edge(shift).position, abs=1.0)


@pytest.mark.parametrize(
    ("spectrum", "find", "match"),
    [
        (TwoColumns(np.linspace(0.68, 0.72, 100), np.ones(100), ()), ruby_doublet, "nm"),
        (
            TwoColumns(np.linspace(680, 720, 400), np.random.default_rng(0).normal(100, 5, 400), ()),
            ruby_doublet,
            "noise",
        ),
        (TwoColumns(np.linspace(680, 720, 400), np.zeros(400), ()), ruby_doublet, "noise"),
        (TwoColumns(np.linspace(680, 720, 400), np.ones(400), ()), diamond_edge, "laser"),
        (
            TwoColumns(np.linspace(1200, 2000, 400), np.random.default_rng(0).normal(100, 5, 400), ()),
            diamond_edge,
            "noise",
        ),
    ],
)
def test_hopeless_spectra_are_refused(spectrum, find, match):
    with pytest.raises(InputError, match=match):
        find(spectrum)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1.0, 50.0, 1e6]))
def test_noise_never_crashes(seed, size):
    rng = np.random.default_rng(seed)
    y = np.cumsum(rng.normal(0, size, 300))
    for x, find in ((np.linspace(690, 712, 300), ruby_doublet), (np.linspace(1200, 2000, 300), diamond_edge)):
        try:
            found = find(TwoColumns(x, y, ()))
        except MegabarError:
            continue
        assert np.isfinite(found.position) and np.isfinite(found.error)


def write(path, spectrum, separator=" "):
    path.write_text("\n".join(f"{a}{separator}{b}" for a, b in zip(spectrum.x, spectrum.y, strict=True)))
    return path


def test_spectrum_command(capsys, tmp_path):
    file = write(tmp_path / "ruby.txt", ruby(r1=720.0, seed=9), ",")
    assert main(["spectrum", "ruby", str(file), "--json", "--out", str(tmp_path / "o"), "--scale", "dewaele2008"]) == 0
    got = json.loads(capsys.readouterr().out)
    # 720 nm is 83.8 GPa on this scale (formula, lambda0 = 694.24).
    assert got["pressure_GPa"] == pytest.approx(83.76, abs=0.3) and got["scale"] == "dewaele2008"
    assert {p.name for p in (tmp_path / "o").iterdir()} == {
        "reading.json",
        "scales.csv",
        "scales.png",
        "spectrum.csv",
        "spectrum.json",
        "spectrum.png",
    }
    file = write(tmp_path / "edge.txt", edge(seed=9), "\t")
    assert main(["spectrum", "diamond-edge", str(file), "--json"]) == 0
    got = json.loads(capsys.readouterr().out)
    assert got["position_cm1"] == pytest.approx(1830.0, abs=3.0)


@pytest.mark.parametrize("content", ["", "wavelength,counts\n", "700 1\n699 nan\n" * 20, "1 2 3\nfoo\n" * 30])
def test_spectrum_bad_files(capsys, tmp_path, content):
    file = tmp_path / "bad.txt"
    file.write_text(content)
    for kind in ("ruby", "diamond-edge"):
        assert main(["spectrum", kind, str(file), "--out", str(tmp_path / "o")]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and not (tmp_path / "o").exists()
