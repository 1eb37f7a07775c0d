"""The synthesis map: where in pressure and temperature a hydride can be made, and by which road.

Per reaction as written (one product). Favoured: its Gibbs energy is negative. Bulk melting: the product's melting line.
Surface melting: hydrogen that goes in pays for disordering, so the barrier of the liquid road is the enthalpy of the
molten product above the reactants (Sato et al. 2025, 10.1073/pnas.2413480122), less than the product's enthalpy of
fusion by the whole enthalpy of reaction; the road is open where that barrier is at most kT per formula unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from megabar.campaign.files import plain, write_csv, write_json
from megabar.errors import InputError
from megabar.thermodynamics.hydrogen_gas import LEAST_PRESSURE_GPA, absorption_gibbs_eV
from megabar.thermodynamics.map_parts import EnthalpyPart, MapPoint, MeltPart
from megabar.thermodynamics.melting_curves import datchi_K
from megabar.thermodynamics.reactions import Reaction
from megabar.units import BOLTZMANN_EV_PER_K

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Entropy = Literal["estimate", "none"]
REGIONS = ("not favoured", "favoured, the liquid road costs more than kT", "favoured through a molten surface",
           "favoured, the product is molten", "favoured, cost of the liquid road not known")


@dataclass(frozen=True)
class SynthesisMap:
    """A map over pressures (n,) and temperatures (m,).

    Attributes:
        driving_eV: (m, n) Gibbs energy (or enthalpy) of the reaction; negative is favoured. driving_low_eV and
            driving_high_eV: (m, n) ends of its band from the potential's error and the assumed entropy.
        barrier_eV: (m, n) of the liquid road, NaN where unknown; barrier_how says from what.
        melting_K, melting_error_K: (n,) of the product, NaN beyond the line. hydrogen_melting_K: (n,) Datchi's curve.
        regions: (m, n) index into REGIONS. points: what was made or run. overlays: keys of planets to draw.
        notes: what is missing or assumed.
    """

    reaction: str
    product: str
    entropy: Entropy
    pressure_GPa: np.ndarray
    temperature_K: np.ndarray
    driving_eV: np.ndarray
    driving_low_eV: np.ndarray
    driving_high_eV: np.ndarray
    barrier_eV: np.ndarray
    barrier_how: str
    melting_K: np.ndarray
    melting_error_K: np.ndarray
    melting_points: np.ndarray
    hydrogen_melting_K: np.ndarray
    regions: np.ndarray
    points: tuple[MapPoint, ...]
    overlays: tuple[str, ...]
    notes: tuple[str, ...]

    def boundary_GPa(self, temperature_K: float, which: str = "driving_eV") -> float | None:
        """Lowest pressure of the grid from which the reaction is favoured at a temperature, linear between pressures;
        None when it never is."""
        k = int(np.abs(self.temperature_K - temperature_K).argmin())
        row = getattr(self, which)[k]
        good = np.flatnonzero(row < 0.0)
        if len(good) == 0:
            return None
        i = int(good[0])
        if i == 0 or not np.isfinite(row[i - 1]):
            return float(self.pressure_GPa[i])
        return float(np.interp(0.0, [row[i], row[i - 1]], [self.pressure_GPa[i], self.pressure_GPa[i - 1]]))

    def at(self, pressure_GPa: float, temperature_K: float) -> dict[str, Any]:
        """The map at its grid point nearest to a condition."""
        i = int(np.abs(self.pressure_GPa - pressure_GPa).argmin())
        k = int(np.abs(self.temperature_K - temperature_K).argmin())
        return {"pressure_GPa": self.pressure_GPa[i], "temperature_K": self.temperature_K[k],
                "driving_eV": self.driving_eV[k, i],
                "driving_band_eV": [self.driving_low_eV[k, i], self.driving_high_eV[k, i]],
                "barrier_eV": self.barrier_eV[k, i], "kT_eV": BOLTZMANN_EV_PER_K * self.temperature_K[k],
                "melting_K": self.melting_K[i], "region": REGIONS[self.regions[k, i]]}

    def summary(self) -> dict[str, Any]:
        lines = [{"temperature_K": t, "favoured_from_GPa": self.boundary_GPa(t),
                  "band_GPa": [self.boundary_GPa(t, "driving_low_eV"), self.boundary_GPa(t, "driving_high_eV")]}
                 for t in self.temperature_K[:: max(1, len(self.temperature_K) // 8)]]
        points = [{**vars(p), "map": None if p.temperature_K is None else self.at(p.pressure_GPa, p.temperature_K)}
                  for p in self.points]
        shares = {name: float(np.mean(self.regions == k)) for k, name in enumerate(REGIONS)}
        return plain({"reaction": self.reaction, "product": self.product, "entropy": self.entropy, "boundary": lines,
                      "barrier": self.barrier_how, "melting_points": self.melting_points, "regions": shares,
                      "points": points, "overlays": self.overlays, "notes": self.notes})

    def save(self, folder: str | Path) -> None:
        """`map.json`, `map.csv` (the grid), `map-points.csv` and `map.png` in `folder`."""
        from megabar.thermodynamics.map_figure import save_map

        folder = Path(folder)
        t, p = np.meshgrid(self.temperature_K, self.pressure_GPa, indexing="ij")
        melting = np.broadcast_to(self.melting_K, t.shape)
        write_csv(folder / "map.csv", {
            "pressure_GPa": p.ravel().tolist(), "temperature_K": t.ravel().tolist(),
            **{name: getattr(self, name).ravel().tolist() for name in ("driving_eV", "driving_low_eV",
                                                                       "driving_high_eV", "barrier_eV")},
            "melting_K": melting.ravel().tolist(), "region": [REGIONS[k] for k in self.regions.ravel()]})
        names = ("what", "kind", "pressure_GPa", "temperature_K", "made", "source", "note")
        write_csv(folder / "map-points.csv", {n: [getattr(x, n) for x in self.points] for n in names})
        save_map(self, folder)
        write_json(folder / "map.json", self.summary())

    def plot(self, ax: Axes) -> None:
        """The whole map on one pair of axes."""
        from megabar.thermodynamics.map_figure import plot_map

        plot_map(ax, self)


def synthesis_map(reaction: Reaction, enthalpy: EnthalpyPart, melt: MeltPart | None, pressure_GPa: np.ndarray,
                  temperature_K: np.ndarray, entropy: Entropy = "estimate", points: Sequence[MapPoint] = (),
                  overlays: Sequence[str] = (), notes: Sequence[str] = ()) -> SynthesisMap:
    """Put the parts together on the grid of `pressure_GPa` (n,) and `temperature_K` (m,), both rising.

    Raises InputError for a reaction with several products, or pressures that the enthalpies do not reach.
    """
    if len(reaction.products) != 1:
        raise InputError(f"map {reaction}: needs one product, the hydride to be made; write it on the right")
    p, t = np.asarray(pressure_GPa, dtype=float), np.asarray(temperature_K, dtype=float)
    known = np.isfinite(enthalpy.best_eV())
    if known.sum() < 2:
        raise InputError("map: the enthalpy is known at fewer than two pressures; run 'megabar enthalpy' over a range")
    low, high = enthalpy.pressure_GPa[known].min(), enthalpy.pressure_GPa[known].max()
    if p.min() < low - 1e-9 or p.max() > high + 1e-9:
        raise InputError(f"map: pressures {p.min():g}-{p.max():g} GPa, but the enthalpy is known from {low:g} to "
                         f"{high:g} GPa; narrow --pressure or compute more")
    static = np.interp(p, enthalpy.pressure_GPa[known], enthalpy.best_eV()[known])
    product = reaction.products[0]
    found = list(notes)
    taken = _hydrogen_taken(reaction)
    thermal = np.zeros((3, len(t), len(p)))
    if entropy == "estimate" and taken > 0.0:
        thermal = taken * np.stack([absorption_gibbs_eV(max(x, LEAST_PRESSURE_GPA), t) for x in p], axis=2)
        found.append("entropy of H2 and of absorbed hydrogen is an estimate (hard-sphere fluid of rotors against five "
                     "modes of 60-150 meV), shown as a band; the hosts' own modes are taken as unchanged"
                     + (f"; below {LEAST_PRESSURE_GPA:g} GPa that of {LEAST_PRESSURE_GPA:g} GPa stands in"
                        if p[0] < LEAST_PRESSURE_GPA else ""))
    else:
        found.append("no entropy: the line is where the enthalpy changes sign, at every temperature alike")
    if enthalpy.zero_point_eV is None:
        found.append("no zero-point energy in the enthalpy")
    driving = static + thermal[0]
    error = enthalpy.error_eV or 0.0
    if enthalpy.error_eV is None:
        found.append("no error of the energies is known; the band is that of the entropy alone")
    ends = np.stack([static + thermal[1], static + thermal[2]])
    barrier, how = _barrier(enthalpy, melt, static, float(product.count), p, t)
    melting = np.full(len(p), np.nan) if melt is None else melt.temperature_K(p)
    melting_error = np.full(len(p), np.nan)
    if melt is not None and melt.line is not None:
        melting_error = np.where(np.isfinite(melting), melt.line.error_K(p), np.nan)
    if melt is None:
        found.append(f"no melting line of {product.formula.text}: run 'megabar melt {product.formula.text}'")
    elif not np.isfinite(melting).all():
        found.append("the melting line is not drawn far beyond its points; there, molten product is not told apart")
    regions = np.where(driving >= 0.0, 0, 1)
    regions = np.where((regions == 1) & np.isnan(barrier), 4, regions)
    open_road = barrier <= BOLTZMANN_EV_PER_K * t[:, None]
    regions = np.where((regions == 1) & open_road, 2, regions)
    regions = np.where((regions > 0) & (t[:, None] >= melting[None, :]), 3, regions)
    return SynthesisMap(
        str(reaction), product.formula.text, entropy, p, t, driving, ends.min(axis=0) - error,
        ends.max(axis=0) + error, barrier, how, melting, melting_error,
        np.zeros((0, 3)) if melt is None else melt.points, datchi_K(p), regions, tuple(points), tuple(overlays),
        tuple(dict.fromkeys([*found, *enthalpy.notes])))


def _hydrogen_taken(reaction: Reaction) -> float:
    """H2 molecules that go in, per reaction as written (negative when they come out)."""
    return sum(-sign * float(term.count * term.formula.atoms) / 2.0 for sign, term in reaction.terms
               if term.formula.elements == ("H",))


def _barrier(enthalpy: EnthalpyPart, melt: MeltPart | None, static: np.ndarray, units: float, p: np.ndarray,
             t: np.ndarray) -> tuple[np.ndarray, str]:
    """(m, n) enthalpy of the molten product above the reactants per formula unit of product, and where it is from."""
    if len(enthalpy.liquid):
        rows = enthalpy.liquid[np.argsort(enthalpy.liquid[:, 0])]
        kelvins = sorted(set(rows[:, 1]))
        lines = []
        for kelvin in kelvins:
            mine = rows[rows[:, 1] == kelvin]
            line = np.interp(p, mine[:, 0], mine[:, 2]) / units
            lines.append(np.where((p >= mine[0, 0] - 1e-9) & (p <= mine[-1, 0] + 1e-9), line, np.nan))
        table = np.array(lines)
        grid = np.stack([np.interp(t, kelvins, column) for column in table.T], axis=1)
        return grid, "MD enthalpies of the molten product and the reactants at " + ", ".join(
            f"{k:g} K" for k in kelvins) + ", held constant beyond"
    if melt is not None:
        value = static / units + melt.fusion_eV(p)
        return np.broadcast_to(value, (len(t), len(p))).copy(), \
            "enthalpy of reaction of the crystals plus the enthalpy of fusion of the product at its melting point"
    return np.full((len(t), len(p)), np.nan), "unknown: neither MD enthalpies nor an enthalpy of fusion are at hand"
