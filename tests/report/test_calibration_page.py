"""The gate's own error as a page."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dolphin.errors import DolphinError
from dolphin.report.calibration_page import calibration_page


def about(markets: int, promoted: int, *, edge: bool = False, sharpe: float = 0.0) -> dict[str, Any]:
    share = promoted / markets
    return {
        "edge_planted": edge, "drift_bps": float(edge), "markets": markets, "promoted": promoted, "share": share,
        "interval_95": [max(0.0, share - 0.02), share + 0.02], "holdout_alone": promoted // 2, "floors": [3, 2],
        "both": 1, "mean_best_on_train": 7.5, "mean_sharpe_of_the_chosen_unseen": sharpe, "seconds_a_market": 0.5,
    }  # fmt: skip


def document(**kinds: dict[str, Any]) -> dict[str, Any]:
    nulls = {"markets": 300, "promoted": 12, "share": 0.04, "interval_95": [0.02, 0.07]}
    return {
        "policy_sha256": "e8" * 32, "study": "s", "dataset": {"name": "k", "digest": "0" * 64}, "trials": 2048,
        "reruns": 0, "seed": 1, "created": "2026-01-01T00:00:00Z", "kinds": kinds,
        "without_edge": nulls if any(not kind["edge_planted"] for kind in kinds.values()) else None,
    }  # fmt: skip


def test_both_questions_are_drawn() -> None:
    edges = {f"broad@{k}": about(300, 60 * k, edge=True, sharpe=1.5 * k) for k in (1, 2, 4)}
    words = calibration_page(document(shift=about(300, 12), **edges))
    assert "12 of 300: 4.0% (2.0% to 7.0%)" in words and words.count("<polyline") == 3
    first = re.search(r'<polyline points="([^"]*)"', words)
    assert first is not None
    points = [tuple(map(float, point.split(","))) for point in first[1].split()]
    assert points == sorted(points) and points[0][1] > points[-1][1]  # more edge, further right and up
    assert "1.5: 20%, 3.0: 40%, 6.0: 80%" in words


def test_one_kind_is_enough() -> None:
    assert "Planted edges" not in calibration_page(document(shift=about(300, 12)))
    assert "Markets without an edge" not in calibration_page(document(broad=about(10, 3, edge=True, sharpe=-0.5)))


def test_what_is_missing_is_named() -> None:
    found = document(shift=about(300, 12))
    del found["without_edge"]
    with pytest.raises(DolphinError, match="no without_edge; run dolphin gate calibrate again"):
        calibration_page(found)
