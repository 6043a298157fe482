"""Every kind of broken row is found, counted under its own rule and kept aside; no row is lost."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kline_frames import make_klines

from dolphin.catalog import import_klines, readers, verify
from dolphin.catalog.quality.report import read_quality
from dolphin.catalog.quality.rules import RULES
from dolphin.catalog.store.layout import VALUES, version_folder
from dolphin.workspace import create

#: rule -> values that break it in a row of open 100 to 102
BREAK: dict[str, dict[str, float | None]] = {
    "null": {"low": None},
    "nan": {"open": float("nan")},
    "infinite": {"volume": float("inf")},
    "price_not_positive": {"low": 0.0},
    "negative_volume": {"volume": -0.5},
    "high_below_low": {"high": 1.0},
    "outside_range": {"close": 1e6},
    "off_grid": {},
    "duplicate": {},
}


def spoil(frame: pl.DataFrame, broken: dict[int, str]) -> pl.DataFrame:
    """Break rows of a clean frame, each by one rule."""
    rows = frame.to_dicts()
    out = []
    for i, row in enumerate(rows):
        rule = broken.get(i)
        out.append(row | BREAK.get(rule or "", {}))
        if rule == "off_grid":
            out[-1]["ts"] += 7_000
        elif rule == "duplicate":
            out.append(dict(row))
    return pl.DataFrame(out, schema=frame.schema)


@settings(max_examples=12)
@given(st.dictionaries(st.integers(0, 599), st.sampled_from(sorted(BREAK)), max_size=5), st.integers(7, 700))
def test_every_broken_row_is_found_and_none_is_lost(broken: dict[int, str], piece: int) -> None:
    """Whatever the pieces in which a reader gives the file."""
    clean = make_klines(bars=300)
    frame = spoil(clean, broken)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        workspace, file = create(Path(folder) / "ws"), Path(folder) / "a.parquet"
        frame.write_parquet(file)
        whole = readers.read

        def read(path: Path, **options: bool) -> readers.Reading:
            reading = whole(path, **options)
            pieces = (part for frame in reading.frames for part in frame.iter_slices(piece))
            return readers.Reading(reading.kind, pieces, reading.notes)

        patch.setattr(readers, "read", read)
        try:
            report = import_klines(workspace, file, "k", on_bad="reject", spacing_ns=60 * 10**9)
        except Exception as error:  # a small piece with one off-grid row is more than 1 % off the grid
            assert "off_grid" in broken.values() and "off its grid" in str(error)
            return
        wanted = Counter(broken.values())
        counts = {rule: n for rule, n in report.quality["counts"].items() if n and rule != "price_jump"}
        assert counts == dict(wanted)
        assert report.quality["rejected"] == wanted.total()
        assert report.quality["rows"] + report.quality["rejected"] == frame.height
        bad = [i for i, rule in broken.items() if rule != "duplicate"]
        kept = clean.with_row_index().filter(~pl.col("index").is_in(bad)).drop("index", "ts")
        assert report.dataset.frame().sort("symbol", "ts").collect().drop("ts").equals(kept)
        home = version_folder(workspace.catalog, "k", report.dataset.digest)
        for rule, number in wanted.items():
            aside = pl.read_parquet(home / "rejected" / f"{rule}.parquet")
            assert aside.columns == ["file", "rule", "symbol", "ts", *VALUES]
            assert aside["rule"].to_list() == [rule] * number
        days = read_quality(report.dataset).days
        rules = dict(days.filter(pl.col("rule") != "gap").group_by("rule").agg(pl.col("count").sum()).iter_rows())
        assert rules == {rule: n for rule, n in report.quality["counts"].items() if n}
        missing = sum(gap["missing"] for gap in report.quality["gaps"].values())
        assert days.filter(rule="gap")["count"].sum() == missing
        assert missing == 2 * report.dataset.n_bars - report.quality["rows"]
        assert verify(workspace, "k") == []


def test_rules_have_names_of_their_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert {rule.outcome for rule in RULES} == {"set aside", "put in order", "flagged"}


def test_lone_wrong_prices_are_counted_or_set_aside(tmp_path: Path, source: Callable[..., Path]) -> None:
    workspace, klines = create(tmp_path / "ws"), make_klines()
    at = pl.int_range(pl.len()) == 40
    wrong = [pl.when(at).then(pl.col(c) * 2).otherwise(pl.col(c)).alias(c) for c in ("open", "high", "low", "close")]
    folder = source(klines.with_columns(wrong).with_columns(volume=1.0))
    flagged = import_klines(workspace, folder, "k")
    assert (flagged.quality["counts"]["price_jump"], flagged.quality["flagged"], flagged.quality["rejected"]) == (
        2,
        2,
        0,
    )
    jumps = read_quality(flagged.dataset).jumps
    assert jumps["symbol"].to_list() == ["BTCUSDT"] * 2 and jumps["median_volume"].to_list() == [1.0, 1.0]
    cleaned = import_klines(workspace, folder, "k", on_jump="reject")
    assert (cleaned.quality["counts"]["price_jump"], cleaned.quality["flagged"], cleaned.quality["rejected"]) == (
        2,
        1,
        1,
    )
    assert cleaned.quality["gaps"]["BTCUSDT"]["missing"] == 1
    home = version_folder(workspace.catalog, "k", cleaned.dataset.digest)
    assert pl.read_parquet(home / "rejected" / "price_jump.parquet").height == 1
    # a second source that saw the same prices confirms them
    assert import_klines(workspace, folder, "k2", second="k").quality["flagged"] == 1
    import_klines(workspace, folder, "same")
    confirmed = import_klines(workspace, folder, "k3", second="same")
    assert confirmed.quality["counts"]["price_jump"] == 0
    assert confirmed.dataset.manifest["second"]["name"] == "same"


#: folder -> rows, missing share, longest gap in bars, jumps; nothing is set aside anywhere
REAL = {
    "klines_1m_2021": (3_067_096, 0.009336, 284, 23),
    "klines_5m_2022": (948_672, 0.0, 0, 10),
    "klines_5m_2025": (1_900_800, 0.0, 0, 5),
    "klines_1h_2020_2023": (1_855_317, 0.000885, 5, 5_668),
}


@pytest.mark.slow
@pytest.mark.parametrize("folder", REAL)
def test_real_klines(tmp_path: Path, shared_data: Path, folder: str) -> None:
    rows, share, longest, jumps = REAL[folder]
    report = import_klines(create(tmp_path), shared_data / folder, "k")
    found = report.quality
    assert (found["rows"], found["rejected"], found["counts"]["price_jump"]) == (rows, 0, jumps)
    assert found["missing_share"] == pytest.approx(share, abs=1e-6)
    assert max(gap["longest"] for gap in found["gaps"].values()) == longest
    days = read_quality(report.dataset).days.filter(rule="gap")
    assert days["count"].sum() == len(report.dataset.symbols) * report.dataset.n_bars - rows
    if folder == "klines_1m_2021":  # the two outages of the whole exchange, in every symbol
        both = days.filter(pl.col("date").cast(pl.String).is_in(["2021-04-20", "2021-04-25"]))
        assert both.group_by("date").len()["len"].to_list() == [50, 50]


@pytest.mark.slow
@pytest.mark.parametrize("file", ["AVAXUSDT-1m-2026-02.zip", "FILUSDT-1m-2023-02.csv", "NEARUSDT"])
def test_real_exchange_files_are_whole(tmp_path: Path, shared_data: Path, file: str) -> None:
    path = next((shared_data / "binance_csv").glob(f"{file}*"))
    report = import_klines(create(tmp_path), path, "k", reference=path.name.split("-")[0])
    assert report.quality["missing_share"] == 0.0 and report.quality["rejected"] == 0


def test_sessions_part_the_days_and_gaps_are_counted_on_their_closes(
    tmp_path: Path, source: Callable[..., Path]
) -> None:
    """Half-hour bars around the clock over Thanksgiving 2024: a holiday, a half day, a weekend."""
    workspace, minute = create(tmp_path / "ws"), 60_000
    first = 1_732_579_200_000  # 2024-11-26T00:00Z
    bars = make_klines(("SPY",), bars=7 * 48).with_columns(ts=first + 30 * minute * pl.int_range(pl.len()))
    hole = 1_732_719_600_000  # the bar that closes at 10:30 in New York on the 27th
    report = import_klines(
        workspace, source(bars.filter(pl.col("ts") != hole)), "spy", reference="SPY", calendar="NYSE"
    )
    assert report.dataset.manifest["calendar"] == "XNYS"
    rows = {day: entry["rows"] for day, entry in report.dataset.manifest["days"].items()}
    assert rows == {"2024-11-26": 13, "2024-11-27": 12, "2024-11-29": 7, "2024-12-02": 13}
    assert report.quality["counts"]["outside_session"] == 7 * 48 - 1 - sum(rows.values())
    assert report.quality["rejected"] + report.quality["rows"] == 7 * 48 - 1
    assert report.quality["gaps"]["SPY"] == {"missing": 1, "gaps": 1, "longest": 1, "share": 1 / 46}
    gap = read_quality(report.dataset).days.filter(rule="gap").row(0, named=True)
    assert (str(gap["date"]), gap["count"], gap["expected"]) == ("2024-11-27", 1, 13)


def test_symbols_that_are_none_are_set_aside(tmp_path: Path, source: Callable[..., Path]) -> None:
    names = ["btc", "BTC/USDT", "", "A" * 21, "A\n", None]
    klines = make_klines()
    at = pl.int_range(pl.len())
    odd = klines
    for i, name in enumerate(names):
        odd = odd.with_columns(symbol=pl.when(at == 10 * i + 5).then(pl.lit(name)).otherwise("symbol"))
    workspace = create(tmp_path / "ws")
    report = import_klines(workspace, source(odd), "k", on_bad="reject")
    assert report.quality["counts"]["bad_symbol"] == report.quality["rejected"] == len(names)
    assert report.dataset.symbols == ("BTCUSDT", "ETHUSDT") and report.quality["rows"] == 120 - len(names)
    aside = pl.read_parquet(
        version_folder(workspace.catalog, "k", report.dataset.digest) / "rejected/bad_symbol.parquet"
    )
    assert aside["symbol"].to_list() == names
