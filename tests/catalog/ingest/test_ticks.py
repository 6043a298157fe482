"""Ticks: recorded streams read exactly, every rule counted, bars equal in DuckDB and tick by tick."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin.catalog import readers, verify
from dolphin.catalog.derived.aggregator import Bar, BarAggregator
from dolphin.catalog.derived.tick_bars import bars_of, floats, make_bars, tick_counts, to_float
from dolphin.catalog.ingest.ticks import import_ticks
from dolphin.catalog.readers.layouts import TICK_COLUMNS
from dolphin.errors import DolphinError
from dolphin.times import parse_spacing
from dolphin.workspace import Workspace

T0 = 1_723_161_599_000  # ms; one second before midnight
SECOND = 10**9
PLAIN_DIGEST = "194dfb23b60b968e267914f79b6c35887b26c2c243e77e12fb1c06f42c8f6e22"


def line(local: int, stream: str, data: dict[str, Any]) -> str:
    return f"{local} " + json.dumps({"stream": f"btcusdt@{stream}", "data": data})


def trade(n: int, ms: int, price: str, quantity: str = "1.5", **more: Any) -> str:
    data = {"e": "trade", "E": ms, "s": "BTCUSDT", "t": n, "p": price, "q": quantity, "T": ms, "m": True, "M": True}
    return line(ms * 10**6 + 250_000, "trade", data | more)


def quote(ms: int, bid: str, ask: str) -> str:
    return line(ms * 10**6, "bookTicker", {"u": 1, "s": "BTCUSDT", "b": bid, "B": "1", "a": ask, "A": "1"})


def record(folder: Path, *lines: str, name: str = "s.gz") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))
    return path


def take(workspace: Workspace, *paths: Path, name: str = "t") -> Any:
    return import_ticks(workspace, name, ((path, readers.read(path)) for path in paths), {"source": "s", "notes": []})


def test_each_trade_has_the_quote_that_arrived_before_it(tmp_path: Path) -> None:
    path = record(
        tmp_path,
        trade(1, T0, "100.10"),
        quote(T0 + 1, "100.0", "100.2"),
        line(5, "depth@100ms", {"e": "depthUpdate"}),
        '7 {"lastUpdateId": 3, "bids": []}',
        trade(2, T0 + 2, "100.20", "0.00000001"),
    )
    reading = readers.read(path)
    frame = pl.concat(reading.frames)
    assert reading.kind == "ticks" and frame.schema == pl.Schema(TICK_COLUMNS)
    assert frame["bid"].to_list() == [None, Decimal("100")] and frame["ask"].to_list() == [None, Decimal("100.2")]
    assert frame["quantity"].to_list() == [Decimal("1.5"), Decimal("1E-8")]
    assert frame["received_ts"][0] - frame["ts"][0] == 250_000
    assert reading.notes == (
        "s.gz: 2 trades, 1 best bids and offers joined to them as of their arrival; "
        "left out: 1 depth, 1 snapshot messages",
    )


def test_a_future_is_another_symbol_than_the_spot_pair(tmp_path: Path) -> None:
    data = {"e": "trade", "E": T0, "T": T0, "s": "BTCUSDT", "t": 1, "p": "1", "q": "1", "X": "MARKET", "m": False}
    frame = pl.concat(readers.read(record(tmp_path, line(1, "trade", data))).frames)
    assert frame["symbol"].to_list() == ["BTCUSDTPERP"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((quote(T0, "1", "2"),), "a stream without trades"),
        ((trade(1, T0, "1"), "8 {not json"), "line 2 is no message"),
        ((trade(1, T0, "1"), "8 [1]"), "line 2 is no message"),
        ((trade(1, T0, "1,5"),), "a 'price' is no decimal"),
        ((trade(1, T0, "1.123456789"),), "a 'price' is no decimal"),
        ((trade(1, T0, "1", s="btc/usd"),), "is no symbol"),
    ],
)
def test_a_damaged_stream_is_one_line(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    path = record(tmp_path, *lines)
    with pytest.raises(DolphinError, match=said) as caught:
        list(readers.read(path).frames)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_cut_gzip_gives_no_row(tmp_path: Path) -> None:
    path = record(tmp_path, *(trade(n, T0 + n, "1") for n in range(5000)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DolphinError, match="not readable as"):
        readers.read(path)


def test_every_rule_is_counted_and_what_is_refused_is_kept(workspace: Workspace, tmp_path: Path) -> None:
    path = record(
        tmp_path,
        trade(1, T0, "100"),
        trade(2, T0 + 5, "0"),
        trade(3, T0 + 5, "100", "0"),
        quote(T0 + 6, "101", "100"),
        trade(4, T0 + 7, "100.5"),
        quote(T0 + 8, "100", "101"),
        trade(5, T0 + 9, "102"),
        trade(5, T0 + 9, "102"),
        trade(6, T0 + 8, "100.5"),
    )
    table = take(workspace, path)
    assert table.manifest["quality"] == {
        "rows": 3,
        "rejected": 4,
        "flagged": 3,
        "counts": {
            "missing": 0, "price_not_positive": 1, "quantity_not_positive": 1, "bid_above_ask": 1,
            "duplicate": 1, "unsorted": 1, "outside_spread": 2,
        },
    }  # fmt: skip
    assert table.frame().collect()["trade_id"].to_list() == [1, 6, 5]
    assert sorted(table.manifest["files"]) == [
        f"rejected/{rule}.parquet"
        for rule in ("bid_above_ask", "duplicate", "price_not_positive", "quantity_not_positive")
    ]  # fmt: skip
    assert table.manifest["sources"][0]["latency_ms"] == {"median": 0.25, "p99": 0.25}


def test_ticks_lie_by_day_and_overlapping_files_do_not_double(workspace: Workspace, tmp_path: Path) -> None:
    one = record(tmp_path, *(trade(n, T0 + 200 * n, "1") for n in range(8)), name="1.gz")
    two = record(tmp_path, *(trade(n, T0 + 200 * n, "1") for n in range(4, 12)), name="2.gz")
    table = take(workspace, one, two)
    assert table.dates == ("2024-08-08", "2024-08-09")
    assert table.frame().collect()["trade_id"].to_list() == list(range(12))
    assert table.manifest["quality"]["counts"]["duplicate"] == 4


def test_a_tick_on_the_boundary_opens_the_next_bar(workspace: Workspace, tmp_path: Path) -> None:
    path = record(
        tmp_path, trade(1, T0, "1"), trade(2, T0 + 999, "2"), trade(3, T0 + 1000, "3"), trade(4, T0 + 3500, "4")
    )
    dataset, unchanged = make_bars(workspace, take(workspace, path), "b", SECOND)
    rows = dataset.frame().select("ts", "open", "high", "low", "close", "volume").collect().rows()
    close = (T0 + 1000) * 10**6
    assert rows == [
        (close, 1.0, 2.0, 1.0, 2.0, 3.0),
        (close + SECOND, 3.0, 3.0, 3.0, 3.0, 1.5),
        (close + 3 * SECOND, 4.0, 4.0, 4.0, 4.0, 1.5),
    ]
    assert not unchanged and tick_counts(dataset).collect()["ticks"].to_list() == [2, 1, 1]
    assert dataset.n_bars == 4 and dataset.prices().close[:, 0].tolist() == [
        2.0,
        3.0,
        3.0,
        4.0,
    ]  # no tick: forward-filled
    assert dataset.manifest["quality"]["gaps"]["BTCUSDT"] == {"missing": 1, "gaps": 1, "longest": 1, "share": 0.25}
    assert make_bars(workspace, take(workspace, path), "b", SECOND)[1]


def test_a_bar_has_the_last_quote_that_came_by_its_close(workspace: Workspace, tmp_path: Path) -> None:
    path = record(
        tmp_path, trade(1, T0, "1"), quote(T0 + 1, "0.9", "1.1"), trade(2, T0 + 2, "1"), quote(T0 + 3, "0.8", "1.2"),
        trade(3, T0 + 4, "1"), quote(T0 + 1000, "0.7", "1.3"), trade(4, T0 + 1001, "1"), name="q.gz",
    )  # fmt: skip
    dataset, _ = make_bars(workspace, take(workspace, path), "b", SECOND)
    rows = dataset.frame().select("bid", "ask").collect().rows()
    assert rows == [(0.8, 1.2), (0.7, 1.3)] and verify(workspace, "b") == []
    plain, _ = make_bars(workspace, take(workspace, record(tmp_path, trade(1, T0, "1")), name="p"), "c", SECOND)
    # of the version before bars had quotes
    assert plain.digest == PLAIN_DIGEST and plain.frame().collect_schema().names()[-1] == "volume"


def test_bars_refuse_what_is_no_tick_or_symbol(workspace: Workspace, tmp_path: Path) -> None:
    table = take(workspace, record(tmp_path, trade(1, T0, "1")))
    with pytest.raises(DolphinError, match=r"no symbol 'BTCUSD'.*did you mean 'BTCUSDT'"):
        make_bars(workspace, table, "b", SECOND, reference="BTCUSD")
    with pytest.raises(DolphinError, match="names ticks already"):
        make_bars(workspace, table, "t", SECOND)


decimals = st.integers(1, 10**15).map(lambda units: Decimal(units).scaleb(-8))
tick_lists = st.lists(
    st.tuples(
        st.sampled_from(["A", "B"]),
        st.one_of(st.integers(0, 40).map(lambda n: n * SECOND), st.integers(0, 40 * SECOND)),
        decimals,
        decimals,
        st.one_of(st.just((None, None)), st.just((None, Decimal(1))), st.tuples(decimals, decimals)),
    ),
    min_size=1,
    max_size=60,
)


Tick = tuple[str, int, Decimal, Decimal, tuple[Decimal | None, Decimal | None]]


def both(tmp_path: Path, ticks: list[Tick], spacing: int) -> pl.DataFrame:
    """The bars that DuckDB makes of these ticks, whose trade ids are their places in the list."""
    schema = {name: TICK_COLUMNS[name] for name in ("symbol", "ts", "price", "quantity", "bid", "ask")}
    rows = [(*tick, *quote) for *tick, quote in ticks]
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("trade_id")
    files = []
    for (symbol,), part in frame.sort("ts", "trade_id").group_by("symbol"):
        files.append(tmp_path / f"{symbol}.parquet")
        part.write_parquet(files[-1])
    return floats(bars_of(files, spacing))


def as_frame(bars: list[Bar], like: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(bars, schema=dict(like.schema), orient="row").sort("symbol", "ts")


@settings(max_examples=15)
@given(ticks=tick_lists, spacing=st.sampled_from(["1s", "5s", "10s"]), data=st.data())
def test_the_stream_gives_the_bars_of_the_file(
    tmp_path_factory: Any, ticks: list[Tick], spacing: str, data: st.DataObject
) -> None:
    ns = parse_spacing(spacing)
    want = both(tmp_path_factory.mktemp("t"), ticks, ns)
    order = data.draw(st.permutations(range(len(ticks))))
    # any order of arrival with enough grace; the order of the exchange with none
    for arrival, grace in ((order, 40 * SECOND), (sorted(order, key=lambda n: (ticks[n][1], n)), 0)):
        stream = BarAggregator(ns, grace)
        bars = [bar for n in arrival for bar in stream.add(*ticks[n][:4], n, *ticks[n][4])] + stream.flush()
        assert stream.late == 0 and as_frame(bars, want).equals(want)
        assert stream.flush() == []


@given(ticks=tick_lists)
def test_no_tick_is_lost_without_a_count(ticks: list[Tick]) -> None:
    stream = BarAggregator(SECOND)
    bars = [bar for n, tick in enumerate(ticks) for bar in stream.add(*tick[:4], n)] + stream.flush()
    assert sum(bar.ticks for bar in bars) + stream.late == len(ticks)
    assert len({(bar.symbol, bar.ts) for bar in bars}) == len(bars)


def test_time_alone_finishes_a_bar() -> None:
    stream = BarAggregator(SECOND, grace_ns=SECOND // 2)
    assert stream.add("A", 5 * SECOND, Decimal(1), Decimal(1)) == []
    assert stream.advance(6 * SECOND + SECOND // 2 - 1) == []
    assert [bar.ts for bar in stream.advance(6 * SECOND + SECOND // 2)] == [6 * SECOND]
    assert stream.add("A", 6 * SECOND - 1, Decimal(1), Decimal(1)) == [] and stream.late == 1


@pytest.mark.parametrize("value", ["0", "-1", "1E-9"])
def test_the_stream_refuses_what_is_no_price(value: str) -> None:
    with pytest.raises(DolphinError, match="is no price or quantity"):
        BarAggregator(SECOND).add("A", 0, Decimal(value), Decimal(1))


@given(st.lists(st.integers(0, 10**25), min_size=1, max_size=20))
def test_decimals_become_the_nearest_float(units: list[int]) -> None:
    values = [Decimal(unit).scaleb(-8) for unit in units]
    assert to_float(pl.Series(values, dtype=pl.Decimal(38, 8))).tolist() == [float(value) for value in values]


@pytest.fixture(scope="module")
def books(shared_data: Path, tmp_path_factory: Any) -> Iterator[Any]:
    from dolphin.workspace import create

    workspace = create(tmp_path_factory.mktemp("books"))
    yield workspace, take(workspace, *sorted((shared_data / "books").glob("*.gz")))


@pytest.mark.slow
def test_real_trades(books: Any) -> None:
    _, table = books
    assert table.manifest["rows"] == 9757 + 21313 and table.symbols == ("BTCUSDT", "BTCUSDTPERP")
    levels = table.frame().select(pl.col("price").min().alias("low"), pl.col("price").max().alias("high")).collect()
    assert levels.row(0) == (Decimal("61583.22"), Decimal("61860.80"))
    assert "3451 depth" in table.manifest["notes"][0] and "6551 depth" in table.manifest["notes"][1]
    assert table.manifest["sources"][0]["latency_ms"]["median"] < 0  # this recorder's clock was behind


@pytest.mark.slow
@pytest.mark.parametrize(("spacing", "rows"), [("1s", 689), ("5s", 139), ("1m", 13), ("5m", 5), ("1h", 3)])
def test_real_bars_are_those_of_the_stream(books: Any, spacing: str, rows: int) -> None:
    workspace, table = books
    dataset, _ = make_bars(workspace, table, f"b{spacing}", parse_spacing(spacing))
    want = dataset.frame().collect().join(tick_counts(dataset).collect(), on=["symbol", "ts"]).sort("symbol", "ts")
    ticks = table.frame().sort("received_ts").collect()
    ticks = ticks.select("symbol", "ts", "price", "quantity", "trade_id", "bid", "ask")
    stream = BarAggregator(parse_spacing(spacing))
    bars = [bar for tick in ticks.iter_rows() for bar in stream.add(*tick)] + stream.flush()
    assert want["bid"].null_count() < rows and (want["bid"] <= want["ask"]).all()
    assert stream.late == 0 and want.height == rows and want["ticks"].sum() == table.manifest["rows"]
    assert as_frame(bars, want).equals(want)
