"""Electron-phonon coupling from Quantum ESPRESSO: what its files say, masses, interpolation; all of it on aluminium.

The stored files under `data/al-elph` are the dynamical and electron-phonon matrices of fcc Al that ph.x 6.7 wrote on a
2x2x2 q-mesh (60 Ry, 6x6x6 and 12x12x12 k-points, a = 4.04 A), at the first and third of its broadenings.

Those under `data/h3s-elph` are of H3S at 200 GPa on a 4x4x4 q-mesh (60 Ry, 8x8x8 and 24x24x24 k-points), at a
broadening of 0.045 Ry: four atoms, complex phases on the mesh (and one imaginary mode, which an interpolation does not
mind). `freq.RULE` (1/cm) and `gamma.RULE` (GHz) are what matdyn.x 6.7 made of them at six points off the mesh, with
`asr='RULE', la2F=.true.` after q2r.x with `zasr='simple', la2F=.true.`.
"""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from megabar.cli.main import main
from megabar.errors import ExtraMissing, InputError, NotConverged, RunError
from megabar.superconductivity import electron_phonon, qe_input, qe_interpolation, qe_read, qe_result
from megabar.superconductivity.qe_coupling import lowest_omega_K, mesh_spectrum, star_modes
from megabar.superconductivity.qe_read import Coupling, Matrices
from megabar.superconductivity.qe_settings import ElectronPhononSettings
from megabar.superconductivity.spectrum import KELVIN_PER

DATA = Path(__file__).parent / "data" / "al-elph"
MASS = np.array([26.98])
AL = Atoms("Al", cell=2.02 * (np.ones((3, 3)) - np.eye(3)), positions=[[0, 0, 0]], pbc=True)


def stored():
    stars = [qe_read.read_dynamical(DATA / f"dyn{n}") for n in (1, 2, 3)]
    alat = qe_read.alat_A(DATA / "dyn1")
    couplings = [[qe_read.read_coupling(DATA / f"a2Fq2r.{s}.{n}", 1, alat) for s in (51, 53)] for n in (1, 2, 3)]
    return stars, couplings


# Files of ph.x

def test_modes_and_coupling_are_those_that_ph_x_prints():
    """omega^2 and lambda of `elph.inp_lambda`, four decimals. ph.x prints degenerate modes before symmetrising, so only
    their sum is compared."""
    stars, couplings = stored()
    for n in (2, 3):
        squares, printed = qe_read.read_printed_coupling(DATA / f"elph.inp_lambda.{n}")
        modes = star_modes(stars[n - 1], couplings[n - 1], MASS, 8)
        assert modes.omega_K == pytest.approx(np.sqrt(squares) * KELVIN_PER["Ry"], rel=1e-5)
        for row, broadening in ((0, 0), (1, 2)):
            assert modes.coupling[row].sum() == pytest.approx(printed[broadening].sum(), abs=2e-4)
            assert modes.coupling[row][2] == pytest.approx(printed[broadening][2], abs=1e-4)


def test_stars_fill_the_mesh():
    stars, couplings = stored()
    assert [len(star.q) for star in stars] == [1, 4, 3]
    modes = [star_modes(star, coupling, MASS, 8) for star, coupling in zip(stars, couplings, strict=True)]
    assert sum(one.weight for one in modes) == pytest.approx(1.0)
    assert (modes[0].coupling == 0.0).all()  # one atom: all modes at Gamma are translations
    full = qe_interpolation.full_mesh(stars, AL, (2, 2, 2))
    assert full.shape == (2, 2, 2, 3, 3)
    with pytest.raises(RunError, match="do not fill"):
        qe_interpolation.full_mesh(stars[:2], AL, (2, 2, 2))
    with pytest.raises(RunError, match="not on the mesh"):
        qe_interpolation.full_mesh(stars, AL, (3, 3, 3))


