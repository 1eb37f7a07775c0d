"""Matsui, Ito, Katsura, Yamazaki, Yoshino, Yokoyama, Funakoshi: The temperature-pressure-volume equation of state of
platinum. J. Appl. Phys. 105, 013505 (2009). Vinet + MGD (Table II) + the electronic pressure of Tsuchiya & Kawamura.
"""

from megabar.anvil.eos import Marker, Source
from megabar.anvil.thermal import MieGrueneisenDebye, PowerLaw

MARKERS = [
    Marker("Pt", "matsui2009", Source("Matsui et al., J. Appl. Phys. 105, 013505 (2009)", "10.1063/1.3054331",
                                      "Table II"),
           "Vinet", 60.38, 273.0, 5.20, (0.0, 300.0), "recommended by the authors to 300 GPa",
           temperature_K=(300.0, 3000.0),
           thermal=MieGrueneisenDebye(
               PowerLaw(2.70, 1.1, 230.0),
               # Quartic through Table I of Tsuchiya & Kawamura, Phys. Rev. B 66, 094115 (2002).
               electronic_GPa=(-0.069, 1.8269e-4, 1.6209e-7, -1.4551e-11, 1.1916e-15))),
]
