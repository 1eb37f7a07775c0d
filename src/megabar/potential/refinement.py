"""Gauss-Newton refinement of a NEP4 potential: what a first-order trainer leaves on the table, taken in minutes.

A NEP4 has a few thousand parameters and a label of ten atoms gives some forty numbers, so the normal equations fit in
memory and a damped Gauss-Newton (Levenberg 1944, Marquardt 1963) step costs seconds. The Jacobian is exact: moments
of the density are linear in the radial coefficients, so the sums over neighbours are done once for each frame
(`FrameBasis`) and a change of parameters only mixes them. Atoms that the symmetry of a cell maps on each other say the
same, so one of them speaks for all; elements that a frame does not hold have no columns in its share.

Residuals are divided by the errors wanted (`Targets`), so energies, forces and stresses weigh as they will be judged;
a ridge pulls networks to zero and radial coefficients to where they started.
"""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.linalg
import scipy.sparse
import spglib
from ase import Atoms
from ase.data import atomic_numbers
from ase.neighborlist import neighbor_list

from megabar.campaign.files import atomic_path, content_hash
from megabar.potential import nep
from megabar.potential.dataset import LabelledFrame
from megabar.potential.nep import NEPModel
from megabar.units import EV_PER_A3_IN_GPA

_PATIENCE = 6
_SATURATED = 20.0
_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class Targets:
    """Errors that count as one unit of misfit."""

    energy_eV_per_atom: float
    force_eV_per_A: float
    stress_GPa: float


@dataclass(frozen=True, eq=False)
class FrameBasis:
    """Sums over neighbours of a frame of n atoms that no parameter enters; x runs over the forces on one atom of each
    set of equivalent ones and 6 virials.

    radial (n, k, T), radial_x (n, k, T, x); angular (n, k, T, lm), angular_x (n, k, T, lm, x) with T the element of the
    neighbour; wall (1 + x,): energy, forces and virials of the ZBL wall. Virials have the sign of stress * volume.
    rows (1 + x,): where energy, forces and virials stand among all 1 + 3n + 6; times (1 + x,): how many such there are.
    """

    types: np.ndarray
    volume_A3: float
    radial: np.ndarray
    radial_x: np.ndarray
    angular: np.ndarray
    angular_x: np.ndarray
    wall: np.ndarray
    rows: np.ndarray
    times: np.ndarray

    @classmethod
    def of(cls, model: NEPModel, frame: LabelledFrame) -> FrameBasis:
        """The sums for `frame` under the form (cutoffs, basis sizes, wall) of `model`."""
        atoms = frame.atoms
        n, species = len(atoms), len(model.elements)
        first, counts = np.unique(equivalent_atoms(atoms), return_counts=True)
        rows = np.concatenate([[0], (1 + 3 * first[:, None] + np.arange(3)).ravel(), 1 + 3 * n + np.arange(6)])
        times = np.concatenate([[1.0], np.repeat(counts, 3), np.ones(6)])
        kept = rows[1:] - 1
        types = model.types_of(atoms)
        i, j, r, v = neighbor_list("ijdD", atoms, model.cutoff_A)
        cutoff = 0.5 * (model.cutoff_radial_A[types[i]] + model.cutoff_radial_A[types[j]])
        keep = r < cutoff
        i, j, r, v, cutoff = i[keep], j[keep], r[keep], v[keep], cutoff[keep]
        f, df = nep.chebyshev(r, cutoff, model.basis_size[0])
        radial, radial_x = _sums(i, j, v, types, species, f, df[:, :, None] * (v / r[:, None])[:, None, :])

        near = r < 0.5 * (model.cutoff_angular_A[types[i]] + model.cutoff_angular_A[types[j]])
        ia, ja, va, ra = i[near], j[near], v[near], r[near]
        unit = va / ra[:, None]
        cutoff_a = 0.5 * (model.cutoff_angular_A[types[ia]] + model.cutoff_angular_A[types[ja]])
        f, df = nep.chebyshev(ra, cutoff_a, model.basis_size[1])
        y, dy, _ = nep.harmonics(unit, model.l_max)
        dy = (dy - np.einsum("pma,pa->pm", dy, unit)[:, :, None] * unit[:, None, :]) / ra[:, None, None]
        value = f[:, :, None] * y[:, None, :]
        slope = (df[:, :, None] * y[:, None, :])[..., None] * unit[:, None, None, :] \
            + f[:, :, None, None] * dy[:, None]
        size = value.shape[1:]
        angular, angular_x = _sums(ia, ja, va, types, species, value.reshape(len(ia), size[0] * size[1]),
                                   slope.reshape(len(ia), size[0] * size[1], 3))
        angular = np.moveaxis(angular.reshape(n, *size, species), 2, 3)
        angular_x = np.moveaxis(angular_x.reshape(n, *size, species, 3 * n + 6), 2, 3)

        wall = np.zeros(1 + 3 * n + 6)
        if model.zbl_A is not None:
            number = np.array([atomic_numbers[s] for s in model.elements], dtype=float)[types]
            close = r < model.zbl_A[1]
            energy, d_energy = nep.zbl_pair(model, r[close], number[i[close]], number[j[close]])
            gradient = (0.5 * d_energy / r[close])[:, None] * v[close]
            force = np.zeros((n, 3))
            np.add.at(force, i[close], gradient)
            np.add.at(force, j[close], -gradient)
            virial = v[close].T @ gradient
            wall[0], wall[1:3 * n + 1] = 0.5 * energy.sum(), force.ravel()
            wall[3 * n + 1:] = [0.5 * (virial[a, b] + virial[b, a]) for a, b in _VOIGT]
        return cls(types, float(atoms.get_volume()), radial, radial_x[..., kept].astype(np.float32),
                   np.ascontiguousarray(angular), np.ascontiguousarray(angular_x[..., kept], dtype=np.float32),
                   wall[rows], rows, times)


