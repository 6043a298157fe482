"""The rolling peak against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.core.records import DAY_NS
from dolphin.risk.drawdown import RollingPeak


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(-10.0, 100.0)), min_size=1, max_size=80))
def test_is_the_highest_of_the_window(moves: list[tuple[int, float]]) -> None:
    ts = np.cumsum([step for step, _ in moves]) * DAY_NS // 2
    equity = np.array([value for _, value in moves])
    peak = RollingPeak(DAY_NS // 2, days=3)
    for k, (at, now) in enumerate(zip(ts, equity, strict=True)):
        window = equity[: k + 1][ts[: k + 1] > at - 3 * DAY_NS]
        top = window.max()
        assert peak.drawdown(int(at), now) == ((top - now) / top if top > 0.0 else 1.0)


def test_the_peak_is_forgotten_after_thirty_days() -> None:
    peak = RollingPeak(DAY_NS)
    found = peak.drawdowns(np.arange(32) * DAY_NS, np.array([100.0] + [80.0] * 31))
    assert found[29] == pytest.approx(0.2) and found[30] == 0.0


def test_equities_that_come_too_close() -> None:
    with pytest.raises(ValueError, match="closer"):
        RollingPeak(DAY_NS, days=1).drawdowns(np.arange(9), np.arange(9, 0, -1.0))
