"""``stress.json``, key by key."""

from __future__ import annotations

from typing import Any, TypedDict

from dolphin.config import ConfigDocument
from dolphin.study.measure.documents import MetricsDocument, Number, RunDocument


class BandDocument(TypedDict):
    """Quantiles over many runs at each point of ``x``: days as text, or trades by number."""

    x: list[Any]
    bands: list[list[float]]


class FanDocument(BandDocument):
    """The band of one kind of disturbance and its size."""

    parameter: float


class PathDocument(TypedDict):
    """One run's equity over its start."""

    x: list[Any]
    y: list[float]


class StartDocument(PathDocument):
    """The path of a run begun ``parameter`` days later."""

    parameter: float


class TradePathDocument(PathDocument):
    """Capital over its start, trade after trade, as it was."""

    max_drawdown: float


class OutcomeDocument(TypedDict):
    """One kind and size: quantiles of the measures, the share of runs that lost, and that fell by more than x."""

    kind: str
    parameter: float
    runs: int
    roi: list[Number] | None
    max_drawdown: list[Number] | None
    sharpe_365: list[Number] | None
    trades: list[Number] | None
    loss: float
    drawdown_above: dict[str, float]


class RangeDocument(TypedDict):
    """A measure with slippage and fee alike, and its range over the other splits of the same cost."""

    even: Number
    low: Number
    high: Number


class FrictionDocument(TypedDict):
    """What one cost of a round trip leaves."""

    round_trip_bps: float
    splits: int
    roi: RangeDocument
    sharpe_365: RangeDocument
    max_drawdown: RangeDocument


class FansDocument(TypedDict, total=False):
    """Equity by day or trade under each kind of stress; a kind that was not run has none."""

    noise: list[FanDocument]
    missed: list[FanDocument]
    start: list[StartDocument]
    permuted: list[FanDocument]
    bootstrap: list[FanDocument]


class StressSummary(TypedDict):
    """What is computed from the runs."""

    base: MetricsDocument
    base_path: PathDocument
    trade_path: TradePathDocument | None
    outcomes: list[OutcomeDocument]
    friction: list[FrictionDocument]
    break_even_bps: float | None
    fans: FansDocument


class StressDocument(StressSummary):
    """``stress.json``: what was run under stress, where its numbers come from, and what came of it."""

    dataset: str
    provenance: RunDocument
    config: ConfigDocument
    first_ts: int
    last_ts: int
    runs: int
    seed: int
