"""Grid, Sobol, random and halving: what only they promise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.errors import DolphinError
from dolphin.study.samplers import Grid, Halving, Sobol
from dolphin.study.space.space import Choices, Point, Range, Space, parse_space

SPACE = Space(
    {
        "tp_pct": Range(0.005, 0.02, 0.005),
        "max_hold_bars": Range(10, 40, 10),
        "direction": Choices(("short_only", "long_only")),
    }
)
POINTS = 4 * 4 * 2


def first(sampler: Sobol, count: int) -> list[Point]:
    found: list[Point] = []
    while len(found) < count:
        found += sampler.ask()
    return found[:count]


def test_a_grid_is_every_combination_once_in_the_order_written() -> None:
    sample = Grid(SPACE, 1).ask()
    assert len(sample) == POINTS == len({tuple(trial.values()) for trial in sample})
    assert sample[:3] == [
        {"tp_pct": 0.005, "max_hold_bars": 10, "direction": "short_only"},
        {"tp_pct": 0.005, "max_hold_bars": 10, "direction": "long_only"},
        {"tp_pct": 0.005, "max_hold_bars": 20, "direction": "short_only"},
    ]
    assert sample[-1] == {"tp_pct": 0.02, "max_hold_bars": 40, "direction": "long_only"}
    assert Grid(SPACE, 5, 1000).ask() == sample


def test_a_grid_refuses_continuous_ranges_too_few_trials_and_too_many_points() -> None:
    with pytest.raises(DolphinError, match=r"a grid over 'x' needs a step; add step"):
        Grid(Space({"x": Range(0.0, 1.0)}), 1)
    with pytest.raises(DolphinError, match=r"the grid has 32 points, trials = 31; raise it"):
        Grid(SPACE, 1, 31)
    with pytest.raises(DolphinError, match="1000000000 trials are more than the"):
        Grid(Space({name: Range(1, 1000, 1) for name in "abc"}), 1)


def test_a_grid_has_no_point_twice_where_parameters_are_inactive() -> None:
    table = {"a": {"choices": [1, 2]}, "b": {"low": 1, "high": 5, "when": "a == 2"}}
    grid = Grid(parse_space(table, "s"), 1)
    assert grid.size == 6 and grid.ask() == [{"a": 1}, *({"a": 2, "b": b} for b in range(1, 6))]


@given(st.integers(1, 70), st.integers(0, 2**32))
def test_sobol_prefixes_agree(trials: int, seed: int) -> None:
    space = Space({"x": Range(-1.0, 1.0), "y": Range(1e-6, 1.0, log=True)})
    sample = first(Sobol(space, seed, trials), trials)
    assert all(-1.0 <= t["x"] <= 1.0 and 1e-6 <= t["y"] <= 1.0 for t in sample)
    assert first(Sobol(space, seed), 1500)[:trials] == sample


def test_sobol_seeds_differ_and_cover_evenly_over_batches() -> None:
    space = Space({"x": Range(0.0, 1.0), "y": Range(0.0, 1.0)})
    one, two = first(Sobol(space, 1), 4096), first(Sobol(space, 2), 4096)
    assert one != two
    for sample in (one, two):
        cells = np.zeros((16, 16), int)
        for trial in sample:
            cells[int(trial["x"] * 16), int(trial["y"] * 16)] += 1
        assert (cells == 16).all()


def test_halving_keeps_the_better_third_and_failures_last() -> None:
    halving = Halving(SPACE, 1, options={"cohort": 27, "rungs": 3, "eta": 3})
    assert halving.rungs == pytest.approx((1 / 9, 1 / 3)) and len(halving.ask()) == 27
    scores = np.arange(27.0)[:, None]
    scores[20:] = np.nan
    assert halving.keep(scores).tolist() == list(range(11, 20))
    assert halving.keep(np.full((4, 1), np.nan)).tolist() == [0]
    cohorts = list(itertools.chain(halving.ask(), halving.ask()))
    assert cohorts == first(Sobol(SPACE, 1), 81)[27:]
