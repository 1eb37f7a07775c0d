"""Reading and writing cells: extxyz (also gzipped), CIF, POSCAR, .res and whatever else ASE knows."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write

from megabar.campaign.files import atomic_path
from megabar.errors import InputError


def read_frames(path: str | Path) -> list[Atoms]:
    """All frames of a file; InputError when it is missing, empty or unreadable."""
    source = Path(path)
    if not source.is_file():
        raise InputError(f"{source}: no such file; give the path of an extxyz, CIF, POSCAR or .res file")
    name = source.name.removesuffix(".gz")
    kind = "extxyz" if name.endswith((".extxyz", ".xyz")) else None
    try:
        # ASE seeks to each frame; a packed file would be unpacked from its beginning each time.
        packed = kind is not None and source.suffix == ".gz"
        content = StringIO(gzip.decompress(source.read_bytes()).decode("utf-8")) if packed else source
        frames = read(content, index=":", format=kind)
    except Exception as error:  # ASE's readers raise anything at all on damaged files
        raise InputError(f"{source}: cannot be read ({' '.join(str(error).split())[:120] or type(error).__name__}); "
                         "is it a whole extxyz, CIF, POSCAR or .res file?") from None
    frames = [frames] if isinstance(frames, Atoms) else list(frames)
    if not frames:
        raise InputError(f"{source}: holds no frame; is it empty or cut off?")
    for number, frame in enumerate(frames):
        if len(frame) == 0 or not (np.isfinite(frame.positions).all() and np.isfinite(frame.cell[:]).all()):
            raise InputError(f"{source}: frame {number} has no atoms or a number that is not finite; mend or remove it")
    return frames


def write_frames(path: str | Path, frames: Iterable[Atoms]) -> None:
    """Write frames as extxyz (gzipped, with a fixed header time, when the name ends in .gz); whole or not at all."""
    with atomic_path(path) as temporary:
        if Path(path).suffix == ".gz":
            plain = temporary.with_name(temporary.name.removesuffix(".gz"))
            try:
                write(plain, list(frames), format="extxyz")
                with temporary.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
                    packed.write(plain.read_bytes())
            finally:
                plain.unlink(missing_ok=True)
        else:
            write(temporary, list(frames), format="extxyz")
