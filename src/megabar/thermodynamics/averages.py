"""Means of correlated series and their standard errors."""

from __future__ import annotations

import numpy as np

LEAST_BLOCKS = 8


def block_error(series: np.ndarray) -> tuple[float, float]:
    """Mean of `series` (n,) and its standard error by blocking: the largest estimate over blocks of 1, 2, 4, ...
    samples with at least `LEAST_BLOCKS` blocks left, since the estimate rises to its plateau as blocks outgrow the
    correlation (Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989), 10.1063/1.457480). NaN for fewer samples."""
    values = np.asarray(series, dtype=float)
    if len(values) < LEAST_BLOCKS:
        return (float(values.mean()) if len(values) else float("nan")), float("nan")
    mean, error = float(values.mean()), 0.0
    while len(values) >= LEAST_BLOCKS:
        error = max(error, float(values.std(ddof=1) / np.sqrt(len(values))))
        even = values[:len(values) // 2 * 2]
        values = 0.5 * (even[0::2] + even[1::2])
    return mean, error
