"""The reference level: k-meshes, the Pulay term, what is refused, and what a labelled frame carries."""

import json
import time

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from megabar.campaign.tasks import Store
from megabar.cli.main import main
from megabar.crystals import prototypes
from megabar.crystals.files import read_frames, write_frames
from megabar.errors import InputError, NotConverged
from megabar.firstprinciples import label as labels
from megabar.firstprinciples.engine import Label
from megabar.firstprinciples.levels import PBE_GPAW_1, level
from megabar.units import pressure_GPa, stress_matrix


@given(st.floats(2.0, 12.0), st.floats(2.0, 12.0), st.floats(60.0, 120.0), st.booleans())
def test_k_spacing_is_never_coarser_than_the_level(a, c, gamma, metallic):
    atoms = Atoms("H", cell=[a, a, c, 90, 90, gamma], pbc=True, info={"metallic": metallic})
    mesh = PBE_GPAW_1.k_mesh(atoms)
    limit = 0.28 if metallic else 0.35
    lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(atoms.cell[:]).T, axis=1)
    assert all(length / n <= limit + 1e-6 for length, n in zip(lengths, mesh, strict=True))
    assert mesh[0] == mesh[1]  # equal axes, equal counts
    coarser = [max(1, n - 1) for n in mesh]
    assert any(length / n > limit - 1e-6 for length, n in zip(lengths, coarser, strict=True)) or max(mesh) == 1


def test_pulay_pressure_sign_and_size():
    """CaH4 at 26.3 A^3: (0.55 + 4 x 0.70) / 26.3 = 0.127 GPa more pressure, nothing off the diagonal."""
    atoms = prototypes.build("MH4-I4/mmm", "Ca", 50.0)
    before = np.array([[-0.3, 0.01, 0], [0.01, -0.3, 0], [0, 0, -0.3]])
    after = PBE_GPAW_1.add_pulay(before, atoms)
    assert pressure_GPa(after) - pressure_GPa(before) == pytest.approx(3.35 / atoms.get_volume(), rel=1e-9)
    assert after[0, 1] == before[0, 1]


def test_unknown_pulay_constant_is_refused():
    with pytest.raises(InputError, match="Xe"):
        PBE_GPAW_1.add_pulay(np.zeros((3, 3)), Atoms("Xe", cell=[5] * 3, pbc=True))


def test_cutoffs_by_element():
    assert PBE_GPAW_1.cutoff(Atoms("CaH2")) == 700.0
    assert PBE_GPAW_1.cutoff(Atoms("NaHe")) == 800.0


def test_level_names():
    assert level("pbe-gpaw-1") is PBE_GPAW_1
    with pytest.raises(InputError, match="did you mean 'pbe-gpaw-1'"):
        level("pbe-gpaw-2")


def test_close_hydrogen_is_rejected_before_any_calculation(tmp_path):
    pair = Atoms("H2", positions=[[0, 0, 0], [0.45, 0, 0]], cell=[5] * 3, pbc=True)
    with pytest.raises(NotConverged, match=r"0\.450 A"):
        labels.compute_label(labels.label_task(pair, "pbe-gpaw-1").inputs, tmp_path)


def test_task_survives_a_file(tmp_path):
    """The hash of a cell is the same before and after a round trip through extxyz."""
    rng = np.random.default_rng(0)
    atoms = prototypes.build("MH2-P6_3/mmc", "Ca", 33.3)
    atoms.rattle(0.1, rng=rng)
    write_frames(tmp_path / "a.extxyz.gz", [atoms])
    [again] = read_frames(tmp_path / "a.extxyz.gz")
    assert labels.label_task(again, "pbe-gpaw-1").hash == labels.label_task(atoms, "pbe-gpaw-1").hash


def test_a_label_that_hangs_is_given_up(tmp_path, monkeypatch):
    """And a quick one after it is not."""
    class Engine:
        endless = True

        def available(self):
            return None

        def compute(self, atoms, level, folder):
            while self.endless:
                pass
            return Label(-1.0, np.zeros((2, 3)), np.zeros((3, 3)), 1)

    atoms = Atoms("CaCa", positions=[[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True)
    inputs = labels.label_task(atoms, "pbe-gpaw-1").inputs
    monkeypatch.setattr(labels, "engine", lambda name: Engine())
    monkeypatch.setattr(labels, "estimated_cpu_s", lambda atoms, level: -29.99)
    with pytest.raises(NotConverged, match="given up after 0 s of processor time"):
        labels.compute_label(inputs, tmp_path)
    Engine.endless = False
    assert labels.compute_label(inputs, tmp_path)["energy_eV"] == -1.0
    start = time.process_time()
    while time.process_time() - start < 0.5:  # the clock that was set is off again
        pass


def test_metallic_flag_is_part_of_the_label():
    atoms = prototypes.build("M-bcc", "Ca", 0.0)
    other = atoms.copy()
    other.info["metallic"] = False
    assert labels.label_task(atoms, "pbe-gpaw-1").hash != labels.label_task(other, "pbe-gpaw-1").hash


def test_labelled_frame_keys(tmp_path):
    atoms = prototypes.build("MH6-Im-3m", "Ca", 150.0)
    atoms.info.update(kind="CaH6", origin="test", parent="p")
    task = labels.label_task(atoms, "pbe-gpaw-1")
    result = {"energy_eV": -1.0, "forces_eV_per_A": np.ones((7, 3)).tolist(), "stress_eV_per_A3": np.eye(3).tolist()}
    write_frames(tmp_path / "l.extxyz", [labels.labelled_frame(atoms, task, result)])
    [frame] = read_frames(tmp_path / "l.extxyz")
    assert frame.info["REF_energy"] == -1.0 and frame.info["level"] == "pbe-gpaw-1" and frame.info["task"] == task.hash
    assert frame.arrays["REF_forces"].shape == (7, 3)
    assert np.allclose(stress_matrix(frame.info["REF_stress"]), np.eye(3))
    assert frame.info["kind"] == "CaH6" and frame.info["parent"] == "p"


@pytest.mark.parametrize("arguments, word", [
    (["missing.extxyz"], "no such file"),
    (["cells.extxyz", "--level", "pbe-gpaw-9"], "did you mean"),
    (["empty.extxyz"], "no frame|cannot be read"),
    (["cells.extxyz", "--jobs", "0"], "jobs"),
])
def test_bad_input_of_label(tmp_path, monkeypatch, capsys, arguments, word):
    import re

    monkeypatch.chdir(tmp_path)
    write_frames("cells.extxyz", [prototypes.build("M-fcc")])
    (tmp_path / "empty.extxyz").touch()
    before = sorted(p.name for p in tmp_path.iterdir())
    assert main(["label", *arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(word, error) and error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_dry_run_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("megabar.firstprinciples.gpaw.available", lambda: None)
    write_frames("cells.extxyz", [prototypes.build("MH4-I4/mmm")])
    assert main(["label", "cells.extxyz", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["cells.extxyz"]


def test_store_of_another_writer_is_respected(tmp_path):
    with Store(tmp_path / "s").lock(), pytest.raises(InputError):
        Store(tmp_path / "s").lock()
