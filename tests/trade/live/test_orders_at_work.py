"""Orders rest in the market when the operator closes everything, the posture falls, or a kill comes at midnight."""

from __future__ import annotations

import pytest
from drill_for_tests import BREAKOUT
from live_drill_for_tests import LiveDrill
from test_bad_days import said, stops
from test_killed import STOPS, survived

from dolphin.config import parse_config
from dolphin.trade.control import Wanted, order

START, STOP = 2300, 2316
#: By then brackets guard positions and stops wait to open others.
ACT = 2306


@pytest.fixture
def drill(pristine, dataset, tmp_path):
    config = parse_config(BREAKOUT, where="drill")
    with LiveDrill(pristine, dataset, config, START, STOP, tmp_path / "state") as one:
        yield one


def waiting(drill):
    """What waits in the market."""
    state = drill.exchange.state()
    there = [o["clientOrderId"] for o in state["orders"] if o["status"] in ("NEW", "PARTIALLY_FILLED")]
    return there + [o["clientAlgoId"] for o in state["conditionals"] if o["algoStatus"] == "NEW"]


@pytest.mark.slow
def test_a_flatten_closes_all_and_leaves_no_order_behind(drill):
    seen = []

    def flattens(drill):
        seen.append((len(drill.exchange.state()["positions"]), len(waiting(drill))))
        order(drill.folder, Wanted(True, True, "enough"), "flatten")

    ended = drill.trade(START, STOP - 1, {ACT: flattens})
    assert seen[0][0] >= 1 and seen[0][1] >= 2, seen
    assert ended.status["positions"] == [] and drill.exchange.state()["positions"] == {} and waiting(drill) == []
    assert set(stops(drill).values()) >= {"halted: enough"} and ended.status["hibernates"] == []


@pytest.mark.slow
def test_hibernation_takes_out_and_closes_what_is_ours_and_its_end_lays_orders_again(drill):
    left = []

    def changes(drill):
        drill.thread.control(leverage={drill.dataset.symbols[-1]: 5})
        said(drill, "leverage, ours 20, the exchange's 5")

    def mends(drill):
        symbol = drill.dataset.symbols[-1]  # the one in question is not touched
        left.append(sorted(set(drill.exchange.state()["positions"]) - {symbol}))
        drill.thread.control(leverage={symbol: 20})
        said(drill, "APEX again")

    ended = drill.trade(START, STOP - 1, {ACT: changes, ACT + 3: mends}, leverage=20)
    assert left == [[]] and ended.status["hibernates"] == []
    assert waiting(drill) and stops(drill)


@pytest.mark.slow
def test_kills_around_midnight_lose_no_order_and_double_none(pristine, dataset, tmp_path):
    # Row 2880 closes at midnight and ends its day; the journal of the next begins with 2881.
    kills = ["2879:rest", "2881:day", "2881:named", "2881:lay", "2882:leave", "2883:rest"]
    found = survived(pristine, dataset, tmp_path, STOPS, 2872, 2895, kills)
    assert found == len(kills)
