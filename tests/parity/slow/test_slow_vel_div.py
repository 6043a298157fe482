"""The second writing of ``vel_div``, on the slow engine and real prices, against the reference trades."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from reference.identity import check

from dolphin.config import params_records
from dolphin.core.records import INSTRUMENT, neutral_risk
from dolphin.parity.slow.engine import Case, run_slow
from dolphin.parity.slow.fills import Friction
from dolphin.parity.slow.vel_div import REASONS, decide
from dolphin.strategies.vel_div import VelDivParams

STUDY = "klines_5m_2022"


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
        "log_price": np.log(price),
        "features": features.select("vel_div", "vol").to_numpy(),
        "risk": neutral_risk(len(times)),
        "instruments": instruments,
    }
    return SimpleNamespace(market=market, symbols=symbols, cases=told["cases"], folder=folder)


@pytest.mark.parametrize("name", ["default_gate_off", "gate_min_p60", "bidirectional_stop", "long_max_aligned"])
def test_reference_trades(real: SimpleNamespace, name: str) -> None:
    values = real.cases[name]["params"]
    by_position = VelDivParams(**{key: x for key, x in values.items() if key in VelDivParams.model_fields})
    record = params_records([by_position])
    case = Case(
        market=real.market,
        decide=decide,
        params={key: record[key][0].item() for key in record.dtype.names or ()},
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
