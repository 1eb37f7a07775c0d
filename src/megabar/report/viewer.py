"""The 3D viewer of a page: frames packed into text, and the script that draws them on a canvas without any library."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from megabar.reaction import speciation as spec
from megabar.reaction.figures import SPECIES_COLOURS
from megabar.reaction.geometry import heights_A
from megabar.reaction.neighbours import close_pairs
from megabar.reaction.results import Snapshot
from megabar.reaction.snapshots import DRAWN_BOND_A, ORDER_RANGE

LARGEST_BYTES = 16_000_000
"""Frames are left out until the packed trajectory is no larger."""
_METAL = 5
"""Species code of a metal, behind those of hydrogen."""
_MAP_STOPS = 16


def pack(frames: Sequence[Snapshot]) -> dict[str, Any]:
    """The frames as what the script reads: arrays as base64 of little-endian numbers.

    positions: uint16 fractions of the cell, (f, n, 3). species: uint8 (f, n), 5 for a metal. shade: uint8 (f, n), for
    metals the order in 255ths of `order_range`, for absorbed H the time inside in 254ths of `longest_ps`, else 255.
    bonds: uint16 or uint32 pairs closer than 1 A, frame after frame, `bond_counts` of them.
    """
    fewer = thin(frames)
    first = fewer[0]
    n, metal = len(first.numbers), first.numbers != 1
    wide = np.uint16 if n <= 65535 else np.uint32
    ages = np.concatenate([f.absorbed_for_ps for f in fewer])
    longest = float(np.nanmax(ages)) if np.isfinite(ages).any() else 0.0
    positions = np.empty((len(fewer), n, 3), dtype="<u2")
    species = np.full((len(fewer), n), _METAL, dtype=np.uint8)
    shade = np.full((len(fewer), n), 255, dtype=np.uint8)
    pairs, counts, cells, faces, heights = [], [], [], [], []
    hydrogen = np.flatnonzero(~metal)
    for k, frame in enumerate(fewer):
        fractions = frame.positions_A @ np.linalg.inv(frame.cell_A)
        positions[k] = np.minimum((fractions - np.floor(fractions)) * 65536.0, 65535.0).astype("<u2")
        species[k, hydrogen] = frame.species
        order = (np.nan_to_num(frame.order) - ORDER_RANGE[0]) / (ORDER_RANGE[1] - ORDER_RANGE[0])
        shade[k, metal] = np.clip(order * 255.0, 0, 255).astype(np.uint8)
        inside = np.isfinite(frame.absorbed_for_ps) & (frame.species == spec.ABSORBED)
        age = np.clip(frame.absorbed_for_ps[inside] / max(longest, 1e-9) * 254.0, 0, 254)
        shade[k, hydrogen[inside]] = age.astype(np.uint8)
        bonds = close_pairs(frame.positions_A[hydrogen], frame.cell_A, DRAWN_BOND_A)
        pairs.append(np.stack([hydrogen[bonds.i], hydrogen[bonds.j]], axis=1))
        counts.append(len(bonds.i))
        cells.append([round(float(x), 4) for x in frame.cell_A.ravel()])
        heights.append(round(float(heights_A(frame.cell_A)[frame.axis]), 4))
        faces.append([round(float(frame.lower_face_A), 3), round(float(frame.upper_face_A), 3)])
    symbols = sorted(set(first.numbers.tolist()), reverse=True)
    return {
        "atoms": n, "frames": len(fewer), "axis": first.axis, "times_ps": [round(float(f.time_ps), 4) for f in fewer],
        "cells": cells, "faces": faces, "heights": heights,
        "slab": bool(np.ptp(faces, axis=1).max() < 0.999 * max(heights)),
        "elements": [chemical_symbols[z] for z in symbols], "radii": [round(float(_radius(z)), 3) for z in symbols],
        "element": _text(np.searchsorted(-np.array(symbols), -first.numbers).astype(np.uint8)),
        "positions": _text(positions), "species": _text(species), "shade": _text(shade),
        "bonds": _text(np.concatenate(pairs).astype(np.dtype(wide).newbyteorder("<"))), "bond_counts": counts,
        "bond_bytes": int(np.dtype(wide).itemsize), "species_names": [*spec.SPECIES, "metal"],
        "species_colours": [*SPECIES_COLOURS, "#B9C4CC"], "order_range": list(ORDER_RANGE),
        "longest_ps": round(longest, 3), "order_map": _colours("viridis", 0.0, 1.0),
        "age_map": _colours("YlOrRd", 0.25, 1.0),
    }


def thin(frames: Sequence[Snapshot]) -> list[Snapshot]:
    """As many of the frames, evenly spread, as fit LARGEST_BYTES. Raises ValueError without any."""
    if not frames:
        raise ValueError("no frames")
    each = len(frames[0].numbers) * 12  # 8 bytes, and bonds, in base64
    most = max(2, LARGEST_BYTES // each)
    if len(frames) <= most:
        return list(frames)
    return [frames[k] for k in np.linspace(0, len(frames) - 1, most).round().astype(int)]


def viewer_html(frames: Sequence[Snapshot]) -> str:
    """Markup, data and script of the viewer; one a page."""
    data = json.dumps(pack(frames), separators=(",", ":"))
    script = resources.files("megabar.report").joinpath("viewer.js").read_text(encoding="utf-8")
    markup = resources.files("megabar.report").joinpath("viewer.html").read_text(encoding="utf-8")
    return f'{markup}\n<script type="application/json" id="viewer-data">{data}</script>\n<script>\n{script}</script>\n'


def _radius(number: int) -> float:
    """Drawn radius in A: small hydrogens, so that bonds and the inside can be seen."""
    return 0.24 if number == 1 else 0.5 * float(covalent_radii[number])


def _colours(name: str, low: float, high: float) -> list[str]:
    import matplotlib
    from matplotlib.colors import to_hex

    return [to_hex(matplotlib.colormaps[name](x)) for x in np.linspace(low, high, _MAP_STOPS)]


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
