from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dolphin.errors import DolphinError
from dolphin.study.trials import registry as registries
from dolphin.study.trials.registry import GENESIS, SCHEMA, Registry, trial_frame
from dolphin.workspace import Workspace, create

WRITER = Path(__file__).with_name("registry_writer.py")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(create(tmp_path / "home"))


def rows(count: int, **values: Any) -> pl.DataFrame:
    base = {"study": "s", "state": "done", "dataset_digest": "d"}
    return trial_frame([base | {"trial": k, "config_hash": f"c{k}", "roi": k / 7} | values for k in range(count)])


def writer(home: Path, name: str, batches: int, trials: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), str(home), name, str(batches), str(trials)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_an_empty_registry(registry: Registry) -> None:
    assert registry.head() == GENESIS and registry.problems() == []
    assert registry.trials().collect().schema == pl.Schema(SCHEMA)
    assert registry.count_on("d") == 0


def test_what_is_appended_is_read_in_order(registry: Registry) -> None:
    first, second = rows(3), rows(2, study="t")
    registry.append(first)
    registry.append(second)
    assert registry.trials().collect().equals(pl.concat([first, second]), null_equal=True)
    assert registry.problems() == []
    assert sorted(path.name for path in registry.folder.glob("*.parquet")) == ["000001.parquet", "000002.parquet"]


def test_the_head_moves_with_every_segment(registry: Registry) -> None:
    heads = {registry.head()}
    for _ in range(3):
        registry.append(rows(1))
        heads.add(registry.head())
    assert len(heads) == 4 and all(len(head) == 64 for head in heads)


def test_count_on_counts_distinct_configurations_of_one_dataset(registry: Registry) -> None:
    registry.append(rows(3))
    registry.append(rows(4))  # three of them again
    registry.append(rows(9, dataset_digest="other"))
    registry.append(rows(20, state="invalid", config_hash=None))
    assert registry.count_on("d") == 4 and registry.count_on("other") == 9 and registry.count_on("no") == 0


@pytest.mark.parametrize("where", [0, 0.3, 0.5, 0.9, -1])
def test_one_changed_byte_is_a_problem(registry: Registry, where: float) -> None:
    for _ in range(3):
        registry.append(rows(3))
    path = registry.folder / "000002.parquet"
    data = bytearray(path.read_bytes())
    data[where if where == -1 else int(where * len(data))] ^= 1  # type: ignore[index]
    path.write_bytes(data)
    assert registry.problems() == [f"{path}: changed since it was registered"]


def test_a_missing_segment_is_a_problem_and_cannot_be_read(registry: Registry) -> None:
    registry.append(rows(3))
    registry.append(rows(3))
    path = registry.folder / "000001.parquet"
    path.unlink()
    assert registry.problems() == [f"{path}: missing"]
    with pytest.raises(DolphinError, match=f"{path}: a segment of the trial registry is missing"):
        registry.trials()


@pytest.mark.parametrize("removed", [0, 1])
def test_a_removed_link_breaks_the_chain(registry: Registry, removed: int) -> None:
    for _ in range(3):
        registry.append(rows(2))
    chain = registry.folder / "chain.jsonl"
    lines = chain.read_text().splitlines(keepends=True)
    del lines[removed]
    chain.write_text("".join(lines))
    assert registry.problems() == [f"{chain}: the chain breaks at {removed + 2:06d}.parquet"]


def test_a_rewritten_link_breaks_the_chain(registry: Registry) -> None:
    registry.append(rows(2))
    registry.append(rows(2))
    chain = registry.folder / "chain.jsonl"
    chain.write_text(chain.read_text().replace("000001.parquet", "000009.parquet"))
    assert any("the chain breaks at 000009.parquet" in line for line in registry.problems())


@pytest.mark.parametrize("text", ['{"segment": "0000\n', "[1]\n", "{}\n", '{"segment": 3}\n'])
def test_a_damaged_chain_is_named(registry: Registry, text: str) -> None:
    registry.append(rows(2))
    (registry.folder / "chain.jsonl").write_text(text)
    for ask in (registry.trials, registry.problems, registry.head, lambda: registry.append(rows(1))):
        with pytest.raises(DolphinError, match=r"chain\.jsonl: the trial registry's chain is damaged; restore it"):
            ask()


