"""Pictures of a validation: the folds over time, the stitched equity, and a fan of paths. Plain data in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dolphin.report.figures import Figure, base_axis, base_layout
from dolphin.report.palette import GAIN, LOSS, QUIET
from dolphin.times import parse_time

#: Key of a fold, what it is called, its colour and how high its bar is: told apart without the colour too.
ZONES = (
    ("train", "chosen on", GAIN, 0.62),
    ("test", "judged on", LOSS, 0.62),
    ("purged", "purged", "#d9a400", 0.34),
    ("embargoed", "embargoed", QUIET, 0.34),
)
_PATHS = ("#2f86c8", "#1f9e78", "#7d6bd0", "#a6761d", "#c06bb0", "#56b4e9")
MOST_PATHS = 200


def timeline_figure(folds: Sequence[Mapping[str, Any]]) -> Figure:
    """A row per fold: which stretches it was chosen on, judged on, and which were left out.

    Parameters
    ----------
    folds : sequence of mapping
        ``folds`` of ``validation.json``: ``number`` and, by the names of :data:`ZONES`, lists of spans with
        ``from`` and ``to`` (ISO 8601, UTC).
    """
    rows = [f"fold {fold['number']}" for fold in folds]
    data = []
    for key, name, color, width in ZONES:
        x, base, y, notes = [], [], [], []
        for row, fold in zip(rows, folds, strict=True):
            for span in fold.get(key, ()):
                base.append(_plain(span["from"]))
                x.append((parse_time(span["to"]) - parse_time(span["from"])) / 1e6)
                y.append(row)
                notes.append(f"{_plain(span['from'])} to {_plain(span['to'])}, {span['bars']:,} bars")
        if x:
            data.append(
                {
                    "type": "bar", "orientation": "h", "name": name, "x": x, "base": base, "y": y, "width": width,
                    "marker": {"color": color, "line": {"width": 0}}, "customdata": notes,
                    "hovertemplate": f"%{{y}}, {name}<br>%{{customdata}}<extra></extra>",
                }
            )  # fmt: skip
    layout = base_layout(
        barmode="overlay",
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        margin={"l": 8, "r": 8, "t": 30, "b": 8},
        height=max(160, 70 + 26 * len(rows)),
        xaxis=base_axis(type="date", showgrid=True),
        yaxis=base_axis(
            type="category", categoryorder="array", categoryarray=rows, autorange="reversed", showgrid=False
        ),
    )
    return {"data": data, "layout": layout}


def stitched_figure(ts: Sequence[str], equity: Sequence[float], fold: Sequence[int], capital: float) -> Figure:
    """Out-of-sample equity at the end of each day; a dotted line wherever the next fold takes over.

    Parameters
    ----------
    ts : sequence of str
        Close of each day's last bar, ISO 8601.
    equity, fold : sequence
        Of one path of ``oos_equity.parquet``.
    capital : float
        Where the curve began.
    """
    line = {
        "type": "scatter", "mode": "lines" if len(ts) > 1 else "markers", "name": "Out of sample",
        "x": [_plain(t) for t in ts], "y": list(equity), "customdata": list(fold),
        "line": {"color": GAIN, "width": 1.6},
        "hovertemplate": "%{x|%Y-%m-%d}<br>%{y:,.2f}, fold %{customdata}<extra></extra>",
    }  # fmt: skip
    turns = [_plain(ts[k]) for k in range(1, len(ts)) if fold[k] != fold[k - 1]]
    shapes: list[Figure] = [_dotted(x0=turn, x1=turn, yref="paper", y0=0, y1=1) for turn in turns]
    shapes.append(_dotted(xref="paper", x0=0, x1=1, y0=capital, y1=capital))
    return {"data": [line], "layout": _equity_layout(shapes)}


def paths_figure(paths: Sequence[Mapping[str, Any]], capital: float) -> Figure:
    """The equity of every path, and the median over the paths day by day.

    Parameters
    ----------
    paths : sequence of mapping
        ``ts`` (ISO 8601) and ``equity`` of each; all have the same days. At most :data:`MOST_PATHS` are drawn.
    capital : float
        Where they began.
    """
    data: list[Figure] = []
    for number, path in enumerate(paths[:MOST_PATHS]):
        data.append(
            {
                "type": "scatter", "mode": "lines", "name": f"path {number}",
                "x": [_plain(t) for t in path["ts"]], "y": list(path["equity"]),
                "line": {"color": _PATHS[number % len(_PATHS)], "width": 1}, "opacity": 0.6,
                "hovertemplate": "%{x|%Y-%m-%d}<br>%{y:,.2f}<extra>%{fullData.name}</extra>",
            }
        )  # fmt: skip
    if len(paths) > 2:
        middle = [_median(values) for values in zip(*(path["equity"] for path in paths), strict=True)]
        data.append(data[0] | {"name": "median", "y": middle, "line": {"color": LOSS, "width": 2.4}, "opacity": 1.0})
    return {"data": data, "layout": _equity_layout([_dotted(xref="paper", x0=0, x1=1, y0=capital, y1=capital)])}


def _equity_layout(shapes: list[Figure]) -> Figure:
    return base_layout(
        hovermode="closest",
        xaxis=base_axis(type="date", showgrid=False),
        yaxis=base_axis(title="USDT", tickformat=",.4~s"),
        shapes=shapes,
    )


def _dotted(**ends: Any) -> Figure:
    return {"type": "line", "line": {"color": QUIET, "width": 1, "dash": "dot"}, "layer": "below", **ends}


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2.0


def _plain(iso: str) -> str:
    """ISO 8601 as plotly takes it: everything here is UTC, and a Z would be shifted to local time."""
    return iso.removesuffix("Z").replace("T", " ")
