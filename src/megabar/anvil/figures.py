"""One way of saving a figure: no display, tight layout, written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from megabar.campaign.files import atomic_path


def save_figure(path: str | Path, plot: Callable[[Any], None], size_inch: tuple[float, float] = (7.0, 4.5)) -> None:
    """Draw `plot(ax)` on a new axis and write it to `path` (format by suffix)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inch, layout="constrained")
    FigureCanvasAgg(figure)
    plot(figure.add_subplot())
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
