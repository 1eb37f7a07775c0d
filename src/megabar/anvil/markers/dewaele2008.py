"""Dewaele, Datchi, Loubeyre, Mezouar: High pressure-high temperature equations of state of neon and diamond.
Phys. Rev. B 77, 094106 (2008). Vinet at 298 K with K0 fixed at the ultrasonic value; V0 = 5.6693 A^3 per atom.
"""

from megabar.anvil.eos import Marker, Source

MARKERS = [
    Marker("diamond", "dewaele2008", Source("Dewaele et al., Phys. Rev. B 77, 094106 (2008)",
                                            "10.1103/PhysRevB.77.094106", "Vinet fit"),
           "Vinet", 8 * 5.6693, 444.5, 4.18, (0.0, 80.0), "single crystals in neon to 80 GPa", reference_K=298.0,
           sigma={"V0_A3": 0.0128, "K0_prime": 0.15}, compared_GPa=139.0,
           compared_source="Datchi et al. (2007) on the data of Occelli et al., 10.1103/PhysRevB.75.214104"),
]
