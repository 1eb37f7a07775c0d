"""Powder patterns against Bragg's law, hand-made structure factors and pymatgen; cards and CIF files read back."""

import json

import gemmi
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from ase.spacegroup import crystal
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.anvil.diffraction.jcpds import card_curve, jcpds_card
from megabar.anvil.diffraction.load import as_marker
from megabar.anvil.diffraction.phase import phase_from_atoms, phase_from_marker, write_cif
from megabar.anvil.diffraction.powder import lorentz_polarisation, pattern, reflections
from megabar.anvil.diffraction.thermal import average_frames, phase_from_average
from megabar.anvil.gauge import marker_scale
from megabar.anvil.materials import MATERIALS
from megabar.cli.main import main
from megabar.coldcurves import birch_murnaghan_3
from megabar.dynamics.trajectory import Frame
from megabar.errors import InputError

WAVELENGTH = 0.3344


def fluorite(a=3.95):
    return crystal(["Na", "He"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[a, a, a, 90, 90, 90])


def low_symmetry():
    """Cells of every crystal system but cubic, one with two origins and one rhombohedral."""
    yield (
        "CaH2",
        crystal(
            ["Ca", "H", "H"],
            [(0.260, 0.25, 0.390), (0.138, 0.25, 0.072), (0.029, 0.25, 0.672)],
            spacegroup=62,
            cellpar=[5.9696, 3.6022, 6.8336, 90, 90, 90],
        ),
    )
    yield (
        "CaH4",
        crystal(
            ["Ca", "H", "H"],
            [(0, 0, 0), (0, 0.5, 0.25), (0, 0, 0.4)],
            spacegroup=139,
            cellpar=[2.7, 2.7, 7.1, 90, 90, 90],
        ),
    )
    yield (
        "monoclinic",
        crystal(["S", "O"], [(0.1, 0.2, 0.3), (0.4, 0.1, 0.15)], spacegroup=14, cellpar=[5, 4, 6, 90, 101, 90]),
    )
    yield (
        "rhombohedral",
        crystal(["S", "O"], [(0, 0, 0.3), (0.4, 0.1, 0.15)], spacegroup=160, cellpar=[4, 4, 9, 90, 90, 120]),
    )
    yield (
        "triclinic",
        Atoms(
            "SHe",
            scaled_positions=[(0.1, 0.2, 0.3), (0.6, 0.7, 0.1)],
            cell=[[4, 0, 0], [0.5, 5, 0], [0.3, 0.7, 6]],
            pbc=True,
        ),
    )
    yield "diamond", bulk("C", "diamond", a=3.567)
    yield "rhenium", MATERIALS["Re"].atoms()


def test_na2he_by_hand():
    # a = 3.95 A at 0.3344 A: d = a/sqrt(h2 + k2 + l2), 2 theta = 2 asin(lambda/2d).
    expected = {
        (1, 1, 1): (2.2805, 8.409),
        (2, 0, 0): (1.9750, 9.713),
        (2, 2, 0): (1.3965, 13.752),
        (3, 1, 1): (1.1910, 16.141),
        (2, 2, 2): (1.1403, 16.864),
        (4, 0, 0): (0.9875, 19.496),
    }
    peaks = {p.hkl: p for p in pattern([phase_from_atoms(fluorite(), "Na2He")], WAVELENGTH).peaks}
    for hkl, (d, angle) in expected.items():
        assert peaks[hkl].d_A == pytest.approx(d, abs=6e-5) and peaks[hkl].two_theta_deg == pytest.approx(
            angle, abs=6e-4
        )
    assert peaks[2, 0, 0].intensity == 100.0
    # |F| of fluorite: 4(f_He - 2 f_Na) for h + k + l = 4n + 2, 4(f_He + 2 f_Na) for 4n, 4 f_He for odd indices.
    r = reflections(phase_from_atoms(fluorite(), "Na2He"), WAVELENGTH)
    for hkl, sodium in (((2, 0, 0), -2.0), ((2, 2, 0), 2.0), ((1, 1, 1), 0.0)):
        i = int(np.flatnonzero(np.all(r.hkl == hkl, axis=1))[0])
        s2 = 1.0 / (4.0 * r.d_A[i] ** 2)
        F = 4.0 * (gemmi.Element("He").it92.calculate_sf(s2) + sodium * gemmi.Element("Na").it92.calculate_sf(s2))
        assert r.F2[i] == pytest.approx(F**2, rel=1e-6)


@pytest.mark.parametrize(("name", "atoms"), [("Na2He", fluorite()), *low_symmetry()])
def test_pattern_against_pymatgen(name, atoms):
    xrd = pytest.importorskip("pymatgen.analysis.diffraction.xrd")
    from pymatgen.io.ase import AseAtomsAdaptor

    phase = phase_from_atoms(atoms, name)
    ours = [p for p in pattern([phase], WAVELENGTH, two_theta_max_deg=18.0).peaks if p.intensity > 3.0]
    plain = Atoms(phase.atoms.symbols, positions=phase.atoms.positions, cell=phase.atoms.cell, pbc=True)
    theirs = xrd.XRDCalculator(WAVELENGTH).get_pattern(AseAtomsAdaptor.get_structure(plain), two_theta_range=(1, 18))
    for p in ours:
        i = int(np.argmin(np.abs(theirs.x - p.two_theta_deg)))
        assert p.two_theta_deg == pytest.approx(theirs.x[i], abs=1e-4)
        # Their form factors are De Graef & McHenry's fit, ours those of the International Tables: 5 % apart at most,
        # for hydrogen, which is weak here, more.
        assert p.intensity == pytest.approx(theirs.y[i], rel=0.05, abs=1.0)


def test_multiplicities_and_choice_of_indices():
    peaks = {p.hkl: p for p in pattern([phase_from_marker(MATERIALS["Re"], 100.0)], WAVELENGTH).peaks}
    # Hexagonal close packing: 001, 111 and such are absent; 100 has six members, 101 twelve, 102 twelve, 110 six.
    assert {(1, 0, 0), (0, 0, 2), (1, 0, 1), (1, 0, 2), (1, 1, 0)} <= set(peaks) and (0, 0, 1) not in peaks
    assert [peaks[h].multiplicity for h in ((1, 0, 0), (0, 0, 2), (1, 0, 1), (1, 1, 0))] == [6, 2, 12, 6]
    cubic = {p.hkl: p for p in pattern([phase_from_marker(MATERIALS["Au"], 20.0)], WAVELENGTH).peaks}
    assert set(cubic) >= {(1, 1, 1), (2, 0, 0), (2, 2, 0), (3, 1, 1)}
    merged = [
        p for p in pattern([phase_from_marker(MATERIALS["Au"], 20.0)], WAVELENGTH, two_theta_max_deg=40).peaks if p.also
    ]
    assert {merged[0].hkl, *merged[0].also} == {(3, 3, 3), (5, 1, 1)}


def test_lorentz_polarisation():
    # 2 theta = 90 degrees: (1 + 0)/(1/2 x 1/sqrt 2) = 2 sqrt 2.
    assert float(lorentz_polarisation(90.0)) == pytest.approx(2.0 * np.sqrt(2.0))


def test_debye_waller_factor_lowers_lines_as_it_should():
    cold, warm = (phase_from_atoms(fluorite(), "x", u_iso_A2=u) for u in (0.0, 0.02))
    a, b = reflections(cold, WAVELENGTH), reflections(warm, WAVELENGTH)
    expected = np.exp(-2.0 * 8.0 * np.pi**2 * 0.02 / (4.0 * a.d_A**2))
    assert b.F2[a.F2 > 1] / a.F2[a.F2 > 1] == pytest.approx(expected[a.F2 > 1], rel=1e-6)


def test_fractions_scale_by_volume():
    one, two = (
        phase_from_marker(MATERIALS["W"], 50.0, fraction=0.9),
        phase_from_marker(MATERIALS["Au"], 50.0, fraction=0.1),
    )
    mixed = pattern([one, two], WAVELENGTH)
    half = pattern([one, phase_from_marker(MATERIALS["Au"], 50.0, fraction=0.45)], WAVELENGTH)
    strongest = {name: max(p.intensity for p in q.peaks if p.phase == name) for q in (mixed,) for name in ("W", "Au")}
    again = {name: max(p.intensity for p in half.peaks if p.phase == name) for name in ("W", "Au")}
    assert (again["Au"] / again["W"]) / (strongest["Au"] / strongest["W"]) == pytest.approx(4.5, rel=1e-6)
    # Per volume, intensity goes as |F|^2 m Lp/V^2: gold against tungsten by hand for their strongest lines.
    assert mixed.profile.max() == pytest.approx(100.0)


def test_primitive_cells_get_conventional_indices():
    primitive = bulk("W", "bcc", a=3.0)
    assert pattern([phase_from_atoms(primitive, "W")], WAVELENGTH).peaks[0].hkl == (1, 1, 0)
    assert as_marker(phase_from_atoms(primitive, "w")).material == "W"
    assert as_marker(phase_from_atoms(bulk("Fe", "bcc", a=2.8), "Fe")).material is None


@pytest.mark.parametrize(("name", "atoms"), [("Na2He", fluorite()), *low_symmetry()])
def test_cif_reads_back_with_its_symmetry(tmp_path, name, atoms):
    phase = phase_from_atoms(atoms, name, u_iso_A2=0.01, pressure_GPa=140.0)
    write_cif(tmp_path / "x.cif", phase)
    back = gemmi.read_small_structure(str(tmp_path / "x.cif"))
    assert back.spacegroup is not None and back.spacegroup.number == phase.spacegroup
    assert len(back.get_all_unit_cell_sites()) == len(phase.atoms)
    assert back.cell.volume == pytest.approx(phase.volume_A3, rel=1e-5)
    back.change_occupancies_to_crystallographic()
    calculator = gemmi.StructureFactorCalculatorX(back.cell)
    r = reflections(phase, WAVELENGTH, 14.0)
    for hkl, F2 in zip(r.hkl[:12], r.F2[:12], strict=True):
        got = abs(calculator.calculate_sf_from_small_structure(back, [int(i) for i in hkl])) ** 2
        assert got == pytest.approx(F2, rel=1e-3, abs=1e-2 * r.F2.max())
    assert gemmi.cif.read(str(tmp_path / "x.cif")).sole_block().find_value("_diffrn_ambient_pressure") == "1.4e+08"


def read_card(text):
    """A .jcpds card by the documented rules of its version 4: keyword lines, d from the cell and the symmetry."""
    lines = text.splitlines()
    assert lines[0].split() == ["VERSION:", "4"]
    values, reflections_ = {}, []
    for line in lines[1:]:
        key, value = line.split(maxsplit=1)
        assert key.endswith(":") and key == key.upper()
        if key == "DIHKL:":
            d, intensity, h, k, l = value.split()  # noqa: E741
            reflections_.append((float(d), float(intensity), int(h), int(k), int(l)))
        elif key == "COMMENT:":
            values.setdefault(key, []).append(value)
        else:
            values[key] = value
    return values, reflections_


def d_by_symmetry(v, h, k, l):  # noqa: E741
    kind, a = v["SYMMETRY:"], float(v["A:"])
    if kind == "CUBIC":
        inverse = (h * h + k * k + l * l) / a**2
    elif kind == "TETRAGONAL":
        inverse = (h * h + k * k) / a**2 + l * l / float(v["C:"]) ** 2
    elif kind == "HEXAGONAL":
        inverse = 4.0 / 3.0 * (h * h + h * k + k * k) / a**2 + l * l / float(v["C:"]) ** 2
    elif kind == "ORTHORHOMBIC":
        inverse = h * h / a**2 + k * k / float(v["B:"]) ** 2 + l * l / float(v["C:"]) ** 2
    elif kind == "MONOCLINIC":
        beta, b, c = np.radians(float(v["BETA:"])), float(v["B:"]), float(v["C:"])
        sine = np.sin(beta) ** 2
        inverse = h * h / a**2 / sine + k * k / b**2 + l * l / c**2 / sine - 2 * h * l * np.cos(beta) / (a * c * sine)
    else:
        return None
    return 1.0 / np.sqrt(inverse)


@pytest.mark.parametrize(("name", "atoms"), [("Na2He", fluorite()), *low_symmetry()])
def test_jcpds_card_by_its_documented_rules(name, atoms):
    phase = phase_from_atoms(atoms, name, pressure_GPa=140.0)
    values, lines = read_card(jcpds_card(phase, WAVELENGTH))
    assert float(values["K0:"]) == 0.0 and "140 GPa" in values["COMMENT:"][0]
    assert float(values["VOLUME:"]) == pytest.approx(phase.volume_A3, rel=1e-6)
    assert max(line[1] for line in lines) == pytest.approx(100.0)
    for d, _, *hkl in lines:
        by_rule = d_by_symmetry(values, *hkl)
        assert by_rule is None or d == pytest.approx(by_rule, rel=1e-5)


def test_marker_card_compresses_to_the_cell_of_its_scale():
    phase = phase_from_marker(MATERIALS["W"], 100.0)
    curve = card_curve(marker_scale("W"), 130.0)
    values, lines = read_card(jcpds_card(phase, WAVELENGTH, curve=curve))
    assert float(values["A:"]) == pytest.approx(31.724 ** (1 / 3), rel=1e-6)
    x = phase.volume_A3 / float(values["VOLUME:"])
    # The reader knows third-order Birch-Murnaghan only; the Vinet curve is met to 0.2 GPa.
    assert birch_murnaghan_3(x, float(values["K0:"]), float(values["K0P:"])) == pytest.approx(100.0, abs=0.2)
    assert lines[0][0] == pytest.approx(31.724 ** (1 / 3) / np.sqrt(2), rel=1e-5)


def shaken(atoms, u, frames, seed=0, drift=0.0):
    """Frames with Gaussian displacements of variance u (one per element or all), wrapped, with a drifting centre."""
    rng = np.random.default_rng(seed)
    spread = np.array([np.sqrt(u[s]) for s in atoms.get_chemical_symbols()])
    for t in range(frames):
        moved = atoms.positions + spread[:, None] * rng.standard_normal((len(atoms), 3)) + drift * t
        wrapped = (moved @ np.linalg.inv(atoms.cell[:]) % 1.0) @ atoms.cell[:]
        yield Frame(0.1 * t, atoms.cell[:].copy(), atoms.numbers.copy(), wrapped)


def test_thermal_factors_from_a_trajectory():
    supercell = fluorite() * (3, 3, 3)
    u = {"Na": 0.010, "He": 0.030}
    averaged = average_frames(shaken(supercell, u, 200, drift=0.01), skip_fraction=0.0)
    phase, warnings = phase_from_average(averaged, "Na2He")
    assert phase.symbol == "Fm-3m" and len(phase.atoms) == 12 and not warnings
    assert phase.atoms.cell.cellpar()[0] == pytest.approx(3.95, rel=1e-3)
    for element, expected in u.items():
        mine = phase.U_A2[phase.atoms.symbols == element]
        assert np.trace(mine, axis1=1, axis2=2) / 3.0 == pytest.approx(expected, rel=0.05)


def test_bragg_intensities_are_those_of_the_averaged_structure_factor():
    # The definition: |<F>|^2 of the supercell over the run, with no Debye-Waller factor anywhere.
    supercell = fluorite() * (2, 2, 2)
    frames = list(shaken(supercell, {"Na": 0.015, "He": 0.03}, 400, seed=4))
    phase, _ = phase_from_average(average_frames(frames, 0.0), "x")
    r = reflections(phase, WAVELENGTH, 20.0)
    for i in np.flatnonzero(r.F2 > 0.05 * r.F2.max()):
        s2 = 1.0 / (4.0 * r.d_A[i] ** 2)
        f = np.array([gemmi.Element(s).it92.calculate_sf(s2) for s in supercell.get_chemical_symbols()])
        q = 2.0 * np.pi * (2 * r.hkl[i]) @ np.linalg.inv(supercell.cell[:]).T
        F = np.mean([np.sum(f * np.exp(1j * frame.positions_A @ q)) for frame in frames]) / 8.0
        assert r.F2[i] == pytest.approx(abs(F) ** 2, rel=0.04)


def test_liquids_and_short_runs_are_refused():
    with pytest.raises(InputError, match="at least 10|need 10"):
        average_frames(shaken(fluorite(), {"Na": 0.01, "He": 0.01}, 8))
    molten = average_frames(shaken(fluorite() * (2, 2, 2), {"Na": 0.5, "He": 0.5}, 30), 0.0)
    with pytest.raises(InputError, match="liquid"):
        phase_from_average(molten, "melt")
    superionic = average_frames(shaken(fluorite() * (2, 2, 2), {"Na": 0.005, "He": 0.2}, 400), 0.0)
    _, warnings = phase_from_average(superionic, "superionic", symprec=0.3)
    assert any("He" in w and "diffuse" in w for w in warnings)


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_xrd_command(capsys, tmp_path):
    write(tmp_path / "Na2He.cif", fluorite())
    status, out, err = run(
        capsys,
        "xrd",
        tmp_path / "Na2He.cif",
        "W",
        "Re",
        "--wavelength-A",
        0.3344,
        "--pressure",
        "140 GPa",
        "--fractions",
        "0.8,0.1,0.1",
        "--json",
        "--out",
        tmp_path / "o",
    )
    assert status == 0, err
    got = json.loads(out)
    first = next(p for p in got["peaks"] if p["phase"] == "Na2He" and p["hkl"] == [2, 0, 0])
    assert first["d_A"] == pytest.approx(1.975) and first["two_theta_deg"] == pytest.approx(9.7127, abs=1e-3)
    assert {"hkl", "d_A", "two_theta_deg", "intensity"} <= set(first)
    names = {p.name for p in (tmp_path / "o").iterdir()}
    assert names == {
        "peaks.json",
        "pattern.csv",
        "pattern.png",
        "Na2He.cif",
        "Na2He.jcpds",
        "W.cif",
        "W.jcpds",
        "Re.cif",
        "Re.jcpds",
    }


def test_xrd_of_a_trajectory(capsys, tmp_path):
    frames = [
        Atoms(numbers=f.numbers, positions=f.positions_A, cell=f.cell_A, pbc=True)
        for f in shaken(fluorite() * (2, 2, 2), {"Na": 0.01, "He": 0.02}, 30)
    ]
    write(tmp_path / "run.extxyz", frames)
    status, out, err = run(capsys, "xrd", tmp_path / "run.extxyz", "--wavelength-A", 0.3344, "--json")
    assert status == 0, err
    assert json.loads(out)["phases"][0]["spacegroup"] == "Fm-3m"


def test_settings_file_and_dry_run(capsys, tmp_path):
    write(tmp_path / "a.cif", fluorite())
    (tmp_path / "x.yaml").write_text(f"phases: [{tmp_path / 'a.cif'}, Au]\nwavelength_A: 0.41\npressure_GPa: 50\n")
    status, out, _ = run(capsys, "xrd", "--config", tmp_path / "x.yaml", "--dry-run", "--json")
    assert status == 0 and json.loads(out)["phases"] == ["a", "Au"]
    (tmp_path / "y.yaml").write_text("phases: [Au]\nwavelength_A: 0.41\npresure_GPa: 5\n")
    status, _, err = run(capsys, "xrd", "--config", tmp_path / "y.yaml")
    assert status == 2 and "did you mean" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("W",),
        ("W", "--wavelength-A", "0.3344"),
        ("W", "--wavelength-A", "37", "--pressure", "10 GPa"),
        ("W", "--wavelength-A", "0.03344e-9", "--pressure", "10 GPa"),
        ("Nope", "--wavelength-A", "0.3344"),
        ("W", "--wavelength-A", "0.3344", "--pressure", "140"),
        ("W", "W", "--wavelength-A", "0.3344", "--pressure", "9 GPa"),
        ("W", "--wavelength-A", "0.3344", "--pressure", "10 GPa", "--fractions", "1,2"),
        ("W", "--wavelength-A", "0.3344", "--pressure", "10 GPa", "--two-theta-max", "3"),
        ("W", "--wavelength-A", "0.3344", "--pressure", "1000 GPa"),
        ("bad.cif", "--wavelength-A", "0.3344"),
        ("molecule.xyz", "--wavelength-A", "0.3344"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.cif").write_text("data_x\n_cell_length_a what\n")
    (tmp_path / "molecule.xyz").write_text("2\n\nH 0 0 0\nH 0 0 0.74\n")
    status, out, err = run(capsys, "xrd", *arguments, "--out", tmp_path / "o")
    assert status == 2 and out == "" and err.startswith("megabar: ") and err.count("\n") == 1
    assert not (tmp_path / "o").exists()


@settings(max_examples=20, deadline=None)
@given(st.floats(2.5, 8.0), st.floats(2.5, 8.0), st.floats(2.5, 8.0), st.floats(75, 105), st.integers(0, 10**6))
def test_any_cell_obeys_bragg(a, b, c, beta, seed):
    rng = np.random.default_rng(seed)
    atoms = Atoms(
        "NaHeS",
        scaled_positions=rng.random((3, 3)),
        cell=[[a, 0, 0], [0, b, 0], [c * np.cos(np.radians(beta)), 0, c * np.sin(np.radians(beta))]],
        pbc=True,
    )
    phase = phase_from_atoms(atoms, "x")
    r = reflections(phase, WAVELENGTH, 9.0)
    assert 2.0 * r.d_A * np.sin(np.radians(r.two_theta_deg) / 2.0) == pytest.approx(WAVELENGTH)
    by_cell = 1.0 / np.linalg.norm(r.hkl @ np.linalg.inv(phase.atoms.cell[:]).T, axis=1)
    assert r.d_A == pytest.approx(by_cell)
    # Every reflection is counted once: the multiplicities add up to the lattice points of the shell.
    n = np.arange(-12, 13)
    hkl = np.stack(np.meshgrid(n, n, n), axis=-1).reshape(-1, 3)
    hkl = hkl[np.any(hkl != 0, axis=1)]
    d = 1.0 / np.linalg.norm(hkl @ np.linalg.inv(phase.atoms.cell[:]).T, axis=1)
    d_min = WAVELENGTH / (2.0 * np.sin(np.radians(4.5)))
    assert r.multiplicity.sum() == (d >= d_min).sum()
