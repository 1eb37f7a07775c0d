"""Uncertainty: coverage and ranks on errors whose distribution is known, bootstraps of families, the verb on a toy."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from megabar.cli.main import main
from megabar.crystals.files import write_frames
from megabar.crystals.packing import random_hydride
from megabar.errors import InputError, PotentialUnknown
from megabar.potential.calibration import AtomErrors, calibrate
from megabar.potential.committee import Committee, bootstrap, split_for_calibration, train_committee
from megabar.potential.dataset import LabelledFrame, read_dataset
from megabar.potential.trainer import NEPSettings
from test_potential_training import label


def atoms_with(sigma, claimed, *, grade=None, families=40, outside=0, seed=0):
    """Errors drawn from normal distributions of width `sigma` (N,) whose spread claims `claimed` (N,)."""
    rng = np.random.default_rng(seed)
    n = len(sigma)
    errors = rng.normal(size=(n, 3)) * sigma[:, None]
    far = np.arange(n) >= n - outside
    return AtomErrors(
        error_eV_per_A=errors, spread_eV_per_A=np.repeat(claimed[:, None], 3, axis=1),
        potential_error_eV_per_A=np.linalg.norm(errors, axis=1), grade=claimed if grade is None else grade,
        frame=np.arange(n), kind=np.array(["a", "b"])[np.arange(n) % 2],
        family=np.array([f"f{k % families}" for k in range(n)]), pressure_GPa=np.where(far, 150.0, 50.0), outside=far)


def test_an_honest_spread_covers_what_it_claims_and_a_third_of_it_does_not():
    sigma = np.random.default_rng(1).uniform(0.05, 0.5, 4000)
    honest = calibrate(atoms_with(sigma, sigma))
    # Counting errors of 12,000 components are below 0.5 %; 2 % leaves room for the split into halves.
    assert honest.factor == pytest.approx(1.0, abs=0.03)
    for nominal, raw, calibrated in honest.coverage:
        assert raw == pytest.approx(nominal, abs=0.02) and calibrated == pytest.approx(nominal, abs=0.02)
    bold = calibrate(atoms_with(sigma, sigma / 3.0))
    assert bold.factor == pytest.approx(3.0, abs=0.1)
    assert bold.shares[0.683][0] == pytest.approx(math.erf(1.0 / 3.0 / math.sqrt(2.0)), abs=0.02)
    assert bold.shares[0.683][1] == pytest.approx(0.683, abs=0.02)
    assert bold.shares[0.95][1] == pytest.approx(0.95, abs=0.02)


def test_rank_follows_the_measure_that_knows():
    rng = np.random.default_rng(2)
    sigma = np.geomspace(0.01, 3.0, 1000)
    found = calibrate(atoms_with(rng.permutation(sigma), rng.permutation(sigma), grade=rng.uniform(size=1000)))
    assert abs(found.ranks["inside"]["spread"]) < 0.1 and abs(found.ranks["inside"]["grade"]) < 0.1
    told = calibrate(atoms_with(sigma, sigma, grade=rng.uniform(size=1000)))
    assert told.ranks["inside"]["spread"] > 0.85 and told.best == "spread"
    assert told.as_dict()["passes"] == {"spread": True, "grade": False}


def test_whole_frames_are_ranked_and_hindsight_bounds_their_atoms():
    """Frames of 20 atoms alike inside: the RMS of 20 vectors scatters by 9 %, so frames of widths from 0.1 to 1 are
    told apart, while an atom's own error is one draw, which even the width itself ranks no better."""
    width, frame = np.repeat(np.geomspace(0.1, 1.0, 100), 20), np.repeat(np.arange(100), 20)
    rng = np.random.default_rng(7)
    found = calibrate(replace(atoms_with(width, width, grade=rng.uniform(size=2000)), frame=frame))
    assert found.frame_ranks["spread"] > 0.95 and abs(found.frame_ranks["grade"]) < 0.25
    assert found.frame_ranks["frames"] == 100
    assert found.hindsight == pytest.approx(found.ranks["inside"]["spread"], abs=0.03)
    same = np.full(2000, 0.3)  # nothing to rank: only the scatter of its own frame's sum, which holds the atom itself
    alike = calibrate(replace(atoms_with(same, width), frame=frame))
    assert 0.0 < alike.hindsight < 0.35 and abs(alike.ranks["inside"]["spread"]) < 0.1
    assert found.as_dict()["rank_correlation_in_hindsight"] == found.hindsight


