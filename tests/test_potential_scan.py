"""The hyper-parameter scan: which points a plan means, resumption, and bad plans."""

from __future__ import annotations

import json

import numpy as np
import pytest

from megabar.campaign.files import file_hash, read_yaml, write_yaml
from megabar.campaign.settings import load_settings
from megabar.cli.main import main
from megabar.crystals.files import write_frames
from megabar.crystals.packing import random_hydride
from megabar.potential.scan import Point, Scan, ScanPlan
from megabar.potential.training import TrainSettings
from test_potential_training import label

BASE = {"epochs": 2, "neurons": 6, "n_max": [3, 2], "basis_size": [4, 4], "l_max": [2, 0, 0], "cutoff_radial_A": 4.0,
        "cutoff_angular_A": 3.0, "validation_share": 0.3}


def plan_file(folder, **plan):
    write_yaml(folder / "scan.yaml", {"base": BASE, **plan})
    return str(folder / "scan.yaml")


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(5)
    write_frames(tmp_path / "d.extxyz",
                 [label(random_hydride("Ca", 1, 4, float(rng.uniform(10, 80)), rng, {"H-H": 1.0}),
                                               "toy") for _ in range(12)])
    return str(tmp_path / "d.extxyz")


def test_points_are_base_and_each_change_once(tmp_path):
    grid = {"neurons": [6, 10], "zbl_A": [1.5, 2.0], "weight_virial": [0.1]}
    alone = load_settings(ScanPlan, plan_file(tmp_path, grid=grid)).points()
    # Neurons 6, ZBL 1.5 and virial 0.1 are the base's own.
    assert alone == [{}, {"neurons": 10}, {"zbl_A": 2.0}]
    product = load_settings(ScanPlan, plan_file(tmp_path, grid=grid, mode="product")).points()
    assert len(product) == 4


@pytest.mark.parametrize("plan, word", [
    ({"grid": {"neuron": [3]}}, "did you mean 'neurons'"), ({"grid": {}}, "grid"),
    ({"grid": {"neurons": []}}, "no values"),
    ({"grid": {"neurons": ["many"]}}, "neurons"), ({"grid": {"seed": [1, 2]}}, "seeds"),
    ({"grid": {"neurons": [5]}, "mode": "all"}, "one-at-a-time"),
    ({"grid": {"cutoff_radial_A": [99]}}, "cutoff_radial_A"),
    ({"grid": {"neurons": [5]}, "families_share": 0.0}, "families_share"),
])
def test_bad_plans_are_one_line(tmp_path, data, capsys, plan, word):
    assert main(["scan", data, "--config", plan_file(tmp_path, **plan), "--out", str(tmp_path / "S")]) == 2
    error = capsys.readouterr().err
    assert word in error and error.count("\n") == 1 and not (tmp_path / "S").exists()


def test_score_is_one_where_every_target_is_just_met(tmp_path):
    met = {"energy_mae_meV_per_atom": 8.0, "force_mae_eV_per_A": 0.12, "stress_mae_GPa": 0.4}
    points = (Point({}, met, 0.0, 10, 1.0), Point({"zbl_A": 2.0}, {k: 0.5 * v for k, v in met.items()}, 0.0, 10, 1.0),
              Point({"zbl_A": 9.0}, {}, float("nan"), 0, 0.0, "failed"))
    scan = Scan(points, TrainSettings().model_dump(mode="json"), "x")
    assert [p.score for p in points] == [pytest.approx(1.0), pytest.approx(0.5), float("inf")]
    scan.save(tmp_path)
    assert scan.best is points[1] and load_settings(TrainSettings, tmp_path / "best.yaml").zbl_A == 2.0
    assert len((tmp_path / "scan.csv").read_text().splitlines()) == 4


def test_share_of_families_leaves_the_rest_out(tmp_path, data, monkeypatch):
    from megabar.potential import scan, training

    seen = []

    def note(kept, held, *_):
        seen.append(({f.parent for f in kept}, {f.parent for f in held}))
        raise InterruptedError

    monkeypatch.setattr(training, "fit", note)
    settings = TrainSettings(**BASE).model_dump(mode="json")
    for share in (1.0, 0.5):
        with pytest.raises(InterruptedError):
            scan.train_point({"data": [[data, file_hash(data)]], "families_share": share, "settings": settings,
                              "start_seed": 0}, tmp_path)
    (all_kept, all_held), (kept, held) = seen
    assert len(all_kept | all_held) == 12 and len(kept | held) == 6 and not kept & held


@pytest.mark.train
def test_a_toy_scan_is_kept_and_goes_on(tmp_path, data, capsys):
    command = ["scan", data, "--out", str(tmp_path / "S"), "--json", "--config"]
    assert main([*command, plan_file(tmp_path, grid={"neurons": [8]})]) == 0
    first = json.loads(capsys.readouterr().out)
    assert [p["point"] for p in first["points"]] == ["base", "neurons 8"]
    assert first["points"][1]["parameters"] > first["points"][0]["parameters"]
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "S").rglob("result.json")}
    # A longer plan in the same folder trains only what is new.
    assert main([*command, plan_file(tmp_path, grid={"neurons": [8], "zbl_A": [2.0]})]) == 0
    again = json.loads(capsys.readouterr().out)
    assert [p["errors"] for p in again["points"][:2]] == [p["errors"] for p in first["points"]]
    assert {p: p.stat().st_mtime_ns for p in made} == made and len(list((tmp_path / "S").rglob("result.json"))) == 3
    assert read_yaml(tmp_path / "S" / "scan.yaml")["best"] == again["best"]
