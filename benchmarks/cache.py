"""Opening 55 days of 5-second bars of 54 columns (411 MB) from the hot cache, against polars and Parquet.

Run ``python -m benchmarks.cache``. Both sides are warm (in the page cache) and end with every value read
once: ours is checked by its stamps, mapped and summed; polars reads 55 zstd files, as the catalog writes
them, into one numpy array and sums that.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.table import Row, show
from dolphin.catalog.store.cache import Writer, cached

DAYS, BARS, COLUMNS = 55, 17_280, 54
ROUNDS = 7


def prices() -> np.ndarray:
    """A random walk on a grid of ticks, (T, K) float64: compresses like prices."""
    steps = np.random.default_rng(1).integers(-20, 21, (DAYS * BARS, COLUMNS))
    return (1_000_000 + np.cumsum(steps, axis=0)) / 100.0


def main() -> list[Row]:
    """Measure, print and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        root, values = Path(folder), prices()
        files = []
        for day in range(DAYS):
            files.append(root / f"{day:02}.parquet")
            part = values[day * BARS : (day + 1) * BARS]
            pl.DataFrame(part, [f"c{k}" for k in range(COLUMNS)]).write_parquet(
                files[-1], compression="zstd", compression_level=3, row_group_size=1 << 20
            )
        total = float(values.sum())

        def build(writer: Writer) -> None:
            writer.put("close", values)

        def mapped() -> np.ndarray:
            return cached(root / "cache", "bench", build)["close"]

        def parquet() -> np.ndarray:
            return pl.read_parquet(files).to_numpy()

        mapped()
        sides = (mapped, parquet)
        opened = np.array([[_timed(side) for side in sides] for _ in range(ROUNDS)])
        read = np.array([[_timed(functools.partial(_summed, side, total)) for side in sides] for _ in range(ROUNDS)])
    rows = [
        _row("411 MB warm: open (map, checked by stamps) against polars", opened),
        _row("411 MB warm: open and read every value against polars", read),
    ]
    show("Hot cache", rows)
    return rows


def _summed(side: Callable[[], np.ndarray], total: float) -> None:
    array = side()
    # Row blocks that stay in the processor's cache, as the sweep reads them.
    found = sum(float(array[low : low + 2048].sum()) for low in range(0, len(array), 2048))
    assert abs(found - total) < 1e-6 * abs(total)


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    kept = call()
    seconds = time.perf_counter() - began
    del kept
    return seconds


def _row(name: str, seconds: np.ndarray) -> Row:
    ours, peer = np.median(seconds, axis=0) * 1000.0
    return Row(name, float(ours), float(peer), float(np.median(seconds[:, 1] / seconds[:, 0])), "ms")


if __name__ == "__main__":
    main()
