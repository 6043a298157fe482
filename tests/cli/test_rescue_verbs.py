"""``dolphin trade adopt`` and ``flatten``, as an operator calls them, against the fake exchange."""

from __future__ import annotations

import pytest
from drill_for_tests import until
from live_drill_for_tests import KEYS, LiveDrill
from small_market import BUSY

from dolphin.catalog import open_dataset
from dolphin.config import parse_config
from dolphin.trade.control import read_audit
from dolphin.workspace import Workspace

#: A position is held from 2305 to 2309.
START, HELD, STOP = 2300, 2306, 2312
CONFIG = parse_config(BUSY | {"friction": {"slippage_bps": 0.0, "fee_bps": 5.0}}, where="busy")


@pytest.fixture
def drill(home, tmp_path, monkeypatch):
    monkeypatch.setenv("BINANCE_API_KEY", KEYS.key)
    monkeypatch.setenv("BINANCE_API_SECRET", KEYS.secret)
    workspace = Workspace(home)
    with LiveDrill(workspace, open_dataset(workspace, "m"), CONFIG, START, STOP, tmp_path / "state") as one:
        yield one


def verb(call, home, drill, name, *more):
    return call(
        home, "trade", name, "--state", drill.state, "--exchange-url", drill.exchange.url, *more
    )  # fmt: skip


def intrude(drill):
    """Somebody else buys."""
    one = drill.dataset.instruments[-1]
    amount = f"{200 * one.lot_num / 10**one.lot_exp:.{one.lot_exp}f}"
    drill.thread.control(order={"symbol": one.symbol, "side": "BUY", "type": "MARKET", "quantity": amount})
    until(lambda: drill.thread.control()["positions"].get(one.symbol), "the foreign position")
    return one.symbol


@pytest.mark.slow
def test_what_somebody_bought_is_adopted_and_booked_by_the_next_start(call, home, drill):
    drill.trade(START, START + 2)
    symbol = intrude(drill)
    assert "a reason is mandatory" in verb(call, home, drill, "adopt").complaint
    done = verb(call, home, drill, "adopt", "--reason", "it is ours", "--json")
    assert done.code == 0 and list(done.json["positions"]) == [symbol], done.err
    ended = drill.trade(START + 3, START + 4)
    assert [one["symbol"] for one in ended.status["positions"]] == [symbol] or ended.status["trades"] == 1
    assert ended.status["hibernates"] == [] and not (drill.state / "adopt.json").exists()
    assert [line["action"] for line in read_audit(drill.folder)] == ["adopt"]
    assert KEYS.secret not in done.out + done.err


@pytest.mark.slow
def test_flatten_closes_all_that_the_account_has(call, home, drill):
    drill.trade(START, HELD)
    intrude(drill)
    resting = {"symbol": drill.dataset.symbols[0], "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    price = drill.exchange.prices[drill.dataset.symbols[0]]
    rules = drill.exchange.rules[drill.dataset.symbols[0]]
    low = rules.price_text(price * 9 // 10 // rules.tick * rules.tick)
    drill.thread.control(order=resting | {"price": low, "quantity": rules.quantity_text(rules.step * 1000)})
    done = verb(call, home, drill, "flatten", "--reason", "enough")
    assert done.code == 0 and "2 positions closed" in done.out, done.err
    state = drill.thread.control()
    assert state["positions"] == {} and not [one for one in state["orders"] if one["status"] == "NEW"]
    ended = drill.trade(HELD + 1, HELD + 2)
    assert ended.status["trades"] == 1 and ended.status["hibernates"] == []
    assert [line["action"] for line in read_audit(drill.folder)] == ["flatten begins", "flatten"]


@pytest.mark.slow
def test_a_session_that_runs_flattens_itself(call, home, drill):
    def flattens(drill):
        done = verb(call, home, drill, "flatten", "--reason", "enough")
        assert done.code == 0 and "within one bar" in done.out, done.err

    ended = drill.trade(START, STOP - 1, {HELD + 1: flattens})
    assert ended.status["halted"] and ended.status["positions"] == [] and drill.exchange.state()["positions"] == {}
