"""Spikes of implied volatility from the provider's hours."""

from __future__ import annotations

import asyncio
import json

import pytest

from dolphin.feeds.client import Failed
from dolphin.feeds.health import Health
from dolphin.feeds.spikes import HOURS, Spikes
from dolphin.risk.survival import HOUR_NS
from dolphin.times import format_time

NOW = 490_000 * HOUR_NS + 7 * 60 * 10**9
MS = 1_000_000


class Provider:
    """Answers as Deribit does: hours by their beginning, the running one last."""

    def __init__(self, high=()):
        self.high, self.asked, self.body = set(high), [], None

    async def get(self, source, path, query):
        self.asked.append((source, path, query))
        begin = NOW // HOUR_NS * HOUR_NS
        rows = [
            [(begin - k * HOUR_NS) // MS, 0.0, 0.0, 0.0, 90.0 if k in self.high else 40.0 + k % 3]
            for k in range(HOURS, -1, -1)
        ]
        return self.body or json.dumps({"result": {"data": rows, "continuation": None}}).encode()


def spikes_of(provider):
    one = Spikes(Health(lambda: NOW), clock=lambda: NOW)
    asyncio.run(one.ask(provider))
    return one.document()


def test_an_hour_that_stands_out_is_a_spike_at_its_end():
    found = spikes_of(Provider(high=[5]))
    assert found["spike_at"] == format_time(NOW // HOUR_NS * HOUR_NS - 4 * HOUR_NS)
    assert found["enough"] and found["hours"] == HOURS and found["dvol"] == 41.0


def test_the_running_hour_is_none_yet_and_calm_hours_have_no_spike():
    provider = Provider(high=[0])
    assert spikes_of(provider)["spike_at"] is None
    ((source, path, query),) = provider.asked
    assert source == "deribit" and path.endswith("get_volatility_index_data") and query["resolution"] == "3600"


def test_before_an_answer_nothing_is_said_and_another_answer_is_a_failure():
    one = Spikes(Health(lambda: NOW), clock=lambda: NOW)
    assert one.document() is None
    provider = Provider()
    provider.body = b'{"error": 1}'
    with pytest.raises(Failed, match="does not publish"):
        asyncio.run(one.ask(provider))
    assert one.document() is None
