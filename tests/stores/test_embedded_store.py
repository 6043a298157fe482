"""The embedded store: the rules of every store, and its file."""

from __future__ import annotations

import json
import threading
import zlib
from pathlib import Path

import pytest

from dolphin.errors import BadInput, Busy, Damaged, DolphinError
from dolphin.stores import names, open_store
from dolphin.stores.conformance import RULES, until
from dolphin.stores.embedded import FILE, Embedded
from dolphin.stores.ledger_file import Entry, LedgerFile
from dolphin.stores.opening import parse_cluster
from dolphin.workspace import create


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_keeps_every_rule(rule, tmp_path):
    store = Embedded(tmp_path)
    try:
        rule(store, store)
    finally:
        store.close()


def test_a_new_process_finds_what_the_last_one_left(tmp_path):
    store = open_store(f"embedded:{tmp_path}")
    store.put("A", "text", {"x": 1})
    store.put("A", "text", {"x": 2})
    store.put("A", "bytes", b"\x00\xff")
    store.close()
    again = open_store(f"embedded:{tmp_path}")
    assert again.get("A", "text").value["x"] == 2
    assert again.get("A", "bytes").value == b"\x00\xff"
    again.close()
    with pytest.raises(DolphinError, match="closed"):
        again.put("A", "text", {"x": 3})


def test_an_age_goes_on_while_nobody_has_the_store_open(tmp_path):
    file = LedgerFile(tmp_path / FILE)
    file.append([Entry("A", "old", '{"x":1}', 1_000_000_000)])
    store = Embedded(tmp_path)
    assert store.get("A", "old").age_ns > 10**18  # since 1970
    store.close()


def test_a_torn_line_is_cut_and_the_rest_stands(tmp_path):
    file = LedgerFile(tmp_path / FILE)
    file.append([Entry("A", "k", '{"x":1}', 1), Entry("A", "l", '{"x":2}', 2)])
    whole = (tmp_path / FILE).read_bytes()
    line = whole.partition(b"\n")[0]
    for torn in (line[:1], line[:40], line):  # of any length, also one that lacks its newline alone
        (tmp_path / FILE).write_bytes(whole + torn)
        assert LedgerFile(tmp_path / FILE, looked=True).live.keys() == file.live.keys()
        assert (tmp_path / FILE).read_bytes() == whole + torn  # a look writes nothing
        found = LedgerFile(tmp_path / FILE)
        assert (tmp_path / FILE).read_bytes() == whole
        found.append([Entry("A", "m", "{}", 3)])
        assert set(LedgerFile(tmp_path / FILE).live) == {("A", "k"), ("A", "l"), ("A", "m")}


@pytest.mark.parametrize("change", [lambda d: d.replace(b'\\"x\\":1', b'\\"x\\":7'), lambda d: d[d.index(b"\n") + 1 :]])
def test_a_line_changed_or_taken_out_is_named(tmp_path, change):
    file = LedgerFile(tmp_path / FILE)
    for n in range(3):
        file.append([Entry("A", "k", json.dumps({"x": n}, separators=(",", ":")), n)])
    data = (tmp_path / FILE).read_bytes()
    assert change(data) != data
    (tmp_path / FILE).write_bytes(change(data))
    with pytest.raises(Damaged, match=r"line [12] is not as it was written"):
        Embedded(tmp_path)
    (tmp_path / FILE).unlink()
    Embedded(tmp_path).close()  # the lock was let go


def test_a_grown_file_is_written_anew_with_what_lives(tmp_path):
    file = LedgerFile(tmp_path / FILE, compact_bytes=20_000)
    for n in range(400):
        file.append([Entry("A", f"k{n % 3}", "x" * 100, n)])
    assert (tmp_path / FILE).stat().st_size == file.size < 21_000
    assert LedgerFile(tmp_path / FILE).live == file.live
    assert {entry.at for entry in file.live.values()} == {397, 398, 399}


def test_a_disk_that_refuses_is_said_and_tried_again(tmp_path, monkeypatch):
    store = Embedded(tmp_path)
    monkeypatch.setattr("dolphin.stores.embedded.AGAIN", 0.01)
    append, full = LedgerFile.append, threading.Event()
    full.set()

    def refuse(self, entries):
        if full.is_set():
            raise OSError(28, "No space left on device")
        append(self, entries)

    monkeypatch.setattr(LedgerFile, "append", refuse)
    outcome = store.put("A", "k", {"x": 1})
    until(lambda: store.health().nodes == 0, "the disk refuses")
    assert outcome.wait(0) is None
    assert "No space left" in store.health().last_error
    full.clear()
    assert outcome.wait(20) is True
    assert store.health().nodes == 1
    assert store.health().pending == 0
    store.close()


def test_one_process_at_a_time(tmp_path):
    store = Embedded(tmp_path)
    with pytest.raises(Busy, match="another process has this store open"):
        Embedded(tmp_path)
    store.close()
    Embedded(tmp_path).close()


def test_its_place_is_the_workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("DOLPHIN_HOME", str(create(tmp_path / "w").root))
    store = open_store()
    assert store.url == f"embedded:{tmp_path / 'w' / 'runs' / 'store'}"
    store.close()


@pytest.mark.parametrize(
    "url", ["redis://a:1/x", "hazelcast://a/x", "hazelcast://a:1", "hazelcast://a:99999/x", "hazelcast://a:1,/x", ""]
)
def test_another_url_is_one_line(url):
    with pytest.raises(BadInput, match="no store; write embedded"):
        open_store(url)


def test_a_cluster_is_named_by_members_and_name():
    assert parse_cluster("hazelcast://a:1,b.c:2/dolphin") == (["a:1", "b.c:2"], "dolphin")


def test_names_are_those_of_the_specification():
    assert names.shard_of("BTCUSDT") == zlib.crc32(b"BTCUSDT") % 10
    assert names.book_place("ETHUSDT") == (
        f"DOLPHIN_FEATURES_SHARD_{zlib.crc32(b'ETHUSDT') % 10:02d}",
        "asset_ETHUSDT_ob",
    )
    assert names.state_map("blue") == "DOLPHIN_STATE_BLUE"
    assert names.pnl_map("green") == "DOLPHIN_PNL_GREEN"
    assert names.day_state("vel_div", "2026-03-01") == "state_vel_div_2026-03-01"
    assert len(set(names.MAPS)) == len(names.MAPS) == 11 + 1 + 4 + 2 + 1
    assert names.NEAR_CACHE == {
        "time_to_live": 300,
        "max_idle": 60,
        "eviction_max_size": 5000,
        "invalidate_on_change": True,
    }


def test_stores_do_not_need_the_client(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['hazelcast'] = None\n"
        "from dolphin.stores import open_store\n"
        f"open_store('embedded:{Path(tmp_path) / 's'}').close()\n"
        "try: open_store('hazelcast://127.0.0.1:1/x')\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'dolphin-quant[hazelcast]'" in done.stdout
