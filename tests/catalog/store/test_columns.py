"""What rows hold beside closes, on the grid: against a fill row by row in plain Python."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from dolphin.catalog import Dataset, generate, import_klines, open_dataset
from dolphin.catalog.store.columns import row_column
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace, create

MINUTE = 60 * 10**9


@pytest.fixture(scope="module")
def holed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Dataset ``h``: two days of four symbols with one row in ten missing, one symbol listed on the second day."""
    home = create(tmp_path_factory.mktemp("holed"))
    dataset = generate(home, "g", preset="null", days=2, assets=4, spacing_ns=5 * MINUTE, seed=2).dataset
    frame = dataset.frame().collect().sort("symbol", "ts")
    kept = np.random.default_rng(4).random(frame.height) > 0.1
    kept |= (frame["ts"] == dataset.last_ts).to_numpy() | (frame["ts"] == dataset.first_ts).to_numpy()
    late = (frame["symbol"] == dataset.symbols[2]).to_numpy() & (
        frame["ts"] < dataset.first_ts + 86_400 * 10**9
    ).to_numpy()
    frame = frame.filter(kept & ~late)
    (home.root / "source").mkdir()
    frame.with_columns(ts=(pl.col("ts") - 5 * MINUTE) // 10**6).write_parquet(home.root / "source" / "all.parquet")
    import_klines(home, home.root / "source", "h", spacing_ns=5 * MINUTE)
    return home


def plainly(dataset: Dataset, name: str) -> np.ndarray:
    rows = {(r["symbol"], r["ts"]): r for r in dataset.frame().collect().to_dicts()}
    out = np.full((dataset.n_bars, len(dataset.symbols)), math.nan)
    for j, symbol in enumerate(dataset.symbols):
        last = None
        for i, ts in enumerate(dataset.grid().tolist()):
            row = rows.get((symbol, ts))
            if row is not None and row[name] is not None:
                out[i, j], last = row[name], row
            elif last is not None:
                out[i, j] = 0.0 if name == "volume" else last[name if name in ("bid", "ask") else "close"]
    return out


@pytest.mark.parametrize("name", ["open", "high", "low", "volume"])
def test_it_is_the_fill_row_by_row(holed: Workspace, name: str) -> None:
    dataset = open_dataset(holed, "h")
    age = dataset.prices().age
    assert (age > 0).sum() > 100 and (age < 0).sum() > 200
    found = row_column(dataset, name)
    np.testing.assert_array_equal(found, plainly(dataset, name))
    assert isinstance(found, np.memmap) and found.dtype == np.float64 and found.flags.c_contiguous
    assert (np.isnan(found) == (age < 0)).all()


def test_it_is_built_once_and_again_when_damaged(holed: Workspace) -> None:
    dataset = open_dataset(holed, "h")
    before = np.array(row_column(dataset, "high"))
    (file,) = (holed.catalog / "cache").glob("high-*/high.npy")
    stamp = file.stat().st_mtime_ns
    row_column(dataset, "high")
    assert file.stat().st_mtime_ns == stamp
    file.write_bytes(file.read_bytes()[:-5])
    np.testing.assert_array_equal(row_column(dataset, "high"), before)


def test_rows_without_quotes_say_so(holed: Workspace) -> None:
    with pytest.raises(DolphinError, match="h: its rows have no bid; use a dataset whose rows have it"):
        row_column(open_dataset(holed, "h"), "bid")


def test_quotes_stand_until_the_next(holed: Workspace) -> None:
    frame = open_dataset(holed, "h").frame().collect().with_row_index("k")
    quoted = [(pl.when(pl.col("k") % n != 0).then(pl.col("close") * f)).alias(q)
              for q, n, f in (("bid", 3, 0.999), ("ask", 5, 1.001))]  # fmt: skip
    (holed.root / "quoted").mkdir()
    frame = frame.with_columns(*quoted, ts=(pl.col("ts") - 5 * MINUTE) // 10**6).drop("k")
    frame.write_parquet(holed.root / "quoted" / "all.parquet")
    dataset = import_klines(holed, holed.root / "quoted", "q", spacing_ns=5 * MINUTE).dataset
    assert dataset.frame().collect()["bid"].null_count() > 100
    for name in ("bid", "ask"):
        np.testing.assert_array_equal(row_column(dataset, name), plainly(dataset, name))
    known = ~np.isnan(row_column(dataset, "bid")) & (dataset.prices().age >= 0)
    assert known.mean() > 0.8 and np.isnan(row_column(dataset, "bid"))[dataset.prices().age < 0].all()
