"""Reactions as text: what is balanced, what is not and by how much, and exact counts."""

from __future__ import annotations

from fractions import Fraction

import pytest
from ase import Atoms

from megabar.errors import InputError
from megabar.thermodynamics.reactions import formula_of, imbalance, parse_formula, parse_reaction


@pytest.mark.parametrize("text", [
    "CaH2 + H2 -> CaH4", "CaH2+H2=CaH4", "2 CaH2 + 2H2 => 2 CaH4", "CaH2 + 15/8 H2 -> CaH5.75",
    "CaH2 + 1.875 H2 → CaH5.75", "8 CaH2 + 15 H2 -> Ca8H46", "CaH2(s) + H2(f) -> CaH4(l)",
    "3 H2S -> 2 H3S + S", "Ca(BH4)2 -> Ca + 2 B + 4 H2",
])
def test_balanced(text: str) -> None:
    assert imbalance(parse_reaction(text)) == {}


def test_states_and_counts() -> None:
    reaction = parse_reaction("CaH2(s) + 1.875 H2(f) -> CaH5.75(l)")
    assert [t.state for _, t in reaction.terms] == ["solid", "fluid", "liquid"]
    assert reaction.reactants[1].count == Fraction(15, 8)
    assert reaction.elements == ("Ca", "H")
    assert parse_reaction(str(reaction)) == reaction  # what is printed reads back


@pytest.mark.parametrize(("text", "by", "remedy"), [
    ("CaH2 + H2 -> CaH6", "2 H too many on the right", "CaH2 + 2 H2 -> CaH6"),
    ("CaH2 + H2 -> CaH5.75", "1.75 H too many", "CaH2 + 1.875 H2 -> CaH5.75"),
    ("Ca + H2 -> 2 CaH2", "1 Ca too many", "2 Ca + 2 H2 -> 2 CaH2"),
    ("CaH4 -> CaH2 + 2 H2", "2 H too many", "CaH4 -> CaH2 + H2"),
    ("CaH2 -> CaH4", "2 H too many", "no counts balance"),
    ("NaH + He -> NaHe", "1 H too few", "no counts balance"),
])
def test_unbalanced_says_by_how_much(text: str, by: str, remedy: str) -> None:
    with pytest.raises(InputError) as error:
        parse_reaction(text)
    assert by in str(error.value) and remedy in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", [
    "CaH2 + H2", "-> CaH4", "CaH2 -> ", "CaH2 -> CaH2 -> CaH2", "CaH2 + -> CaH2", "Xq2 -> Xq2", "cah2 -> cah2",
    "0 CaH2 + CaH4 -> CaH4", "Ca(H2 -> CaH2", "CaH2) -> CaH2", "CaH0 + Ca -> Ca", "", "CaH2 & H2 -> CaH4", "X -> X",
])
def test_unreadable(text: str) -> None:
    with pytest.raises(InputError):
        parse_reaction(text)


def test_formulas() -> None:
    assert parse_formula("Ca8H46").reduced.text == "Ca4H23"
    assert parse_formula("CaH5.75").reduced == parse_formula("Ca4H23")
    assert parse_formula("CaH5.75").units_in(parse_formula("Ca8H46")) == 8
    assert parse_formula("CaH2").units_in(parse_formula("CaH4")) is None
    assert parse_formula("Ca").units_in(parse_formula("CaH4")) is None
    assert parse_formula("Ca(BH4)2").amount("H") == 8
    assert formula_of(Atoms("Ca2H8")).text == "CaH4"
    assert formula_of(Atoms("H8")).text == "H2"  # hydrogen is counted in molecules
    assert formula_of(Atoms("Na2He")).text == "Na2He"
