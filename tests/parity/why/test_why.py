"""Every bundled strategy says why, at bars that enter, exit and do nothing; and it is what the compiled engine did."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from ladder_cases import RICH, case_of, rich_case

from dolphin.errors import DolphinError
from dolphin.parity.case import Case
from dolphin.parity.why import why
from dolphin.strategies.vel_div import VEL_DIV
from dolphin.strategies.vel_div_sleeves import VEL_DIV_SLEEVES
from dolphin.study.measure.run import Run
from dolphin.times import format_time


def run_of(case: Case) -> Run:
    """A run of a ladder's case."""
    return Run(case.dataset, case.market, case.config, case.engine, case.start, case.stop, case.batch, {}, 0.0)


CASES = {
    "vel_div": lambda: case_of(VEL_DIV),
    "vel_div next": lambda: case_of(VEL_DIV, "next"),
    "sleeves": lambda: case_of(VEL_DIV_SLEEVES),
    **{strategy.name: (lambda s=strategy: rich_case(s)) for strategy in RICH},
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_the_compiled_engine_did(name: str) -> None:
    run = run_of(CASES[name]())
    trades = run.recording.trades
    wanted = {int(trades["entry_bar"][3]), int(trades["exit_bar"][3]), int(trades["exit_bar"][-1])}
    wanted |= {bar - 1 for bar in wanted} | {run.start, run.stop - 1, (run.start + run.stop) // 2}
    kinds: dict[str, int] = dict.fromkeys(("wishes", "fills", "nothing"), 0)
    for bar in sorted(wanted):
        found = why(run, bar)
        assert found["reproduced"] and found["agrees"], (bar, found["sentence"])
        assert found["bar"] == bar and found["time"] == format_time(int(run.market.ts[bar]))
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert found["decision"]["function"] == "decide" and found["decision"]["steps"]
        kinds["wishes"] += bool(found["wishes"])
        kinds["fills"] += bool(found["fills"])
        kinds["nothing"] += not found["wishes"]
    if name == "breakout":  # it lays a stop order for the next bar in nearly every one
        del kinds["nothing"]
    assert all(kinds.values()), kinds


def parts(call: dict[str, Any]) -> list[dict[str, Any]]:
    """All comparisons of a decision."""
    found = []
    for step in call.get("steps", ()):
        found += step.get("parts", []) + parts(step)
    return found


def test_values_limits_and_outcomes_are_the_markets_and_the_parameters() -> None:
    case = case_of(VEL_DIV)
    run = run_of(case)
    entry, exit_bar, asset = (int(run.recording.trades[name][0]) for name in ("entry_bar", "exit_bar", "asset"))
    found = why(run, entry)
    signal = next(p for p in parts(found["decision"]) if p["left"] == "vel_div" and p["outcome"])
    limit = case.config.params.short_threshold if signal["op"] == "<" else case.config.params.long_threshold
    assert (signal["value"], signal["limit"]) == (case.market.features[entry, 0], limit)
    assert found["wishes"][0]["asset"] == case.dataset.symbols[asset] and "wants open" in found["sentence"]
    direction = next(p for p in parts(found["decision"]) if p["left"] == "params.direction")
    assert direction["value_means"] == "bidirectional"

    closed = why(run, exit_bar)
    price = case.market.price[exit_bar, asset]
    price_steps = json.dumps(closed["decision"])
    assert repr(float(price)) in price_steps and closed["before"]["positions"][0]["entry_bar"] == entry
    reason = case.config.strategy.reasons[int(run.recording.trades["reason"][0])]
    assert closed["wishes"][0]["reason"] == reason and f"({reason})" in closed["sentence"]


def test_nothing_wanted_names_what_settled_it() -> None:
    run = run_of(case_of(VEL_DIV))
    quiet = next(
        bar
        for bar in range(run.start + 1, run.stop)
        if not run.recording.position[bar - run.start - 1 : bar - run.start + 1].any()
        and abs(run.market.features[bar, 0]) < 0.01
    )
    found = why(run, quiet)
    assert found["wishes"] == [] and "wants nothing; asked last: vel_div" in found["sentence"]
    assert any(p.get("asks") == "vol is not a number" for p in parts(found["decision"]))


def test_many_assets_are_counted_unless_all_is_asked_for() -> None:
    run = run_of(rich_case(next(s for s in RICH if s.name == "breakout")))
    bar = int(run.recording.trades["exit_bar"][2]) + 1
    short, whole = why(run, bar), why(run, bar, everything=True)
    assert len(json.dumps(short)) < len(json.dumps(whole))
    assert '"kind": "calls"' in json.dumps(short) and '"kind": "calls"' not in json.dumps(whole)
    assert short["wishes"] == whole["wishes"]


def test_a_time_is_the_last_bar_that_closed_by_then() -> None:
    run = run_of(case_of(VEL_DIV))
    ts = int(run.market.ts[40])
    assert why(run, format_time(ts))["bar"] == 40
    assert why(run, format_time(ts + 10**9))["bar"] == 40
    for bar in (3, run.stop, "2020-01-01"):
        with pytest.raises(DolphinError, match="no bar"):
            why(run, bar)
    with pytest.raises(DolphinError):
        why(run, "soon")


def test_a_state_of_resting_orders_goes_over_whole() -> None:
    run = run_of(rich_case(next(s for s in RICH if s.name == "pair_reversion"), "next"))
    position = run.recording.position
    turns = np.flatnonzero(np.diff(position.astype(np.int64)))[:4] + run.start
    for bar in turns.tolist():
        found = why(run, bar)
        assert found["reproduced"] and found["agrees"]
