"""What only an operator can decide: positions that the exchange has and the journal has not, and closing everything.

``adopt`` writes down what the exchange has and the operator takes for ours; the session books the difference in its
next row, if the exchange still has just that. ``flatten`` closes what there is with reduce-only market orders; where no
session runs, the prices at which it was closed are written down the same way, and the next start books them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from dolphin.errors import DolphinError, Refused
from dolphin.files import read_json, write_json
from dolphin.live.binance.asking import Client
from dolphin.live.binance.outcomes import Part, total
from dolphin.locks import hold
from dolphin.times import format_time
from dolphin.trade.control import read_audit, record
from dolphin.trade.folder import StateFolder

NAME = "adopt.json"

#: The action under which it is on record what a flattening is about to close.
BEGINS = "flatten begins"


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

    What is to be closed, and by which order, is on record before the first goes out: a second call after a kill in
    between asks what became of those, so that what they were given is booked too.

    Raises
    ------
    DolphinError
        If something is still there behind it.
    """
    if not reason.strip():
        raise DolphinError("a reason is mandatory", mend="say why: --reason TEXT")
    parts: dict[str, list[Part]] = {}
    for symbol, client_id in _begun(folder):
        parts.setdefault(symbol, []).extend((await client.resolve(symbol, client_id)).parts)
    for order in await client.open_orders():
        conditional = bool(order.get("conditional"))
        await client.resolve(order["symbol"], order["clientOrderId"], wait=False, conditional=conditional)
    positions, stamp = sorted((await client.positions()).items()), int(time.time())
    closings = [[symbol, f"{name[:12]}-flat-{stamp}-{number}"] for number, (symbol, _) in enumerate(positions)]
    with hold(folder.root / ".audit.lock"):
        record(folder, BEGINS, {"reason": reason, "closings": closings})
    for (symbol, amount), (_, client_id) in zip(positions, closings, strict=True):
        await client.reduce(symbol, -amount, client_id)
        parts.setdefault(symbol, []).extend((await client.resolve(symbol, client_id)).parts)
    prices = {symbol: _price_and_fee(given) for symbol, given in parts.items()}
    left = await client.positions()
    line = order_adoption(folder, reason, left, prices, action="flatten")
    if left:
        raise DolphinError(
            f"still open: {', '.join(left)}", where="flatten", mend="look at the exchange, then run it again"
        )
    return line


def _begun(folder: StateFolder) -> list[tuple[str, str]]:
    """The orders of flattenings that did not come to their end, by symbol and client order id; the newest last."""
    found: list[tuple[str, str]] = []
    for line in read_audit(folder):
        if line["action"] == BEGINS:
            found += [(str(symbol), str(client_id)) for symbol, client_id in line.get("closings", ())]
        elif line["action"] == "flatten":
            found.clear()
    return found


def _price_and_fee(parts: Sequence[Part]) -> tuple[str, str]:
    """The average price and the fee of what was closed."""
    given = total(parts)
    return (str(given.price), str(sum((part.commission for part in parts), Decimal(0)))) if given.qty else ("0", "0")
