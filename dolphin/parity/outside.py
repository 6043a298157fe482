"""What a decision reads beside the rows that it is given: outside functions, tables, the calendar, places of rows.

A compiled function can reach no file and no clock but through a function from outside, which is named. What else it
knows it has from the values that it was compiled with: these are in its digest, and a table among them is found by
compiling the function alone with another one. A table that is decided by, where decisions also depend on the date or on
the number of the row, is a memory of the data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dolphin.core import fingerprint
from dolphin.core.mistakes import StrategyError
from dolphin.core.records import DAY_NS, NONE, Market, State
from dolphin.core.strategy import Strategy
from dolphin.parity.watching import Broken, Outside, Trace, Watch, first_difference
from dolphin.parity.written_in import outside_functions, tables, with_other

if TYPE_CHECKING:
    from dolphin.parity.strategy_rules import Case

#: The rule's name.
RULE = "reads its inputs only"
#: Days by which all times are moved: weekdays and hours stay.
DAYS = 7
#: Share of decisions that may depend on the date or on the number of a row where tables decide.
SHARE = 0.01


def digest_of(strategy: Strategy) -> dict[str, str]:
    """What of a strategy its digest is made of that can change while a process runs: constants by name."""
    return dict(fingerprint.reach(strategy.functions)[1])


def changed_since(strategy: Strategy, before: Mapping[str, str]) -> str | None:
    """The first constant that is another than ``before``: compiled code still has the old one."""
    now = digest_of(strategy)
    return next((name for name in sorted(now.keys() | before.keys()) if now.get(name) != before.get(name)), None)


def wishes(run: Trace) -> set[tuple[int, ...]]:
    """What was wanted: bar, action, asset, side, kind of order."""
    intents = run.seen["intents"]
    where = np.argwhere(intents["action"] != NONE)
    return {
        (run.start + int(k), *(int(intents[name][k, s]) for name in ("action", "asset", "side", "kind")))
        for k, s in where
    }


def share(here: set[tuple[int, ...]], there: set[tuple[int, ...]]) -> float:
    """Share of wishes that only one of two runs has."""
    together = len(here | there)
    return len(here ^ there) / together if together else 0.0


def poisoned_state(state: State) -> State:
    """A flat state in which all that no decision may read says something else."""
    other = state._replace(day_ends=np.full(len(state.day_ends) + 3, -1e9))
    other.account["digest"] = 0x5EED
    return other


def calendar_share(watch: Watch, market: Market, stop: int, plain: Trace, *, late: bool) -> float:
    """Share of decisions that change when all times are moved by :data:`DAYS` days."""
    moved = market._replace(ts=market.ts + DAYS * DAY_NS)
    return share(wishes(plain), wishes(watch.run(moved, 0, stop, fill_next=late)))


def place_share(watch: Watch, market: Market, stop: int, warm: int, *, late: bool) -> float | None:
    """Share of decisions that change when the data begins later; None where there is too little of it."""
    rows = (stop - warm) // 3
    begin = warm + rows
    if rows < 8 or begin >= stop - 8:
        return None
    later = market._replace(**{name: np.array(values[rows:]) for name, values in market.by_row().items()})
    here = wishes(watch.run(market, begin, stop, fill_next=late))
    there = {(bar + rows, *rest) for bar, *rest in wishes(watch.run(later, begin - rows, stop - rows, fill_next=late))}
    return share(here, there)


def column_share(watch: Watch, market: Market, stop: int, plain: Trace, *, late: bool) -> float:
    """Share of decisions that change when the assets stand in another order: columns that are named by number."""
    assets = market.price.shape[1]
    order = np.roll(np.arange(assets), 1)  # column k of the other market is column order[k] of this one
    by_asset = {
        name: np.ascontiguousarray(values[:, order])
        for name, values in market.by_row().items()
        if values.ndim == 2 and name != "features" and values.shape[1] == assets
    }
    symbols = market.symbols.copy()
    place = np.argsort(order)
    for role in symbols.dtype.names or ():
        symbols[role] = place[symbols[role]]
    other = market._replace(**by_asset, instruments=market.instruments[order], symbols=symbols)
    there = wishes(watch.run(other, 0, stop, fill_next=late))
    back = {(bar, action, int(order[asset]), *rest) for bar, action, asset, *rest in there}
    return share(wishes(plain), back)


def other_table(watch: Watch, market: Market, name: str) -> Watch:
    """The same strategy, compiled alone with another table of this name."""
    strategy = watch.config.strategy
    may = strategy.may_enter and with_other(strategy.may_enter, name)
    changed = dataclasses.replace(strategy, decide=with_other(strategy.decide, name), may_enter=may, events=None)
    return Watch(dataclasses.replace(watch.config, strategy=changed), market)


def reads_its_inputs(case: Case) -> str:
    """Nothing from outside, no state that is not for it, no table that knows the data; what knows the date is said."""
    strategy = case.watch.strategy
    outside = outside_functions(strategy.functions)
    if outside:
        raise Broken(f"decide calls '{outside[0]}', which may read files, clocks or other processes", None, outside[0])
    known = digest_of(strategy)
    calendar, place, columns = [], [], []
    warm = int(strategy.warmup_bars(case.config.params))
    for name, market, timing in case.each():
        late, stop, plain = timing == "next", case.stop(market), case.plain(name, timing)
        other = case.watch.run(market, 0, stop, fill_next=late, state=poisoned_state(case.watch.new_state(7.25)))
        found = first_difference(plain, other)
        if found is not None and _repeats(case, market, late, plain):
            words = f"{found.field} of bar {found.bar} follows state.day_ends or the digest, which no decision may read"
            raise Broken(f"{words} (market '{name}')", found.bar, "state.day_ends")
        calendar.append(calendar_share(case.watch, market, stop, plain, late=late))
        place.append(place_share(case.watch, market, stop, warm, late=late))
        columns.append(column_share(case.watch, market, stop, plain, late=late))
    by_date, by_row, by_column = (
        max((x for x in kind if x is not None), default=0.0) for kind in (calendar, place, columns)
    )
    read = tables(strategy.functions)
    deciding = [name for name in read if _decides(case, name)]
    if deciding and max(by_date, by_row) > SHARE:
        how = f"with the date {by_date:.1%}" if by_date >= by_row else f"with the number of the row {by_row:.1%}"
        told = f"'{deciding[0]}' ({read[deciding[0]]} numbers) is a memory of the data: it decides, and {how}"
        raise Broken(f"{told} of all decisions change", None, deciding[0])
    gone = changed_since(strategy, known)
    if gone is not None:
        raise Broken(f"'{gone}' changed while the strategy ran; what is compiled keeps the old value", None, gone)
    said = f"decisions that depend on the date {by_date:.1%}, on the number of the row {by_row:.1%}"
    said += f", on the place of an asset's column {by_column:.1%}"
    return said + (f"; tables that decide: {', '.join(deciding)}" if deciding else "")


def _repeats(case: Case, market: Market, late: bool, plain: Trace) -> bool:
    """Whether the plain run can be had again: of one that throws dice another rule speaks."""
    return first_difference(plain, case.watch.run(market, 0, case.stop(market), fill_next=late)) is None


def _decides(case: Case, name: str) -> bool:
    """Whether another table of this name gives other decisions, or none."""
    for market_name, market, timing in case.each():
        try:
            other = other_table(case.watch, market, name)
            run = other.run(market, 0, case.stop(market), fill_next=timing == "next")
        except (Outside, StrategyError):
            return True
        if wishes(run) != wishes(case.plain(market_name, timing)):
            return True
    return False
