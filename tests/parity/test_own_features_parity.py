"""Plug-in features through the rungs and the checks: right ones pass, wrong ones are named."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from own_features_for_tests import BREADTH, SMOOTH

from dolphin.catalog import Dataset, generate
from dolphin.config import Config, parse_config
from dolphin.core.jit import inline
from dolphin.core.records import Market
from dolphin.features import Feature
from dolphin.live.own_features import OwnFeatures
from dolphin.live.rows import own_market
from dolphin.market import plugins as own_features
from dolphin.market.assemble import open_market
from dolphin.parity.checks import append_only, lookahead, warmup
from dolphin.parity.ladder import ladder
from dolphin.parity.own_features import check_feature
from dolphin.workspace import Workspace, create

MINUTE = 60 * 10**9
RESEARCH = Path(__file__).resolve().parents[2] / "research"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = create(tmp_path_factory.mktemp("own") / "workspace")
    shutil.copy(RESEARCH / "dispersion.py", workspace.research)
    return workspace


@pytest.fixture(scope="module")
def dataset(home: Workspace) -> Dataset:
    return generate(home, "g", preset="edge", days=4, assets=5, spacing_ns=2 * MINUTE, seed=5).dataset


@pytest.fixture(scope="module")
def config(home: Workspace) -> Config:
    table = {"strategy": "dispersion:DISPERSED", "params": {"least_width": 0.001, "hold_bars": 6}}
    return parse_config(table, where="test", research=home.research)


@pytest.fixture(scope="module")
def market(dataset: Dataset, config: Config) -> Market:
    return open_market(dataset, config)


def with_feature(config: Config, feature: Feature) -> Config:
    """The strategy with this feature in place of its own: the first column twice, then what it reads."""
    return dataclasses.replace(config, strategy=dataclasses.replace(config.strategy, features=("vol", feature)))


@pytest.mark.parametrize("start", [0, 1, 149, 700, 719, 720, 1500])
def test_a_live_session_computes_the_bits_of_the_batch(dataset: Dataset, config: Config, start: int) -> None:
    """Wherever in a day it begins, and whatever the scan says of the columns."""
    fed = dataclasses.replace(BREADTH, inputs=("vel_div",))
    strategy = dataclasses.replace(config.strategy, features=("vol", fed, *config.strategy.plugins(), SMOOTH))
    settings = dataclasses.replace(config, strategy=strategy)
    whole = open_market(dataset, settings)
    stop = min(start + 900, len(whole.ts))
    mine = own_market(whole, start, stop)
    own = OwnFeatures(strategy.plugged(), mine, start)
    columns = [strategy.columns.index(name) for f in strategy.plugins() for name in f.names]
    for i in range(start, stop):
        mine.ts[i], mine.price[i], mine.features[i] = whole.ts[i], whole.price[i], whole.features[i]
        mine.features[i, columns] = -1.0
        own.fill(mine, i)
    assert mine.features[start:stop].tobytes() == whole.features[start:stop].tobytes()


def test_the_example_passes_the_checks(dataset: Dataset, market: Market, config: Config) -> None:
    case = (dataset, market, config, 1000, len(market.ts))
    ahead = lookahead(*case, cuts=2)
    assert ahead.passed, ahead.detail
    warm = warmup(dataset, market, config, 0, len(market.ts))
    assert warm.passed, warm.detail
    assert append_only(dataset, config).passed


@inline
def peeking(state, bar, out):
    out[0] = bar.price[bar.price.size]


@pytest.mark.slow
def test_a_feature_that_looks_ahead_fails_the_look_ahead_check(dataset: Dataset, config: Config) -> None:
    settings = with_feature(config, Feature("peek", peeking, 0, 1, columns=("a", "b")))
    market = open_market(dataset, settings)
    found = lookahead(dataset, market, settings, 2000, 2100, cuts=[2050])
    assert not found.passed and "feature peek_a up to bar 2050" in found.detail


def test_a_feature_with_a_false_warm_up_fails_the_warm_up_check(dataset: Dataset, config: Config) -> None:
    short = dataclasses.replace(SMOOTH, warmup_bars=5, columns=("a", "b"))
    settings = with_feature(config, short)
    found = warmup(dataset, open_market(dataset, settings), settings, 0, dataset.n_bars)
    assert not found.passed
    # The second column is never written: no number after the stated warm-up either.
    assert "feature 'smooth'" in found.detail and "'warm-up stated and true'" in found.detail
    one = dataclasses.replace(short, columns=("a",))
    settings = with_feature(config, one)
    found = warmup(dataset, open_market(dataset, settings), settings, 0, dataset.n_bars)
    assert not found.passed and "4 times the stated 5 bars" in found.detail


def test_a_rewritten_column_fails_the_append_only_check(
    dataset: Dataset, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = own_features.of_dataset(dataset)

    def rewritten(dataset: Dataset) -> own_features.Compute:
        def columns(*arguments: object) -> np.ndarray:
            values = np.array(true(*arguments))  # type: ignore[arg-type]
            values[-5] = np.nextafter(values[-5], 1.0)
            return values

        return columns

    monkeypatch.setattr("dolphin.market.assemble.of_dataset", rewritten)
    found = append_only(dataset, config, days=2)
    assert not found.passed and "feature 'dispersion' of 2025-01-04 is not what its rows up to that day give" in (
        found.detail
    )


def test_the_suite_runs_on_a_dataset(home: Workspace, dataset: Dataset) -> None:
    fed = dataclasses.replace(BREADTH, inputs=("vel_div",))
    assert check_feature(home, "g", fed).passed
    found = check_feature(home, "g", SMOOTH, start_ns=int(dataset.first_ts), stop_ns=int(dataset.last_ts))
    assert found.passed, str(found)


@pytest.mark.slow
def test_the_example_climbs_the_ladder(dataset: Dataset, market: Market, config: Config) -> None:
    report = ladder(dataset, market, config, 1000, len(market.ts), rungs=(0, 1, 2), full_bars=300)
    assert report.passed, report.as_dict()
    assert report.results[0].bars == len(market.ts) - 1000
    assert min(r.facts["orders"] for r in report.results if r.rung == 2) > 20


@pytest.mark.slow
def test_a_stream_that_differs_is_found_by_the_nautilus_rung(
    dataset: Dataset, market: Market, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = OwnFeatures.fill

    def off(self: OwnFeatures, market: Market, bar: int) -> None:
        fill(self, market, bar)
        if bar == 1234:
            market.features[bar, 1] = np.nextafter(market.features[bar, 1], 1.0)

    monkeypatch.setattr(OwnFeatures, "fill", off)
    report = ladder(dataset, market, config, 1000, 1400, rungs=(2,), full_bars=100)
    assert not report.results[0].passed
    assert "the first bar that differs is 1234" in report.results[0].detail
    assert "at stage features" in report.results[0].detail
