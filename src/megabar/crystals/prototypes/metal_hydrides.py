"""Hydrides of alkaline-earth and similar metals, MH2 to MH6."""

from __future__ import annotations

from megabar.crystals.prototypes.prototype import Prototype

PROTOTYPES = (
    # Cotunnite; COD 4103660 (CaH2, 300 K, neutron powder), a 5.9696 b 3.6022 c 6.8336 A.
    Prototype("MH2-Pnma", 62, (("M", (0.26043, 0.25, 0.39014)), ("H", (0.138, 0.25, 0.072)),
                               ("H", (0.029, 0.25, 0.672))),
              3.6022 / 5.9696, 6.8336 / 5.9696, 90.0, 2.0, "COD 4103660", volume_scale=1.13),
    # Ni2In type, CaH2 above about 15 GPa: Tse et al., Phys. Rev. B 75, 134108 (2007), 10.1103/PhysRevB.75.134108.
    Prototype("MH2-P6_3/mmc", 194, (("M", (1 / 3, 2 / 3, 0.25)), ("H", (0.0, 0.0, 0.0)), ("H", (1 / 3, 2 / 3, 0.75))),
              1.0, 1.35, 120.0, 2.0, "10.1103/PhysRevB.75.134108"),
    # AlB2 type, the denser competitor of the Ni2In form.
    Prototype("MH2-P6/mmm", 191, (("M", (0.0, 0.0, 0.0)), ("H", (1 / 3, 2 / 3, 0.5))),
              1.0, 0.95, 120.0, 2.0, "AlB2 aristotype", volume_scale=0.98),
    # Fluorite, the dihydride of the rare earths; unstable for Ca but close to the melt's local order.
    Prototype("MH2-Fm-3m", 225, (("M", (0.0, 0.0, 0.0)), ("H", (0.25, 0.25, 0.25))), 1.0, 1.0, 90.0, 2.0,
              "CaF2 aristotype", volume_scale=1.08),
    # ThCr2Si2 derived: hydridic H on 4d, H2 units along c on 4e (H-H 0.81-0.85 A); Wang et al., PNAS 109, 6463 (2012),
    # 10.1073/pnas.1118168109.
    Prototype("MH4-I4/mmm", 139, (("M", (0.0, 0.0, 0.0)), ("H", (0.0, 0.5, 0.25)), ("H", (0.0, 0.0, 0.424))),
              1.0, 1.78, 90.0, 4.0, "10.1073/pnas.1118168109", h2_bond_A=0.83),
    # Sodalite-like clathrate: Wang et al. 2012.
    Prototype("MH6-Im-3m", 229, (("M", (0.0, 0.0, 0.0)), ("H", (0.25, 0.0, 0.5))), 1.0, 1.0, 90.0, 6.0,
              "10.1073/pnas.1118168109", metallic=True, volume_scale=0.97),
    # Type-I clathrate M8H46: the La4H23 structure, Laniel/Guo et al., arXiv 2307.13067; CaH5.75 in arXiv 2603.08950.
    Prototype("MH5.75-Pm-3n", 223, (("M", (0.0, 0.0, 0.0)), ("M", (0.25, 0.5, 0.0)), ("H", (0.25, 0.0, 0.5)),
                                    ("H", (0.18, 0.18, 0.18)), ("H", (0.0, 0.31, 0.12))),
              1.0, 1.0, 90.0, 5.75, "arXiv:2307.13067", metallic=True, volume_scale=0.98),
)
