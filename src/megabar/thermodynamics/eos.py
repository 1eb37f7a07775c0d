"""Equations of state: Birch-Murnaghan, Vinet and Holzapfel AP2 fitted to energies and pressures, with covariance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from scipy.optimize import brentq, least_squares

from megabar import coldcurves
from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.errors import InputError, RunError
from megabar.units import EV_PER_A3_IN_GPA

FORMS = ("BM3", "Vinet", "AP2")
MISFIT = 0.005
"""Misfit, as a share of the range of pressures, above which the fit is called bad: DFT gives 1e-4."""
PARAMETERS = ("V0_A3", "K0_GPa", "K0_prime", "E0_eV")
_COLOURS = {"BM3": "#cb181d", "Vinet": "#2171b5", "AP2": "#238b45"}


@dataclass(frozen=True)
class EOSData:
    """Volumes (n,) in A^3 with energies (eV) or pressures (GPa) or both, per `unit` (a formula unit, an atom, ...).

    `electrons` counts all electrons of that unit, which AP2 wants; None where not known.
    """

    volume_A3: np.ndarray
    energy_eV: np.ndarray | None = None
    pressure_GPa: np.ndarray | None = None
    unit: str = "cell"
    electrons: float | None = None
    source: str = "data"

    def __post_init__(self) -> None:
        if self.energy_eV is None and self.pressure_GPa is None:
            raise InputError(f"{self.source}: neither energies nor pressures; give one of them beside the volumes")
        arrays = [a for a in (self.volume_A3, self.energy_eV, self.pressure_GPa) if a is not None]
        if len({len(a) for a in arrays}) > 1:
            raise InputError(f"{self.source}: columns of different lengths; mend the table")
        if not all(np.isfinite(a).all() for a in arrays) or np.any(self.volume_A3 <= 0.0):
            raise InputError(f"{self.source}: a number that is not finite, or a volume that is not positive; mend it")


@dataclass(frozen=True)
class EOSFit:
    """One form fitted: `values` (4,) are V0 in A^3, K0 in GPa, K0' and E0 in eV (nan without energies).

    `covariance` (4, 4) is that of the values, from the scatter of the points about the fit; nan where the points are no
    more than the parameters. `volume_range_A3` is that of the data.
    """

    form: str
    values: np.ndarray
    covariance: np.ndarray
    electrons: float | None
    volume_range_A3: tuple[float, float]
    rms_energy_eV: float
    rms_pressure_GPa: float

    @property
    def V0_A3(self) -> float:
        return float(self.values[0])

    @property
    def K0_GPa(self) -> float:
        return float(self.values[1])

    @property
    def K0_prime(self) -> float:
        return float(self.values[2])

    @property
    def E0_eV(self) -> float:
        return float(self.values[3])

    @property
    def sigma(self) -> np.ndarray:
        """Standard errors of `values`."""
        return np.sqrt(np.diag(self.covariance))

    def pressure_GPa(self, volume_A3: Any) -> Any:
        """P = -dE/dV at volumes in A^3."""
        return _pressure(self.form, self.values, self.electrons, np.asarray(volume_A3))

    def energy_eV(self, volume_A3: Any) -> Any:
        return _energy(self.form, self.values, self.electrons, np.asarray(volume_A3))

    def bulk_modulus_GPa(self, volume_A3: Any) -> Any:
        """K = -V dP/dV, by the complex step."""
        volume = np.asarray(volume_A3, dtype=float)
        h = 1e-20
        return -np.imag(_pressure(self.form, self.values, self.electrons, volume * (1.0 + 1j * h))) / h

    def volume_A3(self, pressure_GPa: float) -> float:
        """Volume at a pressure; RunError where the curve has no such state within 0.1 to 1.5 V0."""
        return _volume(self.form, self.values, self.electrons, pressure_GPa)

    def enthalpy_eV(self, pressure_GPa: float) -> float:
        volume = self.volume_A3(pressure_GPa)
        return float(self.energy_eV(volume)) + pressure_GPa * volume / EV_PER_A3_IN_GPA

    def sigma_of(self, function: Callable[[EOSFit], float]) -> float:
        """Standard error of any number that follows from the fit, to first order in the covariance."""
        active = [i for i in range(4) if np.isfinite(self.values[i])]
        gradient = np.zeros(4)
        for i in active:
            # Steps inside the fit's own error keep stiff and soft directions alike in the linear range.
            step = max(1e-6 * abs(self.values[i]), 1e-9)
            ends = []
            for sign in (1.0, -1.0):
                values = self.values.copy()
                values[i] += sign * step
                ends.append(function(EOSFit(self.form, values, self.covariance, self.electrons, self.volume_range_A3,
                                            self.rms_energy_eV, self.rms_pressure_GPa)))
            gradient[i] = (ends[0] - ends[1]) / (2.0 * step)
        block = self.covariance[np.ix_(active, active)]
        return float(np.sqrt(max(gradient[active] @ block @ gradient[active], 0.0)))

    def inside(self, volume_A3: float) -> bool:
        return self.volume_range_A3[0] * 0.999 <= volume_A3 <= self.volume_range_A3[1] * 1.001

    def to_dict(self) -> dict[str, Any]:
        names = [n for n, v in zip(PARAMETERS, self.values, strict=True) if np.isfinite(v)]
        return {
            "form": self.form, **{n: float(self.values[PARAMETERS.index(n)]) for n in names},
            "sigma": {n: float(self.sigma[PARAMETERS.index(n)]) for n in names},
            "parameters": names, "covariance": self.covariance[: len(names), : len(names)].tolist(),
            "rms_energy_eV": self.rms_energy_eV, "rms_pressure_GPa": self.rms_pressure_GPa,
            "volume_range_A3": list(self.volume_range_A3), "electrons": self.electrons,
        }


_PRESSURES: dict[str, Callable[..., Any]] = {
    "BM3": coldcurves.birch_murnaghan_3, "Vinet": coldcurves.vinet, "AP2": coldcurves.holzapfel_ap2}
_ENERGIES: dict[str, Callable[..., Any]] = {
    "BM3": coldcurves.birch_murnaghan_3_energy, "Vinet": coldcurves.vinet_energy,
    "AP2": coldcurves.holzapfel_ap2_energy}


def _split(form: str, values: np.ndarray, electrons: float | None) -> tuple[Any, ...]:
    volume0, modulus, prime = values[0], values[1], values[2]
    if form == "AP2":
        if electrons is None:
            raise InputError("AP2 needs the number of electrons: give the formula the volumes belong to (--formula)")
        return volume0, (modulus, prime, coldcurves.fermi_pressure_GPa(electrons, volume0))
    return volume0, (modulus, prime)


def _pressure(form: str, values: np.ndarray, electrons: float | None, volume: Any) -> Any:
    volume0, constants = _split(form, values, electrons)
    return _PRESSURES[form](volume / volume0, *constants)


def _energy(form: str, values: np.ndarray, electrons: float | None, volume: Any) -> Any:
    volume0, constants = _split(form, values, electrons)
    return values[3] + _ENERGIES[form](volume / volume0, *constants) * volume0 / EV_PER_A3_IN_GPA


def _volume(form: str, values: np.ndarray, electrons: float | None, pressure_GPa: float) -> float:
    volume0 = values[0]
    low = high = 1.0
    while _pressure(form, values, electrons, low * volume0) < pressure_GPa:
        low *= 0.97
        if low < 0.1:
            raise RunError(f"{form}: no volume at {pressure_GPa:g} GPa on this curve; fit points nearer to it")
    while _pressure(form, values, electrons, high * volume0) > pressure_GPa:
        high *= 1.01
        if high > 1.5:
            raise RunError(f"{form}: the crystal does not hold together at {pressure_GPa:g} GPa on this curve")
    if low == high:
        return float(volume0)

    def excess(x: float) -> float:
        return float(_pressure(form, values, electrons, x * volume0)) - pressure_GPa

    return float(brentq(excess, low, high, xtol=1e-14) * volume0)


def fit_eos(data: EOSData, form: str = "Vinet", sigma_energy_eV: float | None = None,
            sigma_pressure_GPa: float | None = None) -> EOSFit:
    """Least squares of one form to the energies, the pressures, or both (each weighted by its own scatter, or by the
    errors given, in which case these also set the covariance). InputError for too few or unfit points."""
    if form not in FORMS:
        raise InputError(f"form {form!r} is unknown: use {', '.join(FORMS)}")
    volume = np.asarray(data.volume_A3, dtype=float)
    blocks = (data.energy_eV is not None) + (data.pressure_GPa is not None)
    count = 4 if data.energy_eV is not None else 3
    distinct = len(np.unique(np.round(volume, 9)))
    if distinct * blocks < count or distinct < 3:
        raise InputError(f"{data.source}: {distinct} volumes are too few for {count} parameters; give {count} or more")
    start = _start(volume, data.energy_eV, data.pressure_GPa)
    weight_E, weight_P = sigma_energy_eV or 1e-3, sigma_pressure_GPa or 0.1

    def residuals(parameters: np.ndarray, parts: bool = False) -> Any:
        values = np.append(parameters[:3] * start[:3], parameters[3] + start[3] if count == 4 else np.nan)
        out = []
        if data.energy_eV is not None:
            out.append((_energy(form, values, data.electrons, volume) - data.energy_eV) / weight_E)
        if data.pressure_GPa is not None:
            out.append((_pressure(form, values, data.electrons, volume) - data.pressure_GPa) / weight_P)
        return out if parts else np.concatenate(out)

    point = np.array([1.0, 1.0, 1.0, 0.0])[:count]
    for _ in range(4 if blocks == 2 and sigma_energy_eV is None else 1):
        solution = least_squares(residuals, point, x_scale=np.array([0.1, 0.3, 0.3, 1.0])[:count], xtol=1e-14,
                                 ftol=1e-14, gtol=1e-14, method="lm" if len(residuals(point)) >= count else "trf",
                                 max_nfev=4000)
        point = solution.x
        if blocks == 2 and sigma_energy_eV is None:
            energy, pressure = residuals(point, parts=True)
            weight_E = max(weight_E * float(np.sqrt(np.mean(energy**2))), 1e-9)
            weight_P = max(weight_P * float(np.sqrt(np.mean(pressure**2))), 1e-7)
    if not solution.success or solution.x[0] <= 0.0 or solution.x[1] <= 0.0:
        raise InputError(f"{data.source}: no {form} curve with a positive bulk modulus fits these points; are volume, "
                         "energy and pressure of the same unit, and is this one phase?")
    values = np.append(point[:3] * start[:3], point[3] + start[3] if count == 4 else np.nan)
    free = blocks * len(volume) - count
    scale = np.append(start[:3], 1.0)[:count]
    covariance = np.full((4, 4), np.nan)
    if free > 0 or sigma_energy_eV or sigma_pressure_GPa:
        spread = 1.0 if sigma_energy_eV or sigma_pressure_GPa else float(np.sum(residuals(point) ** 2)) / free
        jacobian = solution.jac / scale
        # Columns differ by orders of magnitude; normalised, the inverse keeps its digits.
        norm = np.linalg.norm(jacobian, axis=0)
        covariance[:count, :count] = np.linalg.pinv((jacobian / norm).T @ (jacobian / norm)) * spread / np.outer(norm,
                                                                                                                 norm)
    misfit = dict(zip([b for b, a in (("E", data.energy_eV), ("P", data.pressure_GPa)) if a is not None],
                      residuals(point, parts=True), strict=True))
    rms_E = float(np.sqrt(np.mean(misfit["E"] ** 2)) * weight_E) if "E" in misfit else float("nan")
    rms_P = float(np.sqrt(np.mean(misfit["P"] ** 2)) * weight_P) if "P" in misfit else float("nan")
    return EOSFit(form, values, covariance, data.electrons, (float(volume.min()), float(volume.max())), rms_E, rms_P)


def _start(volume: np.ndarray, energy: np.ndarray | None, pressure: np.ndarray | None) -> np.ndarray:
    """V0, K0, K0', E0 to start from: Birch-Murnaghan is linear in K0 and K0 K0' once V0 is chosen, so V0 is scanned."""
    best: tuple[float, np.ndarray] = (np.inf, np.array([volume.max(), 100.0, 4.0, 0.0]))
    for V0 in volume.max() * np.linspace(0.8, 1.6, 161):
        f = (V0 / volume) ** (1.0 / 3.0)
        g = f**2 - 1.0
        if energy is not None:
            columns = [np.ones_like(g), 9.0 / 8.0 * V0 * g**2, 9.0 / 16.0 * V0 * g**3]
            target = energy * EV_PER_A3_IN_GPA
        else:
            assert pressure is not None
            columns, target = [1.5 * (f**7 - f**5), 1.125 * (f**7 - f**5) * g], pressure
        solution = np.linalg.lstsq(np.stack(columns, axis=1), target, rcond=None)[0]
        misfit = float(np.sum((np.stack(columns, axis=1) @ solution - target) ** 2))
        modulus, product = solution[-2], solution[-1]
        if modulus > 0.0 and -2.0 < product / modulus < 12.0 and misfit < best[0]:
            E0 = solution[0] / EV_PER_A3_IN_GPA if energy is not None else 0.0
            best = misfit, np.array([V0, modulus, 4.0 + product / modulus, E0])
    return best[1]


@dataclass(frozen=True)
class EOSResult:
    """All forms fitted to one set of points; `chosen` is the one the tables come from."""

    data: EOSData
    fits: Mapping[str, EOSFit]
    chosen: str
    notes: tuple[str, ...]

    @property
    def fit(self) -> EOSFit:
        return self.fits[self.chosen]

    @cached_property
    def pressures_GPa(self) -> np.ndarray:
        """From zero (or the least pressure of the data) to its highest, 101 points."""
        ends = self.fit.pressure_GPa(np.array(self.fit.volume_range_A3))
        return np.linspace(min(0.0, float(ends.min())), float(ends.max()), 101)

    def table(self, pressures_GPa: Sequence[float] | np.ndarray) -> dict[str, list[float]]:
        """V and K with their errors at pressures in GPa, and how far the other forms are from V."""
        rows: dict[str, list[float]] = {k: [] for k in ("pressure_GPa", "volume_A3", "sigma_volume_A3",
                                                        "bulk_modulus_GPa", "sigma_bulk_modulus_GPa",
                                                        "spread_of_forms_A3")}
        for p in map(float, pressures_GPa):
            volume = self.fit.volume_A3(p)
            others = [f.volume_A3(p) for f in self.fits.values()]

            def modulus(fit: EOSFit, at: float = p) -> float:
                return float(fit.bulk_modulus_GPa(fit.volume_A3(at)))

            def cell(fit: EOSFit, at: float = p) -> float:
                return fit.volume_A3(at)

            for key, value in zip(rows, (p, volume, self.fit.sigma_of(cell), modulus(self.fit),
                                         self.fit.sigma_of(modulus), max(others) - min(others)), strict=True):
                rows[key].append(value)
        return rows

    def to_dict(self) -> dict[str, Any]:
        return {"source": self.data.source, "unit": self.data.unit, "points": len(self.data.volume_A3),
                "chosen": self.chosen, "fits": {n: f.to_dict() for n, f in self.fits.items()},
                "notes": list(self.notes)}

    def save(self, directory: str | Path) -> None:
        """`result.json`, `eos.png`, the curves in `eos.csv`, the points in `eos_points.csv`."""
        from matplotlib.figure import Figure

        target = Path(directory)
        write_json(target / "result.json", self.to_dict() | {"table": self.table(self.pressures_GPa[::10])})
        write_csv(target / "eos.csv", self.table(self.pressures_GPa))
        points = {"volume_A3": self.data.volume_A3, "energy_eV": self.data.energy_eV,
                  "pressure_GPa": self.data.pressure_GPa}
        write_csv(target / "eos_points.csv", {k: list(v) for k, v in points.items() if v is not None})
        figure = Figure(figsize=(6.4, 5.4), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        self.plot(upper)
        self._plot_misfit(lower)
        with atomic_path(target / "eos.png") as path:
            figure.savefig(path, dpi=150)

    def plot(self, ax: Any) -> None:
        """P(V) of every form (energies where there are no pressures) with the points."""
        volume = np.linspace(*self.fit.volume_range_A3, 200)
        by_pressure = self.data.pressure_GPa is not None
        for name, fit in self.fits.items():
            curve = fit.pressure_GPa(volume) if by_pressure else fit.energy_eV(volume)
            s = fit.sigma
            ax.plot(volume, curve, color=_COLOURS[name], lw=1.2,
                    label=f"{name}: V0 {fit.V0_A3:.3f} $\\pm$ {s[0]:.3f} A$^3$, "
                          f"K0 {fit.K0_GPa:.1f} $\\pm$ {s[1]:.1f} GPa, K' {fit.K0_prime:.2f} $\\pm$ {s[2]:.2f}")
        ax.plot(self.data.volume_A3, self.data.pressure_GPa if by_pressure else self.data.energy_eV, "o", ms=4,
                mfc="white", mec="black", label=self.data.source)
        ax.set_ylabel("pressure (GPa)" if by_pressure else "energy (eV)")
        ax.legend(frameon=False, fontsize=8)

    def _plot_misfit(self, ax: Any) -> None:
        by_pressure = self.data.pressure_GPa is not None
        for name, fit in self.fits.items():
            misfit = self.data.pressure_GPa - fit.pressure_GPa(self.data.volume_A3) if by_pressure else \
                (self.data.energy_eV - fit.energy_eV(self.data.volume_A3)) * 1e3
            ax.plot(self.data.volume_A3, misfit, "o-", ms=3, lw=0.8, color=_COLOURS[name])
        ax.axhline(0.0, color="0.7", lw=0.8)
        ax.set_xlabel(f"volume (A$^3$ per {self.data.unit})")
        ax.set_ylabel("misfit (GPa)" if by_pressure else "misfit (meV)")


def fit_all(data: EOSData, forms: Sequence[str] = FORMS, chosen: str = "Vinet") -> EOSResult:
    """Every form that the data allow. Notes say what was left out, and where V0 lies outside the points."""
    notes = []
    wanted = list(forms)
    if "AP2" in wanted and data.electrons is None:
        wanted.remove("AP2")
        notes.append("AP2 left out: it needs the number of electrons (give the formula the volumes belong to)")
    fits = {form: fit_eos(data, form) for form in wanted}
    if not fits:
        raise InputError(f"{data.source}: no form left to fit; give --formula for AP2, or BM3 or Vinet")
    best = chosen if chosen in fits else next(iter(fits))
    if not fits[best].inside(fits[best].V0_A3):
        notes.append(f"V0 = {fits[best].V0_A3:.3f} A3 lies outside the points: V0, K0 and K0' are extrapolated")
    if data.pressure_GPa is not None:
        least, span = min(f.rms_pressure_GPa for f in fits.values()), float(np.ptp(data.pressure_GPa))
        if least > MISFIT * span:
            notes.append(f"no form comes nearer to the pressures than {least:.2f} GPa rms: not one phase, or energies "
                         "that are not smooth; the standard errors take the misfit for noise, which it is not")
    return EOSResult(data, fits, best, tuple(notes))


def electrons_of(atoms: Atoms) -> float:
    """All electrons, core ones too: AP2 ends in the gas of them all."""
    return float(atoms.numbers.sum())
