"""The charts of a stress page, as plotly figures in plain JSON form (see :mod:`dolphin.report.figures`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dolphin.report.figures import Figure, base_axis, base_layout
from dolphin.report.palette import GAIN, LOSS, QUIET

_OUTER, _INNER = "rgba(47,134,200,0.16)", "rgba(47,134,200,0.30)"
_NOTHING = {"width": 0}


def friction_figure(curve: Sequence[Mapping[str, Any]], break_even: float | None, at: float) -> Figure:
    """Return by the friction of a round trip; the band is what the split into slippage and fee makes of it.

    ``at`` is the friction of the configuration itself.
    """
    x = [row["round_trip_bps"] for row in curve]
    roi = {part: [row["roi"][part] for row in curve] for part in ("low", "high", "even")}
    low = {"type": "scatter", "mode": "lines", "x": x, "y": roi["low"], "line": _NOTHING, "hoverinfo": "skip"}
    high = low | {"y": roi["high"], "fill": "tonexty", "fillcolor": _OUTER}
    even = {
        "type": "scatter", "mode": "lines+markers", "x": x, "y": roi["even"], "line": {"color": GAIN, "width": 2},
        "marker": {"size": 5, "color": GAIN},
        "hovertemplate": "%{x:g} bps a round trip<br>return %{y:.2%}<extra></extra>",
    }  # fmt: skip
    shapes, notes = [_upright(at, QUIET)], [_flag(at, f"as it is: {at:g} bps")]
    if break_even:
        shapes.append(_upright(break_even, LOSS))
        notes.append(_flag(break_even, f"breaks even: {break_even:.1f} bps", below=True))
    layout = base_layout(
        hovermode="closest",
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        xaxis=base_axis(title="Slippage and fees of a round trip, bps", showgrid=False, dtick=1),
        yaxis=base_axis(title="Return", tickformat=".3~%", zeroline=True, zerolinewidth=1.5),
        shapes=shapes,
        annotations=notes,
    )
    return {"data": [low, high, even], "layout": layout}


def _upright(x: float, color: str) -> Figure:
    line = {"color": color, "width": 1.5, "dash": "dash"}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _flag(x: float, words: str, *, below: bool = False) -> Figure:
    place = {"y": 0.02, "yanchor": "bottom", "xanchor": "left", "xshift": 4} if below else {"y": 1, "yanchor": "bottom"}
    return {"x": x, "yref": "paper", "showarrow": False, "text": words, **place}


def fan_figure(fans: Sequence[Mapping[str, Any]], base: Mapping[str, Any] | None, title: str | None = None) -> Figure:
    """Quantile bands over time (5 to 95 and 25 to 75 per cent, median) with the undisturbed run.

    One band is drawn at a time; ``views`` switches between the sizes.
    """
    first = fans[-1]
    low, quarter, middle, three, high = first["bands"]
    line = {"type": "scatter", "mode": "lines", "x": first["x"], "line": _NOTHING, "hoverinfo": "skip"}
    data = [
        line | {"y": low},
        line | {"y": high, "fill": "tonexty", "fillcolor": _OUTER},
        line | {"y": quarter},
        line | {"y": three, "fill": "tonexty", "fillcolor": _INNER},
        line | {"y": middle, "line": {"color": GAIN, "width": 2}, "hoverinfo": "all", "name": "median",
                "hovertemplate": "%{y:.4f}<extra>median</extra>"},
    ]  # fmt: skip
    if base is not None:
        data.append(
            line | {"x": base["x"], "y": base["y"], "line": {"color": QUIET, "width": 1.4, "dash": "dot"},
                    "name": "as it is",
                    "hoverinfo": "all", "hovertemplate": "%{y:.4f}<extra>as it is</extra>"}
        )  # fmt: skip
    dated = isinstance(first["x"][0], str)
    layout = base_layout(
        hovermode="x unified",
        xaxis=base_axis(showgrid=False, title=title, **({"type": "date"} if dated else {"tickformat": ",d"})),
        yaxis=base_axis(title="Equity / start", tickformat=".5~g", zeroline=False),
        shapes=[_level()],
    )
    order = (0, 4, 1, 3, 2)
    rest = [base["y"]] if base is not None else []
    xs = [base["x"]] if base is not None else []
    views = {
        f"{fan['parameter']:g}": {
            "data": {"x": [fan["x"]] * 5 + xs, "y": [fan["bands"][k] for k in order] + rest}, "layout": {},
        }
        for fan in fans
    }  # fmt: skip
    return {"data": data, "layout": layout, "views": views}


def _level() -> Figure:
    line = {"color": QUIET, "width": 1, "dash": "dot"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": line, "layer": "below"}


def starts_figure(starts: Sequence[Mapping[str, Any]], base: Mapping[str, Any]) -> Figure:
    """A curve for each first day, each from 1."""
    line = {"type": "scatter", "mode": "lines"}
    data = [
        line | {"x": run["x"], "y": run["y"], "line": {"color": GAIN if run["y"][-1] >= 1.0 else LOSS, "width": 1},
                "opacity": 0.55, "hovertemplate": "%{x|%d %b}: %{y:.4f}<extra>begun " + run["x"][0] + "</extra>"}
        for run in starts
    ]  # fmt: skip
    data.append(
        line | {"x": base["x"], "y": base["y"], "line": {"color": QUIET, "width": 2, "dash": "dot"},
                "hovertemplate": "%{x|%d %b}: %{y:.4f}<extra>as it is</extra>"}
    )  # fmt: skip
    layout = base_layout(
        hovermode="closest",
        xaxis=base_axis(type="date", showgrid=False),
        yaxis=base_axis(title="Equity / start", tickformat=".5~g"),
        shapes=[_level()],
    )
    return {"data": data, "layout": layout}


def spread_figure(outcomes: Sequence[Mapping[str, Any]], names: Sequence[str], measure: str, title: str) -> Figure:
    """Quantiles of one measure for each kind and size: 5 to 95 per cent thin, the middle half thick."""
    place = list(range(len(outcomes)))[::-1]
    quantiles = [row[measure] for row in outcomes]
    told = [
        f"{name}<br>5 % {q[0]:.2%}, median {q[2]:.2%}, 95 % {q[4]:.2%}"
        for name, q in zip(names, quantiles, strict=True)
    ]
    hover = {"customdata": told, "hovertemplate": "%{customdata}<extra></extra>"}
    bar = {"type": "bar", "orientation": "h", "y": place, **hover}
    data = [
        bar | {"base": [q[0] for q in quantiles], "x": [q[4] - q[0] for q in quantiles], "width": 0.22,
               "marker": {"color": _INNER, "line": _NOTHING}},
        bar | {"base": [q[1] for q in quantiles], "x": [q[3] - q[1] for q in quantiles], "width": 0.55,
               "marker": {"color": GAIN, "opacity": 0.75, "line": _NOTHING}},
        {"type": "scatter", "mode": "markers", "x": [q[2] for q in quantiles], "y": place,
         "marker": {"symbol": "line-ns-open", "size": 15, "color": "#d9a400", "line": {"width": 3, "color": "#d9a400"}},
         **hover},
    ]  # fmt: skip
    layout = base_layout(
        barmode="overlay",
        hovermode="closest",
        xaxis=base_axis(title=title, tickformat=".3~%", zeroline=True, zerolinewidth=1.5),
        yaxis=base_axis(showgrid=False, tickvals=place, ticktext=list(names)),
    )
    return {"data": data, "layout": layout}
