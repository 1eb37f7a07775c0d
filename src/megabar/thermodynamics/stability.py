"""Is a crystal dynamically stable: a verdict on its imaginary modes, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms

NOISE_THZ = 0.1
"""Imaginary frequencies smaller than this (3 cm^-1) are rounding of forces and sums."""
DIP_THZ = 1.0
Kind = Literal["stable", "stable, with an acoustic dip", "unstable", "imaginary where interpolated"]


@dataclass(frozen=True)
class Verdict:
    """`lowest_THz` is the lowest frequency (imaginary ones negative) apart from the three translations, at `q_point`
    (fractional); `free_energy` whether a harmonic free energy means something."""

    kind: Kind
    lowest_THz: float
    q_point: tuple[float, float, float]
    imaginary_share: float
    text: str

    @property
    def free_energy(self) -> bool:
        return self.kind.startswith("stable")

    def to_dict(self) -> dict[str, Any]:
        return {"verdict": self.kind, "text": self.text, "lowest_THz": self.lowest_THz, "q_point": list(self.q_point),
                "imaginary_share": self.imaginary_share}


def judge(atoms: Atoms, exact_q: np.ndarray, exact_THz: np.ndarray, other_q: np.ndarray, other_THz: np.ndarray,
          ) -> Verdict:
    """Verdict from frequencies (q, modes) at the q-points a supercell holds exactly and at others, interpolated ones.

    The three modes nearest to zero at Gamma are the translations and do not count. Instability at an exact point is a
    property of the forces; elsewhere it may be one of the interpolation.
    """
    share = float(np.mean(other_THz < -NOISE_THZ))
    exact_low, exact_at = _lowest(exact_q, exact_THz)
    other_low, other_at = _lowest(other_q, other_THz)
    lowest, where = (exact_low, exact_at) if exact_low <= other_low else (other_low, other_at)

    def verdict(kind: Kind, text: str) -> Verdict:
        return Verdict(kind, float(lowest), (float(where[0]), float(where[1]), float(where[2])), share, text)

    light = " (nuclei at rest, harmonic: quantum motion of hydrogen may stabilise it)" if 1 in atoms.numbers else ""
    if exact_low < -NOISE_THZ:
        count = int(np.sum(exact_THz[_index(exact_q, exact_at)] < -NOISE_THZ))
        return verdict("unstable", f"{count} imaginary mode{'s' if count > 1 else ''} at q = {_point(exact_at)}, which "
                       f"this supercell holds exactly, {abs(exact_low):.2f}i THz: the crystal wants to distort{light}; "
                       "'megabar relax --symmetry break' in that supercell finds where to")
    if lowest < -NOISE_THZ:
        reach = _reach(atoms, exact_q)
        if lowest > -DIP_THZ and _length(atoms, other_at) < reach:
            return verdict("stable, with an acoustic dip", f"{abs(lowest):.2f}i THz close to Gamma, at "
                           f"{_point(other_at)}, where the supercell is too short for long waves: interpolation, most "
                           "likely")
        return verdict("imaginary where interpolated", f"{abs(lowest):.2f}i THz at {_point(other_at)}, between the "
                       f"q-points that the supercell holds exactly, all of which are real: use a larger one to "
                       f"tell{light}")
    return verdict("stable", f"no imaginary mode; lowest at a q-point that the supercell holds {exact_low:.2f} THz, at "
                   f"{_point(exact_at)}")


def _lowest(q: np.ndarray, frequencies: np.ndarray) -> tuple[float, np.ndarray]:
    """Lowest frequency and its q. At Gamma the three modes nearest to zero are the translations."""
    at_gamma = np.all(np.abs(q - np.rint(q)) < 1e-6, axis=1)
    values = frequencies.min(axis=1)
    for row in np.flatnonzero(at_gamma):
        others = frequencies[row][np.argsort(np.abs(frequencies[row]))[3:]]
        values[row] = others.min(initial=np.inf)
    lowest = int(np.argmin(values))
    return float(values[lowest]), q[lowest]


def _index(q: np.ndarray, point: np.ndarray) -> int:
    return int(np.argmin(np.linalg.norm(q - point, axis=1)))


def _length(atoms: Atoms, q: np.ndarray) -> float:
    return float(np.linalg.norm((q - np.rint(q)) @ atoms.cell.reciprocal()[:]))


def _reach(atoms: Atoms, exact_q: np.ndarray) -> float:
    """Length of the shortest exact q-point beside Gamma; infinite when there is none."""
    lengths = [length for q in exact_q if (length := _length(atoms, q)) > 1e-6]
    return min(lengths, default=np.inf)


def _point(q: np.ndarray) -> str:
    return "(" + ", ".join(f"{x:.3g}" for x in q) + ")"
