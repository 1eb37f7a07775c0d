"""Reaction enthalpies: dH/dP = V, best phases, states at temperature, on closed forms and constructed curves."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.neighborlist import neighbor_list

from megabar.campaign.tasks import Store
from megabar.crystals.prototypes import build
from megabar.dynamics.lammps import PairStyle
from megabar.dynamics.trajectory import Frame
from megabar.errors import InputError, PhaseUnknown
from megabar.thermodynamics import hot
from megabar.thermodynamics.averages import block_error
from megabar.thermodynamics.curves import PhaseCurve, check_derivative, contenders, lowest
from megabar.thermodynamics.engines import choose
from megabar.thermodynamics.enthalpy import reaction_enthalpy
from megabar.thermodynamics.enthalpy_run import EnthalpyPlan
from megabar.thermodynamics.hot import HotState, rectangular
from megabar.thermodynamics.inputs import temperature_K
from megabar.thermodynamics.library import enthalpy_curves, phases_of
from megabar.thermodynamics.reactions import parse_formula, parse_reaction
from megabar.thermodynamics.runs import pressure_missed
from megabar.thermodynamics.settings import EnthalpySettings
from megabar.thermodynamics.solidity import steady_order
from megabar.units import BOLTZMANN_EV_PER_K, EV_PER_A3_IN_GPA

P = np.arange(0.0, 121.0, 10.0)


def murnaghan(p: np.ndarray, v0: float, k0: float, k1: float) -> tuple[np.ndarray, np.ndarray]:
    """Enthalpy (eV) and volume (A^3) in closed form: V = V0 (1 + P K'/K)^(-1/K'), H = integral of V dP."""
    s = 1.0 + p * k1 / k0
    return v0 * k0 / (k1 - 1.0) * (s ** (1.0 - 1.0 / k1) - 1.0) / EV_PER_A3_IN_GPA, v0 * s ** (-1.0 / k1)


def curve(name: str, formula: str, h: np.ndarray, v: np.ndarray, p: np.ndarray = P, **more: object) -> PhaseCurve:
    n = len(p)
    values = {"space_groups": ("P1 (1)",) * n, "notes": ("",) * n, "transformed": (False,) * n, "relaxed": (None,) * n,
              "vibrational_eV": np.full(n, np.nan), **more}
    return PhaseCurve(name, parse_formula(formula).reduced, "test", p, h, v, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("v0", "k0", "k1"), [(10.0, 50.0, 4.0), (8.0, 150.0, 3.5), (20.0, 0.16, 6.8),
                                             (40.0, 17.0, 3.5)])
def test_derivative_holds_on_equations_of_state(v0: float, k0: float, k1: float) -> None:
    h, v = murnaghan(P, v0, k0, k1)
    check = check_derivative("eos", P, h, v)
    assert check.passed and check.within_bounds
    assert check.deviation_eV_per_atom is not None and check.deviation_eV_per_atom < 2e-4
    assert (check.coarse > 0) == (v[1] < 0.85 * v[0])


def test_derivative_sees_what_is_wrong() -> None:
    h, v = murnaghan(P, 10.0, 50.0, 4.0)
    jump = np.where(P >= 60.0, h - 0.05, h)  # the phase fell into another valley, its volume did not
    assert not check_derivative("jump", P, jump, v).passed
    assert check_derivative("jump", P, jump, v).worst_GPa == 50.0
    assert not check_derivative("volume off by 1 %", P, h, 1.01 * v).passed
    assert not check_derivative("two points", P[:2], -h[:2], v[:2]).passed  # bounds alone
    assert check_derivative("one point", P[:1], h[:1], v[:1]).steps == 0
    with_hole = np.where(P == 60.0, np.nan, h)
    assert check_derivative("hole", P, with_hole, v).passed


def test_finite_difference_of_a_real_crystal(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """dH/dP = V of CaH4 in the shipped potential by central difference; 0.5 GPa steps err by (dP)^2 V''/6 ~ 1e-4 V."""
    phase = phases_of(parse_formula("CaH4"))
    h = enthalpy_curves(phase, choose("Ca-H"), [49.5, 50.0, 50.5], Store(tmp_path))[0]
    slope = (h.enthalpy_eV[2] - h.enthalpy_eV[0]) * EV_PER_A3_IN_GPA
    assert slope == pytest.approx(h.volume_A3[1], rel=3e-4)
    assert h.space_groups[1].startswith("I4/mmm")


def test_blocks() -> None:
    """White noise: sigma / sqrt(n). AR(1): the variance of the mean is (1 + a) / (1 - a) times that."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=65536)
    assert block_error(noise)[1] == pytest.approx(1 / 256, rel=0.4)  # the largest of 14 estimates, some of 8 blocks
    slow = np.empty_like(noise)
    slow[0], a = 0.0, 0.95
    for i in range(1, len(noise)):
        slow[i] = a * slow[i - 1] + noise[i]
    true = np.sqrt(1 / (1 - a**2) * (1 + a) / (1 - a) / len(noise))
    mean, error = block_error(slow)
    assert error == pytest.approx(true, rel=0.5) and abs(mean) < 4 * true
    assert error > 3.0 * slow.std() / 256  # the naive error would be six times too small
    assert np.isnan(block_error(np.ones(5))[1])


