"""The Eliashberg spectral function alpha^2F(omega): its quadrature, its moments, and what makes it implausible.

Frequencies are in kelvin throughout (hbar omega / k_B), so that they stand beside Tc without a factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megabar.campaign.files import atomic_path, write_csv
from megabar.errors import InputError

KELVIN_PER = {
    "THz": 47.992430733,  # h / k_B
    "meV": 11.604518122,  # e / k_B
    "cm-1": 1.4387768775,  # h c / k_B
    "Ry": 157887.51240,  # Rydberg energy / k_B
    "Ha": 315775.02480,  # Hartree energy / k_B
    "K": 1.0,
}
"""Kelvin per unit of frequency (CODATA 2018, doi:10.1103/RevModPhys.93.025010)."""

SOFTEST_MAXIMUM_K, HARDEST_MAXIMUM_K = 40.0, 7000.0
"""The highest phonon of a solid lies between these: solid Cs ends near 70 K, the vibron of H2 at 6300 K (4401 1/cm)."""
WEAKEST_LAMBDA, STRONGEST_LAMBDA = 0.02, 15.0
"""Coupling constants outside are not those of a metal (alkali metals have 0.1-0.2, the softest hydrides 5-6)."""
MINIMUM_ROWS = 8
MASS_RATIO_D_TO_H = 2.01410177812 / 1.00782503223
"""AME2020, doi:10.1088/1674-1137/abddaf."""


@dataclass(frozen=True)
class Spectrum:
    """alpha^2F as a quadrature: `weight_K[j]` is alpha^2F(omega_K[j]) times the frequency interval it stands for.

    Both arrays have shape (n,), in K. Everything that follows (moments, Matsubara kernel) is a sum over j, so a delta
    peak is a spectrum with one node, and a change of mass moves nodes. `omega_max_K` is the frequency at which mu* is
    defined: the highest phonon of the spectrum as first given.
    """

    omega_K: np.ndarray
    weight_K: np.ndarray
    omega_max_K: float

    @classmethod
    def einstein(cls, coupling: float, omega_K: float) -> Spectrum:
        """One mode: alpha^2F = (lambda omega_E / 2) delta(omega - omega_E)."""
        return cls(np.array([omega_K]), np.array([0.5 * coupling * omega_K]), omega_K)

    @property
    def coupling(self) -> float:
        """lambda = 2 int alpha^2F / omega."""
        return float(2.0 * np.sum(self.weight_K / self.omega_K))

    @property
    def omega_log_K(self) -> float:
        """exp[(2/lambda) int (alpha^2F / omega) ln omega]."""
        return float(np.exp(2.0 / self.coupling * np.sum(self.weight_K / self.omega_K * np.log(self.omega_K))))

    @property
    def omega_2_K(self) -> float:
        """[(2/lambda) int alpha^2F omega]^(1/2)."""
        return float(np.sqrt(2.0 / self.coupling * np.sum(self.weight_K * self.omega_K)))

    def with_mass(self, ratio: float, above_K: float = 0.0) -> Spectrum:
        """The spectrum after the mass behind all modes above `above_K` is multiplied by `ratio`.

        Harmonic force constants do not change, so omega goes as M^(-1/2) and lambda = N<I^2>/(M omega^2) stays: each
        node keeps weight/omega. Modes that mix two elements are assigned to the side on which they lie. `omega_max_K`
        stays, since the Coulomb repulsion between electrons knows nothing of the mass.
        """
        factor = np.where(self.omega_K >= above_K, ratio**-0.5, 1.0)
        omega, weight = self.omega_K * factor, self.weight_K * factor
        order = np.argsort(omega, kind="stable")
        return Spectrum(omega[order], weight[order], self.omega_max_K)


@dataclass(frozen=True)
class Alpha2F:
    """alpha^2F(omega) on the grid of its file; shapes (n,), frequencies in K, alpha^2F without unit."""

    omega_K: np.ndarray
    alpha2f: np.ndarray
    source: str
    unit: str
    layout: str
    column: int
    warnings: tuple[str, ...] = ()

    @property
    def omega_max_K(self) -> float:
        """Highest frequency whose alpha^2F exceeds a thousandth of the peak: tails and padding do not count."""
        return float(self.omega_K[np.nonzero(self.alpha2f > 1e-3 * self.alpha2f.max())[0][-1]])

    def spectrum(self, nodes: int = 2000) -> Spectrum:
        """Trapezoid quadrature of the curve joined by straight lines, on a grid refined to at least `nodes` points."""
        positive = self.omega_K > 0.0
        omega, values = self.omega_K[positive], self.alpha2f[positive]
        parts = max(1, -(-nodes // (len(omega) - 1)))
        fine = np.interp(np.arange((len(omega) - 1) * parts + 1) / parts, np.arange(len(omega)), omega)
        curve = np.interp(fine, omega, values)
        width = np.empty_like(fine)
        width[1:-1] = 0.5 * (fine[2:] - fine[:-2])
        width[0], width[-1] = 0.5 * (fine[1] - fine[0]), 0.5 * (fine[-1] - fine[-2])
        keep = curve != 0.0
        return Spectrum(fine[keep], (curve * width)[keep], self.omega_max_K)

    def cumulative_coupling(self) -> np.ndarray:
        """lambda(omega) = 2 int_0^omega alpha^2F / omega' on the grid of the file, shape (n,)."""
        integrand = np.divide(2.0 * self.alpha2f, self.omega_K, out=np.zeros_like(self.alpha2f), where=self.omega_K > 0)
        steps = 0.5 * (integrand[1:] + integrand[:-1]) * np.diff(self.omega_K)
        return np.concatenate([[0.0], np.cumsum(steps)])

    def columns(self) -> dict[str, Any]:
        return {"omega_K": self.omega_K, "omega_meV": self.omega_K / KELVIN_PER["meV"], "alpha2f": self.alpha2f,
                "cumulative_lambda": self.cumulative_coupling()}

    def save(self, directory: str | Path) -> None:
        """`alpha2f.png` with `alpha2f.csv` beside it."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib.figure import Figure

        write_csv(Path(directory) / "alpha2f.csv", self.columns())
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        self.plot(figure.add_subplot())
        with atomic_path(Path(directory) / "alpha2f.png") as path:
            figure.savefig(path, dpi=150)

    def plot(self, ax: Any) -> None:
        """alpha^2F against frequency in meV, with the cumulative lambda on the right-hand axis."""
        shown = self.columns()
        ax.fill_between(shown["omega_meV"], shown["alpha2f"], color="#9ecae1", lw=0)
        ax.plot(shown["omega_meV"], shown["alpha2f"], color="#2171b5", lw=1.0)
        ax.set_xlabel("frequency (meV)")
        ax.set_ylabel(r"$\alpha^2F$", color="#2171b5")
        ax.set_xlim(0.0, self.omega_max_K / KELVIN_PER["meV"] * 1.05)
        ax.set_ylim(min(0.0, float(self.alpha2f.min())), None)
        right = ax.twinx()
        right.plot(shown["omega_meV"], shown["cumulative_lambda"], color="#cb181d", lw=1.4)
        right.set_ylabel(r"cumulative $\lambda$", color="#cb181d")
        right.set_ylim(0.0, None)


def checked(omega: np.ndarray, values: np.ndarray, unit: str, source: str, layout: str, column: int,
            stated_lambda: float | None = None) -> Alpha2F:
    """Alpha2F from raw columns (shape (n,), `omega` in `unit`) after every check that a file can fail.

    Raises InputError for too few rows, frequencies that do not rise, strongly negative alpha^2F, a highest frequency
    no solid has (a wrong unit), or a coupling constant no metal has (a wrong column). What is odd but usable is kept
    as it is and reported in `warnings`.
    """
    warnings: list[str] = []
    if len(omega) < MINIMUM_ROWS:
        raise InputError(f"{source}: only {len(omega)} rows of numbers; give {MINIMUM_ROWS} frequencies or more")
    if not (np.all(np.isfinite(omega)) and np.all(np.isfinite(values))):
        raise InputError(f"{source}: holds NaN or infinite numbers; mend those rows")
    steps = np.diff(omega)
    if np.any(steps <= 0.0):
        row = int(np.argmax(steps <= 0.0)) + 2
        raise InputError(f"{source}: frequencies do not rise at row {row} ({omega[row - 2]:g}, {omega[row - 1]:g}); "
                         "sort the rows, and give one spin or one smearing at a time")
    peak = float(np.max(np.abs(values)))
    if values.max() <= 0.0 < peak:
        raise InputError(f"{source}: column {column} has no positive alpha2F; choose another with --column")
    if peak == 0.0:
        raise InputError(f"{source}: column {column} holds only zeros; choose another with --column")
    unstable = omega < 0.0
    if np.any(np.abs(values[unstable]) > 1e-3 * peak):
        raise InputError(f"{source}: alpha2F at negative (imaginary) frequencies: the structure is dynamically "
                         "unstable; give the spectrum of a stable one")
    omega, values = omega[~unstable], values[~unstable]
    omega_K = omega * KELVIN_PER[unit]
    curve = Alpha2F(omega_K, values, source, unit, layout, column)
    positive = omega_K > 0.0
    shares = values[positive] / omega_K[positive] * np.gradient(omega_K[positive])
    negative = float(-shares[shares < 0.0].sum() / np.abs(shares).sum())
    if values.min() < -0.05 * peak or negative > 0.02:
        where = f"{values.min():.3g} at {omega[np.argmin(values)]:g} {unit}"
        raise InputError(f"{source}: alpha2F is negative (down to {where}), "
                         "which it cannot be; use Gaussian smearing of the phonons, or mend the column")
    if negative > 1e-6:
        warnings.append(f"alpha2F dips to {values.min():.3g} ({100 * negative:.2g} % of lambda), as Methfessel-Paxton "
                        "smearing does; kept as it is")
    if omega_K[0] == 0.0 and values[0] > 1e-3 * peak:
        warnings.append("alpha2F does not vanish at zero frequency; that point is left out")
    spectrum = curve.spectrum()
    top = curve.omega_max_K
    if not SOFTEST_MAXIMUM_K <= top <= HARDEST_MAXIMUM_K:
        highest = top / KELVIN_PER[unit]
        fitting = [u for u, k in KELVIN_PER.items() if SOFTEST_MAXIMUM_K <= highest * k <= HARDEST_MAXIMUM_K]
        remedy = f"did you mean --unit {' or '.join(fitting)}?" if fitting else "check the frequency column"
        raise InputError(f"{source}: the highest phonon, {highest:.4g} {unit} = {top:.3g} K, is that of no solid "
                         f"({SOFTEST_MAXIMUM_K:g}-{HARDEST_MAXIMUM_K:g} K); {remedy}")
    coupling = spectrum.coupling
    if not WEAKEST_LAMBDA <= coupling <= STRONGEST_LAMBDA:
        raise InputError(f"{source}: lambda = {coupling:.3g} from column {column} is that of no metal "
                         f"({WEAKEST_LAMBDA:g}-{STRONGEST_LAMBDA:g}); is that column alpha2F? choose with --column")
    if stated_lambda is not None and abs(stated_lambda / coupling - 1.0) > 0.05:
        warnings.append(f"the file states lambda = {stated_lambda:.4g}, column {column} integrates to {coupling:.4g}")
    first = values[positive][0]
    if first > 0.005 * coupling:
        # Debye: alpha^2F goes as omega^2 at the low end, so the missing piece adds alpha^2F(omega_1) to lambda.
        warnings.append(f"the low-frequency end is missing: below {omega[positive][0]:g} {unit} about {first:.2g} of "
                        f"lambda is not in the file")
    return Alpha2F(omega_K, values, source, unit, layout, column, tuple(warnings))
