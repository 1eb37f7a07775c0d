"""Tc of a spectrum, or of its moments alone, on every rung of the ladder: McMillan, Allen-Dynes, Xie, Eliashberg."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.errors import InputError, NotConverged
from megabar.superconductivity import formulas
from megabar.superconductivity.eliashberg import cutoff_convergence, eliashberg_tc_K
from megabar.superconductivity.formulas import F2Form, Moments, check_mu_star
from megabar.superconductivity.spectrum import STRONGEST_LAMBDA, Alpha2F, Spectrum
from megabar.superconductivity.thermodynamics import BelowTc, Isotope, below_tc, isotope

MU_STAR_BAND = (0.08, 0.10, 0.12, 0.14, 0.16)
CITATIONS = (
    "McMillan, Phys. Rev. 167, 331 (1968), doi:10.1103/PhysRev.167.331",
    "Allen and Dynes, Phys. Rev. B 12, 905 (1975), doi:10.1103/PhysRevB.12.905",
    "Xie et al., npj Comput. Mater. 8, 14 (2022), doi:10.1038/s41524-021-00666-7",
    "Allen and Mitrovic, Solid State Phys. 37, 1 (1982), doi:10.1016/S0081-1947(08)60665-7",
    "Carbotte, Rev. Mod. Phys. 62, 1027 (1990), doi:10.1103/RevModPhys.62.1027",
)


@dataclass(frozen=True)
class TcResult:
    """Tc and what follows from it; entries that need the whole alpha^2F are None when only moments were given."""

    moments: Moments
    mu_star: float
    f2: F2Form
    tc_K: dict[str, float | None]
    band: list[dict[str, float | None]]
    warnings: tuple[str, ...]
    curve: Alpha2F | None = None
    convergence: dict[str, list[float]] | None = None
    tc_mu_at_cutoff_K: float | None = None
    solution: BelowTc | None = None
    isotopes: Isotope | None = None
    critical_field_T: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the keys of the command line's JSON; temperatures and frequencies in K."""
        m = self.moments
        result: dict[str, Any] = {
            "lambda": m.coupling, "omega_log_K": m.omega_log_K, "omega_2_K": m.omega_2_K, "mu_star": self.mu_star,
            "f2": self.f2, "tc_K": self.tc_K, "mu_star_band": self.band,
            "isotope": {"exponent_mcmillan": formulas.mcmillan_isotope_exponent(m.coupling, self.mu_star)},
        }
        best = self.tc_K["eliashberg"] or self.tc_K["allen_dynes"]
        if best and best < 0.2 * m.omega_log_K:
            result["ratios_by_formula"] = {
                "gap_ratio": formulas.gap_ratio(best, m.omega_log_K),
                "specific_heat_jump_ratio": formulas.specific_heat_jump_ratio(best, m.omega_log_K),
                "field_ratio": formulas.field_ratio(best, m.omega_log_K)}
        if self.curve is not None:
            result |= {"source": self.curve.source, "layout": self.curve.layout, "unit": self.curve.unit,
                       "column": self.curve.column, "omega_max_K": self.curve.omega_max_K,
                       "eliashberg": {"mu_star_defined_at": "omega_max", "cutoff_convergence": self.convergence,
                                      "tc_K_mu_star_at_10_omega_max": self.tc_mu_at_cutoff_K}}
        if self.solution is not None:
            s = self.solution
            result["eliashberg"] |= {
                "gap_meV": s.gap_edge_meV, "gap_ratio": s.gap_ratio, "field_ratio": s.field_ratio,
                "specific_heat_jump_ratio": s.specific_heat_jump_ratio, "critical_field_T": self.critical_field_T,
                "temperature_K": s.temperature_K, "gap_first_frequency_meV": s.gap_meV, "z_first_frequency": s.z_first}
        if self.isotopes is not None:
            result["isotope"] |= self.isotopes.to_dict()
        return result | {"warnings": list(self.warnings)}

    def save(self, directory: str | Path) -> None:
        """`result.json`, `tc_mu_star.png` and `.csv`, and with a spectrum `alpha2f.png`, `gap.csv` beside them."""
        from matplotlib.figure import Figure

        target = Path(directory)
        write_json(target / "result.json", self.to_dict())
        write_csv(target / "tc_mu_star.csv", {key: [row[key] for row in self.band] for key in self.band[0]})
        if self.curve is not None:
            self.curve.save(target)
        if self.solution is not None:
            self.solution.save(target)
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        self.plot(figure.add_subplot())
        with atomic_path(target / "tc_mu_star.png") as path:
            figure.savefig(path, dpi=150)

    def plot(self, ax: Any) -> None:
        """Tc against mu* by every method."""
        names = {"mcmillan_K": "McMillan", "allen_dynes_K": "Allen-Dynes", "xie_K": "Xie 2022",
                 "eliashberg_K": "Migdal-Eliashberg"}
        for key, label in names.items():
            points = [(row["mu_star"], row[key]) for row in self.band if row[key] is not None]
            if points:
                ax.plot(*zip(*points, strict=True), marker="o", ms=4, label=label, lw=2.2 if key[0] == "e" else 1.2)
        ax.axvline(self.mu_star, color="0.6", lw=0.8, ls="--")
        ax.set_xlabel(r"Coulomb pseudopotential $\mu^*$")
        ax.set_ylabel(r"$T_c$ (K)")
        ax.set_ylim(0.0, None)
        ax.legend(frameon=False)


