"""Volumes that place a cell near a pressure before anything has been computed.

They are starting points only: a label carries the pressure that DFT gives. Vinet form (Vinet et al., J. Phys. Condens.
Matter 1, 1941 (1989)); H2 from Loubeyre et al., Nature 383, 702 (1996); metals near their ambient densities, and
hydrides near those of their ambient forms; those of Ca set so that PBE volumes at 50 GPa (CaH2 21.4, CaH4 26.3 A^3) and
150 GPa (CaH6 21.6 A^3) come out within a few per cent. For Sr one label tells: SrH4 of 30.32 A^3, placed at 50.8 GPa,
has 51.4 GPa (PBE, 700 eV). A metal that is not here needs its three lines: docs/own_metal.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from megabar.errors import InputError

_A3_PER_CM3_MOL = 1.0 / 0.602214076


@dataclass(frozen=True)
class Vinet:
    """V0 in A^3 per formula unit, K0 in GPa, K0' dimensionless."""

    v0_A3: float
    k0_GPa: float
    k0_prime: float

    def pressure_GPa(self, volume_A3: float) -> float:
        y = (volume_A3 / self.v0_A3) ** (1.0 / 3.0)
        return float(3.0 * self.k0_GPa * (1.0 - y) / y**2 * np.exp(1.5 * (self.k0_prime - 1.0) * (1.0 - y)))

    def volume_A3(self, pressure_GPa: float) -> float:
        if pressure_GPa <= 0.0:
            return self.v0_A3
        return float(brentq(lambda v: self.pressure_GPa(v) - pressure_GPa, 0.05 * self.v0_A3, self.v0_A3))


HYDROGEN_MOLECULE = Vinet(25.433 * _A3_PER_CM3_MOL, 0.162, 6.813)
"""Solid H2 per molecule, 300 K (Loubeyre et al. 1996, 10.1038/383702a0)."""

# Per metal atom: the metal, its dihydride in the dense (Ni2In) form, both for placing cells only.
_METAL = {"Ca": Vinet(43.6, 17.0, 3.5), "Mg": Vinet(23.2, 35.0, 4.0), "Sr": Vinet(56.0, 12.0, 3.8),
          "Y": Vinet(33.0, 41.0, 3.0)}
_DIHYDRIDE = {"Ca": Vinet(32.5, 51.0, 4.3), "Mg": Vinet(27.5, 50.0, 4.2), "Sr": Vinet(40.5, 45.0, 4.3),
              "Y": Vinet(35.0, 85.0, 4.0)}
_VALENCE = {"Ca": 2, "Mg": 2, "Sr": 2, "Y": 3}
# Hydrogen taken up by a hydride is denser than in its solid (PBE, 50 GPa: CaH4 - CaH2 = 4.9 against 6.0 A^3 per H2).
_ABSORBED_SHARE = 0.82


def metals() -> list[str]:
    return sorted(_METAL)


def valence(metal: str) -> int:
    """Electrons that an atom of `metal` can give to hydrogen. Raises InputError for a metal without parameters."""
    return _VALENCE[_known(metal)]


def short_of_hydrogen(metal: str, n_metal: int, n_hydrogen: int) -> bool:
    """Whether electrons of `n_metal` atoms are left that `n_hydrogen` hydrides do not take: such a cell is metallic."""
    return n_metal > 0 and n_hydrogen < (valence(metal) - 0.1) * n_metal


def _known(metal: str) -> str:
    if metal not in _METAL:
        raise InputError(f"metal {metal!r}: no starting volumes known; known metals: {', '.join(metals())}")
    return metal


def hydride_volume_A3(metal: str, h_per_metal: float, pressure_GPa: float) -> float:
    """Volume in A^3 per metal atom of MH_x near `pressure_GPa`: metal to dihydride to dihydride + absorbed H2.

    Raises InputError for a metal without parameters.
    """
    _known(metal)
    bare, dihydride = (_entry[metal].volume_A3(pressure_GPa) for _entry in (_METAL, _DIHYDRIDE))
    if h_per_metal <= 2.0:
        return bare + (dihydride - bare) * h_per_metal / 2.0
    absorbed = _ABSORBED_SHARE * HYDROGEN_MOLECULE.volume_A3(max(pressure_GPa, 5.0))
    return dihydride + (h_per_metal - 2.0) / 2.0 * absorbed
