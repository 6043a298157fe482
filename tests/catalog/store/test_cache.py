from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dolphin.catalog.store import cache
from dolphin.catalog.store.cache import Arrays, Writer, cached, drop, locked

A, B = np.arange(2000.0).reshape(100, 20), np.arange(5, dtype=np.int32)


class Builder:
    """Counts how often it builds."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, writer: Writer) -> None:
        self.calls += 1
        rows = writer.array("a", (100, 20), np.float64)
        for row in range(100):
            rows[row] = A[row]
        writer.put("b", B)


def same(arrays: Arrays) -> bool:
    fresh = {"a": A, "b": B}
    return arrays.keys() == fresh.keys() and all(np.array_equal(arrays[k], fresh[k]) for k in fresh)


def test_builds_once_and_maps(tmp_path: Path) -> None:
    build = Builder()
    assert same(cached(tmp_path, "k", build))
    again = cached(tmp_path, "k", build)
    assert same(again) and build.calls == 1
    assert isinstance(again["a"], np.memmap)
    assert again["b"].dtype == np.int32
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k"]


def test_writing_to_an_array_does_not_reach_the_file(tmp_path: Path) -> None:
    build = Builder()
    cached(tmp_path, "k", build)["a"][:] = -1.0
    assert same(cached(tmp_path, "k", build)) and build.calls == 1


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("file", ["a.npy", "b.npy", "meta.json"])
@pytest.mark.parametrize("damage", [flip, truncate, empty, Path.unlink])
def test_damage_is_mended(tmp_path: Path, file: str, damage: object) -> None:
    build = Builder()
    cached(tmp_path, "k", build)
    damage(tmp_path / "k" / file)  # type: ignore[operator]
    assert same(cached(tmp_path, "k", build))
    assert build.calls == 2
    assert same(cached(tmp_path, "k", build)) and build.calls == 2
    assert [p.name for p in tmp_path.iterdir()] == ["k"]


def test_full_verification_only_when_a_file_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build, hashed = Builder(), []
    cached(tmp_path, "k", build)
    real = cache._checksum
    monkeypatch.setattr(cache, "_checksum", lambda path: hashed.append(path.name) or real(path))
    cached(tmp_path, "k", build)
    assert hashed == []
    os.utime(tmp_path / "k" / "a.npy", ns=(1, 1))
    cached(tmp_path, "k", build)
    assert sorted(hashed) == ["a.npy", "b.npy"]
    cached(tmp_path, "k", build)
    assert len(hashed) == 2 and build.calls == 1


def test_a_failing_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(writer: Writer) -> None:
        Builder()(writer)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, "k", fail)
    assert list(tmp_path.iterdir()) == []


def test_an_array_without_elements(tmp_path: Path) -> None:
    for _ in range(2):
        assert cached(tmp_path, "k", lambda writer: writer.put("a", np.empty((0, 3))))["a"].shape == (0, 3)


@pytest.mark.parametrize("key", ["", "../k", "a/b", ".k", "k" * 101])
def test_keys_stay_in_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="cache key"):
        cached(tmp_path, key, Builder())


@pytest.mark.slow
def test_builders_at_the_same_time(tmp_path: Path) -> None:
    """Several processes spoil, rebuild and read the same entry; none ever sees half of it."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_cache import Builder, same
from dolphin.catalog.store.cache import cached
root = Path({str(tmp_path)!r})
for _ in range(15):
    assert same(cached(root, "k", Builder()))
    (root / "k" / "meta.json").unlink(missing_ok=True)
"""
    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [p.wait(timeout=60) for p in processes] == [0, 0, 0]
    assert same(cached(tmp_path, "k", Builder()))
    assert [p.name for p in tmp_path.iterdir()] == ["k"]


def python(program: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that sees this module."""
    head = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_of_two_processes_one_builds_and_the_other_waits(tmp_path: Path) -> None:
    program = """
import os
from pathlib import Path
from test_cache import Builder, same
from dolphin.catalog.store.cache import cached
root, log = Path(sys.argv[1]), sys.argv[2]
def build(writer):
    Builder()(writer)
    with open(log, "a") as stream:
        stream.write(f"{os.getpid()}\\n")
    sys.stdin.readline()
print("ready", flush=True)
print(same(cached(root, "k", build)))
"""
    log = tmp_path / "log"
    processes = [python(program, tmp_path / "cache", log) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:  # whoever builds goes on now
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in processes] == ["True\n"] * 2
    assert len(log.read_text().splitlines()) == 1
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["k"]


