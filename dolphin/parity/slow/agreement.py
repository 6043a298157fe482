"""A compiled run seen as the slow engine sees one, and the first thing in which the two differ."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dolphin.core.digest import STAGES
from dolphin.core.engine import Engine
from dolphin.core.records import NONE, TRADE, Market, Records, State
from dolphin.live.session import order_direction
from dolphin.parity.slow.book import NONE as NOTHING
from dolphin.parity.slow.book import REVERSE
from dolphin.parity.slow.engine import Case, SlowRun


@dataclass
class CompiledRun:
    """Bars ``start`` on: per bar capital, equity and refusals; every fill; all trades; how it ended."""

    state: State
    start: int
    capital: list[float] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    refused: list[list[int]] = field(default_factory=list)
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
        run.refused.append(state.refused.tolist())
        run.digests.append(int(account["digest"]))
        for f in np.flatnonzero(state.fills["action"] != NONE).tolist():
            fill = state.fills[f]
            money = (float(fill[name]) for name in ("qty", "price", "fee"))
            run.fills.append((i, f % slots, order_direction(fill), *money))
    run.trades = trades[: int(account["trades"])]
    return run


def first_difference(case: Case, slow: SlowRun, fast: CompiledRun) -> str | None:
    """What differs first between the two runs of a case over the same bars, in words; None if no bit does."""
    return _per_bar(slow, fast) or _fills(slow, fast) or _trades(slow, fast) or _working(case, slow, fast)


def _per_bar(slow: SlowRun, fast: CompiledRun) -> str | None:
    for k, refused in enumerate(slow.refused):
        i = fast.start + k
        if refused != fast.refused[k]:
            return f"bar {i}: refused {refused}, compiled {fast.refused[k]}"
        for name in ("capital", "equity"):
            ours, theirs = getattr(slow, name)[k], getattr(fast, name)[k]
            if _bits(ours) != _bits(theirs):
                return f"bar {i}: {name} {ours!r}, compiled {theirs!r}"
    return None


def _fills(slow: SlowRun, fast: CompiledRun) -> str | None:
    fills = [(f.bar, f.slot, f.direction, f.qty, f.price, f.fee) for f in slow.fills]
    fills.sort(key=lambda f: f[0])
    for k, (a, b) in enumerate(zip(fills, fast.fills, strict=False)):
        if not _same(a, tuple(b)):
            return f"fill {k}: {a}, compiled {b}"
    if len(fills) != len(fast.fills):
        return f"{len(fills)} fills, compiled {len(fast.fills)}"
    return None


def _trades(slow: SlowRun, fast: CompiledRun) -> str | None:
    if len(slow.trades) != len(fast.trades):
        return f"{len(slow.trades)} trades, compiled {len(fast.trades)}"
    names = [name for name in TRADE.names or () if slow.trades and name in slow.trades[0]._fields]
    for k, (trade, row) in enumerate(zip(slow.trades, fast.trades, strict=True)):
        for name in names:
            if not _same(getattr(trade, name), row[name].item()):
                return f"trade {k}: {name} {getattr(trade, name)!r}, compiled {row[name].item()!r}"
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