def test_reaction_of_constructed_phases() -> None:
    """H = e + P v in eV: the reaction's sign changes where the lines cross, and its slope is the change of volume."""
    unit = 1.0 / EV_PER_A3_IN_GPA

    def line(name: str, formula: str, e: float, v: float) -> PhaseCurve:
        return curve(name, formula, e + P * v * unit, np.full(len(P), v))

    curves = {"CaH2": (line("a", "CaH2", 0.0, 8.0), line("b", "CaH2", 0.1, 7.0)), "H2": (line("h", "H2", 0.0, 3.0),),
              "CaH4": (line("c", "CaH4", 0.2, 5.0),)}
    source = SimpleNamespace(label="none", kind="potential", energy_error_eV_per_atom=lambda kind: 0.01)
    result = reaction_enthalpy(parse_reaction("CaH2 + H2 -> CaH4"), curves, source)  # type: ignore[arg-type]
    swap = 0.1 / unit  # 16.02 GPa: b becomes better than a
    assert result.best["CaH2"] == tuple("a" if p < swap else "b" for p in P)
    expected = 5 * (0.2 + P * 5 * unit) - 3 * np.minimum(P * 8 * unit, 0.1 + P * 7 * unit) - 2 * P * 3 * unit
    assert result.static_eV == pytest.approx(expected)
    assert result.volume_A3 == pytest.approx(np.where(swap > P, 25 - 24 - 6, 25 - 21 - 6))
    assert result.error_eV == pytest.approx(0.01 * np.sqrt(3**2 + 2**2 + 5**2))
    (crossing, error), = result.crossings_GPa()
    k = int(np.searchsorted(-expected, 0.0))
    assert P[k - 1] < crossing < P[k]
    assert error == pytest.approx(result.error_eV * 10 / abs(expected[k] - expected[k - 1]))
    doubled = reaction_enthalpy(parse_reaction("2 CaH2 + 2 H2 -> 2 CaH4"), curves, source)  # type: ignore[arg-type]
    assert doubled.static_eV == pytest.approx(2 * result.static_eV)
    # A zero that lies on a point of the grid is one crossing, either way; a touch at an end is none.
    for sign in (1.0, -1.0):
        on_point = dataclasses.replace(result, static_eV=sign * 0.01 * (40.0 - P))
        assert [p for p, _ in on_point.crossings_GPa()] == [40.0]
    assert dataclasses.replace(result, static_eV=0.01 * P).crossings_GPa() == []


def test_lowest_with_vibrations_and_holes() -> None:
    a = curve("a", "H2", np.full(13, 1.0), np.ones(13), vibrational_eV=np.full(13, 0.3))
    b = curve("b", "H2", np.full(13, 1.04), np.ones(13), vibrational_eV=np.full(13, 0.2))
    hole = curve("c", "H2", np.full(13, np.nan), np.ones(13))
    assert (lowest([a, b]) == 0).all() and (lowest([a, b], vibrational=True) == 1).all()
    assert (lowest([hole]) == -1).all() and (lowest([hole, a]) == 1).all()
    assert contenders([a, b, hole]).tolist() == [[True] * 13, [True] * 13, [False] * 13]


def test_transformed_points_carry_their_new_name() -> None:
    groups = ("Pnma (62)",) * 6 + ("P6_3/mmc (194)",) * 7
    h, v = murnaghan(P, 10.0, 50.0, 4.0)
    changed = curve("CaH2 Pnma", "CaH2", np.where(P >= 60, h - 0.3, h), v, space_groups=groups,
                    transformed=tuple(g.startswith("P6") for g in groups))
    assert changed.labels[0] == "CaH2 Pnma" and changed.labels[-1] == "CaH2 P6_3/mmc"
    assert changed.check().passed  # judged on the points where it stayed what it is
    assert changed.remarks == ("CaH2 Pnma became P6_3/mmc (194) while it was relaxed at 60 to 120 GPa",)


