"""Which known metal sublattice surrounds each metal atom: matching against the sublattices of known hydrides.

Each template is the cloud of averaged bond-orientational invariants (`order.environment`) that a crystal's metals
have under thermal displacement and strain. An atom belongs to the nearest cloud by Mahalanobis distance, or to none
when it is far from all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from megabar.crystals import prototypes
from megabar.reaction.order import environment

DISTANCE_LIMIT = 40.0
"""Largest squared Mahalanobis distance of a match (10 degrees of freedom)."""
_NOISE = np.linspace(0.01, 0.11, 9)
# Displacement amplitudes in neighbour distances, up to just beyond Lindemann's 0.1 at melting.
_STRAIN = 0.02
_DRAWS = 8
_PRESSURE_GPA = 40.0


@dataclass(frozen=True)
class Sublattice:
    """A metal sublattice by the name of a hydride that has it.

    axial: relative spread of the third axis that is still the same kind, since c/a moves with pressure and temperature
    (PBE: CaH4 1.62 at 20 to 1.82 at 150 GPa, from the stresses of labelled cells; CaH2 P6_3/mmc 1.2 to 1.4).
    """

    name: str
    prototype: str
    axial: float = 0.0


SUBLATTICES = (
    Sublattice("hcp-like (MH2 P6_3/mmc)", "MH2-P6_3/mmc", 0.10),
    Sublattice("hcp-like (MH2 Pnma)", "MH2-Pnma"),
    Sublattice("bct (MH4 I4/mmm)", "MH4-I4/mmm", 0.06),
    Sublattice("bcc (MH6 Im-3m)", "MH6-Im-3m"),
    Sublattice("A15 (MH5.75 Pm-3n)", "MH5.75-Pm-3n"),
    Sublattice("fcc", "M-fcc"),
)
NAMES = tuple(s.name for s in SUBLATTICES)
NONE = -1


@lru_cache(maxsize=1)
def _clouds() -> tuple[np.ndarray, np.ndarray]:
    """Means (k, 10) and inverse covariances (k, 10, 10) of the templates' invariants."""
    rng = np.random.default_rng(20250529)
    means, inverses = [], []
    for sublattice in SUBLATTICES:
        crystal = prototypes.build(sublattice.prototype, "Ca", _PRESSURE_GPA)
        crystal = crystal[crystal.numbers != 1]
        heights = 1.0 / np.linalg.norm(np.linalg.inv(crystal.cell[:]), axis=0)
        block = crystal.repeat(tuple(np.ceil(8.0 / heights).astype(int)))
        clouds = []
        for amplitude in _NOISE:
            for _ in range(_DRAWS):
                strain = rng.normal(size=(3, 3)) * _STRAIN
                strain = 0.5 * (strain + strain.T) + np.diag([0.0, 0.0, rng.uniform(-1, 1) * sublattice.axial])
                cell = block.cell[:] @ (np.eye(3) + strain)
                density = len(block) / abs(np.linalg.det(cell))
                scatter = amplitude * 2.0 ** (1 / 6) * density ** (-1 / 3) / np.sqrt(3.0)
                places = block.positions @ (np.eye(3) + strain) + rng.normal(size=(len(block), 3)) * scatter
                clouds.append(environment(places, cell, density))
        cloud = np.concatenate(clouds)
        means.append(cloud.mean(axis=0))
        inverses.append(np.linalg.inv(np.cov(cloud.T) + 1e-6 * np.eye(cloud.shape[1])))
    return np.array(means), np.array(inverses)


def distances(environments: np.ndarray) -> np.ndarray:
    """(n, k) squared Mahalanobis distances of environments (n, 10) to the k templates in the order of NAMES."""
    means, inverses = _clouds()
    away = environments[:, None] - means[None]
    return np.einsum("nki,kij,nkj->nk", away, inverses, away)


def match(environments: np.ndarray) -> np.ndarray:
    """(n,) number of the template of each atom, or NONE."""
    away = distances(environments)
    best = away.argmin(axis=1)
    return np.where(away[np.arange(len(best)), best] < DISTANCE_LIMIT, best, NONE)
