"""SQL over the catalog reads everything in it, and nothing else; it writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dolphin.catalog import import_klines
from dolphin.catalog.query.handle import open_handle
from dolphin.catalog.query.sql import list_views, query
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace

Source = Callable[..., Path]
Snapshot = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def home(workspace: Workspace, source: Source, klines: pl.DataFrame) -> Workspace:
    import_klines(workspace, source(klines), "k")
    import_klines(workspace, source(klines), "a-b.1m")
    return workspace


def test_views_and_columns(home: Workspace) -> None:
    views = list_views(home, {"extra": lambda: pl.DataFrame({"x": [1]})})
    assert {"k", "a-b.1m", "datasets", "sources", "extra"} <= views.keys()
    assert views["k"][:2] == (("symbol", "VARCHAR"), ("ts", "BIGINT"))
    assert views["k"][-1] == ("date", "DATE")


def test_rows_times_and_names_that_need_quotes(home: Workspace) -> None:
    found = query(home, "select count(*) as n, min(utc(ts)) as t from k where date = '2025-01-01'").frame()
    assert found["n"].item() == 62
    assert str(found["t"].item()) == "2025-01-01 00:00:00"
    assert query(home, 'select count(*) as n from "a-b.1m"').frame()["n"].item() == 120
    assert query(home, "select name from datasets order by name").frame()["name"].to_list() == ["a-b.1m", "k"]
    assert query(home, "select sum(rows) as n from sources where dataset = 'k'").frame()["n"].item() == 120
    assert query(home, "select 1 as x, 2 as x").columns == (("x", "INTEGER"), ("x_1", "INTEGER"))


def test_a_date_leaves_other_files_closed(home: Workspace) -> None:
    """With the other day's file damaged beyond reading behind the check's back, the query still answers."""
    day = next((home.catalog / "bars" / "k").rglob("date=2025-01-01.parquet"))
    assert query(home, "select count(*) n from k").frame()["n"].item() > 58
    seen = day.stat()
    with day.open("r+b") as stream:
        stream.write(bytes(seen.st_size))
    os.utime(day, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert query(home, "select count(*) n from k where date < '2025-01-01'").frame()["n"].item() == 58
    with pytest.raises(DolphinError, match="query: "):
        query(home, "select count(*) n from k").frame()
    os.utime(day)  # a change that leaves a trace is named, whatever the condition
    with pytest.raises(DolphinError, match=f"{day}: damaged"):
        query(home, "select count(*) n from k where date < '2025-01-01'")


REFUSED = {
    "copy k to '{tmp}/x.csv'": "the catalog is read-only: COPY is refused",
    "attach '{tmp}/x.db'": "ATTACH is refused",
    "install httpfs": "read-only",
    "pragma database_list": "PRAGMA is refused",
    "set threads = 1": "SET is refused",
    "create table x (i int)": "CREATE is refused",
    "insert into k values (1)": "INSERT is refused",
    "drop view k": "DROP is refused",
    "explain analyze copy k to '{tmp}/x.csv'": "EXPLAIN is refused",
    "select 1; copy k to '{tmp}/x.csv'": "2 statements in the query",
    "": "0 statements",
    "select * from read_csv('/etc/passwd')": "reads nothing but the catalog",
    "select * from read_text('{catalog}/../../../etc/hostname')": "reads nothing but the catalog",
    "select * from '{tmp}/source/0.parquet'": "reads nothing but the catalog",
    "select * from glob('/etc/*')": "reads nothing but the catalog",
    "select * from read_parquet('http://localhost:9/x.parquet')": "query: ",
    "select * from query('copy k to ''{tmp}/x.csv''')": "query: ",
    "select * from kk": "no view 'kk'; did you mean 'k'?",
    "select clos from k": "no column 'clos'; did you mean 'close'?",
    "selec 1": "syntax error",
    "select cast('a' as int)": "Could not convert",
}


@pytest.mark.parametrize("text", sorted(REFUSED))
def test_what_is_refused(home: Workspace, tmp_path: Path, snapshot: Snapshot, text: str) -> None:
    before = snapshot(tmp_path)
    with pytest.raises(DolphinError) as caught:
        query(home, text.format(tmp=tmp_path, catalog=home.catalog)).frame()
    assert REFUSED[text] in str(caught.value) and "\n" not in str(caught.value)
    assert snapshot(tmp_path) == before


def test_a_local_variable_is_no_table(home: Workspace) -> None:
    secret = pl.DataFrame({"x": [1]})
    with pytest.raises(DolphinError, match="no view 'secret'"):
        query(home, "select * from secret")
    assert secret.height == 1


def test_a_handle_gives_frames_arrays_and_sql(home: Workspace, source: Source, klines: pl.DataFrame) -> None:
    handle = open_handle("k", home)
    assert handle.days == ("2024-12-31", "2025-01-01") and handle.kind == "bars"
    assert handle.prices().close.shape == (60, 2)
    assert handle.bars.select(pl.len()).collect().item() == 120
    assert handle.rejected.collect().height == 0 and "rule" in handle.quality.collect_schema()
    part = handle.between("2025-01-01", "2025-01-02")
    assert part.days == ("2025-01-01",) and part.prices().close.shape == (31, 2)
    assert part.bars.collect().height == 62 == part.sql("select count(*) n from bars")["n"].item()
    assert f"k@{handle.digest[:16]}" in repr(handle) and "62 rows" in repr(part)
    with pytest.raises(DolphinError, match=r"2 of 2 days are not scanned, .*; run 'dolphin scan k'"):
        _ = handle.features
    with pytest.raises(DolphinError, match="no row from 2030-01-01"):
        handle.between("2030-01-01", "2030-02-01")
    new = import_klines(home, source(klines[:-1], folder="new"), "k").dataset.digest
    assert open_handle("k", home).digest == new and handle.bars.collect().height == 120
    assert open_handle("k", home).version(handle.digest[:8]) == handle
    assert open_handle("k", home).versions() == (new, handle.digest)
