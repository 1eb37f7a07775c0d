"""Record transition temperatures by year and family, from a table in which every row cites its paper."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from megabar.campaign.files import atomic_path, write_csv

_STYLE = {
    "elements and alloys": ("o", "#525252"), "heavy fermions": ("P", "#8c6d31"), "cuprates": ("D", "#2171b5"),
    "fullerides": ("h", "#6a51a3"), "iron pnictides": ("s", "#238b45"), "nickelates": ("^", "#17a2b8"),
    "hydrides": ("*", "#cb181d"),
}


@dataclass(frozen=True)
class Record:
    family: str
    compound: str
    tc_K: float
    year: int
    pressure_GPa: float
    status: str
    reference: str


def records() -> list[Record]:
    """The shipped table; status is measured, disputed or retracted."""
    text = files("megabar.superconductivity").joinpath("history.csv").read_text(encoding="utf-8")
    return [Record(r["family"], r["compound"], float(r["tc_K"]), int(r["year"]), float(r["pressure_GPa"]), r["status"],
                   r["reference"]) for r in csv.DictReader(text.splitlines())]


def plot(ax: Any) -> None:
    """Tc against year, one colour a family; hollow where disputed, crossed out where retracted."""
    for family, (marker, colour) in _STYLE.items():
        for status, face in (("measured", colour), ("disputed", "white")):
            rows = [r for r in records() if r.family == family and r.status == status]
            ax.scatter([r.year for r in rows], [r.tc_K for r in rows], marker=marker, s=70 if marker == "*" else 32,
                       facecolor=face, edgecolor=colour, label=family if status == "measured" else None, zorder=3)
    gone = [r for r in records() if r.status == "retracted"]
    ax.scatter([r.year for r in gone], [r.tc_K for r in gone], marker="x", color="0.6", label="retracted")
    for r in records():
        if r.compound in ("Hg", "Nb3Ge", "YBa2Cu3O7", "HgBa2Ca2Cu3O8", "MgB2", "H3S", "CaH6", "La3Ni2O7", "C-S-H") \
                or (r.compound == "LaH10" and r.tc_K == 250.0):
            ax.annotate(r.compound, (r.year, r.tc_K), (-4, 4), textcoords="offset points", fontsize=7, ha="right")
    for kelvin, name in ((77.36, "boiling nitrogen"), (293.0, "room")):
        ax.axhline(kelvin, color="0.8", lw=0.8, zorder=0)
        ax.text(1905, kelvin + 3, name, fontsize=7, color="0.5")
    ax.set_xlabel("year")
    ax.set_ylabel(r"$T_c$ (K)")
    ax.set_xlim(1903, 2030)
    ax.set_ylim(0, 310)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0.0, 0.92))


def save(directory: str | Path) -> None:
    """`history.png` and `history.csv`."""
    from matplotlib.figure import Figure

    rows = records()
    write_csv(Path(directory) / "history.csv", {key: [getattr(r, key) for r in rows] for key in Record.__annotations__})
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    plot(figure.add_subplot())
    with atomic_path(Path(directory) / "history.png") as path:
        figure.savefig(path, dpi=150)
