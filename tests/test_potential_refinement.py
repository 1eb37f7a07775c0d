"""Gauss-Newton refinement: the exact Jacobian, and fits with a known answer."""

import dataclasses

import numpy as np
import pytest
from ase import Atoms

from megabar.crystals.symmetry import space_group
from megabar.potential import refinement
from megabar.potential.dataset import LabelledFrame
from megabar.potential.nep import NEPModel
from megabar.potential.refinement import (
    _VOIGT,
    FrameBasis,
    Prior,
    Targets,
    _pack,
    _Problem,
    _unpack,
    predict,
    refine,
)
from random_nep import random_cell, random_model

TARGETS = Targets(0.01, 0.1, 1.0)
# Small bases keep the number of parameters near the number of labels; all invariants are there.
SMALL = dict(n_max=(3, 2), basis=(4, 3), l_max=3, neurons=4)


def label(model: NEPModel, atoms) -> LabelledFrame:
    result = model.evaluate(atoms)
    return LabelledFrame(atoms, result.energy_eV, result.forces_eV_per_A, result.stress_eV_per_A3(atoms.get_volume()))


def cells(count: int, seed: int = 0):
    return [random_cell(1000 * seed + k, atoms=6) for k in range(count)]


def moved(model: NEPModel, size: float, seed: int = 3) -> NEPModel:
    p = _pack(model)
    return _unpack(model, p * (1.0 + size * np.random.default_rng(seed).standard_normal(p.size)))


def rms_force(model: NEPModel, frames) -> float:
    errors = [model.evaluate(f.atoms).forces_eV_per_A - f.forces_eV_per_A for f in frames]
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