def test_aluminium_phonons_against_neutrons():
    """X of Al: longitudinal 9.69, transverse 5.78 THz at 80 K (Stedman and Nilsson, Phys. Rev. 145, 492 (1966)).

    The cell here is 0.2 % smaller than the measured one and the meshes are coarse: 12 %.
    """
    stars, couplings = stored()
    omega = star_modes(stars[2], couplings[2], MASS, 8).omega_K / KELVIN_PER["THz"]
    assert omega == pytest.approx([5.78, 5.78, 9.69], rel=0.12)


def test_broken_file_is_named(tmp_path):
    (tmp_path / "dyn1").write_text("Dynamical matrix file\n\n 1 1 0 5.4 0 0 0 0 0\nnothing\n")
    with pytest.raises(RunError, match="no matrices"):
        qe_read.read_dynamical(tmp_path / "dyn1")
    (tmp_path / "x.xml").write_text("<a><b></a>")
    with pytest.raises(RunError, match="not a result of pw.x"):
        qe_read.read_state(tmp_path / "x.xml")


def test_state_of_pw_x_and_the_sign_of_its_pressure():
    """P of the same run's text output: -6.96 kbar (tension), E -138.404253 Ry."""
    state = qe_read.read_state(DATA / "state.xml")
    assert state.pressure_GPa == pytest.approx(-0.696, abs=1e-3)
    assert state.energy_eV == pytest.approx(-138.404253 * 13.605693123, abs=1e-4)
    assert state.atoms.get_volume() == pytest.approx(AL.get_volume(), rel=1e-8)
    assert state.weights.sum() == pytest.approx(2.0) or state.weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(("line", "seconds"), [
    ("     PHONON       :      3.49s CPU      8.79s WALL", 3.49),
    ("     PHONON       :   1m 2.30s CPU   4m16.10s WALL", 62.3),
    ("     PHONON       :   2h15m CPU   8h 3m WALL", 8100.0),
    ("     nothing", 0.0),
])
def test_processor_time_of_a_program(tmp_path, line, seconds):
    (tmp_path / "ph.out").write_text(f"     h_psi        :     1.00s CPU      2.00s WALL (     231 calls)\n\n{line}\n")
    assert qe_read.cpu_seconds(tmp_path / "ph.out") == pytest.approx(seconds)


# Masses

def random_crystal(seed=3, atoms=3):
    """A stable crystal without symmetry: force constants and couplings positive, Hermitian, at one q."""
    rng = np.random.default_rng(seed)

    def positive(scale):
        x = rng.normal(size=(3 * atoms, 3 * atoms)) + 1j * rng.normal(size=(3 * atoms, 3 * atoms))
        return scale * (x @ x.conj().T + np.eye(3 * atoms))

    star = Matrices(np.array([[0.1, 0.2, 0.05]]), positive(0.02)[None])
    coupling = Coupling(0.02, 3.0, 0.5, Matrices(star.q, positive(0.05)[None]))
    return star, coupling


def test_lambda_does_not_know_the_masses():
    """The sum over modes is Tr(G Phi^-1) / 2 N(0), whatever the masses; omega_2 moves with them."""
    star, coupling = random_crystal()
    expected = np.trace(coupling.star.matrix[0] @ np.linalg.inv(star.matrix[0])).real / 6.0
    light = star_modes(star, [coupling], np.array([32.06, 1.008, 1.008]), 1)
    heavy = star_modes(star, [coupling], np.array([32.06, 2.014, 2.014]), 1)
    assert light.coupling.sum() == pytest.approx(expected, rel=1e-9)
    assert heavy.coupling.sum() == pytest.approx(expected, rel=1e-9)
    assert mesh_spectrum([light], 0).omega_log_K > mesh_spectrum([heavy], 0).omega_log_K


def test_all_masses_doubled_is_frequency_scaling():
    """Every mode goes as M^(-1/2) with its lambda kept, as `Spectrum.with_mass` does."""
    star, coupling = random_crystal(seed=5)
    masses = np.array([32.06, 1.008, 1.008])
    one, two = (mesh_spectrum([star_modes(star, [coupling], m, 1)], 0) for m in (masses, 2.0 * masses))
    scaled = one.with_mass(2.0)
    assert two.omega_K == pytest.approx(scaled.omega_K, rel=1e-9)
    assert two.weight_K == pytest.approx(scaled.weight_K, rel=1e-6)


