"""The figures that the ladder is held to, beside each other in one run, each against its limit.

Run ``python -m benchmarks.ladder [--cpu] [JOURNAL SCAN BARS WHOLE]``: all of them, or some by name; with ``--cpu`` in
seconds of the processor, which neighbours on the machine disturb less than those of the clock. A journal's cost per
bar, its replay and the report on two journals of a million bars (:mod:`benchmarks.journal`); the fast Nautilus rung per
scan of 50 assets; the one through every instrument's bars, per bar; and ``dolphin ladder`` as a command, on as many
bars as the demo leaves unseen (55 days of one minute, 50 assets), the second time: everything is compiled.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import journal
from benchmarks.day import one_day
from benchmarks.nautilus import ROUNDS, nautilus
from benchmarks.table import Row, show
from dolphin import workspace
from dolphin.catalog import generate
from dolphin.live.backtest import run_backtest
from dolphin.parity.rungs_nautilus import compare, default_full_bars

MINUTE_NS, DAYS, ASSETS = 60_000_000_000, 55, 50
CPU = "--cpu" in sys.argv
if CPU:  # every measurement of this process asks this clock
    time.perf_counter = time.process_time
CONFIG = '[params]\nvol_gate_mode = "off"\n'


def per_scan(folder: Path) -> Row:
    """Microseconds of the fast Nautilus rung per scan of 50 assets."""
    case = one_day(folder)
    passed, detail, _ = compare(case, nautilus(case))
    assert passed, detail
    spent = float(np.median([1e6 * nautilus(case).seconds / case.bars for _ in range(ROUNDS)]))
    return Row("fast Nautilus rung, a scan of 50 assets / at most", spent, 40.0, 40.0 / spent, "us")


def per_bar(folder: Path) -> Row:
    """Microseconds of the rung through every instrument's bars, per bar of one, beside those per scan of 50."""
    case = one_day(folder)
    few = case.excerpt(default_full_bars(case))
    spent = []
    for _ in range(ROUNDS):
        run = run_backtest(
            few.engine, few.dataset.instruments, few.dataset.spacing_ns, few.market, few.params, few.friction,
            few.capital, few.start, few.stop, feed="bars",
        )  # fmt: skip
        passed, detail, _ = compare(few, run)
        assert passed, detail
        spent.append(1e6 * run.seconds / run.events)
    events = run.events / few.bars
    each = float(np.median(spent))
    return Row("full bars rung, a bar of an instrument / a scan of 50", each, events * each, events, "us")


def whole(home: Path) -> Row:
    """Seconds of the command on as many bars as the demo leaves unseen."""
    generate(workspace.create(home), "demo", preset="edge", days=DAYS, assets=ASSETS, spacing_ns=MINUTE_NS, seed=1)
    config = home / "ladder.toml"
    config.write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-m", "dolphin", "ladder", "demo", "--config", str(config)]
    spent = []
    for _ in range(2):
        began, used = time.perf_counter(), of_children()
        subprocess.run(command, env={**os.environ, "DOLPHIN_HOME": str(home)}, check=True, stdout=subprocess.DEVNULL)
        spent.append(of_children() - used if CPU else time.perf_counter() - began)
    return Row("whole ladder on 79,200 bars of 50 assets, warm / at most", spent[-1], 20.0, 20.0 / spent[-1], "s")


def of_children() -> float:
    """Seconds of the processor that processes which ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(names: list[str] | None = None) -> list[Row]:
    """Measure, print and return the rows."""
    parts: dict[str, Callable[[Path], Row]] = {"scan": per_scan, "bars": per_bar, "whole": whole}
    wanted = names or ["journal", *parts]
    rows = journal.main() if "journal" in wanted else []
    with tempfile.TemporaryDirectory() as folder:
        rows += [measure(Path(folder) / name) for name, measure in parts.items() if name in wanted]
    show(f"The ladder against its limits{', seconds of the processor' if CPU else ''}", rows)
    return rows


if __name__ == "__main__":
    main([word.lower() for word in sys.argv[1:] if word != "--cpu"])