@pytest.mark.parametrize("seed", range(3))
def test_prediction_is_the_evaluators(seed):
    model = random_model(seed)
    atoms = cells(1, seed)[0]
    result, n = model.evaluate(atoms), len(atoms)
    values, _ = predict(model, FrameBasis.of(model, label(model, atoms)))
    virial = result.stress_eV_per_A3(atoms.get_volume()) * atoms.get_volume()
    assert values[0] == pytest.approx(result.energy_eV / n, rel=1e-6)
    # Slopes of the basis are kept in single precision.
    scale = np.abs(result.forces_eV_per_A).max()
    assert np.abs(values[1:3 * n + 1] - result.forces_eV_per_A.ravel()).max() < 3e-6 * max(scale, 1.0)
    assert values[3 * n + 1:] == pytest.approx([virial[a, b] for a, b in _VOIGT], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_jacobian_against_central_differences(seed):
    model = random_model(seed, **SMALL)
    basis = FrameBasis.of(model, label(model, cells(1, seed)[0]))
    _, jacobian = predict(model, basis, jacobian=True)
    p, h = _pack(model), 1e-4
    for k in range(0, p.size, 3):
        step = np.zeros(p.size)
        step[k] = h
        up, down = (predict(_unpack(model, p + sign * step), basis)[0] for sign in (1.0, -1.0))
        numerical = (up - down) / (2 * h)
        assert np.abs(numerical - jacobian[:, k]).max() < 2e-4 * (np.abs(numerical).max() + 1e-2), k


def test_parameters_survive_packing():
    model = random_model(1)
    again = _unpack(model, _pack(model))
    for name in ("w0", "b0", "w1", "b1", "c_radial", "c_angular"):
        assert np.array_equal(getattr(again, name), getattr(model, name)), name


def test_a_moved_model_finds_back():
    """Labels of a known model, a start 5 % away: forces of cells it never saw must come back to a tenth."""
    truth = random_model(0, **SMALL)
    train, unseen = ([label(truth, atoms) for atoms in cells(count, seed)] for count, seed in ((20, 1), (6, 2)))
    start = moved(truth, 0.05)
    found = refine(start, train, [], TARGETS, lambda frame: 1.0, iterations=12, ridge=1e-6)
    assert rms_force(found, train) < 0.1 * rms_force(start, train)
    assert rms_force(found, unseen) < 0.1 * rms_force(start, unseen)


def test_validation_chooses_the_iterate():
    """Labels with noise on few cells: the last iterate fits the noise, the one that is kept does better unseen."""
    truth = random_model(0, **SMALL)
    rng = np.random.default_rng(5)
    noisy = [dataclasses.replace(f, forces_eV_per_A=f.forces_eV_per_A + rng.normal(0, 0.3, f.forces_eV_per_A.shape))
             for f in (label(truth, atoms) for atoms in cells(4, 1))]
    held = [label(truth, atoms) for atoms in cells(6, 2)]
    start = moved(truth, 0.02)
    kept = refine(start, noisy, held, TARGETS, lambda frame: 1.0, iterations=12, ridge=1e-6)
    last = refine(start, noisy, [], TARGETS, lambda frame: 1.0, iterations=12, ridge=1e-6)
    assert rms_force(kept, held) < rms_force(last, held)
    assert rms_force(kept, held) <= 1.05 * rms_force(start, held)


def test_a_killed_refinement_goes_on_after_its_last_step(tmp_path):
    truth = random_model(0, **SMALL)
    train, held = ([label(truth, atoms) for atoms in cells(count, seed)] for count, seed in ((6, 1), (3, 2)))
    start, file = moved(truth, 0.05), tmp_path / "refinement.npz"

    def run(frames=train, progress=None, checkpoint=file, iterations=5):
        return refine(start, frames, held, TARGETS, lambda frame: 1.0, iterations, 1e-6, progress, None, checkpoint)

    def killer(iteration, line):
        if iteration == 3:
            raise KeyboardInterrupt

    whole = run(checkpoint=None)
    with pytest.raises(KeyboardInterrupt):
        run(progress=killer)
    steps = []
    assert np.array_equal(_pack(run(progress=lambda k, line: steps.append(k))), _pack(whole))
    assert steps == [3, 4, 5]
    run(progress=lambda k, line: steps.append(k))
    assert steps == [3, 4, 5]  # finished: nothing is done again
    # More steps go on from there; another set or a damaged file begins anew.
    run(progress=lambda k, line: steps.append(k), iterations=6)
    assert steps == [3, 4, 5, 6]
    run(train[:-1], progress=lambda k, line: steps.append(k), iterations=1)
    assert steps == [3, 4, 5, 6, 1]
    file.write_bytes(file.read_bytes()[:100])
    assert np.array_equal(_pack(run()), _pack(whole))


def test_the_energy_shift_stays():
    """The neuron that carries it is saturated: no step may move it, and the ridge must not shrink it."""
    truth = random_model(0, **SMALL)
    b0, w1, w0 = truth.b0.copy(), truth.w1.copy(), truth.w0.copy()
    b0[:, -1], w0[:, -1] = -25.0, 0.0
    w1[:, -1] = (-2.7, 0.7)
    truth = dataclasses.replace(truth, b0=b0, w1=w1, w0=w0)
    train = [label(truth, atoms) for atoms in cells(8, 1)]
    start = _unpack(truth, _pack(truth))
    found = refine(start, train, [], TARGETS, lambda frame: 1.0, iterations=3, ridge=10.0)
    assert np.array_equal(found.w0[:, -1], w0[:, -1]) and np.array_equal(found.b0[:, -1], b0[:, -1])
    # Pulled to zero like the other weights, the shift of 2.7 eV would be missing from the energies.
    errors = [found.evaluate(f.atoms).energy_eV - f.energy_eV for f in train]
    assert np.abs(errors / np.array([len(f.atoms) for f in train])).max() < 0.2


def test_frames_without_weight_do_not_pull():
    truth, other = random_model(0, **SMALL), random_model(7, **SMALL)
    good, wrong = ([label(model, atoms) for atoms in cells(6, seed)] for model, seed in ((truth, 1), (other, 2)))
    ids = {id(frame) for frame in wrong}
    found = refine(truth, good + wrong, [], TARGETS, lambda frame: 1e-12 if id(frame) in ids else 1.0, 3, 1e-9)
    assert rms_force(found, good) < 1e-3


@pytest.mark.parametrize("numbers", [[0] * 8, [1] * 8, [0, 0, 0, 0, 1, 1, 1, 1]])
def test_one_of_equivalent_atoms_speaks_for_all(monkeypatch, numbers):
    """A cell of two orbits of P2_12_12_1: misfit and normal equations are those of every atom counted by itself, and
    columns of an element that is not there are zero."""
    group = space_group("P2_12_12_1")
    model = random_model(0, **SMALL)
    scaled = np.concatenate([group.images([0.11, 0.07, 0.21]), group.images([0.35, 0.31, 0.55])])
    atoms = Atoms([model.elements[t] for t in numbers], scaled_positions=scaled, cell=[4.2, 4.9, 5.6], pbc=True)
    frame, p = label(moved(model, 0.3), atoms), _pack(model)
    problem = _Problem(model, [frame], [0.7], TARGETS)
    assert len(problem.bases[0].rows) == 1 + 2 * 3 + 6
    monkeypatch.setattr(refinement, "equivalent_atoms", lambda atoms: np.arange(len(atoms)))
    plain = _Problem(model, [frame], [0.7], TARGETS)
    assert len(plain.bases[0].rows) == 1 + 8 * 3 + 6
    jacobian = predict(model, plain.bases[0], jacobian=True)[1] * np.float32(plain.scales[0][:, None])
    assert problem.misfit(p) == pytest.approx(plain.misfit(p), rel=1e-6)
    assert problem.score(p) == pytest.approx(plain.score(p), rel=1e-6)
    hessian, gradient = problem.normal_equations(p)
    wanted = jacobian.T @ jacobian
    assert np.abs(hessian - wanted).max() < 1e-5 * np.abs(wanted).max()
    assert np.abs(gradient - plain.normal_equations(p)[1]).max() < 1e-5 * np.abs(gradient).max()
    assert np.array_equal(hessian, hessian.T)
    absent = [t for t in range(2) if t not in numbers]
    per = model.neurons * (model.dim + 2)
    for t in absent:
        assert not hessian[t * per:(t + 1) * per].any()


def test_a_prior_is_the_misfit_of_its_frames_to_second_order():
    """Labels of the model itself: residuals vanish, so Gauss-Newton's curvature is exact and the prior must follow the
    misfit of a small move. Labels of another model: its slope must be the derivative of the misfit."""
    model, other = random_model(0, **SMALL), random_model(7, **SMALL)
    own, foreign = ([label(m, atoms) for atoms in cells(3, 1)] for m in (model, other))
    p = _pack(model)
    step = 1e-3 * p * np.random.default_rng(2).standard_normal(p.size)
    weights = [0.5, 2.0, 1.0]
    by_id = {id(f): w for frames in (own, foreign) for f, w in zip(frames, weights, strict=True)}
    told = Prior.of(model, own, TARGETS, lambda f: by_id[id(f)], share=0.25).misfit(step)
    assert told == pytest.approx(0.25 * _Problem(model, own, weights, TARGETS).misfit(p + step), rel=0.03)
    problem = _Problem(model, foreign, weights, TARGETS)
    slope = (problem.misfit(p + 1e-3 * step) - problem.misfit(p - 1e-3 * step)) / 2e-3
    prior = Prior.of(model, foreign, TARGETS, lambda f: by_id[id(f)], share=1.0)
    assert 2.0 * float(prior.slope @ step) == pytest.approx(slope, rel=1e-2)


def test_a_prior_keeps_what_few_labels_would_spoil():
    """A model a little off, and four labels of the truth with noise of half their forces: alone they bend it where no
    label is; told what forty cells have to say, it stays."""
    truth = random_model(0, **SMALL)
    near = moved(truth, 0.01)
    many, clean, unseen = ([label(m, atoms) for atoms in cells(count, seed)]
                           for m, count, seed in ((near, 40, 1), (truth, 4, 2), (truth, 6, 3)))
    rng = np.random.default_rng(5)
    few = [dataclasses.replace(f, forces_eV_per_A=f.forces_eV_per_A + rng.normal(0, 0.01, f.forces_eV_per_A.shape))
           for f in clean]
    fine = Targets(0.001, 0.01, 0.1)
    prior = Prior.of(near, many, fine, lambda f: 1.0, share=1.0)
    alone, led = (refine(near, few, [], fine, lambda f: 1.0, 8, 1e-6, prior=p) for p in (None, prior))
    assert rms_force(led, unseen) < 0.5 * rms_force(alone, unseen)
    assert rms_force(led, few) < rms_force(near, few)  # and yet the labels are heard
