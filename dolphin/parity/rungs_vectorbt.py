"""Rung 1: the step drives vectorbt's ``Portfolio.from_order_func``, vectorbt keeps its own books.

At every row vectorbt asks for orders. Our strategy decides, vectorbt fills, and what vectorbt reports
as filled is booked by our kernels; so its orders, its value and our digests can all be compared.
"""

from __future__ import annotations

import contextlib
import functools
import time
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from dolphin.core.digest import STAGES
from dolphin.core.engine import NO_TRADES, Engine
from dolphin.core.records import NONE, Floats, Market, Records, Words
from dolphin.parity.case import Case

#: Value per bar and P&L per trade may differ by this much of the money at work.
TOLERANCE = 1e-9

#: Room for orders beyond those of the batch loop: enough to see that there are more.
SPARE_ORDERS = 64


class VectorbtRun(NamedTuple):
    """What vectorbt leaves: its order and trade records, its value per bar, and our digests.

    ``stopped`` says why it stopped early, if it did; the bars after that are zero.
    """

    orders: Records
    trades: Records
    value: Floats
    digests: Words
    stages: Words
    seconds: float
    stopped: str | None


def vectorbt_rung(case: Case, fed: Market | None = None) -> tuple[bool, str, dict[str, Any]]:
    """Run it and compare; ``fed`` is what decides in place of the case's market."""
    run = run_vectorbt(case, case.market if fed is None else fed)
    facts: dict[str, Any] = {
        "orders": len(run.orders),
        "trades": len(case.batch.trades),
        "seconds_with_compiling": run.seconds,
    }
    found = case.divergence(run.digests, run.stages)
    if found:
        stopped = f"; vectorbt stopped: {run.stopped}" if run.stopped else ""
        return False, f"{found.sentence()}{stopped}", {**facts, **found.facts()}
    unequal = unequal_orders(case, run.orders)
    if unequal:
        return False, f"orders differ: {unequal}", facts
    equity = case.batch.equity
    facts["largest_value_difference"] = float(np.max(np.abs(run.value - equity) / scale_of(case), initial=0.0))
    if not facts["largest_value_difference"] <= TOLERANCE:
        k = int(np.argmax(np.abs(run.value - equity) / scale_of(case)))
        return (
            False,
            f"vectorbt's value at bar {case.start + k} is {run.value[k]!r}, ours {equity[k]!r}",
            facts,
        )
    facts["largest_pnl_difference"] = largest_pnl_difference(case, run.trades)
    if facts["largest_pnl_difference"] is None:
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
    # Within a bar vectorbt has them in the order in which they were sent; ids count up.
    theirs = orders[np.argsort(orders["id"], kind="stable")]
    pairs = (
        ("bar", ours["bar"] - case.start, "idx"),
        ("asset", ours["asset"], "col"),
        ("side", np.where(ours["direction"] > 0, 0, 1), "side"),
        ("size", ours["qty"], "size"),
        ("price", ours["price"], "price"),
        ("fee", ours["fee"], "fees"),
    )
    if len(ours) != len(theirs):
        return f"vectorbt has {len(theirs)}, ours are {len(ours)}"
    for name, values, column in pairs:
        differ = np.flatnonzero(values != theirs[column])
        if len(differ):
            k = int(differ[0])
            return f"{name} of order {k} is {theirs[column][k]!s}, ours {values[k]!s}"
    return None


def largest_pnl_difference(case: Case, trades: Records) -> float | None:
    """Of closed trades, relative to entry notional; None where positions of an asset overlapped."""
    ours = np.sort(case.batch.trades, order=["asset", "entry_bar", "exit_bar"])
    closed = np.sort(trades[trades["status"] == 1], order=["col", "entry_idx", "exit_idx"])
    if len(ours) != len(closed):
        return None
    same = (
        (ours["asset"] == closed["col"])
        & (ours["entry_bar"] == closed["entry_idx"] + case.start)
        & (ours["exit_bar"] == closed["exit_idx"] + case.start)
    )
    if not same.all():
        return None
    notional = ours["qty"] * ours["entry_price"]
    return float(np.max(np.abs(ours["pnl"] - closed["pnl"]) / notional, initial=0.0))


