"""Dorogokupets, Oganov: Ruby, metals, and MgO as alternative pressure scales. Phys. Rev. B 75, 024115 (2007).

Vinet reference isotherm at 298.15 K and a thermal part with two Bose-Einstein and two Einstein contributions (Table I).
"""

from megabar.anvil.eos import CM3_PER_MOL_IN_A3, Marker, Source
from megabar.anvil.thermal import MultiOscillator

_SOURCE = Source("Dorogokupets and Oganov, Phys. Rev. B 75, 024115 (2007)", "10.1103/PhysRevB.75.024115", "Table I")
_RANGE = "the reach of the ruby scale that the authors build on these equations, 300 GPa"


def _marker(material: str, cells: int, V0_cm3_per_mol: float, K0_GPa: float, K0_prime: float, hottest_K: float,
            thermal: MultiOscillator) -> Marker:
    return Marker(material, "dorogokupets2007", _SOURCE, "Vinet", cells * V0_cm3_per_mol * CM3_PER_MOL_IN_A3, K0_GPa,
                  K0_prime, (0.0, 300.0), _RANGE, reference_K=298.15, temperature_K=(100.0, hottest_K),
                  thermal=thermal)


MARKERS = [
    _marker("Au", 4, 10.215, 166.70, 6.00, 1300.0, MultiOscillator(
        1, ((0.681, 95.7, 8.290), (0.417, 106.4, 3.239)), ((1.063, 170.6), (0.839, 105.2)), 2.965, 1.142, 3.030,
        a_per_K=25.33e-6, m=3.79, e_per_K=18.92e-6, g=0.66, vacancy=(11690.0, 1.067, -1.0, -2.0))),
    _marker("Pt", 4, 9.091, 276.07, 5.30, 2000.0, MultiOscillator(
        1, ((0.329, 95.2, 8.199), (0.383, 148.4, 4.005)), ((1.211, 214.6), (1.077, 140.8)), 2.802, 1.538, 5.550,
        a_per_K=160.9e-6, m=4.06, e_per_K=260.0e-6, g=2.4, vacancy=(32572.0, 0.631, -1.0, -2.0))),
    _marker("Cu", 4, 7.113, 133.41, 5.37, 1350.0, MultiOscillator(
        1, ((0.115, 123.7, 3.776), (0.711, 175.4, 10.372)), ((0.756, 187.4), (1.418, 286.9)), 1.974, 1.554, 4.647,
        a_per_K=3.50e-6, m=3.46, e_per_K=27.698e-6, g=0.666, vacancy=(11687.0, 1.407, -1.0, -2.0))),
    _marker("W", 2, 9.545, 306.00, 4.17, 3600.0, MultiOscillator(
        1, ((0.513, 182.8, 13.270), (0.174, 172.5, 3.305)), ((1.166, 287.6), (1.145, 213.8)), 1.553, 0.694, 3.698,
        a_per_K=-39.3e-6, m=2.67, e_per_K=40.4e-6, g=0.2, vacancy=(14714.0, 0.672, -1.0, -2.0))),
    _marker("MgO", 4, 11.248, 160.31, 4.18, 3000.0, MultiOscillator(
        2, ((1.429, 447.3, 11.248), (0.276, 384.0, 3.593)), ((2.570, 703.8), (1.725, 466.0)), 1.522, 1.111, 4.509,
        a_per_K=13.56e-6, m=5.23)),
    _marker("diamond", 8, 3.417, 443.16, 3.777, 3000.0, MultiOscillator(
        1, ((1.163, 1202.1, 9.604), (0.218, 1135.1, 3.380)), ((1.396, 1687.2), (0.223, 1033.7)), 0.820, 0.615, 10.121,
        a_per_K=-23.85e-6, m=1.22)),
]
