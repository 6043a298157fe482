"""What every sampler must keep, and what each promises beyond that."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from dolphin.config import parse_config
from dolphin.errors import DolphinError
from dolphin.study.samplers import SAMPLERS, Random, Sampler, sampler_class
from dolphin.study.space.space import Choices, Point, Range, Space, parse_space

ONE_OF_EACH: dict[str, Any] = {
    "tp_pct": {"low": 0.001, "high": 0.02},
    "stop_pct": {"low": 0.001, "high": 0.1, "log": True},
    "max_hold_bars": {"low": 10, "high": 200, "log": True},
    "rank_lookback": {"low": 10, "high": 40, "step": 10},
    "min_alignment": {"low": 0.0, "high": 0.4, "step": 0.1},
    "vol_gate_mode": {"choices": ["min", "max", "off"]},
    "vol_ewma": {"choices": [True, False], "when": "vol_gate_mode != 'off'"},
    "friction.fee_bps": {"low": 1.0, "high": 4.0, "when": "vol_ewma and vol_gate_mode == 'min'"},
}
STEPPED = {name: entry for name, entry in ONE_OF_EACH.items() if "step" in entry or "choices" in entry}
SMALL: dict[str, dict[str, int]] = {
    "cmaes": {"population": 8},
    "tpe": {"batch": 4, "startup": 8},
    "nsga2": {"population": 6},
    "halving": {"cohort": 9, "rungs": 3, "eta": 3},
}
ROUNDS = 6


def a_space(name: str) -> Space:
    table = STEPPED if name == "grid" else ONE_OF_EACH
    return parse_space(table, "s.toml", parse_config({}, where="c"))


def make(name: str, space: Space | None = None, seed: int = 3, objectives: int = 1, **options: int) -> Sampler:
    kind = sampler_class(name)
    return kind(space or a_space(name), seed, None, objectives, SMALL.get(name, {}) | options)


def score(points: list[Point], objectives: int = 1, broken: bool = True) -> np.ndarray:
    """A smooth function of the points; every seventh fails, every eleventh is endless."""
    found = np.array([[-((p.get("tp_pct", 0.01) - 0.013) ** 2), p["rank_lookback"] / 100.0] for p in points])
    if broken:
        found[3::7] = np.nan
        found[5::11] = np.inf
    return found[:, :objectives]


@pytest.fixture(params=SAMPLERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def rounds(sampler: Sampler, count: int = ROUNDS, objectives: int = 1) -> list[list[Point]]:
    found = []
    for _ in range(count):
        points = sampler.ask()
        if not points:
            break
        sampler.tell(score(points, objectives))
        found.append(points)
    return found


def test_values_lie_in_the_space_and_only_active_ones_are_named(name: str) -> None:
    space = a_space(name)
    points = list(itertools.chain(*rounds(make(name, space))))
    assert points
    for point in points:
        assert list(point) == [key for key in space if key in point]
        assert ("vol_ewma" in point) == (point["vol_gate_mode"] != "off")
        if name != "grid":
            assert ("friction.fee_bps" in point) == (point.get("vol_ewma", False) and point["vol_gate_mode"] == "min")
        for key, value in point.items():
            dimension = space[key]
            if isinstance(dimension, Choices) or dimension.step is not None:
                assert value in dimension.points() and type(value) is type(dimension.points()[0]), (key, value)
            else:
                assert dimension.low <= value <= dimension.high and (type(value) is int) == dimension.whole


def test_the_same_seed_and_tells_give_the_same_points(name: str) -> None:
    assert rounds(make(name)) == rounds(make(name))
    if name != "grid":
        assert rounds(make(name)) != rounds(make(name, seed=4))


@pytest.mark.parametrize("known", [1, 2, 5])
def test_going_on_after_a_replay_is_as_if_never_stopped(name: str, known: int) -> None:
    whole = rounds(make(name))
    resumed = make(name)
    for points in whole[:known]:
        resumed.replay(points, score(points))
    assert rounds(resumed, ROUNDS - known) == whole[known:]


@pytest.mark.slow
def test_an_end_stays_an_end(name: str) -> None:
    sampler = make(name)
    found = rounds(sampler, 40)
    if sampler.size is None:
        assert len(found) == 40
    else:
        assert sum(map(len, found)) == sampler.size and sampler.ask() == sampler.ask() == []


def test_all_trials_may_fail(name: str) -> None:
    sampler = make(name)
    for _ in range(4):
        if points := sampler.ask():
            sampler.tell(np.full((len(points), 1), np.nan))
    assert name == "grid" or sampler.ask()


def test_one_dimension_of_one_value(name: str) -> None:
    space = Space({"x": Choices(("only",))})
    assert make(name, space).ask()[0] == {"x": "only"}


def test_several_objectives_where_it_says_so(name: str) -> None:
    if sampler_class(name).MANY:
        assert rounds(make(name, objectives=2), objectives=2) == rounds(make(name, objectives=2), objectives=2)
    else:
        with pytest.raises(DolphinError, match=f"the {name} sampler takes one objective, not 2"):
            make(name, objectives=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SAMPLERS if sampler_class(name).LEARNS])
def test_what_learns_beats_chance_on_a_smooth_function(name: str) -> None:
    space = Space({key: Range(-1.0, 1.0) for key in "abcd"} | {"n": Range(0, 40, 1)})

    def value(point: Point) -> float:
        return -sum((point[key] - 0.3) ** 2 for key in "abcd") - ((point["n"] - 31) / 20) ** 2

    def best(sampler: Sampler, budget: int = 240) -> float:
        top, seen = -np.inf, 0
        while seen < budget:
            scores = np.array([[value(point)] for point in sampler.ask()])
            sampler.tell(scores)
            top, seen = max(top, float(scores.max())), seen + len(scores)
        return top

    options = {"cmaes": {"population": 16}, "tpe": {"batch": 8}, "nsga2": {"population": 20}}[name]
    learned = [best(make(name, space, seed, **options)) for seed in range(4)]
    blind = []
    for seed in range(12):
        chance = Random(space, seed)
        chance.BATCH = 240  # type: ignore[misc]
        blind.append(best(chance))
    assert np.median(learned) > np.median(blind)


def test_options_and_names_are_checked() -> None:
    with pytest.raises(DolphinError, match=r"s\.toml: unknown sampler 'sobel'; did you mean 'sobol'"):
        sampler_class("sobel", "s.toml")
    with pytest.raises(DolphinError, match="the cmaes sampler has no option 'popul'; did you mean 'population'"):
        make("cmaes", popul=3)
    for wrong in (1, 2.5, True):
        with pytest.raises(DolphinError, match=r"population = .* must be a whole number of at least 4"):
            make("cmaes", population=wrong)  # type: ignore[arg-type]
