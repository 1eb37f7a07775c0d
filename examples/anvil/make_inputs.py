"""Writes the inputs of docs/anvil.md. The spectra and the measured pattern are synthetic, with the truth said here.

Na2He.cif     the cell that PBE gives at 140 GPa (a = 4.372 A; `megabar elf Na2He.cif` prints its pressure)
Na-tI19.cif   a periodic stand-in for host-guest sodium, see below
measured.xy   Na2He (a = 4.348 A), sodium, W and Re at 141.7 GPa on the W scale of Dewaele et al. 2004, at 0.3344 A
ruby.txt      R1 at 720.45 nm
edge.txt      Raman edge of the anvil at 1920 cm-1
glow.txt      a grey body at 2500 K, emissivity 0.3
"""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal
from scipy.special import erfc

from megabar.anvil.diffraction.phase import Phase, phase_from_atoms, phase_from_marker
from megabar.anvil.diffraction.powder import fwhm_deg, profile_of, reflections
from megabar.anvil.materials import MATERIALS
from megabar.anvil.peaks import pseudo_voigt
from megabar.anvil.pyrometry import planck_radiance

here = Path(__file__).parent
rng = np.random.default_rng(2017)
WAVELENGTH_A = 0.3344


def na2he(a: float) -> Atoms:
    return crystal(["Na", "He"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[a, a, a, 90, 90, 90])


def na_ti19(a: float, c_host: float) -> Atoms:
    """Sodium above 125 GPa is a host of 16 atoms (I4/mcm) with chains of guests, incommensurate along c (Lundegaard et
    al., Phys. Rev. B 79, 064105 (2009), doi:10.1103/PhysRevB.79.064105). Here three guests share two host cells, which
    makes 19 atoms a host cell; the host's x and y are those usual for this structure type, the lengths chosen for
    9.4 A^3 an atom. Its strong lines are where such a phase has them, not where a refinement would put them."""
    host = crystal("Na", [(0.79, 0.085, 0)], spacegroup=140, cellpar=[a, a, c_host, 90, 90, 90])
    doubled = host * (1, 1, 2)
    guests = [(x, x, (n + 0.25) / 3) for x in (0.0, 0.5) for n in range(3)]
    return Atoms(doubled.symbols, positions=doubled.positions, cell=doubled.cell, pbc=True) + Atoms(
        "Na6", scaled_positions=guests, cell=doubled.cell, pbc=True)


def lines(phase: Phase, share: float, texture: float, x: np.ndarray) -> np.ndarray:
    r = reflections(phase, WAVELENGTH_A, 24.0)
    areas = share * r.intensity / r.intensity.max() * np.exp(texture * rng.standard_normal(len(r.d_A)))
    return profile_of(x, r.two_theta_deg, areas, fwhm_deg(r.two_theta_deg, 0.06, phase.microstrain), 0.5)


na2he(4.372).write(here / "Na2He.cif")
na_ti19(7.12, 3.53).write(here / "Na-tI19.cif")

angle = np.arange(5.0, 22.0, 0.01)
parts = [(phase_from_atoms(na2he(4.348), "Na2He", u_iso_A2=0.006, microstrain=1e-3), 1.0),
         (phase_from_atoms(na_ti19(7.09, 3.512), "Na", u_iso_A2=0.02, microstrain=1e-3), 0.35),
         (phase_from_marker(MATERIALS["W"], 141.7, scale="dewaele2004", microstrain=2e-3), 0.30),
         (phase_from_marker(MATERIALS["Re"], 118.0, microstrain=3e-3), 0.22)]
signal = np.sum([lines(phase, share, 0.25, angle) for phase, share in parts], axis=0)
below = 150.0 + 350.0 * np.exp(-angle / 8.0) + 60.0 * np.exp(-((angle - 9.0) / 4.0) ** 2)
counts = 2500.0 * signal / signal.max() + below
np.savetxt(here / "measured.xy", np.column_stack([angle, rng.poisson(counts)]), fmt="%.3f %d",
           header="synthetic; 2theta (deg), counts; wavelength 0.3344 A")

nm = np.arange(705.0, 732.0, 0.05)
doublet = pseudo_voigt(nm, 720.45, 1.0, 0.6) + 0.6 * pseudo_voigt(nm, 719.0, 1.0, 0.6)
np.savetxt(here / "ruby.txt", np.column_stack([nm, rng.poisson(2500.0 * doublet / doublet.max() + 300.0)]),
           fmt="%.2f %d", header="synthetic; wavelength (nm), counts")

shift = np.arange(1250.0, 2150.0, 0.8)
band = 0.5 * erfc((shift - 1920.0) / (np.sqrt(2.0) * 9.0)) * (0.3 + 0.7 * np.exp(-(((shift - 1920.0) / 260.0) ** 2)))
band *= 0.5 * erfc(-(shift - 1332.0) / 5.0)
raman = 600.0 + 0.2 * (2150.0 - shift) + 2500.0 * band
np.savetxt(here / "edge.txt", np.column_stack([shift, rng.poisson(raman)]), fmt="%.1f %d",
           header="synthetic; Raman shift (cm-1), counts")

colour = np.arange(600.0, 850.0, 1.0)
glow = 0.3 * planck_radiance(colour, 2500.0) * (1.0 + 0.01 * rng.standard_normal(len(colour)))
np.savetxt(here / "glow.txt", np.column_stack([colour, glow]), fmt="%.1f %.5e",
           header="synthetic; wavelength (nm), spectral radiance (W m-2 sr-1 m-1)")
