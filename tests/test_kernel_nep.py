"""The compiled evaluator against its NumPy reference, an independent program and finite differences."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111

from megabar.errors import InputError, RunError
from megabar.kernel import _nep
from megabar.potential.calculator import NEP
from random_nep import random_cell, random_model

MODELS = {
    "full": random_model(1),
    "plain": random_model(2, q222=False, q1111=False),
    "zbl": random_model(3, zbl=(0.8, 1.6)),
    "cutoff per element": random_model(4, cutoffs=((5.0, 4.0), (6.0, 3.5))),
    "equal cutoffs": random_model(5, cutoffs=((4.5, 4.5),), n_max=(9, 10), basis=(12, 12)),
    "three elements": random_model(6, elements=("H", "Ca", "O"), zbl=(1.0, 2.0)),
    "smallest": random_model(7, elements=("H",), n_max=(0, 0), basis=(0, 0), l_max=1, q222=False, q1111=False,
                             neurons=1),
    **{f"l_max {degree}": random_model(20 + degree, l_max=degree, q222=degree > 1, q1111=degree > 0)
       for degree in range(9)},
}


def cells(model):
    """Primitive cells of one atom, of which dozens of images are in reach, to cells of 30 atoms; thin ones, slabs."""
    elements = model.elements
    yield random_cell(1, atoms=1, elements=elements)
    yield random_cell(2, atoms=2, elements=elements)
    yield random_cell(3, atoms=30, elements=elements)
    thin = random_cell(4, atoms=6, elements=elements)
    thin.set_cell(thin.cell[:] * [[0.4], [0.4], [6.25]], scale_atoms=True)
    yield thin
    for pbc in ((True, False, True), (False, False, True), (False, False, False)):
        part = random_cell(5, atoms=12, elements=elements)
        part.pbc = pbc
        yield part
    far = random_cell(6, atoms=5, elements=elements)
    far.positions += [[0, 0, 0], [50, 0, 0], [0, -80, 3], [1e3, 1e3, 1e3], [0, 0, 0]]
    yield far


def assert_equal(found, expected, tolerance):
    scale = 1 + np.abs(expected.forces_eV_per_A).max()
    assert found.energies_eV == pytest.approx(expected.energies_eV, abs=tolerance)
    assert found.forces_eV_per_A == pytest.approx(expected.forces_eV_per_A, abs=tolerance * scale)
    assert found.virials_eV == pytest.approx(expected.virials_eV, abs=tolerance * scale)


@pytest.mark.parametrize("name", MODELS)
def test_double_equals_the_reference_and_single_to_its_rounding(name):
    model = MODELS[name]
    double, single = NEP(model), NEP(model, precision="single")
    for atoms in cells(model):
        expected = model.evaluate(atoms)
        found = double.evaluate(atoms, descriptors=True)
        # Positions of 1e3 A carry rounding errors of 1e-13 A, no less.
        assert_equal(found, expected, 1e-10)
        assert found.descriptors == pytest.approx(expected.descriptors, rel=1e-9, abs=1e-9)
        assert_equal(single.evaluate(atoms), expected, 1e-5)


def test_equals_nep_adapters_on_fifty_cells(tmp_path):
    # nep-adapters wraps NEP_CPU, the reference program of the authors of NEP.
    adapters = pytest.importorskip("nep_adapters.ase")
    for i, options in enumerate((dict(zbl=(0.7, 1.4)), dict(), dict(q222=True, q1111=False), dict(l_max=4, q222=False,
                                 q1111=False), dict(cutoffs=((6.0, 5.0),)))):
        model = random_model(30 + i, **options)
        model.write(tmp_path / "nep.txt")
        other = adapters.NepAseCalculator(str(tmp_path / "nep.txt"))
        ours = NEP(model)
        for seed in range(10):
            atoms = random_cell(100 * i + seed)
            for calculator in (other, ours):
                calculator.calculate(atoms, ["energy", "forces", "stress"])
            for quantity in ("energy", "forces", "stress"):
                assert ours.results[quantity] == pytest.approx(other.results[quantity], rel=1e-5, abs=1e-5), quantity


@pytest.mark.parametrize("name", ["full", "zbl", "three elements"])
def test_forces_are_derivatives_of_the_energy(name):
    model = MODELS[name]
    calculator = NEP(model)
    for count in (2, 20):
        atoms = random_cell(40 + count, atoms=count, elements=model.elements)
        forces = calculator.evaluate(atoms).forces_eV_per_A
        for i, axis in ((0, 0), (1, 2), (count - 1, 1)):
            energies = []
            for h in (2e-4, 1e-4, -1e-4, -2e-4):
                step = atoms.copy()
                step.positions[i, axis] += h
                energies.append(calculator.evaluate(step).energy_eV)
            slope = (8 * (energies[1] - energies[2]) - (energies[0] - energies[3])) / 12e-4
            assert -forces[i, axis] == pytest.approx(slope, abs=1e-6 * np.abs(forces).max())


def test_supercell_of_a_primitive_cell():
    calculator = NEP(MODELS["full"])
    atoms = random_cell(50, atoms=2)
    base, large = calculator.evaluate(atoms), calculator.evaluate(atoms * (4, 3, 5))
    assert large.energies_eV == pytest.approx(np.tile(base.energies_eV, 60), abs=1e-11)
    assert large.forces_eV_per_A == pytest.approx(np.tile(base.forces_eV_per_A, (60, 1)), abs=1e-11)


def test_slab_with_zero_vector_along_the_vacuum():
    # ase.build leaves the third vector of a slab at zero; the neighbours do not depend on what stands in for it.
    model = random_model(8, elements=("Ca",))
    slab = fcc111("Ca", (2, 2, 3), a=5.0)
    assert slab.cell.rank == 2
    with_vacuum = slab.copy()
    with_vacuum.set_cell([*slab.cell[:2], [0, 0, 40]])
    with_vacuum.pbc = True
    calculator = NEP(model)
    assert_equal(calculator.evaluate(slab), calculator.evaluate(with_vacuum), 1e-11)


def test_isolated_atom_has_no_force():
    model = MODELS["zbl"]
    result = NEP(model).evaluate(Atoms("Ca", [[0, 0, 0]]))
    expected = model.w1[1] @ np.tanh(-model.b0[1]) - model.b1
    assert result.energy_eV == pytest.approx(expected, rel=1e-14)
    assert not result.forces_eV_per_A.any() and not result.virials_eV.any()


def test_network_far_in_saturation():
    # tanh of the kernel is its own; arguments of hundreds must give +-1 and no overflow.
    model = random_model(9)
    steep = type(model)(**{**vars(model), "w0": 1e3 * model.w0})
    atoms = random_cell(51, atoms=8)
    expected = steep.evaluate(atoms)
    for precision, tolerance in (("double", 1e-9), ("single", 1e-2)):
        found = NEP(steep, precision=precision).evaluate(atoms)
        assert found.energies_eV == pytest.approx(expected.energies_eV, abs=tolerance)
        assert np.isfinite(found.forces_eV_per_A).all()


@pytest.mark.parametrize("isa", ["baseline", "avx2"])
def test_other_instruction_sets_give_the_same(isa, tmp_path):
    model, atoms = MODELS["zbl"], random_cell(52, atoms=17)
    model.write(tmp_path / "nep.txt")
    atoms.write(tmp_path / "cell.extxyz", format="extxyz")
    code = """
