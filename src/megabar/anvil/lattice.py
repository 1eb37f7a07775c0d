"""Reading Miller indices and lattice parameters from text, said once for every verb."""

from __future__ import annotations

import math
import re

from megabar.errors import InputError


def parse_hkl(text: str) -> tuple[int, int, int]:
    """(h, k, l) from "110", "1,0,-1", "1 0 -1" or "10-1"."""
    body = text.strip()
    if re.search(r"[,\s]", body):
        parts = [p for p in re.split(r"[,\s]+", body) if p]
    else:
        parts = re.findall(r"-?\d", body)
        if "".join(parts) != body:
            parts = []
    try:
        h, k, l = (int(p) for p in parts)  # noqa: E741 - the names of the Miller indices
    except ValueError:
        raise InputError(f"hkl {text!r} is not three indices: write them like 110 or 1,0,-1") from None
    return h, k, l


def parse_lattice_A(text: str) -> tuple[float, float | None]:
    """(a, c) in A from "3.16" or "2.761,4.458"; c is None where only a is given."""
    try:
        values = [float(p) for p in re.split(r"[,\s]+", text.strip()) if p]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(math.isfinite(v) and 0.5 < v < 50.0 for v in values):
        raise InputError(f"lattice {text!r} is not a or a,c in A: write it like 3.165 or 2.761,4.458")
    return values[0], values[1] if len(values) == 2 else None
