"""Ensembles as LAMMPS lines: how a crystal, a fluid or an interface is brought to pressure and temperature.

Start-up uses Langevin friction, which heats the stiff H2 vibration and the soft rest alike (a global thermostat needs
many picoseconds for that), with a damped barostat; production uses Nose-Hoover chains for both (Martyna, Tobias and
Klein, J. Chem. Phys. 101, 4177 (1994), 10.1063/1.467468; Shinoda, Shiga and Mikami, Phys. Rev. B 69, 134103 (2004),
10.1103/PhysRevB.69.134103, as LAMMPS has it). The normal (z) is always a degree of freedom of its own, coupled
separately from the in-plane axes, which keep their ratio.
"""

from __future__ import annotations

from typing import Literal

from megabar.dynamics.lammps import bars

THERMOSTAT_PS = 0.1
BAROSTAT_PS = 1.0
STARTUP_BAROSTAT_PS = 0.3


FIXED_POINT = " fixedpoint 0 0 0"
"""LAMMPS dilates about the centre of the cell otherwise, which it computes anew, with other rounding, after a restart:
with a fixed point a run that was killed and went on is the uninterrupted one to the last bit."""
_NO_DRIFT = "fix drift all momentum 200 linear 1 1 1 rescale"

InPlane = Literal["independent", "coupled", "fixed"]
"""What the x and y axes do: each for itself (a crystal), with their ratio kept (an interface), or nothing (a fluid that
has to fit a given cell)."""


def relax_cell(pressure_GPa: float) -> list[str]:
    """Lines that minimise the enthalpy of a crystal: positions and the three axes."""
    p = bars(pressure_GPa)
    return [f"fix relax all box/relax x {p} y {p} z {p} vmax 0.002 nreset 20", "minimize 0.0 1.0e-2 300 1000",
            "unfix relax"]


def relax_positions(frozen: str | None = None) -> list[str]:
    """Lines that take the worst overlaps out at fixed cell; the group `frozen` stays where it is."""
    hold = [] if frozen is None else [f"fix freeze {frozen} setforce 0.0 0.0 0.0"]
    return [*hold, "minimize 0.0 0.1 100 500", *(["unfix freeze"] if hold else [])]


def velocities(temperature_K: float, seed: int) -> list[str]:
    """Lines that draw Maxwell velocities with no total momentum."""
    return [f"velocity all create {temperature_K:.10g} {_seed(seed, 1)} mom yes rot no dist gaussian"]


def _pressure(pressure_GPa: float, period_ps: float, in_plane: InPlane) -> str:
    p = bars(pressure_GPa)
    words = " ".join(f"{axis} {p} {p} {period_ps:.6g}" for axis in ("z" if in_plane == "fixed" else "xyz"))
    return words + (" couple xy" if in_plane == "coupled" else "") + FIXED_POINT


def startup(temperature_K: float, pressure_GPa: float, seed: int, in_plane: InPlane) -> list[str]:
    """Langevin friction and a damped barostat along z, and in plane unless it is fixed."""
    t = f"{temperature_K:.10g}"
    # Not `zero yes`: it shares the total random force among all atoms alike, and what is noise to Ca boils hydrogen
    # (seen: 1620 K for 1473 K in CaH2). The drift is taken out by itself.
    return [f"fix move all nph {_pressure(pressure_GPa, STARTUP_BAROSTAT_PS, in_plane)} drag 1.0",
            f"fix friction all langevin {t} {t} {THERMOSTAT_PS} {_seed(seed, 2)}", _NO_DRIFT]


def compress(temperature_K: float, pressures_GPa: tuple[float, float], seed: int) -> list[str]:
    """As `startup` with every axis free, the pressure going linearly from the first value to the second."""
    first, last = (bars(p) for p in pressures_GPa)
    axes = " ".join(f"{axis} {first} {last} {STARTUP_BAROSTAT_PS:.6g}" for axis in "xyz")
    t = f"{temperature_K:.10g}"
    return [f"fix move all nph {axes} drag 1.0{FIXED_POINT}",
            f"fix friction all langevin {t} {t} {THERMOSTAT_PS} {_seed(seed, 2)}", _NO_DRIFT]


def fixed_cell(temperature_K: float, seed: int) -> list[str]:
    """Langevin friction at constant volume: slabs beside vacuum, which have no pressure to hold."""
    t = f"{temperature_K:.10g}"
    return ["fix move all nve", f"fix friction all langevin {t} {t} {THERMOSTAT_PS} {_seed(seed, 2)}", _NO_DRIFT]


def microcanonical() -> list[str]:
    """Neither thermostat nor barostat: what the integrator and the forces do by themselves."""
    return ["fix move all nve"]


def held(group: str, stiffness_eV_per_A2: float = 2.0) -> list[str]:
    """Springs that tie the atoms of `group` to where they are."""
    return [f"fix hold_{group} {group} spring/self {stiffness_eV_per_A2:.6g}"]


def production(temperature_K: float, pressure_GPa: float) -> list[str]:
    """Nose-Hoover NPT with the normal apart from the plane; the rounding drift of the centre of mass is removed."""
    t = f"{temperature_K:.10g}"
    return [f"fix move all npt temp {t} {t} {THERMOSTAT_PS} " + _pressure(pressure_GPa, BAROSTAT_PS, "coupled"),
            _NO_DRIFT]


def deterministic(temperature_K: float, pressure_GPa: float) -> list[str]:
    """Nose-Hoover NPT from the first step, every axis by itself and the drag of start-up: nothing is drawn at random,
    so a cell keeps the symmetry that its velocities have."""
    t = f"{temperature_K:.10g}"
    return [f"fix move all npt temp {t} {t} {THERMOSTAT_PS} "
            + _pressure(pressure_GPa, STARTUP_BAROSTAT_PS, "independent") + " drag 1.0"]


def at_rest() -> list[str]:
    """Lines that zero the total momentum and leave the temperature."""
    return ["velocity all zero linear"]


def _seed(seed: int, salt: int) -> int:
    """A LAMMPS seed that differs by `salt`, so that no two random streams of a run are the same.

    At most 900 million: beyond that the Marsaglia generator behind fix langevin refuses (from seed 57 of react on).
    """
    return 1 + (seed * 1_000_003 + salt * 7919 + 12345) % 899_999_999
