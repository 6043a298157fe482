"""Scanner against one LAPACK call per bar and window: microseconds per window and bar.

Run ``python -m benchmarks.scanner``. Both sides see the same bars in the same process, in turns, so
that a busy machine slows both; the least time of each is taken. Markets: one strong factor (what
real data look like), two factors of almost equal strength (the largest eigenvalues keep crossing) and
independent assets (no gap at all).
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.table import Row, show
from dolphin.features import WINDOWS, Scanner, scan

DAY = 86_400_000_000_000
BARS_A_DAY = {"5 s bars": 17_280, "1 min bars": 1_440, "5 min bars": 288}
STREAM_ROWS = 1_000
ROUNDS = 3
MONTHS_DAYS = 43  # of one-minute bars; the figure to beat is three minutes


def market(rows: int, assets: int, kind: str, seed: int = 1) -> np.ndarray:
    """Prices with one factor, two of almost equal strength, or none."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(size=(rows, assets))
    factors = rng.normal(size=(rows, 2))
    if kind == "one factor":
        returns += factors[:, :1]
    elif kind == "weak gap":
        returns[:, ::2] += factors[:, :1]
        returns[:, 1::2] += 0.99 * factors[:, 1:]
    return 100.0 * np.exp(np.cumsum(1e-3 * returns, axis=0))


def peer_bar(returns: np.ndarray, t: int) -> list[float]:
    """The absorption ratios of bar t the plain way."""
    ratios = []
    for w in WINDOWS:
        matrix = np.corrcoef(returns[t - w + 1 : t + 1], rowvar=False)
        ratios.append(float(np.linalg.eigvalsh(matrix)[-1]) / returns.shape[1])
    return ratios


def timed(name: str, spacing: int, close: np.ndarray, peer_rows: int, threads: int = 1) -> Row:
    """Both sides in turns over one market; the 800 bars before every window is full are not counted."""
    ts = np.arange(1, len(close) + 1) * spacing
    returns = np.diff(np.log(close), axis=0, prepend=np.nan)
    bars = np.linspace(800, len(ts) - 1, peer_rows).astype(int)
    ours = peer = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        scan(ts, close, 0, stop_row=800)
        middle = time.perf_counter()
        block = scan(ts, close, 0, threads=threads)
        end = time.perf_counter()
        ours = min(ours, ((end - middle) - (middle - begin)) / (len(ts) - 800) / len(WINDOWS))
        begin = time.perf_counter()
        plain = [peer_bar(returns, int(t)) for t in bars]
        peer = min(peer, (time.perf_counter() - begin) / peer_rows / len(WINDOWS))
    error = float(np.max(np.abs(block.a[bars] / np.array(plain) - 1.0)))
    if not error < 1e-10:
        raise AssertionError(f"{name}: relative error {error:.1e}")
    return Row(name, 1e6 * ours, 1e6 * peer, peer / ours, "us per window and bar")


def streamed(close: np.ndarray, peer: float) -> Row:
    """One call per bar from Python."""
    ts = np.arange(1, len(close) + 1) * (DAY // 1440)
    ours = float("inf")
    for _ in range(ROUNDS):
        scanner = Scanner(close.shape[1], 0)
        scanner.warm(ts[:1000], close[:1000])
        begin = time.perf_counter()
        for t in range(1000, 1000 + STREAM_ROWS):
            scanner.update(int(ts[t]), close[t])
        ours = min(ours, (time.perf_counter() - begin) / STREAM_ROWS / len(WINDOWS))
    return Row("N = 50, one call per bar from Python", 1e6 * ours, peer, peer / (1e6 * ours), "us per window and bar")


def all_of_it(peer: float) -> Row:
    """43 days of one-minute bars, 50 assets, all windows, all cores: seconds."""
    close = market(MONTHS_DAYS * 1440, 50, "one factor")
    ts = np.arange(1, len(close) + 1) * (DAY // 1440)
    begin = time.perf_counter()
    scan(ts, close, 0, threads=0)
    ours = time.perf_counter() - begin
    plain = 1e-6 * peer * len(WINDOWS) * len(close)
    return Row("43 days of 1 min bars x 50 assets, all windows", ours, plain, plain / ours, "s (numpy's from its rate)")


def main() -> list[Row]:
    """Measure, print and return the rows."""
    scan(np.arange(1, 901) * DAY, market(900, 50, "one factor"), 0)  # compile
    close = market(5_000, 50, "one factor")
    rows = [timed(f"N = 50, one factor, {name}", DAY // bars, close, 30) for name, bars in BARS_A_DAY.items()]
    rows.append(streamed(close, rows[1].peer))
    rows += [timed(f"N = 50, {kind}", DAY // 1440, market(3_000, 50, kind), 30) for kind in ("weak gap", "none")]
    rows.append(timed("N = 400, one factor", DAY // 17_280, market(1_400, 400, "one factor"), 3))
    rows.append(timed("N = 400, weak gap", DAY // 17_280, market(1_200, 400, "weak gap"), 3))
    rows.append(all_of_it(rows[1].peer))
    show(f"Scanner, windows {WINDOWS}, against numpy corrcoef and eigvalsh per bar", rows)
    return rows


if __name__ == "__main__":
    main()
