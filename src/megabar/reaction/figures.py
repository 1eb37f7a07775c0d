"""Figures of a reaction. Colours: Okabe and Ito's eight and the viridis family, which everybody can tell apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import atomic_path
from megabar.reaction import speciation as spec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from megabar.reaction.energetics import Energetics
    from megabar.reaction.front import Front
    from megabar.reaction.kinetics import Arrhenius, Kinetics
    from megabar.reaction.layers import Layers
    from megabar.reaction.product import Diffraction, Product
    from megabar.reaction.results import ReactionAnalysis
    from megabar.reaction.speciation import Speciation
    from megabar.reaction.uptake import Profiles, Uptake

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
"""Okabe and Ito, Color Universal Design (2008)."""
GREY = "#8A8A8A"
SPECIES_COLOURS = (SKY, VERMILION, GREEN, PURPLE, GREY)
WIDTH_IN = 7.0
DPI = 200

_STYLE: dict[Any, Any] = {
    "font.size": 9.0, "axes.labelsize": 10.0, "axes.titlesize": 10.0, "legend.fontsize": 8.5, "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8,
    "lines.linewidth": 1.5, "legend.frameon": False, "mathtext.default": "regular", "image.interpolation": "nearest",
}


@contextmanager
def figure(width_in: float = WIDTH_IN, height_in: float = 3.4) -> Iterator[Figure]:
    """A figure in the house style, with constrained layout and no global state."""
    import matplotlib
    from matplotlib.figure import Figure as NewFigure

    with matplotlib.rc_context(_STYLE):
        yield NewFigure(figsize=(width_in, height_in), layout="constrained")


def save(fig: Figure, path: Path) -> Path:
    with atomic_path(path) as temporary:
        fig.savefig(temporary, dpi=DPI)
    return path


def save_figures(result: ReactionAnalysis, out: Path) -> list[Path]:
    """All figures that the result has data for, in the folder `out`."""
    from megabar.reaction.snapshots import draw_snapshots

    made: list[Path] = []

    def one(name: str, draw: Callable[[Axes], Any], height_in: float = 3.4) -> None:
        with figure(height_in=height_in) as fig:
            draw(fig.add_subplot())
            made.append(save(fig, out / name))

    one("speciation.png", lambda ax: plot_species(ax, result.speciation))
    if result.speciation.length_free.any() or result.speciation.length_absorbed.any():
        one("hh_lengths.png", lambda ax: plot_lengths(ax, result.speciation), 3.0)
    if result.speciation.lifetimes.any():
        one("h2_lifetimes.png", lambda ax: plot_lifetimes(ax, result.speciation), 3.0)
    if result.uptake is not None:
        uptake = result.uptake
        one("uptake.png", lambda ax: plot_uptake(ax, uptake))
    if result.profiles is not None:
        profiles = result.profiles
        with figure(height_in=1.2 + 1.15 * len(profiles.parts())) as fig:
            plot_profiles(fig.add_subplot(), profiles)
            made.append(save(fig, out / "profiles.png"))
    if result.layers is not None:
        layers = result.layers
        with figure(height_in=5.2) as fig:
            plot_layers(tuple(fig.subplots(2, 1, sharex=True)), layers)
            made.append(save(fig, out / "layers.png"))
        if result.normal is not None:
            one("surface_melting.png", lambda ax: plot_melting(ax, layers))
    if result.front is not None:
        front = result.front
        one("front.png", lambda ax: plot_front(ax, front), 3.0)
    if result.kinetics is not None and result.kinetics.fits:
        kinetics = result.kinetics
        one("kinetics.png", lambda ax: plot_kinetics(ax, kinetics), 3.0)
    if result.product is not None:
        product = result.product
        one("product.png", lambda ax: plot_product(ax, product), 3.2)
        if product.diffraction is not None:
            pattern = product.diffraction
            one("diffraction.png", lambda ax: plot_diffraction(ax, pattern), 3.0)
    if result.energetics is not None:
        energy = result.energetics
        one("energetics.png", lambda ax: plot_energetics(ax, energy), 3.0)
    if result.snapshots and result.normal is not None:
        with figure(*_snapshot_size(result)) as fig:
            draw_snapshots(fig, result.snapshots)
            made.append(save(fig, out / "snapshots.png"))
    return made


def _snapshot_size(result: ReactionAnalysis) -> tuple[float, float]:
    from megabar.reaction.snapshots import width_and_height

    wide, high = width_and_height(result.snapshots[0])
    panel = 1.5
    return panel * len(result.snapshots) + 1.3, min(9.0, max(3.0, panel * high / wide + 0.9))


def plot_uptake(ax: Axes, uptake: Uptake) -> None:
    """H per metal in the region, of each half, and how it is held."""
    time = uptake.time_ps
    ax.plot(time, uptake.h_per_metal, color=BLACK, lw=2.2, label="H in the hydride", zorder=3)
    ax.plot(time, uptake.h_per_metal_lower, color=BLUE, lw=1.0, label="lower half")
    ax.plot(time, uptake.h_per_metal_upper, color=ORANGE, lw=1.0, label="upper half")
    ax.plot(time, 2.0 * uptake.absorbed_h2_per_metal, color=VERMILION, ls="--", label="as absorbed H$_2$")
    ax.plot(time, uptake.hydridic_per_metal, color=GREEN, ls="-.", label="as hydridic H")
    ax.set(xlabel="time (ps)", ylabel="H per metal atom", ylim=(0, None), xlim=_span(time))
    for level in (2, 4, 6):
        if level < ax.get_ylim()[1]:
            ax.axhline(level, color=GREY, lw=0.6, ls=":", zorder=0)
    _legend(ax)


def plot_species(ax: Axes, species: Speciation) -> None:
    """Share of the hydrogen in each species, stacked."""
    total = np.maximum(species.counts.sum(axis=1), 1)
    shares = species.counts / total[:, None]
    time = species.time_ps
    if len(time) == 1:
        ax.bar(range(len(spec.SPECIES)), shares[0], color=SPECIES_COLOURS)
        ax.set_xticks(range(len(spec.SPECIES)), spec.SPECIES)
        ax.set(ylabel="share of all H", ylim=(0, 1))
        return
    ax.stackplot(time, shares.T, colors=SPECIES_COLOURS, labels=_labels(spec.SPECIES), lw=0)
    ax.set(xlabel="time (ps)", ylabel="share of all H", ylim=(0, 1), xlim=_span(time))
    _legend(ax)


def plot_lengths(ax: Axes, species: Speciation) -> None:
    """Distribution of H-H distances below 1.2 A, outside and inside the hydride."""
    width = species.length_A[1] - species.length_A[0]
    for values, colour, label in ((species.length_free, SKY, "outside"), (species.length_absorbed, VERMILION,
                                                                           "in the hydride")):
        if values.any():
            ax.stairs(values / (values.sum() * width), np.append(species.length_A - width / 2,
                                                                species.length_A[-1] + width / 2),
                      color=colour, lw=1.6, label=label)
    ax.axvline(spec.BOND_A, color=GREY, lw=0.8, ls=":")
    ax.set(xlabel="H–H distance (Å)", ylabel="density (1/Å)", xlim=(0.5, spec.HYDRIDIC_A), ylim=(0, None))
    _legend(ax)


def plot_lifetimes(ax: Axes, species: Speciation) -> None:
    """Units that were seen to begin and to end, by lifetime."""
    edges = species.lifetime_edges_ps.copy()
    edges[0] = edges[1] / 10 ** (1 / 8)
    seen = np.flatnonzero(species.lifetimes)
    low, high = seen[0], seen[-1] + 1
    ax.stairs(species.lifetimes[low:high], edges[low:high + 1], color=VERMILION, fill=True, alpha=0.8)
    ax.set(xscale="log", xlabel="lifetime of an H$_2$ unit (ps)", ylabel="units", ylim=(0, None))
    ax.locator_params(axis="y", integer=True)


def plot_profiles(ax: Axes, profiles: Profiles) -> None:
    """Metal and hydrogen densities along the normal, parts of the run below one another from early to late."""
    parts = profiles.parts()
    top = max(float(max(hydrogen.max(), metal.max())) for _, _, metal, hydrogen in parts)
    step = 1.08 * top
    for k, (start, stop, metal, hydrogen) in enumerate(parts):
        base = step * (len(parts) - 1 - k)
        ax.axhline(base, color=GREY, lw=0.5)
        ax.plot(profiles.z_A, base + hydrogen, color=BLUE, lw=1.0, label="hydrogen" if k == 0 else None)
        ax.fill_between(profiles.z_A, base, base + metal, color=ORANGE, alpha=0.9, lw=0,
                        label="metal" if k == 0 else None)
        rows = (profiles.time_ps >= start) & (profiles.time_ps <= stop)
        for face in (profiles.lower_face_A, profiles.upper_face_A):
            ax.plot([face[rows].mean()] * 2, [base, base + 0.97 * top], color=BLACK, lw=0.9, ls="--",
                    label="faces" if k == 0 and face is profiles.lower_face_A else None)
        ax.annotate(f"{start:.1f}–{stop:.1f} ps", (1.0, base + 0.5 * top), xycoords=("axes fraction", "data"),
                    xytext=(4, 0), textcoords="offset points", ha="left", va="center", fontsize=8.5)
    tick = _round_down(0.8 * top)
    marks = [(step * k + t, f"{t:g}") for k in range(len(parts)) for t in (0.0, tick)]
    ax.set_yticks([m[0] for m in marks], [m[1] for m in marks])
    ax.set(xlabel="distance from the slab's centre (Å)", ylabel="number density (1/Å$^3$)", ylim=(0, step * len(parts)),
           xlim=(profiles.z_A[0], profiles.z_A[-1]))
    _legend(ax, above=True)


def plot_layers(axes: tuple[Axes, Axes], layers: Layers) -> None:
    """Maps of time and layer: order of the metal above, its in-plane mobility below; the lines bound the liquid."""
    from matplotlib.colors import LogNorm, TwoSlopeNorm

    from megabar.reaction.layers import ORDER_LIMIT

    time, count = layers.time_ps, layers.order.shape[1]
    edges = _edges(time)
    top, bottom = axes
    grid = np.arange(count + 1) + 0.5
    drawn = top.pcolormesh(edges, grid, layers.order.T, cmap="viridis",
                           norm=TwoSlopeNorm(ORDER_LIMIT, 0.1, 0.56), rasterized=True)
    bar = top.figure.colorbar(drawn, ax=top, pad=0.01)
    bar.set_label(r"order $\overline{q}_6$")
    bar.set_ticks([0.1, 0.2, ORDER_LIMIT, 0.45, 0.55])
    limit = layers.msd_limit_A2
    known = layers.msd_in_plane_A2[np.isfinite(layers.msd_in_plane_A2)]
    if len(known) and np.isfinite(limit):
        drawn = bottom.pcolormesh(edges, grid, np.maximum(layers.msd_in_plane_A2, 1e-3).T, cmap="cividis",
                                  norm=LogNorm(limit / 10, limit * 10), rasterized=True)
        bar = bottom.figure.colorbar(drawn, ax=bottom, pad=0.01, extend="both")
        bar.set_label(f"in-plane MSD in {layers.lag_ps:g} ps (Å$^2$)")
        bar.ax.axhline(limit, color="white", lw=1.5)
    else:
        bottom.text(0.5, 0.5, f"shorter than the lag of {layers.lag_ps:g} ps", transform=bottom.transAxes, ha="center")
    for ax, depth in ((top, layers.liquid_by_order), (bottom, layers.liquid_by_mobility)):
        if count > 1:
            for k, sign in ((0, 1.0), (1, -1.0)):
                place = (0.5 if k == 0 else count + 0.5) + sign * depth[:, k]
                shown = np.where(depth[:, k] > 0, place, np.nan)
                ax.step(time, shown, where="mid", color="white", lw=2.6)
                ax.step(time, shown, where="mid", color=VERMILION, lw=1.4)
        ax.set(ylabel="layer", ylim=(0.5, count + 0.5), xlim=(edges[0], edges[-1]))
    bottom.set_xlabel("time (ps)")


def plot_melting(ax: Axes, layers: Layers) -> None:
    """Thickness of the molten surface on each face, by order and by mobility."""
    for k, (face, colour) in enumerate((("lower face", BLUE), ("upper face", ORANGE))):
        ax.plot(layers.time_ps, layers.liquid_by_order_A[:, k], color=colour, label=f"{face}, disordered")
        ax.plot(layers.time_ps, layers.liquid_by_mobility_A[:, k], color=colour, ls="--", label=f"{face}, mobile")
    ax.set(xlabel="time (ps)", ylabel="thickness (Å)", xlim=_span(layers.time_ps))
    ax.set_ylim(-0.02 * max(ax.get_ylim()[1], 5.0), max(ax.get_ylim()[1], 5.0))
    _legend(ax)


def plot_front(ax: Axes, front: Front) -> None:
    """Converted depth from each face, with the line of its velocity."""
    for k, (face, colour) in enumerate((("lower", BLUE), ("upper", ORANGE))):
        ax.plot(front.time_ps, front.depth_A[:, k], color=colour, label=f"from the {face} face")
        fit = front.velocity_A_per_ps[face]
        if fit is not None:
            rate, error = fit.values["rate_per_ps"], fit.errors["rate_per_ps"]
            known = np.isfinite(front.depth_A[:, k])
            time = front.time_ps[known & (front.time_ps >= fit.onset_ps)]
            line = fit.predict(time)
            shown = line <= np.nanmax(front.depth_A[:, k])
            ax.plot(time[shown], line[shown], color=BLACK, ls="--", lw=1.0, label=f"{_with_error(rate, error)} Å/ps")
    ax.set(xlabel="time (ps)", ylabel="converted depth (Å)", xlim=_span(front.time_ps))
    ax.set_ylim(0, max(ax.get_ylim()[1], 2.0))
    _legend(ax)


def plot_kinetics(ax: Axes, kinetics: Kinetics) -> None:
    """Uptake from its onset to saturation and the fitted rate laws, the best one strong."""
    ax.plot(kinetics.time_ps, kinetics.h_per_metal, "o", ms=3.0, mfc="none", mec=GREY, mew=0.8, label="run")
    best = kinetics.best
    for fit, colour in zip(kinetics.fits, (BLUE, ORANGE, GREEN), strict=True):
        chosen = best is not None and fit.law == best.law
        ax.plot(kinetics.time_ps, fit.predict(kinetics.time_ps), color=colour, lw=2.0 if chosen else 1.0,
                ls="-" if chosen else "--", label=f"{fit.law}{' (best)' if chosen else ''}")
    ax.set(xlabel="time (ps)", ylabel="H per metal atom", xlim=_span(kinetics.time_ps))
    _legend(ax)


def plot_arrhenius(ax: Axes, fit: Arrhenius) -> None:
    """Rates with their errors against 1/T, and the fitted line."""
    line = np.linspace(fit.temperature_K.min(), fit.temperature_K.max(), 100)
    ax.errorbar(1e3 / fit.temperature_K, fit.rate, fit.rate_error, fmt="o", ms=4, color=BLUE, capsize=2, label="runs")
    ax.plot(1e3 / line, fit.predict(line), color=VERMILION,
            label=f"barrier {_with_error(fit.barrier_eV, fit.barrier_error_eV)} eV")
    ax.set(yscale="log", xlabel="1000 K / T", ylabel="rate (1/ps)")
    _legend(ax)


def plot_product(ax: Axes, product: Product) -> None:
    """Share of the deep metals in each known sublattice, stacked."""
    colours = (BLUE, SKY, ORANGE, VERMILION, PURPLE, YELLOW, "#DDDDDD")
    names = [_formula(name) for name in product.sublattices]
    if len(product.time_ps) == 1:
        ax.barh(names, product.shares[0], color=colours)
        ax.set(xlabel="share of the deep metals", xlim=(0, 1))
        return
    ax.stackplot(product.time_ps, product.shares.T, colors=colours, labels=names, lw=0)
    ax.set(xlabel="time (ps)", ylabel="share of the deep metals", ylim=(0, 1), xlim=_span(product.time_ps))
    _legend(ax)


def plot_diffraction(ax: Axes, pattern: Diffraction) -> None:
    """Predicted powder pattern of the averaged crystal."""
    from megabar.reaction.product import WAVELENGTH_A

    ax.plot(pattern.two_theta_deg, pattern.intensity, color=BLACK, lw=1.0)
    best = max(pattern.similarity, key=lambda name: pattern.similarity[name])
    ax.set(xlabel=f"2θ (°), λ = {WAVELENGTH_A} Å", ylabel="intensity (strongest 100)", ylim=(0, 105),
           xlim=(pattern.two_theta_deg[0], pattern.two_theta_deg[-1]))
    ax.text(0.99, 0.97, f"most like {_formula(best)}: {pattern.similarity[best]:.2f}", transform=ax.transAxes,
            ha="right", va="top")


def plot_energetics(ax: Axes, energy: Energetics) -> None:
    """Enthalpy (or potential energy) of the cell per metal against uptake, coloured by time."""
    has_enthalpy = bool(np.isfinite(energy.enthalpy_eV_per_metal).any())
    values = energy.enthalpy_eV_per_metal if has_enthalpy else energy.energy_eV_per_metal
    drawn = ax.scatter(energy.h_per_metal, values, c=energy.time_ps, cmap="viridis", s=14, lw=0)
    ax.figure.colorbar(drawn, ax=ax, pad=0.01).set_label("time (ps)")
    if energy.slope_eV_per_h2 is not None and energy.slope_error_eV_per_h2 is not None:
        span = np.array([energy.h_per_metal.min(), energy.h_per_metal.max()])
        middle = values.mean() + 0.5 * energy.slope_eV_per_h2 * (span - energy.h_per_metal.mean())
        ax.plot(span, middle, color=VERMILION, lw=1.2, ls="--",
                label=f"{_with_error(energy.slope_eV_per_h2, energy.slope_error_eV_per_h2)} eV per H$_2$")
        ax.legend(loc="best")
    ax.set(xlabel="H per metal in the hydride",
           ylabel=("enthalpy" if has_enthalpy else "potential energy") + " (eV per metal)")


def _with_error(value: float, error: float) -> str:
    """Value and error, both to the error's two leading digits."""
    digits = int(np.clip(1 - np.floor(np.log10(max(error, 1e-6))), 0, 6))
    return f"{value:.{digits}f} ± {error:.{digits}f}".replace("-", "−")


