"""Rate laws of uptake against time with bootstrap errors, and Arrhenius over temperatures.

Linear: the surface step limits. Parabolic: diffusion through the product limits. Avrami (Kolmogorov, Johnson and Mehl):
nucleation and growth; Avrami, J. Chem. Phys. 7, 1103 (1939), 10.1063/1.1750380. Moving-block bootstrap, because rows of
a run are correlated: Kunsch, Ann. Statist. 17, 1217 (1989), 10.1214/aos/1176347265.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import least_squares

from megabar.campaign.files import write_csv
from megabar.errors import InputError
from megabar.units import BOLTZMANN_EV_PER_K

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_ROWS = 8
"""A rate needs at least so many."""
_BOOTSTRAP = 100


@dataclass(frozen=True)
class RateLaw:
    """x(t) of one law: t in ps from the onset, parameters by name; `slopes` are its derivatives by the parameters
    (t, p), `start` guesses them from times and amounts."""

    name: str
    parameters: tuple[str, ...]
    value: Callable[[np.ndarray, np.ndarray], np.ndarray]
    slopes: Callable[[np.ndarray, np.ndarray], np.ndarray]
    start: Callable[[np.ndarray, np.ndarray], list[float]]


def _avrami_slopes(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    reduced = np.maximum(p[2] * t, 1e-300)
    power = reduced ** p[3]
    left = p[1] * np.exp(-power) * power
    return np.stack([np.ones_like(t), -np.expm1(-power), left * p[3] / p[2], left * np.log(reduced)], axis=1)


# Beyond these an Avrami curve cannot be told from a straight line or a step within the rows that there are.
_AVRAMI_EXPONENT = (0.5, 4.5)
_AVRAMI_GAIN = 4.0  # times the gain that was seen
LAWS = {
    law.name: law for law in (
        RateLaw("linear", ("initial", "rate_per_ps"), lambda p, t: p[0] + p[1] * t,
                lambda p, t: np.stack([np.ones_like(t), t], axis=1), lambda t, x: [x[0], (x[-1] - x[0]) / t[-1]]),
        RateLaw("parabolic", ("initial", "rate_per_sqrt_ps"), lambda p, t: p[0] + p[1] * np.sqrt(t),
                lambda p, t: np.stack([np.ones_like(t), np.sqrt(t)], axis=1),
                lambda t, x: [x[0], (x[-1] - x[0]) / np.sqrt(t[-1])]),
        RateLaw("avrami", ("initial", "gain", "rate_per_ps", "exponent"),
                lambda p, t: p[0] + p[1] * -np.expm1(-((p[2] * t) ** p[3])), _avrami_slopes,
                lambda t, x: [x[0], np.ptp(x), 2.0 / t[-1], 1.5]),
    )
}


@dataclass(frozen=True)
class RateFit:
    """One law fitted to x(t): values and bootstrap standard errors by parameter name.

    residual: root of the mean square residual, in the unit of x. correlation_rows: rows that residuals stay alike for.
    """

    law: str
    onset_ps: float
    values: dict[str, float]
    errors: dict[str, float]
    residual: float
    correlation_rows: float

    def predict(self, time_ps: np.ndarray) -> np.ndarray:
        law = LAWS[self.law]
        since = np.maximum(np.asarray(time_ps) - self.onset_ps, 0.0)
        return law.value(np.array([self.values[name] for name in law.parameters]), since)


def fit_rate(time_ps: np.ndarray, amount: np.ndarray, law: str, onset_ps: float | None = None,
             seed: int = 0) -> RateFit:
    """Fit `law` ("linear", "parabolic" or "avrami") to amount (t,) from onset_ps on (the first time when None).

    Raises InputError for an unknown law and for fewer than eight rows.
    """
    if law not in LAWS:
        raise InputError(f"rate law {law!r} is unknown: known laws: {', '.join(LAWS)}")
    onset = float(time_ps[0]) if onset_ps is None else onset_ps
    known = np.isfinite(amount) & (time_ps >= onset)
    t, x = np.asarray(time_ps, dtype=float)[known] - onset, np.asarray(amount, dtype=float)[known]
    if len(t) < LEAST_ROWS or t[-1] <= 0:
        raise InputError(f"{len(t)} rows after the onset: a rate needs at least {LEAST_ROWS}; run longer or dump more "
                         "often")
    form = LAWS[law]
    best = _solve(form, t, x, np.array(form.start(t, x)))
    residuals = x - form.value(best, t)
    correlation = _correlation_rows(residuals)
    rng = np.random.default_rng(seed)
    block = int(np.clip(2 * correlation, 2, len(t) // 3))
    draws = np.array([_solve(form, t, form.value(best, t) + _resample(residuals, block, rng), best)
                      for _ in range(_BOOTSTRAP)])
    count = len(form.parameters)
    # Resampled residuals of a fit are too small by its own degrees of freedom, counted in independent rows.
    independent = max(len(t) / correlation, count + 2.0)
    error = draws.std(axis=0) * np.sqrt(independent / max(independent - count, 1.0))
    return RateFit(law, onset, dict(zip(form.parameters, best.tolist(), strict=True)),
                   dict(zip(form.parameters, error.tolist(), strict=True)), float(np.sqrt(np.mean(residuals**2))),
                   correlation)


def _solve(form: RateLaw, t: np.ndarray, x: np.ndarray, start: np.ndarray) -> np.ndarray:
    if form.name != "avrami":
        return np.linalg.lstsq(form.slopes(start, t), x, rcond=None)[0]
    span = max(float(np.ptp(x)), 1e-6)
    low = np.array([x.min() - span, 0.0, 0.02 / t[-1], _AVRAMI_EXPONENT[0]])
    high = np.array([x.max() + span, _AVRAMI_GAIN * span, 50.0 / t[-1], _AVRAMI_EXPONENT[1]])
    inner = 1e-6 * (high - low)
    return least_squares(lambda p: form.value(p, t) - x, np.clip(start, low + inner, high - inner),
                         jac=lambda p: form.slopes(p, t), bounds=(low, high), x_scale=high - low, max_nfev=60).x


def _correlation_rows(residuals: np.ndarray) -> float:
    """Statistical inefficiency in rows: 1 + 2 sum of the autocorrelation up to its first zero."""
    centred = residuals - residuals.mean()
    variance = float(centred @ centred)
    if variance <= 0:
        return 1.0
    total = 1.0
    for lag in range(1, len(centred) // 2):
        value = float(centred[:-lag] @ centred[lag:]) / variance
        if value <= 0:
            break
        total += 2.0 * value
    return total


def _resample(residuals: np.ndarray, block: int, rng: np.random.Generator) -> np.ndarray:
    starts = rng.integers(0, len(residuals) - block + 1, size=-(-len(residuals) // block))
    return np.concatenate([residuals[s:s + block] for s in starts])[: len(residuals)]


@dataclass(frozen=True)
class Kinetics:
    """Uptake between its onset and saturation, with all rate laws fitted; `best` has the lowest criterion.

    fits is empty when nothing was taken up or too few rows saw it; `reason` then says so.
    """

    time_ps: np.ndarray
    h_per_metal: np.ndarray
    fits: tuple[RateFit, ...]
    reason: str

    @property
    def criterion(self) -> dict[str, float]:
        """Corrected Akaike criterion by law, above that of the best. Rows count as far as they are independent, which
        the residuals of the closest law tell."""
        if not self.fits:
            return {}
        closest = min(self.fits, key=lambda fit: fit.residual)
        values = {}
        for fit in self.fits:
            count = len(fit.values)
            independent = max(len(self.time_ps) / closest.correlation_rows, count + 2.0)
            values[fit.law] = (independent * np.log(max(fit.residual, 1e-12) ** 2) + 2 * count
                               + 2 * count * (count + 1) / (independent - count - 1))
        lowest = min(values.values())
        return {law: float(value - lowest) for law, value in values.items()}

    @property
    def best(self) -> RateFit | None:
        """The law with the lowest criterion."""
        criterion = self.criterion
        return min(self.fits, key=lambda fit: criterion[fit.law], default=None)

    def save(self, out: Path) -> list[Path]:
        """kinetics.csv in the folder `out`: uptake and each law's curve; nothing without fits."""
        if not self.fits:
            return []
        columns: dict[str, Any] = {"time_ps": self.time_ps, "h_per_metal": self.h_per_metal}
        columns |= {f"{fit.law}_fit": fit.predict(self.time_ps) for fit in self.fits}
        write_csv(out / "kinetics.csv", columns)
        return [out / "kinetics.csv"]

    def plot(self, ax: Axes) -> None:
        from megabar.reaction.figures import plot_kinetics

        plot_kinetics(ax, self)

    def summary(self) -> dict[str, Any]:
        """Laws, values and errors for --json."""
        best, criterion = self.best, self.criterion
        return {"best": None if best is None else best.law, "reason": self.reason,
                "laws": {f.law: {"onset_ps": f.onset_ps, "values": f.values, "errors": f.errors,
                                 "residual": f.residual, "criterion": criterion[f.law]} for f in self.fits}}


