"""Reading trajectories frame by frame in constant memory: LAMMPS dumps (ours and others') and extxyz, plain or gzipped.

Blocks of atoms that are aligned in columns, as our own dumps and ASE's extxyz are, go through a vectorised
fixed-point reader; anything else through NumPy's C text reader.
"""

from __future__ import annotations

import io
import mmap
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from ase import units
from ase.data import atomic_masses, atomic_numbers
from ase.io.extxyz import key_val_str_to_dict

from megabar.errors import InputError


@dataclass(frozen=True)
class Frame:
    """One instant. Positions are counted from the corner of the cell; the atoms stand in the same order in every frame.

    Attributes:
        time_ps: time since the start of the run.
        cell_A: (3, 3) cell vectors as rows.
        numbers: (n,) atomic numbers.
        positions_A: (n, 3), wrapped or not, as the file has them.
        unwrapped_A: (n, 3) without jumps through the boundaries, where the file has image flags or unwrapped positions.
        velocities_A_per_fs: (n, 3), where the file has them.
        potential_energy_eV: (n,) per atom, where the file has them.
    """

    time_ps: float
    cell_A: np.ndarray
    numbers: np.ndarray
    positions_A: np.ndarray
    unwrapped_A: np.ndarray | None = None
    velocities_A_per_fs: np.ndarray | None = None
    potential_energy_eV: np.ndarray | None = None


class _Truncated(Exception):
    """The file ends inside a frame."""


def read_trajectory(path: str | Path, timestep_fs: float | None = None,
                    elements: Sequence[str] | None = None) -> Iterator[Frame]:
    """Frames of a LAMMPS text dump (`metal` units) or an extxyz file, either also as .gz, one at a time.

    `timestep_fs` is the time per step, for files that number their steps (dumps) or their frames (extxyz) without
    giving times. `elements` names the element of each LAMMPS atom type, for dumps that have no element column.

    A frame cut off at the end of the file is dropped with a warning. Raises InputError for a file that is missing,
    empty, of another kind or damaged, for a changing number of atoms, and for times or elements that are not known.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(f"{source}: no such trajectory; give the path of a LAMMPS dump or extxyz file")
    return _checked(source, timestep_fs, elements)


def last_frame(path: str | Path) -> Frame | None:
    """The last whole frame of a LAMMPS text dump that is still being written (with times); None when there is none."""
    source = Path(path)
    if not source.is_file() or source.stat().st_size == 0:
        return None
    mark = b"ITEM: TIME\n"
    with source.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as text:
        start = text.rfind(mark)
        while start >= 0:
            tail = io.BytesIO(text[start:])
            try:
                return next(_dump_frames(tail.readline(), tail, source, None, None))
            except (_Truncated, ValueError, StopIteration):
                start = text.rfind(mark, 0, start)
    return None


def _checked(source: Path, timestep_fs: float | None, elements: Sequence[str] | None) -> Iterator[Frame]:
    count, n_atoms = 0, -1
    with _open(source) as handle:
        try:
            first = handle.readline()
            if first.startswith(b"ITEM:"):
                frames = _dump_frames(first, handle, source, timestep_fs, elements)
            elif first.strip().isdigit():
                frames = _extxyz_frames(first, handle, source, timestep_fs)
            else:
                raise InputError(f"{source}: neither a LAMMPS text dump nor extxyz; give one of these")
            for frame in frames:
                if n_atoms not in (-1, len(frame.numbers)):
                    raise InputError(f"{source}: frame {count} has {len(frame.numbers)} atoms, those before {n_atoms}; "
                                     "split the file where the number of atoms changes")
                n_atoms = len(frame.numbers)
                count += 1
                yield frame
        except _Truncated:
            if count == 0:
                raise InputError(f"{source}: ends inside its first frame; is it still being written?") from None
            warnings.warn(f"{source}: frame {count} is cut off at the end of the file and was dropped", stacklevel=2)
        except (ValueError, zlib.error) as error:
            raise InputError(f"{source}: frame {count} cannot be read ({' '.join(str(error).split())[:100]}); "
                             "mend the file or write it again") from None


def _open(source: Path) -> IO[bytes]:
    raw = source.open("rb", buffering=1 << 20)
    packed = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    return io.BufferedReader(_Unpacked(raw), 1 << 20) if packed else raw


class _Unpacked(io.RawIOBase):
    """A gzip stream that simply ends where the file was cut off, so that the whole frames before are not lost."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw, self._left, self._inflate = raw, b"", zlib.decompressobj(wbits=31)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            packed = self._inflate.unused_data or self._raw.read(1 << 16)
            if not packed:
                return 0
            if self._inflate.eof:  # the next member of a file written in several goes
                self._inflate = zlib.decompressobj(wbits=31)
            self._left = self._inflate.decompress(packed)
        n = min(len(buffer), len(self._left))
        buffer[:n], self._left = self._left[:n], self._left[n:]
        return n

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Block:
    """`n` lines of atoms; columns as numbers or as text."""

    def __init__(self, handle: IO[bytes], n: int, n_columns: int) -> None:
        lines = list(islice(handle, n))
        if len(lines) < n or not lines[-1].endswith(b"\n"):
            raise _Truncated
        self._text, self._n, self._n_columns = b"".join(lines), n, n_columns
        self._spans: list[tuple[int, int]] | None = None
        width = len(lines[0])
        if len(self._text) == n * width and len(lines[-1]) == width:
            grid = np.frombuffer(self._text, dtype=np.uint8).reshape(n, width)
            blank = np.concatenate([[True], (grid <= 32).all(axis=0), [True]])
            edges = np.flatnonzero(np.diff(blank.astype(np.int8)))
            spans = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
            if len(spans) == n_columns and (grid[:, -1] == 10).all():
                self._spans, self._grid = spans, grid

    def numbers(self, columns: Sequence[int]) -> np.ndarray:
        """(n, len(columns)) floats."""
        if self._spans is not None:
            parsed = _fixed_point(self._grid, [self._spans[c] for c in sorted(columns)])
            if parsed is not None:
                return parsed[:, np.argsort(np.argsort(columns))]
        table = np.loadtxt(io.BytesIO(self._text), usecols=list(columns), ndmin=2, comments=None)
        if len(table) != self._n:
            raise ValueError("a line of an atom is blank")
        return table

    def raw(self, column: int) -> bytes:
        """The column's bytes: two blocks with equal ones hold the same text there."""
        if self._spans is not None:
            return self._grid[:, slice(*self._spans[column])].tobytes()
        return b" ".join(self._tokens(column))

    def words(self, column: int) -> list[str]:
        return [token.decode() for token in self._tokens(column)]

    def _tokens(self, column: int) -> list[bytes]:
        tokens = self._text.split()
        if len(tokens) != self._n * self._n_columns:
            raise ValueError(f"its lines do not all have {self._n_columns} columns")
        return tokens[column:: self._n_columns]