def run_vectorbt(case: Case, market: Market) -> VectorbtRun:
    """Let vectorbt simulate the window with our step in its callbacks."""
    with muted():
        import vectorbt as vbt
        from vectorbt.portfolio.enums import RejectedOrderError, order_dt, trade_dt

        callbacks = callbacks_of(case.engine)
        began = time.perf_counter()
        state = case.engine.new_state(market.price.shape[1], case.capital)
        value, digests = np.zeros(case.bars), np.zeros(case.bars, np.uint64)
        stages = np.zeros((case.bars, len(STAGES)), np.uint64)
        cursor, credit = np.zeros(1, np.int64), np.zeros(1)
        step = (state, case.params, case.friction, market, case.start, cursor, credit)
        try:
            portfolio = vbt.Portfolio.from_order_func(
                market.price[case.start : case.stop],
                callbacks.order,
                *step,
                flexible=True,
                init_cash=case.capital,
                group_by=True,
                cash_sharing=True,
                row_wise=True,
                pre_segment_func_nb=callbacks.before,
                pre_segment_args=step,
                post_order_func_nb=callbacks.filled,
                post_order_args=step,
                post_segment_func_nb=callbacks.after,
                post_segment_args=(*step, value, digests, stages),
                max_orders=len(case.trace.fills) + SPARE_ORDERS,
                max_logs=1,
                fill_pos_record=False,
                init_temp_records=False,
            )
        except (IndexError, RejectedOrderError) as error:
            # It ran out of order records, or did not take an order: both mean that it decided otherwise.
            nothing = np.zeros(0, order_dt), np.zeros(0, trade_dt)
            seconds, why = time.perf_counter() - began, " ".join(str(error).split())
            return VectorbtRun(*nothing, value, digests, stages, seconds, why)
        seconds = time.perf_counter() - began
        trades = portfolio.exit_trades.values
    return VectorbtRun(portfolio.order_records, trades, value, digests, stages, seconds, None)


class Callbacks(NamedTuple):
    """What vectorbt calls: before a row's orders, for the next order, after a fill, after the row."""

    before: Any
    order: Any
    filled: Any
    after: Any


@functools.cache
def callbacks_of(engine: Engine) -> Callbacks:
    """The four callbacks around this engine's kernels; vectorbt's simulation is compiled with them."""
    import numba
    from vectorbt.portfolio.enums import NoOrder, OrderStatus
    from vectorbt.portfolio.nb import order_nb

    from dolphin.core import kernels  # compiled code calls the kernels themselves, not the engine's guard around them
    from dolphin.core.book import copy_order, direction_of
    from dolphin.core.hooks import match

    begin_bar, decide_bar, place_bar = kernels.begin_bar, kernels.decide_bar, kernels.place_bar
    book_fill, end_bar = kernels.book_fill, kernels.end_bar
    slots, nothing, was_filled = engine.strategy.slots, NONE, OrderStatus.Filled
    compiled = numba.njit(error_model="numpy")

    @compiled
    def before(c, state, params, friction, market, origin, cursor, credit):  # type: ignore[no-untyped-def]
        begin_bar(state)
        if not friction[0].fill_next:
            decide_bar(state, params, friction, market, origin + c.i)
            place_bar(state, market, origin + c.i)
        cursor[0] = 0
        return ()

    @compiled
    def order(c, state, params, friction, market, origin, cursor, credit):  # type: ignore[no-untyped-def]
        orders, i = state.working, origin + c.i
        while cursor[0] < slots:
            s = cursor[0]
            if orders[s].action != nothing:
                direction = direction_of(orders[s])
                fill = state.fills[s]
                copy_order(orders[s], fill)
                fill.price = match(orders[s], direction, friction[0], market, i)[1]
                fill.fee = friction[0].fee * (fill.qty * fill.price)
                # vectorbt knows no leverage: lend what the order may need, until it is filled.
                cash = c.last_cash[c.group]
                credit[0] = max(0.0, 2.0 * (fill.qty * fill.price + fill.fee) - cash)
                c.last_cash[c.group] = cash + credit[0]
                return fill.asset, order_nb(
                    size=direction * fill.qty,
                    price=fill.price,
                    fixed_fees=fill.fee,
                    lock_cash=False,
                    allow_partial=False,
                    raise_reject=True,
                )
            cursor[0] += 1
        return -1, NoOrder

    @compiled
    def filled(c, state, params, friction, market, origin, cursor, credit):  # type: ignore[no-untyped-def]
        c.last_cash[c.group] -= credit[0]
        s = cursor[0]
        fill = state.fills[s]
        if c.order_result.status == was_filled:
            fill.qty = c.order_result.size
            fill.price = c.order_result.price
            fill.fee = c.order_result.fees
            book_fill(state, s, market, origin + c.i, NO_TRADES)
        else:
            fill.action = nothing
            state.working[s].action = nothing
        cursor[0] += 1

    @compiled
    def after(  # type: ignore[no-untyped-def]
        c, state, params, friction, market, origin, cursor, credit, value, digests, stages
    ):
        i = origin + c.i
        if friction[0].fill_next:
            decide_bar(state, params, friction, market, i)
            place_bar(state, market, i)
        end_bar(state, market, i, stages[c.i])
        digests[c.i] = state.account[0].digest
        value[c.i] = c.last_value[c.group]

    return Callbacks(before, order, filled, after)


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """vectorbt and the pandas that it stands on warn about each other's versions; we cannot mend it."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning, SyntaxWarning, UserWarning):
            warnings.simplefilter("ignore", category)
        yield
