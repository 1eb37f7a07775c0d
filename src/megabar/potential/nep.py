"""The neuroevolution potential NEP4: the open `nep.txt` format and a plain NumPy evaluator.

NEP4 gives every atom an energy from a one-hidden-layer network per element that reads radial and angular descriptors
built on Chebyshev polynomials: Fan et al., Phys. Rev. B 104, 104309 (2021); Fan et al., J. Chem. Phys. 157, 114801
(2022) for the 4- and 5-body terms; Song et al., Nat. Commun. 15, 10208 (2024) for NEP4; Liu et al., Phys. Rev. B 108,
054312 (2023) for NEP with the ZBL wall. The evaluator here is written to be read and is the reference of the compiled
kernel (`megabar.kernel`); molecular dynamics uses the kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from ase.neighborlist import neighbor_list

from megabar.campaign.files import write_text
from megabar.errors import PotentialUnknown

L_MAX_SUPPORTED = 8
BASIS_MAX_SUPPORTED = 31
"""Largest l_max and basis_size that the kernel holds; GPUMD stays within them."""

# The prefactors of the two many-body invariants, with the harmonics of `harmonics`:
# q222 = Q222 * det(Q) with Q the traceless quadrupole sum_j g (u u - 1/3), q1111 = Q1111 * |sum_j g u|^4.
# They are the coefficients C4B[4] and C5B[0] of Fan et al., J. Chem. Phys. 157, 114801 (2022) and of GPUMD.
Q222 = -0.809943929279723
Q1111 = 0.026596810706114

# Universal screening function of Ziegler, Biersack and Littmark (The Stopping and Range of Ions in Solids, 1985), with
# the roundings GPUMD uses, since potentials are trained with them: e^2/(4 pi eps0) in eV A, and 1/0.46848 A.
ZBL_COULOMB_EV_A = 14.399645
ZBL_INVERSE_LENGTH_PER_A = 2.134563
ZBL_AMPLITUDE = np.array([0.18175, 0.50986, 0.28022, 0.02817])
ZBL_DECAY = np.array([3.1998, 0.94229, 0.4029, 0.20162])

_REMEDY = "fetch the file again or train it anew as NEP4"


@dataclass(frozen=True)
class NEPResult:
    """What an evaluation gives; N atoms.

    energies_eV (N,), forces_eV_per_A (N, 3), virials_eV (N, 3, 3) with sum = volume * stress (tension positive),
    descriptors (N, dim), unscaled.
    """

    energies_eV: np.ndarray
    forces_eV_per_A: np.ndarray
    virials_eV: np.ndarray
    descriptors: np.ndarray

    @property
    def energy_eV(self) -> float:
        return float(self.energies_eV.sum())

    def stress_eV_per_A3(self, volume_A3: float) -> np.ndarray:
        """3x3 stress, tension positive."""
        total = self.virials_eV.sum(axis=0)
        return 0.5 * (total + total.T) / volume_A3


@dataclass(frozen=True, eq=False)
class NEPModel:
    """A NEP4 model; T elements, descriptors of length dim, one hidden layer of `neurons`.

    cutoff_radial_A, cutoff_angular_A (T,): per element, a pair uses the mean of its two (GPUMD's convention).
    n_max, basis_size: (radial, angular). w0 (T, neurons, dim), b0 and w1 (T, neurons), b1: output bias.
    c_radial, c_angular (n_max + 1, basis_size + 1, T, T): centre element first. q_scaler (dim,).
    zbl_A: (inner, outer) of the universal ZBL wall, or None. max_neighbours: what GPUMD allocates (radial, angular).
    Raises PotentialUnknown when the parts do not fit together.
    """

    elements: tuple[str, ...]
    cutoff_radial_A: np.ndarray
    cutoff_angular_A: np.ndarray
    n_max: tuple[int, int]
    basis_size: tuple[int, int]
    l_max: int
    has_q222: bool
    has_q1111: bool
    w0: np.ndarray
    b0: np.ndarray
    w1: np.ndarray
    b1: float
    c_radial: np.ndarray
    c_angular: np.ndarray
    q_scaler: np.ndarray
    zbl_A: tuple[float, float] | None = None
    max_neighbours: tuple[int, int] = (500, 300)

    def __post_init__(self) -> None:
        for name in ("cutoff_radial_A", "cutoff_angular_A", "w0", "b0", "w1", "c_radial", "c_angular", "q_scaler"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=float))
        types, neurons, dim = len(self.elements), self.b0.shape[-1], self.dim
        shapes = {
            "cutoff_radial_A": (types,), "cutoff_angular_A": (types,), "w0": (types, neurons, dim),
            "b0": (types, neurons), "w1": (types, neurons), "q_scaler": (dim,),
            "c_radial": (self.n_max[0] + 1, self.basis_size[0] + 1, types, types),
            "c_angular": (self.n_max[1] + 1, self.basis_size[1] + 1, types, types),
        }
        if not self.l_max:
            shapes["c_angular"] = (0, 0, types, types)
        for name, shape in shapes.items():
            found = getattr(self, name)
            if found.shape != shape:
                raise PotentialUnknown(f"NEP model: {name} has shape {found.shape}, not {shape}; {_REMEDY}")
            if not np.isfinite(found).all():
                raise PotentialUnknown(f"NEP model: {name} holds a number that is not finite; {_REMEDY}")
        problem = _header_problem(self)
        if problem:
            raise PotentialUnknown(f"NEP model: {problem}; {_REMEDY}")

    @property
    def dim(self) -> int:
        """Length of an atom's descriptor."""
        many_body = self.l_max + int(self.has_q222) + int(self.has_q1111)
        return self.n_max[0] + 1 + (self.n_max[1] + 1) * many_body

    @property
    def neurons(self) -> int:
        return self.b0.shape[1]

    @property
    def cutoff_A(self) -> float:
        """Largest distance at which two atoms see each other."""
        return float(self.cutoff_radial_A.max())

    def types_of(self, atoms: Atoms) -> np.ndarray:
        """Index of each atom's element in `elements`; raises PotentialUnknown for an element that is not there."""
        table = np.full(len(chemical_symbols), -1, dtype=np.int32)
        table[[atomic_numbers[symbol] for symbol in self.elements]] = np.arange(len(self.elements))
        types = table[atoms.numbers]
        if (types < 0).any():
            missing = sorted({chemical_symbols[z] for z in atoms.numbers[types < 0]})
            raise PotentialUnknown(f"the potential for {' '.join(self.elements)} does not know {', '.join(missing)}: "
                                   "use a potential that holds every element of the cell")
        return types

    @classmethod
    def read(cls, path: str | Path) -> NEPModel:
        """The model in a `nep.txt`; PotentialUnknown names file and line when anything in it is missing or wrong."""
        return _Reader(Path(path)).model()

    def write(self, path: str | Path) -> None:
        """Write `nep.txt`, numbers in full precision, whole or not at all."""
        write_text(path, "\n".join([*self._header(), *(f"  {v!r}" for v in self.parameters().tolist())]) + "\n")

    def _header(self) -> list[str]:
        uniform = len({*self.cutoff_radial_A}) == 1 and len({*self.cutoff_angular_A}) == 1
        pairs = np.column_stack([self.cutoff_radial_A, self.cutoff_angular_A]).tolist()
        cutoffs = [value for pair in (pairs[:1] if uniform else pairs) for value in pair]
        lines = [f"{'nep4' if self.zbl_A is None else 'nep4_zbl'} {len(self.elements)} {' '.join(self.elements)}"]
        if self.zbl_A is not None:
            lines.append("zbl {:.12g} {:.12g}".format(*self.zbl_A))
        lines.append("cutoff " + " ".join(f"{v:.12g}" for v in cutoffs) + " {} {}".format(*self.max_neighbours))
        lines.append("n_max {} {}".format(*self.n_max))
        lines.append("basis_size {} {}".format(*self.basis_size))
        # GPUMD writes the 4-body flag as 2, a remnant of the time when it was an l_max of its own.
        lines.append(f"l_max {self.l_max} {2 * int(self.has_q222)} {int(self.has_q1111)}")
        lines.append(f"ANN {self.neurons} 0")
        return lines

    def parameters(self) -> np.ndarray:
        """All numbers below the header of nep.txt, in its order: for each element w0, b0, w1; b1; the radial and the
        angular coefficients; the scales of the descriptors."""
        networks = [np.concatenate([self.w0[t].ravel(), self.b0[t], self.w1[t]]) for t in range(len(self.elements))]
        return np.concatenate([*networks, [self.b1], self.c_radial.ravel(), self.c_angular.ravel(), self.q_scaler])

    def evaluate(self, atoms: Atoms) -> NEPResult:
        """Energies, forces, virials and descriptors of `atoms` (double precision); raises PotentialUnknown."""
        return _evaluate(self, atoms)


def _header_problem(model: NEPModel) -> str | None:
    """What is wrong with the numbers of the header, in words, or None."""
    if len(set(model.elements)) != len(model.elements) or not model.elements:
        return f"the elements {' '.join(model.elements)} repeat or are none"
    unknown = [symbol for symbol in model.elements if atomic_numbers.get(symbol, 0) < 1]
    if unknown:
        return f"{unknown[0]!r} is not a chemical element"
    radial, angular = model.cutoff_radial_A, model.cutoff_angular_A
    if not (np.all(angular > 0) and np.all(radial >= angular) and np.all(radial <= 100)):
        return "the cutoffs must satisfy 0 < angular <= radial <= 100 A"
    if min(model.n_max) < 0 or min(model.basis_size) < 0 or max(*model.n_max, *model.basis_size) > BASIS_MAX_SUPPORTED:
        return f"n_max and basis_size must lie between 0 and {BASIS_MAX_SUPPORTED}"
    if not 0 <= model.l_max <= L_MAX_SUPPORTED:
        return f"l_max must lie between 0 and {L_MAX_SUPPORTED}"
    if (model.has_q222 and model.l_max < 2) or (model.has_q1111 and model.l_max < 1):
        return "the 4-body term needs l_max >= 2 and the 5-body term l_max >= 1"
    if model.neurons < 1:
        return "the network has no neurons"
    if min(model.max_neighbours) < 1:
        return "the numbers of neighbours on the cutoff line must be 1 or more"
    if model.zbl_A is not None:
        inner, outer = model.zbl_A
        if not (0 < inner < outer):
            return "the ZBL cutoffs must satisfy 0 < inner < outer (flexible ZBL, 'zbl 0 0', is not supported)"
        if outer > angular.min():
            # GPUMD looks for ZBL pairs within the angular cutoff only, so the wall would end in a step.
            return f"the outer ZBL cutoff {outer:g} A exceeds the angular cutoff {angular.min():g} A"
    return None


class _Reader:
    """Reads a `nep.txt` line by line; every complaint names the file and the line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Not splitlines(): a stray form feed or Unicode separator is damage, not a new line.
            self.lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a text file"
            raise PotentialUnknown(f"{path}: cannot be read ({reason}): give the path of a nep.txt") from None
        self.row = len(self.lines)
        if self.lines[-1]:
            # Every writer ends the last line; without its end, digits of the last number may be lost.
            raise self.fail("the file breaks off within this line")
        while self.lines and not self.lines[-1].strip():
            self.lines.pop()
        self.row = 0

    def fail(self, reason: str, remedy: str = _REMEDY, row: int | None = None) -> PotentialUnknown:
        return PotentialUnknown(f"{self.path}: line {self.row if row is None else row}: {reason}; {remedy}")

    def tokens(self, keyword: str, counts: tuple[int, ...]) -> list[str]:
        """Words after `keyword` on the next line, which must be as many as one of `counts`."""
        self.row += 1
        words = self.lines[self.row - 1].split() if self.row <= len(self.lines) else []
        if not words or words[0] != keyword:
            raise self.fail(f"expected the {keyword!r} line, found {' '.join(words)[:40]!r}")
        if len(words) - 1 not in counts:
            raise self.fail(f"{keyword!r} takes {' or '.join(map(str, counts))} numbers, found {len(words) - 1}")
        return words[1:]

    def integers(self, keyword: str, counts: tuple[int, ...]) -> list[int]:
        return [self.integer(word) for word in self.tokens(keyword, counts)]

    def integer(self, word: str) -> int:
        # isdecimal alone accepts other scripts' digits, and int() a sign and underscores; neither is in the format.
        if not (word.isascii() and word.isdecimal() and len(word) < 8):
            raise self.fail(f"{word[:40]!r} is not a whole number")
        return int(word)

    def number(self, word: str, row: int | None = None) -> float:
        try:
            value = float(word) if word.isascii() and "_" not in word else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.fail(f"{word[:40]!r} is not a finite number", row=row)
        return value

    def model(self) -> NEPModel:
        elements, has_zbl = self.title()
        zbl = self.zbl() if has_zbl else None
        types = len(elements)
        words = self.tokens("cutoff", tuple(sorted({4, 2 * types + 2})))
        lengths = [self.number(word) for word in words[:-2]]
        max_neighbours = (self.integer(words[-2]), self.integer(words[-1]))
        cutoffs = np.broadcast_to(np.reshape(lengths, (-1, 2)), (types, 2))
        n_max = self.integers("n_max", (2,))
        basis = self.integers("basis_size", (2,))
        l_max, q222, q1111, *more = self.integers("l_max", (3, 4, 5, 6, 7))
        if any(more):
            raise self.fail("has 4-body terms beyond q222, which are not supported", "train with 'l_max L 2 1'")
        if q222 not in (0, 1, 2) or q1111 not in (0, 1):
            raise self.fail("the 4-body entry must be 0, 1 or 2 and the 5-body entry 0 or 1")
        if not (l_max <= L_MAX_SUPPORTED and max(*n_max, *basis) <= BASIS_MAX_SUPPORTED):
            raise self.fail(f"l_max may be at most {L_MAX_SUPPORTED}, n_max and basis_size {BASIS_MAX_SUPPORTED}")
        neurons, layers = self.integers("ANN", (2,))
        if layers != 0 or not 1 <= neurons <= 1000:
            raise self.fail("'ANN' must be followed by 1 to 1000 neurons and by 0 (one hidden layer)")

        many_body = l_max + int(q222 > 0) + int(q1111 > 0)
        dim = n_max[0] + 1 + (n_max[1] + 1) * many_body
        network = neurons * (dim + 2)
        shape_radial = (n_max[0] + 1, basis[0] + 1, types, types)
        shape_angular = (n_max[1] + 1, basis[1] + 1, types, types) if l_max else (0, 0, types, types)
        counts = [types * network, 1, math.prod(shape_radial), math.prod(shape_angular), dim]
        weights, b1, radial, angular, q_scaler = np.split(self.values(sum(counts)), np.cumsum(counts)[:-1])
        per_type = weights.reshape(types, network)
        split = neurons * dim
        try:
            return NEPModel(
                elements=elements, cutoff_radial_A=cutoffs[:, 0], cutoff_angular_A=cutoffs[:, 1],
                n_max=(n_max[0], n_max[1]), basis_size=(basis[0], basis[1]), l_max=l_max,
                has_q222=q222 > 0, has_q1111=q1111 > 0, w0=per_type[:, :split].reshape(types, neurons, dim),
                b0=per_type[:, split:split + neurons], w1=per_type[:, split + neurons:], b1=float(b1[0]),
                c_radial=radial.reshape(shape_radial), c_angular=angular.reshape(shape_angular), q_scaler=q_scaler,
                zbl_A=zbl, max_neighbours=max_neighbours)
        except PotentialUnknown as error:
            raise PotentialUnknown(f"{self.path}: header: {str(error).removeprefix('NEP model: ')}") from None

    def title(self) -> tuple[tuple[str, ...], bool]:
        self.row = 1
        words = self.lines[0].split() if self.lines else []
        if not words or words[0] not in ("nep4", "nep4_zbl"):
            raise self.fail(f"starts with {' '.join(words)[:40]!r}, not with 'nep4' or 'nep4_zbl'")
        types = self.integer(words[1]) if len(words) > 1 else 0
        if types < 1 or len(words) != 2 + types:
            raise self.fail(f"should name {types} elements, names {max(len(words) - 2, 0)}")
        unknown = [word for word in words[2:] if atomic_numbers.get(word, 0) < 1]
        if unknown:
            raise self.fail(f"{unknown[0][:40]!r} is not a chemical element")
        if len(set(words[2:])) != types:
            raise self.fail("an element is named twice")
        return tuple(words[2:]), words[0].endswith("_zbl")

    def zbl(self) -> tuple[float, float]:
        words = self.tokens("zbl", (2, 3))
        inner, outer = (self.number(word) for word in words[:2])
        if len(words) == 3:
            raise self.fail("typewise ZBL cutoffs are not supported", "train with one 'zbl' cutoff for all elements")
        if inner == outer == 0:
            raise self.fail("flexible ZBL ('zbl 0 0') is not supported", "train with one 'zbl' cutoff for all elements")
        return inner, outer

    def values(self, count: int) -> np.ndarray:
        rows = self.lines[self.row:]
        if len(rows) != count:
            raise self.fail(f"the header asks for {count} parameters below it, the file holds {len(rows)} lines")
        found = np.empty(count)
        for i, line in enumerate(rows):
            words = line.split()
            if len(words) != 1:
                raise self.fail(f"expected one number, found {line.strip()[:40]!r}", row=self.row + 1 + i)
            found[i] = self.number(words[0], row=self.row + 1 + i)
        return found


def chebyshev(r: np.ndarray, cutoff: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """f_k(r) = (T_k(x) + 1) f_c(r) / 2 with x = 2 (r/rc - 1)^2 - 1, and df_k/dr; both (pairs, size + 1)."""
    u = r / cutoff
    fc, dfc = 0.5 * (1 + np.cos(np.pi * u)), -0.5 * np.pi / cutoff * np.sin(np.pi * u)
    x, dx = 2 * (u - 1) ** 2 - 1, 4 * (u - 1) / cutoff
    f = 0.5 * (np.polynomial.chebyshev.chebvander(x, size) + 1)
    # Column k of the identity is the series T_k; chebder differentiates all of them at once.
    slope = np.polynomial.chebyshev.chebder(np.eye(size + 1)) if size else np.zeros((1, 1))
    df = 0.5 * np.polynomial.chebyshev.chebval(x, slope).T * dx[:, None]
    return f * fc[:, None], df * fc[:, None] + f * dfc[:, None]


def harmonics(unit: np.ndarray, l_max: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real solid harmonics Y_lm of unit vectors, their gradients, and the weights that make them invariant.

    Y_lm is d^m P_l(z)/dz^m times the real or imaginary part of (x + iy)^m, ordered l = 1.. and in each l as
    m = 0, Re 1, Im 1, Re 2, ... By the addition theorem sum_m weight_lm Y_lm(u) Y_lm(v) = (2l+1)/(4 pi) P_l(u.v).
    Returns (pairs, L(L+2)), (pairs, L(L+2), 3) as polynomials in x, y, z, and (L(L+2),).
    """
    x, y, z = unit.T
    plane = [(x + 1j * y) ** m for m in range(l_max + 1)]
    values, gradients, weights = [], [], []
    for degree in range(1, l_max + 1):
        legendre = [np.polynomial.legendre.Legendre.basis(degree).deriv(m)(z) for m in range(degree + 2)]
        for m in range(degree + 1):
            weight = (2 if m else 1) * (2 * degree + 1) / (4 * np.pi)
            weight *= math.factorial(degree - m) / math.factorial(degree + m)
            complex_values = legendre[m] * plane[m]
            by_x = legendre[m] * m * plane[m - 1] if m else np.zeros_like(complex_values)
            complex_gradients = np.stack([by_x, 1j * by_x, legendre[m + 1] * plane[m]], axis=-1)
            for part in (np.real, np.imag)[:2 if m else 1]:
                values.append(part(complex_values))
                gradients.append(part(complex_gradients))
                weights.append(weight)
    return np.stack(values, axis=1), np.stack(gradients, axis=1), np.array(weights)


def invariants(model: NEPModel, s: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angular descriptors (N, blocks, n) of the moments s (N, n, lm), and their derivatives (N, blocks, n, lm)."""
    blocks, slopes = [], []
    for degree in range(1, model.l_max + 1):
        span = slice(degree**2 - 1, (degree + 1) ** 2 - 1)
        slope = np.zeros_like(s)
        slope[..., span] = 2 * weights[span] * s[..., span]
        blocks.append((weights[span] * s[..., span] ** 2).sum(axis=-1))
        slopes.append(slope)
    if model.has_q222:
        # The quadrupole as a matrix: our Y_20, Y_21, Y_22 are (3z^2-1)/2, 3xz, 3yz, 3(x^2-y^2), 6xy.
        basis = np.array([np.diag([-1, -1, 2]) / 3, _symmetric(0, 2) / 3, _symmetric(1, 2) / 3,
                          np.diag([1, -1, 0]) / 6, _symmetric(0, 1) / 6])
        quadrupole = np.einsum("inm,mab->inab", s[..., 3:8], basis)
        a, b, c = np.moveaxis(quadrupole, -2, 0)
        cofactors = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=-2)
        slope = np.zeros_like(s)
        slope[..., 3:8] = Q222 * np.einsum("inab,mab->inm", cofactors, basis)
        blocks.append(Q222 * np.einsum("ina,ina->in", a, np.cross(b, c)))
        slopes.append(slope)
    if model.has_q1111:
        square = (s[..., :3] ** 2).sum(axis=-1)
        slope = np.zeros_like(s)
        slope[..., :3] = 4 * Q1111 * square[..., None] * s[..., :3]
        blocks.append(Q1111 * square**2)
        slopes.append(slope)
    return np.stack(blocks, axis=1), np.stack(slopes, axis=1)


def _symmetric(a: int, b: int) -> np.ndarray:
    matrix = np.zeros((3, 3))
    matrix[a, b] = matrix[b, a] = 1.0
    return matrix


def zbl_pair(model: NEPModel, r: np.ndarray, zi: np.ndarray, zj: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy of a pair under the universal ZBL repulsion, switched off from inner to outer, and its slope in r."""
    assert model.zbl_A is not None
    inner, outer = model.zbl_A
    scale = (zi**0.23 + zj**0.23) * ZBL_INVERSE_LENGTH_PER_A
    terms = ZBL_AMPLITUDE * np.exp(-ZBL_DECAY * (r * scale)[:, None])
    phi, dphi = terms.sum(axis=1), -(terms * ZBL_DECAY).sum(axis=1) * scale
    u = np.clip((r - inner) / (outer - inner), 0, 1)
    fc, dfc = 0.5 * (1 + np.cos(np.pi * u)), -0.5 * np.pi / (outer - inner) * np.sin(np.pi * u)
    bare, dbare = phi / r, dphi / r - phi / r**2
    strength = ZBL_COULOMB_EV_A * zi * zj
    return strength * bare * fc, strength * (dbare * fc + bare * dfc)


def _evaluate(model: NEPModel, atoms: Atoms) -> NEPResult:
    count = len(atoms)
    types = model.types_of(atoms)
    # Pairs i -> j (each both ways); v = r_j - r_i including the image.
    i, j, r, v = neighbor_list("ijdD", atoms, model.cutoff_A)
    mean_cutoff = 0.5 * (model.cutoff_radial_A[types[i]] + model.cutoff_radial_A[types[j]])
    keep = r < mean_cutoff
    i, j, r, v, mean_cutoff = i[keep], j[keep], r[keep], v[keep], mean_cutoff[keep]
    near = r < 0.5 * (model.cutoff_angular_A[types[i]] + model.cutoff_angular_A[types[j]])

    # Radial: q_n = sum_j sum_k c_nk f_k(r_ij).
    f, df = chebyshev(r, mean_cutoff, model.basis_size[0])
    c = np.moveaxis(model.c_radial, (2, 3), (0, 1))[types[i], types[j]]
    q_radial = np.zeros((count, model.n_max[0] + 1))
    np.add.at(q_radial, i, np.einsum("pnk,pk->pn", c, f))
    dq_radial = np.einsum("pnk,pk->pn", c, df)

    # Angular: moments s_nlm = sum_j g_n(r_ij) Y_lm, then invariants of them.
    blocks = [q_radial]
    if model.l_max:
        ia, ja, ra, unit = i[near], j[near], r[near], v[near] / r[near, None]
        mean_angular = 0.5 * (model.cutoff_angular_A[types[ia]] + model.cutoff_angular_A[types[ja]])
        f, df = chebyshev(ra, mean_angular, model.basis_size[1])
        c = np.moveaxis(model.c_angular, (2, 3), (0, 1))[types[ia], types[ja]]
        g, dg = np.einsum("pnk,pk->pn", c, f), np.einsum("pnk,pk->pn", c, df)
        y, dy, weights = harmonics(unit, model.l_max)
        s = np.zeros((count, model.n_max[1] + 1, len(weights)))
        np.add.at(s, ia, g[:, :, None] * y[:, None, :])
        q_angular, dq_angular = invariants(model, s, weights)
        blocks.append(q_angular.reshape(count, -1))
    q = np.concatenate(blocks, axis=1)

    # Network of the atom's element, and dE/dq.
    w0 = model.w0[types] * model.q_scaler
    hidden = np.tanh(np.einsum("ihd,id->ih", w0, q) - model.b0[types])
    energies = (model.w1[types] * hidden).sum(axis=1) - model.b1
    slope = np.einsum("ihd,ih->id", w0, model.w1[types] * (1 - hidden**2))

    # Gradient of the centre's energy with respect to v, pair by pair.
    split = model.n_max[0] + 1
    gradient = np.einsum("pn,pn->p", slope[i, :split], dq_radial)[:, None] * v / r[:, None]
    if model.l_max:
        ds = np.einsum("ibn,ibnm->inm", slope[:, split:].reshape(q_angular.shape), dq_angular)
        along = np.einsum("pnm,pn,pm->p", ds[ia], dg, y)
        across = np.einsum("pnm,pn,pma->pa", ds[ia], g, dy)
        across -= (across * unit).sum(axis=1, keepdims=True) * unit
        gradient[near] += along[:, None] * unit + across / ra[:, None]
    if model.zbl_A is not None:
        number = np.array([atomic_numbers[symbol] for symbol in model.elements], dtype=float)[types]
        close = r < model.zbl_A[1]
        wall, dwall = zbl_pair(model, r[close], number[i[close]], number[j[close]])
        np.add.at(energies, i[close], 0.5 * wall)
        gradient[close] += (0.5 * dwall / r[close])[:, None] * v[close]

    forces = np.zeros((count, 3))
    np.add.at(forces, i, gradient)
    np.add.at(forces, j, -gradient)
    # The share of a pair goes to the neighbour, so that sums over atoms give heat currents (Fan et al. 2015).
    virials = np.zeros((count, 3, 3))
    np.add.at(virials, j, v[:, :, None] * gradient[:, None, :])
    return NEPResult(energies, forces, virials, q)
