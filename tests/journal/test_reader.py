"""A file that is whole, torn, flipped, or entered in the middle; and other programs that open it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from exchange_for_tests import CONFIG, Session, market_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin.errors import Busy, Damaged, DolphinError, NotFound
from dolphin.journal import Journal, JournalWriter, replay
from dolphin.journal.held import hold
from dolphin.journal.schema import KINDS, Shape, template
from dolphin.journal.writer import Policy

BARS = 60


@pytest.fixture(scope="module", params=[False, True], ids=["bars", "write-ahead"])
def written(request, tmp_path_factory):
    """A journal's path, its digests and its bytes."""
    path = tmp_path_factory.mktemp("journal") / "j.arrow"
    digests = Session(market_of(7), 7).run(path, write_ahead=request.param)
    return path, digests, path.read_bytes()


def test_what_was_written_is_read(written):
    path, digests, _ = written
    journal = Journal(path)
    index = journal.index()
    held, market = hold(journal, index), market_of(7)
    assert index.ended and not index.torn and journal.bars == BARS
    assert held.digests.tolist() == digests and held.problems == []
    rows = held.market(0, BARS)
    for name, values in market.by_row().items():
        assert getattr(rows, name)[:BARS].tobytes() == values.tobytes(), name
    assert rows.instruments.tobytes() == market.instruments.tobytes()
    assert journal.header["config_hash"] == CONFIG.hash and journal.header["engine_digest"] == CONFIG.engine.digest


def test_any_bar_is_found_without_the_others(written):
    path, digests, _ = written
    journal = Journal(path)
    for k in range(BARS):
        found = journal.bar_at(k)
        assert (found.bar, found.digest) == (k, digests[k])


def test_arrow_polars_and_duckdb_open_it(written):
    path, digests, _ = written
    with pa.ipc.open_stream(path) as stream:
        table = stream.read_all()
    table.validate(full=True)
    closing = "bar" if "bar" in table["kind"].to_pylist() else "decision"
    frame = pl.read_ipc_stream(path).filter(pl.col("kind") == closing)
    assert frame["digest"].to_list() == digests
    assert frame["account"].list.get(3).to_list() == list(range(1, BARS + 1))
    with duckdb.connect() as database:
        database.register("journal", table)
        counted = database.sql("SELECT kind, count(*) FROM journal GROUP BY kind").fetchall()
    assert dict(counted)[closing] == BARS


@settings(max_examples=60)
@given(data=st.data())
def test_a_torn_file_is_its_prefix(written, data, tmp_path_factory):
    path, digests, whole = written
    journal = Journal(path)
    first = journal.closing_from(0)
    cut = data.draw(st.integers(first.offset + first.size, len(whole) - 1))
    torn = tmp_path_factory.mktemp("torn") / "t.arrow"
    torn.write_bytes(whole[:cut])
    found = Journal(torn)
    index = found.index()
    bars = [k for k in range(BARS) if journal.bar_at(k).offset + journal.bar_at(k).size <= cut]
    assert found.bars == len(bars) and index.good <= cut and not index.ended
    assert index.torn == cut - index.good
    assert hold(found, index).digests.tolist() == digests[: len(bars)]
    assert found.last.digest == digests[len(bars) - 1]
    played = replay(found, config=CONFIG)
    assert played.equal and played.torn == index.torn


@settings(max_examples=60)
@given(data=st.data())
def test_a_flipped_byte_is_named_or_cut_with_the_end(written, data, tmp_path_factory):
    path, _, whole = written
    index = Journal(path).index()
    place = data.draw(st.integers(0, len(whole) - 9))
    broken = bytearray(whole)
    broken[place] ^= 1 << data.draw(st.integers(0, 7))
    damaged = tmp_path_factory.mktemp("flipped") / "f.arrow"
    damaged.write_bytes(broken)
    starts = index.places * 8
    record = int(np.searchsorted(starts, place, side="right")) - 1
    try:
        found = Journal(damaged).index()
    except Damaged as error:
        assert str(damaged) in str(error)
        if record > 0:
            assert f"at byte {starts[record]}" in str(error)
    else:  # only the last record: what stands before it is used
        assert record == len(starts) - 1 and found.good == starts[record] and len(found.places) == record


@pytest.mark.parametrize("inside", [4, 40, -20])
def test_damage_before_the_last_record_is_no_torn_end(written, tmp_path, inside):
    _, _, whole = written
    index = Journal(written[0]).index()
    start, stop = (int(place) * 8 for place in index.places[-2:])
    broken = bytearray(whole)
    broken[(start if inside > 0 else stop) + inside] ^= 64
    (tmp_path / "f").write_bytes(broken)
    with pytest.raises(Damaged, match=f"at byte {start}"):
        Journal(tmp_path / "f").index()


def test_a_zeroed_end_is_cut(written, tmp_path):
    path, digests, whole = written
    at = Journal(path).bar_at(40)
    file = tmp_path / "z.arrow"
    file.write_bytes(whole[: at.offset + at.size] + bytes(5000))
    found = Journal(file)
    assert found.index().torn == 5000 and found.bars == 41 and found.last.digest == digests[40]


