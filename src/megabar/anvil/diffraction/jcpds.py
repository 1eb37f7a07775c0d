"""Cards in the .jcpds format, version 4, as Dioptas and its ancestors read them.

The first line is VERSION: 4, each further line KEYWORD: value. The reader takes SYMMETRY, the cell lengths and angles
that the symmetry leaves free, K0 and K0P for a third-order Birch-Murnaghan curve, and DIHKL: d, intensity, h, k, l;
d-spacings are recomputed from the cell. With K0 = 0 the cell stays as it is at every pressure.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from megabar.anvil.diffraction.phase import Phase
from megabar.anvil.diffraction.powder import merged_peaks, reflections
from megabar.anvil.eos import Marker
from megabar.campaign.files import write_text
from megabar.coldcurves import birch_murnaghan_3
from megabar.errors import InputError

_LENGTHS = {"cubic": ("A",), "tetragonal": ("A", "C"), "hexagonal": ("A", "C"), "trigonal": ("A", "C"),
            "orthorhombic": ("A", "B", "C"), "monoclinic": ("A", "B", "C", "BETA"),
            "triclinic": ("A", "B", "C", "ALPHA", "BETA", "GAMMA")}


@dataclass(frozen=True)
class BirchMurnaghan:
    """Zero-pressure cell volume (A^3), K0 (GPa) and K0' of the curve that a card carries."""

    V0_A3: float
    K0_GPa: float
    K0_prime: float
    misfit_GPa: float = 0.0


def card_curve(marker: Marker, highest_GPa: float) -> BirchMurnaghan:
    """The Birch-Murnaghan curve nearest to a marker's equation of state up to `highest_GPa`, V0 kept.

    Cards know no other form; `misfit_GPa` is the largest difference on the way (0.3 GPa for metals to 150 GPa).
    """
    if marker.curve == "BM3":
        return BirchMurnaghan(marker.V0_A3, marker.K0_GPa, marker.K0_prime)
    pressures = np.linspace(0.0, max(highest_GPa, 1.0), 40)
    x = np.array([marker.volume_A3(float(p)) for p in pressures]) / marker.V0_A3
    fit = least_squares(lambda p: birch_murnaghan_3(x, p[0], p[1]) - pressures, [marker.K0_GPa, marker.K0_prime])
    return BirchMurnaghan(marker.V0_A3, float(fit.x[0]), float(fit.x[1]), float(np.abs(fit.fun).max()))


def jcpds_card(
    phase: Phase, wavelength_A: float, *, curve: BirchMurnaghan | None = None, two_theta_max_deg: float = 30.0,
    least_intensity: float = 0.5,
) -> str:
    """Text of a .jcpds card of a phase.

    Without `curve` the cell is that at the phase's pressure and K0 is 0, so that it stays there whatever pressure is
    set. With `curve` the card holds the zero-pressure cell (axial ratios as at pressure) and its equation of state.
    Intensities are relative to 100, without those below `least_intensity`.
    """
    shown = phase
    if curve is not None:
        if not (curve.V0_A3 > 0.0 and curve.K0_GPa > 0.0 and curve.K0_prime > 0.0):
            raise InputError(f"{phase.name}: V0, K0 and K0' of a card have to be positive")
        scale = (curve.V0_A3 / phase.volume_A3) ** (1.0 / 3.0)
        lengths = np.array([name.endswith("_A") for name in phase.free_names])
        shown = phase.with_cell(np.where(lengths, phase.free_cell * scale, phase.free_cell))
    r = reflections(phase, wavelength_A, two_theta_max_deg)
    strongest = float(r.intensity.max())
    peaks = [p for p in merged_peaks(phase, r, 100.0 * r.intensity / strongest, least_intensity)]
    d0 = {p.hkl: 1.0 / float(np.linalg.norm(np.array(p.hkl) @ np.linalg.inv(shown.atoms.cell[:]).T)) for p in peaks}
    comment = f"{phase.name} {phase.symbol}"
    if curve is None and phase.pressure_GPa is not None:
        comment += f", cell at {phase.pressure_GPa:g} GPa, held there (K0 = 0)"
    lines = ["VERSION: 4", f"COMMENT: {comment}"]
    if phase.comment:
        lines.append(f"COMMENT: {' '.join(phase.comment.split())}")
    lines += [f"K0: {0.0 if curve is None else curve.K0_GPa:.5f}",
              f"K0P: {4.0 if curve is None else curve.K0_prime:.5f}",
              f"SYMMETRY: {'HEXAGONAL' if phase.system == 'trigonal' else phase.system.upper()}"]
    values = dict(zip(("A", "B", "C", "ALPHA", "BETA", "GAMMA"), shown.atoms.cell.cellpar(), strict=True))
    lines += [f"{key}: {values[key]:.6f}" for key in _LENGTHS[phase.system]]
    lines += [f"VOLUME: {shown.volume_A3:.6f}", "ALPHAT: 0.0"]
    for p in peaks:
        h, k, l = p.hkl  # noqa: E741 - the names of the Miller indices
        lines.append(f"DIHKL: {d0[p.hkl]:.6f} {p.intensity:.2f} {h} {k} {l}")
    return "\n".join(lines) + "\n"


def write_jcpds(path: str | Path, phase: Phase, wavelength_A: float, *, curve: BirchMurnaghan | None = None) -> None:
    """Write `jcpds_card` to a file."""
    write_text(path, jcpds_card(phase, wavelength_A, curve=curve))
