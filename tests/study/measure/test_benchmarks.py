"""What a run is read against: its own market, held; and the tear sheet that shows it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import Market
from dolphin.market.assemble import feature_columns
from dolphin.report import tear_sheet
from dolphin.report.benchmark_cards import benchmark_figure, benchmark_names
from dolphin.report.calendar import calendar_picture
from dolphin.study.measure.benchmarks import daily_frame, figures_document, held, held_together, prices_frame
from dolphin.study.measure.metrics import daily_equity
from dolphin.study.measure.run import Run, run, write_run


@pytest.fixture(scope="module")
def done(dataset: Dataset, market: Market, busy: Config) -> Run:
    return run(dataset, market, busy, 100, 4000)


def test_holding_is_bought_at_the_first_price_and_never_touched() -> None:
    price = np.array([np.nan, 10.0, 11.0, 12.0])
    np.testing.assert_allclose(held(price, np.array([1, 3])), [1.0, 1.0, 1.2])
    assert np.isnan(held(np.full(4, np.nan), np.array([3]))).all()
    prices = np.array([[10.0, np.nan, 4.0], [20.0, 5.0, 4.0], [30.0, 7.0, 2.0]])
    np.testing.assert_allclose(held_together(prices, np.array([1, 2])), [1.0, 1.5, 1.75])


def test_a_row_per_day(done: Run) -> None:
    days = daily_frame(done)
    ts, price = done.market.ts[100:4000], done.market.price[100:4000]
    capital = done.config.account.initial_capital
    np.testing.assert_allclose(days["equity"] * capital, daily_equity(ts, done.recording.equity, capital)[1:])
    np.testing.assert_allclose((1.0 + days["ret"]).product() - 1.0, done.metrics["roi"])
    column = done.dataset.reference_column
    assert days["reference"][-1] == price[-1, column] / price[0, column]
    assert days["date"].is_sorted() and days["rolling_sharpe"].null_count() == days.height  # three days are no thirty


def test_figures_agree_with_the_metrics(done: Run) -> None:
    found = figures_document(done)
    assert found["account"]["roi"] == pytest.approx(done.metrics["roi"])
    assert found["account"]["sharpe_365"] == pytest.approx(done.metrics["sharpe_365"])
    assert sum(found["exposure"].values()) == pytest.approx(done.metrics["exposure"], abs=1e-3)
    assert found["account"]["max_drawdown_daily"] <= done.metrics["max_drawdown"] + 1e-12
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_prices_hold_every_entry_and_exit_of_the_busiest(done: Run) -> None:
    prices, trades = prices_frame(done), done.recording.trades
    counts = np.bincount(trades["asset"])
    assert prices["asset"].unique(maintain_order=True)[0] == done.dataset.symbols[int(counts.argmax())]
    mine = trades[trades["asset"] == counts.argmax()]
    rows = prices.filter(pl.col("asset") == done.dataset.symbols[int(counts.argmax())])
    assert set(done.market.ts[mine["exit_bar"]].tolist()) <= set(rows["ts"].to_list())
    quiet = done.config.with_values({"short_threshold": -9.0, "short_extreme": -9.5, "direction": "short_only"})
    assert prices_frame(run(done.dataset, done.market, quiet, 100, 400)).is_empty()


def test_the_tear_sheet_shows_them(done: Run, tmp_path: Path) -> None:
    import plotly.graph_objects as go

    folder = write_run(done, feature_columns(done.dataset)["regime"], tmp_path / "run")
    page = tear_sheet(folder)
    figures = dict(re.findall(r'<script type="application/json" id="figure-([\w-]+)">(.*?)</script>', page))
    packed = dict(re.findall(r'<script type="application/gzip" id="figure-([\w-]+)">(.*?)</script>', page))
    figures |= {name: gzip.decompress(base64.b64decode(body)).decode() for name, body in packed.items()}
    assert {"benchmarks", "price-0", "equity"} <= figures.keys() and len(page) < 1_500_000
    for body in figures.values():
        figure = json.loads(body)
        go.Figure(data=figure["data"], layout=figure["layout"])
    words = re.sub(r"<[^>]+>", " ", page)
    for text in (
        "CAGR",
        "Sortino",
        "Calmar",
        "Omega",
        "Ulcer index",
        "equal weights",
        "Falls from a peak",
        "Entry (UTC)",
    ):
        assert text in words, text
    names = benchmark_names(json.loads((folder / "figures.json").read_text()))
    assert go.Figure(benchmark_figure(pl.read_parquet(folder / "daily.parquet"), names)).data[-1].name == "this run"


def test_a_calendar_has_a_square_per_day_whatever_the_length() -> None:
    days = [(date(2023, 12, 31) + timedelta(days=k), None if k == 5 else 0.01 * (k % 7 - 3)) for k in range(800)]
    drawn = calendar_picture(days)
    assert drawn.count("<rect") == 800 and drawn.count("<title>") == 800
    assert [y in drawn for y in (">2023<", ">2024<", ">2025<", ">2026<")] == [True, True, True, True]
    places = set(re.findall(r'<rect x="(\d+)" y="(\d+)"', drawn))
    assert len(places) == 800
    assert calendar_picture([(date(2024, 12, 31), 0.0), (date(2025, 1, 1), 0.1)]).count("<rect") == 1
