"""A committee: the same form trained on bootstraps of the data, and the spread of its predictions.

Each member sees families of siblings drawn with replacement (Efron and Tibshirani, An Introduction to the Bootstrap
(1993), chapter 6), so that about 1/e of them are new to it. Members that differ in their seeds alone share the data and
with it their errors: they were seen to be several times too confident. Families, not frames, are drawn, because a
sibling of a frame left out would teach the member what it should not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from megabar.campaign.files import read_yaml, write_text, write_yaml
from megabar.errors import InputError, PotentialUnknown
from megabar.potential import trainer
from megabar.potential.calculator import NEP
from megabar.potential.dataset import LabelledFrame, dataset_hash, element_order, element_shifts_eV, split_by_parent
from megabar.potential.nep import NEPModel
from megabar.potential.uncertainty import ActiveSet

FILE = "committee.yaml"


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over the members, for n atoms.

    energy in eV for the cell; forces (n, 3) and force_spread (n, 3) in eV/A, by component. Standard deviations are
    those of a sample (divided by members - 1).
    """

    energy_eV: float
    energy_spread_eV: float
    forces_eV_per_A: np.ndarray
    force_spread_eV_per_A: np.ndarray


@dataclass(frozen=True, eq=False)
class Committee:
    """Potentials that were trained alike on bootstraps of one set."""

    models: tuple[NEPModel, ...]

    def spread(self, atoms: Atoms) -> Spread:
        """What the members say of `atoms` together."""
        results = [NEP(model).evaluate(atoms) for model in self.models]
        energies = np.array([r.energies_eV.sum() for r in results])
        forces = np.array([r.forces_eV_per_A for r in results])
        return Spread(float(energies.mean()), float(energies.std(ddof=1)), forces.mean(axis=0),
                      forces.std(axis=0, ddof=1))

    @classmethod
    def load(cls, folder: str | Path) -> Committee:
        """The members in `folder`; PotentialUnknown when there are fewer than two."""
        paths = sorted(Path(folder).glob("member-*/nep.txt"))
        if len(paths) < 2:
            raise PotentialUnknown(f"{folder}: holds {len(paths)} finished members; make them with 'megabar calibrate'")
        return cls(tuple(NEPModel.read(path) for path in paths))


def bootstrap(frames: Sequence[LabelledFrame], seed: int) -> list[LabelledFrame]:
    """As many families as there are, drawn with replacement; a family drawn twice stands twice in the list."""
    families: dict[str, list[LabelledFrame]] = {}
    for frame in frames:
        families.setdefault(frame.parent, []).append(frame)
    names = sorted(families)
    drawn = np.random.default_rng([seed, 7919]).choice(len(names), len(names))
    return [frame for k in sorted(drawn) for frame in families[names[k]]]


def train_graded(train: Sequence[LabelledFrame], out: Path, settings: trainer.NEPSettings, seed: int = 0,
                 progress: Callable[[int, str], None] | None = None) -> Path:
    """One potential on all of `train` with its active set, whose grade can be judged on frames it never saw.

    Its last epochs, not its best on some held-out frames, are kept, since those are to judge it. Returns its folder.
    """
    if not (out / "nep.txt").is_file():
        elements = element_order(train)
        nep = trainer.fit(train, [], elements, element_shifts_eV(train, elements), settings, out / "trainer", seed,
                          progress=progress)
        ActiveSet.build(NEPModel.read(nep), [f.atoms for f in train]).save(out)
        write_text(out / "nep.txt", nep.read_text(encoding="utf-8"))
    return out


def train_committee(train: Sequence[LabelledFrame], held: Sequence[LabelledFrame], out: Path,
                    settings: trainer.NEPSettings, members: int, seed: int = 0,
                    progress: Callable[[int, int], None] | None = None) -> Committee:
    """Train `members` on bootstraps of `train`, each in its folder under `out`; typed again, finished ones are kept.

    `held` is for no member to see: each chooses its best epoch on the frames that its own bootstrap left out, which
    would flatter the calibration otherwise. Raises InputError for fewer than two members or a folder of another set.
    """
    if members < 2:
        raise InputError(f"{members} member: a committee needs two or more, since its spread is what is wanted")
    identity = {"training": dataset_hash(train), "held_out": dataset_hash(held) if held else None, "seed": seed,
                "settings": settings.model_dump(mode="json")}
    record = out / FILE
    if record.is_file() and (stored := read_yaml(record)) != identity:
        keys = [key for key in identity if not isinstance(stored, dict) or stored.get(key) != identity[key]]
        raise InputError(f"{out}: holds a committee with other {', '.join(keys)}; give another --out")
    write_yaml(record, identity)
    elements = element_order(train)
    models = []
    for number in range(members):
        folder = out / f"member-{number:02d}"
        if not (folder / "nep.txt").is_file():
            drawn = bootstrap(train, seed + 1000 * number)
            seen = {frame.parent for frame in drawn}
            left_out = [frame for frame in train if frame.parent not in seen]
            shifts = element_shifts_eV(drawn, elements)
            epoch = None if progress is None else _epochs(progress, number)
            nep = trainer.fit(drawn, left_out, elements, shifts, settings, folder / "trainer", seed + number,
                              progress=epoch)
            ActiveSet.build(NEPModel.read(nep), [f.atoms for f in {id(f): f for f in drawn}.values()]).save(folder)
            write_text(folder / "nep.txt", nep.read_text(encoding="utf-8"))
        models.append(NEPModel.read(folder / "nep.txt"))
    return Committee(tuple(models))


def _epochs(progress: Callable[[int, int], None], number: int) -> Callable[[int, str], None]:
    return lambda epoch, _: progress(number, epoch)


def split_for_calibration(frames: Sequence[LabelledFrame], share: float, seed: int,
                          max_pressure_GPa: float | None = None) -> tuple[list[LabelledFrame], list[LabelledFrame],
                                                                          list[LabelledFrame]]:
    """(training, held out, beyond): families apart, and with a pressure limit the frames above it set aside.

    Families of frames beyond are not trained on either. Raises InputError when nothing is left to train or judge on.
    """
    beyond = [] if max_pressure_GPa is None else [f for f in frames if f.pressure_GPa > max_pressure_GPa]
    hot = {f.parent for f in beyond}
    inside = [f for f in frames if f.parent not in hot]
    kept, held = split_by_parent(inside, share, seed)
    if len(kept) < 4 or not held:
        raise InputError(f"{len(kept)} frames to train on and {len(held)} held out: raise validation_share or "
                         "--max-pressure, or label more")
    return kept, held, beyond
