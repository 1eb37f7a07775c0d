"""How far an atom lies outside what its potential was trained on: the MaxVol extrapolation grade.

An atom with the scaled descriptor q is the row b = (1, q). Of the rows of each element in the training set, those that
span the largest volume form the active set A (D-optimality; Podryabinkin and Shapeev, Comput. Mater. Sci. 140, 171
(2017), 10.1016/j.commatsci.2017.08.031; per element as in Lysogorskiy et al., Phys. Rev. Materials 7, 043801 (2023),
10.1103/PhysRevMaterials.7.043801). Any b is c A, and the grade is max |c_j|: at most 1 on the training set, and above
1 by the factor by which the atom would enlarge the volume. Rows are descriptors, not gradients of the energy with
respect to all weights, because a hidden layer saturates: far outside, its gradients vanish and look familiar (measured
in docs/performance.md), and because descriptors are few enough for a grade at every step of a run.

MaxVol starts from `floor` times the unit matrix instead of from some of the rows, which also decides what happens
along directions in which the training set does not vary: `floor`, as a share of each descriptor's largest value, is how
far an atom may go there until its grade is 1.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from megabar.campaign.files import write_text
from megabar.errors import InputError, PotentialUnknown
from megabar.potential.nep import NEPModel

FILE = "active_set.txt"
"""Name beside nep.txt, where the calculator's loader and the LAMMPS pair style look for it."""

_TOLERANCE = 1.001
"""MaxVol ends when no row enlarges the volume by more than this factor."""
_MAX_SWAPS = 100_000


@dataclass(frozen=True, eq=False)
class ActiveSet:
    """The active sets of a potential with T elements and descriptors of length dim.

    matrices (T, dim + 1, dim + 1): the grade of an atom of element t with unscaled descriptor q is
    max_j |matrices[t, j] . (1, q)|. `potential` is the fingerprint of the model it belongs to.
    """

    elements: tuple[str, ...]
    potential: str
    matrices: np.ndarray

    @classmethod
    def build(cls, model: NEPModel, frames: Sequence[Atoms], *, floor: float = 0.05) -> ActiveSet:
        """The active set of `frames`, which should be those that `model` was trained on.

        Raises InputError without frames or for a floor outside (0, 1), PotentialUnknown for an unknown element.
        """
        if not frames:
            raise InputError("active set: no frames; give the labelled frames that the potential was trained on")
        if not 0.0 < floor < 1.0:
            raise InputError(f"active set: floor {floor:g} is outside 0-1; use a small share such as 0.05")
        rows, types, _ = _rows(model, frames)
        size = model.dim + 1
        matrices = np.empty((len(model.elements), size, size))
        for t in range(len(model.elements)):
            mine = rows[types == t]
            reach = np.abs(mine).max(axis=0, initial=0.0)
            # An element that is not in the set is outside everywhere; its descriptors are scaled as the model does.
            scale = 1.0 / np.where(reach > 0.0, reach, 1.0 / np.concatenate([[1.0], model.q_scaler]))
            owner = _maxvol(mine * (scale / floor))
            active = floor * np.eye(size)
            active[owner >= 0] = mine[owner[owner >= 0]] * scale
            # c = b A^-1 with b = (1, q) scale, so row j of the matrix is column j of A^-1, scaled.
            matrices[t] = np.linalg.inv(active).T * scale
        return cls(model.elements, fingerprint(model), matrices)

    def grade(self, types: np.ndarray, descriptors: np.ndarray) -> np.ndarray:
        """Grades (N,) of atoms with model types (N,) and unscaled descriptors (N, dim)."""
        found = np.empty(len(types))
        rows = np.column_stack([np.ones(len(types)), descriptors])
        for t, matrix in enumerate(self.matrices):
            found[types == t] = np.abs(rows[types == t] @ matrix.T).max(axis=1, initial=0.0)
        return found

    def select(self, model: NEPModel, frames: Sequence[Atoms], *, threshold: float = 1.5) -> list[int]:
        """Indices of the few `frames` that would enlarge the active set most, for labelling, in order of appearance.

        MaxVol goes on from this set over their atoms, swapping while that enlarges the volume by more than
        `threshold`; frames that own an active atom in the end are returned. Near repeats thus come once.
        """
        if threshold <= 1.0:
            raise InputError(f"active set: threshold {threshold:g} must exceed 1, the grade of the training set")
        self.require(model)
        if not frames:
            return []
        rows, types, source = _rows(model, frames)
        chosen: set[int] = set()
        for t, matrix in enumerate(self.matrices):
            owner = _maxvol(rows[types == t] @ matrix.T, threshold)
            chosen.update(source[types == t][owner[owner >= 0]].tolist())
        return sorted(chosen)

    def require(self, model: NEPModel, where: str = "active set") -> None:
        """Raise PotentialUnknown when this set belongs to another potential than `model`."""
        own = fingerprint(model)
        if self.potential != own or self.elements != model.elements:
            raise PotentialUnknown(f"{where}: belongs to potential {self.potential} ({' '.join(self.elements)}), this "
                                   f"nep.txt is {own} ({' '.join(model.elements)}); build it anew with ActiveSet.build")

    def save(self, folder: str | Path) -> Path:
        """Write `active_set.txt` beside the nep.txt in `folder`; returns its path."""
        path = Path(folder) / FILE
        lines = ["megabar_active_set 1", f"potential {self.potential}", f"elements {' '.join(self.elements)}",
                 f"size {self.matrices.shape[1]}"]
        lines += [" ".join(f"{value:.9g}" for value in row) for matrix in self.matrices for row in matrix]
        write_text(path, "\n".join(lines) + "\n")
        return path

    @classmethod
    def load(cls, folder: str | Path, model: NEPModel) -> ActiveSet | None:
        """The active set of `model` in its `folder`, or None where there is none.

        Raises PotentialUnknown when the file is damaged or belongs to another potential.
        """
        path = Path(folder) / FILE
        if not path.exists():
            return None
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise PotentialUnknown(f"{path}: cannot be read ({error}); build it anew with ActiveSet.build") from None
        head = [line.split() for line in lines[:4]]
        keys = ["megabar_active_set", "potential", "elements", "size"]
        if [words[:1] for words in head] != [[key] for key in keys] or head[0][1:] != ["1"] or len(head[1]) != 2:
            raise PotentialUnknown(f"{path}: does not start with the four lines of an active set; build it anew with "
                                   "ActiveSet.build")
        found = cls(tuple(head[2][1:]), head[1][1], np.empty(0))
        found.require(model, str(path))
        count, size = len(model.elements), model.dim + 1
        try:
            numbers = np.array([[float(word) for word in line.split()] for line in lines[4:]])
            if head[3][1:] != [str(size)] or numbers.shape != (count * size, size) or not np.isfinite(numbers).all():
                raise ValueError
        except ValueError:
            raise PotentialUnknown(f"{path}: does not hold {count * size} rows of {size} finite numbers; build it anew "
                                   "with ActiveSet.build") from None
        return cls(found.elements, found.potential, numbers.reshape(count, size, size))


