"""The circuit breaker and the budget of one source, by a clock of their own."""

from __future__ import annotations

import asyncio

import pytest

from dolphin.errors import DolphinError
from dolphin.feeds.breaker import Breaker
from dolphin.feeds.budget import Budget
from dolphin.feeds.sources import FeedSettings, parse_settings, read_settings


def test_five_failures_open_it_and_one_probe_decides() -> None:
    now = [0.0]
    breaker = Breaker(5, 60.0, lambda: now[0])
    for _ in range(4):
        assert breaker.allow()
        breaker.failed()
    assert breaker.state == "closed"
    breaker.succeeded()
    for _ in range(5):
        breaker.failed()
    assert breaker.state == "open" and not breaker.allow() and breaker.seconds_left == 60.0
    now[0] = 60.0
    assert breaker.state == "half-open" and breaker.allow() and not breaker.allow()
    breaker.failed()
    assert breaker.state == "open" and breaker.seconds_left == 60.0
    now[0] = 120.0
    assert breaker.allow()
    breaker.succeeded()
    assert breaker.state == "closed" and breaker.allow() and breaker.opened == 2


def test_a_probe_that_was_cancelled_may_go_again() -> None:
    now = [0.0]
    breaker = Breaker(1, 1.0, lambda: now[0])
    breaker.failed()
    now[0] = 1.0
    assert breaker.allow() and not breaker.allow()
    breaker.gave_up()
    assert breaker.allow()


def test_a_budget_lets_requests_wait_and_refuses_what_would_wait_too_long() -> None:
    now = [0.0]
    budget = Budget(60, least=10, clock=lambda: now[0])
    assert budget.wait_for(10) == 0.0 and budget.wait_for(5) == 5.0
    assert asyncio.run(budget.take(20, patience=10.0)) is False
    now[0] = 5.0
    assert budget.wait_for(1) == 1.0
    now[0] = 100.0
    assert budget.wait_for(10) == 0.0 and budget.wait_for(1) == 1.0  # never more than it holds


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"cadense": "1s"}, "did you mean 'cadence'"),
        ({"cadence": "0s"}, "cadence"),
        ({"cadence": "soon"}, "no length of time"),
        ({"sources": {"binanse": {}}}, "did you mean 'binance'"),
        ({"sources": {"binance": {"base": "fapi"}}}, "is no address"),
        ({"sources": {"binance_ws": {"base": "https://x"}}}, "is no address"),
        ({"sources": {"binance": {"key": "x"}}}, "sources.binance.key"),
        ({"symbols": ["btc usdt"]}, "btc usdt"),
        ({"attempts": 0}, "attempts"),
    ],
)
def test_settings_that_cannot_be(table: dict[str, object], said: str) -> None:
    with pytest.raises(DolphinError, match=said):
        parse_settings(table, "feeds.toml")


def test_settings_of_a_workspace(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert read_settings(tmp_path) == FeedSettings()
    (tmp_path / "feeds.toml").write_text('[sources.binance]\nbase = "http://127.0.0.1:1/x/"\n')
    assert read_settings(tmp_path).base("binance") == "http://127.0.0.1:1/x"
    (tmp_path / "feeds.toml").write_text("cadence = ")
    with pytest.raises(DolphinError, match="not valid"):
        read_settings(tmp_path)
    with pytest.raises(DolphinError, match="no such file"):
        read_settings(tmp_path, tmp_path / "other.toml")
