"""Readers on recorded market data; what is known of it is in its README."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dolphin.catalog import readers


def table(path: Path) -> pl.DataFrame:
    return pl.concat(readers.read(path).frames)


@pytest.mark.parametrize("folder", ["klines_1m_2021", "klines_5m_2022", "klines_5m_2025", "klines_1h_2020_2023"])
def test_kline_folders(shared_data: Path, folder: str) -> None:
    files, skipped = readers.find_files(shared_data / folder)
    assert skipped == [] and len(files) > 40
    for path in files[:: len(files) // 8]:
        frame = table(path)
        raw = pl.read_parquet(path, hive_partitioning=False)
        assert frame.equals(raw.with_columns(pl.col("ts") * 10**6))


@pytest.mark.parametrize("name", ["FILUSDT-1m-2023-02.csv", "NEARUSDT-1m-2026-06.csv", "AVAXUSDT-1m-2026-02.zip"])
def test_exchange_files(shared_data: Path, name: str) -> None:
    frame = table(shared_data / "binance_csv" / name)
    assert frame["symbol"].unique().to_list() == [name.split("-")[0]]
    assert frame["ts"].diff().drop_nulls().unique().to_list() == [60 * 10**9]
    assert frame.height == {"02": 28, "06": 30}[name.split(".")[0][-2:]] * 1440
    assert frame.null_count().row(0) == (0,) * 7


@pytest.mark.parametrize(
    "name",
    ["spot_btcusdt_20240808.gz", pytest.param("usdm_btcusdt_20240808.gz", marks=pytest.mark.slow)],
)
def test_recorded_streams(shared_data: Path, name: str) -> None:
    reading = readers.read(shared_data / "books" / name)
    assert reading.kind == "ticks"
    assert sum(frame.height for frame in reading.frames) > 9000


def test_external_factors(shared_data: Path) -> None:
    files, _ = readers.find_files(shared_data / "external")
    assert len(files) == 7
    assert {readers.read(path).kind for path in files} == {"series"}
