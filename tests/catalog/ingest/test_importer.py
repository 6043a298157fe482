from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dolphin.catalog import format_time, import_klines, list_datasets, open_dataset, parse_time, verify
from dolphin.catalog.readers import KLINE_COLUMNS
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace

Source = Callable[..., Path]
Snapshot = Callable[[Path], dict[str, bytes]]
MINUTE_NS = 60 * 10**9


def test_time_is_the_close_and_midnight_is_the_new_day(
    workspace: Workspace, source: Source, klines: pl.DataFrame
) -> None:
    dataset = import_klines(workspace, source(klines), "k").dataset
    assert (dataset.spacing_ns, dataset.n_bars, dataset.reference_column) == (MINUTE_NS, 60, 0)
    assert format_time(dataset.first_ts) == "2024-12-31T23:31:00Z"
    assert format_time(dataset.last_ts) == "2025-01-01T00:30:00Z"
    assert {date: entry["rows"] for date, entry in dataset.manifest["days"].items()} == {
        "2024-12-31": 2 * 29,
        "2025-01-01": 2 * 31,
    }
    assert dataset.days == ("2024-12-31", "2025-01-01")
    rows = dataset.frame().collect()
    assert rows.columns == ["symbol", "ts", "open", "high", "low", "close", "volume"]
    assert rows.sort("symbol", "ts").drop("ts").equals(klines.drop("ts"))
    assert not dataset.synthetic


