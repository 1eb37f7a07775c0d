"""Versions and domain: the newest by name, old ones by number, and a card that says where it may be believed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ase import Atoms

from megabar.campaign.files import read_yaml, write_yaml
from megabar.errors import InputError, PotentialUnknown
from megabar.potential import library
from megabar.potential.dataset import LabelledFrame
from megabar.potential.domain import Domain
from megabar.potential.uncertainty import ActiveSet
from megabar.potential.versions import publish, split_name, versions
from random_nep import random_cell, random_model


def trained(folder, seed):
    folder.mkdir()
    model = random_model(seed)
    model.write(folder / "nep.txt")
    ActiveSet.build(library.load(folder).model, [random_cell(k) for k in range(6)]).save(folder)
    write_yaml(folder / "card.yaml", {"name": "x", "version": 1, "elements": ["H", "Ca"]})
    return folder


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "LIBRARY", tmp_path / "library")
    (tmp_path / "library").mkdir()
    for number in (1, 2, 3):
        assert publish(trained(tmp_path / f"t{number}", number), tmp_path / "library", "Q-H") == number
    return tmp_path


def test_newest_by_name_and_every_old_one_by_number(shelf):
    cell = random_cell(3)
    energies = {}
    for number in (1, 2, 3):
        loaded = library.load(f"Q-H@{number}")
        assert loaded.name == f"Q-H@{number}" and loaded.card["version"] == number
        assert loaded.nep_path.read_bytes() == (shelf / f"t{number}" / "nep.txt").read_bytes()
        cell.calc = loaded.calculator()
        energies[number] = cell.get_potential_energy()
        assert (cell.calc.results["grade"] > 0).all()
    assert len(set(energies.values())) == 3
    newest = library.load("Q-H")
    assert newest.name == "Q-H" and newest.nep_path.read_bytes() == library.load("Q-H@3").nep_path.read_bytes()
    assert library.available() == ["Q-H"]
    assert list(versions(shelf / "library" / "Q-H")) == [1, 2, 3]


def test_publishing_the_same_again_changes_nothing(shelf):
    before = {p: p.read_bytes() for p in shelf.rglob("*") if p.is_file()}
    assert publish(shelf / "t3", shelf / "library", "Q-H") == 3
    assert {p: p.read_bytes() for p in shelf.rglob("*") if p.is_file()} == before


def test_unfit_folders_are_refused_before_anything_moves(shelf):
    before = {p: p.read_bytes() for p in (shelf / "library").rglob("*") if p.is_file()}
    foreign = trained(shelf / "foreign", 4)
    (foreign / "active_set.txt").write_bytes((shelf / "t1" / "active_set.txt").read_bytes())
    with pytest.raises(PotentialUnknown, match="belongs to potential"):
        publish(foreign, shelf / "library", "Q-H")
    (foreign / "active_set.txt").unlink()
    with pytest.raises(InputError, match="active_set"):
        publish(foreign, shelf / "library", "Q-H")
    assert {p: p.read_bytes() for p in (shelf / "library").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("name, word",
                         [("Q-H@7", "Q-H@1, Q-H@2, Q-H@3"), ("Q-H@x", "no version"), ("Q-H@0", "no version"),
                                        ("Q-J@1", "did you mean Q-H"), ("Q-H@", "no version")])
def test_versions_that_are_not_there(shelf, name, word):
    with pytest.raises(PotentialUnknown, match=word):
        library.load(name)


def test_a_folder_with_an_at_sign_is_a_folder(tmp_path):
    trained(tmp_path / "mine@home", 1)
    assert library.load(tmp_path / "mine@home").name == "mine@home"
    assert split_name("Ca-H") == ("Ca-H", None)


def test_shipped_potentials_answer_to_their_own_version():
    for name in library.available():
        number = library.load(name).card.get("version", 1)
        assert library.load(f"{name}@{number}").nep_path == library.load(name).nep_path


def frame(pressure, kind="CaH4", symbols="CaH4", origin="cells"):
    stress = -np.eye(3) * pressure / 160.2176634
    atoms = Atoms(symbols, positions=np.random.default_rng(int(abs(pressure) * 10)).random((len(Atoms(symbols)), 3)),
                  cell=[3] * 3, pbc=True, info={"kind": kind, "origin": origin})
    return LabelledFrame(atoms, -1.0, np.zeros((len(atoms), 3)), stress)


def test_domain_is_where_the_states_are():
    frames = [frame(p) for p in np.linspace(0, 100, 101)]
    frames += [frame(30, origin="explore Ca-H T=1473 P=40.0 x"), frame(20, symbols="CaH2"), frame(10, symbols="H2")]
    frames += [frame(900, kind="squeezed"), frame(-30, kind="dimer")]
    found = Domain.of(frames)
    # 1 % of 104 frames are left out at each end of an even ladder from 0 to 100.
    assert found.pressure_GPa == pytest.approx((1.0, 99.0), abs=0.2)
    assert found.temperature_K == (0.0, 1473.0) and found.h_per_metal == (2.0, 4.0) and found.pure_hydrogen
    assert Domain.from_card({"domain": found.as_dict()}) == found
    assert Domain.of([frame(p) for p in (1, 2)]).temperature_K is None


def test_zero_pressure_is_inside_when_it_lies_between_labels():
    compressed = [frame(p) for p in np.linspace(1, 100, 1000)]
    assert Domain.of([*compressed, *(frame(-1.0) for _ in range(4))]).pressure_GPa[0] > 1.0
    assert Domain.of([*compressed, *(frame(-1.0) for _ in range(5))]).pressure_GPa[0] == 0.0


def test_breaches_name_the_quantity_and_tell_near_from_far():
    domain = Domain((0.0, 100.0), (0.0, 2000.0), (2.0, 6.0), False)
    assert domain.breaches(pressure_GPa=50, temperature_K=300, h_per_metal=4) == ()
    near, = domain.breaches(pressure_GPa=110)
    assert "110 GPa is outside the 0 to 100 GPa" in near.text and not near.far
    far, = domain.breaches(temperature_K=2600)
    assert far.far and "2600 K" in far.text
    assert len(domain.breaches(pressure_GPa=300, temperature_K=5000, h_per_metal=12, pure_hydrogen=True)) == 4
    assert Domain().breaches(pressure_GPa=1e4, temperature_K=1e5, h_per_metal=99, pure_hydrogen=True) == ()
    edge = math.nextafter(100.0, 200.0)
    assert domain.breaches(pressure_GPa=100.0) == () and len(domain.breaches(pressure_GPa=edge)) == 1


@pytest.mark.parametrize("stated", [None, "0-100", {"pressure_GPa": "all"}, {"pressure_GPa": [100, 0]},
                                    {"pressure_GPa": [1]}, {"pressure_GPa": None}])
def test_cards_that_say_nothing_useful_promise_nothing(stated):
    assert Domain.from_card({"domain": stated}) == Domain()


def test_training_writes_the_domain(tmp_path):
    path = tmp_path / "card.yaml"
    write_yaml(path, {"domain": Domain((0.0, 10.0), None, (2.0, 4.0), True).as_dict()})
    assert Domain.from_card(read_yaml(path)).h_per_metal == (2.0, 4.0)
