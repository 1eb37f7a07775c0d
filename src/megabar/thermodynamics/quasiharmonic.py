"""Quasi-harmonic Gibbs energies: a static curve, phonons at several volumes, and the volume that P and T choose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.errors import InputError, RunError
from megabar.thermodynamics.eos import EOSFit, fit_eos
from megabar.thermodynamics.eosdata import data_of
from megabar.thermodynamics.harmonic import harmonic
from megabar.thermodynamics.phonons import Phonons
from megabar.thermodynamics.relax import Relaxed
from megabar.thermodynamics.series import same_phase
from megabar.units import EV_PER_A3_IN_GPA

REACH = 1.02
"""Volumes this far outside those with phonons are answered; beyond, the fit would be guessing."""
LEAST_VOLUMES = 3


@dataclass(frozen=True, eq=False)
class Gibbs:
    """G(P, T) of one phase per formula unit, from a static curve and phonons at `volumes_A3` (n,).

    `frequencies_THz[i]` (q, modes) with `weights[i]` (q,) are those of a cell of `formula_units[i]` units. The
    vibrational free energy at a temperature is a polynomial in ln V (quadratic from four volumes on). `model_error_eV`
    is the error of the energies themselves per formula unit (a potential's on held-out frames); 0 where not known.
    """

    name: str
    formula: str
    atoms: int
    static: EOSFit
    volumes_A3: np.ndarray
    frequencies_THz: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]
    formula_units: tuple[int, ...]
    model_error_eV: float = 0.0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.volumes_A3) < LEAST_VOLUMES:
            raise RunError(f"{self.name}: phonons without imaginary modes at {len(self.volumes_A3)} volumes, wanted "
                           f"are {LEAST_VOLUMES} or more: add pressures, or this phase is not harmonic here")

    @property
    def degree(self) -> int:
        return 2 if len(self.volumes_A3) >= 4 else 1

    def _vibrations(self, temperature_K: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients of F_vib and of S in ln(V/V_middle), highest power first, and the covariance of the first."""
        return _fitted(self, float(temperature_K))

    def _argument(self, volume_A3: Any) -> Any:
        return np.log(np.asarray(volume_A3) / np.median(self.volumes_A3))

    def free_energy_eV(self, volume_A3: float, temperature_K: float) -> float:
        """Helmholtz energy F(V, T)."""
        vibrational = np.polyval(self._vibrations(temperature_K)[0], self._argument(volume_A3))
        return float(self.static.energy_eV(volume_A3) + vibrational)

    def pressure_GPa(self, volume_A3: float, temperature_K: float) -> float:
        """P(V, T) = -dF/dV: static and thermal part (zero point included)."""
        slope = np.polyval(np.polyder(self._vibrations(temperature_K)[0]), self._argument(volume_A3)) / volume_A3
        return float(self.static.pressure_GPa(volume_A3) - slope * EV_PER_A3_IN_GPA)

    def bulk_modulus_GPa(self, volume_A3: float, temperature_K: float) -> float:
        """Isothermal K = -V dP/dV."""
        h = 1e-4 * volume_A3
        rise = self.pressure_GPa(volume_A3 + h, temperature_K) - self.pressure_GPa(volume_A3 - h, temperature_K)
        return -volume_A3 * rise / (2.0 * h)

    def volume_A3(self, pressure_GPa: float, temperature_K: float) -> float:
        """Volume at P and T; RunError where it lies outside the volumes with phonons, or where F has no minimum."""
        low, high = self.volumes_A3.min() / REACH, self.volumes_A3.max() * REACH
        at_low, at_high = (self.pressure_GPa(v, temperature_K) - pressure_GPa for v in (low, high))
        if at_low < 0.0:
            raise RunError(f"{self.name}: at {pressure_GPa:g} GPa and {temperature_K:g} K its volume is below those "
                           f"computed ({low:.2f} A3 per {self.formula}): add a higher pressure")
        if at_high > 0.0:
            raise RunError(f"{self.name}: at {pressure_GPa:g} GPa and {temperature_K:g} K its volume is above those "
                           f"computed ({high:.2f} A3 per {self.formula}): add a lower pressure (below zero if need be)")
        volume = float(brentq(lambda v: self.pressure_GPa(v, temperature_K) - pressure_GPa, low, high, xtol=1e-10))
        if self.bulk_modulus_GPa(volume, temperature_K) <= 0.0:
            raise RunError(f"{self.name}: no minimum of F + PV at {pressure_GPa:g} GPa and {temperature_K:g} K")
        return volume

    def gibbs_eV(self, pressure_GPa: float, temperature_K: float) -> float:
        """G(P, T) per formula unit."""
        volume = self.volume_A3(pressure_GPa, temperature_K)
        return self.free_energy_eV(volume, temperature_K) + pressure_GPa * volume / EV_PER_A3_IN_GPA

    def entropy_eV_per_K(self, pressure_GPa: float, temperature_K: float) -> float:
        """S = -dG/dT at constant P: the vibrational entropy at that volume."""
        volume = self.volume_A3(pressure_GPa, temperature_K)
        return float(np.polyval(self._vibrations(temperature_K)[1], self._argument(volume)))

    def expansion_per_K(self, pressure_GPa: float, temperature_K: float) -> float:
        """Volumetric thermal expansion, from (dS/dV)_T = (dP/dT)_V = alpha K_T."""
        volume = self.volume_A3(pressure_GPa, temperature_K)
        slope = np.polyval(np.polyder(self._vibrations(temperature_K)[1]), self._argument(volume)) / volume
        return float(slope * EV_PER_A3_IN_GPA / self.bulk_modulus_GPa(volume, temperature_K))

    def sigma_eV(self, pressure_GPa: float, temperature_K: float) -> float:
        """Standard error of G: the static fit's, the vibrational fit's, and that of the energies where known.

        G is stationary in V, so an error of the fit enters at fixed V.
        """
        volume = self.volume_A3(pressure_GPa, temperature_K)
        static = self.static.sigma_of(lambda f: float(f.energy_eV(volume))) if np.isfinite(
            self.static.covariance[:2, :2]).all() else 0.0
        covariance = self._vibrations(temperature_K)[2]
        powers = self._argument(volume) ** np.arange(self.degree, -1, -1)
        return float(np.sqrt(static**2 + max(powers @ covariance @ powers, 0.0) + self.model_error_eV**2))

    def table(self, pressures_GPa: Sequence[float], temperatures_K: Sequence[float]) -> dict[str, list[Any]]:
        """Rows over P and T; what cannot be answered is left out (see `refusals`)."""
        keys = ("pressure_GPa", "temperature_K", "gibbs_eV", "sigma_eV", "volume_A3", "entropy_eV_per_K",
                "bulk_modulus_GPa", "expansion_per_K")
        rows: dict[str, list[Any]] = {k: [] for k in keys}
        for p in pressures_GPa:
            for t in temperatures_K:
                try:
                    volume = self.volume_A3(p, t)
                except RunError:
                    continue
                for key, value in zip(keys, (p, t, self.gibbs_eV(p, t), self.sigma_eV(p, t), volume,
                                             self.entropy_eV_per_K(p, t), self.bulk_modulus_GPa(volume, t),
                                             self.expansion_per_K(p, t)), strict=True):
                    rows[key].append(float(value))
        return rows

    def refusals(self, pressures_GPa: Sequence[float], temperatures_K: Sequence[float]) -> list[str]:
        """One line for each P, T that cannot be answered, the first and how many more."""
        found = []
        for p in pressures_GPa:
            for t in temperatures_K:
                try:
                    self.volume_A3(p, t)
                except RunError as error:
                    found.append(str(error))
        return [found[0] + (f" ({len(found)} points of the grid)" if len(found) > 1 else "")] if found else []

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "quasi-harmonic Gibbs energy", "name": self.name, "formula": self.formula, "atoms": self.atoms,
                "static": self.static.to_dict() | {"values": [None if np.isnan(v) else float(v)
                                                              for v in self.static.values]},
                "model_error_eV": self.model_error_eV, "notes": list(self.notes),
                "volumes": [{"volume_A3": float(v), "formula_units": z, "weights": w.tolist(),
                             "frequencies_THz": np.round(f, 5).tolist()}
                            for v, z, w, f in zip(self.volumes_A3, self.formula_units, self.weights,
                                                  self.frequencies_THz, strict=True)]}

    def save(self, directory: str | Path, pressures_GPa: Sequence[float] = (), temperatures_K: Sequence[float] = (),
             ) -> None:
        """`gibbs.json` (what `load_gibbs` reads), and for a grid `gibbs.csv` with `gibbs.png`."""
        from matplotlib.figure import Figure

        target = Path(directory)
        write_json(target / "gibbs.json", self.to_dict())
        if len(pressures_GPa) and len(temperatures_K):
            write_csv(target / "gibbs.csv", self.table(pressures_GPa, temperatures_K))
            figure = Figure(figsize=(6.4, 4.0), layout="constrained")
            self.plot(figure.add_subplot(), pressures_GPa, temperatures_K)
            with atomic_path(target / "gibbs.png") as path:
                figure.savefig(path, dpi=150)

    def plot(self, ax: Any, pressures_GPa: Sequence[float], temperatures_K: Sequence[float]) -> None:
        """Volume against temperature at each pressure."""
        table = self.table(pressures_GPa, temperatures_K)
        p, t, v = (np.array(table[k]) for k in ("pressure_GPa", "temperature_K", "volume_A3"))
        for pressure in sorted(set(p)):
            ax.plot(t[p == pressure], v[p == pressure], lw=1.2, label=f"{pressure:g} GPa")
        ax.set_xlabel("temperature (K)")
        ax.set_ylabel(f"volume (A$^3$ per {self.formula})")
        ax.set_title(f"{self.name}, quasi-harmonic", fontsize=10)
        ax.legend(frameon=False, fontsize=8)


