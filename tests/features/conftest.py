"""The reference sets of the scanner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest


class Reference(NamedTuple):
    """A reference set: its market and the expected features."""

    ts: np.ndarray
    close: np.ndarray
    reference: int
    expected: pl.DataFrame


@pytest.fixture(scope="session")
def load_reference(shared_data: Path, shared_vectors: Path) -> Callable[[str], Reference]:
    """Read one of the reference sets by name."""

    def load(name: str) -> Reference:
        cases = json.loads((shared_vectors / name / "cases.json").read_text())
        instruments = json.loads((shared_data / name / "instruments.json").read_text())["instruments"]
        expected = pl.read_parquet(shared_vectors / name / "features.parquet")
        symbols, spacing = cases["symbols"], cases["spacing_ms"]
        times = expected["ts"].to_numpy()
        candles = (
            pl.scan_parquet(sorted((shared_data / name).glob("*.parquet")))
            .select("symbol", pl.col("ts") + spacing, "close")
            .filter(pl.col("ts") <= int(times[-1]))
            .collect()
        )
        close = np.full((len(times), len(symbols)), np.nan)
        for j, symbol in enumerate(symbols):
            one = candles.filter(pl.col("symbol") == symbol)
            precision = instruments[symbol]["price_precision"]
            rounded = [round(x, precision) for x in one["close"].to_list()]
            close[(one["ts"].to_numpy() - times[0]) // spacing, j] = rounded
        for t in range(1, len(times)):
            missing = np.isnan(close[t])
            close[t, missing] = close[t - 1, missing]
        return Reference(times * 1_000_000, close, symbols.index(cases["reference"]), expected)

    return load


@pytest.fixture(scope="session")
def load_whole(shared_data: Path) -> Callable[[str], tuple[np.ndarray, np.ndarray, int]]:
    """Close times (ns), forward-filled closes and the reference's column of a real market, every bar of it."""

    def load(name: str) -> tuple[np.ndarray, np.ndarray, int]:
        files = sorted((shared_data / name).glob("*.parquet"))
        candles = pl.scan_parquet(files).select("symbol", "ts", "close").collect()
        symbols = sorted(candles["symbol"].unique().to_list())
        opens = candles["ts"].unique().sort()
        spacing = int(opens.diff().drop_nulls().min())  # type: ignore[arg-type]
        first, last = int(opens[0]), int(opens[-1])
        close = np.full(((last - first) // spacing + 1, len(symbols)), np.nan)
        column = candles["symbol"].cast(pl.Enum(symbols)).to_physical().to_numpy()
        close[(candles["ts"].to_numpy() - first) // spacing, column] = candles["close"].to_numpy()
        for t in range(1, len(close)):
            missing = np.isnan(close[t])
            close[t, missing] = close[t - 1, missing]
        ts = first + spacing * np.arange(1, len(close) + 1)
        return ts * 1_000_000, close, symbols.index("BTCUSDT")

    return load
