"""Whatever interrupts a write, the old dataset stays and nothing half-written shows."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dolphin import files
from dolphin.catalog import import_klines, open_dataset, verify
from dolphin.catalog.store import draft as drafts
from dolphin.catalog.store.cache import cached
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace

Source = Callable[..., Path]


def visible(workspace: Workspace) -> list[str]:
    """Files and folders of the catalog, the lock aside."""
    return sorted(str(p.relative_to(workspace.catalog)) for p in workspace.catalog.rglob("*") if p.name != ".lock")


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_interrupt_or_full_disk_at_every_point(
    workspace: Workspace,
    source: Source,
    klines: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
) -> None:
    old = import_klines(workspace, source(klines), "k").dataset
    new_source = source(klines[:-1], folder="new")
    before, calls, limit, importing = visible(workspace), 0, 0, True

    def fragile(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            nonlocal calls
            calls += importing
            if importing and calls > limit:
                raise failure
            return real(*args, **options)

        return call

    for module, name in ((drafts, "sync"), (files, "sync"), (os, "replace"), (Path, "rename")):
        monkeypatch.setattr(module, name, fragile(getattr(module, name)))
    monkeypatch.setattr(pl.DataFrame, "write_parquet", fragile(pl.DataFrame.write_parquet))
    monkeypatch.setattr(pl.DataFrame, "write_ipc", fragile(pl.DataFrame.write_ipc))
    while limit < 100:
        calls, importing = 0, True
        try:
            report = import_klines(workspace, new_source, "k")
        except (KeyboardInterrupt, DolphinError) as error:
            importing = False  # whoever looks afterwards writes notes of his own
            if open_dataset(workspace, "k") != old:  # only what follows the manifest's move may fail now
                assert open_dataset(workspace, "k").n_bars == old.n_bars
                assert limit >= 10
            assert verify(workspace, "k") == []
            if isinstance(error, DolphinError):
                assert "cannot write: No space left on device" in str(error)
            strangers = [p for p in visible(workspace) if ".draft" in p or ".part" in p or ".old" in p]
            assert strangers == []
            limit += 1
        else:
            importing = False
            break
    assert limit >= 10, "the failure was hardly ever injected"
    assert report.dataset == open_dataset(workspace, "k") != old
    assert set(before) < set(visible(workspace))


def test_killed_in_the_middle(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    """A killed process cleans nothing up: its draft is invisible and swept by the next import."""
    old = import_klines(workspace, source(klines), "k").dataset
    folder = source(klines[:-1], folder="new")
    program = f"""
import os
from pathlib import Path
from dolphin.catalog import import_klines
from dolphin.workspace import Workspace
def die(done, total, text):
    if text.startswith("writing 2025"):
        os.kill(os.getpid(), 9)
import_klines(Workspace(Path({str(workspace.root)!r})), Path({str(folder)!r}), "k", progress=die)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert any(".draft" in p for p in visible(workspace))
    assert open_dataset(workspace, "k") == old and verify(workspace, "k") == []
    assert import_klines(workspace, folder, "k").dataset != old
    assert not any(".draft" in p for p in visible(workspace))


def test_a_file_too_large_for_the_disk(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    old = import_klines(workspace, source(klines), "k").dataset
    before = visible(workspace)
    folder = source(klines[:-1], folder="new")
    program = f"""
import resource
from pathlib import Path
from dolphin.catalog import import_klines
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    import_klines(Workspace(Path({str(workspace.root)!r})), Path({str(folder)!r}), "k")
except DolphinError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "cannot write" in done.stdout and "untouched" in done.stdout
    assert visible(workspace) == before and open_dataset(workspace, "k") == old


def test_two_writers_of_one_dataset(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    folder = source(klines)
    with (
        drafts.drafting(workspace.catalog, "k"),
        pytest.raises(DolphinError, match="another process is writing this dataset"),
    ):
        import_klines(workspace, folder, "k")
    import_klines(workspace, folder, "k")


@pytest.fixture
def parquet(workspace: Workspace, source: Source, klines: pl.DataFrame) -> Path:
    import_klines(workspace, source(klines), "k")
    return next((workspace.catalog / "bars" / "k").rglob("date=2025-01-01.parquet"))


def test_verify_names_the_damaged_file(workspace: Workspace, parquet: Path) -> None:
    assert verify(workspace, "k") == []
    data = bytearray(parquet.read_bytes())
    data[len(data) // 2] ^= 1
    parquet.write_bytes(data)
    problems = verify(workspace, "k")
    assert len(problems) == 1 and str(parquet) in problems[0] and "damaged" in problems[0]
    with pytest.raises(DolphinError, match=r"date=2025-01-01\.parquet: damaged: digest differs"):
        open_dataset(workspace, "k").prices()
    parquet.write_bytes(data[:-1])
    with pytest.raises(DolphinError, match=r"date=2025-01-01\.parquet: damaged"):
        open_dataset(workspace, "k")
    assert len(verify(workspace, "k")) == 1
    parquet.unlink()
    with pytest.raises(DolphinError, match=r"date=2025-01-01\.parquet: data file is missing; make it again: dolphin"):
        open_dataset(workspace, "k")
    assert "missing" in verify(workspace, "k")[0]


def test_the_hot_cache_is_rebuilt_from_the_files(workspace: Workspace, parquet: Path) -> None:
    dataset = open_dataset(workspace, "k")
    close = dataset.prices().close.copy()
    file = next(dataset.cache_root.rglob("close.npy"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x55")
    assert (dataset.prices().close == close).all()
    assert cached(dataset.cache_root, file.parent.name, lambda writer: None)["close"].shape == close.shape


def test_a_changed_manifest_is_noticed(workspace: Workspace, parquet: Path) -> None:
    path = workspace.catalog / "k.json"
    manifest = json.loads(path.read_text())
    manifest["instruments"][0]["tick_exp"] += 1
    path.write_text(json.dumps(manifest))
    with pytest.raises(DolphinError, match=r"k\.json: damaged manifest"):
        open_dataset(workspace, "k")
    path.write_text("{")
    with pytest.raises(DolphinError, match="not readable as JSON"):
        open_dataset(workspace, "k")
    path.write_text("[]")
    with pytest.raises(DolphinError, match="not a manifest"):
        open_dataset(workspace, "k")


def test_an_unknown_dataset(workspace: Workspace) -> None:
    with pytest.raises(DolphinError, match="no dataset 'kk'; make one with"):
        open_dataset(workspace, "kk")


def test_an_unknown_dataset_suggests(workspace: Workspace, parquet: Path) -> None:
    with pytest.raises(DolphinError, match="did you mean 'k'"):
        open_dataset(workspace, "kk")
