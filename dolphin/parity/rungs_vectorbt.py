"""Rung 1: the orders of a run through vectorbt, which keeps its own books.

vectorbt is given what was sent (asset, side, quantity, fill price) and the fee rates, and computes cash, positions,
fees, value and P&L itself, all assets in one group that shares its cash. What it reports is compared with our books.
Its simulation of orders is one compiled function for all strategies, which stays on disk; ``from_order_func``, through
which a strategy's own code could run inside, is compiled anew in every process (nine seconds) around the same function.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from dolphin.core.records import Floats, Ints, Market, Records
from dolphin.parity.case import Case, Trace
from dolphin.study.findings.peer import muted, vectorbt

#: Value per bar, P&L per trade, fees, funding and positions may differ by this much of what is at work.
TOLERANCE = 1e-9

Outcome = tuple[bool, str, dict[str, Any]]


class VectorbtRun(NamedTuple):
    """What vectorbt leaves: its order and closed trade records, by row of the case's market, and its books.

    ``value`` (bars,) after every bar, ``funding`` (bars,) on its own positions; ``held`` (N,) are these at the end.
    """

    orders: Records
    trades: Records
    value: Floats
    funding: Floats
    held: Floats
    seconds: float


def vectorbt_rung(case: Case, fed: Market | None = None) -> Outcome:
    """Run it and compare; ``fed`` is what decides in place of the case's market."""
    trace = case.trace if fed is None else case.trace_on(fed)
    facts: dict[str, Any] = {"orders": len(trace.fills), "trades": len(case.batch.trades)}
    found = case.divergence(trace.digests, trace.stages)
    if found:
        return False, found.sentence(), {**facts, **found.facts()}
    run = run_vectorbt(case, trace)
    facts["seconds_in_vectorbt"] = run.seconds
    return compare(case, run, facts)


def compare(case: Case, run: VectorbtRun, facts: dict[str, Any]) -> Outcome:
    """vectorbt's orders, positions, fees, funding, value and P&L against ours."""
    unequal = unequal_orders(case, run.orders) or unequal_books(case, run)
    if unequal:
        return False, unequal, facts
    value, equity = run.value + np.cumsum(run.funding), case.batch.equity
    apart = np.abs(value - equity) / scale_of(case)
    facts["largest_value_difference"] = float(np.max(apart, initial=0.0))
    if not facts["largest_value_difference"] <= TOLERANCE:
        k = int(np.argmax(~(apart <= TOLERANCE)))
        return False, f"vectorbt's value at bar {case.start + k} is {value[k]!r}, ours {equity[k]!r}", facts
    facts["largest_pnl_difference"] = None if case.resizes else largest_pnl_difference(case, run.trades)
    if case.resizes:
        facts["pnl_note"] = "positions changed size: vectorbt's trades average all entries, ours those that are left"
    elif facts["largest_pnl_difference"] is None:
        facts["pnl_note"] = "positions of one asset overlapped: vectorbt nets them, its trades are not ours"
    elif not facts["largest_pnl_difference"] <= TOLERANCE:
        return False, f"a trade's P&L differs by {facts['largest_pnl_difference']:.1e} of its notional", facts
    sentence = (
        f"{len(run.orders):,} orders are bit-equal, value per bar within "
        f"{facts['largest_value_difference']:.0e} relative, over {case.bars:,} bars"
    )
    return True, sentence, facts


def scale_of(case: Case) -> Floats:
    """(bars,) what a relative difference of value refers to: equity, or initial capital if that is more."""
    scale: Floats = np.maximum(np.abs(case.batch.equity), case.capital)
    return scale


def unequal_orders(case: Case, orders: Records) -> str | None:
    """The first order of vectorbt's that is not ours, bit for bit."""
    ours = case.trace.fills
    pairs = (
        ("bar", ours["bar"], "idx"),
        ("asset", ours["asset"], "col"),
        ("side", np.where(ours["direction"] > 0, 0, 1), "side"),
        ("size", ours["qty"], "size"),
        ("price", ours["price"], "price"),
        ("fee", ours["fee"], "fees"),
    )
    if len(ours) != len(orders):
        return f"orders differ: vectorbt has {len(orders)}, ours are {len(ours)}"
    for name, values, column in pairs:
        differ = np.flatnonzero(values != orders[column])
        if len(differ):
            k = int(differ[0])
            return f"orders differ: {name} of order {k} is {orders[column][k]!s}, ours {values[k]!s}"
    return None


def unequal_books(case: Case, run: VectorbtRun) -> str | None:
    """The first sum of vectorbt's books that is not ours: fees, funding, what is held at the end."""
    account, slots = case.batch.state.account[0], case.batch.state.slots
    held = np.zeros(len(run.held))
    np.add.at(held, slots["asset"], slots["side"] * slots["qty"])
    traded = np.bincount(case.trace.fills["asset"], case.trace.fills["qty"], len(held))
    apart = np.abs(run.held - held) / np.maximum(traded, 1.0)
    if not np.all(apart <= TOLERANCE):
        j = int(np.argmax(~(apart <= TOLERANCE)))
        return f"vectorbt holds {run.held[j]!r} of {case.dataset.symbols[j]} at the end, ours is {held[j]!r}"
    sums = (
        ("fees", float(np.sum(run.orders["fees"])), float(account["fees_paid"])),
        ("funding", float(np.sum(run.funding)), float(account["funding"])),
    )
    for name, theirs, ours in sums:
        if not abs(theirs - ours) <= TOLERANCE * max(case.capital, abs(ours)):
            return f"vectorbt's {name} are {theirs!r}, ours {ours!r}"
    return None


