"""Kill a paper session again and again, and hold what it did against a session that was never killed.

    python scripts/kill_paper.py --kills 200 [--seed 1] [--json]

Each life of the session is a process of its own that ends with SIGKILL at a place that is drawn: after a row was
written, between the intent and the order, between the order and its fill, between the fill and its booking, after an
event, after a bar was closed, in the middle of a snapshot, before, while and after a day's journal is begun, and at any
moment at all. In the end digests, orders, trades and positions must be those of the session that was never killed, and
the journal must decide itself again.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from killing import JOURNALED, Death, in_child, read, told

from dolphin.catalog import generate
from dolphin.config import parse_config
from dolphin.live.session import Session
from dolphin.live.strategy import KernelStrategy
from dolphin.times import parse_time
from dolphin.trade import kept, paper
from dolphin.trade.champion import UNFROZEN, Runs
from dolphin.trade.feeds import FeedOptions, open_feed
from dolphin.trade.settings import Settings
from dolphin.workspace import Workspace, create

PLACES = ("row", "intent", "submit", "fill", "event", "closed", "snapshot", "day begun", "day named", "moment")
#: A configuration that trades often on the generated market.
BUSY = {
    "params": {
        "direction": "bidirectional", "short_threshold": -0.004, "short_extreme": -0.02, "long_threshold": 0.004,
        "long_extreme": 0.02, "vol_gate_mode": "off", "tp_pct": 0.002, "stop_pct": 0.004, "max_hold_bars": 30,
    }
}  # fmt: skip
WINDOW = "2025-01-01T22:00:00Z", "2025-01-03T02:00:00Z"


def plan(place: str, after: int, rng: random.Random) -> None:
    """Have this process die at the ``after``-th time that it comes to a place."""
    death = Death(after)
    if place in JOURNALED:
        death.in_journal(place)
    elif place == "submit":
        death.behind(KernelStrategy, "_submit")
    elif place == "fill":
        death.before(Session, "filled")
    elif place == "snapshot":
        Death(1 + after // 20).in_snapshot()
    elif place == "day begun":
        Death(1).before(Path, "rename")
    elif place == "day named":
        Death(1).behind(kept, "begin_day")
    else:
        death.within(1.5, rng)


def live(home: Workspace, state: Path, doing: Any = None) -> int:
    """One life of a session."""

    def work() -> None:
        if doing is not None:
            doing()
        config = parse_config(BUSY, where="busy")
        options = FeedOptions(0.0, *(parse_time(text) for text in WINDOW))
        opened = open_feed(home, "replay:m", config, options)
        runs = Runs(config, UNFROZEN, "busy")
        settings = Settings(fsync="seconds:5", snapshot_bars=20)
        paper.trade_paper(home, runs, opened, state, settings, feed="replay:m", say=lambda line: None)

    return in_child(work)


def prove(kills: int, seed: int, root: Path) -> dict[str, Any]:
    """Kill a session so often (or until it has nothing left to do), then compare; the findings."""
    home = create(root / "home")
    made = in_child(lambda: generate(home, "m", preset="edge", days=3, assets=8, spacing_ns=60 * 10**9, seed=3))
    assert made == 0, "no market could be made"
    assert live(home, root / "whole") == 0, "the session that is not killed ended badly"
    whole = told(lambda: read(root / "whole"), root / "whole.told")
    rng, killed, findings, done, turn = random.Random(seed), Counter[str](), [], 0, 0
    while done < kills:
        turn += 1
        state, finished = root / f"killed{turn}", False
        while not finished and done < kills:
            place = rng.choice(PLACES)
            after = rng.randint(1, 60 if place in ("row", "closed", "snapshot") else 6)
            code = live(home, state, lambda place=place, after=after: plan(place, after, rng))
            if code == -signal.SIGKILL:
                killed[place] += 1
                done += 1
            finished = code == 0
            if code not in (0, -signal.SIGKILL):
                findings.append(f"life {done} of session {turn} ended with {code} (to be killed at '{place}')")
                return {"kills": done, "places": dict(killed), "sessions": turn, "findings": findings}
        if not finished and live(home, state) != 0:
            findings.append(f"session {turn} could not be ended")
            break
        found = told(lambda state=state: read(state), state.with_suffix(".told"))
        findings += [f"session {turn}: other {name}" for name in whole if found.get(name) != whole[name]]
        for name in ("rows", "orders", "fills"):
            if len({tuple(one) for one in found.get(name, ())}) != len(found.get(name, ())):
                findings.append(f"session {turn}: doubled {name}")
    return {
        "kills": done, "places": dict(sorted(killed.items())), "sessions": turn, "bars": len(whole["rows"]),
        "orders": len(whole["orders"]), "fills": len(whole["fills"]), "findings": findings,
    }  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dolphin-kill-") as folder:
        began = time.perf_counter()
        found = prove(given.kills, given.seed, Path(folder)) | {"seconds": round(time.perf_counter() - began, 1)}
    print(json.dumps(found, indent=1) if given.json else "\n".join(f"{key}: {value}" for key, value in found.items()))
    return 1 if found["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
