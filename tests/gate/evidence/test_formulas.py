"""Every formula against the numbers that were published for it."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from dolphin.gate.evidence.betting import e_process
from dolphin.gate.evidence.combining import of_several, rank, spent, stouffer
from dolphin.gate.evidence.pbo import cscv
from dolphin.gate.evidence.resampling import (
    drawdown_of,
    interval,
    profit_factor_of,
    reality_check,
    sharpe_of,
    stationary_rows,
)
from dolphin.gate.evidence.sharpe import Moments, deflated, expected_best, moments, probabilistic, shortest_record

#: Bailey and Lopez de Prado 2014, and 2012.
PAPER = Moments(2.5 / math.sqrt(250), 1250, -3.0, 10.0)
HEDGE = Moments(0.036 / 0.079, 24, -2.448, 10.164)


def test_deflated_sharpe_ratio_of_2014() -> None:
    assert expected_best(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)
    assert deflated(PAPER, 100, 0.5 / 250) == pytest.approx(0.9004, abs=5e-5)
    assert deflated(PAPER, 46, 0.5 / 250) == pytest.approx(0.9505, abs=5e-5)
    assert deflated(PAPER._replace(skew=0.0, kurtosis=3.0), 88, 0.5 / 250) == pytest.approx(0.9505, abs=5e-5)
    assert expected_best(1, 0.5) == 0.0


def test_probabilistic_sharpe_ratio_of_2012() -> None:
    assert probabilistic(HEDGE) == pytest.approx(0.913, abs=5e-4)
    assert probabilistic(HEDGE._replace(skew=0.0, kurtosis=3.0)) == pytest.approx(0.981, abs=1e-3)


def test_the_form_of_2025() -> None:
    assert probabilistic(HEDGE, at_benchmark=True) == pytest.approx(0.987, abs=5e-4)
    assert probabilistic(HEDGE, 0.1, at_benchmark=True) == pytest.approx(0.939, abs=5e-4)
    assert shortest_record(HEDGE, at_benchmark=True) == pytest.approx(13.029, abs=0.02)
    assert shortest_record(HEDGE, 0.1, at_benchmark=True) == pytest.approx(27.109, abs=0.05)
    best = expected_best(10, 0.1)
    assert best == pytest.approx(0.498, abs=5e-4)
    assert probabilistic(HEDGE, best, at_benchmark=True) == pytest.approx(0.451, abs=1e-3)


def test_shortest_record_is_where_the_probability_reaches_the_confidence() -> None:
    days = shortest_record(PAPER)
    assert probabilistic(PAPER._replace(days=math.ceil(days))) >= 0.95
    assert probabilistic(PAPER._replace(days=math.floor(days) - 1)) < 0.95
    assert shortest_record(PAPER, 1.0) == math.inf


def test_moments() -> None:
    found = moments(np.array([1.0, 2.0, 3.0, math.nan]))
    assert found == pytest.approx((2.0, 3, 0.0, 1.5))
    assert math.isnan(moments(np.ones(5)).sharpe) and math.isnan(probabilistic(moments(np.ones(5))))


def test_pbo_of_three_trials() -> None:
    found = cscv(np.array([[1, 2, 3, 4], [4, 3, 2, 1], [2, 2, 2, 3]]), 4, mean=True)
    assert found.logits == pytest.approx([-1.0986, -1.0986, 0.5108, 0, -0.5108, -1.0986], abs=5e-5)
    assert found.probability == pytest.approx(5 / 6)


def test_pbo_of_noise_and_of_one_true_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(100, 2400))
    noise -= noise.mean(axis=1, keepdims=True)
    found = cscv(noise, 8)
    assert found.probability == 1.0 and found.slope == pytest.approx(-1.0, abs=0.1)
    noise[17] += 3.0 / math.sqrt(365)
    assert cscv(noise, 8).probability == 0.0
    whole = cscv(noise, 6).logits
    monkeypatch.setattr("dolphin.gate.evidence.pbo.CELLS", 300)
    assert np.array_equal(cscv(noise, 6).logits, whole)


@pytest.mark.parametrize(("shape", "blocks"), [((3, 4), 3), ((3, 4), 8), ((1, 40), 4)])
def test_what_cannot_be_cut_is_refused(shape: tuple[int, int], blocks: int) -> None:
    with pytest.raises(ValueError):
        cscv(np.ones(shape), blocks)


def test_stationary_rows_are_blocks_around_a_circle() -> None:
    rows = stationary_rows(50, 400, 5.0, 3)
    assert np.array_equal(rows, stationary_rows(50, 400, 5.0, 3))
    assert rows.min() == 0 and rows.max() == 49
    follows = (np.diff(rows, axis=1) % 50 == 1).mean()
    assert follows == pytest.approx(0.8 + 0.2 / 50, abs=0.01)
    assert np.bincount(rows.ravel(), minlength=50) == pytest.approx(400, rel=0.3)


def test_reality_check_has_its_size_and_sees_an_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(11)
    found = [reality_check(rng.normal(size=(40, 55)), 199, seed=k)[0] for k in range(200)]
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.10
    returns = rng.normal(size=(40, 250))
    returns[7] += 0.35
    p, best = reality_check(returns, 999)
    assert p == 0.001 and best == pytest.approx(returns[7].mean())
    # What is there ten times changes nothing, and neither does the size of the chunks.
    few = reality_check(returns[:9], 499, seed=2)
    monkeypatch.setattr("dolphin.gate.evidence.resampling.CHUNK", 7)
    assert reality_check(np.repeat(returns[:9], 10, axis=0), 499, seed=2) == pytest.approx(few)


def test_intervals() -> None:
    rng = np.random.default_rng(2)
    low, high = interval(rng.normal(0.001, 0.01, 400), sharpe_of, seed=4)
    assert low < 1.9 < high and high - low == pytest.approx(2 * 1.645 * math.sqrt(365 / 400), rel=0.25)
    assert drawdown_of(np.array([[0.1, -0.5, 0.2], [0.0, 0.1, 0.1]])) == pytest.approx([0.5, 0.0])
    assert profit_factor_of(np.array([[1.0, -2.0, 3.0], [1.0, 1.0, 1.0]])).tolist() == [2.0, math.inf]
    assert interval(np.array([1.0, 2.0, 1.0]), profit_factor_of) == (math.inf, math.inf)
    assert all(math.isnan(x) for x in interval(np.array([1.0]), sharpe_of))


def test_combining() -> None:
    assert stouffer(0.5, 0.5) == pytest.approx(0.5)
    assert stouffer(0.05) == pytest.approx(0.05)
    assert stouffer(0.1, 0.1) == pytest.approx(0.0350, abs=1e-4)
    assert stouffer(0.0, 0.5) < 1e-7 and stouffer(1.0, 1.0) == pytest.approx(1.0)
    assert spent(0.05, 1) == pytest.approx(0.0304, abs=1e-4)
    assert sum(spent(0.05, k) for k in range(1, 100_000)) == pytest.approx(0.05, rel=1e-4)
    assert of_several(0.05, 0.5) == pytest.approx(0.05) and of_several(0.05, 3) == pytest.approx(1 - 0.95**3)
    assert rank(2.0, [1.0, 2.0, 3.0, math.nan]) == 3 / 5 and rank(math.nan, [1.0]) == 1.0


def test_the_mean_bet_over_all_paths_is_one() -> None:
    history = np.array([1.0, -1.0] * 5)
    last = [e_process(np.array(path), history)[-1] for path in product((1.0, -1.0), repeat=12)]
    assert len(last) == 4096 and np.mean(last) == pytest.approx(1.0, abs=1e-12)


def test_a_bet_on_an_advantage_wins_and_one_on_a_disaster_dies() -> None:
    rng = np.random.default_rng(1)
    assert e_process(rng.normal(0.4, 1.0, 300), rng.normal(0.0, 1.0, 60))[-1] > 20.0
    path = e_process(np.array([-100.0, 5.0, 5.0]), np.array([1.0, -1.0, 1.0, -1.0]))
    assert path.tolist() == [0.0, 0.0, 0.0]
    assert e_process(np.array([1.0]), np.empty(0)).tolist() == [1.0]  # nothing to measure a bet by
