"""The main job end to end, offline: a generated market, a sweep, the ladder, the gate, a champion.

Then the same on a market without an edge, which must be refused. Every step is a ``dolphin``
command as a user would type it; run it again as often as you like.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("DOLPHIN_DEMO", REPOSITORY / "demo_workspace"))
DAYS, ASSETS, SPACING = 110, 50, "1m"
SEEN, UNSEEN = "2025-01-01", "2025-02-25"


@dataclass
class Demo:
    """Runs commands, keeps their times and what they said."""

    spent: list[tuple[str, float]] = field(default_factory=list)

    def run(self, title: str, *words: str, expect: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """One command with ``--json``; its document, plus ``exit`` and ``complaint``."""
        print(f"\n\033[1m{title}\033[0m\n  $ dolphin {' '.join(words)}", flush=True)
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "dolphin", *words, "--json"],
            env={**os.environ, "DOLPHIN_HOME": str(HOME)},
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=None if 1 not in expect else subprocess.PIPE,
            text=True,
        )
        seconds = time.perf_counter() - began
        self.spent.append((title, seconds))
        if done.returncode not in expect:
            print(done.stderr or done.stdout or "", file=sys.stderr)
            raise SystemExit(f"demo: the step '{title}' ended with exit code {done.returncode}")
        print(f"  done in {seconds:.1f} s", flush=True)
        document: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
        return document | {"exit": done.returncode, "complaint": (done.stderr or "").strip()}


def main() -> None:
    """Both halves and the summary."""
    began = time.perf_counter()
    if sys.argv[1:] == ["--fresh"]:
        shutil.rmtree(HOME, ignore_errors=True)
    demo = Demo()
    demo.run("A workspace", "init", str(HOME))
    edge = first_half(demo, "edge")
    report = HOME / "edge.html"
    demo.run("A tear sheet of the unseen days", "report", str(HOME / "runs" / "edge"), "--out", str(report))
    climbed = demo.run(
        "The parity ladder on the unseen days: per bar = batch = sweep, vectorbt, Nautilus",
        "ladder", "edge", "--config", str(best("edge")), "--from", UNSEEN,
    )  # fmt: skip
    promoted = demo.run(
        "Gate and promotion: floors, parity, look-ahead, warm-up, determinism, then the freeze",
        "promote", "blue", str(HOME / "runs" / "edge"), "--reason", "demo: best of the study, unseen days hold",
    )  # fmt: skip
    verified = demo.run("Is the champion what was frozen?", "promote", "verify")
    null = first_half(demo, "null")
    refused = demo.run(
        "The same gate on the market without an edge",
        "promote", "blue", str(HOME / "runs" / "null"), "--reason", "demo: this must be refused", expect=(1,),
    )  # fmt: skip
    summary(demo, edge, climbed, promoted, verified, null, refused, time.perf_counter() - began)


def first_half(demo: Demo, market: str) -> dict[str, Any]:
    """Generate, scan, sweep the first 55 days, run the best on the rest."""
    demo.run(
        f"A generated market of {DAYS} days, {ASSETS} assets, {SPACING} bars: preset {market}",
        "data", "generate", "--name", market, "--preset", market,
        "--days", str(DAYS), "--assets", str(ASSETS), "--spacing", SPACING,
    )  # fmt: skip
    demo.run("Features of every bar", "scan", market)
    swept = demo.run("A sweep of 2,048 configurations on the first 55 days", "sweep", f"experiments/demo_{market}.toml")
    ran = demo.run(
        "The best of them on the 55 days that it has not seen",
        "backtest", market, "--config", str(best(market)), "--from", UNSEEN, "--out", str(HOME / "runs" / market),
    )  # fmt: skip
    return {"swept": swept, "ran": ran}


def best(market: str) -> Path:
    """The best config of the market's study."""
    return HOME / "experiments" / f"demo_{market}" / "best.toml"


def summary(
    demo: Demo,
    edge: dict[str, Any],
    climbed: dict[str, Any],
    promoted: dict[str, Any],
    verified: dict[str, Any],
    null: dict[str, Any],
    refused: dict[str, Any],
    seconds: float,
) -> None:
    """What happened, the figures, which files to open, what to try next."""
    print("\n" + "=" * 100)
    print("WHAT HAPPENED (all data here is SYNTHETIC)\n")
    print(f"  {'':28}{'edge, seen':>14}{'edge, unseen':>14}{'null, seen':>14}{'null, unseen':>14}")
    columns = [edge["swept"]["best"][0], edge["ran"], null["swept"]["best"][0], null["ran"]]
    for name in ("sharpe_365", "roi", "profit_factor", "win_rate", "max_drawdown", "trades"):
        cells = "".join(f"{number(column['metrics'][name]):>14}" for column in columns)
        print(f"  {name:28}{cells}")
    print(f"\n  sweep: {edge['swept']['ran']:,} configurations, {edge['swept']['trials_per_second']:,.0f} a second")
    for rung in climbed["rungs"]:
        verdict = "equal" if rung["passed"] else "DIFFERS"
        print(f"  rung {rung['rung']}: {verdict:8}{rung['bars']:>8,} bars  {rung['detail']}")
    print(f"  blue is now champion {promoted['champion'][:16]}; verify: {'ok' if verified['ok'] else verified}")
    print("  the null market's best was refused:")
    for line in refused["refusals"]:
        print(f"    - {line}")
    print("\nWHERE THE TIME WENT\n")
    for title, spent in demo.spent:
        print(f"  {spent:6.1f} s  {title}")
    print(f"  {seconds:6.1f} s  in all")
    print("\nFILES TO OPEN\n")
    print(f"  tear sheet          {HOME / 'edge.html'}")
    print(f"  champion            {promoted['folder']}")
    print(f"  its gate report     {Path(promoted['folder']) / 'gate.html'}")
    print(f"  audit log           {HOME / 'promote' / 'audit.jsonl'}")
    print(f"  all trials          {HOME / 'experiments' / 'registry'}")
    print("\nNEXT, ON YOUR OWN DATA\n")
    print("  .venv/bin/dolphin init my_workspace && cd my_workspace")
    print("  dolphin data import FOLDER_OF_KLINES --name mine      (Parquet, CSV or zip; open times in UTC)")
    print("  dolphin scan mine && dolphin backtest mine --config FILE.toml --out runs/first")
    print("  dolphin report runs/first --out first.html")
    print("=" * 100)


def number(value: Any) -> str:
    """A figure of the summary."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
