"""The run folder: what lies in it, that its numbers add up, and that a rerun is the same to the byte."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typed_documents import is_typed

from dolphin.catalog import Dataset, open_dataset
from dolphin.config import Config, parse_config
from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.market.assemble import feature_columns
from dolphin.study.backtest import BY_HAND, backtest
from dolphin.study.measure.documents import ConfigFile, MetricsDocument, MetricValues, RunDocument
from dolphin.study.measure.metrics import ALL_METRICS, METRICS
from dolphin.study.measure.run import check_reasons, run, scan_uuid, window_rows, write_run
from dolphin.study.trials.registry import Registry
from dolphin.times import format_time
from dolphin.workspace import Workspace

FILES = {"config.json", "run.json", "metrics.json", "trades.parquet", "equity.parquet", "digests.parquet"} | {
    "figures.json",
    "daily.parquet",
    "prices.parquet",
}
TRADE_SCHEMA = {
    "ts": pl.Int64, "date": pl.String, "strategy": pl.String, "asset": pl.String, "side": pl.String,
    "entry_price": pl.Float64, "exit_price": pl.Float64, "quantity": pl.Float64, "pnl": pl.Float64,
    "pnl_pct": pl.Float64, "exit_reason": pl.String, "vel_div_entry": pl.Float64,
    "boost_at_entry": pl.Float64, "beta_at_entry": pl.Float64, "posture": pl.String,
    "leverage": pl.Float64, "regime_signal": pl.String, "capital_before": pl.Float64,
    "capital_after": pl.Float64, "peak_capital": pl.Float64, "drawdown_at_entry": pl.Float64,
    "open_positions_count": pl.Int64, "scan_uuid": pl.String, "bars_held": pl.Int64,
    "entry_bar": pl.Int64, "exit_bar": pl.Int64,
}  # fmt: skip
EQUITY_SCHEMA = {
    "ts": pl.Int64, "equity": pl.Float64, "capital": pl.Float64, "drawdown": pl.Float64, "position": pl.Int8,
}  # fmt: skip


def folder(dataset: Dataset, market: Market, config: Config, out: Path, start: int = 0, stop: int = 4320) -> Path:
    return write_run(run(dataset, market, config, start, stop), feature_columns(dataset)["regime"], out)


@pytest.fixture(scope="module")
def written(dataset: Dataset, market: Market, busy: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(dataset, market, busy, tmp_path_factory.mktemp("runs") / "a", 100, 4000)


def test_the_files_are_the_contract(written: Path) -> None:
    assert {path.name for path in written.iterdir()} == FILES | {"manifest.json"}
    assert not [path for path in written.parent.iterdir() if path != written]


def test_the_documents_are_what_their_types_say(written: Path) -> None:
    for name, kind in (("run", RunDocument), ("metrics", MetricsDocument), ("config", ConfigFile)):
        assert is_typed(json.loads((written / f"{name}.json").read_text()), kind)
    assert MetricValues.__required_keys__ == set(ALL_METRICS)


def test_columns_and_types(written: Path) -> None:
    assert dict(pl.read_parquet_schema(written / "trades.parquet")) == TRADE_SCHEMA
    assert list(pl.read_parquet_schema(written / "trades.parquet")) == list(TRADE_SCHEMA)
    assert list(pl.read_parquet_schema(written / "equity.parquet").items()) == list(EQUITY_SCHEMA.items())
    digests = pl.read_parquet_schema(written / "digests.parquet")
    assert list(digests.items()) == [("ts", pl.Int64), ("digest", pl.UInt64)]


def test_a_run_without_trades_has_the_same_columns(dataset: Dataset, market: Market, tmp_path: Path) -> None:
    out = folder(dataset, market, parse_config({}, where="x"), tmp_path / "quiet", 0, 200)
    assert dict(pl.read_parquet_schema(out / "trades.parquet")) == TRADE_SCHEMA
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["trades"] == 0 and metrics["profit_factor"] == "nan" and metrics["sharpe_365"] == "nan"


def test_metrics_come_in_the_contracts_order(written: Path) -> None:
    metrics = json.loads((written / "metrics.json").read_text())
    assert set(METRICS) <= set(metrics)
    assert metrics["bars"] == 3900 and type(metrics["open_position"]) is bool
    assert metrics["trades"] == pl.read_parquet(written / "trades.parquet").height > 50


def test_config_json_is_the_resolved_config(written: Path, busy: Config) -> None:
    document = json.loads((written / "config.json").read_text())
    assert document == {"config": busy.document(), "hash": busy.hash}
    assert parse_config({k: v for k, v in document["config"].items() if v is not None}, where="x").hash == busy.hash


def test_run_json_says_where_the_numbers_come_from(
    written: Path, dataset: Dataset, busy: Config, market: Market
) -> None:
    document = json.loads((written / "run.json").read_text())
    assert document["dataset"]["name"] == "m" and document["dataset"]["digest"] == dataset.digest
    assert (document["dataset"]["spacing"], document["dataset"]["symbols"]) == ("1m", 8)
    assert document["synthetic"] is True and document["config_hash"] == busy.hash
    assert document["first_bar"] == {"row": 100, "ts": int(market.ts[100]), "time": "2025-01-01T01:40:00Z"}
    assert document["last_bar"] == {"row": 3999, "ts": int(market.ts[3999]), "time": "2025-01-03T18:39:00Z"}
    assert len(document["engine_digest"]) == 64 and document["timings"]["engine_seconds"] > 0
    assert document["versions"]["numba"] and document["platform"]
    last = pl.read_parquet(written / "digests.parquet")["digest"][-1]
    assert document["final_digest"] == f"{last:016x}"


def test_the_books_add_up(written: Path, market: Market, dataset: Dataset, busy: Config) -> None:
    trades = pl.read_parquet(written / "trades.parquet")
    equity = pl.read_parquet(written / "equity.parquet")
    initial, fee = busy.account.initial_capital, busy.friction.fee_bps / 1e4
    closed = trades["exit_bar"].to_numpy() - 100
    pnl = np.zeros(equity.height)
    np.add.at(pnl, closed, trades["pnl"].to_numpy())
    realised = initial + np.cumsum(pnl)
    capital, position = equity["capital"].to_numpy(), equity["position"].to_numpy()
    # Flat: capital is the initial one and all P&L. In a position: less the fee of its entry.
    flat = position == 0
    np.testing.assert_allclose(capital[flat], realised[flat], rtol=1e-12)
    assert (equity["equity"].to_numpy()[flat] == capital[flat]).all()
    columns = {symbol: j for j, symbol in enumerate(dataset.symbols)}
    for trade in trades.iter_rows(named=True):
        first, last = trade["entry_bar"] - 100, trade["exit_bar"] - 100
        side = 1 if trade["side"] == "LONG" else -1
        assert (position[first:last] == side).all() and position[last] == 0
        entry_fee = fee * trade["quantity"] * trade["entry_price"]
        np.testing.assert_allclose(capital[first:last], realised[first] - entry_fee, rtol=1e-12)
        gross = side * trade["quantity"] * (trade["exit_price"] - trade["entry_price"])
        exit_fee = fee * trade["quantity"] * trade["exit_price"]
        assert trade["pnl"] == pytest.approx(gross - entry_fee - exit_fee, rel=1e-9, abs=1e-9)
        notional = trade["quantity"] * trade["entry_price"]
        assert trade["pnl_pct"] == pytest.approx(trade["pnl"] / notional, rel=1e-12)
        assert trade["capital_after"] - trade["capital_before"] == pytest.approx(trade["pnl"], abs=1e-6)
        assert trade["bars_held"] == last - first > 0
        price = market.price[trade["entry_bar"] : trade["exit_bar"], columns[trade["asset"]]]
        open_pnl = side * trade["quantity"] * (price - trade["entry_price"])
        np.testing.assert_allclose(equity["equity"].to_numpy()[first:last], capital[first:last] + open_pnl, rtol=1e-12)


def test_trade_columns_tell_the_market_at_entry(written: Path, market: Market, dataset: Dataset, busy: Config) -> None:
    regime = feature_columns(dataset)["regime"]
    for trade in pl.read_parquet(written / "trades.parquet").iter_rows(named=True):
        entry, last = trade["entry_bar"], trade["exit_bar"]
        assert trade["ts"] == market.ts[last] and trade["date"] == format_time(market.ts[last])[:10]
        assert trade["vel_div_entry"] == market.features[entry, 0]
        limit = busy.document()["params"]["long_threshold"]
        assert abs(trade["vel_div_entry"]) > limit
        assert (trade["side"] == "LONG") == (trade["vel_div_entry"] > 0)
        assert trade["regime_signal"] == {0: "NEUTRAL", 1: "BULL", -1: "BEAR"}[int(regime[entry])]
        assert (trade["boost_at_entry"], trade["beta_at_entry"], trade["posture"]) == (1.0, 0.0, "APEX")
        assert trade["open_positions_count"] in (0, 1) and trade["strategy"] == "vel_div"
        assert trade["scan_uuid"] == str(scan_uuid(dataset.digest, entry))
        assert trade["exit_reason"] in ("STOP_LOSS", "FIXED_TP", "MAX_HOLD")


def test_with_fills_on_the_next_bar_the_signal_is_of_the_bar_that_decided(
    dataset: Dataset, market: Market, busy: Config, tmp_path: Path
) -> None:
    out = folder(dataset, market, busy.with_values({"fill_timing": "next"}), tmp_path / "next")
    trades = pl.read_parquet(out / "trades.parquet")
    assert trades.height > 50
    decided = trades["entry_bar"].to_numpy() - 1
    assert (trades["vel_div_entry"].to_numpy() == market.features[decided, 0]).all()
    assert trades["scan_uuid"][0] == str(scan_uuid(dataset.digest, int(decided[0])))


def test_drawdown_is_from_the_running_peak(written: Path, busy: Config) -> None:
    equity = pl.read_parquet(written / "equity.parquet")
    peak = busy.account.initial_capital
    for value, drawdown in equity.select("equity", "drawdown").iter_rows():
        peak = max(peak, value)
        assert drawdown == (peak - value) / peak
    metrics = json.loads((written / "metrics.json").read_text())
    assert metrics["max_drawdown"] == equity["drawdown"].max()
    assert metrics["final_equity"] == equity["equity"][-1]


def test_a_rerun_is_the_same_to_the_byte(
    written: Path, dataset: Dataset, market: Market, busy: Config, tmp_path: Path
) -> None:
    again = folder(dataset, market, busy, tmp_path / "b", 100, 4000)
    for name in FILES - {"run.json"}:
        assert (again / name).read_bytes() == (written / name).read_bytes(), name
    one, two = (json.loads((path / "run.json").read_text()) for path in (written, again))
    assert {k: v for k, v in one.items() if k != "timings"} == {k: v for k, v in two.items() if k != "timings"}


def test_a_run_replaces_a_run_and_nothing_else(dataset: Dataset, market: Market, busy: Config, tmp_path: Path) -> None:
    out = folder(dataset, market, busy, tmp_path / "r", 0, 1000)
    (out / "tearsheet.html").write_text("of the earlier run")
    folder(dataset, market, busy, out, 0, 900)
    assert {path.name for path in out.iterdir()} == FILES | {"manifest.json"}
    assert pl.read_parquet(out / "equity.parquet").height == 900
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("years of work")
    with pytest.raises(DolphinError, match="foreign: holds other files than a run; name a new folder"):
        folder(dataset, market, busy, tmp_path / "foreign", 0, 900)
    assert (tmp_path / "foreign" / "thesis.txt").read_text() == "years of work"
    with pytest.raises(DolphinError, match=r"thesis\.txt: is a file; name a folder for --out"):
        folder(dataset, market, busy, tmp_path / "foreign" / "thesis.txt", 0, 900)
    (tmp_path / "empty").mkdir()
    assert folder(dataset, market, busy, tmp_path / "empty", 0, 900).is_dir()


def test_scan_uuids_name_data_and_bar() -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    assert scan_uuid(digest, 3) == scan_uuid(digest, 3) != scan_uuid(digest, 4)
    assert scan_uuid(digest, 3) != scan_uuid("0" * 64, 3)
    assert isinstance(scan_uuid(digest, 3), uuid.UUID)


@pytest.mark.parametrize(
    ("start", "stop", "rows"),
    [(None, None, (0, 5)), (20, None, (1, 5)), (21, 40, (2, 3)), (None, 41, (0, 4)), (0, 10**6, (0, 5))],
)
def test_window_rows(start: int | None, stop: int | None, rows: tuple[int, int]) -> None:
    assert window_rows(np.array([10, 20, 30, 40, 50]), start, stop, "m") == rows


@pytest.mark.parametrize(("start", "stop"), [(51, None), (None, 10), (30, 30), (40, 20), (31, 40)])
def test_an_empty_window_says_what_there_is(start: int | None, stop: int | None) -> None:
    ts = np.array([10, 20, 30, 40, 50]) * 10**9
    scale = lambda value: None if value is None else value * 10**9  # noqa: E731
    with pytest.raises(DolphinError) as caught:
        window_rows(ts, scale(start), scale(stop), "m")
    assert str(caught.value) == (
        "m: no bars between --from and --to; the data closes from 1970-01-01T00:00:10Z to 1970-01-01T00:00:50Z"
    )


def test_a_backtest_is_registered_as_a_look_at_the_data(home: Workspace, tmp_path: Path) -> None:
    config = parse_config({"params": {"vol_p60": "p60"}}, where="x")
    ts = open_dataset(home, "m").prices().ts
    done = backtest(home, "m", config, int(ts[1000]), int(ts[4000]), out=tmp_path / "r")
    backtest(home, "m", config.with_values({"tp_pct": 0.01}), int(ts[1000]))
    trials = Registry(home).trials().collect()
    assert trials["study"].to_list() == [BY_HAND, BY_HAND]
    row: dict[str, Any] = trials.row(0, named=True)
    written = json.loads((tmp_path / "r" / "config.json").read_text())
    assert row["config_hash"] == done.config.hash == written["hash"]
    assert json.loads(row["config"]) == written["config"]
    vol = feature_columns(open_dataset(home, "m"))["vol"][1000:4000]
    assert written["config"]["params"]["vol_p60"] == np.percentile(vol, 60.0)
    assert (row["first_ts"], row["last_ts"], row["bars"]) == (ts[1000], ts[3999], 3000)
    assert (row["roi"], row["trades"]) == (done.metrics["roi"], done.metrics["trades"])
    assert Registry(home).count_on(done.dataset.digest) == 2


def test_a_reason_that_is_not_declared_is_told(dataset: Dataset, market: Market, busy: Config) -> None:
    done = run(dataset, market, busy, 100, 4000)
    trades = done.recording.trades.copy()
    assert len(trades) > 1
    check_reasons(trades, busy, market)
    trades["reason"][1] = len(busy.strategy.reasons)
    with pytest.raises(
        DolphinError, match=rf"closed for reason {len(busy.strategy.reasons)} at the bar of .*: 0 none, 1 "
    ):
        check_reasons(trades, busy, market)
