"""Scanner against one LAPACK call per bar and window: microseconds per bar at N = 50.

Run ``python -m benchmarks.scanner``. Both sides see the same bars in the same process, in turns, so
that a busy machine slows both; the least time of each is taken.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.table import Row, show
from dolphin.features import WINDOWS, Scanner, scan

ASSETS = 50
DAY = 86_400_000_000_000
BARS_A_DAY = {"5 s bars": 17_280, "1 min bars": 1_440, "5 min bars": 288}
OURS_ROWS = 8_000
PEER_ROWS = 40
STREAM_ROWS = 2_000
ROUNDS = 5


def market(rows: int, factor: float, seed: int = 1) -> np.ndarray:
    """Prices whose returns share one factor of the given strength (0: independent assets)."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(size=(rows, ASSETS)) + factor * rng.normal(size=(rows, 1))
    return 100.0 * np.exp(np.cumsum(1e-3 * returns, axis=0))


def peer_bar(returns: np.ndarray, t: int) -> list[float]:
    """The absorption ratios of bar t the plain way."""
    ratios = []
    for w in WINDOWS:
        matrix = np.corrcoef(returns[t - w + 1 : t + 1], rowvar=False)
        ratios.append(float(np.linalg.eigvalsh(matrix)[-1]) / ASSETS)
    return ratios


def timed(name: str, ts: np.ndarray, close: np.ndarray) -> Row:
    """Both sides in turns over one market."""
    returns = np.diff(np.log(close), axis=0, prepend=np.nan)
    bars = np.linspace(800, len(ts) - 1, PEER_ROWS).astype(int)
    ours = peer = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        block = scan(ts, close, 0)
        ours = min(ours, (time.perf_counter() - begin) / len(ts))
        begin = time.perf_counter()
        plain = [peer_bar(returns, int(t)) for t in bars]
        peer = min(peer, (time.perf_counter() - begin) / PEER_ROWS)
    error = float(np.max(np.abs(block.a[bars] / np.array(plain) - 1.0)))
    if not error < 1e-10:
        raise AssertionError(f"{name}: relative error {error:.1e}")
    return Row(name, 1e6 * ours, 1e6 * peer, peer / ours, "us per bar")


def streamed(ts: np.ndarray, close: np.ndarray, peer: float) -> Row:
    """One call per bar from Python."""
    ours = float("inf")
    for _ in range(ROUNDS):
        scanner = Scanner(ASSETS, 0)
        scanner.warm(ts[:1000], close[:1000])
        begin = time.perf_counter()
        for t in range(1000, 1000 + STREAM_ROWS):
            scanner.update(int(ts[t]), close[t])
        ours = min(ours, (time.perf_counter() - begin) / STREAM_ROWS)
    return Row("streaming, one call per bar", 1e6 * ours, peer, peer / (1e6 * ours), "us per bar")


def main() -> list[Row]:
    """Measure, print and return the rows."""
    close = market(OURS_ROWS, 1.0)
    rows = []
    for name, bars in BARS_A_DAY.items():
        ts = np.arange(1, OURS_ROWS + 1) * (DAY // bars)
        scan(ts[:900], close[:900], 0)  # compile
        rows.append(timed(f"batch, one factor, {name}", ts, close))
    rows.append(streamed(ts, close, rows[-1].peer))
    rows.append(timed("batch, independent assets, 5 min bars", ts, market(OURS_ROWS, 0.0)))
    show(f"Scanner, N = {ASSETS}, windows {WINDOWS}, against numpy.linalg.eigvalsh", rows)
    return rows


if __name__ == "__main__":
    main()
