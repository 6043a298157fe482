"""Our evaluator of boosted trees against scikit-learn's own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from dolphin.errors import DolphinError
from dolphin.study.forewarn.trees import from_dict, of_sklearn


@pytest.fixture(scope="module")
def fitted() -> tuple[GradientBoostingClassifier, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((600, 5)).astype(np.float32)
    bad = rng.random(600) < 1.0 / (1.0 + np.exp(2.0 - 2.0 * x[:, 0] * x[:, 1]))
    model = GradientBoostingClassifier(n_estimators=40, max_depth=3, subsample=0.5, random_state=0)
    return model.fit(x, bad), x


def test_equal_to_scikit_learn(fitted: tuple) -> None:
    model, x = fitted
    other = np.random.default_rng(2).standard_normal((5_000, 5)).astype(np.float32)
    for rows in (x, other):
        ours = of_sklearn(model)
        assert np.abs(ours.scores(rows) - model.decision_function(rows)).max() < 1e-12
        assert np.abs(ours.probabilities(rows) - model.predict_proba(rows)[:, 1]).max() < 1e-12


def test_through_json_no_bit_is_lost(fitted: tuple) -> None:
    model, x = fitted
    ours = of_sklearn(model)
    back = from_dict(json.loads(json.dumps(ours.as_dict())), "test", 5)
    assert back.probabilities(x).tobytes() == ours.probabilities(x).tobytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [("feature", 9), ("left", 0), ("right", 10_000), ("value", float("inf")), ("threshold", "x"), ("feature", None)],
)
def test_what_is_no_tree_is_refused(fitted: tuple, name: str, value: object) -> None:
    document = of_sklearn(fitted[0]).as_dict()
    document["trees"][3][name] = [value, *document["trees"][3][name][1:]]
    with pytest.raises(DolphinError, match="holds no trees"):
        from_dict(document, "test", 5)


def test_a_model_that_is_not_finite(fitted: tuple) -> None:
    with pytest.raises(DolphinError, match="finite"):
        from_dict(of_sklearn(fitted[0]).as_dict() | {"shift": float("nan")}, "test", 5)