def test_prices_fill_forward_with_age(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    eth, btc = klines.filter(symbol="ETHUSDT"), klines.filter(symbol="BTCUSDT")
    holes = pl.concat([btc, eth[3:10], eth[14:50]])
    report = import_klines(workspace, source(holes), "k")
    prices = report.dataset.prices()
    assert prices.ts.dtype == np.int64 and prices.age.dtype == np.int32
    assert (np.diff(prices.ts) == MINUTE_NS).all() and prices.ts[0] == report.dataset.first_ts
    assert prices.close[:, 0].tolist() == btc["close"].to_list()
    assert not prices.age[:, 0].any()
    close = eth["close"].to_numpy()
    expected = np.r_[[np.nan] * 3, close[3:10], [close[9]] * 4, close[14:50], [close[49]] * 10]
    np.testing.assert_array_equal(prices.close[:, 1], expected)
    assert prices.age[:, 1].tolist() == [-1] * 3 + [0] * 7 + [1, 2, 3, 4] + [0] * 36 + list(range(1, 11))
    assert report.quality["gaps"]["ETHUSDT"] == {"missing": 17, "gaps": 3, "longest": 10, "share": 17 / 60}
    assert report.quality["gaps"]["BTCUSDT"] == {"missing": 0, "gaps": 0, "longest": 0, "share": 0.0}
    prices.close[:] = 0.0  # a private copy of the page, never of the file
    assert report.dataset.prices().close[5, 0] == btc["close"][5]


def test_digest_is_of_the_content_alone(
    workspace: Workspace, source: Source, klines: pl.DataFrame, tmp_path: Path
) -> None:
    """Whole or in parts, as Parquet, CSV or zip, under any name: equal rows have one digest."""
    digest = import_klines(workspace, source(klines), "k").dataset.digest
    assert import_klines(workspace, source(klines), "other").dataset.digest == digest
    parts = source(klines[70:], klines[:30], klines[30:70], folder="parts")
    assert import_klines(workspace, parts, "k2").dataset.digest == digest
    plain, packed = tmp_path / "csv", tmp_path / "zip"
    plain.mkdir(), packed.mkdir()
    for (symbol,), rows in klines.group_by("symbol"):
        rest = [pl.lit(0).alias(c) for c in KLINE_COLUMNS[6:]]
        text = rows.drop("symbol").rename({"ts": "open_time"}).with_columns(rest).write_csv()
        (plain / f"{symbol}-1m.csv").write_text(text)
        with zipfile.ZipFile(packed / f"{symbol}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{symbol}-1m.csv", text)
    assert import_klines(workspace, plain, "k3").dataset.digest == digest
    assert import_klines(workspace, packed, "k4").dataset.digest == digest
    changed = klines.with_columns(pl.col("volume") * 2)
    assert import_klines(workspace, source(changed, folder="c"), "k5").dataset.digest != digest
    assert list_datasets(workspace) == ["k", "k2", "k3", "k4", "k5", "other"]


def test_again_is_idempotent_and_other_data_is_a_new_version(
    workspace: Workspace, source: Source, klines: pl.DataFrame, snapshot: Snapshot
) -> None:
    first = import_klines(workspace, source(klines), "k")
    before = snapshot(workspace.catalog)
    again = import_klines(workspace, source(klines), "k")
    assert again.unchanged and not first.unchanged
    assert again.dataset == first.dataset
    assert snapshot(workspace.catalog) == before
    other = import_klines(workspace, source(klines[:-1]), "k").dataset
    assert other.digest != first.dataset.digest
    assert open_dataset(workspace, "k") == other
    after = snapshot(workspace.catalog)
    assert all(after[path] == data for path, data in before.items() if path != "k.json")
    back = import_klines(workspace, source(klines), "k")  # an earlier version: its files serve again
    assert back.dataset == first.dataset and not back.unchanged
    files = {path for path in before if path != "k.json"}
    assert {p: d for p, d in snapshot(workspace.catalog).items() if p in files} == {p: before[p] for p in files}


def test_rows_set_aside_are_kept_though_the_rest_is_the_same(
    workspace: Workspace, source: Source, klines: pl.DataFrame
) -> None:
    first = import_klines(workspace, source(klines), "k").dataset
    for count, row in ((1, 7), (2, 9)):
        twice = pl.concat([klines, klines[row : row + 1]]).sort("symbol", "ts")
        report = import_klines(workspace, source(twice), "k", on_bad="reject")
        assert report.dataset == first and not report.unchanged
        folder = workspace.catalog / "bars" / "k" / first.digest[:16]
        assert len(list(folder.glob("rejected/duplicate*.parquet"))) == count
        aside = pl.read_parquet(folder / report.dataset.manifest["files"]["rejected/duplicate.parquet"]["file"])
        assert aside["close"].to_list() == [klines["close"][row]]
        assert verify(workspace, "k") == []


def test_importing_again_mends_damage(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    dataset = import_klines(workspace, source(klines), "k").dataset
    file = next((workspace.catalog / "bars").rglob("date=*.parquet"))
    file.write_bytes(file.read_bytes()[:-1])
    mended = import_klines(workspace, source(klines), "k")
    assert mended.dataset.digest == dataset.digest and not mended.unchanged
    assert verify(workspace, "k") == []


def test_rounding_to_the_instruments_precision(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    folder = source(klines)
    entry = {"price_precision": 1, "price_tick": 0.1, "lot_step": 0.001}
    (folder / "instruments.json").write_text(json.dumps({"BTCUSDT": entry, "ETHUSDT": entry}))
    report = import_klines(workspace, folder, "k")
    rows = report.dataset.frame().sort("symbol", "ts").collect()
    for column in ("open", "high", "low", "close"):
        assert rows[column].to_list() == [round(x, 1) for x in klines[column]]
    assert rows["volume"].to_list() == klines["volume"].to_list()
    prices = klines.select("open", "high", "low", "close").to_numpy()
    assert report.quality["rounded"] == sum(round(x, 1) != x for x in prices.ravel())
    assert report.dataset.instruments[0].tick_exp == 1
    coarse = {**entry, "price_precision": 0, "price_tick": 1.0}
    tiny = klines.with_columns(pl.col("open", "high", "low", "close") / 1000)
    folder = source(tiny, folder="tiny")
    (folder / "instruments.json").write_text(json.dumps({"BTCUSDT": coarse, "ETHUSDT": coarse}))
    with pytest.raises(DolphinError, match="rounds to zero"):
        import_klines(workspace, folder, "k")


def test_from_to_and_symbols(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    folder = source(klines)
    midnight = parse_time("2025-01-01")
    new = import_klines(workspace, folder, "new", start_ns=midnight).dataset
    assert (new.first_ts, new.n_bars) == (midnight, 31)
    old = import_klines(workspace, folder, "old", stop_ns=midnight).dataset
    assert (old.last_ts, old.n_bars) == (midnight - MINUTE_NS, 29)
    one = import_klines(workspace, folder, "one", symbols=["ETHUSDT"], reference="ETHUSDT").dataset
    assert one.symbols == ("ETHUSDT",)
    assert "--symbols ETHUSDT" in one.manifest["made"]


NAN, INF = float("nan"), float("inf")


def put(frame: pl.DataFrame, row: int, **values: float | None) -> pl.DataFrame:
    """The frame with some values of one row replaced."""
    at = pl.int_range(pl.len()) == row
    return frame.with_columns(pl.when(at).then(pl.lit(v)).otherwise(pl.col(k)).alias(k) for k, v in values.items())


FATAL = {
    "nan": (lambda k: put(k, 5, close=NAN), "NaN value: BTCUSDT, bar closing 2024-12-31T23:36:00Z .1 row "),
    "null": (lambda k: put(k, 5, volume=None), "missing value: BTCUSDT"),
    "infinite": (lambda k: put(k, 5, high=INF), "infinite value: BTCUSDT"),
    "price_not_positive": (lambda k: put(put(k, 5, low=-1.0), 6, low=0.0), r"price <= 0: BTCUSDT.*2 rows"),
    "negative_volume": (lambda k: put(k, 65, volume=-1.0), "volume < 0: ETHUSDT"),
    "duplicate": (lambda k: pl.concat([k, k[7:9]]).sort("symbol", "ts"), "duplicate time: BTCUSDT.*2 rows"),
    "unsorted": (lambda k: pl.concat([k[:4], k[5:6], k[4:5], k[6:]]), "unsorted time: BTCUSDT.*23:35:00Z"),
}


@pytest.mark.parametrize("rule", FATAL)
def test_bad_rows_stop_the_import_or_are_set_aside(
    workspace: Workspace, source: Source, klines: pl.DataFrame, snapshot: Snapshot, rule: str
) -> None:
    good = import_klines(workspace, source(klines), "k").dataset
    before = snapshot(workspace.catalog)
    spoil, says = FATAL[rule]
    folder = source(spoil(klines))
    with pytest.raises(DolphinError, match=says) as caught:
        import_klines(workspace, folder, "k")
    assert "0.parquet" in str(caught.value) and "--on-bad reject" in str(caught.value)
    assert snapshot(workspace.catalog) == before

    report = import_klines(workspace, folder, "k", on_bad="reject")
    counts = {name: count for name, count in report.quality["counts"].items() if count}
    expected = {"price_not_positive": 2, "duplicate": 2}.get(rule, 1)
    assert counts == {rule: expected}
    if rule == "unsorted":  # sorted again, nothing lost
        assert report.dataset.digest == good.digest and report.quality["rejected"] == 0
        return
    assert report.quality["rejected"] == expected
    folder = workspace.catalog / "bars" / "k" / report.dataset.digest[:16]
    aside = pl.read_parquet(folder / "rejected" / f"{rule}.parquet")
    assert aside["rule"].to_list() == [rule] * expected
    assert aside["file"].str.ends_with("0.parquet").all()
    assert aside.height + report.quality["rows"] == spoil(klines).height
    assert verify(workspace, "k") == []


def test_other_rules_set_aside_without_being_asked(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    spoilt = put(put(klines, 5, high=1.0), 70, close=500.0)
    spoilt = spoilt.with_columns(ts=pl.when(pl.int_range(pl.len()) == 80).then(pl.col("ts") + 7000).otherwise("ts"))
    report = import_klines(workspace, source(spoilt), "k")
    counts = {name: count for name, count in report.quality["counts"].items() if count}
    assert counts == {"high_below_low": 1, "outside_range": 1, "off_grid": 1}
    aside = {name: entry["rows"] for name, entry in report.dataset.manifest["files"].items() if "rejected" in name}
    assert aside == {f"rejected/{rule}.parquet": 1 for rule in counts}
    assert report.dataset.prices().age[[5, 6], 0].tolist() == [1, 0]


def test_equal_bars_in_two_files_are_duplicates(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    with pytest.raises(DolphinError, match=r"1\.parquet: duplicate time: ETHUSDT"):
        import_klines(workspace, source(klines, klines[-2:]), "k")


@pytest.mark.parametrize(
    ("change", "arguments", "says"),
    [
        (None, {"name": "../k"}, "cannot name a dataset"),
        (None, {"name": ""}, "cannot name a dataset"),
        (None, {"symbols": ["BTCUSDT", "ETHUSD"]}, "unknown symbol 'ETHUSD'; did you mean 'ETHUSDT'"),
        (
            None,
            {"symbols": ["ETHUSDT"], "reference": "BTCUSDT"},
            "reference symbol BTCUSDT is not in the data.*--reference ETHUSDT",
        ),
        (None, {"spacing_ns": 5 * MINUTE_NS}, "spacing 5m does not fit: BTCUSDT has steps of 1m"),
        (None, {"spacing_ns": 10**9}, "spacing 1s does not fit: BTCUSDT has steps of 1m"),
        (None, {"start_ns": parse_time("2030-01-01")}, "no row is left"),
        (None, {"on_bad": "ignore"}, "choose error or reject"),
        (None, {"instruments": Path("absent.json")}, r"absent\.json: no such file"),
        (lambda k: k.drop("close"), {}, "no column for the close"),
        (lambda k: k.with_columns(symbol=pl.lit("btc/usdt")), {}, r"0\.parquet: no symbol .*: btc/usdt, bar"),
        (lambda k: k[:1], {}, "too few rows to tell the spacing"),
        (lambda k: pl.concat([k[:60], k[60::5]]), {}, "spacing 1m does not fit: ETHUSDT has steps of 5m"),
        (lambda k: k.with_columns(pl.col("ts") + 7000), {}, "spacing does not fit: 120 of 120 times"),
        (lambda k: k.with_columns(pl.col("ts") * 7), {}, "between 2000 and 2100|neither divide a day"),
    ],
)
def test_bad_requests_leave_the_old_dataset(
    workspace: Workspace,
    source: Source,
    klines: pl.DataFrame,
    snapshot: Snapshot,
    change: Callable[[pl.DataFrame], pl.DataFrame] | None,
    arguments: dict,
    says: str,
) -> None:
    import_klines(workspace, source(klines), "k")
    before = snapshot(workspace.catalog)
    folder = source(change(klines) if change else klines, folder="bad")
    with pytest.raises(DolphinError, match=says) as caught:
        import_klines(workspace, folder, **{"name": "k", **arguments})
    assert "\n" not in str(caught.value)
    assert snapshot(workspace.catalog) == before


def test_a_failed_first_import_leaves_no_trace(
    workspace: Workspace, source: Source, klines: pl.DataFrame, snapshot: Snapshot
) -> None:
    before = snapshot(workspace.catalog)
    with pytest.raises(DolphinError):
        import_klines(workspace, source(put(klines, 5, close=NAN)), "k")
    assert snapshot(workspace.catalog) == before
    assert not (workspace.catalog / "bars" / "k").exists()


@pytest.mark.slow
def test_real_klines_have_the_known_levels_and_grid(
    workspace: Workspace, shared_data: Path, shared_vectors: Path
) -> None:
    folder = "klines_5m_2022"
    report = import_klines(workspace, shared_data / folder, "real")
    case = json.loads((shared_vectors / folder / "cases.json").read_text())
    dataset = report.dataset
    assert list(dataset.symbols) == case["symbols"] and dataset.n_bars == case["bars"]
    assert dataset.spacing_ns == case["spacing_ms"] * 10**6
    assert dataset.first_ts == case["first_close_ms"] * 10**6
    assert dataset.last_ts == case["last_close_ms"] * 10**6
    btc = dataset.frame().filter(pl.col("symbol") == "BTCUSDT").select(pl.col("low").min()).collect()
    assert btc.item() == 15_476.0
    vol = pl.read_parquet(shared_vectors / folder / "features.parquet")["vol"].to_numpy()
    returns = np.diff(np.log(dataset.prices().close[:, dataset.reference_column]))
    mine = np.lib.stride_tricks.sliding_window_view(returns, 50).std(axis=1)
    np.testing.assert_allclose(mine, vol[50:], rtol=0, atol=1e-12)
    assert report.quality["rejected"] == 0 and report.quality["rounded"] == 0


@pytest.mark.parametrize("file", ["AVAXUSDT-1m-2026-02.zip", "FILUSDT-1m-2023-02.csv"])
def test_real_exchange_files(workspace: Workspace, shared_data: Path, file: str) -> None:
    symbol = file.split("-")[0]
    report = import_klines(workspace, shared_data / "binance_csv" / file, "month", reference=symbol)
    assert report.dataset.n_bars == 28 * 1440 and report.quality["missing_share"] == 0.0
    assert report.dataset.first_ts % 86_400_000_000_000 == MINUTE_NS
    assert report.dataset.instruments[0].price_precision == 3


@pytest.mark.slow
def test_one_minute_klines_with_outages(workspace: Workspace, shared_data: Path) -> None:
    report = import_klines(workspace, shared_data / "klines_1m_2021", "real")
    rows = report.dataset.frame().filter(pl.col("symbol") == "BTCUSDT")
    assert rows.select(pl.col("high").max()).collect().item() == 64_854.0
    assert report.quality["gaps"]["BTCUSDT"]["longest"] > 240
    assert report.dataset.prices().age.max() == max(g["longest"] for g in report.quality["gaps"].values())


def test_a_day_tells_which_files_its_rows_came_from(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    by_symbol = [klines.filter(symbol=symbol) for symbol in ("BTCUSDT", "ETHUSDT")]
    folder = source(*by_symbol)
    days = import_klines(workspace, folder, "k").dataset.manifest["days"]
    files = sorted(path.name for path in folder.iterdir())
    assert [entry["sources"] for entry in days.values()] == [files, files]
    early = source(klines.filter(pl.col("ts") < klines["ts"].min() + 10 * 60_000), folder="early")
    assert len(import_klines(workspace, early, "e").dataset.manifest["days"]["2024-12-31"]["sources"]) == 1
