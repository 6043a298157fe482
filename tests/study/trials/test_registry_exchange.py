"""A registry goes from one workspace to another with its chain, and nothing is changed on the way."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dolphin.errors import Damaged, DolphinError
from dolphin.files import canonical_json, sha256_bytes
from dolphin.ledger import GENESIS, sealed
from dolphin.study.trials.exchange import export_registry, import_registry, merge_registry, origin_problems
from dolphin.study.trials.holdouts import Holdouts
from dolphin.study.trials.registry import Registry, trial_frame
from dolphin.workspace import Workspace, create


def rows(study: str, count: int, **values: Any) -> pl.DataFrame:
    base = {"study": study, "study_hash": study, "state": "done", "dataset_digest": "d", "first_ts": 1, "last_ts": 9}
    return trial_frame([base | {"trial": k, "config_hash": f"{study}{k}", "roi": k / 7} | values for k in range(count)])


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Workspace, Workspace]:
    """A workspace with two segments and a declared holdout, and one with a segment of its own."""
    one, two = create(tmp_path / "one"), create(tmp_path / "two")
    Registry(one).append(rows("a", 3))
    Registry(one).append(rows("b", 2))
    line = {"action": "open", "dataset_digest": "d", "first_ts": 1, "last_ts": 9, "family": "a", "config_hash": "a0"}
    entry = sealed({**line, "time_ns": 5, "who": "they", "reason": "x", "previous": GENESIS}, canonical_json)
    (one.experiments / "holdouts.jsonl").write_bytes(canonical_json(entry) + b"\n")
    (one.experiments / "markets").mkdir()
    pl.DataFrame({"ts": [1], "move": [0.1]}).write_parquet(one.experiments / "markets" / "d.parquet")
    Registry(two).append(rows("c", 4))
    return one, two


def test_an_imported_look_is_a_look_and_twice_is_once(homes: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    one, two = homes
    about = export_registry(one, tmp_path / "one.zip")
    assert (about["trials"], about["segments"], about["holdout_lines"], about["markets"]) == (5, 2, 1, 1)
    found = import_registry(two, tmp_path / "one.zip")
    assert (found["trials_added"], found["segments_added"], found["holdout_lines_added"]) == (5, 2, 1)
    registry = Registry(two)
    assert registry.count_on("d") == 9 and registry.problems() == [] and origin_problems(registry) == []
    assert registry.trials().collect()["study"].to_list() == ["c"] * 4 + ["a"] * 3 + ["b"] * 2
    assert Holdouts(two).entries()[0]["who"] == "they" and (two.experiments / "markets" / "d.parquet").is_file()
    head = registry.head()
    again = import_registry(two, tmp_path / "one.zip")
    assert (again["trials_added"], again["segments_added"], again["holdout_lines_added"]) == (0, 0, 0)
    assert registry.head() == head and len(Holdouts(two).entries()) == 1


def test_the_same_registry_is_the_same_file(homes: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    export_registry(homes[0], tmp_path / "a.zip")
    export_registry(homes[0], tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_there_and_back_again_adds_only_what_is_new(homes: tuple[Workspace, Workspace]) -> None:
    one, two = homes
    assert merge_registry(two, one)["trials_added"] == 5
    assert merge_registry(one, two)["trials_added"] == 4
    assert merge_registry(two, one)["trials_added"] == 0
    assert Registry(one).count_on("d") == Registry(two).count_on("d") == 9
    with pytest.raises(DolphinError, match="this workspace itself"):
        merge_registry(one, one)


def rewritten(source: Path, target: Path, name: str, change: Any, *, header: bool) -> Path:
    """A copy of an exported file with a member changed, and the header made to fit if asked for."""
    with zipfile.ZipFile(source) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = change(members[name])
    if header:
        about = json.loads(members["registry.json"])
        about["sha256"][name] = sha256_bytes(members[name])
        members["registry.json"] = canonical_json(about)
    with zipfile.ZipFile(target, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return target


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("chain.jsonl", lambda data: data.replace(b"000002", b"000003")),
        ("chain.jsonl", lambda data: data.splitlines(keepends=True)[1]),
        ("chain.jsonl", lambda data: data.splitlines(keepends=True)[0]),
        ("segments/000001.parquet", lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]),
        ("holdouts.jsonl", lambda data: data.replace(b"they", b"them")),
    ],
)
def test_a_changed_line_is_refused_in_one_line(
    homes: tuple[Workspace, Workspace], tmp_path: Path, name: str, change: Any, header: bool
) -> None:
    one, two = homes
    export_registry(one, tmp_path / "one.zip")
    bad = rewritten(tmp_path / "one.zip", tmp_path / "bad.zip", name, change, header=header)
    before = Registry(two).head()
    with pytest.raises(Damaged) as refusal:
        import_registry(two, bad)
    assert "\n" not in str(refusal.value) and "bad.zip" in str(refusal.value)
    assert Registry(two).head() == before and not Holdouts(two).entries()


def test_no_registry_is_said_in_one_line(homes: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no")
    with pytest.raises(Damaged, match="is no exported registry"):
        import_registry(homes[1], tmp_path / "x.zip")
    with pytest.raises(DolphinError, match="no such file"):
        import_registry(homes[1], tmp_path / "y.zip")
    with pytest.raises(DolphinError, match="is a folder"):
        export_registry(homes[0], tmp_path)


def test_an_origin_that_was_changed_is_found(homes: tuple[Workspace, Workspace]) -> None:
    one, two = homes
    merge_registry(two, one)
    (origin,) = (Registry(two).folder / "origins").glob("*.jsonl")
    lines = origin.read_bytes().splitlines(keepends=True)
    origin.write_bytes(lines[0])
    assert "does not end where its name says" in origin_problems(Registry(two))[0]
    origin.write_bytes(lines[0].replace(b"000001", b"000007") + lines[1])
    assert "line 1 of the chain was changed" in origin_problems(Registry(two))[0]
