"""Labelled sets: what is refused, how siblings are split, shifts and manifests."""

import gzip

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.crystals.files import read_frames, write_frames
from megabar.errors import InputError, LabelMissing
from megabar.potential.dataset import (
    dataset_hash,
    element_shifts_eV,
    h_per_metal,
    labelled,
    manifest,
    read_dataset,
    split_by_parent,
)


def frame(seed=0, formula="CaH4", energy=None, kind="CaH4", parent=None, level="pbe-gpaw-1", pressure=40.0):
    rng = np.random.default_rng(seed)
    atoms = Atoms(formula, cell=[3, 3, 4], pbc=True)
    atoms.positions = rng.random((len(atoms), 3)) * 3
    atoms.info.update(kind=kind, level=level, REF_energy=-10.0 - seed if energy is None else energy,
                      REF_stress=-np.eye(3) * pressure / 160.2176634)
    if parent is not None:
        atoms.info["parent"] = parent
    atoms.set_array("REF_forces", rng.normal(size=(len(atoms), 3)))
    return atoms


def test_read_back(tmp_path):
    write_frames(tmp_path / "a.extxyz.gz", [frame(i) for i in range(3)])
    frames = read_dataset([tmp_path / "a.extxyz.gz"])
    assert [f.energy_eV for f in frames] == [-10.0, -11.0, -12.0]
    assert frames[0].pressure_GPa == pytest.approx(40.0)
    assert frames[0].kind == "CaH4"


def test_six_stress_numbers_and_calculator_results_are_read():
    atoms = frame()
    atoms.info["REF_stress"] = np.array([1.0, 2.0, 3.0, 0.1, 0.2, 0.3])
    assert labelled(atoms, "x").stress_eV_per_A3[0, 1] == 0.3
    other = Atoms("H2", positions=[[0, 0, 0], [0.75, 0, 0]], cell=[5] * 3, pbc=True)
    other.calc = SinglePointCalculator(other, energy=-6.0, free_energy=-6.1, forces=np.zeros((2, 3)),
                                       stress=np.zeros(6))
    assert labelled(other, "x").energy_eV == -6.1  # the level's energies are free energies


@pytest.mark.parametrize("key", ["REF_energy", "REF_forces", "REF_stress"])
def test_missing_label_is_named(tmp_path, key):
    atoms = frame()
    del (atoms.arrays if key == "REF_forces" else atoms.info)[key]
    write_frames(tmp_path / "a.extxyz", [frame(1), atoms])
    with pytest.raises(LabelMissing, match=rf"frame 1: no {key}"):
        read_dataset([tmp_path / "a.extxyz"])


def test_nan_labels_are_refused():
    atoms = frame()
    atoms.arrays["REF_forces"][0, 0] = np.nan
    with pytest.raises(LabelMissing, match="not finite"):
        labelled(atoms, "x")


def test_conflicts(tmp_path):
    write_frames(tmp_path / "levels.extxyz", [frame(0), frame(1, level="pbe-qe-1")])
    with pytest.raises(InputError, match="two levels"):
        read_dataset([tmp_path / "levels.extxyz"])
    write_frames(tmp_path / "energies.extxyz", [frame(0), frame(0, energy=-9.0)])
    with pytest.raises(InputError, match="another energy"):
        read_dataset([tmp_path / "energies.extxyz"])
    write_frames(tmp_path / "repeat.extxyz", [frame(0), frame(0)])
    assert len(read_dataset([tmp_path / "repeat.extxyz"])) == 1


def test_shifts_recover_atomic_energies():
    """Energies that are sums of atomic ones give them back."""
    frames = [labelled(frame(i, formula, energy=-1.5 * Atoms(formula).numbers.tolist().count(1)
                             + 2.5 * Atoms(formula).numbers.tolist().count(20)), "x")
              for i, formula in enumerate(["CaH4", "CaH2", "H2", "Ca2H3"])]
    assert element_shifts_eV(frames, ["H", "Ca"]) == pytest.approx([-1.5, 2.5], abs=1e-4)


def test_shifts_of_a_single_composition_stay_finite():
    shifts = element_shifts_eV([labelled(frame(i, energy=-20.0), "x") for i in range(3)], ["H", "Ca"])
    assert np.isfinite(shifts).all() and 4 * shifts[0] + shifts[1] == pytest.approx(-20.0, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.0, 0.6))
def test_no_sibling_leaks(seed, share):
    frames = [labelled(frame(i, kind=f"k{i % 3}", parent=f"p{i // 4}"), "x") for i in range(48)]
    train, held = split_by_parent(frames, share, seed)
    assert not {f.parent for f in train} & {f.parent for f in held}
    assert len(train) + len(held) == 48 and train
    again = split_by_parent(frames, share, seed)[1]
    assert [id(f) for f in again] == [id(f) for f in held]


def test_every_kind_is_validated_and_trained():
    frames = [labelled(frame(i, kind=f"k{i % 4}"), "x") for i in range(40)]
    train, held = split_by_parent(frames, 0.1, 1)
    assert {f.kind for f in held} == {f.kind for f in train} == {"k0", "k1", "k2", "k3"}


def test_manifest_counts():
    frames = [labelled(frame(0, pressure=10.0), "x"), labelled(frame(1, "H2", kind="H2", pressure=50.0), "x"),
              labelled(frame(2, "Ca", kind="Ca", pressure=250.0), "x")]
    m = manifest(frames)
    assert m["by_kind"] == {"Ca": 1, "CaH4": 1, "H2": 1}
    assert m["by_h_per_metal"] == {"0": 1, "3-5": 1, "pure H": 1}
    assert m["by_pressure_GPa"]["0-20"] == 1 and m["by_pressure_GPa"]["above 200"] == 1
    assert sum(m["by_pressure_GPa"].values()) == 3


def test_hash_ignores_order_and_sees_changes():
    a, b = labelled(frame(0), "x"), labelled(frame(1), "x")
    assert dataset_hash([a, b]) == dataset_hash([b, a]) != dataset_hash([a])


def test_hydrogen_per_metal():
    assert h_per_metal(Atoms("Ca2H5")) == 2.5 and h_per_metal(Atoms("H2")) is None and h_per_metal(Atoms("Ca")) == 0.0


def test_a_packed_file_is_read_like_a_plain_one_and_once(tmp_path, monkeypatch):
    """ASE seeks to each frame, and a gzip stream starts again for each seek back: 43 s for 2503 frames."""
    frames = [Atoms("H2", positions=[[0, 0, 0], [0.1 * k, 0, 0.75]], cell=[4, 4, 4], pbc=True) for k in range(5)]
    for name in ("plain.extxyz", "packed.extxyz.gz"):
        write_frames(tmp_path / name, frames)
    plain = read_frames(tmp_path / "plain.extxyz")
    monkeypatch.setattr(gzip.GzipFile, "rewind", lambda self: pytest.fail("unpacked again"))
    packed = read_frames(tmp_path / "packed.extxyz.gz")
    assert len(packed) == 5 and all(a == b for a, b in zip(plain, packed, strict=True))
    whole = (tmp_path / "packed.extxyz.gz").read_bytes()
    for damaged in (whole[:-20], b"no gzip at all"):
        (tmp_path / "packed.extxyz.gz").write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read"):
            read_frames(tmp_path / "packed.extxyz.gz")
