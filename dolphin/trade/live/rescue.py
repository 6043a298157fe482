"""What only an operator can decide: positions that the exchange has and the journal has not, and closing everything.

``adopt`` writes down what the exchange has and the operator takes for ours; the session books the difference in its
next row, if the exchange still has just that. ``flatten`` closes what there is with reduce-only market orders; where no
session runs, the prices at which it was closed are written down the same way, and the next start books them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dolphin.errors import DolphinError, Refused
from dolphin.files import read_json, write_json
from dolphin.live.binance.asking import Client
from dolphin.locks import hold
from dolphin.times import format_time
from dolphin.trade.control import record
from dolphin.trade.folder import StateFolder

NAME = "adopt.json"


def adoption(folder: StateFolder) -> dict[str, Any] | None:
    """What an operator wants to be ours, if anything."""
    path = folder.root / NAME
    if not path.is_file():
        return None
    found: dict[str, Any] = read_json(path)
    return found


def adopted(folder: StateFolder) -> None:
    """It is booked, or cannot be."""
    (folder.root / NAME).unlink(missing_ok=True)


def order_adoption(
    folder: StateFolder, reason: str, positions: Mapping[str, Decimal], prices: Mapping[str, tuple[str, str]],
    action: str = "adopt",
) -> dict[str, Any]:  # fmt: skip
    """Write what is wanted and a line of the audit record; the line.

    Parameters
    ----------
    positions : mapping of Decimal
        All that the exchange has, signed.
    prices : mapping of (str, str)
        Per symbol price and fee at which the difference is booked; the row's price and no fee where there is none.
    """
    if not reason.strip():
        raise DolphinError("a reason is mandatory", mend="say why: --reason TEXT")
    document = {
        "reason": reason, "time": format_time(time.time_ns() // 10**9 * 10**9),
        "positions": {symbol: f"{amount:f}" for symbol, amount in positions.items()},
        "prices": {symbol: list(values) for symbol, values in prices.items()},
    }  # fmt: skip
    with hold(folder.root / ".audit.lock"):
        line = record(folder, action, document)
        write_json(folder.root / NAME, document)
    return line


async def adopt(folder: StateFolder, client: Client, symbols: tuple[str, ...], reason: str) -> dict[str, Any]:
    """Take what the exchange has for ours.

    Raises
    ------
    Refused
        If it has a position in a symbol that the session does not trade, or the account is in hedge mode.
    """
    entries = await client.entries()
    foreign = sorted(symbol for symbol in entries if symbol not in symbols)
    if foreign:
        raise Refused("not a symbol of this session", where=", ".join(foreign), details=foreign)
    prices = {symbol: (price, "0") for symbol, (_, price) in entries.items()}
    return order_adoption(folder, reason, {symbol: amount for symbol, (amount, _) in entries.items()}, prices)


async def flatten(folder: StateFolder, client: Client, name: str, reason: str) -> dict[str, Any]:
    """Cancel every order and close every position of the account; no session may be running.

    Raises
    ------
    DolphinError
        If something is still there behind it.
    """
    if not reason.strip():
        raise DolphinError("a reason is mandatory", mend="say why: --reason TEXT")
    with hold(folder.root / ".audit.lock"):
        record(folder, "flatten begins", {"reason": reason})
    for order in await client.open_orders():
        conditional = bool(order.get("conditional"))
        await client.resolve(order["symbol"], order["clientOrderId"], wait=False, conditional=conditional)
    prices, stamp = {}, int(time.time())
    for number, (symbol, amount) in enumerate(sorted((await client.positions()).items())):
        client_id = f"{name[:12]}-flat-{stamp}-{number}"
        prices[symbol] = await _close(client, symbol, amount, client_id)
    left = await client.positions()
    line = order_adoption(folder, reason, left, prices, action="flatten")
    if left:
        raise DolphinError(
            f"still open: {', '.join(left)}", where="flatten", mend="look at the exchange, then run it again"
        )
    return line


async def _close(client: Client, symbol: str, amount: Decimal, client_id: str) -> tuple[str, str]:
    """Close one position; the average price and the fee."""
    await client.reduce(symbol, -amount, client_id)
    answer = await client.resolve(symbol, client_id)
    qty = sum((part.qty for part in answer.parts), Decimal(0))
    if not qty:
        return "0", "0"
    value = sum((part.qty * part.price for part in answer.parts), Decimal(0))
    return str(float(value / qty)), str(sum((part.commission for part in answer.parts), Decimal(0)))
