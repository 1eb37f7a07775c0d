"""Trajectories: our dumps, other people's dumps, extxyz; cut off, shuffled, gzipped, damaged."""

from __future__ import annotations

import gzip
import time
import warnings

import numpy as np
import pytest
from ase import Atoms, units
from ase.io import read, write
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.dynamics.trajectory import _fixed_point, last_frame, read_trajectory
from megabar.errors import InputError

N = 5
CELL = np.array([[8.0, 0.0, 0.0], [-2.5, 7.0, 0.0], [1.5, -0.5, 9.0]])


def dump_text(frames: int = 3, order: np.ndarray | None = None, aligned: bool = True, times: bool = True) -> str:
    """A LAMMPS dump of N atoms drifting by 0.1 A a frame along x, box corner at (1, 2, 3)."""
    rng = np.random.default_rng(1)
    base = rng.random((N, 3)) @ CELL
    corner = np.array([1.0, 2.0, 3.0])
    order = np.arange(N) if order is None else order
    out = []
    for k in range(frames):
        out.append("ITEM: UNITS\nmetal\n" + (f"ITEM: TIME\n{0.05 * k}\n" if times else ""))
        out.append(f"ITEM: TIMESTEP\n{100 * k}\nITEM: NUMBER OF ATOMS\n{N}\n")
        xy, xz, yz = CELL[1, 0], CELL[2, 0], CELL[2, 1]
        lx, ly, lz = np.diag(CELL)
        out.append("ITEM: BOX BOUNDS xy xz yz pp pp pp\n"
                   f"{1 + min(0, xy, xz, xy + xz)} {1 + lx + max(0, xy, xz, xy + xz)} {xy}\n"
                   f"{2 + min(0, yz)} {2 + ly + max(0, yz)} {xz}\n3 {3 + lz} {yz}\n")
        out.append("ITEM: ATOMS id element x y z ix iy iz vx vy vz c_pe\n")
        for i in order:
            p = base[i] + corner + [0.1 * k, 0, 0]
            element = "H" if i else "Ca"
            values = [*p, 0, i % 2, -1, 1.0, -2.0, 0.5 * i, -1.5 - i]
            form = "%8d %2s %11.5f %11.5f %11.5f %3d %3d %3d %9.4f %9.4f %9.4f %10.5f\n" if aligned else \
                "%d %s %g %g %g %d %d %d %g %g %g %g\n"
            out.append(form % (i + 1, element, *values))
    return "".join(out)


def reference(k: int) -> np.ndarray:
    return np.random.default_rng(1).random((N, 3)) @ CELL + [0.1 * k, 0, 0]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_dump_gives_every_field_in_id_order(tmp_path, aligned, shuffled, packed):
    text = dump_text(order=np.array([3, 0, 4, 1, 2]) if shuffled else None, aligned=aligned)
    path = tmp_path / ("t.dump.gz" if packed else "t.dump")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    frames = list(read_trajectory(path))
    assert [f.time_ps for f in frames] == pytest.approx([0.0, 0.05, 0.1])
    for k, frame in enumerate(frames):
        np.testing.assert_allclose(frame.cell_A, CELL, atol=1e-12)
        assert frame.numbers.tolist() == [20, 1, 1, 1, 1]
        np.testing.assert_allclose(frame.positions_A, reference(k), atol=1e-5)
        images = np.array([[0, i % 2, -1] for i in range(N)])
        np.testing.assert_allclose(frame.unwrapped_A, reference(k) + images @ CELL, atol=1e-5)
        np.testing.assert_allclose(frame.velocities_A_per_fs, [[1e-3, -2e-3, 5e-4 * i] for i in range(N)], atol=1e-12)
        np.testing.assert_allclose(frame.potential_energy_eV, [-1.5 - i for i in range(N)])


