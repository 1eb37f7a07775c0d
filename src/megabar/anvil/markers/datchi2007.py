"""Datchi, Dewaele, Le Godec, Loubeyre: Equation of state of cubic boron nitride at high pressures and temperatures.
Phys. Rev. B 75, 214104 (2007): the diamond data of Occelli et al. (2003) on the ruby scale of Holzapfel (2005).
"""

from megabar.anvil.eos import Marker, Source

MARKERS = [
    Marker("diamond", "datchi2007", Source("Datchi et al., Phys. Rev. B 75, 214104 (2007)",
                                           "10.1103/PhysRevB.75.214104", "Vinet refit of Occelli et al. (2003)"),
           "Vinet", 8 * 5.6733, 443.0, 3.97, (0.0, 153.0), "helium medium to 153 GPa (Holzapfel 2005 ruby scale)",
           reference_K=298.0, sigma={"K0_GPa": 3.0, "K0_prime": 0.05}),
]
