"""Pseudo-Voigt lines and least squares with errors, shared by spectra and diffraction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from megabar.errors import NotConverged


def pseudo_voigt(x: np.ndarray, centre: Any, fwhm: Any, eta: Any) -> np.ndarray:
    """Area-normalised pseudo-Voigt: eta Lorentzian + (1 - eta) Gaussian of the same full width at half maximum."""
    u = (x - centre) / fwhm
    gauss = np.sqrt(4.0 * np.log(2.0) / np.pi) / fwhm * np.exp(-4.0 * np.log(2.0) * u * u)
    lorentz = 2.0 / (np.pi * fwhm) / (1.0 + 4.0 * u * u)
    return eta * lorentz + (1.0 - eta) * gauss


@dataclass(frozen=True)
class Fit:
    """Parameters of a least-squares fit, their covariance, the residuals, and chi^2 per degree of freedom."""

    parameters: np.ndarray
    covariance: np.ndarray
    residual: np.ndarray
    reduced_chi2: float

    @property
    def errors(self) -> np.ndarray:
        return np.sqrt(np.clip(np.diag(self.covariance), 0.0, None))


def fit(
    residual: Callable[[np.ndarray], np.ndarray], start: np.ndarray, lower: np.ndarray, upper: np.ndarray,
) -> Fit:
    """Bounded least squares with the covariance scaled by the misfit (the noise is taken from the data).

    Raises NotConverged when the minimiser gives up.
    """
    start = np.clip(start, lower + 1e-9 * (upper - lower), upper - 1e-9 * (upper - lower))
    result = least_squares(residual, start, bounds=(lower, upper), x_scale="jac", max_nfev=2000)
    if result.status <= 0 or not np.all(np.isfinite(result.x)):
        raise NotConverged(f"the fit did not converge ({result.message}); narrow the range or check the data")
    degrees = max(1, result.fun.size - result.x.size)
    scale = float(2.0 * result.cost / degrees)
    # Columns of very different size (a position and a height): scale before the pseudo-inverse.
    norms = np.linalg.norm(result.jac, axis=0)
    norms[norms == 0.0] = 1.0
    jac = result.jac / norms
    inverse = np.linalg.pinv(jac.T @ jac, rcond=1e-14) / np.outer(norms, norms)
    return Fit(result.x, inverse * scale, result.fun, scale)
