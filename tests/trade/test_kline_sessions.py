"""Paper sessions on the exchange's klines, through Nautilus' own data client: they decide what research decides."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import threading

import pytest
from drill_for_tests import PATIENCE, ExchangeThread, tape_of_rows
from small_market import BUSY

from dolphin.catalog import open_dataset
from dolphin.config import parse_config
from dolphin.errors import BadInput, DolphinError, Refused
from dolphin.journal import replay
from dolphin.journal.held import hold
from dolphin.journal.reader import Journal
from dolphin.trade.champion import UNFROZEN, Runs
from dolphin.trade.feeds import FeedOptions, open_feed
from dolphin.trade.folder import StateFolder
from dolphin.trade.paper import trade_paper
from dolphin.trade.proof import prove
from dolphin.trade.settings import Settings

CONFIG = parse_config(BUSY, where="busy")
#: Rows of the dataset at which the exchange opens, and that are played then.
START, BARS = 2860, 60
#: A day's tape of the past is no fresh feed: its rows are months old.
OLD = 1e12


class Sitting:
    """A session of the small market's klines; ``acts`` are asked of the exchange before it plays so many bars."""

    def __init__(self, home, thread, state, **settings):
        self.home, self.thread, self.state = home, thread, state
        self.settings = Settings(**({"fsync": "seconds:5", "fresh_spacings": OLD} | settings))
        self.said, self.closed, self.acts = [], 0, {}

    def run(self, bars, early=0):
        """So many bars, and before them ``early`` ones while the session still asks for what it missed."""
        opened = open_feed(self.home, "binance:m", CONFIG, FeedOptions(url=self.thread.exchange.url))
        watched = Stopping(opened.feed, early + bars, self.thread, self)
        playing = self.thread.spawn(self._play(opened.feed, early, bars))
        deadline = threading.Timer(PATIENCE, os.kill, (os.getpid(), signal.SIGINT))  # ends it in order
        deadline.start()
        try:
            return trade_paper(
                self.home, Runs(CONFIG, UNFROZEN, "busy"),
                dataclasses.replace(opened, feed=watched, source=opened.feed),
                self.state, self.settings, feed="binance:m", say=self.said.append,
            )  # fmt: skip
        finally:
            deadline.cancel()
            playing.cancel()

    async def _play(self, feed, early, bars):
        exchange = self.thread.exchange
        while exchange.state()["kline_listeners"] < len(exchange.rules):
            await asyncio.sleep(0.005)
        for _ in range(early):
            await exchange.close_bar()
        while feed._waiting is not None:
            await asyncio.sleep(0.005)
        self.closed = 0
        for k in range(bars):  # in lockstep, so that a test takes no longer than its bars
            if k in self.acts:
                await asyncio.to_thread(self.acts[k])
                while exchange.state()["kline_listeners"] < len(exchange.rules):
                    await asyncio.sleep(0.005)
            await exchange.close_bar()
            while self.closed <= k:
                await asyncio.sleep(0.001)


class Stopping:
    """The feed, which ends after so many bars that were played."""

    def __init__(self, feed, bars, thread, sitting):
        tape = thread.exchange.tape
        self._feed, self._sitting = feed, sitting
        self._last = int(tape.close_ms[tape.at + bars - 1]) * 1_000_000

    def __getattr__(self, name):
        return getattr(self._feed, name)

    async def rows(self, after):
        async for row in self._feed.rows(after):
            yield row
            self._sitting.closed += int(row.trade)  # those that were missed come before
            if row.ts >= self._last:
                return


def journals(state):
    found = [Journal(path) for path in StateFolder(state).sessions_journals()]
    assert all(replay(journal).equal for journal in found)
    return found


@pytest.fixture
def thread(dataset):
    tape = tape_of_rows(dataset, 0, START + 200)
    tape.at = START
    with ExchangeThread(tape) as one:
        yield one


def test_klines_are_decided_as_research_decides_them_and_a_restart_asks_for_what_it_missed(pristine, thread, tmp_path):
    sitting = Sitting(pristine, thread, tmp_path / "s")
    ended = sitting.run(BARS)
    assert ended.bars == BARS and ended.status["trades"] + len(ended.status["positions"]) > 0
    assert prove(pristine, tmp_path / "s").equal
    thread.control(bar=7)  # while nobody listens
    rest = Sitting(pristine, thread, tmp_path / "s")
    again = rest.run(20, early=3)
    assert again.recovered is not None and again.bars == 30
    found = journals(tmp_path / "s")
    assert sum(journal.bars for journal in found) == BARS + 30
    proof = prove(pristine, tmp_path / "s")
    # Where the strategy wished nothing on the rows that were missed, nothing differs at all.
    assert proof.equal or all("a row that was missed" in line for line in proof.stopped), proof.sentence


@pytest.mark.slow
def test_a_stream_that_drops_in_mid_session_leaves_no_hole(pristine, thread, tmp_path):
    sitting = Sitting(pristine, thread, tmp_path / "s")

    sitting.acts[20] = lambda: thread.control(drop_market="hard", bar=3)  # nobody hears of them
    ended = sitting.run(40)
    assert ended.bars == 40 and any("24 bars asked for, 0 of them too late" in line for line in sitting.said), (
        sitting.said
    )
    for journal in journals(tmp_path / "s"):
        held = hold(journal, journal.index())
        ages = held.market(0, len(held.bars)).age
        assert (ages[held.bars] == 0).all()
    proof = prove(pristine, tmp_path / "s")
    assert proof.equal or all("a row that was missed" in line for line in proof.stopped), proof.sentence


def test_another_market_or_no_market_is_refused(pristine, thread, tmp_path):
    with pytest.raises(BadInput, match="names no dataset"):
        open_feed(pristine, "binance", CONFIG, FeedOptions())
    with pytest.raises(BadInput, match="no environment 'liv'"):
        open_feed(pristine, "binance:m", CONFIG, FeedOptions(environment="liv"))
    rules = next(iter(thread.exchange.rules.values()))
    thread.exchange.rules[rules.symbol] = dataclasses.replace(rules, tick=rules.tick * 10)
    with pytest.raises(Refused, match=f"{rules.symbol}: tick"):
        Sitting(pristine, thread, tmp_path / "s").run(1)
    thread.control(maintenance=True)
    with pytest.raises(DolphinError, match="503"):
        Sitting(pristine, thread, tmp_path / "t").run(1)


@pytest.mark.slow
def test_a_clock_that_is_off_and_a_silent_feed_open_nothing_and_are_told(pristine, thread, tmp_path):
    opened = open_dataset(pristine, "m")
    assert opened.spacing_ns == 60 * 10**9
    thread.control(skew_ms=700)
    sitting = Sitting(pristine, thread, tmp_path / "s")
    ended = sitting.run(BARS)
    assert sum("behind the exchange's; no entries" in line for line in sitting.said) == 1
    assert [alert["about"] for alert in ended.status["alerts"]] == ["skew"]
    assert ended.status["trades"] == 0 and ended.status["positions"] == []
    thread.control(skew_ms=0)
    # By the exchange's clock the rows of this tape are months old.
    old = Sitting(pristine, thread, tmp_path / "t", fresh_spacings=3.0)
    ended = old.run(20)
    assert ended.status["trades"] == 0 and ended.status["positions"] == []
    assert any("ALERT: feed: the newest row closed" in line for line in old.said)
    assert ended.status["alerts"][0]["stops_entries"] and journals(tmp_path / "t")
