"""Series of reactions: what a file stands for, how seeds are pooled, and a small one that runs, resumes and grows."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import sem

from megabar.cli.main import main
from megabar.crystals import prototypes
from megabar.dynamics.stage import cut_trajectory
from megabar.dynamics.trajectory import read_trajectory
from megabar.errors import InputError
from megabar.reaction.averages import mean_and_error, weighted_mean_and_error
from megabar.reaction.build import BULK, build_crystal, choose_bulk, choose_layout, open_slab, open_to_vacuum
from megabar.reaction.campaign import Series
from megabar.reaction.campaign_settings import read_series
from megabar.reaction.controls import (
    HEADINGS,
    Controls,
    control_cells,
    control_row,
    melting_onset_ps,
    onset_in_words,
    state,
)
from megabar.reaction.pooled import RunData, pool
from megabar.reaction.run import ReactionPlan
from megabar.reaction.settings import ReactSettings
from megabar.units import BOLTZMANN_EV_PER_K

EXAMPLES = Path(__file__).parents[1] / "examples" / "Ca-H"
GOOD = {"formula": "CaH2", "pressure": "40 GPa", "temperature": "1473 K", "time": "1 ps"}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# What a file stands for ----------------------------------------------------------------------------------------------

def test_lists_are_multiplied_and_no_run_stands_twice(tmp_path):
    file = write(tmp_path / "s.yaml", """
name: s
defaults: {formula: CaH2, pressure: 40 GPa, temperature: [900 K, 1473 K], time: 1 ps}
blocks:
  - {name: a, seed: [0, 1, 2], face: [001r, "110"]}
  - {name: b, temperature: 1473 K, face: 001r, seed: [2, 3]}
""")
    name, runs = read_series(file)
    assert name == "s" and [block for block, _ in runs] == ["a"] * 12 + ["b"]
    assert len({s for _, s in runs}) == 13
    assert {(s.temperature, s.face, s.seed) for b, s in runs if b == "b"} == {("1473 K", "001r", 3)}
    _, forced = read_series(file, temperature="1000 K", seed=7)
    assert {(s.temperature, s.seed) for _, s in forced} == {("1000 K", 7)} and len(forced) == 2


@pytest.mark.parametrize("text, word", [
    ("blocks: []", "blocks"), ("blocs: [{seed: 0}]", "did you mean 'blocks'"), ("- a", "list"), ("blocks: [{]", "YAML"),
    ("defaults: {formula: CaH2}\nblocks: [{name: cold}]", "cold"),
    ("blocks: [{name: cold, formula: CaH2, pressure: 40 GPa, temprature: 1 K, time: 1 ps}]", "did you mean 'temper"),
    ("blocks: [{name: cold, formula: CaH2, pressure: 40 GPa, temperature: [], time: 1 ps}]", "empty list"),
    ("blocks: [{name: cold, formula: CaH2, pressure: 40, temperature: 1 K, time: 1 ps}]", "no unit"),
    ("blocks: [{name: cold, formula: CaH2, pressure: 40 GPa, temperature: 900 K, time: 1 ps, face: x}]", "known faces"),
    ("blocks: [{name: cold, formula: CaH2, pressure: 40 GPa, temperature: 900 K, time: 1 ps, reactant: D2}]", "vacuum"),
    ("name: a/b\nblocks: [{seed: 0}]", "folder"),
])
def test_bad_series_cost_one_line_and_nothing_is_written(tmp_path, capsys, monkeypatch, text, word):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "s.yaml", text)
    assert main(["react", "--series", "s.yaml"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "s.yaml" in err and word in err
    assert [p.name for p in tmp_path.iterdir()] == ["s.yaml"]


def test_series_and_config_together_are_refused(tmp_path, capsys):
    file = write(tmp_path / "s.yaml", "blocks: [{}]")
    assert main(["react", "--series", str(file), "--config", str(file)]) == 2
    assert "--config" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["series_headline", "series_sequel", "series_small"])
def test_shipped_series_can_be_planned(tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    status = main(["react", "--series", str(EXAMPLES / f"{name}.yaml"), "--dry-run", "--json", "--jobs", "2"])
    said = json.loads(capsys.readouterr().out)
    assert status == 0 and not list(tmp_path.iterdir())
    assert said["runs"] == sum(c["seeds"] for c in said["conditions"]) and said["core_hours"] > 0
    # Two processes halve the time, up to the rounding of both numbers.
    assert said["estimated_hours"] == pytest.approx(said["core_hours"] / 2, abs=0.011)


def test_headline_has_the_seeds_sizes_faces_and_controls():
    series = Series.make(EXAMPLES / "series_headline.yaml")
    plans = [r.plan for r in series.runs]
    conditions = [(p.settings.formula, p.settings.reactant, p.pressure_GPa, p.temperature_K) for p in plans]
    headline = ("CaH2", "H2", 40.0, 1473.0)
    reaction = [p for p, condition in zip(plans, conditions, strict=True) if condition == headline]
    assert len({p.settings.seed for p in reaction}) >= 3 and len({p.layout.n_atoms for p in reaction}) >= 2
    assert len({p.layout.face for p in reaction}) >= 2
    others = set(conditions) - {headline}
    assert others == {("CaH2", "H2", 10.0, 1473.0), ("CaH2", "H2", 40.0, 900.0), ("CaH2", "vacuum", 40.0, 1473.0),
                      ("CaH2", "none", 40.0, 1473.0), ("CaH4", "none", 40.0, 1473.0)}


def test_runs_are_pooled_when_nothing_but_the_seed_differs(tmp_path):
    """Two conditions that differ in anything else never share a label, whatever the setting."""
    series = Series.make(write(tmp_path / "s.yaml", """
