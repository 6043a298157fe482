"""One market is known by how it moves: under other names, spacings, symbols and times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dolphin.catalog import generate, open_dataset
from dolphin.study.trials.markets import HOUR_NS, lag_between, lag_of, overlapping, remember, sketch
from dolphin.workspace import Workspace, create

DAY_NS = 24 * HOUR_NS
MINUTE = 60 * 10**9


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One market at two spacings, with and without an edge, and another one."""
    made = create(tmp_path_factory.mktemp("markets") / "w")
    for name, preset, spacing, seed, assets in (
        ("one", "null", 5 * MINUTE, 3, 12), ("edge", "edge", 5 * MINUTE, 3, 12), ("other", "null", 5 * MINUTE, 4, 12),
    ):  # fmt: skip
        generate(made, name, preset=preset, days=15, assets=assets, spacing_ns=spacing, seed=seed)
    return made


def test_a_sketch_is_the_hourly_move_of_the_median_symbol(home: Workspace) -> None:
    dataset = open_dataset(home, "one")
    times, moves = sketch(dataset)
    prices = dataset.prices()
    assert len(times) == dataset.n_bars - 12 and (times % (5 * MINUTE) == 0).all()
    row = int(np.searchsorted(prices.ts, times[500]))
    inner = np.abs(moves - np.median(moves)) < 5.9 * np.median(np.abs(moves - np.median(moves)))
    assert inner[500] and moves[500] == pytest.approx(
        np.median(np.log(prices.close[row] / prices.close[row - 12])), abs=1e-12
    )


def test_copies_are_found_and_others_are_not(home: Workspace) -> None:
    one, edge, other = (sketch(open_dataset(home, name)) for name in ("one", "edge", "other"))
    assert lag_of(one, one) == 0 and lag_of(one, edge) == 0  # presets of one seed are one market
    assert lag_of(one, other) is None
    moved = 3 * DAY_NS + 25 * MINUTE
    part = slice(1000, 3000)
    assert lag_of(one, (one[0][part] + moved, -3.0 * one[1][part])) == -moved
    noise = np.random.default_rng(1).standard_t(3, len(one[0]))
    assert lag_of(one, (one[0], noise)) is None
    assert lag_of(one, (one[0], one[1] + 0.5 * np.std(one[1]) * noise / noise.std())) == 0
    hourly = one[0] % HOUR_NS == 0
    assert lag_of(one, (one[0][hourly], one[1][hourly])) == lag_of((one[0][hourly], one[1][hourly]), one) == 0


def test_under_five_days_the_calendar_tells(home: Workspace) -> None:
    one, other = (sketch(open_dataset(home, name)) for name in ("one", "other"))
    assert lag_of(one, (other[0][:1000], other[1][:1000])) == 0
    assert lag_of(one, (other[0][:0], other[1][:0])) == 0


def test_what_is_kept_outlives_the_data(home: Workspace, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "edge", "other"):
        dataset = open_dataset(home, name)
        path = remember(home, dataset)
        written = path.stat().st_mtime_ns
        assert remember(home, dataset) == path and path.stat().st_mtime_ns == written
        digests.append(dataset.digest)
    assert lag_between(home, digests[0], digests[1]) == 0
    assert lag_between(home, digests[0], digests[2]) is None
    assert lag_between(home, digests[0], digests[0]) == 0
    assert lag_between(home, digests[0], "nobody knows this one") == 0  # the calendar tells


def test_spans_overlap_after_the_move() -> None:
    assert overlapping(10, 20, 20, 30, 0) and not overlapping(10, 20, 21, 30, 0)
    assert overlapping(10, 20, 121, 130, -101) and not overlapping(10, 20, 0, 9, 0)
