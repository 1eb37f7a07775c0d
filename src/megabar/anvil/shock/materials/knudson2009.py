"""Knudson, Desjarlais: Shock compression of quartz to 1.6 TPa: redefining a pressure standard.
Phys. Rev. Lett. 103, 225501 (2009), 10.1103/PhysRevLett.103.225501. Fluid alpha-quartz, exponential form.
"""

from megabar.anvil.eos import Source
from megabar.anvil.shock.hugoniot import ShockMaterial

MATERIALS = [
    # gamma = 0.64 is the effective value of Knudson & Desjarlais, Phys. Rev. B 88, 184107 (2013), for release above
    # 15 km/s shock velocity.
    ShockMaterial("quartz", Source("Knudson and Desjarlais, Phys. Rev. Lett. 103, 225501 (2009)",
                                   "10.1103/PhysRevLett.103.225501", "Us-up fit"),
                  2.65, 6.26, 1.20, a=-2.56, b_s_per_km=-0.37, gamma0=0.64, range_GPa=(100.0, 1600.0),
                  aliases=("alpha-quartz", "SiO2")),
]
