"""What every sampler must keep, and what each promises beyond that."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.errors import DolphinError
from dolphin.study.samplers import SAMPLERS, grid, sobol
from dolphin.study.space import Choices, Range, Space

SPACE: Space = {
    "tp_pct": Range(0.005, 0.02, 0.005),
    "max_hold_bars": Range(10, 40, 10),
    "direction": Choices(("short_only", "long_only")),
}
POINTS = 4 * 4 * 2


@pytest.fixture(params=sorted(SAMPLERS))
def sampler(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    return SAMPLERS[request.param]


def test_conformance_values_lie_in_the_space(sampler) -> None:  # type: ignore[no-untyped-def]
    for trial in sampler(SPACE, POINTS, 1):
        assert list(trial) == list(SPACE)
        for name, value in trial.items():
            assert value in SPACE[name].points()
            assert type(value) is type(SPACE[name].points()[0])


def test_conformance_count(sampler) -> None:  # type: ignore[no-untyped-def]
    assert len(sampler(SPACE, POINTS, 1)) == POINTS


def test_conformance_same_seed_same_sample(sampler) -> None:  # type: ignore[no-untyped-def]
    assert sampler(SPACE, POINTS, 7) == sampler(SPACE, POINTS, 7)


def test_conformance_one_dimension_of_one_point(sampler) -> None:  # type: ignore[no-untyped-def]
    assert sampler({"x": Choices(("only",))}, 1, 1) == [{"x": "only"}]


def test_conformance_every_value_is_reached(sampler) -> None:  # type: ignore[no-untyped-def]
    sample = sampler(SPACE, POINTS, 1)
    for name, dimension in SPACE.items():
        assert {trial[name] for trial in sample} == set(dimension.points())


def test_conformance_too_many_trials_are_refused(sampler) -> None:  # type: ignore[no-untyped-def]
    space: Space = {name: Range(1, 1000, 1) for name in "abc"}
    with pytest.raises(DolphinError, match="1000000000 trials are more than the"):
        sampler(space, 10**9, 1)


def test_grid_is_every_combination_once_in_the_order_written() -> None:
    sample = grid(SPACE, None, 1)
    assert len(sample) == POINTS == len({tuple(trial.values()) for trial in sample})
    assert sample[:3] == [
        {"tp_pct": 0.005, "max_hold_bars": 10, "direction": "short_only"},
        {"tp_pct": 0.005, "max_hold_bars": 10, "direction": "long_only"},
        {"tp_pct": 0.005, "max_hold_bars": 20, "direction": "short_only"},
    ]
    assert sample[-1] == {"tp_pct": 0.02, "max_hold_bars": 40, "direction": "long_only"}
    assert grid(SPACE, 1000, 5) == sample


def test_grid_refuses_continuous_ranges_and_too_few_trials() -> None:
    with pytest.raises(DolphinError, match=r"a grid over 'x' needs a step; add step"):
        grid({"x": Range(0.0, 1.0)}, None, 1)
    with pytest.raises(DolphinError, match=r"the grid has 32 points, trials = 31; raise it"):
        grid(SPACE, 31, 1)


def test_sobol_needs_a_number_of_trials() -> None:
    with pytest.raises(DolphinError, match=r"needs a number of trials; add trials"):
        sobol(SPACE, None, 1)


@given(st.integers(1, 70), st.integers(0, 2**32))
def test_sobol_prefixes_agree(trials: int, seed: int) -> None:
    space: Space = {"x": Range(-1.0, 1.0), "y": Range(1e-6, 1.0, log=True)}
    sample = sobol(space, trials, seed)
    assert len(sample) == trials
    assert all(-1.0 <= t["x"] <= 1.0 and 1e-6 <= t["y"] <= 1.0 for t in sample)
    assert sobol(space, 128, seed)[:trials] == sample


def test_sobol_seeds_differ_and_cover_evenly() -> None:
    space: Space = {"x": Range(0.0, 1.0), "y": Range(0.0, 1.0)}
    one, two = sobol(space, 256, 1), sobol(space, 256, 2)
    assert one != two
    for sample in (one, two):
        cells = np.zeros((4, 4), int)
        for trial in sample:
            cells[int(trial["x"] * 4), int(trial["y"] * 4)] += 1
        assert (cells == 16).all()
