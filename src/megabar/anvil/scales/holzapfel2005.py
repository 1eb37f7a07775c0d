"""Holzapfel: Progress in the realization of a practical pressure scale for the range 1-300 GPa.
High Press. Res. 25, 87 (2005). Freund-Ingalls form.
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("ruby", "holzapfel2005", Source("Holzapfel, High Press. Res. 25, 87 (2005)",
                                                 "10.1080/09511920500147501", "best fit"),
                 "freund-ingalls", {"A": 1845.0, "B": 14.7, "C": 7.5}, 694.24, (0.0, 300.0),
                 "the 1-300 GPa of the paper's title; direct data end near 150 GPa"),
]
