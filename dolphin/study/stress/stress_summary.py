"""What a stress test amounts to: quantiles, chances of a loss and of a drawdown, bands over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.core.records import Floats
from dolphin.files import json_value
from dolphin.study.measure.measured import Measured
from dolphin.study.measure.run import Run, metrics_document
from dolphin.times import format_day, return_day

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
DRAWDOWNS = (0.1, 0.2, 0.3, 0.5)
_MEASURES = ("roi", "max_drawdown", "sharpe_365", "trades")

#: Points of a band at most.
POINTS = 250


def summarize(
    base: Run,
    rows: pl.DataFrame,
    parts: Sequence[tuple[Sequence[Any], Sequence[Measured]]],
    orders: dict[str, NDArray[Any]],
) -> dict[str, Any]:
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
    fans: dict[str, list[dict[str, Any]]] = {}
    for scenarios, found in parts:
        kind = scenarios[0].kind
        if kind in ("noise", "missed"):
            fans.setdefault(kind, []).append(
                {"parameter": scenarios[0].parameter, **bands(_levels(found[0]), _days(base))}
            )
        elif kind == "start":
            fans[kind] = [
                {
                    "parameter": scenario.parameter,
                    "x": _days(base)[-(part.daily_returns.shape[1] + 1) :],
                    "y": _round(_levels(part)[0]),
                }
                for scenario, part in zip(scenarios, found, strict=True)
            ]
    for kind in ("permuted", "bootstrap"):
        if kind in orders:
            numbers = list(range(orders[kind].shape[1]))
            fans[kind] = [{"parameter": 0.0, **bands(orders[kind], numbers)}]
    levels = _levels(parts[0][1][0])[0]
    chosen = _thin(len(levels))
    return {
        "base": metrics_document(base),
        "base_path": {"x": [_days(base)[k] for k in chosen], "y": _round(levels[chosen])},
        "trade_path": _trade_path(orders),
        "outcomes": outcomes(rows),
        "friction": friction_curve(rows),
        "break_even_bps": break_even(rows),
        "fans": fans,
    }


def outcomes(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Per kind and size: quantiles of the measures, the share of runs that lost, and that fell by more than x."""
    found = []
    for (kind, parameter), part in rows.group_by("kind", "parameter", maintain_order=True):
        if kind == "friction":
            continue
        roi, fall = part["roi"].to_numpy(), part["max_drawdown"].to_numpy()
        found.append(
            {
                "kind": kind,
                "parameter": parameter,
                "runs": part.height,
                **{name: _quantiles(part, name) for name in _MEASURES},
                "loss": float(np.mean(roi < 0.0)),
                "drawdown_above": {str(x): float(np.mean(fall > x)) for x in DRAWDOWNS},
            }
        )
    return found


def _quantiles(part: pl.DataFrame, name: str) -> list[Any] | None:
    values = part[name].cast(pl.Float64).drop_nulls().to_numpy()
    values = values[~np.isnan(values)]
    return [json_value(float(v)) for v in np.quantile(values, QUANTILES)] if len(values) else None


def friction_curve(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Per round trip in bps: return and Sharpe with slippage and fee alike, and the range over the other splits."""
    grid = rows.filter(pl.col("kind") == "friction")
    found = []
    for (bps,), part in grid.sort("parameter").group_by("parameter", maintain_order=True):
        even = part.sort((pl.col("slippage_bps") - pl.col("fee_bps")).abs())
        found.append(
            {
                "round_trip_bps": bps,
                "splits": part.height,
                **{
                    name: {
                        "even": json_value(even[name][0]),
                        "low": json_value(part[name].min()),
                        "high": json_value(part[name].max()),
                    }
                    for name in ("roi", "sharpe_365", "max_drawdown")
                },
            }
        )
    return found


def break_even(rows: pl.DataFrame) -> float | None:
    """The round trip in bps, in equal parts, at which the return first falls below zero; None if it never does."""
    curve = [(row["round_trip_bps"], row["roi"]["even"]) for row in friction_curve(rows)]
    if not curve or curve[0][1] < 0.0:
        return 0.0 if curve else None
    for (x0, y0), (x1, y1) in pairwise(curve):
        if y1 < 0.0:
            return float(x0 + (x1 - x0) * y0 / (y0 - y1))
    return None


def bands(paths: Floats, x: list[Any]) -> dict[str, Any]:
    """Quantiles over the runs at each point; ``paths`` is (R, n), ``x`` (n,)."""
    chosen = _thin(paths.shape[1])
    values = np.quantile(paths[:, chosen], QUANTILES, axis=0)
    return {"x": [x[k] for k in chosen], "bands": [_round(row) for row in values]}


def _levels(measured: Measured) -> Floats:
    """(C, days + 1) equity over its start."""
    growth = 1.0 + np.nan_to_num(measured.daily_returns)
    return np.column_stack([np.ones(len(growth)), np.cumprod(growth, axis=1)])


def _days(base: Run) -> list[str]:
    """The moment before the first bar's day, then the end of every day that has bars, as the dates of these."""
    days = np.unique(return_day(base.market.ts[base.start : base.stop])).tolist()
    return [format_day(day) for day in (days[0], *(day + 1 for day in days))]


def _trade_path(orders: dict[str, NDArray[Any]]) -> dict[str, Any] | None:
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
