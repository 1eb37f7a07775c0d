"""Running the checks: each is kept when done, so that a killed validation goes on; a failure stays on the page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megabar.campaign.files import content_hash, file_hash, plain, write_json
from megabar.campaign.tasks import Store
from megabar.errors import InputError, MegabarError
from megabar.potential.dataset import dataset_hash, read_dataset
from megabar.potential.library import load
from megabar.thermodynamics.engines import choose
from megabar.validation import crystals, energetics, molecules, moving, reference
from megabar.validation.check import Bench, Check, Measure

CODE_VERSION = "1"
"""Raise it when what a check does changes; stored checks of another version are done anew."""
CHECKS: dict[int, tuple[str, Callable[[Bench], Check]]] = {
    1: ("H2 molecule and dimers", molecules.molecules), 2: ("H2 cold curve", crystals.cold_curve),
    3: ("errors by region", energetics.region_errors), 4: ("MH2", crystals.dihydride),
    5: ("MH4", crystals.tetrahydride), 6: ("synthesis enthalpy", energetics.synthesis),
    7: ("MH6 and MH5.75", crystals.clathrates), 8: ("fluid H2", moving.fluid), 9: ("hygiene", moving.hygiene),
    10: ("reaction and controls", moving.headline)}
CITATIONS = ("experiment of H2: 10.1038/383702a0", "CaH2: COD 4103660, 10.1103/PhysRevB.75.134108",
             "CaH6: 10.1073/pnas.1118168109", "phonopy: 10.1088/1361-648X/acd831", "NEP4: 10.1063/5.0106617")


@dataclass(frozen=True)
class Validation:
    """The checks that were done, of which potential (name and hash of its nep.txt), and how long it took."""

    potential: str
    version: int
    potential_hash: str
    checks: tuple[Check, ...]
    wall_time_s: float

    @property
    def counts(self) -> dict[str, int]:
        """Checks by status."""
        found = [c.status for c in self.checks]
        return {name: found.count(name) for name in ("pass", "incomplete", "fail", "not run")}

    @property
    def measures(self) -> dict[str, int]:
        judged = [m.verdict for c in self.checks for m in c.measures]
        return {"pass": judged.count("pass"), "fail": judged.count("FAIL"), "not run": judged.count("not run")}

    def as_dict(self) -> dict[str, Any]:
        return plain({"potential": self.potential, "version": self.version, "potential_hash": self.potential_hash,
                      "checks_by_status": self.counts, "measures_by_verdict": self.measures,
                      "checks": [c.as_dict() for c in self.checks], "wall_time_s": round(self.wall_time_s, 1)})

    def save(self, out: str | Path) -> None:
        """`validation.json`, `validation.md` and `validation.html` in folder `out`."""
        from megabar.validation.page import write_pages

        write_json(Path(out) / "validation.json", self.as_dict())
        write_pages(self, Path(out))


@dataclass(frozen=True, eq=False)
class Inputs:
    """Files of a validation beside the potential; every one may be missing, and what needs it says "not run"."""

    frames: Sequence[Path] = ()
    relabelled: Sequence[Path] = ()
    labels: Sequence[Path] = ()
    references: Path | None = None
    reactions: Sequence[Path] = ()


def make_bench(name: str, out: Path, inputs: Inputs, md_scale: float = 1.0, jobs: int = 1) -> Bench:
    """Read and check everything; writes nothing. Raises InputError and PotentialUnknown."""
    potential = load(name)
    metals = [e for e in potential.elements if e != "H"]
    if "H" not in potential.elements or len(metals) != 1:
        raise InputError(f"potential {potential.name}: the checks are those of a metal and hydrogen, it knows "
                         f"{' '.join(potential.elements)}")
    if not 0.0 < md_scale <= 100.0:
        raise InputError(f"md-scale {md_scale:g} is outside 0-100")
    for folder in inputs.reactions:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give that of a run of megabar react")
    table = inputs.references or reference.find(potential.path, potential.name)
    points = reference.read(table) if table is not None else []
    read = [read_dataset(paths) if paths else [] for paths in (inputs.frames, inputs.relabelled, inputs.labels)]
    return Bench(potential=potential, metal=metals[0], source=choose(potential=name), store=Store(out / "tasks"),
                 folder=out, references=points, held_out=read[0], relabelled=read[1], labels=read[2],
                 reactions=tuple(inputs.reactions), md_scale=md_scale, jobs=jobs)


def validate(bench: Bench, numbers: Sequence[int] = tuple(CHECKS), report: Callable[[str], None] | None = None,
             ) -> Validation:
    """Do the checks `numbers`; those done with the same inputs are read. A check that raises is a failed one."""
    begin = time.monotonic()
    done = []
    for number in numbers:
        name, function = CHECKS[number]
        path = bench.folder / "checks" / f"{number:02d}.json"
        identity = _identity(bench, number)
        stored = _stored(path, identity)
        if stored is None:
            if report is not None:
                report(f"check {number}: {name}")
            try:
                stored = function(bench)
            except MegabarError as error:
                stored = Check(number, name.replace("MH", f"{bench.metal}H"),
                               (Measure("the check itself", "stopped", "", "runs", False, str(error)),))
            write_json(path, {"identity": identity, "check": stored.as_dict()})
        done.append(stored)
    card = bench.potential.card
    return Validation(bench.potential.name, int(card.get("version", 1)), file_hash(bench.potential.nep_path),
                      tuple(done),
                      time.monotonic() - begin)


def _identity(bench: Bench, number: int) -> str:
    frames = {3: bench.held_out, 9: bench.relabelled, 1: bench.labels}.get(number, ())
    runs = [file_hash(f / "result.json") for f in bench.reactions if (f / "result.json").is_file()]
    return content_hash([CODE_VERSION, number, file_hash(bench.potential.nep_path),
                         dict(bench.potential.card.get("errors_validation") or {}) if number == 3 else None,
                         [vars(r) for r in bench.references] if number in (2, 5, 6) else None,
                         dataset_hash(list(frames)) if frames else None,
                         [bench.md_scale, [str(f) for f in bench.reactions], runs] if number >= 8 else None])


def _stored(path: Path, identity: str) -> Check | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value["identity"] != identity:
            return None
        found = Check.from_dict(value["check"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if all((path.parent.parent / name).is_file() for name in found.figures) else None
