"""Plans of training cells: seeds, distances, kinds, and what they refuse."""

import time
from pathlib import Path

import numpy as np
import pytest
import spglib
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.campaign.settings import load_settings, validate
from megabar.cli.main import main
from megabar.crystals.files import read_frames
from megabar.crystals.packing import check_packing, minimum_distances_A, random_hydride
from megabar.crystals.plan import Plan, generate, shortest_HH_A
from megabar.crystals.prototypes import build
from megabar.crystals.volumes import metals
from megabar.errors import InputError

PLAN = {"metal": "Ca", "seed": 7, "blocks": [
    {"generator": "prototype", "kind": "CaH4", "names": ["MH4-I4/mmm"], "count": 3, "pressure_GPa": [20, 60],
     "strain": 0.03, "displacement_A": [0.05, 0.1]},
    {"generator": "random", "kind": "random", "count": 4, "n_metal": [1, 2], "h_per_metal": [0, 8], "max_atoms": 9,
     "min_distance_A": {"H-H": 0.9}},
    {"generator": "random", "kind": "H2 fluid", "count": 2, "n_metal": [0, 0], "n_hydrogen": [8, 10], "cubic": True,
     "h2_share": [1, 1], "pressure_GPa": [10, 60], "volume_scale": [1.1, 1.3]},
    {"generator": "interface", "kind": "interface", "count": 2, "phase": "MH2-P6_3/mmc", "faces": ["001", "110"],
     "n_molecules": [4, 5], "pressure_GPa": [20, 60]},
    {"generator": "dimer", "kind": "dimer", "count": 6, "pairs": ["H-H", "H-M", "M-M"]},
    {"generator": "squeezed", "kind": "squeezed", "count": 2, "names": ["MH2-P6_3/mmc"], "pressure_GPa": [60, 100]},
]}


@pytest.fixture(scope="module")
def cells():
    return list(generate(validate(Plan, PLAN, "test")))


def test_counts_kinds_and_provenance(cells):
    assert [c.info["kind"] for c in cells].count("CaH4") == 3
    assert len(cells) == sum(block["count"] for block in PLAN["blocks"])
    assert all(c.info["origin"].startswith("cells ") and c.info["parent"] for c in cells)
    assert len({c.info["parent"] for c in cells}) == len(cells)


def test_same_plan_same_cells_and_blocks_are_independent(cells):
    again = list(generate(validate(Plan, PLAN, "test")))
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(cells, again, strict=True))
    longer = {**PLAN, "blocks": [{**PLAN["blocks"][0], "count": 5}, *PLAN["blocks"][1:]]}
    grown = list(generate(validate(Plan, longer, "test")))
    assert np.array_equal(grown[-1].positions, cells[-1].positions)
    other = list(generate(validate(Plan, {**PLAN, "seed": 8}, "test")))
    assert not np.allclose(other[0].positions, cells[0].positions)


def test_distances(cells):
    for cell in cells:
        assert shortest_HH_A(cell) >= 0.5
        if cell.info["kind"] == "random":
            hydrogen = neighbor_list("d", cell, {("H", "H"): 0.85})
            assert len(hydrogen) == 0  # 0.9 A asked for, 3 % tolerance of the packing


def test_fluid_is_molecular(cells):
    for cell in (c for c in cells if c.info["kind"] == "H2 fluid"):
        first = neighbor_list("i", cell, {("H", "H"): 0.9})
        assert sorted(first) == list(range(len(cell)))  # every atom has exactly one partner
        others = neighbor_list("d", cell, {("H", "H"): 1.4})
        assert others[others > 0.9].min() > 0.9


def test_interfaces_hold_slab_and_hydrogen(cells):
    for cell in (c for c in cells if c.info["kind"] == "interface"):
        calcium = cell.positions[cell.numbers == 20][:, 2] / cell.cell[2, 2]
        gap = np.diff(np.sort(np.concatenate([calcium, [calcium.min() + 1.0]]))).max()
        assert gap > 0.3  # a third of the period without calcium: that is where the hydrogen is


def test_symmetric_displacements_keep_the_space_group():
    block = {"generator": "prototype", "kind": "CaH4", "names": ["MH4-I4/mmm"], "count": 3, "pressure_GPa": [20, 60],
             "strain": 0.05, "displacement_A": [0.02, 0.05], "symmetric": True}
    for cell in generate(validate(Plan, {"metal": "Ca", "blocks": [block]}, "test")):
        found = spglib.get_symmetry_dataset((cell.cell[:], cell.get_scaled_positions(), cell.numbers), symprec=1e-4)
        assert found.number == 139
        assert shortest_HH_A(cell) != pytest.approx(0.83, abs=1e-4)  # the bond is a free parameter of 4e and moved


def test_impossible_distances_are_refused_within_a_second():
    plan = {"metal": "Ca", "blocks": [{"generator": "random", "kind": "x", "count": 1, "n_metal": [4, 4],
                                       "h_per_metal": [2, 2], "min_distance_A": {"M-M": 5.0}}]}
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"block 0 .*M-M"):
        list(generate(validate(Plan, plan, "test")))
    assert time.perf_counter() - start < 1.0


