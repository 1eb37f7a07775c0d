"""Errors of a potential on labelled frames, by group, with parity figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.errors import InputError
from megabar.potential.dataset import LabelledFrame
from megabar.units import EV_PER_A3_IN_GPA, stress_matrix

_VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])


@dataclass(frozen=True)
class Residuals:
    """Reference and prediction of one frame: energies eV/atom, forces (n, 3) eV/A, stress six Voigt numbers in GPa."""

    group: str
    atoms: int
    energy_eV_per_atom: tuple[float, float]
    forces_eV_per_A: tuple[np.ndarray, np.ndarray]
    stress_GPa: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """Errors by group; `groups[name]` holds frames, atoms and RMSE and MAE of energy, force and stress."""

    groups: dict[str, dict[str, float]]
    overall: dict[str, float]
    residuals: tuple[Residuals, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"groups": self.groups, "overall": self.overall}

    def save(self, out: str | Path) -> None:
        """`evaluation.json`, `parity.csv` (per frame) and `parity.png` in folder `out`."""
        out = Path(out)
        write_json(out / "evaluation.json", self.as_dict())
        write_csv(out / "parity.csv", {
            "group": [r.group for r in self.residuals],
            "atoms": [r.atoms for r in self.residuals],
            "energy_reference_eV_per_atom": [r.energy_eV_per_atom[0] for r in self.residuals],
            "energy_predicted_eV_per_atom": [r.energy_eV_per_atom[1] for r in self.residuals],
            "force_rmse_eV_per_A": [_rms(r.forces_eV_per_A[1] - r.forces_eV_per_A[0]) for r in self.residuals],
            "pressure_reference_GPa": [-r.stress_GPa[0][:3].mean() for r in self.residuals],
            "pressure_predicted_GPa": [-r.stress_GPa[1][:3].mean() for r in self.residuals],
        })
        self._figure(out / "parity.png")

    def _figure(self, path: Path) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10.5, 3.6), layout="constrained")
        axes = figure.subplots(1, 3)
        names = list(self.groups)
        for i, name in enumerate(names):
            mine = [r for r in self.residuals if r.group == name]
            style = {"s": 9, "alpha": 0.7, "color": f"C{i % 10}", "linewidths": 0,
                     "marker": "os^vD"[i // 10 % 5]}
            axes[0].scatter(*np.array([r.energy_eV_per_atom for r in mine]).T, label=name, **style)
            axes[1].scatter(*(np.concatenate([r.forces_eV_per_A[k].ravel() for r in mine]) for k in (0, 1)), **style)
            axes[2].scatter(*(np.concatenate([r.stress_GPa[k] for r in mine]) for k in (0, 1)), **style)
        titles = (("Energy (eV/atom)", "energy_rmse_meV_per_atom", "meV/atom"),
                  ("Force (eV/A)", "force_rmse_eV_per_A", "eV/A"), ("Stress (GPa)", "stress_rmse_GPa", "GPa"))
        for axis, (title, key, unit) in zip(axes, titles, strict=True):
            low, high = axis.get_xlim()
            axis.plot([low, high], [low, high], color="0.4", lw=0.8, zorder=0)
            axis.set_xlim(low, high)
            axis.set_xlabel(f"{title}, reference")
            axis.set_ylabel("predicted")
            axis.set_title(f"RMSE {self.overall[key]:.3g} {unit}", fontsize=10)
        figure.legend(loc="outside right upper", fontsize=7, markerscale=1.5)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=200)


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def evaluate(calculator: Calculator, frames: Sequence[LabelledFrame], group_by: str = "kind") -> Evaluation:
    """Errors of `calculator` on `frames` grouped by `info[group_by]`; frames without that key form the group "all".

    Energy errors are per atom and absolute at the reference level; force errors per Cartesian component; stress
    errors per independent component. Raises InputError when there are no frames.
    """
    if not frames:
        raise InputError("no labelled frames to evaluate; give a file with REF_energy, REF_forces and REF_stress")
    residuals = []
    for frame in frames:
        atoms = frame.atoms.copy()
        atoms.calc = calculator
        energy = atoms.get_potential_energy()
        stress = stress_matrix(atoms.get_stress(voigt=False))
        n = len(atoms)
        residuals.append(Residuals(
            str(frame.atoms.info.get(group_by, "all")), n, (frame.energy_eV / n, energy / n),
            (frame.forces_eV_per_A, np.array(atoms.get_forces())),
            (frame.stress_eV_per_A3[_VOIGT] * EV_PER_A3_IN_GPA, stress[_VOIGT] * EV_PER_A3_IN_GPA),
        ))
    names = sorted({r.group for r in residuals})
    groups = {name: _errors([r for r in residuals if r.group == name]) for name in names}
    return Evaluation(groups, _errors(residuals), tuple(residuals))


def _errors(residuals: Sequence[Residuals]) -> dict[str, float]:
    energy = 1000.0 * np.array([r.energy_eV_per_atom[1] - r.energy_eV_per_atom[0] for r in residuals])
    force = np.concatenate([(r.forces_eV_per_A[1] - r.forces_eV_per_A[0]).ravel() for r in residuals])
    stress = np.concatenate([r.stress_GPa[1] - r.stress_GPa[0] for r in residuals])
    return {
        "frames": len(residuals),
        "atoms": int(sum(r.atoms for r in residuals)),
        "energy_rmse_meV_per_atom": _rms(energy), "energy_mae_meV_per_atom": float(np.abs(energy).mean()),
        "force_rmse_eV_per_A": _rms(force), "force_mae_eV_per_A": float(np.abs(force).mean()),
        "stress_rmse_GPa": _rms(stress), "stress_mae_GPa": float(np.abs(stress).mean()),
    }


def error_rows(evaluation: Evaluation) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of the error table, groups first and everything together last."""
    columns = ["group", "frames", "E RMSE meV/atom", "E MAE", "F RMSE eV/A", "F MAE", "S RMSE GPa", "S MAE"]
    keys = ["energy_rmse_meV_per_atom", "energy_mae_meV_per_atom", "force_rmse_eV_per_A", "force_mae_eV_per_A",
            "stress_rmse_GPa", "stress_mae_GPa"]
    named = [*evaluation.groups.items(), ("all frames", evaluation.overall)]
    return columns, [[name, int(e["frames"]), *(float(f"{e[k]:.3g}") for k in keys)] for name, e in named]