def _formula(name: str) -> str:
    """Subscripts and overlined axes: MH5.75 Pm-3n as it is printed."""
    name = re.sub(r"H(\d+(?:\.\d+)?)", r"H$_{\1}$", name)
    name = name.replace("P6_3/mmc", "$P6_3/mmc$").replace("Im-3m", r"$Im\overline{3}m$")
    return name.replace("Pm-3n", r"$Pm\overline{3}n$").replace("I4/mmm", "$I4/mmm$").replace("Pnma", "$Pnma$")


def _legend(ax: Axes, above: bool = False) -> None:
    if above:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    else:
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


def _labels(names: tuple[str, ...]) -> list[str]:
    return [name.replace("H2", "H$_2$").replace("H3", "H$_3$") for name in names]


def _span(time: np.ndarray) -> tuple[float, float]:
    return (float(time[0]), float(time[-1])) if time[-1] > time[0] else (float(time[0]) - 0.5, float(time[0]) + 0.5)


def _edges(time: np.ndarray) -> np.ndarray:
    if len(time) == 1:
        return np.array([time[0] - 0.5, time[0] + 0.5])
    middle = 0.5 * (time[1:] + time[:-1])
    return np.concatenate([[2 * time[0] - middle[0]], middle, [2 * time[-1] - middle[-1]]])


def _round_down(value: float) -> float:
    scale = 10.0 ** np.floor(np.log10(value))
    return float(scale * max(k for k in (1, 2, 5) if k * scale <= value * (1 + 1e-12)))
