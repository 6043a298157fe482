"""Where a strategy and a fill model meet the step: functions whose body the types of the arguments choose.

The account's record begins with a field whose name is the strategy's tag, a friction record may hold one that
names a fill model. numba compiles, and keeps on disk, one step per type: so the step is one normal module, a
strategy's ``decide`` is inlined into it, and what a strategy does not declare is not compiled.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dolphin.core.declaration import Events
from dolphin.core.fill_models import SCAN_PRICE, FillModel
from dolphin.core.jit import hook
from dolphin.core.records import ACCOUNT, CLOSE, FRICTION, REDUCE
from dolphin.core.strategy import Strategy

#: By tag: what the engines of this process were made for.
STRATEGIES: dict[str, Strategy] = {}
FILL_MODELS: dict[str, FillModel] = {}

_STRATEGY, _FILLS = "strategy_", "fills_"


def account_of(strategy: Strategy) -> np.dtype[np.void]:
    """The record of an account that trades this strategy."""
    tag = f"{_STRATEGY}{strategy.key[:24]}"
    STRATEGIES[tag] = strategy
    return np.dtype([(tag, "i8"), *((name, ACCOUNT[name]) for name in ACCOUNT.names or ())], align=True)


def friction_of(model: FillModel = SCAN_PRICE, extra: Iterable[tuple[str, str]] = ()) -> np.dtype[np.void]:
    """The record of friction under this fill model; ``extra`` are fields of its own, eight bytes each."""
    # What is more stands first: numba takes a record that extends another at its end for a subtype of it, and would
    # call what it has compiled for that.
    fields: list[tuple[str, Any]] = [*extra, *((name, FRICTION[name]) for name in FRICTION.names or ())]
    if model is not SCAN_PRICE:
        tag = f"{_FILLS}{model.key[:24]}"
        FILL_MODELS[tag] = model
        fields.insert(0, (tag, "i8"))
    return np.dtype(fields, align=True)


def _strategy(state: Any) -> Strategy:
    """The strategy of a State's numba type."""
    account = dict(zip(state.fields, state.types, strict=True))["account"].dtype
    return STRATEGIES[next(name for name in account.fields if name.startswith(_STRATEGY))]


def _events(state: Any) -> Events:
    """The events of a strategy that has them."""
    events = _strategy(state).events
    assert events is not None
    return events


def _model(friction: Any) -> FillModel:
    """The fill model of a friction record's numba type."""
    tag = next((name for name in friction.fields if name.startswith(_FILLS)), None)
    return FILL_MODELS[tag] if tag else SCAN_PRICE


def only_where(declared: Callable[[Strategy], bool], otherwise: Any = None) -> Callable[..., Any]:
    """Decorate a block of the step, whose first argument is the state, that is compiled only where it is declared.

    For other strategies it is a constant, and nothing that it calls is compiled.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        names = ", ".join(inspect.signature(function).parameters)
        stub, nothing = (eval(f"lambda {names}: otherwise", {"otherwise": otherwise}) for _ in range(2))
        functools.update_wrapper(stub, function)
        functools.update_wrapper(nothing, function)

        def chosen(state, *others):  # type: ignore[no-untyped-def]
            return function if declared(_strategy(state)) else nothing

        hook(stub)(chosen)
        compiled: Callable[..., Any] = stub
        return compiled

    return decorate


def is_rich(strategy: Strategy) -> bool:
    """Whether it knows more than market orders that open and close."""
    return not strategy.plain


def sends_orders(strategy: Strategy) -> bool:
    """Whether it sends limit orders or stops."""
    return bool(strategy.orders)


def watches_margin(strategy: Strategy) -> bool:
    """Whether the engine is to watch its margin."""
    return strategy.margin


def obeys_postures(strategy: Strategy) -> bool:
    """Whether the engine trades by the posture of the bar."""
    return strategy.postures


def weighs_drawdown(strategy: Strategy) -> bool:
    """Whether the account's own drawdown (Rm5) joins the risk inputs of a bar."""
    return strategy.drawdown


def pays_funding(strategy: Strategy) -> bool:
    """Whether its positions pay and receive funding."""
    return "funding" in strategy.market_columns


def reads_rows(strategy: Strategy) -> bool:
    """Whether more of a row than the scan price can change what becomes of its positions."""
    return is_rich(strategy) or pays_funding(strategy)


def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    """The strategy's decision on bar ``i``: it writes ``state.intents``."""
    raise NotImplementedError


@hook(decide)
def _decide(state, params, market, i):  # type: ignore[no-untyped-def]
    chosen = _strategy(state).decide

    def body(state, params, market, i):  # type: ignore[no-untyped-def]
        chosen(state, params, market, i)

    return body


def risk_at(state, market, i):  # type: ignore[no-untyped-def]
    """The risk inputs that bar ``i`` is decided by (of RISK): its row, or what the account's drawdown made of it.

    ``i`` is the bar at hand. Rm and posture are the account's where its drawdown is weighed; boost and beta are
    always the market's.
    """
    return state.in_force[0] if len(state.in_force) else market.risk[i]


