"""Fratanduono et al.: Establishing gold and platinum standards to 1 terapascal using shockless compression.
Science 372, 1063 (2021). Vinet reduction of the ramp data to 298 K, Table 1; V0 = 16.929 A^3 per atom.
"""

from megabar.anvil.eos import Marker, Source

MARKERS = [
    Marker("Au", "fratanduono2021", Source("Fratanduono et al., Science 372, 1063 (2021)", "10.1126/science.abh0364",
                                           "Table 1"),
           "Vinet", 4 * 16.929, 170.9, 5.88, (0.0, 1000.0), "shockless compression to 1 TPa, reduced to 298 K",
           reference_K=298.0, sigma={"K0_GPa": 0.24, "K0_prime": 0.005},
           note="the scale on which the diamond edge was calibrated by Eremets et al. (2023)"),
]
