"""Dewaele, Loubeyre, Mezouar: Equations of state of six metals above 94 GPa. Phys. Rev. B 70, 094112 (2004).

Table II, Vinet fits at 298 K to the pressures of their revised ruby scale (`dewaele2004`); V0 in A^3 per atom there.
"""

from megabar.anvil.eos import Marker, Source

_SOURCE = Source("Dewaele, Loubeyre and Mezouar, Phys. Rev. B 70, 094112 (2004)", "10.1103/PhysRevB.70.094112",
                 "Table II")
_DATA = "helium-loaded cell, revised ruby pressures to 153 GPa (Table I)"

MARKERS = [
    Marker("W", "dewaele2004", _SOURCE, "Vinet", 2 * 15.862, 295.2, 4.32, (0.0, 153.0), _DATA, reference_K=298.0,
           sigma={"K0_GPa": 3.9, "K0_prime": 0.11}),
    Marker("Cu", "dewaele2004", _SOURCE, "Vinet", 4 * 11.81, 132.4, 5.32, (0.0, 153.0), _DATA, reference_K=298.0,
           sigma={"K0_GPa": 1.4, "K0_prime": 0.06}),
    Marker("Au", "dewaele2004", _SOURCE, "Vinet", 4 * 16.962, 167.0, 6.00, (0.0, 94.0),
           "helium-loaded cell, revised ruby pressures to 93.6 GPa (Table I)", reference_K=298.0,
           sigma={"K0_prime": 0.02}),
    Marker("Pt", "dewaele2004", _SOURCE, "Vinet", 4 * 15.095, 277.0, 5.08, (0.0, 94.0),
           "helium-loaded cell, revised ruby pressures to 93.6 GPa (Table I)", reference_K=298.0,
           sigma={"K0_prime": 0.02}),
]
