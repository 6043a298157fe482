"""Closes that a stream did not bring, asked of the exchange's REST interface."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from dolphin.live.binance.asking import Client

#: How long after its close a row that lacks bars is asked for, ms of the exchange's time: its REST interface has the
#: klines by then, and half a second is left until the row's deadline.
ASK_MS = 1000.0

#: Requests that are on their way at once.
SIDE_BY_SIDE = 16


async def ask_closes(
    client: Client, symbols: Mapping[int, str], interval: str, closes: Sequence[int], spacing_ms: int
) -> dict[int, dict[int, float]]:
    """Prices by close (ms) and column, for those of ``closes`` (ascending) that the exchange has.

    Parameters
    ----------
    symbols : mapping of int to str
        Who is asked about, by column.

    Raises
    ------
    ExchangeError
        If it answers for none of them.
    """
    limit, last_open = (closes[-1] - closes[0]) // spacing_ms + 1, closes[-1] - spacing_ms
    wanted, found = set(closes), {close: dict[int, float]() for close in closes}
    free = asyncio.Semaphore(SIDE_BY_SIDE)

    async def ask(column: int, symbol: str) -> None:
        async with free:
            page = await client.klines(symbol, interval, limit, last_open)
        for one in page:
            if (close := int(one[6]) + 1) in wanted:
                found[close][column] = float(one[4])

    told = await asyncio.gather(*(ask(*one) for one in symbols.items()), return_exceptions=True)
    failures = [one for one in told if isinstance(one, BaseException)]
    if failures and len(failures) == len(symbols):
        raise failures[0]
    return {close: bars for close, bars in found.items() if bars}
