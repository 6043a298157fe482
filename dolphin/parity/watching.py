"""A run seen from inside the bar: what ``decide`` met, what it wrote, and what became of it.

The bar is cut around the decision, which is compiled with bounds checks and so may be let loose on anything. What
is around it knows of a strategy only its shape (slots, memory, kinds of order): a stand-in of that shape has the
step, and strategies of one shape share what is compiled for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from pydantic import BaseModel

from dolphin.config import Config
from dolphin.core.book import mark
from dolphin.core.bounds import bounds_checked
from dolphin.core.compiling import mistake_of
from dolphin.core.engine import NO_TRADES, Engine, engine_for
from dolphin.core.hooks import slot_count
from dolphin.core.jit import checked, inline, kernel
from dolphin.core.records import NONE, Market, Records, State
from dolphin.core.refusals import refuse
from dolphin.core.strategy import Strategy
from dolphin.core.trading import begin, liquidate, match_working, pay_funding, trade_now

#: What of a state is kept of every bar, in the order in which differences are told.
SEEN = ("intents", "memory", "refused", "fills", "working", "slots", "account")
#: What ``decide`` may write.
WRITABLE = ("intents", "memory", "scratch", "ranking")

#: Says which row of what arrays there are at a bar: the market that ``decide`` is shown.
Shown = Callable[[int], Market]


@kernel(_nrt=False)
def before_decision(state, friction, market, i, trades):  # type: ignore[no-untyped-def]
    """A bar up to the decision."""
    begin(state)
    pay_funding(state, market, i)
    match_working(state, friction[0], market, i, trades)
    liquidate(state, friction[0], market, i, trades)


@kernel(_nrt=False)
def after_decision(state, friction, market, i, trades):  # type: ignore[no-untyped-def]
    """A bar from the decision on; no digest is folded."""
    refuse(state, friction[0], market, i)
    trade_now(state, friction[0], market, i, trades)
    mark(state, slot_count(state), market, i)


@inline
def _nothing(state, params, market, i):  # type: ignore[no-untyped-def]
    pass


class _NoParams(BaseModel):
    pass


class Broken(Exception):
    """A rule that does not hold: in words, and the bar and field that broke it first."""

    def __init__(self, detail: str, bar: int | None = None, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail, self.bar, self.field = detail, bar, field


class Outside(Exception):
    """``decide`` read or wrote outside an array at ``bar``."""

    def __init__(self, bar: int, what: str) -> None:
        super().__init__(what)
        self.bar, self.what = bar, what


@dataclass(frozen=True)
class Trace:
    """A run from ``start`` on: per bar what is named in :data:`SEEN`, (bars, ...) each, and the state at its end."""

    start: int
    seen: dict[str, Records]
    state: State

    def part(self, low: int, high: int | None = None) -> Trace:
        """The same without the bars before ``low`` and from ``high`` on."""
        rows = slice(low - self.start, None if high is None else high - self.start)
        return Trace(low, {name: values[rows] for name, values in self.seen.items()}, self.state)

    @property
    def orders(self) -> int:
        """Wishes that were not refused."""
        return int(((self.seen["intents"]["action"] != NONE) & (self.seen["refused"] == 0)).sum())


class Difference(NamedTuple):
    """Where two runs part."""

    bar: int
    field: str


def first_difference(
    ours: Trace, theirs: Trace, names: tuple[str, ...] = SEEN, scale: Callable[[str, str], float] | None = None
) -> Difference | None:
    """The first bar, and the first field of it, in which two runs are not the same bit for bit; any NaN is another's.

    ``scale(name, field)`` is what our numbers are multiplied by first.
    """
    found: Difference | None = None
    for name in names:
        for field, a, b in _pairs(name, ours.seen[name], theirs.seen[name]):
            factor = scale(name, field) if scale is not None else 1.0
            here = a * factor if factor != 1.0 else a
            same = (here == b) | ((here != here) & (b != b))
            rows = np.flatnonzero(~same.reshape(len(same), -1).all(axis=1))
            if len(rows) and (found is None or ours.start + int(rows[0]) < found.bar):
                found = Difference(ours.start + int(rows[0]), f"state.{name}.{field}".rstrip("."))
    return found


def _pairs(name: str, a: Any, b: Any) -> Iterator[tuple[str, Any, Any]]:
    for field in a.dtype.names or ():
        if field != "digest" and not field.startswith("strategy_"):
            yield field, a[field], b[field]
    if a.dtype.names is None:
        yield "", a, b


class Watch:
    """One configuration's strategy, to be run bar by bar on markets of one number of assets.

    Raises
    ------
    StrategyError
        If ``decide`` or ``may_enter`` does not compile.
    """

    def __init__(self, config: Config, market: Market) -> None:
        self.config = config
        self.strategy = config.engine.strategy
        self.assets = market.price.shape[1]
        self.engine: Engine = engine_for(_stand_in(self.strategy, self.assets))
        self.params = config.params_record()
        known = tuple(map(numba.typeof, (self.new_state(), self.params[0], market, 0)))
        wrong = mistake_of(self.strategy, known, self.params.dtype.names or ())
        if wrong is not None:
            raise wrong
        decide = bounds_checked(self.strategy.decide)
        may = self.strategy.may_enter and bounds_checked(self.strategy.may_enter)
        self._decide = checked(lambda state, params, market, i: decide(state, params[0], market, i))
        self._may = may and checked(lambda params, market, i: may(params[0], market, i))

    def friction(self, fill_next: bool) -> Records:
        """What trading costs by the config, with this timing of fills."""
        record = self.config.friction_record()
        record["fill_next"] = fill_next
        return record

    def new_state(self, scratch: float = 0.0) -> State:
        """A flat account, with this number all over its scratch."""
        state = self.engine.new_state(self.assets, self.config.account.initial_capital)
        return state._replace(scratch=np.full(self.assets, scratch))

    def may_enter(self, market: Market, i: int) -> bool:
        """What the strategy promises of bar ``i``; True where it promises nothing."""
        return self._may is None or bool(self._call(self._may, i, self.params, market, i))

    def decide(self, state: State, params: Records, market: Market, i: int) -> None:
        """The decision alone.

        Raises
        ------
        Outside
        """
        self._call(self._decide, i, state, params, market, i)

    def _call(self, function: Any, i: int, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except IndexError as error:
            raise Outside(i, str(error)) from None
        except Exception as error:  # whatever the author's code raises
            raise Outside(i, f"raised {type(error).__name__}: {' '.join(str(error).split())}") from None

    def run(
        self,
        market: Market,
        start: int,
        stop: int,
        *,
        fill_next: bool = False,
        params: Records | None = None,
        state: State | None = None,
        shown: Shown | None = None,
        look: Callable[[int, State, Records, bool], None] | None = None,
    ) -> Trace:
        """Bars ``start`` to ``stop``; ``shown`` gives the decision another market than the fills.

        ``look(i, state, params, decided)`` is called before and after every decision.
        """
        state = self.new_state(scratch=7.25) if state is None else state
        params = np.array(self.params if params is None else params)
        friction = self.friction(fill_next)
        seen = {
            name: np.zeros((stop - start, *getattr(state, name).shape), getattr(state, name).dtype) for name in SEEN
        }
        for i in range(start, stop):
            before_decision(state, friction, market, i, NO_TRADES)
            if look is not None:
                look(i, state, params, False)
            self.decide(state, params, shown(i) if shown is not None else market, i)
            if look is not None:
                look(i, state, params, True)
            seen["intents"][i - start] = state.intents
            after_decision(state, friction, market, i, NO_TRADES)
            for name in SEEN[1:]:
                seen[name][i - start] = getattr(state, name)
        for name in ("intents", "fills", "working"):  # what is left over in records that say nothing
            seen[name][seen[name]["action"] == NONE] = np.zeros((), seen[name].dtype)
        slots = seen["slots"]
        flat = slots["side"] == 0
        realised = slots["realised"][flat]
        slots[flat] = np.zeros((), slots.dtype)
        slots["realised"][flat] = realised
        return Trace(start, seen, state)


@functools.cache
def _stand_in(strategy: Strategy, assets: int) -> Strategy:
    """A strategy of the same shape that does nothing."""
    liquidation = strategy.reasons.index("LIQUIDATION") if strategy.margin else None
    return Strategy(
        name="watched",
        decide=_nothing,
        params=_NoParams,
        features=(),
        reasons=tuple("LIQUIDATION" if k == liquidation else f"R{k}" for k in range(len(strategy.reasons))),
        warmup_bars=lambda params: 0,
        slots=strategy.slots,
        memory=strategy.memory_of(assets),
        orders=strategy.orders,
        resize=strategy.resize,
        margin=strategy.margin,
    )
