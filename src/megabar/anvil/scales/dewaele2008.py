"""Dewaele, Torrent, Loubeyre, Mezouar: Compression curves of transition metals in the Mbar range: experiments and
projector augmented-wave calculations. Phys. Rev. B 78, 104102 (2008). Section IV and Fig. 3.
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("ruby", "dewaele2008", Source("Dewaele et al., Phys. Rev. B 78, 104102 (2008)",
                                               "10.1103/PhysRevB.78.104102", "section IV, Fig. 3"),
                 "power", {"A": 1920.0, "B": 9.61}, 694.24, (0.0, 153.0), "ten metals in helium to 153 GPa",
                 sigma={"A": 20.0, "B": 0.05}),
]
