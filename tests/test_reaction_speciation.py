"""Species of hydrogen: the definitions atom by atom, majority over frames, lifetimes, brute force."""

from __future__ import annotations

import numpy as np
import pytest

from megabar.reaction.speciation import (
    ABSORBED,
    FREE,
    HYDRIDIC,
    OTHER,
    TRIPLE,
    UnitHistory,
    bonds,
    classify,
    held,
    held_units,
)

CELL = np.array([[12.0, 0, 0], [-6.0, 10.4, 0], [0, 0, 14.0]])


def species_of(positions: np.ndarray, inside: np.ndarray | None = None, cell: np.ndarray = CELL) -> np.ndarray:
    found = bonds(np.asarray(positions, dtype=float), cell)
    within = np.zeros(len(positions), dtype=bool) if inside is None else inside
    unit = held_units(found.partner[None], 0, 1)[0]
    return classify(unit, held(found.lonely[None], 0, 1)[0], held(found.crowded[None], 0, 1)[0], found.pairs, within)


def brute_force(positions: np.ndarray, cell: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """One frame, the words taken literally, with loops."""
    n = len(positions)
    images = np.array([[a, b, c] for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)]) @ cell
    distance = np.full((n, n), np.inf)
    for i in range(n):
        for j in range(n):
            if i != j:
                distance[i, j] = np.linalg.norm(positions[j] + images - positions[i], axis=1).min()
    nearest = distance.argmin(axis=1)
    result = np.full(n, OTHER)
    for i in range(n):
        j = nearest[i]
        if distance[i, j] < 0.95 and nearest[j] == i:
            result[i] = ABSORBED if inside[i] else FREE
        elif distance[i].min() >= 1.2:
            result[i] = HYDRIDIC
    for i in range(n):
        close = np.flatnonzero(distance[i] < 1.1)
        if len(close) >= 2:
            result[[i, *close]] = TRIPLE
    return result


def test_definitions():
    positions = [
        [1, 1, 1], [1, 1, 1.74],  # a molecule
        [4, 4, 4],  # alone
        [0, 8, 8], [0, 8.93, 8], [0, 9.86, 8],  # a symmetric triple
        [3, 8, 12], [3, 9.1, 12],  # too long for a bond, too short to be alone
    ]
    assert species_of(positions).tolist() == [FREE, FREE, HYDRIDIC, TRIPLE, TRIPLE, TRIPLE, OTHER, OTHER]
    within = np.ones(8, dtype=bool)
    assert species_of(positions, within)[:3].tolist() == [ABSORBED, ABSORBED, HYDRIDIC]


@pytest.mark.parametrize(("length", "kind"), [(0.949, FREE), (0.951, OTHER), (1.199, OTHER), (1.201, HYDRIDIC)])
def test_limits(length, kind):
    assert species_of([[5, 5, 5], [5, 5, 5 + length]]).tolist() == [kind, kind]


def test_bond_through_the_border():
    assert species_of([[0.1, 0.1, 0.2], [0.1, 0.1, 13.7]]).tolist() == [FREE, FREE]


@pytest.mark.parametrize("density", [0.02, 0.15, 0.4])
def test_one_frame_against_brute_force(density):
    rng = np.random.default_rng(int(100 * density))
    n = int(density * abs(np.linalg.det(CELL)) / 4)
    centres = rng.random((n, 3)) @ CELL
    positions = np.concatenate([centres, centres + rng.normal(size=(n, 3)) * 0.45])
    inside = rng.random(2 * n) < 0.5
    np.testing.assert_array_equal(species_of(positions, inside), brute_force(positions, CELL, inside))


def brute_units(partner: np.ndarray, frame: int) -> np.ndarray:
    low, high = max(0, frame - 5), min(len(partner), frame + 5)
    around = partner[low:high]
    result = np.full(partner.shape[1], -1)
    for h in range(partner.shape[1]):
        now = partner[frame, h]
        choices = [now, *np.unique(around[:, h])]
        for other in choices:
            if other >= 0 and 2 * np.sum(around[:, h] == other) >= len(around):
                result[h] = other
                break
    for h, other in enumerate(result.copy()):
        if other >= 0 and result[other] != h:
            result[h] = -1
    return result


def test_units_are_held_in_half_of_ten_frames():
    partner = np.full((20, 4), -1, dtype=np.int32)
    partner[3:8, 0], partner[3:8, 1] = 1, 0  # five frames
    partner[10:14, 2], partner[10:14, 3] = 3, 2  # four frames
    units = held_units(partner, 0, 20)
    # Frame 7 sees frames 2 to 11, which hold all five; frame 2 sees only five frames before 7 of seven.
    assert units[7].tolist() == [1, 0, -1, -1]
    assert units[5].tolist() == [1, 0, -1, -1]
    assert not (units[:, 2] >= 0)[5:16].any()
    assert not (units[9:, 0] >= 0).any()


def test_a_unit_outlives_a_stretched_instant():
    partner = np.tile(np.array([1, 0], dtype=np.int32), (15, 1))
    partner[7] = -1
    assert held_units(partner, 7, 8)[0].tolist() == [1, 0]


def test_random_units_against_brute_force():
    rng = np.random.default_rng(4)
    partner = np.full((40, 12), -1, dtype=np.int32)
    for frame in partner:
        for a, b in ((0, 1), (2, 3), (4, 5), (6, 7)):
            if rng.random() < 0.55:
                frame[a], frame[b] = b, a
            elif rng.random() < 0.5 and frame[a] < 0 and frame[8 + a // 2] < 0:
                frame[a], frame[8 + a // 2] = 8 + a // 2, a
    got = held_units(partner, 0, 40)
    for frame in range(40):
        np.testing.assert_array_equal(got[frame] >= 0, brute_units(partner, frame) >= 0)


def test_every_unit_is_mutual():
    rng = np.random.default_rng(8)
    positions = rng.random((150, 3)) @ np.diag([6.0, 6.0, 6.0])
    partner = bonds(positions, np.diag([6.0, 6.0, 6.0])).partner
    has = np.flatnonzero(partner >= 0)
    assert len(has) > 20
    np.testing.assert_array_equal(partner[partner[has]], has)


def test_lifetimes_exchanges_and_dissociations():
    history = UnitHistory(4)
    none, pair, swapped = (np.array(v) for v in ([-1, -1, -1, -1], [1, 0, -1, -1], [2, -1, 0, -1]))
    alone, bound = np.full(4, HYDRIDIC), np.full(4, ABSORBED)
    for time, unit, kind in ((0.0, none, alone), (1.0, pair, bound), (2.0, pair, bound), (3.5, none, alone),
                             (4.0, pair, bound), (5.0, swapped, bound)):
        history.add(time, unit, kind)
    edges, lives = history.lives()
    assert lives.sum() == 2  # 1.0 to 3.5 and 4.0 to 5.0
    assert lives[np.searchsorted(edges, 2.5, side="right") - 1] == 1
    assert lives[np.searchsorted(edges, 1.0, side="right") - 1] == 1
    assert history.dissociations == 1 and history.first_dissociation_ps == 3.5
    assert history.exchanges == 1  # atom 0 took 2 after 1; the return to the same partner is none
    assert history.since_ps[0] == 5.0 and np.isnan(history.since_ps[1])


def test_units_older_than_the_run_have_no_lifetime():
    history = UnitHistory(2)
    history.add(0.0, np.array([1, 0]), np.full(2, FREE))
    history.add(1.0, np.array([-1, -1]), np.full(2, OTHER))
    assert history.lives()[1].sum() == 0 and history.dissociations == 0
