"""Training and evaluation on labels whose truth is known: a Morse-like pair potential stands in for DFT."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list

from megabar.campaign.files import read_yaml
from megabar.cli.main import main
from megabar.crystals.files import write_frames
from megabar.crystals.packing import random_hydride
from megabar.errors import InputError
from megabar.potential.dataset import read_dataset
from megabar.potential.evaluation import evaluate
from megabar.testing import check_backend
from megabar.units import EV_PER_A3_IN_GPA


class Pairs(Calculator):
    """Smooth repulsion exp(-r) between all atoms within 5 A, plus -2 eV per H and +1 eV per Ca."""

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        i, j, d, vector = neighbor_list("ijdD", self.atoms, 5.0)
        window = (1 - (d / 5.0) ** 2) ** 3
        energy = 0.5 * np.sum(6.0 * np.exp(-1.5 * d) * window)
        slope = 6.0 * np.exp(-1.5 * d) * (-1.5 * window - 6 * d / 25.0 * (1 - (d / 5.0) ** 2) ** 2)
        pair = (slope / d)[:, None] * vector
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, i, pair)
        stress = 0.5 * np.einsum("na,nb->ab", pair, vector) / self.atoms.get_volume()
        energy += float(np.where(self.atoms.numbers == 1, -2.0, 1.0).sum())
        self.results = {"energy": energy, "free_energy": energy, "forces": forces, "stress": stress}


def label(atoms, kind):
    atoms.calc = Pairs()
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False)
    frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    frame.info.update(REF_energy=energy, REF_stress=stress, kind=kind, level="toy")
    frame.set_array("REF_forces", forces)
    return frame


@pytest.fixture(scope="module")
def labelled_file(tmp_path_factory):
    rng = np.random.default_rng(5)
    frames = []
    for k in range(40):
        n_metal = 1 + k % 2
        atoms = random_hydride("Ca", n_metal, int(rng.integers(2, 5)) * n_metal, float(rng.uniform(10, 80)), rng,
                               {"H-H": 1.0})
        frames.append(label(atoms, "dense" if k % 2 else "loose"))
    path = tmp_path_factory.mktemp("data") / "toy.extxyz"
    write_frames(path, frames)
    return path


def test_the_toy_itself_keeps_the_contracts():
    rng = np.random.default_rng(1)
    cells = [random_hydride("Ca", 2, 6, pressure, rng, {"H-H": 1.0}) for pressure in (1.0, 200.0)]
    check_backend(Pairs(), cells)


def test_contracts_catch_a_wrong_sign_and_a_wrong_unit():
    class Wrong(Pairs):
        factor = -1.0

        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            self.results["stress"] = self.factor * self.results["stress"]

    atoms = random_hydride("Ca", 2, 6, 50.0, np.random.default_rng(1), {"H-H": 1.0})
    for factor in (-1.0, 0.1):
        calculator = Wrong()
        calculator.factor = factor
        with pytest.raises(AssertionError, match="pressure"):
            check_backend(calculator, [atoms])


def test_evaluation_of_the_truth_is_zero_and_of_an_offset_is_the_offset(labelled_file):
    class Offset(Pairs):
        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            n = len(self.atoms)
            self.results["energy"] = self.results["free_energy"] = self.results["energy"] + 0.005 * n
            self.results["forces"] = self.results["forces"] + 0.1
            self.results["stress"] = self.results["stress"] + 1.0 / 160.2176634

    frames = read_dataset([labelled_file])
    truth = evaluate(Pairs(), frames)
    assert set(truth.groups) == {"dense", "loose"}
    assert truth.overall["force_rmse_eV_per_A"] < 1e-6 and truth.overall["energy_rmse_meV_per_atom"] < 1e-4
    moved = evaluate(Offset(), frames)
    for errors in (*moved.groups.values(), moved.overall):
        assert errors["energy_rmse_meV_per_atom"] == pytest.approx(5.0, rel=1e-3)
        assert errors["energy_mae_meV_per_atom"] == pytest.approx(5.0, rel=1e-3)
        assert errors["force_rmse_eV_per_A"] == pytest.approx(0.1, rel=1e-3)
        assert errors["stress_mae_GPa"] == pytest.approx(1.0, rel=1e-3)
    assert sum(e["frames"] for e in moved.groups.values()) == moved.overall["frames"] == len(frames)


def test_evaluation_needs_frames():
    with pytest.raises(InputError, match="no labelled frames"):
        evaluate(Pairs(), [])


@pytest.mark.train
def test_train_then_evaluate(tmp_path, labelled_file, capsys):
    """A smooth pair potential is learnt to well below its own scatter in some seconds; energies come out absolute."""
    from megabar.potential.library import load

    settings = tmp_path / "settings.yaml"
    settings.write_text("epochs: 40\nneurons: 10\nn_max: [4, 3]\nbasis_size: [5, 5]\ncutoff_radial_A: 5.0\n"
                        "validation_share: 0.2\nbatch: 4\n")
    out = tmp_path / "toy"
    assert main(["train", str(labelled_file), "--out", str(out), "--config", str(settings), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    frames = read_dataset([labelled_file])
    spread = np.std(np.concatenate([f.forces_eV_per_A.ravel() for f in frames]))
    held = result["validation"]["overall"]
    assert held["force_rmse_eV_per_A"] < 0.25 * spread
    assert held["energy_rmse_meV_per_atom"] < 50.0  # of 2 to 3 eV per atom between compositions
    card = read_yaml(out / "card.yaml")
    assert card["elements"] == ["H", "Ca"] and card["dataset"]["frames"] == 40
    assert (out / "parity-validation" / "parity.png").stat().st_size > 10_000
    assert main(["evaluate", str(labelled_file), "--potential", str(out), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert set(again["groups"]) == {"dense", "loose"}
    assert {"energy_rmse_meV_per_atom", "force_rmse_eV_per_A", "stress_rmse_GPa"} <= set(again["groups"]["dense"])
    atoms = frames[0].atoms.copy()
    check_backend(load(out).calculator(), [atoms], tolerance_GPa=0.01)


def test_a_second_fit_begins_where_the_first_ended(tmp_path, labelled_file, capsys):
    """Two levels of theory: the second's energies lie 3 eV per Ca higher, and it has few labels. A fit that begins from
    one to the first level must know the forces of cells that have no label of the second, better than a fresh one."""
    from megabar.potential.library import load
    from megabar.potential.trainer import energy_shifts_eV

    first = read_dataset([labelled_file])
    frames = []
    for f in first[:8]:
        atoms = f.atoms.copy()
        atoms.info |= {"REF_energy": f.energy_eV + 3.0 * float((atoms.numbers == 20).sum()),
                       "REF_stress": f.stress_eV_per_A3.ravel(), "level": "second"}
        atoms.arrays["REF_forces"] = f.forces_eV_per_A
        frames.append(atoms)
    few = tmp_path / "few.extxyz"
    write_frames(few, frames)
    settings = tmp_path / "settings.yaml"
    form = "neurons: 10\nn_max: [4, 3]\nbasis_size: [5, 5]\ncutoff_radial_A: 5.0\nbatch: 4\nrefine_iterations: 3\n"
    settings.write_text("epochs: 40\nvalidation_share: 0.2\n" + form)
    few_settings = tmp_path / "few.yaml"
    few_settings.write_text("epochs: 8\nlearning_rate: 0.001\nvalidation_share: 0\n" + form)
    pre = tmp_path / "first"
    assert main(["train", str(labelled_file), "--out", str(pre), "--config", str(settings), "--json"]) == 0
    errors = {}
    for name, more in (("fresh", []), ("second", ["--start", str(pre)]), ("led", ["--draft", str(labelled_file)])):
        out = tmp_path / name
        assert main(["train", str(few), "--out", str(out), "--config", str(few_settings), "--json", *more]) == 0
        capsys.readouterr()
        errors[name] = evaluate(load(out).calculator(), first[8:]).overall["force_rmse_eV_per_A"]
        # Absolute energies are those of the second level.
        atoms = frames[0]
        atoms.calc = load(out).calculator()
        assert abs(atoms.get_potential_energy() - atoms.info["REF_energy"]) < 0.3 * len(atoms) or name == "fresh"
    assert errors["second"] < 0.5 * errors["fresh"]
    assert errors["led"] < 0.5 * errors["fresh"]
    card = read_yaml(tmp_path / "led" / "card.yaml")
    assert card["draft"]["frames"] == 40
    in_file = energy_shifts_eV(load(tmp_path / "led").model)  # not those that its own frames alone would ask for
    assert list(card["energy_shift_in_file_eV"].values()) == pytest.approx(in_file.tolist(), abs=1e-5)
    assert main(["train", str(few), "--out", str(tmp_path / "w"), "--start", str(pre), "--draft", str(few)]) == 2
    assert "leave out --start" in capsys.readouterr().err
    for change, words in (("neurons: 12", "neurons 10 for 12"), ("l_max: [4, 0, 0]", "l_max (4, 2, 0) for (4, 0, 0)"),
                          ("cutoff_radial_A: 6.0", "cutoffs_A (5.0, 4.0) for (6.0")):
        wrong = tmp_path / "wrong.yaml"
        key = change.split(":")[0]
        kept = [line for line in few_settings.read_text().splitlines() if not line.startswith(f"{key}:")]
        wrong.write_text("\n".join([*kept, change]) + "\n")
        assert main(["train", str(few), "--out", str(tmp_path / "w"), "--config", str(wrong), "--start", str(pre)]) == 2
        assert words in capsys.readouterr().err


def test_energy_shifts_live_in_the_file():
    """The saturated neuron adds exactly the shift and leaves forces alone."""
    from megabar.potential.calculator import NEP
    from megabar.potential.trainer import energy_shifts_eV, with_energy_shifts, without_energy_shifts
    from random_nep import random_model  # the kernel tests' generator

    model = random_model(0)
    shifts = np.arange(1.0, len(model.elements) + 1.0)
    atoms = random_hydride("Ca", 2, 5, 30.0, np.random.default_rng(2))
    results = []
    again = without_energy_shifts(with_energy_shifts(model, shifts))
    assert np.array_equal(again.w0, model.w0) and np.array_equal(again.w1, model.w1)
    assert energy_shifts_eV(with_energy_shifts(model, shifts)) == pytest.approx(shifts, abs=1e-9)
    for m in (model, with_energy_shifts(model, shifts)):
        atoms.calc = NEP(m)
        results.append((atoms.get_potential_energy(), atoms.get_forces()))
    expected = sum(shifts[model.elements.index(s)] for s in atoms.get_chemical_symbols())
    assert results[1][0] - results[0][0] == pytest.approx(expected, abs=1e-9)
    assert np.abs(results[1][1] - results[0][1]).max() < 1e-12


@pytest.mark.parametrize("arguments, word", [
    (["evaluate", "{data}", "--potential", "Ca-X"], "neither shipped"),
    (["evaluate", "no.extxyz", "--potential", "{data}"], "Ca-H|neither|folder|no such file"),
    (["train", "{bare}"], "no REF_energy"),
    (["train", "{data}", "--config", "{typo}"], "did you mean 'epochs'"),
])
def test_bad_input(tmp_path, monkeypatch, labelled_file, capsys, arguments, word):
    import re

    monkeypatch.chdir(tmp_path)
    write_frames("bare.extxyz", [Atoms("H2", positions=[[0, 0, 0], [0.75, 0, 0]], cell=[5] * 3, pbc=True)])
    (tmp_path / "typo.yaml").write_text("epoch: 3\n")
    names = {"data": labelled_file, "bare": "bare.extxyz", "typo": "typo.yaml"}
    before = sorted(p.name for p in tmp_path.iterdir())
    assert main([a.format(**names) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(word, error) and error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_weights_of_cold_hot_and_wall_frames():
    from megabar.potential import trainer
    from megabar.potential.dataset import LabelledFrame

    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.75]], cell=[3, 3, 3], pbc=True)
    box = Atoms("H2", [[0, 0, 0], [0, 0, 2.5]], cell=[8, 8, 8], pbc=True)  # stretched: no force, but far from a crystal
    frames = {"box": LabelledFrame(box, -4.0, np.zeros((2, 3)), np.zeros((3, 3)))}
    for kind, force in (("cold", 0.1), ("hot", 3.0), ("wall", 60.0)):
        forces = np.array([[0.0, 0.0, -force], [0.0, 0.0, force]])
        frames[kind] = LabelledFrame(atoms, -6.7, forces, np.zeros((3, 3)))
    plain, cold = trainer.NEPSettings(), trainer.NEPSettings(cold_weight=4.0, isolated_weight=0.05)
    weights = {kind: (trainer.frame_weight(f, plain), trainer.frame_weight(f, cold)) for kind, f in frames.items()}
    assert weights["cold"] == (1.0, 4.0) and weights["box"] == (1.0, 0.05)
    assert weights["hot"][0] == weights["hot"][1] == pytest.approx(1 / (1 + 0.2**2))  # (3 / 15)^2
    assert weights["wall"][0] == weights["wall"][1] == pytest.approx(1 / (1 + 4.0**2))
    # A crystal crushed to 240 GPa without a force, by symmetry, is not a cold one: half, as the setting says.
    crushed = LabelledFrame(atoms, 5.0, np.zeros((2, 3)), -240.0 / EV_PER_A3_IN_GPA * np.eye(3))
    assert trainer.frame_weight(crushed, cold) == pytest.approx(0.5)