def _ladder(moments: Moments, spectrum: Spectrum | None, mu_star: float, f2: F2Form) -> dict[str, float | None]:
    return {
        "mcmillan": formulas.mcmillan_tc_K(moments, mu_star),
        "allen_dynes": formulas.allen_dynes_tc_K(moments, mu_star, f2),
        "xie": formulas.xie_tc_K(moments, mu_star),
        "eliashberg": None if spectrum is None else eliashberg_tc_K(spectrum, mu_star),
    }


def _band(moments: Moments, spectrum: Spectrum | None, f2: F2Form) -> list[dict[str, float | None]]:
    return [{"mu_star": mu, **{f"{k}_K": v for k, v in _ladder(moments, spectrum, mu, f2).items()}}
            for mu in MU_STAR_BAND]


def tc_from_moments(moments: Moments, mu_star: float, f2: F2Form = "standard") -> TcResult:
    """The closed formulas only; InputError for a coupling beyond any metal's or mu* outside 0-0.3."""
    check_mu_star(mu_star)
    if moments.coupling > STRONGEST_LAMBDA:
        raise InputError(f"lambda = {moments.coupling:g} is that of no metal; give a number up to {STRONGEST_LAMBDA:g}")
    warnings = () if moments.omega_2_K is not None else ("omega_2 not given: f2 = 1 in Allen-Dynes, no Xie value",)
    return TcResult(moments, mu_star, f2, _ladder(moments, None, mu_star, f2), _band(moments, None, f2),
                    warnings)


def tc_from_spectrum(curve: Alpha2F, mu_star: float, f2: F2Form = "standard", split_K: float | None = None,
                     dos_per_eV: float | None = None, volume_A3: float | None = None) -> TcResult:
    """Everything: formulas, Eliashberg Tc with its cutoff convergence, gap, thermodynamics, isotopes, mu* band.

    `split_K` separates the host's modes from hydrogen's; `dos_per_eV` (both spins) and `volume_A3` of one cell give the
    thermodynamic field in tesla.
    """
    check_mu_star(mu_star)
    if (dos_per_eV is None) != (volume_A3 is None):
        raise InputError("the critical field needs the density of states and the volume of the same cell; give both")
    if min(dos_per_eV or 1.0, volume_A3 or 1.0) <= 0.0:
        raise InputError("density of states and volume must be positive; give states/eV per cell and A^3 per cell")
    spectrum = curve.spectrum()
    if split_K is not None and not spectrum.omega_K[0] < split_K < spectrum.omega_K[-1]:
        raise InputError(f"the split at {split_K:.4g} K lies outside the spectrum ({spectrum.omega_K[0]:.4g}-"
                         f"{spectrum.omega_K[-1]:.4g} K); put it between the host's and hydrogen's modes")
    moments = Moments(spectrum.coupling, spectrum.omega_log_K, spectrum.omega_2_K)
    ladder = _ladder(moments, spectrum, mu_star, f2)
    warnings, tc_K = list(curve.warnings), ladder["eliashberg"]
    solution = isotopes = field = None
    if tc_K:
        isotopes = isotope(spectrum, mu_star, tc_K, split_K)
        try:
            solution = below_tc(spectrum, mu_star, tc_K)
        except NotConverged as error:
            warnings.append(str(error))
        if solution is not None and dos_per_eV is not None and volume_A3 is not None:
            field = solution.critical_field_T(dos_per_eV, volume_A3)
    else:
        warnings.append(f"no superconductivity above {1e-4 * curve.omega_max_K:.2g} K: mu* outweighs lambda")
    return TcResult(moments, mu_star, f2, ladder, _band(moments, spectrum, f2), tuple(warnings), curve,
                    cutoff_convergence(spectrum, mu_star), eliashberg_tc_K(spectrum, mu_star, 10.0, mu_at_cutoff=True),
                    solution, isotopes, field)
