"""Movies of a run: the slab from the side beside its uptake, as a GIF, and as an MP4 where ffmpeg is found.

ffmpeg is a program of its own that is looked for and never shipped: on the path, or in the package imageio-ffmpeg when
that is installed (its own code is BSD, the program in its wheels is built under the GPL).
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from megabar.campaign.files import atomic_path
from megabar.errors import ExtraMissing, InputError, RunError
from megabar.reaction.figures import BLACK, GREEN, GREY, PURPLE, SKY, VERMILION, figure
from megabar.reaction.results import Snapshot
from megabar.reaction.snapshots import ORDER_RANGE, draw_snapshot, width_and_height
from megabar.report import methods
from megabar.report.run_folder import RunFolder

DPI = 110
FORMATS = ("gif", "mp4")


def ffmpeg() -> str | None:
    """The ffmpeg program, or None."""
    found = shutil.which("ffmpeg")
    if found is None:
        try:
            found = str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
        except (ImportError, RuntimeError):
            return None
    return found


def write_movies(folder: str | Path, out: str | Path | None = None, formats: Sequence[str] = (), frames: int = 120,
                 rate_per_s: float = 12.0) -> list[Path]:
    """movie.gif and movie.mp4 of the finished run in `folder` (into `out`, or there); returns what was written.

    formats: "gif", "mp4"; both when empty, as far as ffmpeg is there. Raises InputError without a finished run or its
    trajectory and for a bulk crystal's cell without a metal, ExtraMissing for an MP4 that is asked for without ffmpeg.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise InputError(f"format {unknown[0]!r} is unknown: use gif or mp4")
    program = ffmpeg()
    if "mp4" in formats and program is None:
        raise ExtraMissing("mp4: no ffmpeg program was found; install ffmpeg, or 'pip install imageio-ffmpeg', or use "
                           "--format gif")
    wanted = formats or (("gif", "mp4") if program else ("gif",))
    run = RunFolder.open(folder)
    target = run.path if out is None else Path(out)
    images = list(draw(run, run.frames(frames)))
    if not images:
        raise InputError(f"{folder}: its trajectory has no metal, so there is no slab to show")
    written = []
    if "gif" in wanted:
        written.append(save_gif(images, target / "movie.gif", rate_per_s))
    if "mp4" in wanted and program is not None:
        written.append(save_mp4(images, target / "movie.mp4", rate_per_s, program))
    return written


