"""The chart of methods: published reaches, temperatures of shocks, points placed on it."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from megabar.anvil.apparatus import METHODS, judge, outline, plan, shock_window_K
from megabar.anvil.shock.materials import MATERIALS
from megabar.anvil.shock.temperature import shock_temperatures
from megabar.cli.main import main
from megabar.errors import PhaseUnknown

R = 8.31446


def test_shock_temperatures_obey_the_energy_balance():
    # E - E0 = P (V0 - V)/2 on the Hugoniot, and from the isentrope of the same volume it differs by cv (T_H - T_S);
    # the isentrope is integrated here, from -P dV along its own pressures.
    copper, cv = MATERIALS["Cu"], 3 * R / 63.546 * 1e-3
    t = shock_temperatures(copper, 63.546, 200.0, points=400)
    cold_volume = 1 / copper.rho0_g_cm3 * (1 - np.log(t.isentrope_K / 300.0) / copper.gamma0)
    middle = 0.5 * (t.isentrope_pressure_GPa[1:] + t.isentrope_pressure_GPa[:-1])
    work = np.concatenate([[0.0], np.cumsum(-middle * np.diff(cold_volume))])
    hot = 0.5 * t.pressure_GPa * (1 / copper.rho0_g_cm3 - cold_volume)
    assert hot - work == pytest.approx(cv * (t.hugoniot_K - t.isentrope_K), abs=2e-3 * hot.max())


def test_order_of_shock_temperatures():
    copper = shock_temperatures(MATERIALS["Cu"], 63.546, 400.0)
    for P in (30.0, 100.0, 300.0):
        cold, stiff, soft = shock_window_K(P)
        assert 300 < cold < stiff < np.interp(P, copper.pressure_GPa, copper.hugoniot_K) < soft
    with pytest.raises(PhaseUnknown, match="Grueneisen"):
        shock_temperatures(MATERIALS["diamond"], 12.011, 100.0)


@pytest.mark.parametrize(
    ("pressure", "temperature", "reached", "not_reached"),
    [
        (2.0, 4.0, ["clamp cell", "diamond anvil cell"], ["gas gun", "laser heating"]),
        (20.0, 1500.0, ["tungsten carbide", "laser heating", "resistive"], ["clamp cell"]),
        (360.0, 5500.0, ["laser heating", "laser or pulsed-power ramp"], ["resistive", "press"]),
        (495.0, 5.5, ["toroidal"], ["laser heating", "shock", "ramp", "gas gun"]),
        (900.0, 300.0, ["double stage"], ["toroidal", "shock"]),
        (140.0, 2500.0, ["laser heating", "gas gun", "shock"], ["resistive", "press"]),
        (2000.0, 3000.0, ["ramp"], ["diamond anvil cell", "gas gun", "shock"]),
        (9000.0, 300.0, [], ["ramp", "shock", "cell"]),
    ],
)
def test_points_on_the_chart(pressure, temperature, reached, not_reached):
    names = plan(pressure, temperature).suitable
    for part in reached:
        assert any(part in n for n in names), (part, names)
    for part in not_reached:
        assert not any(part in n for n in names), (part, names)


def test_limits_are_said():
    verdicts = {v.method.name: v for v in plan(390.0, 300.0).verdicts}
    assert verdicts["diamond anvil cell"].at_its_limit and "of 400 GPa" in verdicts["diamond anvil cell"].reason
    assert not verdicts["diamond anvil cell, toroidal anvils"].at_its_limit
    assert "above the 4 GPa" in verdicts["clamp cell (piston-cylinder)"].reason
    assert "shocked once" in verdicts["gas gun"].reason


@given(st.floats(0.01, 9999.0), st.floats(0.01, 9e5))
def test_every_point_gets_one_verdict_a_method_with_a_reason(pressure, temperature):
    result = plan(pressure, temperature)
    assert len(result.verdicts) == len(METHODS) and all(v.reason for v in result.verdicts)
    for v in result.verdicts:
        if v.suitable and v.method.path == "static":  # less pressure is never harder for a press or a cell
            assert judge(v.method, 0.5 * pressure, temperature).suitable


def test_every_method_names_its_sources():
    for m in METHODS:
        assert m.sources and all("doi:" in s or "arXiv:" in s for s in m.sources)
        P, T = outline(m)
        assert len(P) == len(T) and np.all(P > 0) and np.all(T > 0)


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_command(capsys, tmp_path):
    command = ["apparatus", "--pressure", "1.5 Mbar", "--temperature", "2000 K"]
    status, out, err = run(capsys, *command, "--json", "--out", tmp_path / "o")
    assert status == 0 and err == ""
    got = json.loads(out)
    assert got["pressure_GPa"] == pytest.approx(150.0) and "diamond anvil cell, laser heating" in got["suitable"]
    assert {p.name for p in (tmp_path / "o").iterdir()} == {"apparatus.json", "apparatus.csv", "apparatus.png"}
    with open(tmp_path / "o" / "apparatus.csv") as file:
        rows = list(csv.DictReader(file))
    assert {r["method"] for r in rows} == {m.name for m in METHODS}
    status, out, _ = run(capsys, "apparatus", "--pressure", "3 GPa")
    assert status == 0 and "clamp cell" in out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--temperature", "300 K"),
        ("--pressure", "150"),
        ("--pressure", "-3 GPa"),
        ("--pressure", "nan GPa"),
        ("--pressure", "20000 GPa"),
        ("--pressure", "5 GPa", "--temperature", "300"),
        ("--pressure", "5 GPa", "--temperature", "0 K"),
    ],
)
def test_bad_points_are_one_line(capsys, tmp_path, arguments):
    status, out, err = run(capsys, "apparatus", *arguments, "--out", tmp_path / "o")
    assert status == 2 and out == "" and err.startswith("megabar: ") and err.count("\n") == 1
    assert not (tmp_path / "o").exists()
