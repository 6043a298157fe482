"""Where two runs part is named by bar and stage, whatever it is that differs."""

from __future__ import annotations

import copy

import pytest
from ladder_cases import case_of

from dolphin.parity.case import Case
from dolphin.parity.rung_plain import compare, plain_rung
from dolphin.parity.slow.agreement import CompiledRun, located, run_compiled
from dolphin.parity.slow.engine import SlowRun, run_slow
from dolphin.parity.slow.plain_case import plain_case
from dolphin.strategies.vel_div import VEL_DIV


@pytest.fixture(scope="module")
def case() -> Case:
    return case_of(VEL_DIV)


@pytest.fixture(scope="module")
def runs(case: Case) -> tuple[SlowRun, CompiledRun]:
    fast = run_compiled(case.engine, case.params, case.friction, case.market, case.capital, case.start, case.stop)
    return run_slow(plain_case(case.config, case.market), case.start, case.stop), fast


def test_equal_runs_are_equal(case: Case, runs: tuple[SlowRun, CompiledRun]) -> None:
    slow, fast = runs
    assert located(plain_case(case.config, case.market), slow, fast) is None
    assert len(slow.wishes) == len(fast.wishes) > 30 and len(slow.peak) == case.bars


@pytest.mark.parametrize("what", ["wishes", "refused", "fills", "capital", "peak", "missing fill", "days", "counter"])
def test_what_differs_is_named(what: str, case: Case, runs: tuple[SlowRun, CompiledRun]) -> None:
    slow, fast = runs[0], copy.deepcopy(runs[1])
    bar, stage = fast.start + 100, "state"
    if what == "wishes":
        bar, stage = fast.wishes[9][0], "intent"
        fast.wishes[9] = (*fast.wishes[9][:6], fast.wishes[9][6] * 2.0, *fast.wishes[9][7:])
    elif what == "refused":
        stage = "intent"
        fast.refused[100] = [7]
    elif what in ("fills", "missing fill"):
        bar, stage = fast.fills[9][0], "fill"
        fast.fills[9:] = [(*fast.fills[9][:5], 0.0)] if what == "fills" else []
    elif what in ("capital", "peak"):
        getattr(fast, what)[100] += 1e-9
    else:
        bar = case.stop - 1
        field = {"days": "day_m2", "counter": "exposed_bars"}[what]
        fast.state.account[field] += 1
    found = located(plain_case(case.config, case.market), slow, fast)
    if what == "days" and fast.state.account["days"][0] == 0:
        assert found is None, "no day ended"
        return
    assert found is not None and (found.bar, found.stage) == (bar, stage), found


def test_the_rung_says_bar_and_stage(case: Case) -> None:
    price = case.market.price.copy()
    order = case.trace.fills[0]
    price[order["bar"], order["asset"]] *= 1.01
    passed, detail, facts = plain_rung(case, case.market._replace(price=price))
    assert not passed and facts["first_bar"] == order["bar"] and facts["first_stage"] in ("intent", "fill")
    assert f"stage {facts['first_stage']}" in detail
    assert compare(case, case.market)[0] is None
