"""Kill a promotion or a rollback at a random moment, many times; each time the old champion or the new one is there.

    python scripts/kill_promotions.py [--times 300] [--seed 1]

A child moves the pointer and is killed (SIGKILL) after a random part of the time that a move takes; a child that was
through before does not count. Then the chain is checked, the champion opened, the move done again, and all checked
once more.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

# A library's threads would make a fork unsafe; numpy reads this when it is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "gate")]

from crash_driver import act  # noqa: E402

from dolphin.errors import DolphinError  # noqa: E402
from dolphin.gate.champions import install, open_champion  # noqa: E402
from dolphin.gate.promotion import verify  # noqa: E402
from dolphin.workspace import Workspace, create  # noqa: E402

THROUGH = "through before the kill"


def killed(workspace: Workspace, action: str, seconds: float) -> bool:
    """Whether the child was killed before it was through."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act(workspace, action)
            code = 0
        finally:
            os._exit(code)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"the child failed at {action}")
    return os.WIFSIGNALED(status)


def once(root: Path, work: Path, action: str, seconds: float) -> tuple[str, list[str]]:
    """What was found after one kill, and what is wrong with it."""
    shutil.copytree(root, work)
    workspace, old = Workspace(work), open_champion(Workspace(root)).hash
    was = killed(workspace, action, seconds)
    first = verify(workspace)
    wrong = list(first["problems"])
    found = open_champion(workspace).hash
    what = "old" if found == old else "new"
    what += ", completed by the next command" if first["completed"] else ""
    if not was and found == old:
        wrong.append("it was through, and the old champion is there")
    try:
        act(workspace, action)
    except DolphinError as error:
        if action == "promote" or found == old:
            wrong.append(f"it cannot be done again: {error}")
    last = verify(workspace)
    wrong += last["problems"] + last["completed"] + [str(path) for path in work.rglob(".*.part*")]
    shutil.rmtree(work)
    return what if was else THROUGH, wrong


def seconds_of(root: Path, work: Path, action: str) -> float:
    """How long the move takes, the second time: the first one imports."""
    for number in (1, 2):
        shutil.copytree(root, work)
        began = time.monotonic()
        act(Workspace(work), action)
        spent = time.monotonic() - began
        if number == 1:
            shutil.rmtree(work)
    return spent


def main() -> int:
    """Kill, count, print; the exit code."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--times", type=int, default=300)
    ask.add_argument("--seed", type=int, default=1)
    given = ask.parse_args()
    rng, seen, wrong = random.Random(given.seed), Counter[str](), list[str]()
    with TemporaryDirectory() as folder:
        home = create(Path(folder) / "w")
        for number in (1, 2):
            contents = {"config.json": b"{}\n", "inner/metrics.json": b'{"n": %d}\n' % number}
            install(home, contents, pointer="blue", reason=f"champion {number}", who="driver")
        longest = {action: seconds_of(home.root, Path(folder) / action, action) for action in ("promote", "rollback")}
        number = through = 0
        while number < given.times:
            action = rng.choice(("promote", "rollback"))
            work = Path(folder) / f"{number + through}"
            what, problems = once(home.root, work, action, rng.uniform(0.0, longest[action]))
            wrong += [f"{number} {action}: {problem}" for problem in problems]
            if what == THROUGH:
                through += 1
                continue
            number += 1
            seen[f"{action}: {what}"] += 1
    print(
        f"{number} kills: {'; '.join(f'{what} {count}' for what, count in sorted(seen.items()))}; {THROUGH} {through}"
    )
    print("\n".join(wrong) or "nothing half, every chain holds, no stray file")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