import sys, numpy as np
from ase.io import read
from megabar.kernel import _nep
from megabar.potential.calculator import NEP
from megabar.potential.nep import NEPModel
model, atoms = NEPModel.read("nep.txt"), read("cell.extxyz")
np.save("forces.npy", [NEP(model, precision=p).evaluate(atoms).forces_eV_per_A for p in ("double", "single")])
print(_nep.instruction_set())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "MEGABAR_ISA": isa},
                          capture_output=True, text=True, check=True)
    if _nep.instruction_set() == "baseline" or done.stdout.strip() != isa:
        pytest.skip(f"this processor or build has no {isa} variant")
    double, single = np.load(tmp_path / "forces.npy")
    from ase.io import read
    expected = model.evaluate(read(tmp_path / "cell.extxyz")).forces_eV_per_A
    assert double == pytest.approx(expected, abs=1e-10)
    assert single == pytest.approx(expected, abs=1e-5 * (1 + np.abs(expected).max()))


def test_impossible_cells_are_refused():
    calculator = NEP(MODELS["full"])
    with pytest.raises(InputError, match="no volume"):
        calculator.evaluate(Atoms("H", cell=[[3, 0, 0], [0, 3, 0], [3, 3, 0]], pbc=True))
    with pytest.raises(InputError, match="ten million images|shorter than the cutoff"):
        calculator.evaluate(Atoms("H", cell=[1e-3, 1e-3, 3], pbc=True))
    with pytest.raises(InputError, match="no atoms"):
        calculator.evaluate(Atoms())
    with pytest.raises(InputError, match="not finite"):
        calculator.evaluate(Atoms("H", [[np.nan, 0, 0]], cell=[3, 3, 3], pbc=True))
    with pytest.raises(RunError, match="coincide"):
        calculator.evaluate(Atoms("H2", [[0, 0, 0], [0, 0, 0]], cell=[3, 3, 3], pbc=True))


def test_binding_checks_its_arrays():
    kernel = NEP(MODELS["full"]).kernel
    with pytest.raises(ValueError, match="type is out of range"):
        kernel.evaluate(np.zeros((1, 3)), np.eye(3), (False,) * 3, np.array([2], dtype=np.int32))
    with pytest.raises(ValueError, match="are needed"):
        kernel.evaluate(np.zeros((2, 3)), np.eye(3), (False,) * 3, np.array([0], dtype=np.int32))
