"""A run as a vectorbt portfolio, and a sweep as vectorbt-indexed frames, for its statistics and plots.

The orders are ours, as the kernel filled them; vectorbt derives everything else from them. It has no
leverage of its own, so cash falls below zero while a levered long is open: its value is right all the
same, because value is cash and holdings together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog import Dataset
from dolphin.core.book import direction_of
from dolphin.core.records import NONE, Records, Words
from dolphin.errors import DolphinError
from dolphin.study.findings.peer import muted, vectorbt
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.measure.run import Run
from dolphin.study.trials.trials import searched, with_parameters
from dolphin.times import DAY_NS, return_day

_OPENED, _CLOSED = 0, 1
_ORDER = [(n, "i8") for n in ("bar", "leg", "asset", "direction")] + [(n, "f8") for n in ("qty", "price", "fee")]


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
    vbt = vectorbt()
    with muted():
        import pandas as pd
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
    each fill, as the kernel computed them. Trades do not tell how a position grew and shrank, nor which of its
    fills were passive: a strategy that may do so is run again, bar by bar, and its fills are written down.
    """
    if not run.engine.strategy.plain:
        return _replayed(run)
    recording = run.recording
    trades, slots = recording.trades, recording.state.slots
    held = slots[slots["side"] != 0]
    entries = len(trades) + len(held)
    table = np.zeros(entries + len(trades), _ORDER)
    for at, source in ((slice(0, len(trades)), trades), (slice(len(trades), entries), held)):
        part = table[at]
        part["bar"], part["leg"] = source["entry_bar"], _OPENED
        part["asset"], part["direction"] = source["asset"], source["side"]
        part["qty"], part["price"] = source["qty"], source["entry_price"]
    part = table[entries:]
    part["bar"], part["leg"] = trades["exit_bar"], _CLOSED
    part["asset"], part["direction"] = trades["asset"], -trades["side"]
    part["qty"], part["price"] = trades["qty"], trades["exit_price"]
    table["fee"] = run.config.friction_record()["fee"][0] * (table["qty"] * table["price"])
    # A slot that closes frees its asset for another slot within the bar: closes come first.
    return table[np.lexsort((-table["leg"], table["bar"]))]


def _replayed(run: Run) -> Records:
    """The orders of the run done once more, as they were filled, which within a bar is their order in ``fills``."""
    state = run.engine.new_state(run.market.price.shape[1], run.config.account.initial_capital)
    params, friction = run.config.params_record(), run.config.friction_record()
    actions, rows = state.fills["action"], []

    def on_bar(i: int, stages: Words) -> None:
        if actions.any():
            for fill in state.fills.view(np.recarray)[actions != NONE]:
                direction = direction_of.py_func(fill)  # type: ignore[attr-defined]
                leg = _OPENED if direction == fill.side else _CLOSED
                rows.append((i, leg, fill.asset, direction, fill.qty, fill.price, fill.fee))

    digests = run.engine.run_per_bar(state, params, friction, run.market, run.start, run.stop, on_bar)
    assert digests[-1] == run.recording.digests[-1]
    return np.array(rows, _ORDER)


def frame(trials: pl.DataFrame, parameters: list[str] | None = None) -> Any:
    """The metrics of a sweep's finished trials as a ``pandas.DataFrame``, indexed as vectorbt does.

    Parameters
    ----------
    trials : polars.DataFrame
        Rows of the registry (:func:`dolphin.study.trials.trials.trials_of`).
    parameters : list of str, optional
        The index levels; by default the parameters that differ between the trials.

    Returns
    -------
    pandas.DataFrame
        One row per trial, a MultiIndex with a level per parameter, a column per metric. So
        ``frame(trials)["sharpe_365"].vbt.heatmap(x_level="tp_pct", y_level="max_hold_bars")`` is a picture.

    Raises
    ------
    DolphinError
        If no trial is finished, or one of ``parameters`` is none of theirs.
    """
    import pandas as pd

    done, index = _indexed(trials, parameters)
    return pd.DataFrame({name: done[name].to_numpy() for name in ALL_METRICS}, index=index)


def returns_frame(trials: pl.DataFrame, parameters: list[str] | None = None, dataset: Dataset | None = None) -> Any:
    """The daily returns of a sweep's finished trials, UTC days by trials; columns as :func:`frame`'s index.

    All trials must be of one window; where its data follow an exchange's calendar, ``dataset`` says which days
    have bars. ``returns_frame(trials).vbt.returns(freq="D").sharpe_ratio()`` is a
    Series by parameters.
    """
    import pandas as pd

    done, columns = _indexed(trials, parameters)
    if done.select("dataset_digest", "first_ts", "last_ts").n_unique() > 1:
        raise DolphinError("the trials are of several windows", mend="filter them by first_ts and last_ts")
    if done["daily_returns"].null_count():
        raise DolphinError("some of the trials were registered without daily returns", mend="filter them")
    first, last = done["first_ts"][0], done["last_ts"][0]
    if dataset is None:
        numbers = np.arange(return_day(first), return_day(last) + 1)
    else:
        ts = dataset.grid()
        numbers = np.unique(return_day(ts[(ts >= first) & (ts <= last)]))
    returns = np.array(done["daily_returns"].to_list(), dtype=np.float64)
    if returns.shape[1] != len(numbers):
        mend = "give dataset=dolphin.open(NAME).data" if dataset is None else "give the dataset that they ran on"
        raise DolphinError(f"{returns.shape[1]} daily returns, {len(numbers)} days in the window", mend=mend)
    days = pd.DatetimeIndex((numbers * DAY_NS).astype("datetime64[ns]"), tz="UTC", name="day")
    return pd.DataFrame(returns.T, index=days, columns=columns)


def _indexed(trials: pl.DataFrame, parameters: list[str] | None) -> tuple[pl.DataFrame, Any]:
    import pandas as pd

    done = with_parameters(
        trials.filter(pl.col("state") == "done").unique("config_hash", keep="first", maintain_order=True)
    )
    if done.is_empty():
        raise DolphinError("there is no finished trial")
    names = searched(done) if parameters is None else parameters
    for name in names:
        if name not in done.columns:
            raise DolphinError(f"the trials have no parameter '{name}'")
    names = names or ["trial"]
    return done, pd.MultiIndex.from_arrays([done[name].to_list() for name in names], names=names)
