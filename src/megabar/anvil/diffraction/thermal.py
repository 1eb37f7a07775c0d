"""From a trajectory to a phase: the time-averaged crystal and the mean-square displacements of its sites."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms

from megabar.anvil.diffraction.phase import Phase, phase_from_atoms, standard_dataset
from megabar.dynamics.trajectory import Frame
from megabar.errors import InputError


@dataclass(frozen=True, eq=False)
class Averaged:
    """The averaged supercell and each atom's displacement tensor (n, 3, 3) in A^2, over `frames` frames."""

    atoms: Atoms
    U_A2: np.ndarray
    frames: int


def average_frames(frames: Iterable[Frame], skip_fraction: float = 0.25) -> Averaged:
    """Mean cell and positions, and mean-square displacements about them, of the later part of a trajectory.

    Positions are followed through the boundaries (image flags if the file has them, else the shortest step from
    frame to frame) and the drift of the centre of mass is taken off. Raises InputError with fewer than ten frames left.
    """
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    numbers: np.ndarray | None = None
    last: np.ndarray | None = None
    for frame in frames:
        numbers = frame.numbers
        inverse = np.linalg.inv(frame.cell_A)
        if frame.unwrapped_A is not None:
            fractions = frame.unwrapped_A @ inverse
        else:
            fractions = frame.positions_A @ inverse
            if last is not None:
                fractions = fractions - np.round(fractions - last)
        last = fractions
        kept.append((frame.cell_A, fractions))
    kept = kept[int(skip_fraction * len(kept)):]
    if numbers is None or len(kept) < 10:
        raise InputError(f"{len(kept)} frames after the equilibration: thermal factors need 10; save more often or "
                         "run longer")
    masses = Atoms(numbers=numbers).get_masses()
    drift = [np.average(f, axis=0, weights=masses) for _, f in kept]
    places = np.array([f - d + drift[0] for (_, f), d in zip(kept, drift, strict=True)])
    cell = np.mean([c for c, _ in kept], axis=0)
    mean = places.mean(axis=0)
    displacement = (places - mean) @ cell
    U = np.einsum("tni,tnj->nij", displacement, displacement) / len(kept)
    return Averaged(Atoms(numbers=numbers, scaled_positions=mean, cell=cell, pbc=True), U, len(kept))


def phase_from_average(averaged: Averaged, name: str, *, symprec: float | None = None, fraction: float = 1.0,
                       microstrain: float = 0.0, pressure_GPa: float | None = None) -> tuple[Phase, list[str]]:
    """The phase that an averaged supercell is, folded into its conventional cell, and what is doubtful about it.

    `symprec` (A) defaults to eight standard errors of a mean place, at least 0.15 A and at most a sixth of the shortest
    distance. Each site's U is the mean over all atoms that fold onto it, plus the scatter of their mean places (static
    displacements). Nuclei are classical in MD: at low temperature true U are larger by the zero-point motion. The
    averages hold the correlations only as far as Debye-Waller factors do; diffuse scattering is not computed.
    """
    atoms = averaged.atoms
    u = np.trace(averaged.U_A2, axis1=1, axis2=2) / 3.0
    nearest = _nearest_A(atoms)
    loose = np.sqrt(3.0 * u) > 0.35 * nearest
    warnings = []
    if symprec is None:
        symprec = max(0.15, min(8.0 * float(np.sqrt(u.max() / averaged.frames)), nearest / 6.0))
    if loose.all():
        raise InputError(f"{name}: every atom moves by more than a third of the shortest distance ({nearest:.2f} A): a "
                         "liquid has no Bragg peaks; use a run of the crystal")
    if loose.any():
        elements = ", ".join(sorted({atoms[int(i)].symbol for i in np.flatnonzero(loose)}))
        warnings.append(f"{name}: {int(loose.sum())} of {len(atoms)} atoms ({elements}) move by more than a third of "
                        "the shortest distance: they diffuse, and their averaged places mean little")
    dataset = standard_dataset(atoms, symprec)
    phase = phase_from_atoms(atoms, name, symprec=symprec, fraction=fraction, microstrain=microstrain,
                             pressure_GPa=pressure_GPa, comment=f"averaged over {averaged.frames} frames of MD")
    if dataset is None:
        raise InputError(f"{name}: no symmetry within {symprec:g} A; change --symprec")
    if dataset.number == 1 and len(atoms) > 8:
        warnings.append(f"{name}: the averaged cell has no symmetry within {symprec:g} A; run longer")
    standard = phase.atoms.get_scaled_positions()
    folded = atoms.get_scaled_positions() @ dataset.transformation_matrix.T + dataset.origin_shift
    R = dataset.std_rotation_matrix
    sums, counts = np.zeros((len(phase.atoms), 3, 3)), np.zeros(len(phase.atoms))
    for i, place in enumerate(folded):
        gap = standard - place
        gap -= np.round(gap)
        cartesian = gap @ phase.atoms.cell[:]
        distance = np.where(phase.atoms.numbers == atoms.numbers[i], np.linalg.norm(cartesian, axis=1), np.inf)
        site = int(np.argmin(distance))
        sums[site] += R @ averaged.U_A2[i] @ R.T + np.outer(cartesian[site], cartesian[site])
        counts[site] += 1
    if np.any(counts == 0):
        raise InputError(f"{name}: the averaged atoms do not fill the conventional cell found within {symprec:g} A; "
                         "lower --symprec")
    return replace(phase, U_A2=sums / counts[:, None, None]), warnings


def _nearest_A(atoms: Atoms) -> float:
    """Shortest distance between two atoms of a periodic cell, images of one atom included."""
    from ase.neighborlist import neighbor_list

    reach = 1.5 * (atoms.get_volume() / len(atoms)) ** (1.0 / 3.0)
    while True:
        distances = neighbor_list("d", atoms, reach)
        if len(distances):
            return float(distances.min())
        reach *= 1.5
