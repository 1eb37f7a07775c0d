"""One self-contained HTML page a run: nothing is loaded from anywhere, so that it opens without a net."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from megabar.campaign.files import write_text
from megabar.reaction.analysis import CITATIONS
from megabar.report import methods as words
from megabar.report.references import Reference, bibtex, references
from megabar.report.run_folder import RunFolder
from megabar.report.viewer import viewer_html

REPORT, BIBLIOGRAPHY = "report.html", "references.bib"
FRAMES = 150
_LARGEST_TABLE = 400_000
"""Bytes up to which a figure's CSV is put into the page to be saved from there."""
CAPTIONS = {
    "snapshots.png": "The slab from the side at several times. Metal coloured by its order parameter (averaged q6), H2 "
                     "units inside by how long they have been there, free H2 blue; lines join H closer than 1 Å; "
                     "dashed: Gibbs surfaces of the metal density. Metals at a face have fewer neighbours, which "
                     "shifts their order parameter.",
    "uptake.png": "Hydrogen in the hydride per metal atom: all of it, in either half of the slab, as H2 units and as "
                  "hydridic H.",
    "layers.png": "Order (above) and in-plane mobility (below) of the metal, layer by layer; red lines bound what each "
                  "measure alone calls liquid.",
    "surface_melting.png": "Thickness of the disordered and of the mobile layer on either face.",
    "profiles.png": "Metal and hydrogen density across the slab in successive parts of the run.",
    "speciation.png": "What all the hydrogen of the cell is.",
    "hh_lengths.png": "H-H distances below 1.2 Å, outside and inside the hydride.",
    "h2_lifetimes.png": "Lifetimes of the H2 units that were seen to begin and to end.",
    "front.png": "Depth of the converted hydride from either face.",
    "kinetics.png": "Uptake from its onset to saturation, with fitted rate laws.",
    "product.png": "Share of the metals deep in the slab whose surroundings match a known sublattice.",
    "diffraction.png": "Powder pattern predicted for the time-averaged crystal.",
    "energetics.png": "Enthalpy of the cell against uptake: its slope is the heat of absorption.",
    "thermo.png": "Pressure and temperature of the cell; dotted: what was asked for.",
}
"""Figures in the order of the page."""


def write_report(folder: str | Path, out: str | Path | None = None, frames: int = FRAMES) -> Path:
    """Write report.html and references.bib for the finished run in `folder` (into `out`, or there); returns the page.

    `frames` is the most that the viewer gets. Raises InputError without a finished run or without its trajectory.
    """
    run = RunFolder.open(folder)
    target = run.path if out is None else Path(out)
    shots = run.frames(frames)
    entries = references([*run.record.get("citations", []), *CITATIONS], *words.dois(run))
    text = page(run, viewer_html(shots) if shots else "<p>No metal, no view.</p>", entries)
    write_text(target / BIBLIOGRAPHY, bibtex(entries))
    write_text(target / REPORT, text)
    return target / REPORT


def page(run: RunFolder, viewer: str, entries: Sequence[Reference]) -> str:
    """The page as text."""
    heading = formula(words.title(run))
    sections = [
        ("summary", "Summary", _summary(run)),
        ("view", "Trajectory", viewer),
        ("figures", "Figures", _figures(run)),
        ("events", "Events", _events(run)),
        ("settings", "Settings and versions", _settings(run)),
        ("methods", "Methods", "".join(f"<p>{formula(text)}</p>" for text in words.methods(run))),
        ("references", "References", _references(entries)),
    ]
    style = resources.files("megabar.report").joinpath("page.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{key}">{name}</a>' for key, name, _ in sections)
    body = "".join(f'<section id="{key}"><h2>{name}</h2>\n{text}\n</section>\n' for key, name, text in sections)
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{html.escape(words.title(run))}</title>\n<style>\n{style}</style></head>\n<body>\n"
            f"<header><h1>{heading}</h1><nav>{links}</nav></header>\n<main>\n{body}</main>\n"
            f"<footer>megabar {html.escape(str(run.record.get('megabar', '')))}</footer>\n</body></html>\n")


def formula(text: str) -> str:
    """Escaped text with the numbers of chemical formulas and screw axes lowered: H2, CaH5.75, Ca2H5, P6_3/mmc."""
    lowered = re.sub(r"\b((?:[A-Z][a-z]?\d*)*?)H(\d+(?:\.\d+)?)(?![\w.]*\d)", lambda m: (
        re.sub(r"(\d+)", r"<sub>\1</sub>", m[1]) + f"H<sub>{m[2]}</sub>"), html.escape(text))
    return re.sub(r"\b([PICFR]\d)_(\d)", r"\1<sub>\2</sub>", lowered)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], name: str = "") -> str:
    cells = "".join(f"<th>{html.escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{cell(v)}</td>" for v in row) + "</tr>\n" for row in rows)
    mark = f' id="{name}"' if name else ""
    return f'<div class="wide"><table{mark}><thead><tr>{cells}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def cell(value: Any) -> str:
    """A value for people: four digits, a dash for nothing, lists joined."""
    if value is None or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(v) for v in value)
    return formula(str(value))


