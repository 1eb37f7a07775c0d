"""Electron localisation function of a crystal: its off-nucleus maxima, what they are, and the charge they hold.

ELF: Becke and Edgecombe, J. Chem. Phys. 92, 5397 (1990), doi:10.1063/1.458517, of the pseudo density and kinetic-energy
density (exact outside the augmentation spheres, where electrides keep their electrons). An electride site is a maximum
above 0.7 that is shared by three atoms or more and holds 0.9 electrons or more: thresholds of arXiv:2510.01583.
Where the valence density has a maximum of its own at the site (a non-nuclear attractor), the charge is that of its
basin (Bader); elsewhere, as in a covalent bond, it is that of the basin of ELF.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.electrons.gpaw import bands_of, check_cell, converge, primitive, pulay
from megabar.errors import InputError
from megabar.firstprinciples.levels import PBE_GPAW_1
from megabar.units import pressure_GPa

THRESHOLD = 0.7
ELECTRIDE_CHARGE = 0.9
SHELL = 1.15
"""Atoms within this factor of the nearest share a maximum."""
NUCLEUS_A, NUCLEUS_SHARE = 0.75, 0.4
"""A maximum closer to a nucleus than the smaller of 0.75 A and 0.4 of the distance to the next atom belongs to one of
its own shells (the 2p shell of Na peaks at 0.3 A, H at zero)."""
POINTS = 1_500_000
"""Most grid points for the density basins; the grid of GPAW is refined 4, 2 or 1 times to stay below."""


@dataclass(frozen=True)
class Site:
    """An off-nucleus maximum; `kind` is "cage" (three atoms or more share it), "bond" (two) or "lone pair" (one)."""

    position_frac: tuple[float, float, float]
    position_A: tuple[float, float, float]
    elf: float
    kind: str
    coordination: int
    neighbours: str
    distance_A: float
    charge_e: float
    charge_by: str

    @property
    def electride(self) -> bool:
        return self.kind == "cage" and self.elf >= THRESHOLD and self.charge_e >= ELECTRIDE_CHARGE


@dataclass(frozen=True)
class ElfResult:
    """ELF on the real-space grid of the primitive cell (`elf`, shape (n1, n2, n3)) and its maxima in the cell given."""

    atoms: Atoms
    cell_atoms: Atoms
    elf: np.ndarray
    density_per_A3: np.ndarray
    sites: tuple[Site, ...]
    fundamental_gap_eV: float
    direct_gap_eV: float
    pressure_GPa: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        electride = [s for s in self.sites if s.electride]
        return {
            "formula": self.atoms.get_chemical_formula(), "electride_sites": len(electride),
            "sites": [s.__dict__ | {"electride": s.electride} for s in self.sites],
            "gap_eV": {"fundamental": self.fundamental_gap_eV, "direct": self.direct_gap_eV},
            "insulating": self.fundamental_gap_eV > 0.0, "pressure_GPa": self.pressure_GPa,
            "grid": list(self.elf.shape), "notes": list(self.notes)}

    def save(self, directory: str | Path) -> None:
        """`result.json`, `elf.cube` (for VESTA), `elf.png` with `elf.csv` (the slice drawn)."""
        from ase.io.cube import write_cube
        from matplotlib.figure import Figure

        target = Path(directory)
        write_json(target / "result.json", self.to_dict())
        with atomic_path(target / "elf.cube") as path, path.open("w") as handle:
            write_cube(handle, self.cell_atoms, data=self.elf)
        u, v, values, _ = self.slice()
        columns: dict[str, Any] = {"u_A": u.ravel().round(3), "v_A": v.ravel().round(3), "elf": values.ravel().round(4)}
        write_csv(target / "elf.csv", columns)
        figure = Figure(figsize=(9.6, 4.4), layout="constrained")
        self.plot(figure.add_subplot(1, 2, 1))
        self.plot_isosurface(figure.add_subplot(1, 2, 2, projection="3d"))
        with atomic_path(target / "elf.png") as path:
            figure.savefig(path, dpi=120)

    def slice(self, points: int = 110) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[tuple[float, float, str]]]:
        """A plane through the best site, its nearest atom and the next atom off that line.

        Returns in-plane coordinates u, v in A and ELF, each of shape (points, points), and (u, v, symbol) of the atoms
        and sites ("e") within 0.1 A of the plane.
        """
        origin, normal_u, normal_v = self._plane()
        reach = 1.1 * max(float(np.max(self.atoms.cell.lengths())) / 1.4, 2.5)
        axis = np.linspace(-reach, reach, points)
        u, v = np.meshgrid(axis, axis, indexing="ij")
        where = origin + u[..., None] * normal_u + v[..., None] * normal_v
        values = interpolate(self.elf, self.cell_atoms.cell[:], where.reshape(-1, 3)).reshape(u.shape)
        normal = np.cross(normal_u, normal_v)
        marks = []
        images = _images(self.cell_atoms.cell[:], reach * 1.5)
        things = list(zip(self.cell_atoms.positions, self.cell_atoms.get_chemical_symbols(), strict=True))
        things += [(np.array(s.position_A), "e") for s in self.sites if s.electride]
        for position, symbol in things:
            offset = position - origin + images
            near = offset[np.abs(offset @ normal) < 0.1]
            marks += [(float(p @ normal_u), float(p @ normal_v), symbol) for p in near
                      if max(abs(p @ normal_u), abs(p @ normal_v)) <= reach]
        return u, v, values, marks

    def _plane(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        best = [s for s in self.sites if s.kind == "cage"] or list(self.sites)
        origin = np.array(best[0].position_A) if best else self.cell_atoms.positions[0]
        images = _images(self.cell_atoms.cell[:], 8.0)
        offsets = (self.cell_atoms.positions[:, None] - origin + images).reshape(-1, 3)
        offsets = offsets[np.argsort(np.linalg.norm(offsets, axis=1).round(3), kind="stable")]
        offsets = offsets[np.linalg.norm(offsets, axis=1) > 1e-3]
        first = offsets[0] / np.linalg.norm(offsets[0])
        for other in offsets[1:]:
            across = other - (other @ first) * first
            if np.linalg.norm(across) > 0.5 * np.linalg.norm(offsets[0]):
                return origin, first, across / np.linalg.norm(across)
        raise InputError("elf: no plane found through this crystal; give one with atoms in three directions")

    def plot(self, ax: Any) -> None:
        """The slice, with atoms named and electride sites marked e."""
        u, v, values, marks = self.slice()
        image = ax.pcolormesh(u, v, values, cmap="viridis", vmin=0.0, vmax=1.0, shading="gouraud")
        ax.contour(u, v, values, levels=[THRESHOLD], colors="w", linewidths=0.8)
        for x, y, symbol in marks:
            ax.text(x, y, symbol if symbol != "e" else r"e$^-$", color="w" if symbol != "e" else "k", ha="center",
                    va="center", fontsize=8, weight="bold")
        ax.set_aspect("equal")
        ax.set_xlabel(r"$u$ ($\mathrm{\AA}$)")
        ax.set_ylabel(r"$v$ ($\mathrm{\AA}$)")
        ax.figure.colorbar(image, ax=ax, label="ELF", shrink=0.85)

    def isosurface(self, site: Site, level: float = THRESHOLD, angles: int = 32) -> np.ndarray:
        """Where ELF first falls to `level` on the way out from a site, in all directions: shape (angles, angles, 3), A.

        True for what can be seen whole from the site, as the lobes of an electride can.
        """
        turn = np.linspace(0.0, 2.0 * np.pi, angles)
        polar, round_ = np.meshgrid(0.5 * turn, turn, indexing="ij")
        rays = np.stack([np.sin(polar) * np.cos(round_), np.sin(polar) * np.sin(round_), np.cos(polar)], axis=-1)
        radii = np.linspace(0.0, 2.0, 81)
        points = np.array(site.position_A) + rays[:, :, None, :] * radii[:, None]
        values = interpolate(self.elf, self.cell_atoms.cell[:], points.reshape(-1, 3)).reshape(points.shape[:3])
        outside = values < level
        first = np.where(outside.any(axis=-1), np.argmax(outside, axis=-1), len(radii) - 1)
        return np.array(site.position_A) + rays * radii[first][..., None]

    def plot_isosurface(self, ax: Any) -> None:
        """ELF = 0.7 round the cage sites, and the atoms, in the cell given and on all its faces: no screen needed."""
        cell = self.atoms.cell[:]
        corners = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        for site in self.sites:
            if site.kind == "cage":
                surface = self.isosurface(site)
                for shift in corners[np.all(np.array(site.position_frac) + corners < 1.0 + 1e-3, axis=1)]:
                    x, y, z = np.moveaxis(surface + shift @ cell, -1, 0)
                    ax.plot_surface(x, y, z, color="#e6b422", alpha=0.6, lw=0, rcount=32, ccount=32)
        for symbol in sorted(set(self.atoms.get_chemical_symbols())):
            chosen = np.array([a.scaled_position % 1.0 for a in self.atoms if a.symbol == symbol])
            copies = (chosen[:, None] + corners).reshape(-1, 3)
            ax.scatter(*(copies[np.all(copies < 1.0 + 1e-3, axis=1)] @ cell).T, s=55, label=symbol, depthshade=False)
        for corner in corners:
            for axis in np.flatnonzero(corner == 0):
                ax.plot(*np.array([corner @ cell, corner @ cell + cell[axis]]).T, color="0.6", lw=0.6)
        ax.set_axis_off()
        ax.set_aspect("equal")
        ax.view_init(16, -62)
        ax.legend(frameon=False, fontsize=8)


def _images(cell: np.ndarray, reach: float) -> np.ndarray:
    """Lattice vectors that reach at least `reach` in every direction, shape (m, 3)."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    counts = np.ceil(reach / heights).astype(int) + 1
    ranges = [np.arange(-n, n + 1) for n in counts]
    return np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3) @ cell


