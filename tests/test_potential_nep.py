"""The NEP4 reference evaluator and the nep.txt format."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_numbers
from ase.geometry import get_distances
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from megabar.errors import PotentialUnknown
from megabar.potential.nep import NEPModel
from random_nep import random_cell, random_model

MODELS = {
    "full": random_model(1),
    "plain": random_model(2, q222=False, q1111=False),
    "zbl": random_model(3, zbl=(0.8, 1.6)),
    "cutoff per element": random_model(4, cutoffs=((5.0, 4.0), (6.0, 3.5))),
    "radial only": random_model(5, l_max=0, q222=False, q1111=False),
}


def slope(energy, step=1e-5):
    """Five-point derivative at 0 of a function of one number.

    The cosine cutoff has a jump in its second derivative, so a pair that crosses it within the step leaves an error
    of first order in the step: hence a short one. Rounding then gives about 1e-14 eV / 1e-5.
    """
    return (8 * (energy(step) - energy(-step)) - (energy(2 * step) - energy(-2 * step))) / (12 * step)


def moved(atoms: Atoms, displacement: np.ndarray) -> Atoms:
    result = atoms.copy()
    result.positions += displacement
    return result


def strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    result = atoms.copy()
    result.set_cell(atoms.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
    return result


@pytest.mark.parametrize("count", [1, 2, 9])  # one atom sees only its own images: no force, but a stress
@pytest.mark.parametrize("name", MODELS)
def test_forces_and_stress_are_derivatives_of_the_energy(name, count):
    model, rng, atoms = MODELS[name], np.random.default_rng(count), random_cell(count, atoms=count)
    result = model.evaluate(atoms)
    direction = rng.normal(size=(count, 3))
    expected = slope(lambda h: model.evaluate(moved(atoms, h * direction)).energy_eV)
    scale = np.abs(result.forces_eV_per_A).sum() + 1e-3
    assert -np.vdot(result.forces_eV_per_A, direction) == pytest.approx(expected, abs=1e-6 * scale)
    strain = rng.normal(size=(3, 3))
    expected = slope(lambda h: model.evaluate(strained(atoms, h * strain)).energy_eV)
    volume = atoms.get_volume()
    scale = np.abs(result.virials_eV).sum()
    assert volume * np.vdot(result.stress_eV_per_A3(volume), strain) == pytest.approx(expected, abs=1e-6 * scale)


def test_force_on_hydrogen_pair_inside_the_wall():
    model = MODELS["zbl"]
    pair = Atoms("H2", [[0, 0, 0], [0.3, 0.4, 0.33]])
    assert pair.get_distance(0, 1) == pytest.approx(0.6, abs=0.01)
    result = model.evaluate(pair)
    for axis in range(3):
        direction = np.zeros((2, 3))
        direction[0, axis] = 1
        expected = -slope(lambda h, d=direction: model.evaluate(moved(pair, h * d)).energy_eV)
        assert result.forces_eV_per_A[0, axis] == pytest.approx(expected, rel=1e-6)


def test_wall_is_the_universal_zbl_potential():
    # Ziegler, Biersack, Littmark 1985: a = 0.88534 a0 / (Z1^0.23 + Z2^0.23), a0 = 0.529177 A, e^2/(4 pi eps0) =
    # 14.39964 eV A, computed here from those; the roundings of the format differ by less than 1e-3.
    wall, bare = random_model(6, zbl=(0.5, 1.0)), random_model(6)
    for symbols, r in (("H2", 0.1), ("H2", 0.4), ("CaH", 0.2), ("Ca2", 0.45)):
        pair = Atoms(symbols, [[0, 0, 0], [0, 0, r]])
        z1, z2 = pair.numbers
        x = r * (z1**0.23 + z2**0.23) / (0.88534 * 0.529177)
        phi = (0.18175 * np.exp(-3.19980 * x) + 0.50986 * np.exp(-0.94229 * x) + 0.28022 * np.exp(-0.40290 * x)
               + 0.02817 * np.exp(-0.20162 * x))
        found = wall.evaluate(pair).energy_eV - bare.evaluate(pair).energy_eV
        assert found == pytest.approx(14.39964 * z1 * z2 * phi / r, rel=1e-3)
    beyond = Atoms("H2", [[0, 0, 0], [0, 0, 1.0]])
    assert wall.evaluate(beyond).energy_eV == bare.evaluate(beyond).energy_eV


def test_descriptors_are_legendre_sums():
    # Fan et al., Phys. Rev. B 104, 104309 (2021): q_nl = (2l+1)/(4 pi) sum_jk g_n(r_j) g_n(r_k) P_l(cos theta_jk),
    # g_n = sum_k c_nk (T_k(2 (r/rc - 1)^2 - 1) + 1)/2 f_c, with none of the harmonics of the evaluator.
    model = random_model(7, l_max=6, q222=False, q1111=False)
    rng = np.random.default_rng(1)
    atoms = Atoms("CaHHCaH", rng.uniform(-1.5, 1.5, (5, 3)))
    types = model.types_of(atoms)
    vectors, distances = get_distances(atoms.positions)
    for i in range(5):
        j = [k for k in range(5) if k != i]
        r, unit = distances[i, j], vectors[i, j] / distances[i, j, None]
        expected_radial = np.zeros(model.n_max[0] + 1)
        g = np.zeros((len(j), model.n_max[1] + 1))
        for coefficients, cutoff, target in ((model.c_radial, 5.0, None), (model.c_angular, 4.0, g)):
            t = [np.cos(k * np.arccos(2 * (r / cutoff - 1) ** 2 - 1)) for k in range(coefficients.shape[1])]
            f = (np.array(t) + 1) / 2 * (1 + np.cos(np.pi * r / cutoff)) / 2 * (r < cutoff)
            values = np.einsum("nkj,kj->jn", coefficients[:, :, types[i], types[j]], f)
            if target is None:
                expected_radial = values.sum(axis=0)
            else:
                target += values
        cosine = np.clip(unit @ unit.T, -1, 1)
        expected_angular = [
            (2 * degree + 1) / (4 * np.pi)
            * np.einsum("jn,kn,jk->n", g, g, np.polynomial.legendre.Legendre.basis(degree)(cosine))
            for degree in range(1, 7)]
        found = model.evaluate(atoms).descriptors[i]
        assert found == pytest.approx(np.concatenate([expected_radial, *expected_angular]), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_invariances(name):
    model, rng = MODELS[name], np.random.default_rng(2)
    atoms = random_cell(11, atoms=7)
    base = model.evaluate(atoms)

    shifted = model.evaluate(moved(atoms, np.full((7, 3), 3.7)))
    assert shifted.energies_eV == pytest.approx(base.energies_eV, abs=1e-11)

    # Improper too: the energy has no handedness (the 4-body term is the determinant of a second-rank tensor).
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    for rotation in (turn, -turn):
        turned = Atoms(atoms.symbols, atoms.positions @ rotation.T, cell=atoms.cell[:] @ rotation.T, pbc=True)
        result = model.evaluate(turned)
        assert result.energies_eV == pytest.approx(base.energies_eV, abs=1e-10)
        assert result.forces_eV_per_A == pytest.approx(base.forces_eV_per_A @ rotation.T, abs=1e-9)
        assert result.virials_eV == pytest.approx(rotation @ base.virials_eV @ rotation.T, abs=1e-9)

    order = rng.permutation(7)
    assert model.evaluate(atoms[order]).forces_eV_per_A == pytest.approx(base.forces_eV_per_A[order], abs=1e-10)

    large = model.evaluate(atoms * (2, 1, 3))
    assert large.energy_eV == pytest.approx(6 * base.energy_eV, rel=1e-11, abs=1e-9)
    assert large.forces_eV_per_A == pytest.approx(np.tile(base.forces_eV_per_A, (6, 1)), abs=1e-9)


def test_total_force_vanishes_and_virial_is_symmetric():
    result = MODELS["zbl"].evaluate(random_cell(12, atoms=12))
    assert result.forces_eV_per_A.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-10)
    total = result.virials_eV.sum(axis=0)
    assert total == pytest.approx(total.T, abs=1e-9)


@pytest.mark.parametrize("cutoff", [4.0, 5.0])
def test_energy_and_force_vanish_smoothly_at_the_cutoff(cutoff):
    # The third atom leaves the range of the first; the cosine cutoff makes what it adds fall as (rc - r)^2, its force
    # as rc - r, so both are continuous. A wrong cutoff or a wrong derivative gives a step.
    model = random_model(8, cutoffs=((5.0, 4.0),))
    if cutoff == 4.0:  # the radial part does not end here, so it is taken away
        model = replace(model, c_radial=np.zeros_like(model.c_radial))

    def at(gap):
        return model.evaluate(Atoms("CaHH", [[0, 0, 0], [0.9, 1.2, 0.4], [0, -(cutoff - gap), 0]]))

    beyond = at(-1e-9)
    first = [(at(h).energies_eV[0] - beyond.energies_eV[0]) for h in (1e-3, 1e-4)]
    assert first[0] / first[1] == pytest.approx(100, rel=0.02)
    force = [np.abs(at(h).forces_eV_per_A - at(-h).forces_eV_per_A).max() for h in (1e-3, 1e-5)]
    assert force[0] > 1e-6
    assert force[1] < 0.02 * force[0]


def test_file_round_trip(tmp_path):
    for name, model in MODELS.items():
        path = tmp_path / "nep.txt"
        model.write(path)
        again = NEPModel.read(path)
        atoms = random_cell(3, atoms=5)
        assert again.evaluate(atoms).energy_eV == model.evaluate(atoms).energy_eV, name
        assert again.elements == model.elements and again.zbl_A == model.zbl_A
    assert path.read_text().splitlines()[:6] == ["nep4 2 H Ca", "cutoff 5 4 500 300", "n_max 6 5", "basis_size 8 7",
                                                 "l_max 0 0 0", "ANN 12 0"]


def test_missing_element_is_named():
    with pytest.raises(PotentialUnknown, match="H Ca does not know Na, O"):
        MODELS["full"].evaluate(Atoms("HOCaNa", np.eye(4, 3) * 2))


@pytest.mark.parametrize(("old", "new", "line", "words"), [
    ("nep4_zbl 2 H Ca", "nep3_zbl 2 H Ca", 1, "nep4"),
    ("nep4_zbl 2 H Ca", "nep4_zbl 3 H Ca", 1, "3 elements"),
    ("nep4_zbl 2 H Ca", "nep4_zbl 2 H Qq", 1, "Qq"),
    ("nep4_zbl 2 H Ca", "nep4_zbl 2 H H", 1, "twice"),
    ("zbl 0.8 1.6", "zbl 0 0", 2, "flexible ZBL"),
    ("zbl 0.8 1.6", "zbl 0.8 1.6 0.7", 2, "typewise"),
    ("cutoff 5 4 500 300", "cutoff 5 4", 3, "cutoff"),
    ("cutoff 5 4 500 300", "cutoff 5 nan 500 300", 3, "nan"),
    ("n_max 6 5", "n_max 6 -5", 4, "whole number"),
    ("basis_size 8 7", "basis 8 7", 5, "basis_size"),
    ("basis_size 8 7", "basis_size 8 70", 6, "basis_size 31"),
    ("l_max 4 2 1", "l_max 4 2 1 1", 6, "not supported"),
    ("ANN 12 0", "ANN 12 1", 7, "ANN"),
    ("ANN 12 0", "ANN 13 0", 7, "parameters"),
])
def test_wrong_header_is_refused_with_its_line(tmp_path, old, new, line, words):
    path = tmp_path / "nep.txt"
    MODELS["zbl"].write(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(PotentialUnknown) as caught:
        NEPModel.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: line {line}: ") and words in message and "\n" not in message


@pytest.mark.parametrize(("old", "new", "words"), [
    ("cutoff 5 4 500 300", "cutoff 5 6 500 300", "angular <= radial"),
    ("zbl 0.8 1.6", "zbl 1.6 0.8", "inner < outer"),
    ("zbl 0.8 1.6", "zbl 0.8 4.5", "exceeds the angular cutoff"),
])
def test_contradictory_header_is_refused(tmp_path, old, new, words):
    path = tmp_path / "nep.txt"
    MODELS["zbl"].write(path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(PotentialUnknown, match=words):
        NEPModel.read(path)


def test_bad_number_and_lost_line_are_found(tmp_path):
    path = tmp_path / "nep.txt"
    MODELS["full"].write(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:50], "0.1x", *lines[51:], ""]))
    with pytest.raises(PotentialUnknown, match="line 51: '0.1x' is not a finite number"):
        NEPModel.read(path)
    path.write_text("\n".join([*lines[:50], "", *lines[51:], ""]))
    with pytest.raises(PotentialUnknown, match="line 51: expected one number"):
        NEPModel.read(path)
    path.write_text("\n".join([*lines[:-1], ""]))
    with pytest.raises(PotentialUnknown, match="parameters below it"):
        NEPModel.read(path)
    path.write_text("\n".join(lines)[:-3])
    with pytest.raises(PotentialUnknown, match=f"line {len(lines)}: the file breaks off"):
        NEPModel.read(path)
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(PotentialUnknown, match="not a text file"):
        NEPModel.read(path)
    with pytest.raises(PotentialUnknown, match="No such file"):
        NEPModel.read(tmp_path / "absent.txt")


SMALL = random_model(9, n_max=(1, 1), basis=(2, 1), l_max=2, q1111=False, neurons=2, zbl=(0.5, 1.0))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_never_raise_anything_else(tmp_path, data):
    path = tmp_path / "nep.txt"
    SMALL.write(path)
    words = path.read_text().split(" ")
    kind = data.draw(st.sampled_from(["truncate", "swap", "replace", "delete", "repeat"]))
    if kind == "truncate":
        text = path.read_text()
        path.write_text(text[:data.draw(st.integers(0, len(text) - 1))])
    else:
        at = data.draw(st.integers(0, len(words) - 1))
        if kind == "swap":
            other = data.draw(st.integers(0, len(words) - 1))
            words[at], words[other] = words[other], words[at]
        elif kind == "replace":
            words[at] = data.draw(st.text(max_size=8) | st.integers().map(str) | st.floats().map(str))
        elif kind == "delete":
            del words[at]
        else:
            words.insert(at, words[at])
        path.write_bytes(" ".join(words).encode("utf-8", "surrogatepass"))
    try:
        model = NEPModel.read(path)
    except PotentialUnknown as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:
        # What is accepted is whole: nothing is cut off, not even half a number, and every array has its shape.
        assert kind != "truncate"
        assert model.w0.shape == (len(model.elements), model.neurons, model.dim)
        assert all(atomic_numbers[symbol] > 0 for symbol in model.elements)
