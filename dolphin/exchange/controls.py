"""What the exchange does when it is told to: bars, faults, other people's doings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dolphin.errors import BadInput

if TYPE_CHECKING:
    from dolphin.exchange.server import FakeExchange

Control = Callable[["FakeExchange", Any], Awaitable[None]]

CONTROLS: dict[str, Control] = {}


def control(function: Control) -> Control:
    """Register a function under its own name."""
    CONTROLS[function.__name__.strip("_")] = function
    return function


async def obey(exchange: FakeExchange, key: str, value: Any) -> None:
    """Do one thing.

    Raises
    ------
    BadInput
        If nothing is known under the key.
    """
    found = CONTROLS.get(key)
    if found is None:
        raise BadInput(f"the exchange has no control '{key}'", mend=f"one of {', '.join(sorted(CONTROLS))}")
    await found(exchange, value)


@control
async def _fault(exchange: FakeExchange, value: Any) -> None:
    exchange.faults.add(value)


@control
async def _clear(exchange: FakeExchange, value: Any) -> None:
    exchange.faults.clear()


@control
async def _bar(exchange: FakeExchange, value: Any) -> None:
    for _ in range(int(value)):
        await exchange.close_bar()


@control
async def _drop_user(exchange: FakeExchange, value: Any) -> None:
    await exchange.streams.cut(users=True, hard=value == "hard")


@control
async def _drop_market(exchange: FakeExchange, value: Any) -> None:
    await exchange.streams.cut(users=False, hard=value == "hard")


@control
async def _silence(exchange: FakeExchange, value: Any) -> None:
    exchange.streams.silent = bool(value)


@control
async def _maintenance(exchange: FakeExchange, value: Any) -> None:
    exchange.maintenance = bool(value)
    if value:
        await exchange.streams.cut(users=True)
        await exchange.streams.cut(users=False)


@control
async def _expire_key(exchange: FakeExchange, value: Any) -> None:
    old = next(iter(exchange.keys), "")
    exchange.keys.clear()
    exchange.tell("listenKeyExpired", {"listenKey": old})


@control
async def _skew_ms(exchange: FakeExchange, value: Any) -> None:
    exchange.skew_ms = int(value)


@control
async def _hedge(exchange: FakeExchange, value: Any) -> None:
    exchange.orders.hedge = bool(value)


@control
async def _status(exchange: FakeExchange, value: Any) -> None:
    for symbol, status in value.items():
        exchange.rules[symbol] = replace(exchange.rules[symbol], status=str(status))


@control
async def _parts(exchange: FakeExchange, value: Any) -> None:
    exchange.orders.parts = int(value)


@control
async def _part_ticks(exchange: FakeExchange, value: Any) -> None:
    exchange.orders.part_ticks = int(value)


@control
async def _unfilled_parts(exchange: FakeExchange, value: Any) -> None:
    exchange.orders.unfilled = int(value)


@control
async def _fill_delay(exchange: FakeExchange, value: Any) -> None:
    exchange.orders.fill_delay = float(value)


@control
async def _leverage(exchange: FakeExchange, value: Any) -> None:
    exchange.account.leverage.update(value)


@control
async def _funding(exchange: FakeExchange, value: Any) -> None:
    exchange.fund({s: Decimal(rate) for s, rate in value.items()})


@control
async def _order(exchange: FakeExchange, value: Any) -> None:
    exchange.orders.place(value)


@control
async def _race(exchange: FakeExchange, value: Any) -> None:
    exchange.orders.races = int(value)


@control
async def _race_share(exchange: FakeExchange, value: Any) -> None:
    exchange.orders.race_share = Decimal(str(value))
