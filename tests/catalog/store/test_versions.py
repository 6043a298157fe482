"""Old versions stay readable, equal days are one file, and what differs is named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dolphin.catalog import import_klines, open_dataset
from dolphin.catalog.query.diff import diff
from dolphin.catalog.store.checking import check, check_all
from dolphin.catalog.store.layout import current_manifest
from dolphin.catalog.store.versions import find_version, list_versions, prune_versions
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace

Source = Callable[..., Path]


@pytest.fixture
def two(workspace: Workspace, source: Source, klines: pl.DataFrame) -> tuple[str, str]:
    """Digests of two versions of ``k``: in the second one ETH's last close is higher and BTC's last row is gone."""
    old = import_klines(workspace, source(klines), "k").dataset.digest
    last = pl.col("ts") == klines["ts"].max()
    eth = last & (pl.col("symbol") == "ETHUSDT")
    changed = klines.filter(~(last & (pl.col("symbol") == "BTCUSDT"))).with_columns(
        close=pl.when(eth).then(pl.col("high") + 0.25).otherwise(pl.col("close")),
        high=pl.when(eth).then(pl.col("high") + 0.25).otherwise(pl.col("high")),
    )
    return old, import_klines(workspace, source(changed, folder="new"), "k").dataset.digest


def test_an_old_version_stays_readable(workspace: Workspace, two: tuple[str, str]) -> None:
    old, new = two
    assert open_dataset(workspace, "k").digest == new
    before = open_dataset(workspace, f"k@{old[:8]}")
    assert (before.digest, before.pinned, before.label) == (old, True, f"k@{old[:16]}")
    assert before.frame().select(pl.len()).collect().item() == 120
    assert open_dataset(workspace, f"k@{new[:12]}").label == "k"
    assert [v.digest for v in list_versions(workspace.catalog, "k")] == [new, old]
    with pytest.raises(DolphinError, match="no version 00000000 on this machine; versions here: "):
        open_dataset(workspace, "k@00000000")
    with pytest.raises(DolphinError, match="'12' is no digest; give its first 8"):
        open_dataset(workspace, "k@12")


def test_an_equal_day_is_stored_once(workspace: Workspace, two: tuple[str, str]) -> None:
    files = [
        [find_version(workspace.catalog, "k", digest).folder / "1m" / f"date={date}.parquet" for digest in two]
        for date in ("2024-12-31", "2025-01-01")
    ]
    assert files[0][0].samefile(files[0][1])
    assert not files[1][0].samefile(files[1][1])


def test_without_links_the_day_is_written_again(
    workspace: Workspace, source: Source, klines: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    import_klines(workspace, source(klines), "k")
    monkeypatch.setattr(os, "link", refuse)
    import_klines(workspace, source(klines[:-1], folder="new"), "k")
    assert check(workspace, "k") == []


def test_a_damaged_day_is_not_linked(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    import_klines(workspace, source(klines), "k")
    day = next(workspace.catalog.rglob("date=2024-12-31.parquet"))
    data = day.read_bytes()
    day.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    import_klines(workspace, source(klines[:-1], folder="new"), "k")
    new = open_dataset(workspace, "k")
    assert new.day("2024-12-31").height == 58
    problems = check_all(workspace)["k"]
    assert len(problems) == 1 and str(day) in problems[0] and "remove" in problems[0]


def test_a_version_made_before_versions_had_manifests(
    workspace: Workspace, source: Source, klines: pl.DataFrame
) -> None:
    old = import_klines(workspace, source(klines), "k").dataset
    (workspace.catalog / "bars" / "k" / old.digest[:16] / "manifest.json").unlink()
    import_klines(workspace, source(klines[:-1], folder="new"), "k")
    assert open_dataset(workspace, f"k@{old.digest}").digest == old.digest


def test_diff_names_days_symbols_and_cells(workspace: Workspace, two: tuple[str, str]) -> None:
    one, other = (open_dataset(workspace, f"k@{digest}") for digest in two)
    found = diff(one, other)
    assert not found.equal and found.identity == {} and found.equal_days == 1
    assert found.days == {
        "2025-01-01": {
            "BTCUSDT": {"cells": 0, "only_a": 1, "only_b": 0},
            "ETHUSDT": {"cells": 2, "only_a": 0, "only_b": 0},
        }
    }
    assert found.columns["high"] == {"cells": 1, "max_difference": pytest.approx(0.25)}
    cell = next(cell for cell in found.cells if cell["column"] == "high")
    assert cell["symbol"] == "ETHUSDT" and cell["b"] == pytest.approx(cell["a"] + 0.25)
    assert len(diff(one, other, first=1).cells) == 1
    assert diff(one, one).equal and diff(one, one).equal_days == 2


def test_diff_of_other_symbols_compares_rows(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    """A day's digest numbers the symbols: under other names the same numbers are another day."""
    import_klines(workspace, source(klines), "k")
    renamed = klines.with_columns(pl.col("symbol").replace("ETHUSDT", "XRPUSDT"))
    import_klines(workspace, source(renamed, folder="new"), "r")
    a, b = open_dataset(workspace, "k"), open_dataset(workspace, "r")
    assert [e["content"] for e in a.manifest["days"].values()] == [e["content"] for e in b.manifest["days"].values()]
    found = diff(a, b)
    assert found.identity["symbols"] == [["ETHUSDT"], ["XRPUSDT"]]
    assert found.days["2025-01-01"]["ETHUSDT"]["only_a"] == found.days["2025-01-01"]["XRPUSDT"]["only_b"] > 0


def test_prune_keeps_the_current_the_used_and_the_newest(
    workspace: Workspace, source: Source, klines: pl.DataFrame, two: tuple[str, str]
) -> None:
    old, middle = two
    import_klines(workspace, source(klines[:-3], folder="newest"), "k")
    current = current_manifest(workspace.catalog, "k")["digest"]
    assert [v.digest for v in prune_versions(workspace.catalog, "k", dry=True)] == [middle, old]
    assert prune_versions(workspace.catalog, "k", keep=2) == []
    assert prune_versions(workspace.catalog, "k", used={old, middle}) == []
    assert [v.digest for v in prune_versions(workspace.catalog, "k", used={middle})] == [old]
    assert [v.digest for v in list_versions(workspace.catalog, "k")] == [current, middle]
    assert check_all(workspace) == {"k": []}, "a link was not a copy"