def test_grade_law_and_pressures(tmp_path):
    grade = np.geomspace(0.2, 20.0, 2000)
    sigma = 0.3 * grade**1.5
    found = calibrate(atoms_with(sigma, sigma, grade=grade, outside=500))
    # The median length of a normal vector of width sigma is 1.538 sigma (chi distribution with three degrees).
    assert found.grade_law[1] == pytest.approx(1.5, abs=0.1)
    assert found.grade_law[0] == pytest.approx(0.3 * 1.538, rel=0.1)
    inside, outside = found.by_pressure
    assert outside["median_error_eV_per_A"] > inside["median_error_eV_per_A"] and outside["pressure_to_GPa"] == 150.0
    assert outside["share_grade_above_1"] == 1.0
    found.save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"calibration.json", "calibration.png", "coverage.csv", "atoms.csv"}
    assert len((tmp_path / "atoms.csv").read_text().splitlines()) == 2001


def test_too_little_to_calibrate_on_is_refused():
    sigma = np.ones(50)
    with pytest.raises(InputError, match="too few"):
        calibrate(atoms_with(sigma, sigma, families=3))
    with pytest.raises(InputError, match="too few"):
        calibrate(atoms_with(sigma[:6], sigma[:6], families=6))


def frames(families=60, siblings=3, pressure=50.0):
    found = []
    for k in range(families * siblings):
        atoms = Atoms("H2", positions=[[0, 0, 0], [0.7 + 0.001 * k, 0, 0]], cell=[4] * 3, pbc=True,
                      info={"parent": f"p{k // siblings}", "kind": "H2"})
        found.append(LabelledFrame(atoms, -6.0, np.zeros((2, 3)), -np.eye(3) * pressure / 160.2176634))
    return found


def test_bootstrap_draws_families_whole_and_leaves_one_in_e_out():
    data = frames(families=400, siblings=2)
    drawn = bootstrap(data, 3)
    counts = {}
    for f in drawn:
        counts.setdefault(f.parent, []).append(id(f))
    assert all(len(members) == 2 * members.count(members[0]) for members in counts.values())
    assert len(drawn) == len(data)
    assert 1 - len(counts) / 400 == pytest.approx(math.exp(-1.0), abs=0.06)  # three standard deviations
    assert [id(f) for f in bootstrap(data, 3)] == [id(f) for f in drawn]
    assert [id(f) for f in bootstrap(data, 4)] != [id(f) for f in drawn]


def test_frames_beyond_take_their_families_along():
    data = frames(30) + frames(10, pressure=150.0)[:4]  # p0 and p1 have siblings above
    kept, held, beyond = split_for_calibration(data, 0.2, 0, 100.0)
    assert len(beyond) == 4 and all(f.pressure_GPa > 100 for f in beyond)
    assert not {f.parent for f in beyond} & {f.parent for f in (*kept, *held)}
    assert not {f.parent for f in kept} & {f.parent for f in held}
    with pytest.raises(InputError, match="held out"):
        split_for_calibration(frames(2), 0.0, 0)


def test_a_committee_of_one_is_refused(tmp_path):
    with pytest.raises(InputError, match="two or more"):
        train_committee(frames(4), [], tmp_path / "c", NEPSettings(), 1)
    with pytest.raises(PotentialUnknown, match="0 finished"):
        Committee.load(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.train
def test_the_verb_on_a_toy_and_again(tmp_path, capsys):
    rng = np.random.default_rng(5)
    write_frames(tmp_path / "d.extxyz",
                 [label(random_hydride("Ca", 1, 4, float(rng.uniform(10, 80)), rng, {"H-H": 1.0}),
                                               "dense" if k % 2 else "loose") for k in range(24)])
    (tmp_path / "s.yaml").write_text("epochs: 2\nneurons: 6\nn_max: [3, 2]\nbasis_size: [4, 4]\nl_max: [2, 0, 0]\n"
                                     "cutoff_radial_A: 4.0\ncutoff_angular_A: 3.0\nvalidation_share: 0.3\n")
    command = ["calibrate", str(tmp_path / "d.extxyz"), "--members", "2", "--config", str(tmp_path / "s.yaml"), "--out",
               str(tmp_path / "C"), "--json"]
    assert main(command) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["members"] == 2 and set(said["coverage"]) == {"68.3%", "95.0%"} and said["spread_factor"] > 0
    assert said["best_measure"] in ("spread", "grade") and (tmp_path / "C" / "calibration.png").is_file()
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "C").rglob("nep.txt")}
    spread = Committee.load(tmp_path / "C").spread(read_dataset([tmp_path / "d.extxyz"])[0].atoms)
    assert spread.force_spread_eV_per_A.max() > 0
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["rank_correlation"] == said["rank_correlation"]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "C").rglob("nep.txt")} == made
    assert main([*command[:-1], "--epochs", "3"]) == 2
    assert "other settings" in capsys.readouterr().err
