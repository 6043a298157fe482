from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dolphin.catalog import cache
from dolphin.catalog.cache import Arrays, cached


class Builder:
    """Counts how often it builds."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Arrays:
        self.calls += 1
        return {"a": np.arange(2000.0).reshape(100, 20), "b": np.arange(5, dtype=np.int32)}


def same(arrays: Arrays) -> bool:
    fresh = Builder()()
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
    def fail() -> Arrays:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, "k", fail)
    assert list(tmp_path.iterdir()) == []


def test_an_array_without_elements(tmp_path: Path) -> None:
    for _ in range(2):
        assert cached(tmp_path, "k", lambda: {"a": np.empty((0, 3))})["a"].shape == (0, 3)


@pytest.mark.parametrize("key", ["", "../k", "a/b", ".k", "k" * 101])
def test_keys_stay_in_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="cache key"):
        cached(tmp_path, key, Builder())


def test_builders_at_the_same_time(tmp_path: Path) -> None:
    """Several processes spoil, rebuild and read the same entry; none ever sees half of it."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_cache import Builder, same
from dolphin.catalog.cache import cached
root = Path({str(tmp_path)!r})
for _ in range(15):
    assert same(cached(root, "k", Builder()))
    (root / "k" / "meta.json").unlink(missing_ok=True)
"""
    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [p.wait(timeout=60) for p in processes] == [0, 0, 0]
    assert same(cached(tmp_path, "k", Builder()))
    assert [p.name for p in tmp_path.iterdir()] == ["k"]
