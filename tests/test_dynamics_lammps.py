"""The LAMMPS adapter against ASE on the same configurations: cells, units, signs; then ensembles, on a toy."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.geometry import cellpar_to_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.dynamics import protocols
from megabar.dynamics.guards import Guards
from megabar.dynamics.lammps import PairStyle, lammps_command, parse_thermo, read_thermo, restricted_cell, write_data
from megabar.dynamics.stage import Stage, run_stage
from megabar.dynamics.trajectory import read_trajectory
from megabar.errors import InputError, RunError
from megabar.units import BOLTZMANN_EV_PER_K, EV_PER_A3_IN_GPA

EPSILON, SIGMA, CUTOFF = 0.0103, 3.4, 6.0
LJ = PairStyle(("Ar",), (f"pair_style lj/cut {CUTOFF}", f"pair_coeff 1 1 {EPSILON} {SIGMA}", "pair_modify shift yes"))


def still(atoms: Atoms, folder, **changes):
    """A stage of one step that is too short to move anything."""
    options = {"pair": LJ, "ensemble": ["fix move all nve"], "steps": 1, "timestep_fs": 1e-6,
               "guards": Guards(1e9, 1e9)}
    return run_stage(Stage(atoms=atoms, **{**options, **changes}), folder)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(2.0, 9.0), min_size=3, max_size=3), st.lists(st.floats(65.0, 115.0), min_size=3, max_size=3),
       st.integers(0, 1000))
def test_cell_conversion_is_a_rotation_that_returns(lengths, angles, seed):
    cell = cellpar_to_cell([*lengths, *angles])
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    lower, rotation = restricted_cell(cell @ turn)
    assert (np.diag(lower) > 0).all() and np.abs(np.triu(lower, 1)).max() < 1e-12 * 9
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(lower @ rotation.T, cell @ turn, atol=1e-11)


@pytest.mark.parametrize("cell", [np.eye(3)[[1, 0, 2]] * 4, np.zeros((3, 3)), np.full((3, 3), np.nan)])
def test_left_handed_and_flat_cells_are_refused(cell):
    with pytest.raises(InputError, match="right-handed"):
        restricted_cell(cell)


def test_unknown_element_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="20"):
        write_data(tmp_path / "d", Atoms("Ca", cell=[4, 4, 4], pbc=True), LJ)
    assert not list(tmp_path.iterdir())


def test_site_command_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("MEGABAR_LAMMPS", "env FOO=1 lmp")
    assert lammps_command(4) == ["env", "FOO=1", "lmp"]
    monkeypatch.setenv("MEGABAR_LAMMPS", "/no/such/lmp")
    with pytest.raises(InputError, match="MEGABAR_LAMMPS"):
        lammps_command()


@given(st.text(max_size=200))
def test_thermo_parser_takes_no_prose(text):
    assert parse_thermo(text) is None or len(text.split()) == 19


def triclinic(seed: int) -> Atoms:
    """A strained, shaken and turned argon crystal whose cell is far from LAMMPS's orientation."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Ar", "fcc", a=4.6) * (3, 3, 3)
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + 0.1 * rng.normal(size=(3, 3))), scale_atoms=True)
    atoms.rattle(0.15, rng=rng)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    atoms.set_cell(atoms.cell[:] @ turn, scale_atoms=True)
    if np.linalg.det(atoms.cell[:]) < 0:
        atoms.set_cell(-atoms.cell[:], scale_atoms=True)
    return atoms


@pytest.mark.lammps
@pytest.mark.parametrize("seed", [1, 2])
def test_energy_and_pressure_equal_ase(tmp_path, seed):
    """Same potential, same cell: eV and GPa agree to the digits LAMMPS prints, and compression is positive."""
    atoms = triclinic(seed)
    result = still(atoms, tmp_path)
    atoms.calc = LennardJones(epsilon=EPSILON, sigma=SIGMA, rc=CUTOFF, smooth=False)
    stress = atoms.get_stress(voigt=False)
    assert result.thermo["potential_energy_eV"][0] == pytest.approx(atoms.get_potential_energy(), rel=1e-6)
    pressure = -np.trace(stress) / 3 * EV_PER_A3_IN_GPA
    assert pressure > 1.0
    assert result.thermo["pressure_GPa"][0] == pytest.approx(pressure, rel=1e-6)
    # Invariants of the tensor do not depend on the turn of the cell.
    names = [["xx", "xy", "xz"], ["xy", "yy", "yz"], ["xz", "yz", "zz"]]
    tensor = np.array([[result.thermo[f"pressure_{n}_GPa"][0] for n in row] for row in names])
    np.testing.assert_allclose(np.linalg.eigvalsh(tensor), np.linalg.eigvalsh(-stress) * EV_PER_A3_IN_GPA, rtol=1e-5,
                               atol=1e-6)


@pytest.mark.lammps
def test_state_returns_in_the_orientation_it_had(tmp_path):
    atoms = triclinic(3)
    rng = np.random.default_rng(0)
    atoms.set_velocities(rng.normal(size=(len(atoms), 3)) * 0.002 / units.fs)
    after = still(atoms, tmp_path, ensemble=["fix move all nve"]).atoms
    np.testing.assert_allclose(after.cell[:], atoms.cell[:], atol=1e-8)
    np.testing.assert_allclose(after.get_velocities(), atoms.get_velocities(), atol=1e-7)
    apart = after.get_scaled_positions() - atoms.get_scaled_positions()
    assert np.abs(apart - np.round(apart)).max() < 1e-6