def test_heavy_host_leaves_hydrogen_scaling_alone():
    """A host of infinite mass: all remaining modes are hydrogen's and scale with (m_H / m_D)^(1/2) exactly."""
    star, coupling = random_crystal(seed=7)
    light, heavy = (star_modes(star, [coupling], np.array([1e12, m, m]), 1).omega_K[3:] for m in (1.0, 2.0))
    assert light / heavy == pytest.approx(np.full(6, np.sqrt(2.0)), rel=1e-6)


# Interpolation

def chain(mesh, spring=0.05):
    """A simple cubic crystal with springs to its six neighbours, on a mesh: stars of one q each."""
    atoms = Atoms("Al", cell=3.0 * np.eye(3), positions=[[0, 0, 0]], pbc=True)
    stars = []
    for index in np.ndindex(*mesh):
        q = np.array(index) / np.array(mesh)
        stars.append(Matrices((q @ np.linalg.inv(atoms.cell[:]).T)[None], force(q, spring)[None]))
    return atoms, stars


def force(q, spring):
    return np.diag(2.0 * spring * (1.0 - np.cos(2.0 * np.pi * np.asarray(q)))).astype(complex)


def test_springs_to_neighbours_are_interpolated_exactly():
    """Range one cell, mesh three: nothing is lost, at any q (closed form)."""
    atoms, stars = chain((3, 3, 3))
    full = qe_interpolation.full_mesh(stars, atoms, (3, 3, 3))
    field = qe_interpolation.real_space(full, atoms)
    q = np.random.default_rng(1).random((20, 3))
    for point, matrix in zip(q, field.at(q), strict=True):
        assert matrix == pytest.approx(force(point, 0.05), abs=1e-12)


def test_two_atoms_with_a_phase():
    """A diatomic row along x: springs a-b within the cell and to the next; off-diagonal terms carry exp(-2 pi i q R).

    With b in the middle of the cell and equal springs it is the monatomic row of half the period, folded: its two
    longitudinal branches are sqrt(4 K / M) sin(pi q / 2) and cos(pi q / 2).
    """
    spring, atoms = 0.05, Atoms("Al2", cell=[4.0, 5.0, 5.0], positions=[[0, 0, 0], [2.0, 0, 0]], pbc=True)
    stars = []
    for n in range(4):
        q = n / 4.0
        matrix = 1e-6 * np.eye(6, dtype=complex)
        matrix[0, 0] = matrix[3, 3] = 2.0 * spring
        # M_ab(q) = sum_R M(a in R, b in 0) e^(-2 pi i q R): a touches b in its cell and in the cell before.
        matrix[0, 3] = -spring * (1.0 + np.exp(-2j * np.pi * q))
        matrix[3, 0] = np.conj(matrix[0, 3])
        stars.append(Matrices(np.array([[q / 4.0, 0.0, 0.0]]), matrix[None]))
    field = qe_interpolation.real_space(qe_interpolation.full_mesh(stars, atoms, (4, 1, 1)), atoms)
    for q in (0.13, 0.4):
        omega = np.sqrt(np.linalg.eigvalsh(field.at(np.array([[q, 0.0, 0.0]]))[0][np.ix_([0, 3], [0, 3])]))
        expected = np.sqrt(4.0 * spring) * np.array([np.sin(np.pi * q / 2.0), np.cos(np.pi * q / 2.0)])
        assert omega == pytest.approx(expected, rel=1e-6)


def test_sum_rules_hold_after_interpolation():
    star, coupling = random_crystal(atoms=2)
    full = np.broadcast_to(star.matrix[0], (1, 1, 1, 6, 6)).copy()
    forces = qe_interpolation.acoustic_force_constants(full.real + 0j)[0, 0, 0]
    shift = np.tile(np.eye(3), (2, 1))
    assert np.abs(forces @ shift).max() < np.abs(full.real @ shift).max()  # each row's self-term takes it up
    projected = qe_interpolation.acoustic_coupling(full)[0, 0, 0]
    assert np.abs(projected @ shift).max() < 1e-12
    assert np.linalg.eigvalsh(projected).min() > -1e-12  # still a sum of squares


