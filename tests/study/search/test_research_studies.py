"""The standing questions in ``research/``: every study can be read, and the strategy takes what it searches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dolphin.study.definition.spec import read_study
from dolphin.study.validation.validation import candidates_of

RESEARCH = Path(__file__).parents[3] / "research"
QUESTIONS = {
    "take_profit": ({"tp_pct"}, 48),
    "hold_and_leverage": ({"max_hold_bars", "abs_cap"}, 12 * 11),
    "divergence_windows": ({"vel_div"}, 64),
    "volatility_gate": ({"vol_gate_mode", "vol_ewma"}, 96),
    "long_only": ({"long_threshold", "vol_gate_mode"}, 64),
}


def test_every_question_is_listed() -> None:
    assert {path.stem for path in RESEARCH.glob("*.toml")} == set(QUESTIONS)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_standing_question_can_be_asked(name: str) -> None:
    searched, count = QUESTIONS[name]
    path = RESEARCH / f"{name}.toml"
    study = read_study(path, overrides={"dataset": "another"})
    text = path.read_text()
    assert study.dataset == "another" and study.validation is not None and searched <= set(study.space)
    assert text.startswith("# Question: ") and "# Read it so: " in text and "# Bias: " in text
    assert study.config.of_window == (("vol_p60", 60.0),)  # the gate's level comes from the data at hand
    if study.sampler == "sobol":
        study = replace(study, trials=64)
    # None is refused by the strategy, and no two are the same.
    assert len(candidates_of(study, study.config.with_quantiles({"vol_p60": 1e-4}))) == count
    if name == "long_only":
        assert study.config.params.model_dump()["direction"] == "long_only"