@pytest.mark.lammps
def test_kinetic_pressure_of_an_ideal_gas(tmp_path):
    """P V = (N - 1) k T with the momentum at zero: velocities, masses and bars in one number (LAMMPS's own k)."""
    atoms = Atoms("Ar64", cell=[80.0] * 3, pbc=True, scaled_positions=np.random.default_rng(0).random((64, 3)))
    ideal = PairStyle(("Ar",), ("pair_style zero 5.0", "pair_coeff * *"))
    thermo = still(atoms, tmp_path, pair=ideal, prepare=protocols.velocities(900.0, 1)).thermo
    expected = 63 * BOLTZMANN_EV_PER_K * 900.0 / 80.0**3 * EV_PER_A3_IN_GPA
    assert thermo["temperature_K"][0] == pytest.approx(900.0, rel=1e-6)
    assert thermo["pressure_GPa"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.lammps
def test_npt_reaches_pressure_temperature_and_equipartition(tmp_path):
    """Means within four standard errors (block averages), each axis and each direction with its share."""
    atoms = bulk("Ar", "fcc", a=4.9, cubic=True) * (3, 3, 3)
    stage = Stage(atoms=atoms, pair=LJ, ensemble=protocols.production(150.0, 2.0), steps=24_000, timestep_fs=4.0,
                  prepare=[*protocols.relax_cell(2.0), *protocols.velocities(300.0, 7)], guards=Guards(2000.0, 0.6),
                  thermo_every=20, checkpoint_every=12_000)
    result = run_stage(stage, tmp_path)
    late = result.thermo["time_ps"] > 16.0
    for name, wanted in (("temperature_K", 150.0), ("pressure_xx_GPa", 2.0), ("pressure_yy_GPa", 2.0),
                         ("pressure_zz_GPa", 2.0)):
        blocks = np.array([block.mean() for block in np.array_split(result.thermo[name][late], 16)])
        error = blocks.std(ddof=1) / 4.0
        tolerance = 4.0 * error + (0.0 if name == "temperature_K" else 0.02)
        # Coupled x and y only have their mean at P; both are within the anisotropy of a cubic crystal, which is nil.
        assert abs(blocks.mean() - wanted) < tolerance, name
        assert error < 0.05 * wanted
    ratio = result.thermo["lx_A"] / result.thermo["ly_A"]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
    assert np.std(result.thermo["lz_A"] / result.thermo["lx_A"]) > 1e-4
    v = np.array([f.velocities_A_per_fs for f in read_trajectory(result.trajectory) if f.time_ps > 16.0]) / units.fs
    shares = 39.948 * (v**2).mean(axis=(0, 1)) / units.kB
    np.testing.assert_allclose(shares, 150.0, rtol=0.05)
    assert np.abs(v.mean(axis=1)).max() * units.fs < 1e-5  # no drift


@pytest.mark.lammps
def test_startup_heats_light_and_heavy_atoms_alike(tmp_path):
    """Equipartition across a mass ratio of 40: a thermostat that shares forces among atoms alike fails by 10 %."""
    atoms = bulk("Ar", "fcc", a=5.0, cubic=True) * (3, 3, 3)
    atoms.symbols[::3] = "H"
    pair = PairStyle(("Ar", "H"), ("pair_style lj/cut 6.0", f"pair_coeff * * {EPSILON} {SIGMA}"))
    stage = Stage(atoms=atoms, pair=pair, ensemble=protocols.startup(200.0, 1.0, 1, "independent"), steps=20_000,
                  timestep_fs=1.0, prepare=protocols.velocities(200.0, 1), guards=Guards(2000.0, 0.6), dump_every=40)
    result = run_stage(stage, tmp_path)
    v2 = np.array([(f.velocities_A_per_fs**2).mean(axis=1) for f in read_trajectory(result.trajectory)]) / units.fs**2
    temperatures = v2 * atoms.get_masses() / units.kB
    for element in ("H", "Ar"):
        blocks = temperatures[51:, atoms.symbols == element].mean(axis=1).reshape(-1, 45).mean(axis=1)
        assert abs(blocks.mean() - 200.0) < 4.0 * blocks.std(ddof=1) / np.sqrt(len(blocks)), element
        assert blocks.std() < 15.0


@pytest.mark.lammps
def test_two_ranks_give_the_same_forces_path(tmp_path):
    atoms = bulk("Ar", "fcc", a=5.0, cubic=True) * (3, 3, 3)
    atoms.rattle(0.1, seed=1)
    ends = []
    for ranks in (1, 2):
        stage = Stage(atoms=atoms, pair=LJ, ensemble=["fix move all nve"], steps=100, timestep_fs=2.0,
                      guards=Guards(1e5, 1.0))
        ends.append(run_stage(stage, tmp_path / str(ranks), ranks=ranks).atoms.get_positions())
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-8)


@pytest.mark.lammps
def test_lammps_errors_become_one_line_with_the_log(tmp_path):
    broken = PairStyle(("Ar",), ("pair_style no/such/style",))
    with pytest.raises(RunError, match=r"no/such/style.*lammps\.out") as caught:
        still(bulk("Ar", "fcc", a=5.0, cubic=True) * (3, 3, 3), tmp_path, pair=broken)
    assert "\n" not in str(caught.value)


def test_thermo_of_a_repeated_step_counts_once(tmp_path):
    row = "{} 0.1 300 20000 -1 -1 100 5 5 5 0 0 0 1 2 3 4 5 6\n"
    (tmp_path / "log").write_text(row.format(7) + "MEGABAR-START\nnoise\n" + row.format(0) + row.format(5)
                                  + row.format(5).replace("300", "301"))
    thermo = read_thermo(tmp_path / "log")
    assert thermo["step"].tolist() == [0, 5] and thermo["temperature_K"].tolist() == [300, 301]
    assert thermo["pressure_GPa"].tolist() == [2.0, 2.0]
