"""The reaction run: what is built, and that it runs, stops, is killed and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.crystals.interfaces import FACES
from megabar.crystals.prototypes import build
from megabar.dynamics.trajectory import read_trajectory
from megabar.errors import GuardFired, InputError, PhaseUnknown
from megabar.reaction.build import (
    build_crystal,
    build_fluid,
    choose_layout,
    choose_phase,
    hydride,
    join,
    open_slab,
)
from megabar.reaction.run import ReactionPlan, ReactionResult, ReactSettings, run_reaction
from random_nep import random_model

ALL_FACES = [(phase, face) for phase, faces in FACES.items() for face in faces]


# What is built -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("phase, face", ALL_FACES)
def test_layout_has_the_atoms_asked_for(phase, face):
    for n in (300, 600, 2000):
        layout = choose_layout("Ca", phase, face, 40.0, n, 2.0)
        crystal = build_crystal(layout, 40.0)
        assert n <= layout.n_atoms <= n + 1 and len(crystal) == layout.n_slab
        assert np.sum(crystal.numbers == 20) == layout.n_metal
        assert 1.0 < layout.n_molecules / layout.n_metal < 3.5
        # The repeated crystal must be one: no stacking fault at the surface cell's boundary, no atom twice.
        counts = [len(neighbor_list("d", atoms, 2.5)) / len(atoms) for atoms in (crystal, build(phase, "Ca", 40.0))]
        assert counts[0] == pytest.approx(counts[1], rel=1e-12)


@pytest.mark.parametrize("phase, face", ALL_FACES)
def test_opened_slab_has_no_dipole_and_keeps_its_atoms(phase, face):
    """Formal charges (M +n, H -1) along the normal: a polar cut of this slab would have a dipole of order one."""
    layout = choose_layout("Ca", phase, face, 40.0, 600, 2.0)
    crystal = build_crystal(layout, 40.0)
    hot = crystal.copy()
    hot.rattle(0.1, seed=3)
    slab = open_slab(crystal, hot)
    height = slab.cell[2, 2]
    charge = np.where(slab.numbers == 1, -1.0, np.sum(slab.numbers == 1) / np.sum(slab.numbers != 1))
    cold = open_slab(crystal, crystal)
    assert abs(charge @ cold.positions[:, 2]) / (layout.n_metal * height) < 0.02
    assert slab.numbers.tolist() == crystal.numbers.tolist()
    assert slab.positions[:, 2].min() > -0.6 and slab.positions[:, 2].max() < height + 0.6
    # Periodically nothing has moved.
    shift = slab.positions - hot.positions
    shift -= shift[0]
    fraction = shift @ np.linalg.inv(slab.cell[:])
    assert np.abs(fraction - np.round(fraction)).max() < 1e-6


def test_basal_face_ends_in_half_a_hydrogen_layer_on_both_sides():
    """The H layers of Ni2In-type CaH2 between CaH planes: the nonpolar cut halves one (Tasker's type III)."""
    layout = choose_layout("Ca", "MH2-P6_3/mmc", "001r", 40.0, 600, 2.0)
    crystal = build_crystal(layout, 40.0)
    hot = crystal.copy()
    hot.rattle(0.05, seed=1)
    slab = open_slab(crystal, hot)
    z, height = slab.positions[:, 2], slab.cell[2, 2]
    plane = 2 * layout.repeat[0] * layout.repeat[1]  # H of a full layer: one per primitive cell
    assert np.sum(z < 0.4) == np.sum(z > height - 0.4) == plane // 2
    assert (slab.numbers[(z < 0.4) | (z > height - 0.4)] == 1).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(100, 400), st.floats(9.0, 13.0), st.floats(5.0, 100.0), st.integers(0, 99))