def _fixed_point(grid: np.ndarray, spans: Sequence[tuple[int, int]]) -> np.ndarray | None:
    """(n, len(spans)) numbers written in `spans` (from left to right) of the (n, width) characters.

    None unless all are like ' -12.345', each column with its point in one place: blanks, a sign, digits, nothing else.
    """
    n, width = grid.shape
    inside, follows, points = (np.zeros(width, dtype=bool) for _ in range(3))
    weights = np.zeros((width, len(spans)))
    for k, (start, stop) in enumerate(spans):
        point = np.flatnonzero(grid[0, start:stop] == 46)
        place = start + int(point[0]) if len(point) else stop
        inside[start:stop], follows[start + 1:stop] = True, True
        points[place:place + (place < stop)] = True
        weights[start:place, k] = 10.0 ** np.arange(place - start - 1, -1, -1)
        weights[place + 1:stop, k] = 10.0 ** -np.arange(1.0, stop - place)
    ends = [stop - 1 for _, stop in spans]
    digits = grid - np.uint8(48)
    odd = digits > 9
    minus = (grid == 45) & inside
    if not (grid[:, points] == 46).all() or (odd[:, ends] & ~points[ends]).any():
        return None
    odd[:, points] = False
    digits[odd] = 0
    digits[:, points] = 0
    if (odd & (grid != 32) & ~minus)[:, inside].any():
        return None  # exponents, plus signs, words
    # Blanks and a sign only before the first digit, and nothing between the sign and that digit.
    if (odd[:, 1:] & (minus | ~odd)[:, :-1] & follows[1:]).any():
        return None
    values = digits.astype(float) @ weights
    negative = np.logical_or.reduceat(minus, [start for start, _ in spans], axis=1)
    return np.where(negative, -values, values)


# LAMMPS ------------------------------------------------------------------------------------------------------------

_POSITIONS = (("x", False, False), ("xu", False, True), ("xs", True, False), ("xsu", True, True))
"""Column family, whether in fractions of the cell, whether unwrapped."""


