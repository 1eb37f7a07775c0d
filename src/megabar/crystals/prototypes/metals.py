"""Elemental metals: fcc, bcc and simple cubic (calcium: fcc to 19.5 GPa, bcc to 32 GPa, then simple cubic)."""

from __future__ import annotations

from megabar.crystals.prototypes.prototype import Prototype

_SOURCE = "Olijnyk and Holzapfel, Phys. Lett. A 100, 191 (1984), 10.1016/0375-9601(84)90757-8"
_ORIGIN = (("M", (0.0, 0.0, 0.0)),)

PROTOTYPES = (
    Prototype("M-fcc", 225, _ORIGIN, 1.0, 1.0, 90.0, 0.0, _SOURCE, metallic=True),
    Prototype("M-bcc", 229, _ORIGIN, 1.0, 1.0, 90.0, 0.0, _SOURCE, metallic=True),
    Prototype("M-sc", 221, _ORIGIN, 1.0, 1.0, 90.0, 0.0, _SOURCE, metallic=True, volume_scale=0.97),
)
