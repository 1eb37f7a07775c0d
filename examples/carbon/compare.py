"""How far the computed graphite-diamond line is from Berman and Simon: `python compare.py phases-C/boundaries.csv`.

Exit status 1 when it is more than 1 GPa off anywhere from 1000 to 2500 K, or does not reach over that range.
"""

import csv
import sys

import numpy as np

rows = [r for r in csv.DictReader(open(sys.argv[1])) if {r["low"], r["high"]} == {"graphite", "diamond"}]
line = np.array([[float(r[k]) for k in ("temperature_K", "pressure_GPa", "sigma_pressure_GPa", "slope_GPa_per_K")]
                 for r in rows])
if len(line) == 0 or line[:, 0].min() > 1000.0 or line[:, 0].max() < 2500.0:
    sys.exit("the line does not reach from 1000 to 2500 K")
temperature = np.arange(1000.0, 2501.0, 250.0)
pressure, sigma, slope = (np.interp(temperature, line[:, 0], line[:, i]) for i in (1, 2, 3))
measured = 0.71 + 0.0027 * temperature
print("T (K)   P (GPa)   Berman-Simon   difference   slope (MPa/K)")
for row in zip(temperature, pressure, measured, pressure - measured, 1e3 * slope, strict=True):
    print("{:5.0f}   {:7.2f}   {:12.2f}   {:+10.2f}   {:13.2f}".format(*row))
worst = np.abs(pressure - measured).max()
print(f"worst {worst:.2f} GPa; wanted: 1.00")
sys.exit(int(worst > 1.0))
