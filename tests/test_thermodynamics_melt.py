"""Melting: order and verdicts on constructed cells, brackets on constructed judges, lines, hydrogen and argon."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from megabar.cli.main import main
from megabar.crystals import prototypes
from megabar.dynamics.trajectory import Frame
from megabar.errors import InputError, RunError
from megabar.thermodynamics import coexistence
from megabar.thermodynamics.melt import Bracket, MeltCampaign, MeltingPoint, bracket, hysteresis_K, zero_of_rate
from megabar.thermodynamics.melt_settings import MeltSettings, bulk_cell, rectangular, starting_crystal
from megabar.thermodynamics.melting_curves import MeltingLine, datchi_K, fit_line, kechin_K
from megabar.thermodynamics.solidity import (
    BRAGG_SOLID,
    Growth,
    Lattice,
    bragg_peak,
    diffusion,
    framework,
    growth,
)

RNG = np.random.default_rng(5)


def random_sites(n: int, edges: np.ndarray, least: float) -> np.ndarray:
    """A dense disordered packing: random sites pushed apart until none is closer than `least`."""
    from megabar.crystals.packing import separate

    atoms = Atoms("Ar" * n, scaled_positions=RNG.random((n, 3)), cell=edges, pbc=True)
    assert separate(atoms, np.full((n, n), least), 500)
    return atoms.get_positions(wrap=True)


# order -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["MH4-I4/mmm", "MH2-P6_3/mmc", "MH2-Pnma", "MH6-Im-3m", "H2-P6_3/mmc"])
def test_order_tells_each_crystal_from_a_melt_and_from_half_and_half(name):
    cell = bulk_cell(rectangular(prototypes.build(name, "Ca", 40.0))[0], 300)
    lattice = Lattice.of(cell)
    edges = np.diag(cell.cell[:])
    sites = framework(cell.numbers, cell.positions, cell.cell[:])
    assert lattice.order(sites, cell.cell[:]).min() > 0.8  # 1 but for lattices with more than one site a cell
    spacing = (edges.prod() / len(sites)) ** (1 / 3)
    warm = sites + RNG.normal(size=sites.shape) * 0.12 * spacing / math.sqrt(3.0)  # the Lindemann limit
    assert lattice.order(warm, cell.cell[:]).mean() > 0.6
    melt = random_sites(len(sites), edges, 0.8 * spacing)
    assert lattice.order(melt, cell.cell[:]).mean() < 0.5
    both = np.concatenate([warm, melt + [0.0, 0.0, edges[2]]])
    share = (lattice.order(both, np.diag(edges * [1, 1, 2])) > coexistence.LIQUID_ORDER).mean()
    assert 0.35 < share < 0.65
    assert bragg_peak(warm, cell.cell[:]) > BRAGG_SOLID > bragg_peak(melt, cell.cell[:])


def test_a_rotated_crystal_keeps_its_bragg_peak():
    cell = bulk("Ca", "bcc", a=3.5, cubic=True).repeat(4)
    turned = Atoms(cell.numbers, positions=np.roll(cell.positions, 1, axis=1), cell=cell.cell, pbc=True)
    assert bragg_peak(turned.positions, turned.cell[:]) == pytest.approx(1.0)


def test_framework_of_hydrogen_is_molecular_centres_across_the_boundary():
    places = [[0.1, 1, 1], [4.7, 1, 1], [2.0, 3.0, 3.0], [2.7, 3.0, 3.0]]
    atoms = Atoms("H4", positions=places, cell=[5.0] * 3, pbc=True)
    sites = framework(atoms.numbers, atoms.positions, atoms.cell[:])
    assert np.sort(np.mod(sites[:, 0], 5.0)) == pytest.approx([2.35, 4.9])
    assert len(framework(np.array([20, 1, 1]), np.zeros((3, 3)), np.eye(3))) == 1


def walk(numbers: np.ndarray, moves: np.ndarray, frames: int = 40, vibration: float = 0.3) -> list[Frame]:
    """Random walks with D = moves (n,) A^2/ps, frames of 0.05 ps, on top of a vibration that does not grow."""
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(frames, len(numbers), 3)) * np.sqrt(2.0 * moves * 0.05)[:, None]
    path = np.cumsum(steps, axis=0) + rng.normal(size=steps.shape) * vibration
    return [Frame(0.05 * k, np.eye(3) * 50.0, numbers, p, p) for k, p in enumerate(path)]


def test_diffusion_separates_superionic_from_molten_and_from_vibrating():
    numbers = np.array([20] * 300 + [1] * 1200)
    metal = numbers == 20
    for d_metal, d_hydrogen, superionic in ((0.0, 1.0, True), (1.0, 2.0, False), (0.0, 0.0, False)):
        found = diffusion(walk(numbers, np.where(metal, d_metal, d_hydrogen)))
        assert found.superionic is superionic
        # 300 walkers x 3 axes x a few independent lags: 10 % each.
        assert found.framework_A2_per_ps == pytest.approx(d_metal, rel=0.25, abs=0.02)
        assert found.hydrogen_A2_per_ps == pytest.approx(d_hydrogen, rel=0.15, abs=0.02)


def test_growth_verdicts_and_rate():
    t = np.linspace(0.0, 10.0, 81)
    noise = np.random.default_rng(2).normal(size=81) * 0.02
    for slope, word in ((0.03, "grew"), (-0.03, "melted"), (0.0, "undecided"), (0.003, "undecided")):
        found = growth(t, 0.5 + slope * t + noise)
        assert found.verdict == word
        assert abs(found.rate_per_ps - slope) < 4.0 * found.rate_error_per_ps + 1e-3
    gone = growth(t, np.clip(0.5 - 0.2 * t, 0.0, 1.0))  # used up at 2.5 ps: the rest must not dilute the rate
    assert gone.verdict == "melted" and gone.rate_per_ps == pytest.approx(-0.2, rel=0.05)
    # Frozen against the crystal that was held, and then molten without any melt to start from: above the melting point.
    assert growth(t, np.where(t < 6.0, 0.99, np.clip(1.0 - 0.5 * (t - 6.0), 0.0, 1.0))).verdict == "melted"
    assert growth(t, np.clip(0.5 - 0.2 * t, 0.0, 1.0) + np.clip(0.5 * (t - 6.0), 0.0, 1.0)).verdict == "grew"


# brackets ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("melting", [620.0, 1013.0, 1500.0, 1993.0])
@pytest.mark.parametrize("dead", [0.0, 30.0])
def test_bracket_closes_on_a_known_point(melting, dead):
    """A judge that is right outside `dead` K of melting and undecided inside."""
    def judge(kelvin: float) -> Growth:
        rate = (melting - kelvin) * 1e-4
        verdict = "undecided" if abs(kelvin - melting) < dead else "grew" if rate > 0 else "melted"
        return Growth(verdict, rate, 1e-3, 0.5, 0.5)

    found = bracket(judge, 1300.0, 2000.0, 50.0)
    assert found.low_K is not None and found.high_K is not None
    assert found.low_K < melting <= found.high_K
    assert found.high_K - found.low_K <= (100.0 if dead == 0.0 else 150.0) + 0.2
    value, error = zero_of_rate(found)
    assert abs(value - melting) < 3.0 * max(error, 2.0) and error < 60.0


def test_rates_that_level_off_do_not_pull_the_zero_to_an_end():
    """Growth as in the CaH4 of the page, 0.4 per 50 K at melting and 0.5 at most: a line through all ends at 2000 K."""
    runs = {1852.5: Growth("grew", 0.0, math.inf, 1.0, 1.0), 2037.8: Growth("grew", 0.105, 0.03, 0.6, 1.0),
            2084.1: Growth("melted", -0.311, 0.03, 0.6, 0.0), 2223.1: Growth("melted", -0.476, 0.03, 0.6, 0.0)}
    value, error = zero_of_rate(Bracket(2037.8, 2084.1, runs))
    assert value == pytest.approx(2037.8 + 46.3 * 0.105 / 0.416, abs=3.0) and 1.0 < error < 10.0
    assert zero_of_rate(Bracket(1852.5, 2037.8, runs)) is None  # one rate is not known


def test_bracket_that_never_grows_or_contradicts_itself_says_so():
    always = bracket(lambda t: Growth("melted", -0.1, 0.01, 0.5, 0.0), 500.0, 900.0, 50.0)
    assert always.low_K is None and zero_of_rate(always) is None
    top = bracket(lambda t: Growth("grew", 0.1, 0.01, 0.5, 1.0), 500.0, 900.0, 50.0)
    assert top.from_heating and top.high_K == 900.0 and top.low_K > 800.0
    liar = bracket(lambda t: Growth("grew" if round(t) == 700 else "melted", 0.0, 0.01, 0.5, 0.0), 700.0, 705.0, 50.0)
    assert liar.low_K == 700.0

    def contrary(kelvin: float) -> Growth:
        return Growth("melted" if kelvin < 650.0 else "grew", 0.0, 0.01, 0.5, 0.5)

    found = bracket(contrary, 640.0, 2000.0, 50.0)
    assert found.low_K is None or "too short" in " ".join(found.notes)


def test_hysteresis_brackets_and_limits():
    assert hysteresis_K(1000.0, 1000.0) == pytest.approx(1000.0)
    assert 700.0 < hysteresis_K(1200.0, 700.0) < 1200.0
    # Lennard-Jones, Luo et al. 2003: superheating to 1.2 Tm and supercooling to 0.8 Tm belong together nearly.
    assert hysteresis_K(1.20, 0.815) == pytest.approx(1.02, abs=0.01)


def test_two_phases_keep_composition_and_stretch_one_half():
    crystal = bulk_cell(rectangular(prototypes.build("MH4-I4/mmm", "Ca", 40.0))[0], 200)
    edges = np.diag(crystal.cell[:]) * 1.01
    atoms, middle = coexistence.two_phases(crystal, edges, 1.2)
    assert atoms.get_chemical_formula("reduce").count("Ca") and len(atoms) == 2 * len(crystal)
    assert sorted(atoms.numbers[middle]) == sorted(atoms.numbers[~middle])
    assert atoms.cell[2, 2] == pytest.approx(2.2 * edges[2])
    inside, outside = atoms.positions[middle, 2] / edges[2], atoms.positions[~middle, 2] / edges[2]
    assert inside.min() >= 0.6 and inside.max() < 1.6  # 0.6 of the stretched half below, 0.6 above
    assert ((outside < 0.6) | (outside >= 1.6 - 1e-9)).all() and 0.0 <= outside.min() and outside.max() < 2.2
    with pytest.raises(InputError, match="another seed"):
        coexistence.two_phases(crystal, edges, 5.0)


@pytest.mark.parametrize("formula, pressure, phase", [
    ("CaH2", 5.0, "MH2-Pnma"), ("CaH2", 40.0, "MH2-P6_3/mmc"), ("CaH4", 40.0, "MH4-I4/mmm"),
    ("H2", 40.0, "H2-P6_3/mmc"), ("CaH5.75", 150.0, "MH5.75-Pm-3n")])
def test_crystals_in_rectangular_cells_keep_density_and_composition(formula, pressure, phase):
    crystal = starting_crystal(MeltSettings(formula=formula, pressure="40 GPa"), pressure)
    primitive = prototypes.build(phase, "Ca", pressure)
    assert crystal.name == phase
    assert np.abs(crystal.unit.cell[:] - np.diag(np.diag(crystal.unit.cell[:]))).max() == 0.0
    assert crystal.unit.get_volume() / len(crystal.unit) == pytest.approx(primitive.get_volume() / len(primitive))
    assert crystal.unit.get_chemical_formula("metal").startswith("Ca") or formula == "H2"
    short = [neighbor_list("d", a, 2.5).min() for a in (crystal.unit, primitive)]
    assert short[0] == pytest.approx(short[1], rel=1e-6)
    cell = bulk_cell(crystal.unit, 400)
    assert 200 <= len(cell) <= 800 and max(cell.cell.lengths()) / min(cell.cell.lengths()) < 1.8


# lines -------------------------------------------------------------------------------------------------------------

def test_datchi_at_its_published_points():
    # 14.025 K is the triple point; the maximum of the form is at P = b/c - a, near 128 GPa and 1100 K (Datchi 2000).
    assert datchi_K(0.0) == pytest.approx(14.025)
    p = np.linspace(1.0, 300.0, 3000)
    assert p[datchi_K(p).argmax()] == pytest.approx(0.589 / 4.6e-3 - 0.0286, abs=0.2)
    assert datchi_K(p).max() == pytest.approx(1100.0, abs=15.0)


@pytest.mark.parametrize("form, truth, pressures", [
    ("straight", {"T_K": 700.0, "slope_K_per_GPa": 5.0}, [10, 20, 40]),
    ("simon", {"T0_K": 300.0, "a_GPa": 5.0, "b": 0.5}, [5, 20, 40, 80, 120]),
    ("kechin", {"T0_K": 14.0, "a_GPa": 0.03, "b": 0.59, "c_per_GPa": 4.6e-3}, [1, 5, 10, 20, 40, 80, 120])])
def test_lines_return_to_what_made_them_with_honest_errors(form, truth, pressures):
    p = np.array(pressures, dtype=float)
    exact = truth["T_K"] + truth["slope_K_per_GPa"] * p if form == "straight" else kechin_K(p, **truth)
    line = fit_line(p, exact, np.full(len(p), 20.0), "X", form)
    assert line.temperature_K(p) == pytest.approx(exact, rel=2e-3)
    rng, pulls = np.random.default_rng(3), []
    for _ in range(12):
        noisy = fit_line(p, exact + rng.normal(size=len(p)) * 20.0, np.full(len(p), 20.0), "X", form)
        at = 0.5 * (p[1] + p[2])
        pulls.append(float((noisy.temperature_K(at) - line.temperature_K(at)) / noisy.error_K(at)))
    assert 0.3 < np.std(pulls) < 1.7  # 1 but for the widening by chi^2 and 12 draws
    again = MeltingLine.from_summary(json.loads(json.dumps(line.summary())))
    assert again.temperature_K(30.0) == pytest.approx(float(line.temperature_K(30.0)))
    assert line.slope_K_per_GPa(20.0) == pytest.approx(
        float(line.temperature_K(20.5) - line.temperature_K(19.5)), rel=0.01)


def test_lines_refuse_what_cannot_be_fitted_and_do_not_extrapolate_far():
    with pytest.raises(InputError, match="add pressures"):
        fit_line([1.0, 2.0], [500.0, 600.0], [10.0, 10.0], form="simon")
    with pytest.raises(InputError, match="positive"):
        fit_line([1.0, 2.0], [500.0, 600.0], [10.0, 0.0])
    assert np.isnan(fit_line([10.0, 20.0], [500.0, 600.0], [10.0, 10.0]).temperature_K(80.0))


# the command -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, word", [
    (["CaH4"], "pressure"), (["CaH4", "--pressure", "40"], "no unit"), (["CaH3", "--pressure", "40 GPa"], "--phase"),
    (["Xx2", "--pressure", "40 GPa"], "Xx"), (["CaH4", "--pressure", "40 GPa", "--atoms", "20"], "100"),
    (["CaH4", "--pressure", "40 GPa", "--atoms", "many"], "600"),
    (["CaH4", "--pressure", "40 GPa", "--phase", "MH2-Pnma"], "no CaH4"),
    (["MgH4", "--pressure", "40 GPa"], "Mg-H"), (["CaH4", "--pressure", "40 GPa", "--tolerance", "5"], "no unit"),
    (["CaH4", "--pressure", "40 GPa", "--start", "9000 K"], "limit"),
    (["Ar", "--pressure", "1 GPa"], "--file")])
def test_bad_input_is_one_line_and_nothing_written(tmp_path, capsys, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    assert main(["melt", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and word in captured.err
    assert not list(tmp_path.iterdir())


def test_one_lost_pressure_does_not_take_the_others_with_it(tmp_path, monkeypatch):
    campaign = MeltCampaign(MeltSettings(formula="CaH4", pressure="20,40,60 GPa"), tmp_path)

    def point(self, pressure, report=None):
        if pressure < 50.0:
            raise RunError(f"lost at {pressure:g}")
        return object.__new__(MeltingPoint)

    monkeypatch.setattr(MeltCampaign, "point", point)
    points, failed = campaign.run(jobs=2)
    assert len(points) == 1 and failed == {20.0: "lost at 20", 40.0: "lost at 40"}
    campaign.pressures_GPa = [20.0, 40.0]
    with pytest.raises(RunError, match="lost at 20"):
        campaign.run()


def test_dry_run_says_the_cost_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["melt", "CaH4", "--pressure", "20,40 GPa", "--atoms", "400,800", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [p["pressure_GPa"] for p in plan["points"]] == [20.0, 40.0]
    assert plan["points"][0]["phase"] == "MH4-I4/mmm" and 0.01 < plan["estimated_hours"] < 10.0
    assert not list(tmp_path.iterdir())


# the model test ----------------------------------------------------------------------------------------------------

KELVIN, SIGMA = 119.8, 3.405
"""Argon's Lennard-Jones parameters; only the reduced temperature matters."""


