"""Our books against the exchange's: what is explained is booked, what is not is named. Pure.

The journal is the truth about what was wanted, the exchange about what was executed. A position is never taken from a
cache, and nothing that is not understood is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from dolphin.live.binance.outcomes import Part

ZERO = Decimal(0)


@dataclass(frozen=True)
class OpenIntent:
    """An order that the journal wished and knows no end of; ``sign`` +1 buys."""

    client_id: str
    symbol: str
    sign: int
    qty: Decimal
    known: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Difference:
    """Something that our books do not explain: what kind, where, ours and theirs."""

    kind: str
    symbol: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.symbol}: {self.kind}, ours {self.ours}, the exchange's {self.theirs}"


@dataclass(frozen=True)
class Reconciled:
    """What was found.

    Attributes
    ----------
    booked : dict of tuple of Part, by client order id
        Executions that the journal did not know, of orders that it wished.
    stale : tuple of str
        Own orders that are open and that nobody waits for: to be cancelled.
    differences : tuple of Difference
        What is not explained; not empty means hibernate.
    """

    booked: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    stale: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether everything is explained."""
        return not self.differences


def reconcile(
    books: Mapping[str, Decimal],
    intents: Iterable[OpenIntent],
    executed: Mapping[str, Iterable[Part]],
    positions: Mapping[str, Decimal],
    open_orders: Iterable[Mapping[str, Any]],
    *,
    prefix: str,
    hedged: bool = False,
    leverage: Mapping[str, tuple[int, int]] | None = None,
) -> Reconciled:
    """Compare.

    Parameters
    ----------
    books : mapping of Decimal
        Signed position by symbol, by our journal.
    intents : iterable of OpenIntent
        Orders without an end.
    executed : mapping
        What the exchange executed of each of them, by client order id.
    positions : mapping of Decimal
        Signed position by symbol, by the exchange.
    open_orders : iterable of mapping
        As the exchange gives them (``symbol``, ``clientOrderId``).
    prefix : str
        What this session's client order ids begin with.
    hedged : bool
        Whether the account is in hedge mode.
    leverage : mapping of (wanted, found), optional
        By symbol.
    """
    expected, booked = {symbol: amount for symbol, amount in books.items() if amount}, {}
    differences: list[Difference] = []
    waiting = {intent.client_id: intent for intent in intents}
    for client_id, intent in waiting.items():
        new = _new_parts(executed.get(client_id, ()), intent.known)
        if not new:
            continue
        total = sum((part.qty for part in new), ZERO)
        if total > intent.qty:
            differences.append(
                Difference(f"order {client_id} is filled too far", intent.symbol, str(intent.qty), str(total))
            )
        booked[client_id] = new
        expected[intent.symbol] = expected.get(intent.symbol, ZERO) + intent.sign * total
    if hedged:
        differences.append(Difference("position mode", "account", "one-way", "hedge"))
    for symbol, (wanted, found) in sorted((leverage or {}).items()):
        if wanted != found:
            differences.append(Difference("leverage", symbol, str(wanted), str(found)))
    for symbol in sorted({*expected, *positions}):
        ours, theirs = expected.get(symbol, ZERO), positions.get(symbol, ZERO)
        if ours != theirs:
            kind = "a foreign position" if not ours else "no position there" if not theirs else "another size"
            differences.append(Difference(kind, symbol, f"{ours.normalize():f}", f"{theirs.normalize():f}"))
    stale = []
    for order in open_orders:
        client_id = str(order["clientOrderId"])
        if client_id in waiting:
            continue
        if client_id.startswith(prefix):
            stale.append(client_id)
        else:
            differences.append(Difference("a foreign order", str(order["symbol"]), "none", client_id))
    return Reconciled(booked, tuple(stale), tuple(differences))


def _new_parts(parts: Iterable[Part], known: frozenset[str]) -> tuple[Part, ...]:
    """Each execution once, in time order, without those that are journaled."""
    found = {part.trade_id: part for part in parts if part.trade_id not in known}
    return tuple(sorted(found.values(), key=lambda part: (part.ts, part.trade_id)))
