"""Sakai et al.: High-pressure generation using double-stage diamond anvil technique: problems and equations of state of
rhenium. High Press. Res. 38, 107 (2018). Vinet on the Pt scale of Yokoo et al. (2009).
"""

from megabar.anvil.eos import Marker, Source

MARKERS = [
    Marker("Re", "sakai2018", Source("Sakai et al., High Press. Res. 38, 107 (2018)",
                                     "10.1080/08957959.2018.1448082", "Vinet fit on the Pt scale of Yokoo et al."),
           "Vinet", 29.47, 358.0, 4.8, (0.0, 310.0), "Re against Pt from 130 to 310 GPa, V0 fixed at 1 bar",
           sigma={"K0_GPa": 10.0, "K0_prime": 0.2}),
]
