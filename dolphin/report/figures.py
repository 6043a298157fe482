"""The charts of a tear sheet, as plotly figures in plain JSON form.

Plain dictionaries keep plotly's Python objects (and the second they take to import) out of the way;
tests put each one through plotly's own validation. Colours of text, grid and paper are set by the
page, which knows whether it is light or dark.
"""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import polars as pl

from dolphin.report.decimate import extremes
from dolphin.report.numerals import TIMES, number, percent, significant
from dolphin.report.palette import GAIN, LOSS, QUIET, reason_marks
from dolphin.report.run_folder import Run
from dolphin.report.summaries import period_returns, return_histogram, thin
from dolphin.times import SECOND_NS

POINTS = 6_000
MARKERS = 3_000

Figure = dict[str, Any]


def base_layout(**more: Any) -> Figure:
    """The layout that every figure begins with."""
    base: Figure = {
        "autosize": True,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, Segoe UI, Roboto, Arial, Liberation Sans, sans-serif", "size": 12},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "showlegend": False,
        "hoverlabel": {"align": "left", "font": {"size": 12}},
    }
    return base | more


def base_axis(**more: Any) -> Figure:
    """An axis; ``title`` is its text."""
    title = more.pop("title", None)
    base: Figure = {
        "automargin": True,
        "zeroline": False,
        "showline": False,
        "ticks": "",
        "showspikes": False,
    }
    if title:
        base["title"] = {"text": title, "standoff": 8, "font": {"size": 12}}
    return base | more


def equity_figure(run: Run) -> Figure:
    """Equity and realised capital above, drawdown below, on one time axis; a few thousand points each."""
    # One set of rows for the three curves, so that a hover reads them at the same bar.
    columns = [run.equity[name].to_numpy() for name in ("equity", "capital", "drawdown")]
    points = POINTS if run.equity.height <= POINTS else POINTS // 3
    rows = np.unique(np.concatenate([extremes(values, points) for values in columns]))
    bars = run.equity[rows]
    shared = {"type": "scatter", "mode": "lines" if len(rows) > 1 else "markers", "x": time_labels(bars["ts"])}
    equity = shared | {
        "y": bars["equity"].to_list(),
        "name": "Equity",
        "line": {"color": GAIN, "width": 1.6},
    }
    capital = shared | {
        "y": bars["capital"].to_list(),
        "name": "Realised capital",
        "line": {"color": QUIET, "width": 1, "shape": "hv"},
    }
    drawdown = shared | {
        "y": (0.0 - bars["drawdown"]).to_list(), "name": "Drawdown", "yaxis": "y2", "fill": "tozeroy",
        "fillcolor": "rgba(216,100,42,0.22)", "line": {"color": LOSS, "width": 1},
    }  # fmt: skip
    money = "%{y:,.2f}<extra>%{fullData.name}</extra>"
    equity["hovertemplate"] = capital["hovertemplate"] = money
    drawdown["hovertemplate"] = "%{y:.2%}<extra>Drawdown</extra>"
    start = run.initial_capital
    low, high = (float(v) for v in (run.equity["equity"].min(), run.equity["equity"].max()))  # type: ignore[arg-type]
    flat = {"range": [start * 0.99, start * 1.01]} if low == high == start else {}
    safe = {"range": [-0.01, 0.0005]} if not (run.equity["drawdown"] > 0).any() else {"rangemode": "tozero"}
    spike = {"showspikes": True, "spikemode": "across", "spikethickness": 1, "spikedash": "solid"}
    money_ticks = ",.4~s" if high - low > 0.005 * start else ",.2f"
    layout = base_layout(
        hovermode="x unified",
        hoversubplots="axis",
        xaxis=base_axis(type="date", anchor="y2", hoverformat="%Y-%m-%d %H:%M:%S", showgrid=False, **spike),
        yaxis=base_axis(domain=[0.34, 1.0], tickformat=money_ticks, title="USDT", nticks=8, **flat),
        yaxis2=base_axis(domain=[0.0, 0.29], tickformat=".2~%", title="Drawdown", nticks=5, **safe),
        shapes=[
            {
                "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": start, "y1": start,
                "line": {"color": QUIET, "width": 1, "dash": "dot"}, "layer": "below",
            }
        ],
    )  # fmt: skip
    return {"data": [capital, equity, drawdown], "layout": layout}


def time_labels(ts: pl.Series) -> list[str]:
    """Times as the charts take them."""
    fine = bool((ts % SECOND_NS != 0).any())
    return pl.from_epoch(ts, time_unit="ns").dt.strftime(f"%Y-%m-%d %H:%M:%S{'%.3f' if fine else ''}").to_list()


def daily_figure(run: Run) -> Figure:
    """Return of each UTC day, as bars."""
    days = period_returns(run, "1d").drop_nulls("ret")
    returns = days["ret"].to_list()
    bars = {
        "type": "bar",
        "x": [day.isoformat() for day in days["period"]],
        "y": returns,
        "marker": {"color": [GAIN if r >= 0 else LOSS for r in returns]},
        "hovertemplate": "%{x|%a %Y-%m-%d}<br>%{y:+.2%}<extra></extra>",
    }
    daily = {"dtick": 86_400_000} if days.height <= 8 else {}
    flat = {} if any(returns) else {"range": [-0.01, 0.01]}
    layout = base_layout(
        bargap=0.25,
        xaxis=base_axis(type="date", showgrid=False, tickformat="%d %b", **daily),
        yaxis=base_axis(tickformat=".2~%", zeroline=True, zerolinewidth=1, title="Return", **flat),
    )
    return {"data": [bars], "layout": layout}


