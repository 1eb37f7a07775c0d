"""The page of a validation, as Markdown and as HTML that needs nothing but the figures beside it."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from megabar.campaign.files import write_text

if TYPE_CHECKING:
    from megabar.validation.run import Validation

_STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%;margin:.6em 0 1em}td,th{padding:.25em .6em;border-bottom:1px solid #ddd;
text-align:left;vertical-align:top}th{border-bottom:2px solid #999}.pass{color:#1a7f37}.fail,.FAIL{color:#c4001a;
font-weight:600}.not{color:#888}.incomplete{color:#9a6700}img{max-width:100%}small{color:#666}"""


def write_pages(validation: Validation, out: Path) -> None:
    """`validation.md` and `validation.html` in `out`; figures are linked, not copied."""
    write_text(out / "validation.md", markdown(validation))
    write_text(out / "validation.html", html(validation))


def _head(v: Validation) -> str:
    checks = ", ".join(f"{n} {name}" for name, n in v.counts.items() if n)
    measures = ", ".join(f"{n} {name}" for name, n in v.measures.items())
    return f"Checks: {checks}. Measures: {measures}."


def markdown(v: Validation) -> str:
    lines = [f"# {v.potential}, version {v.version}: ten checks", "", f"nep.txt {v.potential_hash}. {_head(v)}", ""]
    lines += ["| | check | result |", "|---|---|---|"]
    lines += [f"| {c.number} | {c.title} | {c.status} |" for c in v.checks]
    for c in v.checks:
        lines += ["", f"## {c.number}. {c.title}: {c.status}", "", "| quantity | value | target | | |",
                  "|---|---|---|---|---|"]
        lines += ["| " + " | ".join(_cell(x) for x in (m.quantity, m.shown, m.target, m.verdict, m.note)) + " |"
                  for m in c.measures]
        lines += [text for name in c.figures for text in ("", f"![{c.title}]({name})")]
        lines += [text for note in c.notes for text in ("", f"- {note}")]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def html(v: Validation) -> str:
    rows = "".join(f"<tr><td>{c.number}<td><a href='#c{c.number}'>{escape(c.title)}</a>"
                   f"<td class='{c.status}'>{c.status}"
                   for c in v.checks)
    parts = [f"<!doctype html><meta charset='utf-8'><title>{escape(v.potential)}: ten checks</title>",
             f"<style>{_STYLE}</style>",
             f"<h1>{escape(v.potential)}, version {v.version}: ten checks</h1><p>{_head(v)} "
             f"<small>nep.txt {v.potential_hash}</small></p>",
             f"<table><tr><th><th>check<th>result{rows}</table>"]
    for c in v.checks:
        measures = "".join(
            f"<tr><td>{escape(m.quantity)}<td>{escape(m.shown)}<td>{escape(m.target)}<td class='{m.verdict}'>"
            f"{m.verdict}<td><small>{escape(m.note)}</small>" for m in c.measures)
        parts.append(f"<h2 id='c{c.number}'>{c.number}. {escape(c.title)}: "
                     f"<span class='{c.status}'>{c.status}</span></h2>"
                     f"<table><tr><th>quantity<th>value<th>target<th><th>{measures}</table>")
        parts += [f"<p><img src='{escape(name)}' alt='{escape(c.title)}'></p>" for name in c.figures]
        if c.notes:
            parts.append("<ul>" + "".join(f"<li><small>{escape(note)}</small>" for note in c.notes) + "</ul>")
    return "\n".join(parts) + "\n"
