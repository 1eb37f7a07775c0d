"""A metal other than calcium: its plan, its labels of hydrogen, its Pulay constant, and what refuses to go wrong."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from megabar.campaign.files import read_yaml, write_yaml
from megabar.campaign.settings import load_settings
from megabar.cli.main import main
from megabar.crystals.files import read_frames
from megabar.dynamics.learning_plan import LearnPlan
from megabar.dynamics.starts import seed_cells, starts
from megabar.firstprinciples.engine import Label
from megabar.firstprinciples.label import estimated_cpu_s
from megabar.firstprinciples.levels import PBE_GPAW_1

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "Sr-H" / "learn.yaml"
CALCIUM = ROOT / "data" / "Ca-H" / "labels.extxyz.gz"


def script(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plan() -> LearnPlan:
    return load_settings(LearnPlan, EXAMPLE)


def test_the_example_is_an_hour_of_labels_and_holds_no_calcium(plan):
    assert "Ca" not in str(plan.model_dump(exclude={"data"}))
    cells = list(seed_cells(plan))
    runs = [s.atoms for s in starts(plan, 1)]
    for atoms in (*cells, *runs):
        assert set(atoms.get_chemical_symbols()) <= {"H", "Sr"}
        assert len(atoms) <= plan.pick.max_atoms or atoms.info["kind"] == "SrH2"
    picked = plan.pick.labels * plan.stop.rounds
    assert len(cells) + picked >= 150
    seconds = sum(estimated_cpu_s(a, PBE_GPAW_1) for a in cells)
    seconds += picked * np.mean([estimated_cpu_s(a, PBE_GPAW_1) for a in runs])
    assert seconds < 1.05 * 3600.0


def test_hydrogen_labels_carry_over_and_calcium_does_not(tmp_path, capsys):
    out = tmp_path / "hydrogen.extxyz.gz"
    assert main(["collect", str(CALCIUM), "--elements", "H", "--out", str(out), "--json"]) == 0
    pure = read_frames(out)
    everything = read_frames(CALCIUM)
    assert len(pure) == sum(set(a.get_chemical_symbols()) == {"H"} for a in everything) > 100
    assert {a.info["level"] for a in pure} == {PBE_GPAW_1.id}
    assert main(["collect", str(CALCIUM), "--elements", "Sr", "--out", str(tmp_path / "none.extxyz")]) == 2
    assert "the frames hold Ca, H" in capsys.readouterr().err
    assert not (tmp_path / "none.extxyz").exists()


@pytest.fixture
def strontium_level(monkeypatch):
    """A module whose LEVEL is the reference level with a constant for Sr; it is not run."""
    module = type(sys)("strontium_level")
    module.LEVEL = replace(PBE_GPAW_1, id="strontium_level:LEVEL",
                           pulay_GPa_A3={**PBE_GPAW_1.pulay_GPa_A3, "Sr": 0.4})
    monkeypatch.setitem(sys.modules, "strontium_level", module)
    return "strontium_level:LEVEL"


def test_a_plan_without_pulay_constant_or_with_another_metal_is_refused_before_it_runs(tmp_path, capsys,
                                                                                     strontium_level):
    values = {**read_yaml(EXAMPLE), "data": [], "level": strontium_level}
    write_yaml(tmp_path / "plan.yaml", values)
    command = ["learn", str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "L"), "--dry-run"]
    assert main(command) == 0
    assert "113" in capsys.readouterr().out
    write_yaml(tmp_path / "plan.yaml", {**values, "data": [str(CALCIUM)]})
    assert main(command) == 2
    assert "data holds Ca, the plan is of Sr" in capsys.readouterr().err
    write_yaml(tmp_path / "plan.yaml", {**values, "level": "pbe-gpaw-1", "metal": "Y"})
    assert main(command) == 2
    assert "no Pulay constant for Y" in capsys.readouterr().err


def test_pulay_constant_is_what_the_cutoff_leaves_out(tmp_path, monkeypatch):
    """An engine whose pressure lacks c (E0 / E)^3 / V for each atom: at twice the cutoff an eighth is left, so the tool
    finds seven eighths of the metal's c, once hydrogen's share (known to the level as seven eighths too) is out."""
    lacking = {"H": 0.8, "Sr": 0.4}
    runs = []

    class Engine:
        @staticmethod
        def compute(atoms, level, folder):
            runs.append(level.cutoff(atoms))
            left_out = sum(lacking[s] for s in atoms.get_chemical_symbols()) * (700.0 / level.cutoff(atoms)) ** 3
            pressure = 12.0 - left_out / atoms.get_volume()
            stress = level.add_pulay(-np.eye(3) * pressure / 160.21766208, atoms)
            return Label(0.0, np.zeros((len(atoms), 3)), stress, 1)

    tool = script(ROOT / "tools" / "pulay_constant.py")
    monkeypatch.setattr(tool, "engine", lambda name: Engine)
    level = replace(PBE_GPAW_1, pulay_GPa_A3={"H": 0.8 * 7 / 8})
    rows = tool.constants("Sr", level, tmp_path)
    assert [constant for *_, constant in rows] == pytest.approx([0.4 * 7 / 8] * 3, rel=1e-6)
    assert sorted(runs) == [700.0] * 3 + [1400.0] * 3
    tool.constants("Sr", level, tmp_path)
    assert len(runs) == 6  # read back


def test_baseline_hands_over_the_same_frames(tmp_path):
    """DeePMD wants the virial -dE/d(strain) and atoms sorted by type; predictions that are the labels have no error."""
    from megabar.potential.dataset import read_dataset
    from megabar.potential.evaluation import evaluate
    from megabar.potential.library import load

    baseline = script(ROOT / "benchmarks" / "baseline_deepmd.py")
    frames = [f for f in read_dataset([CALCIUM]) if f.kind == "CaH4"][:6]
    systems = [Path(s) for s in baseline.write_systems(frames, ["H", "Ca"], tmp_path)]
    assert sum(len(np.load(s / "set.000" / "energy.npy")) for s in systems) == len(frames)
    calculator = load("Ca-H").calculator()
    for system in systems:
        types = np.loadtxt(system / "type.raw", dtype=int)
        assert (np.diff(types) >= 0).all()
        coord, box = (np.load(system / "set.000" / f"{n}.npy") for n in ("coord", "box"))
        force, virial = (np.load(system / "set.000" / f"{n}.npy") for n in ("force", "virial"))
        for k in range(len(coord)):
            same = [f for f in frames if np.allclose(f.atoms.cell[:].ravel(), box[k])]
            atoms = same[0].atoms[np.argsort(same[0].atoms.numbers, kind="stable")]
            assert np.allclose(atoms.positions.ravel(), coord[k])
            assert np.allclose(np.sort(force[k].ravel()), np.sort(same[0].forces_eV_per_A.ravel()))
            # The sign: under pressure the energy rises as the cell shrinks, so the trace of the virial is positive.
            assert np.trace(virial[k].reshape(3, 3)) / (3.0 * atoms.get_volume()) * 160.21766 == pytest.approx(
                same[0].pressure_GPa, abs=1e-4)
    stored = baseline.Stored({baseline.geometry_hash(f.atoms): {
        "energy": f.energy_eV, "forces": f.forces_eV_per_A, "stress": f.stress_eV_per_A3} for f in frames})
    exact = evaluate(stored, frames).overall
    assert exact["energy_rmse_meV_per_atom"] == exact["force_rmse_eV_per_A"] == 0.0
    assert exact["stress_rmse_GPa"] < 1e-9 < evaluate(calculator, frames).overall["stress_rmse_GPa"]
