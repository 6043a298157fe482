"""Funding rates on the grid: each at the bar in which it fell due, and nothing of a later one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pair_for_tests import PAIR

from dolphin.catalog import Dataset, import_klines, open_dataset, readers
from dolphin.catalog.ingest.external import import_series
from dolphin.config import Config, parse_config
from dolphin.errors import DolphinError
from dolphin.market.assemble import open_market
from dolphin.market.funding import funding_rates
from dolphin.workspace import Workspace, create

HOUR_MS = 3_600_000
FUNDED = dataclasses.replace(PAIR, market_columns=(*PAIR.market_columns, "funding"))


def config_with(table: str | None) -> Config:
    config = parse_config({"market": {"funding": table}} if table else {}, where="x")
    params = PAIR.params(first="SYN02USDT")
    return dataclasses.replace(config, strategy=FUNDED, strategy_name="pair", params=params)


def table_of(home: Workspace, name: str, rows: list[tuple[str, int, float]]) -> None:
    """An imported series from (symbol, funding time in ms, rate)."""
    file = home.root / f"{name}_funding.parquet"
    pl.DataFrame(rows, schema=["symbol", "ts", "funding_rate"], orient="row").write_parquet(file)
    import_series(home, name, [(file, readers.read(file))], {"source": "test"})


@pytest.fixture
def opened(home: Workspace) -> Dataset:
    return open_dataset(home, "m")


def test_a_rate_stands_at_the_first_bar_that_closes_at_or_after_it(home: Workspace, opened: Dataset) -> None:
    first = opened.first_ts // 10**6
    rows = [
        ("BTCUSDT", first, 0.0001),  # at the close of the first bar
        ("BTCUSDT", first + 8 * HOUR_MS, 0.0002),  # at a close
        ("BTCUSDT", first + 16 * HOUR_MS + 3, 0.0003),  # a moment after one: the next bar's
        ("BTCUSDT", first + 16 * HOUR_MS + 59_000, 0.0005),  # the same bar once more
        ("SYN02USDT", first - 59_999, -0.001),  # inside the first bar
        ("SYN02USDT", first - 60_000, 7.0),  # before it
        ("SYN02USDT", first + 72 * HOUR_MS, 7.0),  # after the last
        ("OTHERUSDT", first + 8 * HOUR_MS, 7.0),
    ]
    table_of(home, "rates", rows)
    found = funding_rates(opened, "rates")
    expected = np.zeros((opened.n_bars, len(opened.symbols)))
    expected[[0, 480, 961], 0] = 0.0001, 0.0002, 0.0003 + 0.0005
    expected[0, opened.symbols.index("SYN02USDT")] = -0.001
    np.testing.assert_array_equal(found, expected)
    market = open_market(opened, config_with("rates"))
    np.testing.assert_array_equal(market.funding, expected)


def test_another_table_of_the_name_is_another_column(home: Workspace, opened: Dataset) -> None:
    for rate in (0.0001, 0.0004):
        table_of(home, "rates", [("BTCUSDT", opened.first_ts // 10**6, rate)])
        assert funding_rates(opened, "rates")[0, 0] == rate


def test_what_is_missing_is_told_in_one_line(home: Workspace, opened: Dataset) -> None:
    with pytest.raises(DolphinError, match=r"'pair' reads funding rates, and the config names no table of them; add"):
        open_market(opened, config_with(None))
    table_of(home, "rates", [("OTHERUSDT", opened.first_ts // 10**6, 0.1)])
    with pytest.raises(DolphinError, match="table 'rates' has no FUNDING_RATE of a symbol of 'm'; name another"):
        open_market(opened, config_with("rates"))
    with pytest.raises(DolphinError, match="did you mean 'rates'"):
        open_market(opened, config_with("rate"))


def test_the_table_is_part_of_the_hash_only_where_it_is_named() -> None:
    plain = parse_config({}, where="x")
    named, other = (parse_config({"market": {"funding": name}}, where="x") for name in ("a", "b"))
    assert "market" not in plain.document() and named.document()["market"] == {"funding": "a"}
    assert len({plain.hash, named.hash, other.hash}) == 3
    assert parse_config({"market": {}}, where="x").hash == plain.hash
    assert parse_config({}, where="x", overrides={"market.funding": "a"}).hash == named.hash


def test_real_rates_lie_on_the_real_grid(shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "external" / "binance_um_funding.parquet"
    home = create(tmp_path / "home")
    import_series(home, "funding", [(file, readers.read(file))], {"source": "shared"})
    raw = pl.read_parquet(file)
    first = raw.filter(pl.col("symbol") == "BTCUSDT")["ts"].sort()[300]
    hours = 400
    times = [(first // HOUR_MS + k) * HOUR_MS for k in range(hours)]
    rows = [(s, t, 5.0, 6.0, 4.0, 5.0, 1.0) for s in ("BTCUSDT", "ETHUSDT") for t in times]
    frame = pl.DataFrame(rows, schema=["symbol", "ts", "open", "high", "low", "close", "volume"], orient="row")
    (tmp_path / "bars").mkdir()
    frame.write_parquet(tmp_path / "bars" / "all.parquet")
    import_klines(home, tmp_path / "bars", "b", spacing_ns=HOUR_MS * 10**6)
    dataset = open_dataset(home, "b")
    found = funding_rates(dataset, "funding")
    for j, symbol in enumerate(dataset.symbols):
        due = raw.filter(
            pl.col("symbol") == symbol,
            pl.col("ts") * 10**6 > dataset.first_ts - dataset.spacing_ns,
            pl.col("ts") * 10**6 <= dataset.last_ts,
        )
        assert due.height >= 49 and found[:, j].sum() == pytest.approx(due["funding_rate"].sum(), rel=1e-12)
        assert np.count_nonzero(found[:, j]) == (due["funding_rate"] != 0.0).sum()