@hook(risk_at)
def _risk_at(state, market, i):  # type: ignore[no-untyped-def]
    if _strategy(state).drawdown:
        return lambda state, market, i: state.in_force[0]
    return lambda state, market, i: market.risk[i]


def may_enter(state, params, market, i):  # type: ignore[no-untyped-def]
    """Whether a flat account may want something at bar ``i``."""
    raise NotImplementedError


@hook(may_enter)
def _may_enter(state, params, market, i):  # type: ignore[no-untyped-def]
    chosen = _strategy(state).may_enter
    if chosen is None:
        return lambda state, params, market, i: True

    def body(state, params, market, i):  # type: ignore[no-untyped-def]
        return chosen(params, market, i)

    return body


def enters_between(state, params, low, high):  # type: ignore[no-untyped-def]
    """Whether a flat account may want something at a bar whose features lie between ``low`` and ``high``."""
    raise NotImplementedError


@hook(enters_between)
def _enters_between(state, params, low, high):  # type: ignore[no-untyped-def]
    chosen = _events(state).enters

    def body(state, params, low, high):  # type: ignore[no-untyped-def]
        return chosen(params, low, high)

    return body


def stays_between(state, params):  # type: ignore[no-untyped-def]
    """Floor, ceiling and bar of the band in which the one open position stays."""
    raise NotImplementedError


@hook(stays_between)
def _stays_between(state, params):  # type: ignore[no-untyped-def]
    chosen = _events(state).stays

    def body(state, params):  # type: ignore[no-untyped-def]
        return chosen(state.slots[0], state.account[0].capital, params)

    return body


def match(order, direction, friction, market, i):  # type: ignore[no-untyped-def]
    """The fill model: how much of the order fills in bar ``i`` (0: nothing), at which price, and whether passively."""
    raise NotImplementedError


@hook(match)
def _match(order, direction, friction, market, i):  # type: ignore[no-untyped-def]
    chosen = _model(friction).match

    def body(order, direction, friction, market, i):  # type: ignore[no-untyped-def]
        return chosen(order, direction, friction, market, i)

    return body


def _constant(of: Callable[[Strategy], Any]) -> Callable[..., Any]:
    """A function of ``state`` that is a constant where it is compiled."""

    def stub(state):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    def chosen(state):  # type: ignore[no-untyped-def]
        value = of(_strategy(state))
        return lambda state: value

    hook(stub)(chosen)
    return stub


#: Whether the strategy only opens and closes by market orders.
is_plain = _constant(lambda strategy: strategy.plain)
#: Whether it sends limit orders, stops, changes of size.
sends_limits = _constant(lambda strategy: "limit" in strategy.orders)
sends_stops = _constant(lambda strategy: "stop" in strategy.orders)
resizes = _constant(lambda strategy: strategy.resize)
#: The codes of the reasons LIQUIDATION and HIBERNATE_HALT.
liquidation_reason = _constant(lambda s: s.reasons.index("LIQUIDATION") if "LIQUIDATION" in s.reasons else 0)
halt_reason = _constant(lambda s: s.reasons.index("HIBERNATE_HALT") if "HIBERNATE_HALT" in s.reasons else 0)
#: Whether it says which bars cannot be entered.
skips = _constant(lambda strategy: strategy.may_enter is not None)
#: Columns of ``market.features``.
feature_count = _constant(lambda strategy: len(strategy.columns))


def leaves_in_order(state, order):  # type: ignore[no-untyped-def]
    """Whether ``order`` ends a position for a reason that bears a few bars' wait."""
    raise NotImplementedError


@hook(leaves_in_order)
def _leaves_in_order(state, order):  # type: ignore[no-untyped-def]
    strategy = _strategy(state)
    codes = tuple(strategy.reasons.index(reason) for reason in strategy.orderly)
    if not strategy.postures or not codes:
        return lambda state, order: False

    def body(state, order):  # type: ignore[no-untyped-def]
        return (order.action == CLOSE or order.action == REDUCE) and order.reason in codes

    return body


def slot_count(state):  # type: ignore[no-untyped-def]
    """Position slots: a constant where the strategy names their number."""
    raise NotImplementedError


@hook(slot_count)
def _slot_count(state):  # type: ignore[no-untyped-def]
    slots = _strategy(state).slots
    if slots == "assets":
        return lambda state: state.slots.shape[0]
    return lambda state: slots


def memory_count(state):  # type: ignore[no-untyped-def]
    """Numbers of the strategy's own: a constant where it names their number."""
    raise NotImplementedError


@hook(memory_count)
def _memory_count(state):  # type: ignore[no-untyped-def]
    memory = _strategy(state).memory
    if callable(memory):
        return lambda state: state.memory.shape[0]
    return lambda state: memory
