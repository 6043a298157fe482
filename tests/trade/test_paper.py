"""Paper sessions: they do what research does, go on where they were, and refuse what is not theirs."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from acting_feed import ActingFeed
from small_market import BUSY
from thorough import thorough

from dolphin.config import parse_config
from dolphin.errors import Busy, Damaged, DolphinError
from dolphin.journal import replay
from dolphin.journal.held import hold
from dolphin.journal.reader import Journal
from dolphin.journal.replaying import Replayer
from dolphin.locks import hold as hold_lock
from dolphin.times import parse_time
from dolphin.trade.champion import UNFROZEN, Runs
from dolphin.trade.control import Wanted, order, read_audit
from dolphin.trade.feeds import FeedOptions, open_feed
from dolphin.trade.folder import StateFolder, find_state
from dolphin.trade.lines import day_line, line_of
from dolphin.trade.paper import trade_paper
from dolphin.trade.proof import prove
from dolphin.trade.settings import Limits, Settings

WINDOW = "2025-01-01T23:00:00Z", "2025-01-02T01:00:00Z"
CONFIG = parse_config(BUSY, where="busy")
#: Entries that rest as stops, exits as brackets; under volume_share nearly all of them fill in parts.
RESTING = {
    "strategy": "breakout",
    "params": {
        "channel": 6, "range_bars": 4, "stop_atr": 1.0, "target_atr": 1.5, "trail_bars": 3, "max_hold_bars": 30,
    },
}  # fmt: skip
FEES = {"fee_bps": 3.0, "maker_fee_bps": 1.0, "slippage_bps": 2.0}
REPOSITORY = Path(__file__).resolve().parents[2]


def settings_of(**limits: object) -> Settings:
    return Settings(fsync="seconds:5", snapshot_bars=25, limits=Limits(**limits))


def feed_of(home, stop=WINDOW[1]):
    return open_feed(home, "replay:m", CONFIG, FeedOptions(0.0, parse_time(WINDOW[0]), parse_time(stop)))


def trade(home, state, opened=None, settings=None, config=CONFIG):
    opened = opened or feed_of(home)
    runs, said = Runs(config, UNFROZEN, "busy"), []
    ended = trade_paper(home, runs, opened, state, settings or settings_of(), feed="replay:m", say=said.append)
    return ended, said


def bars_of(state):
    found = []
    for path in StateFolder(state).sessions_journals():
        journal = Journal(path)
        held = hold(journal, journal.index())
        found += zip(held.bars.tolist(), held.digests.tolist(), strict=True)
    return found


def stops_of(state):
    found = []
    for path in StateFolder(state).sessions_journals():
        journal = Journal(path)
        assert replay(journal).equal, path
        found += [event.ids["why"] for event in hold(journal, journal.index()).events if event.ids.get("why")]
    return found


@pytest.fixture(scope="module")
def traded(pristine, tmp_path_factory):
    """A session over midnight; nobody writes into it."""
    state = tmp_path_factory.mktemp("traded") / "state"
    ended, _ = trade(pristine, state)
    return state, ended


def test_it_decides_what_research_decides_and_its_days_replay(pristine, traded):
    state, ended = traded
    assert ended.bars == 120 and ended.status["trades"] > 2 and not ended.interrupted
    proof = prove(pristine, state)
    assert proof.equal and proof.bars == 120 and proof.days == 2, proof.sentence
    assert stops_of(state) == []
    days = [json.loads(path.read_text()) for path in sorted((state / "days").glob("*.json"))]
    assert [day["closed"] for day in days] == [True, False]
    assert days[0]["capital"] == days[1]["begin"]["capital"]
    assert sum(day["pnl"] for day in days) == pytest.approx(ended.status["equity"] - 25_000.0)
    assert "2025-01-01" in day_line(days[0]) and "equity" in line_of(ended.status)
    assert UNFROZEN in Journal(StateFolder(state).newest_journal()).header["session"]


def test_in_two_halves_it_is_the_same_session_and_rerunning_changes_nothing(pristine, traded, tmp_path):
    state, whole = traded
    half = tmp_path / "half"
    first, _ = trade(pristine, half, feed_of(pristine, "2025-01-01T23:40:00Z"))
    assert first.recovered is None
    moved = Path(shutil.move(half, tmp_path / "moved"))  # another place, as on another machine
    rest, said = trade(pristine, moved)
    assert rest.recovered["replayed"] < 25 and not rest.recovered["cold"] and "going on after bar" in said[0]
    assert bars_of(moved) == bars_of(state)
    assert rest.status["digest"] == whole.status["digest"] and rest.status["positions"] == whole.status["positions"]
    folder, days = StateFolder(moved), sorted((moved / "days").glob("*.json"))
    told = [json.loads(path.read_text()) for path in days]
    for path in (folder.status, days[-1]):  # a kill behind the last row leaves neither
        path.unlink()
    again, _ = trade(pristine, moved)
    assert again.bars == 0 and bars_of(moved) == bars_of(state) and folder.status.is_file()
    assert [json.loads(path.read_text()) for path in days] == told
    assert told == [json.loads(path.read_text()) for path in sorted((state / "days").glob("*.json"))]
    for path in (moved, *moved.rglob("*")):  # nobody else may look
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.slow
@pytest.mark.parametrize("model", ["bar_range", "volume_share"])
def test_orders_that_rest_or_fill_in_parts_are_gone_on_with(pristine, tmp_path, model):
    config = parse_config(RESTING | {"friction": FEES | {"fill_model": model, "volume_share": 0.0005}}, where="resting")

    def feed(stop):
        return open_feed(pristine, "replay:m", config, FeedOptions(0.0, parse_time(WINDOW[0]), parse_time(stop)))

    whole, _ = trade(pristine, tmp_path / "whole", feed(WINDOW[1]), config=config)
    assert whole.status["trades"] > 5
    for stop in ("2025-01-01T23:31:00Z", "2025-01-01T23:40:00Z", "2025-01-02T00:12:00Z"):
        trade(pristine, tmp_path / "parts", feed(stop), config=config)
    trade(pristine, tmp_path / "parts", feed(WINDOW[1]), config=config)
    assert bars_of(tmp_path / "parts") == bars_of(tmp_path / "whole")
    for state in ("whole", "parts"):
        proof = prove(pristine, tmp_path / state)
        assert proof.equal and proof.bars == 120, proof.sentence
        assert stops_of(tmp_path / state) == []


@pytest.mark.slow
def test_without_a_good_snapshot_it_goes_on_from_the_journal(pristine, traded, tmp_path):
    half = tmp_path / "half"
    trade(pristine, half, feed_of(pristine, "2025-01-01T23:50:00Z"))
    for path in StateFolder(half).snapshots.glob("*.npz"):
        path.write_bytes(path.read_bytes()[:500])
    rest, _ = trade(pristine, half)
    assert rest.recovered["cold"] and bars_of(half) == bars_of(traded[0])


def test_a_journal_that_decides_otherwise_stops_the_session(pristine, tmp_path, monkeypatch):
    half = tmp_path / "half"
    trade(pristine, half, feed_of(pristine, "2025-01-01T23:30:00Z"))
    for path in StateFolder(half).snapshots.glob("*.npz"):
        path.unlink()
    other = dataclasses.replace(CONFIG, friction=CONFIG.friction.model_copy(update={"fee_bps": 9.0}))
    with pytest.raises(DolphinError, match="holds another session: config_hash"):
        trade(pristine, half, config=other)
    sooner = parse_config({"params": BUSY["params"] | {"max_hold_bars": 3}}, where="sooner")
    monkeypatch.setattr("dolphin.trade.recovery.Replayer", lambda journal, config: Replayer(journal, config=sooner))
    with pytest.raises(Damaged, match=r"bar \d+ .* decides otherwise now, first in stage"):
        trade(pristine, half)


def test_a_second_session_is_refused(pristine, tmp_path):
    state = tmp_path / "state"
    with hold_lock(state / ".lock"), pytest.raises(Busy, match="another process trades this session"):
        trade(pristine, state)


def test_a_halt_stops_entries_within_a_bar_and_flatten_closes(pristine, traded, tmp_path):
    state = tmp_path / "state"
    held = _first_held(traded[0])
    opened = feed_of(pristine)

    def halt() -> None:
        order(find_state(state), Wanted(True, True, "a test"), "halt")

    def resume() -> None:
        order(find_state(state), Wanted(False, False, "enough"), "resume")

    feed = ActingFeed(opened.feed, {held + 1: halt, held + 40: resume})
    ended, said = trade(pristine, state, dataclasses.replace(opened, feed=feed))
    assert any("halted: a test" in line for line in said)
    stops = stops_of(state)
    assert stops and set(stops) == {"halted: a test"}
    journal = Journal(StateFolder(state).sessions_journals()[0])
    positions = journal.field(i := journal.index(), i.of("decision"), "account")[:, 2]
    bars = journal.field(i, i.of("decision"), "bar")
    between = (bars >= held + 1) & (bars < held + 40)
    assert positions[bars == held] == 1 and not positions[between].any()
    assert [line["action"] for line in read_audit(find_state(state))] == ["halt", "resume"]
    proof = prove(pristine, state)
    assert not proof.equal and proof.first.bar is not None and ended.bars == 120
    with pytest.raises(DolphinError, match="a reason is mandatory"):
        order(find_state(state), Wanted(True, False, " "), "halt")


def _first_held(state):
    journal = Journal(StateFolder(state).sessions_journals()[0])
    index = journal.index()
    positions = journal.field(index, index.of("decision"), "account")[:, 2]
    return int(journal.field(index, index.of("decision"), "bar")[np.flatnonzero(positions)[0]])


@pytest.mark.parametrize(
    ("limits", "says"),
    thorough([
        ({"symbols": ("NONEUSDT",)}, "is not allowed"),
        ({"order_notional": 10.0}, "is above 10"),
        ({"total_notional": 10.0}, "in all is above"),
        ({"leverage": 1e-6}, "leverage of"),
        ({"price_collar": 1e-9}, "away from"),
        ({"balance": 1e9}, "capital is below"),
        ({"disk_mb": 1e12}, "MB are free"),
    ], fast=2),
)  # fmt: skip
def test_each_limit_stops_an_order_with_its_reason(pristine, tmp_path, limits, says):
    ended, _ = trade(pristine, tmp_path / "s", feed_of(pristine, "2025-01-01T23:25:00Z"), settings_of(**limits))
    stops = stops_of(tmp_path / "s")
    assert stops and all(says in stop for stop in stops)
    assert ended.status["trades"] == 0 and ended.status["positions"] == []


@pytest.mark.slow
def test_orders_per_minute_and_the_daily_loss(pristine, traded, tmp_path):
    slow = trade(pristine, tmp_path / "a", settings=settings_of(orders_per_minute=1))[0]
    assert slow.status["digest"] == traded[1].status["digest"]  # bars are a minute apart
    ended, _ = trade(pristine, tmp_path / "b", settings=settings_of(daily_loss=1.0))
    stops = stops_of(tmp_path / "b")
    assert stops and set(stops) == {"daily loss limit of 1"}
    assert ended.bars == 120


def test_a_row_that_was_missed_opens_nothing(pristine, tmp_path):
    class Missed(ActingFeed):
        async def rows(self, after):
            async for row in self._feed.rows(after):
                yield dataclasses.replace(row, trade=False)

    opened = feed_of(pristine, "2025-01-01T23:25:00Z")
    trade(pristine, tmp_path / "s", dataclasses.replace(opened, feed=Missed(opened.feed, {})))
    stops = stops_of(tmp_path / "s")
    assert stops and set(stops) == {"a row that was missed"}


@pytest.mark.slow
def test_an_interrupt_ends_in_order_and_positions_stay(pristine, traded, tmp_path):
    state, held = tmp_path / "state", _first_held(traded[0])
    opened = feed_of(pristine)
    feed = ActingFeed(opened.feed, {held + 1: lambda: os.kill(os.getpid(), signal.SIGINT)})
    ended, _ = trade(pristine, state, dataclasses.replace(opened, feed=feed))
    assert ended.interrupted and ended.status["state"] == "interrupted" and ended.status["positions"]
    rest, _ = trade(pristine, state)
    assert bars_of(state) == bars_of(traded[0]) and rest.status["digest"] == traded[1].status["digest"]


@pytest.mark.slow
def test_kills_lose_nothing_and_double_nothing():
    command = [sys.executable, str(REPOSITORY / "scripts" / "kill_paper.py"), "--kills", "12", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["kills"] == 12
