"""An operator closes everything while orders rest in the market, and what does it is killed in the middle."""

from __future__ import annotations

import json

import pytest
from drill_for_tests import BREAKOUT, ExchangeThread, tape_of_rows, until
from live_drill_for_tests import LiveDrill, sound
from test_killed import closed, listening, session
from test_live_session import asked

from dolphin.config import parse_config
from dolphin.journal import Journal, replay
from dolphin.trade.control import Wanted, order, read_audit
from dolphin.trade.folder import StateFolder
from dolphin.trade.live import rescue
from dolphin.trade.live.rescue import flatten

START, HELD, STOP = 2300, 2306, 2325

#: The first row of a day; a position and orders are at work since the rows before.
DAY = 2881


def open_orders(state):
    there = [one for one in state["orders"] if one["status"] in ("NEW", "PARTIALLY_FILLED")]
    return there + [one for one in state["conditionals"] if one["algoStatus"] == "NEW"]


@pytest.mark.slow
def test_flattening_that_is_killed_is_done_again_and_booked_with_what_rested_and_filled_meanwhile(
    pristine, dataset, tmp_path, monkeypatch
):
    config = parse_config(BREAKOUT, where="x")
    with LiveDrill(pristine, dataset, config, START, STOP, tmp_path / "state") as drill:
        drill.trade(START, HELD)
        before = drill.exchange.state()
        assert open_orders(before) and before["positions"]
        drill.thread.control(bar=3)
        during = drill.exchange.state()
        assert len(during["trades"]) > len(before["trades"]) and during["positions"]  # nobody was there

        def dies(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(rescue, "order_adoption", dies)
            asked(drill, flatten, "busy", "enough")
        line = asked(drill, flatten, "busy", "enough")
        state = drill.exchange.state()
        assert state["positions"] == {} and open_orders(state) == []
        assert set(line["prices"]) == set(during["positions"])
        assert [line["action"] for line in read_audit(drill.folder)] == ["flatten begins"] * 2 + ["flatten"]
        drill.trade(HELD + 4, HELD + 12)
        sound(drill)
        status, state = json.loads(drill.folder.status.read_text()), drill.exchange.state()
        assert status["capital"] == pytest.approx(float(state["balance"]), abs=1e-5)
        assert status["hibernates"] == [] and not (drill.state / "adopt.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["closing", "leave"])
def test_a_session_that_is_killed_while_it_flattens_at_midnight_goes_on_with_it(pristine, dataset, tmp_path, phase):
    state, first, last = tmp_path / "state", DAY - 6, DAY + 3
    tape = tape_of_rows(dataset, 0, last + 1, ranged=True)
    tape.at = first
    with ExchangeThread(tape) as thread:
        process, kills = session(thread, state, pristine.root, f"{DAY}:{phase}", BREAKOUT, last), 0
        for bar in range(first, last + 1):
            until(lambda process=process: listening(thread, len(dataset.symbols), process), "nobody listens")
            if bar == DAY:
                found = thread.control()
                assert found["positions"] and open_orders(found)
                order(StateFolder(state), Wanted(True, True, "a drill"), "flatten")
            thread.control(bar=1)
            until(lambda bar=bar, process=process: closed(state) >= bar or process.poll() is not None, f"bar {bar}")
            if process.poll() is not None and closed(state) < last:
                assert process.returncode == -9 and bar == DAY, process.stderr.read().decode()[-2000:]
                process.stderr.close()
                kills += 1
                process = session(thread, state, pristine.root, "", BREAKOUT, last)
        assert process.wait(60) == 0, process.stderr.read().decode()[-2000:]
        process.stderr.close()
        found = thread.control()
    status = json.loads(StateFolder(state).status.read_text())
    assert kills == 1 and found["positions"] == {} and open_orders(found) == []
    assert status["positions"] == [] and status["halted"] and status["hibernates"] == []
    assert status["capital"] == pytest.approx(float(found["balance"]), abs=1e-5)
    sent = [one["clientOrderId"] for one in found["orders"]]
    assert len(sent) == len(set(sent))
    # What was not sent before the kill goes out in the next row.
    assert {int(one.split("-")[2]) for one in sent if one.endswith("x")} == {DAY + (phase == "leave")}
    journals = [Journal(path) for path in StateFolder(state).sessions_journals()]
    assert len(journals) == 2 and all(replay(journal).equal for journal in journals)
