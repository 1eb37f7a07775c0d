"""Equations of state of pressure markers, one file per paper; `MARKERS` holds them all by (material, scale)."""

from __future__ import annotations

import importlib
import pkgutil

from megabar.anvil.eos import Marker


def _collect() -> dict[tuple[str, str], Marker]:
    found: dict[tuple[str, str], Marker] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        for marker in importlib.import_module(f"{__name__}.{module.name}").MARKERS:
            key = (marker.material, marker.scale)
            if key in found:
                raise ValueError(f"two scales named {key}")
            found[key] = marker
    return found


MARKERS = _collect()

DEFAULT_SCALE = {
    "W": "dewaele2004", "Re": "anzellini2014", "Au": "fei2007", "Pt": "fei2007", "Cu": "dewaele2004",
    "MgO": "tange2009", "NaCl-B1": "matsui2012", "NaCl-B2": "fei2007", "Ne": "fei2007", "diamond": "dewaele2008",
}
"""The scale used where none is asked for: the widest hydrostatic calibration of each material at hand."""
