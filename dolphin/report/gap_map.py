"""Missing bars as a heat map, symbol by day, under the share of the whole grid that each day misses."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from dolphin.report.figures import Figure, base_axis, base_layout
from dolphin.report.numerals import duration, percent
from dolphin.report.palette import LOSS

ROW_HEIGHT, LEAST_HEIGHT, MOST_HEIGHT = 13, 320, 1_800  # px
_TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 1.0)
# Paler than linear: an hour of a day must be seen beside a day.
_POWER = 0.4


def gap_figure(gaps: pl.DataFrame, symbols: Sequence[str], dates: Sequence[str], spacing_ns: int) -> Figure:
    """A heat map of the missing bars, as a share of a whole day's.

    Parameters
    ----------
    gaps : polars.DataFrame
        A row per symbol and date with missing bars: date, symbol, count, gaps, longest, expected.
    symbols : sequence of str
        Rows, from the top.
    dates : sequence of str
        Every date of the data, ``YYYY-MM-DD``.
    spacing_ns : int
        Length of a bar.
    """
    row = {symbol: i for i, symbol in enumerate(symbols)}
    column = {date: i for i, date in enumerate(dates)}
    shares: list[list[float]] = [[0.0] * len(dates) for _ in symbols]
    told: list[list[str]] = [["complete"] * len(dates) for _ in symbols]
    missing = [0] * len(dates)
    whole = max(gaps["expected"].to_list(), default=1)  # a day cut short, of a single bar, must not look like an outage
    for gap in gaps.iter_rows(named=True):
        i, j = row[gap["symbol"]], column[str(gap["date"])]
        shares[i][j] = round((gap["count"] / whole) ** _POWER, 4)
        told[i][j] = _words(gap, spacing_ns)
        missing[j] += gap["count"]
    total = [count / (whole * len(symbols)) for count in missing]
    heat = {
        "type": "heatmap", "x": list(dates), "y": [html.escape(s) for s in symbols], "z": shares, "text": told,
        "zmin": 0, "zmax": 1, "xgap": _gutter(len(dates)), "ygap": 1,
        "hovertemplate": "<b>%{y}</b> %{x|%a %Y-%m-%d}<br>%{text}<extra></extra>",
        "colorscale": [
            [0.0, "rgba(138,148,163,0.13)"], [0.04, "#f3d9c6"], [0.3, "#eda877"], [0.6, LOSS], [1.0, "#7d1f10"],
        ],
        "colorbar": {
            "tickvals": [t**_POWER for t in _TICKS], "ticktext": [_tick(t) for t in _TICKS], "thickness": 12,
            "outlinewidth": 0, "title": {"text": "missing", "side": "right"}, "len": 0.8, "y": 0.41,
        },
    }  # fmt: skip
    bars = {
        "type": "bar", "x": list(dates), "y": total, "yaxis": "y2", "marker": {"color": LOSS, "line": {"width": 0}},
        "hovertemplate": "%{x|%a %Y-%m-%d}<br>%{y:.2%} of the grid<extra></extra>",
    }  # fmt: skip
    top = {} if any(total) else {"range": [0, 0.01]}
    layout = base_layout(
        bargap=0.1,
        hovermode="closest",
        xaxis=base_axis(type="date", showgrid=False, anchor="y"),
        yaxis=base_axis(
            domain=[0.0, 0.84], autorange="reversed", showgrid=False, tickfont={"size": 10},
            dtick=math.ceil(len(symbols) / 130),
        ),
        yaxis2=base_axis(domain=[0.88, 1.0], tickformat=".1~%", title="all", nticks=3, rangemode="tozero", **top),
    )  # fmt: skip
    return {"data": [heat, bars], "layout": layout}


def map_height(symbols: int) -> int:
    """Height of the figure in pixels."""
    return max(LEAST_HEIGHT, min(MOST_HEIGHT, 150 + ROW_HEIGHT * symbols))


def _words(gap: dict[str, Any], spacing_ns: int) -> str:
    share = percent(gap["count"] / gap["expected"], 2)
    runs = "1 gap" if gap["gaps"] == 1 else f"{gap['gaps']:,} gaps"
    longest = duration(gap["longest"] * spacing_ns)
    return f"{gap['count']:,} of {gap['expected']:,} bars ({share}) in {runs}, longest {longest}"


def _tick(share: float) -> str:
    return f"{100 * share:g} %"


def _gutter(days: int) -> int:
    """Pixels between columns, as long as a column is wide enough to have some."""
    return 1 if days <= 200 else 0
