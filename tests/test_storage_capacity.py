"""Storage numbers against hand calculations, published cells and each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ase import Atoms
from ase.spacegroup import crystal

from megabar.cli.main import main
from megabar.crystals.volumes import Vinet
from megabar.errors import InputError
from megabar.storage.capacity import capacity

CAH4 = {"Ca": 1.0, "H": 4.0}


def test_cah4_at_pressure() -> None:
    """91.4 g/kg from the atomic masses; 250 g/L is the published figure at 26.78 A^3 (2.735 g/cm^3)."""
    c = capacity("CaH4", CAH4, volume_A3=26.78, pressure_GPa=40.0)
    assert c.g_per_kg_hydride == pytest.approx(91.4, abs=0.05)
    assert c.weight_percent == pytest.approx(9.14, abs=0.005)
    assert c.g_per_kg_metal == pytest.approx(100.6, abs=0.05)
    assert c.g_per_L_at_pressure == pytest.approx(250.0, abs=0.1)
    assert c.density_g_per_cm3 == pytest.approx(2.735, abs=0.001)
    assert c.g_per_L_decompressed is None and any("no tank" in note for note in c.notes)


@pytest.mark.parametrize(("formula", "amounts", "volume_A3", "wt", "g_per_L"), [
    ("CaH2", {"Ca": 1, "H": 2}, 36.737, 4.79, 91.1),  # COD 4103660
    ("CaH6", {"Ca": 1, "H": 6}, 3.51**3 / 2, 13.11, 465.0),
    ("CaH5.75", {"Ca": 1, "H": 5.75}, None, 12.63, None),
    ("MgH2", {"Mg": 1, "H": 2}, 4.5168**2 * 3.0205 / 2, 7.66, 108.6),  # rutile type, a 4.5168 c 3.0205 A
])
def test_known_hydrides(formula: str, amounts: dict[str, float], volume_A3: float | None, wt: float,
                        g_per_L: float | None) -> None:
    c = capacity(formula, amounts, volume_A3=volume_A3)
    assert c.weight_percent == pytest.approx(wt, abs=0.006)  # published to two decimals
    if g_per_L is not None:
        assert c.g_per_L_at_pressure == pytest.approx(g_per_L, rel=2e-3)


def test_bases_are_consistent() -> None:
    """H/(host+H) and H/host are the same number seen twice; volume and density give the mass share again."""
    c = capacity("CaH4", CAH4, volume_A3=26.78)
    assert c.g_per_kg_metal is not None and c.g_per_L_at_pressure is not None and c.density_g_per_cm3 is not None
    assert 1 / (1 + 1000 / c.g_per_kg_metal) == pytest.approx(c.g_per_kg_hydride / 1000)
    assert c.g_per_L_at_pressure / c.density_g_per_cm3 == pytest.approx(c.g_per_kg_hydride)


def test_decompression_follows_the_equation_of_state() -> None:
    eos = Vinet(40.0, 30.0, 4.5)
    c = capacity("CaH4", CAH4, volume_A3=eos.volume_A3(50.0), pressure_GPa=50.0, bulk_modulus_GPa=30.0,
                 bulk_modulus_prime=4.5)
    assert c.decompressed_volume_A3 == pytest.approx(40.0)
    assert "survives" in c.decompressed_how


def test_residue_and_system() -> None:
    """CaH4 -> CaH2 + H2 gives off half the hydrogen; Ca2H4 as a residue is CaH2."""
    for name, rest in (("CaH2", {"Ca": 1, "H": 2}), ("Ca2H4", {"Ca": 2, "H": 4})):
        c = capacity("CaH4", CAH4, volume_A3=40.0, pressure_GPa=0.0, residue=name, residue_amounts=rest,
                     system_mass_share=0.5, system_volume_share=0.25)
        assert c.usable_share == pytest.approx(0.5)
        assert c.g_per_kg_system == pytest.approx(0.25 * c.g_per_kg_hydride)
        assert c.g_per_L_decompressed is not None
        assert c.g_per_L_system == pytest.approx(0.125 * c.g_per_L_decompressed)
    assert [v["mass_met"] for v in c.verdicts()] == [False, False, False]
    whole = capacity("CaH4", CAH4)
    assert [v["mass_met"] for v in whole.verdicts()] == [True, True, True]
    assert whole.verdicts()[0]["mass_basis"] != "system" and whole.verdicts()[0]["volume_met"] is None


@pytest.mark.parametrize("bad", [
    {"amounts": {"Ca": 1.0}}, {"volume_A3": -1.0}, {"volume_A3": float("nan")}, {"system_mass_share": 1.5},
    {"residue": "MgH2", "residue_amounts": {"Mg": 1, "H": 2}},
    {"residue": "CaH6", "residue_amounts": {"Ca": 1, "H": 6}}, {"bulk_modulus_GPa": 50.0},
])
def test_bad_input(bad: dict) -> None:
    with pytest.raises(InputError):
        capacity("CaH4", **{"amounts": CAH4, **bad})


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["storage", "--formula", "CaH4", "--volume-A3", "26.78", "--pressure", "40 GPa", "--json",
                 "--out", "s"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["g_per_L_at_pressure"] == pytest.approx(250.0, abs=0.1)
    assert {p.name for p in Path("s").iterdir()} == {"storage.json", "storage.csv", "storage.png", "run.yaml"}
    a = 5.9696
    cell = crystal(["Ca", "H", "H"], [(0.26043, 0.25, 0.39014), (0.138, 0.25, 0.072), (0.029, 0.25, 0.672)],
                   spacegroup=62, cellpar=[a, 3.6022, 6.8336, 90, 90, 90])
    cell.write("cah2.cif")
    assert main(["storage", "cah2.cif", "--pressure", "0 GPa", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["formula"] == "CaH2" and values["g_per_L_decompressed"] == pytest.approx(91.1, abs=0.1)
    assert main(["storage", "cah2.cif"]) == 0
    assert "DOE ultimate" in capsys.readouterr().out


@pytest.mark.parametrize("words", [
    [], ["--formula", "Ca"], ["--formula", "CaH4", "--volume-A3", "-3"], ["no.cif"], ["--formula", "Qq2"],
    ["--formula", "CaH4", "--pressure", "40"], ["--formula", "CaH4", "--residue", "Mg"],
    ["x.xyz", "--formula", "CaH4"],
])
def test_command_refuses(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Atoms("CaH4", positions=[(i, 0, 0) for i in range(5)], cell=[9, 9, 9], pbc=True).write("x.xyz", format="extxyz")
    assert main(["storage", *words, "--out", "s"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and not Path("s").exists()
