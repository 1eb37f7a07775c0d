"""The whole analysis on synthetic runs with known answers, its figures and tables, bad input, the command line."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.campaign.files import plain
from megabar.cli.main import main
from megabar.dynamics.trajectory import Frame
from megabar.errors import InputError
from megabar.reaction.analysis import Analyser, analyse, hydrogen_per_metal
from megabar.reaction.energetics import energetics
from megabar.reaction.series import RecentMean, Rows, Thinned
from megabar.reaction.speciation import ABSORBED, FREE, HYDRIDIC
from megabar.testing import trajectories as make


@pytest.fixture(scope="module")
def slab():
    return make.hydride_slab(8, 4, 140, stretch=1.1, seed=1)


@pytest.fixture(scope="module")
def filling(slab):
    """A front of one H2 per metal that runs in from the lower face at 2.0 A/ps from 1 ps on; the slab drifts."""
    move, _ = make.front(slab, 2.0, start_ps=1.0, seed=1)
    return analyse(make.thermal(slab, 280, 0.05, amplitude_A=0.15, memory_ps=0.1, drift_A_per_ps=(0.3, 0.0, 2.0),
                                move=move, seed=1))


def test_uptake_before_and_after(filling):
    """Two hydridic H per metal at the start, one H2 more at the end; the lowest hydrogen plane of this slab (16 of
    256) lies on the face itself and may count either way: 1.875 to 2."""
    uptake = filling.uptake
    assert 1.875 - 0.01 <= uptake.h_per_metal[0] <= 2.0 + 0.01
    assert uptake.h_per_metal[-5:].mean() == pytest.approx(4.0, abs=0.12)
    assert uptake.cell_h_per_metal == pytest.approx((256 + 280) / 128)
    half = np.argmin(np.abs(uptake.time_ps - 6.0))  # 10 A of 20 are full
    assert uptake.h_per_metal_lower[half] == pytest.approx(4.0, abs=0.2)
    assert uptake.h_per_metal_upper[half] == pytest.approx(2.0, abs=0.2)
    assert uptake.thickness_A.std() < 0.1


def test_uptake_counts_each_molecule(slab):
    """Ten molecules moved into the middle at 1 ps: exactly 20 H more."""
    hydrogen = np.flatnonzero(slab.numbers == 1)
    molecules = hydrogen[-20:].reshape(-1, 2)
    middle = slab.positions[slab.numbers != 1, 2].mean()
    targets = make.voids(slab, np.full(10, middle), np.random.default_rng(0))
    move = make.entering(molecules, targets, np.full(10, 1.0))
    result = analyse(make.thermal(slab, 60, 0.05, amplitude_A=0.1, move=move))
    gain = result.uptake.h_per_metal[-3:].mean() - result.uptake.h_per_metal[:2].mean()
    assert gain * 128 == pytest.approx(20.0, abs=0.5)
    assert result.speciation.counts[0, FREE] - result.speciation.counts[-1, FREE] == pytest.approx(20.0, abs=2.0)


def test_all_hydrogen_beside_vacuum_is_the_slabs():
    """Its lowest plane of hydrogen lies on the face and swings across it; with nothing outside it is 2 per metal
    always, and 254/128 when one molecule leaves (less what swings)."""
    slab = make.hydride_slab(8, 4, 140, stretch=1.1, seed=1)[:384]  # without the molecules, which come last
    whole = analyse(make.thermal(slab, 30, 0.05, amplitude_A=0.15, seed=1)).uptake.h_per_metal
    assert np.array_equal(whole, np.full(len(whole), 2.0))
    leaver = np.flatnonzero(slab.numbers == 1)[:2]
    slab.positions[leaver, 2] = slab.positions[:, 2].max() + 5.0
    slab.positions[leaver[1], 0] = slab.positions[leaver[0], 0] + 0.74
    left = analyse(make.thermal(slab, 30, 0.05, amplitude_A=0.15, seed=1)).uptake.h_per_metal
    assert left.max() <= 254 / 128


def test_front_velocity(filling):
    fit = filling.front.velocity_A_per_ps["lower"]
    assert fit.values["rate_per_ps"] == pytest.approx(2.0, abs=max(0.05, 3 * fit.errors["rate_per_ps"]))
    assert filling.front.velocity_A_per_ps["upper"] is None
    assert filling.kinetics.best is not None


def test_species_at_the_start(filling):
    first = filling.speciation.counts[0]
    assert first[FREE] == pytest.approx(280, abs=6)
    assert first[HYDRIDIC] == pytest.approx(256, abs=6)
    assert first[ABSORBED] <= 4


def test_events_of_the_filling(filling):
    events = {e.name: e for e in filling.events}
    assert events["hydrogen enters"].time_ps == pytest.approx(1.3, abs=0.5)
    assert events["uptake saturates"].time_ps == pytest.approx(1.0 + 0.95 * 20.06 / 2.0, abs=1.0)
    assert not any("melting" in name for name in events)


def test_melting_and_freezing_to_a_product():
    """CaH2 for 4 ps, a melt with all hydrogen for 3 ps, CaH4 for 5 ps: phases, times and the way the product lies."""
    product = make.product_slab("MH4-I4/mmm", 12, 4, 4)
    liquid = make.melt(product, np.flatnonzero(product.numbers != 1))
    parent = make.hydride_slab(8, 4, 140)
    result = analyse(make.episodes((parent, 80), (liquid, 60), (product, 100)))
    found = result.product
    assert (found.parent, found.phase, found.changed) == ("CaH2 P6_3/mmc", "CaH4 I4/mmm", True)
    assert found.crystal.space_group == "I4/mmm (139)" and found.crystal.h_sites_per_metal == pytest.approx(4.0)
    # Both slabs are cut on 001 with a along x: so they lie, and one repeat is 3.378, the other 3.157 A.
    assert found.orientation.planes == "(0 0 1) || (0 0 1)"
    assert found.orientation.angle_normal_deg < 1.0
    times = {(e.name, e.where): e.time_ps for e in result.events}
    for face in ("lower", "upper"):
        assert times["melting (order) begins", face] == pytest.approx(4.0, abs=0.3)
        assert times["melting (order) ends", face] == pytest.approx(7.0, abs=0.3)
        # The planted melt does not flow, so only its making and freezing move the metal, each within half a lag.
        assert times["melting (mobility) begins", face] == pytest.approx(4.0 - 1.0, abs=0.4)
        assert times["melting (mobility) ends", face] == pytest.approx(7.0 + 1.0, abs=0.4)
    assert times["hydrogen enters", ""] == pytest.approx(4.0, abs=0.4)
    assert [e.detail for e in result.events if e.name == "sublattice changes"] == [
        "hcp-like (MH2 P6_3/mmc) to no known sublattice", "no known sublattice to bct (MH4 I4/mmm)"]


def test_hydride_without_its_hydrogen_is_not_named(filling):
    """hcp-like metal with four H is no known phase, and is not called one."""
    product = filling.product
    assert product.parent == "CaH2 P6_3/mmc" and product.phase == "none" and not product.changed
    assert "hcp-like" in product.reason


def test_drift_and_border_do_not_matter(slab):
    rng = np.random.default_rng(0)
    still = list(make.thermal(slab, 20, 0.05, amplitude_A=0.1, seed=3))
    shift = rng.random(3) @ slab.cell[:]
    moved = [replace(f, positions_A=f.positions_A + shift + np.array([0, 0, 9.0]) * f.time_ps) for f in still]
    a, b = analyse(still), analyse(moved)
    # The profile's bins (0.2 A) fall otherwise; the atoms do not.
    np.testing.assert_allclose(a.uptake.h_per_metal, b.uptake.h_per_metal, atol=0.03)
    np.testing.assert_allclose(a.layers.order, b.layers.order, atol=1e-9)
    np.testing.assert_allclose(a.uptake.thickness_A, b.uptake.thickness_A, atol=0.1)


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 0, 1)])
def test_any_axis_may_be_the_normal(slab, order):
    frames = list(make.thermal(slab, 12, 0.05, amplitude_A=0.1))
    turned = [replace(f, cell_A=f.cell_A[list(order)]) for f in frames]
    result = analyse(turned)
    assert result.normal == "abc"[order.index(2)]
    np.testing.assert_allclose(result.uptake.h_per_metal, analyse(frames).uptake.h_per_metal, atol=1e-9)


def test_unwrapped_positions_are_used_where_given(slab):
    """Frames so far apart that the nearest image misleads: displacement from the file, not from folding."""
    frames = []
    for k in range(8):
        unwrapped = slab.positions + np.array([5.0, 0.0, 0.0]) * k * (slab.numbers != 1)[:, None]
        frames.append(Frame(float(k), slab.cell[:], slab.numbers, unwrapped.copy(), unwrapped))
    frames[0].positions_A[:] = slab.positions
    chosen = np.flatnonzero(slab.numbers != 1)[:64]  # half of the metals moves, so that drift does not hide it
    for k, frame in enumerate(frames):
        frame.unwrapped_A[chosen] -= np.array([5.0, 0.0, 0.0]) * k
    layers = analyse(frames).layers
    # Each half moves by 2.5 A per ps against the common drift: 5 A in the lag of 2 ps.
    assert np.nanmean(layers.msd_in_plane_A2) == pytest.approx(25.0, rel=0.02)


def test_temperature_and_energy_of_layers(slab):
    """Maxwell velocities at 1473 K and a known energy per atom come back layer by layer."""
    from ase import units

    rng = np.random.default_rng(0)
    scale = np.sqrt(units.kB * 1473.0 / slab.get_masses())[:, None] * units.fs
    energy = np.where(slab.numbers == 1, -3.0, -2.0)
    frames = [replace(f, velocities_A_per_fs=rng.normal(size=(len(slab), 3)) * scale, potential_energy_eV=energy)
              for f in make.thermal(slab, 40, 0.05, amplitude_A=0.1)]
    result = analyse(frames, pressure_GPa=40.0)
    # 48 atoms a layer over 40 independent frames: sqrt(2 / (3 * 48 * 40)) = 2 %.
    np.testing.assert_allclose(result.layers.temperature_K.mean(axis=0), 1473.0, rtol=0.07)
    # Between two metal planes lies one of hydrogen, whose 16 atoms fall to either: 4 sqrt(2) of 32 at each time.
    by_layer = result.layers.energy_eV_per_metal[:, 1:-1]
    spread = 3.0 * 4 * np.sqrt(2) / 16
    np.testing.assert_allclose(by_layer.mean(axis=0), -2.0 - 2 * 3.0, atol=3 * spread / np.sqrt(len(by_layer)))
    assert result.energetics is not None and result.energetics.slope_eV_per_h2 is None  # nothing was taken up


def test_enthalpy_per_h2_comes_back(slab):
    """A potential energy that falls by 0.4 eV with each H2 taken up, and a constant volume."""
    move, _ = make.front(slab, 2.0, start_ps=0.5, seed=1)
    frames = []
    for frame in make.thermal(slab, 200, 0.05, amplitude_A=0.1, move=move, seed=1):
        energy = np.zeros(len(slab))
        energy[0] = -0.4 * 64 * (hydrogen_per_metal(frame) - 2.0)
        frames.append(replace(frame, potential_energy_eV=energy))
    found = analyse(frames, pressure_GPa=40.0).energetics
    assert found.slope_eV_per_h2 == pytest.approx(-0.4, abs=max(0.01, 3 * found.slope_error_eV_per_h2))


def test_heat_of_a_single_jump_has_no_error():
    """Uptake that changes within one block of rows only: leaving it out leaves nothing to fit, so no slope is given;
    spread over the run the same change is fitted exactly."""
    time = np.linspace(0.0, 8.0, 80)
    for uptake, known in ((np.where(time < 0.5, 2.0, 3.0), False), (2.0 + time / 8.0, True)):
        found = energetics(time, uptake, -0.4 * 10 * 0.5 * uptake, np.full(80, 100.0), 10, None)
        assert found is not None
        if known:
            assert found.slope_eV_per_h2 == pytest.approx(-0.4, abs=1e-9)
        else:
            assert found.slope_eV_per_h2 is None


def test_live_number_agrees_with_the_analysis(slab):
    frames = list(make.thermal(slab, 10, 0.05, amplitude_A=0.1))
    live = np.mean([hydrogen_per_metal(f) for f in frames])
    assert live == pytest.approx(analyse(frames).uptake.h_per_metal.mean(), abs=0.05)
    bulk = make.product_crystal("MH4-I4/mmm")
    frame = Frame(0.0, bulk.cell[:], bulk.numbers, bulk.positions)
    assert hydrogen_per_metal(frame) == pytest.approx(4.0)
    assert np.isnan(hydrogen_per_metal(replace(frame, numbers=np.ones_like(bulk.numbers))))


def test_memory_stays_bounded(slab):
    analyser = Analyser()
    for frame in make.thermal(slab, 60, 0.05, amplitude_A=0.1):
        analyser.push(frame)
        assert len(analyser._digests) <= 20
    assert len(analyser._past) <= 2.0 / 0.25 + 2


# Bad input -----------------------------------------------------------------------------------------------------------

def test_one_frame_tells_species_and_uptake(slab, tmp_path):
    result = analyse(make.thermal(slab, 1, amplitude_A=0.1))
    assert any("one frame only" in note for note in result.notes)
    assert result.uptake.h_per_metal[0] == pytest.approx(2.0, abs=0.1)
    assert result.kinetics.best is None
    result.save(tmp_path)
    assert (tmp_path / "snapshots.png").exists()


def test_no_metal(tmp_path):
    slab = make.hydride_slab(4, 3, 60)
    fluid = slab[slab.numbers == 1][-120:]
    result = analyse(make.thermal(fluid, 12, 0.05, amplitude_A=0.1))
    assert any("no metal" in note for note in result.notes)
    assert result.uptake is None and result.layers is None and result.product is None
    assert result.speciation.counts[:, FREE].mean() == pytest.approx(120, abs=4)
    result.save(tmp_path)


def test_no_hydrogen(tmp_path):
    metal = make.product_crystal("M-bcc")
    result = analyse(make.thermal(metal, 60, 0.05, amplitude_A=0.2))
    assert any("no hydrogen" in note for note in result.notes)
    assert (result.layers.crystalline == 1.0).all()
    assert result.product.phase == "none" and "bcc" in result.product.reason  # bcc metal, not CaH6
    result.save(tmp_path)


def test_atoms_that_change_end_the_analysis_there(slab):
    frames = list(make.thermal(slab, 30, 0.05, amplitude_A=0.1))
    shorter = replace(frames[20], numbers=frames[20].numbers[:-2], positions_A=frames[20].positions_A[:-2])
    result = analyse([*frames[:20], shorter, *frames[21:]])
    assert result.frames == 20
    assert any("frame 20" in note and "split" in note for note in result.notes)
    other = replace(frames[20], numbers=np.where(frames[20].numbers == 20, 38, frames[20].numbers))
    result = analyse([*frames[:20], other])
    assert result.frames == 20 and any("other elements" in note for note in result.notes)


def test_repeated_frames_are_left_out(slab):
    frames = list(make.thermal(slab, 20, 0.05, amplitude_A=0.1))
    result = analyse([*frames[:12], *frames[8:]])
    assert result.frames == 20 and any("restart" in note for note in result.notes)


def test_bulk_cell_is_one_phase():
    crystal = make.product_crystal("MH4-I4/mmm")
    result = analyse(make.thermal(crystal, 40, 0.05, amplitude_A=0.2, memory_ps=0.05))
    assert result.normal is None and result.front is None
    assert result.uptake.h_per_metal == pytest.approx(np.full(len(result.uptake.time_ps), 4.0))
    assert result.product.phase == "CaH4 I4/mmm"


def test_flowing_melt_is_liquid():
    """A bulk melt: random packing of the metal, walking with D = 0.5 A^2/ps in all directions."""
    crystal = make.product_crystal("MH4-I4/mmm", 12.0)
    metals = np.flatnonzero(crystal.numbers != 1)
    move = make.walking(metals, 0.5, 0.05, in_plane=False)
    result = analyse(make.thermal(make.melt(crystal, metals), 80, 0.05, amplitude_A=0.3, memory_ps=0.1, move=move))
    assert result.normal is None and result.product.phase == "liquid"


@pytest.mark.parametrize(("call", "words"), [
    (lambda: analyse([]), "no frames"),
    (lambda: Analyser(normal="z"), "a, b or c"),
    (lambda: analyse([Frame(0.0, np.zeros((3, 3)), np.array([1, 20]), np.zeros((2, 3)))]), "no volume"),
])
def test_what_cannot_be_analysed(call, words):
    with pytest.raises(InputError, match=words):
        call()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), metals=st.integers(0, 12), hydrogens=st.integers(0, 25), frames=st.integers(1, 30),
       width=st.floats(1.5, 9.0), interval=st.floats(0.001, 3.0))
def test_whatever_the_atoms_do_there_is_an_answer(seed, metals, hydrogens, frames, width, interval):
    """Random atoms in random cells, jumping anywhere: no physics, but a result that JSON can hold."""
    rng = np.random.default_rng(seed)
    numbers = np.array([20] * metals + [1] * hydrogens)
    if len(numbers) == 0:
        return
    cell = np.diag(width * rng.uniform(0.7, 3.0, 3)) + rng.uniform(-0.5, 0.5, (3, 3))
    result = analyse(Frame(k * interval, cell * rng.uniform(0.98, 1.02), numbers, rng.random((len(numbers), 3)) @ cell)
                     for k in range(frames))
    json.dumps(plain(result.summary()))
    assert result.speciation.counts.sum(axis=1) == pytest.approx(np.full(len(result.speciation.time_ps), hydrogens))


# Memory of rows ------------------------------------------------------------------------------------------------------

def test_rows_are_averaged_when_full():
    rows = Rows(limit=8)
    for k in range(1000):
        rows.add({"time": k, "late": np.nan if k < 500 else 1.0, "map": np.full(3, k)})
    columns = rows.columns()
    assert 8 <= len(columns["time"]) <= 17
    assert columns["map"].shape == (len(columns["time"]), 3)
    np.testing.assert_allclose(np.diff(columns["time"])[:-1], np.diff(columns["time"])[0])
    assert np.isnan(columns["late"][0]) and columns["late"][-1] == 1.0


def test_thinned_items_are_spread():
    for total in (1, 5, 6, 49, 1000):
        kept = Thinned(6)
        for k in range(total):
            kept.offer(lambda k=k: k)
        chosen = kept.chosen()
        assert chosen[0] == 0 and chosen[-1] == total - 1 and len(chosen) == min(6, total)
        if total > 40:  # to the nearest of at least 24 evenly spaced items
            np.testing.assert_allclose(np.diff(chosen), (total - 1) / 5, atol=(total - 1) / 23)


def test_recent_mean_covers_the_last_part():
    mean = RecentMean()
    for k in range(1000):
        mean.add(np.array([float(k)]))
    value, scatter, count = mean.mean_and_scatter()
    assert 1000 / 10 <= count <= 1000 / 3
    assert value[0] == pytest.approx(999 - (count - 1) / 2)
    assert scatter[0] == pytest.approx(count / np.sqrt(12), rel=0.01)


# Command line --------------------------------------------------------------------------------------------------------

FIGURES = ("speciation", "uptake", "profiles", "layers", "surface_melting", "snapshots", "front", "product",
           "hh_lengths", "diffraction", "kinetics")


@pytest.fixture(scope="module")
def trajectory(slab, tmp_path_factory):
    move, _ = make.front(slab, 8.0, start_ps=0.5, seed=1)
    path = tmp_path_factory.mktemp("run") / "run.extxyz"
    return make.write_frames(path, make.thermal(slab, 70, 0.05, amplitude_A=0.15, memory_ps=0.1, move=move))


def test_every_figure_has_its_table_and_json_is_the_only_output(trajectory, tmp_path, capsys):
    out = tmp_path / "found"
    assert main(["analyse", str(trajectory), "--out", str(out), "--pressure", "40 GPa", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["frames"] == 70 and result["normal"] == "c"
    assert 1.86 <= result["uptake"]["first_H_per_metal"] <= 2.01
    assert result["product"]["parent"] == "CaH2 P6_3/mmc"
    pictures = {p.stem for p in out.glob("*.png")}
    assert pictures >= set(FIGURES)
    for picture in pictures:
        with (out / f"{picture}.csv").open() as handle:
            rows = list(csv.reader(handle))
        assert len(rows) > 1 and all(len(row) == len(rows[0]) for row in rows)
    assert {"summary.json", "run.yaml", "events.csv"} <= {p.name for p in out.iterdir()}
    assert not [p for p in out.iterdir() if p.name.startswith(".")]


def test_cut_off_file_is_analysed_as_far_as_it_goes(trajectory, tmp_path, capsys):
    cut = tmp_path / "cut.extxyz"
    cut.write_bytes(trajectory.read_bytes()[:-5000])
    assert main(["analyse", str(cut)]) == 0
    captured = capsys.readouterr()
    assert "H per metal" in captured.out and "cut off" in captured.err
    summary = json.loads((tmp_path / "cut-analysis" / "summary.json").read_text())
    assert summary["frames"] == 69 and any("cut off" in note for note in summary["notes"])


def test_mixed_file_is_analysed_as_far_as_it_goes(trajectory, tmp_path):
    mixed = tmp_path / "mixed.extxyz"
    other = make.write_frames(tmp_path / "other.extxyz", make.thermal(make.product_crystal("MH4-I4/mmm"), 2))
    mixed.write_bytes(trajectory.read_bytes() + other.read_bytes())
    result = analyse(mixed)
    assert result.frames == 70 and any("atoms" in note for note in result.notes)


@pytest.mark.parametrize(("arguments", "words"), [
    (["nowhere.dump"], "no such trajectory"),
    (["empty.dump"], "give one of these"),
    (["{run}", "--normal", "z"], "a, b or c"),
    (["{run}", "--pressure", "40"], "no unit"),
    (["{run}", "--timestep", "0 fs"], "longer than zero"),
    (["{run}", "--lag", "-2 ps"], "longer than zero"),
    (["--json"], "trajectory"),
    (["{run}", "--config", "odd.yaml"], "did you mean 'normal'"),
    (["{run}", "--out", "empty.dump"], "is a file"),
])
def test_bad_input_is_one_line_and_writes_nothing(arguments, words, trajectory, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.dump").write_text("")
    (tmp_path / "odd.yaml").write_text("normall: c\n")
    before = sorted(tmp_path.iterdir())
    assert main(["analyse", *(a.format(run=trajectory) for a in arguments)]) == 2
    captured = capsys.readouterr()
    assert words in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert sorted(tmp_path.iterdir()) == before
    assert not (trajectory.parent / "run-analysis").exists()


def test_dry_run_writes_nothing(trajectory, capsys):
    assert main(["analyse", str(trajectory), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == trajectory.stat().st_size
    assert not (trajectory.parent / "run-analysis").exists()