@lru_cache(maxsize=20000)
def _fitted(phase: Gibbs, temperature_K: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = [harmonic(f, w, temperature_K) for f, w in zip(phase.frequencies_THz, phase.weights, strict=True)]
    units = np.array(phase.formula_units, dtype=float)
    free = np.array([h.free_energy_eV[0] for h in parts]) / units
    entropy = np.array([h.entropy_eV_per_K[0] for h in parts]) / units
    argument = phase._argument(phase.volumes_A3)
    design = np.vander(argument, phase.degree + 1)
    inverse = np.linalg.pinv(design)
    coefficients = inverse @ free
    freedom = len(free) - phase.degree - 1
    spread = float(np.sum((design @ coefficients - free) ** 2)) / freedom if freedom > 0 else 0.0
    return coefficients, inverse @ entropy, inverse @ inverse.T * spread


def gibbs_from(name: str, spectra: Sequence[Phonons], statics: Sequence[Relaxed] = (), model_error_eV: float = 0.0,
               form: str = "Vinet") -> Gibbs:
    """G(P, T) from phonons at several pressures. The static curve is fitted to their crystals and to `statics`.

    Crystals that became another phase are left out, volumes with imaginary modes are left out of the vibrations, and
    the notes name both. RunError when fewer than four crystals or three sets of phonons remain.
    """
    crystals = {round(r.target_pressure_GPa, 6): r for r in (*statics, *(s.relaxed for s in spectra))}
    ordered, changed = same_phase([crystals[p] for p in sorted(crystals)])
    spectra = [s for s in spectra if s.relaxed.space_group == ordered[0].space_group]
    if len(ordered) < 4:
        raise RunError(f"{name}: {len(ordered)} crystals of one phase are too few for a static curve"
                       f"{': ' if changed else ''}{'; '.join(changed)}: narrow the range of pressures, or add to it")
    static = fit_eos(data_of(ordered, name), form)
    good = [s for s in spectra if s.verdict.free_energy]
    notes = [f"{name}: {n}" for n in changed]
    notes += [f"{name}: no free energy at {s.relaxed.target_pressure_GPa:g} GPa: {s.verdict.text}" for s in spectra
             if not s.verdict.free_energy]
    first = ordered[0]
    return Gibbs(name, first.formula, len(first.atoms) // first.formula_units, static,
                 np.array([s.relaxed.volume_A3 / s.relaxed.formula_units for s in good]),
                 tuple(s.frequencies_THz for s in good), tuple(s.weights for s in good),
                 tuple(s.relaxed.formula_units for s in good), model_error_eV, tuple(notes))


def load_gibbs(path: str | Path) -> Gibbs:
    """A phase saved by `Gibbs.save` (the folder or its gibbs.json). InputError when it is none."""
    source = Path(path)
    file = source / "gibbs.json" if source.is_dir() else source
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        static = values["static"]
        numbers = np.array([np.nan if v is None else v for v in static["values"]])
        covariance = np.full((4, 4), np.nan)
        block = np.array([[np.nan if v is None else v for v in row] for row in static["covariance"]])
        covariance[: len(block), : len(block)] = block
        fit = EOSFit(static["form"], numbers, covariance, static["electrons"], tuple(static["volume_range_A3"]),
                     static["rms_energy_eV"], static["rms_pressure_GPa"])
        volumes = values["volumes"]
        return Gibbs(values["name"], values["formula"], values["atoms"], fit,
                     np.array([v["volume_A3"] for v in volumes]),
                     tuple(np.array(v["frequencies_THz"]) for v in volumes),
                     tuple(np.array(v["weights"]) for v in volumes), tuple(v["formula_units"] for v in volumes),
                     values["model_error_eV"], tuple(values["notes"]))
    except OSError:
        raise InputError(f"{file}: no such file; give the folder of a finished 'megabar phonons --gibbs' run") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{file}: not a Gibbs energy written by 'megabar phonons'; make it anew") from None