def largest_pnl_difference(case: Case, trades: Records) -> float | None:
    """Of closed trades, relative to entry notional; None where positions of an asset overlapped."""
    ours = np.sort(case.batch.trades, order=["asset", "entry_bar", "exit_bar"])
    closed = np.sort(trades, order=["col", "entry_idx", "exit_idx"])
    if len(ours) != len(closed):
        return None
    same = (
        (ours["asset"] == closed["col"])
        & (ours["entry_bar"] == closed["entry_idx"])
        & (ours["exit_bar"] == closed["exit_idx"])
    )
    if not same.all():
        return None
    notional = ours["qty"] * ours["entry_price"]
    return float(np.max(np.abs(ours["pnl"] - closed["pnl"]) / notional, initial=0.0))


def run_vectorbt(case: Case, trace: Trace) -> VectorbtRun:
    """Let vectorbt book the orders of a trace over the window.

    Every order is a row of its own, and after a bar's orders comes a row that values the bar; the columns are the
    assets that are traded.
    """
    fills, assets = trace.fills, case.market.price.shape[1]
    traded = np.unique(fills["asset"])
    if not len(traded):
        traded = np.array([0])
    bars, marks, events = _rows(case, fills)
    close = case.market.price[case.start + bars][:, traded]
    close = np.where(np.isnan(close), 1.0, close)  # before a symbol's first price nothing of it is held
    size, price, rate = (np.full(close.shape, np.nan) for _ in range(3))
    columns = np.searchsorted(traded, fills["asset"])
    friction = case.friction[0]
    size[events, columns] = fills["direction"] * fills["qty"]
    price[events, columns] = fills["price"]
    rate[events, columns] = np.where(fills["passive"] != 0, friction["maker_fee"], friction["fee"])
    with muted():
        began = time.perf_counter()
        loan = _loan(case, np.nancumsum(size, axis=0) * close)
        portfolio = _simulate(close, size, price, np.nan_to_num(rate), case.capital + loan, len(fills))
        orders, trades = portfolio.order_records.copy(), portfolio.exit_trades.values.copy()
        positions, value = portfolio.assets().to_numpy(), portfolio.value().to_numpy()[marks] - loan
        seconds = time.perf_counter() - began
    for records, names in ((orders, ("idx",)), (trades, ("entry_idx", "exit_idx"))):
        for name in names:
            records[name] = case.start + bars[records[name]]
        records["col"] = traded[records["col"]]
    orders = orders[np.argsort(orders["id"], kind="stable")]
    held = np.zeros(assets)
    held[traded] = positions[-1]
    return VectorbtRun(
        orders, trades[trades["status"] == 1], value, _funding(case, positions[marks], traded), held, seconds
    )


def _rows(case: Case, fills: Records) -> tuple[Ints, Ints, Ints]:
    """Bar (from 0) of every row, the rows that value the bars, and the rows of the orders."""
    at = fills["bar"] - case.start
    bars = np.sort(np.concatenate([at, np.arange(case.bars)]), kind="stable")
    marks = np.arange(case.bars) + np.cumsum(np.bincount(at, minlength=case.bars))
    events = np.arange(len(at)) + at
    return bars, marks, events


def _loan(case: Case, exposure: Floats) -> float:
    """vectorbt knows no leverage: cash that is lent throughout, enough for whatever is bought or sold short."""
    return 4.0 * float(np.max(np.abs(exposure).sum(axis=1), initial=0.0)) + 4.0 * case.capital


def _simulate(close: Floats, size: Floats, price: Floats, rate: Floats, cash: float, orders: int) -> Any:
    return vectorbt().Portfolio.from_orders(
        close,
        size=size,
        price=price,
        fees=rate,
        init_cash=cash,
        group_by=True,
        cash_sharing=True,
        lock_cash=False,
        allow_partial=False,
        raise_reject=True,
        max_orders=max(1, orders),
        freq="1D",  # it wants one; no figure that is compared depends on it
    )


def _funding(case: Case, positions: Floats, traded: Ints) -> Floats:
    """(bars,) funding on vectorbt's own positions as they were when a bar began."""
    paid = np.zeros(case.bars)
    if len(case.market.funding):
        window = slice(case.start, case.stop)
        rate = np.nan_to_num(case.market.funding[window][:, traded])
        price = np.nan_to_num(case.market.price[window][:, traded])
        paid[1:] = -(positions[:-1] * price[1:] * rate[1:]).sum(axis=1)
    return paid
