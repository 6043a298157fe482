"""Green against blue: pairing of days, the verdict, false alarms and the days that a difference needs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dolphin.errors import DolphinError
from dolphin.gate.comparison.compare import BLUE, GREEN, LEAST_SCALE, NOT_YET, compare, pair
from dolphin.gate.comparison.needed import days_to_tell
from dolphin.gate.comparison.sides import Side, side_of
from dolphin.gate.evidence.betting import ENOUGH, e_process
from dolphin.report.comparison_page import comparison_page
from dolphin.times import DAY_NS

FIRST = 20_000


def side(name: str, returns: np.ndarray, *, first: int = FIRST, seen: int = 0) -> Side:
    levels = np.concatenate([[25_000.0], 25_000.0 * np.cumprod(1.0 + returns)])
    days = np.arange(first, first + len(returns))
    return Side(name, "run", days, levels, first * DAY_NS + DAY_NS // 24, seen * DAY_NS, {"synthetic": False})


def test_only_whole_days_count_and_midnight_ends_a_day() -> None:
    half = DAY_NS // 2
    ts = np.array([FIRST * DAY_NS + half, (FIRST + 1) * DAY_NS, (FIRST + 1) * DAY_NS + half])
    found = side_of("x", "run", ts, np.array([11.0, 12.0, 13.0]), 10.0, 0, {})
    assert (found.days.tolist(), found.levels.tolist()) == ([FIRST], [10.0, 12.0])
    with pytest.raises(DolphinError, match="no whole UTC day"):
        side_of("x", "run", ts[:1], np.array([11.0]), 10.0, 0, {})
    with pytest.raises(DolphinError, match="no bar"):
        side_of("x", "run", ts[:0], np.zeros(0), 10.0, 0, {})


def test_days_that_one_side_lacks_are_spanned_by_both() -> None:
    green, blue = side("g", np.full(4, 0.1)), side("b", np.full(4, 0.0))
    lame = Side("g", "run", green.days[[0, 1, 3]], green.levels[[0, 1, 2, 4]], green.first_ts, 0, {})
    found = pair(lame, blue)
    assert found.days.tolist() == [FIRST, FIRST + 1, FIRST + 3]
    assert found.differences == pytest.approx([0.1, 0.1, 0.21])


def test_a_side_that_began_later_gives_no_return_of_its_first_day() -> None:
    found = pair(side("g", np.full(3, 0.1)), side("b", np.full(2, 0.0), first=FIRST + 1))
    assert found.days.tolist() == [FIRST + 2]
    with pytest.raises(DolphinError, match="no common day"):
        pair(side("g", np.zeros(2)), side("b", np.zeros(2), first=FIRST + 9))


@pytest.mark.slow
def test_the_three_verdicts_and_which_comes_first_stays() -> None:
    rng = np.random.default_rng(5)
    noise, zero = rng.normal(0.0, 0.01, 400), np.zeros(400)
    assert compare(side("g", noise + 0.004), side("b", zero))["verdict"] == GREEN
    assert compare(side("g", noise - 0.004), side("b", zero))["verdict"] == BLUE
    assert compare(side("g", noise[:60]), side("b", zero[:60]))["verdict"] == NOT_YET
    turned = np.concatenate([noise[:200] + 0.005, noise[200:] - 0.02])
    found = compare(side("g", turned), side("b", zero))
    assert found["verdict"] == GREEN and found["for_green"] < 1.0 and found["for_blue"] > ENOUGH


@pytest.mark.slow
def test_the_scale_comes_from_days_before_and_seen_days_are_not_judged() -> None:
    noise = np.random.default_rng(6).normal(0.0, 0.01, 100)
    seen = compare(side("g", noise, seen=FIRST + 60), side("b", np.zeros(100)))
    assert (seen["days"], seen["days_of_scale"], seen["warnings"]) == (40, 60, [])
    assert seen["for_green"] == pytest.approx(e_process(noise[60:], noise[:60])[-1])
    early = compare(side("g", noise, seen=FIRST + 60), side("b", np.zeros(100)), since=FIRST + 50)
    assert early["warnings"] == ["10 of the judged days were seen by a search or freeze: what they show proves nothing"]
    alone = compare(side("g", noise), side("b", np.zeros(100)))
    assert (alone["days"], alone["days_of_scale"]) == (100 - LEAST_SCALE, LEAST_SCALE)
    before = side("g", noise[:30], first=FIRST - 30), side("b", np.zeros(30), first=FIRST - 30)
    started = compare(side("g", noise), side("b", np.zeros(100)), backtest=before)
    assert (started["days"], started["days_of_scale"]) == (100, 30)
    nothing = compare(side("g", noise, seen=FIRST + 200), side("b", np.zeros(100)))
    assert (nothing["days"], nothing["verdict"]) == (0, NOT_YET)


@pytest.mark.slow
def test_twins_never_differ() -> None:
    noise = np.random.default_rng(7).normal(0.0, 0.01, 60)
    found = compare(side("g", noise), side("b", noise))
    assert (found["verdict"], found["for_green"], found["sharpe_of_difference"]) == (NOT_YET, 1.0, None)
    assert "the two never differ" in found["warnings"]


@pytest.mark.slow
def test_a_page_of_the_evidence() -> None:
    noise = np.random.default_rng(8).normal(0.002, 0.01, 90)
    page = comparison_page(compare(side("g<x>", noise), side("b", np.zeros(90))))
    assert "<polyline" in page and "g&lt;x&gt; against b" in page and "<x>" not in page
    empty = comparison_page(compare(side("g", noise, seen=FIRST + 200), side("b", np.zeros(90))))
    assert "No day was judged yet" in empty
    with pytest.raises(DolphinError, match="no verdict"):
        comparison_page({})


@pytest.mark.slow
def test_days_that_a_difference_needs() -> None:
    """The notes on the gate's statistics have medians of about 2,300, 599 and 166 days, over several kinds of days."""
    found = {ratio: days_to_tell(ratio) for ratio in (1.0, 2.0, 4.0)}
    assert 1_700 < (found[1.0][0] or 0) < 2_500
    assert 430 < (found[2.0][0] or 0) < 650
    assert 140 < (found[4.0][0] or 0) < 200 and found[4.0][1] > 0.85
    assert days_to_tell(0.0)[0] is None
    assert days_to_tell(4.0, np.full(6, ENOUGH)) == (0, 1.0)
    assert (days_to_tell(2.0, np.full(6, 5.0))[0] or 0) < (found[2.0][0] or 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "t3", "garch"])
def test_false_alarms_under_daily_looks_for_a_year(kind: str) -> None:
    """At most 5.5 % of null years ever reach the evidence; the scale starts on 60 days of backtest."""
    rng, years = np.random.default_rng([9, len(kind)]), 600
    alarms = 0
    for _ in range(years):
        d = null_days(rng, kind, 60 + 365)
        alarms += bool((e_process(d[60:], d[:60]) >= ENOUGH).any())
    assert alarms / years <= 0.055, alarms / years


def null_days(rng: np.random.Generator, kind: str, days: int) -> np.ndarray:
    if kind == "normal":
        return rng.standard_normal(days)
    if kind == "t3":
        return rng.standard_t(3, days)
    found, variance = np.empty(days), 1.0
    for i, z in enumerate(rng.standard_normal(days)):
        found[i] = math.sqrt(variance) * z
        variance = 0.05 + 0.10 * found[i] ** 2 + 0.85 * variance
    return found
