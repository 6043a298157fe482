"""Every indicator from its source in its true format; every fault: what is known then, and what is said."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from feed_server import Fake, fake

from dolphin.feeds.client import Client
from dolphin.feeds.declared import DECLARED
from dolphin.feeds.health import Health
from dolphin.feeds.poller import Poller, Value
from dolphin.feeds.sources import parse_settings
from dolphin.risk.factors import INDICATORS

ASKED = [name for name, declared in DECLARED.items() if declared.choices]
EXPECTED = {
    "funding_btc": 0.0001, "oi_btc": 90659.509, "ls_btc": 1.8105, "ls_top": 1.8105, "taker": 1.5586, "basis": 0.0004,
    "imbal_btc": (230 - 210) / 440, "dvol_btc": 59.5, "fund_dbt_btc": 4.5e-05, "vix": 17.24, "sp500": 6400.04,
    "fng": 40.0, "hashrate": 950.0, "tvl": 1.1e11,
}  # fmt: skip


class Polled:
    """A poller on a fake, one cycle after the other, all that it kept and said."""

    def __init__(self, made: Fake, client: Client, health: Health, **more: Any) -> None:
        self.fake, self.client, self.health = made, client, health
        self.kept: list[Value] = []
        self.poller = Poller(client, health, keep=self.kept.append, **more)

    async def cycle(self) -> dict[str, dict[str, Any]]:
        await self.poller.cycle(everything=True)
        return self.poller.latest()

    def said(self, key: str) -> str:
        return self.health.active[key].text


def on_fake(body: Any, settings: dict[str, Any] | None = None, **more: Any) -> None:
    """Run a test's coroutine function on a poller of a fake."""

    async def whole() -> None:
        async with fake() as made:
            chosen, health = parse_settings(made.settings(**(settings or {})), "test"), Health()
            async with Client(chosen, health) as client:
                await body(Polled(made, client, health, **more))

    asyncio.run(whole())


def test_all_indicators_come_from_their_sources() -> None:
    async def body(polled: Polled) -> None:
        found = await polled.cycle()
        assert found.keys() == INDICATORS.keys()
        for name in ASKED:
            assert found[name]["last"] is not None or name in polled.poller.coming, name
            assert found[name]["basis"] in (DECLARED[name].basis, None)
        for name, value in EXPECTED.items():
            held = polled.poller.held.get(name) or polled.poller.coming[name]
            assert abs(held.value / value - 1.0) < 1e-12, name
        # two factors of one book are one request; the same values again are nothing new
        assert polled.fake.asked["/binance/fapi/v1/depth"] == 2
        assert sorted(value.name for value in polled.kept) == sorted(ASKED)
        kept = len(polled.kept)
        await polled.cycle()
        again = {value.name for value in polled.kept[kept:]}
        assert again <= {"oi_btc", "oi_eth", "imbal_btc", "imbal_eth", "spread"}  # those that have a time of their own
        assert polled.health.status() == "healthy"

    on_fake(body)


def test_a_failing_source_is_replaced_by_another_that_is_named() -> None:
    async def body(polled: Polled) -> None:
        polled.fake.faults = {"binance/fapi/v1/fundingRate": [500] * 6, "binance/fapi/v1/openInterest": [500] * 6}
        found = await polled.cycle()
        assert found["funding_btc"]["basis"] == "Bybit linear BTCUSDT" and found["funding_btc"]["value"] == 0.00011
        assert "not of Binance USD-M BTCUSDT" in polled.said("basis:funding_btc")
        # the same instrument from another place is no change
        assert found["oi_btc"]["basis"] == "Binance USD-M BTCUSDT" and found["oi_btc"]["value"] == 90403.6
        assert "basis:oi_btc" not in polled.health.active and polled.health.status() == "degraded"
        found = await polled.cycle()
        assert found["funding_btc"]["basis"] == "Binance USD-M BTCUSDT"
        assert "basis:funding_btc" not in polled.health.active

    on_fake(body, {"breaker_failures": 100})


def test_without_fallbacks_a_failed_indicator_is_none_and_said() -> None:
    async def body(polled: Polled) -> None:
        polled.fake.faults = {"fundingRate": [500] * 6}
        found = await polled.cycle()
        assert found["funding_btc"] == {"value": None, "last": None, "age_s": None, "state": "missing", "basis": None}
        assert polled.said("exf:funding_btc") == "funding_btc: binance: answers 500"

    on_fake(body, {"fallbacks": False, "breaker_failures": 100})