def test_interpolated_aluminium():
    """On the q-mesh the interpolation returns what went in; the fine mesh does not matter; long waves do not diverge;
    frequencies between the points against matdyn.x of the same run (156.3, 156.3, 238.1 1/cm at Gamma-X/2)."""
    stars, couplings = stored()
    field = qe_interpolation.Interpolation.build(AL, (2, 2, 2), stars, couplings)
    direct = star_modes(stars[1], couplings[1], MASS, 8)
    fractional = AL.cell[:] @ stars[1].q[0]
    omega, _ = field.modes(fractional, MASS)
    assert omega[0] == pytest.approx(direct.omega_K, rel=0.01)  # the sum rule moves them by what Gamma was off
    between, _ = field.modes(np.array([[0.25, 0.25, 0.0]]), MASS)
    assert between[0] / KELVIN_PER["cm-1"] == pytest.approx([156.3, 156.3, 238.1], rel=0.005)
    coarse, fine = (field.fine((n,) * 3, MASS).spectrum(1).coupling for n in (8, 16))
    assert fine == pytest.approx(coarse, rel=0.01)
    grid, curve = field.fine((12, 12, 12), MASS).curve(1)
    assert 2.0 * np.trapezoid(curve[1:] / grid[1:], grid[1:]) == pytest.approx(fine, rel=0.01)
    heavy = field.fine((12, 12, 12), 4.0 * MASS).spectrum(1)
    light = field.fine((12, 12, 12), MASS).spectrum(1)
    assert heavy.coupling == pytest.approx(light.coupling, rel=1e-9)
    assert light.omega_log_K / heavy.omega_log_K == pytest.approx(2.0, rel=1e-9)


OFF_MESH = np.array([[0.13, 0.27, 0.41], [0.25, 0.0, 0.0], [0.25, 0.25, 0.0], [0.1, 0.2, -0.3], [0.37, 0.11, 0.05],
                     [0.31, -0.17, 0.46]])
"""Fractional q of the tables of matdyn.x."""


def hydride(folder, numbers):
    """Cell, masses of QE in u, and stars `numbers` of the stored H3S: dynamical and coupling matrices."""
    for name in [f"{kind}{n}" for n in numbers for kind in ("dyn", "a2Fq2r.59.")]:
        (folder / name).write_bytes(gzip.decompress((DATA.parent / "h3s-elph" / f"{name}.gz").read_bytes()))
    alat = qe_read.alat_A(folder / "dyn1")
    edge = 2.0 * alat / np.sqrt(3.0)
    atoms = Atoms("SH3", cell=edge * (0.5 * np.ones((3, 3)) - np.eye(3)),
                  positions=0.5 * edge * np.vstack([np.zeros(3), np.eye(3)]), pbc=True)
    stars = [qe_read.read_dynamical(folder / f"dyn{n}") for n in numbers]
    couplings = [qe_read.read_coupling(folder / f"a2Fq2r.59.{n}", 4, alat) for n in numbers]
    return atoms, np.array([32.06, 1.008, 1.008, 1.008]), stars, couplings


def matdyn_field(atoms, mesh, stars, couplings, rule):
    """The interpolation with the sum rule of matdyn.x, which puts it on the coupling as on the force constants."""
    mend = qe_interpolation.acoustic_force_constants if rule == "simple" else np.asarray
    forces, coupling = (qe_interpolation.real_space(mend(qe_interpolation.full_mesh(part, atoms, mesh)), atoms)
                        for part in (stars, [one.star for one in couplings]))
    return qe_interpolation.Interpolation(atoms, mesh, forces, (coupling,), (couplings[0].dos_per_spin_Ry,))


def matdyn_table(name):
    """(q, modes) of a file that matdyn.x wrote for plotting, four decimals."""
    lines = (DATA.parent / "h3s-elph" / name).read_text().splitlines()[1:]
    return np.array([" ".join(lines[i + 1:i + 3]).split() for i in range(0, len(lines), 3)], dtype=float)


