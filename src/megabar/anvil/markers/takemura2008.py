"""Takemura, Dewaele: Isothermal equation of state for gold with a He-pressure medium. Phys. Rev. B 78, 104119 (2008).
Vinet fit on the ruby scale of Dorogokupets and Oganov (2007).
"""

from megabar.anvil.eos import Marker, Source

MARKERS = [
    Marker("Au", "takemura2008", Source("Takemura and Dewaele, Phys. Rev. B 78, 104119 (2008)",
                                        "10.1103/PhysRevB.78.104119", "Vinet fit"),
           "Vinet", 4 * 16.962, 167.0, 5.90, (0.0, 131.0), "helium medium to 130.8 GPa", sigma={"K0_prime": 0.1}),
]