def test_too_many_requests_are_waited_for_as_long_as_they_ask() -> None:
    async def body(polled: Polled) -> None:
        polled.fake.faults = {"alternative/fng/": [(429, {"Retry-After": "0.5"}), (418, {"Retry-After": "60"})]}
        found = await polled.cycle()
        assert found["fng"]["value"] is None and "answers 429, asks to wait 0.5 s" in polled.said("exf:fng")
        assert "left alone" in polled.said("breaker:alternative")
        await polled.cycle()
        assert polled.fake.asked["/alternative/fng/"] == 1  # nothing was sent meanwhile
        await asyncio.sleep(polled.client.breakers["alternative"].seconds_left + 0.01)
        await polled.cycle()
        assert polled.fake.asked["/alternative/fng/"] == 2 and "418" in polled.said("exf:fng")
        assert 50.0 < polled.client.breakers["alternative"].seconds_left <= 60.0
        first, second = (at for path, at in polled.fake.times if path == "/alternative/fng/")
        assert second - first >= 0.5

    on_fake(body)


def test_slow_and_broken_answers_are_tried_again_then_the_breaker_opens() -> None:
    async def body(polled: Polled) -> None:
        polled.fake.faults = {"llama/v2/historicalChainTvl": [("slow", 5.0), 503]}
        found = await polled.cycle()
        assert found["tvl"]["last"] == 1.1e11  # the third try
        polled.fake.faults = {"llama/v2/historicalChainTvl": [503] * 9}
        for _ in range(3):
            await polled.cycle()
        assert polled.client.breakers["llama"].state == "open"
        assert polled.fake.asked["/llama/v2/historicalChainTvl"] == 3 + 5
        assert "llama is left alone" in polled.said("breaker:llama")
        held = polled.poller.latest()["tvl"]
        assert held["last"] == 1.1e11 and held["age_s"] > 0  # the last good value stays, with its age

    on_fake(body, {"timeout": 0.4})


def test_answers_that_are_none_are_unreadable_and_count_as_failures() -> None:
    async def body(polled: Polled) -> None:
        polled.fake.faults = {
            "get_volatility_index_data": [("json",), ("html",)], "fredgraph.csv": [("html",)] * 5,
            "globalLongShortAccountRatio": [("json",)] * 2,
        }  # fmt: skip
        found = await polled.cycle()
        for name in ("dvol_btc", "vix", "ls_eth"):
            assert found[name]["value"] is None
            assert "answers what it does not publish" in polled.said(f"exf:{name}")
        assert polled.client.breakers["fred"].state == "open"
        assert found["fund_dbt_btc"]["value"] == 4.5e-05  # a neighbour of the same source

    on_fake(body)


def test_values_that_cannot_be_are_not_taken() -> None:
    async def body(polled: Polled) -> None:
        polled.fake.faults = {
            "binance/fapi/v1/fundingRate": [("value", 0.5), ("value", "nan")],
            "takerlongshortRatio": [("future", 3600.0)], "topLongShortPositionRatio": [("past", 3600.0)],
        }  # fmt: skip
        found = await polled.cycle()
        assert "0.5 is not between -0.03 and 0.03" in polled.said("exf:funding_btc") or found["funding_btc"]["value"]
        assert "is to come" in polled.said("exf:taker") and "too old" in polled.said("exf:ls_top")
        assert found["taker"]["value"] is None and found["ls_top"]["value"] is None
        assert all(value.name not in ("taker", "ls_top", "funding_btc") for value in polled.kept)
        polled.fake.faults = {"takerlongshortRatio": [], "fapi/v1/openInterest": [("past", 60.0)] * 2}
        before = found["oi_btc"]["reference"]
        found = await polled.cycle()
        assert found["oi_btc"]["reference"] == before  # older than what is held: not taken
        assert found["taker"]["value"] == 1.5586 and "exf:taker" not in polled.health.active

    on_fake(body, {"fallbacks": False})


def test_a_value_counts_from_its_publication_and_grows_old() -> None:
    clock = [time.time_ns()]

    async def body(polled: Polled) -> None:
        await polled.cycle()
        held = polled.poller.held["funding_btc"]
        clock[0] = held.public_ns + 16 * 3600 * 10**9
        assert polled.poller.latest()["funding_btc"]["state"] == "fresh"
        clock[0] += 1
        old = polled.poller.latest()["funding_btc"]
        assert old["value"] is None and old["last"] == 0.0001 and old["state"] == "stale"
        coming = polled.poller.coming.get("vix") or polled.poller.held["vix"]
        clock[0] = coming.public_ns - 1
        assert polled.poller.latest()["vix"]["last"] is None or "vix" in polled.poller.held
        clock[0] = coming.public_ns
        assert polled.poller.latest()["vix"]["value"] == coming.value

    on_fake(body, clock=lambda: clock[0])


def test_nothing_answers() -> None:
    async def body(polled: Polled) -> None:
        polled.client.settings = polled.client.settings.model_copy(
            update={"sources": parse_settings({"sources": _nowhere()}, "test").sources}
        )
        found = await polled.cycle()
        assert all(entry["value"] is None for entry in found.values())
        assert polled.health.status() == "critical" and polled.said("exf:none") == "no external factor is known"

    on_fake(body)


def _nowhere() -> dict[str, Any]:
    names = ("binance", "deribit", "bybit", "fred", "alternative", "blockchain", "mempool", "llama")
    return {name: {"base": "http://127.0.0.1:9"} for name in names}
