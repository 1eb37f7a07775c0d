"""Matsui, Higo, Okamoto, Irifune, Funakoshi: Simultaneous sound velocity and density measurements of NaCl at high
temperatures and pressures: application as a primary pressure standard. Am. Mineral. 97, 1670 (2012). BM4 + MGD.
"""

from megabar.anvil.eos import CM3_PER_MOL_IN_A3, Marker, Source
from megabar.anvil.thermal import MieGrueneisenDebye, PowerLaw

MARKERS = [
    Marker("NaCl-B1", "matsui2012", Source("Matsui et al., Am. Mineral. 97, 1670 (2012)", "10.2138/am.2012.4136",
                                           "BM4 + MGD"),
           "BM4", 4 * 27.013 * CM3_PER_MOL_IN_A3, 23.7, 5.14, (0.0, 12.0),
           "velocities and densities to 12 GPa and 673 K, no pressure scale assumed", K0_second_per_GPa=-0.392,
           temperature_K=(300.0, 673.0), thermal=MieGrueneisenDebye(PowerLaw(1.56, 0.96, 279.0)), compared_GPa=30.0,
           compared_source="Dorogokupets and Dewaele (2007), 10.1080/08957950701659700"),
]
