"""A session killed with its orders on the way, and taken up again."""

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

START, BARS, KILLED = 2300, 10, 2305
TESTS = Path(__file__).resolve().parents[2]


def session(thread, journal, home, kill=""):
    path = os.pathsep.join([str(TESTS), str(Path(dolphin.__file__).parents[1])])
    arguments = [thread.exchange.url, str(journal), str(START), str(START + BARS - 1), str(home)]
    command = [sys.executable, str(TESTS / "killed_session.py"), *arguments]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path, "KILL": kill}, stderr=subprocess.PIPE)


def closed(path):
    last = Journal(path).last if path.exists() and path.stat().st_size else None
    return -1 if last is None else last.bar


def listening(thread, assets, process):
    assert process.poll() is None, process.stderr.read().decode()[-2000:]
    state = thread.control()
    return state["kline_listeners"] >= assets and state["users"]


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["intent", "sent", "filled"])
def test_a_kill_doubles_no_order_and_loses_no_position(pristine, dataset, tmp_path, phase):
    path, assets = tmp_path / "journal.arrow", len(dataset.symbols)
    with ExchangeThread(tape_of_rows(dataset, START, START + BARS)) as thread:
        thread.control(fill_delay=0.3)
        process = session(thread, path, pristine.root, f"{KILLED}:{phase}")
        for bar in range(START, START + BARS):
            until(lambda process=process: listening(thread, assets, process), "nobody listens")
            thread.control(bar=1)
            until(lambda bar=bar, process=process: closed(path) >= bar or process.poll() is not None, f"bar {bar}")
            if process.poll() is not None and closed(path) < START + BARS - 1:
                assert process.returncode == -9, process.stderr.read().decode()[-2000:]
                process.stderr.close()
                until(lambda: not any(o["status"] == "NEW" for o in thread.control()["orders"]), "the fill")
                process = session(thread, path, pristine.root)
        assert process.wait(60) == 0, process.stderr.read().decode()[-2000:]
        process.stderr.close()
        state = thread.control()
    found = replay(Journal(path))
    sent = [order["clientOrderId"] for order in state["orders"]]
    assert found.equal and found.bars == BARS and len(sent) == len(set(sent))
    assert (f"killed-{KILLED}-0" in sent) == (phase != "intent")
    executed = {o["clientOrderId"]: float(o["executedQty"]) for o in state["orders"] if float(o["executedQty"])}
    assert executed == booked(Journal(path))


def booked(journal):
    """What the journal's bookings say was filled, by client order id."""
    from dolphin.journal.held import hold

    records = hold(journal, journal.index()).bookings.records
    fills = records[(records["action"] != NONE) & np.isin(records["status"], [3, 4])]
    return {f"killed-{int(one['bar'])}-{int(one['slot'])}": float(one["qty"]) for one in fills}
