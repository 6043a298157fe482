"""The evaluator on threads: the bits of single measurements, whatever the threads, groups and spans."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.market.assemble import open_market
from dolphin.study.measure.evaluator import KEPT, Batch, LocalEvaluator, Results, assemble
from dolphin.study.measure.measured import Measures, measure, spot_check
from dolphin.study.measure.metrics import ALL_METRICS

SPANS = ((0, 4320), (1000, 2500), (2500, 4320))


@pytest.fixture(scope="module")
def variants(busy: Config) -> list[Config]:
    rng = random.Random(5)
    return [
        busy.with_values(
            {
                "tp_pct": rng.uniform(0.001, 0.004),
                "max_hold_bars": rng.randint(5, 60),
                "vel_div": rng.choice(["v50-v750", "v50-v150"]),
                "vol_ewma": rng.random() < 0.5,
                "friction.fill_timing": rng.choice(["close", "next"]),
            }
        )
        for _ in range(24)
    ]


def same(a: Results, b: Results) -> None:
    assert list(a.metrics) == list(b.metrics) == list(ALL_METRICS)
    for name, values in a.metrics.items():
        assert values.dtype == b.metrics[name].dtype and values.tobytes() == b.metrics[name].tobytes(), name
    assert a.exits.tobytes() == b.exits.tobytes() and a.exits.shape == b.exits.shape
    assert (a.daily is None) == (b.daily is None)
    for ours, theirs in zip(a.daily or [], b.daily or [], strict=True):
        assert ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()


def test_a_batch_is_its_single_measurements(dataset: Dataset, variants: list[Config]) -> None:
    done: list[int] = []
    with LocalEvaluator(dataset, threads=2) as evaluator:
        found = evaluator.evaluate(Batch(variants, SPANS, checks=(0, 7, 23)), done.append)
    assert sum(done) == len(variants) * len(SPANS)
    assert found.metrics["trades"].min() > 0 and found.daily is not None
    assert [daily.shape for daily in found.daily] == [(24, 4), (24, 2), (24, 2)]  # the first bar closes at midnight
    for c, config in enumerate(variants):
        market = open_market(dataset, config)
        for s, span in enumerate(SPANS):
            alone, ours = measure([config], market, *span), found.span(s)
            for name in ALL_METRICS:
                assert ours.metrics[name][c].tobytes() == alone.metrics[name][0].tobytes(), (name, c, s)
            assert ours.exits[c].tolist() == alone.exits[0].tolist()
            assert ours.daily_returns[c].tobytes() == alone.daily_returns[0].tobytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(dataset: Dataset, variants: list[Config], threads: int) -> None:
    batch = Batch(variants, SPANS)
    with LocalEvaluator(dataset) as one, LocalEvaluator(dataset, threads=threads) as other:
        same(one.evaluate(batch), other.evaluate(batch))


def test_daily_returns_come_on_request(dataset: Dataset, variants: list[Config]) -> None:
    with LocalEvaluator(dataset) as evaluator:
        bare = evaluator.evaluate(Batch(variants[:3], SPANS[:1], daily=False, checks=(1,)))
    assert bare.daily is None and bare.span(0).daily_returns.shape == (3, 0)


def test_the_order_of_parts_changes_nothing(dataset: Dataset, variants: list[Config]) -> None:
    batch = Batch(variants, SPANS[:2])
    with LocalEvaluator(dataset) as evaluator:
        whole = evaluator.evaluate(batch)
    parts = [
        (s, places, take(whole.span(s), places))
        for s in range(2)
        for places in ([0, 5, 6], [1], [2, 3, 4], range(7, 24))
    ]
    for seed in range(5):
        random.Random(seed).shuffle(parts)
        same(whole, assemble(batch, parts))


def take(measures: Measures, places: object) -> Measures:
    rows = list(places)  # type: ignore[call-overload]
    metrics = {name: values[rows] for name, values in measures.metrics.items()}
    return Measures(metrics, measures.daily_returns[rows], measures.exits[rows])


def test_a_few_sets_of_features_are_kept(dataset: Dataset, busy: Config, market: Market) -> None:
    with LocalEvaluator(dataset) as evaluator:
        assert evaluator.market(busy).features.tobytes() == market.features.tobytes()
        assert evaluator.market(busy).features is evaluator.market(busy).features
        for vel_div in ("v50-v150", "v50-v300", "v50-v750", "v150-v750"):
            for vol_ewma in (False, True):
                try:
                    config = busy.with_values({"vel_div": vel_div, "vol_ewma": vol_ewma})
                except DolphinError:
                    continue  # no definition of the strategy
                assert evaluator.market(config).features.tobytes() == open_market(dataset, config).features.tobytes()
        assert 1 < len(evaluator._markets) <= KEPT


def test_a_check_that_fails_names_the_trial(dataset: Dataset, busy: Config) -> None:
    batch = Batch([busy], SPANS[:1], trials=(41,))
    with LocalEvaluator(dataset) as evaluator:
        found = evaluator.evaluate(batch).span(0)
        window = (evaluator.market(busy), *SPANS[0])
    spot_check(found, [0], [batch.name(0)], batch.configs, window)
    for field, wrong in (
        ("exits", dataclasses.replace(found, exits=found.exits + 1)),
        ("daily_returns", dataclasses.replace(found, daily_returns=np.nextafter(found.daily_returns, 1.0))),
    ):
        with pytest.raises(DolphinError, match=f"trial 41 run alone gives another result: {field}"):
            spot_check(wrong, [0], [batch.name(0)], batch.configs, window)


@pytest.mark.parametrize("span", [(0, 0), (-1, 5), (5, 4), (0, 4321)])
def test_a_span_outside_the_data_is_refused(dataset: Dataset, busy: Config, span: tuple[int, int]) -> None:
    with LocalEvaluator(dataset) as evaluator, pytest.raises(DolphinError, match="no part of the data's 4320 rows"):
        evaluator.evaluate(Batch([busy], (span,)))


def test_an_empty_batch_is_refused(dataset: Dataset, busy: Config) -> None:
    with LocalEvaluator(dataset) as evaluator:
        for batch in (Batch([], SPANS), Batch([busy], ())):
            with pytest.raises(DolphinError, match="needs configurations and spans"):
                evaluator.evaluate(batch)