@pytest.mark.parametrize("data", [b"", b"x" * 10, b"\xff\xff\xff\xff" + b"\0" * 100, os.urandom(5000)])
def test_other_files_are_no_journals(tmp_path, data):
    file = tmp_path / "x"
    file.write_bytes(data)
    with pytest.raises(DolphinError, match="is no journal"):
        Journal(file)
    with pytest.raises(NotFound, match="no such journal"):
        Journal(tmp_path / "nothing")


def test_a_journal_of_another_version_is_refused(tmp_path, monkeypatch):
    import dolphin.journal.schema as schema

    monkeypatch.setattr(schema, "VERSION", 99)
    writer = JournalWriter(tmp_path / "j", Shape(2, 1), {"a": 1}, policy="never")
    writer.close()
    monkeypatch.undo()
    with pytest.raises(DolphinError, match="is a journal of version 99"):
        Journal(tmp_path / "j")


def test_a_writer_goes_on_where_another_was_stopped(written, tmp_path):
    path, digests, whole = written
    file = tmp_path / "r.arrow"
    at = Journal(path).bar_at(30)
    file.write_bytes(whole[: at.offset + at.size + 100])
    journal = Journal(file)
    index = journal.index()
    last = int(index.places[-1]) * 8
    of = index.templates[int(index.which[-1])]
    values = journal.record_at(last, of)
    writer = JournalWriter.resume(
        file, journal.shape, length=index.good, seq=int(values["seq"]) + 1, check=int(values["check"]), policy="bar"
    )
    writer.text("operator", "back", 30)
    writer.close("done")
    again = Journal(file)
    found = again.index()
    assert found.ended and [KINDS[code] for code in found.kinds[-2:]] == ["operator", "end"]
    assert hold(again, found).digests.tolist() == digests[:31]


def test_one_writer_at_a_time_and_no_file_is_replaced(tmp_path):
    path, shape = tmp_path / "j", Shape(2, 1)
    writer = JournalWriter(path, shape, {}, policy="never")
    with pytest.raises(DolphinError, match="there is a journal already"):
        JournalWriter(path, shape, {})
    with pytest.raises(Busy, match="another process writes"):
        JournalWriter.resume(path, shape, length=0, seq=0, check=0)
    writer.close()
    with pytest.raises(DolphinError, match="cannot write"):
        JournalWriter(tmp_path / "no" / "j", shape, {})


@pytest.mark.parametrize("text", ["always", "seconds", "seconds:0", "seconds:x", ""])
def test_policies_that_there_are_not(text):
    with pytest.raises(DolphinError, match="no such fsync policy"):
        Policy(text)


def test_when_a_policy_syncs():
    assert [Policy("order").due(*w) for w in ((True, False), (False, True))] == [True, False]
    assert [Policy("bar").due(*w) for w in ((True, False), (False, True))] == [False, True]
    assert not Policy("never").due(True, True)
    assert not Policy("seconds:1000").due(True, True)


def test_texts_get_room_in_powers_of_two(tmp_path):
    writer = JournalWriter(tmp_path / "j", Shape(2, 1), {"long": "x" * 3000}, policy="never")
    texts = ["", "a", "b" * 64, "c" * 65, "d" * 70_000, "ä€"]
    for text in texts:
        writer.text("operator", text)
    writer.close()
    journal = Journal(tmp_path / "j")
    index = journal.index()
    found = [
        journal.text_at(int(index.places[k]) * 8, index.templates[int(index.which[k])]) for k in index.of("operator")
    ]
    assert found == texts and journal.header == {"long": "x" * 3000}


def test_a_header_that_is_no_session_is_said_so(tmp_path):
    JournalWriter(tmp_path / "j", Shape(2, 1), {"config": {}}, policy="never").close()
    journal = Journal(tmp_path / "j")
    with pytest.raises(DolphinError, match="its header names no session"):
        replay(journal, config=CONFIG)
    with pytest.raises(DolphinError, match="its header names no session"):
        hold(journal, journal.index())


def test_messages_of_a_kind_have_one_size():
    shape = Shape(7, 3, ("high", "low"))
    for kind in KINDS:
        of = template(shape, kind, 64)
        assert of.size % 8 == 0 and len(of.message) == of.size == of.dtype.itemsize


WRITER = """
import sys
from exchange_for_tests import Session, market_of
from pathlib import Path
for k in range(1000):
    Session(market_of(k % 5), k).run(Path(sys.argv[1]) / f"{k}.arrow", write_ahead=bool(k % 2))
    print(k, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_killed_writer_leaves_a_prefix(tmp_path, seed):
    tests = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # everything is compiled and one journal is whole
        time.sleep(0.01 + 0.4 * random.Random(seed).random())
        os.kill(process.pid, signal.SIGKILL)
    newest = max(tmp_path.glob("*.arrow"), key=lambda path: int(path.stem))
    k = int(newest.stem)
    whole = Session(market_of(k % 5), k).run(tmp_path / "whole", write_ahead=bool(k % 2))
    try:
        journal = Journal(newest)
    except Damaged:  # killed within its first write
        assert newest.stat().st_size < 20_000
        return
    index = journal.index()
    if journal.bars:
        assert hold(journal, index).digests.tolist() == whole[: journal.bars]
        assert replay(journal, config=CONFIG).equal
