"""A run on an exchange's calendar goes the whole way: import, scan, backtest, gate, stress, report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from command_line import CONFIG, dolphin

from dolphin.catalog.store.sessions import calendar
from dolphin.times import parse_time

HOUR = 3600 * 10**9


def session_klines(name: str, first: str, last: str) -> pl.DataFrame:
    """Hourly klines of four symbols at every close of a calendar; open times in ms."""
    closes = calendar(name).closes(parse_time(first), parse_time(last), HOUR)
    rng = np.random.default_rng(11)
    market = np.cumsum(0.003 * rng.standard_normal(len(closes)))
    frames = []
    for k, symbol in enumerate(("BTCUSDT", "ESUSD", "NQUSD", "YMUSD")):
        price = np.round(100 * (k + 1) * np.exp(market + np.cumsum(0.003 * rng.standard_normal(len(closes)))), 2)
        values = {"open": price, "high": price, "low": price, "close": price, "volume": np.ones(len(closes))}
        frames.append(pl.DataFrame({"symbol": symbol, "ts": (closes - HOUR) // 10**6, **values}))
    return pl.concat(frames)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "last"), [("NYSE", "2024-10-12"), ("CME", "2024-04-13")])
def test_import_backtest_gate_stress_report(tmp_path: Path, name: str, last: str) -> None:
    home, source = tmp_path / "home", tmp_path / "source"
    source.mkdir()
    klines = session_klines(name, "2024-01-08", last)
    klines.write_parquet(source / "rows.parquet")
    assert dolphin(tmp_path, "init", home).code == 0
    (home / "config.toml").write_text(CONFIG.replace("0.004", "0.0004").replace("0.02", "0.002"))

    made = dolphin(home, "data", "import", source, "--name", "x", "--spacing", "1h", "--calendar", name)
    assert made.code == 0, made.err
    run = home / "runs" / "x"
    done = dolphin(home, "backtest", "x", "--config", home / "config.toml", "--out", run, "--json")
    assert done.code == 0, done.err
    metrics = done.json["metrics"]
    assert metrics["trades"] > 5 and metrics["bars"] == klines.height // 4

    # A return for each UTC day with bars, and no other: what closes at midnight belongs to the day before.
    equity = pl.read_parquet(run / "equity.parquet")
    ends = equity.group_by((pl.col("ts") - 1) // (24 * HOUR), maintain_order=True).last()["equity"].to_numpy()
    returns = ends / np.concatenate([[25_000.0], ends[:-1]]) - 1.0
    sharpe = returns.mean() / returns.std(ddof=1) * np.sqrt(365.0)
    assert metrics["sharpe_365"] == pytest.approx(sharpe, rel=1e-9)

    gate = dolphin(home, "gate", run, "--json")
    assert gate.code == 1, gate.err  # a random walk: refused for its figures, not for its calendar
    report = json.loads(gate.out)
    span = (equity["ts"][-1] - equity["ts"][0] + HOUR) / (24 * HOUR)
    assert report["candidate"]["window"]["days"] == span
    assert "FAILED" in report["verdict"].upper() or "REFUSED" in report["verdict"].upper()
    assert all(row["value"] is not None for row in report["floors"]), report["floors"]

    test = dolphin(home, "stress", "x", "--config", home / "config.toml", "--out", home / "s", "--runs", 2)
    assert test.code == 0, test.err
    for what in (run, home / "s"):
        page = dolphin(home, "report", what, "--out", home / "page.html")
        assert page.code == 0, page.err
