"""Us-up tables, one file per source; `MATERIALS` holds them by name."""

from __future__ import annotations

import importlib
import pkgutil

from megabar.anvil.shock.hugoniot import ShockMaterial


def _collect() -> dict[str, ShockMaterial]:
    found: dict[str, ShockMaterial] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        for material in importlib.import_module(f"{__name__}.{module.name}").MATERIALS:
            if material.name in found:
                raise ValueError(f"two shock materials named {material.name}")
            found[material.name] = material
    return found


MATERIALS = _collect()
