"""Advisory evidence on a searched market: every piece with a value, a limit, a picture and words."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dolphin.gate.case import open_case
from dolphin.gate.evaluation import _measure
from dolphin.gate.evidence.advisory import Advice, _parts, advisory
from dolphin.gate.policy import read_policy
from dolphin.gate.report import plain
from dolphin.study.backtest import backtest


@pytest.mark.parametrize(
    ("value", "limit", "op", "good"),
    [
        (1.0, 1.0, ">=", True), (0.9, 1.0, ">=", False), (0.9, 1.0, "<=", True), (None, 1.0, ">=", None),
        (math.nan, 1.0, ">=", None), (math.inf, 1.0, "<=", False), (1.0, None, ">=", None),
    ],
)  # fmt: skip
def test_good_is_as_the_operator_says(value: float | None, limit: float | None, op: str, good: bool | None) -> None:
    assert Advice("a", value, limit, op, "").good is good


def test_parts_that_earn() -> None:
    days = np.array([0.1, 0.1, math.nan, 0.1, -0.1, 0.1, 0.1, 0.1])
    run: Any = SimpleNamespace(whole=SimpleNamespace(daily_returns=days))
    policy: Any = SimpleNamespace(advisory=lambda name: 4)
    (found,) = _parts(run, policy)
    assert found.value == 0.75 and found.picture["values"] == pytest.approx([0.21, 0.1, -0.01, 0.21])


def test_every_piece(searched: Any) -> None:
    candidate = searched.candidate()
    measure = _measure(candidate, candidate.config, None)
    case = open_case(searched.workspace, candidate)
    found = advisory(searched.workspace, case.search, measure, case.looks, read_policy(searched.workspace))
    pieces = {piece["name"]: piece for piece in found}
    assert json.dumps(plain(found), allow_nan=False)
    assert all(piece["reading"].endswith(".") for piece in found)
    assert all(piece["picture"]["kind"] in ("range", "bars", "dots") for piece in found)
    run = measure.whole
    assert pieces["trades"]["value"] == run.metrics["trades"] and pieces["trades"]["limit"] == 100
    gains = np.sort(run.recording.trades["pnl"] / 25_000.0)[::-1]
    assert pieces["P&L without its best five trades"]["value"] == pytest.approx(gains[5:].sum())
    trades = run.recording.trades
    left = [trades["pnl"][trades["asset"] != k].sum() / 25_000.0 for k in np.unique(trades["asset"])]
    assert pieces["P&L without its best asset"]["value"] == pytest.approx(min(left))
    # What the pieces on friction and delay say is what a backtest says.
    for name, values in (
        ("ROI at 10 bps a round trip", {"slippage_bps": 2.5, "fee_bps": 2.5}),
        ("ROI with fills a bar later", {"fill_timing": "next"}),
    ):
        config = measure.config.with_values(values)
        done = backtest(searched.workspace, "e", config, int(measure.market.ts[candidate.start]))
        assert pieces[name]["value"] == done.metrics["roi"]
    low = pieces["Sharpe ratio, lower end of 90 %"]
    assert low["value"] < run.metrics["sharpe_365"] == low["picture"]["mark"]
    deep = pieces["largest drawdown, upper end of 90 %"]
    assert deep["value"] == deep["picture"]["high"] > deep["picture"]["low"]
    assert "deflated Sharpe ratio" in pieces and "the best of 64 looks" in pieces["deflated Sharpe ratio"]["reading"]
