"""A small kline folder that the catalog's tests import, whole or spoilt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from kline_frames import make_klines

from dolphin.workspace import Workspace, create


@pytest.fixture
def klines() -> pl.DataFrame:
    return make_klines()


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    """Write frames as a folder of Parquet files: ``source(a, b)`` makes 0.parquet and 1.parquet."""

    def write(*frames: pl.DataFrame, folder: str = "source") -> Path:
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        for i, frame in enumerate(frames):
            frame.write_parquet(path / f"{i}.parquet")
        return path

    return write


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create(tmp_path / "workspace")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by relative path, with its bytes; notes of checks aside."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "verified.json")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    return tree
