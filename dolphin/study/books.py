"""A run as a vectorbt portfolio, for its books, statistics and plots.

The orders are ours, as the kernel filled them; vectorbt derives everything else from them. It has no
leverage of its own, so cash falls below zero while a levered long is open: its value is right all the
same, because value is cash and holdings together.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from dolphin.core.records import Records
from dolphin.study.run import Run

_OPENED, _CLOSED = 0, 1


def books(run: Run) -> Any:
    """The ``vectorbt.Portfolio`` of a run, one group with shared cash.

    Its columns are the symbols that were traded (the reference if none was), its index the bars'
    closing times in UTC. ``value()`` equals the run's equity. Trades are one to one with ours unless
    several slots held one asset at the same time: vectorbt nets positions per column.

    Memory: 8 bytes per bar and traded symbol for the prices, and several times that while vectorbt
    computes ``value()``.
    """
    orders = order_table(run)
    traded = np.unique(orders["asset"]) if len(orders) else np.array([run.dataset.reference_column])
    with warnings.catch_warnings():
        # vectorbt and its pandas warn about each other's versions at import; nothing to mend here.
        warnings.simplefilter("ignore")
        import pandas as pd
        import vectorbt as vbt
        from vectorbt.portfolio.enums import OrderSide, log_dt, order_dt

        close = pd.DataFrame(
            run.market.price[run.start : run.stop][:, traded],
            index=pd.DatetimeIndex(run.market.ts[run.start : run.stop].astype("datetime64[ns]"), tz="UTC"),
            columns=pd.Index([run.dataset.symbols[asset] for asset in traded], name="symbol"),
        )
        records = np.zeros(len(orders), order_dt)
        records["col"] = np.searchsorted(traded, orders["asset"])
        records["idx"] = orders["bar"] - run.start
        records["size"] = orders["qty"]
        records["price"] = orders["price"]
        records["fees"] = orders["fee"]
        records["side"] = np.where(orders["direction"] > 0, OrderSide.Buy, OrderSide.Sell)
        records = records[np.argsort(records["col"], kind="stable")]
        records["id"] = np.arange(len(records))
        wrapper = vbt.ArrayWrapper.from_obj(close, freq=pd.Timedelta(run.dataset.spacing_ns, "ns"), group_by=True)
        return vbt.Portfolio(
            wrapper,
            close,
            records,
            np.zeros(0, log_dt),
            np.array([run.config.account.initial_capital]),
            True,
        )


def order_table(run: Run) -> Records:
    """Every filled order in the order of bars: bar, asset, direction (+1 bought, -1 sold), qty, price, fee.

    From the closed trades and, for positions that are still open, the slots. Fees are the fee rate on
    each fill, as the kernel computed them.
    """
    recording = run.recording
    trades, slots = recording.trades, recording.state.slots
    held = slots[slots["side"] != 0]
    entries = len(trades) + len(held)
    table = np.zeros(
        entries + len(trades),
        [(n, "i8") for n in ("bar", "leg", "asset", "direction")] + [(n, "f8") for n in ("qty", "price", "fee")],
    )
    for at, source in ((slice(0, len(trades)), trades), (slice(len(trades), entries), held)):
        part = table[at]
        part["bar"], part["leg"] = source["entry_bar"], _OPENED
        part["asset"], part["direction"] = source["asset"], source["side"]
        part["qty"], part["price"] = source["qty"], source["entry_price"]
    part = table[entries:]
    part["bar"], part["leg"] = trades["exit_bar"], _CLOSED
    part["asset"], part["direction"] = trades["asset"], -trades["side"]
    part["qty"], part["price"] = trades["qty"], trades["exit_price"]
    table["fee"] = run.config.friction.record()["fee"][0] * (table["qty"] * table["price"])
    # A slot that closes frees its asset for another slot within the bar: closes come first.
    return table[np.lexsort((-table["leg"], table["bar"]))]
