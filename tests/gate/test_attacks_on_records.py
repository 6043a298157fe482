"""Ways in which a worthless strategy was once promoted: registries, clocks, pointers and looks."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from dolphin.catalog import generate, open_dataset
from dolphin.catalog.ingest.frames import import_frame
from dolphin.errors import DolphinError
from dolphin.gate import champions
from dolphin.gate.anchors import anchor_problems, clock_problems
from dolphin.gate.audit import read_audit
from dolphin.gate.champions import install, open_champion
from dolphin.gate.evaluation import _registry
from dolphin.gate.evidence.combining import spent
from dolphin.gate.evidence.looks import earlier_families, looks_at
from dolphin.gate.promotion import verify
from dolphin.gate.second_look import _checks
from dolphin.study.trials.holdouts import Holdouts
from dolphin.study.trials.markets import lag_of, sketch
from dolphin.study.trials.registry import Registry, trial_frame
from dolphin.workspace import Workspace, create

MINUTE = 60_000_000_000
CONTENTS = {"config.json": b"{}", "run.json": b"{}"}


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    """Two batches of looks, then a champion, whose line anchors the registry."""
    made = create(tmp_path / "home")
    look(made, "a", "b")
    look(made, "c")
    install(made, CONTENTS, pointer="blue", reason="it passed")
    return made


def look(home: Workspace, *configs: str, **more: Any) -> None:
    base = {"study": "s", "state": "done", "dataset": "d", "dataset_digest": "d", "time_ns": time.time_ns(), **more}
    Registry(home).append(trial_frame([base | {"config_hash": name} for name in configs]))


def folder_of(home: Workspace) -> Path:
    return Registry(home).folder


def test_a_registry_that_goes_on_is_the_one_that_was_known(home: Workspace) -> None:
    assert anchor_problems(home) == []
    look(home, "d")
    assert anchor_problems(home) == [] and Registry(home).problems() == []
    assert read_audit(home.promote / "audit.jsonl").lines[0]["registry"]["links"] == 2


def test_a_deleted_registry(home: Workspace) -> None:
    shutil.rmtree(folder_of(home))
    (problem,) = anchor_problems(home)
    assert "begun anew" in problem and "line 1 of audit.jsonl" in problem
    assert problem in verify(home)["problems"]


def test_a_registry_that_was_begun_anew(home: Workspace) -> None:
    shutil.rmtree(folder_of(home))
    for name in "abc":
        look(home, name)
    assert Registry(home).problems() == [] and "begun anew" in anchor_problems(home)[0]


def test_an_older_copy_in_its_place(home: Workspace, tmp_path: Path) -> None:
    shutil.copytree(folder_of(home), tmp_path / "old")
    for name in "def":
        look(home, name)
    install(home, {**CONTENTS, "more": b"1"}, pointer="blue", reason="the next")
    shutil.rmtree(folder_of(home))
    shutil.copytree(tmp_path / "old", folder_of(home))
    assert Registry(home).problems() == []
    assert "cut or rewritten" in anchor_problems(home)[0] and "line 2 of" in anchor_problems(home)[0]


def test_a_truncated_chain(home: Workspace) -> None:
    chain = folder_of(home) / "chain.jsonl"
    chain.write_bytes(b"".join(chain.read_bytes().splitlines(keepends=True)[:1]))
    assert "cut or rewritten: its link 2" in anchor_problems(home)[0]
    look(home, "other")  # it goes on from there
    assert "cut or rewritten: its link 2" in anchor_problems(home)[0]


def test_segments_without_links_tell_a_cut_before_any_anchor(tmp_path: Path) -> None:
    home = create(tmp_path / "w")
    for name in "abc":
        look(home, name)
    chain = folder_of(home) / "chain.jsonl"
    chain.write_bytes(b"".join(chain.read_bytes().splitlines(keepends=True)[:1]))
    assert Registry(home).problems() == [f"{chain}: 2 segments have no link, the chain was cut"]


def test_a_rechained_registry(home: Workspace) -> None:
    """Segments chained again by the same code without the looks that hurt: the chain holds, the anchor does not."""
    segments = sorted(folder_of(home).glob("*.parquet"))
    (folder_of(home) / "chain.jsonl").unlink()
    segments[0].unlink()
    segments[1].unlink()
    look(home, "c")
    look(home, "d")
    assert Registry(home).problems() == [] and "begun anew" in anchor_problems(home)[0]


@pytest.mark.parametrize("what", ["folder", "chain.jsonl", "000001.parquet"])
def test_a_symlinked_registry(home: Workspace, tmp_path: Path, what: str) -> None:
    path = folder_of(home) if what == "folder" else folder_of(home) / what
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert f"{path}: is a symbolic link" in Registry(home).problems()[0]


def test_a_symlinked_champion(home: Workspace, tmp_path: Path) -> None:
    folder = open_champion(home).folder
    folder.rename(tmp_path / "mine")
    folder.symlink_to(tmp_path / "mine")
    with pytest.raises(DolphinError, match="is a symbolic link"):
        open_champion(home)
    assert any("is a symbolic link" in line for line in verify(home)["problems"])


def test_a_symlinked_file_of_a_champion(home: Workspace, tmp_path: Path) -> None:
    path = open_champion(home).folder / "config.json"
    shutil.copy(path, tmp_path / "config.json")
    path.unlink()
    path.symlink_to(tmp_path / "config.json")
    with pytest.raises(DolphinError, match="is a symbolic link"):
        open_champion(home)


def test_two_first_promotions_at_once(tmp_path: Path) -> None:
    """Both gates saw no champion; the second to finish was compared with nobody and must be judged again."""
    home = create(tmp_path / "w")
    install(home, CONTENTS, pointer="blue", reason="first", over="")
    with pytest.raises(DolphinError, match="was moved while the gate ran"):
        install(home, {**CONTENTS, "more": b"2"}, pointer="blue", reason="second", over="")
    assert len(read_audit(home.promote / "audit.jsonl").lines) == 1


def test_a_clock_that_was_set_back(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_champion(home).hash
    monkeypatch.setattr(champions, "time", SimpleNamespace(time_ns=lambda: 1000))
    with pytest.raises(DolphinError, match="the clock says 1970-01-01"):
        install(home, {**CONTENTS, "more": b"3"}, pointer="blue", reason="early")
    monkeypatch.undo()
    assert open_champion(home).hash == before
    log = read_audit(home.promote / "audit.jsonl")
    late = SimpleNamespace(path=log.path, lines=(log.lines[0], {"seq": 2, "time_ns": 5}))
    assert "line 2 is of an earlier time" in clock_problems(late)[0]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = create(tmp_path_factory.mktemp("looks") / "w")
    generate(made, "m", preset="null", days=8, assets=8, spacing_ns=5 * MINUTE, seed=3)
    return made


def test_looks_by_a_clock_of_1970_are_not_the_first(searched: Workspace) -> None:
    """The family that opens a holdout first has the most to spend: a clock cannot make one the first."""
    data = open_dataset(searched, "m")
    span = {"dataset": "m", "dataset_digest": data.digest, "first_ts": data.first_ts, "last_ts": data.last_ts}
    look(searched, "x1", "x2", "x3", **span, role="search")
    look(searched, "mine", **span | {"time_ns": 1})
    found = looks_at(searched, data)
    assert earlier_families(searched, found, data, data.first_ts, data.last_ts, "mine") == ["x1", "x2", "x3"]
    assert spent(0.05, 4) < 0.002
    # What was opened after them by a clock of the future is before nobody.
    holdouts = Holdouts(searched)
    holdouts.open(data, data.first_ts, data.last_ts, "f", "opened", "why")
    assert holdouts.entries()[0]["registry"]["rows"] == 4
    assert {"x1", "mine"} <= {*earlier_families(searched, found, data, data.first_ts, data.last_ts, "opened")}


def test_an_opening_anchors_the_registry(searched: Workspace, tmp_path: Path) -> None:
    other = Workspace(Path(shutil.copytree(searched.root, tmp_path / "w")))
    data = open_dataset(other, "m")
    look(other, "y")
    Holdouts(other).open(data, data.first_ts, data.last_ts, "g", "y", "why")
    assert anchor_problems(other) == []
    shutil.rmtree(folder_of(other))
    assert "of holdouts.jsonl" in anchor_problems(other)[0]


def test_one_volume_changed_is_no_new_market(searched: Workspace) -> None:
    """Imported again with one row's volume changed it has another digest; every look counts as before."""
    data = open_dataset(searched, "m")
    span = {"dataset": "m", "dataset_digest": data.digest, "first_ts": data.first_ts, "last_ts": data.last_ts}
    look(searched, *(f"v{k}" for k in range(7)), **span)
    rows = data.frame().collect().with_row_index("n")
    rows = rows.with_columns(volume=pl.col("volume") + (pl.col("n") == 100).cast(pl.Float64)).drop("n")
    rows = rows.with_columns(pl.from_epoch(pl.col("ts") - data.spacing_ns, "ns").alias("open_time")).drop("ts")
    import_frame(rows, name="copied", spacing="5m", workspace=searched)
    copied = open_dataset(searched, "copied")
    assert copied.digest != data.digest and copied.n_bars == data.n_bars
    mine, theirs = looks_at(searched, data), looks_at(searched, copied)
    assert theirs.count(copied.first_ts, copied.last_ts) == mine.count(data.first_ts, data.last_ts) >= 7
    assert {"v0", "v6"} <= {
        *earlier_families(searched, theirs, copied, copied.first_ts, copied.last_ts, "the best of them")
    }


