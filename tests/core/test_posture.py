"""Postures: hysteresis, trips, release."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dolphin.core.posture import new_hysteresis, posture_of, postures
from dolphin.core.records import APEX, HIBERNATE, STALKER, TURTLE


def run(rm: list[float], invariants: list[float] | None = None, start: int = APEX) -> list[int]:
    ones = [1.0] * len(rm) if invariants is None else invariants
    return postures(new_hysteresis(start), np.array(ones), np.array(rm)).tolist()


def test_thresholds_have_a_hair() -> None:
    assert posture_of(0.85 - 5e-13) == APEX and posture_of(0.85 - 2e-12) == STALKER
    assert posture_of(0.4) == STALKER and posture_of(0.4 - 2e-12) == TURTLE
    assert posture_of(0.1) == TURTLE and posture_of(0.1 - 2e-12) == HIBERNATE
    assert posture_of(np.nan) == HIBERNATE


def test_a_flicker_changes_nothing() -> None:
    assert run([0.84, 0.86, 0.84, 0.86, 0.84]) == [APEX] * 5


def test_down_after_two_to_the_better_up_after_five_to_the_worst() -> None:
    assert run([0.2, 0.5]) == [APEX, STALKER]
    assert run([0.2, 0.05]) == [APEX, TURTLE]
    up = [0.9, 0.9, 0.5, 0.9, 0.9]
    assert run(up, start=TURTLE) == [TURTLE] * 4 + [STALKER]
    assert run([0.9] * 4 + [0.2] + [0.9] * 5, start=TURTLE) == [TURTLE] * 9 + [APEX]


def test_store_killed_and_back() -> None:
    assert run([1.0] * 5, [1.0, 0.0, 0.0, 1.0, 1.0]) == [APEX, HIBERNATE, HIBERNATE, HIBERNATE, APEX]
    assert run([1.0] * 5, [1.0, 0.0, 1.0, 0.0, 1.0])[-1] == HIBERNATE
    assert run([1.0] * 4, [1.0, 0.0, 1.0, 1.0], start=STALKER)[-1] == STALKER


def test_release_into_worse_risk_goes_to_the_better_of_the_two_checks() -> None:
    assert run([1.0, 0.2, 0.5], [0.0, 1.0, 1.0]) == [HIBERNATE, HIBERNATE, STALKER]


def test_a_trip_by_risk_needs_five_checks() -> None:
    assert run([0.0] + [1.0] * 5) == [HIBERNATE] * 5 + [APEX]
    assert run([1.0, 0.0] + [1.0] * 5, [0.0] + [1.0] * 6) == [HIBERNATE] * 6 + [APEX]


rms = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60)


@given(rms, st.integers(0, 3))
def test_no_posture_jumps_against_the_rules(rm: list[float], start: int) -> None:
    found = [start, *run(rm, start=start)]
    asked = [int(posture_of(x)) for x in rm]
    for k in range(1, len(found)):
        before, now = found[k - 1], found[k]
        if now > before and rm[k - 1] > 0.0:  # worse: two checks that asked for it, and the better of them
            assert k >= 2 and now == min(asked[k - 2 : k])
        if now < before:  # better: five checks, the worst of them
            assert k >= 5 and now == max(asked[k - 5 : k])


@given(rms, st.integers(1, 59))
def test_it_goes_on_where_it_stood(rm: list[float], cut: int) -> None:
    state, ones = new_hysteresis(), np.ones(len(rm))
    parts = [postures(state, ones[:cut], np.array(rm[:cut])), postures(state, ones[cut:], np.array(rm[cut:]))]
    assert np.concatenate(parts).tolist() == run(rm)
