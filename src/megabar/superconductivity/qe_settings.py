"""Settings of an electron-phonon run."""

from __future__ import annotations

from pydantic import Field, field_validator

from megabar.campaign.settings import Settings
from megabar.errors import InputError


class ElectronPhononSettings(Settings):
    """Settings of `megabar elph`."""

    cutoff_Ry: float = Field(80.0, gt=10, le=400, description="Plane-wave cutoff in Ry (norm-conserving potentials).")
    functional: str = Field("PBE", description="PBE, PBESOL or LDA: the folder of the pseudopotentials.")
    k_mesh: tuple[int, int, int] = Field((8, 8, 8), description="Gamma-centred mesh of the phonons' electrons.")
    dense_factor: int = Field(2, ge=1, le=8, description="The Fermi-surface sums use a mesh this many times denser.")
    q_mesh: tuple[int, int, int] = Field((2, 2, 2), description="Mesh of phonons; it must divide the k-mesh.")
    smearing_Ry: float = Field(0.03, gt=0, le=0.2, description="Methfessel-Paxton smearing of the occupations in Ry.")
    broadening_step_Ry: float = Field(0.005, gt=0, le=0.1, description="Step of the broadenings of the Fermi surface.")
    broadenings: int = Field(10, ge=3, le=40, description="How many broadenings, one step apart.")
    broadening_Ry: float | None = Field(None, gt=0, description="The one to report; without it, where lambda is flat.")
    fine_mesh: tuple[int, int, int] = Field((36, 36, 36), description="Mesh of the interpolated phonons.")
    mu_star: float = Field(0.10, ge=0, le=0.3, description="Coulomb pseudopotential, defined at the highest phonon.")
    path_points: int = Field(80, ge=20, le=1000, description="Points along the path of bands and phonons.")
    launcher: str = Field("", description="Goes before each program, like 'mpirun -n 8'.")

    @field_validator("k_mesh", "q_mesh", "fine_mesh")
    @classmethod
    def _positive(cls, value: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(value) < 1 or max(value) > 200:
            raise ValueError("three counts from 1 to 200, like [8, 8, 8]")
        return value

    def check_meshes(self) -> None:
        """InputError unless the q-mesh divides the k-mesh and the broadening asked for is among those computed."""
        if any(k % q for k, q in zip(self.k_mesh, self.q_mesh, strict=True)):
            raise InputError(f"q-mesh {self.q_mesh} does not divide k-mesh {self.k_mesh}; ph.x needs k and k + q on "
                             "one mesh: give multiples, like k 8 and q 4")
        largest = self.broadening_step_Ry * self.broadenings
        least, asked = self.broadening_step_Ry, self.broadening_Ry
        if asked is not None and not 0.99 * least <= asked <= 1.01 * largest:
            raise InputError(f"broadening {asked:g} Ry lies outside {least:g}-{largest:g} Ry, those computed; choose "
                             "one of them")
