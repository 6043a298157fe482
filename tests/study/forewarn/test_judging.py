"""Scores of forecasts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from dolphin.study.forewarn.judging import auc, brier, drift, importance, ks_p, quantiles_of, reliability, verdict

RNG = np.random.default_rng(3)
TRUE = RNG.random(4_000) ** 3
BAD = RNG.random(4_000) < TRUE
WINDOW = np.arange(4_000) // 4
CONFIG = np.arange(4_000) % 4
FLAT = np.full(4_000, float(BAD.mean()))


def test_scores_are_those_of_the_books() -> None:
    assert brier(TRUE, BAD) == pytest.approx(brier_score_loss(BAD, TRUE))
    rounded = np.round(TRUE, 1)  # with ties
    assert auc(rounded, BAD) == pytest.approx(roc_auc_score(BAD, rounded))
    assert np.isnan(auc(TRUE, np.zeros(4_000, bool)))


def test_skill() -> None:
    good = verdict(TRUE, FLAT, BAD, WINDOW, CONFIG, 10, 0)
    assert good["has_skill"] and good["has_market_skill"]
    assert good["skill_interval"][0] < good["skill"] < good["skill_interval"][1]
    none = verdict(RNG.permutation(TRUE), FLAT, BAD, WINDOW, CONFIG, 10, 0)
    assert none["skill"] < 0.0 and not none["has_skill"] and not none["has_market_skill"]


def test_knowing_the_configuration_is_not_knowing_the_market() -> None:
    risk = np.array([0.02, 0.05, 0.4, 0.8])
    bad = np.random.default_rng(4).random(4_000) < risk[CONFIG]
    found = verdict(risk[CONFIG], np.full(4_000, bad.mean()), bad, WINDOW, CONFIG, 10, 0)
    assert found["has_skill"] and found["market_skill"] == pytest.approx(0.0, abs=1e-12)
    assert not found["has_market_skill"]


def test_reliability() -> None:
    rows = reliability(np.array([0.05, 0.05, 0.95, 1.0]), np.array([False, True, True, True]))
    assert rows == [
        {"from": 0.0, "count": 2, "forecast": 0.05, "observed": 0.5},
        {"from": 0.9, "count": 2, "forecast": pytest.approx(0.975), "observed": 1.0},
    ]


def test_importance_knows_what_is_read() -> None:
    x = np.column_stack([TRUE, RNG.random(4_000)]).astype(np.float32)
    found = importance(lambda rows: rows[:, 0].astype(float), x, BAD, ("read", "not"), 0)
    assert list(found) == ["read", "not"] and found["read"] > 0.05 and found["not"] == 0.0


def test_drift() -> None:
    trained = quantiles_of(RNG.standard_normal(20_000))
    same = drift(trained, 20_000, RNG.standard_normal(5_000))
    assert same["level"] == "steady" and same["psi"] < 0.02 and same["ks"] < 0.05 and same["p"] >= 0.01
    other = drift(trained, 20_000, RNG.standard_normal(5_000) + 1.0)
    assert other["level"] == "act" and other["ks"] == pytest.approx(0.383, abs=0.03)  # 2 Phi(1/2) - 1
    moved = drift(trained, 20_000, RNG.standard_normal(5_000) + 0.35)  # PSI of a shift by d is about d squared
    assert moved["level"] == "watch" and 0.1 < moved["psi"] < 0.2
    little = drift(trained, 20_000, RNG.standard_normal(5_000) + 0.15)
    assert little["level"] == "watch" and little["psi"] < 0.1 and little["p"] < 0.01
    assert drift(trained, 300, RNG.standard_normal(40) + 0.15)["p"] > 0.01  # so few say nothing
    assert drift(trained, 20_000, np.array([np.nan]))["level"] == "act"


def test_ks_p_is_scipy_s() -> None:
    from scipy.stats import kstwo

    for distance, a, b in ((0.05, 300, 500), (0.12, 300, 500), (0.3, 40, 60)):
        exact = float(kstwo.sf(distance, round(a * b / (a + b))))
        assert ks_p(distance, a, b) == pytest.approx(exact, rel=0.1, abs=1e-4)
