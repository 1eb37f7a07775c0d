"""Cells carved out of a reaction run: they are what the run was, they are sane, and they say where they come from."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from megabar.cli.main import main
from megabar.crystals.files import read_frames
from megabar.dynamics.guards import frame_atoms
from megabar.dynamics.trajectory import read_trajectory
from megabar.errors import InputError
from megabar.firstprinciples.label import label_task, labelled_frame
from megabar.potential.dataset import read_dataset
from megabar.potential.evaluation import evaluate
from megabar.potential.library import load
from megabar.reaction import carving
from megabar.reaction.carving import REGIONS, carve_run, regions
from megabar.reaction.results import Snapshot
from megabar.reaction.run import ReactSettings, run_reaction
from megabar.units import EV_PER_A3_IN_GPA


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run of the shipped potential; LAMMPS frames every 50 fs."""
    folder = tmp_path_factory.mktemp("carving") / "short"
    run_reaction(ReactSettings(formula="CaH2", pressure="40 GPa", temperature="1473 K", time="0.6 ps",
                               equilibration="0.2 ps", atoms=300, potential="Ca-H", seed=2), folder)
    return folder


@pytest.fixture(scope="module")
def frames(run):
    return {round(frame.time_ps, 3): frame_atoms(frame) for frame in read_trajectory(run / "reaction/trajectory.dump")}


@pytest.fixture(scope="module")
def carved(run):
    return carve_run(run, 24, seed=5)


def _origin(atoms):
    """Time in ps, atom (from 0) and grade, from the words of the origin."""
    words = atoms.info["origin"].split()
    return float(words[2]), int(words[words.index("atom") + 1]) - 1, float(words[words.index("grade") + 1])


def test_cells_are_pieces_of_the_run(carved, frames):
    """Atom for atom, with the atom named in the origin first; nothing is moved beyond the file's digits."""
    assert len(carved.cells) == 24
    for cell in carved.cells:
        time, centre, _ = _origin(cell)
        frame = frames[time]
        assert cell.numbers[0] == frame.numbers[centre]
        offsets = frame.positions - frame.positions[centre]
        inverse = np.linalg.inv(frame.cell[:])
        for atom in range(1, len(cell)):
            away = (offsets - (cell.positions[atom] - cell.positions[0])) @ inverse
            away = np.linalg.norm((away - np.rint(away)) @ frame.cell[:], axis=1)
            assert frame.numbers[away.argmin()] == cell.numbers[atom] and away.min() < 1e-3


def test_cells_are_sane(carved, frames):
    """14 to 24 atoms, paired electrons, the run's pressure, and no pair much closer than any in the whole run."""
    shortest: dict[tuple[int, int], float] = {}
    for frame in frames.values():
        for i, j, d in zip(*neighbor_list("ijd", frame, 3.0), strict=True):
            pair = tuple(sorted((int(frame.numbers[i]), int(frame.numbers[j]))))
            shortest[pair] = min(d, shortest.get(pair, d))
    calculator = load("Ca-H").calculator()
    for cell in carved.cells:
        assert 14 <= len(cell) <= 24 and cell.numbers.sum() % 2 == 0 and cell.pbc.all()
        for i, j, d in zip(*neighbor_list("ijd", cell, 3.0), strict=True):
            assert d >= 0.9 * shortest.get(tuple(sorted((int(cell.numbers[i]), int(cell.numbers[j])))), 3.0) - 1e-3
        calculator.calculate(cell)
        static = -calculator.results["stress"][:3].mean() * EV_PER_A3_IN_GPA
        ideal_gas = len(cell) / cell.get_volume() * 1.380649e-23 * 1473.0 * 1e30 * 1e-9
        assert abs(static + ideal_gas - 40.0) <= 10.0


def test_no_cell_repeats_another(carved, frames):
    """Centres in one instant keep 3 A from each other."""
    by_time: dict[float, list[int]] = {}
    for cell in carved.cells:
        time, centre, _ = _origin(cell)
        by_time.setdefault(time, []).append(centre)
    assert len(by_time) == carved.instants >= 5
    for time, centres in by_time.items():
        apart = frames[time].get_all_distances(mic=True)[np.ix_(centres, centres)]
        assert (apart + 10.0 * np.eye(len(centres)) > 3.0).all()


def test_regions_take_turns_and_hold_what_they_say(carved):
    kinds = [cell.info["kind"] for cell in carved.cells]
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    assert set(counts) <= set(REGIONS) and {"H2 fluid", "interface", "hydride"} <= set(counts)
    assert max(counts.values()) - min(counts[k] for k in ("H2 fluid", "interface", "hydride")) <= 1
    for cell in carved.cells:
        assert (cell.numbers == 1).all() == (cell.info["kind"] == "H2 fluid")
        assert cell.info["kind"] in cell.info["origin"] and cell.info["target_pressure_GPa"] == 40.0


