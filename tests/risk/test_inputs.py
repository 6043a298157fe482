"""Factors, books, forewarner rules, overrides, and the neutral slot."""

from __future__ import annotations

import numpy as np
import pytest

from dolphin.core.records import APEX, HIBERNATE, TURTLE
from dolphin.errors import DolphinError
from dolphin.freshness import LIMITS
from dolphin.risk import book, esof
from dolphin.risk.factors import INDICATORS, LEGACY_V1, indicator_name, known_of, limit_ns
from dolphin.risk.forewarner import GREEN, MISSING, ORANGE, RED, effective, forecast, status_of
from dolphin.risk.override import in_force, new_override

SECOND = 10**9
HOUR = 3600 * SECOND


def test_indicators() -> None:
    assert len(INDICATORS) == 28 and not set(INDICATORS) & set(LEGACY_V1)
    assert indicator_name("fear_greed") == "fng" and indicator_name("dvol") == "dvol_btc"
    assert indicator_name("imbalance_eth") == "imbal_eth" and indicator_name("m2") == "m2"
    assert limit_ns("spread") == 120 * SECOND and limit_ns("funding_rate") == 16 * HOUR
    with pytest.raises(DolphinError, match="vix"):
        indicator_name("vixx")


def test_known_of() -> None:
    record = {"dvol": 50.0, "dvol_btc": 51.0, "vix": None, "fng": np.nan, "taker_ratio": 1, "when": "now", "tvl": True}
    assert known_of(record) == {"dvol_btc": 51.0, "taker": 1.0}


def test_books() -> None:
    assert book.imbalance(3.0, 1.0) == 0.5 and book.imbalance(0.0, 0.0) == 0.0
    assert book.spread_bps(99.0, 101.0) == pytest.approx(200.0) and np.isnan(book.spread_bps(0.0, 0.0))
    assert book.agreement(np.array([0.1, -0.2, 0.3, 0.0])) == pytest.approx(1 / 3)
    assert book.agreement(np.zeros(2)) == 0.0
    assert book.depth_quality(3.0, 2.0) == 1.0 and book.depth_quality(1.0, 2.0) == 0.5
    assert np.isnan(book.depth_quality(1.0, 0.0))
    assert book.fill_prob(3.0, 1.0) == 0.75 and book.fill_prob(0.0, 0.0) == 0.5
    assert book.aged(book.MOCK, 30 * SECOND) == book.MOCK
    for gone in (book.aged(book.MOCK, 30 * SECOND + 1), book.aged(None, 0), book.aged(book.MOCK, -1)):
        assert (gone.imbalance, gone.fill_prob) == (0.0, 0.5)
    assert (book.MOCK.fill_prob, book.MOCK.imbalance) == (0.62, -0.09)
    assert LIMITS["order_book"].dead_after == book.LIMIT_NS


def test_forewarner_rules() -> None:
    assert [status_of(p) for p in (0.0, 0.0999, 0.1, 0.2499, 0.25, 1.0)] == [GREEN, GREEN, ORANGE, ORANGE, RED, RED]
    assert status_of(np.nan) == status_of(1.1) == MISSING
    assert [status_of(p, 0.2, 0.5) for p in (0.19, 0.2, 0.49, 0.5)] == [GREEN, ORANGE, ORANGE, RED]
    assert effective(GREEN, 6.0, True) == GREEN and effective(GREEN, 6.1, True) == ORANGE
    assert effective(RED, 99.0, True) == RED and effective(ORANGE, 99.0, False) == ORANGE
    assert effective(MISSING, np.nan, True) == ORANGE and effective(MISSING, np.nan, False) == MISSING
    assert forecast(0.3, 0.9, 7).status == "RED"
    with pytest.raises(ValueError, match="probability"):
        forecast(np.nan, 0.0, 7)


def test_override() -> None:
    made = new_override("TURTLE", "news at two", "m", 0)
    assert made.expires_ns == HOUR and made.as_dict()["posture"] == "TURTLE"
    assert in_force(APEX, made, HOUR - 1, 1.0) == TURTLE
    assert in_force(APEX, made, HOUR, 1.0) == APEX and in_force(APEX, made, -1, 1.0) == APEX
    assert in_force(HIBERNATE, made, 1, 0.0) == HIBERNATE and in_force(APEX, None, 1, 1.0) == APEX
    for wrong in (("TURTEL", "r", "a"), ("TURTLE", " ", "a"), ("TURTLE", "r", "")):
        with pytest.raises(DolphinError):
            new_override(*wrong, 0)
    with pytest.raises(DolphinError, match="end"):
        new_override("APEX", "r", "a", 0, 0)


def test_esof_is_neutral() -> None:
    assert esof.modifier()(np.arange(3)).tolist() == [1.0] * 3
    with pytest.raises(DolphinError, match="esoteric"):
        esof.modifier("moon")
