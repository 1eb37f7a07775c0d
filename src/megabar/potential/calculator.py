"""ASE calculator of a NEP4 model, on the compiled kernel or on the plain NumPy reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import atomic_numbers

from megabar.errors import InputError, RunError
from megabar.potential.nep import NEPModel, NEPResult

if TYPE_CHECKING:
    from megabar.kernel import _nep
    from megabar.potential.uncertainty import ActiveSet

Precision = Literal["double", "single"]


class NEP(Calculator):
    """Energy, forces and stress of a NEP4 model.

    `precision`: "double", or "single" for float inner loops with double sums (forces good to about 1e-5 eV/A).
    `backend`: "kernel" (C++) or "numpy" (the reference, double only, slow). Results: energy and
    free_energy (eV; the model is trained on free energies), energies (N,), forces (N, 3) eV/A, stress (6,) and
    stresses (N, 6) in eV/A^3, Voigt order, tension positive, for cells with three periodic directions; with an
    `active_set` also grade (N,), the extrapolation grade, above 1 outside what the model was trained on. Raises
    PotentialUnknown for an unknown element or an active set of another model, InputError for a cell that cannot be
    computed and RunError when a result is not finite.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress", "stresses"]
    default_parameters: dict[str, Any] = {}
    nolabel = True

    def __init__(self, model: NEPModel, *, precision: Precision = "double", backend: str = "kernel",
                 active_set: ActiveSet | None = None) -> None:
        super().__init__()
        if backend not in ("kernel", "numpy"):
            raise InputError(f"backend {backend!r} is unknown: use 'kernel' or 'numpy'")
        if precision not in ("double", "single") or (backend == "numpy" and precision != "double"):
            raise InputError(f"precision {precision!r} is not offered by the {backend} backend: use 'double'")
        self.model = model
        if active_set is not None:
            active_set.require(model)
            self.implemented_properties = [*self.implemented_properties, "grade"]
        self.active_set = active_set
        self.kernel = _kernel(model, precision == "single") if backend == "kernel" else None

    def calculate(self, atoms: Atoms | None = None, properties: list[str] | None = None,
                  system_changes: list[str] = all_changes) -> None:
        super().calculate(atoms, properties or ["energy"], system_changes)
        assert self.atoms is not None
        result = self.evaluate(self.atoms, descriptors=self.active_set is not None)
        types = self.model.types_of(self.atoms)
        energies = result.energies_eV
        self.results = {"energy": float(energies.sum()), "free_energy": float(energies.sum()), "energies": energies,
                        "forces": result.forces_eV_per_A}
        if self.active_set is not None:
            self.results["grade"] = self.active_set.grade(types, result.descriptors)
        if self.atoms.cell.rank == 3 and self.atoms.pbc.all():
            volume = self.atoms.get_volume()
            symmetric = 0.5 * (result.virials_eV + result.virials_eV.transpose(0, 2, 1)) / volume
            self.results["stresses"] = symmetric[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]  # xx yy zz yz xz xy
            self.results["stress"] = self.results["stresses"].sum(axis=0)

    def evaluate(self, atoms: Atoms, *, descriptors: bool = False) -> NEPResult:
        """Energies, forces, virials and, when asked, descriptors of `atoms`."""
        if len(atoms) == 0:
            raise InputError("the cell holds no atoms: give a structure with at least one")
        types = self.model.types_of(atoms)
        cell = atoms.cell.complete()
        if not (np.isfinite(atoms.positions).all() and np.isfinite(cell).all()):
            raise InputError("the cell holds a position or lattice vector that is not finite: mend the structure")
        if self.kernel is None:
            result = self.model.evaluate(atoms)
        else:
            pbc = tuple(bool(p) for p in atoms.pbc)
            try:
                energies, forces, virials, q = self.kernel.evaluate(
                    np.ascontiguousarray(atoms.positions), np.ascontiguousarray(cell), pbc, types, descriptors)
            except ValueError as error:
                lattice = " ".join(f"{value:.3g}" for value in np.ravel(cell))
                raise InputError(f"lattice {lattice}: {error}; give a cell with volume") from None
            result = NEPResult(energies, forces, virials, np.empty((len(atoms), 0)) if q is None else q)
        if not (np.isfinite(result.energies_eV).all() and np.isfinite(result.forces_eV_per_A).all()):
            raise RunError("the potential gives forces that are not finite: two atoms coincide, separate them")
        return result


def _kernel(model: NEPModel, single: bool) -> _nep.NEP:
    try:
        from megabar.kernel import _nep
    except ImportError as error:
        raise InputError(f"the compiled kernel cannot be loaded ({error}): install megabar with pip") from None
    inner, outer = model.zbl_A or (0.0, 0.0)
    return _nep.NEP(
        atomic_numbers=np.array([atomic_numbers[element] for element in model.elements], dtype=np.int32),
        cutoff_radial=model.cutoff_radial_A, cutoff_angular=model.cutoff_angular_A, l_max=model.l_max,
        has_q222=model.has_q222, has_q1111=model.has_q1111, w0=model.w0, b0=model.b0, w1=model.w1, b1=model.b1,
        c_radial=model.c_radial, c_angular=model.c_angular, q_scaler=model.q_scaler, zbl_inner=inner,
        zbl_outer=outer, single=single)
