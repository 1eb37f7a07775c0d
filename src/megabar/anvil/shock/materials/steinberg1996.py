"""Steinberg: Equation of State and Strength Properties of Selected Materials. LLNL report UCRL-MA-106439 (1996)."""

from megabar.anvil.eos import Source
from megabar.anvil.shock.hugoniot import ShockMaterial

MATERIALS = [
    ShockMaterial("LiF", Source("Steinberg, UCRL-MA-106439 (1996)", "report UCRL-MA-106439", "LiF [100]"),
                  2.638, 5.150, 1.350, gamma0=1.69, note="single crystal [100], the usual window"),
]
