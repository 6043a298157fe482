from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dolphin import workspace
from dolphin.catalog.ingest.frames import import_frame
from dolphin.catalog.ingest.importer import import_klines
from dolphin.catalog.ingest.preview import preview
from dolphin.errors import DolphinError
from dolphin.times import DAY_NS, WEEK_NS, format_time


def daily(days: int = 40, start: str = "2024-01-01") -> pd.DataFrame:
    """Business days of prices, as pandas has them."""
    close = 100.0 + np.arange(days) * 0.25
    index = pd.bdate_range(start, periods=days, name="Date")
    return pd.DataFrame({"Open": close, "High": close + 1, "Low": close - 1, "Close": close, "Volume": 5.0}, index)


def test_one_table_in_every_kind_of_frame_is_one_dataset(tmp_path: Path) -> None:
    home = workspace.create(tmp_path)
    frame = daily()
    plain = pl.from_pandas(frame.reset_index())
    kinds = [frame, frame.reset_index(), plain, plain.lazy(), plain.to_arrow(),
             frame.set_axis(frame.index.tz_localize("America/New_York"))]  # fmt: skip
    made = [import_frame(kind, name="aapl", workspace=home) for kind in kinds]
    assert len({report.dataset.digest for report in made}) == 1 and made[0].dataset.symbols == ("AAPL",)
    assert [report.unchanged for report in made] == [False] + [True] * 5
    assert made[0].dataset.manifest["source"] == "a frame in memory"


def test_a_download_of_several_tickers(tmp_path: Path) -> None:
    frame = pd.concat({"AAPL": daily(), "BRK-B": daily() * 2}, axis=1).swaplevel(axis=1)
    report = import_frame(frame, name="two", workspace=workspace.create(tmp_path))
    assert report.dataset.symbols == ("AAPL", "BRKB") and report.quality["rows"] == 80
    assert "the reference symbol is AAPL" in report.advice[0]


@pytest.mark.slow
def test_daily_bars_in_sessions_and_without(tmp_path: Path) -> None:
    home = workspace.create(tmp_path)
    whole = import_frame(daily(), name="all", workspace=home)
    assert whole.dataset.n_bars == 54 and "no bars on Saturdays and Sundays" in whole.advice[-1]
    held = import_frame(daily(), name="nyse", workspace=home, calendar="NYSE")
    # New Year, Martin Luther King and Presidents' Day
    assert (held.dataset.n_bars, held.quality["rejected"], held.quality["missing_share"]) == (37, 3, 0.0)
    assert "3 rows lie outside the sessions of XNYS (days without a session)" in held.advice[0]
    assert held.dataset.prices().close.shape == (37, 1) and len(held.dataset.days) == 37
    assert format_time(held.dataset.first_ts) == "2024-01-03T00:00:00Z"


def test_weekly_bars(tmp_path: Path) -> None:
    home = workspace.create(tmp_path)
    weeks = daily(100).resample("W-MON", label="left", closed="left").last()
    made = import_frame(weeks, name="weekly", workspace=home).dataset
    assert (made.spacing_ns, made.n_bars, len(made.days)) == (WEEK_NS, 20, 20)
    assert (np.diff(made.prices().ts) == WEEK_NS).all() and made.first_ts % WEEK_NS == 4 * DAY_NS
    with pytest.raises(DolphinError, match="weekly bars lie in no session"):
        import_frame(weeks, name="sessions", workspace=home, calendar="NYSE")


def test_times_may_be_of_the_close(tmp_path: Path) -> None:
    home = workspace.create(tmp_path)
    opened = import_frame(daily(), name="a", workspace=home).dataset
    closed = import_frame(daily(), name="b", workspace=home, stamped="close").dataset
    assert opened.first_ts - closed.first_ts == DAY_NS


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        ([1, 2], "a list is no frame"),
        (pl.DataFrame({"a": [1]}), "the frame: no column for the time"),
        (pl.DataFrame({"time": ["2024-01-01"], "close": [1.0]}), "too few rows to tell the spacing"),
        (pd.DataFrame({"time": ["2024-01-01"], "close": [b"1"]}), "column 'close' is Binary, no number"),
    ],
)
def test_what_is_no_frame_of_bars(tmp_path: Path, frame: object, says: str) -> None:
    with pytest.raises(DolphinError, match=says):
        import_frame(frame, name="x", workspace=workspace.create(tmp_path))
    assert not list((tmp_path / "data_catalog").glob("x*"))


def test_a_dry_run_tells_and_writes_nothing(tmp_path: Path) -> None:
    for symbol in ("BTC-USD", "BTC-EUR"):
        daily().to_csv(tmp_path / f"{symbol}.csv")
    found = preview(tmp_path)
    assert [(one.symbols, one.rows, one.spacing) for one in found] == [(("BTCEUR",), 40, "1d"), (("BTCUSD",), 40, "1d")]
    assert found[0].facts["times"] == "dates" and found[0].head.height == 3
    assert found[0].first == "2024-01-01T00:00:00Z"
    home = workspace.create(tmp_path / "home")
    report = import_klines(home, [tmp_path / "BTC-USD.csv", tmp_path / "BTC-EUR.csv"], "btc")
    assert report.dataset.symbols == ("BTCEUR", "BTCUSD")
