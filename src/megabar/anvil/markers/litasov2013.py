"""Litasov et al.: Thermal equation of state to 33.5 GPa and 1673 K and thermodynamic properties of tungsten.
J. Appl. Phys. 113, 133505 (2013). Vinet with Mie-Grueneisen-Debye (abstract and the MGD fit).
"""

from megabar.anvil.eos import CM3_PER_MOL_IN_A3, Marker, Source
from megabar.anvil.thermal import MieGrueneisenDebye, PowerLaw

MARKERS = [
    # 9.5481 cm3/mol is 31.71(2) A^3 per cell of two atoms; theta0 was fixed between 370 and 405 K, 388 K used here.
    Marker("W", "litasov2013", Source("Litasov et al., J. Appl. Phys. 113, 133505 (2013)", "10.1063/1.4799018",
                                      "Vinet + MGD fit"),
           "Vinet", 2 * 9.5481 * CM3_PER_MOL_IN_A3, 308.0, 4.20, (0.0, 33.5),
           "multi-anvil data to 33.5 GPa and 1673 K (MgO and Au scales)", temperature_K=(300.0, 1673.0),
           thermal=MieGrueneisenDebye(PowerLaw(1.81, 0.71, 388.0)),
           sigma={"V0_A3": 0.02, "K0_GPa": 1.0, "K0_prime": 0.05}, compared_GPa=153.0,
           compared_source="the helium data of Dewaele et al. (2004), Table I, 10.1103/PhysRevB.70.094112"),
]
