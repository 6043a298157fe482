"""Symbols as people and exchanges write them, in the one form of the catalog: 1 to 20 capital letters or digits."""

from __future__ import annotations

import re

from dolphin.catalog.readers.reading import Source
from dolphin.catalog.store.instruments import SYMBOL
from dolphin.errors import DolphinError

PERPETUAL = "PERP"  # after the symbol: a perpetual future has another price than the spot pair of its name
#: Words of a file name that are no part of a symbol: bar lengths, dates, kinds of files.
_INTERVAL = (
    r"\d{1,4}(?:s|sec|m|min|t|h|hr|d|w|wk|mo|y)|[mh]\d{1,2}|[dw]1?|mn1?|daily|weekly|hourly|minute|day|week|hour"
)
_KIND = r"klines?|ohlcv?t?|bars?|candles?|prices?|quotes?|history|historical|spot|futures|data|aggtrades|trades"
_PASSING = re.compile(rf"(?:{_INTERVAL}|{_KIND}|\d+|[0-9a-f]{{5}})", re.IGNORECASE)
#: Whose name some programs put before the symbol.
_VENUES = frozenset(
    """
    AMEX BATS BINANCE BITFINEX BITGET BITMEX BITSTAMP BYBIT CAPITALCOM CBOE CME COINBASE CRYPTO CRYPTOCOM DERIBIT
    FOREXCOM FTX FX FXCM GATEIO GEMINI HUOBI KRAKEN KUCOIN LSE MEXC NASDAQ NYSE OANDA OKX POLONIEX PYTH TVC XETR
    """.split()  # noqa: SIM905
)


def symbol_of(text: str) -> str:
    """``BTCUSD`` of ``BTC-USD``, ``BRKB`` of ``brk.b``, ``GSPC`` of ``^GSPC``, ``BTCUSDTPERP`` of ``BTC/USDT:USDT``.

    What cannot become one is given back as it is, for the quality rule ``bad_symbol`` to tell.
    """
    pair, colon, settled = text.strip().partition(":")
    if colon and pair.upper() in _VENUES:
        pair, colon = settled, ""
    plain = re.sub(r"[\s/_.^=-]+", "", pair).upper() + (PERPETUAL if colon else "")
    return plain if SYMBOL.fullmatch(plain) else text


def symbol_of_file(source: Source) -> str:
    """The symbol that a file's name tells: ``BTCUSDT-5m-2025-01.csv``, ``BTC-USD.csv``, ``BINANCE_BTCUSDT, 60.csv``.

    Raises
    ------
    DolphinError
        If what is left of it is no symbol.
    """
    if source.name.endswith(".frame"):
        return symbol_of(source.name.removesuffix(".frame"))
    words = [word for word in re.split(r"[-_\s,./]+", source.stem.lstrip("^")) if word]
    while len(words) > 1 and _PASSING.fullmatch(words[-1]):
        words.pop()
    if len(words) > 1 and words[0].upper() in _VENUES:
        words = words[1:]
    symbol = symbol_of("".join(words))
    if not SYMBOL.fullmatch(symbol) or re.fullmatch(_KIND, symbol, re.IGNORECASE):
        mend = "name the file after its symbol, or give a column: --columns symbol=NAME"
        raise DolphinError(f"'{source.name}' names no symbol", where=source.where, mend=mend)
    return symbol
