"""Klines as the exchange's stream tells them, read where they are heard.

Nautilus would make a bar of each, put it on a queue and publish it: between the message and whoever hears of the bar
lies a turn of that queue with every other bar of the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import msgspec

#: What every message of a kline has in it, and what one has of a kline that is not closed.
KLINE, OPEN = b"@kline_", b'"x":false'

#: A bar: its column, its close on the grid (ms), its price, its values of the columns beside closes.
type Heard = tuple[int, int, float, tuple[float, ...]]


class _Kline(msgspec.Struct):
    T: int
    o: str
    c: str
    h: str
    l: str  # noqa: E741 (the exchange's name)
    v: str
    x: bool


class _Event(msgspec.Struct):
    s: str
    k: _Kline


class _Message(msgspec.Struct):
    data: _Event


class KlineReader:
    """Reads the messages of some symbols' klines.

    Parameters
    ----------
    symbols : sequence of str
        By column.
    columns : sequence of str
        What rows hold beside closes: open, high, low, volume.
    """

    def __init__(self, symbols: Sequence[str], columns: Sequence[str] = ()) -> None:
        self._column = {symbol: j for j, symbol in enumerate(symbols)}
        self._names = tuple(name[0] for name in columns)
        self._decode = msgspec.json.Decoder(_Message).decode

    def read(self, raw: bytes) -> Heard | None:
        """The closed bar that a message tells of; None for any other.

        One that cannot be read is none: its row lacks it, and it is asked for.
        """
        if OPEN in raw:
            return None
        try:
            event = self._decode(raw).data
            kline, column = event.k, self._column.get(event.s)
            if column is None or not kline.x:
                return None
            price, more = float(kline.c), tuple([float(getattr(kline, name)) for name in self._names])
        except ValueError:  # also msgspec's
            return None
        return (column, kline.T + 1, price, more) if isfinite(price) and price > 0.0 else None
