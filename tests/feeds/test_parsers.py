"""Parsers on answers that are not quite what a provider publishes."""

from __future__ import annotations

import json

import pytest

from dolphin.feeds import parsers as p
from dolphin.feeds.declared import DECLARED, series_of
from dolphin.feeds.parsers import Answer, Unreadable
from dolphin.times import parse_time

NOW = parse_time("2026-11-21T12:30:00Z")
ALL = list(dict.fromkeys(choice.parse for declared in DECLARED.values() for choice in declared.choices))


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b"[{}]", b"<html>", b'{"code":-1003}', b"[1,2]", b"\xff\xfe"])
@pytest.mark.parametrize("parse", ALL, ids=[f"parser {k}" for k in range(len(ALL))])
def test_whatever_comes_is_a_value_none_or_unreadable(parse: p.Parser, body: bytes) -> None:
    try:
        assert parse(body, NOW) is None
    except Unreadable as error:
        assert "\n" not in str(error) and len(str(error)) < 120


def test_the_newest_row_counts_whatever_their_order() -> None:
    rows = [{"v": "2", "t": 200}, {"v": "3", "t": 300}, {"v": "1", "t": 100}]
    assert p.newest_of("v", "t")(json.dumps(rows).encode(), NOW) == Answer(3.0, 300_000_000)
    assert p.newest_of("v", "t")(b"[]", NOW) is None


def test_an_hour_of_implied_volatility_counts_when_it_is_over() -> None:
    hour = NOW // 3600_000_000_000 * 3_600_000
    rows = [[hour - 3_600_000, 1, 1, 1, 55.0], [hour, 1, 1, 1, 99.0]]
    found = p.deribit_volatility(json.dumps({"result": {"data": rows}}).encode(), NOW)
    assert found == Answer(55.0, hour * 10**6)


def test_fred_leaves_holidays_out_and_reads_both_headers() -> None:
    for head in ("observation_date,VIXCLS", "DATE,VIXCLS"):
        text = f"{head}\r\n2026-11-18,17.5\r\n2026-11-19,16.0\r\n2026-11-20,.\r\n"
        assert p.fred_csv(text.encode(), NOW) == Answer(16.0, parse_time("2026-11-19"))
    assert p.fred_csv(b"observation_date,VIXCLS\n2026-11-20,\n", NOW) is None
    with pytest.raises(Unreadable):
        p.fred_csv(b"observation_date,VIXCLS\n2026-11-20,many\n", NOW)


def test_a_fallback_of_another_instrument_has_a_series_of_its_own() -> None:
    own, other = DECLARED["funding_btc"].choices
    assert series_of("funding_btc", own.basis) == "FUNDING_BTC"
    assert series_of("funding_btc", other.basis) == "FUNDING_BTC__BYBIT_LINEAR_BTCUSDT"
    assert len({choice.basis for choice in DECLARED["oi_btc"].choices}) == 1