defaults: {formula: CaH2, pressure: 40 GPa, temperature: 1473 K, time: 1 ps, seed: [0, 1]}
blocks:
  - {name: x, h2_per_metal: [2.0, 3.0], timestep_fs: [0.25, 0.5], equilibration: [1 ps, 2 ps]}
  - {name: x, slab_cells: [2, 3], frame_every_fs: [20, 50]}
  - {name: x, formula: [CaH2, CaH4], reactant: none}
"""))
    groups: dict[str, set[str]] = {}
    for run in series.runs:
        groups.setdefault(run.label, set()).add(json.dumps(run.plan.settings.model_dump(exclude={"seed"})))
    assert len(groups) == 8 + 4 + 2 and all(len(members) == 1 for members in groups.values())
    assert len({run.task.hash for run in series.runs}) == len(series.runs) == 28


# Controls ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("phase", [n for n in prototypes.names() if n.startswith("MH")])
def test_bulk_block_is_the_crystal(phase):
    layout = choose_bulk("Ca", phase, 40.0, 500)
    block, unit = build_crystal(layout, 40.0), prototypes.build(phase, "Ca", 40.0)
    assert layout.face == BULK and len(block) == layout.n_atoms and 250 <= len(block) <= 900
    assert np.sum(block.numbers != 1) == layout.n_metal
    assert block.get_volume() / len(block) == pytest.approx(unit.get_volume() / len(unit), rel=1e-9)
    counts = [len(neighbor_list("d", atoms, 2.5)) / len(atoms) for atoms in (block, unit)]
    assert counts[0] == pytest.approx(counts[1], rel=1e-12)
    lengths = block.cell.lengths()
    assert lengths.max() / lengths.min() < 1.6


def test_vacuum_has_the_slab_of_the_reaction_and_nothing_else():
    plans = [ReactionPlan.make(ReactSettings(**GOOD, reactant=r)) for r in ("H2", "vacuum")]
    beside, alone = (p.layout for p in plans)
    assert replace(beside, n_molecules=0) == alone and alone.n_atoms == beside.n_slab
    assert "walls" in plans[1].notes()[0] and not plans[0].notes()
    hot = build_crystal(alone, 40.0)
    opened = open_slab(hot, hot)
    apart = open_to_vacuum(opened, 12.0)
    np.testing.assert_allclose(apart.get_all_distances(), opened.get_all_distances(), atol=1e-9)
    assert apart.positions[:, 2].mean() == pytest.approx(0.5 * apart.cell[2, 2], abs=1.0)
    assert apart.cell[2, 2] - np.ptp(apart.positions[:, 2]) >= 12.0


@pytest.mark.parametrize("cells", [2, 3, 4])
def test_slab_is_as_thick_as_asked(cells):
    layout = choose_layout("Ca", "MH2-P6_3/mmc", "001r", 40.0, 1200, 2.5, cells)
    assert layout.repeat[2] == cells and 1200 <= layout.n_atoms <= 1201
    width = build_crystal(layout, 40.0).cell.lengths()[:2]
    assert 0.6 < width[0] / width[1] < 1.6 and 1.5 < layout.n_molecules / layout.n_metal < 4.0
    with pytest.raises(InputError, match="20 cells"):
        choose_layout("Ca", "MH2-P6_3/mmc", "001r", 40.0, 200, 2.5, 20)


# Pooling -------------------------------------------------------------------------------------------------------------

def run_data(seed: int, time: np.ndarray, h: np.ndarray, label: str = "c", ladder: str = "l", **more) -> RunData:
    values = {"block": "b", "label": label, "ladder": ladder, "seed": seed, "folder": Path("x"), "pressure_GPa": 40.0,
              "temperature_K": 1473.0, "atoms": 600, "status": "done", "reason": "", "time_ps": time,
              "h_per_metal": h, "molten_A": np.zeros((len(time), 2)), "lived_ps": float(time[-1]) if len(time) else 0.0,
              **more}
    return RunData(**values)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12))
def test_standard_error_is_the_textbook_one(values):
    mean, error, count = mean_and_error([*values, math.nan])
    assert count == len(values) and mean == pytest.approx(np.mean(values), abs=1e-12)
    assert error == pytest.approx(sem(values), abs=1e-12)


def test_one_seed_has_no_error_and_none_has_no_mean():
    assert mean_and_error([2.0])[0] == 2.0 and math.isnan(mean_and_error([2.0])[1])
    assert math.isnan(mean_and_error([])[0])


def test_curves_are_pooled_up_to_the_shortest_with_the_scatter_of_seeds():
    """Lines of known slopes: the mean has the mean slope, the error grows with time as the slopes' own error."""
    slopes = [0.1, 0.2, 0.6]
    ends = [10.0, 8.0, 12.0]
    runs = [run_data(k, t := np.arange(0.0, end + 1e-9, 0.5), 2.0 + slope * t)
            for k, (slope, end) in enumerate(zip(slopes, ends, strict=True))]
    time, mean, error, seeds = pool("s", runs).conditions[0].against_time("h_per_metal")
    assert time[-1] == 8.0 and (seeds == 3).all()
    np.testing.assert_allclose(mean, 2.0 + 0.3 * time, atol=1e-12)
    np.testing.assert_allclose(error, sem(slopes) * time, atol=1e-12)
    assert pool("s", runs).conditions[0].against_time("molten_A")[1].shape == (len(time), 2)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 1.5), st.floats(-2, 8), st.integers(0, 1000))