@pytest.mark.parametrize("rule", ["no", "simple"])
def test_four_atoms_between_the_mesh_points_as_matdyn(rule, tmp_path):
    """To the last digit that matdyn.x prints: the pair order, the sign and the lattice vectors of the phases, and the
    Wigner-Seitz images. Any of them taken the other way moves frequencies by 180 1/cm here."""
    atoms, masses, stars, couplings = hydride(tmp_path, range(1, 9))
    field = matdyn_field(atoms, (4, 4, 4), stars, couplings, rule)
    omega, shapes = field.modes(OFF_MESH, masses)
    frequencies, lines = (matdyn_table(f"{kind}.{rule}") for kind in ("freq", "gamma"))
    order = np.argsort(frequencies, axis=1)  # matdyn.x follows modes along its list
    assert omega / KELVIN_PER["cm-1"] == pytest.approx(np.take_along_axis(frequencies, order, 1), abs=1e-4)
    # Line width: gamma = (pi / 2) u' G u.
    width = 0.5 * np.pi * np.einsum("mij,mik,mkj->mj", shapes.conj(), field.couplings[0].at(OFF_MESH), shapes).real
    gigahertz = width * 1e3 * KELVIN_PER["Ry"] / KELVIN_PER["THz"]
    assert gigahertz == pytest.approx(np.take_along_axis(lines, order, 1), rel=1e-6, abs=2e-4)


def test_lambda_of_four_atoms_as_matdyn(tmp_path):
    """The 2x2x2 mesh within those stars: lambda 1.0192 and omega_log 1499.4 K, matdyn.x by tetrahedra on 8x8x8 points
    (`asr='simple', la2F=.true., dos=.true.`, its file `lambda`)."""
    atoms, masses, stars, couplings = hydride(tmp_path, (1, 3, 8))
    field = matdyn_field(atoms, (2, 2, 2), stars, couplings, "simple")
    spectrum = field.fine((12, 12, 12), masses).spectrum(0)
    assert spectrum.coupling == pytest.approx(1.0192, abs=5e-4)
    assert spectrum.omega_log_K == pytest.approx(1499.4, abs=1.0)


def test_sum_rule_of_the_coupling_leaves_the_mesh_alone(tmp_path):
    """Off Gamma the interpolation returns what ph.x computed. matdyn.x takes what Gamma lacks from the self-terms at
    every q, which is not small: its lambda of the mesh points is no longer that of ph.x."""
    atoms, masses, stars, couplings = hydride(tmp_path, (1, 3, 8))
    ours = qe_interpolation.Interpolation.build(atoms, (2, 2, 2), stars, [[one] for one in couplings])
    theirs = matdyn_field(atoms, (2, 2, 2), stars, couplings, "simple")
    for star in couplings[1:]:
        q, computed = atoms.cell[:] @ star.star.q[0], star.star.matrix[0]
        assert ours.couplings[0].at(q)[0] == pytest.approx(computed, abs=1e-9)
        assert np.abs(theirs.couplings[0].at(q)[0] - computed).max() > 0.01 * np.abs(computed).max()


def test_aluminium_coupling_and_tc():
    """Converged: lambda 0.438 (Savrasov and Savrasov, Phys. Rev. B 54, 16487 (1996)), omega_log about 300 K. 12x12x12
    k-points have that size at 0.03 Ry and twice as much at 0.01 Ry, which sees single points: that is why lambda is
    shown against the broadening."""
    stars, couplings = stored()
    field = qe_interpolation.Interpolation.build(AL, (2, 2, 2), stars, couplings)
    narrow, wide = (field.fine((12, 12, 12), MASS).spectrum(i) for i in (0, 1))
    assert 0.35 < wide.coupling < 0.55 < narrow.coupling
    assert wide.omega_log_K == pytest.approx(300.0, rel=0.1)


# What is chosen and what is refused

def test_flat_part_of_lambda_is_chosen():
    width = np.arange(1, 11) * 0.005
    coupling = 2.0 + (np.log(width / 0.02)) ** 2  # flat at 0.02 Ry
    assert width[electron_phonon.chosen_broadening(coupling, width)] == pytest.approx(0.02)
    assert width[electron_phonon.chosen_broadening(coupling, width, 0.04)] == pytest.approx(0.04)


