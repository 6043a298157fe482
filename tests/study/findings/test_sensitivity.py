"""Verdicts on landscapes whose truth is known, and what must not change them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin.study.findings.importance import importances
from dolphin.study.findings.sensitivity import cells, coordinates, distances, pair_map, plateau, stability

NAMES = ["a", "b", "c", "mode"]


def tried(count: int = 600, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    u = rng.random((count, 3))
    words = rng.choice(["min", "max", "off"], count)
    return pl.DataFrame({"a": u[:, 0], "b": 10.0 ** (4.0 * u[:, 1]), "c": (100 * u[:, 2]).astype(int), "mode": words})


def hill(trials: pl.DataFrame) -> np.ndarray:
    return np.asarray(1.0 - (trials["a"].to_numpy() - 0.5) ** 2)


def test_a_broad_hill_is_a_plateau() -> None:
    trials = tried()
    values = hill(trials)
    found = plateau(trials, NAMES, values, int(values.argmax()))
    assert found.verdict == "plateau" and found.holding >= 0.5 and 0.4 < found.score <= 1.0
    assert "lies on a plateau" in found.sentence and set(found.spans) == set(NAMES)
    low, high = found.spans["a"]
    assert low <= 0.5 <= high


def test_one_lucky_trial_is_a_lonely_peak() -> None:
    trials = tried()
    values = np.random.default_rng(1).normal(0.0, 0.3, trials.height)
    values[17] = 5.0
    found = plateau(trials, NAMES, values, 17)
    assert found.verdict == "lonely peak" and found.holding < 0.1 and found.score < 0.2
    assert "is a lonely peak" in found.sentence
    assert (found.best, found.median_all) == (5.0, float(np.median(values)))


def test_what_is_good_in_one_direction_only_is_a_ridge() -> None:
    trials = tried(2000)
    a = trials["a"].to_numpy()
    values = np.where(np.abs(a - 0.5) < 0.06, 1.0, 0.0)
    found = plateau(trials, NAMES, values, int(np.argmin(np.abs(a - 0.5))))
    assert found.verdict == "ridge" and 0.1 <= found.holding < 0.5


def test_the_lowest_can_be_the_best() -> None:
    trials = tried()
    values = -hill(trials)
    found = plateau(trials, NAMES, values, int(values.argmin()), maximize=False)
    mirror = plateau(trials, NAMES, -values, int(values.argmin()))
    assert found.verdict == "plateau" and found.score == mirror.score and found.best == -mirror.best


def test_neighbours_without_a_value_do_not_hold_up() -> None:
    trials = tried()
    values = hill(trials)
    chosen = int(values.argmax())
    near = np.argsort(distances(*coordinates(trials, NAMES), chosen))[1:50]
    values[near] = np.nan
    found = plateau(trials, NAMES, values, chosen)
    assert found.verdict == "lonely peak" and found.holding == 0.0


@pytest.mark.parametrize("values", [[1.0] * 30, [float("nan")] * 30, [1.0, 2.0, 3.0]])
def test_nothing_is_said_where_nothing_can_be(values: list[float]) -> None:
    trials = tried(len(values))
    assert plateau(trials, NAMES, np.array(values), 0).verdict == "unknown"


@settings(max_examples=30)
@given(power=st.floats(0.2, 5.0), scale=st.floats(1e-6, 1e6), renamed=st.permutations(["min", "max", "off"]))
def test_another_scale_or_another_word_changes_nothing(power: float, scale: float, renamed: list[str]) -> None:
    trials = tried(300)
    values = hill(trials)
    chosen = int(values.argmax())
    other = trials.with_columns(
        (pl.col("b") ** power * scale).alias("b"),
        pl.col("c") * 3 - 7,
        pl.col("mode").replace(dict(zip(["min", "max", "off"], renamed, strict=True))),
    )
    one, two = (plateau(frame, NAMES, values, chosen) for frame in (trials, other))
    assert (one.verdict, one.score, one.holding) == (two.verdict, two.score, two.holding)


def test_the_map_holds_every_trial_in_its_cell() -> None:
    trials = pl.DataFrame({"x": [1, 1, 2, 2, 2], "y": ["u", "v", "u", "u", "v"]})
    found = pair_map(trials, "x", "y", np.array([1.0, 2.0, 3.0, 5.0, np.nan]), 3)
    assert (found["x_cells"], found["y_cells"], found["chosen"]) == (["1", "2"], ["u", "v"], [1, 0])
    assert found["z"] == [[1.0, 4.0], [2.0, None]] and found["n"] == [[1, 2], [1, 0]]


def test_cells_cover_the_range_and_leave_nulls_out() -> None:
    column = pl.Series([*np.linspace(0.01, 1.0, 100), None])
    at, names = cells(column)
    assert len(names) == 14 and at[0] == 0 and at[99] == 13 and at[100] == -1
    assert np.bincount(at[:100]).min() >= 7
    logarithmic, _ = cells(column, log=True)
    assert np.bincount(logarithmic[:100], minlength=14)[0] <= 2


def test_skill_lasts_and_luck_does_not() -> None:
    rng = np.random.default_rng(3)
    luck = rng.normal(0.0, 0.01, (200, 80))
    skill = luck + np.linspace(-0.01, 0.01, 200)[:, None]
    lucky, skilled = stability(luck), stability(skill)
    assert lucky is not None and skilled is not None
    assert skilled["below_median"] == 0.0 and skilled["rank_after"] > 0.9
    assert lucky["below_median"] > 0.25 and lucky["ways"] == len(lucky["ranks"]) == 70
    assert skilled["correlation"][0][2] > 0.8 > abs(lucky["correlation"][0][2])
    assert stability(luck[:5]) is None and stability(luck[:, :10]) is None


@pytest.mark.slow
def test_importance_finds_the_only_parameter_that_matters() -> None:
    trials = tried(400)
    found = importances(trials, NAMES, hill(trials))
    assert found is not None and found["same_first"]
    for measure in ("ped_anova", "fanova"):
        assert next(iter(found[measure])) == "a" and found[measure]["a"] > 0.8
        assert sum(found[measure].values()) == pytest.approx(1.0)


def test_importance_leaves_out_what_it_cannot_rank() -> None:
    trials = tried(100).with_columns(
        fixed=pl.lit(3), sometimes=pl.when(pl.col("a") > 0.5).then(pl.col("b")).otherwise(None)
    )
    found = importances(trials, [*NAMES, "fixed", "sometimes"], hill(trials))
    assert found is not None and found["left_out"] == ["fixed", "sometimes"]
    assert importances(trials[:20], NAMES, hill(trials[:20])) is None
    assert importances(trials, NAMES, np.ones(100)) is None
