"""The frozen champion of this repository: `gate` holds the engine against it, `freeze` makes it anew.

`gate` makes the generated market of promote/regression/market.toml again, whose digest must be the frozen one, and
runs `dolphin gate blue`: decisions bit by bit, floors of promote/floors.toml. It writes build/gate.xml (JUnit) and
build/gate.md. `freeze` is the whole way from the market to `dolphin promote blue` under the shipped floors and
policy, in a workspace of its own; what it promotes takes the place of the champion here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
PROMOTE = REPOSITORY / "promote"
MARKET = tomllib.loads((PROMOTE / "regression" / "market.toml").read_text())
NAME = str(MARKET["name"])
BUILD = REPOSITORY / "build"


def dolphin(home: Path, *words: str | Path, expect: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
    """One command in a workspace; its output is shown if the exit code is not expected."""
    print(f"$ dolphin {' '.join(map(str, words))}", flush=True)
    environment = {key: value for key, value in os.environ.items() if key != "DOLPHIN_HOME"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "dolphin", *map(str, words)]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    if done.returncode not in expect:
        print(done.stdout + done.stderr, file=sys.stderr)
        raise SystemExit(done.returncode)
    return done


def generate(home: Path) -> None:
    """Make the market."""
    options = [
        word for key in ("preset", "days", "assets", "spacing", "seed") for word in (f"--{key}", str(MARKET[key]))
    ]
    dolphin(home, "data", "generate", "--name", NAME, *options)


def frozen_digest() -> str:
    """The digest of the data that the champion was frozen on."""
    pointer: dict[str, Any] = json.loads((PROMOTE / "blue.json").read_text())
    run = json.loads((PROMOTE / "champions" / pointer["champion"] / "run.json").read_text())
    return str(run["dataset"]["digest"])


def gate() -> int:
    """Hold this engine against the frozen champion; the exit code of `dolphin gate blue`."""
    began = time.perf_counter()
    generate(REPOSITORY)
    digest = json.loads(dolphin(REPOSITORY, "data", "show", NAME, "--json").stdout)["digest"]
    if digest != frozen_digest():
        print(f"the market '{NAME}' has digest {digest[:16]}, frozen is {frozen_digest()[:16]}", file=sys.stderr)
        print(
            "the generator or the store has changed; freeze anew with 'make champion' if that is meant", file=sys.stderr
        )
        return 2
    print(f"market '{NAME}': digest {digest[:16]} as frozen")
    BUILD.mkdir(exist_ok=True)
    reports = ("--junit", BUILD / "gate.xml", "--markdown", BUILD / "gate.md")
    done = dolphin(REPOSITORY, "gate", "blue", *reports, expect=(0, 1, 2))
    print((BUILD / "gate.md").read_text() if done.returncode < 2 else done.stderr)
    print(f"{time.perf_counter() - began:.1f} s")
    return done.returncode


def freeze(reason: str) -> int:
    """Market, search, unseen days, gate, champion; all under the shipped rules."""
    with tempfile.TemporaryDirectory(prefix="dolphin_champion_") as folder:
        home = Path(folder) / "home"
        dolphin(Path(folder), "init", home)
        for rules in ("floors.toml", "policy.toml"):
            shutil.copyfile(PROMOTE / rules, home / "promote" / rules)
        shutil.copyfile(PROMOTE / "regression" / "study.toml", home / "experiments" / f"{NAME}.toml")
        shutil.copyfile(REPOSITORY / "requirements.lock", home / "requirements.lock")
        generate(home)
        dolphin(home, "scan", NAME)
        dolphin(home, "sweep", home / "experiments" / f"{NAME}.toml")
        best = home / "experiments" / NAME / "best.toml"
        dolphin(
            home, "backtest", NAME, "--config", best, "--from", MARKET["unseen_from"], "--out", home / "runs" / NAME
        )
        dolphin(home, "promote", "blue", home / "runs" / NAME, "--reason", reason)
        dolphin(home, "promote", "verify")
        # The chain begins anew: what was frozen before is in the history of this repository.
        shutil.rmtree(PROMOTE / "champions", ignore_errors=True)
        shutil.copytree(home / "promote" / "champions", PROMOTE / "champions")
        for name in ("audit.jsonl", "blue.json"):
            shutil.copyfile(home / "promote" / name, PROMOTE / name)
    print(f"frozen: {json.loads((PROMOTE / 'blue.json').read_text())['champion'][:16]}; commit promote/")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["gate"]:
        raise SystemExit(gate())
    if sys.argv[1:2] == ["freeze"]:
        raise SystemExit(freeze(" ".join(sys.argv[2:]) or "the regression champion of this repository, frozen anew"))
    raise SystemExit("usage: regression.py gate | freeze [REASON]")
