"""The ASE calculator and the library of potentials."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from ase import units
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from megabar.campaign.files import write_yaml
from megabar.errors import InputError, PotentialUnknown
from megabar.potential import library
from megabar.potential.calculator import NEP
from megabar.units import stress_matrix
from random_nep import random_cell, random_model


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A library of three potentials in place of the shipped one."""
    for name, elements, card in (("CaH-test", ("H", "Ca"), {"level": "pbe"}), ("HeH-test", ("H", "He"), None),
                                 ("NaH-test", ("Na", "H"), {})):
        folder = tmp_path / "library" / name
        folder.mkdir(parents=True)
        random_model(1, elements=elements).write(folder / "nep.txt")
        if card is not None:
            write_yaml(folder / "card.yaml", card)
    monkeypatch.setattr(library, "LIBRARY", tmp_path / "library")
    return tmp_path / "library"


def with_calculator(atoms, calculator):
    atoms.calc = calculator
    return atoms


def test_results_agree_with_each_other_and_between_backends():
    model = random_model(2, zbl=(0.8, 1.6))
    atoms = random_cell(1, atoms=14)
    atoms.calc = NEP(model)
    assert atoms.get_potential_energy() == pytest.approx(atoms.get_potential_energies().sum(), rel=1e-13)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    assert atoms.get_stress() == pytest.approx(atoms.get_stresses().sum(axis=0), rel=1e-12)
    reference = NEP(model, backend="numpy")
    for quantity in ("energy", "energies", "forces", "stress", "stresses"):
        expected = reference.get_property(quantity, atoms)
        assert atoms.calc.get_property(quantity, atoms) == pytest.approx(expected, abs=1e-10), quantity


def test_stress_is_tension_positive_in_ase_order():
    atoms = random_cell(2, atoms=8)
    atoms.calc = NEP(random_model(3))
    voigt, volume = atoms.get_stress(), atoms.get_volume()
    full = stress_matrix(voigt)
    for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        energies = []
        for h in (1e-5, -1e-5):
            strain = np.eye(3)
            strain[a, b] += h / 2
            strain[b, a] += h / 2
            step = atoms.copy()
            step.calc = atoms.calc
            step.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
            energies.append(step.get_potential_energy())
        assert full[a, b] == pytest.approx((energies[0] - energies[1]) / (2e-5 * volume), abs=1e-6)


def test_no_stress_without_three_periodic_directions():
    atoms = random_cell(4, atoms=6)
    atoms.pbc = (True, True, False)
    atoms.calc = NEP(random_model(5))
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(NotImplementedError):
        atoms.get_stress()


def test_dynamics_conserves_energy_to_second_order_in_the_step():
    # Velocity Verlet: the excursion of the total energy falls as the step squared when the forces are the derivatives
    # of a smooth energy. Rounding of single precision must stay far below it.
    atoms = random_cell(5, atoms=16, shortest=1.2)
    model = random_model(6, zbl=(1.0, 2.0))
    BFGS(with_calculator(atoms, NEP(model)), logfile=None).run(fmax=0.5, steps=100)

    def excursion(step_fs, precision="double"):
        run = with_calculator(atoms.copy(), NEP(model, precision=precision))
        rng = np.random.default_rng(0)
        run.set_velocities(rng.normal(size=(16, 3)) * np.sqrt(0.05 / run.get_masses())[:, None])
        energies = []
        dynamics = VelocityVerlet(run, step_fs * units.fs)
        dynamics.attach(lambda: energies.append(run.get_total_energy()))
        dynamics.run(round(30 / step_fs))
        return np.ptp(energies)

    coarse, fine = excursion(0.3), excursion(0.15)
    assert 3 < coarse / fine < 5
    assert excursion(0.15, "single") == pytest.approx(fine, abs=16 * 1e-6)


def test_wrong_options_are_refused():
    model = random_model(7)
    with pytest.raises(InputError, match="backend 'gpu'"):
        NEP(model, backend="gpu")
    with pytest.raises(InputError, match="precision 'half'"):
        NEP(model, precision="half")
    with pytest.raises(InputError, match="precision 'single'"):
        NEP(model, backend="numpy", precision="single")


def test_load_by_name_folder_and_file(shelf, tmp_path):
    assert library.available() == ["CaH-test", "HeH-test", "NaH-test"]
    atoms = random_cell(6, atoms=5)
    energies = []
    for where in ("CaH-test", shelf / "CaH-test", str(shelf / "CaH-test" / "nep.txt")):
        potential = library.load(where)
        assert potential.name == "CaH-test" and potential.elements == ("H", "Ca")
        assert potential.nep_path == shelf / "CaH-test" / "nep.txt"
        assert potential.card["level"] == "pbe"
        energies.append(potential.calculator(precision="single").get_property("energy", atoms))
    model_alone = NEP(potential.model, precision="single").get_property("energy", atoms)
    assert energies == pytest.approx([model_alone] * 3, abs=1e-9)
    assert library.load("HeH-test").card == {}


def test_missing_elements_and_names_have_a_remedy(shelf, tmp_path):
    library.load("CaH-test").require_elements(["H", "H", "Ca"])
    with pytest.raises(PotentialUnknown, match=r"CaH-test \(H Ca\) lacks He: use HeH-test$"):
        library.load("CaH-test").require_elements(["H", "He"])
    with pytest.raises(PotentialUnknown, match="lacks O, Fe: no shipped potential has them all"):
        library.load("CaH-test").require_elements(["O", "Fe", "O"])
    with pytest.raises(PotentialUnknown, match=r"'cah-tset' is neither shipped nor a folder: did you mean CaH-test\?"):
        library.load("cah-tset")
    with pytest.raises(PotentialUnknown, match="shipped are CaH-test, HeH-test, NaH-test"):
        library.load("zirconium")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PotentialUnknown, match=r"holds no nep\.txt"):
        library.load(tmp_path / "empty")


@pytest.mark.parametrize(("card", "words"), [
    ("- a\n- b\n", "not a mapping"),
    ("a: [1\n", "not valid YAML"),
    ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
])
def test_bad_cards_are_refused(shelf, card, words):
    (shelf / "CaH-test" / "card.yaml").write_text(card)
    with pytest.raises(PotentialUnknown, match=words) as caught:
        library.load("CaH-test")
    assert "\n" not in str(caught.value) and "card.yaml" in str(caught.value)


def test_shipped_potentials_load():
    for name in library.available():
        potential = library.load(name)
        assert potential.card, f"{name} has no card"
        atoms = random_cell(1, atoms=4, elements=potential.elements)
        assert np.isfinite(potential.calculator().get_property("forces", atoms)).all()


def test_model_survives_pickling_between_processes():
    # concurrent.futures sends calculators' models to workers; the compiled object itself stays behind.
    model, atoms = random_model(8), random_cell(7, atoms=4)
    again = pickle.loads(pickle.dumps(model))
    assert NEP(again).get_property("energy", atoms) == NEP(model).get_property("energy", atoms)
