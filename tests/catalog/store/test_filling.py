"""Prices on the grid: filled forward block after block, in memory that does not grow with the history."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.catalog import generate, import_klines
from dolphin.catalog.store.filling import Filler
from dolphin.workspace import Workspace


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=40), st.data())
def test_any_blocks_against_the_obvious_loop(real: list[list[bool]], data: st.DataObject) -> None:
    mask = np.array(real)
    close = np.where(mask, np.arange(mask.size, dtype=float).reshape(mask.shape), np.nan)
    filled, age = close.copy(), np.full(mask.shape, 99, np.int32)
    fill, low = Filler(3), 0
    while low < len(mask):
        high = data.draw(st.integers(low + 1, len(mask)))
        fill(filled[low:high], age[low:high])
        low = high
    for j in range(3):
        last, since = np.nan, -1
        for t in range(len(mask)):
            if mask[t, j]:
                last, since = close[t, j], 0
            elif since >= 0:
                since += 1
            assert age[t, j] == since
            np.testing.assert_equal(filled[t, j], last)


def test_days_without_rows_and_symbols_that_come_and_go(tmp_path: Path, workspace: Workspace) -> None:
    """One symbol stops for three days, the other starts on the last: ages run on over the days between."""
    minute, day = 60_000, 86_400_000
    first = 1_735_689_600_000 + day - 5 * minute
    times = {"BTCUSDT": [*range(5), *(4 * 1440 + 5 + k for k in range(3))], "ETHUSDT": [4 * 1440 + 6, 4 * 1440 + 7]}
    rows = [
        {"symbol": symbol, "ts": first + k * minute, "volume": 1.0}
        | dict.fromkeys(("open", "high", "low", "close"), 100.0 + k)
        for symbol, bars in times.items()
        for k in bars
    ]
    (tmp_path / "source").mkdir()
    pl.DataFrame(rows).write_parquet(tmp_path / "source" / "0.parquet")
    dataset = import_klines(workspace, tmp_path / "source", "k").dataset
    prices = dataset.prices()
    assert prices.ts.tolist() == dataset.grid().tolist() and len(prices.ts) == 4 * 1440 + 8
    expected = np.full((len(prices.ts), 2), np.nan)
    for column, bars in enumerate(times.values()):
        expected[bars, column] = 100.0 + np.array(bars)
    ages = np.empty(expected.shape, np.int32)
    Filler(2)(expected, ages)
    np.testing.assert_array_equal(prices.close, expected)
    np.testing.assert_array_equal(prices.age, ages)
    assert prices.age[4 * 1440 + 4].tolist() == [4 * 1440, -1] and prices.age[-1].tolist() == [0, 0]
    assert prices.age.dtype == np.int32


@pytest.mark.slow
def test_memory_does_not_grow_with_the_history(workspace: Workspace) -> None:
    """345 MB of prices, ages and logarithms are built, opened and swept with a fraction of that."""
    generate(workspace, "wide", preset="edge", days=20, assets=100, spacing_ns=10 * 10**9)
    program = """
import sys
import threading
from pathlib import Path
import numpy as np
from dolphin.catalog import open_dataset
from dolphin.market import assemble as market
from dolphin.config import parse_config
from dolphin.study.measure.measured import measure
from dolphin.workspace import Workspace

def anonymous():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000

class Peak:
    def __enter__(self):
        self.before = self.top = anonymous()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.sample)
        self.thread.start()
        return self
    def sample(self):
        while not self.done.wait(0.002):
            self.top = max(self.top, anonymous())
    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        print(self.top - self.before)

dataset = open_dataset(Workspace(Path(sys.argv[1])), "wide")
base = parse_config({"params": {"vol_gate_mode": "off"}}, where="test")
configs = [base.with_values({"tp_pct": 0.004 + 0.001 * k}) for k in range(4)]
def logs(writer):
    market.write_log_price(writer, dataset.prices().close)

with Peak():
    prices = dataset.prices()
    log_price = dataset.cached("logs", logs)["log_price"]
assert log_price.nbytes + prices.close.nbytes + prices.age.nbytes == 172_800 * 100 * 20
bars = len(prices.ts)
features = np.random.default_rng(1).normal(0.0, 0.05, (bars, len(base.strategy.columns)))
data = market.Market(
    prices.ts, prices.close, log_price, prices.age, features,
    market.neutral_risk(bars), market.instrument_records(dataset.instruments),
)
measure(configs[:1], data, 0, 10)  # compiles
with Peak():
    trades = measure(configs, data, 0, bars, threads=2).metrics["trades"]
    assert (trades > 10).all()
    assert np.isfinite(float(data.price.sum()) + float(data.log_price.sum()) + int(data.age.sum()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(workspace.root)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    building, sweeping = map(float, done.stdout.split())
    # The arrays are 138 MB (prices), 69 MB (ages) and 138 MB (logarithms); a day's rows take the most.
    assert building < 130.0 and sweeping < 30.0, (building, sweeping)