def uptake_kinetics(time_ps: np.ndarray, h_per_metal: np.ndarray, onset_ps: float | None,
                    saturation_ps: float | None, seed: int = 0) -> Kinetics:
    """All rate laws on the uptake from its onset to saturation (to the end when that was not seen)."""
    if onset_ps is None:
        return Kinetics(time_ps, h_per_metal, (), "no uptake was seen, so there is no rate")
    stop = float(time_ps[-1]) if saturation_ps is None else saturation_ps
    rows = (time_ps >= onset_ps) & (time_ps <= stop)
    time, taken = time_ps[rows], h_per_metal[rows]
    if len(time) < LEAST_ROWS:
        return Kinetics(time, taken, (), f"only {len(time)} rows between onset and saturation: too few for a rate")
    return Kinetics(time, taken, tuple(fit_rate(time, taken, law, seed=seed) for law in LAWS), "")


@dataclass(frozen=True)
class Arrhenius:
    """k(T) = prefactor exp(-barrier / kT); the prefactor in the unit of the rates; errors are standard errors."""

    temperature_K: np.ndarray
    rate: np.ndarray
    rate_error: np.ndarray
    barrier_eV: float
    barrier_error_eV: float
    log_prefactor: float
    log_prefactor_error: float

    def save(self, out: Path) -> list[Path]:
        """arrhenius.csv and arrhenius.png in the folder `out`."""
        from megabar.reaction.figures import figure, save

        columns: dict[str, Any] = {"temperature_K": self.temperature_K, "rate": self.rate,
                                   "rate_error": self.rate_error, "fit": self.predict(self.temperature_K)}
        write_csv(out / "arrhenius.csv", columns)
        with figure(height_in=3.2) as fig:
            self.plot(fig.add_subplot())
            save(fig, out / "arrhenius.png")
        return [out / "arrhenius.csv", out / "arrhenius.png"]

    def plot(self, ax: Axes) -> None:
        from megabar.reaction.figures import plot_arrhenius

        plot_arrhenius(ax, self)

    def predict(self, temperature_K: np.ndarray) -> np.ndarray:
        return np.exp(self.log_prefactor - self.barrier_eV / (BOLTZMANN_EV_PER_K * np.asarray(temperature_K)))


