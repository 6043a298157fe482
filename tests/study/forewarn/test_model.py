"""A forewarner from examples to its file: purged, without a look ahead, whole or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dolphin.catalog import Dataset, open_dataset
from dolphin.catalog.store.tables import open_table
from dolphin.config import Config
from dolphin.core.records import DAY_NS
from dolphin.errors import DolphinError
from dolphin.market.assemble import feature_columns, open_market
from dolphin.study.forewarn.model import (
    digest_of,
    evaluate,
    forecasts,
    read_forewarner,
    train_forewarner,
    write_forewarner,
)
from dolphin.study.forewarn.outcomes import MARKET, Examples, examples_of, market_state, numbers_of
from dolphin.study.forewarn.tables import write_forecasts
from dolphin.study.forewarn.training import before, envelope, fitted, overlap, train
from dolphin.study.measure.measured import run_alone
from dolphin.workspace import Workspace

HOURS = DAY_NS // 24


@pytest.fixture(scope="session")
def configs(busy: Config) -> list[Config]:
    return [busy.with_values({"soft_cap": cap, "tp_pct": tp}) for cap in (1.0, 6.0) for tp in (0.002, 0.01)]


@pytest.fixture(scope="session")
def examples(dataset: Dataset, configs: list[Config]) -> Examples:
    return examples_of(dataset, configs, numbers_of(configs)[0], days=0.1, loss=0.005, every_ns=HOURS // 4)


def test_an_example_is_a_run_of_its_window(dataset: Dataset, configs: list[Config], examples: Examples) -> None:
    assert examples.names == (*MARKET, "soft_cap", "tp_pct")
    market, state = open_market(dataset, configs[0]), market_state(feature_columns(dataset))
    for window, c in ((0, 0), (7, 3), (100, 2)):
        row = window * len(configs) + c
        start, stop = np.searchsorted(market.ts, [examples.starts[window], examples.stops[window]])
        done = run_alone(configs[c], market, int(start), int(stop) + 1)
        assert examples.bad[row] == (done.metrics["max_drawdown"][0] > 0.005)
        assert (examples.x[row, : len(MARKET)] == state[start - 1].astype(np.float32)).all()
    assert 0.0 < examples.bad.mean() < 1.0


def test_the_state_of_the_market_reads_no_later_row(dataset: Dataset) -> None:
    columns = feature_columns(dataset)
    cut = {name: np.asarray(values)[:2000] for name, values in columns.items() if name != "log_price"}
    assert market_state(cut).tobytes() == market_state(columns)[:2000].tobytes()


def test_windows_before_a_test_are_over_when_it_begins(examples: Examples) -> None:
    known = before(examples, 50)
    assert (examples.stops[known] < examples.starts[50]).all() and not known[50 - overlap(examples) + 1 :].any()
    assert known[: 50 - overlap(examples)].all()


def made(seed: int, signal: float, windows: int = 400, many: int = 8) -> Examples:
    """Examples whose outcome follows the first input with this strength; windows of ten starts."""
    rng = np.random.default_rng(seed)
    state = rng.standard_normal((windows, 3))
    x = np.repeat(state, many, axis=0)
    bad = rng.random(windows * many) < 1.0 / (1.0 + np.exp(1.5 - signal * x[:, 0]))
    starts = np.arange(windows) * HOURS
    window = np.repeat(np.arange(windows), many)
    return Examples(x.astype(np.float32), bad, window, starts, starts + 10 * HOURS - 1, ("a", "b", "c"))


@pytest.mark.slow
def test_training_finds_what_is_there_and_says_where_nothing_is() -> None:
    there = train(made(1, 3.0)).validation
    assert there["has_skill"] and there["has_market_skill"] and next(iter(there["importance"])) == "a"
    gone = train(made(2, 0.0)).validation
    assert not gone["has_skill"] and not gone["has_market_skill"]


def test_training_repeats_bit_by_bit_and_knows_its_limits() -> None:
    one, two = (fitted(made(3, 2.0), np.ones(400, bool), 5) for _ in range(2))
    assert one is not None and two is not None and json.dumps(one.as_dict()) == json.dumps(two.as_dict())
    with pytest.raises(DolphinError, match="too few of one kind"):
        found = made(4, 0.0)
        train(replace(found, bad=np.zeros_like(found.bad)))


def test_file_forecasts_and_table(home: Workspace, configs: list[Config], tmp_path: Path) -> None:
    dataset = open_dataset(home, "m")
    found = train_forewarner(dataset, configs, days=0.1, loss=0.005, every_ns=HOURS // 4, study="s")
    training = found.document["training"]
    assert training["dataset"]["digest"] == dataset.digest and training["engine_digest"] == configs[0].engine.digest
    path = tmp_path / "f.json"
    write_forewarner(found, path)
    again = read_forewarner(path)
    assert again.hash == found.hash
    ts, probability, records, shifts = forecasts(again, dataset, configs[1])
    assert probability.tobytes() == forecasts(found, dataset, configs[1])[1].tobytes()
    assert len(ts) == len(records) and set(np.diff(ts)) == {4 * HOURS} and set(shifts) == set(MARKET)
    assert all(0.0 <= r.catastrophic_prob <= 1.0 and 0.0 <= r.envelope_score <= 1.0 for r in records)
    write_forecasts(home, "f", found, dataset, configs[1], ts, probability, "a test")
    notes = open_table(home, "f").manifest["notes"]
    assert any("100.0%" in line for line in notes)
    with pytest.raises(DolphinError, match="time that it was trained on"):
        evaluate(found, dataset, configs)
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"climatology": 0.5}))
    with pytest.raises(DolphinError, match="damaged"):
        read_forewarner(path)
    with pytest.raises(DolphinError, match="no such forewarner"):
        read_forewarner(tmp_path / "none.json")


def test_digest_and_envelope(examples: Examples) -> None:
    assert len(digest_of(examples)) == 64
    assert envelope([list(np.linspace(0.0, 1.0, 101))] * 2, np.array([0.5, 2.0])) == 0.5
