"""``dolphin demo``: the main job end to end, offline; every step a command as a user would type it.

A generated market, a sweep, the ladder, the gate, a champion. Then the same on a market without an edge, which must be
refused.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from dolphin.errors import DolphinError

DAYS, ASSETS, SPACING = 110, 50, "1m"
UNSEEN = "2025-02-25"

#: The two markets, and what their study files say of themselves.
MARKETS = {
    "edge": "What it finds is judged on the 55 days that it has not seen.",
    "null": "There is no edge: the best of 2,048 looks good by luck, and the days that it has not seen tell.",
}


def demo(
    home: Annotated[Path, typer.Option("--home", help="Workspace of the demo.")] = Path("demo_workspace"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove that folder first.")] = False,
) -> None:
    """Generated market to frozen champion, and an honest refusal: 3 to 6 minutes, offline, SYNTHETIC data."""
    home = home.absolute()
    if fresh and home.exists():
        if not (home / "experiments" / "demo_edge.toml").is_file():
            raise DolphinError("is no workspace of the demo, so it is not removed", where=str(home))
        shutil.rmtree(home)
    print(
        f"DOLPHIN's main job on two generated markets, in {home}: about 3 minutes on two cores, the first time 5,\n"
        "6 where they are busy (every kernel is compiled once). Nothing is downloaded; outside that folder only\n"
        "the kernel cache is written.",
        flush=True,
    )
    began = time.perf_counter()
    steps = Steps(home)
    steps.run("A workspace", "init", str(home))
    text = files("dolphin.cli").joinpath("demo_study.toml").read_text()
    for market, what in MARKETS.items():
        (home / "experiments" / f"demo_{market}.toml").write_text(text.format(market=market, what=what))
    _main_job(steps, began)


@dataclass
class Steps:
    """Runs commands, keeps their times and what they said."""

    home: Path
    spent: list[tuple[str, float]] = field(default_factory=list)

    def best(self, market: str) -> str:
        """The best config of the market's study."""
        return str(self.home / "experiments" / f"demo_{market}" / "best.toml")

    def run(self, title: str, *words: str, expect: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """One command with ``--json``; its document, plus ``exit`` and ``complaint``."""
        head = f"\033[1m{title}\033[0m" if sys.stdout.isatty() else title
        print(f"\n{head}\n  $ dolphin {' '.join(words)}", flush=True)
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "dolphin", *words, "--json"],
            env={**os.environ, "DOLPHIN_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=None if 1 not in expect else subprocess.PIPE,
            text=True,
        )
        seconds = time.perf_counter() - began
        self.spent.append((title, seconds))
        if done.returncode not in expect:
            print(done.stderr or done.stdout or "", file=sys.stderr)
            raise DolphinError(f"the step '{title}' ended with exit code {done.returncode}", where="demo")
        print(f"  done in {seconds:.1f} s", flush=True)
        document: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
        return document | {"exit": done.returncode, "complaint": (done.stderr or "").strip()}


def _main_job(steps: Steps, began: float) -> None:
    """Both halves and the summary."""
    home = steps.home
    edge = first_half(steps, "edge")
    steps.run(
        "A tear sheet of the unseen days", "report", str(home / "runs" / "edge"), "--out", str(home / "edge.html")
    )
    climbed = steps.run(
        "The parity ladder on the unseen days: per bar = batch = sweep, vectorbt, Nautilus",
        "ladder", "edge", "--config", steps.best("edge"), "--from", UNSEEN,
    )  # fmt: skip
    promoted = steps.run(
        "Gate and promotion: floors, parity, look-ahead, warm-up, determinism, then the freeze",
        "promote", "blue", str(home / "runs" / "edge"), "--reason", "demo: best of the study, unseen days hold",
    )  # fmt: skip
    verified = steps.run("Is the champion what was frozen?", "promote", "verify")
    null = first_half(steps, "null")
    refused = steps.run(
        "The same gate on the market without an edge",
        "promote", "blue", str(home / "runs" / "null"), "--reason", "demo: this must be refused", expect=(1,),
    )  # fmt: skip
    summary(steps, edge, climbed, promoted, verified, null, refused, time.perf_counter() - began)


def first_half(steps: Steps, market: str) -> dict[str, Any]:
    """Generate, scan, sweep the first 55 days, run the best on the rest."""
    steps.run(
        f"A generated market of {DAYS} days, {ASSETS} assets, {SPACING} bars: preset {market}",
        "data", "generate", "--name", market, "--preset", market,
        "--days", str(DAYS), "--assets", str(ASSETS), "--spacing", SPACING,
    )  # fmt: skip
    steps.run("Features of every bar", "scan", market)
    swept = steps.run(
        "A sweep of 2,048 configurations on the first 55 days",
        "sweep",
        str(steps.home / "experiments" / f"demo_{market}.toml"),
    )
    ran = steps.run(
        "The best of them on the 55 days that it has not seen",
        "backtest", market, "--config", steps.best(market), "--from", UNSEEN,
        "--out", str(steps.home / "runs" / market),
    )  # fmt: skip
    return {"swept": swept, "ran": ran}


def summary(
    steps: Steps,
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
    for title, spent in steps.spent:
        print(f"  {spent:6.1f} s  {title}")
    print(f"  {seconds:6.1f} s  in all")
    print("\nFILES TO OPEN\n")
    print(f"  tear sheet          {steps.home / 'edge.html'}")
    print(f"  champion            {promoted['folder']}")
    print(f"  its gate report     {Path(promoted['folder']) / 'gate.html'}")
    print(f"  audit log           {steps.home / 'promote' / 'audit.jsonl'}")
    print(f"  all trials          {steps.home / 'experiments' / 'registry'}")
    print("\nNEXT, ON YOUR OWN DATA\n")
    print("  dolphin init my_workspace && cd my_workspace          (dolphin is in .venv/bin after make)")
    print("  dolphin data import FOLDER_OF_KLINES --name mine      (Parquet, CSV or zip; open times in UTC)")
    print("  dolphin scan mine && dolphin backtest mine --config FILE.toml --out runs/first")
    print("  dolphin report runs/first --out first.html")
    print("=" * 100)


def number(value: Any) -> str:
    """A figure of the summary."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3f}" if isinstance(value, float) else str(value)
