"""One bar's risk row from its inputs, and all bars' in one loop: the same function in research and live."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dolphin.core.jit import inline
from dolphin.core.posture import HYSTERESIS, check
from dolphin.core.records import APEX, DAY_NS, RISK, Floats, Ints, Records
from dolphin.risk.acb import SWITCH, beta_line, beta_switch, boost_of, breaker_of, signals_of, turn_of
from dolphin.risk.compiling import kernel
from dolphin.risk.forewarner import MISSING
from dolphin.risk.rules import FACTORS, RiskRules
from dolphin.risk.survival import rm2, rm3, rm4

#: What a bar's risk comes to. ``rm`` is the product of Rm1 to Rm4: Rm5 is the account's, not the market's.
ROW = np.dtype(
    [
        ("ready", "i8"),
        ("signals", "f8"),
        ("boost", "f8"),
        ("beta", "f8"),
        ("turn", "i8"),
        ("rm1", "f8"),
        ("rm2", "f8"),
        ("rm3", "f8"),
        ("rm4", "f8"),
        ("rm", "f8"),
        ("posture", "i8"),
    ],
    align=True,
)
#: What the stack carries from bar to bar beside its hysteresis: the boost and points of the bar before, and its day.
CARRY = np.dtype([("boost", "f8"), ("signals", "f8"), ("day", "i8"), ("begun", "i8")], align=True)
#: The rules that are numbers.
SETTING = np.dtype(
    [
        ("beta_mode", "i8"),
        ("beta_low", "f8"),
        ("beta_high", "f8"),
        ("daily", "i8"),
        ("factors", "i8"),
        ("books", "i8"),
        ("live", "i8"),
    ],
    align=True,
)


class Inputs(NamedTuple):
    """What risk rows are made from, row i known at bar i.

    ``ts`` (T,) int64; ``values`` (T, 9) float64 and ``ages`` (T, 9) int64 ns of the factors; ``esof`` (T,) float64
    multiplies the points; ``velocity``, ``p60`` (T,) float64 for beta's switch; ``invariants`` (T,) float64 Rm1;
    ``status`` (T,) int64 and ``hours`` (T,) float64 of the forewarner; ``depth``, ``fill`` (T,) float64 and
    ``book_age`` (T,) int64 ns of the reference's book, -1 missing; ``spike`` (T,) float64 minutes, infinite never.
    """

    ts: Ints
    values: Floats
    ages: Ints
    esof: Floats
    velocity: Floats
    p60: Floats
    invariants: Floats
    status: Ints
    hours: Floats
    depth: Floats
    fill: Floats
    book_age: Ints
    spike: Floats


def neutral_inputs(ts: Ints) -> Inputs:
    """Nothing known: rows of these alone are neutral."""
    bars, factors = len(ts), len(FACTORS)
    unknown = np.full(bars, np.nan)
    return Inputs(
        ts=np.asarray(ts, np.int64),
        values=np.full((bars, factors), np.nan),
        ages=np.full((bars, factors), -1, np.int64),
        esof=np.ones(bars),
        velocity=unknown,
        p60=unknown,
        invariants=np.ones(bars),
        status=np.full(bars, MISSING, np.int64),
        hours=unknown,
        depth=unknown,
        fill=unknown,
        book_age=np.full(bars, -1, np.int64),
        spike=np.full(bars, np.inf),
    )


def setting_record(rules: RiskRules, *, factors: bool, books: bool, live: bool = False) -> Records:
    """One SETTING. Where there is no source of ``factors`` beta is 0, and where there is one of ``books`` a missing
    book counts as stale."""
    record = np.zeros(1, SETTING)
    record["beta_mode"] = rules.beta_mode == "w750_switch"
    record["beta_low"], record["beta_high"] = rules.beta_low, rules.beta_high
    record["daily"], record["factors"] = rules.update == "day", factors
    record["books"], record["live"] = books, live
    return record


def new_carry() -> tuple[Records, Records]:
    """State before the first bar: CARRY and HYSTERESIS, in APEX."""
    carry, hysteresis = np.zeros(1, CARRY), np.zeros(1, HYSTERESIS)
    carry["boost"], carry["signals"] = 1.0, -1.0
    hysteresis["posture"] = APEX
    return carry, hysteresis


@inline
def row_of(setting, breaker, carry, hysteresis, inputs, i, out):  # type: ignore[no-untyped-def]
    """Write the risk row of bar ``i``."""
    day = inputs.ts[i] // DAY_NS
    signals = carry.signals
    if setting.daily == 0 or carry.begun == 0 or day != carry.day:
        signals = signals_of(breaker, inputs.values, inputs.ages, i)
    carry.signals = signals
    carry.day = day
    out.ready = 1 if signals >= 0.0 else 0
    out.signals = max(signals, 0.0) * inputs.esof[i]
    out.boost = boost_of(out.signals)
    if setting.beta_mode == SWITCH:
        out.beta = beta_switch(inputs.velocity[i], inputs.p60[i], setting.beta_low, setting.beta_high)
    else:
        out.beta = beta_line(out.boost)
    if setting.factors == 0:
        out.beta = 0.0  # the neutral value
    out.turn = turn_of(carry.boost, out.boost, inputs.depth[i]) if carry.begun == 1 else 0
    carry.boost = out.boost
    carry.begun = 1
    out.rm1 = inputs.invariants[i]
    out.rm2 = rm2(inputs.status[i], inputs.hours[i], setting.live == 1)
    out.rm3 = rm3(inputs.depth[i], inputs.fill[i], inputs.book_age[i]) if setting.books == 1 else 1.0
    out.rm4 = rm4(inputs.spike[i])
    others = out.rm2 * out.rm3 * out.rm4
    out.rm = out.rm1 * others
    out.posture = check(hysteresis, out.rm1, others)


@kernel(nogil=True)
def rows_into(setting, breaker, carry, hysteresis, inputs, out):  # type: ignore[no-untyped-def]
    """Risk rows of all bars, one after the other."""
    for i in range(out.size):
        row_of(setting[0], breaker, carry[0], hysteresis[0], inputs, i, out[i])


def risk_rows(
    inputs: Inputs,
    rules: RiskRules,
    *,
    factors: bool = True,
    books: bool = True,
    live: bool = False,
    state: tuple[Records, Records] | None = None,
) -> Records:
    """(T,) of ROW; with ``state`` (:func:`new_carry`) it goes on from there, else from the start."""
    carry, hysteresis = state or new_carry()
    out = np.zeros(len(inputs.ts), ROW)
    setting = setting_record(rules, factors=factors, books=books, live=live)
    rows_into(setting, breaker_of(rules), carry, hysteresis, inputs, out)
    return out


def step_columns(rows: Records) -> Records:
    """(T,) of RISK: what the step reads of risk rows; the book's quality is the score that Rm3 was made from."""
    risk = np.zeros(len(rows), RISK)
    for name in ("boost", "beta", "rm", "posture", "rm1"):
        risk[name] = rows[name]
    risk["others"] = rows["rm2"] * rows["rm3"] * rows["rm4"]
    risk["quality"] = np.clip((rows["rm3"] - 0.3) / 0.7, 0.0, 1.0)
    return risk