def test_half_are_strange(carved, run, frames):
    """A cell called strangest has a higher grade than nine tenths of its instant's atoms of the same place; those by
    chance do not all have one."""
    calculator = load(run).calculator()
    strange = {True: [], False: []}
    for cell in carved.cells:
        time, centre, grade = _origin(cell)
        calculator.calculate(frames[time])
        assert calculator.results["grade"][centre] == pytest.approx(grade, abs=0.02)  # two decimals, and the dump's
        strange["(highest)" in cell.info["origin"]].append(grade)
    assert abs(len(strange[True]) - len(strange[False])) <= len(REGIONS)
    assert np.mean(strange[True]) > np.mean(strange[False]) + 0.05


def test_seed_decides(run, carved):
    again, other = carve_run(run, 24, seed=5), carve_run(run, 24, seed=6)
    assert [c.info["origin"] for c in again.cells] == [c.info["origin"] for c in carved.cells]
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(again.cells, carved.cells, strict=True))
    assert [c.info["origin"] for c in other.cells] != [c.info["origin"] for c in carved.cells]


def test_labels_keep_the_region(carved, tmp_path):
    """Through a label and a file, `evaluate` groups by it."""
    from megabar.crystals.files import write_frames

    calculator = load("Ca-H").calculator()
    labelled = []
    for cell in carved.cells:
        calculator.calculate(cell)
        stress = calculator.results["stress"][[0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(3, 3)
        labelled.append(labelled_frame(cell, label_task(cell, "pbe-gpaw-1"), {
            "energy_eV": calculator.results["energy"], "forces_eV_per_A": calculator.results["forces"],
            "stress_eV_per_A3": stress}))
    write_frames(tmp_path / "labelled.extxyz", labelled)
    result = evaluate(calculator, read_dataset([tmp_path / "labelled.extxyz"]))
    assert set(result.groups) == {cell.info["kind"] for cell in carved.cells}
    assert result.overall["force_rmse_eV_per_A"] < 1e-4


def _shot(heights_A, numbers, faces=(8.0, 32.0)):
    places = np.array([[5.0 + 10.0 * (z > 37.5), 5.0, z] for z in heights_A])
    m, h = int(np.sum(numbers != 1)), int(np.sum(numbers == 1))
    return Snapshot(0.0, np.diag([20.0, 20.0, 40.0]), 2, numbers, places, np.zeros(m), np.zeros(m, dtype=bool),
                    np.zeros(h, dtype=np.int8), np.zeros(h), *faces)


def test_regions_by_height():
    """Six metal planes from 10 to 30 A with faces at 8 and 32 A, one metal astray at 38 A and, beside it or far from
    it, hydrogen. One layer is liquid at the lower face."""
    numbers = np.array([20] * 7 + [1] * 9)
    metals = [10.0, 14.0, 18.0, 22.0, 26.0, 30.0, 38.0]
    hydrogens = [2.0, 6.0, 9.0, 11.0, 20.0, 31.0, 34.0, 36.9, 39.5]
    found = regions(_shot([*metals, *hydrogens], numbers), (1.0, 0.0), 7, True)
    names = [REGIONS[k] for k in found]
    assert names[:7] == ["liquid", "hydride", "hydride", "hydride", "hydride", "hydride", "metal in H2"]
    assert names[7:] == ["H2 fluid", "interface", "interface", "liquid", "hydride", "interface", "interface",
                         "H2 fluid", "metal in H2"]
    whole = regions(_shot([*metals, *hydrogens], numbers), (0.0, 0.0), 1, False)
    assert {REGIONS[k] for k in whole} == {"hydride"}


def test_what_cannot_be_carved(tmp_path, run):
    with pytest.raises(InputError, match="holds no reaction run"):
        carve_run(tmp_path, 10)
    for name in ("settings.yaml", "nep.txt"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    with pytest.raises(InputError, match="no frames yet"):
        carve_run(tmp_path, 10)
    (tmp_path / "reaction").mkdir()
    (tmp_path / "reaction/trajectory.dump").write_bytes((run / "reaction/trajectory.dump").read_bytes()[:150_000])
    with pytest.raises(InputError, match="no active set"):
        carve_run(tmp_path, 10)


def test_far_pressure_is_refused(run, monkeypatch):
    monkeypatch.setattr(carving, "PRESSURE_WITHIN_GPA", 1e-9)
    monkeypatch.setattr(carving, "_DRAWS", 20)
    with pytest.raises(InputError, match="near the run's 40 GPa"):
        carve_run(run, 4)


def test_command(run, tmp_path, capsys):
    out = tmp_path / "cells.extxyz"
    assert main(["cells", "--from-run", str(run), "--count", "6", "--seed", "3", "--json", "--out", str(out)]) == 0
    result = json.loads(capsys.readouterr().out)
    cells = read_frames(out)
    assert result["cells"] == len(cells) == 6 and sum(result["kinds"].values()) == 6
    for wrong in (["cells", "--from-run", str(run), "plan.yaml"], ["cells", "plan.yaml", "--count", "3"], ["cells"]):
        assert main(wrong) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) <= 2
