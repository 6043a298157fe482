"""The figures of a validation: plotly takes them, and they show what they were given."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from dolphin.report.figures import Figure
from dolphin.report.timeline import paths_figure, stitched_figure, timeline_figure

DAY_MS = 86_400_000.0


def span(first: int, last: int) -> dict[str, Any]:
    return {
        "from": f"2025-01-{first:02d}T00:00:00Z",
        "to": f"2025-01-{last:02d}T00:00:00Z",
        "bars": (last - first) * 24,
    }


FOLDS = [
    {"number": 0, "train": [span(3, 9)], "test": [span(1, 2)], "purged": [], "embargoed": [span(2, 3)]},
    {"number": 1, "train": [span(1, 4), span(7, 9)], "test": [span(5, 6)], "purged": [span(4, 5)], "embargoed": []},
]


def checked(figure: Figure) -> Figure:
    go.Figure({"data": figure["data"], "layout": figure["layout"]})  # plotly's own validation
    return figure


def test_the_timeline_has_a_bar_for_every_span() -> None:
    figure = checked(timeline_figure(FOLDS))
    bars = {trace["name"]: trace for trace in figure["data"]}
    assert list(bars) == ["chosen on", "judged on", "purged", "embargoed"]
    train = bars["chosen on"]
    assert train["y"] == ["fold 0", "fold 1", "fold 1"] and train["x"] == [6 * DAY_MS, 3 * DAY_MS, 2 * DAY_MS]
    assert train["base"] == ["2025-01-03 00:00:00", "2025-01-01 00:00:00", "2025-01-07 00:00:00"]
    assert train["customdata"][0] == "2025-01-03 00:00:00 to 2025-01-09 00:00:00, 144 bars"
    assert len({trace["marker"]["color"] for trace in figure["data"]}) == 4
    assert figure["layout"]["yaxis"]["categoryarray"] == ["fold 0", "fold 1"]


def test_what_no_fold_has_is_not_in_the_legend() -> None:
    figure = checked(timeline_figure([{"number": 0, "train": [span(1, 5)], "test": [span(5, 9)]}]))
    assert [trace["name"] for trace in figure["data"]] == ["chosen on", "judged on"]


def test_the_stitched_curve_marks_where_folds_meet() -> None:
    ts = [f"2025-01-{day:02d}T00:00:00Z" for day in range(1, 6)]
    figure = checked(stitched_figure(ts, [10.0, 11.0, 12.0, 11.5, 13.0], [0, 0, 1, 1, 2], 10.0))
    assert figure["data"][0]["y"] == [10.0, 11.0, 12.0, 11.5, 13.0]
    turns = [shape["x0"] for shape in figure["layout"]["shapes"] if shape.get("yref") == "paper"]
    assert turns == ["2025-01-03 00:00:00", "2025-01-05 00:00:00"]
    checked(stitched_figure(ts[:1], [10.0], [0], 10.0))


def test_paths_have_their_median() -> None:
    ts = ["2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z"]
    curves = [[10.0, 12.0], [10.0, 9.0], [11.0, 15.0], [8.0, 10.0]]
    figure = checked(paths_figure([{"ts": ts, "equity": curve} for curve in curves], 10.0))
    assert [trace["name"] for trace in figure["data"]] == ["path 0", "path 1", "path 2", "path 3", "median"]
    assert figure["data"][-1]["y"] == [10.0, 11.0]
    assert len(checked(paths_figure([{"ts": ts, "equity": curves[0]}], 10.0))["data"]) == 1
