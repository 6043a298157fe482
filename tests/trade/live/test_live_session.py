"""A live session through Nautilus' real Binance clients keeps what a paper session keeps."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from drill_for_tests import until
from live_drill_for_tests import KEYS, LiveDrill, sound
from small_market import BUSY

from dolphin.config import parse_config
from dolphin.core.records import HIBERNATE
from dolphin.errors import DolphinError, Refused
from dolphin.journal import Journal
from dolphin.journal.held import hold
from dolphin.journal.schema import REJECTED
from dolphin.live.binance.asking import Client
from dolphin.trade.champion import Runs
from dolphin.trade.control import Wanted, order, read_audit
from dolphin.trade.live.rescue import adopt, flatten
from dolphin.trade.live.session import trade_live
from dolphin.trade.live.venue import Venue
from dolphin.trade.proof import prove
from dolphin.trade.settings import Limits, Settings

#: The first order goes out at 2305; its position is held until 2309.
START, HELD, STOP = 2300, 2306, 2318
CONFIG = parse_config(BUSY | {"friction": {"slippage_bps": 0.0, "fee_bps": 5.0}}, where="busy")


@pytest.fixture
def drill(pristine, dataset, tmp_path):
    with LiveDrill(pristine, dataset, CONFIG, START, STOP, tmp_path / "state") as one:
        yield one


def stops(drill):
    """Bars and reasons of what was stopped, of a session that is :func:`sound`."""
    events = [event for event in sound(drill) if event["status"] == REJECTED and event.ids.get("why")]
    return [(event.bar, event.ids["why"]) for event in events]


def asked(drill, work, *arguments):
    """What an operator's command does."""

    async def ask():
        client = Client(drill.exchange.url, KEYS)
        try:
            return await work(drill.folder, client, *arguments)
        finally:
            await client.close()

    return asyncio.run(ask())


def said(drill, text):
    until(lambda: any(text in line for line in list(drill.said)), f"nobody said {text}")


def foreign(drill, lots=200):
    """Somebody else buys; symbol and amount."""
    one = drill.dataset.instruments[-1]
    amount = f"{lots * one.lot_num / 10**one.lot_exp:.{one.lot_exp}f}"
    drill.thread.control(order={"symbol": one.symbol, "side": "BUY", "type": "MARKET", "quantity": amount})
    until(lambda: drill.thread.control()["positions"].get(one.symbol), "the foreign position")
    return one.symbol, float(amount)


def postures(drill):
    found = {}
    for path in drill.folder.sessions_journals():
        journal = Journal(path)
        held = hold(journal, journal.index())
        market = held.market(0, len(held.bars))
        found |= {bar: int(market.risk["posture"][bar]) for bar in held.bars.tolist()}
    return found


@pytest.mark.slow
def test_in_two_lives_with_a_position_between_it_is_what_research_decides(drill, pristine):
    first = drill.trade(START, HELD)
    assert first.bars == HELD - START + 1 and first.recovered is None and first.status["positions"]
    for path in drill.folder.snapshots.glob("*.npz"):
        path.unlink()
    second = drill.trade(HELD + 1, HELD + 6)
    assert second.recovered["cold"]
    third = drill.trade(HELD + 7, STOP - 1)
    assert not third.recovered["cold"] and third.recovered["replayed"] == 0
    assert [bar for bar, _ in drill.digests()] == list(range(START, STOP))
    proof = prove(pristine, drill.state)
    assert proof.equal and proof.bars == STOP - START, proof.sentence
    assert stops(drill) == [] and third.status["trades"] >= 1
    assert first.status["order_latency_us"]["orders"] == 1
    begun = first.status["start_seconds"]
    assert list(begun) == ["account_checked", "history_known", "connected", "first_decision"]
    assert sorted(begun.values()) == list(begun.values())
    texts = [path.read_bytes() for path in drill.state.rglob("*") if path.is_file()] + ["".join(drill.said).encode()]
    assert not any(KEYS.key.encode() in text or KEYS.secret.encode() in text for text in texts)


@pytest.mark.slow
def test_what_was_missed_is_made_up_for_from_the_exchange(drill, pristine):
    drill.trade(START, START + 2)
    drill.thread.control(bar=2)
    ended = drill.trade(START + 5, START + 6)
    assert ended.bars == 4 and [bar for bar, _ in drill.digests()] == list(range(START, START + 7))
    stopped = stops(drill)
    assert stopped == [] or stopped[0][1] == "a row that was missed"
    journal = Journal(drill.folder.newest_journal())
    held = hold(journal, journal.index())
    assert (held.market(3, 5).age[START + 3 : START + 5] == 0).all()


@pytest.mark.slow
def test_over_midnight_the_days_are_files_of_their_own(pristine, dataset, tmp_path):
    with LiveDrill(pristine, dataset, CONFIG, 2875, 2885, tmp_path / "state") as drill:
        drill.trade(2875, 2884)
        proof = prove(pristine, drill.state)
        assert proof.equal and proof.bars == 10 and proof.days == 2, proof.sentence
        days = [json.loads(path.read_text()) for path in sorted(drill.folder.days.glob("*.json"))]
    assert [day["closed"] for day in days] == [True, False] and days[0]["capital"] == days[1]["begin"]["capital"]


