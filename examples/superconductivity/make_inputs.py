"""Writes the inputs of this example: a model alpha2F of a hydride and synthetic R(T) curves of known Tc.

They are models, not data: two groups of modes (a heavy host, hydrogen) with lambda = 2.0, and a normal state with a
logistic step, so that what the analysis should find is known.
"""

from pathlib import Path

import numpy as np

here = Path(__file__).parent

omega_THz = np.linspace(0.0, 75.0, 751)
groups = [(12.0, 1.5, 0.60), (20.0, 3.0, 0.35), (35.0, 6.0, 0.90), (50.0, 5.0, 1.00), (62.0, 1.5, 0.50)]
alpha2f = sum(height * np.exp(-0.5 * ((omega_THz - centre) / width) ** 2) for centre, width, height in groups)
alpha2f = alpha2f * np.minimum(1.0, (omega_THz / 4.0) ** 2)
np.savetxt(here / "hydride_model.csv", np.c_[omega_THz, alpha2f], delimiter=",", fmt="%.6g",
           header="frequency (THz),alpha2F", comments="")

temperature_K = np.linspace(2.0, 300.0, 299)
noise = np.random.default_rng(7)
for name, tc_K in (("hydride", 203.0), ("deuteride", 150.0)):
    step = 1.0 / (1.0 + np.exp(-np.clip((temperature_K - tc_K) / 1.5, -60.0, 60.0)))
    resistance = (0.30 + 0.001 * temperature_K) * step + 0.002 * noise.normal(size=temperature_K.size)
    np.savetxt(here / f"{name}_R_T.csv", np.c_[temperature_K, resistance], delimiter=",", fmt="%.6g",
               header="T (K),R (ohm)", comments="")
