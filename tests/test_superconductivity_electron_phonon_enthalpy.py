"""Enthalpies of a reaction by Quantum ESPRESSO: sums and signs on stored results, meshes, and a live element."""

import dataclasses
import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from megabar.campaign.files import write_json
from megabar.campaign.tasks import Store
from megabar.errors import NotConverged, RunError
from megabar.superconductivity import qe_enthalpy, qe_tasks
from megabar.superconductivity.qe_enthalpy import mesh, phase_task, reaction_enthalpies
from megabar.superconductivity.qe_input import standard_primitive
from megabar.units import EV_PER_A3_IN_GPA


def store_result(store, atoms, pressure, enthalpy):
    """As if the task of this phase had run and its cell had not moved. Returns that cell."""
    task = phase_task(atoms, pressure)
    cell = qe_tasks.cell_inputs(standard_primitive(atoms))
    write_json(store.folder(task) / "result.json", cell | {
        "enthalpy_eV_per_formula": enthalpy, "volume_A3_per_formula": 10.0, "space_group": "P1 (1)",
        "pressure_GPa": pressure})
    return qe_tasks.cell_of(cell)


def swollen(atoms, before, after):
    """The start at the next pressure: K = 4 P, so V goes as P^(-1/4)."""
    new = atoms.copy()
    new.set_cell(atoms.cell[:] * (before / after) ** (1.0 / 12.0), scale_atoms=True)
    return new


def crossing(store):
    """2 A -> B with A of two phases that cross: H = -3 + P, or -2 + P / 2 (eV, P in 100 GPa), and B = -5 + P."""
    cells = {"one": bulk("Al"), "two": bulk("Al", "bcc", a=3.2), "B": bulk("Cu")}
    for name, (offset, slope) in {"one": (-3.0, 1.0), "two": (-2.0, 0.5), "B": (-5.0, 1.0)}.items():
        atoms, before = cells[name], None
        for pressure in (300.0, 100.0, 200.0):
            atoms = swollen(atoms, before, pressure) if before else atoms
            atoms, before = store_result(store, atoms, pressure, offset + slope * pressure / 100.0), pressure
    return {"one": ("A", cells["one"]), "two": ("A", cells["two"]), "B": ("B", cells["B"])}


def test_reaction_takes_the_best_phase_at_each_pressure(tmp_path):
    """Best A: -2 at 100 GPa (first: -3 + 1 = -2; second -1.5), -1.0 at 200 GPa both, -0.5 at 300 GPa (second)."""
    store = Store(tmp_path / "tasks")
    phases = crossing(store)
    result = reaction_enthalpies("2 A -> B", {"A": -2, "B": 1}, phases, [300.0, 100.0, 200.0], store,
                                 lambda line: None)
    assert result.pressures_GPa == (100.0, 200.0, 300.0)
    assert result.best["A"][0] == "one" and result.best["A"][2] == "two"
    assert result.reaction_eV == pytest.approx([-4.0 + 4.0, -3.0 + 2.0, -2.0 + 1.0])
    result.save(tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "enthalpies.json").read_text())
    assert saved["reaction"] == "2 A -> B" and (tmp_path / "out" / "enthalpies.png").is_file()
    assert len((tmp_path / "out" / "enthalpies.csv").read_text().splitlines()) == 4


def test_a_phase_that_fails_is_left_out_and_said(tmp_path, monkeypatch):
    """Without the first phase of A at 100 GPa the second counts there: B - 2 A = -4 + 3 = -1. With both gone: an
    error that names formula and pressure."""
    store, lines = Store(tmp_path / "tasks"), []
    phases = crossing(store)
    real, failing = qe_enthalpy.run_tasks, [phases["one"][1]]

    def some_fail(tasks, *args, **options):
        for outcome in real(tasks, *args, **options):
            numbers = outcome.result["numbers"] if outcome.result else None
            volume = qe_tasks.cell_of(outcome.result).get_volume() if outcome.result else 0.0
            known = any(qe_tasks.cell_of(outcome.result).symbols == a.symbols
                        and abs(volume / swollen(a, 300.0, 100.0).get_volume() - 1.0) < 1e-6 for a in failing)
            if known and numbers is not None and outcome.result["pressure_GPa"] == 100.0:
                outcome = dataclasses.replace(outcome, result=None, reason="bands not converged")
            yield outcome

    monkeypatch.setattr(qe_enthalpy, "run_tasks", some_fail)
    result = reaction_enthalpies("2 A -> B", {"A": -2, "B": 1}, phases, [300.0, 100.0], store, lines.append)
    assert result.best["A"][0] == "two" and result.reaction_eV[0] == pytest.approx(-4.0 + 3.0)
    assert any("one 100 GPa" in line and "bands not converged" in line for line in lines)
    result.save(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "enthalpies.json").read_text())["phases"]["one"][0] is None
    failing.append(phases["two"][1])
    with pytest.raises(RunError, match="no phase of A .* 100 GPa"):
        reaction_enthalpies("2 A -> B", {"A": -2, "B": 1}, phases, [300.0, 100.0], store, lines.append)


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


def test_relaxation_that_ends_at_its_goal_with_an_error_goes_on_from_there(tmp_path, monkeypatch):
    """An eigensolver that gives up after some steps: the next program starts from the last geometry that was
    finished (4.2 A), not from the first; one that gives up at once is an error."""
    started, images = [], [bulk("Al", a=4.0), bulk("Al", a=4.2)]

    def fails(program, text, folder, name):
        (folder / "out").mkdir(exist_ok=True)
        if name.startswith("relax"):
            raise RunError("pw.x: Error in routine c_bands (1): too many bands are not converged; see x")

    monkeypatch.setattr(qe_tasks, "run_program", fails)
    monkeypatch.setattr(qe_tasks, "iread", lambda *a, **k: iter(images))
    monkeypatch.setattr(qe_tasks, "pw_input", lambda atoms, **k: started.append((k["calculation"], atoms)) or "")
    monkeypatch.setattr(qe_tasks, "_state", lambda folder: type("S", (), {"pressure_GPa": 50.0, "energy_eV": -1.0})())
    inputs = qe_tasks.cell_inputs(images[0]) | {"pressure_GPa": 50.0, "k_mesh": [2, 2, 2], "cutoff_Ry": 40.0,
                                                "smearing_Ry": 0.02, "functional": "PBE"}

    found = qe_tasks.relax(inputs, tmp_path)
    assert found["volume_A3"] == pytest.approx(4.2**3 / 4)
    assert [name for name, _ in started] == ["vc-relax", "scf"]
    del images[1:]
    with pytest.raises(RunError, match="bands are not converged"):
        qe_tasks.relax(inputs, tmp_path)


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
