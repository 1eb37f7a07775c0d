"""Means over seeds and their standard errors.

The standard error of a mean over n seeds is s / sqrt(n), s the sample standard deviation (n - 1): unknown for one seed,
and itself uncertain by 40 % for three. Tables say n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def mean_and_error(values: Sequence[float]) -> tuple[float, float, int]:
    """Mean, its standard error (NaN for one value) and the number of values, of those that are finite."""
    known = np.array([v for v in values if math.isfinite(v)])
    if len(known) == 0:
        return math.nan, math.nan, 0
    error = float(known.std(ddof=1) / math.sqrt(len(known))) if len(known) > 1 else math.nan
    return float(known.mean()), error, len(known)


def weighted_mean_and_error(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float, int]:
    """As `mean_and_error`, with weights; the two agree where all weights are equal."""
    pairs = np.array([(v, w) for v, w in zip(values, weights, strict=True) if math.isfinite(v) and w > 0.0])
    if len(pairs) == 0:
        return math.nan, math.nan, 0
    value, weight = pairs[:, 0], pairs[:, 1] / pairs[:, 1].sum()
    mean, n = float(weight @ value), len(pairs)
    error = math.sqrt(n / (n - 1.0) * float(weight**2 @ (value - mean) ** 2)) if n > 1 else math.nan
    return mean, error, n
