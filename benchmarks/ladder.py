"""The figures that the ladder is held to, beside each other in one run, each against its limit.

Run ``python -m benchmarks.ladder``. A journal's cost per bar, its replay and the report on two journals of a million
bars (:mod:`benchmarks.journal`); the fast Nautilus rung per scan of 50 assets; and ``dolphin ladder`` as a command, on
as many bars as the demo leaves unseen (55 days of one minute, 50 assets), the second time: everything is compiled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import journal
from benchmarks.day import one_day
from benchmarks.nautilus import ROUNDS, nautilus
from benchmarks.table import Row, show
from dolphin import workspace
from dolphin.catalog import generate
from dolphin.parity.rungs_nautilus import compare

MINUTE_NS, DAYS, ASSETS = 60_000_000_000, 55, 50
CONFIG = '[params]\nvol_gate_mode = "off"\n'


def per_scan(folder: Path) -> Row:
    """Microseconds of the fast Nautilus rung per scan of 50 assets."""
    case = one_day(folder)
    passed, detail, _ = compare(case, nautilus(case))
    assert passed, detail
    spent = float(np.median([1e6 * nautilus(case).seconds / case.bars for _ in range(ROUNDS)]))
    return Row("fast Nautilus rung, a scan of 50 assets / at most", spent, 40.0, 40.0 / spent, "us")


def whole(home: Path) -> Row:
    """Seconds of the command on as many bars as the demo leaves unseen."""
    generate(workspace.create(home), "demo", preset="edge", days=DAYS, assets=ASSETS, spacing_ns=MINUTE_NS, seed=1)
    config = home / "ladder.toml"
    config.write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-m", "dolphin", "ladder", "demo", "--config", str(config)]
    spent = []
    for _ in range(2):
        began = time.perf_counter()
        subprocess.run(command, env={**os.environ, "DOLPHIN_HOME": str(home)}, check=True, stdout=subprocess.DEVNULL)
        spent.append(time.perf_counter() - began)
    return Row("whole ladder on 79,200 bars of 50 assets, warm / at most", spent[-1], 20.0, 20.0 / spent[-1], "s")


def main() -> list[Row]:
    """Measure, print and return the rows."""
    rows = journal.main()
    with tempfile.TemporaryDirectory() as folder:
        rows += [per_scan(Path(folder) / "day"), whole(Path(folder) / "demo")]
    show("The ladder against its limits", rows)
    return rows


if __name__ == "__main__":
    main()
