"""Rows of results that arrive for as long as a run lasts, kept in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class Rows:
    """Table of numbers and arrays against time; when it is full, neighbouring rows are averaged and so it goes on.

    Values that are not known yet are NaN and do not count in an average.
    """

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._rows: list[dict[str, np.ndarray]] = []
        self._stride = 1
        self._open: list[dict[str, np.ndarray]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        self._open.append({key: np.asarray(value, dtype=float) for key, value in row.items()})
        if len(self._open) == self._stride:
            self._rows.append(_mean(self._open))
            self._open = []
        if len(self._rows) == 2 * self._limit:
            self._rows = [_mean(self._rows[k:k + 2]) for k in range(0, len(self._rows), 2)]
            self._stride *= 2

    def columns(self) -> dict[str, np.ndarray]:
        """Each column as (t, ...), the rows of the last, incomplete average included."""
        rows = self._rows + ([_mean(self._open)] if self._open else [])
        return {key: np.array([row[key] for row in rows]) for key in rows[0]} if rows else {}


def _mean(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if len(rows) == 1:
        return rows[0]
    result = {}
    for key in rows[0]:
        stack = np.array([row[key] for row in rows])
        known = np.isfinite(stack)
        many = known.sum(axis=0)
        total = np.where(known, stack, 0.0).sum(axis=0)
        result[key] = np.where(many > 0, total / np.maximum(many, 1), np.nan)
    return result


class Thinned:
    """Up to 8 `keep` items spread evenly over all that were offered; an item is a function, called when it is kept."""

    def __init__(self, keep: int) -> None:
        self._keep, self._stride, self._offered = keep, 1, 0
        self._items: list[Any] = []
        self._last: Any = None

    def offer(self, make: Any) -> None:
        if self._offered % self._stride == 0:
            self._items.append(make())
            self._last = None
        else:
            self._last = make
        self._offered += 1
        if len(self._items) > 8 * self._keep:
            self._items = self._items[::2]
            self._stride *= 2

    def chosen(self) -> list[Any]:
        """At most `keep` items, evenly spread, the first and the last ever offered among them."""
        items = [*self._items, self._last()] if self._last is not None else list(self._items)
        if len(items) <= self._keep:
            return items
        return [items[k] for k in np.unique(np.linspace(0, len(items) - 1, self._keep).round().astype(int))]


class RecentMean:
    """Mean and scatter of arrays over the last part, an eighth to a quarter, of all that were added."""

    _CHUNKS = 16

    def __init__(self) -> None:
        self._chunks: list[tuple[int, np.ndarray, np.ndarray]] = []
        self._size = 1

    def add(self, values: np.ndarray) -> None:
        if self._chunks and self._chunks[-1][0] < self._size:
            count, total, square = self._chunks[-1]
            self._chunks[-1] = (count + 1, total + values, square + values * values)
        else:
            self._chunks.append((1, values.copy(), values * values))
        if len(self._chunks) == self._CHUNKS and self._chunks[-1][0] == self._size:
            pairs = zip(self._chunks[::2], self._chunks[1::2], strict=True)
            self._chunks = [(a[0] + b[0], a[1] + b[1], a[2] + b[2]) for a, b in pairs]
            self._size *= 2

    def mean_and_scatter(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Mean, standard deviation and number of samples; the first chunk alone when there is only one."""
        part = self._chunks[-2:] if len(self._chunks) > 4 else self._chunks[-1:]
        count = sum(chunk[0] for chunk in part)
        mean = np.sum([chunk[1] for chunk in part], axis=0) / count
        square = np.sum([chunk[2] for chunk in part], axis=0) / count
        return mean, np.sqrt(np.maximum(square - mean * mean, 0.0)), count
