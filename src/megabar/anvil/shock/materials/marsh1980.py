"""Marsh (editor): LASL Shock Hugoniot Data, University of California Press (1980), ISBN 0-520-04008-2."""

from megabar.anvil.eos import Source
from megabar.anvil.shock.hugoniot import ShockMaterial

_SOURCE = Source("Marsh, LASL Shock Hugoniot Data (1980)", "ISBN 0-520-04008-2", "linear fits")

MATERIALS = [
    ShockMaterial("diamond", _SOURCE, 3.191, 7.81, 1.43, aliases=("C-diamond",),
                  note="pressed powder at 3.191 g/cm3; single crystals start at 3.51 and have an elastic precursor"),
    ShockMaterial("graphite-porous", _SOURCE, 1.000, 0.79, 1.30),
    ShockMaterial("MgO", _SOURCE, 3.584, 6.60, 1.37, gamma0=1.52, aliases=("periclase",), range_GPa=(19.0, 120.0),
                  note="single crystals; gamma0 of Speziale et al. (2001)"),
]
