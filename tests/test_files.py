"""Files are the old ones or the new ones, whatever happens in between."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin import files
from dolphin.errors import DolphinError
from dolphin.files import (
    canonical_json,
    from_json_value,
    json_value,
    publish,
    publish_folder,
    read_json,
    sha256_bytes,
    sha256_file,
    write_bytes,
    write_json,
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Stop(BaseException):
    """An interrupt at a chosen moment."""


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_publish_writes_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.txt"
    with publish(target) as part:
        assert not target.exists() and part.parent == target.parent
        part.write_text("new")
        assert not target.exists()
    assert tree(tmp_path) == {"a/b.txt": b"new"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), Stop()])
def test_whatever_the_block_raises_passes_and_the_old_file_stays(tmp_path: Path, error: BaseException) -> None:
    write_bytes(tmp_path / "f", b"old")
    with pytest.raises(type(error)), publish(tmp_path / "f") as part:
        part.write_bytes(b"half")
        raise error
    assert tree(tmp_path) == {"f": b"old"}


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_full_disk_at_any_step_is_one_line_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write_bytes(tmp_path / "f", b"old")
    monkeypatch.setattr(os, step, no_space)
    with pytest.raises(DolphinError) as caught:
        write_bytes(tmp_path / "f", b"new")
    assert str(caught.value) == (
        f"{tmp_path / 'f'}: cannot write: No space left on device; "
        "free some space or choose another folder; what was there before is untouched"
    )
    assert tree(tmp_path) == {"f": b"old"}


@pytest.mark.parametrize("publisher", [publish, publish_folder])
def test_a_place_where_nothing_can_be_written_is_one_line(tmp_path: Path, publisher) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "file").write_text("x")
    with pytest.raises(DolphinError, match="cannot write"), publisher(tmp_path / "file" / "below"):
        pass
    assert tree(tmp_path) == {"file": b"x"}


def fill(folder: Path, content: bytes) -> None:
    (folder / "sub").mkdir()
    (folder / "one").write_bytes(content)
    (folder / "sub" / "two").write_bytes(content)


def test_publish_folder_replaces_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for content in (b"old", b"new"):
        with publish_folder(target) as part:
            fill(part, content)
    assert tree(tmp_path) == {"out/one": b"new", "out/sub/two": b"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), Stop()])
def test_a_folder_half_filled_never_appears(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), publish_folder(tmp_path / "new") as part:
        fill(part, b"half")
        raise error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("nth", [1, 2])
def test_an_interrupt_between_the_renames_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    target = tmp_path / "out"
    with publish_folder(target) as part:
        fill(part, b"old")
    rename, calls = Path.rename, []

    def counted(self: Path, other: Path) -> Path:
        calls.append(self)
        if len(calls) == nth:
            raise Stop
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", counted)
    with pytest.raises(Stop), publish_folder(target) as part:
        fill(part, b"new")
    assert tree(tmp_path) == {"out/one": b"old", "out/sub/two": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    with publish_folder(target) as part:
        fill(part, b"old")
    monkeypatch.setattr(files, "sync", no_space)
    with (
        pytest.raises(DolphinError, match="out: cannot write: No space left"),
        publish_folder(target) as part,
    ):
        fill(part, b"new")
    assert tree(tmp_path) == {"out/one": b"old", "out/sub/two": b"old"}


@given(plain)
def test_canonical_json_has_one_form_and_loses_nothing(document: object) -> None:
    text = canonical_json(document)
    assert json.loads(text) == document and canonical_json(json.loads(text)) == text
    assert b"\n" not in text


@given(st.dictionaries(st.text(), st.integers()), st.randoms())
def test_canonical_json_does_not_depend_on_key_order(document: dict[str, int], random) -> None:  # type: ignore[no-untyped-def]
    keys = list(document)
    random.shuffle(keys)
    assert canonical_json({key: document[key] for key in keys}) == canonical_json(document)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_of_what_is_no_number_is_refused(tmp_path: Path, value: float) -> None:
    for write in (canonical_json, lambda document: write_json(tmp_path / "f.json", document)):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write({"x": value})
    assert not list(tmp_path.iterdir())


def test_json_round_trip(tmp_path: Path) -> None:
    document = {"b": [1, 2.5, None], "a": {"x": "\u00e9"}}
    write_json(tmp_path / "f.json", document)
    assert read_json(tmp_path / "f.json") == document
    assert (tmp_path / "f.json").read_text().index('"a"') < (tmp_path / "f.json").read_text().index('"b"')


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"a": 1} x'])
def test_damaged_json_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f.json").write_bytes(data)
    with pytest.raises(DolphinError, match=r"f\.json: not readable as JSON"):
        read_json(tmp_path / "f.json")


def test_missing_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(DolphinError, match=r"f\.json: no such file"):
        read_json(tmp_path / "f.json")
    with pytest.raises(DolphinError, match="not readable as JSON"):
        read_json(tmp_path)


@given(st.binary(max_size=300))
def test_hashes(data: bytes) -> None:
    assert sha256_bytes(data) == hashlib.sha256(data).hexdigest()


def test_file_hash(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    assert sha256_file(tmp_path / "f") == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_sweep_takes_what_the_dead_left_and_nothing_else(tmp_path: Path) -> None:
    program = f"""
import os
from pathlib import Path
from dolphin.files import publish
with publish(Path({str(tmp_path / "a")!r})) as part:
    part.write_text("half")
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert len(list(tmp_path.iterdir())) == 1
    with files.publish(tmp_path / "b") as part:
        part.write_text("whole")
        files.sweep(tmp_path, tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1.5, 3, True, None, "text"])
def test_a_number_that_json_does_not_know_goes_both_ways(value: object) -> None:
    assert from_json_value(json_value(value)) == value
    assert not isinstance(json_value(value), float) or math.isfinite(json_value(value))


def test_not_a_number_is_a_word_in_json_however_deep() -> None:
    assert json_value({"a": [1.0, (math.nan, -math.inf)]}) == {"a": [1.0, ["nan", "-inf"]]}
    assert math.isnan(from_json_value("nan"))
