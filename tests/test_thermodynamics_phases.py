"""P-T diagrams: constructed phases with known lines, Clapeyron slopes, triple points and errors."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from megabar.cli.main import main
from megabar.errors import InputError, RunError
from megabar.thermodynamics.eos import EOSFit
from megabar.thermodynamics.inputs import default_static_pressures_GPa
from megabar.thermodynamics.phases import phase_diagram, read_overlay
from megabar.thermodynamics.quasiharmonic import Gibbs, load_gibbs
from megabar.units import EV_PER_A3_IN_GPA


@dataclass(frozen=True)
class Linear:
    """G = E + P V - T S with constant V and S: every line is straight and known."""

    name: str
    E: float
    V: float
    S: float
    sigma: float = 0.0
    formula: str = "X"
    reach_GPa: float = 1e9

    def gibbs_eV(self, p, t):
        if p > self.reach_GPa:
            raise RunError(f"{self.name}: beyond {self.reach_GPa:g} GPa")
        return self.E + p * self.V / EV_PER_A3_IN_GPA - t * self.S

    def sigma_eV(self, p, t):
        return self.sigma

    def volume_A3(self, p, t):
        return self.V

    def entropy_eV_per_K(self, p, t):
        return self.S


LOOSE, DENSE = Linear("loose", 0.0, 10.0, 3e-4, 0.003), Linear("dense", 0.1, 8.0, 2e-4, 0.004)


def test_line_slope_and_error_band():
    """P = (dE - T dS) / dV, dP/dT = dS/dV, error of 5 meV over dV = 2 A^3: 0.4 GPa."""
    result = phase_diagram([LOOSE, DENSE], np.linspace(0, 30, 16), np.linspace(0, 1000, 11))
    [line] = result.boundaries
    assert (line.low, line.high) == ("loose", "dense")
    expected = (0.1 + line.temperature_K * 1e-4) / 2.0 * EV_PER_A3_IN_GPA
    np.testing.assert_allclose(line.pressure_GPa, expected, atol=1e-4)
    np.testing.assert_allclose(line.slope_GPa_per_K, 1e-4 / 2.0 * EV_PER_A3_IN_GPA, rtol=1e-9)
    np.testing.assert_allclose(line.sigma_pressure_GPa, 0.005 / 2.0 * EV_PER_A3_IN_GPA, rtol=1e-9)
    assert line.at(500.0) == pytest.approx(0.15 / 2 * EV_PER_A3_IN_GPA, abs=1e-3) and np.isnan(line.at(5000.0))
    grid_p, grid_t = np.meshgrid(result.pressures_GPa, result.temperatures_K, indexing="ij")
    np.testing.assert_array_equal(result.stable, (grid_p > (0.1 + grid_t * 1e-4) / 2 * EV_PER_A3_IN_GPA).astype(int))


def test_order_of_the_phases_does_not_matter():
    p, t = np.linspace(0, 30, 16), np.linspace(0, 1000, 11)
    [one], [other] = phase_diagram([LOOSE, DENSE], p, t).boundaries, phase_diagram([DENSE, LOOSE], p, t).boundaries
    assert (one.low, one.high) == (other.low, other.high)
    np.testing.assert_allclose(one.pressure_GPa, other.pressure_GPa, atol=1e-5)


def test_triple_point_hides_what_lies_beyond_it():
    """A third phase of high entropy takes the top: the line between the first two ends at the triple point, which is
    where the three straight lines meet."""
    hot = Linear("hot", 0.5, 9.5, 9e-4)
    result = phase_diagram([LOOSE, DENSE, hot], np.linspace(0, 30, 31), np.linspace(0, 1500, 31))
    equal = np.array([[LOOSE.V - DENSE.V, -(LOOSE.S - DENSE.S)], [LOOSE.V - hot.V, -(LOOSE.S - hot.S)]])
    p, t = np.linalg.solve(equal, [DENSE.E - LOOSE.E, hot.E - LOOSE.E])
    p *= EV_PER_A3_IN_GPA
    lines = {(b.low, b.high): b for b in result.boundaries}
    assert set(lines) == {("loose", "dense"), ("loose", "hot"), ("hot", "dense")}
    end = lines["loose", "dense"]
    assert end.temperature_K.max() <= t and t - end.temperature_K.max() < 50.0
    assert lines["hot", "dense"].temperature_K.min() >= t
    for line in lines.values():
        near = np.argmin(np.abs(line.temperature_K - t))
        assert abs(line.pressure_GPa[near] - p) < 3.0


def test_level_line_is_found_along_pressure():
    """Phases of equal volume change at one temperature for all P: only roots along T can see it."""
    result = phase_diagram([Linear("a", 0.0, 10.0, 1e-4), Linear("b", 0.05, 10.0 - 1e-9, 2e-4)],
                           np.linspace(0, 10, 5), np.linspace(0, 1000, 12))
    [line] = result.boundaries
    np.testing.assert_allclose(line.temperature_K, 500.0, atol=0.01)
    assert len(line.pressure_GPa) == 5


def test_where_a_phase_has_no_answer_the_map_says_so():
    short = Linear("short", 0.1, 8.0, 2e-4, reach_GPa=15.0)
    result = phase_diagram([LOOSE, short], np.linspace(0, 30, 16), np.linspace(0, 1000, 11))
    assert np.isnan(result.gibbs_eV[1][result.pressures_GPa > 15.0]).all()
    assert any("beyond 15 GPa" in n and "of 176 points" in n for n in result.notes)
    np.testing.assert_array_equal(result.known, np.where(result.pressures_GPa > 15.0, 1, 2)[:, None] * np.ones(11))
    # The change of field at 15 GPa, where the dense phase ends, is no line; that of equal Gibbs energy is.
    [line] = result.boundaries
    assert line.pressure_GPa.max() < 15.0


def einstein(name, E0, V0, K0, nu0, formula="X"):
    volumes = np.linspace(0.75 * V0, 1.08 * V0, 8)
    static = EOSFit("Vinet", np.array([V0, K0, 4.0, E0]), np.zeros((4, 4)), None, (0.7 * V0, 1.1 * V0), 0.0, 0.0)
    return Gibbs(name, formula, 1, static, volumes, tuple(np.full((1, 3), nu0 * (v / V0) ** -1.5) for v in volumes),
                 tuple(np.ones(1) for _ in volumes), tuple(1 for _ in volumes))


def test_clapeyron_on_quasiharmonic_phases():
    """Stiff and dense against soft and loose: the slope of the line by differences is dS/dV along it."""
    result = phase_diagram([einstein("soft", -5.0, 20.0, 60.0, 8.0), einstein("stiff", -4.9, 17.5, 90.0, 12.0)],
                           np.linspace(0, 20, 41), np.linspace(100, 1500, 15))
    [line] = result.boundaries
    assert (line.low, line.high) == ("soft", "stiff") and len(line.temperature_K) > 15
    numerical = np.gradient(line.pressure_GPa, line.temperature_K)
    np.testing.assert_allclose(numerical[2:-2], line.slope_GPa_per_K[2:-2], rtol=0.02)
    assert np.all(line.slope_GPa_per_K > 0)


def test_refused_diagrams():
    p, t = [0.0, 10.0], [0.0, 300.0]
    with pytest.raises(InputError, match="megabar enthalpy"):
        phase_diagram([LOOSE, Linear("other", 0, 1, 0, formula="Y")], p, t)
    for phases, grid in (([LOOSE], p), ([LOOSE, LOOSE], p), ([LOOSE, DENSE], [0.0])):
        with pytest.raises(InputError):
            phase_diagram(phases, grid, t)


def test_default_pressures_enclose_the_range():
    grid = default_static_pressures_GPa([0.0, 20.0])
    assert len(grid) == 7 and grid[0] == -5.0 and grid[-1] == 20.0
    assert default_static_pressures_GPa([40.0, 100.0])[0] == pytest.approx(30.0)


def test_cli_from_saved_phases(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    einstein("soft", -5.0, 20.0, 60.0, 8.0).save("soft")
    einstein("stiff", -4.9, 17.5, 90.0, 12.0).save("stiff")
    (tmp_path / "seen.csv").write_text("# a source\npressure_GPa,temperature_K,series\n5,300,a\n6,900,a\n7,900,b\n")
    assert [(o.name, len(o.pressure_GPa)) for o in read_overlay("seen.csv")] == [("a", 2), ("b", 1)]
    command = ["phases", "soft", "stiff", "--pressure", "0:20:2", "--temperature", "100:1500:200",
               "--overlay", "seen.csv"]
    assert main([*command, "--dry-run"]) == 0
    capsys.readouterr()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["seen.csv", "soft", "stiff"]
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["phases"] == ["soft", "stiff"] and len(result["boundaries"]) == 1
    names = {p.name for p in (tmp_path / "phases-X").iterdir()}
    assert {"phases.png", "phases.csv", "boundaries.csv", "result.json", "run.yaml"} <= names


def test_graphite_and_diamond_from_dft_meet_where_berman_and_simon_say():
    """The phonons and energies of examples/carbon (PBEsol-D3). P = 0.71 + 0.0027 T (GPa, K): Berman and Simon, Z.
    Elektrochem. 59, 333 (1955). Within 1 GPa: 20 meV/atom of the functional's error in E(diamond) - E(graphite)."""
    computed = Path(__file__).parents[1] / "examples" / "carbon" / "computed"
    graphite, diamond = (load_gibbs(computed / f"{name}.json") for name in ("graphite", "diamond"))
    for temperature in (1000.0, 1500.0, 2000.0, 2500.0):
        pressures = np.linspace(-1.5, 1.5, 13) + 0.71 + 0.0027 * temperature
        difference = [diamond.gibbs_eV(p, temperature) - graphite.gibbs_eV(p, temperature) for p in pressures]
        assert np.all(np.diff(difference) < 0.0)  # denser diamond gains with pressure
        line = np.interp(0.0, -np.array(difference), pressures)
        assert line == pytest.approx(0.71 + 0.0027 * temperature, abs=1.0)
    # Measured at 300 K (a = 3.567 A; 2.461 and 6.708 A): PBEsol crystals are smaller by 1 %, D3 pulls layers by 2 %.
    assert diamond.volume_A3(0.0, 300.0) == pytest.approx(3.567**3 / 8, rel=0.02)
    assert graphite.volume_A3(0.0, 300.0) == pytest.approx(2.461**2 * 3**0.5 / 2 * 6.708 / 4, rel=0.03)


