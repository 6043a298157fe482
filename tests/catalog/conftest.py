"""A small kline folder that the catalog's tests import, whole or spoilt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dolphin.workspace import Workspace, create

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


@pytest.fixture
def klines() -> pl.DataFrame:
    return make_klines()


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    """Write frames as a folder of Parquet files: ``source(a, b)`` makes 0.parquet and 1.parquet."""

    def write(*frames: pl.DataFrame, folder: str = "source") -> Path:
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        for i, frame in enumerate(frames):
            frame.write_parquet(path / f"{i}.parquet")
        return path

    return write


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create(tmp_path / "workspace")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by relative path, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    return tree
