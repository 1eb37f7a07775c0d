"""Meyers: Dynamic Behavior of Materials, Wiley (1994), 10.1002/9780470172278. Table of linear fits with gamma0."""

from megabar.anvil.eos import Source
from megabar.anvil.shock.hugoniot import ShockMaterial

_SOURCE = Source("Meyers, Dynamic Behavior of Materials (1994)", "10.1002/9780470172278", "shock parameters")

MATERIALS = [
    ShockMaterial(name, _SOURCE, rho0, c0, s, gamma0=gamma, aliases=aliases, note=note)
    for name, rho0, c0, s, gamma, aliases, note in (
        ("Ag", 10.49, 3.23, 1.60, 2.5, (), ""),
        ("Au", 19.24, 3.06, 1.57, 3.1, (), ""),
        ("Ca", 1.55, 3.60, 0.95, 1.1, (), ""),
        ("Fe", 7.85, 3.57, 1.92, 1.8, (), "above the alpha-epsilon transition (13 GPa)"),
        ("K", 0.86, 1.97, 1.18, 1.4, (), ""),
        ("Li", 0.53, 4.65, 1.13, 0.9, (), ""),
        ("Na", 0.97, 2.58, 1.24, 1.3, (), ""),
        ("Ni", 8.87, 4.60, 1.44, 2.0, (), ""),
        ("Pb", 11.35, 2.05, 1.46, 2.8, (), ""),
        ("NaCl", 2.16, 3.53, 1.34, 1.6, (), "below the B1-B2 transition (about 23 GPa)"),
        ("Al-6061", 2.70, 5.35, 1.34, 2.0, (), ""),
        ("water", 1.00, 1.65, 1.92, 0.1, ("H2O",), ""),
    )
]