@pytest.mark.parametrize("arguments, word", [
    (["soft", "stiff"], "no pressures"), (["soft", "--pressure", "0:20:2"], "two or more"),
    (["soft", "stiff", "--pressure", "10 GPa"], "ranges"), (["soft", "other", "--pressure", "0:20:2"], "composition"),
    (["soft", "empty", "--pressure", "0:20:2"], "no such file"),
    (["soft", "CaH2-Pnma", "--pressure", "0:20:2"], "composition"),
    (["soft", "stiff", "--pressure", "0:20:2", "--overlay", "torn.csv"], "not a table"),
    (["CaH2-Pnma", "CaH2-P6_3/mmc", "--pressure", "0:20:2"], "no source"),
    (["CaH2-Pnma", "CaH2-P6_3/mm", "--pressure", "0:20:2", "--potential", "Ca-H"], "did you mean"),
    (["CaH2-Pnma", "CaH2-P6_3/mmc", "--pressure", "0:20:2", "--potential", "Ca-H", "--static", "0,5"], "four"),
])
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, capsys, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    einstein("soft", -5.0, 20.0, 60.0, 8.0).save("soft")
    einstein("stiff", -4.9, 17.5, 90.0, 12.0).save("stiff")
    einstein("other", -4.9, 17.5, 90.0, 12.0, formula="Y").save("other")
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn.csv").write_text("pressure_GPa,temperature_K,series\n1,x,a\n")
    before = sorted(p.name for p in tmp_path.iterdir())
    assert main(["phases", *arguments]) == 2
    captured = capsys.readouterr()
    assert word in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == before
