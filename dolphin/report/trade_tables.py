"""Tables of a tear sheet: returns by month, trades by exit reason, side and asset, best and worst."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from dolphin.report.markup import Cell, signed, table
from dolphin.report.numerals import MISSING, TIMES, instant, number, percent, significant
from dolphin.report.palette import heat, reason_marks
from dolphin.report.run_folder import Run
from dolphin.report.summaries import period_returns, totals, trades_by

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def monthly_table(run: Run) -> str:
    """Returns by UTC calendar month, a row per year; months outside the run are empty."""
    months = period_returns(run, "1mo")
    years = {row["period"].year: row["ret"] for row in period_returns(run, "1y").iter_rows(named=True)}
    returns = {(r["period"].year, r["period"].month): r["ret"] for r in months.iter_rows(named=True)}
    strongest = max((abs(r) for r in returns.values() if r is not None), default=0.0)
    rows = []
    for year, whole in years.items():
        cells = [Cell(str(year))]
        for month, name in enumerate(_MONTHS, start=1):
            inside = (year, month) in returns
            cell = _return(returns.get((year, month)), strongest) if inside else Cell("", tone="absent")
            cells.append(replace(cell, label=name))
        rows.append([*cells, replace(signed(percent(whole, signed=True), whole), label="Year")])
    return table(["Year", *_MONTHS, "Year total"], rows, kind="heat")


def _return(value: float | None, strongest: float) -> Cell:
    return signed(percent(value, signed=True), value, style=heat(value, strongest))


def reason_table(run: Run) -> str:
    """Trades by exit reason, with the marks of the trade chart."""
    groups = trades_by(run.trades, "exit_reason")
    marks = reason_marks(groups["key"].to_list())
    rows = [
        [Cell(g["key"], mark=(marks[g["key"]][0], marks[g["key"]][2])), *_columns(g, run)]
        for g in groups.iter_rows(named=True)
    ]
    return table(_heads("Exit reason"), rows, foot=_foot(run), kind="even")


def side_table(run: Run) -> str:
    """Trades by side."""
    rows = [[Cell(g["key"]), *_columns(g, run)] for g in trades_by(run.trades, "side").iter_rows(named=True)]
    return table(_heads("Side"), rows, kind="even")


def hour_table(run: Run, entries: pl.Series) -> str:
    """Trades by the UTC hour in which they were entered; ``entries`` holds the time of each, ns."""
    hour = pl.from_epoch(entries, time_unit="ns").dt.hour()
    trades = run.trades.with_columns(hour.cast(pl.String).str.zfill(2).alias("hour"))
    rows = [
        [Cell(f"{g['key']} h", g["key"]), *_columns(g, run)]
        for g in trades_by(trades, "hour").sort("key").iter_rows(named=True)
    ]
    return table(_heads("Entry (UTC)"), rows, kind="even", sortable=True)


def _heads(first: str) -> list[str]:
    return [first, "Trades", "Share", "Win rate", "Mean P&L %", "Mean bars", "Total P&L"]


def _foot(run: Run) -> list[Cell]:
    return [Cell("All"), *_columns(totals(run.trades), run)]


def _columns(group: dict[str, Any], run: Run) -> list[Cell]:
    return [
        Cell(number(group["trades"], 0), group["trades"]),
        Cell(percent(group["trades"] / run.trades.height, 1)),
        Cell(percent(group["win_rate"], 1), group["win_rate"]),
        signed(percent(group["mean_pct"], 3, signed=True), group["mean_pct"]),
        Cell(number(group["bars"], 1), group["bars"]),
        signed(number(group["pnl"], signed=True), group["pnl"]),
    ]


def asset_table(run: Run) -> str:
    """Trades by asset; a click on a column sorts by it."""
    rows = [_asset(Cell(g["key"], g["key"]), g) for g in trades_by(run.trades, "asset").iter_rows(named=True)]
    heads = [
        "Asset",
        "Trades",
        "Long",
        "Short",
        "Win rate",
        "Mean P&L %",
        "Best %",
        "Worst %",
        "Mean bars",
        "P&L",
    ]
    return table(heads, rows, foot=_asset(Cell("All"), totals(run.trades)), sortable=True)


def _asset(name: Cell, group: dict[str, Any]) -> list[Cell]:
    return [
        name,
        *(Cell(number(group[k], 0), group[k]) for k in ("trades", "longs", "shorts")),
        Cell(percent(group["win_rate"], 1), group["win_rate"]),
        *(signed(percent(group[k], 3, signed=True), group[k]) for k in ("mean_pct", "best_pct", "worst_pct")),
        Cell(number(group["bars"], 1), group["bars"]),
        signed(number(group["pnl"], signed=True), group["pnl"]),
    ]


def extreme_trades_table(run: Run, each: int = 5) -> str:
    """The trades that gained most and lost most, in USDT."""
    order = run.trades.sort("pnl", descending=True, maintain_order=True)
    picked = order if order.height <= 2 * each else pl.concat([order.head(each), order.tail(each)])
    rows = []
    for trade in picked.iter_rows(named=True):
        price = f"{significant(trade['entry_price'], 8)} → {significant(trade['exit_price'], 8)}"
        rows.append(
            [
                Cell(trade["asset"]),
                Cell(trade["side"]),
                Cell(instant(trade["ts"])[:16]),
                Cell(price),
                Cell(f"{trade['leverage']:.2f}{TIMES}"),
                signed(percent(trade["pnl_pct"], signed=True), trade["pnl_pct"]),
                signed(number(trade["pnl"], signed=True), trade["pnl"]),
            ]
        )
    return table(["Asset", "Side", "Exit (UTC)", "Entry → exit", "Leverage", "P&L %", "P&L"], rows, names=2)


def open_position_text(position: Any) -> tuple[str, str]:
    """Return the open position of ``metrics.json`` (whatever its form) as a figure and a remark."""
    if not position or position in ("none", "flat"):
        return "none", ""
    if isinstance(position, dict):
        side = {"-1": "SHORT", "1": "LONG", "0": ""}.get(str(position.get("side", "")), position.get("side", ""))
        if side == "":
            return "none", ""
        rest = (f"{k} {significant(v) if isinstance(v, int | float) else v}" for k, v in position.items())
        return f"{side} {position.get('asset', '')}".strip(), ", ".join(
            r for r in rest if not r.startswith(("side ", "asset "))
        )
    if isinstance(position, bool):
        return "yes", "not closed, no trade yet"
    if isinstance(position, int | float):
        return ("LONG" if position > 0 else "SHORT"), "not closed, no trade yet"
    if isinstance(position, list):
        return f"{len(position)} open", "; ".join(" ".join(open_position_text(p)).strip() for p in position)
    return str(position), "not closed, no trade yet" if position != MISSING else ""
