"""Shen et al.: Toward an international practical pressure scale: a proposal for an IPPS ruby gauge (IPPS-Ruby2020).
High Press. Res. 40, 299 (2020). Endorsed by AIRAPT in June 2020.
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("ruby", "ruby2020", Source("Shen et al., High Press. Res. 40, 299 (2020)",
                                            "10.1080/08957959.2020.1791107", "abstract"),
                 "quadratic", {"A": 1870.0, "m": 5.63}, 694.25, (0.0, 150.0),
                 "the applicable range stated by the task group, to 150 GPa", sigma={"A": 10.0, "m": 0.03}),
]
