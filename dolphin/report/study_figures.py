"""The charts of a study page, as plotly figures in plain JSON form (see :mod:`dolphin.report.figures`)."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from dolphin.report.figures import Figure, base_axis, base_layout
from dolphin.report.numerals import percent, significant
from dolphin.report.palette import GAIN, LOSS, QUIET

CHOSEN = "#d9a400"

#: From bad to good, readable on light and on dark paper; the middle is nearly the paper.
DIVERGING = [[0.0, "#a8430f"], [0.25, LOSS], [0.5, "rgba(138,148,163,0.25)"], [0.75, GAIN], [1.0, "#124f83"]]
RISING = [[0.0, "rgba(138,148,163,0.18)"], [0.5, "#7fb4dd"], [1.0, "#124f83"]]

#: Strengths of the lines of the parallel coordinates, from the worst to the best.
_SHADES: tuple[tuple[str, float], ...] = (
    ("rgba(138,148,163,0.10)", 1.0), ("rgba(138,148,163,0.16)", 1.0), ("rgba(138,148,163,0.22)", 1.0),
    ("rgba(47,134,200,0.18)", 1.0), ("rgba(47,134,200,0.30)", 1.0), ("rgba(47,134,200,0.75)", 1.3),
)  # fmt: skip


def history_figure(history: Mapping[str, Any], objective: str) -> Figure:
    """The objective of every trial, in the order in which they were drawn, and the record so far."""
    every = {
        "type": "scatter", "mode": "markers", "x": history["trial"], "y": history["value"], "name": "trial",
        "marker": {"color": QUIET, "size": 4, "opacity": 0.45, "line": {"width": 0}},
        "hovertemplate": "trial %{x:,}<br>" + _safe(objective) + " %{y:.4g}<extra></extra>",
    }  # fmt: skip
    best = {
        "type": "scatter", "mode": "lines", "x": history["best_trial"], "y": history["best"], "name": "record so far",
        "line": {"color": GAIN, "width": 2, "shape": "hv"}, "hovertemplate": "record so far %{y:.4g}<extra></extra>",
    }  # fmt: skip
    layout = base_layout(
        hovermode="closest",
        xaxis=base_axis(title="Trial", tickformat=",d", showgrid=False),
        yaxis=base_axis(title=_safe(objective), zeroline=True, zerolinewidth=1),
    )
    return {"data": [every, best], "layout": layout}


def spread_figure(spread: Mapping[str, Any], objective: str) -> Figure:
    """How many trials reached what, with the best one and, where that is another, the raw maximum."""
    edges = spread["edges"]
    middle = [(a + b) / 2.0 for a, b in itertools.pairwise(edges)]
    bars = {
        "type": "bar", "x": middle, "y": spread["counts"],
        "width": [b - a for a, b in itertools.pairwise(edges)],
        "customdata": [f"{significant(a, 4)} to {significant(b, 4)}" for a, b in itertools.pairwise(edges)],
        "marker": {"color": QUIET, "opacity": 0.75, "line": {"width": 0}},
        "hovertemplate": "%{customdata}<br>trials: %{y:,}<extra></extra>",
    }  # fmt: skip
    marks = [(spread["median"], "median", QUIET, "dash", 1.5)]
    if spread["maximum"] is not None:
        marks.append((spread["maximum"], "raw maximum", QUIET, "dot", 2.0))
    if spread["chosen"] is not None:
        marks.append((spread["chosen"], "best", CHOSEN, "solid", 2.5))
    low, high = edges[0], edges[-1]
    layout = base_layout(
        bargap=0.04,
        margin={"l": 8, "r": 8, "t": 12 + 16 * len(marks), "b": 8},
        xaxis=base_axis(title=_safe(objective), showgrid=False, zeroline=True, zerolinewidth=1),
        yaxis=base_axis(title="Trials", tickformat=",d", rangemode="tozero"),
        shapes=[_upright(x, color, dash, width) for x, _, color, dash, width in marks],
        annotations=[
            # One above the other, each on the side of its line that has room.
            _flag(x, f"{name} {significant(x, 3)}", "right" if x > (low + high) / 2.0 else "left", 16 * k)
            for k, (x, name, *_) in enumerate(marks)
        ],
    )
    return {"data": [bars], "layout": layout}


def _upright(x: float, color: str, dash: str, width: float = 1.5) -> Figure:
    line = {"color": color, "width": width, "dash": dash}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _flag(x: float, words: str, anchor: str, above: int) -> Figure:
    return {
        "x": x, "y": 1, "yref": "paper", "yanchor": "bottom", "xanchor": anchor, "yshift": above, "showarrow": False,
        "text": words,
    }  # fmt: skip


def parallel_figure(parallel: Mapping[str, Any], objective: str, *, maximize: bool) -> Figure:
    """A line a trial across all parameters and the objective; the highest strongest, the first one marked.

    Lines are drawn as a few broken curves of one strength each: no WebGL is needed to see or print them.
    """
    values = parallel["value"]
    axes = [*parallel["axes"], {"name": objective, "values": values, "words": None}]
    spans = [_span(axis) for axis in axes]
    heights = [
        [None if v is None else (v - low) / (high - low or 1.0) for v in axis["values"]]
        for axis, (low, high) in zip(axes, spans, strict=True)
    ]
    order = sorted(range(len(values)), key=lambda k: values[k], reverse=not maximize)
    data = []
    for shade, (color, width) in enumerate(_SHADES):
        part = order[len(order) * shade // len(_SHADES) : len(order) * (shade + 1) // len(_SHADES)]
        data.append(_lines([k for k in part if k], heights, color, width))
    if values:
        data.append(_lines([0], heights, CHOSEN, 3.0) | {"name": "marked"})
    place = list(range(len(axes)))
    notes = []
    for k, (axis, (low, high)) in enumerate(zip(axes, spans, strict=True)):
        words = axis["words"]
        notes += [
            {"x": k, "y": 1.02, "yanchor": "bottom", "showarrow": False, "text": f"<b>{_safe(axis['name'])}</b>"
             f"<br>{_safe(words[-1]) if words else significant(high, 3)}", "font": {"size": 11}},
            {"x": k, "y": -0.02, "yanchor": "top", "showarrow": False,
             "text": _safe(words[0]) if words else significant(low, 3), "font": {"size": 11}},
        ]  # fmt: skip
        notes += [
            {"x": k, "y": i / (len(words) - 1), "xanchor": "left", "xshift": 4, "showarrow": False,
             "text": _safe(words[i]), "font": {"size": 11}}
            for i in range(1, len(words or ()) - 1)
        ]  # fmt: skip
    rails = [
        {"type": "line", "x0": k, "x1": k, "y0": 0, "y1": 1, "line": {"color": QUIET, "width": 1}, "layer": "below"}
        for k in place
    ]
    layout = base_layout(
        hovermode=False,
        margin={"l": 36, "r": 36, "t": 44, "b": 24},
        xaxis=base_axis(showgrid=False, showticklabels=False, range=[-0.15, len(axes) - 0.85], fixedrange=True),
        yaxis=base_axis(showgrid=False, showticklabels=False, range=[-0.04, 1.04], fixedrange=True),
        shapes=rails,
        annotations=notes,
    )
    return {"data": data, "layout": layout}


def _span(axis: Mapping[str, Any]) -> tuple[float, float]:
    known = [v for v in axis["values"] if v is not None]
    return (min(known), max(known)) if known else (0.0, 1.0)


def _lines(rows: Sequence[int], heights: Sequence[Sequence[float | None]], color: str, width: float) -> Figure:
    x: list[int | None] = []
    y: list[float | None] = []
    for row in rows:
        x += [*range(len(heights)), None]
        y += [None if (v := column[row]) is None else round(v, 4) for column in heights] + [None]
    line = {"color": color, "width": width}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": line, "hoverinfo": "skip"}


def front_figure(front: Mapping[str, Any]) -> Figure:
    """The Pareto front over the first two objectives."""
    first, second = front["objectives"][:2]
    best = [[row["metrics"][name] for name in (first, second)] for row in front["front"]]
    best = sorted(pair for pair in best if not any(isinstance(value, str) for value in pair))
    told = f"{_safe(first)} %{{x:.4g}}<br>{_safe(second)} %{{y:.4g}}<extra></extra>"
    every = {
        "type": "scatter", "mode": "markers",
        "x": [p[0] for p in front["points"]], "y": [p[1] for p in front["points"]],
        "marker": {"color": QUIET, "size": 4, "opacity": 0.45, "line": {"width": 0}}, "hovertemplate": told,
    }  # fmt: skip
    line = {
        "type": "scatter", "mode": "lines+markers" if len(front["objectives"]) == 2 else "markers",
        "x": [p[0] for p in best], "y": [p[1] for p in best], "line": {"color": GAIN, "width": 1.5},
        "marker": {"color": GAIN, "size": 8, "line": {"width": 0}}, "hovertemplate": told,
    }  # fmt: skip
    layout = base_layout(hovermode="closest", xaxis=base_axis(title=_safe(first)), yaxis=base_axis(title=_safe(second)))
    return {"data": [every, line], "layout": layout}


def importance_figure(importance: Mapping[str, Any]) -> Figure:
    """Shares of the parameters: PED-ANOVA with the span of its two halves, and fANOVA."""
    names = list(importance["ped_anova"])[::-1]
    ped, forest = importance["ped_anova"], importance["fanova"]
    halves = importance["halves"]
    low = [max(0.0, ped[n] - min(h.get(n, 0.0) for h in halves)) for n in names]
    high = [max(0.0, max(h.get(n, 0.0) for h in halves) - ped[n]) for n in names]
    shown = [_safe(n) for n in names]
    first = {
        "type": "bar", "orientation": "h", "y": shown, "x": [ped[n] for n in names], "name": "among the best",
        "marker": {"color": GAIN}, "hovertemplate": "%{y}<br>PED-ANOVA %{x:.1%}<extra></extra>",
        "error_x": {"type": "data", "symmetric": False, "array": high, "arrayminus": low, "color": QUIET,
                    "thickness": 1.5, "width": 4},
    }  # fmt: skip
    second = {
        "type": "bar", "orientation": "h", "y": shown, "x": [forest.get(n, 0.0) for n in names], "name": "over all",
        "marker": {"color": QUIET, "opacity": 0.7}, "hovertemplate": "%{y}<br>fANOVA %{x:.1%}<extra></extra>",
    }  # fmt: skip
    layout = base_layout(
        barmode="group",
        bargap=0.3,
        xaxis=base_axis(tickformat=".0%", rangemode="tozero", title="Share"),
        yaxis=base_axis(showgrid=False),
    )
    return {"data": [second, first], "layout": layout}


def map_figure(pair: Mapping[str, Any], objective: str, limits: tuple[float, float], *, maximize: bool) -> Figure:
    """The median objective over two parameters, the cell of the best trial framed."""
    low, high = limits
    signed = low < 0.0 < high
    scale = DIVERGING if signed else RISING
    reach = max(-low, high)
    shown = {"zmin": -reach if signed else low, "zmax": reach if signed else high}
    if not maximize:
        shown["reversescale"] = True
    i, j = pair["chosen"]
    told = [
        [
            "no trial" if z is None else f"median {significant(z, 3)} of {n:,} trials"
            for z, n in zip(zs, ns, strict=True)
        ]
        for zs, ns in zip(pair["z"], pair["n"], strict=True)
    ]
    heat = {
        "type": "heatmap", "z": pair["z"],
        "x": list(range(len(pair["x_cells"]))), "y": list(range(len(pair["y_cells"]))),
        "text": told, "hovertemplate": "%{text}<extra></extra>", "colorscale": scale, "xgap": 1, "ygap": 1, **shown,
        "colorbar": {"thickness": 8, "outlinewidth": 0, "len": 0.9, "tickfont": {"size": 10}},
    }  # fmt: skip
    frame = {
        "type": "rect", "x0": i - 0.5, "x1": i + 0.5, "y0": j - 0.5, "y1": j + 0.5,
        "line": {"color": CHOSEN, "width": 3},
    }  # fmt: skip
    layout = base_layout(
        hovermode="closest",
        xaxis=base_axis(title=_safe(pair["x"]), showgrid=False, tickangle=0, **_ticks(pair["x_cells"], 4)),
        yaxis=base_axis(title=_safe(pair["y"]), showgrid=False, **_ticks(pair["y_cells"], 5)),
        shapes=[frame],
    )
    return {"data": [heat], "layout": layout}


def _ticks(cells: Sequence[str], most: int) -> Figure:
    step = math.ceil(len(cells) / most)
    at = list(range(0, len(cells), step))
    return {"tickvals": at, "ticktext": [_safe(cells[k].partition(" to ")[0]) for k in at], "tickfont": {"size": 10}}


def map_limits(maps: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """The lowest and highest value of all maps, so that one colour means one thing."""
    known = [z for pair in maps for row in pair["z"] for z in row if z is not None]
    return (min(known), max(known)) if known else (0.0, 1.0)


def rank_figure(stability: Mapping[str, Any]) -> Figure:
    """Where the best trial of one half of the days ended on the other half, over all ways to halve them."""
    ranks, bins = stability["ranks"], 10
    counts = [
        sum(1 for r in ranks if k / bins <= r < (k + 1) / bins or (k == bins - 1 and r == 1.0)) for k in range(bins)
    ]
    bars = {
        "type": "bar", "x": [(k + 0.5) / bins for k in range(bins)], "y": counts, "width": [0.96 / bins] * bins,
        "marker": {"color": [LOSS if k < bins // 2 else GAIN for k in range(bins)], "line": {"width": 0}},
        "customdata": [f"{percent(k / bins, 0)} to {percent((k + 1) / bins, 0)}" for k in range(bins)],
        "hovertemplate": "better than %{customdata} of the trials<br>%{y} ways<extra></extra>",
    }  # fmt: skip
    layout = base_layout(
        xaxis=base_axis(
            title="Share of trials it beat on the other half", tickformat=".0%", range=[0, 1], showgrid=False
        ),
        yaxis=base_axis(title="Ways to halve the days", rangemode="tozero", tickformat=",d"),
        shapes=[_upright(0.5, QUIET, "dash")],
    )
    return {"data": [bars], "layout": layout}


def _safe(name: object) -> str:
    return html.escape(str(name))