def draw(run: RunFolder, frames: Sequence[Snapshot]) -> Iterator[np.ndarray]:
    """Each frame as an image, (height, width, 3) uint8 with even sides: the slab, the clock, and the uptake so far."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.lines import Line2D

    if not frames:
        return
    spans = np.array([width_and_height(shot) for shot in frames]).max(axis=0)
    ages = np.concatenate([shot.absorbed_for_ps for shot in frames])
    longest = float(np.nanmax(ages)) if np.isfinite(ages).any() else 0.0
    norm = Normalize(-0.35 * max(longest, 0.1), max(longest, 0.1))  # as in the still figure: a fresh one is coloured
    uptake = run.table("uptake.csv")
    high = 5.6
    wide = min(5.0, max(1.6, (high - 0.9) * spans[0] / spans[1]))
    with figure(wide + 4.0, high) as fig:
        canvas = FigureCanvasAgg(fig)
        fig.set_dpi(DPI)
        fig.suptitle(_plain_title(run))
        grid = fig.add_gridspec(3, 2, width_ratios=[wide, 3.2], height_ratios=[2.6, 0.16, 0.16])
        slab, curve = fig.add_subplot(grid[:, 0]), fig.add_subplot(grid[0, 1])
        bar = fig.colorbar(ScalarMappable(Normalize(*ORDER_RANGE), "viridis"), cax=fig.add_subplot(grid[1, 1]),
                           orientation="horizontal")
        bar.set_label(r"metal: order $\overline{q}_6$")
        if longest > 0:
            bar = fig.colorbar(ScalarMappable(norm, "YlOrRd"), cax=fig.add_subplot(grid[2, 1]),
                               orientation="horizontal")
            bar.ax.set_xlim(0.0, longest)
            bar.set_label("absorbed H$_2$: inside for (ps)")
        names = ((SKY, "free H$_2$"), (GREEN, "hydridic"), (PURPLE, "H$_3$-like"), (GREY, "other H"))
        handles = [Line2D([], [], ls="", marker="o", ms=5, mec="black", mew=0.3, mfc=colour, label=label)
                   for colour, label in names]
        fig.legend(handles=handles, loc="outside lower center", ncols=4, handletextpad=0.1)
        point = now = None
        if "time_ps" in uptake:
            curve.plot(uptake["time_ps"], uptake["h_per_metal"], color=GREY, lw=0.8)
            now, = curve.plot([], [], color=BLACK, lw=2.0)
            point, = curve.plot([], [], "o", color=VERMILION, ms=6, zorder=4)
            curve.set(xlabel="time (ps)", ylabel="H per metal in the hydride", ylim=(0, None),
                      xlim=(0.0, max(frames[-1].time_ps, float(uptake["time_ps"][-1]))))
        for shot in frames:
            slab.clear()
            draw_snapshot(slab, shot, norm)
            slab.set(xlim=(0.0, spans[0]), ylim=(-0.5 * spans[1], 0.5 * spans[1]))
            if now is not None and point is not None:
                done = uptake["time_ps"] <= shot.time_ps
                level = float(np.interp(shot.time_ps, uptake["time_ps"], uptake["h_per_metal"]))
                now.set_data(np.append(uptake["time_ps"][done], shot.time_ps),
                             np.append(uptake["h_per_metal"][done], level))
                point.set_data([shot.time_ps], [level])
            canvas.draw()
            if fig.get_layout_engine() is not None:
                fig.set_layout_engine("none")  # laid out once, so that nothing jumps
            image = np.asarray(canvas.buffer_rgba())[:, :, :3]
            yield image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2].copy()


def _plain_title(run: RunFolder) -> str:
    from megabar.reaction.figures import _formula

    return _formula(methods.title(run))


def save_gif(images: Sequence[np.ndarray], path: Path, rate_per_s: float) -> Path:
    """Write a looping GIF with one palette for all frames, so that colours do not flicker."""
    from PIL import Image

    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette().ravel().tolist())
    shots = [Image.fromarray(image).quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    with atomic_path(path) as temporary:
        shots[0].save(temporary, save_all=True, append_images=shots[1:], duration=round(1000.0 / rate_per_s), loop=0,
                      optimize=False)
    return path


def _palette() -> np.ndarray:
    """(256, 3) uint8: greys, every colour that is drawn, and these mixed with the black and white of edges. A palette
    taken from the images would lose rare colours, which are those that matter."""
    import matplotlib
    from matplotlib.colors import to_rgb

    greys = np.repeat(np.linspace(0.0, 1.0, 24)[:, None], 3, axis=1)
    species = np.array([to_rgb(c) for c in (SKY, GREEN, PURPLE, GREY, VERMILION)])
    maps = np.concatenate([matplotlib.colormaps["viridis"](np.linspace(0.0, 1.0, 44))[:, :3],
                           matplotlib.colormaps["YlOrRd"](np.linspace(0.25, 1.0, 28))[:, :3]])
    parts = [greys, species, 0.4 * species, 0.7 * species, 0.5 + 0.5 * species, maps, 0.55 * maps]
    colours = np.concatenate(parts)
    colours = np.concatenate([colours, 0.5 + 0.5 * maps[: 256 - len(colours)]])
    return np.round(255.0 * np.concatenate([colours, np.ones((256 - len(colours), 3))])).astype(np.uint8)


def save_mp4(images: Sequence[np.ndarray], path: Path, rate_per_s: float, program: str) -> Path:
    """Write an MP4 through the ffmpeg `program`; RunError with its last line when it fails."""
    high, wide = images[0].shape[:2]
    with atomic_path(path) as temporary:
        command = [program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{wide}x{high}",
                   "-r", f"{rate_per_s:g}", "-i", "-", "-an", "-pix_fmt", "yuv420p", "-movflags", "+faststart",
                   str(temporary)]
        done = subprocess.run(command, input=b"".join(image.tobytes() for image in images), capture_output=True,
                              check=False)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
            raise RunError(f"{path}: ffmpeg failed ({said[-1][:200]}); use --format gif")
    return path
