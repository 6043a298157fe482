"""The risk inputs of a run: boost, Rm and posture under the equity curve, and what each category cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from dolphin.errors import DolphinError
from dolphin.files import read_json
from dolphin.report.decimate import extremes
from dolphin.report.figures import POINTS, Figure, base_axis, base_layout, time_labels
from dolphin.report.markup import Cell, signed, table
from dolphin.report.numerals import MISSING, number, percent
from dolphin.report.palette import GAIN, LOSS, QUIET
from dolphin.report.run_folder import Run

POSTURES = ("APEX", "STALKER", "TURTLE", "HIBERNATE")
_COLUMNS = ("ts", "boost", "rm", "posture", "rm_account", "posture_account")


def has_risk(run: Run) -> bool:
    """Whether the run names a risk table and keeps its rows."""
    return (run.folder / "risk.parquet").is_file()


def risk_figure(run: Run) -> Figure:
    """Boost, Rm (with the account's Rm5 as it was or would have been) and the posture in force, on one time axis."""
    bars, weighed = _rows(run), is_weighed(_cost(run))
    held = "posture_account" if weighed else "posture"
    curves = [bars[name].to_numpy().astype(np.float64) for name in ("boost", "rm", held, "rm_account")]
    points = POINTS if bars.height <= POINTS else POINTS // 4
    shown = bars[np.unique(np.concatenate([extremes(values, points) for values in curves]))]
    shared = {"type": "scatter", "mode": "lines" if shown.height > 1 else "markers", "x": time_labels(shown["ts"])}

    def line(name: str, column: str, axis: str, color: str, **more: Any) -> Figure:
        pen = {"color": color, "width": 1.4, "shape": "hv", **more}
        extra = "%{y:.3f}<extra>" + name + "</extra>"
        return shared | {
            "y": shown[column].to_list(), "name": name, "yaxis": axis, "line": pen, "hovertemplate": extra
        }  # fmt: skip

    posture = line("Posture", held, "y3", LOSS)
    posture["y"] = [POSTURES[code] for code in shown[held].to_list()]
    posture["hovertemplate"] = "%{y}<extra>Posture</extra>"
    layout = base_layout(
        hovermode="x unified",
        hoversubplots="axis",
        xaxis=base_axis(type="date", anchor="y3", hoverformat="%Y-%m-%d %H:%M:%S", showgrid=False),
        yaxis=base_axis(domain=[0.70, 1.0], title="Boost", tickformat=".4~g", nticks=4, rangemode="normal"),
        yaxis2=base_axis(domain=[0.36, 0.66], title="Rm", tickformat=".2f", range=[-0.02, 1.05]),
        yaxis3=base_axis(
            domain=[0.0, 0.32], type="category", categoryorder="array", categoryarray=list(reversed(POSTURES))
        ),
    )
    return {
        "data": [
            line("Boost", "boost", "y", GAIN),
            line("Rm1 to Rm5" + ("" if weighed else ", as it would have been"), "rm_account", "y2", QUIET, dash="dot"),
            line("Rm1 to Rm4", "rm", "y2", GAIN),
            posture,
        ],
        "layout": layout,
    }


def is_weighed(cost: Any) -> bool:
    """Whether the step read Rm5 with the rest; runs from before it could say nothing of it."""
    return cost["mode"] == "apply" and bool(cost.get("account", False))


def cost_table(run: Run) -> str:
    """A row per category: share of bars below full, mean, trades refused and what they made without it."""
    cost = _cost(run)
    heads = ["Category", "Bars below full", "Mean", "Trades refused", "Their P&L on neutral inputs"]
    rows = []
    for name, values in cost["categories"].items():
        below, mean = values.get("below_full"), values.get("mean")
        rows.append(
            [
                Cell(name),
                Cell(MISSING if below is None else percent(below, 1)),
                Cell(MISSING if mean is None else number(mean, 3)),
                Cell(number(values["refused"], 0)),
                signed(number(values["refused_pnl"], signed=True), values["refused_pnl"]),
            ]
        )
    foot = [
        Cell("All"),
        Cell(""),
        Cell(number(cost["mean_rm"], 3)),
        Cell(f"{number(cost['refused'], 0)} of {number(cost['neutral_trades'], 0)}"),
        signed(number(cost["refused_pnl"], signed=True), cost["refused_pnl"]),
    ]
    return table(heads, rows, foot=foot, kind="even")


def breaker_note(run: Run) -> str:
    """One line on the circuit breaker, and how the step read it all."""
    cost = _cost(run)
    breaker = cost["breaker"]
    how = {"apply": "The step read these rows.", "observe": "Observed: the step read neutral inputs."}[cost["mode"]]
    return (
        f"{how} Circuit breaker: ready in {percent(breaker['ready'], 1)} of bars, boosted in "
        f"{percent(breaker['boosted'], 1)}, mean boost {number(breaker['mean_boost'], 3)}; "
        f"{number(breaker['boosted_trades'], 0)} trades boosted, {number(breaker['turn_exits'], 0)} exits by an "
        f"adverse turn, {number(cost['capped'], 0)} trades under a cap. Rm5 is the account's: mean "
        f"{number(cost['mean_rm5'], 3)}, {'applied' if is_weighed(cost) else 'drawn but not applied'}."
    )


def _rows(run: Run) -> pl.DataFrame:
    path = run.folder / "risk.parquet"
    frame = pl.read_parquet(path)
    missing = [name for name in _COLUMNS if name not in frame.columns]
    if missing or not frame["ts"].equals(run.equity["ts"]):
        what = f"no column {missing[0]}" if missing else "its bars are not those of the run"
        raise DolphinError(what, where=str(path), mend="run the backtest again into an empty folder")
    return frame


def _cost(run: Run) -> Any:
    return read_json(run.folder / "risk.json")
