"""Figures of a hull: formation enthalpies and stability against pressure, and a page that moves through pressure."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import atomic_path, plain

if TYPE_CHECKING:
    from megabar.thermodynamics.hull import Hull

_COLOURS = ("#1b1b1b", "#cb181d", "#2171b5", "#238b45", "#6a51a3", "#d94801", "#0a8f8f", "#8c6d31")


def plot_hull(ax: Any, hull: Hull, at: Sequence[int]) -> None:
    """Formation enthalpies against the share of the last element at the pressures with indices `at`."""
    x, on = hull.fraction, hull.on_hull
    for n, k in enumerate(at):
        colour = _COLOURS[n % len(_COLOURS)]
        y = hull.formation_eV[:, k]
        stable = np.flatnonzero(on[:, k])
        stable = stable[np.argsort(x[stable])]
        ax.plot(x[stable], y[stable], "o-", color=colour, ms=5, label=f"{hull.pressure_GPa[k]:g} GPa")
        off = np.flatnonzero(~on[:, k] & np.isfinite(y))
        ax.plot(x[off], y[off], "o", mfc="white", color=colour, ms=5)
        ax.errorbar(x, y, [c.error_eV for c in hull.compounds], fmt="none", ecolor=colour, alpha=0.35, lw=0.8)
    height, last = 4, -1.0
    for i in np.argsort(x):
        height = height + 11 if x[i] - last < 0.05 else 4
        last = float(x[i])
        ax.annotate(hull.compounds[i].formula.text, (x[i], 0.0), xytext=(0, height), textcoords="offset points",
                    ha="center", fontsize=7, bbox={"fc": "white", "ec": "none", "pad": 0.5, "alpha": 0.7})
    ax.axhline(0.0, color="0.6", lw=0.8)
    ax.set_xlabel(f"{hull.elements[-1]} / ({' + '.join(hull.elements)})")
    ax.set_ylabel("enthalpy of formation (eV/atom)")
    ax.margins(y=0.12)
    ax.legend(frameon=False, fontsize=8)


def plot_ranges(ax: Any, hull: Hull) -> None:
    """One row for each compound: where it is on the hull (bar, as dark as it is probable), ends with errors, and the
    name of its best phase."""
    names = [c.formula.text for c in hull.compounds]
    p = hull.pressure_GPa
    edges = np.concatenate([[p[0]], 0.5 * (p[1:] + p[:-1]), [p[-1]]]) if len(p) > 1 else np.array([p[0] - 1, p[0] + 1])
    for row, compound in enumerate(hull.compounds):
        for k in range(len(p)):
            chance = hull.probability[row, k] if hull.probability is not None else float(hull.on_hull[row, k])
            if np.isfinite(chance):
                ax.barh(row, edges[k + 1] - edges[k], left=edges[k], height=0.7, color="#2171b5",
                        alpha=0.9 * float(chance), lw=0.0)
        changes = [k for k in range(len(p)) if compound.phases[k] and (k == 0 or
                                                                        compound.phases[k] != compound.phases[k - 1])]
        shown = -np.inf
        for k in changes:
            if edges[k] - shown < 0.1 * (edges[-1] - edges[0]) and k:
                continue  # names of short-lived phases would lie on each other; the table has them
            shown = edges[k]
            label = compound.phases[k].removeprefix(compound.formula.text).strip()
            ax.annotate(label, (edges[k], row + 0.36), fontsize=6, va="bottom", ha="left", annotation_clip=True)
    for found in hull.ranges:
        row = names.index(found.formula)
        for value, error in ((found.low_GPa, found.low_error_GPa), (found.high_GPa, found.high_error_GPa)):
            if value is not None:
                ax.errorbar([value], [row], xerr=None if error is None else [error], fmt="|", color="#cb181d", ms=14,
                            capsize=3, lw=1.2)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(-0.6, len(names) - 0.2)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_xlabel("pressure (GPa)")
    ax.set_title("on the hull (shade: probability; red: ends)" if hull.probability is not None else "on the hull",
                 fontsize=9)


def draw(hull: Hull, target: Path) -> list[str]:
    from matplotlib.figure import Figure

    binary = len(hull.elements) == 2
    figure = Figure(figsize=(11.0 if binary else 6.0, 4.6), layout="constrained")
    axes = figure.subplots(1, 2 if binary else 1, squeeze=False)[0]
    if binary:
        n = len(hull.pressure_GPa)
        plot_hull(axes[0], hull, sorted({round(s * (n - 1)) for s in (0.0, 1 / 4, 1 / 2, 3 / 4, 1.0)}))
    plot_ranges(axes[-1], hull)
    figure.suptitle(f"{'-'.join(hull.elements)}, {hull.condition}   ({hull.source})", fontsize=10)
    with atomic_path(target / "hull.png") as path:
        figure.savefig(path, dpi=150)
    return ["hull.png"]


def page(hull: Hull) -> str:
    """A page of its own (no network, no library): the binary hull with a slider for the pressure; pointing at a
    compound shows its phase, distance from the hull and probability."""
    def column(table: np.ndarray) -> Any:
        return [[None if not np.isfinite(v) else round(float(v), 5) for v in row] for row in table]

    from megabar.thermodynamics.hull import above_hull

    data = {
        "pressure": hull.pressure_GPa, "x": [round(float(v), 6) for v in hull.fraction],
        "names": [c.formula.text for c in hull.compounds], "phases": [list(c.phases) for c in hull.compounds],
        "formation": column(hull.formation_eV), "above": column(above_hull(hull.margin_eV)),
        "on": hull.on_hull.tolist(), "error": [c.error_eV for c in hull.compounds],
        "probability": None if hull.probability is None else column(hull.probability),
        "last": hull.elements[-1],
    }
    title = html.escape(f"{'-'.join(hull.elements)} hull, {hull.condition} ({hull.source})")
    # "</" inside a script would end it.
    return _PAGE.replace("@TITLE@", title).replace("@DATA@", json.dumps(plain(data)).replace("</", "<\\/"))


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>@TITLE@</title><style>
body{font:14px system-ui,sans-serif;margin:1.5em;max-width:860px}
svg{width:100%;height:auto;border:1px solid #ccc;background:#fff}
#tip{min-height:3.2em;color:#333}input{width:70%}text{font-size:12px;fill:#333}
</style></head><body><h3>@TITLE@</h3>
<p><label>pressure <input id="p" type="range" min="0" value="0" step="1"> <b id="pv"></b> GPa</label></p>
<svg id="s" viewBox="0 0 800 460" role="img" aria-label="convex hull"></svg><p id="tip">Point at a compound.</p>
<script>
const d=@DATA@,s=document.getElementById('s'),r=document.getElementById('p'),tip=document.getElementById('tip');
r.max=d.pressure.length-1;r.value=r.max;
const all=d.formation.flat().filter(v=>v!==null),lo=Math.min(0,...all),hi=Math.max(0,...all),pad=0.08*(hi-lo||1);
const X=x=>70+x*700,Y=y=>420-(y-lo+pad)/(hi-lo+2*pad)*390;
function el(n,a,t){const e=document.createElementNS('http://www.w3.org/2000/svg',n);
 for(const k in a)e.setAttribute(k,a[k]);if(t!==undefined)e.textContent=t;s.appendChild(e);return e}
function draw(){s.replaceChildren();const k=+r.value;document.getElementById('pv').textContent=d.pressure[k];
 el('line',{x1:70,x2:770,y1:Y(0),y2:Y(0),stroke:'#999'});
 for(let i=0;i<=5;i++){const x=i/5;el('text',{x:X(x),y:440,'text-anchor':'middle'},x.toFixed(1));
  const y=lo+(hi-lo)*i/5;el('text',{x:62,y:Y(y)+4,'text-anchor':'end'},y.toFixed(2));}
 el('text',{x:420,y:457,'text-anchor':'middle'},'atomic share of '+d.last);
 el('text',{x:14,y:225,transform:'rotate(-90 14 225)','text-anchor':'middle'},'enthalpy of formation (eV/atom)');
 const idx=[...d.x.keys()].filter(i=>d.formation[i][k]!==null);
 const hull=idx.filter(i=>d.on[i][k]).sort((a,b)=>d.x[a]-d.x[b]);
 el('polyline',{points:hull.map(i=>X(d.x[i])+','+Y(d.formation[i][k])).join(' '),fill:'none',stroke:'#2171b5',
  'stroke-width':2});
 idx.forEach(i=>{const x=X(d.x[i]),y=Y(d.formation[i][k]),on=d.on[i][k];
  if(d.error[i])el('line',{x1:x,x2:x,y1:Y(d.formation[i][k]-d.error[i]),y2:Y(d.formation[i][k]+d.error[i]),
   stroke:'#888'});
  const c=el('circle',{cx:x,cy:y,r:7,fill:on?'#2171b5':'#fff',stroke:'#2171b5','stroke-width':2,tabindex:0});
  el('text',{x:x+9,y:y-8},d.names[i]);
  const pr=d.probability&&d.probability[i][k]!==null?', on the hull with probability '+
   d.probability[i][k].toFixed(2):'';
  const show=()=>{tip.textContent=(d.phases[i][k]||d.names[i])+': '+d.formation[i][k].toFixed(4)+' eV/atom, '+
   (on?'on the hull':(1000*d.above[i][k]).toFixed(1)+' meV/atom above the hull')+pr};
  c.addEventListener('mouseenter',show);c.addEventListener('focus',show);});}
r.addEventListener('input',draw);draw();
</script></body></html>
"""
