"""Ledgers: what is appended stays, what is torn never counted, what is changed does not follow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dolphin.files import canonical_json
from dolphin.ledger import GENESIS, TAIL, append, cut, follows, last_line, lines_of, sealed

WRITER = """
import sys
from pathlib import Path
from dolphin.ledger import append, last_line
path = Path(sys.argv[1])
n = 0
while True:
    append(path, str(n).encode() * 300, last_line(path)[1])
    print(n, flush=True)
    n += 1
"""


def chain(path: Path, count: int, size: int = 1) -> list[dict[str, Any]]:
    """Append so many entries; returns them."""
    entries, previous = [], GENESIS
    for number in range(count):
        entry = sealed({"n": number, "text": "x" * size, "previous": previous}, canonical_json)
        append(path, canonical_json(entry), last_line(path)[1])
        previous = entry["hash"]
        entries.append(entry)
    return entries


def test_a_ledger_that_is_not_there(tmp_path: Path) -> None:
    assert lines_of(tmp_path / "none") == ([], 0) and last_line(tmp_path / "none") == (None, 0)


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.jsonl"
    entries = chain(path, 5)
    lines, torn = lines_of(path)
    assert [json.loads(line) for line in lines] == entries and torn == 0
    assert last_line(path) == (lines[-1], path.stat().st_size)
    previous = GENESIS
    for entry in entries:
        assert follows(entry, previous, canonical_json)
        previous = entry["hash"]


@pytest.mark.parametrize("size", [TAIL - 200, TAIL, 5 * TAIL, 20 * TAIL])
def test_a_long_last_line_is_found(tmp_path: Path, size: int) -> None:
    path = tmp_path / "ledger.jsonl"
    entries = chain(path, 3, size)
    line, end = last_line(path)
    assert line is not None and json.loads(line) == entries[-1] and end == path.stat().st_size


@pytest.mark.parametrize("key", ["n", "text", "previous", "hash"])
def test_a_changed_entry_does_not_follow(tmp_path: Path, key: str) -> None:
    entry = chain(tmp_path / "ledger.jsonl", 2)[1]
    previous = entry["previous"]
    assert follows(entry, previous, canonical_json)
    assert not follows(entry | {key: "0"}, previous, canonical_json)
    assert not follows(entry, GENESIS, canonical_json)
    assert not follows({}, GENESIS, canonical_json)


@pytest.mark.parametrize("keep", [1, 20, -1])
def test_a_torn_line_does_not_count_and_goes_with_the_next(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "ledger.jsonl"
    chain(path, 3)
    *before, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(before) + last[:keep])
    lines, torn = lines_of(path)
    assert len(lines) == 2 and torn == len(last[:keep])
    line, end = last_line(path)
    assert line == lines[-1] and end == len(b"".join(before))
    append(path, b"{}", end)
    assert path.read_bytes() == b"".join(before) + b"{}\n"
    cut(path, end)
    assert path.read_bytes() == b"".join(before)


def test_a_full_disk_leaves_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.jsonl"
    chain(path, 2)
    before, write = path.read_bytes(), os.write
    written: list[int] = []

    def full(handle: int, data: bytes) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(write(handle, data[:10]))
        return written[0]

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            append(path, b"x" * 100, len(before))
    assert written == [10] and path.read_bytes() == before


def test_a_writer_killed_at_any_moment_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for upto in (0, 3, 17):
        path.unlink(missing_ok=True)
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while int(process.stdout.readline()) < upto:
                pass
            process.send_signal(signal.SIGKILL)
            said = [int(line) for line in process.stdout]
        lines, _ = lines_of(path)
        assert len(lines) > max([upto, *said]), "a line that was said to be written is there"
        assert lines == [str(n).encode() * 300 for n in range(len(lines))]
