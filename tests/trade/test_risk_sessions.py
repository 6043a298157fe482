"""Sessions whose risk inputs come from a table, or from a store; what they tell the store; and the proof of both."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from acting_feed import ActingFeed
from hazelcast_member import Member
from small_market import BUSY

from dolphin.catalog import open_dataset
from dolphin.config import parse_config
from dolphin.core.records import APEX, HIBERNATE, POSTURES
from dolphin.errors import Refused
from dolphin.journal import replay
from dolphin.journal.reader import Journal
from dolphin.live.mirrors.record import LocalLedger
from dolphin.market.risk_table import build_risk
from dolphin.stores import open_store
from dolphin.stores.conformance import until
from dolphin.stores.looking import look_at
from dolphin.stores.names import EXTERNAL_FACTORS, FEATURES, FOREWARNER, LATEST, SAFETY, book_place, pnl_map, state_map
from dolphin.times import format_time, parse_time
from dolphin.trade.champion import UNFROZEN, Runs
from dolphin.trade.feeds import FeedOptions, open_feed
from dolphin.trade.folder import StateFolder
from dolphin.trade.paper import trade_paper
from dolphin.trade.proof import prove
from dolphin.trade.risk_inputs import STORE_TABLE
from dolphin.trade.settings import RiskSettings, Settings

BEGIN, STOP = parse_time("2025-01-01T23:00:00Z"), parse_time("2025-01-02T01:00:00Z")
CONFIG = parse_config(BUSY, where="busy")
#: Stress points 1.5 by the default rules: fear, and leveraged longs.
TENSE = {
    "funding_btc": 0.0001, "funding_eth": 0.0001, "dvol_btc": 40.0, "dvol_eth": 50.0, "fng": 20.0, "vix": 30.0,
    "ls_btc": 1.0, "taker": 1.0, "oi_btc": 9e4,
}  # fmt: skip
RISK = RiskSettings(books=False)


def publish(store, ts, status="GREEN"):
    """What other programs write: factors and the forewarner's record as of a time."""
    factors = {name: {"value": value, "published": format_time(ts)} for name, value in TENSE.items()}
    store.put(FEATURES, EXTERNAL_FACTORS, factors | {"timestamp": format_time(ts)})
    store.put(FEATURES, FOREWARNER, {
        "status": status, "catastrophic_prob": 0.02, "envelope_score": 1.0, "timestamp": format_time(ts),
    })  # fmt: skip
    assert store.settle(20)


def trade(home, state, url, *, config=CONFIG, stop=STOP, acts=None, risk=RISK, account="blue", shared=None):
    opened = open_feed(home, "replay:m", config, FeedOptions(0.0, BEGIN, stop))
    if acts is not None:
        opened = dataclasses.replace(opened, feed=ActingFeed(opened.feed, acts))
    if shared is not None:
        opened = dataclasses.replace(opened, store=shared, store_url=url)
    settings, said = Settings(fsync="seconds:5", snapshot_bars=25, risk=risk), []
    ended = trade_paper(
        home, Runs(config, UNFROZEN, account), opened, state, settings, feed="replay:m", say=said.append, store=url
    )
    return ended, said


def risk_of(state):
    """(bars,) of what the decisions read, and the journals, each replayed."""
    found = []
    for path in StateFolder(state).sessions_journals():
        journal = Journal(path)
        assert replay(journal).equal, path
        index = journal.index()
        found.append(journal.field(index, index.of("row"), "risk"))
    return np.concatenate(found)


def test_a_table_of_the_config_is_the_replays_risk_and_the_proof_holds(home, tmp_path):
    build_risk(open_dataset(home, "m"), "r", esof="neutral")
    config = parse_config(BUSY | {"risk": {"table": "r", "mode": "apply"}}, where="busy")
    ended, _ = trade(home, tmp_path / "s", None, config=config)
    proof = prove(home, tmp_path / "s")
    assert ended.bars == 120 and proof.equal, proof.sentence
    with pytest.raises(Refused, match="applies the risk table 'r', and this feed brings no risk inputs"):
        trade_paper(
            home, Runs(config, UNFROZEN, "b"), open_feed(home, "replay:m", CONFIG, FeedOptions(0.0, BEGIN, STOP)),
            tmp_path / "t", Settings(), feed="scans:x", say=print,
        )  # fmt: skip


