"""Tables: published whole, told apart by content, checked when opened."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from dolphin.catalog.ingest.foreign import import_features
from dolphin.catalog.readers import Reading
from dolphin.catalog.store.dataset import open_dataset
from dolphin.catalog.store.tables import frame_digest, open_table, verify_table, write_table
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace

FRAME = pl.DataFrame(
    {
        "symbol": ["A", "A"],
        "ts": [1, 2],
        "price": pl.Series(["1.5", "2"]).cast(pl.Decimal(20, 8)),
        "flag": [True, None],
        "list": [[1.0, 2.0], []],
        "value": [float("nan"), -0.0],
    }
)


def write(workspace: Workspace, frame: pl.DataFrame = FRAME, name: str = "x") -> Any:
    return write_table(workspace, name, kind="ticks", parts=[("2024-01-01", "A", frame)], about={"source": "s"})


def test_a_table_reads_back_and_is_written_once(workspace: Workspace) -> None:
    table = write(workspace)
    assert (table.dates, table.symbols, table.unchanged) == (("2024-01-01",), ("A",), False)
    assert [str(p.relative_to(workspace.catalog)) for p in table.files] == [
        f"ticks/x/{table.digest[:16]}/date=2024-01-01/symbol=A/ticks.parquet"
    ]
    assert table.frame().collect().equals(FRAME) and table.day("2024-01-01").equals(FRAME)
    assert write(workspace).unchanged and open_table(workspace, "x") == table
    assert verify_table(workspace, "x") == []


def test_an_old_version_stays_readable(workspace: Workspace) -> None:
    first = write(workspace)
    write(workspace, FRAME.head(1))
    assert open_table(workspace, "x").manifest["rows"] == 1
    assert open_table(workspace, f"x@{first.digest[:16]}").frame().collect().equals(FRAME)


@pytest.mark.parametrize(
    "change",
    [
        pl.col("ts") + 1,
        pl.col("price") + pl.lit("0.00000001").cast(pl.Decimal(20, 8)),
        pl.lit(False).alias("flag"),
        pl.col("symbol") + "A",
        pl.lit([1.0]).alias("list"),
        pl.lit(0.5).alias("value"),
        pl.col("ts").cast(pl.Int32),
    ],
)
def test_the_digest_sees_every_cell_and_type(change: pl.Expr) -> None:
    assert frame_digest(FRAME.with_columns(change)) != frame_digest(FRAME)
    assert frame_digest(pl.concat([FRAME.head(1), FRAME.tail(1)], rechunk=False)) == frame_digest(FRAME)


def test_damage_is_named(workspace: Workspace) -> None:
    table = write(workspace)
    path = table.files[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert verify_table(workspace, "x") == [f"{path}: damaged (its SHA-256 is not the manifest's)"]
    with pytest.raises(DolphinError, match="damaged: digest differs"):
        open_table(workspace, "x").day("2024-01-01")
    path.unlink()
    assert verify_table(workspace, "x") == [f"{path}: missing"]
    with pytest.raises(DolphinError, match="missing"):
        open_table(workspace, "x")


def test_a_changed_manifest_is_refused(workspace: Workspace) -> None:
    write(workspace)
    manifest = workspace.catalog / "x.json"
    manifest.write_text(manifest.read_text().replace('"content": "', '"content": "0'))
    with pytest.raises(DolphinError, match="damaged manifest"):
        open_table(workspace, "x")


def test_a_name_means_one_kind(workspace: Workspace) -> None:
    write(workspace)
    with pytest.raises(DolphinError, match="holds ticks, no bars; make bars of them"):
        open_dataset(workspace, "x")
    with pytest.raises(DolphinError, match="names ticks already, not series"):
        write_table(workspace, "x", kind="series", parts=[], about={})
    with pytest.raises(DolphinError, match="no dataset 'y'"):
        open_table(workspace, "y")


def test_without_a_row_nothing_is_left_behind(workspace: Workspace) -> None:
    with pytest.raises(DolphinError, match="no row is left"):
        write_table(workspace, "y", kind="series", parts=[], about={})
    assert not (workspace.catalog / "series" / "y").exists() and not (workspace.catalog / "y.json").exists()


def test_features_of_several_files_become_one_table(workspace: Workspace, tmp_path: Any) -> None:
    day = 86_400 * 10**9
    one = pl.DataFrame({"ts": [5, day + 1], "symbol": ["A", "A"], "scan_number": [1, 2], "x": [0.5, 1.5]})
    two = pl.DataFrame({"ts": [5, 4], "symbol": ["A", "A"], "scan_number": [1, 0], "x": [0.5, 2.5], "y": [None, 3.0]})
    files = [tmp_path / "one", tmp_path / "two"]
    for file in files:
        file.write_bytes(b"1")
    frames = (one, two, one.head(1))
    readings = [(files[min(i, 1)], Reading("features", iter([f]), (f"note {i}",))) for i, f in enumerate(frames)]
    table = import_features(workspace, "f", readings, {"source": "s", "notes": ["mine"]})
    assert table.dates == ("1970-01-01", "1970-01-02")
    assert table.day("1970-01-01")["x"].to_list() == [2.5, 0.5]
    assert table.day("1970-01-02")["y"].to_list() == [None]
    assert table.manifest["quality"]["counts"] == {"duplicate": 2}
    assert table.manifest["notes"] == ["mine", "note 0", "note 1", "note 2"]
    assert "rejected/duplicate.parquet" in table.manifest["files"]