def test_scaled_and_unwrapped_columns_agree_with_cartesian(tmp_path):
    head = "ITEM: TIMESTEP\n40\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 4\n0 5\n0 6\n"
    scaled, plain = tmp_path / "s", tmp_path / "p"
    scaled.write_text(head + "ITEM: ATOMS id type xs ys zs\n1 2 0.5 0.5 0.5\n2 1 0.25 0 1e-1\n")
    plain.write_text(head + "ITEM: ATOMS id type xu yu zu\n2 1 1.0 0 0.6\n1 2 2 2.5 3\n")
    (a,), (b,) = (list(read_trajectory(p, timestep_fs=0.5, elements=["H", "Ca"])) for p in (scaled, plain))
    assert a.time_ps == b.time_ps == 0.02
    np.testing.assert_allclose(a.positions_A, b.positions_A)
    assert a.numbers.tolist() == b.numbers.tolist() == [20, 1]
    assert a.unwrapped_A is None and b.unwrapped_A is not None


def test_general_triclinic_box(tmp_path):
    path = tmp_path / "g"
    path.write_text("ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS abc origin pp pp pp\n"
                    "4 1 2 0.5\n0 5 1 0.5\n1 0 6 0.5\nITEM: ATOMS id element x y z\n1 H 1.5 1.5 1.5\n")
    (frame,) = read_trajectory(path, timestep_fs=1.0)
    np.testing.assert_allclose(frame.cell_A, [[4, 1, 2], [0, 5, 1], [1, 0, 6]])
    np.testing.assert_allclose(frame.positions_A, [[1, 1, 1]])


@pytest.mark.parametrize("cut", [1, 30, 200, 400])
def test_frame_cut_off_at_the_end_is_dropped_with_a_warning(tmp_path, cut):
    path = tmp_path / "t.dump"
    path.write_text(dump_text()[:-cut])
    with pytest.warns(UserWarning, match="cut off"):
        frames = list(read_trajectory(path))
    assert len(frames) == 2


def test_gzip_cut_off(tmp_path):
    path = tmp_path / "t.dump.gz"
    path.write_bytes(gzip.compress(dump_text(400, aligned=False).encode())[:-200])
    with pytest.warns(UserWarning, match="cut off"):
        assert 0 < len(list(read_trajectory(path))) < 400


def test_extxyz_equals_ase(tmp_path):
    rng = np.random.default_rng(3)
    images = []
    for k in range(3):
        atoms = Atoms("CaH4", cell=CELL, scaled_positions=rng.random((5, 3)), pbc=True)
        atoms.set_velocities(rng.normal(size=(5, 3)) * 0.01 / units.fs)
        atoms.info["time_ps"] = 0.05 * k
        images.append(atoms)
    path = tmp_path / "t.extxyz"
    write(path, images)
    for frame, atoms in zip(read_trajectory(path), read(path, ":"), strict=True):
        np.testing.assert_allclose(frame.cell_A, atoms.cell[:])
        np.testing.assert_allclose(frame.positions_A, atoms.positions, atol=1e-8)
        np.testing.assert_allclose(frame.velocities_A_per_fs, atoms.get_velocities() * units.fs, rtol=1e-6)
        assert frame.numbers.tolist() == atoms.numbers.tolist() and frame.time_ps == atoms.info["time_ps"]


@pytest.mark.parametrize("cut", [0, 1, 60, 150])
def test_last_frame_of_a_file_that_is_being_written(tmp_path, cut):
    text = dump_text(4)
    (tmp_path / "t").write_text(text[:len(text) - cut])
    frame = last_frame(tmp_path / "t")
    assert frame is not None and frame.time_ps == pytest.approx(0.15 if cut == 0 else 0.1)
    np.testing.assert_allclose(frame.positions_A, reference(3 if cut == 0 else 2), atol=1e-5)
    (tmp_path / "t").write_text(text[:40])
    assert last_frame(tmp_path / "t") is None and last_frame(tmp_path / "absent") is None


