"""A run opened for looking around in it: windows of its curves, its trades, its decisions.

The browser never gets more than it can draw: a window is decimated here, with every extreme kept, and of the trades in
it a sample if there are too many.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.config import Config
from dolphin.core.records import Floats, Market
from dolphin.errors import BadInput, nearest
from dolphin.manifests import MANIFEST
from dolphin.parity.sides import RunSide, run_side
from dolphin.parity.why import why
from dolphin.report.decimate import extremes
from dolphin.report.run_folder import read_run
from dolphin.report.summaries import thin
from dolphin.times import SECOND_NS, format_time
from dolphin.ui.asked import run_folder
from dolphin.ui.decision import decision_html
from dolphin.ui.warming import Warming
from dolphin.workspace import Workspace

#: Runs that are open at once, decisions of each that are remembered.
OPEN, REMEMBERED = 2, 512
#: Points of a curve, and trades, of one window; rows of a page of trades.
POINTS, MARKED, LISTED = 2_000, 800, 200
#: By what trades can be ordered.
ORDERS = ("entry_bar", "exit_bar", "pnl", "pnl_pct", "bars_held", "asset", "exit_reason")
_TOLD = ("asset", "side", "entry_price", "exit_price", "quantity", "pnl", "pnl_pct", "exit_reason", "leverage",
         "bars_held", "entry_bar", "exit_bar")  # fmt: skip
_MS = SECOND_NS // 1000


class Explorer:
    """Opens runs, and keeps the last ones open."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, int], Opened] = OrderedDict()
        self._warming = Warming(workspace.root)

    def run(self, name: str) -> Opened:
        """The run of a name; a folder that was written anew is opened anew."""
        folder = run_folder(self._workspace, name)
        written = folder / MANIFEST
        key = name, written.stat().st_mtime_ns if written.is_file() else 0
        with self._lock:
            if key not in self._open:
                self._open[key] = Opened(name, run_side(folder, self._workspace), folder)
                while len(self._open) > OPEN:
                    self._open.popitem(last=False)
            self._open.move_to_end(key)
            return self._open[key]

    def compiling(self, run: Opened) -> float | None:
        """For how many seconds the kernel that tells its decisions has been compiled; None if that is done."""
        return self._warming.seconds(run.side, min(run.first + 1, run.last))

    def close(self) -> None:
        """End what was begun."""
        self._warming.close()


