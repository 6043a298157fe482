"""Small tidy kline frames."""

from __future__ import annotations

import numpy as np
import polars as pl

MINUTE = 60_000  # ms
FIRST_OPEN = 1_735_689_600_000 - 30 * MINUTE  # 2024-12-31T23:30Z: the hour lies across midnight


def make_klines(symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"), bars: int = 60) -> pl.DataFrame:
    """Tidy klines: open time in ms, two decimals, one minute apart."""
    rng = np.random.default_rng(7)
    frames = []
    for symbol in symbols:
        cents = 10_000 + np.cumsum(rng.integers(-20, 21, bars + 1))
        first, last = cents[:-1], cents[1:]
        columns = {
            "open": first / 100,
            "high": (np.maximum(first, last) + rng.integers(0, 9, bars)) / 100,
            "low": (np.minimum(first, last) - rng.integers(0, 9, bars)) / 100,
            "close": last / 100,
            "volume": rng.integers(1, 10_000, bars) / 1000,
        }
        ts = FIRST_OPEN + MINUTE * np.arange(bars)
        frames.append(pl.DataFrame({"symbol": [symbol] * bars, "ts": ts, **columns}))
    return pl.concat(frames)
