"""Makes a trained folder the newest version of a shipped potential; the one before stays loadable as NAME@N.

    python tools/publish_potential.py potential-folder Ca-H
"""

from __future__ import annotations

import sys
from pathlib import Path

from megabar.errors import MegabarError
from megabar.potential.library import LIBRARY
from megabar.potential.versions import publish

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("publish_potential.py FOLDER NAME")
    try:
        print(f"{sys.argv[2]}@{publish(Path(sys.argv[1]), LIBRARY, sys.argv[2])}")
    except MegabarError as error:
        sys.exit(str(error))
