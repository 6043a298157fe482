"""Champions, pointers and the audit chain: what a crash, a typo or a changed byte does to them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from thorough import thorough

from dolphin.errors import DolphinError
from dolphin.gate import rollback, verify
from dolphin.gate.audit import GENESIS, read_audit
from dolphin.gate.champions import Champion, install, lineage, locked, open_champion, recover
from dolphin.parity.fresh_process import own_environment
from dolphin.workspace import Workspace, create

A = {"config.json": b'{"n": 1}\n', "inner/metrics.json": b"{}\n"}
B = {"config.json": b'{"n": 2}\n', "inner/metrics.json": b"{}\n"}
C = {"config.json": b'{"n": 3}\n'}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create(tmp_path / "workspace")


@pytest.fixture
def two(workspace: Workspace) -> tuple[Champion, Champion]:
    """First A, then B is blue."""
    first = install(workspace, A, pointer="blue", reason="first", who="ada")
    return first, install(workspace, B, pointer="blue", reason="second", who="ada")


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))


def test_name_is_the_hash_of_the_contents(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    other = create(workspace.root.parent / "other")
    assert install(other, A, pointer="blue", reason="elsewhere").hash == two[0].hash
    assert two[0].hash != two[1].hash
    assert two[0].folder.name == two[0].hash
    assert (two[0].folder / "inner/metrics.json").read_bytes() == b"{}\n"


def test_audit_line(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    first, second = read_audit(workspace.promote / "audit.jsonl").lines
    assert (first["action"], first["who"], first["reason"], first["old"]) == ("promote", "ada", "first", None)
    assert (second["old"], second["new"]) == (two[0].hash, two[1].hash)
    assert (first["previous"], second["previous"]) == (GENESIS, first["hash"])
    assert second["time"].endswith("Z") and second["time_ns"] > first["time_ns"]


def test_who_defaults_to_the_environment(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLPHIN_USER", "grace")
    install(workspace, A, pointer="green", reason="research")
    assert read_audit(workspace.promote / "audit.jsonl").lines[0]["who"] == "grace"


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_reason_is_mandatory(workspace: Workspace, reason: str) -> None:
    with pytest.raises(DolphinError, match="a reason is mandatory"):
        install(workspace, A, pointer="blue", reason=reason)
    with pytest.raises(DolphinError, match="a reason is mandatory"):
        rollback(workspace, reason)
    assert not (workspace.promote / "champions").exists()


def test_unknown_pointer_is_named(workspace: Workspace) -> None:
    with pytest.raises(DolphinError, match="unknown pointer 'blu'; did you mean 'blue'"):
        install(workspace, A, pointer="blu", reason="typo")


def test_pointers_are_independent(workspace: Workspace) -> None:
    a = install(workspace, A, pointer="blue", reason="one")
    b = install(workspace, B, pointer="green", reason="two")
    c = install(workspace, C, pointer="blue", reason="three")
    assert open_champion(workspace, "green").hash == b.hash
    assert rollback(workspace, "back").hash == a.hash
    assert open_champion(workspace, "green").hash == b.hash
    assert verify(workspace)["passed"] and c.folder.is_dir()


def test_rollback_goes_back_along_the_chain(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    c = install(workspace, C, pointer="blue", reason="third")
    assert rollback(workspace, "c is bad").hash == two[1].hash
    assert rollback(workspace, "b too").hash == two[0].hash
    with pytest.raises(DolphinError, match="nothing to roll back to"):
        rollback(workspace, "further")
    install(workspace, C, pointer="blue", reason="again")
    log = read_audit(workspace.promote / "audit.jsonl")
    assert lineage(log, "blue") == [two[0].hash, c.hash]
    assert [line["action"] for line in log.lines] == ["promote"] * 3 + ["rollback"] * 2 + ["promote"]
    assert verify(workspace)["passed"]


def test_rollback_to_a_damaged_champion_is_refused(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    flip(two[0].folder / "config.json", 3)
    with pytest.raises(DolphinError, match=r"config\.json: changed since it was frozen"):
        rollback(workspace, "back")
    assert open_champion(workspace).hash == two[1].hash


def test_a_pointer_moved_meanwhile_is_not_overwritten(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    with pytest.raises(DolphinError, match="was moved while the gate ran"):
        install(workspace, C, pointer="blue", reason="late", over=two[0].hash)
    assert open_champion(workspace).hash == two[1].hash


def test_every_changed_byte_is_found_and_its_file_named(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    files = [
        *(path for champion in two for path in champion.folder.rglob("*") if path.is_file()),
        workspace.promote / "audit.jsonl",
        workspace.promote / "blue.json",
    ]
    for path in files:
        before = path.read_bytes()
        for at in range(0, len(before), max(1, len(before) // 40)):
            flip(path, at)
            changed = path.read_bytes()
            report = verify(workspace)
            assert not report["passed"] and str(path) in report["problems"][0], (path, at, report)
            assert path.read_bytes() == changed, "verify must not repair what someone changed"
            path.write_bytes(before)
    # The very last byte is the newline that makes the last line of the log count.
    log = workspace.promote / "audit.jsonl"
    flip(log, len(log.read_bytes()) - 1)
    assert str(log) in verify(workspace)["problems"][0]


def test_missing_and_added_files_are_named(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    (two[0].folder / "inner/metrics.json").unlink()
    (two[1].folder / "extra.txt").write_text("x")
    found = verify(workspace)["problems"]
    assert any(line.endswith("inner/metrics.json: missing") for line in found)
    assert any(line.endswith("extra.txt: not of the champion") for line in found)


def test_missing_champion_is_named(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    shutil.rmtree(two[0].folder)
    assert verify(workspace)["problems"] == [f"{two[0].folder}: missing"]


def test_damaged_log_stops_promotion(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    flip(workspace.promote / "audit.jsonl", 30)
    with pytest.raises(DolphinError, match="line 1 was changed or does not follow"):
        install(workspace, C, pointer="blue", reason="third")
    assert json.loads((workspace.promote / "blue.json").read_text())["champion"] == two[1].hash


def test_removed_last_line_is_found(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    log = workspace.promote / "audit.jsonl"
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    assert "blue.json" in verify(workspace)["problems"][0]


def test_removed_pointer_is_written_again(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    path = workspace.promote / "blue.json"
    before = path.read_bytes()
    path.unlink()
    report = verify(workspace)
    assert report["passed"] and "moved blue" in report["completed"][0]
    assert path.read_bytes() == before


def test_full_disk_while_appending_leaves_the_log(
    workspace: Workspace, two: tuple[Champion, Champion], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = (workspace.promote / "audit.jsonl").read_bytes()
    write = os.write

    def half(handle: int, data: bytes) -> int:
        if len(data) > 100 and half.calls == 0:  # type: ignore[attr-defined]
            half.calls = 1  # type: ignore[attr-defined]
            return write(handle, data[:50])
        raise OSError(28, "No space left on device")

    half.calls = 0  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(DolphinError, match="No space left on device"):
            install(workspace, C, pointer="blue", reason="third")
    assert (workspace.promote / "audit.jsonl").read_bytes() == log
    assert open_champion(workspace).hash == two[1].hash
    assert verify(workspace)["passed"]


def test_full_disk_at_the_pointer_calls_the_move_off(
    workspace: Workspace, two: tuple[Champion, Champion], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = (workspace.promote / "audit.jsonl").read_bytes()

    def full(path: Path, data: bytes) -> None:
        raise DolphinError("cannot write: No space left on device", where=str(path))

    with monkeypatch.context() as patch:
        patch.setattr("dolphin.gate.champions.write_bytes", full)
        with pytest.raises(DolphinError, match="No space left on device"):
            install(workspace, C, pointer="blue", reason="third")
    assert (workspace.promote / "audit.jsonl").read_bytes() == log
    report = verify(workspace)
    assert report["passed"] and report["completed"] == [] and len(report["unreferenced"]) == 1
    assert open_champion(workspace).hash == two[1].hash


#: Acts on a workspace that may not be written; whoever may write anything becomes somebody who may not.
READ_ONLY = """
import os, sys
from pathlib import Path
import dolphin.gate.anchors
from dolphin.gate import rollback, verify
from dolphin.gate.champions import install
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace
home = Workspace(Path(sys.argv[1]))
if hasattr(os, "geteuid") and os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for act in (
    lambda: install(home, {"config.json": b"new"}, pointer="blue", reason="third"),
    lambda: rollback(home, "back"),
    lambda: verify(home),
):
    try:
        act()
    except DolphinError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_folder_that_may_not_be_written_stays_as_it_is() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        home = create(root / "w")
        for contents in (A, B):
            install(home, contents, pointer="blue", reason="before")
        paths = [root, *root.rglob("*")]
        before = {path: path.read_bytes() for path in paths if path.is_file()}
        try:
            for path in paths:
                path.chmod(0o555 if path.is_dir() else 0o444)
            command = [sys.executable, "-P", "-c", READ_ONLY, str(home.root)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=own_environment())
        finally:
            for path in paths:
                path.chmod(0o755 if path.is_dir() else 0o644)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert len(lines) == 3 and all("cannot write: Permission denied; make it writable" in line for line in lines)
        assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_no_champion_says_how_to_make_one(workspace: Workspace) -> None:
    with pytest.raises(DolphinError, match=r"no blue champion; make one with 'dolphin promote blue CANDIDATE'"):
        open_champion(workspace)
    report = verify(workspace)
    assert report["passed"] and report["champions"] == 0