def test_arrhenius_over_conditions_finds_the_barrier(barrier, log_prefactor, seed):
    rng = np.random.default_rng(seed)
    runs, time = [], np.linspace(0, 5, 20)
    for kelvin in (900.0, 1200.0, 1500.0, 2000.0):
        for k in range(4):
            rate = math.exp(log_prefactor - barrier / (BOLTZMANN_EV_PER_K * kelvin)) * (1 + 0.1 * rng.normal())
            runs.append(run_data(k, time, time, f"CaH2 | H2, 40 GPa, {kelvin:g} K", temperature_K=kelvin,
                                 rate_per_ps=rate, rate_error_per_ps=0.05 * rate))
    (label, fit), = pool("s", runs).arrhenius
    assert label == "CaH2 | H2, 40 GPa"
    assert abs(fit.barrier_eV - barrier) < 5.0 * fit.barrier_error_eV and fit.barrier_error_eV < 0.1


def test_temperatures_without_uptake_are_left_out_and_said():
    time = np.linspace(0, 5, 20)
    rates = {900.0: 0.0, 1200.0: 0.1, 1500.0: 0.3, 1800.0: 0.6}
    runs = [run_data(0, time, time, f"x, {t:g} K", temperature_K=t, rate_per_ps=r, rate_error_per_ps=0.02)
            for t, r in rates.items()]
    pooled = pool("s", runs)
    assert pooled.arrhenius[0][1].temperature_K.tolist() == [1200.0, 1500.0, 1800.0]
    assert any("1 temperatures without uptake" in note for note in pooled.notes)
    assert not pool("s", runs[:3]).arrhenius and "below three" in pool("s", runs[:3]).notes[0]
    assert not pool("s", [replace(r, ladder=str(k)) for k, r in enumerate(runs)]).arrhenius


