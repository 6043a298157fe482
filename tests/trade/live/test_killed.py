"""A session killed with its orders on the way, and taken up again from its folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drill_for_tests import PAIR, ExchangeThread, tape_of_rows, until

import dolphin
from dolphin.core.records import NONE
from dolphin.journal import Journal, replay
from dolphin.journal.held import hold
from dolphin.trade.folder import StateFolder
from dolphin.trade.proof import prove

START, BARS, KILLED = 2300, 10, 2305
TESTS = Path(__file__).resolve().parents[2]
SCRIPT = TESTS.parent / "scripts" / "kill_live.py"


def session(thread, state, home, kill="", config=None, last=START + BARS - 1):
    path = os.pathsep.join([str(TESTS), str(Path(dolphin.__file__).parents[1])])
    arguments = [thread.exchange.url, str(state), str(last), str(home)]
    command = [sys.executable, str(TESTS / "killed_session.py"), *arguments]
    environment = os.environ | {"PYTHONPATH": path, "KILL": kill, "CONFIG": json.dumps(config)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def journal_in(state):
    path = StateFolder(state).newest_journal()
    return Journal(path) if path is not None and path.stat().st_size else None


def closed(state):
    journal = journal_in(state)
    last = None if journal is None else journal.last
    return -1 if last is None else last.bar


def listening(thread, assets, process):
    assert process.poll() is None, process.stderr.read().decode()[-2000:]
    state = thread.control()
    return state["kline_listeners"] >= assets and state["users"]


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["intent", "sent", "filled"])
def test_a_kill_doubles_no_order_and_loses_no_position(pristine, dataset, tmp_path, phase):
    home, assets = tmp_path / "state", len(dataset.symbols)
    tape = tape_of_rows(dataset, 0, START + BARS)
    tape.at = START
    with ExchangeThread(tape) as thread:
        thread.control(fill_delay=0.3)
        process = session(thread, home, pristine.root, f"{KILLED}:{phase}")
        for bar in range(START, START + BARS):
            until(lambda process=process: listening(thread, assets, process), "nobody listens")
            thread.control(bar=1)
            until(lambda bar=bar, process=process: closed(home) >= bar or process.poll() is not None, f"bar {bar}")
            if process.poll() is not None and closed(home) < START + BARS - 1:
                assert process.returncode == -9, process.stderr.read().decode()[-2000:]
                process.stderr.close()
                until(lambda: not any(o["status"] == "NEW" for o in thread.control()["orders"]), "the fill")
                process = session(thread, home, pristine.root)
        assert process.wait(60) == 0, process.stderr.read().decode()[-2000:]
        process.stderr.close()
        state = thread.control()
    journal = journal_in(home)
    found = replay(journal)
    sent = [order["clientOrderId"] for order in state["orders"]]
    assert found.equal and found.bars == BARS and len(sent) == len(set(sent))
    assert any(f"-{KILLED}-0" in one for one in sent) == (phase != "intent")
    executed = {o["clientOrderId"].split("-", 2)[2]: float(o["executedQty"]) for o in state["orders"]}
    assert {name: qty for name, qty in executed.items() if qty} == booked(journal)
    if phase != "intent":
        assert prove(pristine, home).equal


def booked(journal):
    """What the journal's bookings say was filled, by bar and slot."""
    records = hold(journal, journal.index()).bookings.records
    fills = records[(records["action"] != NONE) & np.isin(records["status"], [3, 4])]
    return {f"{int(one['bar'])}-{int(one['slot'])}": float(one["qty"]) for one in fills}


#: Without a fee of makers, so that the bars are those at which orders rest.
LIMITS = PAIR | {"friction": {"slippage_bps": 0.0, "fee_bps": 5.0}}
PHASES = ["lay", "laid", "rest", "part", "leave"]


@pytest.mark.slow
def test_orders_in_the_market_are_found_again_after_each_kill(pristine, dataset, tmp_path):
    state, last, left, config = tmp_path / "state", START + 39, list(PHASES), LIMITS
    tape = tape_of_rows(dataset, 0, last + 1)
    tape.at, kills = START, 0
    with ExchangeThread(tape) as thread:
        process = session(thread, state, pristine.root, f"{START + 1}:{left.pop(0)}", config, last)
        for bar in range(START, last + 1):
            until(lambda process=process: listening(thread, len(dataset.symbols), process), "nobody listens")
            thread.control(bar=1)
            until(lambda bar=bar, process=process: closed(state) >= bar or process.poll() is not None, f"bar {bar}")
            if process.poll() is not None and closed(state) < last:
                assert process.returncode == -9, process.stderr.read().decode()[-2000:]
                process.stderr.close()
                kills += 1
                process = session(
                    thread, state, pristine.root, f"{bar + 2}:{left.pop(0)}" if left else "", config, last
                )  # fmt: skip
        assert process.wait(60) == 0, process.stderr.read().decode()[-2000:]
        process.stderr.close()
        found = thread.control()
    assert kills == len(PHASES)
    journal = journal_in(state)
    again = replay(journal)
    assert again.equal, again.sentence
    for kind, name in (("orders", "clientOrderId"), ("conditionals", "clientAlgoId")):
        sent = [one[name] for one in found[kind]]
        assert len(sent) == len(set(sent)), f"{kind} were sent twice"
    status = json.loads(StateFolder(state).status.read_text())
    books: dict[str, float] = {}
    for one in status["positions"]:
        books[one["symbol"]] = books.get(one["symbol"], 0.0) + one["side"] * one["quantity"]
    assert books == pytest.approx({symbol: float(amount) for symbol, amount in found["positions"].items()})
    assert status["hibernates"] == [] and len(found["trades"]) >= 4
    filled = sum(float(one["qty"]) for one in found["trades"])
    records = hold(journal, journal.index()).bookings.records
    fills = records[(records["action"] != NONE) & np.isin(records["status"], [3, 4])]
    assert float(fills["qty"].sum()) == pytest.approx(filled)


@pytest.mark.slow
def test_stops_and_brackets_killed_at_drawn_places_are_those_of_a_session_that_never_was(home):
    wanted = ["--home", home.root, "--kills", "7", "--per-session", "7", "--seed", "5", "--json"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *wanted], capture_output=True, text=True, timeout=600, cwd=TESTS.parent
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] >= 7 and found["trades"] > 0 and "(stops)" in done.stderr


@pytest.mark.slow
def test_an_interrupt_while_the_row_of_a_kill_is_done_again_ends_with_that_row(pristine, dataset, tmp_path):
    state = tmp_path / "state"
    tape = tape_of_rows(dataset, 0, KILLED + 2)
    tape.at = START
    with ExchangeThread(tape) as thread:
        process = session(thread, state, pristine.root, f"{KILLED}:sent")
        thread.control(fill_delay=0.3)
        for bar in range(START, KILLED + 1):
            until(lambda: listening(thread, len(dataset.symbols), process), "nobody listens")
            thread.control(bar=1)
            until(lambda bar=bar: closed(state) >= bar or process.poll() is not None, f"bar {bar}")
        assert process.wait(60) == -9
        process.stderr.close()
        thread.control(fault={"where": "GET /fapi/v1/order", "delay": 2.0})
        asked = thread.control()["calls"].get("GET /fapi/v1/order", 0)
        process = session(thread, state, pristine.root)
        until(lambda: thread.control()["calls"].get("GET /fapi/v1/order", 0) > asked, "the order is not asked about")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, process.stderr.read().decode()[-2000:]
        process.stderr.close()
    assert closed(state) == KILLED
    assert json.loads(StateFolder(state).status.read_text())["state"] == "interrupted"
