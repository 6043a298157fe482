"""Spools, snapshots and tables: nothing half-written, nothing twice, whatever kills the recorder and when."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dolphin.catalog.store.tables import open_table
from dolphin.errors import Busy, Damaged, DolphinError
from dolphin.feeds import spool as spools
from dolphin.feeds.compaction import compact_day, decimals, drop_old, due_days, tick_frame, verify_recording
from dolphin.feeds.health import Health
from dolphin.feeds.meter import Record
from dolphin.feeds.poller import Value
from dolphin.feeds.recorder import Recorder, recording_folder, trades_so_far
from dolphin.feeds.spool import KINDS, Spool, read_snapshot, read_spool, snapshot, snapshot_path
from dolphin.risk.book import MOCK
from dolphin.times import DAY_NS, SECOND_NS, parse_time
from dolphin.workspace import create

NOON = parse_time("2026-11-21T12:00:00Z")
DATE = "2026-11-21"


def tick(number: int, ts: int = NOON, symbol: bytes = b"BTCUSDT") -> tuple[Any, ...]:
    return symbol, ts + number * SECOND_NS, 10_050_000_000, 123_456_789, True, number, -1, -1, ts + number * SECOND_NS


def recorder(home: Any, now: int = NOON) -> Recorder:
    return Recorder(recording_folder(home), 300 * SECOND_NS, Health(), lambda: now)


def test_a_session_becomes_snapshots_and_tables_that_others_read(tmp_path: Path) -> None:
    home = create(tmp_path)
    with recorder(home).opened() as made:
        for number in range(10):
            made.tick(tick(number))
            made.book(Record("BTCUSDT", NOON + number * SECOND_NS, number, MOCK, 1.0, 2.0))
        made.value(Value("funding_btc", 1e-4, "Binance USD-M BTCUSDT", NOON - 5, NOON - 5, NOON))
        made.value(Value("funding_btc", 2e-4, "Bybit linear BTCUSDT", NOON - 4, NOON - 4, NOON + 1))
        made.value(Value("vix", 17.0, "FRED VIXCLS", NOON - DAY_NS, NOON + 9, NOON + 2))
        made.flush()
        with pytest.raises(Busy, match="another process records"), recorder(home).opened():
            pass
    assert due_days(home, "rec", NOON) == [] and due_days(home, "rec", NOON + DAY_NS) == [DATE]
    found = compact_day(home, "rec", DATE)
    ticks = found["ticks"].frame().collect()
    assert ticks.height == 10 and ticks["price"].cast(pl.String)[0] == "100.50000000"
    assert ticks["quantity"].cast(pl.String)[0] == "1.23456789" and ticks["bid"].null_count() == 10
    books = found["books"].frame().filter(pl.col("series") == "FILL_PROB").collect()
    assert books.height == 10 and set(books["value"]) == {0.62}
    exf = found["exf"].frame().collect().rows_by_key("series")
    assert sorted(exf) == ["FUNDING_BTC", "FUNDING_BTC__BYBIT_LINEAR_BTCUSDT", "VIX"]
    assert exf["VIX"][0][2] == NOON + 9 and exf["FUNDING_BTC"][0][2] == NOON  # public and here
    assert due_days(home, "rec", NOON + DAY_NS) == [] and verify_recording(home, "rec") == []
    assert all(table.unchanged for table in compact_day(home, "rec", DATE).values())
    assert trades_so_far(recording_folder(home), NOON)["BTCUSDT"].last == 9


def test_a_killed_recorder_is_taken_up_where_it_was(tmp_path: Path) -> None:
    home, folder = create(tmp_path), recording_folder(create(tmp_path))
    left = Spool(folder, "ticks", NOON)
    left.rows = [(*tick(number), b"binance") for number in range(5)]
    left.flush()
    with left.path.open("ab") as stream:
        stream.write(b"half a row")  # what a kill left of a write
    with recorder(home, NOON + 60 * SECOND_NS).opened() as made:
        assert not left.path.exists() and read_spool(made.spools["ticks"].path).size == 0
        for number in range(3, 8):  # a repair gave two of them again
            made.tick(tick(number))
    rows = compact_day(home, "rec", DATE)["ticks"]
    assert rows.frame().collect()["trade_id"].to_list() == list(range(8))
    assert rows.manifest["quality"]["counts"]["duplicate"] == 2


@pytest.mark.parametrize("at", ["savez", "sha256_file", "write_bytes", "unlink"])
def test_a_kill_anywhere_in_a_snapshot_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    home, folder = create(tmp_path), recording_folder(create(tmp_path))
    left = Spool(folder, "ticks", NOON)
    left.rows = [(*tick(number), b"binance") for number in range(5)]
    left.close()

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if at in ("sha256_file", "write_bytes"):
            patch.setattr(spools, at, killed)
        else:
            patch.setattr(np if at == "savez" else Path, at, killed)
        if at == "unlink":  # publish removes its part by the same call
            patch.setattr(Path, "unlink", lambda path, missing_ok=False: missing_ok or killed())
        with pytest.raises(KeyboardInterrupt):
            snapshot(folder, left.path)
    with recorder(home).opened():
        pass
    assert [path.name for path in (folder / "ticks" / DATE).iterdir() if path.name.startswith(".")] == []
    assert len(read_snapshot(snapshot_path(folder, "ticks", NOON), "ticks")) == 5
    assert compact_day(home, "rec", DATE)["ticks"].manifest["rows"] == 5


def test_holes_are_known_after_a_restart(tmp_path: Path) -> None:
    home = create(tmp_path)
    with recorder(home).opened() as made:
        for number in (11, 12, 20, 30):
            made.tick(tick(number))
    folder = recording_folder(home)
    assert trades_so_far(folder, NOON)["BTCUSDT"].missing == [(13, 19, NOON), (21, 29, NOON)]
    # a state of before the last rows: what came since is taken out of its holes
    (folder / "holes.json").write_text('{"BTCUSDT": {"last": 20, "missing": [[3, 5], [11, 19]]}}')
    found = trades_so_far(folder, NOON)["BTCUSDT"]
    assert found.missing == [(3, 5, NOON), (13, 19, NOON), (21, 29, NOON)] and found.last == 30
    (folder / "holes.json").write_text("{")
    assert trades_so_far(folder, NOON)["BTCUSDT"].last == 30


def test_damage_is_found_and_nothing_is_made_of_it(tmp_path: Path) -> None:
    home = create(tmp_path)
    with recorder(home).opened() as made:
        made.tick(tick(1))
    (path,) = recording_folder(home).glob("ticks/*/*.npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert verify_recording(home, "rec") == [f"{path}: its SHA-256 is not the one beside it"]
    with pytest.raises(Damaged, match="SHA-256"):
        compact_day(home, "rec", DATE)
    path.with_name(path.name + ".sha256").unlink()
    assert "no checksum" in verify_recording(home, "rec")[0] and trades_so_far(recording_folder(home), NOON) == {}


def test_old_snapshots_go_once_their_tables_are_whole(tmp_path: Path) -> None:
    home = create(tmp_path)
    with recorder(home).opened() as made:
        made.tick(tick(1))
        made.value(Value("fng", 40.0, "alternative.me", NOON, NOON, NOON))
    later = NOON + 9 * DAY_NS
    assert drop_old(home, "rec", 7, later) == 0  # no table yet
    compact_day(home, "rec", DATE)
    assert drop_old(home, "rec", 7, NOON + 6 * DAY_NS) == 0 and drop_old(home, "rec", 7, later) == 2
    assert list(recording_folder(home).glob("*/*/*")) == []
    # what was recorded later is added to the table of factors, which keeps what was
    with recorder(home, later).opened() as made:
        made.value(Value("fng", 41.0, "alternative.me", later, later, later))
    (date,) = due_days(home, "rec", later + DAY_NS)
    compact_day(home, "rec", date)
    assert open_table(home, "rec_exf").frame().collect()["value"].to_list() == [40.0, 41.0]


def test_a_full_disk_is_said_and_nothing_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = create(tmp_path)

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with recorder(home).opened() as made:
        made.tick(tick(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            made.flush()
            assert "No space left" in made._health.active["recorder:disk"].text
            made.tick(tick(2))
        asyncio.run(made.roll())
        assert not made._health.active
    (path,) = recording_folder(home).glob("ticks/*/*.npz")
    assert read_snapshot(path, "ticks")["trade_id"].tolist() == [1, 2]


def test_decimals_and_unknown_sides() -> None:
    found = decimals(np.array([1, -1, 0, 2**62]))
    assert [str(value) for value in found] == ["1E-8", "-1E-8", "0E-8", "46116860184.27387904"]
    rows = np.zeros(1, KINDS["ticks"])
    rows["bid"] = rows["ask"] = -1
    assert tick_frame(rows).row(0)[6:8] == (None, None)


def test_a_name_that_means_other_data_is_refused(tmp_path: Path) -> None:
    home = create(tmp_path)
    with recorder(home).opened() as made:
        made.tick(tick(1))
        made.value(Value("fng", 40.0, "alternative.me", NOON, NOON, NOON))
    compact_day(home, f"rec_ticks_{DATE}".removesuffix(f"_ticks_{DATE}"), DATE)
    with pytest.raises(DolphinError):
        compact_day(home, "a b", DATE)
