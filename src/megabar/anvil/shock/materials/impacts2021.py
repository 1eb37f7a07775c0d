"""Quadratic fits collected by Stewart and co-workers for impedance matching, ImpactsWiki (2021), from the shock wave
database of Levashov et al., AIP Conf. Proc. 706, 87 (2004), 10.1063/1.1780190.
"""

from megabar.anvil.eos import Source
from megabar.anvil.shock.hugoniot import ShockMaterial

_SOURCE = Source("ImpactsWiki material table on the Shock Wave Database (Levashov et al. 2004)", "10.1063/1.1780190",
                 "quadratic fits")

MATERIALS = [
    ShockMaterial("Cu-quadratic", _SOURCE, 8.924, 3.975, 1.471, q_s_per_km=-5.008e-3, gamma0=1.99),
    ShockMaterial("W-quadratic", _SOURCE, 19.235, 3.994, 1.2788, q_s_per_km=-4.937e-3, gamma0=1.54),
]
