"""The result of an electron-phonon run: numbers, tables and figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.superconductivity.qe_coupling import StarModes
from megabar.superconductivity.spectrum import KELVIN_PER, Alpha2F
from megabar.superconductivity.tc import TcResult


@dataclass(frozen=True)
class Row:
    """One electronic broadening. `coupling`, `omega_*` and `tc_allen_dynes_K` of the interpolated phonons, `mesh_*` of
    the q-mesh alone; `dos_per_eV` of both spins and one cell, broadened alike."""

    broadening_Ry: float
    dos_per_eV: float
    coupling: float
    omega_log_K: float
    omega_2_K: float
    tc_allen_dynes_K: float
    mesh_coupling: float
    mesh_omega_log_K: float
    mesh_tc_allen_dynes_K: float


@dataclass(frozen=True)
class ElectronPhonon:
    """Coupling and Tc of a crystal, with what they rest on.

    `rows` by broadening, `chosen` the one reported; `tc` the whole ladder of the light crystal; `heavy` (spectrum, Tc
    by Eliashberg at the same mu*, mass ratios) after isotopic exchange, or None; `mesh_modes` the computed q-points;
    `dispersion_K` (path points, modes); `finer` what finer meshes would cost.
    """

    atoms: Atoms
    pressure_GPa: float | None
    settings: dict[str, Any]
    rows: tuple[Row, ...]
    chosen: int
    tc: TcResult
    heavy: tuple[Alpha2F, float, dict[str, float]] | None
    electrons: dict[str, Any]
    lowest_omega_K: float
    mesh_modes: tuple[StarModes, ...]
    dispersion_K: np.ndarray
    imaginary_share: float
    phonon_seconds: float
    notes: tuple[str, ...]
    finer: list[dict[str, Any]]

    @property
    def formula(self) -> str:
        return self.atoms.symbols.formula.reduce()[0].format("metal")

    @property
    def isotope_exponent(self) -> float | None:
        """-ln(Tc heavy / Tc light) / ln(mass ratio), for one element exchanged."""
        if self.heavy is None or len(self.heavy[2]) != 1 or not self.tc.tc_K["eliashberg"]:
            return None
        (ratio,) = self.heavy[2].values()
        return float(-np.log(self.heavy[1] / self.tc.tc_K["eliashberg"]) / np.log(ratio))

    def to_dict(self) -> dict[str, Any]:
        row = self.rows[self.chosen]
        result = {
            "formula": self.formula, "pressure_GPa": self.pressure_GPa, "volume_A3": self.atoms.get_volume(),
            "lambda": row.coupling, "omega_log_K": row.omega_log_K, "omega_2_K": row.omega_2_K,
            "broadening_Ry": row.broadening_Ry, "mu_star": self.tc.mu_star, "tc_K": self.tc.tc_K,
            "dos_at_fermi_per_eV": self.electrons["dos_at_fermi_per_eV"],
            "lambda_of_q_mesh": row.mesh_coupling, "omega_log_of_q_mesh_K": row.mesh_omega_log_K,
            "lambda_over_broadenings": [min(r.coupling for r in self.rows), max(r.coupling for r in self.rows)],
            "lowest_mode_K": self.lowest_omega_K, "imaginary_share": self.imaginary_share,
            "phonon_core_s": self.phonon_seconds, "finer": self.finer, "settings": self.settings,
            "q_points": [{"q_per_A": s.q, "weight": s.weight, "omega_K": s.omega_K,
                          "lambda": s.coupling[self.chosen]} for s in self.mesh_modes],
            "cell": {"numbers": self.atoms.numbers, "cell_A": self.atoms.cell[:],
                     "scaled_positions": self.atoms.get_scaled_positions()},
            "notes": [*self.notes, *self.tc.warnings]}
        if self.heavy is not None:
            curve, tc_K, ratios = self.heavy
            spectrum = curve.spectrum()
            result["heavy"] = {"mass_ratios": ratios, "lambda": spectrum.coupling, "omega_log_K": spectrum.omega_log_K,
                               "tc_eliashberg_K": tc_K, "isotope_exponent": self.isotope_exponent}
        return result

    def save(self, directory: str | Path) -> None:
        """`result.json`, `cell.cif`, and with their .csv `alpha2f.png`, `convergence.png`, `bands.png`, `phonons.png`;
        the Tc ladder in `tc/`."""
        from matplotlib.figure import Figure

        target = Path(directory)
        write_json(target / "result.json", self.to_dict())
        with atomic_path(target / "cell.cif") as path:
            self.atoms.write(path)
        self.tc.save(target / "tc")
        for name, columns in self.tables().items():
            write_csv(target / f"{name}.csv", columns)
        for name, draw, panels in (("alpha2f", self.plot, 1), ("convergence", self.plot_convergence, 2),
                                   ("bands", self.plot_bands, 2), ("phonons", self.plot_phonons, 1)):
            figure = Figure(figsize=(4.2 + 2.6 * panels, 4.0), layout="constrained")
            axes = figure.subplots(1, panels, sharey=name == "bands", width_ratios=[2, 1] if name == "bands" else None)
            draw(axes)
            with atomic_path(target / f"{name}.png") as path:
                figure.savefig(path, dpi=150)

    def tables(self) -> dict[str, dict[str, Any]]:
        """Columns of the .csv files by name."""
        assert self.tc.curve is not None
        alpha2f = self.tc.curve.columns()
        if self.heavy is not None:
            alpha2f |= {"heavy_omega_K": self.heavy[0].omega_K, "heavy_alpha2f": self.heavy[0].alpha2f}
        bands = np.asarray(self.electrons["bands_eV"])
        return {
            "alpha2f": alpha2f,
            "convergence": {key: [asdict(r)[key] for r in self.rows] for key in Row.__annotations__},
            "bands": {"distance_per_A": self.electrons["distance"]}
            | {f"band_{i + 1}_eV": bands[:, i] for i in range(bands.shape[1])},
            "electron_dos": {"energy_eV": self.electrons["dos_energy_eV"], "dos_per_eV": self.electrons["dos_per_eV"]},
            "phonons": {"distance_per_A": self.electrons["distance"]}
            | {f"mode_{i + 1}_K": self.dispersion_K[:, i] for i in range(self.dispersion_K.shape[1])}}

    def plot(self, ax: Any) -> None:
        """alpha2F with cumulative lambda, and that of the heavy isotope."""
        assert self.tc.curve is not None
        self.tc.curve.plot(ax)
        if self.heavy is not None:
            heavy = self.heavy[0]
            ax.plot(heavy.omega_K / KELVIN_PER["meV"], heavy.alpha2f, color="#238b45", lw=1.0,
                    label="with deuterium")
            ax.legend(frameon=False, fontsize=8, loc="upper left")
        row = self.rows[self.chosen]
        where = "" if self.pressure_GPa is None else f", {self.pressure_GPa:.0f} GPa"
        ax.set_title(rf"{self.formula}{where}: $\lambda$ = {row.coupling:.2f}, "
                     rf"$\omega_{{log}}$ = {row.omega_log_K:.0f} K", fontsize=10)

    def plot_convergence(self, axes: Any) -> None:
        """lambda and Tc (Allen-Dynes) against the broadening, interpolated and on the q-mesh alone."""
        width = [r.broadening_Ry for r in self.rows]
        for ax, inter, mesh, label in (
                (axes[0], [r.coupling for r in self.rows], [r.mesh_coupling for r in self.rows], r"$\lambda$"),
                (axes[1], [r.tc_allen_dynes_K for r in self.rows], [r.mesh_tc_allen_dynes_K for r in self.rows],
                 rf"$T_c$ (K), Allen-Dynes, $\mu^*$ = {self.tc.mu_star:g}")):
            ax.plot(width, inter, "o-", ms=4, color="#2171b5", label="interpolated")
            ax.plot(width, mesh, "s--", ms=3, color="#6baed6", label="q-mesh alone")
            ax.axvline(width[self.chosen], color="0.6", lw=0.8, ls=":")
            ax.set_xlabel("broadening of the Fermi surface (Ry)")
            ax.set_ylabel(label)
            ax.set_ylim(0.0, None)
        axes[0].legend(frameon=False, fontsize=8)

    def plot_bands(self, axes: Any) -> None:
        """Electronic bands from the Fermi level, and the density of states beside them."""
        bands, window = np.asarray(self.electrons["bands_eV"]), (-12.0, 6.0)
        axes[0].plot(*self._broken(bands), color="#2171b5", lw=1.0)
        self._path(axes[0])
        axes[0].set_ylim(*window)
        axes[0].set_ylabel("energy from the Fermi level (eV)")
        axes[1].fill_betweenx(self.electrons["dos_energy_eV"], self.electrons["dos_per_eV"], color="#9ecae1", lw=0)
        axes[1].plot(self.electrons["dos_per_eV"], self.electrons["dos_energy_eV"], color="#2171b5", lw=1.0)
        axes[1].set_xlabel("DOS (1/eV and cell)")
        inside = np.abs(np.asarray(self.electrons["dos_energy_eV"])) < 12.0
        axes[1].set_xlim(0.0, 1.1 * float(np.max(np.asarray(self.electrons["dos_per_eV"])[inside])))
        for ax in axes:
            ax.axhline(0.0, color="0.5", lw=0.7, ls="--")

    def plot_phonons(self, ax: Any) -> None:
        """Interpolated dispersion; imaginary modes below zero."""
        ax.plot(*self._broken(self.dispersion_K / KELVIN_PER["meV"]), color="#2171b5", lw=1.0)
        self._path(ax)
        ax.axhline(0.0, color="0.5", lw=0.7)
        ax.set_ylabel("phonon energy (meV), imaginary below zero")

    def _broken(self, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance and `lines` (points, n) with a gap where the path jumps (two points at one distance)."""
        distance = np.asarray(self.electrons["distance"])
        jumps = np.nonzero(np.diff(distance) < 1e-9)[0] + 1
        return np.insert(distance, jumps, np.nan), np.insert(lines, jumps, np.nan, axis=0)

    def _path(self, ax: Any) -> None:
        names: dict[float, str] = {}
        for tick, label in zip(self.electrons["ticks"], self.electrons["labels"], strict=True):
            at, name = round(float(tick), 9), r"$\Gamma$" if label == "G" else str(label)
            # Where the path jumps two points share one place.
            names[at] = f"{names[at]}|{name}" if at in names else name
        ax.set_xticks(list(names), list(names.values()))
        for tick in names:
            ax.axvline(tick, color="0.85", lw=0.6)
        ax.set_xlim(self.electrons["distance"][0], self.electrons["distance"][-1])