def test_remarks_name_each_trouble_once() -> None:
    """Pressures in ranges, and no more than they are: a phase may come back in between."""
    h, v = murnaghan(P, 10.0, 50.0, 4.0)
    notes = ["", "failed: no convergence", "", "failed: no convergence", "", "", *(
        f"the space group changed; no zero point: {k} imaginary modes" for k in range(7))]
    odd = curve("x", "H2", h, v, notes=tuple(notes), space_groups=("A (1)",) * 13,
                transformed=(True, False, False, *(True,) * 3, *(False,) * 7))
    assert odd.remarks == ("x became A (1) while it was relaxed at 0 and 30 to 50 GPa",
                           "x failed: no convergence at 10 and 30 GPa",
                           "x is not stable and has no zero-point energy at 60 to 120 GPa")
    broken = curve("y", "H2", np.where(P >= 60.0, h - 0.05, h), v)
    assert broken.remarks == (f"y: {broken.check().text()}",)


def test_zero_point_moves_the_crossing_and_stand_ins_are_said() -> None:
    """In closed form; where the best phase has no zero point, it is said whose is taken."""
    full = np.full(len(P), 1.0)
    some = np.where(P >= 90.0, np.nan, 0.3)
    curves = {"CaH2": (curve("a", "CaH2", 0.0 * P, full, vibrational_eV=0.1 * full),),
              "H2": (curve("h", "H2", 0.0 * P, full, vibrational_eV=some),
                     curve("g", "H2", 0.01 * full, full, vibrational_eV=0.3 * full)),
              "CaH4": (curve("c", "CaH4", 0.1 - P / 480.0, full, vibrational_eV=0.2 * full),)}
    source = SimpleNamespace(label="none", kind="gpaw", energy_error_eV_per_atom=lambda kind: None)
    result = reaction_enthalpy(parse_reaction("CaH2 + H2 -> CaH4"), curves, source, True)  # type: ignore[arg-type]
    assert result.with_zero_point_eV is not None
    added = result.with_zero_point_eV - result.static_eV
    assert added == pytest.approx(5 * 0.2 - 3 * 0.1 - 2 * np.where(P >= 90.0, 0.31, 0.3))
    (static, _), = result.crossings_GPa()
    (with_zero_point, _), = result.crossings_GPa(zero_point=True)
    assert static == pytest.approx(48.0) and with_zero_point == pytest.approx(48.0 + 0.1 / 5 * 480.0)
    assert any("H2 with zero point is that of g at 90 to 120 GPa" in note for note in result.notes)


@pytest.mark.parametrize("name", ["MH2-P6_3/mmc", "MH4-I4/mmm", "MH2-Pnma", "MH5.75-Pm-3n", "H2-Pa-3"])
def test_rectangular_cells_are_the_same_crystal(name: str) -> None:
    crystal = build(name, "Ca", 50.0)
    block = rectangular(crystal, 200)
    assert np.allclose(block.cell.angles(), 90.0) and 100 <= len(block) <= 430
    assert block.get_volume() / len(block) == pytest.approx(crystal.get_volume() / len(crystal), rel=1e-6)
    assert block.symbols.formula.reduce()[0] == crystal.symbols.formula.reduce()[0]
    shells = [np.sort(neighbor_list("d", a, 2.2)) for a in (crystal, block)]
    assert len(shells[0]) / len(crystal) == len(shells[1]) / len(block)
    assert shells[0][[0, -1]] == pytest.approx(shells[1][[0, -1]], abs=1e-4)
    assert block.cell.lengths().max() / block.cell.lengths().min() < 2.01


def test_oblique_cells_are_refused() -> None:
    with pytest.raises(InputError, match="right angles"):
        rectangular(Atoms("Ca2H3", scaled_positions=np.random.default_rng(0).random((5, 3)),
                          cell=[[4, 0, 0], [1, 4, 0], [0.5, 0.7, 5]], pbc=True), 100)


def frames_of(kind: str, sites: int = 16, count: int = 30, drift: float = 0.0) -> list[Frame]:
    """Vibrating simple cubic-like crystal, or a gas, of calcium; `drift` moves all of it (A per frame)."""
    rng = np.random.default_rng(3)
    side = round(sites ** (1 / 3))
    crystal = make_supercell(bulk("Ca", "sc", a=3.0), np.eye(3) * side)
    edge = 3.0 * side
    found = []
    for k in range(count):
        if kind == "solid":
            x = crystal.positions + rng.normal(scale=0.25, size=crystal.positions.shape)
        else:
            x = rng.random((len(crystal), 3)) * edge
        x = x + drift * k
        found.append(Frame(0.1 * k, np.eye(3) * edge, crystal.numbers, x % edge, x))
    return found


