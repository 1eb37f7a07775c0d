"""Anzellini, Dewaele, Occelli, Loubeyre, Mezouar: Equation of state of rhenium and application for ultra high pressure
calibration. J. Appl. Phys. 115, 043511 (2014). Vinet at 300 K; V0 = 8.8726 cm3/mol = 14.7333 A^3/atom.
"""

from megabar.anvil.eos import Marker, Source

MARKERS = [
    Marker("Re", "anzellini2014", Source("Anzellini et al., J. Appl. Phys. 115, 043511 (2014)", "10.1063/1.4863300",
                                         "Vinet fit"),
           "Vinet", 29.4666, 352.6, 4.56, (0.0, 144.0), "powder in helium to 144 GPa (Table III)",
           sigma={"V0_A3": 0.0332, "K0_GPa": 8.0, "K0_prime": 0.17}, compared_GPa=310.0,
           compared_source="Sakai et al. (2018), 10.1080/08957959.2018.1448082"),
]
