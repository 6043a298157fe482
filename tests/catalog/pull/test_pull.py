"""Pulling from a server with the archive's true layout, on its good and on its bad days."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_server import DAY_MS, Archive, serve

from dolphin.catalog import import_klines, parse_time
from dolphin.catalog.pull import PullReport, pull
from dolphin.catalog.pull.fetch import Fetcher
from dolphin.errors import DolphinError
from dolphin.times import DAY_NS
from dolphin.workspace import Workspace, create

HOUR_MS = 3_600_000
UM = "data/futures/um"
NOW = parse_time("2024-03-04T10:30:00Z")
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def ms(text: str) -> int:
    return parse_time(text) // 1_000_000


@pytest.fixture
def archive() -> Iterator[Archive]:
    """January to the second of March 2024: January and February by month too, as on the 4th of March."""
    archive = Archive(HOUR_MS, rest_until_ms=ms("2024-03-04T11:00:00Z"))
    for symbol in SYMBOLS:
        archive.publish(UM, symbol, "1h", "2024-01", ms("2024-01-01"), ms("2024-02-01"))
        archive.publish(UM, symbol, "1h", "2024-02", ms("2024-02-01"), ms("2024-03-01"))
        for day in range(ms("2024-01-01"), ms("2024-03-03"), DAY_MS):
            date = f"2024-{1 + (day >= ms('2024-02-01')) + (day >= ms('2024-03-01')):02d}"
            start = ms(f"{date}-01")
            archive.publish(UM, symbol, "1h", f"{date}-{(day - start) // DAY_MS + 1:02d}", day, day + DAY_MS)
    stop = serve(archive)
    yield archive
    stop()


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    return create(tmp_path / "w")


def run(home: Workspace, archive: Archive, start: str, stop: str, **options: object) -> PullReport:
    return pull(
        home,
        options.pop("symbols", SYMBOLS),  # type: ignore[arg-type]
        "1h",
        parse_time(start),
        parse_time(stop),
        archive=archive.address,
        rest=archive.address,
        fetcher=Fetcher(per_second=5000, attempts=4, pause=0.01),
        now_ns=NOW,
        **options,  # type: ignore[arg-type]
    )


def names(report: PullReport) -> set[str]:
    return {path.name for path in report.folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_whole_months_come_as_one_file_and_the_newest_days_from_rest(home: Workspace, archive: Archive) -> None:
    report = run(home, archive, "2024-01-01", "2024-03-05")
    expected = {"2024-01.zip", "2024-02.zip", "2024-03-01.zip", "2024-03-02.zip", "2024-03-03.csv", "2024-03-04.csv"}
    assert names(report) == {f"{symbol}-1h-{end}" for symbol in SYMBOLS for end in expected}
    assert report.provisional == [f"{s} 2024-03-0{d}" for s in SYMBOLS for d in (3, 4)]
    assert (report.fetched, report.known, report.absent, report.failed) == (12, 0, [], [])
    for path in report.folder.rglob("*.zip"):
        assert path.read_bytes() in archive.files.values()


def test_what_was_pulled_imports_without_a_hole_up_to_the_last_closed_candle(home: Workspace, archive: Archive) -> None:
    report = run(home, archive, "2024-02-27", "2024-03-05")
    data = import_klines(home, report.folder, "m").dataset
    assert data.n_bars == (ms("2024-03-04T10:00:00Z") - ms("2024-02-27")) // HOUR_MS
    assert data.last_ts == parse_time("2024-03-04T10:00:00Z")  # the candle that closes at 11:00 is not closed yet
    assert (data.prices().age == 0).all()


def test_a_second_run_asks_only_for_what_was_provisional(home: Workspace, archive: Archive) -> None:
    run(home, archive, "2024-02-01", "2024-03-05")
    archive.asked.clear()
    for symbol in SYMBOLS:
        archive.publish(UM, symbol, "1h", "2024-03-03", ms("2024-03-03"), ms("2024-03-04"))
    report = run(home, archive, "2024-02-01", "2024-03-05")
    assert report.known == 2 * 3 and report.fetched == 2 * 2
    assert not any("2024-02" in path or "2024-03-01" in path for path in archive.asked)
    assert "BTCUSDT-1h-2024-03-03.zip" in names(report) and "BTCUSDT-1h-2024-03-03.csv" not in names(report)


def test_a_month_replaces_its_days(home: Workspace, archive: Archive) -> None:
    run(home, archive, "2024-01-10", "2024-01-12")
    report = run(home, archive, "2024-01-01", "2024-02-01")
    assert names(report) == {f"{symbol}-1h-2024-01.zip" for symbol in SYMBOLS}
    again = run(home, archive, "2024-01-10", "2024-01-12")
    assert (again.fetched, again.known) == (0, 2)


def test_days_that_nobody_has_are_said(home: Workspace, archive: Archive) -> None:
    report = run(home, archive, "2023-12-30", "2024-01-02", symbols=("BTCUSDT",))
    assert report.absent == ["BTCUSDT 2023-12-30", "BTCUSDT 2023-12-31"]
    assert names(report) == {"BTCUSDT-1h-2024-01-01.zip"}


def test_a_broken_line_is_gone_on_with_where_it_broke(home: Workspace, archive: Archive) -> None:
    archive.faults["BTCUSDT-1h-2024-01.zip"] = [("drop", 1000), ("drop", 5000), 503, ("drop", 7), 429]
    report = run(home, archive, "2024-01-01", "2024-02-01", symbols=("BTCUSDT",))
    assert archive.ranges[0] == "bytes=1000-" and "bytes=6000-" in archive.ranges
    assert report.fetched == 1 and not report.failed
    (path,) = report.folder.rglob("*.zip")
    assert path.read_bytes() in archive.files.values()
    assert report.bytes == path.stat().st_size


def test_an_interrupted_pull_goes_on_from_its_partial_file(home: Workspace, archive: Archive) -> None:
    archive.faults["BTCUSDT-1h-2024-01.zip"] = [("drop", 3000), 503, 503, 503, 503, 503, 503]
    archive.faults["2024-01-05.zip"] = [503] * 12
    report = run(home, archive, "2024-01-01", "2024-02-01", symbols=("BTCUSDT",))
    assert len(report.failed) == 2 and "fails after 4 tries" in report.failed[0]
    archive.faults.clear()
    again = run(home, archive, "2024-01-01", "2024-02-01", symbols=("BTCUSDT",))
    assert "bytes=3000-" in archive.ranges
    assert names(again) == {"BTCUSDT-1h-2024-01.zip"} and not again.failed


def test_one_wrong_byte_is_noticed_and_mended_by_another_try(home: Workspace, archive: Archive) -> None:
    archive.faults["BTCUSDT-1h-2024-01.zip"] = [("lie",)]
    report = run(home, archive, "2024-01-01", "2024-02-01", symbols=("BTCUSDT",))
    (path,) = report.folder.rglob("*.zip")
    stated = archive.files[f"/{UM}/monthly/klines/BTCUSDT/1h/{path.name}.CHECKSUM"].split()[0].decode()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == stated


def test_a_checksum_that_lies_leaves_no_file_and_stops_nothing_else(home: Workspace, archive: Archive) -> None:
    for path in archive.files:
        if path.endswith("BTCUSDT-1h-2024-01-02.zip.CHECKSUM"):
            archive.files[path] = b"0" * 64 + b"  x.zip\n"
    report = run(home, archive, "2024-01-01", "2024-01-04", symbols=("BTCUSDT",))
    assert names(report) == {"BTCUSDT-1h-2024-01-01.zip", "BTCUSDT-1h-2024-01-03.zip"}
    assert len(report.failed) == 1 and "another checksum" in report.failed[0]


@pytest.mark.parametrize("body", [b"", b"<html>", b"abc  x.zip\n"])
def test_a_checksum_file_without_a_checksum(home: Workspace, archive: Archive, body: bytes) -> None:
    archive.files[f"/{UM}/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01-01.zip.CHECKSUM"] = body
    report = run(home, archive, "2024-01-01", "2024-01-02", symbols=("BTCUSDT",))
    assert names(report) == set() and "no SHA-256" in report.failed[0]


def test_busy_servers_are_waited_for(home: Workspace, archive: Archive) -> None:
    archive.faults["2024-01.zip.CHECKSUM"] = [429, 503, 429]
    archive.faults["2024-01.zip"] = [503, 418]
    assert not run(home, archive, "2024-01-01", "2024-02-01", symbols=("BTCUSDT",)).failed


def test_rest_pages_are_put_together(home: Workspace) -> None:
    archive = Archive(60_000, rest_until_ms=ms("2024-03-05"))
    stop = serve(archive)
    report = pull(
        home, ["BTCUSDT"], "1m", parse_time("2024-03-03"), parse_time("2024-03-04"),
        archive=archive.address, rest=archive.address, now_ns=NOW, market="spot",
        fetcher=Fetcher(per_second=5000, attempts=2, pause=0.01),
    )  # fmt: skip
    stop()
    assert report.provisional == ["BTCUSDT 2024-03-03"]
    (path,) = report.folder.rglob("*.csv")
    opens = [int(line.split(",")[0]) for line in path.read_text().splitlines()]
    assert opens == list(range(ms("2024-03-03"), ms("2024-03-04"), 60_000))  # 1,440 in pages of 1,000
    assert archive.asked["/api/v3/klines"] == 2


def test_no_server_at_all_stops_at_once(home: Workspace) -> None:
    with pytest.raises(DolphinError, match="cannot be reached"):
        pull(
            home, SYMBOLS, "1h", parse_time("2024-01-01"), parse_time("2024-02-01"),
            archive="http://127.0.0.1:9", rest="http://127.0.0.1:9", now_ns=NOW,
            fetcher=Fetcher(per_second=5000, attempts=2, pause=0.01),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"exchange": "binanse"}, "did you mean 'binance'"),
        ({"market": "cm"}, "unknown market 'cm'"),
        ({"interval": "7m"}, "unknown interval '7m'"),
        ({"symbols": ["btc/usdt"]}, "btc/usdt"),
        ({"start_ns": 5}, "midnight"),
        ({"start_ns": 40_000 * DAY_NS, "stop_ns": 40_001 * DAY_NS}, "no day that has begun"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(home: Workspace, change: dict[str, object], complaint: str) -> None:
    arguments: dict[str, object] = {
        "symbols": ["BTCUSDT"], "interval": "1h", "start_ns": parse_time("2024-01-01"),
        "stop_ns": parse_time("2024-01-02"), **change,
    }  # fmt: skip
    with pytest.raises(DolphinError, match=complaint):
        pull(home, **arguments)  # type: ignore[arg-type]