def test_packing_limit_is_that_of_spheres():
    """Four spheres of diameter d in an fcc cell fill pi / sqrt(18) = 0.74 of it: above any random packing."""
    d = 2.0
    with pytest.raises(InputError):
        check_packing(np.array([20] * 4), (d * np.sqrt(2)) ** 3, {"M-M": d})
    check_packing(np.array([20] * 4), 2 * (d * np.sqrt(2)) ** 3, {"M-M": d})


@pytest.mark.parametrize("metal", metals())
def test_default_minima_fit_the_metal(metal):
    """Random cells may be as dense as crystals at 150 GPa: minima must lie below their contacts, and not far below (Mg
    is a fifth smaller than Ca, Sr a tenth larger)."""
    shortest = {"H-M": np.inf, "M-M": np.inf}
    for name in ("M-fcc", "MH2-P6_3/mmc", "MH4-I4/mmm", "MH6-Im-3m"):
        atoms = build(name, metal, 150.0).repeat(2)
        for pair in shortest:
            a, b = (metal if s == "M" else s for s in pair.split("-"))
            found = neighbor_list("d", atoms, {(a, b): 4.0})
            shortest[pair] = min(shortest[pair], found.min() if len(found) else np.inf)
    minima = minimum_distances_A(build("MH2-P6_3/mmc", metal).numbers, {})
    for pair, distance in shortest.items():
        assert 0.7 < minima[pair] / distance < 1.0, (pair, minima[pair], distance)
    assert minimum_distances_A(np.array([1, 38]), {"H-M": 1.3})["H-M"] == 1.3  # what the user says is not scaled


@pytest.mark.parametrize("metal", metals())
def test_a_plan_serves_every_metal(metal):
    cells = list(generate(validate(Plan, {**PLAN, "metal": metal}, "test")))
    assert len(cells) == sum(block["count"] for block in PLAN["blocks"])
    assert set().union(*(c.get_chemical_symbols() for c in cells)) == {"H", metal}
    pairs = [neighbor_list("d", c, {(metal, metal): 5.5}).min() for c in cells
             if c.info["kind"] == "dimer" and list(c.symbols) == [metal] * 2]
    assert min(pairs) == pytest.approx(1.9 * covalent_radii[cells[0].numbers.max()] / covalent_radii[20])


def test_a_plan_names_its_metal():
    with pytest.raises(InputError, match="metal"):
        validate(Plan, {"blocks": PLAN["blocks"]}, "test")


def test_composition_of_random_hydrides():
    rng = np.random.default_rng(1)
    atoms = random_hydride("Ca", 2, 7, 40.0, rng, h2_share=0.5)
    assert atoms.get_chemical_formula(empirical=False) == "H7Ca2"


@pytest.mark.parametrize("change, word", [
    ({"metal": "Zz"}, "known metals"), ({"sead": 1}, "did you mean 'seed'"), ({"blocks": []}, "blocks"),
    ({"blocks": [{**PLAN["blocks"][0], "names": ["MH9"]}]}, "unknown"),
    ({"blocks": [{**PLAN["blocks"][0], "pressure_GPa": [50, 10]}]}, "rise"),
    ({"blocks": [{**PLAN["blocks"][0], "strian": 0.1}]}, "strain"),
    ({"blocks": [{**PLAN["blocks"][0], "generator": "magic"}]}, "magic"),
    ({"blocks": [{**PLAN["blocks"][0], "count": 0}]}, "greater than 0"),
])
def test_wrong_plans_name_the_key(tmp_path, change, word):
    from megabar.campaign.files import write_yaml

    write_yaml(tmp_path / "plan.yaml", {**PLAN, **change})
    with pytest.raises(InputError, match=word):
        load_settings(Plan, tmp_path / "plan.yaml")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60))
def test_any_text_as_a_plan_is_an_input_error_or_a_plan(text):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError):
            load_settings(Plan, path)


def test_command_line(tmp_path, capsys):
    import json

    from megabar.campaign.files import write_yaml

    write_yaml(tmp_path / "plan.yaml", PLAN)
    assert main(["cells", str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "c.extxyz"), "--dry-run"]) == 0
    assert not (tmp_path / "c.extxyz").exists()
    capsys.readouterr()
    assert main(["cells", str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "c.extxyz"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["cells"] == len(read_frames(tmp_path / "c.extxyz")) == 19
    assert main(["cells", str(tmp_path / "no.yaml")]) == 2
    assert main(["cells", "--list"]) == 0
    assert "MH6-Im-3m" in capsys.readouterr().out


def test_dimers_take_the_distances_asked_for():
    plan = Plan.model_validate({"metal": "Ca", "blocks": [
        {"generator": "dimer", "kind": "dimer", "count": 4, "pairs": ["M-M"], "distance_A": [1.3, 1.9]}]})
    found = sorted(float(atoms.get_distance(0, 1)) for atoms in generate(plan))
    assert found == pytest.approx([1.3, 1.5, 1.7, 1.9])
