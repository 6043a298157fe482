"""``validation.json``, key by key."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from dolphin.config import ConfigDocument
from dolphin.study.measure.documents import NamedMetrics, Number, WindowDocument


class EfficiencyDocument(TypedDict):
    """Walk-forward efficiency; None where nothing was gained in sample."""

    train_return_365: float | None
    test_return_365: float | None
    efficiency: float | None


class ChosenDocument(TypedDict):
    """What was chosen on the train spans of a fold."""

    trial: int
    config_hash: str
    config: ConfigDocument
    parameters: dict[str, Any]


class ObjectiveDocument(TypedDict):
    """The objective on both sides of a fold, and by how much it is worse in the test spans."""

    train: Number
    test: Number
    degradation: Number


class FoldDocument(TypedDict):
    """One fold: its rows by what they are for; where nothing was chosen there is no more."""

    number: int
    blocks: list[int]
    train: list[WindowDocument]
    test: list[WindowDocument]
    purged: list[WindowDocument]
    embargoed: list[WindowDocument]
    chosen: ChosenDocument | None
    train_metrics: NotRequired[NamedMetrics]
    test_metrics: NotRequired[NamedMetrics]
    objective: NotRequired[ObjectiveDocument]
    efficiency: NotRequired[EfficiencyDocument]


class StretchDocument(TypedDict):
    """One stretch of a path: the fold that judged it, and the closes of its first and last bar in ns."""

    fold: int
    first_ts: int
    last_ts: int


class PathDocument(TypedDict):
    """A way through the data on which every stretch was judged once by a choice that did not see it."""

    number: int
    stretches: list[StretchDocument]
    days: int
    open_at_end: int
    metrics: NamedMetrics


class StabilityDocument(TypedDict):
    """The values of a parameter from fold to fold; of numbers, their range."""

    values: list[Any]
    different: int
    lowest: NotRequired[float]
    median: NotRequired[float]
    highest: NotRequired[float]


class ValidatedDataset(TypedDict):
    """The dataset version that was judged on."""

    name: str
    digest: str


class ValidationDocument(TypedDict):
    """``validation.json``; ``stitched`` where there is one path, ``distribution`` where there are several."""

    study: str
    study_hash: str
    scheme: dict[str, Any]
    dataset: ValidatedDataset
    engine_digest: str
    objective: str
    direction: str
    min_trades: int
    window: WindowDocument
    purge_bars: int
    embargo_bars: int
    folds: list[FoldDocument]
    paths: list[PathDocument]
    stitched: NamedMetrics | None
    distribution: dict[str, dict[str, float]] | None
    efficiency: EfficiencyDocument
    stability: dict[str, StabilityDocument]
