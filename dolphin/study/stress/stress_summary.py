"""What a stress test amounts to: quantiles, chances of a loss and of a drawdown, bands over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np
import polars as pl

from dolphin.core.records import Floats
from dolphin.files import json_value
from dolphin.study.measure.documents import Number
from dolphin.study.measure.measured import BatchResult
from dolphin.study.measure.run import Run, metrics_document
from dolphin.study.stress.scenarios import Part
from dolphin.study.stress.stress_document import (
    BandDocument,
    FanDocument,
    FansDocument,
    FrictionDocument,
    OutcomeDocument,
    RangeDocument,
    StressSummary,
    TradePathDocument,
)
from dolphin.times import format_day, return_day

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
DRAWDOWNS = (0.1, 0.2, 0.3, 0.5)

Disturbed = Literal["noise", "missed"]
Reordered = Literal["permuted", "bootstrap"]
DISTURBED: tuple[Disturbed, ...] = ("noise", "missed")
REORDERED: tuple[Reordered, ...] = ("permuted", "bootstrap")

#: Points of a band at most.
POINTS = 250


def summarize(
    base: Run,
    rows: pl.DataFrame,
    parts: Sequence[Part],
    orders: dict[str, Floats],
) -> StressSummary:
    """The parts of ``stress.json`` that are computed from the runs.

    Parameters
    ----------
    rows : polars.DataFrame
        A run each.
    parts : sequence of (scenarios, results)
        The batches, for their equity by day.
    orders : dict of str to float64 (R, n + 1)
        Capital over its start for other orders of the trades.
    """
    levels = _levels(parts[0][1][0])[0]
    chosen = _thin(len(levels))
    return {
        "base": metrics_document(base),
        "base_path": {"x": [_days(base)[k] for k in chosen], "y": _round(levels[chosen])},
        "trade_path": _trade_path(orders),
        "outcomes": outcomes(rows),
        "friction": friction_curve(rows),
        "break_even_bps": break_even(rows),
        "fans": _fans(base, parts, orders),
    }


def _fans(base: Run, parts: Sequence[Part], orders: dict[str, Floats]) -> FansDocument:
    days = _days(base)
    fans: FansDocument = {}
    for scenarios, found in parts:
        kind, parameter = scenarios[0].kind, scenarios[0].parameter
        if kind in DISTURBED:
            fan: FanDocument = {"parameter": parameter, **bands(_levels(found[0]), days)}
            disturbed = cast(Disturbed, kind)
            fans[disturbed] = [*fans.get(disturbed, []), fan]
        elif kind == "start":
            fans["start"] = [
                {
                    "parameter": scenario.parameter,
                    "x": days[-(part.daily_returns.shape[1] + 1) :],
                    "y": _round(_levels(part)[0]),
                }
                for scenario, part in zip(scenarios, found, strict=True)
            ]
    for order in REORDERED:
        if order in orders:
            numbers = list(range(orders[order].shape[1]))
            fans[order] = [{"parameter": 0.0, **bands(orders[order], numbers)}]
    return fans


def outcomes(rows: pl.DataFrame) -> list[OutcomeDocument]:
    """Per kind and size: quantiles of the measures, the share of runs that lost, and that fell by more than x."""
    found: list[OutcomeDocument] = []
    for (kind, parameter), part in rows.group_by("kind", "parameter", maintain_order=True):
        if kind == "friction":
            continue
        roi, fall = part["roi"].to_numpy(), part["max_drawdown"].to_numpy()
        found.append(
            {
                "kind": str(kind),
                "parameter": cast(float, parameter),
                "runs": part.height,
                "roi": _quantiles(part, "roi"),
                "max_drawdown": _quantiles(part, "max_drawdown"),
                "sharpe_365": _quantiles(part, "sharpe_365"),
                "trades": _quantiles(part, "trades"),
                "loss": float(np.mean(roi < 0.0)),
                "drawdown_above": {str(x): float(np.mean(fall > x)) for x in DRAWDOWNS},
            }
        )
    return found


def _quantiles(part: pl.DataFrame, name: str) -> list[Number] | None:
    values = part[name].cast(pl.Float64).drop_nulls().to_numpy()
    values = values[~np.isnan(values)]
    return [json_value(float(v)) for v in np.quantile(values, QUANTILES)] if len(values) else None


def friction_curve(rows: pl.DataFrame) -> list[FrictionDocument]:
    """Per round trip in bps: return and Sharpe with slippage and fee alike, and the range over the other splits."""
    grid = rows.filter(pl.col("kind") == "friction")
    found: list[FrictionDocument] = []
    for (bps,), part in grid.sort("parameter").group_by("parameter", maintain_order=True):
        even = part.sort((pl.col("slippage_bps") - pl.col("fee_bps")).abs())
        found.append(
            {
                "round_trip_bps": cast(float, bps),
                "splits": part.height,
                "roi": _range(even["roi"]),
                "sharpe_365": _range(even["sharpe_365"]),
                "max_drawdown": _range(even["max_drawdown"]),
            }
        )
    return found


def _range(values: pl.Series) -> RangeDocument:
    """The first value, of the even split, and the extremes."""
    return {"even": json_value(values[0]), "low": json_value(values.min()), "high": json_value(values.max())}


def break_even(rows: pl.DataFrame) -> float | None:
    """The round trip in bps, in equal parts, at which the return first falls below zero; None if it never does."""
    curve = [(row["round_trip_bps"], cast(float, row["roi"]["even"])) for row in friction_curve(rows)]
    if not curve or curve[0][1] < 0.0:
        return 0.0 if curve else None
    for (x0, y0), (x1, y1) in pairwise(curve):
        if y1 < 0.0:
            return float(x0 + (x1 - x0) * y0 / (y0 - y1))
    return None


def bands(paths: Floats, x: list[Any]) -> BandDocument:
    """Quantiles over the runs at each point; ``paths`` is (R, n), ``x`` (n,)."""
    chosen = _thin(paths.shape[1])
    values = np.quantile(paths[:, chosen], QUANTILES, axis=0)
    return {"x": [x[k] for k in chosen], "bands": [_round(row) for row in values]}


def _levels(measured: BatchResult) -> Floats:
    """(C, days + 1) equity over its start."""
    growth = 1.0 + np.nan_to_num(measured.daily_returns)
    return np.column_stack([np.ones(len(growth)), np.cumprod(growth, axis=1)])


def _days(base: Run) -> list[str]:
    """The moment before the first bar's day, then the end of every day that has bars, as the dates of these."""
    days = np.unique(return_day(base.market.ts[base.start : base.stop])).tolist()
    return [format_day(day) for day in (days[0], *(day + 1 for day in days))]


def _trade_path(orders: dict[str, Floats]) -> TradePathDocument | None:
    if "actual" not in orders:
        return None
    path = orders["actual"][0]
    peak = np.maximum.accumulate(path)
    chosen = _thin(len(path))
    return {"x": chosen, "y": _round(path[chosen]), "max_drawdown": float(((peak - path) / peak).max())}


def _thin(count: int) -> list[int]:
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).astype(int)).tolist()


def _round(values: Floats) -> list[float]:
    return [float(f"{v:.6g}") for v in values]
