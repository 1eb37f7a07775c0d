"""Where a potential may be believed: the pressures, temperatures and compositions of what it was trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from megabar.potential.dataset import LabelledFrame, h_per_metal

_SHARE = (0.01, 0.99)
"""Quantiles of the pressures: a handful of frames at the rim does not make a domain."""
_HANDFUL = 5
_WALL_KINDS = frozenset({"dimer", "squeezed", "guard"})
"""Kinds that teach the repulsive wall, not states of matter."""
FAR = 0.25
"""Beyond this share of its range outside it, a value is far outside: refused, not only warned of."""


def teaches_wall(frame: LabelledFrame) -> bool:
    """Whether `frame` is there for the repulsion between atoms, far from any state of matter."""
    return frame.kind in _WALL_KINDS


@dataclass(frozen=True)
class Breach:
    """A quantity outside its range, as a sentence; `far` when beyond a quarter of the range."""

    text: str
    far: bool


@dataclass(frozen=True)
class Domain:
    """Ranges in GPa, K and H per metal atom; None where nothing is known. `pure_hydrogen`: H2 was trained on."""

    pressure_GPa: tuple[float, float] | None = None
    temperature_K: tuple[float, float] | None = None
    h_per_metal: tuple[float, float] | None = None
    pure_hydrogen: bool | None = None

    @classmethod
    def of(cls, frames: Sequence[LabelledFrame]) -> Domain:
        """The domain of a set: pressures that hold 98 % of its states of matter, and the runs its frames are from.

        Zero pressure is inside where a handful of states are under tension: it lies between labels then, however many
        of them are compressed.
        Static cells have no temperature; the range is from 0 K to the hottest run ("T=..." in the origin) and None
        when no frame is from a run.
        """
        states = [f for f in frames if not teaches_wall(f)] or list(frames)
        pressures = np.array([f.pressure_GPa for f in states])
        low, high = np.quantile(pressures, _SHARE)
        if np.count_nonzero(pressures < 0.0) >= _HANDFUL:
            low = min(low, 0.0)
        found = [re.search(r"\bT=(\d+(?:\.\d+)?)", str(f.atoms.info.get("origin", ""))) for f in states]
        heat = [float(match.group(1)) for match in found if match]
        ratios = [r for f in states if (r := h_per_metal(f.atoms)) is not None]
        return cls((round(float(low), 1), round(float(high), 1)), (0.0, max(heat)) if heat else None,
                   (round(min(ratios), 2), round(max(ratios), 2)) if ratios else None, len(ratios) < len(states))

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Domain:
        """What a card states under `domain`; unknown where it says nothing or something that is no range."""
        stated = card.get("domain")
        stated = stated if isinstance(stated, Mapping) else {}

        def pair(name: str) -> tuple[float, float] | None:
            value = stated.get(name)
            try:
                low, high = (float(v) for v in value)  # type: ignore[union-attr]
            except (TypeError, ValueError):
                return None
            return (low, high) if low <= high else None

        pure = stated.get("pure_hydrogen")
        return cls(pair("pressure_GPa"), pair("temperature_K"), pair("h_per_metal"),
                   bool(pure) if pure is not None else None)

    def as_dict(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    def breaches(self, *, pressure_GPa: float | None = None, temperature_K: float | None = None,
                 h_per_metal: float | None = None, pure_hydrogen: bool = False) -> tuple[Breach, ...]:
        """What of the given state lies outside; empty when all of it is inside or nothing is known."""
        found = []
        for value, limits, what, unit in (
            (pressure_GPa, self.pressure_GPa, "pressure", "GPa"),
            (temperature_K, self.temperature_K, "temperature", "K"),
            (h_per_metal, self.h_per_metal, "composition", "H per metal atom"),
        ):
            if value is None or limits is None or limits[0] <= value <= limits[1]:
                continue
            off = max(limits[0] - value, value - limits[1])
            found.append(Breach(f"{what}: {value:g} {unit} is outside the {limits[0]:g} to {limits[1]:g} {unit} of the "
                                "training set", off > FAR * (limits[1] - limits[0])))
        if pure_hydrogen and self.pure_hydrogen is False:
            found.append(Breach("composition: the training set holds no pure hydrogen", True))
        return tuple(found)
