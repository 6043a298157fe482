"""How scans lie on disk, against the scanner that writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolphin.catalog.store.scan_layout import (
    DAYS,
    FEATURES,
    day_files,
    feature_names,
    folder_of,
    listed_files,
    read_manifest,
)
from dolphin.features.block import WINDOWS


def test_the_columns_are_those_of_the_scanners_windows() -> None:
    assert feature_names(WINDOWS) == FEATURES
    assert feature_names((20, 40, 80, 160))[:3] == ("vel_div", "v20_vel", "v40_vel")


def test_folders_and_files(tmp_path: Path) -> None:
    assert folder_of(tmp_path, "m@0123") == tmp_path / "scans" / "m@0123"
    assert folder_of(tmp_path, "m", (20, 40)) == tmp_path / "scans" / "m" / "w20-40"
    for file in day_files("2025-01-31"):
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.touch()
        assert list(path.parent.glob(DAYS)) == [path]


@pytest.mark.parametrize("text", [None, "", "[1]", "{", '"x"'])
def test_a_manifest_that_cannot_be_read_says_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    assert read_manifest(tmp_path) == {}


def test_the_files_of_a_manifest() -> None:
    days = {d: {"files": {file: {"sha256": f"{d}{file}"} for file in day_files(d)}} for d in ("a", "b")}
    assert listed_files({"days": days}) == {
        "a.parquet": "aa.parquet",
        "detail/a.parquet": "adetail/a.parquet",
        "b.parquet": "bb.parquet",
        "detail/b.parquet": "bdetail/b.parquet",
    }
