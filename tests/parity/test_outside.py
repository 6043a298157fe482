"""Each way to know what a decision may not know is found, or said; what a function knows is in its digest."""

from __future__ import annotations

import ctypes
import time
from dataclasses import replace
from types import ModuleType

import numba
import numpy as np
import pytest
from strategies_for_tests import TWO_SLOTS
from test_strategy_conformance import config_of, walk
from wrong_strategies import RIGHT, Params, declared, enter, leave, right, signal

from dolphin.core.jit import inline
from dolphin.core.mistakes import StrategyError
from dolphin.core.strategy import Strategy
from dolphin.features import Feature
from dolphin.parity.outside import RULE
from dolphin.parity.own_features import reads_its_inputs
from dolphin.parity.strategy_conformance import Rule, tried
from dolphin.parity.written_in import TABLE, outside_functions, tables

C_TIME = ctypes.CDLL(None).time
C_TIME.restype, C_TIME.argtypes = ctypes.c_long, [ctypes.c_void_p]

#: Known by nobody who decides bar by bar: in which rows to buy, and at which times.
ROWS = np.arange(20, 330, 11)
TIMES = tuple(int(ts) for ts in walk(1).ts[ROWS])
NESTED = ((ROWS, 1.0), 3)
ALMANAC = ModuleType("almanac")
ALMANAC.times = TIMES
WEIGHTS = np.linspace(-1.0, 1.0, 2 * TABLE)
CHANGING = np.ones(3)
FAVOURITE = 2


def judged(decide, **others) -> Rule:
    strategy = declared(decide, **others)
    return tried(config_of(strategy), RULE, {"walk": walk(len(strategy.columns))})