def test_a_store_is_a_sessions_risk_its_postures_act_and_the_proof_holds(pristine, tmp_path):
    url, state = f"embedded:{tmp_path / 'store'}", tmp_path / "s"
    store = open_store(url)
    publish(store, BEGIN)
    first = int(np.searchsorted(open_dataset(pristine, "m").grid(), BEGIN))
    acts = {
        first: lambda: publish(store, BEGIN),
        first + 40: lambda: publish(store, BEGIN + 40 * 60 * 10**9, "RED"),
        first + 70: lambda: publish(store, BEGIN + 70 * 60 * 10**9, "GREEN"),
    }
    ended, said = trade(pristine, state, url, acts=acts, shared=store)
    rows = risk_of(state)
    boost, beta, rm, posture = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3]
    assert len(rows) == 120 and boost[0] == pytest.approx(1.0 + 0.5 * math.log(2.5))
    assert beta[0] > 0.0 and rm[0] == 1.0 and posture[0] == APEX
    turtle = POSTURES.index("TURTLE")
    assert posture[40] == APEX and posture[41] == turtle and posture[74] == APEX  # two checks down, five up
    assert any(line.startswith("posture TURTLE, Rm 0.1") for line in said)
    proof = prove(pristine, state)
    assert proof.equal and proof.bars == 120, proof.sentence
    about = json.loads((state / "session.json").read_text())
    assert about["risk"] == "store, apply" and about["config"]["risk"]["table"] == STORE_TABLE
    assert ended.status["risk"]["safety"]["posture"] == "APEX" and ended.status["ages"]["forecast_seconds"] >= 0.0
    assert ended.status["latencies_ms"]["bar"]["count"] == 120 and ended.status["last_decision"]["why"]

    looked = look_at(url)
    assert looked.get(SAFETY, LATEST).value["posture"] == "APEX"
    assert looked.get(state_map("blue"), LATEST).value["digest"] == ended.status["digest"]
    day = json.loads((state / "days" / "2025-01-01.json").read_text())
    assert looked.get(pnl_map("blue"), "2025-01-01").value["engine_capital"] == day["capital"]
    kept = [
        record.value["posture"] for record in LocalLedger(state / "ledger.jsonl").records() if record.place == SAFETY
    ]
    assert kept == ["APEX", "TURTLE", "APEX"]


@pytest.mark.slow
def test_a_member_that_is_killed_closes_everything_at_once_and_two_good_checks_release(pristine, tmp_path):
    member = Member()
    try:
        store, state = open_store(member.url, wait=60), tmp_path / "s"
        first = int(np.searchsorted(open_dataset(pristine, "m").grid(), BEGIN))

        def kill():
            member.kill()
            until(lambda: store.health().nodes == 0, "the member is gone", 60.0)

        def start():
            member.start()
            until(lambda: store.health().nodes == 1, "the member is back", 60.0)

        acts = {first: lambda: publish(store, BEGIN), first + 30: kill, first + 60: start}
        ended, _ = trade(pristine, state, member.url, acts=acts, shared=store)
    finally:
        member.stop()
    posture = risk_of(state)[:, 3]
    assert (posture[30:61] == HIBERNATE).all() and posture[29] == posture[61] == APEX
    journals = [Journal(path) for path in StateFolder(state).sessions_journals()]
    held = np.concatenate([j.field(i := j.index(), i.of("decision"), "account")[:, 2] for j in journals])
    assert held[:30].any() and not held[31:61].any()
    assert ended.bars == 120 and prove(pristine, state).equal


@pytest.mark.slow
def test_a_restart_stands_in_the_posture_that_was(pristine, tmp_path):
    url, state = f"embedded:{tmp_path / 'store'}", tmp_path / "s"
    with_store = open_store(url)
    publish(with_store, BEGIN, "RED")
    half = parse_time("2025-01-01T23:31:00Z")
    trade(pristine, state, url, stop=half, shared=with_store)
    ended, said = trade(pristine, state, url)
    assert ended.recovered is not None and not any(line.startswith("posture APEX") for line in said)
    posture = risk_of(state)[:, 3]
    assert (posture[1:] == POSTURES.index("TURTLE")).all()
    assert prove(pristine, state).equal


@pytest.mark.slow
def test_what_is_observed_is_told_and_decides_nothing(pristine, tmp_path):
    url = f"embedded:{tmp_path / 'store'}"
    plain, _ = trade(pristine, tmp_path / "a", None)
    store = open_store(url)
    publish(store, BEGIN, "RED")
    risk = RiskSettings(mode="observe", books=False)
    seen, _ = trade(pristine, tmp_path / "b", url, risk=risk, account="quiet", shared=store)
    assert seen.status["digest"] == plain.status["digest"]
    assert seen.status["risk"]["safety"]["posture"] == "TURTLE"
    looked = look_at(url)
    assert looked.get(SAFETY, LATEST) is None and looked.get(state_map("blue"), LATEST) is None
    assert looked.get(*book_place("BTCUSDT")) is None
