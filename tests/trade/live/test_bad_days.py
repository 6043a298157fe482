"""Bad days of a live session, each caused for real: a line to the user, what the session does, its books after."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import resource
import signal
import socket
import traceback
from decimal import Decimal
from pathlib import Path

import pytest
from drill_for_tests import until
from live_drill_for_tests import KEYS, LiveDrill, sound
from small_market import BUSY

from dolphin.config import parse_config
from dolphin.errors import Busy, Damaged, DolphinError
from dolphin.journal import Journal
from dolphin.journal.held import hold
from dolphin.live.binance.keys import Keys
from dolphin.locks import hold as hold_lock
from dolphin.trade import watching
from dolphin.trade.proof import prove

#: Research's first order is of 2305; its position is held until 2309, and the next one is of 2311.
START, FIRST, STOP = 2300, 2305, 2318
CONFIG = parse_config(BUSY | {"friction": {"slippage_bps": 0.0, "fee_bps": 5.0}}, where="busy")


@pytest.fixture
def drill(pristine, dataset, tmp_path):
    with LiveDrill(pristine, dataset, CONFIG, START, STOP, tmp_path / "state") as one:
        yield one


def stops(drill):
    """Why orders were stopped, by bar, of a session that is :func:`sound`."""
    events = [event for event in sound(drill) if event.ids.get("why") and not event.ids.get("trade_id")]
    return {event.bar: event.ids["why"] for event in events}


def secretive(drill, text=""):
    """No key in any file of the session's or in anything it said."""
    texts = [path.read_bytes() for path in drill.state.rglob("*") if path.is_file()]
    texts += ["\n".join(drill.said).encode(), text.encode()]
    for planted in (KEYS.key, KEYS.secret, *map(str, (hashlib.sha256(KEYS.secret.encode()).hexdigest(),))):
        assert not any(planted.encode() in one for one in texts)


# Before the first order ---------------------------------------------------------------------------------------------


def nowhere():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def other_rules(drill, **change):
    symbol = drill.dataset.symbols[0]
    drill.exchange.rules[symbol] = dataclasses.replace(drill.exchange.rules[symbol], **change)


#: What is wrong at the start: what is done to the drill, what its session is told, what is said.
AT_THE_START = {
    "another account's key": (None, {"keys": Keys("ANOTHERKEY00", KEYS.secret)}, "-2015.*--environment"),
    "another secret": (None, {"keys": Keys(KEYS.key, "ANOTHERSECRET")}, "-1022.*check BINANCE_API_SECRET"),
    "an address or a permission that is missing": (
        {"fault": {"where": "GET /fapi/v1/positionSide/dual", "status": 401, "code": -2015}}, {},
        "-2015.*its allowed addresses and its permission for futures",
    ),
    "hedge mode": ({"hedge": True}, {}, "the account is in hedge mode; set it to one-way"),
    "another leverage": (None, {"leverage": 5}, "leverage 20 at the exchange, 5 wanted"),
    "a symbol that is not traded any more": ({"status": {"BTCUSDT": "SETTLING"}}, {}, "BTCUSDT: is SETTLING"),
    "another tick": (lambda drill: other_rules(drill, tick=Decimal(1)), {}, "tick 1, was"),
    "another lot": (lambda drill: other_rules(drill, step=Decimal(1)), {}, "lot 1, was"),
    "an unknown symbol": (lambda drill: drill.exchange.rules.pop("BTCUSDT"), {}, "BTCUSDT: unknown to the exchange"),
    "a clock that is off": ({"skew_ms": 900}, {}, r"clock is \d+ ms behind"),
    "maintenance": ({"maintenance": True}, {}, "503.*down or in maintenance: wait, then the same command"),
    "nobody there": (None, {"url": nowhere}, "does not answer.*is it up, and the address right"),
}  # fmt: skip


@pytest.mark.parametrize("what", AT_THE_START)
def test_it_is_refused_in_a_line_and_nothing_is_begun(drill, what):
    done, given, line = AT_THE_START[what]
    if callable(done):
        done(drill)
    elif done is not None:
        drill.thread.control(**done)
    given = {name: value() if callable(value) else value for name, value in given.items()}
    with pytest.raises(DolphinError) as refused:
        drill.trade(START, START, **given)
    told = " ".join([str(refused.value), *getattr(refused.value, "details", ())])

    assert re.search(line, told), told
    assert "\n" not in str(refused.value) and drill.folder.newest_journal() is None
    assert drill.exchange.orders.all == {}
    secretive(drill, "".join(traceback.format_exception(refused.value)))


def test_a_second_session_on_the_account_is_refused_whatever_its_folder(drill):
    account = hashlib.sha256(KEYS.key.encode()).hexdigest()[:12]
    lock = drill.home.root / "runs" / "trade" / f".account-{account}.lock"
    with hold_lock(lock), pytest.raises(Busy, match="another session trades this account"):
        drill.trade(START, START)
    assert not drill.folder.about.exists()


# While it trades ----------------------------------------------------------------------------------------------------


def said(drill, text):
    until(lambda: any(text in line for line in list(drill.said)), f"nobody said {text}: {drill.said}")


