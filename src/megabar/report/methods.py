"""The methods of a run in sentences that can go into a paper, from what the run recorded of itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from megabar.dynamics.protocols import BAROSTAT_PS, STARTUP_BAROSTAT_PS, THERMOSTAT_PS
from megabar.reaction import speciation
from megabar.reaction.analysis import BLOCK_PS
from megabar.reaction.layers import LAG_PS, MOBILITY_LIMIT, ORDER_LIMIT
from megabar.reaction.settings import beside
from megabar.report.run_folder import RunFolder

_DYNAMICS = ("10.1063/1.467468", "10.1103/PhysRevB.69.134103", "10.1088/1361-648X/aa680e")
_SLAB = ("10.1088/0022-3719/12/22/036", "10.1038/383702a0")
_LEVEL = ("10.1103/PhysRevLett.77.3865", "10.1063/5.0182685")


def methods(run: RunFolder) -> list[str]:
    """Paragraphs: potential, cell, dynamics, analysis, and what is not in the run."""
    result, settings = run.result, run.settings
    return [_potential(run), _cell(result, run.reactant), _dynamics(result, run.reactant, settings),
            _analysis(), _limits(run.reactant)]


def card(run: RunFolder) -> Mapping[str, Any]:
    """Card of the run's potential, where it is still to be found and still the same file; else nothing."""
    from megabar.campaign.files import file_hash
    from megabar.errors import MegabarError
    from megabar.potential.library import load

    try:
        potential = load(str(run.settings.get("potential") or run.result["potential"]))
    except MegabarError:
        return {}
    same = file_hash(potential.nep_path) == run.record.get("hashes", {}).get("nep.txt")
    return potential.card if same else {}


def _potential(run: RunFolder) -> str:
    known = card(run)
    name = run.result["potential"]
    text = f"Forces came from the neuroevolution potential (NEP4) {name}"
    if version := known.get("version"):
        text += f", version {version}"
    text += f" (SHA-256 of its file begins {run.record.get('hashes', {}).get('nep.txt', 'unknown')})"
    data = known.get("dataset", {})
    if "frames" in data:
        levels = known.get("level", [])
        level = ", ".join(levels) if isinstance(levels, list) else str(levels)
        text += f", trained on {data['frames']} labelled cells" + (f" (level of theory {level})" if level else "")
    domain = known.get("domain", {}).get("pressure_GPa")
    if domain:
        text += f" between {domain[0]:g} and {domain[1]:g} GPa"
    energy = _pooled(known, "energy_rmse_meV_per_atom", "frames")
    force = _pooled(known, "force_rmse_eV_per_A", "atoms")
    if energy is not None and force is not None:
        text += f". On held-out cells its root-mean-square errors are {energy:.0f} meV/atom and {force:.2f} eV/Å"
    return text + "."


def _pooled(known: Mapping[str, Any], name: str, weight: str) -> float | None:
    """Root-mean-square error over all kinds of held-out cells, weighted by their frames or atoms."""
    kinds = known.get("errors_validation")
    if not isinstance(kinds, Mapping):
        return None
    parts = [(kind[weight], kind[name]) for kind in kinds.values()
             if isinstance(kind, Mapping) and name in kind and weight in kind]
    total = sum(n for n, _ in parts)
    return math.sqrt(sum(n * error**2 for n, error in parts) / total) if total else None


def _cell(result: Mapping[str, Any], reactant: str) -> str:
    formula, phase = result["formula"], result["phase"]
    hydrogens = result["atoms"] - result["metal_atoms"] - 2 * result["h2_molecules"]
    if reactant == "none":
        return (f"A periodic block of {formula} ({phase}) with {result['metal_atoms']} metal and {hydrogens} hydrogen "
                "atoms was built from conventional cells.")
    text = (f"A slab of {formula} ({phase}, face {result['face']}) with {result['metal_atoms']} metal and {hydrogens} "
            "hydrogen atoms was cut, after its periodic crystal had been brought to temperature and pressure, where "
            "formal charges leave no dipole, an outermost layer that is cut being shared by both faces (Tasker)")
    if reactant == "H2":
        return (text + f"; {result['h2_molecules']} H2 molecules, equilibrated by themselves over the same in-plane "
                "cell, fill the rest of the periodic cell, and both seams were closed with the slab held by springs.")
    return text + ("; nothing stands beside it: smooth harmonic walls, where the outermost atoms of each element "
                   "stood, hold its density, and the cell is fixed.")


