"""The folder of a reaction run, finished or stopped by a guard, and its frames with every atom classified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megabar.campaign.files import read_csv, read_yaml
from megabar.errors import InputError
from megabar.reaction.analysis import analyse
from megabar.reaction.results import Snapshot
from megabar.reaction.run import RESULT, STOPPED


@dataclass(frozen=True)
class RunFolder:
    """A run: `result` is its result.json, or its stopped.json if a guard ended it; `record` its run.yaml."""

    path: Path
    result: Mapping[str, Any]
    record: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """The run in `path`; InputError when there is none, or it has not ended."""
        folder = Path(path)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give the --out of a 'megabar react' that has ended")
        name = next((name for name in (RESULT, STOPPED) if (folder / name).is_file()), None)
        if name is None:
            hint = ("the run there has not ended; type its command again"
                    if (folder / "settings.yaml").is_file() else "it holds no run; give the --out of 'megabar react'")
            raise InputError(f"{folder}: no result.json: {hint}")
        try:
            result = json.loads((folder / name).read_text(encoding="utf-8"))
            record = read_yaml(folder / "run.yaml") if (folder / "run.yaml").is_file() else {}
            result["trajectory"], result["analysis"], result["overview"], result["figures"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder}: {name} is damaged or of another verb ({error}); run 'megabar react' "
                             "again in a new folder") from None
        return cls(folder, result, record if isinstance(record, dict) else {})

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.record.get("settings") or {}

    @property
    def reactant(self) -> str:
        return str(self.result.get("reactant", "H2"))

    def frames(self, most: int = 150) -> list[Snapshot]:
        """At most `most` frames, evenly spread over the reaction stage, with species and order of every atom.

        Raises InputError when the trajectory is gone.
        """
        trajectory = self.path / self.result["trajectory"]
        if not trajectory.is_file():
            raise InputError(f"{trajectory}: the run's trajectory is gone; bring it back, or run again")
        keeper = FrameKeeper(most)
        analyse(trajectory, normal=None if self.reactant == "none" else "c", watch=keeper.take)
        return keeper.chosen()

    def table(self, name: str) -> dict[str, np.ndarray]:
        """Columns of numbers of a CSV file of the run; empty when it is not there."""
        if not (self.path / name).is_file():
            return {}
        return read_csv(self.path / name)

    def events(self) -> list[Mapping[str, Any]]:
        return list(self.result["analysis"].get("events", []))


class FrameKeeper:
    """Keeps every k-th frame that it is given, k growing so that never more than twice `most` are held."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise InputError(f"frames {most}: give 1 or more")
        self._most, self._stride, self._offered = most, 1, 0
        self._kept: list[Snapshot] = []

    def take(self, frame: Snapshot) -> None:
        if self._offered % self._stride == 0:
            self._kept.append(frame)
        self._offered += 1
        if len(self._kept) > 2 * self._most:
            self._kept = self._kept[::2]
            self._stride *= 2

    def chosen(self) -> list[Snapshot]:
        if len(self._kept) <= self._most:
            return self._kept
        return [self._kept[k] for k in np.linspace(0, len(self._kept) - 1, self._most).round().astype(int)]
