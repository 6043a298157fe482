"""Green beside blue on the same feed, each with its account, journal and state, and what a person sees of them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tomllib

import pytest
from rich.console import Console
from small_market import BUSY

from dolphin.gate.comparison.compare import compare
from dolphin.gate.comparison.sides import read_side
from dolphin.trade.dashboard import panel_of, plain_lines, sparkline, watch
from dolphin.trade.looking import find_session, look
from dolphin.trade.proof import prove

WINDOW = ("--from", "2025-01-02T00:01:00Z", "--to", "2025-01-03T01:00:00Z")


def write_config(path, table):
    """A config as a file."""
    strategy = f'strategy = "{table["strategy"]}"\n' if "strategy" in table else ""
    path.write_text(strategy + "[params]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in table["params"].items()))
    assert tomllib.loads(path.read_text()) == table


@pytest.mark.slow
def test_green_in_two_sleeves_beside_blue_and_both_journals_are_compared(home):
    params = {name: value for name, value in BUSY["params"].items() if name != "direction"}
    write_config(home.root / "blue.toml", {"params": BUSY["params"] | {"direction": "short_only"}})
    write_config(home.root / "green.toml", {"strategy": "vel_div_sleeves", "params": params})
    env = os.environ | {"DOLPHIN_HOME": str(home.root)}
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", "dolphin", "trade", "paper", "--config", str(home.root / f"{name}.toml"),
             "--feed", "replay:m", "--speed", "0", *WINDOW, "--json"],
            env=env, cwd=home.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in ("blue", "green")
    }  # fmt: skip
    ended = {}
    for name, process in running.items():
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        ended[name] = json.loads(out)
    assert "it may buy" in err  # green's, the last
    folders = {name: home.root / "runs" / "trade" / f"unfrozen-{name}" for name in running}
    assert all(prove(home, folder).equal for folder in folders.values())
    assert ended["blue"]["status"]["digest"] != ended["green"]["status"]["digest"]
    sides = [read_side(home, str(folders[name])) for name in ("green", "blue")]
    assert [side.kind for side in sides] == ["journal", "journal"] and len(sides[0].days) == 1
    found = compare(sides[0], sides[1])
    assert found["verdict"] == "not yet" and found["synthetic"]

    green = look(find_session(home, folders["green"]), 30)
    assert green["running"] is False and 2 <= len(green["curve"]) <= 30
    assert green["curve"][-1] == green["equity"]
    held = Console(file=io.StringIO(), width=120)
    held.print(panel_of(green))
    text = held.file.getvalue()
    for word in ("equity", "posture", "decision", "scan to order", "p99", "status"):
        assert word in text, text
    plain = Console(file=io.StringIO())
    watch(find_session(home, folders["blue"]), plain, every=0.1, once=False)
    assert plain.file.getvalue().count("\n") >= 1 and "equity" in plain.file.getvalue()
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    watch(find_session(home, folders["blue"]), terminal, every=0.1, once=False)
    assert "unfrozen-blue on replay:m" in terminal.file.getvalue()


def test_a_session_that_says_nothing_is_an_alert():
    assert sparkline([]) == "" and len(set(sparkline([2.0, 2.0]))) == 1
    heights = sparkline([1.0, 2.0, 3.0])
    assert heights[0] < heights[1] < heights[2]
    found = {
        "time": "2025-01-01T00:00:00Z", "equity": 1.0, "roi": 0.0, "drawdown": 0.0, "trades": 0, "positions": [],
        "posture": "APEX", "halted": False, "running": True, "status_age_seconds": 31.0, "alerts": [],
        "last_decision": {
            "action": "open", "side": -1, "quantity": 2.0, "symbol": "BTCUSDT", "time": "t", "why": "vel_div -0.03",
            "stopped": "halted: lunch",
        },
    }  # fmt: skip
    lines = list(plain_lines(found))
    assert lines[1] == "ALERT session: it runs and said nothing for 31 s"
    assert "open short 2 BTCUSDT at t: vel_div -0.03; STOPPED: halted: lunch" in lines[0]
