"""Units and the stress sign."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants

from megabar import units
from megabar.errors import InputError, UnitMissing


def test_constants_against_codata():
    assert units.EV_PER_A3_IN_GPA == pytest.approx(constants.e / 1e-30 / 1e9, rel=1e-9)
    assert units.BOLTZMANN_EV_PER_K == pytest.approx(constants.k / constants.e, rel=1e-9)
    assert units.AMU_PER_A3_IN_G_PER_CM3 == pytest.approx(constants.atomic_mass * 1e3 / 1e-24, rel=1e-8)


@pytest.mark.parametrize("text, value", [("40 GPa", 40.0), ("40GPa", 40.0), ("1.5 Mbar", 150.0), ("0 GPa", 0.0),
                                         ("0.3 TPa", 300.0), ("250 kbar", 25.0), ("1e2 GPa", 100.0)])
def test_pressure(text, value):
    assert units.parse_pressure_GPa(text) == pytest.approx(value)


@pytest.mark.parametrize("text, value", [("1200 C", 1473.15), ("1473 K", 1473.0), ("0 K", 0.0), ("-273.15 C", 0.0)])
def test_temperature(text, value):
    assert units.parse_temperature_K(text) == pytest.approx(value)


def test_times():
    assert units.parse_time_ps("500 fs") == pytest.approx(0.5)
    assert units.parse_time_ps("2 ns") == pytest.approx(2000.0)


@pytest.mark.parametrize("parser, text", [
    (units.parse_pressure_GPa, "40"), (units.parse_temperature_K, "1473"), (units.parse_time_ps, "20"),
])
def test_missing_unit_is_named(parser, text):
    with pytest.raises(UnitMissing, match="no unit"):
        parser(text)


@pytest.mark.parametrize("parser, text", [
    (units.parse_pressure_GPa, "-1 GPa"), (units.parse_pressure_GPa, "40 psi"), (units.parse_pressure_GPa, "GPa"),
    (units.parse_temperature_K, "-1 K"), (units.parse_temperature_K, "100 F"), (units.parse_time_ps, "0 ps"),
    (units.parse_time_ps, "-2 ps"), (units.parse_time_ps, "3 years"), (units.parse_pressure_GPa, "1e999 GPa"),
])
def test_wrong_quantities(parser, text):
    with pytest.raises(InputError):
        parser(text)


@given(st.text(max_size=20))
def test_parsers_never_raise_anything_else(text):
    for parser in (units.parse_pressure_GPa, units.parse_temperature_K, units.parse_time_ps,
                   units.parse_pressures_GPa):
        try:
            parser(text)
        except InputError as error:
            assert error.exit_status == 2


def test_ranges():
    assert units.parse_pressures_GPa("0:200:50") == [0.0, 50.0, 100.0, 150.0, 200.0]
    assert units.parse_pressures_GPa("20,40 GPa") == [20.0, 40.0]
    assert units.parse_pressures_GPa("0:0.3:0.1") == pytest.approx([0.0, 0.1, 0.2, 0.3])
    for wrong in ("0:200", "200:0:10", "0:10:0", "0:10:x"):
        with pytest.raises(InputError):
            units.parse_pressures_GPa(wrong)


def test_stress_forms_agree():
    full = np.array([[1.0, 0.1, 0.2], [0.1, 2.0, 0.3], [0.2, 0.3, 3.0]])
    voigt = full[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    assert np.array_equal(units.stress_matrix(voigt), full)
    assert np.array_equal(units.stress_matrix(full.ravel()), full)
    with pytest.raises(InputError):
        units.stress_matrix(np.zeros(5))


def test_a_squeezed_crystal_has_positive_pressure():
    """The sign against a third party: EMT copper below its equilibrium lattice constant (3.59 A) pushes outwards."""
    for a, sign in ((3.4, 1.0), (3.8, -1.0)):
        copper = Atoms("Cu4", scaled_positions=[(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)], cell=[a] * 3,
                       pbc=True)
        copper.calc = EMT()
        assert np.sign(units.pressure_GPa(copper.get_stress(voigt=False))) == sign
