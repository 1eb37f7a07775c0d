"""Optical scales (ruby, Sm:SrB4O7, diamond Raman edge), one file per paper; `SCALES` holds them by (gauge, scale)."""

from __future__ import annotations

import importlib
import pkgutil

from megabar.anvil.optical import OpticalScale


def _collect() -> dict[tuple[str, str], OpticalScale]:
    found: dict[tuple[str, str], OpticalScale] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        for scale in importlib.import_module(f"{__name__}.{module.name}").SCALES:
            key = (scale.gauge, scale.scale)
            if key in found:
                raise ValueError(f"two scales named {key}")
            found[key] = scale
    return found


SCALES = _collect()

DEFAULT_SCALE = {"ruby": "ruby2020", "sm": "datchi2007", "diamond-edge": "akahama2006"}
"""ruby2020 is the practical scale endorsed by AIRAPT; akahama2006 the edge scale in widest use."""