@dataclass
class Opened:
    """One run; bars are rows of its dataset everywhere, as in ``entry_bar`` of a trade."""

    name: str
    side: RunSide
    folder: Path
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    told: OrderedDict[int, str] = field(default_factory=OrderedDict, repr=False)

    @cached_property
    def _opened(self) -> tuple[Config, Market, tuple[str, ...]]:
        with self.lock:
            return self.side.opened()

    @property
    def market(self) -> Market:
        """What its decisions read."""
        return self._opened[1]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Columns of the market."""
        return self._opened[2]

    @property
    def columns(self) -> tuple[str, ...]:
        """The features that the strategy reads, by role."""
        return tuple(self._opened[0].strategy.columns)

    @cached_property
    def first(self) -> int:
        """Row of its first bar."""
        return int(np.searchsorted(self.market.ts, self.side.ts_at(0)))

    @property
    def last(self) -> int:
        """Row of its last bar."""
        return self.first + self.side.bars - 1

    @cached_property
    def trades(self) -> pl.DataFrame:
        """Closed trades in the order of their entries; ``id`` is their number in it."""
        frame = self._run.trades.select("ts", *_TOLD).sort("entry_bar", "exit_bar", maintain_order=True)
        return frame.with_row_index("id").with_columns(pl.col("id").cast(pl.Int64))

    @cached_property
    def _run(self) -> Any:
        return read_run(self.folder)

    @cached_property
    def equity(self) -> Floats:
        """Equity at the close of every bar, (bars,)."""
        values: Floats = self._run.equity["equity"].to_numpy()
        return values

    @cached_property
    def assets(self) -> list[tuple[str, int]]:
        """Symbols with their number of trades, the most traded first; all others after them."""
        counts = dict(self.trades.group_by("asset").len().iter_rows())
        known = sorted(counts, key=lambda name: (-counts[name], name))
        return [(name, counts[name]) for name in known] + [(s, 0) for s in self.symbols if s not in counts]

    def about(self) -> dict[str, Any]:
        """What the page needs before the first window."""
        config = self._opened[0]
        sources = {role: getattr(source, "name", source) for role, source in config.features.items()}
        return {
            "name": self.name,
            "strategy": config.strategy.name,
            "first": self.first,
            "last": self.last,
            "assets": self.assets,
            "features": [{"name": name, "source": str(sources.get(name, name))} for name in self.columns],
            "trades": self.trades.height,
            "reasons": sorted(self.trades["exit_reason"].unique().to_list()),
        }

    def asset(self, name: str) -> int:
        """Column of a symbol."""
        if name not in self.symbols:
            raise BadInput(f"no symbol '{name}' in this run", mend=nearest(name, self.symbols))
        return self.symbols.index(name)

    def bar(self, row: int) -> int:
        """A row of the run.

        Raises
        ------
        BadInput
            If it is none.
        """
        if not self.first <= row <= self.last:
            raise BadInput(f"no bar {row} in this run", mend=f"it has {self.first} to {self.last}")
        return row

    def window(self, asset: str, low: int, high: int, points: int = POINTS) -> dict[str, Any]:
        """Curves of rows ``low`` to ``high`` (both in it) in at most ``points`` points each, and the trades there."""
        column, market = self.asset(asset), self.market
        low, high = max(low, self.first), min(high, self.last)
        if low > high:
            raise BadInput(f"no bars from {low} to {high}", mend=f"the run has {self.first} to {self.last}")
        part, points = slice(low, high + 1), min(max(points, 16), POINTS)
        price = _curve(market.price[part, column], low, points)
        there = self.trades.filter(
            pl.col("asset") == asset, pl.col("entry_bar") <= high, pl.col("exit_bar") >= low
        )  # fmt: skip
        shown = there if there.height <= MARKED else thin(there, MARKED)
        return {
            "low": low,
            "high": high,
            "times": [int(market.ts[row] // _MS) for row in price["row"]],
            "price": price,
            "equity": _curve(self.equity[low - self.first : high - self.first + 1], low, points),
            "features": [_curve(market.features[part, k], low, points) for k in range(len(self.columns))],
            "trades": shown.select("id", *_TOLD).to_dicts(),
            "trades_there": there.height,
        }

    def at(self, asset: str, row: int) -> dict[str, Any]:
        """One bar in numbers."""
        column, market = self.asset(asset), self.market
        row = self.bar(row)
        held = self.trades.filter(pl.col("entry_bar") <= row, pl.col("exit_bar") > row)
        return {
            "bar": row,
            "time": format_time(int(market.ts[row])),
            "price": float(market.price[row, column]),
            "real": int(market.age[row, column]) == 0,
            "equity": float(self.equity[row - self.first]),
            "features": [float(value) for value in market.features[row]] if self.columns else [],
            "held": held.head(20).select("id", "asset", "side", "entry_bar", "exit_bar").to_dicts(),
        }

    def listed(self, offset: int, order: str, *, down: bool, asset: str = "", reason: str = "") -> dict[str, Any]:
        """A page of trades."""
        if order not in ORDERS:
            raise BadInput(f"trades are not ordered by '{order}'", mend=nearest(order, ORDERS))
        found = self.trades
        for name, value in (("asset", asset), ("exit_reason", reason)):
            found = found.filter(pl.col(name) == value) if value else found
        rows = found.sort(order, "id", descending=[down, False]).slice(max(offset, 0), LISTED)
        times = {row: format_time(int(self.market.ts[row])) for row in rows["entry_bar"].to_list()}
        listed = [one | {"time": times[one["entry_bar"]]} for one in rows.select("id", *_TOLD).to_dicts()]
        return {"offset": max(offset, 0), "in_all": found.height, "page": LISTED, "trades": listed}

    def next_event(self, row: int, way: int) -> dict[str, Any]:
        """The nearest entry or exit after (``way`` 1) or before (-1) a bar; ``bar`` is None where there is none."""
        rows = self._events
        k = int(np.searchsorted(rows["bar"], row, side="right" if way > 0 else "left")) - (way <= 0)
        if not 0 <= k < len(rows["bar"]):
            return {"bar": None}
        trade = self.trades.row(int(rows["trade"][k]), named=True)
        kind = "entry" if trade["entry_bar"] == rows["bar"][k] else "exit"
        return {"bar": int(rows["bar"][k]), "kind": kind, "trade": {name: trade[name] for name in ("id", *_TOLD)}}

    @cached_property
    def _events(self) -> dict[str, Any]:
        entry, leave = (self.trades[name].to_numpy() for name in ("entry_bar", "exit_bar"))
        bars = np.concatenate([entry, leave])
        order = np.argsort(bars, kind="stable")
        return {"bar": bars[order], "trade": np.tile(np.arange(len(entry)), 2)[order]}

    def why(self, row: int) -> str:
        """The decision at a bar, as ``dolphin why`` tells it."""
        row = self.bar(row)
        with self.lock:
            if row not in self.told:
                self.told[row] = decision_html(why(self.side, row))
                while len(self.told) > REMEMBERED:
                    self.told.popitem(last=False)
            return self.told[row]


def _curve(values: Floats, low: int, points: int) -> dict[str, Any]:
    """Rows and values that draw a curve; what is no number is None and ends a line."""
    known = np.isfinite(values)
    if known.all():
        rows = extremes(values, points)
    elif known.any():
        rows = extremes(np.where(known, values, float(np.median(values[known]))), points)
    else:
        rows = np.array([0, len(values) - 1], np.int64)
    told = [float(f"{value:.9g}") if np.isfinite(value) else None for value in values[rows]]
    return {"row": (rows + low).tolist(), "value": told}