def test_jump_of_a_path_names_both_points():
    """G-H-N-G-P-H|P-N of a bcc crystal: eight points at seven places."""
    from matplotlib.figure import Figure

    path = Atoms("S", cell=0.5 * np.ones((3, 3)) - np.eye(3), pbc=True).cell.bandpath(npoints=40)
    distance, ticks, labels = path.get_linear_kpoint_axis()
    crystal = type("E", (), {"electrons": {"distance": distance, "ticks": ticks, "labels": labels}})()
    ax = Figure().add_subplot()
    qe_result.ElectronPhonon._path(crystal, ax)
    assert [t.get_text() for t in ax.get_xticklabels()] == [
        r"$\Gamma$", "H", "N", r"$\Gamma$", "P", "H|P", "N"]


def test_lowest_mode_leaves_translations_out():
    stars, couplings = stored()
    modes = [star_modes(star, coupling, MASS, 8) for star, coupling in zip(stars, couplings, strict=True)]
    lowest, q = lowest_omega_K(modes)
    assert lowest == pytest.approx(modes[1].omega_K[0])
    assert q == pytest.approx(stars[1].q[0])
    soft = replace(modes[2], omega_K=np.array([-300.0, 100.0, 200.0]))
    assert lowest_omega_K([modes[0], modes[1], soft])[0] == -300.0


def test_work_counts_irreducible_points():
    """fcc 4x4x4: 8 irreducible q-points; bcc 2x2x2: 3 (Gamma, N, H). At Gamma the little group is the whole of Oh."""
    count, _ = electron_phonon.phonon_work(bulk("Al"), (4, 4, 4), (8, 8, 8))
    assert count == 8
    hydride = qe_input.standard_primitive(Atoms("SH3", cell=2.984 * (0.5 * np.ones((3, 3)) - np.eye(3)),
                                                scaled_positions=[[0, 0, 0], [.5, .5, 0], [.5, 0, .5], [0, .5, .5]],
                                                pbc=True))
    count, work = electron_phonon.phonon_work(hydride, (2, 2, 2), (8, 8, 8))
    assert count == 3
    # Gamma and H keep 48 operations, N keeps 8 (all with inversion): 512 (1/48 + 1/48 + 1/8) 12 modes.
    assert work == pytest.approx(512 * (1 / 48 + 1 / 48 + 1 / 8) * 12)


def test_what_quantum_espresso_complains_of():
    text = "x\n %%%%%%%%%%%%%%\n     Error in routine cdiaghg (1):\n  S matrix not positive definite\n %%%%%%%%%%%%%%\n"
    assert "S matrix not positive definite" in str(qe_input.complaint(text))
    assert qe_input.complaint("convergence NOT achieved after 200 iterations: stopping") is not None
    assert qe_input.complaint("all is well") is None