def test_recovery_has_nothing_to_do_after_a_clean_move(workspace: Workspace, two: tuple[Champion, Champion]) -> None:
    with locked(workspace):
        state = recover(workspace)
    assert state.completed == () and state.problems == ()


@pytest.mark.slow
@pytest.mark.parametrize("mode", thorough(["torn", "before", "after"]))
@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_killed_at_any_point(workspace: Workspace, two: tuple[Champion, Champion], action: str, mode: str) -> None:
    old = two[1].hash
    driver = Path(__file__).with_name("crash_driver.py")
    done = subprocess.run(
        [sys.executable, driver, workspace.root, action, mode], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) >= (10 if action == "promote" else 5)
    champions = {row["champion"] for row in rows} | {row["seen"] for row in rows}
    assert len(champions - {old}) == 1, "some crashes come before the move counts and some after"
    for row in rows:
        assert row["problems"] == [], row
        assert row["seen"] in (old, row["champion"]), row
        assert row["clean"] and row["left"] == [] and row["strays"] == [], row
        if action == "promote":
            assert row["again"] == "done" and row["last"] != old, row
        elif row["champion"] == old:
            assert row["again"] == "done" and row["last"] == two[0].hash, row
        else:
            assert row["again"].startswith("nothing to roll back to") and row["last"] == two[0].hash, row
    if mode == "torn":
        assert any("cut" in line for row in rows for line in row["completed"])
    assert any("moved blue" in line for row in rows for line in row["completed"])


@pytest.mark.slow
def test_movers_take_turns(workspace: Workspace) -> None:
    mover = Path(__file__).with_name("mover.py")
    running = [subprocess.Popen([sys.executable, mover, workspace.root, who, "6"]) for who in ("ada", "bob", "cy")]
    assert [process.wait() for process in running] == [0, 0, 0]
    report = verify(workspace)
    assert report["passed"] and report["audit_lines"] == 18 and report["champions"] == 18
    reasons = [line["reason"] for line in read_audit(workspace.promote / "audit.jsonl").lines]
    for who in ("ada", "bob", "cy"):
        assert [r for r in reasons if r.startswith(who)] == [f"{who} {n}" for n in range(6)]
