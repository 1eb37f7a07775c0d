"""Melting lines over pressure: Simon-Glatzel and Kechin forms with errors, and Datchi's curve of hydrogen.

Simon and Glatzel, Z. Anorg. Allg. Chem. 178, 309 (1929): T = T0 (1 + P/a)^b rises for ever; Kechin, Phys. Rev. B 65,
052102 (2001), 10.1103/PhysRevB.65.052102, multiplies it by exp(-c P), so that it may pass a maximum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.optimize import least_squares

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.errors import InputError
from megabar.thermodynamics.melting_figures import plot_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Form = Literal["straight", "simon", "kechin"]
DATCHI_H2 = {"T0_K": 14.025, "a_GPa": 0.0286, "b": 0.589, "c_per_GPa": 4.6e-3}
"""Kechin form fitted to H2 melting up to 15 GPa and 530 K: Datchi, Loubeyre and LeToullec, Phys. Rev. B 61, 6535
(2000), 10.1103/PhysRevB.61.6535."""
DATCHI_MEASURED_TO_GPA = 15.0


def kechin_K(pressure_GPa: np.ndarray | float, T0_K: float, a_GPa: float, b: float,
             c_per_GPa: float = 0.0) -> np.ndarray:
    """T0 (1 + P/a)^b exp(-c P)."""
    p = np.asarray(pressure_GPa, dtype=float)
    return T0_K * (1.0 + p / a_GPa) ** b * np.exp(-c_per_GPa * p)


def datchi_K(pressure_GPa: np.ndarray | float) -> np.ndarray:
    """Melting temperature of H2 in K; extrapolated above 15 GPa, where later work puts a maximum near 65-130 GPa."""
    return kechin_K(pressure_GPa, **DATCHI_H2)


@dataclass(frozen=True)
class MeltingLine:
    """A fitted line: `parameters` of the form by name with unit, `covariance` of the fitted numbers (k, k), `points`
    (n, 3) of pressure (GPa), temperature (K) and its error (K). `chi2_per_freedom` None without degrees of freedom."""

    label: str
    form: Form
    parameters: dict[str, float]
    covariance: np.ndarray
    points: np.ndarray
    chi2_per_freedom: float | None

    def pressures_GPa(self, count: int = 200) -> np.ndarray:
        low, high = self.points[:, 0].min(), self.points[:, 0].max()
        return np.linspace(max(0.0, low - 0.1 * (high - low)), high + 0.1 * (high - low), count)

    def _numbers(self) -> np.ndarray:
        return _to_numbers(self.form, self.parameters)

    def temperature_K(self, pressure_GPa: np.ndarray | float) -> np.ndarray:
        """Melting temperature, shape as given; NaN outside the fitted pressures by more than a fifth of their range."""
        p = np.asarray(pressure_GPa, dtype=float)
        low, high = self.points[:, 0].min(), self.points[:, 0].max()
        reach = 0.2 * (high - low) + 1e-9
        return np.where((p >= low - reach) & (p <= high + reach), _value(self.form, self._numbers(), p), np.nan)

    def error_K(self, pressure_GPa: np.ndarray | float) -> np.ndarray:
        """Standard error of the line from the covariance of the fit."""
        p = np.atleast_1d(np.asarray(pressure_GPa, dtype=float))
        x = self._numbers()
        slopes = np.stack([_slope(self.form, x, k, p) for k in range(len(x))])
        error = np.sqrt(np.maximum(np.einsum("kp,kl,lp->p", slopes, self.covariance, slopes), 0.0))
        return error if np.ndim(pressure_GPa) else error[0]

    def slope_K_per_GPa(self, pressure_GPa: float) -> float:
        step = 1e-3 * max(1.0, pressure_GPa)
        high, low = (_value(self.form, self._numbers(), np.array(pressure_GPa + s)) for s in (step, -step))
        return float((high - low) / (2.0 * step))

    def summary(self) -> dict[str, Any]:
        return {"label": self.label, "form": self.form, "parameters": self.parameters,
                "parameter_errors": dict(zip(_NAMES[self.form], np.sqrt(np.diag(self.covariance)).tolist(),
                                             strict=False)),
                "chi2_per_freedom": self.chi2_per_freedom, "points": self.points.tolist(),
                "covariance_of": list(_NAMES[self.form]), "covariance": self.covariance.tolist()}

    def save(self, folder: str | Path) -> None:
        """`melting-line.json`, `.csv` and `.png` in `folder`; hydrogen with Datchi's curve beside it."""
        from matplotlib.figure import Figure

        folder, p = Path(folder), self.pressures_GPa()
        columns: dict[str, Any] = {"pressure_GPa": p, "temperature_K": self.temperature_K(p),
                                   "error_K": self.error_K(p)}
        figure = Figure(figsize=(5.0, 3.8), layout="constrained")
        ax = figure.subplots()
        self.plot(ax)
        if self.label.split()[0] == "H2":
            columns["datchi_K"] = datchi_K(p)
            measured = p <= DATCHI_MEASURED_TO_GPA
            ax.plot(p, datchi_K(p), "k--", lw=1, label="Datchi 2000" + ("" if measured.all() else
                                                                       " (extrapolated above 15 GPa)"))
        ax.legend(fontsize=8)
        write_csv(folder / "melting-line.csv", {k: np.asarray(v).tolist() for k, v in columns.items()})
        with atomic_path(folder / "melting-line.png") as temporary:
            figure.savefig(temporary, dpi=150)
        write_json(folder / "melting-line.json", self.summary())

    @classmethod
    def from_summary(cls, values: dict[str, Any]) -> MeltingLine:
        """The line that `summary` described."""
        return cls(values["label"], values["form"], dict(values["parameters"]), np.array(values["covariance"]),
                   np.array(values["points"]).reshape(-1, 3), values["chi2_per_freedom"])

    def plot(self, ax: Axes) -> None:
        """The line, its band and its points."""
        plot_line(ax, self)


