from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.catalog import Dataset, generate, open_dataset
from dolphin.catalog.store.cache import Writer, locked
from dolphin.catalog.store.cache_limit import (
    format_size,
    list_entries,
    parse_size,
    read_limit,
    shrink,
    write_limit,
)
from dolphin.errors import DolphinError
from dolphin.workspace import MARKER, Workspace

MINUTE_NS = 60 * 10**9


def make(workspace: Workspace, name: str, seed: int = 1) -> Dataset:
    return generate(workspace, name, preset="null", days=1, assets=2, spacing_ns=5 * MINUTE_NS, seed=seed).dataset


def filled(count: int) -> Callable[[Writer], None]:
    return lambda writer: writer.put("x", np.zeros(count, np.uint8))


def used_at(dataset: Dataset, key: str, seconds: int) -> None:
    os.utime(dataset.cache_root / key / "used", ns=(seconds * 10**9,) * 2)


@pytest.mark.parametrize(
    ("text", "count"),
    [("20GB", 20 * 10**9), ("1.5 MB", 1_500_000), ("16GiB", 2**34), ("7B", 7), ("3kB", 3000), (" 2 tib ", 2**41)],
)
def test_sizes(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "20", "GB", "-1GB", "20 bananas", "1e9B", "1,5GB", 20, None, "1GB\n2GB"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(DolphinError, match="is no size"):
        parse_size(text)


@given(st.integers(0, 10**15))
def test_a_formatted_size_reads_back_within_its_digits(count: int) -> None:
    assert parse_size(format_size(count)) == pytest.approx(count, rel=0.051)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# mine\nversion = 1\n",
        'version = 1\n[cache]\nlimit = "1GB" # old\n[other]\nlimit = "9GB"\n',
        "[cache]\n# nothing yet\n\n[other]\na = 1",
    ],
)
def test_the_limit_is_kept_in_the_workspace_and_nothing_else_changes(workspace: Workspace, text: str) -> None:
    marker = workspace.root / MARKER
    marker.write_text(text)
    before = tomllib.loads(text)
    write_limit(workspace, "20GB")
    assert read_limit(workspace) == 20 * 10**9
    after = tomllib.loads(marker.read_text())
    assert {k: v for k, v in after.items() if k != "cache"} == {k: v for k, v in before.items() if k != "cache"}
    assert all(line in marker.read_text() for line in text.splitlines() if line.startswith("#"))
    write_limit(workspace, None)
    assert read_limit(workspace) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[cache]\nlimit = 5\n", "'5' is no size"),
        ('[cache]\nlimit = "much"\n', "'much' is no size; write it like 20GB"),
        ("cache = 3\n", "cache must be a table"),
        ("[cache\n", "not readable as TOML"),
        ("\udcff", "not readable as TOML"),
    ],
)
def test_a_bad_workspace_file_is_one_line(workspace: Workspace, text: str, says: str) -> None:
    (workspace.root / MARKER).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DolphinError, match=says) as error:
        read_limit(workspace)
    assert str(workspace.root / MARKER) in str(error.value)


def test_a_file_that_we_cannot_change_is_left_as_it_was(workspace: Workspace) -> None:
    marker = workspace.root / MARKER
    marker.write_text('cache = { limit = "1GB" }\n')
    with pytest.raises(DolphinError, match="write it by hand"):
        write_limit(workspace, "2GB")
    assert read_limit(workspace) == 10**9


def test_the_least_recently_used_goes_first(workspace: Workspace) -> None:
    dataset = make(workspace, "a")
    for seconds, what in ((30, "one"), (10, "two"), (20, "three")):
        dataset.cached(what, filled(10_000))
        used_at(dataset, f"{what}-{dataset.digest[:20]}", seconds)
    assert [entry.what for entry in list_entries(workspace.catalog)] == ["two", "three", "one"]
    evicted = shrink(workspace.catalog, 22_500)
    assert [entry.what for entry in evicted] == ["two"]
    assert all(entry.bytes > 10_000 and entry.dataset == "a" and entry.present for entry in evicted)
    assert shrink(workspace.catalog, 0, keep=dataset.digest) == []
    assert {entry.what for entry in shrink(workspace.catalog, 0)} == {"one", "three"}
    assert list(dataset.cache_root.iterdir()) == []


def test_what_belongs_to_no_data_goes_before_all_else(workspace: Workspace) -> None:
    old, gone, new = make(workspace, "a"), make(workspace, "b", 2), make(workspace, "c", 3)
    for seconds, dataset in ((1, old), (2, new), (3, gone)):
        dataset.cached("x", filled(1000))
        used_at(dataset, f"x-{dataset.digest[:20]}", seconds)
    (workspace.catalog / "b.json").unlink()
    shutil.rmtree(workspace.catalog / "bars" / "b")
    (new.cache_root / "older-scheme").mkdir()
    (new.cache_root / "older-scheme" / "a.npy").write_bytes(b"x" * 5000)
    os.utime(new.cache_root / "older-scheme", ns=(9, 9))
    entries = list_entries(workspace.catalog)
    assert [(e.dataset, e.present) for e in entries] == [("-", False), ("b", False), ("a", True), ("c", True)]
    assert [e.dataset for e in shrink(workspace.catalog, entries[2].bytes + entries[3].bytes)] == ["-", "b"]


def test_equal_data_shares_entries_and_is_there_as_long_as_one_name_is(workspace: Workspace) -> None:
    first, second = make(workspace, "a"), make(workspace, "b")
    assert first.digest == second.digest
    first.prices(), second.prices()
    assert [e.dataset for e in list_entries(workspace.catalog)] == ["a"]
    (workspace.catalog / "a.json").unlink()
    assert [(e.dataset, e.present) for e in list_entries(workspace.catalog)] == [("b", True)]


def test_the_limit_is_enforced_after_a_build_but_never_on_what_was_built(workspace: Workspace) -> None:
    a, b = make(workspace, "a"), make(workspace, "b", 2)
    a.prices(), a.cached("more", filled(1000))
    write_limit(workspace, "1kB")
    assert len(list_entries(workspace.catalog)) == 2  # nothing was built since
    a.prices()
    assert len(list_entries(workspace.catalog)) == 2
    close = a.prices().close
    b.prices(), b.cached("more", filled(1000))
    assert [(e.dataset, e.what) for e in list_entries(workspace.catalog)] == [("b", "prices"), ("b", "more")]
    assert close.tobytes() == open_dataset(workspace, "a").prices().close.tobytes()  # mapped all the while


def test_a_bad_limit_is_said_before_the_work(workspace: Workspace) -> None:
    dataset = make(workspace, "a")
    (workspace.root / MARKER).write_text('[cache]\nlimit = "x"\n')
    with pytest.raises(DolphinError, match="'x' is no size"):
        dataset.prices()
    assert not dataset.cache_root.exists()


def test_an_entry_under_construction_is_not_evicted(workspace: Workspace) -> None:
    dataset = make(workspace, "a")
    dataset.cached("x", filled(1000))
    with locked(dataset.cache_root, f"x-{dataset.digest[:20]}"):
        assert shrink(workspace.catalog, 0) == []
    assert len(shrink(workspace.catalog, 0)) == 1


def test_no_cache_at_all(workspace: Workspace, tmp_path: Path) -> None:
    assert list_entries(workspace.catalog) == [] and shrink(workspace.catalog, 0) == []
