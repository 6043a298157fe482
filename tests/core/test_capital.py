"""Rm5 of an account: the peak of 30 days, the vectors of RISK section 3, and what is in force then."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin.core.capital import rm5
from dolphin.core.posture import new_hysteresis, postures
from dolphin.core.records import APEX, DAY_NS, HIBERNATE, STALKER, Records, neutral_risk
from dolphin.risk.capital import Capital

FIRST = 20_000 * DAY_NS


def weighed(ts: np.ndarray, equity: np.ndarray, rows: Records | None = None) -> tuple[Records, np.ndarray]:
    return Capital().weigh(neutral_risk(len(ts)) if rows is None else rows, ts, equity)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 40), st.floats(-10.0, 100.0)), min_size=1, max_size=80))
def test_the_peak_is_the_highest_of_today_and_29_days_before(moves: list[tuple[int, float]]) -> None:
    ts = FIRST + np.cumsum([step for step, _ in moves]) * (DAY_NS // 4)
    equity = np.array([value for _, value in moves])
    found = weighed(ts, equity)[1]
    for k, now in enumerate(equity):
        top = equity[: k + 1][ts[: k + 1] // DAY_NS > ts[k] // DAY_NS - 30].max()
        with np.errstate(over="ignore"):  # peaks that are hardly numbers
            assert found[k] == rm5((top - now) / top if top > 0.0 else 1.0)


def test_a_peak_is_forgotten_after_thirty_days() -> None:
    found = weighed(FIRST + np.arange(32) * DAY_NS, np.array([100.0] + [80.0] * 31))[1]
    assert found[29] == pytest.approx(0.1228, abs=1e-4) and (found[30:] == 1.0).all()


def test_what_is_in_force() -> None:
    equity = np.concatenate([[100.0] * 3, np.linspace(99.0, 70.0, 30)])
    rows = neutral_risk(len(equity))
    rows["others"] = np.where(np.arange(len(equity)) % 7 == 3, 0.6, 1.0)
    rows["rm1"][20] = 0.0
    rows["imposed"][[10, 20]] = 1 + STALKER
    rows["boost"], rows["quality"] = 1.25, 0.7
    ts = FIRST + np.arange(len(equity)) * DAY_NS // 24
    found, stress = weighed(ts, equity, rows)
    assert (found["others"] == rows["others"] * stress).all() and (found["rm"] == rows["rm1"] * found["others"]).all()
    expected = postures(new_hysteresis(), rows["rm1"], found["others"])
    assert found["posture"][20] == HIBERNATE  # nobody imposes anything while the invariants are broken
    expected[10] = STALKER
    assert (found["posture"] == expected).all() and {APEX, HIBERNATE} < set(expected.tolist())
    assert (found["boost"] == 1.25).all() and (found["quality"] == 0.7).all() and not found["beta"].any()


def test_it_goes_on_where_it_was() -> None:
    rng = np.random.default_rng(3)
    ts, equity = FIRST + np.arange(400) * DAY_NS // 5, 100.0 * np.exp(np.cumsum(0.03 * rng.standard_normal(400)))
    whole, first, second = Capital(), Capital(), Capital()
    rows = neutral_risk(400)
    both = whole.weigh(rows, ts, equity)
    first.weigh(rows[:150], ts[:150], equity[:150])
    second.restore(first.arrays())
    parts = second.weigh(rows[150:], ts[150:], equity[150:])
    assert (both[0][150:] == parts[0]).all() and (both[1][150:] == parts[1]).all()
    assert whole.arrays()["account"].tobytes() == second.arrays()["account"].tobytes()
