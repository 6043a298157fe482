"""Locks between real processes: one that waits, one that is told at once, a holder that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dolphin.errors import Busy, DolphinError
from dolphin.locks import hold, is_held, passing

HOLDER = """
import sys, time
from pathlib import Path
from dolphin.locks import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""

COUNTER = """
import sys
from pathlib import Path
from dolphin.locks import hold, passing
lock, file = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(200):
    with (passing(lock) if sys.argv[3] == "passing" else hold(lock)):
        file.write_text(str(int(file.read_text()) + 1))
"""


@contextmanager
def holder(path: Path, seconds: float = 60.0) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLDER, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_is_told_at_once(tmp_path: Path) -> None:
    lock = tmp_path / "new" / ".lock"
    with holder(lock):
        began = time.monotonic()
        with pytest.raises(Busy) as told, hold(lock, busy="another process is at it", where="m", mend="wait"):
            pytest.fail("held twice")
        assert time.monotonic() - began < 2.0
        assert str(told.value) == "m: another process is at it; wait"
        assert (told.value.what, told.value.where, told.value.mend) == ("another process is at it", "m", "wait")
        assert isinstance(told.value, DolphinError) and told.value.exit_code == 2
        with passing(lock, wait=False) as mine:
            assert not mine
        assert lock.exists()
    with hold(lock, busy="another process is at it"):
        pass


def test_one_that_waits_gets_it_when_the_holder_ends(tmp_path: Path) -> None:
    with holder(tmp_path / ".lock", 0.5) as process, hold(tmp_path / ".lock"):
        assert process.wait(5) == 0


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with holder(lock) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with hold(lock, busy="another process is at it"):
            pass


def test_an_error_in_the_block_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with pytest.raises(ZeroDivisionError), hold(lock):
        _ = 1 / 0
    with hold(lock, busy="another process is at it"):
        pass


def test_a_child_that_inherited_the_handle_does_not_keep_it(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    child = (
        "import os, sys, time; from pathlib import Path; from dolphin.locks import hold\n"
        "with hold(Path(sys.argv[1])):\n"
        "    if os.fork() == 0: time.sleep(3); os._exit(0)\n"
        "print('left', flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", child, str(lock)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "left\n"
        with hold(lock, busy="another process is at it"):
            pass


def test_a_lock_whose_file_went_is_taken_again(tmp_path: Path) -> None:
    """Who waited on a file that its holder removed must not think it holds what others cannot see."""
    lock = tmp_path / ".lock"
    with hold(lock):
        command = [sys.executable, "-c", HOLDER, str(lock), "60"]
        waiter = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        time.sleep(1.0)
        lock.unlink()
    try:
        assert waiter.stdout is not None and waiter.stdout.readline() == "held\n"
        with pytest.raises(Busy), hold(lock, busy="another process is at it"):
            pytest.fail("held twice")
    finally:
        waiter.kill()
        waiter.communicate()


@pytest.mark.parametrize("form", ["hold", "passing"])
def test_processes_take_turns(tmp_path: Path, form: str) -> None:
    file = tmp_path / "count"
    file.write_text("0")
    command = [sys.executable, "-c", COUNTER, str(tmp_path / ".lock"), str(file), form]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert file.read_text() == "600"
    assert (tmp_path / ".lock").exists() == (form == "hold")


def test_a_place_where_no_lock_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DolphinError, match=r"file: cannot write: .*; make it writable"), hold(tmp_path / "file" / "x"):
        pytest.fail("held")


def test_who_looks_holds_nothing_and_makes_nothing(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    assert not is_held(lock) and not lock.exists()
    with hold(lock):
        assert is_held(lock)
    assert not is_held(lock)
    with hold(lock, busy="it runs"):
        pass