@pytest.mark.parametrize("text, word", [
    ("", "neither"), ("hello\n", "neither"), ("ITEM: TIMESTEP\n", "first frame"), ("3\n", "first frame"),
    (dump_text().replace("ITEM: NUMBER OF ATOMS\n5", "ITEM: NUMBER OF ATOMS\n4", 1), "unexpected line"),
    (dump_text().replace("metal", "real"), "metal units"), (dump_text(times=False), "timestep"),
    (dump_text().replace(" H ", " Xq "), "not an element"), (dump_text().replace("element", "type"), "elements"),
    (dump_text(aligned=False).replace(" H ", " H abc "), "cannot be read"),
    ("1\nProperties=species:S:1:pos:R:3 time_ps=0\nH 0 0 0\n", "no cell"),
])
def test_bad_files_are_named_in_one_line(tmp_path, text, word):
    path = tmp_path / "bad"
    path.write_text(text)
    with pytest.raises(InputError, match=word) as caught:
        list(read_trajectory(path))
    assert str(path) in str(caught.value)


def test_changing_number_of_atoms_is_refused(tmp_path):
    path = tmp_path / "t.extxyz"
    frames = [Atoms("H2", positions=[[0, 0, 0], [1, 0, 0]], cell=[4, 4, 4], pbc=True), Atoms("H", cell=[4, 4, 4])]
    write(path, frames, format="extxyz")
    with pytest.raises(InputError, match="frame 1 has 1 atoms"):
        list(read_trajectory(path, timestep_fs=50.0))
    with pytest.raises(InputError, match="no such"):
        read_trajectory(tmp_path / "absent")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-9999.0, 9999.0), min_size=1, max_size=8), st.integers(0, 7), st.integers(1, 14))
def test_fixed_point_equals_float(values, decimals, width):
    words = [f"{v:{width}.{decimals}f}" for v in values]
    longest = max(map(len, words))
    words = [w.rjust(longest) for w in words]
    parsed = _fixed_point(np.frombuffer("".join(words).encode(), np.uint8).reshape(len(words), longest), [(0, longest)])
    np.testing.assert_allclose(parsed[:, 0], [float(w) for w in words], rtol=1e-14, atol=1e-12)


@pytest.mark.parametrize("word", ["1e-3", " +1.5", "1 2.5", "-  1.", "--1.", "  . ", "1-2.", "nan ", "1.2.3"])
def test_fixed_point_leaves_the_rest_to_the_general_reader(word):
    assert _fixed_point(np.frombuffer(word.encode(), np.uint8).reshape(1, -1), [(0, len(word))]) is None


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 900))
def test_no_garbage_gets_past_the_reader(tmp_path_factory, junk, at):
    path = tmp_path_factory.mktemp("fuzz") / "t"
    good = dump_text(1).encode()
    path.write_bytes(good[:at] + junk + good[at:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for frame in read_trajectory(path, timestep_fs=1.0):
                assert frame.positions_A.shape == (len(frame.numbers), 3)
        except InputError:
            pass


def test_reads_a_million_atom_frames_in_a_few_seconds(tmp_path):
    """Goal 1e6 atom-frames/s; the bound leaves room for a busy machine."""
    n = 5000
    rows = "".join(f"{i + 1:8d}  H" + 3 * f" {1.23456 + i:11.5f}" + 3 * "   0" + 3 * "    2.0000" + "   -1.00000\n"
                   for i in range(n))
    head = ("ITEM: TIME\n0.0\nITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n5000\n"
            "ITEM: BOX BOUNDS pp pp pp\n0 9\n0 9\n0 9\nITEM: ATOMS id element x y z ix iy iz vx vy vz c_pe\n")
    path = tmp_path / "t"
    path.write_text((head + rows) * 40)
    start = time.process_time()
    assert sum(len(f.numbers) for f in read_trajectory(path)) == 40 * n
    assert 40 * n / (time.process_time() - start) > 2e5
