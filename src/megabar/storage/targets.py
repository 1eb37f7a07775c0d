"""Targets of the US Department of Energy for hydrogen stores of light-duty vehicles. They are for whole systems."""

from __future__ import annotations

from dataclasses import dataclass

LHV_KWH_PER_KG = 33.3
"""Lower heating value of hydrogen, the factor between the target's kWh and grams (US DOE)."""


@dataclass(frozen=True)
class Target:
    """Grams of usable hydrogen per kg and per litre of the whole system, tank and fittings included."""

    name: str
    g_per_kg: float
    g_per_L: float
    source: str


_SOURCE = ("US Department of Energy, Target Explanation Document: Onboard Hydrogen Storage for Light-Duty Fuel Cell "
           "Vehicles (2017), and its page 'DOE technical targets for onboard hydrogen storage'")

TARGETS = (
    Target("DOE 2020", 45.0, 30.0, _SOURCE),
    Target("DOE 2025", 55.0, 40.0, _SOURCE),
    Target("DOE ultimate", 65.0, 50.0, _SOURCE),
)
