"""Klines out of the stream's messages: what Nautilus makes of the same message, and nothing of any other."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.adapters.binance.common.enums import BinanceEnumParser
from nautilus_trader.adapters.binance.common.schemas.market import BinanceCandlestickMsg

from dolphin.live.binance.hooks import close_ms, close_price, instrument_id
from dolphin.live.binance.kline_messages import KlineReader

CLOSE = 1_735_689_660_000
NAUTILUS = msgspec.json.Decoder(BinanceCandlestickMsg)


def message(symbol="BUSDT", closed=True, space="", **values):
    kline = {
        "t": CLOSE - 60_000, "T": CLOSE - 1, "s": symbol, "i": "1m", "f": 1, "L": 2, "o": "1.10", "c": "1.25",
        "h": "1.30", "l": "1.00", "v": "12.500", "n": 3, "x": closed, "q": "1", "V": "1", "Q": "1", "B": "0", **values,
    }  # fmt: skip
    event = {"e": "kline", "E": CLOSE + 1, "s": symbol, "k": kline}
    stream = {"stream": f"{symbol.lower()}@kline_1m", "data": event}
    return json.dumps(stream, separators=(",", f":{space}")).encode()


def test_a_closed_kline_is_a_bar_of_its_symbol_with_what_was_asked_for():
    found = KlineReader(("AUSDT", "BUSDT"), ("volume", "low", "open", "high")).read(message())
    assert found == (1, CLOSE, 1.25, (12.5, 1.0, 1.1, 1.3))
    assert KlineReader(("BUSDT",)).read(message(space=" ")) == (0, CLOSE, 1.25, ())


@given(st.integers(1, 10**15), st.integers(0, 8))
def test_a_price_is_bit_for_bit_what_nautilus_bar_says(number, decimals):
    text = f"{number // 10**decimals}" + (f".{number % 10**decimals:0{decimals}d}" if decimals else "")
    raw = message(o=text, h=text, l=text, c=text)
    kline = NAUTILUS.decode(raw).data.k
    if float(text) > 1e9:  # more than Nautilus' prices hold
        return
    bar = kline.parse_to_binance_bar(instrument_id("BUSDT"), BinanceEnumParser(), 0)
    assert KlineReader(("BUSDT",)).read(raw) == (0, close_ms(bar), close_price(bar), ())


@pytest.mark.parametrize(
    "raw",
    [
        message(closed=False), message(closed=False, space=" "), message("CUSDT"), message(c="x"), message(c="NaN"),
        message(c="-1.0"), message()[:-9], b'{"stream":"busdt@kline_1m","data":{}}', b"",
    ],
)  # fmt: skip
def test_what_is_not_closed_not_ours_or_not_to_be_read_is_no_bar(raw):
    assert KlineReader(("AUSDT", "BUSDT")).read(raw) is None
