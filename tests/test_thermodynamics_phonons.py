"""Harmonic and quasi-harmonic: oscillators, Einstein and Debye solids, Grueneisen solids with known Gibbs energy, a
chain-like crystal with known branches, and verdicts on imaginary modes."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from ase.lattice.hexagonal import Graphite

from megabar.campaign.tasks import Store
from megabar.cli.main import main
from megabar.crystals import prototypes
from megabar.errors import InputError, RunError
from megabar.thermodynamics import phonons as room
from megabar.thermodynamics.eos import EOSFit
from megabar.thermodynamics.harmonic import PLANCK_EV_PER_THZ, harmonic
from megabar.thermodynamics.inputs import crystal, parse_static_pressures_GPa, parse_supercell
from megabar.thermodynamics.phonons import phonon_series, phonons, standard_primitive, supercell_for
from megabar.thermodynamics.quasiharmonic import Gibbs, gibbs_from, load_gibbs
from megabar.thermodynamics.relax import relax
from megabar.thermodynamics.series import same_phase
from megabar.thermodynamics.stability import judge
from megabar.units import BOLTZMANN_EV_PER_K, EV_PER_A3_IN_GPA


def test_one_oscillator():
    """F, U, S, C of h nu = 0.1 eV in closed form; at 0 K half a quantum."""
    nu, temperature = 0.1 / PLANCK_EV_PER_THZ, np.array([0.0, 10.0, 300.0, 3000.0])
    result = harmonic(np.array([[nu]]), [1.0], temperature)
    assert result.zero_point_eV == pytest.approx(0.05) and result.free_energy_eV[0] == pytest.approx(0.05)
    x = 0.1 / (BOLTZMANN_EV_PER_K * temperature[2:])
    np.testing.assert_allclose(result.free_energy_eV[2:], 0.1 / x * np.log(2 * np.sinh(x / 2)), rtol=1e-12)
    np.testing.assert_allclose(result.energy_eV[2:], 0.05 / np.tanh(x / 2), rtol=1e-12)
    np.testing.assert_allclose(result.heat_capacity_eV_per_K[2:],
                               BOLTZMANN_EV_PER_K * (x / 2 / np.sinh(x / 2)) ** 2, rtol=1e-12)
    assert result.heat_capacity_eV_per_K[1] == pytest.approx(0.0, abs=1e-40)


def test_entropy_is_the_slope_of_the_free_energy_and_classical_limit():
    rng = np.random.default_rng(0)
    frequencies, weights = rng.uniform(1.0, 40.0, size=(7, 6)), rng.integers(1, 9, size=7)
    low, middle, high = (harmonic(frequencies, weights, t) for t in (499.5, 500.0, 500.5))
    assert middle.entropy_eV_per_K[0] == pytest.approx(-(high.free_energy_eV[0] - low.free_energy_eV[0]), rel=1e-6)
    assert middle.heat_capacity_eV_per_K[0] == pytest.approx(high.energy_eV[0] - low.energy_eV[0], rel=1e-5)
    hot = harmonic(frequencies, weights, 1e5)
    assert hot.heat_capacity_eV_per_K[0] == pytest.approx(6 * BOLTZMANN_EV_PER_K, rel=1e-4)  # Dulong and Petit


def test_debye_solid():
    """Frequencies as nu^2 up to nu_D: zero point 9/8 k theta an atom, C = 12 pi^4/5 k (T/theta)^3 at low T."""
    theta = 1000.0
    cut = BOLTZMANN_EV_PER_K * theta / PLANCK_EV_PER_THZ
    share = (np.arange(400_000) + 0.5) / 400_000
    frequencies = np.repeat(cut * share ** (1 / 3), 3).reshape(-1, 3)
    result = harmonic(frequencies, np.ones(len(frequencies)), np.array([25.0, 5000.0]))
    assert result.zero_point_eV == pytest.approx(9 / 8 * BOLTZMANN_EV_PER_K * theta, rel=1e-4)
    expected = 12 * np.pi**4 / 5 * BOLTZMANN_EV_PER_K * (25.0 / theta) ** 3
    assert result.heat_capacity_eV_per_K[0] == pytest.approx(expected, rel=5e-3)
    # High-temperature expansion: C = 3k (1 - (theta/T)^2 / 20).
    assert result.heat_capacity_eV_per_K[1] == pytest.approx(3 * BOLTZMANN_EV_PER_K * (1 - 0.04 / 20), rel=1e-5)


def test_left_out_modes_are_counted():
    result = harmonic(np.array([[-1.0, 0.0, 5.0, 5.0]]), [1.0], 300.0)
    assert result.left_out == 0.5 and result.zero_point_eV == pytest.approx(5.0 * PLANCK_EV_PER_THZ)


class Springs(Calculator):
    """Simple cubic lattice, spring k (eV/A^2) to each nearest neighbour along the bond and k_t across it; a constant
    negative `k_t` makes transverse waves unstable. Energies relative to the perfect lattice."""

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, k, k_t, a):
        super().__init__()
        self.k, self.k_t, self.a = k, k_t, a

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        counts = np.rint(atoms.cell.lengths() / self.a).astype(int)
        index = np.rint(atoms.positions / self.a).astype(int)
        moved = atoms.positions - index * self.a
        where = np.empty(counts, dtype=int)
        where[tuple((index % counts).T)] = np.arange(len(atoms))
        forces, energy = np.zeros((len(atoms), 3)), 0.0
        for axis in range(3):
            step = np.eye(3, dtype=int)[axis]
            neighbour = where[tuple(((index + step) % counts).T)]
            stiff = np.where(np.arange(3) == axis, self.k, self.k_t)
            stretch = moved[neighbour] - moved
            pull = stretch * stiff
            energy += 0.5 * float(np.sum(stretch * pull))
            forces += pull
            np.add.at(forces, neighbour, -pull)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces, "stress": np.zeros(6)}


class Source:
    """A calculator where the room expects a potential."""

    kind, label = "potential", "springs"

    def __init__(self, make):
        self.make = make

    def calculator(self, folder=None):
        return self.make()


def springs(k, k_t, a=3.0, mass=40.0):
    atoms = Atoms("Ar", cell=[a] * 3, pbc=True)
    atoms.set_masses([mass])
    return relax(atoms, Springs(k, k_t, a)), Source(lambda: Springs(k, k_t, a))


def test_branches_of_a_spring_lattice(tmp_path):
    """omega^2 = (4/m) [k sin^2(q_x a/2) + k_t (sin^2(q_y a/2) + sin^2(q_z a/2))] for polarisation x: exact anywhere."""
    from ase.data import atomic_masses

    relaxed, source = springs(5.0, 0.7)
    result = phonons(relaxed, source, Store(tmp_path), supercell=(4, 4, 4))
    assert result.verdict.kind == "stable" and result.calculations == 1  # one displacement
    wave = np.sin(np.pi * result.q_points) ** 2
    stiffness = 5.0 * wave + 0.7 * (wave.sum(axis=1, keepdims=True) - wave)
    # eV/(amu A^2) to THz: sqrt(e/(1e-20 amu))/2 pi.
    unit = np.sqrt(1.602176634e-19 / (1e-20 * 1.66053906660e-27)) / (2 * np.pi) * 1e-12
    expected = np.sort(np.sqrt(4 * stiffness / atomic_masses[18]), axis=1) * unit
    np.testing.assert_allclose(result.frequencies_THz, expected, atol=1e-3)
    assert np.trapezoid(result.dos_per_THz, result.dos_axis_THz) == pytest.approx(3.0, rel=0.02)
    result.save(tmp_path / "out")
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"phonons.json", "phonons.png", "phonons_bands.csv", "phonons_dos.csv", "phonons.npz"} <= names


def test_unstable_springs_are_called_unstable(tmp_path):
    relaxed, source = springs(5.0, -0.5)
    result = phonons(relaxed, source, Store(tmp_path), supercell=(4, 4, 4))
    assert result.verdict.kind == "unstable" and not result.verdict.free_energy
    assert "holds exactly" in result.verdict.text and result.to_dict()["zero_point_eV_per_atom"] is None
    # The worst wave is at the corner of both transverse directions: omega^2 = 8 k_t / m.
    unit = np.sqrt(1.602176634e-19 / (1e-20 * 1.66053906660e-27)) / (2 * np.pi) * 1e-12
    assert result.verdict.lowest_THz == pytest.approx(-np.sqrt(8 * 0.5 / 39.95) * unit, rel=1e-3)


@pytest.mark.parametrize("exact, other, at, kind, free", [
    (3.0, 2.0, 0.1, "stable", True), (3.0, -0.05, 0.1, "stable", True),
    (3.0, -0.5, 0.05, "stable, with an acoustic dip", True), (3.0, -0.5, 0.4, "imaginary where interpolated", False),
    (3.0, -5.0, 0.05, "imaginary where interpolated", False), (-2.0, -2.5, 0.4, "unstable", False),
])
def test_verdicts(exact, other, at, kind, free):
    """Imaginary at a q-point the supercell holds, between such points, or close to Gamma: three different things."""
    atoms = Atoms("HCa", positions=[[0, 0, 0], [2, 2, 2]], cell=[4] * 3, pbc=True)
    exact_q = np.array([[0, 0, 0], [0.25, 0, 0], [0.5, 0, 0]])
    exact_THz = np.array([[0, 0, 0, 9, 9, 9], [exact, 4, 5, 9, 9, 9], [4, 4, 5, 9, 9, 9.0]])
    verdict = judge(atoms, exact_q, exact_THz, np.array([[at, 0, 0]]), np.array([[other, 4, 5, 9, 9, 9.0]]))
    assert verdict.kind == kind and verdict.free_energy is free
    assert ("quantum" in verdict.text) == (not free)


def test_translations_do_not_count_but_an_unstable_optical_mode_at_gamma_does():
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    q = np.array([[0.0, 0, 0], [0.5, 0, 0]])
    fine = np.array([[-0.3, -0.2, 0.0, 5, 5, 5], [2, 2, 2, 5, 5, 5.0]])
    assert judge(atoms, q, fine, q, fine).kind == "stable"
    for optical in ([-4.0, 0.0, 0.0, 0.0, 5.0, 5.0], [-4.0, -4.0, -4.0, 0.0, 0.0, 0.0]):
        ferroelectric = np.array([optical, [2, 2, 2, 5, 5, 5.0]])
        verdict = judge(atoms, q, ferroelectric, q, ferroelectric)
        assert verdict.kind == "unstable" and verdict.lowest_THz == -4.0 and verdict.q_point == (0.0, 0.0, 0.0)


def test_supercells_are_long_enough_and_symmetric():
    primitive = standard_primitive(bulk("Ca", "bcc", a=4.4))
    counts = supercell_for(primitive, 12.0)
    assert len(set(counts)) == 1
    heights = 1 / np.linalg.norm(np.linalg.inv((primitive.cell[:].T * counts).T), axis=0)
    assert np.all(heights >= 12.0 - 1e-2) and np.all(heights < 12.0 + heights / counts)
    # Tetragonal, body-centred: heights differ, and unequal repeats of the primitive vectors would break the symmetry.
    centred = standard_primitive(crystal("CaH4-I4/mmm", 40.0))
    heights = 1 / np.linalg.norm(np.linalg.inv(centred.cell[:]), axis=0)
    assert np.ptp(heights) > 0.3 and len(set(supercell_for(centred, 12.0))) == 1
    slab = bulk("Ca", "hcp", a=3.0, c=6.0)
    assert supercell_for(slab, 10.0) == (4, 4, 2)
    assert parse_supercell("3x3x2") == parse_supercell("3,3,2") == (3, 3, 2)
    for bad in ("3,3", "0,1,1", "a"):
        with pytest.raises(InputError):
            parse_supercell(bad)
    assert parse_static_pressures_GPa("-5:5:5") == [-5.0, 0.0, 5.0]
    assert parse_static_pressures_GPa("5,-5") == [-5.0, 5.0]


def lennard_jones():
    return LennardJones(sigma=3.4, epsilon=0.0104, rc=8.0, smooth=True)


@pytest.mark.parametrize("atoms, held", [
    (bulk("C", "diamond", a=3.567), True), (Graphite("C", latticeconstant={"a": 2.46, "c": 6.7}), True),
    (prototypes.build("MH4-I4/mmm", "Ca", 40.0), False),  # H2 units along the fourfold axis: their z is free
    (prototypes.build("MH2-P6_3/mmc", "Ca", 40.0), True), (prototypes.build("MH2-Pnma", "Ca", 5.0), False),
    (bulk("ZnO", "wurtzite", a=3.25, c=5.2), False)], ids=["diamond", "graphite", "CaH4", "Ni2In", "Pnma", "polar"])
def test_where_symmetry_forbids_forces_the_perfect_supercell_is_not_computed(atoms, held):
    assert room.held_by_symmetry(atoms) is held
    phonopy, cells = room.displaced_cells(atoms, (2, 2, 1), 0.01)
    assert len(cells) == len(phonopy.supercells_with_displacements) + (not held)


def test_ions_that_are_not_relaxed_are_refused(tmp_path):
    relaxed = relax(bulk("Ar", "hcp", a=3.7, c=6.0), lennard_jones(), 1.0, force_eV_per_A=10.0, stress_GPa=10.0)
    object.__setattr__(relaxed, "largest_force_eV_per_A", 0.1)
    with pytest.raises(InputError, match="relax the ions"):
        phonons(relaxed, Source(lennard_jones), Store(tmp_path))


def grueneisen_solid(gamma=1.7, volumes=None, name="G", nu0=12.0, E0=-5.0, V0=20.0, formula="X", degree_noise=0.0):
    """Einstein solid of 3 modes an atom with nu = nu0 (V/V0)^-gamma on a Vinet curve: everything in closed form."""
    volumes = np.linspace(15.0, 21.5, 8) if volumes is None else volumes
    static = EOSFit("Vinet", np.array([V0, 80.0, 4.5, E0]), np.zeros((4, 4)), None, (14.0, 22.0), 0.0, 0.0)
    frequencies = tuple(np.full((1, 3), nu0 * (v / V0) ** -gamma) for v in volumes)
    return Gibbs(name, formula, 1, static, volumes, frequencies, tuple(np.ones(1) for _ in volumes),
                 tuple(1 for _ in volumes))


def exact_free_energy(phase, volume, temperature, gamma=1.7, nu0=12.0, V0=20.0):
    vibration = harmonic(np.full((1, 3), nu0 * (volume / V0) ** -gamma), [1.0], temperature)
    return float(phase.static.energy_eV(volume)) + vibration.free_energy_eV[0], vibration


@pytest.mark.parametrize("temperature", [0.0, 300.0, 1500.0])
def test_grueneisen_solid(temperature):
    """F(V,T) is that of the oscillators; G is the minimum of F + PV; P_thermal = gamma U / V."""
    phase = grueneisen_solid()
    for volume in (16.0, 19.0):
        exact, vibration = exact_free_energy(phase, volume, temperature)
        assert phase.free_energy_eV(volume, temperature) == pytest.approx(exact, abs=2e-4)
        thermal = phase.pressure_GPa(volume, temperature) - float(phase.static.pressure_GPa(volume))
        assert thermal == pytest.approx(1.7 * vibration.energy_eV[0] / volume * EV_PER_A3_IN_GPA, rel=0.02)
    grid = np.linspace(15.0, 21.5, 6001)
    brute = [phase.free_energy_eV(v, temperature) + 20.0 * v / EV_PER_A3_IN_GPA for v in grid]
    assert phase.gibbs_eV(20.0, temperature) == pytest.approx(min(brute), abs=1e-7)
    assert phase.volume_A3(20.0, temperature) == pytest.approx(grid[int(np.argmin(brute))], abs=2e-3)


def test_maxwell_and_slopes_of_gibbs():
    """(dG/dP)_T = V, (dG/dT)_P = -S, and alpha = (1/V) dV/dT = gamma C_V / (V K_T)."""
    phase = grueneisen_solid()
    p, t, volume = 20.0, 900.0, grueneisen_solid().volume_A3(20.0, 900.0)
    slope = (phase.gibbs_eV(p + 0.1, t) - phase.gibbs_eV(p - 0.1, t)) / 0.2 * EV_PER_A3_IN_GPA
    assert slope == pytest.approx(volume, rel=1e-5)
    assert phase.entropy_eV_per_K(p, t) == pytest.approx(-(phase.gibbs_eV(p, t + 1) - phase.gibbs_eV(p, t - 1)) / 2,
                                                         rel=1e-5)
    numerical = (phase.volume_A3(p, t + 1) - phase.volume_A3(p, t - 1)) / 2 / volume
    assert phase.expansion_per_K(p, t) == pytest.approx(numerical, rel=1e-4)
    capacity = exact_free_energy(phase, volume, t)[1].heat_capacity_eV_per_K[0]
    exact = 1.7 * capacity / volume * EV_PER_A3_IN_GPA / phase.bulk_modulus_GPa(volume, t)
    assert numerical == pytest.approx(exact, rel=0.03)


def test_beyond_the_volumes_is_refused_with_a_remedy():
    phase = grueneisen_solid()
    with pytest.raises(RunError, match="add a higher pressure"):
        phase.gibbs_eV(500.0, 300.0)
    with pytest.raises(RunError, match="add a lower pressure"):
        phase.gibbs_eV(0.0, 6000.0)
    assert len(phase.refusals([20.0, 500.0], [0.0, 300.0])) == 1 and not phase.refusals([20.0], [0.0, 300.0])
    with pytest.raises(RunError, match="2 volumes"):
        grueneisen_solid(volumes=np.array([16.0, 18.0]))


def test_error_of_g_holds_the_energies_and_the_fit():
    base = grueneisen_solid()
    assert base.sigma_eV(20.0, 300.0) < 1e-4  # the quadratic in ln V misses the power law by less
    worse = Gibbs(base.name, base.formula, 1, base.static, base.volumes_A3, base.frequencies_THz, base.weights,
                  base.formula_units, model_error_eV=0.07)
    assert worse.sigma_eV(20.0, 300.0) == pytest.approx(0.07, rel=1e-4)


def test_saved_phase_is_read_back(tmp_path):
    phase = grueneisen_solid()
    phase.save(tmp_path, [0.0, 20.0], [0.0, 300.0, 600.0])
    again = load_gibbs(tmp_path)
    assert again.gibbs_eV(20.0, 600.0) == pytest.approx(phase.gibbs_eV(20.0, 600.0), abs=1e-6)
    assert {p.name for p in tmp_path.iterdir()} == {"gibbs.json", "gibbs.csv", "gibbs.png"}
    (tmp_path / "gibbs.json").write_text("{}")
    with pytest.raises(InputError, match="make it anew"):
        load_gibbs(tmp_path)


def test_lennard_jones_crystal_from_cells_to_gibbs(tmp_path):
    """The whole chain on fcc argon-like Lennard-Jones: dG/dP = V, and volumes grow with temperature and zero point."""
    source = Source(lennard_jones)
    series = [relax(bulk("Ar", "fcc", a=5.2), lennard_jones(), p, stress_GPa=1e-3) for p in (0.0, 1.0, 3.0, 5.0)]
    spectra = phonon_series(series, source, Store(tmp_path), supercell=(3, 3, 3))
    assert all(s.verdict.kind == "stable" for s in spectra)
    assert np.all(np.diff([s.frequencies_THz.max() for s in spectra]) > 0)
    phase = gibbs_from("Ar", spectra)
    slope = (phase.gibbs_eV(2.01, 80.0) - phase.gibbs_eV(1.99, 80.0)) / 0.02 * EV_PER_A3_IN_GPA
    assert slope == pytest.approx(phase.volume_A3(2.0, 80.0), rel=1e-5)
    assert phase.volume_A3(2.0, 80.0) > phase.volume_A3(2.0, 0.0) > phase.static.volume_A3(2.0)
    # Frequencies at the volumes themselves: the fit in ln V passes through the sums to 0.1 meV.
    for s in spectra:
        exact = s.thermal(80.0).free_energy_eV[0] + float(phase.static.energy_eV(s.relaxed.volume_A3))
        assert phase.free_energy_eV(s.relaxed.volume_A3, 80.0) == pytest.approx(exact, abs=1e-4)


def test_crystals_that_became_another_phase_are_left_out_and_named(tmp_path):
    """fcc Lennard-Jones, with the two ends of the series renamed as if they had transformed."""
    series = [relax(bulk("Ar", "fcc", a=5.2), lennard_jones(), p) for p in (0.0, 1.0, 2.0, 3.0, 4.0)]
    object.__setattr__(series[-1], "space_group", "P6_3/mmc (194)")
    kept, notes = same_phase(series)
    assert len(kept) == 4 and notes == ("Fm-3m (225) became P6_3/mmc (194) at 4 GPa: left out there",)
    object.__setattr__(series[0], "space_group", "P6_3/mmc (194)")
    with pytest.raises(RunError, match=r"3 crystals .* became P6_3/mmc \(194\) at 0, 4 GPa"):
        gibbs_from("Ar", [], series)


def test_engine_forces_come_from_label_tasks_in_order(tmp_path, monkeypatch):
    """Labels come back cheapest first; forces must still belong to their cells, and a failure be named."""
    from megabar.campaign.tasks import Outcome

    class Engine:
        kind, name = "gpaw", "pbe-gpaw-1"

    cells = [bulk("Ca", "fcc", a=a) for a in (5.0, 5.2, 5.4)]

    def fake(cells, level, store, jobs, retry_failed):
        for cell in reversed(cells):
            task = room.labels.label_task(cell, level)
            yield cell, Outcome(task, "done", {"forces_eV_per_A": [[cell.get_volume(), 0, 0]]}, "", 0.0)

    monkeypatch.setattr(room.labels, "label_cells", fake)
    forces = room.forces_of(cells, Engine(), Store(tmp_path))
    assert [f[0, 0] for f in forces] == pytest.approx([c.get_volume() for c in cells])
    monkeypatch.setattr(room.labels, "label_cells", lambda cells, level, *_, **__: iter(
        [(cells[0], Outcome(room.labels.label_task(cells[0], level), "failed", None, "no memory", 0.0))]))
    with pytest.raises(RunError, match="no memory"):
        room.forces_of(cells[:1], Engine(), Store(tmp_path))


def test_cli_on_the_shipped_potential(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["phonons", "CaH2-P6_3/mmc", "--pressure", "40 GPa", "--potential", "Ca-H", "--supercell", "2,2,2"]
    assert main([*command, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["supercell"] == [2, 2, 2] and not list(tmp_path.iterdir())
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["phonons"][0]["stability"]["verdict"] and any("LO-TO" in n for n in result["notes"])
    assert (tmp_path / "phonons-CaH2-P6_3_mmc" / "phonons-40GPa.png").exists()
    more = ["phonons", "CaH2-P6_3/mmc", "--pressure", "30,60,40", "--energies", "35:50:5", "--potential", "Ca-H",
            "--supercell", "2,2,2", "--temperature", "300:900:300", "--out", "more", "--json"]
    assert main(more) == 0
    result = json.loads(capsys.readouterr().out)
    assert [s["pressure_GPa"] for s in result["phonons"]] == pytest.approx([30.0, 40.0, 60.0], abs=0.02)
    assert (tmp_path / "more" / "gibbs.json").exists() and "gibbs" in result


@pytest.mark.parametrize("arguments, word", [
    ([], "no pressure"), (["--pressure", "40 GPa", "--temperature", "0:300:100"], "four pressures"),
    (["--pressure", "40 GPa", "--supercell", "2,2"], "three whole numbers"),
    (["--pressure", "40 GPa", "--displacement", "-1"], "displacement"), (["--pressure", "-5:a:5"], "rising range"),
    (["--pressure", "1000 GPa"], "domain"),
])
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, capsys, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    assert main(["phonons", "CaH2-P6_3/mmc", "--potential", "Ca-H", *arguments]) == 2
    captured = capsys.readouterr()
    assert word in captured.err and captured.err.count("\n") == 1 and not list(tmp_path.iterdir())
