"""The page of a run: what is packed is what was analysed, it is self-contained, and it works in a browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import browser
from megabar.campaign.files import plain, write_json, write_yaml
from megabar.cli.main import main
from megabar.errors import InputError
from megabar.reaction import speciation as spec
from megabar.reaction.analysis import CITATIONS, analyse
from megabar.report import movie
from megabar.report.page import formula, write_report
from megabar.report.references import _KNOWN, bibtex, references
from megabar.report.run_folder import FrameKeeper, RunFolder
from megabar.report.viewer import pack, thin
from megabar.testing.trajectories import entering, hydride_slab, thermal, voids, write_frames

FRAMES = 45


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run's folder as `react` leaves it, of a synthetic trajectory in which three molecules enter the slab."""
    out = tmp_path_factory.mktemp("run")
    atoms = hydride_slab(6, 3, 30, stretch=1.15)
    metal = atoms.positions[atoms.numbers != 1, 2]
    heights = np.linspace(metal.min() + 2.0, metal.max() - 2.0, 3)
    targets = voids(atoms, heights, np.random.default_rng(0))
    hydrogens = np.arange(len(atoms) - 6, len(atoms)).reshape(-1, 2)
    move = entering(hydrogens, targets, np.linspace(0.4, 1.2, 3))
    write_frames(out / "trajectory.extxyz", thermal(atoms, FRAMES, 0.05, 0.1, memory_ps=0.05, move=move))
    result = analyse(out / "trajectory.extxyz", normal="c", pressure_GPa=40.0)
    figures = [p.name for p in result.save(out) if p.suffix == ".png"]
    write_json(out / "result.json", {
        "formula": "CaH2", "potential": "Ca-H", "phase": "MH2-P6_3/mmc", "face": "001", "atoms": len(atoms),
        "metal_atoms": 54, "h2_molecules": 30, "pressure_GPa": 40.0, "temperature_K": 1473.0, "time_ps": 2.2,
        "mean_pressure_GPa": 40.1, "mean_pressure_normal_GPa": 39.9, "mean_temperature_K": 1470.0, "ns_per_day": 12.0,
        "wall_time_s": 3.0, "trajectory": "trajectory.extxyz", "notes": ["<script>alert('x')</script> & H2"],
        "analysis": plain(result.summary()), "overview": plain(result.table()), "figures": figures})
    write_yaml(out / "run.yaml", {
        "verb": "react", "command": "megabar react CaH2 --with H2", "status": "done",
        "settings": {"formula": "CaH2", "reactant": "H2", "potential": "Ca-H", "timestep_fs": 0.5, "seed": 3,
                     "equilibration": "1.5 ps"},
        "hashes": {"nep.txt": "0123456789abcdef"}, "speed": {"ns_per_day": 12.0}, "megabar": "0.1.0",
        "packages": {"numpy": "2"}, "citations": ["LAMMPS: Thompson et al., 10.1016/j.cpc.2021.108171",
                                                   "My notes, 10.9999/not.known; Song et al., Nat. Commun. 15, 10208"]})
    return out


@pytest.fixture(scope="module")
def frames(folder):
    return RunFolder.open(folder).frames()


@pytest.fixture(scope="module")
def report(folder) -> Path:
    return write_report(folder)


# Frames --------------------------------------------------------------------------------------------------------------

def test_every_frame_is_watched_with_the_species_of_the_analysis(folder, frames):
    result = analyse(folder / "trajectory.extxyz", normal="c")
    assert [round(f.time_ps, 6) for f in frames] == [round(0.05 * k, 6) for k in range(FRAMES)]
    counts = np.array([np.bincount(f.species, minlength=5) for f in frames])
    # The analysis gives means over blocks of frames; their total must be that of the frames.
    rows = np.array_split(np.arange(FRAMES), range(5, FRAMES, 5))
    np.testing.assert_allclose([counts[r].mean(axis=0) for r in rows], result.speciation.counts, atol=1e-9)
    # Three molecules went in; one may stand so near a hydridic H that it is H3-like.
    assert counts[0, spec.ABSORBED] == 0 and counts[-1, spec.ABSORBED] in (4, 6)
    inside = frames[-1].species == spec.ABSORBED
    longest = np.nanmax(frames[-1].absorbed_for_ps[inside])
    assert min(abs(longest - (2.2 - entered)) for entered in (0.4, 0.8)) < 0.1


