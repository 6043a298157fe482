"""Funding of the account: what the exchange has paid or taken, asked for once it says so, booked once.

The user stream tells that funding was settled, not of which position: of a cross margin it tells the balance alone. So
its message is the reason to ask, and the income endpoint is the truth: symbol, amount, time, and a number of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from dolphin.core.records import Floats, Records
from dolphin.live.binance.asking import Client
from dolphin.live.binance.requests import ExchangeError

#: Seconds between two questions where the stream says nothing.
EVERY = 60.0


class Paid(NamedTuple):
    """A line of income: what the account received (negative: paid), ``time`` in ms, the line's own number."""

    symbol: str
    income: Decimal
    time: int
    tran_id: int

    def document(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "symbol": self.symbol, "income": f"{self.income:f}", "time": self.time, "tran_id": self.tran_id,
        }  # fmt: skip


class Funding:
    """Lines of income that are not booked yet.

    Parameters
    ----------
    client : Client
    since_ms : int
        Earlier ones are nobody's.
    known : iterable of int
        Lines that were booked, or noted, already.
    """

    def __init__(self, client: Client, since_ms: int, known: Iterable[int] = ()) -> None:
        self.pending: list[Paid] = []
        self._client, self._since, self._known = client, since_ms, set(known)
        self._told: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def told(self) -> None:
        """The stream says that funding was settled."""
        if self._loop is not None and self._told is not None:
            self._loop.call_soon_threadsafe(self._told.set)

    async def ask(self) -> None:
        """Ask for what is new; an exchange that does not answer is asked again."""
        try:
            lines = await self._client.income(self._since)
        except ExchangeError:
            return
        for line in lines:
            number = int(line["tranId"])
            if number not in self._known:
                self._known.add(number)
                self.pending.append(Paid(str(line["symbol"]), Decimal(line["income"]), int(line["time"]), number))

    async def watch(self, every: float = EVERY) -> None:
        """Ask when the stream says so, and once in a while."""
        self._told, self._loop = asyncio.Event(), asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), every)
            self._told.clear()
            await self.ask()

    def take(self) -> list[Paid]:
        """What is pending, from now on the caller's to write down."""
        found, self.pending = self.pending, []
        return found


def rates_of(
    paid: Collection[Paid], slots: Records, price: Floats, symbols: Sequence[str]
) -> tuple[Floats, list[Paid], list[Paid]]:  # fmt: skip
    """The rates (N,) at which the step books just what the exchange did on what is held now.

    A line of a symbol that is not held, or not known, has no position that it could be booked on.

    Returns
    -------
    rates : float64 [N]
    booked, unbooked : list of Paid
    """
    held = np.zeros(len(symbols))
    for slot in slots:
        if slot["side"]:
            held[int(slot["asset"])] += float(slot["side"]) * float(slot["qty"])
    sums: dict[int, Decimal] = {}
    booked, unbooked = [], []
    for line in paid:
        j = symbols.index(line.symbol) if line.symbol in symbols else -1
        if j < 0 or held[j] == 0.0 or not price[j] > 0.0:
            unbooked.append(line)
        else:
            sums[j] = sums.get(j, Decimal(0)) + line.income
            booked.append(line)
    rates = np.zeros(len(symbols))
    for j, income in sums.items():
        rates[j] = -float(income) / (held[j] * price[j])
    return rates, booked, unbooked


def document_of(booked: Iterable[Paid], unbooked: Iterable[Paid]) -> dict[str, Any]:
    """What a journal says of them."""
    return {"funding": [one.document() for one in booked], "unbooked": [one.document() for one in unbooked]}


def noted(document: Mapping[str, Any]) -> set[int]:
    """The lines that such a document names."""
    return {int(one["tran_id"]) for kind in ("funding", "unbooked") for one in document.get(kind, ())}
