"""``dolphin data pull`` against a server with the archive's layout: pull, import, run again, be stopped."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from archive_server import DAY_MS, Archive, serve
from command_line import Answer, command, environment

HOUR_MS = 3_600_000


@pytest.fixture
def archive() -> Iterator[Archive]:
    """The archive has all but the last two days up to now; REST has the rest."""
    now = time.time_ns() // 1_000_000
    archive = Archive(HOUR_MS, rest_until_ms=now)
    today = now // DAY_MS * DAY_MS
    for symbol in ("BTCUSDT", "ETHUSDT"):
        for back in range(2, 6):
            day = today - back * DAY_MS
            archive.publish("data/futures/um", symbol, "1h", date(day), day, day + DAY_MS)
    stop = serve(archive)
    yield archive
    stop()


def date(ms: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(ms / 1000))


def words(archive: Archive, *more: str) -> list[str]:
    first = date(time.time_ns() // 1_000_000 - 5 * DAY_MS)
    return [
        "data", "pull", "--symbols", "BTCUSDT,ETHUSDT", "--interval", "1h", "--from", first,
        "--archive", archive.address, "--rest", archive.address, *more,
    ]  # fmt: skip


def test_pull_and_import_up_to_the_last_closed_candle(
    call: Callable[..., Answer], tmp_path: Path, archive: Archive
) -> None:
    answer = call(tmp_path / "w", *words(archive, "--name", "live", "--json"))
    assert answer.code == 0, answer.err
    assert answer.json["fetched"] >= 10
    # In the first hour of a day none of its candles has closed.
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert all(name.endswith(today) for name in answer.json["absent"])
    hours = (time.time_ns() // 1_000_000 - 5 * DAY_MS) // DAY_MS * DAY_MS
    assert abs(answer.json["bars"] - (time.time_ns() // 1_000_000 - hours) // HOUR_MS) <= 1
    again = call(tmp_path / "w", *words(archive))
    assert again.code == 0 and "8 were here" in again.out and "from REST" in again.out


def test_a_file_that_cannot_be_had_is_one_line_and_the_others_are_kept(
    call: Callable[..., Answer], tmp_path: Path, archive: Archive
) -> None:
    for path in [p for p in archive.files if "ETHUSDT" in p and p.endswith(".CHECKSUM")][:1]:
        archive.files[path] = b"f" * 64 + b"  x\n"
    answer = call(tmp_path / "w", *words(archive, "--name", "live"))
    assert answer.code == 2 and "another checksum" in answer.complaint
    assert len(list((tmp_path / "w" / "data_catalog" / "downloads").rglob("*.zip"))) == 7
    assert not (tmp_path / "w" / "data_catalog" / "live.json").exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (["--market", "futures"], "unknown market"),
        (["--interval", "1x"], "unknown interval"),
        (["--name", "x", "--reference", "SOLUSDT"], "--reference BTCUSDT"),
        (["--archive", "nonsense"], "is not an address"),
    ],
)
def test_a_mistake_is_one_line(
    call: Callable[..., Answer], tmp_path: Path, archive: Archive, change: list[str], complaint: str
) -> None:
    answer = call(tmp_path / "w", *words(archive, *change))
    assert answer.code == 2 and complaint in answer.complaint


@pytest.mark.slow
def test_an_interrupt_keeps_what_is_here_and_the_next_run_goes_on(tmp_path: Path, archive: Archive) -> None:
    last = [p for p in archive.files if p.endswith(".zip")][-1]
    archive.faults[last] = [("drop", 100)] + [503] * 50
    process = subprocess.Popen(
        command(*words(archive)), env=environment(tmp_path / "w"), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while archive.asked[last] < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr is not None and "run the same command" in process.stderr.read()
    process.stderr.close()
    archive.faults.clear()
    done = subprocess.run(
        command(*words(archive)), env=environment(tmp_path / "w"), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "bytes=100-" in archive.ranges, done.stderr
