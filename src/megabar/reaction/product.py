"""What the hydride has become: by its metal sublattice, its H per metal, its symmetry and its diffraction pattern.

A phase is named only when its sublattice holds most of the metals that can be told and the hydrogen fits; otherwise
the answer is "none", with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.files import atomic_path, write_csv
from megabar.crystals import prototypes
from megabar.reaction import templates
from megabar.reaction.crystal import AveragedCrystal, Orientation, find_crystal, orientation
from megabar.reaction.geometry import slab_centre

PHASES = {
    "hcp-like (MH2 P6_3/mmc)": ("H2 P6_3/mmc", "MH2-P6_3/mmc", 1.5, 2.75),
    "hcp-like (MH2 Pnma)": ("H2 Pnma", "MH2-Pnma", 1.5, 2.75),
    "bct (MH4 I4/mmm)": ("H4 I4/mmm", "MH4-I4/mmm", 3.25, 4.75),
    "bcc (MH6 Im-3m)": ("H6 Im-3m", "MH6-Im-3m", 5.25, 6.75),
    "A15 (MH5.75 Pm-3n)": ("H5.75 Pm-3n", "MH5.75-Pm-3n", 5.0, 6.5),
}
"""Sublattice: phase behind the metal's symbol, prototype, and H per metal from and to. The limits lie about midway to
the next known hydride (M2H5 between MH2 and MH4, then MH5.75)."""
TURNING = ("H4 cubic", 3.25, 4.75)
"""The name of an fcc sublattice with the hydrogen of MH4, and H per metal from and to. Metals and hydridic H of MH4
I4/mmm are those of fluorite stretched along the axis on which all H2 lie; where the H2 turn freely, as in bulk CaH4 at
40 GPa and 1473 K, the axis goes (c/a of the metals from 1.6 to the 1.414 of fcc). Quenched, such a cell is I4/mmm."""


@dataclass(frozen=True)
class Untold:
    """A phase that was reported but cannot be recognised, and the H per metal, from and to, that would fit it."""

    phase: str
    low: float
    high: float
    reason: str

    def __str__(self) -> str:
        return f"{self.phase}: no template ({self.reason})"


UNTOLD = {"Ca": (Untold("Ca2H5 C2/m", 2.25, 3.25, "no atomic positions at hand"),)}
"""By metal. Ca2H5, above 20 GPa and 700 K: Mishra et al., J. Phys. Chem. C 122, 19370 (2018),
10.1021/acs.jpcc.8b05030. Its abstract gives space group, composition and a layer of H2, but no positions, so that not
even its metal sublattice is known here. Limits midway to MH2 and MH4."""
MAJORITY = 0.5
WAVELENGTH_A = 0.4066
"""A usual wavelength of diamond-anvil diffraction (APS 16-ID-B)."""
_TWO_THETA_DEG = np.linspace(4.0, 24.0, 1001)
_PEAK_WIDTH_DEG = 0.12


@dataclass(frozen=True)
class Diffraction:
    """Predicted powder pattern of the averaged crystal at WAVELENGTH_A, the strongest point 100.

    similarity: by phase, the cosine between this pattern and the phase's own at the same volume per metal (1: equal).
    """

    two_theta_deg: np.ndarray
    intensity: np.ndarray
    similarity: dict[str, float]


@dataclass(frozen=True)
class Product:
    """The phases at the start and at the end.

    Attributes:
        parent, phase: at the start and at the end, like "CaH4 I4/mmm", "liquid" or "none". changed: another one is
            named at the end than at the start.
        reason: why the phase at the end was so named, and which phase without a template would fit its hydrogen.
        h_per_metal: of the part that was named. no_template: reported phases that cannot be told, and why.
        time_ps: (t,); shares: (t, k) share of the deep metals in each sublattice of `sublattices`, the last "none".
        deep_metals: metals deep enough to be told, at the end.
        crystal, parent_crystal: averaged cells; None where the metals do not repeat. orientation: of the new phase on
            the parent. diffraction: None without a crystal.
    """

    parent: str
    phase: str
    changed: bool
    reason: str
    h_per_metal: float
    time_ps: np.ndarray
    shares: np.ndarray
    sublattices: tuple[str, ...]
    deep_metals: int
    crystal: AveragedCrystal | None
    parent_crystal: AveragedCrystal | None
    orientation: Orientation | None
    diffraction: Diffraction | None
    no_template: tuple[str, ...] = ()

    def save(self, out: Path) -> list[Path]:
        """product.csv, and where there is a crystal diffraction.csv and product.cif, in the folder `out`."""
        columns: dict[str, Any] = {"time_ps": self.time_ps, **dict(zip(self.sublattices, self.shares.T, strict=True))}
        write_csv(out / "product.csv", columns)
        written = [out / "product.csv"]
        if self.diffraction is not None:
            write_csv(out / "diffraction.csv", {"two_theta_deg": self.diffraction.two_theta_deg.tolist(),
                                                "intensity": self.diffraction.intensity.tolist()})
            written.append(out / "diffraction.csv")
        if self.crystal is not None:
            with atomic_path(out / "product.cif") as temporary:
                self.crystal.atoms.write(temporary, format="cif")
            written.append(out / "product.cif")
        return written

    def summary(self) -> dict[str, Any]:
        """Phases, symmetry and orientation for --json."""
        result: dict[str, Any] = {
            "parent": self.parent, "phase": self.phase, "changed": self.changed, "reason": self.reason,
            "H_per_metal": self.h_per_metal, "deep_metals": self.deep_metals,
            "sublattice_shares": dict(zip(self.sublattices, self.shares[-1], strict=True)),
            "no_template": list(self.no_template),
        }
        if self.crystal is not None:
            result["crystal"] = {"metal_space_group": self.crystal.metal_space_group,
                                 "space_group": self.crystal.space_group, "cellpar": self.crystal.atoms.cell.cellpar(),
                                 "h_sites_per_metal": self.crystal.h_sites_per_metal,
                                 "h_localised": self.crystal.h_localised, "sites_rms_A": self.crystal.sites_rms_A}
        if self.orientation is not None:
            found = self.orientation
            result["orientation"] = {"planes": found.planes, "directions": found.directions, "misfit": found.misfit,
                                     "multiples": found.multiples, "angle_normal_deg": found.angle_normal_deg,
                                     "angle_in_plane_deg": found.angle_in_plane_deg}
        if self.diffraction is not None:
            result["diffraction_similarity"] = self.diffraction.similarity
        return result


def name_phase(kinds: np.ndarray, hydrogen: np.ndarray, liquid_share: float, metal: str) -> tuple[str, str, float, int]:
    """Phase, reason, H per metal and number of the sublattice (-1: none).

    kinds (k + 1,): deep metals in no sublattice (first) and in each of `templates.NAMES`. hydrogen (k + 1,): H in the
    layers of these, summed per metal. liquid_share: share of the layers that are liquid by both measures.
    """
    phase, reason, content, best = _named(kinds, hydrogen, liquid_share, metal)
    fitting = [str(untold) for untold in UNTOLD.get(metal, ())
               if phase != "liquid" and untold.low <= content <= untold.high]
    return phase, "; its hydrogen would fit ".join([reason, *fitting]), content, best


def _named(kinds: np.ndarray, hydrogen: np.ndarray, liquid_share: float, metal: str) -> tuple[str, str, float, int]:
    deep = float(kinds.sum())
    overall = float(hydrogen.sum() / deep) if deep else float("nan")
    if liquid_share >= MAJORITY:
        return "liquid", f"{liquid_share:.0%} of the layers are disordered and mobile", overall, -1
    if deep < 4:
        return "none", f"only {deep:.0f} metals lie deep enough to be told: the slab is too thin", overall, -1
    best = int(kinds[1:].argmax())
    name, share = templates.NAMES[best], float(kinds[1 + best] / deep)
    if share < MAJORITY:
        return "none", f"no sublattice holds the majority (most: {name}, {share:.0%} of {deep:.0f} metals)", overall, -1
    content = float(hydrogen[1 + best] / kinds[1 + best])
    if name == "fcc" and TURNING[1] <= content <= TURNING[2]:
        found = f"fcc sublattice ({share:.0%} of {deep:.0f} metals) with {content:.2f} H per metal"
        return metal + TURNING[0], f"{found}: {metal}H4 I4/mmm whose H2 turn", content, best
    if name not in PHASES:
        return "none", f"{name} sublattice ({share:.0%}), which no known hydride here has", content, best
    label, _, low, high = PHASES[name]
    found = f"{name} sublattice ({share:.0%} of {deep:.0f} metals) with {content:.2f} H per metal"
    if not low <= content <= high:
        return "none", f"{found}: {metal}{label} would have {low:g} to {high:g}", content, best
    return metal + label, found, content, best


def identify(rows: dict[str, np.ndarray], liquid_share: np.ndarray, metal: str, numbers: np.ndarray, axis: int | None,
             recent: tuple[np.ndarray, np.ndarray, int], early: np.ndarray, kind: np.ndarray,
             cell_A: np.ndarray) -> Product:
    """Product from the rows of an analysis.

    liquid_share (t,): share of layers that are liquid. recent: mean and scatter (n, 3) of fractional positions over the
    last part of the run. early (n, 3): the first block's. kind (m,): sublattice of each metal at the end.
    """
    time, kinds, hydrogen = rows["time_ps"], rows["kinds"], rows["kinds_hydrogen"]
    tenth = max(1, len(time) // 10)
    # The start is told from the first rows: a tenth may already hold the product.
    few = max(1, min(3, tenth))
    # Mobility, and so the liquid, is known only half a lag from the ends: its first and last known rows speak for them.
    soon, fluid = slice(0, few), liquid_share[np.isfinite(liquid_share)]
    parent = name_phase(kinds[soon].mean(axis=0), hydrogen[soon].mean(axis=0), _mean(fluid[:few]), metal)[0]
    late = slice(-tenth, None)
    phase, reason, content, best = name_phase(kinds[late].mean(axis=0), hydrogen[late].mean(axis=0),
                                              _mean(fluid[late]), metal)
    deep = np.maximum(kinds.sum(axis=1), 1.0)
    shares = np.concatenate([kinds[:, 1:], kinds[:, :1]], axis=1) / deep[:, None]
    is_metal = numbers != 1
    mean, scatter, _ = recent
    chosen = (kind == best) if best >= 0 else np.ones(len(kind), dtype=bool)
    metal_number = int(np.bincount(numbers[is_metal]).argmax())
    crystal = parent_crystal = None
    if phase != "liquid":
        crystal = _crystal(mean, scatter, is_metal, chosen, axis, cell_A, metal_number)
    if parent != "liquid":
        every = np.ones(len(kind), dtype=bool)
        parent_crystal = _crystal(early, np.zeros_like(early), is_metal, every, axis, cell_A, metal_number)
    lying = None
    changed = phase != parent and phase != "none"
    if changed and crystal is not None and parent_crystal is not None:
        normal = np.linalg.inv(cell_A)[:, 2 if axis is None else axis]
        lying = orientation(parent_crystal, crystal, normal / np.linalg.norm(normal))
    pattern = None if crystal is None else _diffraction(crystal.atoms, metal)
    return Product(parent, phase, changed, reason, content, time, shares, (*templates.NAMES, "none"),
                   int(kinds[-tenth:].sum(axis=1).mean()), crystal, parent_crystal, lying, pattern,
                   tuple(str(untold) for untold in UNTOLD.get(metal, ())))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _crystal(fractions: np.ndarray, scatter: np.ndarray, is_metal: np.ndarray, chosen: np.ndarray, axis: int | None,
             cell_A: np.ndarray, metal_number: int) -> AveragedCrystal | None:
    """Averaged crystal of the stretch along the normal in which the chosen metals (m,) lie; the outermost layers of a
    slab, which relax, are left out."""
    places = fractions - np.floor(fractions)
    metals = np.flatnonzero(is_metal)
    if axis is not None:
        z = fractions[:, axis] - slab_centre(fractions[metals, axis])
        z -= np.rint(z)
        places[:, axis] = z
        low, high = np.quantile(z[metals], [0.08, 0.92])
        own = z[metals][chosen]
        if len(own):
            low, high = max(low, np.quantile(own, 0.02) - 1e-3), min(high, np.quantile(own, 0.98) + 1e-3)
        stretch = (z >= low - 1e-6) & (z <= high + 1e-6)
    else:
        stretch = np.ones(len(places), dtype=bool)
    positions = places @ cell_A
    hydrogen = np.flatnonzero(~is_metal & stretch)
    spread = np.linalg.norm(scatter[hydrogen] * np.linalg.norm(cell_A, axis=1), axis=1) / np.sqrt(3.0)
    return find_crystal(positions[metals[stretch[metals]]], positions[hydrogen], spread, cell_A, axis, metal_number)


def powder_pattern(atoms: Atoms) -> np.ndarray:
    """Intensity (1001,) over two theta of 4 to 24 degrees at WAVELENGTH_A, Gaussian peaks, the highest point 100."""
    from pymatgen.analysis.diffraction.xrd import XRDCalculator
    from pymatgen.io.ase import AseAtomsAdaptor

    structure = AseAtomsAdaptor.get_structure(atoms)  # type: ignore[arg-type]
    pattern = XRDCalculator(wavelength=WAVELENGTH_A).get_pattern(structure, scaled=False, two_theta_range=(4.0, 24.0))
    away = (_TWO_THETA_DEG[:, None] - np.asarray(pattern.x)[None]) / _PEAK_WIDTH_DEG
    curve = np.exp(-0.5 * away**2) @ np.asarray(pattern.y)
    return 100.0 * curve / max(float(curve.max()), 1e-300)


def _diffraction(atoms: Atoms, metal: str) -> Diffraction:
    curve = powder_pattern(atoms)
    volume = atoms.get_volume() / np.sum(atoms.numbers != 1)
    similarity = {}
    for label, prototype, _, _ in PHASES.values():
        reference = prototypes.build(prototype, metal, 40.0)
        scale = (volume / (reference.get_volume() / np.sum(reference.numbers != 1))) ** (1.0 / 3.0)
        reference.set_cell(reference.cell * scale, scale_atoms=True)
        other = powder_pattern(reference)
        similarity[metal + label] = float(curve @ other / np.sqrt((curve @ curve) * (other @ other)))
    return Diffraction(_TWO_THETA_DEG, curve, similarity)
