"""A compiled run seen as the slow engine sees one, and the first thing in which the two differ."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from typing import Any, NamedTuple

import numpy as np

from dolphin.core.digest import STAGES
from dolphin.core.engine import Engine
from dolphin.core.records import NONE, TRADE, Market, Records, State
from dolphin.live.answers import order_direction
from dolphin.parity.slow.book import NONE as NOTHING
from dolphin.parity.slow.book import REVERSE
from dolphin.parity.slow.engine import WISH, Case, SlowRun

#: What of the account both engines count, bit by bit.
COUNTED = (
    "capital", "equity", "peak_equity", "max_drawdown", "funding", "fees_paid", "traded", "trades", "wins",
    "open_positions", "ruined", "bars", "exposed_bars",
)  # fmt: skip
DAY = 86_400_000_000_000  # ns


@dataclass
class CompiledRun:
    """Bars ``start`` on: per bar capital, equity, its peak and refusals; all wishes, fills and trades; how it ended."""

    state: State
    start: int
    capital: list[float] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    refused: list[list[int]] = field(default_factory=list)
    wishes: list[tuple[Any, ...]] = field(default_factory=list)
    fills: list[tuple[Any, ...]] = field(default_factory=list)
    digests: list[int] = field(default_factory=list)
    trades: Records = field(default_factory=lambda: np.zeros(0, TRADE))

    def working(self) -> list[tuple[Any, ...] | None]:
        """The order that each slot has in the market at the end: what it would trade and how, or None."""
        return [
            (float(o["qty"]), int(o["kind"]), float(o["limit"]), float(o["trigger"])) if o["action"] != NONE else None
            for o in self.state.working
        ]


def run_compiled(
    engine: Engine, params: Records, friction: Records, market: Market, capital: float, start: int, stop: int
) -> CompiledRun:
    """Bars ``start`` to ``stop``, one call per bar, from a flat account."""
    state = engine.new_state(market.price.shape[1], capital)
    run, stages = CompiledRun(state, start), np.zeros(len(STAGES), np.uint64)
    trades, account, slots = np.zeros(1024, TRADE), state.account[0], len(state.slots)
    for i in range(start, stop):
        if len(trades) - int(account["trades"]) < len(state.fills):
            trades = np.concatenate([trades, np.zeros(len(trades), TRADE)])
        engine.kernels.step_bar(state, params, friction, market, i, trades, stages)
        run.capital.append(float(account["capital"]))
        run.equity.append(float(account["equity"]))
        run.peak.append(float(account["peak_equity"]))
        run.refused.append(state.refused.tolist())
        for s in np.flatnonzero(state.intents["action"] != NONE).tolist():
            run.wishes.append((i, s, *(state.intents[s][name].item() for name in WISH[2:])))
        run.digests.append(int(account["digest"]))
        for f in np.flatnonzero(state.fills["action"] != NONE).tolist():
            fill = state.fills[f]
            money = (float(fill[name]) for name in ("qty", "price", "fee"))
            run.fills.append((i, f % slots, order_direction(fill), *money))
    run.trades = trades[: int(account["trades"])]
    return run


class Difference(NamedTuple):
    """Where two runs part: the bar, the first stage that differs in it, and what it is in words."""

    bar: int
    stage: str
    sentence: str


def first_difference(case: Case, slow: SlowRun, fast: CompiledRun) -> str | None:
    """What differs first between the two runs of a case over the same bars, in words; None if no bit does."""
    found = located(case, slow, fast)
    return found.sentence if found else None


def located(case: Case, slow: SlowRun, fast: CompiledRun) -> Difference | None:
    """The first bar in which the runs differ, and the first stage there: intent, fill or state."""
    found = (_intents(slow, fast), _refusals(slow, fast), _fills(slow, fast), _books(slow, fast), _trades(slow, fast))
    first = min((one for one in found if one), key=lambda one: one.bar, default=None)
    return first or _ended(case, slow, fast)


def _intents(slow: SlowRun, fast: CompiledRun) -> Difference | None:
    """What was wanted and not refused, as :data:`WISH` names it."""
    for a, b in zip_longest(slow.wishes, fast.wishes):
        if a is None or b is None or not _same(a, b):
            bar = min(one[0] for one in (a, b) if one is not None)
            return Difference(bar, "intent", f"bar {bar}: wish {a}, compiled {b} {WISH}")
    return None


def _refusals(slow: SlowRun, fast: CompiledRun) -> Difference | None:
    for k, refused in enumerate(slow.refused):
        if refused != fast.refused[k]:
            bar = fast.start + k
            return Difference(bar, "intent", f"bar {bar}: refused {refused}, compiled {fast.refused[k]}")
    return None


def _books(slow: SlowRun, fast: CompiledRun) -> Difference | None:
    for k in range(len(slow.refused)):
        for name in ("capital", "equity", "peak"):
            ours, theirs = getattr(slow, name)[k], getattr(fast, name)[k]
            if _bits(ours) != _bits(theirs):
                bar = fast.start + k
                return Difference(bar, "state", f"bar {bar}: {name} {ours!r}, compiled {theirs!r}")
    return None


def _fills(slow: SlowRun, fast: CompiledRun) -> Difference | None:
    fills = [(f.bar, f.slot, f.direction, f.qty, f.price, f.fee) for f in slow.fills]
    fills.sort(key=lambda f: f[0])
    for k, (a, b) in enumerate(zip_longest(fills, fast.fills)):
        if a is None or b is None or not _same(a, tuple(b)):
            bar = min(one[0] for one in (a, b) if one is not None)
            return Difference(bar, "fill", f"fill {k}: {a}, compiled {b} (bar, slot, direction, qty, price, fee)")
    return None


def _trades(slow: SlowRun, fast: CompiledRun) -> Difference | None:
    names = [name for name in TRADE.names or () if slow.trades and name in slow.trades[0]._fields]
    for k, (trade, row) in enumerate(zip(slow.trades, fast.trades, strict=False)):
        for name in names:
            if not _same(getattr(trade, name), row[name].item()):
                sentence = f"trade {k}: {name} {getattr(trade, name)!r}, compiled {row[name].item()!r}"
                return Difference(min(trade.exit_bar, int(row["exit_bar"])), "state", sentence)
    if len(slow.trades) != len(fast.trades):
        bar = fast.start + len(slow.refused) - 1
        return Difference(bar, "state", f"{len(slow.trades)} trades, compiled {len(fast.trades)}")
    return None


def _ended(case: Case, slow: SlowRun, fast: CompiledRun) -> Difference | None:
    """What is only looked at when the runs are over: counters, days, working orders."""
    bar = fast.start + len(slow.refused) - 1
    sentence = _account(slow, fast) or _days(case, slow, fast) or _working(case, slow, fast)
    return Difference(bar, "state", f"after bar {bar}: {sentence}") if sentence else None


def _account(slow: SlowRun, fast: CompiledRun) -> str | None:
    account = fast.state.account[0]
    for name in COUNTED:
        ours, theirs = getattr(slow.account, name), account[name].item()
        if not _same(ours, theirs):
            return f"account's {name} {ours!r}, compiled {theirs!r}"
    return None


def _days(case: Case, slow: SlowRun, fast: CompiledRun) -> str | None:
    """Returns of the UTC days that ended within the run (ENGINE section 5): how many, their mean and deviation."""
    account, bars = fast.state.account[0], len(slow.equity)
    day = (case.market["ts"][fast.start : fast.start + bars] - 1) // DAY
    ends = [case.capital, *(slow.equity[k] for k in range(bars - 1) if day[k + 1] != day[k])]
    if min(ends) <= 0.0:  # no return after a ruin
        return None
    returns = [b / a - 1.0 for a, b in pairwise(ends)]
    if len(returns) != account["days"]:
        return f"{len(returns)} days ended, compiled {int(account['days'])}"
    if not returns:
        return None
    mean = math.fsum(returns) / len(returns)
    square = math.fsum((x - mean) ** 2 for x in returns)
    for name, ours, theirs in (
        ("mean", mean, float(account["day_mean"])),
        ("square", square, float(account["day_m2"])),
    ):
        if not abs(ours - theirs) <= 1e-9 * max(abs(x) for x in (*returns, 1e-9)):
            return f"days' {name} {ours!r}, compiled {theirs!r}"
    return None


def _working(case: Case, slow: SlowRun, fast: CompiledRun) -> str | None:
    for s, (order, theirs) in enumerate(zip(slow.working, fast.working(), strict=True)):
        ours = None
        if order.action != NOTHING:
            lot, qty = case.market["instruments"][order.asset], order.qty
            if order.action == REVERSE:
                lots = round(slow.slots[s].qty / float(lot["lot"])) + round(order.qty / float(lot["lot"]))
                qty = lots * float(lot["lot_num"]) / float(lot["lot_den"])
            ours = (qty, order.kind, order.limit, order.trigger)
        if not _same(ours, theirs):
            return f"working order of slot {s}: {ours}, compiled {theirs}"
    return None


def _bits(value: float) -> bytes:
    """A number's bits; every NaN is the same."""
    return b"nan" if value != value else struct.pack("<d", value)


def _same(a: object, b: object) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) or isinstance(b, float):
        return _bits(float(a)) == _bits(float(b))  # type: ignore[arg-type]
    return a == b