def test_tables_count_failures_and_products(tmp_path):
    time = np.linspace(0, 5, 20)
    good = [run_data(k, time, 2 + 0.1 * time, phase=p, h_per_metal_last=h, rate_per_ps=0.1)
            for k, (p, h) in enumerate((("CaH4 I4/mmm", 3.9), ("none", 3.5), ("CaH4 I4/mmm", 4.0)))]
    failed = run_data(3, np.zeros(0), np.zeros(0), status="failed", reason="the grade guard stopped it")
    pooled = pool("s", [*good, failed])
    written = pooled.save(tmp_path)
    assert {p.suffix for p in written} >= {".csv", ".png", ".json"} and all(p.is_file() for p in written)
    for figure in (p for p in written if p.suffix == ".png"):
        assert figure.with_suffix(".csv").is_file()
    with (tmp_path / "conditions.csv").open() as handle:
        row, = csv.DictReader(handle)
    assert (row["seeds"], row["failed"], row["product"]) == ("3", "1", "CaH4 I4/mmm x2; none x1")
    assert float(row["h_per_metal_last"]) == pytest.approx(3.8) and float(
        row["h_per_metal_last_error"]) == pytest.approx(sem([3.9, 3.5, 4.0]))
    assert "grade guard" in pooled.notes[0] and pooled.summary()["failed"] == 1


# Runs that a guard stopped -------------------------------------------------------------------------------------------

def test_weights():
    """Equal weights give the plain mean and error; a weight of zero leaves a value out; twice the weight is not twice
    the evidence, but shifts the mean as it should."""
    values = [0.1, 0.4, 0.9, 0.2]
    np.testing.assert_allclose(weighted_mean_and_error(values, [3.0] * 4), mean_and_error(values))
    assert weighted_mean_and_error([*values, 50.0], [1.0] * 4 + [0.0]) == pytest.approx(mean_and_error(values))
    assert weighted_mean_and_error([0.0, 3.0], [2.0, 1.0])[0] == pytest.approx(1.0)
    assert math.isnan(weighted_mean_and_error([1.0], [2.0])[1])
    assert weighted_mean_and_error([math.nan], [1.0])[2] == 0


def test_a_stopped_run_counts_for_as_long_as_it_lived():
    """Two finished lines and one stopped at 4 ps: three seeds before, two after, and the errors that belong to them."""
    time = np.arange(0.0, 10.0 + 1e-9, 0.5)
    slopes, cut = [0.1, 0.3, 0.8], time <= 4.0
    runs = [run_data(k, time, 2.0 + slope * time, h_per_metal_last=2.0 + 10 * slope, rate_per_ps=slope, phase="p")
            for k, slope in enumerate(slopes[:2])]
    runs.append(run_data(2, time[cut], 2.0 + slopes[2] * time[cut], status="stopped", rate_per_ps=slopes[2],
                         h_per_metal_last=5.2, phase="q", reason="grade guard: atom 7 (H) has grade 11.0"))
    condition, = pool("s", runs).conditions
    at, mean, error, seeds = condition.against_time("h_per_metal")
    assert seeds.tolist() == [3] * 9 + [2] * 12
    np.testing.assert_allclose(mean[seeds == 3], 2.0 + 0.4 * at[seeds == 3], atol=1e-12)
    np.testing.assert_allclose(mean[seeds == 2], 2.0 + 0.2 * at[seeds == 2], atol=1e-12)
    np.testing.assert_allclose(error[seeds == 3], sem(slopes) * at[seeds == 3], atol=1e-12)
    np.testing.assert_allclose(error[seeds == 2], sem(slopes[:2]) * at[seeds == 2], atol=1e-12)
    row = condition.row()
    # In the rate with the 4 ps that it lived against 10; not in the end, nor among the finished or the failed.
    assert row["rate_per_ps"] == pytest.approx((0.1 * 10 + 0.3 * 10 + 0.8 * 4) / 24)
    assert row["h_per_metal_last"] == pytest.approx(4.0) and row["product"] == "p x2"
    assert (row["seeds"], row["stopped"], row["failed"], row["stopped_at"]) == (2, 1, 0, "4.00 ps")
    note, = pool("s", runs).notes
    assert "seed 2: stopped at 4.000 ps by the grade guard: atom 7" in note


