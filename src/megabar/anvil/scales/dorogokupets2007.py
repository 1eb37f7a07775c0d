"""Dorogokupets, Oganov: Ruby, metals, and MgO as alternative pressure scales. Phys. Rev. B 75, 024115 (2007)."""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("ruby", "dorogokupets2007", Source("Dorogokupets and Oganov, Phys. Rev. B 75, 024115 (2007)",
                                                    "10.1103/PhysRevB.75.024115", "recommended ruby scale"),
                 "quadratic", {"A": 1884.0, "m": 5.5}, 694.24, (0.0, 150.0),
                 "room-temperature data of the metals, which end near 150 GPa"),
]
