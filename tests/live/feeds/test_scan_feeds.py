"""Scans of another program: read, watched, put on the grid, and fed to a session."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dolphin.catalog.store.instruments import Instrument
from dolphin.catalog.store.scan_layout import FEATURES
from dolphin.errors import BadInput, DolphinError
from dolphin.live.feed_conformance import check_feed, take
from dolphin.live.feeds.scan_feed import ScanFeed, folder_feed, store_feed
from dolphin.live.feeds.scan_folder import ScanFolder, natural
from dolphin.live.feeds.scan_grid import ScanGrid
from dolphin.live.feeds.scan_record import ScanRecord, of_arrow, of_document, read_scan_file, to_arrow, to_document
from dolphin.live.feeds.scan_store import publish_scan
from dolphin.stores.conformance import until
from dolphin.stores.embedded import Embedded
from dolphin.stores.names import FEATURES as FEATURE_MAP
from dolphin.stores.names import SCAN_BARS

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
SPACING = 5 * 10**9
BEGIN = 1_772_323_200 * 10**9  # 2026-03-01
INSTRUMENTS = tuple(Instrument.of(symbol, 2, 0.01, 0.001, 5.0) for symbol in SYMBOLS)


def scan(n: int, missing: str | None = None) -> ScanRecord:
    """The n-th scan, its numbers from n."""
    features = {name: math.nan if n == 0 else (k + 1) * n / 1000 for k, name in enumerate(FEATURES)}
    prices = {symbol: 100.0 * (k + 1) + n / 4 for k, symbol in enumerate(SYMBOLS) if symbol != missing}
    return ScanRecord(BEGIN + n * SPACING, n, features, prices, "made")


def write_arrow(folder: Path, n: int, *, as_file: bool = True, missing: str | None = None) -> Path:
    """Write it as another program would: into a name that nobody reads, then renamed."""
    data, path = to_arrow(scan(n, missing)), folder / f"scan_{n}.arrow"
    if as_file:
        table = pa.ipc.open_stream(data).read_all()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        data = sink.getvalue().to_pybytes()
    (folder / f".{path.name}").write_bytes(data)
    (folder / f".{path.name}").replace(path)
    return path


def write_json(folder: Path, n: int) -> Path:
    path = folder / f"scan_{n}.json"
    path.write_text(json.dumps(to_document(scan(n))))
    return path


def same(one: ScanRecord, other: ScanRecord) -> bool:
    values = [list(of.features.values()) for of in (one, other)]
    return (
        (one.ts, one.number, one.prices) == (other.ts, other.number, other.prices)
        and one.features.keys() == other.features.keys()
        and np.array_equal(*values, equal_nan=True)
    )


def test_a_scan_is_the_same_in_every_form(tmp_path):
    for n in (0, 7):
        for path in (write_arrow(tmp_path, n), write_arrow(tmp_path, n, as_file=False), write_json(tmp_path, n)):
            (found,) = read_scan_file(path)
            assert same(found, scan(n))
        (found,) = of_arrow(to_arrow(scan(n)), "bytes")
        assert same(found, scan(n))
    as_lists = {**to_document(scan(3)), "assets": list(scan(3).prices), "asset_prices": list(scan(3).prices.values())}
    del as_lists["prices"]
    assert same(of_document(as_lists, "lists"), scan(3))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"ts": None}, "without its time"),
        ({"ts": 5}, "2000 and 2100"),
        ({"prices": None}, "without prices"),
        ({"prices": {"BTCUSDT": -1.0}}, "a price of -1 for BTCUSDT"),
        ({"prices": {"BTCUSDT": "1"}}, "'BTCUSDT' is no number"),
        ({"prices": {"btc/usdt": 1.0}}, "btc/usdt"),
        ({"vel_div": "x"}, "'vel_div' is no number"),
    ],
)
def test_what_is_no_scan_is_one_line(change, line):
    with pytest.raises(DolphinError, match=line):
        of_document({**to_document(scan(1)), **change}, "here")


def test_names_are_ordered_by_their_numbers():
    assert sorted(["scan_10.json", "scan_9.json", "a/scan_1.json"], key=natural) == [
        "a/scan_1.json",
        "scan_9.json",
        "scan_10.json",
    ]


def test_each_file_is_read_once_and_in_order(tmp_path):
    for n in (10, 2, 9):
        write_arrow(tmp_path, n)
    (tmp_path / "2026-03-02").mkdir()
    folder = ScanFolder(tmp_path)
    assert [one.number for one in folder.poll()] == [2, 9, 10]
    assert folder.poll() == []
    write_json(tmp_path / "2026-03-02", 12)
    write_json(tmp_path, 11)
    (tmp_path / "notes.txt").write_text("no scan")
    assert sorted(one.number for one in until(folder.poll, "the new ones")) == [11, 12]
    assert folder.read == 5
    assert not folder.refused


@pytest.mark.parametrize("kind", ["json", "file", "stream"])
def test_a_half_written_file_is_waited_for_and_later_ones_with_it(tmp_path, kind):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    whole = write_json(elsewhere, 1) if kind == "json" else write_arrow(elsewhere, 1, as_file=kind == "file")
    data, here = whole.read_bytes(), tmp_path / "in"
    here.mkdir()
    target = here / whole.name
    folder = ScanFolder(here, patience=3600.0)
    for part in (b"", data[: len(data) // 2], data[:-1] if kind == "json" else data[:-8]):
        target.write_bytes(part)
        write_arrow(here, 2)
        assert folder.poll() == []
        assert list(folder.waiting()) == [target]
    target.write_bytes(data)
    assert [one.number for one in until(folder.poll, "both")] == [1, 2]
    assert folder.waiting() == folder.refused == {}


def test_what_stays_broken_is_refused_and_named_until_it_changes(tmp_path):
    (tmp_path / "scan_1.json").write_text('{"ts": 1')
    write_arrow(tmp_path, 2)
    folder = ScanFolder(tmp_path, patience=0.1)
    assert [one.number for one in until(folder.poll, "the later one")] == [2]
    ((path, reason),) = folder.refused.items()
    assert path.name == "scan_1.json"
    assert "not readable as JSON" in reason
    assert folder.poll() == []
    write_json(tmp_path, 1)  # in place: the folder does not tell
    assert [one.number for one in until(folder.poll, "the mended one")] == [1]
    assert not folder.refused


def test_no_folder_is_one_line(tmp_path):
    with pytest.raises(DolphinError, match="no such folder"):
        ScanFolder(tmp_path / "nowhere")


def test_the_grid_fills_what_is_missing_and_names_what_is_late():
    grid = ScanGrid(SYMBOLS, SPACING)
    (first,) = grid.add(scan(0, missing="SOLUSDT"))
    assert (first.bar, first.age.tolist(), first.trade) == (0, [0, 0, -1], True)
    assert np.isnan(first.price[2])
    hole, third, row = grid.add(scan(3, missing="ETHUSDT"))
    assert [one.bar for one in (hole, third, row)] == [1, 2, 3]
    assert (hole.age.tolist(), hole.trade, third.age.tolist()) == ([1, 1, -1], False, [2, 2, -1])
    assert math.isnan(hole.features["vel_div"])
    assert (row.age.tolist(), row.price[1], row.trade) == ([0, 3, 0], scan(0).prices["ETHUSDT"], True)
    assert row.features["vel_div"] == 0.003
    odd = ScanRecord(BEGIN + 4 * SPACING + 1, 4, {}, {"BTCUSDT": 1.0}, "odd")
    foreign = ScanRecord(BEGIN + 4 * SPACING, 4, {}, {"XRPUSDT": 1.0}, "foreign")
    for wrong in (scan(3), scan(2), odd, foreign):
        assert grid.add(wrong) == []
    assert [reason.partition(":")[0] for reason in grid.refused.values()] == [
        "came again", "came late", "not on the grid of 5s", "no price of any symbol that is traded",
    ]  # fmt: skip


def test_the_folder_is_a_feed_like_every_other(tmp_path):
    for n in range(20):
        write_arrow(tmp_path, n, missing=SYMBOLS[n % 3])
    opened = itertools.count()

    def more() -> None:
        for n in range(20, 60):
            if n != 33:  # a scan that was never made
                write_arrow(tmp_path, n, missing=SYMBOLS[n % 3])

    def make() -> ScanFeed:
        feed = folder_feed(tmp_path, SPACING, INSTRUMENTS)
        if next(opened) == 0:
            threading.Thread(target=more, daemon=True).start()
        return feed

    assert check_feed(make, rows=40, history=15) == []


def test_a_restarted_session_may_not_trade_on_what_it_missed(tmp_path):
    for n in range(6):
        write_arrow(tmp_path, n)
    feed = folder_feed(tmp_path, SPACING, INSTRUMENTS)

    async def run():
        source = feed.rows(BEGIN + 3 * SPACING)
        missed = [await anext(source), await anext(source)]
        write_arrow(tmp_path, 6)
        fresh = await asyncio.wait_for(anext(source), 20)
        history = await feed.history(100, BEGIN + 4 * SPACING)
        return missed, fresh, history

    missed, fresh, history = asyncio.run(run())
    assert [(row.bar, row.trade) for row in (*missed, fresh)] == [(4, False), (5, False), (6, True)]
    assert history.first == 0
    assert history.ts.tolist() == [BEGIN + n * SPACING for n in range(5)]
    assert history.features["vel_div"][1:].tolist() == [0.001, 0.002, 0.003, 0.004]


def test_symbols_and_lots_come_from_the_folder_where_nobody_names_them(tmp_path):
    with pytest.raises(DolphinError, match="no scan yet"):
        folder_feed(tmp_path, SPACING)
    write_arrow(tmp_path, 0)
    lots = {"price_precision": 2, "price_tick": 0.01, "size_precision": 3, "lot_step": 0.001, "min_notional": 5.0}
    (tmp_path / "instruments.json").write_text(json.dumps(dict.fromkeys(SYMBOLS, lots)))
    feed = folder_feed(tmp_path, SPACING)
    assert feed.symbols == SYMBOLS
    with pytest.raises(BadInput, match="reference"):
        folder_feed(tmp_path, SPACING, reference="XRPUSDT")


def test_scans_that_another_process_publishes_are_rows(tmp_path):
    store, messages = Embedded(tmp_path), []
    store.listen(SCAN_BARS, messages.append)
    publish_scan(store, scan(1))
    feed = store_feed(store, INSTRUMENTS, SPACING, origin_ns=BEGIN)

    async def run():
        history = await feed.history(10, None)
        for n in (2, 4):
            publish_scan(store, scan(n))
        return history, await take(feed, None, 3)

    history, rows = asyncio.run(run())
    asyncio.run(feed.close())
    assert history.ts.tolist() == [BEGIN + SPACING]
    assert [(row.bar, row.trade) for row in rows] == [(2, True), (3, False), (4, True)]
    assert rows[0].features["vel_div"] == 0.002
    until(lambda: len(messages) == 3, "the messages")
    assert messages[1]["vel_div"] == 0.002
    assert messages[1]["scan_number"] == 2
    assert messages[1]["timestamp"] == "2026-03-01T00:00:10Z"
    assert len({message["uuid"] for message in messages}) == 3
    assert store.get(FEATURE_MAP, "latest_eigen_scan").value["prices"]["BTCUSDT"] == scan(4).prices["BTCUSDT"]
    assert "prices" not in store.get(FEATURE_MAP, "scan_latest").value
    store.close()


def test_what_is_no_scan_in_the_store_is_named(tmp_path):
    store = Embedded(tmp_path)
    feed = store_feed(store, INSTRUMENTS, SPACING)
    store.put(FEATURE_MAP, "latest_eigen_scan", {"regime": "bull"})
    store.put(FEATURE_MAP, "scan_arrow_latest", b"ARROW?")
    until(lambda: feed._look() or len(feed.refused) == 2, "two refusals")
    assert sorted(reason.partition(": ")[2].split(";")[0][:12] for reason in feed.refused.values())
    store.close()


def test_a_folder_of_many_files_is_not_listed_when_nothing_changed(tmp_path, monkeypatch):
    for n in range(5):
        write_arrow(tmp_path, n)
    folder, listed = ScanFolder(tmp_path), []
    until(lambda: len(folder.poll()) or folder.read == 5, "five")
    old = time.time() - 10
    os.utime(tmp_path, (old, old))
    folder.poll()
    scandir = os.scandir
    monkeypatch.setattr("dolphin.live.feeds.scan_folder.os.scandir", lambda path: listed.append(path) or scandir(path))
    assert folder.poll() == []
    assert listed == []