def _summary(run: RunFolder) -> str:
    result, analysis = run.result, run.result["analysis"]
    product, uptake = analysis.get("product") or {}, analysis.get("uptake") or {}
    sentences, lived_ps = [], result["time_ps"]
    if result.get("stopped_by"):
        lived_ps = result["stopped_ps"]
        sentences.append(f"Stopped after {lived_ps:.3g} of {result['time_ps']:g} ps by the {result['stopped_by']}. "
                         "What follows is of what was reached.")
    if uptake and run.reactant == "H2":
        sentences.append(f"H per metal in the hydride: {uptake['first_H_per_metal']:.2f} at the start, "
                         f"{uptake['last_H_per_metal']:.2f} at the end of {lived_ps:.3g} ps.")
    if product:
        sentences.append(f"Phase at the end: {product['phase']} ({product['reason']}).")
    layers = analysis.get("layers") or {}
    if layers and analysis.get("normal"):
        both = [v for v in layers["liquid_most"] if v is not None]
        sentences.append("No layer was ever liquid by both measures." if both and max(both) == 0 else
                         f"At most {max(both):.0f} layers of a face were liquid by both measures." if both else
                         "Too short to tell whether layers were mobile.")
    notes = "".join(f'<li>{formula(note)}</li>' for note in result.get("notes", []))
    return (f"<p>{formula(' '.join(sentences))}</p>"
            + table(["", "start", "end"], result["overview"], "overview")
            + (f'<h3>Notes</h3><ul class="notes">{notes}</ul>' if notes else ""))


def _figures(run: RunFolder) -> str:
    there = [name for name in CAPTIONS if (run.path / name).is_file()]
    parts = []
    for name in there:
        image = base64.b64encode((run.path / name).read_bytes()).decode("ascii")
        data = run.path / (Path(name).stem + ".csv")
        link = ""
        if data.is_file() and data.stat().st_size <= _LARGEST_TABLE:
            text = base64.b64encode(data.read_bytes()).decode("ascii")
            link = f' <a download="{data.name}" href="data:text/csv;base64,{text}">{data.name}</a>'
        caption = formula(CAPTIONS[name])
        parts.append(f'<figure id="{Path(name).stem}"><img alt="{html.escape(CAPTIONS[name])}" '
                     f'src="data:image/png;base64,{image}"><figcaption>{caption}{link}</figcaption></figure>\n')
    return "".join(parts) or "<p>No figures in the run's folder.</p>"


def _events(run: RunFolder) -> str:
    rows = [[e["time_ps"], e["name"], e.get("where", ""), e.get("detail", "")] for e in run.events()]
    return table(["time (ps)", "what", "face", ""], rows, "event-table") if rows else "<p>Nothing happened.</p>"


def _settings(run: RunFolder) -> str:
    record = run.record
    rows: list[Sequence[Any]] = [[key, value] for key, value in run.settings.items() if value is not None]
    made: list[Sequence[Any]] = [["megabar", record.get("megabar")], ["python", record.get("python")],
                                 ["machine", record.get("machine")], ["started", record.get("started")],
                                 ["wall time (s)", record.get("wall_time_s")],
                                 ["speed (ns/day)", record.get("speed", {}).get("ns_per_day")],
                                 *([name, version] for name, version in (record.get("packages") or {}).items())]
    command = html.escape(str(record.get("command", "")))
    return (f"<p><code>{command}</code></p>" + '<div class="columns">'
            + table(["setting", "value"], [[k, _flat(v)] for k, v in rows], "setting-table")
            + table(["made with", ""], [[k, _flat(v)] for k, v in made], "version-table") + "</div>")


def _flat(value: Any) -> Any:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else value


def _references(entries: Sequence[Reference]) -> str:
    items = []
    for entry in entries:
        doi = f' <a href="https://doi.org/{html.escape(entry.doi)}">{html.escape(entry.doi)}</a>' if entry.doi else ""
        items.append(f'<li id="{html.escape(entry.key)}">{formula(entry.text())}{doi}</li>')
    text = bibtex(entries)
    data = base64.b64encode(text.encode()).decode("ascii")
    return (f"<ol>{''.join(items)}</ol><details><summary>BibTeX</summary>"
            f'<p><a download="{BIBLIOGRAPHY}" href="data:text/x-bibtex;base64,{data}">{BIBLIOGRAPHY}</a></p>'
            f"<pre id='bibtex'>{html.escape(text)}</pre></details>")
