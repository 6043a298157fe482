"""The JSON documents of a run folder, key by key: ``run.json``, ``metrics.json`` and ``config.json``."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from dolphin.config import ConfigDocument

#: A number of a JSON document; what JSON has no number for is a word (:func:`dolphin.files.json_value`).
Number = float | Literal["inf", "-inf", "nan"]

#: Some of a run's metrics, by name; flags are booleans.
NamedMetrics = dict[str, Number | bool]


class MetricValues(TypedDict):
    """The metrics of one run, by the names of :data:`dolphin.study.measure.metrics.ALL_METRICS`."""

    trades: int
    profit_factor: Number
    win_rate: Number
    roi: Number
    max_drawdown: Number
    sharpe_365: Number
    sharpe_252: Number
    final_equity: Number
    fees_paid: Number
    open_position: bool
    bars: int
    exposure: Number
    turnover: Number
    worst_10_days: Number
    tail_ratio: Number
    gross_win: Number
    gross_loss: Number
    ruined: bool
    funding_paid: Number


class MetricsDocument(MetricValues):
    """``metrics.json``: the metrics, and closed trades by the strategy's reasons."""

    exits: dict[str, int]


class DatasetDocument(TypedDict):
    """The dataset version that a run read; ``preset`` and ``seed`` where it is a generated market."""

    name: str
    digest: str
    spacing: str
    symbols: int
    source: str
    preset: NotRequired[str]
    seed: NotRequired[int]


class BarDocument(TypedDict):
    """One bar: its row, and when it closed, in ns and as text."""

    row: int
    ts: int
    time: str


class TimingsDocument(TypedDict):
    """Seconds that a run took."""

    engine_seconds: float


class RiskDocument(TypedDict):
    """The risk table of a run: its version, whether it was applied, and which categories had a source."""

    table: str
    digest: str
    mode: str
    rules_hash: str
    categories: dict[str, Any]


class RunDocument(TypedDict):
    """``run.json``: where the numbers come from."""

    dataset: DatasetDocument
    synthetic: bool
    caveats: list[str]
    engine_digest: str
    config_hash: str
    first_bar: BarDocument
    last_bar: BarDocument
    final_digest: str
    platform: str
    versions: dict[str, str]
    timings: TimingsDocument
    risk: NotRequired[RiskDocument]


class ConfigFile(TypedDict):
    """``config.json``: the resolved configuration and its hash."""

    config: ConfigDocument
    hash: str


#: A window: its bars, the closes of the first and the last one in ns, and as text what ``--from`` and ``--to`` take.
WindowDocument = TypedDict("WindowDocument", {"from": str, "to": str, "first_ts": int, "last_ts": int, "bars": int})