def _dynamics(result: Mapping[str, Any], reactant: str, settings: Mapping[str, Any]) -> str:
    step = settings.get("timestep_fs")
    text = ("Molecular dynamics ran on LAMMPS" + (f" with a time step of {step:g} fs" if step else "")
            + f"; velocities were drawn with seed {settings.get('seed', 0)}. "
            f"Equilibration ({settings.get('equilibration', '?')} for each phase, a third of it for the contact) used "
            f"Langevin friction ({THERMOSTAT_PS:g} ps)")
    if reactant == "vacuum":
        return (text + f". The run itself, {result['time_ps']:g} ps at {result['temperature_K']:.0f} K and constant "
                f"volume, used a Nosé-Hoover chain ({THERMOSTAT_PS:g} ps); its density is that of the crystal at "
                f"{result['pressure_GPa']:g} GPa, and the mean pressure in the slab came out as "
                f"{result['mean_pressure_GPa']:.1f} GPa.")
    return (text + f" and a damped barostat ({STARTUP_BAROSTAT_PS:g} ps). The run itself, {result['time_ps']:g} ps at "
            f"{result['temperature_K']:.0f} K and {result['pressure_GPa']:g} GPa, used Nosé-Hoover chains for "
            f"temperature ({THERMOSTAT_PS:g} ps) and pressure ({BAROSTAT_PS:g} ps; Martyna, Tobias and Klein; Shinoda, "
            "Shiga and Mikami), the axis across the slab coupled apart from the in-plane axes, which kept their ratio. "
            f"Over its second half the means were {result['mean_temperature_K']:.0f} K and "
            f"{result['mean_pressure_GPa']:.2f} GPa ({result['mean_pressure_normal_GPa']:.2f} GPa along the normal).")


def _analysis() -> str:
    return (f"Hydrogen atoms that are mutual nearest neighbours under {speciation.BOND_A:g} Å in at least half of "
            f"{speciation.WINDOW} successive frames are an H2 unit; hydridic H has no other H within "
            f"{speciation.HYDRIDIC_A:g} Å. The hydride is where the smoothed metal density exceeds half its bulk value "
            "(Gibbs surfaces); uptake counts H there per metal. Metal layers are disordered where most atoms have an "
            f"averaged q6 (Steinhardt; Lechner and Dellago) below {ORDER_LIMIT:g} and match no known sublattice, from "
            f"positions averaged over {BLOCK_PS:g} ps, and mobile where their in-plane displacement over {LAG_PS:g} "
            f"ps exceeds {MOBILITY_LIMIT:g} neighbour distances; both are needed to call a layer liquid. Rates were "
            "fitted from the onset of uptake to saturation, with errors by a moving-block bootstrap (Künsch) within "
            "the run, which do not hold the scatter between seeds. The product is named by its metal sublattice, its "
            "H per metal and the symmetry (spglib) of the time-averaged cell.")


def _limits(reactant: str) -> str:
    quantum = "Not in this run: nuclear quantum effects"
    if reactant == "H2":
        quantum += (" (the zero-point energy of H2 is about 0.26 eV per H at 100 GPa), local heating by the reaction "
                    "(a global thermostat takes its heat)")
    return (quantum + ", defects and grain boundaries of a real sample. One run is one seed: repeat it with "
            "'megabar react --series'.")


def dois(run: RunFolder) -> tuple[str, ...]:
    """DOIs that the sentences rest on, beside the citations in the run's own record."""
    levels = str(card(run).get("level", ""))
    return (*_DYNAMICS, *(_LEVEL if "gpaw" in levels else ()), *(_SLAB if run.reactant != "none" else ()))


def title(run: RunFolder) -> str:
    """Like "CaH2 | H2 at 40 GPa and 1473 K"."""
    result = run.result
    return (f"{beside(result['formula'], run.reactant)} at {result['pressure_GPa']:g} GPa and "
            f"{result['temperature_K']:.0f} K")
