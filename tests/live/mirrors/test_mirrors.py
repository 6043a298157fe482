"""What a session tells others, and what it reads there: breaker, safety, state."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time

import numpy as np
import pytest

from dolphin.core.records import APEX, HIBERNATE, STALKER
from dolphin.errors import Damaged
from dolphin.feeds.recorder import recording_folder
from dolphin.files import write_json
from dolphin.live.feeds.scan_record import ScanRecord
from dolphin.live.feeds.scan_store import publish_scan
from dolphin.live.mirrors.breaker import LiveBreaker
from dolphin.live.mirrors.record import LocalLedger
from dolphin.live.mirrors.records import FromFiles, Records, keep_forecast
from dolphin.live.mirrors.safety import Known, SafetyStack, read_safety
from dolphin.live.mirrors.state import StateMirror
from dolphin.risk.book import Book
from dolphin.risk.forewarner import forecast
from dolphin.risk.override import new_override
from dolphin.risk.rules import FACTORS, RiskRules
from dolphin.stores import Health
from dolphin.stores.conformance import until
from dolphin.stores.embedded import Embedded
from dolphin.stores.names import (
    ACB_BOOST,
    ACB_STATE,
    EXTERNAL_FACTORS,
    FEATURES,
    FOREWARNER,
    SAFETY,
    VOL_REGIME,
    book_place,
)  # fmt: skip
from dolphin.times import SECOND_NS, format_time
from dolphin.workspace import create

NOW = 1_772_323_200 * SECOND_NS
CALM = dict(zip(FACTORS, (0.0001, 0.0001, 40.0, 50.0, 60.0, 15.0, 1.0, 1.0, 9e4), strict=True))
#: Stress points 1.5 by the default rules: fear, and leveraged longs.
TENSE = CALM | {"fng": 20.0, "vix": 30.0}
GOOD = Book(0.0, 1.0, 0.8, 0.9, 0.0)


@pytest.fixture
def store(tmp_path):
    one = Embedded(tmp_path / "store")
    yield one
    one.close()


def factors(store, values, ts):
    store.put(FEATURES, EXTERNAL_FACTORS, {**values, "timestamp": format_time(ts)})


def test_the_boost_is_that_of_the_risk_room_and_is_written_twice(store):
    factors(store, TENSE, NOW - 30 * SECOND_NS)
    breaker = LiveBreaker(store)
    found = breaker.decide(NOW, 17)
    assert found.ready
    assert found.signals == 1.5
    assert found.boost == pytest.approx(1.458145, abs=1e-6)
    assert breaker.written.wait(20)
    for key in (ACB_BOOST, ACB_STATE):
        value = until(lambda key=key: store.get(FEATURES, key), key).value
        assert (value["boost"], value["scan_number"], value["timestamp"]) == (found.boost, 17, "2026-03-01T00:00:00Z")


def test_a_newer_scans_boost_is_not_overwritten_by_an_older_ones(store):
    breaker = LiveBreaker(store)
    breaker.decide(NOW + 5 * SECOND_NS, 18)
    LiveBreaker(store).decide(NOW, 17)
    assert store.settle(20)
    assert store.get(FEATURES, ACB_BOOST).value["scan_number"] == 18


def test_a_factor_that_is_old_missing_or_no_number_leaves_the_breaker_unready(store):
    breaker = LiveBreaker(store)
    assert not breaker.decide(NOW, 1).ready  # nothing there
    for k, bad in enumerate(
        (
            {"vix": None},
            {"vix": "high"},
            {"vix": {"value": 30.0, "published": format_time(NOW - 10 * 86_400 * SECOND_NS)}},
        )
    ):
        factors(store, TENSE | bad, NOW)
        found = breaker.decide(NOW + k * SECOND_NS, k)
        assert (found.ready, found.boost) == (False, 1.0)
    reduced = LiveBreaker(store, RiskRules(required=("fng",)))
    assert reduced.decide(NOW, 1).ready


@pytest.mark.parametrize(("depth", "turn"), [(0.9, "orderly"), (0.4, "duress"), (None, "duress")])
def test_an_adverse_turn_is_an_exit_signal(store, depth, turn):
    heard = []
    breaker = LiveBreaker(store, on_turn=heard.append)
    if depth is not None:
        store.put(*book_place("BTCUSDT"), {"depth_quality": depth})
    factors(store, TENSE, NOW)
    breaker.decide(NOW, 1)
    factors(store, CALM, NOW + 5 * SECOND_NS)
    found = breaker.decide(NOW + 5 * SECOND_NS, 2)
    assert found.turn == turn
    assert heard == [found]


def test_an_announced_scan_is_decided_on(store):
    factors(store, TENSE, NOW)
    decided, breaker = threading.Event(), LiveBreaker(store, on_turn=lambda _: decided.set())
    breaker.follow()
    publish_scan(store, ScanRecord(NOW, 41, {"vel_div": -0.03}, {"BTCUSDT": 1.0}, "made"))
    until(lambda: breaker.last is not None, "a decision")
    assert breaker.last.scan_number == 41
    breaker.close()
    publish_scan(store, ScanRecord(NOW + SECOND_NS, 42, {"vel_div": math.nan}, {"BTCUSDT": 1.0}, "made"))
    assert store.settle(20)
    time.sleep(0)
    assert breaker.last.scan_number == 41


def known(equity=25_000.0, **more):
    """All green."""
    base = {"forecast": forecast(0.01, 1.0, NOW - 1800 * SECOND_NS), "book": GOOD, "book_age_ns": 0, "books": True}
    return Known(equity, **{"health": Health(1, 0, 0, 0, None), **base, **more})


def test_all_green_is_apex_and_is_told(store, tmp_path):
    ledger = LocalLedger(tmp_path / "safety.jsonl")
    stack = SafetyStack(store, ledger)
    record = stack.check(NOW, known())
    assert record.posture == APEX
    assert record.rm >= 0.95
    value = store.get(SAFETY, "latest").value
    assert value["posture"] == "APEX"
    assert set(value["breakdown"]) == {"Cat1", "Cat2", "Cat3", "Cat4", "Cat5"}
    assert value["override"] is None
    assert [kept.value["posture"] for kept in ledger.records()] == ["APEX"]


def test_a_store_that_is_gone_hibernates_at_once_and_two_good_checks_release(store):
    stack = SafetyStack(store)
    gone = [Health(0, 0, 0, 0, None), Health(1, 31 * SECOND_NS, 0, 0, None)]
    now = NOW
    for health in gone:
        assert stack.check(now, known()).posture == APEX
        record = stack.check(now + 10 * SECOND_NS, known(health=health))
        assert (record.posture, record.rm, record.breakdown[0]) == (HIBERNATE, 0.0, 0.0)
        assert stack.check(now + 20 * SECOND_NS, known()).posture == HIBERNATE
        assert stack.check(now + 30 * SECOND_NS, known()).posture == APEX
        now += 60 * SECOND_NS


def test_categories_are_those_of_the_specification():
    spoilt = known(forecast=None, book=None, book_age_ns=-1, spike_minutes=10.0)
    record = SafetyStack().check(NOW, spoilt)
    assert record.breakdown[1:4] == pytest.approx((0.5, 0.5, 0.575), abs=1e-3)
    stack = SafetyStack()
    stack.check(NOW, known(100.0))
    drawn = stack.check(NOW + 10 * SECOND_NS, known(88.0))
    assert drawn.breakdown[4] == pytest.approx(0.5151, abs=1e-4)


def test_a_persons_posture_counts_while_it_lasts_and_never_without_the_store(store):
    stack = SafetyStack(store)
    stack.override = new_override("STALKER", "news", "me", NOW, 60 * SECOND_NS)
    assert stack.check(NOW, known()).posture == STALKER
    assert store.get(SAFETY, "latest").value["override"]["reason"] == "news"
    assert stack.check(NOW + 10 * SECOND_NS, known(health=Health(0, 0, 0, 0, None))).posture == HIBERNATE
    stack.check(NOW + 60 * SECOND_NS, known())
    record = stack.check(NOW + 70 * SECOND_NS, known())
    assert (record.posture, record.override) == (APEX, None)


def test_a_change_of_posture_that_cannot_be_written_down_is_not_told(store, tmp_path):
    class Full(LocalLedger):
        def write(self, place, key, value):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        SafetyStack(store, Full(tmp_path / "l.jsonl")).check(NOW, known())
    assert store.get(SAFETY, "latest") is None


def test_who_reads_a_record_fails_closed(store):
    assert read_safety(store, NOW) == HIBERNATE
    assert read_safety(store, NOW, lambda: STALKER) == STALKER
    SafetyStack(store).check(NOW, known())
    assert read_safety(store, NOW + 30 * SECOND_NS) == APEX
    assert read_safety(store, NOW + 31 * SECOND_NS) == HIBERNATE
    assert read_safety(store, NOW - SECOND_NS) == HIBERNATE
    for bad in ({"posture": "APEX"}, {"posture": "BOLD", "timestamp": format_time(NOW)}):
        store.put(SAFETY, "latest", {"timestamp": "?", **bad})
        assert read_safety(store, NOW) == HIBERNATE
    store.put(SAFETY, "latest", b"APEX")
    assert read_safety(store, NOW) == HIBERNATE


def test_state_goes_to_the_ledger_first_and_a_day_never_reads_itself(store, tmp_path):
    mirror = StateMirror("blue", LocalLedger(tmp_path / "state.jsonl"), store)
    for day, capital in (("2026-03-01", 25_000.0), ("2026-03-02", 25_500.0)):
        mirror.capital(day, capital, initial=capital)
        mirror.day("vel_div", day, {"capital": capital})
        mirror.pnl(day, capital, capital - 1.0)
    assert store.get("DOLPHIN_STATE_BLUE", "capital_checkpoint").value["capital"] == 25_500.0
    assert store.get("DOLPHIN_PNL_BLUE", "2026-03-02").value["engine_capital"] == 25_499.0
    assert mirror.before("capital_checkpoint", "2026-03-02")["capital"] == 25_000.0
    assert mirror.before("state_vel_div_", "2026-03-02")["capital"] == 25_000.0
    assert mirror.before("capital_checkpoint", "2026-03-01") is None
    again = StateMirror("blue", LocalLedger(tmp_path / "state.jsonl"))
    again.capital("2026-03-03", 26_000.0, initial=26_000.0)
    assert again.before("capital_checkpoint", "2026-03-04")["initial_capital"] == 25_000.0  # never overwritten


def test_a_store_that_lost_its_memory_is_told_again(tmp_path):
    first, second = Embedded(tmp_path / "1"), Embedded(tmp_path / "2")
    ledger = LocalLedger(tmp_path / "state.jsonl")
    StateMirror("green", ledger, first).snapshot({"bar": 7, "digest": "ab", "inf": math.inf})
    StateMirror("green", ledger, second).tell_again()
    assert second.get("DOLPHIN_STATE_GREEN", "engine_snapshot").value["bar"] == 7
    first.close()
    second.close()


def test_a_ledger_that_was_changed_is_named(tmp_path):
    ledger = LocalLedger(tmp_path / "l.jsonl")
    for n in range(3):
        ledger.write("A", "k", {"n": n})
    data = (tmp_path / "l.jsonl").read_bytes()
    (tmp_path / "l.jsonl").write_bytes(data + b'{"torn":')
    assert [kept.value["n"] for kept in LocalLedger(tmp_path / "l.jsonl").records()] == [0, 1, 2]
    (tmp_path / "l.jsonl").write_bytes(data.replace(b'"n":1', b'"n":9'))
    with pytest.raises(Damaged, match="line 2"):
        list(ledger.records())
    assert json.loads(data.splitlines()[0])["time"].endswith("Z")
    assert np.isfinite(NOW)


def test_rows_carry_the_risk_of_the_moment(store):
    from dolphin.live.feed import Row
    from dolphin.live.mirrors.risk_feed import RiskFeed

    class Two:
        name, symbols, instruments, reference, spacing_ns = "two", ("A", "B"), (), "A", 5 * SECOND_NS

        async def history(self, rows, after):
            return rows, after

        async def rows(self, after):
            for bar in range(2):
                ts = NOW + bar * self.spacing_ns
                yield Row(bar, ts, np.ones(2), np.zeros(2, np.int32))

        async def close(self):
            pass

    healths = iter([Health(1, 0, 0, 0, None), Health(0, 0, 0, 0, None)])
    clock = iter([NOW, NOW + 5 * SECOND_NS])
    factors(store, TENSE, NOW)
    feed = RiskFeed(
        Two(), LiveBreaker(store), SafetyStack(store), lambda _: known(health=next(healths)), lambda: next(clock)
    )

    async def run():
        return [row async for row in feed.rows(None)]

    first, second = asyncio.run(run())
    assert first.risk["boost"][0] == pytest.approx(1.458145, abs=1e-6)
    assert first.risk["posture"][0] == APEX
    assert first.risk["quality"][0] == 1.0
    assert (second.risk["posture"][0], second.risk["rm"][0]) == (HIBERNATE, 0.0)
    assert feed.symbols == ("A", "B")


def recorded(ts, fng=20.0):
    """What a recording says of now, as ``latest.json`` has it."""
    factors = {
        name: {"value": value, "last": value, "age_s": 1.0, "state": "fresh", "public": format_time(ts)}
        for name, value in (TENSE | {"fng": fng}).items()
    }
    stale = {"value": None, "last": 3.0, "age_s": 9e9, "state": "stale", "public": format_time(0)}
    book = GOOD._asdict() | {"age_s": 0.5, "time": format_time(ts)}
    return {
        "schema": 1, "timestamp": format_time(ts), "factors": factors | {"old": stale}, "books": {"BTCUSDT": book},
        "volatility": {"spike_at": None, "dvol": 40.0, "public": format_time(ts), "hours": 768, "enough": True},
    }  # fmt: skip


def test_what_is_recorded_becomes_the_stores_records_each_once(store):
    records = Records(store)
    assert records.recorded(recorded(NOW)) == 3
    assert records.recorded(recorded(NOW)) == 0  # its age in the store goes on
    assert records.recorded(recorded(NOW, fng=21.0)) == 1
    breaker = LiveBreaker(store)
    assert breaker.decide(NOW, 1).ready
    factors = store.get(FEATURES, EXTERNAL_FACTORS).value
    assert factors["fng"] == {"value": 21.0, "published": "2026-03-01T00:00:00Z"} and "old" not in factors
    assert store.get(FEATURES, VOL_REGIME).value["spike_at"] is None
    assert store.get(*book_place("BTCUSDT")).value["depth_quality"] == 0.9


def test_a_session_takes_over_what_its_workspace_has_recorded(store, tmp_path):
    home = create(tmp_path / "home")
    files = FromFiles(store, home)
    files.look()
    assert store.get(FEATURES, EXTERNAL_FACTORS) is None and store.get(FEATURES, FOREWARNER) is None
    keep_forecast(home, {"status": "RED", "catastrophic_prob": 0.4, "envelope_score": -1.0, "timestamp": "x"})
    folder = recording_folder(home)
    folder.mkdir(parents=True)
    (folder / "latest.json").write_text("half of a")
    files.look()
    assert store.get(FEATURES, FOREWARNER).value["status"] == "RED" and store.get(FEATURES, VOL_REGIME) is None
    write_json(folder / "latest.json", recorded(NOW))
    files.look()
    assert store.get(FEATURES, VOL_REGIME).value["dvol"] == 40.0
