"""Enthalpies of a reaction by Quantum ESPRESSO: sums and signs on stored results, meshes, and a live element."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from megabar.campaign.files import write_json
from megabar.campaign.tasks import Store
from megabar.errors import NotConverged
from megabar.superconductivity import qe_tasks
from megabar.superconductivity.qe_enthalpy import mesh, phase_task, reaction_enthalpies
from megabar.superconductivity.qe_input import standard_primitive
from megabar.units import EV_PER_A3_IN_GPA


def store_result(store, atoms, pressure, enthalpy):
    """As if the task of this phase had run and its cell had not moved."""
    task = phase_task(atoms, pressure)
    cell = qe_tasks.cell_inputs(standard_primitive(atoms))
    write_json(store.folder(task) / "result.json", cell | {
        "enthalpy_eV_per_formula": enthalpy, "volume_A3_per_formula": 10.0, "space_group": "P1 (1)",
        "pressure_GPa": pressure})


def test_reaction_takes_the_best_phase_at_each_pressure(tmp_path):
    """2 A -> B with A of two phases that cross: H = -3 + P, or -2 + P / 2 (eV, P in 100 GPa), and B = -5 + P.

    Best A: -2 at 100 GPa (first: -3 + 1 = -2; second -1.5), -1.0 at 200 GPa both, -0.5 at 300 GPa (second).
    """
    store = Store(tmp_path / "tasks")
    first, second, product = bulk("Al"), bulk("Al", "bcc", a=3.2), bulk("Cu")
    for pressure in (100.0, 200.0, 300.0):
        x = pressure / 100.0
        store_result(store, first, pressure, -3.0 + x)
        store_result(store, second, pressure, -2.0 + 0.5 * x)
        store_result(store, product, pressure, -5.0 + x)
    phases = {"one": ("A", first), "two": ("A", second), "B": ("B", product)}
    result = reaction_enthalpies("2 A -> B", {"A": -2, "B": 1}, phases, [300.0, 100.0, 200.0], store,
                                 lambda line: None)
    assert result.pressures_GPa == (100.0, 200.0, 300.0)
    assert result.best["A"][0] == "one" and result.best["A"][2] == "two"
    assert result.reaction_eV == pytest.approx([-4.0 + 4.0, -3.0 + 2.0, -2.0 + 1.0])
    result.save(tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "enthalpies.json").read_text())
    assert saved["reaction"] == "2 A -> B" and (tmp_path / "out" / "enthalpies.png").is_file()
    assert len((tmp_path / "out" / "enthalpies.csv").read_text().splitlines()) == 4


def test_meshes_follow_the_reciprocal_lengths():
    """Spacing at most the one asked for, equal counts on equal axes."""
    cell = Atoms("S", cell=np.diag([2.0, 4.0, 8.0]), pbc=True)
    assert mesh(cell, 0.5) == [7, 4, 2]  # 2 pi / (2, 4, 8) / 0.5 = 6.28, 3.14, 1.57
    fcc = mesh(bulk("Al"), 0.3)
    assert len(set(fcc)) == 1
    lengths = 2.0 * np.pi * np.linalg.norm(bulk("Al").cell.reciprocal()[:], axis=1)
    assert (lengths / fcc <= 0.3).all()


@pytest.mark.qe
def test_sulfur_is_relaxed_at_the_pressure(tmp_path):
    """bcc S, one atom: at 300 GPa, then dH/dP = V between 300 and 320 GPa (Hellmann-Feynman), to 0.5 % of V dP."""
    atoms = Atoms("S", cell=2.45 * (0.5 * np.ones((3, 3)) - np.eye(3)), positions=[[0, 0, 0]], pbc=True)
    values = []
    for pressure in (300.0, 320.0):
        inputs = phase_task(atoms, pressure).inputs | {"cutoffs_Ry": [40.0, 40.0], "spacings_per_A": [0.6, 0.6]}
        folder = tmp_path / str(pressure)
        folder.mkdir()
        from megabar.superconductivity.qe_enthalpy import phase

        values.append(phase(inputs, folder))
    change = values[1]["enthalpy_eV_per_formula"] - values[0]["enthalpy_eV_per_formula"]
    volume = 0.5 * (values[0]["volume_A3_per_formula"] + values[1]["volume_A3_per_formula"])
    assert change == pytest.approx(volume * 20.0 / EV_PER_A3_IN_GPA, rel=0.005)
    assert abs(values[0]["pressure_GPa"] - 300.0) < 2.0


def test_pressure_that_will_not_hold_is_an_error(tmp_path, monkeypatch):
    """Five rounds without reaching the pressure: NotConverged with the pressure that was reached."""
    atoms = bulk("Al")
    monkeypatch.setattr(qe_tasks, "run_program", lambda *a, **k: None)
    monkeypatch.setattr(qe_tasks, "_state", lambda folder: type("S", (), {"atoms": atoms, "pressure_GPa": 7.0})())
    inputs = qe_tasks.cell_inputs(atoms) | {"pressure_GPa": 0.0, "k_mesh": [2, 2, 2], "cutoff_Ry": 40.0,
                                            "smearing_Ry": 0.02, "functional": "PBE"}
    monkeypatch.setattr(qe_tasks, "pw_input", lambda *a, **k: "")
    with pytest.raises(NotConverged, match="7.00 GPa after five rounds"):
        qe_tasks.relax(inputs, tmp_path)