def fingerprint(model: NEPModel) -> str:
    """Eight hex digits (CRC-32) that tell potentials apart by their parameters; the pair style computes the same."""
    parts = (model.cutoff_radial_A, model.cutoff_angular_A, model.w0, model.b0, model.w1, np.array([model.b1]),
             model.c_radial, model.c_angular, model.q_scaler)
    return f"{zlib.crc32(b''.join(part.astype('<f8').tobytes() for part in parts)):08x}"


def _rows(model: NEPModel, frames: Sequence[Atoms]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(1, q) of every atom (n, dim + 1), its type (n,), and the frame it is from (n,)."""
    from megabar.potential.calculator import NEP

    calculator = NEP(model)
    rows, types, source = [], [], []
    for number, atoms in enumerate(frames):
        q = calculator.evaluate(atoms, descriptors=True).descriptors
        rows.append(np.column_stack([np.ones(len(q)), q]))
        types.append(model.types_of(atoms))
        source.append(np.full(len(q), number))
    return np.concatenate(rows), np.concatenate(types), np.concatenate(source)


def _maxvol(c: np.ndarray, tolerance: float = _TOLERANCE) -> np.ndarray:
    """Which row of `c` (n, d) stands in each place of the active set that MaxVol ends with; -1: the one at the start.

    `c` holds the coefficients of the rows in the starting set, and is used up. Goreinov et al., How to find a good
    submatrix, in Matrix Methods (2010), 10.1142/9789812836021_0015: the largest coefficient swaps, which multiplies
    the volume by it, until none exceeds `tolerance`.
    """
    owner = np.full(c.shape[1], -1)
    for _ in range(_MAX_SWAPS if c.size else 0):
        i, j = divmod(int(np.abs(c).argmax()), c.shape[1])
        if abs(c[i, j]) <= tolerance:
            break
        step = c[i] / c[i, j]
        step[j] = 1.0 - 1.0 / c[i, j]
        c -= np.outer(c[:, j], step)
        owner[j] = i
    return owner
