"""Every feed keeps the protocol: here the one that replays a dataset, and what the conformance suite would catch."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from small_market import BUSY

from dolphin.config import parse_config
from dolphin.errors import BadInput
from dolphin.live.feed import Row
from dolphin.live.feed_conformance import check_feed, take
from dolphin.live.replay_feed import ReplayFeed

START, STOP = 1500, 1700


@pytest.fixture(scope="module")
def busy():
    return parse_config(BUSY, where="busy")


def test_a_replayed_dataset_keeps_the_protocol(dataset, busy):
    assert check_feed(lambda: ReplayFeed(dataset, busy, START, STOP)) == []


def test_it_brings_the_catalogs_rows_and_ends(dataset, busy):
    rows = asyncio.run(take(ReplayFeed(dataset, busy, START, STOP), None, 10_000))
    prices = dataset.prices()
    assert [row.bar for row in rows] == list(range(START, STOP))
    assert np.array_equal(np.stack([row.price for row in rows]), prices.close[START:STOP], equal_nan=True)
    assert all(row.trade and row.local > 0 for row in rows)


def test_a_speed_below_zero_is_refused(dataset, busy):
    with pytest.raises(BadInput, match="speed"):
        ReplayFeed(dataset, busy, START, STOP, speed=-1.0)


class Broken(ReplayFeed):
    """A feed with one fault."""

    def __init__(self, *where: Any, fault: str) -> None:
        super().__init__(*where)
        self.fault = fault

    async def rows(self, after: int | None) -> AsyncIterator[Row]:
        async for row in super().rows(after):
            if self.fault == "gap" and row.bar == START + 7:
                continue
            if self.fault == "age" and row.bar == START + 7:
                row = dataclasses.replace(row, age=np.full_like(row.age, 3))
            if self.fault == "restart" and after is not None:
                row = dataclasses.replace(row, price=row.price * 2.0)
            yield row


@pytest.mark.parametrize(
    ("fault", "says"), [("gap", "does not follow"), ("age", "an age is not one more"), ("restart", "after a restart")]
)
def test_the_suite_finds_what_a_feed_does_wrong(dataset, busy, fault, says):
    problems = check_feed(lambda: Broken(dataset, busy, START, STOP, fault=fault))
    assert problems and says in problems[0]