def interpolate(values: np.ndarray, cell: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Periodic cubic interpolation of `values` (n1, n2, n3) at Cartesian `positions` (m, 3); shape (m,)."""
    from scipy.ndimage import map_coordinates

    index = positions @ np.linalg.inv(cell) * values.shape
    return map_coordinates(values, (index % values.shape).T, order=3, mode="grid-wrap")


_STEPS = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if (i, j, k) != (0, 0, 0)])


def basins(values: np.ndarray, cell: np.ndarray | None = None) -> np.ndarray:
    """Index of the maximum to which steepest ascent leads from every grid point; flat indices, shape of `values`.

    Ascent over the 26 neighbours, the rise divided by the distance when `cell` is given; pointers are doubled until
    they rest. Plateaus are broken by the flat index, so that equal neighbours do not point at each other.
    """
    flat = np.arange(values.size).reshape(values.shape)
    best_rise, target = np.zeros(values.shape), flat.copy()
    for step in _STEPS:
        length = 1.0 if cell is None else float(np.linalg.norm((step / values.shape) @ cell))
        shift = tuple(-step)
        rise = (np.roll(values, shift, axis=(0, 1, 2)) - values) / length
        other = np.roll(flat, shift, axis=(0, 1, 2))
        better = (rise > best_rise) | ((rise == 0.0) & (best_rise == 0.0) & (other > target))
        best_rise, target = np.where(better, rise, best_rise), np.where(better, other, target)
    pointer = target.ravel()
    while True:
        further = pointer[pointer]
        if np.array_equal(further, pointer):
            return pointer.reshape(values.shape)
        pointer = further


def _refined(values: np.ndarray, index: tuple[int, ...]) -> np.ndarray:
    """Fractional position of a maximum by a parabola along each axis of the grid."""
    position = np.array(index, dtype=float)
    for axis in range(3):
        around = [values[tuple((np.array(index) + s * np.eye(3, dtype=int)[axis]) % values.shape)] for s in (-1, 0, 1)]
        bend = around[0] - 2.0 * around[1] + around[2]
        if bend < -1e-12:
            position[axis] += float(np.clip(0.5 * (around[0] - around[2]) / bend, -0.5, 0.5))
    return position / values.shape % 1.0


def _triple(vector: np.ndarray) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])


def _basin_charges(values: np.ndarray, density: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of the maxima of `values` and the integral of `density` (a multiple of its grid) over each basin."""
    labels = basins(values, cell)
    coarse = density
    for axis in range(3):
        factor = density.shape[axis] // values.shape[axis]
        coarse = np.take(coarse, np.arange(values.shape[axis]) * factor, axis=axis)
    charge = np.bincount(labels.ravel(), weights=coarse.ravel(), minlength=values.size)
    tops = np.unique(labels)
    return tops, charge[tops] * abs(float(np.linalg.det(cell))) / values.size


def find_sites(values: np.ndarray, density_per_A3: np.ndarray, atoms: Atoms,
               threshold: float = THRESHOLD) -> list[Site]:
    """Off-nucleus maxima of ELF `values` (n1, n2, n3) above `threshold`, highest first, in the cell of `atoms`.

    `density_per_A3` (valence) may be on a grid finer by a whole factor. Maxima nearer than 0.4 A to a higher one are
    ripples of the grid and join it.
    """
    cell = atoms.cell[:]
    images = _images(cell, 6.0)
    tops, charge = _basin_charges(values, density_per_A3, cell)
    peaks, bader = _basin_charges(density_per_A3, density_per_A3, cell)
    attractors = np.stack(np.unravel_index(peaks, density_per_A3.shape), axis=1) / density_per_A3.shape @ cell
    between = np.linalg.norm(atoms.positions[:, None, None] - atoms.positions[:, None] + images, axis=-1)
    own = np.array([np.min(row[row > 1e-6]) for row in between])
    shell = np.repeat(np.minimum(NUCLEUS_A, NUCLEUS_SHARE * own), len(images))
    kept: list[list[Any]] = []
    for order in np.argsort(-values.ravel()[tops], kind="stable"):
        number = int(tops[order])
        height = float(values.flat[number])
        if height < threshold:
            break
        top = _refined(values, tuple(int(k) for k in np.unravel_index(number, values.shape)))
        fraction = _on_symmetry(top, atoms)
        position = fraction @ cell
        for other in kept:
            if np.min(np.linalg.norm(position - other[1] + images, axis=1)) < 0.4:
                other[3] += float(charge[order])
                break
        else:
            kept.append([fraction, position, height, float(charge[order])])
    symbols = np.repeat(atoms.get_chemical_symbols(), len(images))
    found = []
    for fraction, position, height, electrons in kept:
        distance = np.linalg.norm((atoms.positions[:, None] + images - position).reshape(-1, 3), axis=1)
        nearest = float(distance.min())
        if np.any(distance < shell):
            continue
        apart = np.array([np.min(np.linalg.norm(a - position + images, axis=1)) for a in attractors])
        by = "ELF basin"
        if apart.min() < 0.4:
            electrons, by = float(bader[apart < 0.4].sum()), "density basin"
        around = symbols[distance < SHELL * nearest]
        names = ", ".join(f"{int(np.sum(around == s))} {s}" for s in sorted(set(around)))
        kind = "lone pair" if len(around) == 1 else "bond" if len(around) == 2 else "cage"
        fraction = np.where(fraction > 1.0 - 1e-4, 0.0, fraction)
        found.append(Site(_triple(fraction), _triple(position), height, kind, len(around), names, nearest, electrons,
                          by))
    return found


def _on_symmetry(fraction: np.ndarray, atoms: Atoms, reach_A: float = 0.3) -> np.ndarray:
    """`fraction` moved onto the symmetry element it lies next to: the mean of its images within `reach_A` of it.

    The top of ELF is flat, and the grid rarely has a point where symmetry puts it.
    """
    import spglib

    found = spglib.get_symmetry((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), symprec=1e-3)
    if found is None:
        return fraction
    images = np.einsum("nij,j->ni", found["rotations"], fraction) + found["translations"] - fraction
    images -= np.rint(images)
    near = images[np.linalg.norm(images @ atoms.cell[:], axis=1) < reach_A]
    return (fraction + near.mean(axis=0)) % 1.0


def _in_cell(site: Site, small: Atoms, given: Atoms) -> list[Site]:
    """The copies of a site of the primitive cell in the cell that was given."""
    inverse = np.linalg.inv(given.cell[:])
    reach = float(np.max(given.cell.lengths())) * 2.0
    fractions = (np.array(site.position_A) + _images(small.cell[:], reach)) @ inverse
    inside = fractions[np.all((fractions > -1e-4) & (fractions < 1.0 - 1e-4), axis=1)]
    unique = np.unique(np.round(np.abs(inside), 4), axis=0)
    return [replace(site, position_frac=_triple(f), position_A=_triple(f @ given.cell[:])) for f in unique]


def check_threshold(threshold: float) -> None:
    if not 0.0 < threshold < 1.0:
        raise InputError(f"threshold {threshold:g} is outside 0-1; 0.7 is usual")


def elf(atoms: Atoms, log: str | Path = "-", threshold: float = THRESHOLD, source: str = "cell") -> ElfResult:
    """ELF, maxima, gap and pressure of a crystal as it is given (nothing is relaxed), by GPAW at the reference level.

    Raises InputError for what is not a crystal, ExtraMissing without GPAW, NotConverged with the name of the log.
    """
    check_threshold(threshold)
    small = primitive(atoms)
    check_cell(small, source)
    calc = converge(small, log)
    from gpaw.elf import elf_from_dft_calculation

    values = np.asarray(elf_from_dft_calculation(calc, 0.0).data, dtype=float)
    refinement = max((g for g in (2, 4) if values.size * g**3 <= POINTS), default=1)
    density = np.asarray(calc.get_all_electron_density(gridrefinement=refinement, skip_core=True), dtype=float)
    sites = [copy for site in find_sites(values, density, small, threshold) for copy in _in_cell(site, small, atoms)]
    stress, missing = pulay(PBE_GPAW_1, small, calc.get_stress(small))
    notes = (f"no Pulay constant for {', '.join(missing)}: the pressure is that of the fixed plane-wave basis",) \
        if missing else ()
    bands = bands_of(calc)
    return ElfResult(atoms, small, values, density, tuple(sites), bands.fundamental_gap_eV, bands.direct_gap_eV,
                     pressure_GPa(stress), notes)
