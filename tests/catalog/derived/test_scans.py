from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dolphin.catalog import Dataset, import_klines
from dolphin.catalog.derived.scans import missing_days, read_features, scan_folder, write_day
from dolphin.catalog.store.scan_layout import FEATURES
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace

SCANNER = "c0ffee"


@pytest.fixture
def dataset(workspace: Workspace, source: Callable[..., Path], klines: pl.DataFrame) -> Dataset:
    return import_klines(workspace, source(klines), "k").dataset


def write(dataset: Dataset, date: str, scanner: str = SCANNER) -> None:
    prices = dataset.prices()
    day = np.datetime_as_string(prices.ts.astype("datetime64[ns]"), unit="D") == date
    columns = {name: prices.ts[day] * 1e-18 + k for k, name in enumerate(FEATURES)}
    write_day(dataset, scanner, date, {"ts": prices.ts[day], **columns, "a_50": columns["vol"]}, prices.close[day])


def test_written_days_are_read_back(dataset: Dataset) -> None:
    assert missing_days(dataset, SCANNER) == dataset.days == ("2024-12-31", "2025-01-01")
    write(dataset, "2025-01-01")
    assert missing_days(dataset, SCANNER) == ("2024-12-31",)
    with pytest.raises(DolphinError, match="1 days are not scanned, the first 2024-12-31; run 'dolphin scan k'"):
        read_features(dataset, SCANNER)
    write(dataset, "2024-12-31")
    assert missing_days(dataset, SCANNER, deep=True) == ()
    features = read_features(dataset, SCANNER)
    assert list(features) == ["ts", *FEATURES, "a_50"]
    prices = dataset.prices()
    assert (features["ts"] == prices.ts).all() and features["ts"].dtype == np.int64
    assert (features["vol"] == prices.ts * 1e-18 + FEATURES.index("vol")).all()
    later = read_features(dataset, SCANNER, days=dataset.days[1:])
    assert (later["ts"] == prices.ts[-len(later["ts"]) :]).all()


def test_column_order_is_that_of_the_contract(dataset: Dataset) -> None:
    write(dataset, "2025-01-01")
    names = list(pl.read_parquet_schema(scan_folder(dataset) / "2025-01-01.parquet"))
    assert names == ["ts", *FEATURES, "BTCUSDT", "ETHUSDT"]
    detail = list(pl.read_parquet_schema(scan_folder(dataset) / "detail" / "2025-01-01.parquet"))
    assert detail == ["ts", "a_50"]
    assert names[1:10] == [
        "vel_div", "v50_vel", "v150_vel", "v300_vel", "v750_vel",
        "instability_50", "instability_150", "vol", "bull_pct",
    ]  # fmt: skip


def test_another_scanner_or_dataset_version_has_no_days(
    dataset: Dataset, workspace: Workspace, source: Callable[..., Path], klines: pl.DataFrame
) -> None:
    for date in dataset.days:
        write(dataset, date)
    assert missing_days(dataset, "decaf") == dataset.days
    other = import_klines(workspace, source(klines[:-1]), "k").dataset
    assert missing_days(other, SCANNER) == other.days
    write(other, other.days[0])
    assert missing_days(other, SCANNER) == other.days[1:]
    assert missing_days(dataset, SCANNER) == dataset.days


def test_damaged_scans(dataset: Dataset) -> None:
    for date in dataset.days:
        write(dataset, date)
    path = scan_folder(dataset) / "2025-01-01.parquet"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    with pytest.raises(DolphinError, match=r"2025-01-01\.parquet: damaged"):
        read_features(dataset, SCANNER)
    assert missing_days(dataset, SCANNER) == ()
    assert missing_days(dataset, SCANNER, deep=True) == ("2025-01-01",)
    path.write_bytes(data[:-1])
    assert missing_days(dataset, SCANNER) == ("2025-01-01",)
    manifest = scan_folder(dataset) / "manifest.json"
    for text in ("{", "[]", json.dumps({"schema": 1})):
        manifest.write_text(text)
        assert missing_days(dataset, SCANNER) == dataset.days


def test_a_missing_column_is_a_mistake_of_the_caller(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="vel_div"):
        write_day(dataset, SCANNER, "2025-01-01", {"ts": np.zeros(1, np.int64)}, np.zeros((1, 2)))
    assert not scan_folder(dataset).exists()
