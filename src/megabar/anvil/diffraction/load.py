"""From what the user names (a file, a trajectory or a marker) to phases, and the cards written for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from megabar.anvil.diffraction.jcpds import card_curve, write_jcpds
from megabar.anvil.diffraction.phase import Phase, phase_from_atoms, phase_from_marker, write_cif
from megabar.anvil.diffraction.settings import XrdSettings
from megabar.anvil.diffraction.thermal import average_frames, phase_from_average
from megabar.anvil.gauge import marker_scale, marker_scales
from megabar.anvil.materials import MATERIALS
from megabar.crystals.files import read_frames
from megabar.dynamics.trajectory import read_trajectory
from megabar.errors import InputError

_TRAJECTORY_FRAMES = 10


def as_marker(phase: Phase) -> Phase:
    """The phase with its marker material named, where composition and structure are those of one."""
    for m in MATERIALS.values():
        if (m.spacegroup == phase.spacegroup and m.atoms_per_cell == len(phase.atoms)
                and sorted(m.atoms().get_chemical_symbols()) == sorted(phase.atoms.get_chemical_symbols())):
            return replace(phase, material=m.name)
    return phase


def load_phase(entry: str, settings: XrdSettings, index: int) -> tuple[Phase, list[str]]:
    """One phase from a file, a trajectory (ten frames or more, averaged) or a marker name, and warnings about it."""
    fraction = (settings.fractions or [1.0] * len(settings.phases))[index]
    strain = (settings.microstrain or [0.0] * len(settings.phases))[index]
    path = Path(entry)
    if not path.exists():
        names = {m.name.lower(): m for m in MATERIALS.values()}
        material = names.get(entry.strip().lower())
        if material is None:
            raise InputError(f"{entry}: neither a file nor a marker; markers are {', '.join(MATERIALS)}")
        pressure = settings.pressure_GPa
        if pressure is None:
            if settings.fit is None:
                raise InputError(f"marker {material.name} needs a pressure to have a cell: "
                                 "give --pressure, like '140 GPa'")
            pressure = 100.0  # the search of a fit looks through all pressures
        scale = settings.scale if index == _first_marker(settings) else None
        return phase_from_marker(material, pressure, scale=scale, temperature_K=settings.temperature_K,
                                 u_iso_A2=settings.u_iso_A2, fraction=fraction, microstrain=strain), []
    name = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    if _is_trajectory(path):
        averaged = average_frames(read_trajectory(path, timestep_fs=1.0))
        return phase_from_average(averaged, name, symprec=settings.symprec, fraction=fraction,
                                  microstrain=strain, pressure_GPa=settings.pressure_GPa)
    phase = phase_from_atoms(read_frames(path)[-1], name, symprec=settings.symprec or 1e-3, u_iso_A2=settings.u_iso_A2,
                             fraction=fraction, microstrain=strain, pressure_GPa=settings.pressure_GPa)
    return as_marker(phase), []


def _first_marker(settings: XrdSettings) -> int:
    names = {m.lower() for m in MATERIALS}
    wanted = None if settings.marker is None else settings.marker.lower()
    for i, entry in enumerate(settings.phases):
        if entry.lower() in names and wanted in (None, entry.lower()):
            return i
    return -1


def _is_trajectory(path: Path) -> bool:
    name = path.name.removesuffix(".gz")
    if name.endswith((".lammpstrj", ".dump", ".lammpsdump")):
        return True
    if not name.endswith((".extxyz", ".xyz")):
        return False
    count = 0
    for _ in read_trajectory(path, timestep_fs=1.0):
        count += 1
        if count >= _TRAJECTORY_FRAMES:
            return True
    return False


def load_phases(settings: XrdSettings) -> tuple[list[Phase], list[str]]:
    """All phases of the settings, with what is doubtful about them; raises InputError for lists of unequal length."""
    for values, what in ((settings.fractions, "fractions"), (settings.microstrain, "microstrain")):
        if values is not None and len(values) != len(settings.phases):
            raise InputError(f"{len(values)} {what} for {len(settings.phases)} phases: give one a phase")
    phases, warnings = [], []
    for i, entry in enumerate(settings.phases):
        phase, said = load_phase(entry, settings, i)
        phases.append(phase)
        warnings += said
    return phases, warnings


def write_cards(folder: str | Path, phases: Sequence[Phase], wavelength_A: float,
                scale: str | None = None) -> list[str]:
    """NAME.jcpds and NAME.cif of every phase in `folder`; names of the files written.

    Markers carry their equation of state from zero pressure, so that a pressure can be dialled; other phases stay at
    the cell they have.
    """
    written = []
    for phase in phases:
        curve = None
        if phase.material is not None:
            eos = marker_scale(phase.material, scale if phase.material == _owner(phase, scale) else None)
            top = min(1.3 * (phase.pressure_GPa or eos.range_GPa[1]), eos.refused_above_GPa)
            curve = card_curve(eos, max(top, 20.0))
        stem = phase.name.replace(" ", "_").replace("/", "_")
        write_jcpds(Path(folder) / f"{stem}.jcpds", phase, wavelength_A, curve=curve)
        write_cif(Path(folder) / f"{stem}.cif", phase)
        written += [f"{stem}.jcpds", f"{stem}.cif"]
    return written


def _owner(phase: Phase, scale: str | None) -> str | None:
    """The material if `scale` is one of its scales."""
    return phase.material if scale in {m.scale for m in marker_scales(str(phase.material))} else None
