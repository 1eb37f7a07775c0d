"""Skips live engines where they are absent, and says why."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


def _missing(marker: str) -> str | None:
    if marker in ("gpaw", "qe"):
        import importlib

        return importlib.import_module(f"megabar.firstprinciples.{marker}").available()
    if marker == "train":
        from megabar.potential.trainer import available

        return available()
    return None


def pytest_collection_modifyitems(items):
    for marker in ("gpaw", "qe", "train"):
        marked = [item for item in items if item.get_closest_marker(marker)]
        reason = _missing(marker) if marked else None
        if reason is not None:
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))