def equivalent_atoms(atoms: Atoms) -> np.ndarray:
    """(n,) the first of the atoms that the symmetry of the cell, exact but for rounding, maps each atom on."""
    found = spglib.get_symmetry_dataset((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), symprec=1e-5)
    return np.arange(len(atoms)) if found is None else np.asarray(found.equivalent_atoms)


def _sums(i: np.ndarray, j: np.ndarray, v: np.ndarray, types: np.ndarray, species: int, value: np.ndarray,
          slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of value (pairs, c) over the neighbours of each element, (n, c, T), and of slope = d value / d v
    (pairs, c, 3) into forces and virials, (n, c, T, 3n + 6)."""
    n, pairs, columns = len(types), len(i), value.shape[1]
    row = i * species + types[j]
    one = np.ones(pairs)
    at = np.arange(pairs)
    gather = scipy.sparse.csr_matrix((one, (row, at)), shape=(n * species, pairs))
    total = np.asarray(gather @ value).reshape(n, species, columns).transpose(0, 2, 1)
    # The gradient acts on the centre with one sign and on the neighbour with the other.
    spread = scipy.sparse.csr_matrix((np.concatenate([one, -one]), (np.concatenate([row * n + i, row * n + j]),
                                                                    np.concatenate([at, at]))),
                                     shape=(n * species * n, pairs))
    force = np.asarray(spread @ slope.reshape(pairs, columns * 3)).reshape(n, species, n, columns, 3)
    strain = np.stack([0.5 * (v[:, a, None] * slope[:, :, b] + v[:, b, None] * slope[:, :, a]) for a, b in _VOIGT], -1)
    virial = np.asarray(gather @ strain.reshape(pairs, columns * 6)).reshape(n, species, columns, 6)
    by_x = np.concatenate([force.transpose(0, 3, 1, 2, 4).reshape(n, columns, species, 3 * n),
                           virial.transpose(0, 2, 1, 3)], axis=-1)
    return total, by_x


def _pack(model: NEPModel) -> np.ndarray:
    """All parameters of a model as one vector, in the order of nep.txt: for each element w0, b0, w1; b1; the radial
    coefficients. Not the scales of the descriptors, which stay."""
    return model.parameters()[:-model.q_scaler.size]


def _unpack(model: NEPModel, p: np.ndarray) -> NEPModel:
    species, neurons, dim = model.w0.shape
    per, split = neurons * (dim + 2), neurons * dim
    networks = p[:species * per].reshape(species, per)
    radial = species * per + 1
    angular = radial + model.c_radial.size
    return dataclasses.replace(
        model, w0=networks[:, :split].reshape(species, neurons, dim), b0=networks[:, split:split + neurons],
        w1=networks[:, split + neurons:], b1=float(p[species * per]),
        c_radial=p[radial:angular].reshape(model.c_radial.shape),
        c_angular=p[angular:].reshape(model.c_angular.shape))


def predict(model: NEPModel, basis: FrameBasis, jacobian: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """(energy per atom, forces, 6 virials) of a frame, the rows of its basis, and, on request, their derivatives with
    respect to the parameters in the order of `_pack`, (1 + x, parameters)."""
    n, species = len(basis.types), len(model.elements)
    neurons, split = model.neurons, model.n_max[0] + 1
    rows = len(basis.rows) - 1
    energy, first = 0.0, np.zeros(rows)
    j_full = np.zeros((1 + rows, _pack(model).size), dtype=np.float32) if jacobian else None
    per = neurons * (model.dim + 2)
    weights = nep.harmonics(np.array([[0.0, 0.0, 1.0]]), model.l_max)[2]
    for t in range(species):
        members = basis.types == t
        if not members.any():
            continue
        r, r_x = basis.radial[members], basis.radial_x[members]
        b, b_x = basis.angular[members], basis.angular_x[members]
        c_r, c_a = model.c_radial[:, :, t], model.c_angular[:, :, t]
        q_r, q_r_x = np.einsum("nkt,jkt->jn", c_r, r), np.einsum("nkt,jktx->jnx", c_r, r_x, optimize=True)
        s = np.einsum("nkt,jktm->jnm", c_a, b)
        s_x = np.einsum("nkt,jktmx->jnmx", c_a, b_x, optimize=True)
        q_a, dq_a = nep.invariants(model, s, weights)
        q_a_x = np.einsum("jbnm,jnmx->jbnx", dq_a, s_x, optimize=True)
        count = int(members.sum())
        q = np.concatenate([q_r, q_a.reshape(count, -1)], axis=1) * model.q_scaler
        q_x = np.concatenate([q_r_x, q_a_x.reshape(count, -1, rows)], axis=1) * model.q_scaler[None, :, None]

        w0, b0, w1 = model.w0[t], model.b0[t], model.w1[t]
        h = np.tanh(q @ w0.T - b0)
        d1 = 1.0 - h * h
        d2 = -2.0 * h * d1
        along = np.einsum("hd,jdx->jhx", w0, q_x, optimize=True)
        energy += float((h @ w1).sum())
        first += np.einsum("jh,jhx->x", d1 * w1, along, optimize=True)
        if j_full is None:
            continue
        o, o_b, o_w = t * per, t * per + neurons * model.dim, t * per + neurons * (model.dim + 1)
        bend = d2[:, :, None] * along
        j_full[0, o:o_b] = np.einsum("jh,jd->hd", d1 * w1, q).ravel() / n
        j_full[0, o_b:o_w] = -(w1 * d1).sum(0) / n
        j_full[0, o_w:o + per] = h.sum(0) / n
        by_w0 = np.einsum("jh,jdx->xhd", d1, q_x, optimize=True) + np.einsum("jhx,jd->xhd", bend, q, optimize=True)
        j_full[1:, o:o_b] = (by_w0 * w1[:, None]).reshape(rows, -1)
        j_full[1:, o_b:o_w] = -(bend.sum(0) * w1[:, None]).T
        j_full[1:, o_w:o + per] = np.einsum("jh,jhx->xh", d1, along, optimize=True)

        # Through the descriptors: g = dU/dq and its change along x, for unscaled descriptors.
        g = ((d1 * w1) @ w0) * model.q_scaler
        g_x = np.einsum("jhx,hd->jdx", bend * w1[:, None], w0, optimize=True) * model.q_scaler[None, :, None]
        block = slice(species * per + 1, species * per + 1 + model.c_radial.size)
        view = j_full[:, block].reshape(1 + rows, *model.c_radial.shape)
        view[0, :, :, t] += np.einsum("jn,jkt->nkt", g[:, :split], r) / n
        view[1:, :, :, t] += np.einsum("jn,jktx->xnkt", g[:, :split], r_x, optimize=True) \
            + np.einsum("jnx,jkt->xnkt", g_x[:, :split], r, optimize=True)
        j_full[:, block] = view.reshape(1 + rows, -1)
        g_a = g[:, split:].reshape(q_a.shape)
        g_a_x = g_x[:, split:].reshape(*q_a.shape, rows)
        pull = np.einsum("jbn,jbnm->jnm", g_a, dq_a)
        pull_x = np.einsum("jbnx,jbnm->jnmx", g_a_x, dq_a, optimize=True) + _curvature(model, s, s_x, g_a, weights)
        block = slice(block.stop, j_full.shape[1])
        view = j_full[:, block].reshape(1 + rows, *model.c_angular.shape)
        view[0, :, :, t] += np.einsum("jnm,jktm->nkt", pull, b) / n
        view[1:, :, :, t] += np.einsum("jnm,jktmx->xnkt", pull, b_x, optimize=True) \
            + np.einsum("jnmx,jktm->xnkt", pull_x, b, optimize=True)
        j_full[:, block] = view.reshape(1 + rows, -1)
    if j_full is not None:
        j_full[0, species * per] = -1.0
    values = np.concatenate([[(energy + basis.wall[0]) / n - model.b1], first + basis.wall[1:]])
    return values, j_full


def _curvature(model: NEPModel, s: np.ndarray, s_x: np.ndarray, g: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum_b g_b (d2 q_b / ds ds) s_x: (atoms, n, lm, x). The invariants are polynomials of degree 2, 3 and 4 in s."""
    result = np.zeros_like(s_x)
    for degree in range(1, model.l_max + 1):
        span = slice(degree**2 - 1, (degree + 1) ** 2 - 1)
        result[:, :, span] = 2.0 * (g[:, degree - 1, :, None] * weights[span])[..., None] * s_x[:, :, span]
    block = model.l_max
    if model.has_q222:
        # The slope of a cubic form is quadratic, so half the difference of slopes at s + d and s - d is its change
        # along d exactly, whatever the length of d.
        moved = np.moveaxis(s_x, -1, 0)
        up, down = (nep.invariants(model, (s + sign * moved).reshape(-1, *s.shape[1:]), weights)[1][:, block]
                    for sign in (1.0, -1.0))
        change = 0.5 * (up - down).reshape(moved.shape)
        result += np.moveaxis(change * g[:, block, :, None], 0, -1)
        block += 1
    if model.has_q1111:
        vector, vector_x = s[..., :3], s_x[..., :3, :]
        square = (vector**2).sum(axis=-1)[..., None, None]
        dot = np.einsum("jnm,jnmx->jnx", vector, vector_x)[:, :, None, :]
        slope = square * vector_x + 2.0 * vector[..., None] * dot
        result[:, :, :3] += 4.0 * nep.Q1111 * g[:, block, :, None, None] * slope
    return result


class _Problem:
    """Scaled residuals of a set of frames."""

    def __init__(self, model: NEPModel, frames: Sequence[LabelledFrame], frame_weights: Sequence[float],
                 targets: Targets) -> None:
        self.model = model
        self.bases = [FrameBasis.of(model, frame) for frame in frames]
        self.scales, self.values = [], []
        for frame, basis, weight in zip(frames, self.bases, frame_weights, strict=True):
            n = len(frame.atoms)
            stress = frame.stress_eV_per_A3
            virial = basis.volume_A3 * np.array([0.5 * (stress[a, b] + stress[b, a]) for a, b in _VOIGT])
            value = np.concatenate([[frame.energy_eV / n], frame.forces_eV_per_A.ravel(), virial])
            scale = np.concatenate([[1.0 / targets.energy_eV_per_atom], np.full(3 * n, 1.0 / targets.force_eV_per_A),
                                    np.full(6, EV_PER_A3_IN_GPA / basis.volume_A3 / targets.stress_GPa)])
            self.values.append(value[basis.rows])
            self.scales.append(np.sqrt(weight * basis.times) * scale[basis.rows])

    def misfit(self, p: np.ndarray) -> float:
        model = _unpack(self.model, p)
        return float(sum((((predict(model, basis)[0] - value) * scale) ** 2).sum()
                         for basis, value, scale in zip(self.bases, self.values, self.scales, strict=True)))

    def score(self, p: np.ndarray) -> float:
        """Mean over frames of the root mean square misfit: unlike `misfit`, one odd frame does not decide it."""
        model = _unpack(self.model, p)
        return float(np.mean([np.sqrt((((predict(model, basis)[0] - value) * scale) ** 2).sum() / basis.times.sum())
                              for basis, value, scale in zip(self.bases, self.values, self.scales, strict=True)]))

    def normal_equations(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """J^T J and J^T r; the products in single precision, sums over blocks of rows in double."""
        model = _unpack(self.model, p)
        hessian, gradient = np.zeros((p.size, p.size), order="F"), np.zeros(p.size)
        alike: dict[tuple[int, ...], list[int]] = {}
        for number, basis in enumerate(self.bases):
            alike.setdefault(tuple(np.unique(basis.types).tolist()), []).append(number)
        for present, members in alike.items():
            columns = _columns(model, present)
            total = hessian if len(columns) == p.size else np.zeros((len(columns), len(columns)), order="F")
            product, rows = np.zeros(total.shape, dtype=np.float32, order="F"), []
            for number in members:
                scale = self.scales[number]
                found, jacobian = predict(model, self.bases[number], jacobian=True)
                assert jacobian is not None
                rows.append(jacobian[:, columns] * scale[:, None].astype(np.float32))
                gradient[columns] += rows[-1].T @ ((found - self.values[number]) * scale).astype(np.float32)
                if sum(map(len, rows)) > 2000 or number == members[-1]:
                    # Into the same memory each time, whose first touch costs as much as half of the product.
                    total += scipy.linalg.blas.ssyrk(1.0, np.concatenate(rows).T, c=product, overwrite_c=True,
                                                     lower=True)
                    rows = []
            if total is not hessian:
                hessian[np.ix_(columns, columns)] += total
        for start in range(0, p.size, 1024):  # the products filled the lower triangle only
            block = slice(start, start + 1024)
            corner = np.tril(hessian[block, block])
            hessian[block, block] = corner + np.tril(corner, -1).T
            hessian[block, start + 1024:] = hessian[start + 1024:, block].T
        return hessian, gradient


def _columns(model: NEPModel, present: tuple[int, ...]) -> np.ndarray:
    """Parameters, by their places in `_pack`, that a frame of the element numbers `present` depends on."""
    absent = np.setdiff1d(np.arange(len(model.elements)), present)
    marks = dataclasses.replace(model, **{name: np.ones_like(getattr(model, name)) for name in
                                          ("w0", "b0", "w1", "c_radial", "c_angular")}, b1=1.0)
    for name in ("w0", "b0", "w1"):
        getattr(marks, name)[absent] = 0.0
    for name in ("c_radial", "c_angular"):  # (n, k, element of the centre, element of the neighbour)
        getattr(marks, name)[:, :, absent] = getattr(marks, name)[:, :, :, absent] = 0.0
    return np.flatnonzero(_pack(marks))


@dataclass(frozen=True, eq=False)
class Prior:
    """What a set of frames says of changes of a model's P parameters, to second order: slope (P,), curvature (P, P).

    The set itself is not needed any more, so labels of another level of theory can lead a fit without their energies
    entering it: the Laplace approximation, as in elastic weight consolidation (10.1073/pnas.1611835114), in full.
    """

    slope: np.ndarray
    curvature: np.ndarray

    @classmethod
    def of(cls, model: NEPModel, frames: Sequence[LabelledFrame], targets: Targets,
           weight: Callable[[LabelledFrame], float], share: float) -> Prior:
        """At `model`, with the misfit of `frames` counted `share` times."""
        hessian, gradient = _Problem(model, frames, [weight(f) for f in frames], targets).normal_equations(_pack(model))
        return cls(share * gradient, share * hessian)

    def misfit(self, change: np.ndarray) -> float:
        """Misfit of the set after `change` (P,) of the parameters, less what it was before."""
        return float(change @ (self.curvature @ change + 2.0 * self.slope))


def refine(model: NEPModel, train: Sequence[LabelledFrame], validation: Sequence[LabelledFrame], targets: Targets,
           weight: Callable[[LabelledFrame], float], iterations: int, ridge: float,
           progress: Callable[[int, str], None] | None = None, prior: Prior | None = None,
           checkpoint: Path | None = None) -> NEPModel:
    """Refined `model`: the iterate that describes `validation` best, or the last one when there is no validation.

    Energies in `model` are absolute. Neurons that are saturated (the energy shift is one) have no slope and stay as
    they are. `progress` gets the iteration and a line about it. `prior` is what other frames have to say; it must
    be of a model of the same form. Where `checkpoint` is, the same refinement goes on after its last whole step;
    one of another model, set or aim begins anew and overwrites it.
    """
    training = _Problem(model, train, [weight(frame) for frame in train], targets)
    held = _Problem(model, validation, [weight(frame) for frame in validation], targets) if validation else None
    p = origin = _pack(model)
    centre, strength = _ridge(model, ridge)

    def total(q: np.ndarray) -> float:
        told = 0.0 if prior is None else prior.misfit(q - origin)
        return training.misfit(q) + float((strength * (q - centre) ** 2).sum()) + told

    # Rounded, since sums of single-precision products may differ in their last digits from run to run.
    sets = [[np.concatenate(part) for part in (s.values, s.scales)] for s in (training, held) if s]
    identity = content_hash([np.round(origin, 5), ridge, prior is None, sets])
    state = _State.read(checkpoint, identity) if checkpoint is not None else None
    if state is None:
        state = _State(0, p, total(p), 30.0, 0, held.score(p) if held else np.inf, p, False)
    p, loss, damping, since, best = state.p, state.loss, state.damping, state.since, (state.best_score, state.best_p)
    for iteration in range(state.iteration + 1, 1 if state.converged else iterations + 1):
        hessian, gradient = training.normal_equations(p)
        gradient += strength * (p - centre)
        if prior is not None:
            hessian += prior.curvature
            gradient += prior.slope + prior.curvature @ (p - origin)
        diagonal = np.diag(hessian) + strength
        spring = 1e-3 * np.diag(hessian) + 0.1
        for _ in range(8):
            hessian[np.diag_indices_from(hessian)] = diagonal + damping * spring
            try:
                factor = scipy.linalg.cho_factor(hessian, lower=True, check_finite=False)
                step = scipy.linalg.cho_solve(factor, -gradient, check_finite=False)
                trial_loss = total(p + step)
            except scipy.linalg.LinAlgError:  # the products are of single precision
                trial_loss = np.inf
            if trial_loss < loss:
                break
            damping *= 6.0
        else:
            break
        # How much of what the linear model promised came true says whether to trust it further (Nielsen 1999).
        promised = float(damping * step @ (spring * step) - gradient @ step)
        kept_promise = (loss - trial_loss) / promised
        damping *= 0.25 if kept_promise > 0.7 else 2.0 if kept_promise < 0.2 else 1.0
        gain, p, loss, damping = (loss - trial_loss) / loss, p + step, trial_loss, max(damping, 1e-4)
        score = held.score(p) if held else -float(iteration)
        best, since = ((score, p), 0) if score < best[0] else (best, since + 1)
        if progress is not None:
            progress(iteration, f"loss {loss:.6g} damping {damping:.1e} held-out score {score:.4f}")
        # Past this the fit only learns the noise of its own frames.
        converged = gain < 1e-4 or since >= _PATIENCE
        if checkpoint is not None:
            _State(iteration, p, loss, damping, since, *best, converged).write(checkpoint, identity)
        if converged:
            break
    return _unpack(model, best[1])


@dataclass(frozen=True, eq=False)
class _State:
    """Where a refinement stands after a step."""

    iteration: int
    p: np.ndarray
    loss: float
    damping: float
    since: int
    best_score: float
    best_p: np.ndarray
    converged: bool

    def write(self, path: Path, identity: str) -> None:
        with atomic_path(path) as temporary, temporary.open("wb") as handle:
            np.savez(handle, identity=identity, **vars(self))

    @classmethod
    def read(cls, path: Path, identity: str) -> _State | None:
        """What `path` holds, or None when it is missing, of another refinement or no whole file."""
        try:
            with np.load(path) as stored:
                if str(stored["identity"]) != identity:
                    return None
                found = {field.name: stored[field.name] for field in dataclasses.fields(cls)}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return cls(**{name: value if value.ndim else value.item() for name, value in found.items()})


def _ridge(model: NEPModel, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre and strength of the ridge: networks are pulled to zero; radial coefficients, whose scale the networks are
    tuned to, stay near where they are; the output bias and saturated neurons are free of it."""
    species, neurons, dim = model.w0.shape
    per = neurons * (dim + 2)
    centre, strength = _pack(model), np.full(_pack(model).size, ridge)
    for t in range(species):
        free = np.abs(model.b0[t]) < _SATURATED
        centre[t * per:(t + 1) * per][np.concatenate([np.repeat(free, dim), free, free])] = 0.0
    strength[species * per] = 1e-6
    strength[species * per + 1:] = 10.0 * ridge
    return centre, strength
