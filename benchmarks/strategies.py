"""What an engine for any strategy costs: slots per asset, changes of size, stops inside the bar.

Run ``python -m benchmarks.strategies``. The peer is vectorbt's ``Portfolio.from_orders`` with the same orders:
it is told what was traded and keeps books of one cash account, our batch loop decides, trades and keeps books.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.day import SPACING_NS
from benchmarks.table import Row, show
from dolphin import workspace
from dolphin.catalog import generate, open_dataset
from dolphin.config import Config, parse_config
from dolphin.core.engine import NO_TRADES
from dolphin.core.records import Market
from dolphin.market.assemble import open_market
from dolphin.study.findings.books import order_table
from dolphin.study.findings.peer import muted, vectorbt
from dolphin.study.measure.run import run

ASSETS, ROUNDS, BATCHES = 50, 5, 3

#: Strategy, its parameters, its fill model, and what a bar is divided by.
CASES: tuple[tuple[str, dict[str, Any], str, int], ...] = (
    ("cross_momentum", {"per_side": 25, "rebalance_bars": 720, "lookback": 720}, "scan_price", ASSETS),
    ("breakout", {}, "bar_range", ASSETS),
)


def batch_ns(config: Config, market: Market) -> float:
    """Nanoseconds per bar of the batch loop, digest off."""
    engine, bars = config.engine, len(market.ts)
    params, friction = config.params_record(), config.friction_record()
    total = 0.0
    for _ in range(BATCHES):
        states = engine.new_states(ASSETS, np.array([config.account.initial_capital]))
        began = time.perf_counter()
        engine.kernels.run_many(states, params, friction, market, 0, bars, NO_TRADES)
        total += time.perf_counter() - began
    return 1e9 * total / BATCHES / bars


def vectorbt_ns(orders: Any, market: Market, capital: float) -> float:
    """Nanoseconds per bar of vectorbt's books of these orders (netted per bar and asset)."""
    size, price, fees = np.zeros(market.price.shape), market.price.copy(), np.zeros(market.price.shape)
    for order in orders:
        at = order["bar"], order["asset"]
        size[at] += order["direction"] * order["qty"]
        price[at], fees[at] = order["price"], fees[at] + order["fee"]
    with muted():
        vbt = vectorbt()
        began = time.perf_counter()
        vbt.Portfolio.from_orders(
            market.price, size, price=price, fixed_fees=fees, init_cash=1e3 * capital, cash_sharing=True, group_by=True
        )
        return 1e9 * (time.perf_counter() - began) / len(market.ts)


def measured(name: str, params: dict[str, Any], model: str, per: int, home: Path) -> list[Row]:
    """The rows of one strategy on one generated day."""
    space = workspace.find(home)
    dataset = open_dataset(space, "bench")
    config = parse_config({"strategy": name, "params": params, "friction": {"fill_model": model}}, where="benchmark")
    market = open_market(dataset, config)
    done = run(dataset, market, config, 0, len(market.ts))
    held = done.metrics["exposure"]
    orders = order_table(done)
    capital = config.account.initial_capital
    batch_ns(config, market), vectorbt_ns(orders, market, capital)
    figures = np.array([(batch_ns(config, market), vectorbt_ns(orders, market, capital)) for _ in range(ROUNDS)])
    ours, peer = figures.T
    title = f"{name}, {ASSETS} slots, {len(orders):,} orders, in the market {held:.0%} of bars / from_orders"
    return [
        Row(title, float(np.median(ours)), float(np.median(peer)), float(np.median(peer / ours)), "ns/bar"),
        Row(f"{name}, per asset", float(np.median(ours)) / per, float(np.median(peer)) / per,
            float(np.median(peer / ours)), "ns"),
    ]  # fmt: skip


def main() -> list[Row]:
    """Measure, print and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        generate(workspace.create(home), "bench", preset="edge", days=1, assets=ASSETS, spacing_ns=SPACING_NS, seed=1)
        rows = [row for case in CASES for row in measured(*case, home)]
    show("Strategies with a slot per asset, one day of 5 s x 50 assets", rows)
    return rows


if __name__ == "__main__":
    main()
