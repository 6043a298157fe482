"""The rules of :mod:`dolphin.parity.strategy_conformance`, one function each.

A rule takes a case and says in a line what was tried, or raises :class:`~dolphin.parity.watching.Broken`.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from dolphin.config import Config, params_records
from dolphin.core import fingerprint
from dolphin.core.engine import engine_for
from dolphin.core.records import INSTRUMENT, MARKET_COLUMNS, NONE, Market, Records, State
from dolphin.core.refusals import BAD_ASSET, BAD_QTY, BAD_SIDE, OFF_LOT, OFF_TICK, REFUSALS, UNDECLARED
from dolphin.core.snapshot import from_arrays, to_arrays
from dolphin.parity.in_plain import outside_at
from dolphin.parity.watching import WRITABLE, Broken, Outside, Trace, Watch, first_difference

#: Rows after the last bar that is run: the decision must not know of them.
AFTER = 64
#: Refusals of orders that no market could have taken; others may happen.
IMPOSSIBLE = (UNDECLARED, OFF_TICK, OFF_LOT, BAD_ASSET, BAD_SIDE, BAD_QTY)
#: Powers of two that prices are multiplied by.
SCALES = (7, -5)
TIMINGS = {"close": False, "next": True}
PRICES = ("open", "high", "low", "bid", "ask")


@dataclass
class Case:
    """What the rules share: the strategy compiled to be watched, markets by name, and plain runs on them."""

    watch: Watch
    config: Config
    markets: dict[str, Market]
    runs: dict[tuple[str, str], Trace] = field(default_factory=dict)

    def each(self) -> Iterator[tuple[str, Market, str]]:
        """Every market under every timing of fills."""
        for name, market in self.markets.items():
            for timing in TIMINGS:
                yield name, market, timing

    def stop(self, market: Market) -> int:
        """The bar that runs end before."""
        return max(1, len(market.ts) - AFTER)

    def plain(self, name: str, timing: str) -> Trace:
        """The run that the others are compared with."""
        if (name, timing) not in self.runs:
            market = self.markets[name]
            # A copy: it is not yet known whether decide writes.
            copy = Market(**{part: np.array(values) for part, values in market._asdict().items()})
            self.runs[name, timing] = self.watch.run(copy, 0, self.stop(market), fill_next=TIMINGS[timing])
        return self.runs[name, timing]

    @property
    def orders(self) -> int:
        """Orders of all plain runs."""
        return sum(self.plain(name, timing).orders for name, _, timing in self.each())


def _where(name: str, timing: str) -> str:
    return f"market '{name}', fills at the {'close' if timing == 'close' else 'next bar'}"


def _same(a: Trace, b: Trace, words: str, where: str) -> None:
    found = first_difference(a, b)
    if found is not None:
        raise Broken(f"{found.field} of bar {found.bar} {words} ({where})", found.bar, found.field)


def inside(case: Case) -> str:
    """No index lies outside an array: decisions are compiled with checks."""
    for name, _, timing in case.each():
        try:
            case.plain(name, timing)
        except Outside as outside:
            placed = outside_at(case.config, case.markets[name], 0, outside.bar + 1)
            what = str(placed) if placed else f"bar {outside.bar}: {outside.what}"
            raise Broken(f"{what} ({_where(name, timing)})", outside.bar) from None
    bars = sum(case.stop(market) for market in case.markets.values())
    return f"{bars} bars decided with every index checked, {case.orders} orders"


def pure(case: Case) -> str:
    """Nothing but intents, memory and scratch is another after a decision than before it."""
    kept = case.watch.strategy.memory_of(case.watch.assets)
    for name, market, timing in case.each():
        pristine = {part: values.tobytes() for part, values in market._asdict().items()}
        before: dict[str, Any] = {}

        def look(
            i: int,
            state: State,
            params: Records,
            decided: bool,
            market: Market = market,
            before: dict[str, Any] = before,
            pristine: dict[str, bytes] = pristine,
            where: str = _where(name, timing),
        ) -> None:
            seen = {f"state.{part}": values for part, values in state._asdict().items()
                    if part not in WRITABLE} | {"params": params}  # fmt: skip
            if kept == 0:
                seen["state.memory"] = state.memory
            if not decided:
                before.update({part: values.copy() for part, values in seen.items()})
                return
            for part, values in seen.items():
                if values.tobytes() != before[part].tobytes():
                    which = _changed(part, before[part], values)
                    raise Broken(f"decide changed {which} at bar {i} ({where})", i, which)
            for part, values in market._asdict().items():
                if values.tobytes() != pristine[part]:
                    raise Broken(f"decide changed market.{part} at bar {i} ({where})", i, f"market.{part}")

        try:
            case.watch.run(market, 0, case.stop(market), fill_next=TIMINGS[timing], look=look)
        finally:  # what was written is taken back: other rules read these rows
            for part, values in market._asdict().items():
                if values.tobytes() != pristine[part]:
                    values[...] = np.frombuffer(pristine[part], values.dtype).reshape(values.shape)
    return "decide wrote its intents, memory and scratch, and nothing else"


def _changed(part: str, before: Records, after: Records) -> str:
    names = [n for n in after.dtype.names or () if before[n].tobytes() != after[n].tobytes()]
    if part == "state.memory":
        return "state.memory, of which none is declared"
    return f"{part}.{names[0]}" if names else part


def orders(case: Case) -> str:
    """No wish that no market could take, and a reason that is declared; at least one order, or nothing was tried."""
    counted: Counter[str] = Counter()
    for name, _, timing in case.each():
        run = case.plain(name, timing)
        intents, refused = run.seen["intents"], run.seen["refused"]
        reasons = len(case.watch.strategy.reasons)
        undeclared = (intents["action"] != NONE) & ((intents["reason"] < 0) | (intents["reason"] >= reasons))
        for bar, slot in np.argwhere(np.isin(refused, IMPOSSIBLE) | undeclared):
            what = REFUSALS[refused[bar, slot]]
            if refused[bar, slot] in IMPOSSIBLE:
                told, which = f"an order that is refused as {what}", "state.refused"
            else:
                told = f"reason {intents['reason'][bar, slot]}, of {reasons} declared"
                which = "state.intents.reason"
            raise Broken(f"slot {slot} wants {told} at bar {bar} ({_where(name, timing)})", int(bar), which)
        counted.update(REFUSALS[code] for code in refused[refused != 0])
    if case.orders == 0:
        raise Broken("not one order was sent: give a config under which it trades, or a dataset")
    others = ", ".join(f"{name} {count}" for name, count in sorted(counted.items())) or "none"
    return f"{case.orders} orders; refusals that may happen: {others}"


def deterministic(case: Case) -> str:
    """The same bits again, whatever lies in scratch."""
    for name, market, timing in case.each():
        for scratch in (0.0, np.nan, -1e9):
            again = case.watch.run(
                market, 0, case.stop(market), fill_next=TIMINGS[timing], state=case.watch.new_state(scratch)
            )
            _same(case.plain(name, timing), again, "is another in another run", _where(name, timing))
    return "three more runs of each, with other numbers in scratch: the same bits"


def look_ahead(case: Case) -> str:
    """Every bar is a cut: rows after it are missing, other ones, or in another order."""
    for name, market, timing in case.each():
        stop, rng = case.stop(market), np.random.default_rng(3)
        for what in ("cut off", "missing", "altered", "shuffled"):
            later = _later(market, what, rng)

            def shown(i: int, later: Market = later, market: Market = market, cut: bool = what == "cut off") -> Market:
                for values, known in zip(later.by_row().values(), market.by_row().values(), strict=True):
                    values[i] = known[i]
                if not cut:
                    return later
                return later._replace(**{part: values[: i + 1] for part, values in later.by_row().items()})

            where = _where(name, timing)
            try:
                run = case.watch.run(market, 0, stop, fill_next=TIMINGS[timing], shown=shown)
            except Outside as outside:
                raise Broken(
                    f"bar {outside.bar} reads rows after it: {outside.what} ({where})", outside.bar, "market"
                ) from None
            _same(case.plain(name, timing), run, f"changes when later rows are {what}", where)
    return "each bar decided with all later rows cut off, missing, altered and shuffled: the same bits"


def _later(market: Market, what: str, rng: np.random.Generator) -> Market:
    """A copy whose rows are all still to come: the rows of bars are filled in as they come."""
    copy = market._replace(**{name: np.array(values) for name, values in market.by_row().items()})
    if what == "shuffled":
        order = rng.permutation(len(market.ts))
        for values, known in zip(copy.by_row().values(), market.by_row().values(), strict=True):
            values[:] = known[order]
        return copy
    floats = [values for values in copy.by_row().values() if values.dtype.kind == "f"]
    if what == "altered":
        for values in floats:
            values *= rng.uniform(0.5, 1.5, values.shape)
        copy.age[:] = rng.integers(0, 3, copy.age.shape)
        copy.risk["boost"] += rng.uniform(0.0, 1.0, len(copy.ts))
        return copy
    for values in floats:
        values[:] = np.nan
    copy.ts[:], copy.age[:], copy.risk[:] = 0, -1, np.zeros((), copy.risk.dtype)
    return copy


def warm_up(case: Case) -> str:
    """A run that has only the stated rows before it decides like one that has all."""
    warm = int(case.watch.strategy.warmup_bars(case.config.params))
    tried = sent = 0
    for name, market, timing in case.each():
        stop = case.stop(market)
        for begin in sorted({warm + 1, warm + 1 + (stop - warm) // 3}):
            if begin >= stop - 10:
                continue
            short = market._replace(**{part: np.array(values) for part, values in market.by_row().items()})
            low = begin - warm
            for part, values in short.by_row().items():
                if values.dtype.kind == "f":
                    values[:low] = np.nan
                elif part == "age":
                    values[:low] = -1
            full = case.watch.run(market, begin, stop, fill_next=TIMINGS[timing])
            cut = case.watch.run(short, begin, stop, fill_next=TIMINGS[timing])
            words = f"is another with only the stated {warm} bars before the start at bar {begin}"
            _same(full, cut, words, _where(name, timing))
            tried, sent = tried + 1, sent + full.orders
    if not tried:
        return f"not tried: {warm} bars are more than these markets have"
    return f"{tried} later starts with {warm} bars before them, {sent} orders: the same bits"


def promise(case: Case) -> str:
    """Where may_enter is False, a decision on flat slots wants nothing and leaves memory as it is."""
    if case.watch.strategy.may_enter is None:
        return "it promises nothing"
    denied = bars = 0
    for name, market, timing in case.each():
        where = _where(name, timing)
        for i in range(case.stop(market)):
            bars += 1
            if case.watch.may_enter(market, i):
                continue
            denied += 1
            state = _flat(case.plain(name, timing), i, case.watch)
            memory = state.memory.copy()
            case.watch.decide(state, case.watch.params, market, i)
            if (state.intents["action"] != NONE).any():
                raise Broken(
                    f"may_enter is False at bar {i}, and flat slots want to enter ({where})", i, "state.intents"
                )
            if memory.tobytes() != state.memory.tobytes():
                raise Broken(f"may_enter is False at bar {i}, and memory changes ({where})", i, "state.memory")
    if denied == 0:
        return f"it was True at all {bars} bars: nothing to keep"
    return f"{denied} of {bars} bars without an entry: nothing wanted, nothing remembered"


def _flat(run: Trace, i: int, watch: Watch) -> State:
    """A flat account with the memory that the run had before bar ``i``."""
    state = watch.new_state()
    if i > 0:
        state.memory[:] = run.seen["memory"][i - 1]
        for name in ("capital", "peak_equity", "bars", "day", "day_end"):
            state.account[name] = run.seen["account"][name][i - 1]
        state.account["equity"] = state.account["capital"]
        state.slots["realised"] = run.seen["slots"]["realised"][i - 1]
    return state


def resume(case: Case) -> str:
    """A run that is stopped, written down as arrays and taken up again is the run that went on."""
    for name, market, timing in case.each():
        stop = case.stop(market)
        plain, late = case.plain(name, timing), TIMINGS[timing]
        for cut in (stop // 5, stop // 2, 5 * stop // 6):
            first = case.watch.run(market, 0, cut, fill_next=late)
            state = from_arrays(case.watch.engine, case.watch.assets, to_arrays(first.state))
            rest = case.watch.run(market, cut, stop, fill_next=late, state=state)
            words = f"is another after a stop before bar {cut}: something is kept outside memory"
            _same(plain.part(cut), rest, words, _where(name, timing))
    return "stopped at three bars and taken up from arrays: the same bits"


def scale(case: Case) -> str:
    """Prices in another unit, quantities in the inverse one, the same money: the same decisions, exactly."""
    for name, market, timing in case.each():
        grid = _on_grid(market)
        late, stop = TIMINGS[timing], case.stop(market)
        plain = case.watch.run(grid, 0, stop, fill_next=late)
        for power in SCALES:
            other = _scaled(grid, power)
            found = first_difference(plain, case.watch.run(other, 0, stop, fill_next=late), _SCALED, _factor(power))
            if found is None:
                continue
            price = _absolute_price(case.watch, plain, other, stop, late, power) or _price_feature(
                case, plain, other, stop, late, power
            )
            if price is not None:
                return f"not tried: {price} is a price"
            raise Broken(
                f"{found.field} of bar {found.bar} is another when prices are {2.0**power:g} times as high and lots "
                f"as much smaller ({_where(name, timing)})",
                found.bar,
                found.field,
            )
    return f"prices times {' and '.join(f'{2.0**power:g}' for power in SCALES)}: the same decisions and money, exactly"


#: Memory may hold prices.
_SCALED = ("intents", "refused", "fills", "working", "slots", "account")


def _factor(power: int) -> Any:
    up, down = 2.0**power, 2.0**-power

    def factor(name: str, field: str) -> float:
        if field == "qty":
            return down
        return up if field in ("price", "limit", "trigger", "entry_price") else 1.0

    return factor


def _on_grid(market: Market) -> Market:
    """The market with logs of 2^-40 each, so that they can be moved without changing a difference."""
    return market._replace(log_price=np.round(market.log_price * 2.0**40) / 2.0**40)


def _scaled(market: Market, power: int) -> Market:
    up, instruments = 2.0**power, market.instruments.copy()
    assert instruments.dtype == INSTRUMENT
    for name in ("tick", "tick_num"):
        instruments[name] *= up
    for name in ("lot", "lot_num"):
        instruments[name] /= up
    more = {name: getattr(market, name) * up for name in PRICES}
    moved = np.round(power * np.log(2.0) * 2.0**40) / 2.0**40
    return market._replace(
        price=market.price * up, log_price=market.log_price + moved, instruments=instruments,
        volume=market.volume / up, **more,
    )  # fmt: skip


def _absolute_price(watch: Watch, plain: Trace, other: Market, stop: int, late: bool, power: int) -> str | None:
    """The parameter that is a price: with it in the new unit, too, the decisions are the same."""
    floats = [n for n in watch.params.dtype.names or () if watch.params.dtype[n].kind == "f" and watch.params[n][0]]
    for name in floats:
        params = watch.params.copy()
        params[name] *= 2.0**power
        run = watch.run(other, 0, stop, fill_next=late, params=params)
        if first_difference(plain, run, _SCALED, _factor(power)) is None:
            return f"parameter '{name}'"
    return None


def _price_feature(case: Case, plain: Trace, other: Market, stop: int, late: bool, power: int) -> str | None:
    """The columns that are prices themselves, such as an average: in the new unit, too, the decisions are the same."""
    names = case.watch.strategy.columns[: other.features.shape[1]]
    every = tuple(range(len(names)))
    for columns in dict.fromkeys([*((k,) for k in every), every]):
        features = other.features.copy()
        features[:, columns] *= 2.0**power
        run = case.watch.run(other._replace(features=features), 0, stop, fill_next=late)
        if first_difference(plain, run, _SCALED, _factor(power)) is None:
            return f"feature {', '.join(repr(names[k]) for k in columns)}"
    return None


def features_used(case: Case) -> str:
    """Every column that is declared is read."""
    strategy = case.watch.strategy
    declared = strategy.columns[: sum(1 if isinstance(f, str) else len(f.names) for f in case.config.features.values())]
    if not declared:
        return "it declares none"
    named = _columns_read(strategy.functions)
    unread = [k for k in range(len(declared)) if named is None or k not in named]
    for k in unread:
        if named is not None or not _matters(case, k):
            how = "is not read" if named is not None else "changes no decision, whatever stands in it"
            raise Broken(f"column {k}, '{declared[k]}', is declared and {how}", None, f"market.features[i, {k}]")
    return f"{len(declared)} of {len(declared)} columns"


def _columns_read(functions: list[Any]) -> set[int] | None:
    """Columns of ``features`` that the sources name; None where one is not a number written down."""
    columns: set[int] = set()
    for function in fingerprint.reach(functions)[0]:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        read = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "features"]
        subscripts = [n for n in ast.walk(tree) if isinstance(n, ast.Subscript) and n.value in read]
        for node in subscripts:
            column = node.slice.elts[1] if isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2 else None
            value = _number(column, function)
            if value is None:
                return None
            columns.add(value)
        if len(subscripts) < len(read):
            return None
    return columns


def _number(node: ast.expr | None, function: Any) -> int | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    value = function.__globals__.get(node.id) if isinstance(node, ast.Name) else None
    return value if isinstance(value, int) else None


def _matters(case: Case, column: int) -> bool:
    """Whether any wish or memory changes when this column is another."""
    rng = np.random.default_rng(4)
    for name, market, timing in case.each():
        for what in ("missing", "shuffled", "larger", "smaller"):
            features = market.features.copy()
            values = features[:, column]
            spread = np.nanmax(np.abs(values), initial=1.0)
            shift = {"missing": np.nan, "larger": 10.0 * spread, "smaller": -10.0 * spread}.get(what, 0.0)
            features[:, column] = rng.permutation(values) if what == "shuffled" else values + shift
            other = market._replace(features=features)
            run = case.watch.run(other, 0, case.stop(market), fill_next=TIMINGS[timing])
            if first_difference(case.plain(name, timing), run, ("intents", "memory")) is not None:
                return True
    return False


def sweep(case: Case) -> str:
    """Among neighbours, on two threads and in two parts, each combination is what it is alone."""
    variants = _variants(case.config.params)
    engine, count = engine_for(case.watch.strategy), len(variants)
    capital = case.config.account.initial_capital
    kept = case.watch.strategy.memory_of(case.watch.assets)
    for name, market, timing in case.each():
        stop = case.stop(market)
        params = params_records(variants)
        friction = np.repeat(case.watch.friction(TIMINGS[timing]), count)
        states = engine.new_states(case.watch.assets, np.full(count, capital))
        for low, high in ((0, stop // 3), (stop // 3, stop)):
            engine.run_many(states, params, friction, market, low, high, threads=2, chunk=3)
        for c in range(count):
            alone = case.watch.run(market, 0, stop, fill_next=TIMINGS[timing], params=params[c : c + 1]).state
            for what in ("slots", "working", "memory", "exits", "account"):
                ours, theirs = getattr(states, what)[c], getattr(alone, what)
                if what == "memory" and kept == 0:
                    continue
                which = _unequal(what, ours, theirs)
                if which is not None:
                    raise Broken(
                        f"{which} at the end of combination {c} is another than alone ({_where(name, timing)})",
                        stop - 1,
                        which,
                    )
    return f"{count} combinations among neighbours, in two parts, on two threads: as alone, bit for bit"


def _unequal(what: str, ours: Records, theirs: Records) -> str | None:
    for field_name in theirs.dtype.names or ("",):
        if field_name == "digest" or field_name.startswith("strategy_"):
            continue
        a, b = (ours[field_name], theirs[field_name]) if field_name else (ours, theirs)
        if not ((a == b) | ((a != a) & (b != b))).all():
            return f"state.{what}.{field_name}".rstrip(".")
    return None


def _variants(params: BaseModel) -> list[BaseModel]:
    """These parameters among others that the model allows: single fields smaller, larger, or another choice."""
    found = [params]
    kind, values = type(params), params.model_dump()
    for name, about in kind.model_fields.items():
        choices = list(getattr(about.annotation, "__args__", ()))
        others: list[Any] = [choice for choice in choices if choice != values[name]]
        if about.annotation is bool:
            others = [not values[name]]
        elif about.annotation is int:
            others = [max(1, values[name] // 2), 2 * values[name] + 1]
        elif about.annotation is float:
            others = [0.5 * values[name], 1.7 * values[name]]
        for value in others:
            try:
                found.append(kind.model_validate(values | {name: value}, strict=True))
            except ValidationError:
                continue
    return [params, *found[1:8], params]


assert set(PRICES) < set(MARKET_COLUMNS)
