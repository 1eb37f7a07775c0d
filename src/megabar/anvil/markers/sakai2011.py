"""Sakai, Ohtani, Hirao, Ohishi: Equation of state of the NaCl-B2 phase up to 304 GPa. J. Appl. Phys. 109, 084912
(2011). Vinet on the Pt scale of Fei et al. (2007), Table II.
"""

from megabar.anvil.eos import Marker, Source

MARKERS = [
    Marker("NaCl-B2", "sakai2011", Source("Sakai et al., J. Appl. Phys. 109, 084912 (2011)", "10.1063/1.3573393",
                                          "Table II, Vinet on the Pt scale of Fei et al. (2007)"),
           "Vinet", 37.73, 41.36, 4.96, (54.0, 302.0), "NaCl-B2 against Pt from 54 to 302 GPa",
           sigma={"K0_GPa": 0.53, "K0_prime": 0.04},
           note="V0 is an extrapolation of the high-pressure phase: ratios V/V0 are not those of fei2007"),
]
