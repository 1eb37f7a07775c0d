"""Eremets, Minkov, Kong, Drozdov, Chariton, Prakapenka: Universal diamond edge Raman scale to 0.5 terapascal and
implications for the metallization of hydrogen. Nat. Commun. 14, 907 (2023). On the Au scale of Fratanduono (2021).
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    # A x + B x^2 with A = 517, B = 764 GPa.
    OpticalScale("diamond-edge", "eremets2023", Source("Eremets et al., Nat. Commun. 14, 907 (2023)",
                                                       "10.1038/s41467-023-36429-9", "universal scale"),
                 "quadratic", {"A": 517.0, "m": 764.0 / 517.0}, 1332.5, (0.0, 500.0),
                 "Au (Fratanduono 2021) to 500 GPa"),
]