def _triple(family: str) -> list[str]:
    return [axis + family[1:] for axis in "xyz"]


def _dump_frames(line: bytes, handle: IO[bytes], source: Path, timestep_fs: float | None,
                 elements: Sequence[str] | None) -> Iterator[Frame]:
    atoms = _DumpAtoms(source, elements)
    while line.strip():
        step, time_ps, n, cell, origin = None, None, None, None, np.zeros(3)
        while not line.startswith(b"ITEM: ATOMS"):
            if not line.endswith(b"\n"):
                raise _Truncated
            item = line.decode().split()
            if item[:2] == ["ITEM:", "UNITS"]:
                if (unit := _line(handle)) != "metal":
                    raise InputError(f"{source}: dump in {unit!r} units; write it in metal units (A, ps, eV)")
            elif item[:2] == ["ITEM:", "TIME"]:
                time_ps = float(_line(handle))
            elif item[:2] == ["ITEM:", "TIMESTEP"]:
                step = int(_line(handle))
            elif item[:2] == ["ITEM:", "NUMBER"]:
                n = int(_line(handle))
            elif item[:2] == ["ITEM:", "BOX"]:
                cell, origin = _box([_line(handle) for _ in range(3)], item[3:])
            else:
                raise ValueError(f"unexpected line {line[:40].decode(errors='replace')!r}")
            line = handle.readline()
        if n is None or cell is None or step is None or n < 1:
            raise ValueError("its header lacks the step, the box or the number of atoms")
        if time_ps is None:
            if timestep_fs is None:
                raise InputError(f"{source}: holds step numbers but no times; give the timestep in fs, or write the "
                                 "dump with 'dump_modify ... time yes'")
            time_ps = step * timestep_fs * 1e-3
        columns = line.decode().split()[2:]
        yield atoms.frame(_Block(handle, n, len(columns)), columns, time_ps, cell, origin)
        line = handle.readline()


def _line(handle: IO[bytes]) -> str:
    line = handle.readline()
    if not line.endswith(b"\n"):
        raise _Truncated
    return line.decode().strip()


