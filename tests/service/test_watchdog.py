"""The watchdog, with processes that die, hang, end well and must be stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dolphin.errors import BadInput, DolphinError
from dolphin.service.watchdog import Policy, Watchdog
from dolphin.stores.conformance import until

QUICK = Policy(first=0.01, longest=0.04, attempts=4, grace=5.0)
#: Counts its starts in a file; dies until the given one.
DIES = """
import os, pathlib, signal, sys
path, last = pathlib.Path(sys.argv[1]), int(sys.argv[2])
path.write_text(path.read_text() + 'x' if path.exists() else 'x')
if len(path.read_text()) < last:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def dying(tmp_path, last):
    return [sys.executable, "-S", "-c", DIES, str(tmp_path / "starts"), str(last)]


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_process_that_dies_is_started_again_until_it_ends_well(tmp_path, capfd):
    dog = Watchdog(dying(tmp_path, 3), QUICK, tmp_path / "events.jsonl")
    assert dog.run() == 0
    assert (tmp_path / "starts").read_text() == "xxx"
    assert dog.restarts == 2
    told = events(tmp_path / "events.jsonl")
    assert [one["event"] for one in told] == ["start", "restart", "start", "restart", "start", "ended"]
    assert [one["wait"] for one in told if one["event"] == "restart"] == [0.01, 0.02]
    assert told[1]["code"] == -signal.SIGKILL
    assert "watchdog: restart code=-9" in capfd.readouterr().err


def test_one_that_always_dies_is_given_up_loudly(tmp_path, capfd):
    told = tmp_path / "told"
    tell = [sys.executable, "-S", "-c", "import os,sys; open(sys.argv[1],'w').write(os.environ['DOLPHIN_ALERT'])"]
    dog = Watchdog(dying(tmp_path, 99), QUICK, tmp_path / "events.jsonl", [*tell, str(told)])
    assert dog.run() == 1
    assert (tmp_path / "starts").read_text() == "xxxx"
    assert "ALERT: gave up after 4 failures in a row" in capfd.readouterr().err
    assert told.read_text().startswith("gave up after 4 failures")
    assert events(tmp_path / "events.jsonl")[-1]["event"] == "gave up"


def test_one_that_hangs_is_killed_by_its_heartbeat(tmp_path):
    beat = tmp_path / "beat"
    hangs = "import pathlib, signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    policy = Policy(first=0.01, attempts=2, heartbeat=beat, stale=0.3, grace=0.2)
    dog = Watchdog([sys.executable, "-S", "-c", hangs], policy, tmp_path / "events.jsonl")
    assert dog.run() == 1
    assert [one["event"] for one in events(tmp_path / "events.jsonl")] == [
        "start", "hangs", "restart", "start", "hangs", "gave up",
    ]  # fmt: skip


def test_a_heartbeat_keeps_it_alive_and_a_stop_ends_it_with_its_children(tmp_path):
    beat = tmp_path / "beat"
    lives = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path(sys.argv[1] + '.pid').write_text(str(child.pid))\n"
        "while True: pathlib.Path(sys.argv[1]).touch(); time.sleep(0.02)"
    )
    policy = Policy(heartbeat=beat, stale=5.0, grace=5.0)
    dog = Watchdog([sys.executable, "-S", "-c", lives, str(beat)], policy, tmp_path / "events.jsonl")
    codes = []
    thread = threading.Thread(target=lambda: codes.append(dog.run()))
    thread.start()
    until(
        lambda: beat.exists() and (tmp_path / "beat.pid").exists() and (tmp_path / "beat.pid").read_text(), "it lives"
    )
    child = int((tmp_path / "beat.pid").read_text())
    dog.stop()
    thread.join(30)
    assert codes == [130]
    until(lambda: not _alive(child), "its child is gone, too")
    assert [one["event"] for one in events(tmp_path / "events.jsonl")] == ["start", "stopped"]


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_waits_double_up_to_the_longest_and_a_settled_start_begins_anew(tmp_path):
    policy = Policy(first=1.0, longest=60.0)
    assert [policy.wait(n) for n in (1, 2, 3, 6, 7, 99)] == [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]
    dog = Watchdog(dying(tmp_path, 6), Policy(first=0.0, settled=0.0, attempts=2))
    assert dog.run() == 0  # six starts: each counts as the first


def test_what_cannot_start_is_one_line():
    with pytest.raises(DolphinError, match="cannot start it"):
        Watchdog(["/no/such/program"]).run()
    with pytest.raises(BadInput, match="no command to watch"):
        Watchdog([])
    with pytest.raises(BadInput, match="attempts 1 or more"):
        Policy(attempts=0)


def test_the_verb_passes_on_a_signal(tmp_path):
    env = os.environ | {"DOLPHIN_HOME": str(tmp_path)}
    command = [
        "service",
        "watch",
        "--",
        sys.executable,
        "-S",
        "-c",
        "import time; print('up', flush=True); time.sleep(600)",
    ]
    process = subprocess.Popen([sys.executable, "-m", "dolphin", *command], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    process.stdout.close()
    assert [one["event"] for one in events(tmp_path / "runs" / "service" / "watch.jsonl")] == ["start", "stopped"]
    assert time.time() > 0
