"""Kill a promotion or a rollback at every system call that makes something durable.

Run as a process of its own (no threads, so it may fork): ``crash_driver.py ROOT ACTION MODE``. For every
point n a copy of the workspace ROOT is made, and a child is killed (SIGKILL) at its n-th call of fsync,
rename, replace or write. MODE says when: ``before`` the call, ``after`` it, or ``torn``: half of a write.
Prints one JSON list of what was found after each crash.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from dolphin.errors import DolphinError
from dolphin.gate.champions import install, open_champion, roll_back
from dolphin.gate.promotion import verify
from dolphin.workspace import Workspace

CALLS = ("fsync", "rename", "replace", "write")
NEW = {"config.json": b"{}\n", "inner/metrics.json": b'{"n": 3}\n', "digests.parquet": bytes(range(256)) * 40}


def act(workspace: Workspace, action: str) -> None:
    if action == "promote":
        install(workspace, NEW, pointer="blue", reason="third", who="driver")
    else:
        roll_back(workspace, reason="back", who="driver")


def arm(point: int, mode: str) -> None:
    calls = {name: getattr(os, name) for name in CALLS}
    count = 0

    def armed(name):
        def call(*args, **options):
            nonlocal count
            count += 1
            if count == point and mode == "torn" and name == "write":
                handle, data = args
                calls["write"](handle, bytes(data)[: len(data) // 2])
                calls["fsync"](handle)
            if count == point and mode != "after":
                os.kill(os.getpid(), signal.SIGKILL)
            result = calls[name](*args, **options)
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in CALLS:
        setattr(os, name, armed(name))


def crash(workspace: Workspace, action: str, point: int, mode: str) -> bool:
    """True if the child was killed, False if it came through."""
    child = os.fork()
    if child == 0:
        arm(point, mode)
        act(workspace, action)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        raise SystemExit(f"the child failed at point {point}")
    return False


def main(root: Path, action: str, mode: str) -> None:
    found = []
    for point in range(1, 200):
        work = root.parent / f"{action}-{mode}-{point}"
        shutil.copytree(root, work)
        workspace = Workspace(work)
        killed = crash(workspace, action, point, mode)
        if not killed:
            break
        row = {"point": point, "seen": open_champion(workspace).hash}
        first = verify(workspace)
        row |= {
            "problems": first["problems"],
            "completed": first["completed"],
            "champion": open_champion(workspace).hash,
        }
        try:
            act(workspace, action)
            row["again"] = "done"
        except DolphinError as error:
            row["again"] = error.what
        last = verify(workspace)
        row |= {"last": open_champion(workspace).hash, "clean": last["passed"], "left": last["completed"]}
        row["strays"] = [str(p.relative_to(work)) for p in work.rglob(".*.part*")]
        found.append(row)
        shutil.rmtree(work)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