@pytest.mark.slow
def test_no_money_no_permission_no_requests_and_no_symbol_open_nothing_and_are_told(drill):
    balance = drill.exchange.account.balance

    def poor(drill):
        drill.exchange.account.balance = Decimal(1)

    def banned(drill):
        drill.exchange.account.balance = balance
        limit = {"status": 418, "code": -1003, "headers": {"Retry-After": "1"}, "times": 1}
        drill.thread.control(fault={"where": "GET /fapi/v3/positionRisk"} | limit)
        said(drill, "this address is banned (418): the exchange is asked nothing for 1 s")
        said(drill, "the exchange takes requests again")

    def locked_out(drill):
        drill.exchange._known = "ANOTHER", "ANOTHER"
        said(drill, "no entries: the exchange cannot be asked: /fapi/v3/positionRisk: the exchange answers -2015")

    def let_in(drill):
        drill.exchange._known = KEYS.key, KEYS.secret
        said(drill, "entries again: the exchange answers")
        drill.thread.control(status=dict.fromkeys(drill.dataset.symbols, "SETTLING"))

    ended = drill.trade(
        START, STOP - 1, {FIRST: poor, FIRST + 1: banned, FIRST + 2: locked_out, FIRST + 5: let_in}
    )  # fmt: skip
    found = stops(drill)
    assert found[FIRST] == "rejected: code -2019 (Margin is insufficient.)"
    assert any("cannot be asked" in why for why in found.values()), found
    assert "rejected: code -4140 (Invalid symbol status for opening position.)" in found.values(), found
    assert ended.status["trades"] == 0 and drill.exchange.account.trades == []
    assert sum("did not take" in line and "Margin is insufficient" in line for line in drill.said) == 1
    assert not any(line.startswith("HIBERNATE") for line in drill.said)
    secretive(drill, json.dumps(ended.status))


@pytest.mark.slow
def test_an_exchange_that_is_gone_for_an_hour_costs_its_rows_and_no_books(pristine, dataset, tmp_path):
    gone, back = FIRST + 1, FIRST + 61
    with LiveDrill(pristine, dataset, CONFIG, START, back + 10, tmp_path / "state") as drill:

        def goes(drill):
            drill.thread.control(maintenance=True)
            said(drill, "no entries: the exchange cannot be asked")
            drill.thread.control(bar=60)
            drill.thread.control(maintenance=False)
            said(drill, "entries again")

        drill.skip = {gone: 60}
        ended = drill.trade(START, back + 9, {gone: goes})
        assert [bar for bar, _ in drill.digests()] == list(range(START, back + 10))
        found = stops(drill)
        journal = Journal(drill.folder.newest_journal())
        held = hold(journal, journal.index())
        assert (held.market(0, len(held.bars)).age[held.bars] == 0).all()  # asked for when it was back
        assert all(why == "a row that was missed" for bar, why in found.items() if gone <= bar < back), found
        bars = [int(one["clientOrderId"].split("-")[2]) for one in drill.exchange.state()["orders"]]
        assert ended.status["hibernates"] == [] and any("the stream lacked bars of" in line for line in drill.said)
        proof = prove(pristine, drill.state)
        # The position was to be closed at 2309: that went out an hour later, when somebody took orders again.
        assert proof.first.bar == 2309 - START and proof.stopped == [] and "'fill': price" in proof.sentence
        assert bars[0] == FIRST and "2309" in drill.exchange.state()["orders"][1]["clientOrderId"]


@pytest.mark.slow
def test_who_slept_for_an_hour_opens_nothing_on_the_rows_of_meanwhile(drill, monkeypatch):
    real, slept = watching.elapsed, [0.0]
    monkeypatch.setattr(watching, "elapsed", lambda: real() + slept[0])

    def sleeps(drill):
        slept[0] = 3600.0

    ended = drill.trade(START, STOP - 1, {FIRST: sleeps})
    found = stops(drill)
    assert found[FIRST].startswith("the newest row closed 3") and "(3 spacings are fresh)" in found[FIRST]
    assert ended.status["alerts"][0]["about"] == "feed" and drill.exchange.account.trades == []
    assert any(line.startswith("ALERT: feed: the newest row closed") for line in drill.said)


@pytest.mark.slow
def test_a_disk_that_fills_in_mid_session_ends_it_in_a_line_and_the_next_start_goes_on(drill, pristine):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fills(drill):
        size = drill.folder.newest_journal().stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 700, before[1]))

    try:
        with pytest.raises(DolphinError, match=r"arrow: the journal cannot be written: File too large"):
            drill.trade(START, STOP - 1, {FIRST: fills})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    drill.trade(drill.exchange.tape.at, STOP - 1)
    sound(drill)
    proof = prove(pristine, drill.state)
    assert proof.bars == STOP - START and all("a row that was missed" in line for line in proof.stopped), proof.stopped
    secretive(drill)


@pytest.mark.slow
def test_an_interrupt_ends_it_in_order_and_a_damaged_journal_is_not_gone_on_with(drill):
    def interrupts(drill):
        os.kill(os.getpid(), signal.SIGINT)

    ended = drill.trade(START, STOP - 1, {FIRST + 2: interrupts})
    assert ended.interrupted and ended.status["state"] == "interrupted" and ended.status["positions"]
    assert stops(drill) == {}
    for path in (drill.state, *drill.state.rglob("*")):  # nobody else may look
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    path: Path = drill.folder.newest_journal()
    data = bytearray(path.read_bytes())
    whole = bytes(data)
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(Damaged) as damaged:
        drill.trade(FIRST + 3, FIRST + 3)
    assert str(path) in str(damaged.value) and "\n" not in str(damaged.value)
    path.write_bytes(whole + b"torn")  # what a power cut leaves is cut
    again = drill.trade(FIRST + 3, FIRST + 4)
    assert again.recovered is not None and stops(drill) == {}
