"""What the judged stretches make together: out-of-sample equity, its metrics, and how they compare with the choice's.

A path is a way through the data on which every stretch was judged once by a choice that did not see it:
the folds of a walk-forward one after the other, or the blocks of a k-fold scheme. Each stretch is a run
begun flat; a position that is open at its end stands at the last close, and the next stretch begins flat
with the equity so marked. Equity compounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from dolphin.core.records import Floats, Ints
from dolphin.files import json_value
from dolphin.study.definition.splits import block_spans, paths
from dolphin.study.measure.measured import Measures
from dolphin.study.measure.spans import Span
from dolphin.study.validation.documents import EfficiencyDocument, PathDocument, StabilityDocument, StretchDocument
from dolphin.study.validation.pooled import compounded, daily_of, pooled
from dolphin.study.validation.walk_forward import FoldResult
from dolphin.times import return_day

#: A stretch of a path: its rows, the fold that judged it, the measures there (None: nothing chosen, flat).
Stretch = tuple[Span, int, Measures | None]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def paths_of(results: Sequence[FoldResult]) -> list[list[Stretch]]:
    """The ways through the data, each in the order of time."""
    if not results[0].fold.blocks:
        return [
            [
                (span, result.fold.number, _test(result, k))
                for result in results
                for k, span in enumerate(result.fold.test)
            ]
        ]
    folds = [result.fold for result in results]
    spans = block_spans(folds)
    return [
        [(spans[block], number, _test(results[number], folds[number].blocks.index(block))) for block, number in way]
        for way in paths(folds)
    ]


def equity_frame(ways: Sequence[Sequence[Stretch]], ts: Ints, capital: float) -> pl.DataFrame:
    """Per path and UTC day: close of the day's last bar (ns), path, fold, equity, return of the day."""
    frames = []
    for number, way in enumerate(ways):
        pieces = [_daily(stretch, ts) for stretch in way]
        daily = np.concatenate(pieces)
        frames.append(
            pl.DataFrame(
                {
                    "ts": np.concatenate([day_closes(ts, span) for span, _, _ in way]),
                    "path": np.full(len(daily), number),
                    "fold": np.repeat([fold for _, fold, _ in way], [len(piece) for piece in pieces]),
                    "equity": capital * compounded(daily[None])[0, 1:],
                    "return": daily,
                },
                schema_overrides={"path": pl.Int64, "fold": pl.Int64},
            )
        )
    return pl.concat(frames)


def day_closes(ts: Ints, span: Span) -> Floats:
    """Close of the last bar of each UTC day of a span that has bars, (days,) int64."""
    rows = ts[span.start : span.stop]
    return np.asarray(rows[np.flatnonzero(np.diff(return_day(rows), append=return_day(rows[-1]) + 1))])


def path_document(number: int, way: Sequence[Stretch], ts: Ints) -> PathDocument:
    """One path: its stretches and its metrics (:func:`dolphin.study.validation.pooled.pooled`)."""
    known = [measures for _, _, measures in way if measures is not None]
    days = sum(len(day_closes(ts, span)) for span, _, _ in way)
    metrics = {name: values[0].item() for name, values in pooled(known).items()} if known else {}
    if len(known) < len(way) and known:
        # Days without a choice are flat days, not days that were not traded.
        whole = pooled([m if m is not None else _flat(len(day_closes(ts, span)), known[0]) for span, _, m in way])
        metrics |= {name: values[0].item() for name, values in whole.items()}
    return {
        "number": number,
        "stretches": [_stretch(span, fold, ts) for span, fold, _ in way],
        "days": days,
        "open_at_end": sum(bool(m.metrics["open_position"][0]) for m in known),
        "metrics": {name: json_value(value) for name, value in metrics.items()},
    }


def _stretch(span: Span, fold: int, ts: Ints) -> StretchDocument:
    first_ts, last_ts = span.closes(ts)
    return {"fold": fold, "first_ts": first_ts, "last_ts": last_ts}


def distribution(documents: Sequence[PathDocument]) -> dict[str, dict[str, float]]:
    """Quantiles of every metric over the paths, unknown and infinite values left out."""
    found: dict[str, dict[str, float]] = {}
    for name in documents[0]["metrics"]:
        values = [d["metrics"].get(name) for d in documents]
        known = np.array([v for v in values if isinstance(v, int | float)], np.float64)
        if len(known):
            cuts = np.quantile(known, QUANTILES).tolist()
            found[name] = {f"q{round(q * 100):02d}": v for q, v in zip(QUANTILES, cuts, strict=True)}
            found[name] |= {"mean": float(known.mean()), "below_zero": float((known < 0).mean())}
    return found


def efficiency(results: Sequence[FoldResult]) -> EfficiencyDocument:
    """Walk-forward efficiency: 365 times the mean daily return, out of sample over in sample.

    In sample all the folds' chosen train runs count, day by day. ``efficiency`` is None where nothing was
    gained in sample, as a ratio would say nothing.
    """
    chosen = [result for result in results if result.chosen is not None]
    inside = _annual([daily_of(result.train)[0] for result in chosen])
    outside = _annual([daily_of(result.tests)[0] for result in chosen])
    whole = inside is not None and outside is not None and inside > 0.0
    return {
        "train_return_365": inside,
        "test_return_365": outside,
        "efficiency": outside / inside if whole and outside is not None and inside else None,
    }


def stability(results: Sequence[FoldResult], names: Sequence[str]) -> dict[str, StabilityDocument]:
    """How much the choice moves from fold to fold: the values of every searched parameter."""
    found: dict[str, StabilityDocument] = {}
    chosen = [result.chosen.config for result in results if result.chosen is not None]
    for name in names:
        values = [value_of(config.document(), name) for config in chosen]
        entry: StabilityDocument = {"values": values, "different": len({repr(v) for v in values})}
        if values and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            numbers = np.array(values, np.float64)
            entry["lowest"], entry["highest"] = float(numbers.min()), float(numbers.max())
            entry["median"] = float(np.median(numbers))
        found[name] = entry
    return found


def value_of(document: Mapping[str, Any], key: str) -> Any:
    """The value of a key of params, friction or account (``tp_pct`` or ``friction.fee_bps``) in a config document."""
    section, _, plain = key.rpartition(".")
    for part in [section] if section else ["params", "friction", "account"]:
        if plain in document[part]:
            return document[part][plain]
    return None


def _test(result: FoldResult, k: int) -> Measures | None:
    return result.tests[k] if result.tests else None


def _daily(stretch: Stretch, ts: Ints) -> Floats:
    span, _, measures = stretch
    return np.zeros(len(day_closes(ts, span))) if measures is None else measures.daily_returns[0]


def _flat(days: int, like: Measures) -> Measures:
    """A stretch without a trade."""
    metrics = {name: np.zeros_like(values) for name, values in like.metrics.items()}
    return Measures(metrics, np.zeros((1, days)), np.zeros_like(like.exits))


def _annual(daily: Sequence[Floats]) -> float | None:
    known = np.concatenate(daily) if daily else np.zeros(0)
    known = known[~np.isnan(known)]
    mean = float(known.mean()) if len(known) else math.nan
    return None if math.isnan(mean) else 365.0 * mean
