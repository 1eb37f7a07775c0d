"""Kinslow (editor): High-Velocity Impact Phenomena, Academic Press (1970), 10.1016/B978-0-124-08950-1.X5001-0.
Appendix: linear fits, rho0 (g/cm^3), c0 (km/s), s, Grueneisen gamma0.
"""

from megabar.anvil.eos import Source
from megabar.anvil.shock.hugoniot import ShockMaterial

_SOURCE = Source("Kinslow, High-Velocity Impact Phenomena (1970)", "10.1016/B978-0-124-08950-1.X5001-0", "appendix")

MATERIALS = [
    ShockMaterial(name, _SOURCE, rho0, c0, s, gamma0=gamma)
    for name, rho0, c0, s, gamma in (
        ("Al-2024", 2.785, 5.328, 1.338, 2.00),
        ("Cu", 8.930, 3.940, 1.489, 1.99),
        ("Be", 1.851, 7.998, 1.124, 1.16),
        ("Mg", 1.740, 4.492, 1.263, 1.425),
        ("Nb", 8.586, 4.438, 1.207, 1.47),
        ("Ta", 16.654, 3.414, 1.200, 1.60),
        ("Mo", 10.206, 5.124, 1.233, 1.52),
        ("W", 19.224, 4.029, 1.237, 1.54),
        ("Re", 21.020, 4.184, 1.367, 2.44),
        ("Ir", 22.484, 3.916, 1.457, 1.97),
        ("Pt", 21.419, 3.598, 1.544, 2.40),
        ("SS-304", 7.896, 4.569, 1.490, 2.17),
        ("LDPE", 0.915, 2.901, 1.481, 1.644),
        ("PMMA", 1.185, 2.572, 1.536, 0.97),
    )
]