def test_a_condition_whose_runs_were_all_stopped(tmp_path):
    """It has a curve and a rate, and no end."""
    time = np.arange(0.0, 3.0, 0.5)
    runs = [run_data(k, time[:4 + k], 2.0 + 0.1 * time[:4 + k], status="stopped", rate_per_ps=0.1, reason="x guard")
            for k in range(2)]
    pooled = pool("s", runs)
    at, mean, _, seeds = pooled.conditions[0].against_time("h_per_metal")
    assert at[-1] == 2.0 and seeds.tolist() == [2, 2, 2, 2, 1] and mean[-1] == pytest.approx(2.2)
    row = pooled.conditions[0].row()
    assert math.isnan(row["h_per_metal_last"]) and row["product"] == "" and row["rate_per_ps"] == pytest.approx(0.1)
    assert (tmp_path / "uptake.png") in pooled.save(tmp_path) and not (tmp_path / "final.png").exists()


# Controls, pooled ----------------------------------------------------------------------------------------------------

def test_onset_of_melting_is_that_of_the_first_face_for_good():
    time = np.arange(10.0)
    lower = np.array([0, 0, 1, 0, 0, 0, 0, 1, 1, 1.0])
    upper = np.array([np.nan, 0, 0, 0, 1, 2, 1, 0, 0, 0])
    assert melting_onset_ps(time, lower, upper) == 4.0 and melting_onset_ps(time, lower, 0 * upper) == 7.0
    assert math.isnan(melting_onset_ps(time, 0 * lower, np.full(10, np.nan)))


def test_what_was_not_seen_is_said_with_how_long_one_looked():
    nan = math.nan
    assert onset_in_words([nan, nan], [20.0, 20.0]) == "not seen in 20 ps"
    assert onset_in_words([nan, nan], [20.0, 3.21]) == "not seen in 3.2-20 ps"
    assert onset_in_words([8.0, 10.0], [60.0, 60.0]) == "9.0 +- 1.0 ps"
    assert onset_in_words([8.0, 10.0, nan], [60.0, 60.0, 12.0]) == "9.0 +- 1.0 ps in 2 of 3, else not seen in 12 ps"
    assert onset_in_words([5.0, nan], [60.0, 60.0]) == "5.0 ps in 1 of 2, else not seen in 60 ps"


def test_state_needs_both_measures():
    assert [state(a, b) for a, b in ((0.9, 0.8), (0.1, 0.3), (0.9, 0.1), (0.1, 0.9))] == [
        "liquid", "solid", "liquid by order only", "liquid by mobility only"]
    assert state(math.nan, math.nan) == "" and state(0.2, math.nan) == "mobility unknown"


def test_controls_are_pooled_with_errors_and_censoring(tmp_path):
    time = np.linspace(0.0, 20.0, 41)
    onsets = [4.0, 7.0, math.nan]
    shares = [0.2, 0.3, 0.7]
    runs = [run_data(k, time, 2.0 + 0 * time, h_per_metal_last=h, phase="CaH2 P6_3/mmc", controls=Controls(
        {"order": onset, "mobility": 2.0 + k, "both": onset}, "solid", {"bct": share, "none": 1 - share}, 2.0 + h / 10,
        0.001 * (k + 1), 1.0 + k)) for k, (h, onset, share) in enumerate(zip([2.5, 2.7, 3.1], onsets, shares,
                                                                             strict=True))]
    runs.append(run_data(3, time[:10], 2.0 + 0 * time[:10], status="stopped", h_per_metal_last=9.0, controls=Controls(
        {"order": math.nan, "mobility": 1.0, "both": math.nan}, "liquid", {"bct": 1.0}, 9.0, 0.01, 10.5)))
    pooled = pool("s", runs)
    row = control_row(pooled.conditions[0])
    for name, values in (("h_per_metal_inside", [2.5, 2.7, 3.1]), ("h_per_metal_deep", [2.25, 2.27, 2.31]),
                         ("share bct", shares), ("melts_by_order_ps", [4.0, 7.0]),
                         ("melts_by_mobility_ps", [2.0, 3.0, 4.0, 1.0]),
                         ("grade_share_above_1", [0.001, 0.002, 0.003, 0.01])):
        assert row[name] == pytest.approx(np.mean(values)) and row[f"{name}_error"] == pytest.approx(sem(values))
    assert row["melts_by_order"] == "5.5 +- 1.5 ps in 2 of 4, else not seen in 4.5-20 ps"
    assert (row["at_the_end"], row["product"]) == ("solid x3", "CaH2 P6_3/mmc x3")
    assert row["grade_largest"] == 10.5 and row["stopped"] == 1
    cells = control_cells(row, "c")
    assert len(cells) == len(HEADINGS) and cells[7].startswith("none 0.60 +- ") and cells[-1] == "10.50"
    pooled.save(tmp_path)
    with (tmp_path / "controls.csv").open() as handle:
        kept, = csv.DictReader(handle)
    assert float(kept["share none"]) == pytest.approx(0.6) and kept["melts_by_order_seen"] == "2"
    assert pooled.summary()["controls"][0]["at_the_end"] == "solid x3"


