"""The figures of a candidate counted again from its fills and the prices, in a process without research code.

``python -m dolphin.gate.recount FOLDER`` reads what the gate's runs left there. Account sums that a strategy wrote
itself, or that a changed gate reported, are not what fills and prices give.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dolphin.core.records import Floats, Ints, Records
from dolphin.gate.report import Check
from dolphin.parity.fresh_process import own_environment
from dolphin.times import return_day

if TYPE_CHECKING:
    from dolphin.gate.measure import Measure

#: Relative difference that another order of the same sums may make.
NEAR = 1e-6

NAME = "recounted from fills and prices"


def recounted(measure: Measure) -> Check:
    """Every window that the gate ran, counted again in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="dolphin-recount-") as folder:
        leave(measure, Path(folder))
        done = subprocess.run(
            [sys.executable, "-P", "-m", "dolphin.gate.recount", folder],
            capture_output=True, text=True, check=False, env=own_environment(),
        )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Check(NAME, False, f"the process that counts failed: {last}")
    found: dict[str, Any] = json.loads(done.stdout)
    return Check(NAME, not found["problem"], found["problem"] or found["detail"])


def leave(measure: Measure, folder: Path) -> None:
    """Write what was run into a folder: every window's fills, equity and positions, and what was told of it."""
    strategy = measure.config.engine.strategy
    friction = measure.config.friction
    jobs = []
    for number, (start, stop) in enumerate(measure.spans):
        run = measure.run_of(start, stop)
        recording, metrics = run.recording, run.metrics
        np.savez(folder / f"{number}.npz", trades=recording.trades, equity=recording.equity,
                 position=recording.position)  # fmt: skip
        names = ("trades", "profit_factor", "win_rate", "roi", "max_drawdown", "sharpe_365")
        told = {name: str(float(metrics[name])) for name in names}
        jobs.append({"start": start, "stop": stop, "metrics": told})
    job = {
        "root": str(measure.dataset.root.parent),
        "dataset": measure.dataset.label,
        "capital": measure.config.account.initial_capital,
        "plain": bool(strategy.plain) and not len(measure.market.funding),
        "slippage": friction.slippage_bps / 1e4,
        "fee": friction.fee_bps / 1e4,
        "windows": jobs,
    }
    (folder / "job.json").write_text(json.dumps(job))


def main(folder: Path) -> None:
    """Count, and print what was found."""
    json.dump(recount(folder), sys.stdout)


def recount(folder: Path) -> dict[str, str]:
    """Count again what :func:`leave` wrote: ``problem`` (empty if there is none) and ``detail``."""
    from dolphin.catalog import open_dataset
    from dolphin.workspace import Workspace

    job = json.loads((folder / "job.json").read_text())
    dataset = open_dataset(Workspace(Path(job["root"])), job["dataset"])
    prices = dataset.prices()
    ticks = np.array([i.tick_num / 10.0**i.tick_exp for i in dataset.instruments])
    problem, count = "", 0
    for number, window in enumerate(job["windows"]):
        with np.load(folder / f"{number}.npz", allow_pickle=False) as left:
            trades, equity, position = left["trades"], left["equity"], left["position"]
        ts = prices.ts[window["start"] : window["stop"]]
        found = figures(ts, trades, equity, job["capital"])
        problem = differing(found, {name: float(value) for name, value in window["metrics"].items()})
        if not problem and job["plain"]:
            problem = unlike_prices(job, trades, equity, position, prices.close, ticks, window["start"])
        count += len(trades)
        if problem:
            problem = f"rows {window['start']} to {window['stop']}: {problem}"
            break
    if any(name.startswith("research_") for name in sys.modules):
        problem = "research code was imported by the process that counts"
    how = "fills as prices allow" if job["plain"] else "prices of fills not checked: orders, sizes or funding vary"
    return {"problem": problem, "detail": f"{len(job['windows'])} windows, {count} trades; {how}"}


def figures(ts: Ints, trades: Records, equity: Floats, capital: float) -> dict[str, float]:
    """The judged metrics from trades and the equity at each bar's close."""
    pnl = trades["pnl"]
    win, loss = float(pnl[pnl > 0.0].sum()), float(-pnl[pnl < 0.0].sum())
    peak = np.maximum(np.maximum.accumulate(equity), capital)
    days = return_day(ts)
    ends = equity[np.flatnonzero(np.diff(days, append=days[-1] + 1))]
    levels = np.concatenate([[capital], ends])
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = (levels[1:] / levels[:-1] - 1.0)[levels[:-1] > 0.0]
        deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return {
        "trades": float(len(trades)),
        "profit_factor": win / loss if loss else (math.inf if len(trades) else math.nan),
        "win_rate": float((pnl > 0.0).mean()) if len(trades) else math.nan,
        "roi": float(equity[-1]) / capital - 1.0,
        "max_drawdown": float(((peak - equity) / peak).max()),
        "sharpe_365": float(returns.mean()) / deviation * math.sqrt(365.0) if deviation > 0.0 else math.nan,
    }


def differing(found: dict[str, float], told: dict[str, float]) -> str:
    """The first figure that is not the one that was told, in words."""
    for name, value in found.items():
        if not _near(value, told[name]):
            return f"{name} is {value:.6g} by fills and equity, and was told as {told[name]:.6g}"
    return ""


def unlike_prices(
    job: dict[str, Any], trades: Records, equity: Floats, position: Ints, close: Floats, ticks: Floats, start: int
) -> str:
    """The first fill, P&L or flat bar that prices do not give, in words."""
    for kind, sign in (("entry", 1), ("exit", -1)):
        rows, columns = trades[f"{kind}_bar"], trades["asset"]
        price = close[rows, columns] * (1.0 + sign * trades["side"] * job["slippage"])
        wrong = np.abs(trades[f"{kind}_price"] - price) > 1.001 * ticks[columns] + NEAR * price
        if wrong.any():
            k = int(np.argmax(wrong))
            return f"the {kind} of trade {k} at {trades[f'{kind}_price'][k]:.6g}, where the close gives {price[k]:.6g}"
    paid = job["fee"] * trades["qty"] * (trades["entry_price"] + trades["exit_price"])
    pnl = trades["side"] * trades["qty"] * (trades["exit_price"] - trades["entry_price"]) - paid
    scale = trades["qty"] * trades["entry_price"]
    wrong = np.abs(trades["pnl"] - pnl) > NEAR * scale
    if wrong.any():
        k = int(np.argmax(wrong))
        return f"the P&L of trade {k} is {pnl[k]:.6g} by its fills, and was told as {trades['pnl'][k]:.6g}"
    booked = np.zeros(len(equity))
    np.add.at(booked, trades["exit_bar"] - start, trades["pnl"])
    capital = job["capital"] + np.cumsum(booked)
    wrong = (position == 0) & (np.abs(equity - capital) > NEAR * job["capital"])
    if wrong.any():
        k = int(np.argmax(wrong))
        return f"equity at bar {start + k} is {equity[k]:.8g}, and start and trades give {capital[k]:.8g}"
    return ""


def _near(a: float, b: float) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= NEAR * max(1.0, abs(a), abs(b))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