@pytest.mark.parametrize("offered, most", [(1, 5), (5, 5), (11, 5), (100, 7), (1000, 150)])
def test_kept_frames_are_few_and_evenly_spread(offered, most):
    keeper = FrameKeeper(most)
    for k in range(offered):
        keeper.take(k)  # type: ignore[arg-type]
    kept = np.array(keeper.chosen())
    assert len(kept) == min(offered, len(kept)) and len(kept) <= most and kept[0] == 0
    assert len(kept) >= min(offered, most)
    if len(kept) > 2:
        assert np.diff(kept).max() <= 2 * np.diff(kept).min() and offered - kept[-1] <= 2 * np.diff(kept).max()


def unpacked(data, name, kind, *shape):
    return np.frombuffer(base64.b64decode(data[name]), dtype=kind).reshape(shape)


def test_packed_frames_are_the_frames(frames):
    """Positions to a ten-thousandth of the cell, species to the letter, bonds as brute force finds them."""
    data = json.loads(json.dumps(pack(frames)))
    f, n = data["frames"], data["atoms"]
    places = unpacked(data, "positions", "<u2", f, n, 3) / 65536.0
    species = unpacked(data, "species", "u1", f, n)
    bonds = unpacked(data, "bonds", "<u2", -1, 2)
    cuts = np.cumsum([0, *data["bond_counts"]])
    hydrogen = frames[0].numbers == 1
    for k in (0, f // 2, f - 1):
        cell = np.array(data["cells"][k]).reshape(3, 3)
        gap = (places[k] - frames[k].positions_A @ np.linalg.inv(frames[k].cell_A))
        assert np.abs(gap - np.rint(gap)).max() < 2e-5
        np.testing.assert_allclose(cell, frames[k].cell_A, atol=1e-3)
        assert (species[k, hydrogen] == frames[k].species).all() and (species[k, ~hydrogen] == 5).all()
        step = places[k][hydrogen][:, None] - places[k][hydrogen][None]
        distance = np.linalg.norm((step - np.rint(step)) @ cell, axis=2)
        i, j = np.nonzero(np.triu(distance < 1.0, 1))
        numbers = np.flatnonzero(hydrogen)
        expected = {frozenset(p) for p in zip(numbers[i], numbers[j], strict=True)}
        found = {frozenset(p) for p in bonds[cuts[k]:cuts[k + 1]].tolist()}
        assert len(expected ^ found) <= 1  # a pair at 1.000 A may fall to either side
    elements = unpacked(data, "element", "u1", n)
    assert [data["elements"][e] for e in elements[:3]] == [("H" if h else "Ca") for h in hydrogen[:3]]
    assert data["slab"] and 0 < data["longest_ps"] <= 2.2


def test_large_trajectories_are_thinned(frames, monkeypatch):
    monkeypatch.setattr("megabar.report.viewer.LARGEST_BYTES", 12 * len(frames[0].numbers) * 10)
    few = thin(frames)
    assert len(few) == 10 and few[0] is frames[0] and few[-1] is frames[-1]
    assert len(pack(frames)["positions"]) < 12 * len(frames[0].numbers) * 10


# Page ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, shown", [
    ("CaH2 | H2", "CaH<sub>2</sub> | H<sub>2</sub>"), ("CaH5.75 Pm-3n", "CaH<sub>5.75</sub> Pm-3n"),
    ("Ca2H5", "Ca<sub>2</sub>H<sub>5</sub>"), ("MH2-P6_3/mmc", "MH<sub>2</sub>-P6<sub>3</sub>/mmc"),
    ("H per metal", "H per metal"), ("0.26 eV per H at 100 GPa", "0.26 eV per H at 100 GPa"),
    ("<b>&", "&lt;b&gt;&amp;"), ("SHA256", "SHA256"),
])
def test_formulas(text, shown):
    assert formula(text) == shown


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        for name in ("src", "srcset", "data", "poster", "href"):
            if name in values and (name != "href" or tag != "a"):
                self.loaded.append(values[name])
        if tag not in ("meta", "img", "input", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_holds_everything_and_loads_nothing(report, folder):
    text = report.read_text(encoding="utf-8")
    page = Links()
    page.feed(text)
    assert page.open == [] and len(set(page.ids)) == len(page.ids)
    assert page.loaded and all(address.startswith("data:image/png;base64,") for address in page.loaded)
    assert not re.search(r"@import|url\(|<link|fetch\(|XMLHttp", text)
    shown = [name for name in json.loads((folder / "result.json").read_text())["figures"] if name != "thermo.png"]
    assert len(page.loaded) == len(shown) and {Path(name).stem for name in shown} <= set(page.ids)
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text
    assert text.count("references.bib") >= 1 and (folder / "references.bib").is_file()


def test_methods_say_what_was_run(report):
    text = report.read_text(encoding="utf-8")
    methods = re.sub(r"<[^>]*>", "", text[text.index('id="methods"'):text.index('id="references"')])
    for word in ("0123456789abcdef", "seed 3", "0.5 fs", "1473 K", "40 GPa", "40.10 GPa", "39.90 GPa",
                 "54 metal and 108", "30 H2 molecules", "P63/mmc"):
        assert word in methods, word
    # The card of the shipped potential is of another file than the one that ran: nothing of it may be claimed.
    assert "labelled cells" not in methods


def test_references_stand_once_with_the_doi_they_are_known_by():
    entries = references(["a, 10.1063/1.2977970; b, 10.1063/1.2977970", *CITATIONS, "x 10.9999/unknown.1)",
                          "no number"], "10.1063/1.467468")
    keys = [e.key for e in entries]
    assert len(set(keys)) == len(keys) and len([e for e in entries if e.doi == "10.1063/1.2977970"]) == 1
    cited = set(re.findall(r"10\.\d{4,}/[\w./()-]*\w", " ".join(CITATIONS)))
    assert cited <= {e.doi for e in entries}, "a citation of the analysis has no entry"
    assert all(e.kind == "article" for e in entries if e.doi in cited)
    assert [e.text() for e in entries if e.kind == "misc"] == ["x 10.9999/unknown.1)", "no number"]
    assert all(doi == e.doi for doi, e in _KNOWN.items())


def test_bibliography_is_bibtex():
    parser = pytest.importorskip("bibtexparser")
    entries = list(_KNOWN.values())
    found = parser.loads(bibtex(entries)).entries
    assert {(e["ID"], e["doi"], e["year"]) for e in found} == {(e.key, e.doi, dict(e.fields)["year"]) for e in entries}


@pytest.mark.parametrize("verb", ["report", "movie"])
@pytest.mark.parametrize("damage, word", [
    ("absent", "no such folder"), ("empty", "no run"), ("unfinished", "not ended"), ("damaged", "damaged"),
    ("other", "another verb"), ("no trajectory", "is gone"), ("out", "is a file")])
def test_bad_input_is_one_line_and_nothing_written(tmp_path, folder, capsys, verb, damage, word):
    run = tmp_path / "run"
    arguments = [verb, str(run)]
    if damage != "absent":
        run.mkdir()
    if damage == "unfinished":
        (run / "settings.yaml").write_text("formula: CaH2\n")
    if damage == "damaged":
        (run / "result.json").write_text('{"formula": "CaH2", damaged')
    if damage == "other":
        (run / "result.json").write_text('{"trajectory": "x", "another verb": 1}')
    if damage in ("no trajectory", "out"):
        (run / "result.json").write_text((folder / "result.json").read_text())
    if damage == "out":
        (tmp_path / "o").write_text("mine")
        arguments += ["--out", str(tmp_path / "o")]
    before = sorted(p.name for p in tmp_path.rglob("*"))
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and (word in err or damage == "other" and "another verb" in err), err
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_report_verb_writes_where_it_is_told(folder, tmp_path, capsys):
    assert main(["report", str(folder), "--out", str(tmp_path / "o"), "--dry-run"]) == 0
    assert not list(tmp_path.iterdir())
    capsys.readouterr()
    assert main(["report", str(folder), "--out", str(tmp_path / "o"), "--frames", "4", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert Path(said["report"]).stat().st_size == said["bytes"] and (tmp_path / "o" / "references.bib").is_file()
    assert '"frames":4,' in Path(said["report"]).read_text()


def test_a_stopped_run_has_its_report_and_says_so(folder, tmp_path, capsys):
    run = tmp_path / "stopped"
    shutil.copytree(folder, run)
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").unlink()
    reason = "distance guard: atoms 3 (Ca) and 9 (Ca) came to 2.06 A"
    write_json(run / "stopped.json", {**result, "stopped_by": reason, "stopped_ps": 1.25})
    assert main(["report", str(run), "--json"]) == 0
    text = Path(json.loads(capsys.readouterr().out)["report"]).read_text()
    assert f"Stopped after 1.25 of {result['time_ps']:g} ps by the {reason}" in text and "at the end of 1.25 ps" in text


# Movie ---------------------------------------------------------------------------------------------------------------

def test_gif_has_the_frames_and_the_colours(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(movie, "ffmpeg", lambda: None)
    assert main(["movie", str(folder), "--out", str(tmp_path), "--frames", "3", "--rate", "10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == [str(tmp_path / "movie.gif")]
    with Image.open(tmp_path / "movie.gif") as gif:
        assert gif.n_frames == 3 and gif.info["duration"] == 100 and gif.width % 2 == gif.height % 2 == 0
        shots = []
        for k in range(3):
            gif.seek(k)
            shots.append(np.asarray(gif.convert("RGB")).astype(int))
    assert all((shot == 255).all(axis=2).mean() > 0.2 for shot in shots)  # white has stayed white
    free, hydridic = (86, 180, 233), (0, 158, 115)
    for colour in (free, hydridic):
        assert (np.abs(shots[0] - colour).max(axis=2) < 8).sum() > 200
    assert (shots[0] != shots[2]).any(axis=2).mean() > 0.01


def test_mp4_without_ffmpeg_names_the_remedy(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(movie, "ffmpeg", lambda: None)
    assert main(["movie", str(folder), "--format", "mp4", "--out", str(tmp_path / "o")]) == 2
    assert "ffmpeg" in capsys.readouterr().err and not (tmp_path / "o").exists()
    with pytest.raises(InputError, match="avi"):
        movie.write_movies(folder, formats=("avi",))


def test_mp4_through_ffmpeg(tmp_path):
    program = movie.ffmpeg()
    if program is None:
        pytest.skip("no ffmpeg on the path and no imageio-ffmpeg")
    images = [np.full((48, 64, 3), 60 * k, dtype=np.uint8) for k in range(4)]
    path = movie.save_mp4(images, tmp_path / "m.mp4", 12.0, program)
    assert path.read_bytes()[4:8] == b"ftyp"


# Browser -------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    if browser.executable() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with browser.Browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.open(report)
        opened.wait("!!window.megabarViewer")
        yield opened


def picture(page) -> str:
    """What the canvas shows, as a hash that the page computes."""
    return page.value("(() => { const c = document.querySelector('#viewer-canvas'); const d = c.getContext('2d')"
                      ".getImageData(0, 0, c.width, c.height).data; let h = 0; "
                      "for (let k = 0; k < d.length; k++) h = (h * 31 + d[k]) | 0; return String(h); })()")


def shown_frame(page) -> int:
    return int(re.search(r"\((\d+)/", page.value("document.querySelector('#viewer-time').textContent"))[1])


def test_slider_and_steps_change_the_frame(page):
    first = picture(page)
    page.click("#viewer-slider", across=0.5)
    middle = shown_frame(page)
    assert 0.4 * FRAMES < middle < 0.6 * FRAMES and picture(page) != first
    assert f"{0.05 * (middle - 1):.2f} ps" in page.value("document.querySelector('#viewer-time').textContent")
    page.click("#viewer-next")
    assert shown_frame(page) == middle + 1
    page.click("#viewer-back")
    page.click("#viewer-back")
    assert shown_frame(page) == middle - 1


def test_play_runs_and_pause_stops(page):
    start = shown_frame(page)
    page.click("#viewer-play")
    assert page.value("document.querySelector('#viewer-play').textContent") == "Pause"
    page.wait(f"!document.querySelector('#viewer-time').textContent.includes('({start}/')")
    page.click("#viewer-play")
    stopped = shown_frame(page)
    page.value("new Promise(done => setTimeout(done, 300))")
    assert shown_frame(page) == stopped


def test_turning_zooming_and_switches_change_the_picture(page):
    seen = [picture(page)]
    page.drag("#viewer-canvas", 80, 30)
    seen.append(picture(page))
    x, y = page.place("#viewer-canvas")
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
    page.wait("window.megabarViewer.zoom > 1.2")
    seen.append(picture(page))
    for box in ("bonds", "free", "cell"):
        page.click(f"#viewer-{box}")
        seen.append(picture(page))
    for mode in ("order", "element"):
        page.value(f"(() => {{ const s = document.querySelector('#viewer-colour'); s.value = '{mode}'; "
                   "s.dispatchEvent(new Event('change')); })()")
        seen.append(picture(page))
    page.click("#viewer-top")
    seen.append(picture(page))
    assert len(set(seen)) == len(seen)
    # A rotation stays one: rows of length one, at right angles.
    turn = np.array(page.value("window.megabarViewer.turn")).reshape(3, 3)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1.0)


def test_links_tables_and_figures_are_there_and_nothing_was_fetched(page, report):
    for section in ("summary", "view", "figures", "events", "settings", "methods", "references"):
        page.click(f'nav a[href="#{section}"]')
        page.wait(f"Math.abs(document.getElementById('{section}').getBoundingClientRect().top) < innerHeight")
    assert page.value("[...document.images].every(i => i.complete && i.naturalWidth > 200)")
    assert page.value("document.documentElement.scrollWidth <= innerWidth")
    page.click("#references summary")
    assert page.value("document.querySelector('#bibtex').getBoundingClientRect().height") > 100
    assert page.value("document.querySelectorAll('#overview tbody tr').length") > 8
    assert page.errors == []
    assert [u for u in page.requests if not u.startswith("data:")] == [report.resolve().as_uri()]
