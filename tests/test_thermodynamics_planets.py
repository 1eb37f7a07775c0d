"""Planet profiles: hydrostatics, adiabats, provenance, and an overlay that leaves the figure as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from megabar.cli.main import main
from megabar.errors import InputError
from megabar.thermodynamics.planets import PREM_KM_GPA, PROFILES, overlay, prem_pressure_GPa, select


def test_prem_is_hydrostatic() -> None:
    """dP/dz = rho g with PREM's own density and gravity at the ends of layers without a jump (g/cm^3, m/s^2)."""
    for z1, z2, rho, g in ((670.0, 771.0, 0.5 * (4.381 + 4.443), 9.955), (1971.0, 2171.0, 5.157, 9.96),
                           (2891.0, 3171.0, 0.5 * (9.903 + 10.327), 0.5 * (10.68 + 9.94))):
        gradient = (prem_pressure_GPa(z2) - prem_pressure_GPa(z1)) / (z2 - z1)
        assert gradient == pytest.approx(rho * g * 1e-3, rel=0.02)
    table = np.array(PREM_KM_GPA)
    assert (np.diff(table, axis=0) > 0).all()
    assert prem_pressure_GPa(2891.0) == 135.75 and prem_pressure_GPa(6371.0) == 363.85


def test_mantle_is_adiabatic() -> None:
    """0.2 to 0.6 K/km away from phase transitions, as alpha g T / cp is; jumps where olivine transforms."""
    mantle = {p.key: p for p in PROFILES}["earth-mantle"]
    assert mantle.at_K(prem_pressure_GPa(1000.0)) == pytest.approx(2090.0, abs=1.0)
    slope = (mantle.at_K(prem_pressure_GPa(2600.0)) - mantle.at_K(prem_pressure_GPa(1000.0))) / 1600.0
    assert 0.2 < slope < 0.6
    assert mantle.at_K(14.0) - mantle.at_K(13.5) > 40.0  # 410 km


def test_every_profile() -> None:
    for p in PROFILES:
        n = len(p.pressure_GPa)
        assert n == len(p.temperature_K) == len(p.error_K) >= 2
        assert (np.diff(p.pressure_GPa) > 0).all() and min(p.error_K) > 0 and min(p.temperature_K) > 0
        assert p.sources and all("10." in s or "arXiv:" in s for s in p.sources) and p.note
        for pressure, temperature in zip(p.pressure_GPa, p.temperature_K, strict=True):
            assert p.at_K(pressure) == pytest.approx(temperature)
        with pytest.raises(InputError, match="outside"):
            p.at_K(2.0 * p.pressure_GPa[-1])
        if p.provenance == "approximate":  # few round numbers claim no precision
            assert max(e / t for e, t in zip(p.error_K, p.temperature_K, strict=True)) > 0.05
    hot = {p.key: p.at_K(200.0) for p in PROFILES if p.reaches(200.0)}
    assert hot["jupiter"] > hot["uranus"] > hot["super-earth"]


def test_overlay_keeps_the_axes() -> None:
    for axis in ("x", "y"):
        ax = Figure().add_subplot()
        ax.plot([0, 120], [300, 2500])
        before = ax.get_xlim(), ax.get_ylim()
        overlay(ax, ["earth", "jupiter"], pressure_axis=axis)  # type: ignore[arg-type]
        assert (ax.get_xlim(), ax.get_ylim()) == before
        line = ax.lines[1]
        values = line.get_xdata() if axis == "x" else line.get_ydata()
        assert np.max(values) == pytest.approx(prem_pressure_GPa(2800.0))  # pressures lie on the pressure axis
    assert [p.key for p in select(["Earth"])] == ["earth-mantle", "earth-core"]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("melt.csv").write_text("pressure_GPa,temperature_K\n10,1000\n50,2000\n")
    assert main(["planets", "neptune", "--pressure", "10 GPa", "--on", "melt.csv", "--out", "p", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["temperature_K"] == {"neptune": pytest.approx(2000.0)}
    assert {p.name for p in Path("p").iterdir()} == {"planets.json", "planets.csv", "planets.png", "run.yaml"}


@pytest.mark.parametrize("words", [["vulcan"], ["earth", "--pressure", "10"], ["--on", "none.csv"],
                                   ["--on", "bad.csv"]])
def test_refusals(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.csv").write_text("pressure_GPa,temperature_K\n10,warm\n")
    assert main(["planets", *words, "--out", "p"]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not Path("p").exists()