@pytest.fixture
def fake_programs(tmp_path, monkeypatch):
    """A folder at the head of the PATH with programs that fail in the ways real ones do."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = "#!/bin/sh\necho 'convergence NOT achieved after   2 iterations: stopping'\nexit 2\n"
    for name in qe_input.PROGRAMS:
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


def test_failed_program_is_one_line_with_its_log(fake_programs, tmp_path):
    with pytest.raises(NotConverged, match=r"pw.x: convergence NOT achieved.*scf\.out"):
        qe_input.run_program("pw.x", "&control\n/\n", tmp_path, "scf")
    (fake_programs / "pw.x").write_text("#!/bin/sh\nkill -9 $$\n")
    with pytest.raises(RunError, match="ended with status"):
        qe_input.run_program("pw.x", "&control\n/\n", tmp_path, "scf")


def test_without_quantum_espresso(monkeypatch, tmp_path):
    monkeypatch.setattr(electron_phonon, "check_available", _missing)
    with pytest.raises(ExtraMissing, match="no ph.x"):
        electron_phonon.prepared(bulk("Al"), ElectronPhononSettings())


def _missing():
    raise ExtraMissing("no ph.x on the PATH")


@pytest.mark.parametrize(("settings", "match"), [
    ({"k_mesh": (6, 6, 6), "q_mesh": (4, 4, 4)}, "does not divide"),
    ({"broadening_Ry": 0.9}, "lies outside"),
    ({"mu_star": 0.29, "broadening_Ry": 0.0001}, "lies outside"),
])
def test_settings_that_cannot_be(settings, match):
    with pytest.raises(InputError, match=match):
        ElectronPhononSettings(**settings).check_meshes()


@pytest.mark.parametrize("arguments", [
    ["--k-mesh", "8x8"], ["--k-mesh", "0"], ["--q-mesh", "3", "--k-mesh", "8"], ["--pressure", "200"],
    ["--cutoff", "1"],
])
def test_bad_input_writes_nothing(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bulk("Al").write("Al.cif")
    assert main(["elph", "Al.cif", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("megabar: ") and "\n" not in error
    assert [p.name for p in tmp_path.iterdir()] == ["Al.cif"]


# Live

SMALL = ["--k-mesh", "6", "--q-mesh", "2", "--cutoff", "60", "--mu-star", "0.12", "--config", "elph.yaml", "--json"]
CONFIG = "smearing_Ry: 0.04\nbroadening_step_Ry: 0.02\nbroadenings: 4\npath_points: 20\n"


@pytest.mark.qe
def test_dry_run_and_foreign_element(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bulk("Al").write("Al.cif")
    (tmp_path / "elph.yaml").write_text(CONFIG)
    assert main(["elph", "Al.cif", *SMALL, "--dry-run"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["q_points"] == 3 and not (tmp_path / "elph-Al").exists()
    bulk("Eu", "bcc", a=4.58).write("Eu.cif")
    assert main(["elph", "Eu.cif", *SMALL]) == 2
    assert "pseudopotential" in capsys.readouterr().err


@pytest.mark.qe
def test_aluminium_from_cell_to_tc_killed_and_resumed(tmp_path):
    """Killed while phonons run, typed again: no task is done twice, and the numbers are of the right size.

    lambda 0.44 and omega_log 296 K (Allen and Dynes, Phys. Rev. B 12, 905 (1975)) within 25 and 10 %: 12x12x12 k-points
    and 2x2x2 q-points are coarse, while a wrong unit, mass or weight would miss by factors. The X phonons of neutrons
    (Stedman and Nilsson, Phys. Rev. 145, 492 (1966)) within 12 %.
    """
    bulk("Al", a=4.04).write(tmp_path / "Al.cif")
    (tmp_path / "elph.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "megabar.cli.main", "elph", "Al.cif", *SMALL, "--out", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    store = tmp_path / "run" / "tasks"
    deadline = time.time() + 600
    while not list(store.glob("??/*/dyn*")) and process.poll() is None and time.time() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {f: f.stat().st_mtime_ns for f in store.glob("??/*/result.json")}
    assert len(done) >= 2  # ground state and bands at least
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    values = json.loads(output.stdout)
    assert all(f.stat().st_mtime_ns == when for f, when in done.items())
    assert values["lambda"] == pytest.approx(0.44, rel=0.25)
    assert values["omega_log_K"] == pytest.approx(296.0, rel=0.1)
    zone = max(values["q_points"], key=lambda one: np.linalg.norm(one["q_per_A"]))
    assert np.array(zone["omega_K"]) / KELVIN_PER["THz"] == pytest.approx([5.78, 5.78, 9.69], rel=0.12)
    assert values["tc_K"]["eliashberg"] is not None
    low, high = values["lambda_over_broadenings"]
    assert low <= values["lambda"] <= high and "heavy" not in values  # Al has no isotope to exchange
    for name in ("alpha2f", "convergence", "bands", "phonons"):
        assert (tmp_path / "run" / f"{name}.png").is_file() and (tmp_path / "run" / f"{name}.csv").is_file()
    assert (tmp_path / "run" / "run.yaml").is_file()
    assert shutil.which("ph.x")
