"""Rate laws and Arrhenius: planted parameters come back within their errors, and the planted law wins."""

from __future__ import annotations

import numpy as np
import pytest

from megabar.errors import InputError
from megabar.reaction.events import first_sustained, saturation, uptake_onset
from megabar.reaction.front import find_front
from megabar.reaction.kinetics import LAWS, fit_arrhenius, fit_rate, uptake_kinetics
from megabar.units import BOLTZMANN_EV_PER_K

TIME = np.linspace(0.0, 20.0, 100)
PLANTED = {"linear": [2.0, 0.09], "parabolic": [2.0, 0.4], "avrami": [2.0, 2.0, 0.12, 2.2]}


def noisy(law: str, seed: int, sigma: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = np.zeros(len(TIME))
    for k in range(1, len(TIME)):  # correlated, as rows of a run are
        noise[k] = 0.6 * noise[k - 1] + rng.normal() * sigma * 0.8
    return LAWS[law].value(np.array(PLANTED[law]), TIME) + noise


@pytest.mark.parametrize("law", LAWS)
def test_planted_parameters_come_back(law):
    """Over ten seeds the deviations are of the size of the errors: root mean square below 2, and above 0.4."""
    pulls = []
    for seed in range(10):
        fit = fit_rate(TIME, noisy(law, seed), law, seed=seed)
        pulls.append([(fit.values[n] - p) / fit.errors[n]
                      for n, p in zip(LAWS[law].parameters, PLANTED[law], strict=True)])
    spread = np.sqrt(np.mean(np.square(pulls), axis=0))
    assert (spread < 2.0).all() and (spread > 0.4).all()


@pytest.mark.parametrize("law", LAWS)
def test_planted_law_wins(law):
    wins = [uptake_kinetics(TIME, noisy(law, seed), 0.0, None).best.law == law for seed in range(4)]
    assert sum(wins) >= 3


def test_noiseless_fit_is_exact():
    fit = fit_rate(TIME, LAWS["linear"].value(np.array([2.0, 0.1]), TIME), "linear")
    assert fit.values["rate_per_ps"] == pytest.approx(0.1, rel=1e-9)
    assert fit.errors["rate_per_ps"] < 1e-9
    np.testing.assert_allclose(fit.predict(np.array([5.0])), [2.5])


def test_arrhenius_returns_barrier_and_error():
    temperature = np.array([1000.0, 1200.0, 1400.0, 1600.0])
    rates = 30.0 * np.exp(-0.5 / (BOLTZMANN_EV_PER_K * temperature))
    exact = fit_arrhenius(temperature, rates, 0.05 * rates)
    assert exact.barrier_eV == pytest.approx(0.5, rel=1e-9)
    assert exact.log_prefactor == pytest.approx(np.log(30.0), rel=1e-9)
    np.testing.assert_allclose(exact.predict(temperature), rates)
    rng = np.random.default_rng(0)
    pulls = []
    for _ in range(200):
        seen = fit_arrhenius(temperature, rates * np.exp(rng.normal(size=4) * 0.05), 0.05 * rates)
        pulls.append((seen.barrier_eV - 0.5) / seen.barrier_error_eV)
    assert 0.6 < np.std(pulls) < 1.1  # errors are widened for bad luck, never narrowed


@pytest.mark.parametrize(("call", "words"), [
    (lambda: fit_rate(TIME, TIME, "cubic"), "known laws"),
    (lambda: fit_rate(TIME[:5], TIME[:5], "linear"), "at least 8"),
    (lambda: fit_arrhenius(np.array([1000.0]), np.array([1.0]), np.array([0.1])), "two temperatures"),
    (lambda: fit_arrhenius(np.array([1000.0, 1100.0]), np.array([1.0, -1.0]), np.array([0.1, 0.1])), "above zero"),
])
def test_bad_input(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_onset_and_saturation_of_a_planted_curve():
    rng = np.random.default_rng(1)
    curve = 2.0 + np.clip((TIME - 2.0) * 0.4, 0.0, 1.6) + rng.normal(size=100) * 0.01
    onset = uptake_onset(TIME, curve)
    assert onset == pytest.approx(2.0, abs=0.5)
    end = saturation(TIME, curve, onset, 9.0)
    assert end is not None and end.time_ps == pytest.approx(2.0 + 0.95 * 4.0, abs=0.6)
    assert "H/M 3.60" in end.detail and "longer than" in end.detail
    assert saturation(TIME, noisy("linear", 0), 1.0, 9.0) is None  # still rising
    assert uptake_onset(TIME, 2.0 + rng.normal(size=100) * 0.01) is None


LONG = np.arange(0.1, 60.0, 0.25)  # rows of a run of 60 ps
ENDLESS = {
    "linear": LONG / 60.0, "parabolic": np.sqrt(LONG / 60.0), "cube root": np.cbrt(LONG / 60.0),
    "logarithmic": np.log1p(LONG / 2.0) / np.log1p(30.0),
    "slow exponential": -np.expm1(-LONG / 15.0) / -np.expm1(-4.0),  # 95 % at 45 ps
    "pauses in the last quarter": np.clip(LONG / 45.0, 0.0, 1.0),
    "pauses after more than half": np.clip(LONG / 36.0, 0.0, 1.0),
    "two steps, 6 and 33 ps": 0.5 * (LONG > 6.0) + 0.5 * (LONG > 33.0),
    "three steps, 6, 18 and 36 ps": ((LONG > 6.0) * 1.0 + (LONG > 18.0) + (LONG > 36.0)) / 3.0,
}
ENDING = {
    "step at 9 ps": (LONG > 9.0) * 1.0, "exponential, 3 ps": -np.expm1(-LONG / 3.0),
    "three steps, the last at 15 ps": ((LONG > 3.0) * 1.0 + (LONG > 7.0) + (LONG > 15.0)) / 3.0,
}


def correlated(sigma: float, seed: int, memory_ps: float = 1.8) -> np.ndarray:
    """Noise of the rows of a run: H/M of 600 atoms swings by 0.15 to 0.3 and forgets in 1.8 ps."""
    rng = np.random.default_rng(seed)
    keep = np.exp(-0.25 / memory_ps)
    values = rng.normal(size=len(LONG))
    for k in range(1, len(values)):
        values[k] = keep * values[k - 1] + np.sqrt(1.0 - keep**2) * values[k]
    return sigma * values


@pytest.mark.parametrize("name", ENDLESS)
def test_uptake_that_goes_on_does_not_saturate(name):
    """At most one seed in a hundred of 300, at a third of the noise of 600 atoms, at it and at twice it."""
    for sigma in (0.05, 0.15, 0.3):
        wrong = sum(saturation(LONG, 2.2 + 2.6 * ENDLESS[name] + correlated(sigma, seed), 1.0, 9.0) is not None
                    for seed in range(100))
        assert wrong <= 1, f"{name}, noise {sigma}: {wrong} of 100"


@pytest.mark.parametrize("name", ENDING)
def test_uptake_that_ends_saturates(name):
    """Nearly always where the noise is small against the gain, mostly at the noise of 600 atoms; never where the gain
    is so small that an error of the slope would hide as much again."""

    def found(sigma, gain):
        return sum(saturation(LONG, 2.2 + gain * ENDING[name] + correlated(sigma, seed), 1.0, 9.0) is not None
                   for seed in range(60)) / 60

    assert found(0.05, 2.6) >= 0.95 and found(0.15, 2.6) >= 0.5 and found(0.15, 0.4) == 0.0


def test_a_step_is_not_the_end_until_its_plateau_is_the_longest_part():
    """Steps at 8 and 24 ps: looked at ever later, the end is told only once the second plateau outlasts all before."""
    curve = 2.2 + 1.3 * (LONG > 8.0) + 1.3 * (LONG > 24.0) + correlated(0.03, 4)

    def told(until_ps):
        rows = LONG < until_ps
        return saturation(LONG[rows], curve[rows], 8.0, 9.0)

    assert all(told(until) is None for until in (12.0, 15.0, 26.0, 30.0, 36.0, 42.0, 46.0))
    for until in (56.0, 60.0):
        assert told(until).time_ps == pytest.approx(24.0, abs=0.5)


def test_an_empty_reservoir_is_an_end_at_once():
    """The same curve, flat for the last quarter only: an end where nothing is left outside, a pause where there is."""
    curve = 2.0 + 2.0 * np.clip(LONG / 45.0, 0.0, 1.0) + correlated(0.01, 0)
    assert saturation(LONG, curve, 1.0, 8.0) is None
    end = saturation(LONG, curve, 1.0, 4.1)
    assert end.time_ps == pytest.approx(0.95 * 45.0, abs=2.0) and "no hydrogen is left" in end.detail


def test_no_uptake_has_no_rate():
    kinetics = uptake_kinetics(TIME, np.full(100, 2.0), None, None)
    assert kinetics.best is None and "no uptake" in kinetics.reason


def test_sustained():
    flags = np.array([0, 1, 1, 0, 1, 1, 1, 0], dtype=bool)
    assert first_sustained(flags) == 4 and first_sustained(flags, 4) is None


def test_front_of_planted_layers():
    """A sharp front from the lower face at half a layer per ps through ten layers of 2.5 A."""
    depth = 0.5 * TIME
    layers = 2.0 + 2.0 * np.clip(depth[:, None] - np.arange(10)[None], 0.0, 1.0)
    front = find_front(TIME, layers, np.full((100, 10), 2.5))
    known = np.isfinite(front.depth_layers[:, 0])
    np.testing.assert_allclose(front.depth_layers[known, 0], depth[known], atol=1e-6)
    fit = front.velocity_A_per_ps["lower"]
    assert fit is not None and fit.values["rate_per_ps"] == pytest.approx(1.25, rel=1e-6)
    assert front.velocity_A_per_ps["upper"] is None