@pytest.mark.slow
def test_a_limit_and_a_halt_stop_entries_and_a_halt_flattens(drill):
    limits = Settings(fsync="never", limits=Limits(order_notional=1.0))
    drill.trade(START, HELD - 1, settings=limits)
    assert [why for bar, why in stops(drill) if bar == HELD - 1] and "above 1" in stops(drill)[0][1]

    def halts(drill):
        order(drill.folder, Wanted(True, True, "a drill"), "halt")

    ended = drill.trade(HELD, STOP - 1, {HELD + 2: halts})
    assert ended.status["halted"] and ended.status["positions"] == [] and "halted: a drill" in " ".join(drill.said)
    sound(drill)
    sent = [one["clientOrderId"] for one in drill.exchange.state()["orders"]]
    assert not sent or any(one.endswith("x") for one in sent)


@pytest.mark.slow
def test_a_foreign_position_hibernates_is_not_touched_and_is_adopted(drill):
    def intrudes(drill):
        drill.intruder = foreign(drill)
        said(drill, "a foreign position")

    def adopts(drill):
        line = asked(drill, adopt, drill.dataset.symbols, "it is ours")
        assert line["action"] == "adopt" and list(line["positions"]) == [drill.intruder[0]]

    ended = drill.trade(START, STOP - 1, {START + 3: intrudes, HELD + 2: adopts})
    found = postures(drill)
    assert [bar for bar, one in found.items() if one == HIBERNATE] == list(range(START + 3, HELD + 2))
    sound(drill)
    ids = [one["clientOrderId"].split("-") for one in drill.exchange.state()["orders"]]
    bars = [int(parts[2]) for parts in ids if len(parts) > 2]
    assert bars and min(bars) >= HELD + 2  # research's first order is of 2305
    said(drill, f"adopted: {drill.intruder[0]} 0 becomes")
    assert [line["action"] for line in read_audit(drill.folder)] == ["adopt"]
    assert ended.status["trades"] + len(ended.status["positions"]) >= 1 and not (drill.state / "adopt.json").exists()


@pytest.mark.slow
def test_hibernation_closes_what_is_ours_and_ends_when_books_and_account_are_right_again(drill):
    symbol = drill.dataset.symbols[-1]

    def changes(drill):
        drill.thread.control(leverage={symbol: 5})
        said(drill, "leverage, ours 20, the exchange's 5")

    def mends(drill):
        drill.thread.control(leverage={symbol: 20})
        said(drill, "APEX again")

    drill.trade(START, STOP - 1, {HELD + 1: changes, HELD + 3: mends}, leverage=20)
    found = postures(drill)
    assert [bar for bar, one in found.items() if one == HIBERNATE] == [HELD + 1, HELD + 2]
    sound(drill)
    sent = [one["clientOrderId"] for one in drill.exchange.state()["orders"]]
    assert any(one.endswith(f"-{HELD + 1}-0x") for one in sent), sent


@pytest.mark.slow
def test_flatten_closes_all_and_the_next_start_books_it(drill):
    drill.trade(START, HELD)
    foreign(drill)
    line = asked(drill, flatten, "busy", "enough")
    assert line["action"] == "flatten" and drill.exchange.state()["positions"] == {}
    ended = drill.trade(HELD + 1, HELD + 2)
    assert ended.status["trades"] == 1 and not (drill.state / "adopt.json").exists()
    assert stops(drill) == []
    assert [line["action"] for line in read_audit(drill.folder)] == ["flatten begins", "flatten"]


@pytest.mark.slow
def test_a_clock_that_runs_away_stops_entries(drill):
    def skews(drill):
        drill.thread.control(skew_ms=900)
        said(drill, "no entries: this machine's clock")

    drill.trade(START, HELD, {START + 2: skews})
    assert "clock" in dict(stops(drill))[HELD - 1]


@pytest.mark.slow
def test_two_positions_at_once_are_traded(drill, pristine):
    params = {key: value for key, value in BUSY["params"].items() if key != "direction"}
    drill.config = parse_config(
        {"strategy": "vel_div_sleeves", "params": params, "friction": {"slippage_bps": 0.0, "fee_bps": 5.0}}, where="x"
    )
    ended = drill.trade(START, STOP - 1)
    proof = prove(pristine, drill.state)
    assert stops(drill) == [] and proof.equal, proof.sentence
    slots = {one["clientOrderId"].split("-")[3] for one in drill.exchange.state()["orders"]}
    assert slots == {"0", "1"} and ended.status["trades"] >= 1


@pytest.mark.slow
def test_a_dead_user_stream_ends_the_process_and_the_next_goes_on(drill, pristine):
    dies = {"fault": {"where": "ORDER_TRADE_UPDATE", "do": "drop", "times": 999}}
    with pytest.raises(DolphinError, match="the user stream is dead"):
        drill.trade(START, STOP - 1, {START: dies})
    assert json.loads(drill.folder.status.read_text())["state"] == "stopped"
    drill.thread.control(clear=True)
    drill.trade(drill.exchange.tape.at, STOP - 1)  # a row may have been played that nobody heard
    proof = prove(pristine, drill.state)
    assert proof.equal and proof.bars == STOP - START, proof.sentence
    sound(drill)


def test_a_strategy_that_reads_quotes_is_refused_before_anything_is_written(drill):
    config = parse_config({"strategy": "breakout"}, where="x")
    drill.config = replace(config, strategy=replace(config.strategy, market_columns=("bid",), events=None))
    with pytest.raises(Refused, match="cannot be traded live"):
        drill.trade(START, START)
    assert not drill.state.exists()


def test_what_was_made_on_generated_data_trades_no_money(drill):
    assert drill.dataset.synthetic
    runs, venue = Runs(CONFIG, "c" * 64, "blue"), Venue(drill.dataset, "live")
    with pytest.raises(Refused, match="made on generated data"):
        trade_live(drill.home, runs, venue, drill.state, Settings(), KEYS, say=drill.said.append)
    assert not drill.state.exists()
