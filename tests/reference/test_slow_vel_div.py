"""ENGINE section 3 once more in plain Python, on the slow engine and real prices, against the reference trades."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from reference.identity import check

from dolphin.core.records import INSTRUMENT, neutral_risk
from dolphin.parity.slow.book import CLOSE, OPEN
from dolphin.parity.slow.engine import Case, run_slow
from dolphin.parity.slow.fills import Friction

STUDY = "klines_5m_2022"
REASONS = ("", "LIQUIDATION", "STOP_LOSS", "FIXED_TP", "MAX_HOLD")


def decide(state: Any, params: Any, market: Any, i: int) -> None:
    """``vel_div`` with neutral risk inputs."""
    slot, intent, account = state.slots[0], state.intents[0], state.account[0]
    if slot.side != 0:
        reason = exit_reason(slot, account.capital, params, float(market.price[i, slot.asset]), i)
        if reason:
            intent.action, intent.asset, intent.side, intent.qty = CLOSE, slot.asset, slot.side, slot.qty
            intent.reason = REASONS.index(reason)
        return
    signal, vol = (float(x) for x in market.features[i])
    gates = {"off": True, "min": vol >= params.vol_p60, "max": vol <= params.vol_p60}
    if math.isnan(signal) or math.isnan(vol) or not gates[params.vol_gate_mode] or account.capital <= 0.0:
        return
    if signal < params.short_threshold and params.direction != "long_only":
        side, threshold, extreme = -1, params.short_threshold, params.short_extreme
    elif signal > params.long_threshold and params.direction != "short_only":
        side, threshold, extreme = 1, params.long_threshold, params.long_extreme
    else:
        return
    asset = best_aligned(market, params, side, i)
    if asset is None:
        return
    strength = min(max((abs(signal) - abs(threshold)) / (abs(extreme) - abs(threshold)), 0.0), 1.0)
    wanted = params.base_leverage + (params.soft_cap - params.base_leverage) * strength**params.convexity
    leverage = max(min(wanted, params.abs_cap), 1.0)
    instrument, price = market.instruments[asset], float(market.price[i, asset])
    lots = math.floor(account.capital * params.fraction * leverage / price / instrument.lot + 1e-9)
    qty = lots * instrument.lot_num / instrument.lot_den
    if qty > 0.0 and qty * price >= instrument.min_notional:
        intent.action, intent.asset, intent.side, intent.qty, intent.leverage = OPEN, asset, side, qty, leverage


def exit_reason(slot: Any, capital: float, params: Any, price: float, i: int) -> str:
    """The first exit of section 3 that holds, or nothing."""
    move = slot.side * (price / slot.entry_price - 1.0)
    margin = params.maintenance_margin * slot.qty * price
    if capital + slot.side * slot.qty * (price - slot.entry_price) <= margin:
        return "LIQUIDATION"
    if params.stop_pct > 0.0 and move <= -params.stop_pct:
        return "STOP_LOSS"
    if move >= params.tp_pct:
        return "FIXED_TP"
    return "MAX_HOLD" if i - slot.entry_bar >= params.max_hold_bars else ""


def best_aligned(market: Any, params: Any, side: int, i: int) -> int | None:
    """The asset of the highest directional efficiency, the lower column of equals."""
    best, highest = None, params.min_alignment
    for j in range(market.price.shape[1]):
        path = [math.log(x) for x in market.price[i - params.rank_lookback : i + 1, j]]
        way = sum(abs(b - a) for a, b in pairwise(path))
        if not 0 <= market.age[i, j] <= params.max_stale_bars or not way > 0.0:
            continue
        efficiency = side * (path[-1] - path[0]) / way
        if efficiency > highest or (best is None and efficiency >= highest):
            best, highest = j, efficiency
    return best


@pytest.fixture(scope="module")
def real(shared_data: Path, shared_vectors: Path) -> SimpleNamespace:
    """The study's market, its cases and its folder of reference trades."""
    folder = shared_vectors / STUDY
    told = json.loads((folder / "cases.json").read_text())
    rules = json.loads((shared_data / STUDY / "instruments.json").read_text())["instruments"]
    features = pl.read_parquet(folder / "features.parquet")
    times, symbols = features["ts"].to_numpy(), told["symbols"]
    candles = pl.read_parquet(sorted((shared_data / STUDY).glob("*.parquet")), columns=["symbol", "ts", "close"])
    shape = (len(times), len(symbols))
    price, age = np.full(shape, np.nan), np.full(shape, -1)
    instruments = np.zeros(len(symbols), INSTRUMENT)
    for j, symbol in enumerate(symbols):
        one = candles.filter(pl.col("symbol") == symbol)
        rows = (one["ts"].to_numpy() + told["spacing_ms"] - times[0]) // told["spacing_ms"]
        price[rows, j] = [round(x, rules[symbol]["price_precision"]) for x in one["close"].to_list()]
        last = np.maximum.accumulate(np.where(np.isnan(price[:, j]), -1, np.arange(len(times))))
        price[:, j] = np.where(last >= 0, price[last, j], np.nan)
        age[:, j] = np.where(last >= 0, np.arange(len(times)) - last, -1)
        for name, key in (("tick", "price_tick"), ("lot", "lot_step")):
            num, den = Decimal(str(rules[symbol][key])).as_integer_ratio()
            instruments[name][j] = rules[symbol][key]
            instruments[f"{name}_num"][j], instruments[f"{name}_den"][j] = num, den
        instruments["min_notional"][j] = rules[symbol]["min_notional"]
    market = {
        "ts": times * 1_000_000,
        "price": price,
        "age": age,
        "features": features.select("vel_div", "vol").to_numpy(),
        "risk": neutral_risk(len(times)),
        "instruments": instruments,
    }
    return SimpleNamespace(market=market, symbols=symbols, cases=told["cases"], folder=folder)


@pytest.mark.parametrize("name", ["default_gate_off", "gate_min_p60", "bidirectional_stop", "long_max_aligned"])
def test_reference_trades(real: SimpleNamespace, name: str) -> None:
    values = real.cases[name]["params"]
    case = Case(
        market=real.market,
        decide=decide,
        params=values,
        friction=Friction(slippage_bps=values["slippage_bps"], fee_bps=values["fee_bps"]),
        reasons=REASONS,
        capital=values["initial_capital"],
    )
    run = run_slow(case)
    check(case, run)
    theirs = pl.read_parquet(real.folder / f"trades_{name}.parquet")
    same = [(t.entry_bar, t.exit_bar, real.symbols[t.asset], t.side, REASONS[t.reason]) for t in run.trades]
    assert same == theirs.select("entry_bar", "exit_bar", "asset", "side", "reason").rows()
    for ours, column in (("qty", "qty"), ("entry_price", "entry"), ("exit_price", "exit"), ("pnl", "pnl")):
        found = [getattr(trade, ours) for trade in run.trades]
        np.testing.assert_allclose(found, theirs[column].to_numpy(), rtol=1e-9)
    assert run.equity[-1] == pytest.approx(real.cases[name]["final_equity"], rel=1e-9)
    assert run.account.max_drawdown == pytest.approx(real.cases[name]["metrics"]["max_dd"], rel=1e-9)
    assert not any(code for row in run.refused for code in row)
