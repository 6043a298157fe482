"""Detectors are silent about the package as it is, and what breaks one of them is seen."""

from __future__ import annotations

import pytest

from dolphin.selftest import battery
from dolphin.selftest.detectors import DETECTORS, Finding
from dolphin.selftest.markets import INSTRUMENTS, case_of, small_market


def test_the_package_passes() -> None:
    names = ["features", "features: history", "market columns", "append-only, planted", "rung R", "rung R, next"]
    seen = battery.run(names, all_of_them=True)
    assert [one["detector"] for one in seen] == names
    assert not [one for one in seen if "stage" in one]


def test_a_detector_that_breaks_has_seen_something(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Finding | None:
        raise ZeroDivisionError("of a fault's making")

    monkeypatch.setitem(DETECTORS, "rung R", broken)
    (one,) = battery.run(["rung R", "rung R, next"], all_of_them=False)
    assert (one["stage"], one["bar"]) == ("error", None) and "ZeroDivisionError in test_detectors.py" in one["sentence"]


def test_the_small_market_has_what_faults_need() -> None:
    market = small_market()
    twins = [INSTRUMENTS[0].tick_exp, INSTRUMENTS[-1].tick_exp]
    assert twins[0] == twins[1] and (market.price[:, 0] == market.price[:, -1]).all(), "ranks tie"
    assert market.age.max() > 5 and (market.age == -1).any()
    assert set(market.risk["posture"].tolist()) == {0, 1, 3} and len(set(market.risk["rm"].tolist())) > 1
    case = case_of()
    reasons = set(case.batch.trades["reason"].tolist())
    assert {2, 3, 4, 5, 6} <= reasons, "every exit but the liquidation, which takes more leverage"
    assert len(case.batch.trades) > 40
