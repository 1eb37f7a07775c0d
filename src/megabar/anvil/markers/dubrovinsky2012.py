"""Dubrovinsky, Dubrovinskaia, Prakapenka, Abakumov: Implementation of micro-ball nanodiamond anvils for high-pressure
studies above 6 Mbar. Nat. Commun. 3, 1163 (2012). BM3 of rhenium; the stiffest of the Re scales.
"""

from megabar.anvil.eos import Marker, Source

MARKERS = [
    Marker("Re", "dubrovinsky2012", Source("Dubrovinsky et al., Nat. Commun. 3, 1163 (2012)", "10.1038/ncomms2160",
                                           "BM3 fit"),
           "BM3", 29.42, 342.0, 6.15, (0.0, 640.0), "two-stage nanodiamond anvils to 640 GPa",
           note="some 20 % above Anzellini et al. (2014) at 250 GPa; the two cannot both be right"),
]
