"""The charts of a tear sheet, as plotly figures in plain JSON form.

Plain dictionaries keep plotly's Python objects (and the second they take to import) out of the way;
tests put each one through plotly's own validation. Colours of text, grid and paper are set by the
page, which knows whether it is light or dark.
"""

from __future__ import annotations

import html
from typing import Any

import polars as pl

from dolphin.report.decimate import extremes
from dolphin.report.numerals import number, percent, significant
from dolphin.report.palette import GAIN, LOSS, QUIET, reason_marks
from dolphin.report.run_folder import Run
from dolphin.report.summaries import period_returns, return_histogram, thin

POINTS = 4_000
MARKERS = 4_000

Figure = dict[str, Any]


def _layout(**more: Any) -> Figure:
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


def _axis(**more: Any) -> Figure:
    title = more.pop("title", None)
    base: Figure = {"automargin": True, "zeroline": False, "showline": False, "ticks": ""}
    if title:
        base["title"] = {"text": title, "standoff": 8, "font": {"size": 12}}
    return base | more


def equity_figure(run: Run) -> Figure:
    """Equity and realised capital above, drawdown below, on one time axis; a few thousand points each."""
    equity = _curve(run, "equity", name="Equity", line={"color": GAIN, "width": 1.6})
    capital = _curve(run, "capital", name="Realised capital", line={"color": QUIET, "width": 1, "shape": "hv"})
    drawdown = _curve(
        run,
        "drawdown",
        factor=-1.0,
        name="Drawdown",
        line={"color": LOSS, "width": 1},
        fill="tozeroy",
        fillcolor="rgba(216,100,42,0.22)",
        yaxis="y2",
    )
    money = "%{y:,.2f}<extra>%{fullData.name}</extra>"
    equity["hovertemplate"] = capital["hovertemplate"] = money
    drawdown["hovertemplate"] = "%{y:.2%}<extra>Drawdown</extra>"
    start = run.initial_capital
    layout = _layout(
        hovermode="x unified",
        hoversubplots="axis",
        xaxis=_axis(type="date", anchor="y2", hoverformat="%Y-%m-%d %H:%M:%S", showgrid=False),
        yaxis=_axis(domain=[0.34, 1.0], tickformat=",.4~s", title="USDT", nticks=8),
        yaxis2=_axis(domain=[0.0, 0.29], tickformat=".0%", title="Drawdown", nticks=5, rangemode="tozero"),
        shapes=[
            {
                "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": start, "y1": start,
                "line": {"color": QUIET, "width": 1, "dash": "dot"}, "layer": "below",
            }
        ],
    )  # fmt: skip
    return {"data": [capital, equity, drawdown], "layout": layout}


def _curve(run: Run, column: str, *, factor: float = 1.0, **style: Any) -> Figure:
    values = run.equity[column].to_numpy()
    rows = extremes(values, POINTS)
    return {
        "type": "scatter",
        "mode": "lines" if len(rows) > 1 else "markers",
        "x": _moments(run.equity["ts"][rows]),
        # The base never shows "-0.00%": adding zero turns -0.0 into 0.0.
        "y": [float(v) * factor + 0.0 for v in values[rows]],
        **style,
    }


def _moments(ts: pl.Series) -> list[str]:
    fine = bool((ts % 1_000_000_000 != 0).any())
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
    layout = _layout(
        bargap=0.25,
        xaxis=_axis(type="date", showgrid=False, tickformat="%d %b" if days.height > 1 else "%Y-%m-%d")
        | ({"nticks": 1} if days.height == 1 else {}),
        yaxis=_axis(tickformat="+.1~%", zeroline=True, zerolinewidth=1, title="Return"),
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
        moments.append(_moments(part["ts"]))
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": html.escape(reason),
                "x": held[-1],
                "y": part["pnl_pct"].to_list(),
                "hovertext": [_trade_text(row) for row in part.iter_rows(named=True)],
                "hovertemplate": "%{hovertext}<extra></extra>",
                "marker": {
                    "color": color, "symbol": symbol, "size": 8 if trades.height < 800 else 5, "opacity": 0.75,
                    "line": {"width": 0},
                },
            }
        )  # fmt: skip
    layout = _layout(
        hovermode="closest",
        xaxis=_axis(title="Bars held", zeroline=False, rangemode="tozero", tickformat=",d"),
        yaxis=_axis(title="P&L / notional", tickformat="+.1~%", zeroline=True, zerolinewidth=1),
    )
    views = {
        "held": {"data": {"x": held}, "layout": _x_view("-", "Bars held", ",d")},
        "time": {"data": {"x": moments}, "layout": _x_view("date", "Exit time (UTC)", "")},
    }
    return {"data": data, "layout": layout, "views": views}


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


def _trade_text(trade: dict[str, Any]) -> str:
    # Plotly reads a little HTML in hover text; names are escaped so that they stay names.
    moment = _moments(pl.Series([trade["ts"]]))[0]
    return (
        f"<b>{html.escape(trade['asset'])}</b> {html.escape(trade['side'])} {trade['leverage']:.2f}×<br>"
        f"{significant(trade['entry_price'], 8)} → {significant(trade['exit_price'], 8)}<br>"
        f"{percent(trade['pnl_pct'], 3, signed=True)} · {number(trade['pnl'], signed=True)} USDT<br>"
        f"{html.escape(trade['exit_reason'])} after {trade['bars_held']:,} bars<br>{moment}"
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
        "hovertemplate": "%{customdata}<br>%{y:,} trades<extra></extra>",
    }
    mean = float(returns.mean())
    layout = _layout(
        bargap=0.06,
        margin={"l": 8, "r": 8, "t": 26, "b": 8},
        xaxis=_axis(title="P&L / notional", tickformat="+.1~%", showgrid=False),
        yaxis=_axis(title="Trades", tickformat=",d", rangemode="tozero"),
        shapes=[
            {
                "type": "line", "x0": mean, "x1": mean, "yref": "paper", "y0": 0, "y1": 1,
                "line": {"color": QUIET, "width": 1.5, "dash": "dash"},
            }
        ],
        annotations=[
            {
                "x": mean, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False, "xanchor": "center",
                "text": f"mean {percent(mean, 3, signed=True)}",
            }
        ],
    )  # fmt: skip
    return {"data": [bars], "layout": layout}
