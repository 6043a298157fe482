"""The page of a forewarner's judgement."""

from __future__ import annotations

import numpy as np
import pytest

from dolphin.errors import DolphinError
from dolphin.report.forewarner_page import forewarner_page, reliability_picture, verdict_words
from dolphin.study.forewarn.judging import drift, quantiles_of, verdict

RNG = np.random.default_rng(7)


def judged(knowing: bool) -> dict:
    """What forecasts of 400 windows x 3 configurations come to that know the truth, or nothing."""
    truth = np.repeat(RNG.uniform(0.0, 1.0, 400), 3)
    bad, window, config = RNG.random(1200) < truth, np.repeat(np.arange(400), 3), np.tile(np.arange(3), 400)
    told = truth if knowing else RNG.uniform(0.0, 1.0, 1200)
    return verdict(told, np.full(1200, 0.5), bad, window, config, 5, 0)


def test_it_says_whether_there_is_skill() -> None:
    good, none = judged(True), judged(False)
    assert "better than climatology" in verdict_words(good) and "adds" in verdict_words(good)
    assert "No skill" in verdict_words(none) and "knows nothing" in verdict_words(none)
    shifts = {"vol": drift(quantiles_of(RNG.standard_normal(900)), 300, RNG.standard_normal(400) + 1.0)}
    shown = forewarner_page(none | {"drift": shifts, "importance": {"vol": 0.01}}, {"trained on": "<m>"})
    assert "No skill" in shown and "&lt;m&gt;" in shown and ">act<" in shown and "+0.0100" in shown
    assert f"{none['brier']:.4f}" in shown and f"{none['brier_climatology']:.4f}" in shown


def test_the_picture_has_a_circle_for_each_tenth() -> None:
    rows = [{"from": 0.0, "count": 90, "forecast": 0.05, "observed": 0.0},
            {"from": 0.9, "count": 10, "forecast": 0.95, "observed": 1.0}]  # fmt: skip
    drawn = reliability_picture(rows, 0.1)
    assert drawn.count("<circle") == 2 and "90 forecasts, mean 5.0%, went bad 0.0%" in drawn
    assert "5%: 0% of 90, 95%: 100% of 10" in drawn


def test_a_judgement_without_its_figures_is_one_line() -> None:
    with pytest.raises(DolphinError, match="no brier"):
        forewarner_page({"skill": 0.0}, {})