def test_order_averaged_over_time_tells_small_crystals_from_melts() -> None:
    assert steady_order(frames_of("solid", 8)) > 0.5
    assert steady_order(frames_of("solid", 27, drift=0.3)) > 0.5  # a crystal that floats is one
    assert steady_order(frames_of("gas", 8)) < 0.15
    assert max(steady_order(frames_of("gas", 8)[k:k + 1]) for k in range(10)) > 0.3  # one frame alone may fool


@pytest.mark.parametrize(("asked", "kind", "good"), [("solid", "gas", False), ("solid", "solid", True),
                                                     ("liquid", "solid", False), ("liquid", "gas", True)])
def test_a_solid_that_melted_is_not_used(asked: str, kind: str, good: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_of(kind, 27, 60)
    monkeypatch.setattr(hot, "_frames", lambda result: frames)
    rng = np.random.default_rng(0)
    thermo = {"potential_energy_eV": rng.normal(-27.0, 0.1, 600), "volume_A3": rng.normal(700.0, 1.0, 600),
              "pressure_GPa": rng.normal(40.0, 1.0, 600), "temperature_K": rng.normal(1000.0, 10.0, 600),
              "time_ps": np.linspace(0.0, 5.9, 600)}
    inputs = {"numbers": [20] * 27, "formula": "Ca", "formula_atoms": 1.0, "phase": "sc", "state": asked,
              "pressure_GPa": 40.0, "temperature_K": 1000.0, "time_ps": 6.0}
    found = hot._judge(inputs, SimpleNamespace(thermo=thermo), [])  # type: ignore[arg-type]
    assert found["good"] is good
    expected = -1.0 + 40.0 * 700.0 / 27 / EV_PER_A3_IN_GPA + 1.5 * BOLTZMANN_EV_PER_K * 1000.0
    assert found["enthalpy_eV"] == pytest.approx(expected, abs=6 * found["error_eV"])
    assert good or any("melted" in n or "froze" in n for n in found["notes"])


@pytest.mark.parametrize(("capacity_k", "rungs", "said"), [
    (1.7, 4, "extrapolated from the liquid at 3000, 2700, 2400, 2175 K"), (1.7, 3, "extrapolated"),
    (1.7, 2, "froze at 2400 K too"), (7.4, 3, "as no single liquid's does"), (-0.5, 4, "as no single liquid's does")])
def test_liquid_followed_down_a_ladder(capacity_k: float, rungs: int, said: str,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """A straight line through rungs of a known heat capacity gives the enthalpy on that line, and its error covers the
    noise; too few rungs for the distance and a heat capacity that no liquid has give nothing."""
    rng, at_K = np.random.default_rng(5), []

    def stage(name: str, atoms: Atoms, ensemble: float, *more: object, **others: object) -> SimpleNamespace:
        at_K.append(ensemble)
        mean = -1.0 + 27 * capacity_k * BOLTZMANN_EV_PER_K * ensemble
        return SimpleNamespace(atoms=atoms, thermo={
            "time_ps": np.linspace(0.0, 2.5, 500), "volume_A3": np.full(500, 700.0),
            "potential_energy_eV": rng.normal(mean, 0.2, 500)})

    monkeypatch.setattr(hot, "_frames", lambda result: frames_of("gas" if len(at_K) <= rungs else "solid", 27, 40))
    run = SimpleNamespace(stage=stage, nose_hoover=lambda t, axes: t)
    inputs = {"numbers": [20] * 27, "formula": "Ca", "formula_atoms": 1.0, "temperature_K": 1500.0,
              "pressure_GPa": 40.0}
    frozen = {"good": False, "notes": ["froze"], "enthalpy_eV": 0.0}
    found = hot._extrapolated(inputs, run, Atoms("Ca"), 3000.0, frozen)  # type: ignore[arg-type]
    assert found["good"] == said.startswith("extrapolated") and said in found["notes"][-1]
    if found["good"]:
        line = (-1.0 + 40.0 * 700.0 / EV_PER_A3_IN_GPA) / 27 + (capacity_k + 1.5) * BOLTZMANN_EV_PER_K * 1500.0
        assert found["enthalpy_eV"] == pytest.approx(line, abs=4.0 * found["error_eV"])
        assert found["error_eV"] < 0.01


def state(formula: str, asked: str, h: float, error: float, good: bool = True) -> HotState:
    return HotState(formula, "p", asked, asked if good else "", good, 40.0, 1473.0, 100, 10.0,  # type: ignore[arg-type]
                    h, error, 1.0, 0.1, 40.0, 1473.0, 0.5, 0.0, None, ())


def test_road_through_the_liquid() -> None:
    h, v = murnaghan(P, 10.0, 50.0, 4.0)
    curves = {name: (curve(name, name, h, v),) for name in ("CaH2", "H2", "CaH4")}
    source = SimpleNamespace(label="none", kind="gpaw", energy_error_eV_per_atom=lambda kind: None)
    states = [state("CaH2", "solid", -2.0, 0.03), state("H2", "fluid", -3.0, 0.04), state("CaH4", "solid", -5.3, 0.0),
              state("CaH4", "liquid", -4.9, 0.12)]
    reaction = parse_reaction("CaH2 + H2 -> CaH4")
    row, = reaction_enthalpy(reaction, curves, source, hot=states).hot_table()  # type: ignore[arg-type]
    assert row["solid_eV"] == pytest.approx(-0.3) and row["liquid_eV"] == pytest.approx(0.1)
    assert row["solid_error_eV"] == pytest.approx(0.05) and row["liquid_error_eV"] == pytest.approx(0.13)
    assert row["liquid_above_solid_eV"] == pytest.approx(0.4)
    assert row["liquid_above_solid_error_eV"] == pytest.approx(0.12)
    states[3] = state("CaH4", "liquid", -4.9, 0.12, good=False)
    row, = reaction_enthalpy(reaction, curves, source, hot=states).hot_table()  # type: ignore[arg-type]
    assert row["liquid_eV"] is None and row["liquid_above_solid_eV"] is None and row["solid_eV"] is not None


@pytest.mark.lammps
def test_cold_solid_obeys_equipartition(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A classical crystal at low temperature has 3 kT per atom above its static enthalpy (Dulong-Petit); anharmonic
    parts at 150 K and 1 ps of noise stay within 20 %."""
    formula, source = parse_formula("CaH2"), choose("Ca-H")
    one = [p for p in phases_of(formula) if p.prototype == "MH2-P6_3/mmc"]
    static = enthalpy_curves(one, source, [50.0], Store(tmp_path))[0]
    crystal = static.relaxed[0]
    assert crystal is not None
    task = hot.hot_task(source, formula, one[0].name, crystal.atoms, "solid", 50.0, 150.0, 1.0, 60, 1)
    found, = hot.hot_states([task], Store(tmp_path))
    assert found.good and found.seen == "solid" and found.formula == "CaH2"
    above = found.enthalpy_eV - 3 * static.enthalpy_eV[0]
    assert above == pytest.approx(3 * 3 * BOLTZMANN_EV_PER_K * 150.0, rel=0.2)
    assert abs(found.mean_pressure_GPa - 50.0) < 2.0


@pytest.mark.parametrize("seed", [0, 899, 900, 12_345, 2**31])
def test_seeds_are_those_that_lammps_takes(seed: int, tmp_path: Path) -> None:
    """fix langevin ends the run for a seed of 0 or above 900 million (RanMars of LAMMPS)."""
    pair = PairStyle(("H", "Ca"), ("pair_style zero 3.0", "pair_coeff * *"))
    lines = hot._Runner(pair, 50.0, 1473.0, seed, tmp_path).langevin(1473.0, None, "xyz", 20)
    given, = (int(line.split()[-1]) for line in lines if "langevin" in line)
    assert 0 < given <= 900_000_000


def test_pressure_is_missed_beyond_its_noise() -> None:
    noise = np.random.default_rng(2).normal(size=4000)
    assert not pressure_missed(50.0 + noise, 50.0)
    assert not pressure_missed(50.9 + noise, 50.0) and pressure_missed(51.1 + noise, 50.0)  # 2 %
    assert pressure_missed(1.4 + noise, 1.0) and not pressure_missed(1.2 + noise, 1.0)  # 0.3 GPa
    slow = 12.0 * np.sin(np.linspace(0.0, 5.0, 4000))  # one excursion: its mean of 1.7 GPa says nothing
    assert slow.mean() > 1.5 and not pressure_missed(50.0 + slow, 50.0)


def test_plan_checks_everything_first() -> None:
    plan = EnthalpyPlan.make(EnthalpySettings(reaction="CaH2 + H2 -> CaH4", temperature="1473"))
    assert plan.temperature_K == 1473.0 and plan.md_pressures_GPa == (20.0, 60.0, 120.0)
    assert plan.summary()["runs"] == 12  # CaH2 solid, H2 fluid, CaH4 solid and liquid, at three pressures
    assert temperature_K("1200 C") == pytest.approx(1473.15)
    with pytest.raises(PhaseUnknown):
        EnthalpyPlan.make(EnthalpySettings(reaction="CaH2 + 5 H2 -> CaH12"))