def fit_arrhenius(temperature_K: np.ndarray, rate: np.ndarray, rate_error: np.ndarray) -> Arrhenius:
    """Weighted fit of ln(rate) against 1/kT. Raises InputError for rates not above zero or fewer than two temperatures.

    Errors follow from the rates' own errors and are widened when the points scatter by more than these.
    """
    temperature, rates, errors = (np.asarray(v, dtype=float) for v in (temperature_K, rate, rate_error))
    if len(np.unique(temperature)) < 2:
        raise InputError("Arrhenius: fewer than two temperatures; add runs at another temperature")
    if (rates <= 0).any() or (temperature <= 0).any():
        raise InputError("Arrhenius: rates and temperatures must be above zero; leave out runs without uptake")
    weight = rates / np.maximum(errors, 1e-12 * rates)
    basis = np.stack([np.ones_like(rates), -1.0 / (BOLTZMANN_EV_PER_K * temperature)], axis=1)
    scaled = basis * weight[:, None]
    solution = np.linalg.lstsq(scaled, np.log(rates) * weight, rcond=None)[0]
    covariance = np.linalg.inv(scaled.T @ scaled)
    if len(rates) > 2:
        chi2 = float(np.sum((weight * (np.log(rates) - basis @ solution)) ** 2)) / (len(rates) - 2)
        covariance = covariance * max(chi2, 1.0)
    spread = np.sqrt(np.diag(covariance))
    return Arrhenius(temperature, rates, errors, float(solution[1]), float(spread[1]), float(solution[0]),
                     float(spread[0]))
