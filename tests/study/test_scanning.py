"""Scans that go on where they stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dolphin.catalog import open_dataset, scan_folder
from dolphin.study.scanning import scan_dataset
from dolphin.workspace import Workspace


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_second_scan_has_nothing_to_do(pristine: Workspace) -> None:
    dataset = open_dataset(pristine, "m")
    assert (scan_dataset(dataset).days, scan_dataset(dataset).computed) == (3, 0)


@pytest.mark.parametrize("removed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
def test_a_rescan_of_missing_days_is_the_same_to_the_byte(home: Workspace, removed: tuple[int, ...]) -> None:
    dataset = open_dataset(home, "m")
    folder = scan_folder(dataset)
    before = tree(folder)
    for k in removed:
        (folder / ("detail" if k == 1 else "") / f"{dataset.days[k]}.parquet").unlink()
    assert scan_dataset(dataset).computed == len(removed)
    assert tree(folder) == before


@pytest.mark.parametrize("damage", [lambda data: data[:-7], lambda data: b""])
def test_a_truncated_day_is_scanned_again(home: Workspace, damage: Callable[[bytes], bytes]) -> None:
    dataset = open_dataset(home, "m")
    folder = scan_folder(dataset)
    before = tree(folder)
    path = folder / f"{dataset.days[1]}.parquet"
    path.write_bytes(damage(path.read_bytes()))
    assert scan_dataset(dataset).computed == 1 and tree(folder) == before


@pytest.mark.parametrize("text", [None, b"{", b"[]", b'{"days": 3}'])
def test_a_damaged_or_missing_scan_manifest_means_scanning_again(home: Workspace, text: bytes | None) -> None:
    dataset = open_dataset(home, "m")
    folder = scan_folder(dataset)
    before = tree(folder)
    (folder / "manifest.json").unlink()
    if text is not None:
        (folder / "manifest.json").write_bytes(text)
    assert scan_dataset(dataset).computed == 3 and tree(folder) == before


def test_an_interrupted_scan_keeps_its_finished_days(home: Workspace) -> None:
    dataset = open_dataset(home, "m")
    folder = scan_folder(dataset)
    before = tree(folder)
    shutil.rmtree(folder)

    def interrupt(done: int, total: int, text: str) -> None:
        assert total == 3 and text == "scanning days"
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_dataset(dataset, interrupt)
    done = [f"{date}.parquet" for date in dataset.days[:2]]
    assert set(tree(folder)) == {"manifest.json", *done, *(f"detail/{name}" for name in done)}
    assert scan_dataset(dataset).computed == 1 and tree(folder) == before