# The numbers that are fitted; logarithms keep T0 and a positive. A straight line stands for two points.
_NAMES: dict[Form, tuple[str, ...]] = {
    "straight": ("T_K", "slope_K_per_GPa"), "simon": ("ln T0", "ln a", "b"), "kechin": ("ln T0", "ln a", "b", "c")}


def _to_numbers(form: Form, values: dict[str, float]) -> np.ndarray:
    if form == "straight":
        return np.array([values["T_K"], values["slope_K_per_GPa"]])
    numbers = [math.log(values["T0_K"]), math.log(values["a_GPa"]), values["b"]]
    return np.array(numbers + ([values["c_per_GPa"]] if form == "kechin" else []))


def _value(form: Form, x: np.ndarray, p: np.ndarray) -> np.ndarray:
    if form == "straight":
        return x[0] + x[1] * p
    return kechin_K(p, math.exp(x[0]), math.exp(x[1]), x[2], x[3] if form == "kechin" else 0.0)


def _slope(form: Form, x: np.ndarray, k: int, p: np.ndarray) -> np.ndarray:
    step = np.zeros(len(x))
    step[k] = 1e-5 * max(1.0, abs(x[k]))
    return (_value(form, x + step, p) - _value(form, x - step, p)) / (2.0 * step[k])


def fit_line(pressure_GPa: Sequence[float], temperature_K: Sequence[float], error_K: Sequence[float],
             label: str = "", form: Form | None = None) -> MeltingLine:
    """Weighted fit; the form grows with the points: straight for 2 or 3, Simon for 4, Kechin from 5 (or as asked).

    The covariance is that of the given errors, widened where the points scatter more than they say.
    Raises InputError for fewer points than the form has numbers, or errors that are not positive.
    """
    points = np.array(sorted(zip(pressure_GPa, temperature_K, error_K, strict=True)), dtype=float).reshape(-1, 3)
    count = len(points)
    chosen: Form = form or ("straight" if count < 4 else "simon" if count < 5 else "kechin")
    if count < len(_NAMES[chosen]):
        raise InputError(f"a {chosen} line needs {len(_NAMES[chosen])} points and there are {count}; add pressures")
    if not (np.isfinite(points).all() and (points[:, 1:] > 0).all() and len(set(points[:, 0])) == count):
        raise InputError("melting points: temperatures and errors must be positive and pressures different")
    p, t, error = points.T
    if chosen == "straight":
        (slope, offset), scaled = np.polyfit(p, t, 1, w=1.0 / error), None
        design = np.stack([np.ones(count), p], axis=1) / error[:, None]
        best, covariance = np.array([offset, slope]), np.linalg.inv(design.T @ design)
    else:
        best, scaled = _search(chosen, p, t, error), None
        jacobian = np.stack([_slope(chosen, best, k, p) for k in range(len(best))], axis=1) / error[:, None]
        covariance = np.linalg.pinv(jacobian.T @ jacobian)
    freedom = count - len(best)
    scaled = float((((t - _value(chosen, best, p)) / error) ** 2).sum() / freedom) if freedom else None
    if scaled is not None:
        covariance = covariance * max(1.0, scaled)
    if chosen == "straight":
        parameters = {"T_K": float(best[0]), "slope_K_per_GPa": float(best[1])}
    else:
        parameters = {"T0_K": math.exp(best[0]), "a_GPa": math.exp(best[1]), "b": float(best[2])}
        if chosen == "kechin":
            parameters["c_per_GPa"] = float(best[3])
    return MeltingLine(label, chosen, parameters, covariance, points, scaled)


def _search(form: Form, p: np.ndarray, t: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Best of several starts, since a and b of the form are strongly correlated."""
    best, lowest = None, np.inf
    for a in (0.03, 0.3, 3.0, 30.0):
        for b in (0.2, 0.5):
            start = [math.log(t[0] / (1.0 + p[0] / a) ** b), math.log(a), b] + ([1e-3] if form == "kechin" else [])
            upper = [np.inf, math.log(1e4), 3.0] + ([0.1] if form == "kechin" else [])
            lower = [-np.inf, math.log(1e-4), -3.0] + ([-0.02] if form == "kechin" else [])
            found = least_squares(lambda x: (_value(form, x, p) - t) / error, start, bounds=(lower, upper),
                                  x_scale=[0.1, 0.5, 0.05] + ([1e-3] if form == "kechin" else []), max_nfev=300)
            if found.cost < lowest:
                best, lowest = found.x, found.cost
    assert best is not None
    return best
