"""Chemical reactions as text: "CaH2 + H2 -> CaH4", checked for balance element by element.

A term is an optional count (2, 1.875 or 15/8), a formula and an optional state in brackets: (s) solid, (l) liquid or
(f) fluid, as in "CaH2(s) + H2(f) -> CaH4(l)". Formulas may have fractional subscripts (CaH5.75) and groups.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Literal

from ase import Atoms
from ase.data import atomic_numbers

from megabar.errors import InputError

State = Literal["solid", "liquid", "fluid"]
STATES: dict[str, State] = {"s": "solid", "l": "liquid", "f": "fluid"}

_ARROW = re.compile(r"\s*(?:<?[-=]+>|→|⇌)\s*")
_TERM = re.compile(r"^(?P<count>\d+\s*/\s*\d+|\d*\.?\d+)?\s*\*?\s*(?P<formula>[A-Z(].*?)(?:\((?P<state>[slf])\))?$")
_TOKEN = re.compile(r"([A-Z][a-z]?|\(|\))(\d+\.\d+|\.\d+|\d+)?")


@dataclass(frozen=True)
class Formula:
    """A composition: `text` as written, `amounts` as (element, exact count) pairs by element."""

    text: str
    amounts: tuple[tuple[str, Fraction], ...]

    @property
    def elements(self) -> tuple[str, ...]:
        return tuple(element for element, _ in self.amounts)

    @property
    def atoms(self) -> Fraction:
        """Number of atoms in the formula unit as written."""
        return sum((n for _, n in self.amounts), Fraction(0))

    def amount(self, element: str) -> Fraction:
        return dict(self.amounts).get(element, Fraction(0))

    def units_in(self, other: Formula) -> Fraction | None:
        """How many of this formula unit make `other`; None when the proportions differ."""
        if self.elements != other.elements:
            return None
        ratios = {other.amount(e) / n for e, n in self.amounts}
        return ratios.pop() if len(ratios) == 1 else None

    @property
    def reduced(self) -> Formula:
        """The smallest formula with whole subscripts and these proportions: Ca2H4 gives CaH2, CaH5.75 gives Ca4H23."""
        multiple = lcm(*(n.denominator for _, n in self.amounts))
        whole = {e: int(n * multiple) for e, n in self.amounts}
        return _formula({e: Fraction(n, gcd(*whole.values())) for e, n in whole.items()})


@dataclass(frozen=True)
class Term:
    """`count` formula units of `formula`, in `state` where one was written."""

    count: Fraction
    formula: Formula
    state: State | None = None

    def __str__(self) -> str:
        count = "" if self.count == 1 else f"{_plain(self.count)} "
        return count + self.formula.text + ("" if self.state is None else f"({self.state[0]})")


@dataclass(frozen=True)
class Reaction:
    """A balanced reaction; enthalpies of it are per formula units as written."""

    reactants: tuple[Term, ...]
    products: tuple[Term, ...]

    def __str__(self) -> str:
        return " + ".join(map(str, self.reactants)) + " -> " + " + ".join(map(str, self.products))

    @property
    def terms(self) -> tuple[tuple[int, Term], ...]:
        """(-1, reactant) and (+1, product), so that a change is sum(sign * count * quantity)."""
        return tuple((-1, t) for t in self.reactants) + tuple((1, t) for t in self.products)

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """Each composition once, in the order written."""
        seen: dict[str, Formula] = {}
        for _, term in self.terms:
            seen.setdefault(term.formula.text, term.formula)
        return tuple(seen.values())

    @property
    def elements(self) -> tuple[str, ...]:
        return tuple(sorted({e for formula in self.formulas for e in formula.elements}))


def parse_formula(text: str) -> Formula:
    """The composition of "CaH4", "CaH5.75" or "Ca(BH4)2"; InputError names what cannot be read."""
    def group(start: int, depth: int) -> tuple[Counter[str], int]:
        amounts: Counter[str] = Counter()
        at = start
        while at < len(body):
            match = _TOKEN.match(body, at)
            if match is None:
                raise InputError(f"formula {text!r}: {body[at:]!r} cannot be read; write it like CaH4 or CaH5.75")
            symbol, count = match.group(1), Fraction(match.group(2) or 1)
            if symbol == ")":
                if depth == 0:
                    raise InputError(f"formula {text!r}: a bracket closes that was not opened; remove it")
                return Counter({e: n * count for e, n in amounts.items()}), match.end()
            if symbol == "(":
                if match.group(2):
                    raise InputError(f"formula {text!r}: a number follows an opening bracket; put it behind the group")
                inner, at = group(match.end(), depth + 1)
                amounts.update(inner)
                continue
            if symbol not in atomic_numbers or symbol == "X":
                raise InputError(f"formula {text!r}: {symbol!r} is no element; write symbols like Ca and H")
            amounts[symbol] += count  # type: ignore[assignment]
            at = match.end()
        if depth:
            raise InputError(f"formula {text!r}: a bracket is not closed; close it")
        return amounts, at

    body = text.strip()
    amounts, _ = group(0, 0)
    if not amounts or any(n <= 0 for n in amounts.values()):
        raise InputError(f"formula {text!r}: holds no atoms, or none of an element; write it like CaH4")
    return Formula(body, tuple(sorted((e, Fraction(n)) for e, n in amounts.items())))


def formula_of(atoms: Atoms) -> Formula:
    """The reduced composition of a cell, the most metallic element first (as ASE orders metals before the rest)."""
    counts = Counter(atoms.get_chemical_symbols())
    return Formula("", tuple(sorted((e, Fraction(n)) for e, n in counts.items()))).reduced


def parse_reaction(text: str) -> Reaction:
    """A balanced reaction from "CaH2 + H2 -> CaH4"; the arrow may be ->, =>, = or the sign.

    Raises InputError when it cannot be read, or is not balanced: by how much of which element, and with which counts
    it would be.
    """
    body = text.strip()
    sides = _ARROW.split(body) if _ARROW.search(body) else body.split("=")
    if len(sides) != 2 or not all(side.strip() for side in sides):
        raise InputError(f"reaction {text!r}: needs two sides and one arrow, like 'CaH2 + H2 -> CaH4'")
    left, right = ([_term(part, text) for part in side.split("+")] for side in sides)
    reaction = Reaction(tuple(left), tuple(right))
    excess = imbalance(reaction)
    if excess:
        words = ", ".join(f"{_plain(abs(n))} {e} too {'many' if n > 0 else 'few'} on the right"
                          for e, n in excess.items())
        better = _balanced(reaction)
        remedy = f"write {str(better)!r}" if better is not None else "no counts balance it: another reactant or product"
        raise InputError(f"reaction {text!r} is not balanced: {words}; {remedy}")
    return reaction


def imbalance(reaction: Reaction) -> dict[str, Fraction]:
    """Atoms of each element on the right minus on the left, where not zero."""
    excess: dict[str, Fraction] = {}
    for sign, term in reaction.terms:
        for element, n in term.formula.amounts:
            excess[element] = excess.get(element, Fraction(0)) + sign * term.count * n
    return {e: n for e, n in sorted(excess.items()) if n != 0}


def _term(part: str, text: str) -> Term:
    match = _TERM.match(part.strip())
    if match is None:
        raise InputError(f"reaction {text!r}: {part.strip()!r} is no 'count formula', like '2 H2'")
    count = Fraction((match["count"] or "1").replace(" ", ""))
    if count <= 0:
        raise InputError(f"reaction {text!r}: {part.strip()!r} has a count of zero; leave it out")
    return Term(count, parse_formula(match["formula"]), STATES[match["state"]] if match["state"] else None)


def _balanced(reaction: Reaction) -> Reaction | None:
    """The same terms with counts that balance, scaled so that the first product keeps its own; None when there is no
    single answer with all counts positive."""
    terms = reaction.terms
    rows = [[sign * term.formula.amount(e) for sign, term in terms] for e in reaction.elements]
    counts = _null_vector(rows, len(terms))
    if counts is None or not (all(n > 0 for n in counts) or all(n < 0 for n in counts)):
        return None
    k = len(reaction.reactants)
    scale = reaction.products[0].count / counts[k]
    new = [Term(abs(n * scale), term.formula, term.state) for n, (_, term) in zip(counts, terms, strict=True)]
    return Reaction(tuple(new[:k]), tuple(new[k:]))


def _null_vector(rows: list[list[Fraction]], width: int) -> list[Fraction] | None:
    """The one vector (up to scale) that every row is orthogonal to, exactly; None when there is not exactly one."""
    rows = [row[:] for row in rows]
    pivots: list[int] = []
    for column in range(width):
        at = len(pivots)
        found = next((r for r in range(at, len(rows)) if rows[r][column] != 0), None)
        if found is None:
            continue
        rows[at], rows[found] = rows[found], rows[at]
        rows[at] = [value / rows[at][column] for value in rows[at]]
        for r in range(len(rows)):
            if r != at:
                rows[r] = [a - rows[r][column] * b for a, b in zip(rows[r], rows[at], strict=True)]
        pivots.append(column)
    free = [c for c in range(width) if c not in pivots]
    if len(free) != 1:
        return None
    vector = [Fraction(0)] * width
    vector[free[0]] = Fraction(1)
    for row, column in zip(rows, pivots, strict=False):
        vector[column] = -row[free[0]]
    return vector


def _formula(amounts: dict[str, Fraction]) -> Formula:
    # Hydrogen last and the rest by name: CaH2, LaH10, NaHe2 and not H2Ca.
    order: Iterable[str] = sorted(amounts, key=lambda e: (e in ("H", "He"), e))
    text = "".join(e + ("" if amounts[e] == 1 else _plain(amounts[e])) for e in order)
    text = "H2" if text == "H" else text
    if text == "H2":
        amounts = {"H": Fraction(2)}
    return Formula(text, tuple(sorted(amounts.items())))


def _plain(number: Fraction) -> str:
    return str(number) if number.denominator not in (2, 4, 5, 8, 10) else f"{float(number):g}"
