"""Davison: Fundamentals of Shock Wave Propagation in Solids, Springer (2008), 10.1007/978-3-540-74569-3."""

from megabar.anvil.eos import Source
from megabar.anvil.shock.hugoniot import ShockMaterial

MATERIALS = [
    ShockMaterial("Al2O3", Source("Davison, Fundamentals of Shock Wave Propagation in Solids (2008)",
                                  "10.1007/978-3-540-74569-3", "table of Us-up fits"),
                  3.988, 11.186, 1.05, aliases=("sapphire",)),
]
