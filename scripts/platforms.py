"""Rung 5 on a small generated market: into a parity record, and from there as a table into a page.

    python scripts/platforms.py --home WORKSPACE --record experiments/parity_record.jsonl
    python scripts/platforms.py --record experiments/parity_record.jsonl --write docs/parity.md   # the table alone

DOLPHIN_PYTHONS names other interpreters (`dolphin.parity.rung_platforms`). The market is two days of one minute and 20
assets, so that a process takes seconds once its kernels are compiled. Exit code 1 if a process differs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from parity_matrix import STRATEGIES

from dolphin.catalog import generate
from dolphin.config import Config, parse_config
from dolphin.parity import record
from dolphin.parity.ladder import ladder
from dolphin.study.backtest import prepare
from dolphin.workspace import Workspace

BEGIN, END = "<!-- the table of the processes begins -->", "<!-- the table of the processes ends -->"
NAME, DAYS, ASSETS, SPACING_NS, SEED = "armed", 2, 20, 60_000_000_000, 7
MODELS = {"breakout": "bar_range"}
TIMINGS = {"cross_momentum": "next"}


def configured(strategy: str) -> Config:
    """The strategy with the matrix's parameters, which trade often."""
    params = dict(STRATEGIES[strategy][0])
    if strategy == "pair_reversion":
        params["first"] = "SYN01USDT"
    friction = {
        "fill_timing": TIMINGS.get(strategy, "close"),
        "fill_model": MODELS.get(strategy, "scan_price"),
        "maker_fee_bps": 1.0,
    }
    return parse_config({"strategy": strategy, "params": params, "friction": friction}, where="platforms")


def climb(home: Path, strategy: str, kept: Path | None) -> bool:
    """Rungs 0 and 5 of a strategy; whether every process agrees."""
    workspace = Workspace(home)
    if not (workspace.catalog / "bars" / NAME).is_dir():
        generate(workspace, NAME, preset="edge", days=DAYS, assets=ASSETS, spacing_ns=SPACING_NS, seed=SEED)
    dataset, market, config, start, stop = prepare(workspace, NAME, configured(strategy))
    report = ladder(dataset, market, config, start, stop, rungs=(0, 5))
    for result in report.results:
        print(f"rung {result.rung}: {result.detail}", flush=True)
    if kept is not None:
        about = {"strategy": strategy, "dataset": dataset.digest, "config": config.hash, "engine": config.engine.digest}
        record.add(kept, report, about)
    return report.passed


def table(kept: Path) -> str:
    """A row per process that was ever asked, as Markdown."""
    names = [name for name in record.Process._fields if name != "name"]
    lines = [f"| of | {' | '.join(name.replace('_', ' ') for name in names)} |", "|---|" + "---|" * len(names)]
    seen = dict.fromkeys((of, one._replace(name="")) for of, found in record.processes(kept) for one in found)
    for of, one in sorted(seen):
        lines.append(f"| {of} | {' | '.join(getattr(one, name) for name in names)} |")
    outcomes = {of: {one.outcome for other, one in seen if other == of} for of, _ in seen}
    wrong = sum(len(found) > 1 for found in outcomes.values())
    return "\n".join([*lines, "", f"{len(seen)} kinds of process, {len(outcomes)} runs, {wrong} that differ."])


def main() -> int:
    """As the command is called."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="workspace that the market is made in")
    parser.add_argument("--strategy", default="vel_div", choices=sorted(STRATEGIES))
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--write", type=Path, help="page that gets the table")
    asked = parser.parse_args()
    passed = climb(asked.home, asked.strategy, asked.record) if asked.home else True
    if asked.write is not None:
        before, rest = asked.write.read_text(encoding="utf-8").split(BEGIN)
        text = f"{before}{BEGIN}\n{table(asked.record)}\n{END}{rest.split(END)[1]}"
        asked.write.write_text(text, encoding="utf-8")
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