def argon_inputs(**more) -> dict:
    epsilon = KELVIN * 8.617333262e-5
    cell = bulk("Ar", "fcc", a=1.56 * SIGMA, cubic=True).repeat((3, 3, 5))
    lines = [f"pair_style lj/cut {3.0 * SIGMA:.6f}", f"pair_coeff * * {epsilon:.10f} {SIGMA}", "pair_modify tail yes"]
    return {"pair": {"elements": ["Ar"], "lines": lines}, "pressure_GPa": 0.0, "timestep_fs": 10.0, "seed": 1,
            "alike": [0, 0, 0], "crystal": coexistence.cell_record(cell), **more}


@pytest.mark.lammps
def test_lennard_jones_melts_between_065_and_075(tmp_path):
    """Published T* = 0.694 at zero pressure (Mastny and de Pablo, J. Chem. Phys. 127, 104504 (2007)). Here 360 atoms
    for 80 ps: the sides 0.60 and 0.79 must be told apart, and the zero of the rate between them lies within 0.05, which
    is what two rates of 15 % error each over 0.19, and a cutoff of 3 sigma (0.01), allow."""
    # The fcc edge at zero pressure against temperature: 1.560 to 1.62 sigma from 0.3 to 0.69 (density 0.96 at melting).
    edge = np.polyfit([0.45 * KELVIN, 0.58 * KELVIN, 0.69 * KELVIN], [1.0115, 1.0215, 1.0315], 2).tolist()
    rates = {}
    for reduced in (0.60, 0.79):
        run = coexistence.coexist(argon_inputs(
            temperature_K=reduced * KELVIN, hot_K=1.4 * KELVIN, fits={"ex": edge, "ey": edge, "ez": edge},
            stretch=1.15, melt_ratio=1.12,
            threshold=0.5, melt_ps=8.0, time_ps=80.0, extensions=0, thermostat=True), tmp_path / f"{reduced}")
        assert run["verdict"] == ("grew" if reduced < 0.694 else "melted")
        assert 0.3 < run["solid_start"] < 0.85 or run["warnings"]
        assert run["mean_pressure_GPa"] == pytest.approx(0.0, abs=0.02)
        rates[reduced] = run["rate_per_ps"]
    zero = 0.60 + 0.19 * rates[0.60] / (rates[0.60] - rates[0.79])
    assert zero == pytest.approx(0.694, abs=0.05)
