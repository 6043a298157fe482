"""A session killed with its orders on the way, and taken up again from its folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drill_for_tests import ExchangeThread, tape_of_rows, until

import dolphin
from dolphin.core.records import NONE
from dolphin.journal import Journal, replay
from dolphin.journal.held import hold
from dolphin.trade.folder import StateFolder
from dolphin.trade.proof import prove

START, BARS, KILLED = 2300, 10, 2305
TESTS = Path(__file__).resolve().parents[2]


def session(thread, state, home, kill=""):
    path = os.pathsep.join([str(TESTS), str(Path(dolphin.__file__).parents[1])])
    arguments = [thread.exchange.url, str(state), str(START + BARS - 1), str(home)]
    command = [sys.executable, str(TESTS / "killed_session.py"), *arguments]
    environment = os.environ | {"PYTHONPATH": path, "KILL": kill}
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
