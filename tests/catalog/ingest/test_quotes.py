"""Bars with the best bid and offer of their close, through every form of table; those without are what they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dolphin.catalog.ingest.frames import import_frame
from dolphin.catalog.ingest.importer import ImportReport, import_data, import_klines
from dolphin.catalog.ingest.preview import preview
from dolphin.catalog.query.diff import diff
from dolphin.catalog.query.sql import query
from dolphin.catalog.store.checking import check
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace

FIRST = 1_700_000_100_000  # ms
FIVE = 300_000
BARS = 6


def quoted(symbol: str = "AAA", bars: int = BARS, **more: list[object]) -> pl.DataFrame:
    """Bars of one symbol by open time; bid and ask a tick from the close, none in the third."""
    close = [100.0 + i / 4 for i in range(bars)]
    rows = {
        "symbol": [symbol] * bars, "ts": [FIRST + FIVE * i for i in range(bars)],
        "open": close, "high": [c + 1 for c in close], "low": [c - 1 for c in close], "close": close,
        "volume": [2.0] * bars,
        "bid": [None if i == 2 else c - 0.01 for i, c in enumerate(close)],
        "ask": [None if i == 2 else c + 0.01 for i, c in enumerate(close)],
    }  # fmt: skip
    return pl.DataFrame(rows | more)


def take(home: Workspace, frame: pl.DataFrame, name: str = "q", **options: object) -> ImportReport:
    folder = home.root / "files" / name
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / "0.parquet")
    return import_klines(home, folder, name, **options)  # type: ignore[arg-type]


def test_bars_without_quotes_are_what_they_were(workspace: Workspace) -> None:
    n = 300
    bars = pl.DataFrame({
        "symbol": ["AAA", "BBB"] * n, "time": [FIRST + FIVE * (i // 2) for i in range(2 * n)],
        "open": [100 + i % 7 / 8 for i in range(2 * n)], "high": [102.5] * 2 * n, "low": [99.5] * 2 * n,
        "close": [100 + i % 5 / 4 for i in range(2 * n)], "volume": [1.0 + i % 3 for i in range(2 * n)],
    })  # fmt: skip
    made = import_frame(bars, name="plain", workspace=workspace)
    # of the version before there were quotes
    assert made.dataset.digest == "d29c6e80602005e275ef7e3fddd4161f3ddcdd13e429a0244cc6dc061aa1eb8c"
    assert "quotes" not in made.dataset.manifest and "bid_above_ask" not in made.quality["counts"]
    assert made.dataset.frame().collect_schema().names() == ["symbol", "ts", "open", "high", "low", "close", "volume"]
    empty = bars.with_columns(bid=pl.lit(None, pl.Float64), ask=pl.lit(float("nan")))
    assert import_frame(empty, name="plain", workspace=workspace).dataset.digest == made.dataset.digest


def text(separator: str) -> Callable[[pl.DataFrame, Path], None]:
    return lambda frame, path: frame.write_csv(path, separator=separator)


FORMS: dict[str, tuple[Callable[[pl.DataFrame, Path], None], dict[str, str], dict[str, str] | None]] = {
    "a.csv": (text(","), {}, None),
    "b.csv": (text(","), {"bid": "Best Bid", "ask": "best_ask"}, None),
    "c.tsv": (text("\t"), {"ts": "Time", "bid": "Bid Close", "ask": "Ask Close"}, None),
    "d.csv": (text(","), {"bid": "b1", "ask": "a1"}, {"bid": "b1", "ask": "a1"}),
    "e.parquet": (pl.DataFrame.write_parquet, {"bid": "bid_price", "ask": "ask_price"}, None),
    "f.arrow": (pl.DataFrame.write_ipc, {"ts": "timestamp", "bid": "bid", "ask": "Offer"}, None),
    "AAA-5m.csv": (lambda f, p: f.drop("symbol").write_csv(p), {"ts": "open_time"}, None),
}


def test_every_form_of_table_keeps_them(workspace: Workspace, tmp_path: Path) -> None:
    whole = import_frame(quoted(), name="q", workspace=workspace).dataset
    assert whole.columns[-2:] == ("bid", "ask") and whole.manifest["quotes"] is True
    rows = whole.frame().sort("ts").collect()
    assert rows.columns == list(whole.columns) and rows["bid"].to_list()[:3] == [99.99, 100.24, None]
    assert rows.select("bid", "ask").equals(quoted().select("bid", "ask"))
    assert whole.instruments[0].price_precision == 2
    for name, (write, names, columns) in FORMS.items():
        path = tmp_path / name
        write(quoted().rename(names), path)
        made = import_data(workspace, path, "q", columns=columns)
        assert isinstance(made, ImportReport) and made.dataset.digest == whole.digest and made.unchanged, name
    (seen,) = preview(tmp_path / "c.tsv")
    assert seen.head.columns[-2:] == ["bid", "ask"] and "bid = Bid Close, ask = Ask Close" in seen.facts["columns"]


def test_a_workbook_keeps_them(workspace: Workspace, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (quoted().columns, *quoted().rows()):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    made = import_klines(workspace, tmp_path / "a.xlsx", "x").dataset
    assert made.digest == import_frame(quoted(), name="q", workspace=workspace).dataset.digest


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (quoted().drop("ask"), r"a column for the bid \('bid'\) and none for the ask; name it: --columns ask=COLUMN"),
        (quoted().rename({"ts": "Time", "ask": "Offer"}).drop("bid"), "for the ask .'Offer'. and none for the bid"),
        (quoted(bid=["n.a.", *"99999"]), "'n.a.' in column 'bid' is no number"),
    ],
)
def test_one_alone_or_a_word_is_one_line(workspace: Workspace, tmp_path: Path, frame: pl.DataFrame, says: str) -> None:
    for path, write in ((tmp_path / "a.csv", text(",")), (tmp_path / "a.parquet", pl.DataFrame.write_parquet)):
        write(frame, path)
        with pytest.raises(DolphinError, match=says) as caught:
            import_klines(workspace, path, "q")
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not list(workspace.catalog.glob("q*"))


def test_rules_of_quotes(workspace: Workspace) -> None:
    """A crossed row is set aside, a close outside the spread counted; one side may be missing."""
    odd = quoted(
        bid=[101.0, 99.9, None, None, 100.9, 101.2], ask=[100.5, 99.95, None, 101.0, None, 101.3]
    )  # closes are 100, 100.25, 100.5, 100.75, 101 and 101.25
    report = take(workspace, odd)
    counts = report.quality["counts"]
    assert {rule: n for rule, n in counts.items() if n} == {"bid_above_ask": 1, "outside_spread": 1}
    assert (report.quality["rows"], report.quality["rejected"], report.quality["flagged"]) == (5, 1, 1)
    rows = report.dataset.frame().collect()
    assert rows["ask"].to_list() == [99.95, None, 101.0, None, 101.3]
    aside = query(workspace, "SELECT rule, bid, ask FROM q_rejected").frame()
    assert aside.rows() == [("bid_above_ask", 101.0, 100.5)]


@pytest.mark.parametrize(
    ("quote", "rule"), [(float("inf"), "infinite value"), (0.0, "price <= 0"), (-1.0, "price <= 0")]
)
def test_a_quote_is_a_price(workspace: Workspace, quote: float, rule: str) -> None:
    odd = quoted(bid=[quote, 100.0, 100.0, 100.0, 100.0, 100.0], ask=[200.0] * 6)
    with pytest.raises(DolphinError, match=f"{rule}: AAA"):
        take(workspace, odd)
    report = take(workspace, odd, on_bad="reject")
    assert (report.quality["rows"], report.quality["rejected"]) == (5, 1)


def test_files_with_and_without_mix(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    bars = 200  # over midnight: a day of which no file has quotes
    quoted(bars=20).write_parquet(folder / "0.parquet")
    quoted("BBB", bars).drop("bid", "ask").write_parquet(folder / "1.parquet")
    data = import_klines(workspace, folder, "m").dataset
    assert len(data.manifest["days"]) == 2 and data.frame().collect()["bid"].null_count() == bars + 1
    assert data.day(data.days[1]).columns == list(data.columns)
    assert check(workspace, "m") == []
    found = query(workspace, "SELECT count(bid) AS n, min(ask) AS low FROM m").frame()
    assert found.rows() == [(19, 100.01)]


def test_quotes_are_of_the_digest_and_of_the_difference(workspace: Workspace) -> None:
    one = take(workspace, quoted()).dataset
    moved = take(workspace, quoted().with_columns(bid=pl.col("bid").fill_null(100.0) - 0.01)).dataset
    without = take(workspace, quoted().drop("bid", "ask"), "w").dataset
    assert len({one.digest, moved.digest, without.digest}) == 3
    found = diff(one, moved)
    assert list(found.columns) == ["bid"] and found.columns["bid"]["cells"] == BARS
    assert found.columns["bid"]["max_difference"] == pytest.approx(0.01)
    found = diff(one, without)
    assert found.identity["quotes"] == [True, False] and not found.equal and not found.columns
    assert check(workspace, "q") == []
    only = quoted().with_columns(bid=None, ask=pl.Series([None, None, 100.5, None, None, None], dtype=pl.Float64))
    late = diff(one, take(workspace, only, "o").dataset)
    assert late.columns["bid"] == {"cells": 5, "max_difference": 0.0}


def test_they_are_rounded_as_prices_are(workspace: Workspace, tmp_path: Path) -> None:
    rules = tmp_path / "instruments.json"
    rules.write_text('{"AAA": {"price_precision": 1, "price_tick": 0.1, "lot_step": 0.1}}')
    report = take(workspace, quoted(), instruments=rules)
    rows = report.dataset.frame().sort("ts").collect()
    assert rows["bid"].to_list()[:4] == [100.0, 100.2, None, 100.7] and rows["ask"].null_count() == 1