def test_fluid_is_molecular_and_free_of_overlaps(molecules, edge, pressure, seed):
    layout = choose_layout("Ca", "MH2-P6_3/mmc", "001r", 40.0, 600, 2.0)
    layout = type(layout)(**{**vars(layout), "n_molecules": molecules})
    fluid = build_fluid(layout, np.array([[edge, 0, 0], [0, edge, 0]]), pressure, np.random.default_rng(seed))
    assert len(fluid) == 2 * molecules
    i, j, d = neighbor_list("ijd", fluid, 0.745)
    mates = i // 2 == j // 2
    assert np.sum(mates) == 2 * molecules
    np.testing.assert_allclose(d[mates], 0.74, atol=1e-9)
    # On a grid of 1.5 A (100 GPa) or more the ends of neighbours stay apart by what the bond leaves of the spacing.
    others = neighbor_list("ijd", fluid, 1.0)
    assert others[2][others[0] // 2 != others[1] // 2].min(initial=1.0) > 0.7


def test_join_keeps_molecules_whole_and_seams_open():
    layout = choose_layout("Ca", "MH2-P6_3/mmc", None, 40.0, 600, 2.0)
    crystal = build_crystal(layout, 40.0)
    hot = crystal.copy()
    hot.rattle(0.15, seed=1)
    fluid = build_fluid(layout, crystal.cell[:2], 40.0, np.random.default_rng(0))
    fluid.positions += [1.0, 2.0, 0.3]  # across its boundaries
    joined = join(open_slab(crystal, hot), fluid)
    region = joined.arrays["region"]
    assert len(joined) == layout.n_atoms and region.sum() == 2 * layout.n_molecules
    assert joined.cell[2, 2] == pytest.approx(crystal.cell[2, 2] + fluid.cell[2, 2] + 0.8)
    distances = joined.get_all_distances(mic=True)
    np.fill_diagonal(distances, 9.0)
    assert distances[np.ix_(region == 0, region == 1)].min() > 1.3
    hydrogen = distances[np.ix_(region == 1, region == 1)]
    even = np.arange(0, len(hydrogen), 2)
    np.testing.assert_allclose(hydrogen[even, even + 1], 0.74, atol=1e-6)
    assert np.sort(hydrogen.ravel())[2 * layout.n_molecules] > 1.1
    # Directly, not through an image: H2 outside, slab in the middle.
    z = joined.positions[:, 2]
    assert abs(z[region == 0].mean() - 0.5 * joined.cell[2, 2]) < 0.5


@pytest.mark.parametrize("formula", ["CaH2x", "SiO7", "XxH2", "", "Ca", "H2", "CaNaH3", "H2O2Ca", "2CaH2(", "кальций"])
def test_formulas_that_are_not_hydrides(formula):
    with pytest.raises(InputError, match="CaH2"):
        hydride(formula)


@given(st.text(max_size=12))
def test_formula_parser_answers_or_refuses(text):
    try:
        metal, ratio = hydride(text)
        assert metal != "H" and ratio > 0
    except InputError:
        pass


def test_phase_follows_pressure_and_formula():
    assert hydride("CaH2") == ("Ca", 2.0) and hydride("Ca4H23") == ("Ca", 5.75)
    assert choose_phase("Ca", 2.0, 5.0) == "MH2-Pnma"  # Tse et al. 2007: 15 GPa
    assert choose_phase("Ca", 2.0, 40.0) == "MH2-P6_3/mmc"
    assert choose_phase("Ca", 4.0, 40.0) == "MH4-I4/mmm"
    with pytest.raises(PhaseUnknown, match="--phase"):
        choose_phase("Sr", 2.0, 40.0)
    with pytest.raises(PhaseUnknown, match="4"):
        choose_phase("Ca", 2.0, 40.0, "MH4-I4/mmm")


# That it runs --------------------------------------------------------------------------------------------------------

SMALL = {"formula": "CaH2", "pressure": "40 GPa", "temperature": "1200 C", "time": "0.5 ps", "atoms": 200,
         "equilibration": "0.3 ps", "h2_per_metal": 1.6, "seed": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, ReactionResult, list]:
    out = tmp_path_factory.mktemp("react") / "run"
    lines: list = []
    return out, run_reaction(ReactSettings(**SMALL), out, lines.append), lines


@pytest.mark.lammps
def test_a_short_run_ends_at_its_pressure_and_temperature(finished):
    out, result, lines = finished
    # 200 atoms for 0.25 ps: one standard deviation of the instantaneous temperature is 5 %, of the pressure 2 GPa.
    assert result.mean_temperature_K == pytest.approx(1473.15, rel=0.1)
    assert result.mean_pressure_GPa == pytest.approx(40.0, abs=4.0)
    frames = list(read_trajectory(out / result.trajectory))
    np.testing.assert_allclose([f.time_ps for f in frames], 0.05 * np.arange(11), atol=1e-9)
    assert {len(f.numbers) for f in frames} == {200}
    assert [line.stage for line in lines] == sorted((line.stage for line in lines),
                                                    key=["crystal", "fluid", "contact", "reaction"].index)
    assert lines[-1].h_per_metal is not None and lines[-1].left_s < 5.0
    for figure in result.figures:
        assert (out / figure).stat().st_size > 5000 and (out / figure).with_suffix(".csv").is_file()


@pytest.mark.lammps
def test_nothing_reacts_before_the_reaction(finished):
    """The slab starts as the dihydride between two faces: two H per metal, and those of the first contact."""
    out, result, _ = finished
    (first, *_) = list(read_trajectory(out / result.trajectory))
    from megabar.reaction.analysis import hydrogen_per_metal

    assert 1.6 < hydrogen_per_metal(first) < 3.0
    z = first.positions_A[first.numbers == 20, 2]
    assert np.ptp(z) < 0.75 * first.cell_A[2, 2]


@pytest.mark.lammps
def test_a_finished_run_answers_at_once_and_other_settings_are_refused(finished):
    out, result, _ = finished
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    start = time.monotonic()
    again = run_reaction(ReactSettings(**{**SMALL, "ranks": 2}), out)
    assert time.monotonic() - start < 3.0
    assert again.summary() == json.loads(json.dumps(result.summary()))
    for change in ({"pressure": "41 GPa"}, {"seed": 2}, {"atoms": 300}, {"time": "1 ps"}):
        name = next(iter(change))
        with pytest.raises(InputError, match=f"{name} .*give another --out"):
            run_reaction(ReactSettings(**{**SMALL, **change}), out)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before


@pytest.mark.lammps
def test_killed_at_random_moments_the_same_command_ends_the_run(tmp_path):
    """kill -9 in every stage; afterwards the trajectory has every frame once and nothing half-written is left."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "megabar.cli.main", "react", "CaH2", "--with", "H2", "--pressure", "40 GPa",
               "--temperature", "1200 C", "--time", "1 ps", "--atoms", "200", "--seed", "1", "--out", str(out),
               "--json", "--config", str(tmp_path / "more.yaml")]
    (tmp_path / "more.yaml").write_text("equilibration: 0.3 ps\nh2_per_metal: 1.6\n")
    rng = np.random.default_rng(3)
    kills = 0
    for attempt in range(30):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            stdout, stderr = process.communicate(timeout=rng.uniform(1.0, 4.0) if attempt < 4 else 120.0)
            assert process.returncode == 0, stderr
            break
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
    assert kills >= 2
    summary = json.loads(stdout)
    assert summary["atoms"] == 200 and summary["analysis"]["frames"] == 21
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames = list(read_trajectory(out / "reaction" / "trajectory.dump"))
    np.testing.assert_allclose([f.time_ps for f in frames], 0.05 * np.arange(21), atol=1e-9)
    jumps = [np.abs(b.unwrapped_A - a.unwrapped_A)[a.numbers == 20].max()
             for a, b in zip(frames[:-1], frames[1:], strict=True)]
    assert max(jumps) < 2.0  # Ca moves 1 A in 50 fs at most; a lost or repeated stretch would show
    assert not [p.name for p in out.rglob("*") if p.name.startswith(".") and p.name != ".lock"]


@pytest.mark.lammps
def test_a_potential_without_sense_is_stopped_by_a_guard(tmp_path):
    """Random weights behind a ZBL wall: the crystal does not hold, the run says so and leaves cells to label."""
    (tmp_path / "p").mkdir()
    random_model(3, zbl=(0.8, 1.6)).write(tmp_path / "p" / "nep.txt")
    out = tmp_path / "run"
    asked = ReactSettings(**{**SMALL, "potential": str(tmp_path / "p")})
    for _ in range(2):
        with pytest.raises(GuardFired, match="guard stopped the run") as caught:
            run_reaction(asked, out)
        assert "train again" in str(caught.value)
    assert list(out.glob("*/guard_*.extxyz"))
    assert "failed" in (out / "run.yaml").read_text() and not (out / "result.json").exists()


def test_estimate_counts_every_stage():
    plan = ReactionPlan.make(ReactSettings(**SMALL))
    assert plan.steps("reaction") == 1000 and plan.steps("crystal") == plan.steps("fluid") == 600
    assert plan.atoms("crystal") + plan.atoms("fluid") == plan.atoms("reaction") == 200
    assert sum(plan.work().values()) == 200 * (600 + plan.steps("contact") + 1000)