class Seen(SimpleNamespace):
    """What of a dataset tells its market: spacing, times and closes."""

    def prices(self) -> Any:
        return self.rows


@pytest.mark.parametrize("chosen", [(0, 2, 5), (1, 3, 4, 6), (0, 1, 2, 3, 4, 5, 6, 7)])
def test_hindsight_subsets_are_the_same_market(searched: Workspace, chosen: tuple[int, ...]) -> None:
    """Symbols that are known to have done well, and a table whose volumes were changed, are no new market."""
    data = open_dataset(searched, "m")
    prices = data.prices()
    part = Seen(spacing_ns=data.spacing_ns, rows=SimpleNamespace(ts=prices.ts, close=prices.close[:, list(chosen)]))
    assert lag_of(sketch(data), sketch(part)) == 0  # type: ignore[arg-type]


def test_the_gate_and_its_judge_ask_for_the_anchors(home: Workspace) -> None:
    """A registry that was begun anew is whole, and refuses a new candidate; a champion's digests do not hang on it."""
    report = {"candidate": {"kind": "config"}, "checks": []}
    assert _registry(home, SimpleNamespace(kind="config")).passed  # type: ignore[arg-type]
    before = len(list(_checks(home, {"parity": False}, report)))
    shutil.rmtree(folder_of(home))
    look(home, "a")
    check = _registry(home, SimpleNamespace(kind="config"))  # type: ignore[arg-type]
    assert not check.passed and "begun anew" in check.detail
    assert _registry(home, SimpleNamespace(kind="champion")).passed  # type: ignore[arg-type]
    told = list(_checks(home, {"parity": False}, report))
    assert len(told) == before + 1 and "begun anew" in told[-1]