KILLED = """
from pathlib import Path
from test_cache import Builder
from dolphin.catalog.store.cache import cached
def build(writer):
    Builder()(writer)
    print("half", flush=True)
    sys.stdin.readline()
cached(Path(sys.argv[1]), sys.argv[2], build)
"""


@pytest.mark.parametrize("next_key", ["k", "other"])
def test_what_a_killed_builder_leaves_is_removed_by_the_next(tmp_path: Path, next_key: str) -> None:
    process = python(KILLED, tmp_path, "k")
    assert process.stdout is not None and process.stdout.readline() == "half\n"
    process.kill()
    process.communicate()
    assert process.returncode == -9
    assert sorted(p.name for p in tmp_path.iterdir()) == [".k.lock", ".k.part"]
    assert same(cached(tmp_path, next_key, Builder()))
    assert [p.name for p in tmp_path.iterdir()] == [next_key]


def test_an_entry_being_built_is_left_alone(tmp_path: Path) -> None:
    def build(writer: Writer) -> None:
        Builder()(writer)
        assert not drop(tmp_path, "k")
        assert same(cached(tmp_path, "other", Builder()))  # sweeps leftovers, but not this
        assert (tmp_path / ".k.part" / "a.npy").exists()

    assert same(cached(tmp_path, "k", build))


def test_a_dropped_entry_stays_with_who_has_it_mapped(tmp_path: Path) -> None:
    arrays = cached(tmp_path, "k", Builder())
    assert drop(tmp_path, "k") and list(tmp_path.iterdir()) == []
    assert same(arrays)
    assert drop(tmp_path, "k")


def test_a_lock_that_was_removed_is_taken_again(tmp_path: Path) -> None:
    with locked(tmp_path, "k") as outer, locked(tmp_path, "k", wait=False) as inner:
        assert outer and not inner
    assert list(tmp_path.iterdir()) == []


def test_no_room_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    program = """
import resource
from pathlib import Path
from test_cache import Builder
from dolphin.catalog.store.cache import cached
from dolphin.errors import DolphinError
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
try:
    cached(Path(sys.argv[1]), "k", Builder())
except DolphinError as error:
    print(error)
"""
    said, _ = python(program, tmp_path).communicate(timeout=60)
    assert "cannot keep the cache: File too large; free some space" in said and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".a", "a" * 101])
def test_array_names_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name of a new array"):
        cached(tmp_path, "k", lambda writer: writer.put(name, B))
    assert list(tmp_path.iterdir()) == []


def test_one_name_is_one_array_and_objects_are_refused(tmp_path: Path) -> None:
    def twice(writer: Writer) -> None:
        writer.put("a", B)
        writer.put("a", B)

    with pytest.raises(ValueError, match="name of a new array"):
        cached(tmp_path, "k", twice)
    with pytest.raises(ValueError, match="objects"):
        cached(tmp_path, "k", lambda writer: writer.put("a", np.array([object()])))


def test_opening_notes_the_time_of_use_and_after_runs_once(tmp_path: Path) -> None:
    calls: list[bool] = []
    cached(tmp_path, "k", Builder(), after=lambda: calls.append((tmp_path / "k" / "meta.json").exists()))
    os.utime(tmp_path / "k" / "used", ns=(1, 1))
    cached(tmp_path, "k", Builder(), after=lambda: calls.append(False))
    assert calls == [True]
    assert (tmp_path / "k" / "used").stat().st_mtime_ns > 10**18


@pytest.mark.slow
def test_building_and_reading_take_no_memory_of_their_own(tmp_path: Path) -> None:
    """320 MB are written, checked, mapped and read; a copy of them would be seen."""
    program = """
from pathlib import Path
import numpy as np
from dolphin.catalog.store.cache import cached
def anonymous():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000
def build(writer):
    rows = writer.array("a", (400_000, 100), np.float64)
    for low in range(0, len(rows), 4000):
        rows[low : low + 4000] = low
        top.append(anonymous())
top, before = [], anonymous()
total = 0.0
for _ in range(2):
    rows = cached(Path(sys.argv[1]), "k", build)["a"]
    total += float(rows.sum())
    top.append(anonymous())
print(total, max(top) - before)
"""
    said, _ = python(program, tmp_path).communicate(timeout=60)
    total, grown = map(float, said.split())
    assert total == 2 * sum(low * 4000.0 * 100 for low in range(0, 400_000, 4000))
    assert grown < 60.0