@inline
def opens_a_file(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and len(open("prices.csv").read()) > 0:  # noqa: PTH123, SIM115 - the mistake
        enter(state, params, market, i)


@inline
def looks_at_the_clock(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and time.time() > 0.0:
        enter(state, params, market, i)


@inline
def asks_python(state, params, market, i):
    leave(state, params, i)
    with numba.objmode(now="float64"):
        now = time.time()
    if signal(params, market, i) and now > 0.0:
        enter(state, params, market, i)


@pytest.mark.parametrize("decide", [opens_a_file, looks_at_the_clock])
def test_no_file_and_no_clock_compile_into_a_decision(decide):
    with pytest.raises(StrategyError) as told:
        judged(decide)
    assert "\n" not in str(told.value)


@inline
def asks_the_system(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and C_TIME(0) > 0:
        enter(state, params, market, i)


@pytest.mark.parametrize(("decide", "name"), [(asks_the_system, "C_TIME"), (asks_python, "objmode")])
def test_a_function_from_outside_is_named(decide, name):
    found = judged(decide)
    assert not found.passed and found.field == name and "files, clocks" in found.detail
    assert outside_functions(RIGHT.functions) == outside_functions(TWO_SLOTS.functions) == []


@inline
def knows_rows(state, params, market, i):
    leave(state, params, i)
    for row in ROWS:
        if row == i:
            enter(state, params, market, i)


@inline
def knows_times(state, params, market, i):
    leave(state, params, i)
    for ts in TIMES:
        if ts == market.ts[i]:
            enter(state, params, market, i)


@inline
def knows_rows_in_a_tuple(state, params, market, i):
    leave(state, params, i)
    for row in NESTED[0][0]:
        if row == i:
            enter(state, params, market, i)


@inline
def is_marked(ts, times=TIMES):
    found = False
    for one in times:
        found = found or one == ts
    return found


@inline
def knows_by_default(state, params, market, i):
    leave(state, params, i)
    if is_marked(market.ts[i]):
        enter(state, params, market, i)


def closing_over(rows):
    @inline
    def knows_by_closure(state, params, market, i):
        leave(state, params, i)
        for row in rows:
            if row == i:
                enter(state, params, market, i)

    return knows_by_closure


@inline
def knows_a_module(state, params, market, i):
    leave(state, params, i)
    for ts in ALMANAC.times:
        if ts == market.ts[i]:
            enter(state, params, market, i)


@pytest.mark.parametrize(
    ("decide", "name", "how"),
    [
        pytest.param(knows_rows, "ROWS", "number of the row", id="global array"),
        pytest.param(knows_times, "TIMES", "date", id="tuple of dates", marks=pytest.mark.slow),
        pytest.param(knows_a_module, "ALMANAC.times", "date", id="of a module", marks=pytest.mark.slow),
        pytest.param(knows_rows_in_a_tuple, "NESTED", "number of the row", id="in a tuple", marks=pytest.mark.slow),
        pytest.param(knows_by_default, "times", "date", id="default", marks=pytest.mark.slow),
        pytest.param(
            closing_over(tuple(ROWS.tolist())), "rows", "number of the row", id="closure", marks=pytest.mark.slow
        ),
    ],
)
def test_a_table_that_knows_the_data_is_found(decide, name, how):
    found = judged(decide)
    assert not found.passed and found.field == name, found.detail
    assert f"'{name}'" in found.detail and how in found.detail


@inline
def weighs(state, params, market, i):
    leave(state, params, i)
    total = 0.0
    for weight in WEIGHTS:
        total += weight * weight * market.features[i, 0]
    if total < -params.least and market.price[i, 0] > 0.0:
        enter(state, params, market, i)


@pytest.mark.slow
def test_a_table_of_weights_is_said_and_passes():
    found = judged(weighs)
    assert found.passed and "tables that decide: WEIGHTS" in found.detail, found.detail
    assert tables([weighs]) == {"WEIGHTS": 2 * TABLE}


def mutating_warmup(params: Params) -> int:
    CHANGING[0] += 1.0
    return 1


@inline
def reads_what_changes(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and CHANGING[0] > 0.0:
        enter(state, params, market, i)


def test_a_global_that_changes_after_compiling_is_named():
    found = judged(reads_what_changes, warmup_bars=mutating_warmup)
    assert not found.passed and found.field == "CHANGING" and "keeps the old value" in found.detail


@inline
def counts_days(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and state.day_ends.shape[0] % 2 == 0:
        enter(state, params, market, i)


@pytest.mark.slow
def test_the_room_for_days_to_come_is_no_input():
    found = judged(counts_days)
    assert not found.passed and found.field == "state.day_ends"


@inline
def names_a_column(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and market.price[i, FAVOURITE] > market.price[max(i - 1, 0), FAVOURITE]:
        enter(state, params, market, i)


@inline
def trades_on_days(state, params, market, i):
    """A date without a table is no look-ahead, but is said."""
    leave(state, params, i)
    if signal(params, market, i) and market.ts[i] % (14 * 86_400_000_000_000) < 7 * 86_400_000_000_000:
        enter(state, params, market, i)


def shares(found: Rule) -> list[float]:
    return [float(word.rstrip("%;,")) for word in found.detail.split() if word.rstrip(";,").endswith("%")]


@pytest.mark.slow
def test_how_much_depends_on_dates_rows_and_columns_is_said():
    plain, column, dated = judged(right), judged(names_a_column), judged(trades_on_days)
    assert plain.passed and column.passed and dated.passed
    assert shares(plain)[:2] == [0.0, 0.0] and shares(dated)[0] > 10.0
    assert shares(column)[2] > 0.0


@pytest.mark.parametrize("change", ["array", "tuple", "default", "closure"])
def test_what_a_function_knows_is_in_its_digest(change):
    if change in ("array", "tuple"):
        strategy = replace(RIGHT, decide=knows_rows if change == "array" else knows_rows_in_a_tuple)
        before, rows = strategy.digest, ROWS.copy()
        ROWS[0] += 1
        try:
            assert strategy.digest != before
        finally:
            ROWS[:] = rows
    elif change == "default":
        one, two = (with_default(of) for of in (TIMES, TIMES[1:]))
        assert one.digest != two.digest
    else:
        one, two = (replace(RIGHT, decide=closing_over(of)) for of in ((1, 2), (1, 3)))
        assert one.digest != two.digest


def with_default(times: tuple[int, ...]) -> Strategy:
    @inline
    def marked(ts, known=times):
        return ts == known[0]

    @inline
    def knows(state, params, market, i):
        if marked(market.ts[i]):
            leave(state, params, i)

    return replace(RIGHT, decide=knows)


DAYS_THAT_RISE = np.array([1_735_689_600_000_000_000 + 86_400_000_000_000 * k for k in range(1, 40, 3)])


@inline
def knows_days(state, bar, out):
    out[0] = bar.price[0]
    for day in DAYS_THAT_RISE:
        if bar.ts - bar.ts % 86_400_000_000_000 == day:
            out[0] = 0.0


@inline
def knows_nothing(state, bar, out):
    out[0] = bar.price[0]


@inline
def feature_with_a_clock(state, bar, out):
    out[0] = bar.price[0] * C_TIME(0)


@pytest.mark.parametrize(
    ("update", "passes", "words"),
    [
        (knows_days, False, "'DAYS_THAT_RISE' (13 numbers) is a memory of the data"),
        (feature_with_a_clock, False, "C_TIME"),
        (knows_nothing, True, "depend on the date 0.0%"),
    ],
)
def test_a_feature_reads_its_inputs_only(update, passes, words):
    market = walk(1)
    feature = Feature(name="mine", update=update, memory=0, warmup_bars=1)
    found = reads_its_inputs(feature, market.ts, np.ascontiguousarray(market.price[:, :1]))
    assert found.passed == passes and words in found.detail, found.detail