@pytest.mark.parametrize("keep", [1, 40, -1])
def test_a_torn_last_line_was_never_counted_and_goes_with_the_next(registry: Registry, keep: int) -> None:
    for _ in range(3):
        registry.append(rows(2))
    chain = registry.folder / "chain.jsonl"
    *before, last = chain.read_bytes().splitlines(keepends=True)
    chain.write_bytes(b"".join(before) + last[:keep])
    assert registry.trials().collect().height == 4 and registry.problems() == []
    registry.append(rows(5))
    assert registry.trials().collect().height == 9 and registry.problems() == []
    assert len(chain.read_bytes().splitlines()) == 3


def test_an_append_leaves_the_lines_before_it_alone(registry: Registry) -> None:
    registry.append(rows(1))
    chain = registry.folder / "chain.jsonl"
    inode, first = chain.stat().st_ino, chain.read_bytes()
    for _ in range(20):  # past the bytes that are read for the last link
        registry.append(rows(1))
    assert chain.stat().st_ino == inode and chain.read_bytes().startswith(first)
    assert len(chain.read_bytes()) > 4096 and registry.problems() == []
    assert [link["segment"] for link in map(json.loads, chain.read_text().splitlines())] == [
        f"{k:06d}.parquet" for k in range(1, 22)
    ]


def test_segments_of_an_older_schema_stay_readable(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    new = ("exposure", "turnover", "worst_10_days", "tail_ratio", "ruined", "exits", "daily_returns")
    with monkeypatch.context() as patch:
        patch.setattr(registries, "SCHEMA", {k: v for k, v in SCHEMA.items() if k not in new})
        registry.append(rows(2))
    registry.append(rows(1, exposure=0.5, ruined=False, daily_returns=[0.5, float("nan")]))
    trials = registry.trials().collect()
    assert trials.schema == pl.Schema(SCHEMA) and registry.problems() == []
    assert trials["exposure"].to_list() == [None, None, 0.5]
    assert trials["daily_returns"].to_list()[:2] == [None, None] and len(trials["daily_returns"][2]) == 2


def test_a_segment_without_a_link_does_not_count(registry: Registry) -> None:
    registry.append(rows(2))
    orphan = registry.folder / "000002.parquet"
    rows(50).write_parquet(orphan)
    assert registry.trials().collect().height == 2
    registry.append(rows(3, study="t"))
    assert registry.trials().collect().height == 5 and registry.problems() == []


@pytest.mark.slow
def test_writers_in_several_processes_lose_nothing(registry: Registry) -> None:
    home = registry.folder.parent.parent
    running = [writer(home, name, 6, 5) for name in "abc"]
    for process in running:
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert registry.problems() == []
    counts = registry.trials().collect().group_by("study").agg(pl.len(), pl.col("config_hash").n_unique().alias("n"))
    assert sorted(counts.rows()) == [(name, 30, 30) for name in "abc"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_kill_at_any_moment_leaves_a_readable_chain(registry: Registry, seed: int) -> None:
    registry.append(rows(2))
    process = writer(registry.folder.parent.parent, "victim", 100_000, 3)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(random.Random(seed).uniform(0.0, 0.15))
    os.kill(process.pid, signal.SIGKILL)
    said = [int(line) for line in process.stdout.read().splitlines() if line]
    process.wait()
    process.stdout.close()
    assert registry.problems() == []
    victim = registry.trials().filter(pl.col("study") == "victim").collect()
    assert victim.height % 3 == 0
    batches = victim.height // 3
    assert len(said) <= batches <= len(said) + 1
    assert victim["trial"].to_list() == list(range(3 * batches))
    registry.append(rows(1))
    assert registry.problems() == [] and registry.trials().collect().height == 3 + 3 * batches
    assert not list(registry.folder.glob("*.part"))


def test_the_registry_of_another_workspace_is_another(tmp_path: Path) -> None:
    one, two = Registry(create(tmp_path / "a")), Registry(Workspace(tmp_path / "b"))
    one.append(rows(1))
    assert two.trials().collect().is_empty()
