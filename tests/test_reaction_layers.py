"""Layers: counting planes, ranks, known melts, known diffusion."""

from __future__ import annotations

import numpy as np
import pytest

from megabar.reaction.analysis import analyse
from megabar.reaction.geometry import Region
from megabar.reaction.layers import assign, count_layers, layers_from_rows, liquid_layers, mobility_limit_A2
from megabar.testing import trajectories as make


def region(thickness: float, density: float = 0.047) -> Region:
    return Region(-0.5 * thickness / 40, 0.5 * thickness / 40, 40.0, 150.0, density, 1)


@pytest.mark.parametrize("planes", [4, 7, 10])
def test_planes_are_counted(planes):
    rng = np.random.default_rng(planes)
    z = np.repeat((np.arange(planes) - (planes - 1) / 2) * 2.3, 16) + rng.normal(size=16 * planes) * 0.15
    assert count_layers(z, region(planes * 2.3)) == planes


def test_corrugated_planes_count_as_one():
    z = np.repeat((np.arange(6) - 2.5) * 2.9, 16) + np.tile([-0.5, 0.5], 48)
    assert count_layers(z, region(17.4)) == 6


def test_a_melt_is_divided_by_packing():
    z = np.random.default_rng(0).uniform(-10, 10, 140)
    # Close-packed spheres of this density: neighbours 3.11 A, layers 2.54 A apart.
    assert count_layers(z, region(20.0)) == 8


def test_ranks_fill_layers_evenly():
    z = np.random.default_rng(0).permutation(50).astype(float)
    layer, cuts = assign(z, 5)
    np.testing.assert_array_equal(layer, z // 10)
    np.testing.assert_allclose(cuts, [9.5, 19.5, 29.5, 39.5])


@pytest.mark.parametrize(("flags", "counts"), [
    ("LLSSSL", (2, 1)), ("SLLS", (0, 0)), ("LLLL", (2, 2)), ("LLLLL", (3, 2)), ("SSS", (0, 0)),
])
def test_liquid_layers_are_counted_from_the_faces(flags, counts):
    assert liquid_layers(np.array([f == "L" for f in flags])) == counts


@pytest.fixture(scope="module")
def molten_upper():
    """Eight layers, the upper three random and walking with D = 0.4 A^2/ps, the slab drifting through the border."""
    slab = make.hydride_slab(8, 4, 60, seed=2)
    metals = np.flatnonzero(slab.numbers != 1)
    planes = np.unique(np.round(slab.positions[metals, 2], 2))
    chosen = metals[slab.positions[metals, 2] > planes[-3] - 0.2]
    liquid = make.melt(slab, chosen, seed=2)
    frames = make.thermal(liquid, 200, 0.05, amplitude_A=0.3, memory_ps=0.1, drift_A_per_ps=(0.5, 0.0, 3.0), seed=2,
                          move=make.walking(chosen, 0.4, 0.05, seed=2))
    return analyse(frames)


def test_known_melt_is_found_by_both_measures(molten_upper):
    layers = molten_upper.layers
    assert molten_upper.normal == "c"
    assert layers.order.shape[1] == 8
    known = np.isfinite(layers.liquid_by_mobility[:, 0])
    assert known.sum() > 20
    assert (layers.liquid_by_order[:, 0] == 0).all() and (layers.liquid_by_mobility[known, 0] == 0).all()
    # One layer's worth of walkers may stray to a neighbour's rank.
    assert np.mean(layers.liquid_by_order[:, 1] == 3) > 0.8
    assert np.mean(layers.liquid[known, 1] == 3) > 0.8
    assert np.nanmedian(layers.liquid_by_order_A[:, 1]) == pytest.approx(3 * 2.28, abs=1.0)


def test_known_diffusion_is_measured(molten_upper):
    """MSD = 4 D (lag - w / 3) in the plane for positions averaged over w = 0.25 ps, plus what little is left of the
    vibration; 48 walkers over 8 ps are 4 independent lags of 2 ps, so 2 sqrt(1 / (48 * 4)) = 14 % is two sigma."""
    msd = molten_upper.layers.msd_in_plane_A2[:, 5:]
    assert np.nanmean(msd) == pytest.approx(4 * 0.4 * (2.0 - 0.25 / 3), rel=0.15)


def test_vibrating_layers_stay_below_the_limit(molten_upper):
    layers = molten_upper.layers
    # 0.3 A is 0.09 of the neighbour distance: just below Lindemann's 0.1.
    assert np.nanmax(layers.msd_in_plane_A2[:, :5]) < 0.5 * layers.msd_limit_A2


def test_limit_separates_lindemann_from_a_slow_melt():
    limit = mobility_limit_A2(0.047)
    neighbour = 2 ** (1 / 6) * 0.047 ** (-1 / 3)
    vibration = 2 * 2 * (0.1 * neighbour) ** 2 / 3  # two points in time, two of three directions
    assert 2.0 * vibration < limit < 4 * 0.1 * 2.0


def test_a_hot_crystal_does_not_melt():
    slab = make.hydride_slab(6, 4, 40)
    result = analyse(make.thermal(slab, 120, 0.05, amplitude_A=0.31, memory_ps=0.15, seed=1))
    assert np.nanmax(result.layers.liquid_by_order) == 0
    assert np.nanmax(result.layers.liquid_by_mobility) == 0


def test_freezing_and_melting_are_events():
    from megabar.reaction.events import melting_events

    time = np.arange(40) * 0.25
    depth = np.zeros((40, 2))
    depth[10:25, 1] = 2.0
    depth[15, 1] = 3.0
    depth[30, 0] = 1.0  # a fluctuation
    found = {(e.name, e.where): e.time_ps for e in melting_events(time, {"both": depth})}
    assert found == {("melting (both) begins", "upper"): 2.5, ("melting (both) is thickest", "upper"): 3.75,
                     ("melting (both) ends", "upper"): 6.25}


def test_rows_without_a_lag_are_unknown():
    rows = {"time_ps": np.array([0.0]), "order": np.full((1, 4), 0.4), "crystalline": np.ones((1, 4)),
            "msd_in_plane_A2": np.full((1, 4), np.nan), "msd_hydrogen_A2": np.full((1, 4), np.nan),
            "layer_h_per_metal": np.full((1, 4), 2.0), "layer_thickness_A": np.full((1, 4), 2.3),
            "layer_temperature_K": np.full((1, 4), np.nan), "layer_energy_eV_per_metal": np.full((1, 4), np.nan)}
    layers = layers_from_rows(rows, 2.0, 0.4)
    assert np.isnan(layers.liquid).all() and np.isnan(layers.liquid_by_mobility_A).all()
    assert (layers.liquid_by_order == 0).all()