def _box(rows: list[str], words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Cell and corner from BOX BOUNDS: orthogonal, restricted triclinic (bounds include the tilts) or general."""
    table = np.array([row.split() for row in rows], dtype=float)
    if words[:2] == ["abc", "origin"]:
        return table[:, :3].copy(), table[:, 3].copy()
    low, high = table[:, 0].copy(), table[:, 1].copy()
    xy = xz = yz = 0.0
    if words[:3] == ["xy", "xz", "yz"]:
        xy, xz, yz = table[:, 2]
        low[0] -= min(0.0, xy, xz, xy + xz)
        high[0] -= max(0.0, xy, xz, xy + xz)
        low[1] -= min(0.0, yz)
        high[1] -= max(0.0, yz)
    length = high - low
    return np.array([[length[0], 0.0, 0.0], [xy, length[1], 0.0], [xz, yz, length[2]]]), low


class _DumpAtoms:
    """Turns blocks into frames; sorts by id and keeps the elements, which one frame decides for all."""

    def __init__(self, source: Path, elements: Sequence[str] | None) -> None:
        self._source = source
        self._elements = None if elements is None else np.array([_number(e, source) for e in elements])
        self._key: tuple[bytes, bytes] | None = None
        self._order: np.ndarray | None = None

    def frame(self, block: _Block, columns: list[str], time_ps: float, cell: np.ndarray, origin: np.ndarray) -> Frame:
        where = {name: k for k, name in enumerate(columns)}
        self._identify(block, where)
        family = next((f for f in _POSITIONS if all(c in where for c in _triple(f[0]))), None)
        if family is None:
            raise InputError(f"{self._source}: dump without positions; write it with x y z (or xu, xs, xsu)")
        wanted = {"position": _triple(family[0])}
        for name, group in (("unwrapped", ["xu", "yu", "zu"]), ("image", ["ix", "iy", "iz"]),
                            ("velocity", ["vx", "vy", "vz"])):
            if all(c in where for c in group):
                wanted[name] = group
        energy = next((c for c in columns if c in ("c_pe", "pe", "c_epot", "energy")), None)
        if energy is not None:
            wanted["energy"] = [energy]
        table = block.numbers([where[c] for group in wanted.values() for c in group])
        if self._order is not None:
            table = table[self._order]
        part = dict(zip(wanted, np.split(table, np.cumsum([len(g) for g in wanted.values()])[:-1], axis=1),
                        strict=True))
        _, scaled, is_unwrapped = family
        positions = part["position"] @ cell if scaled else part["position"] - origin
        if is_unwrapped:
            unwrapped = positions
        elif "unwrapped" in part:
            unwrapped = part["unwrapped"] - origin
        else:
            unwrapped = positions + part["image"] @ cell if "image" in part else None
        return Frame(time_ps, cell, self._numbers, positions, unwrapped,
                     part["velocity"] * 1e-3 if "velocity" in part else None,  # A/ps to A/fs
                     part["energy"][:, 0] if "energy" in part else None)

    def _identify(self, block: _Block, where: dict[str, int]) -> None:
        naming = "element" if "element" in where else "type"
        if naming not in where:
            raise InputError(f"{self._source}: dump without elements; write it with an element (or type) column")
        key = (block.raw(where["id"]) if "id" in where else b"", block.raw(where[naming]))
        if key == self._key:
            return
        self._key = key
        if naming == "element":
            words = block.words(where["element"])
            table = {word: _number(word, self._source) for word in set(words)}
            numbers = np.array([table[word] for word in words])
        elif self._elements is None:
            raise InputError(f"{self._source}: dump with types but no elements; name the element of each type")
        else:
            types = block.numbers([where["type"]])[:, 0].astype(int)
            if types.min() < 1 or types.max() > len(self._elements):
                raise InputError(f"{self._source}: atom types {types.min()}-{types.max()} but {len(self._elements)} "
                                 "elements; name the element of each type")
            numbers = self._elements[types - 1]
        if "id" in where:
            ids = block.numbers([where["id"]])[:, 0]
            self._order = None if (np.diff(ids) > 0).all() else np.argsort(ids, kind="stable")
            numbers = numbers if self._order is None else numbers[self._order]
        self._numbers = numbers


def _number(symbol: str, source: Path) -> int:
    if atomic_numbers.get(symbol, 0) == 0:
        raise InputError(f"{source}: {symbol!r} is not an element; name elements like H, Ca")
    return atomic_numbers[symbol]


# extxyz ------------------------------------------------------------------------------------------------------------

def _extxyz_frames(line: bytes, handle: IO[bytes], source: Path, timestep_fs: float | None) -> Iterator[Frame]:
    index, atoms = 0, _DumpAtoms(source, None)
    while line.strip():
        if not line.endswith(b"\n"):
            raise _Truncated
        n = int(line)
        info = key_val_str_to_dict(_line(handle))
        if "Lattice" not in info:
            raise InputError(f"{source}: frame {index} has no cell; write extxyz with Lattice=\"...\"")
        # key_val_str_to_dict hands the lattice over transposed, as its own reader expects.
        cell = np.array(info["Lattice"], dtype=float).reshape(3, 3).T
        columns = _property_columns(str(info.get("Properties", "species:S:1:pos:R:3")))
        if "time_ps" in info:
            time_ps = float(info["time_ps"])
        elif timestep_fs is not None:
            time_ps = float(info.get("step", index)) * timestep_fs * 1e-3
        else:
            raise InputError(f"{source}: frames without time_ps; give the time between frames in fs")
        frame = atoms.frame(_Block(handle, n, len(columns)), columns, time_ps, cell, np.zeros(3))
        velocities = frame.velocities_A_per_fs
        if velocities is not None:  # ASE's momenta, amu A / (A sqrt(amu/eV)); vx.. held their 1e-3 for A/ps
            velocities = velocities * 1e3 / atomic_masses[frame.numbers][:, None] * units.fs
        yield Frame(frame.time_ps, cell, frame.numbers, frame.positions_A, frame.unwrapped_A, velocities,
                    frame.potential_energy_eV)
        index += 1
        line = handle.readline()


_EXTXYZ_NAMES = {"species": ["element"], "pos": ["x", "y", "z"], "unwrapped": ["xu", "yu", "zu"],
                 "momenta": ["vx", "vy", "vz"], "energies": ["pe"], "id": ["id"]}


def _property_columns(text: str) -> list[str]:
    """Column names of a Properties string, those that a Frame needs under their LAMMPS names."""
    parts = text.split(":")
    if len(parts) % 3:
        raise ValueError(f"Properties={text[:60]!r} is not name:kind:count")
    columns: list[str] = []
    for name, count in zip(parts[::3], parts[2::3], strict=True):
        known = _EXTXYZ_NAMES.get(name, [])
        columns += known if len(known) == int(count) else [f"{name}.{k}" for k in range(int(count))]
    return columns