def trade_figure(run: Run) -> Figure:
    """Per-trade return against bars held, one trace per exit reason; ``views`` holds the time axis too."""
    trades = thin(run.trades, MARKERS)
    reasons = exit_reasons(run)
    marks = reason_marks(reasons)
    data, held, moments = [], [], []
    for reason in reasons:
        part = trades.filter(pl.col("exit_reason") == reason)
        color, symbol, _ = marks[reason]
        held.append(part["bars_held"].to_list())
        moments.append(time_labels(part["ts"]))
        told = zip(part.iter_rows(named=True), moments[-1], strict=True)
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": html.escape(reason),
                "x": held[-1],
                "y": part["pnl_pct"].to_list(),
                "hovertext": [_trade_text(row, moment) for row, moment in told],
                "hovertemplate": "%{hovertext}<extra></extra>",
                "marker": {
                    "color": color, "symbol": symbol, "size": 8 if trades.height < 800 else 5,
                    "opacity": 0.75, "line": {"width": 0},
                },
            }
        )  # fmt: skip
    layout = base_layout(
        hovermode="closest",
        xaxis=base_axis(title="Bars held", zeroline=False, rangemode="tozero", tickformat=",d"),
        yaxis=base_axis(title="P&L / notional", tickformat=".2~%", zeroline=True, zerolinewidth=1, range=_room(trades)),
    )
    views = {
        "held": {"data": {"x": held}, "layout": _x_view("-", "Bars held", ",d")},
        "time": {"data": {"x": moments}, "layout": _x_view("date", "Exit time (UTC)", "")},
    }
    return {"data": data, "layout": layout, "views": views}


def _room(trades: pl.DataFrame) -> list[float]:
    """Range of the returns and zero, with a little air."""
    returns = [0.0, *trades["pnl_pct"].to_list()]
    air = 0.07 * (max(returns) - min(returns)) or 0.01
    return [min(returns) - air, max(returns) + air]


def _x_view(kind: str, title: str, ticks: str) -> Figure:
    return {
        "xaxis.type": "linear" if kind == "-" else kind,
        "xaxis.title.text": title,
        "xaxis.tickformat": ticks,
        "xaxis.rangemode": "tozero" if kind == "-" else "normal",
        "xaxis.autorange": True,
    }


def exit_reasons(run: Run) -> list[str]:
    """Exit reasons of the run, the most frequent first."""
    counts = run.trades.group_by("exit_reason").len().sort(["len", "exit_reason"], descending=[True, False])
    return counts["exit_reason"].to_list()


def _trade_text(trade: dict[str, Any], moment: str) -> str:
    # Plotly reads a little HTML in hover text; names are escaped so that they stay names.
    asset, side, reason = (html.escape(trade[key]) for key in ("asset", "side", "exit_reason"))
    return (
        f"<b>{asset}</b> {side} {trade['leverage']:.2f}{TIMES}<br>"
        f"{significant(trade['entry_price'], 8)} → {significant(trade['exit_price'], 8)}<br>"
        f"{percent(trade['pnl_pct'], 3, signed=True)} · {number(trade['pnl'], signed=True)} USDT<br>"
        f"{reason} after {trade['bars_held']:,} bars<br>{moment}"
    )


def histogram_figure(run: Run) -> Figure:
    """How many trades made which return; counted here, so that every trade is in it."""
    returns = run.trades["pnl_pct"].cast(pl.Float64).to_numpy()
    bins = return_histogram(returns)
    low, high = bins.edges[:-1], bins.edges[1:]
    middle = (low + high) / 2.0
    bars = {
        "type": "bar",
        "x": middle.tolist(),
        "y": bins.counts.tolist(),
        "width": (high - low).tolist(),
        "customdata": [f"{percent(a, 2)} to {percent(b, 2)}" for a, b in zip(low, high, strict=True)],
        "marker": {"color": [GAIN if m > 0 else LOSS for m in middle], "line": {"width": 0}},
        "hovertemplate": "%{customdata}<br>trades: %{y:,}<extra></extra>",
    }
    mean = float(returns.mean())
    whole = {"dtick": 1} if bins.counts.max() <= 5 else {}
    layout = base_layout(
        bargap=0.06,
        margin={"l": 8, "r": 8, "t": 26, "b": 8},
        xaxis=base_axis(title="P&L / notional", tickformat=".2~%", showgrid=False),
        yaxis=base_axis(title="Trades", tickformat=",d", rangemode="tozero", **whole),
        shapes=[
            {
                "type": "line", "x0": mean, "x1": mean, "yref": "paper", "y0": 0, "y1": 1,
                "line": {"color": QUIET, "width": 1.5, "dash": "dash"},
            }
        ],
        annotations=[
            {
                "x": mean, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False,
                "xanchor": "center", "text": f"mean {percent(mean, 3, signed=True)}",
            }
        ],
    )  # fmt: skip
    return {"data": [bars], "layout": layout}
