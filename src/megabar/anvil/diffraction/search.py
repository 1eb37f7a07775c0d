"""Finding where the lines of a phase are: a coarse search over the size and axial ratio of its cell.

A least-squares fit only walks downhill from lines that already overlap; predicted cells are off by a per cent or two
and markers by whatever the pressure is. The search scores a cell by how many of its lines find something, so that one
strong coincidence does not win over the whole pattern.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import nnls

from megabar.anvil.diffraction.measured import Measured
from megabar.anvil.diffraction.phase import Phase
from megabar.anvil.diffraction.powder import Reflections, two_theta_deg
from megabar.anvil.peaks import pseudo_voigt


@dataclass(frozen=True)
class Candidate:
    """Free cell parameters of a phase and their score (0 to 1)."""

    free_cell: np.ndarray
    score: float


def line_places(phase: Phase, lines: Reflections, free_cell: np.ndarray, wavelength_A: float) -> np.ndarray:
    """2 theta (degrees) of a phase's lines in another cell; NaN where the line no longer diffracts."""
    cell = np.asarray(phase.cell_of(free_cell).array)
    d = 1.0 / np.linalg.norm(lines.hkl @ np.linalg.inv(cell).T, axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(two_theta_deg(np.where(2.0 * d > wavelength_A, d, np.nan), wavelength_A))


def _trial_cells(phase: Phase, scales: np.ndarray, skew: float, steps: int) -> list[np.ndarray]:
    """Free cells scaled as a whole, and, where lengths are free of each other, with c (and b) stretched against a."""
    base, names = phase.free_cell, phase.free_names
    lengths = [i for i, n in enumerate(names) if n.endswith("_A")]
    others = lengths[1:]
    stretches = itertools.product(np.linspace(-skew, skew, steps), repeat=len(others)) if others else [()]
    cells = []
    for stretch in stretches:
        shaped = base.copy()
        for i, e in zip(others, stretch, strict=True):
            shaped[i] *= 1.0 + e
        for scale in scales:
            trial = shaped.copy()
            trial[lengths] *= scale
            cells.append(trial)
    return cells


def candidates(phase: Phase, lines: Reflections, data: Measured, wavelength_A: float, scales: np.ndarray,
               fwhm_deg: float, keep: int = 6) -> list[Candidate]:
    """The best cells of a phase among those scaled by `scales`, distinct from each other, best first."""
    x = data.two_theta_deg
    step = float(np.median(np.diff(x)))
    above = gaussian_filter1d((data.intensity - data.background) / data.sigma, max(1.0, 0.6 * fwhm_deg / step))
    presence = np.log1p(np.clip(above, 0.0, None))
    strong = lines.intensity > 0.02 * lines.intensity.max()
    chosen = Reflections(*(getattr(lines, f)[strong] for f in ("hkl", "d_A", "two_theta_deg", "multiplicity", "F2",
                                                               "intensity")))
    weight = np.sqrt(chosen.intensity)
    steps = {1: 1, 2: 9, 3: 5}.get(sum(n.endswith("_A") for n in phase.free_names), 1)
    found = []
    for cell in _trial_cells(phase, scales, 0.015, steps):
        place = line_places(phase, chosen, cell, wavelength_A)
        inside = (place > x[0]) & (place < x[-1])
        if weight[inside].sum() < 0.3 * weight.sum():
            continue
        value = np.interp(place[inside], x, presence)
        found.append(Candidate(cell, float(np.sum(weight[inside] * value) / weight[inside].sum())))
    found.sort(key=lambda c: -c.score)
    distinct: list[Candidate] = []
    for c in found:
        if all(np.max(np.abs(c.free_cell / d.free_cell - 1.0)) > 0.010 for d in distinct):
            distinct.append(c)
        if len(distinct) == keep:
            break
    return distinct


def best_combinations(phases: list[Phase], lines: list[Reflections], options: list[list[Candidate]], data: Measured,
                      wavelength_A: float, fwhm_deg: float, leaning: float = 0.5,
                      keep: int = 4) -> list[list[np.ndarray]]:
    """Choices of one candidate for each phase, by how well they fit; best first, at most `keep`.

    Every combination is fitted to the pattern, its background taken off and its points gathered to a third of a line
    width: one scale a phase first, then line intensities that lean on the calculated ones. Intensities have a say
    because positions alone cannot tell some pairs apart (every line of a body-centred cubic cell of edge a/sqrt 2 is
    one of a face-centred cell of edge a). All of it is linear, in products of columns that are computed once.
    """
    x, y, sigma = _gathered(data, fwhm_deg / 3.0)
    target = y / sigma
    blocks: list[np.ndarray] = []
    shares: list[np.ndarray] = []
    spans: list[list[slice]] = []
    position = 0
    for phase, r, choices in zip(phases, lines, options, strict=True):
        row = []
        for c in choices:
            places = line_places(phase, r, c.free_cell, wavelength_A)
            inside = (places > x[0]) & (places < x[-1])
            blocks.append(pseudo_voigt(x[:, None], places[inside][None, :], 1.2 * fwhm_deg, 0.3) / sigma[:, None])
            shares.append(r.intensity[inside] / r.intensity.max())
            row.append(slice(position, position + int(inside.sum())))
            position += int(inside.sum())
        spans.append(row)
    matrix, share = np.hstack(blocks), np.concatenate(shares)
    gram, moment = matrix.T @ matrix, matrix.T @ target
    ranked = []
    for picks in itertools.product(*(range(len(c)) for c in options)):
        chosen = [spans[i][j] for i, j in enumerate(picks)]
        index = np.concatenate([np.arange(s.start, s.stop) for s in chosen])
        owner = np.repeat(np.arange(len(chosen)), [s.stop - s.start for s in chosen])
        ranked.append((_cost(gram[np.ix_(index, index)], moment[index], share[index], owner, leaning), picks))
    ranked.sort(key=lambda item: item[0])
    return [[options[i][j].free_cell for i, j in enumerate(picks)] for _, picks in ranked[:keep]]


def _cost(gram: np.ndarray, moment: np.ndarray, share: np.ndarray, owner: np.ndarray, leaning: float) -> float:
    """Sum of squares, prior included, less that of an empty fit, for line intensities leaning on calculated ones."""
    sums = (owner[:, None] == np.arange(owner.max() + 1)) * share[:, None]
    root = np.linalg.cholesky(sums.T @ gram @ sums + 1e-9 * np.eye(sums.shape[1]) * np.trace(gram))
    scales, _ = nnls(root.T, np.linalg.solve(root, sums.T @ moment))
    expected = sums @ scales
    spread = leaning * expected + 0.01 * np.maximum(scales[owner], 1e-3 * scales.max()) + 1e-30
    weight = 1.0 / spread**2
    areas = np.linalg.solve(gram + np.diag(weight), moment + weight * expected)
    return float(areas @ gram @ areas - 2.0 * areas @ moment + np.sum(weight * (areas - expected) ** 2))


def _gathered(data: Measured, step_deg: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles, intensities above the background and their errors, averaged over groups of points."""
    step = float(np.median(np.diff(data.two_theta_deg)))
    n = max(1, int(step_deg / step))
    usable = len(data.two_theta_deg) // n * n
    x = data.two_theta_deg[:usable].reshape(-1, n).mean(axis=1)
    y = (data.intensity - data.background)[:usable].reshape(-1, n).mean(axis=1)
    sigma = np.sqrt((data.sigma[:usable].reshape(-1, n) ** 2).mean(axis=1) / n)
    return x, y, sigma