# A small one that runs -----------------------------------------------------------------------------------------------

SMALL = """
name: small
defaults: {formula: CaH2, pressure: 40 GPa, temperature: 1000 K, time: 0.2 ps, atoms: 150, equilibration: 0.1 ps,
  frame_every_fs: 10, outside_domain: true, grade_max: 1e9}
blocks:
  - {name: reaction, seed: SEEDS}
  - {name: alone, reactant: vacuum}
"""


@pytest.mark.lammps
def test_series_runs_pools_resumes_and_grows(tmp_path, capsys):
    file, out = tmp_path / "s.yaml", tmp_path / "out"

    def run(seeds: str) -> tuple[dict, list[str]]:
        write(file, SMALL.replace("SEEDS", seeds))
        assert main(["react", "--series", str(file), "--out", str(out), "--json", "--no-report"]) == 0
        said, err = capsys.readouterr()
        return json.loads(said), [line for line in err.splitlines() if "seed" in line]

    first, lines = run("[0]")
    assert first["runs"] == 2 and first["failed"] == 0 and all("done" in line for line in lines)
    second, lines = run("[0, 1]")
    assert [("cached" in line) for line in lines].count(True) == 2 and second["runs"] == 3
    assert second["conditions"][0]["seeds"] == 2
    with (out / "runs.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert float(rows[0]["h_per_metal_last"]) != float(rows[1]["h_per_metal_last"])
    alone = rows[2]
    assert float(alone["h_per_metal_last"]) == 2.0
    # Between its walls the slab keeps its density and leaves the gap empty.
    frames = list(read_trajectory(out / alone["folder"] / "reaction" / "trajectory.dump"))
    z, height = frames[-1].positions_A[:, 2], frames[-1].cell_A[2, 2]
    assert z.min() > 4.0 and z.max() < height - 4.0 and np.array_equal(frames[0].cell_A, frames[-1].cell_A)
    assert float(alone["mean_pressure_GPa"]) > 10.0
    assert (out / "uptake.png").is_file() and (out / "tasks" / "index.sqlite").is_file()

    _stop(out / rows[1]["folder"], at_step=200)
    third, lines = run("[0, 1]")
    assert sum("stopped at 0.100 ps (grade guard: too strange)" in line for line in lines) == 1
    assert (third["stopped"], third["failed"], third["conditions"][0]["seeds"]) == (1, 0, 1)
    with (out / "runs.csv").open() as handle:
        again = list(csv.DictReader(handle))
    assert [row["status"] for row in again] == ["done", "stopped", "done"]
    assert float(again[1]["lived_ps"]) == pytest.approx(0.1) and "too strange" in again[1]["reason"]
    assert again[0]["h_per_metal_last"] == rows[0]["h_per_metal_last"]
    with (out / again[1]["folder"] / "uptake.csv").open() as handle:
        assert float(list(csv.DictReader(handle))[-1]["time_ps"]) <= 0.1
    assert third["controls"][0]["grade_largest"] > 0.0
    assert run("[0, 1]")[0]["conditions"] == third["conditions"]  # nothing is analysed or counted twice


def _stop(folder: Path, at_step: int) -> None:
    """Make of a finished run one that the grade guard stopped, as the run and its task would have left it."""
    cut_trajectory(folder / "reaction" / "trajectory.dump", at_step + 1)
    log = (folder / "reaction" / "lammps.out").read_text().splitlines()
    kept = [line for line in log if not (line.split() and line.split()[0].isdigit() and int(line.split()[0]) > at_step)]
    (folder / "reaction" / "lammps.out").write_text("\n".join(kept) + "\n")
    (folder / "reaction" / "guard.json").write_text(json.dumps({
        "message": "reaction: the grade guard stopped the run", "guard": "grade", "atoms": [3], "reason": "too strange",
        "step": at_step}))
    for path in (folder / "reaction" / "done.json", folder / "result.json", folder / "grades.csv",
                 folder.parent / "result.json"):
        path.unlink()
    (folder.parent / "failed.json").write_text(json.dumps({"reason": "the grade guard stopped the run",
                                                           "wall_time_s": 1.0}))
