"""The part of a tear sheet that reads an account against holding the market, and its usual figures."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from dolphin.files import from_json_value
from dolphin.report.decimate import extremes
from dolphin.report.figures import Figure, base_axis, base_layout, time_labels
from dolphin.report.markup import Cell, card, signed, table
from dolphin.report.numerals import MISSING, number, percent
from dolphin.report.palette import GAIN, LOSS, QUIET
from dolphin.report.run_folder import Run
from dolphin.report.summaries import thin

Chart = Callable[..., str]
#: Key, name, whether it is a share of one, whether its sign has a colour, what it says.
_FIGURES = (
    ("roi", "Return", True, True, "over the whole run"),
    ("cagr", "CAGR", True, True, "growth a year of 365 days; means little below a year"),
    ("volatility_365", "Volatility", True, False, "deviation of the daily returns, a year"),
    ("sharpe_365", "Sharpe", False, True, "mean over deviation of the daily returns, a year"),
    ("sortino", "Sortino", False, True, "the same over the losing days' root mean square"),
    ("omega", "Omega", False, False, "daily gains over daily losses; above 1 it earned"),
    ("max_drawdown_daily", "Max drawdown, by days", True, False, "between the ends of days"),
    ("calmar", "Calmar", False, True, "CAGR over that drawdown"),
    ("ulcer_index", "Ulcer index", True, False, "how deep and how long it lay below its peak"),
)
PURPLE = "#8e5ba6"
#: Points and trades that are drawn on one of the small price charts: with six of them a page stays below 1.5 MB.
TILE_POINTS, TILE_TRADES = 2_000, 400


def benchmark_cards(run: Run, chart: Chart) -> Iterator[str]:
    """The cards; of a folder that an older version wrote only a line."""
    if not run.figures:
        words = "This run was written by an older version, without benchmarks; run the backtest again to have them."
        yield f'<p class="notice caveat">{words}</p>'
        return
    names = benchmark_names(run.figures)
    note = "Returns since the start at the end of each UTC day; nothing is paid for buying and holding."
    yield card("Against holding the market", chart("benchmarks", benchmark_figure(run.daily, names), "tall"), note=note)
    yield card("Usual figures", _figures(run, names), kind="long", note=_exposure(run))
    if run.figures["underwater"]:
        yield card("Falls from a peak", underwater_table(run), note="The deepest, by ends of days.", kind="long")


def benchmark_names(figures: dict[str, Any]) -> dict[str, str]:
    """What the columns of the daily frame are called."""
    return {
        "equity": "this run",
        "reference": f"{figures['reference_symbol']} bought and held",
        "equal_weight": f"all {figures['symbols']} symbols, equal weights",
    }


def benchmark_figure(daily: pl.DataFrame, names: dict[str, str]) -> Figure:
    """Equity against the benchmarks above, the rolling Sharpe ratio below.

    Parameters
    ----------
    daily : polars.DataFrame
        As :func:`dolphin.study.measure.benchmarks.daily_frame` makes it.
    names : dict
        What ``equity``, ``reference`` and ``equal_weight`` are called.

    Returns
    -------
    dict
        A plotly figure in plain JSON form: ``plotly.graph_objects.Figure(benchmark_figure(...))`` shows it.
    """
    days = daily["date"].to_list()
    mode = "lines" if len(days) > 1 else "markers"
    data: list[Figure] = []
    for key, colour, dash, width in (
        ("equal_weight", PURPLE, "dash", 1.4), ("reference", QUIET, "dot", 1.8), ("equity", GAIN, "solid", 2.2)
    ):  # fmt: skip
        data.append(
            {
                "type": "scatter", "mode": mode, "name": html.escape(names[key]), "x": days,
                "y": (daily[key] - 1.0).to_list(), "line": {"color": colour, "width": width, "dash": dash},
                "hovertemplate": "%{y:+.2%}<extra>%{fullData.name}</extra>",
            }
        )  # fmt: skip
    rolling = daily["rolling_sharpe"]
    has_rolling = rolling.null_count() < daily.height
    if has_rolling:
        data.append(
            {
                "type": "scatter", "mode": "lines", "name": "Sharpe of 30 days", "x": days, "y": rolling.to_list(),
                "yaxis": "y2", "line": {"color": LOSS, "width": 1.4}, "showlegend": False,
                "hovertemplate": "%{y:.2f}<extra>Sharpe of 30 days</extra>",
            }
        )  # fmt: skip
    low = 0.34 if has_rolling else 0.0
    zero = {"zeroline": True, "zerolinewidth": 1}
    more = {"yaxis2": base_axis(domain=[0.0, 0.27], title="Sharpe, 30 days", nticks=5, **zero)} if has_rolling else {}
    layout = base_layout(
        hovermode="x unified",
        hoversubplots="axis",
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "reversed"},
        xaxis=base_axis(type="date", showgrid=False, **({"anchor": "y2"} if has_rolling else {})),
        yaxis=base_axis(domain=[low, 1.0], tickformat="+.0~%", title="Return", nticks=8, **zero),
        **more,
    )
    return {"data": data, "layout": layout}


def _figures(run: Run, names: dict[str, str]) -> str:
    columns = [run.figures["account"], run.figures["reference"], run.figures["equal_weight"]]
    rows = []
    for key, name, share, tone, reading in _FIGURES:
        cells = [_cell(column.get(key) if column else None, share, tone) for column in columns]
        rows.append([Cell(name, below=reading), *cells])
    return table(["", *(name[:1].upper() + name[1:] for name in names.values())], rows, kind="usual")


def _cell(value: Any, share: bool, tone: bool) -> Cell:
    value = from_json_value(value)
    if not isinstance(value, int | float):
        return Cell(MISSING)
    shown = percent(value, 2, signed=tone) if share else number(value, 2)
    return signed(shown, value) if tone else Cell(shown)


def _exposure(run: Run) -> str:
    exposure = run.figures["exposure"]
    return (
        f"By ends of UTC days. In the market {percent(exposure['long'] + exposure['short'], 1)} of the bars: "
        f"{percent(exposure['long'], 1)} long, {percent(exposure['short'], 1)} short (by the first open slot)."
    )


def underwater_table(run: Run) -> str:
    """The deepest falls of the account: from when to when, how deep, how long."""
    rows = []
    for fall in run.figures["underwater"]:
        rows.append(
            [
                Cell(fall["peak"] or "the start"),
                Cell(fall["trough"]),
                Cell(fall["recovered"] or "not yet"),
                Cell(percent(fall["depth"]), fall["depth"]),
                Cell(number(fall["days"], 0), fall["days"]),
            ]
        )
    return table(["Peak", "Trough", "Recovered", "Depth", "Days"], rows, sortable=True)


def price_tiles(run: Run, chart: Chart) -> str:
    """A picture per asset that was traded most: its price, entries and exits."""
    tiles = []
    for k, asset in enumerate(run.prices["asset"].unique(maintain_order=True).to_list()):
        trades = run.trades.filter(pl.col("asset") == asset)
        shown = thin(trades, TILE_TRADES)
        some = f", {shown.height:,} drawn" if shown.height < trades.height else ""
        drawn = chart(f"price-{k}", price_figure(run, asset, shown))
        tiles.append(f'<div class="tile"><h3>{html.escape(asset)}: {trades.height:,} trades{some}</h3>{drawn}</div>')
    return f'<div class="tiles">{"".join(tiles)}</div>'


def price_figure(run: Run, asset: str, trades: pl.DataFrame) -> Figure:
    """The price of one asset with entries (triangles: up bought, down sold) and exits (hollow circles by outcome)."""
    prices = run.prices.filter(pl.col("asset") == asset)
    prices = prices[extremes(prices["price"].to_numpy(), TILE_POINTS)]
    line = {
        "type": "scatter", "mode": "lines", "x": time_labels(prices["ts"]), "y": prices["price"].to_list(),
        "line": {"color": QUIET, "width": 1}, "hoverinfo": "skip",
    }  # fmt: skip
    exits = _marks(
        time_labels(trades["ts"]), trades["exit_price"].to_list(),
        ["circle-open" if pnl > 0 else "x-thin-open" for pnl in trades["pnl"]],
        [GAIN if pnl > 0 else LOSS for pnl in trades["pnl"]],
        [f"exit {row['exit_reason']}, {percent(row['pnl_pct'], 2, signed=True)}" for row in trades.to_dicts()],
    )  # fmt: skip
    entries = _marks(
        time_labels(entry_times(run, trades)), trades["entry_price"].to_list(),
        ["triangle-up" if side == "LONG" else "triangle-down" for side in trades["side"]],
        [PURPLE] * trades.height,
        [f"entry {side}" for side in trades["side"]],
    )  # fmt: skip
    layout = base_layout(
        hovermode="closest",
        xaxis=base_axis(type="date", showgrid=False, nticks=5),
        yaxis=base_axis(nticks=5, tickformat="~g"),
    )
    return {"data": [line, entries, exits], "layout": layout}


def _marks(x: list[str], y: list[float], symbols: list[str], colours: list[str], texts: list[str]) -> Figure:
    return {
        "type": "scatter", "mode": "markers", "x": x, "y": y, "hovertext": [html.escape(t) for t in texts],
        "hovertemplate": "%{hovertext}<br>%{x|%Y-%m-%d %H:%M} at %{y}<extra></extra>",
        "marker": {"symbol": symbols, "color": colours, "size": 7, "line": {"width": 1.4, "color": colours}},
    }  # fmt: skip


def entry_times(run: Run, trades: pl.DataFrame) -> pl.Series:
    """When the entry bar of each trade closed, ns."""
    first = run.facts.get("first_bar", {})
    offset = int(first.get("row", first.get("bar", 0)))
    rows = (trades["entry_bar"] - offset).clip(0, run.equity.height - 1)
    return run.equity["ts"][rows.to_list()]
