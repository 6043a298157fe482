"""Every bundled strategy up the ladder on real and generated data, both fill timings, risk inputs that vary.

    python scripts/parity_matrix.py --home WORKSPACE --data k5m=FOLDER --data k1m=FOLDER --data k1h=FOLDER
    python scripts/parity_matrix.py --home WORKSPACE --only breakout        # some cells; others are kept
    python scripts/parity_matrix.py --home WORKSPACE --write docs/parity.md # the table alone

FOLDERs hold kline files as `dolphin data import` reads them; without `--data` only generated data is climbed. What was
found stays in WORKSPACE/parity_matrix.jsonl, so that a run that was stopped goes on; a cell is found anew when its
data, its configuration or the engine is another. Exit code 1 if a rung differs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dolphin.catalog import generate, open_dataset
from dolphin.cli import main as dolphin
from dolphin.config import Config, parse_config
from dolphin.config.config import RiskInputs
from dolphin.core.records import Market
from dolphin.parity import record
from dolphin.parity.ladder import LadderReport, ladder
from dolphin.study.backtest import prepare
from dolphin.workspace import Workspace

RESULTS = "parity_matrix.jsonl"
BEGIN, END = "<!-- the table of the matrix begins -->", "<!-- the table of the matrix ends -->"


class Data(NamedTuple):
    """A dataset of the matrix: what it is, how bars lie, and the part that is imported."""

    name: str
    what: str
    spacing: str
    first: str
    last: str


DATA = (
    Data("k5m", "real, 5 minutes", "5m", "2025-03-01", "2025-03-29"),
    Data("k1m", "real, 1 minute", "1m", "2021-04-17", "2021-04-23"),
    Data("k1h", "real, 1 hour", "1h", "2020-01-01", "2020-12-31"),
    Data("g5s", "generated, 5 seconds", "5s", "", ""),
)

#: By strategy: parameters that trade often whatever the spacing, and the fill models under which it is climbed.
VEL = {"direction": "bidirectional", "vol_gate_mode": "off", "max_hold_bars": 40, "short_threshold": -0.01,
       "long_threshold": 0.01}  # fmt: skip
STRATEGIES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "vel_div": (VEL, ("scan_price",)),
    "vel_div_sleeves": (VEL, ("scan_price",)),
    "cross_momentum": ({"lookback": 48, "rebalance_bars": 12, "gross_leverage": 2.0}, ("scan_price", "volume_share")),
    "pair_reversion": ({"window": 100, "entry_z": 1.5, "max_hold_bars": 100}, ("scan_price",)),
    "breakout": ({"channel": 24, "range_bars": 12, "max_hold_bars": 60}, ("bar_range", "volume_share")),
}
TIMINGS = ("close", "next")
#: Bars of a cell, of one whose orders fill in parts (ten fills a bar), and the seed of the risk inputs.
BARS, IN_PARTS, SEED = 4_000, 1_000, 20260301


class Cell(NamedTuple):
    """One ladder of the matrix."""

    strategy: str
    model: str
    timing: str
    data: Data


def cells() -> Iterator[Cell]:
    """All of them, one strategy after the other: what it compiles is kept in the process."""
    for strategy, (_, models) in STRATEGIES.items():
        for model in models:
            for timing in TIMINGS:
                for data in DATA:
                    yield Cell(strategy, model, timing, data)


def bring_in(home: Path, folders: dict[str, Path]) -> list[str]:
    """Import what is asked for and not there; the names of the datasets that are."""
    bars = Workspace(home).catalog / "bars"
    for data in DATA:
        if (bars / data.name).is_dir():
            continue
        if not data.first:
            generate(Workspace(home), data.name, preset="edge", days=1, assets=50, spacing_ns=5 * 10**9, seed=7)
        elif data.name in folders:
            folder = folders[data.name]
            words = [
                "data",
                "import",
                str(folder),
                "--name",
                data.name,
                "--spacing",
                data.spacing,
                "--from",
                data.first,
            ]
            words += ["--from", data.first, "--to", data.last, "--instruments", str(folder / "instruments.json")]
            if dolphin(words) not in (0, None):
                raise SystemExit(f"{data.name} could not be imported")
    return [data.name for data in DATA if (bars / data.name).is_dir()]


def configured(cell: Cell) -> Config:
    """The configuration of a cell; the engine obeys postures."""
    params = dict(STRATEGIES[cell.strategy][0])
    if cell.strategy == "pair_reversion" and not cell.data.first:  # generated symbols
        params["first"] = "SYN01USDT"
    document = {
        "strategy": cell.strategy,
        "params": params,
        "friction": {
            "fill_timing": cell.timing,
            "fill_model": cell.model,
            "maker_fee_bps": 1.0,
            "volume_share": 0.0005,
        },
    }
    return dataclasses.replace(parse_config(document, where="matrix"), risk=RiskInputs(table="made for the matrix"))


def risky(market: Market) -> Market:
    """The market with risk inputs that come and go in stretches: postures, Rm, boost, the book's quality.

    Rm's factors stand beside them, and the account's own drawdown joins these; now and then a person imposes a posture,
    or Rm1 is 0.
    """
    rng, rows = np.random.default_rng(SEED), len(market.ts)
    risk = np.array(market.risk)
    risk["posture"] = np.repeat(rng.choice([0, 0, 0, 0, 1, 1, 2, 3], rows // 16 + 1), 16)[:rows]
    risk["rm"] = np.where(risk["posture"] == 0, 1.0, 0.7)
    risk["boost"] = 1.0 + 0.5 * (rng.random(rows) < 0.3)
    risk["beta"] = 0.5
    risk["quality"] = rng.random(rows)
    risk["rm1"], risk["others"] = rng.random(rows) >= 0.005, np.array([1.0, 0.9, 0.6, 0.2])[risk["posture"]]
    risk["imposed"] = np.where(rng.random(rows) < 0.005, 2, 0)
    return market._replace(risk=risk)


def climb(home: Path, cell: Cell) -> tuple[LadderReport, dict[str, str]]:
    """The ladder of a cell over the last bars of its dataset."""
    plain = dataclasses.replace(configured(cell), risk=RiskInputs())
    dataset, market, settings, start, stop = prepare(Workspace(home), cell.data.name, plain)
    settings = dataclasses.replace(settings, risk=RiskInputs(table="made for the matrix"))
    bars = IN_PARTS if settings.friction.model.partial else BARS
    about = {"dataset": dataset.digest, "config": settings.hash, "engine": settings.engine.digest}
    return ladder(dataset, risky(market), settings, max(start, stop - bars), stop), about


def key_of(home: Path, cell: Cell) -> str:
    """What a result is kept under."""
    settings = configured(cell)
    return f"{open_dataset(Workspace(home), cell.data.name).digest}-{settings.hash}-{settings.engine.digest}"


def run(home: Path, names: list[str], only: str | None, kept: Path | None) -> int:
    """Climb what is not known yet; how many cells differ."""
    done = {line["key"]: line for line in read(home)}
    differing = 0
    for cell in cells():
        if cell.data.name not in names or (only and only not in (cell.strategy, cell.data.name, cell.model)):
            continue
        key = key_of(home, cell)
        if key not in done:
            began = time.perf_counter()
            report, about = climb(home, cell)
            if kept is not None:
                record.add(kept, report, about)
            rows = [[r.rung, r.name, r.passed, r.bars, r.facts.get("orders"), r.detail] for r in report.results]
            done[key] = {
                "key": key, "strategy": cell.strategy, "model": cell.model, "timing": cell.timing,
                "data": cell.data.name, "passed": report.passed, "rungs": rows,
                "not_run": [rung.reason for rung in report.not_run],
                "seconds": time.perf_counter() - began,
            }  # fmt: skip
            with (home / RESULTS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[key]) + "\n")
        line = done[key]
        differing += not line["passed"]
        print(f"{'equal  ' if line['passed'] else 'DIFFERS'} {' '.join([*cell[:3], cell.data.name])}", flush=True)
        for rung, name, passed, _, _, detail in line["rungs"]:
            if not passed:
                print(f"        rung {rung}, {name}: {detail}", flush=True)
    return differing


def read(home: Path) -> list[dict[str, Any]]:
    """Results that are kept, the newest of a key last."""
    path = home / RESULTS
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def table(home: Path) -> str:
    """The matrix as Markdown: a row per strategy, fill model and data, both timings in it."""
    latest = {(x["strategy"], x["model"], x["data"], x["timing"]): x for x in read(home)}
    lines = [
        "| strategy | fills | data | timing | rungs | decisions compared | fills in Nautilus | differing |",
        "|---|---|---|---|---|---:|---:|---:|",
    ]
    total = wrong = 0
    for cell in cells():
        found = latest.get((cell.strategy, cell.model, cell.data.name, cell.timing))
        if found is None:
            continue
        bars = sum(row[3] for row in found["rungs"])
        bad = sum(not row[2] for row in found["rungs"])
        fills = sum(row[4] or 0 for row in found["rungs"] if row[0] == 2)
        total, wrong = total + bars, wrong + bad
        rungs = " ".join(f"{row[0]}" for row in found["rungs"])
        words = (cell.strategy, cell.model, cell.data.what, cell.timing, rungs, f"{bars:,}", f"{fills:,}", str(bad))
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join([*lines, "", f"{len(latest)} ladders, {total:,} decisions compared, {wrong} rungs that differ."])


def write(page: Path, text: str) -> None:
    """Put the table between its marks."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> int:
    """As the command is called."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="workspace; made if it is not there")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--only", help="a strategy, a dataset or a fill model")
    parser.add_argument("--record", type=Path, help="parity record that the ladders are added to")
    parser.add_argument("--write", type=Path, help="page that gets the table")
    asked = parser.parse_args()
    if not (asked.home / "dolphin.toml").is_file() and dolphin(["init", str(asked.home)]) not in (0, None):
        return 2
    differing = 0
    if asked.write is None:
        folders = {name: Path(folder) for name, folder in (word.split("=", 1) for word in asked.data)}
        os.environ["DOLPHIN_HOME"] = str(asked.home)
        differing = run(asked.home, bring_in(asked.home, folders), asked.only, asked.record)
        print(table(asked.home))
    else:
        write(asked.write, table(asked.home))
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
