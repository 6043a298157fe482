"""One configuration under other circumstances: dearer, later, noisier, with trades missed, begun on another day.

Everything but the order of the trades is a real run through the engine, and registered: it is a look at
the data. The undisturbed run is compared with a single run bit for bit before anything is reported.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog import Dataset
from dolphin.catalog.store.layout import writing
from dolphin.config import Config
from dolphin.core.records import Floats, Market, State
from dolphin.errors import DolphinError
from dolphin.files import canonical_json, publish_folder, write_json
from dolphin.manifests import check_manifest, write_manifest
from dolphin.progress import Progress
from dolphin.study.backtest import prepare
from dolphin.study.measure.measured import Measured, first_difference, measure, measured_of
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.measure.run import Run, run, run_document
from dolphin.study.stress.disturbed import UNDISTURBED, Disturbance, run_disturbed
from dolphin.study.stress.stress_summary import summarize
from dolphin.study.trials.holdouts import enter
from dolphin.study.trials.markets import remember
from dolphin.study.trials.registry import Registry, trial_frame, trial_measures
from dolphin.times import return_day
from dolphin.workspace import Workspace

#: The study name, and the role, under which the runs are registered.
STRESS = "stress"

#: Slippage and fee a side in bps: together 0 to 10 a round trip, one run for each pair.
FRICTION_GRID = tuple(np.arange(0.0, 2.75, 0.5).tolist())
NOISE_BPS = (1.0, 2.0, 5.0, 10.0)
MISSED = (0.05, 0.1, 0.25, 0.5)

#: Days that a run begun later has left at least, and how many begin at most.
LEAST_DAYS, MOST_STARTS = 10, 40


@dataclass(frozen=True)
class Scenario:
    """One run: what was changed, by how much, and how it is run."""

    kind: str
    parameter: float
    config: Config
    disturbance: Disturbance = UNDISTURBED
    start: int | None = None  # row; the window's first where None


@dataclass(frozen=True)
class Stress:
    """What a stress test found: ``rows`` has a run each, ``document`` is ``stress.json``."""

    run: Run
    rows: pl.DataFrame
    document: dict[str, Any]


def stress(
    workspace: Workspace,
    name: str,
    config: Config,
    start_ns: int | None = None,
    stop_ns: int | None = None,
    *,
    runs: int = 200,
    seed: int = 1,
    out: Path | None = None,
    threads: int | None = None,
    open_holdout: str | None = None,
    progress: Progress | None = None,
) -> Stress:
    """Run ``config`` on dataset ``name`` for closes in [start_ns, stop_ns), then under stress.

    Parameters
    ----------
    runs : int
        Runs of each random kind and size: price noise, missed trades, order of the trades.
    seed : int
        Of all randomness; the same seed gives the same rows.
    out : Path, optional
        Folder for ``stress.parquet`` and ``stress.json``; it appears whole or not at all.
    open_holdout : str, optional
        Open a sealed holdout among the bars, for this reason; without it such bars are refused.

    Raises
    ------
    DolphinError
        If the undisturbed run is not bit for bit what a single run gives.
    """
    if out is not None:
        check_out(out)
    if runs < 1:
        raise DolphinError(f"--runs {runs}: at least one is needed")
    dataset, market, config, start, stop = prepare(workspace, name, config, start_ns, stop_ns, progress)
    span = int(market.ts[start]), int(market.ts[stop - 1])
    enter(workspace, dataset, *span, config_hash=config.hash, reason=open_holdout)
    remember(workspace, dataset)
    base = run(dataset, market, config, start, stop)
    bench = _Bench(workspace, dataset, market, start, stop, threads or os.cpu_count() or 1, seed)
    plan = [list(batch) for batch in _plan(base, runs, seed)]
    total, done = sum(map(len, plan)), 0
    parts: list[tuple[list[Scenario], list[Measured]]] = []
    for batch in plan:

        def on_done(count: int) -> None:
            nonlocal done
            done += count
            if progress:
                progress(done, total, "runs under stress")

        found = bench.run(batch, on_done)
        if batch[0].kind == "base":
            _must_be_equal(base, found[0])
        bench.register(batch, found)
        parts.append((batch, found))
    document = {
        "dataset": name,
        "provenance": run_document(base),
        "config": config.document(),
        "first_ts": span[0],
        "last_ts": span[1],
        "runs": runs,
        "seed": seed,
    }
    rows = pl.concat([_rows(batch, found, market, start) for batch, found in parts])
    shuffled, orders = _shuffled(base, runs, seed)
    rows = pl.concat([rows, shuffled], how="diagonal")
    document |= summarize(base, rows, parts, orders)
    document = json.loads(canonical_json(document))  # as it will be read
    if out is not None:
        with publish_folder(out) as part, writing(out):
            rows.write_parquet(part / "stress.parquet", compression="zstd")
            write_json(part / "stress.json", document)
            write_manifest(part)
    return Stress(base, rows, document)


def check_out(out: Path) -> None:
    """Refuse a folder that holds other files than an earlier stress test."""
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise DolphinError("is a file", where=str(out), mend="name a folder for --out")
    if out.is_dir() and any(out.iterdir()) and not (out / "stress.json").is_file():
        raise DolphinError("holds other files than a stress test", where=str(out), mend="name a new folder for --out")


def _plan(base: Run, runs: int, seed: int) -> Iterator[list[Scenario]]:
    """The runs in batches that are run and registered together."""
    config = base.config
    yield [Scenario("base", 0.0, config)]
    grid = [
        Scenario("friction", 2.0 * (s + f), config.with_values({"slippage_bps": s, "fee_bps": f}))
        for s in FRICTION_GRID
        for f in FRICTION_GRID
    ]
    yield [*grid, Scenario("delayed", 1.0, config.with_values({"fill_timing": "next"}))]
    for size in NOISE_BPS:
        yield [Scenario("noise", size, config, Disturbance(noise_bps=size, seed=seed + k)) for k in range(runs)]
    for share in MISSED:
        yield [Scenario("missed", share, config, Disturbance(missed=share, seed=seed + k)) for k in range(runs)]
    later = [Scenario("start", float(day), config, start=row) for day, row in _starts(base)]
    if later:
        yield later


def _starts(base: Run) -> list[tuple[int, int]]:
    """(days after the first, row) of the first bar of evenly spaced UTC days, while enough of them are left."""
    days = return_day(base.market.ts[base.start : base.stop])
    known, first = np.unique(days, return_index=True)
    count = len(known) - LEAST_DAYS
    if count < 1:
        return []
    every = -(-count // MOST_STARTS)
    return [(int(known[k] - known[0]), base.start + int(first[k])) for k in range(every, count + 1, every)]


class _Bench:
    """Runs scenarios over one window and registers them."""

    def __init__(
        self, workspace: Workspace, dataset: Dataset, market: Market, start: int, stop: int, threads: int, seed: int
    ) -> None:
        self._registry = Registry(workspace)
        self._dataset, self._market, self._threads, self._seed = dataset, market, threads, seed
        self._start, self._stop, self._next = start, stop, 0

    def run(self, batch: Sequence[Scenario], on_done: Callable[[int], None]) -> list[Measured]:
        """One result of many runs, or one each where they begin at rows of their own."""
        began = time.time_ns()
        try:
            if batch[0].kind != "start":
                configs, disturbances = [s.config for s in batch], [s.disturbance for s in batch]
                window = (self._market, self._start, self._stop)
                return [run_disturbed(configs, disturbances, *window, threads=self._threads, on_done=on_done)]
            found = []
            for scenario in batch:
                assert scenario.start is not None
                found.append(measure([scenario.config], self._market, scenario.start, self._stop))
                on_done(1)
            return found
        except BaseException as error:
            # They were looked at, or were about to be: that stays on record.
            state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            note = " ".join(str(error).split()) or type(error).__name__
            rows = [self._row(s, began) | {"state": state, "note": note} for s in batch]
            self._registry.append(trial_frame(rows))
            raise

    def register(self, batch: Sequence[Scenario], found: Sequence[Measured]) -> None:
        """One row a run. A disturbed one carries its disturbance in its config and the hash of the config alone:
        it is no further configuration, and no single run of that configuration repeats it.
        """
        now, reasons = time.time_ns(), batch[0].config.strategy.reasons
        measures = [row for part in found for row in trial_measures(part, reasons)]
        rows = [self._row(s, now) | {"state": "done"} | m for s, m in zip(batch, measures, strict=True)]
        self._registry.append_once(trial_frame(rows))

    def _row(self, scenario: Scenario, now: int) -> dict[str, Any]:
        document = scenario.config.document()
        what = scenario.disturbance
        if what.noise_bps or what.missed:
            document["stress"] = {"noise_bps": what.noise_bps, "missed": what.missed, "seed": what.seed}
        self._next += 1
        return {
            "time_ns": now,
            "study": STRESS,
            "role": STRESS,
            "trial": self._next - 1,
            "config_hash": scenario.config.hash,
            "config": canonical_json(document).decode(),
            "dataset": self._dataset.name,
            "dataset_digest": self._dataset.digest,
            "first_ts": int(self._market.ts[self._start if scenario.start is None else scenario.start]),
            "last_ts": int(self._market.ts[self._stop - 1]),
            "engine_digest": scenario.config.engine.digest,
            "sampler": scenario.kind,
            "seed": what.seed if "stress" in document else self._seed,
        }


def _must_be_equal(base: Run, found: Measured) -> None:
    """Stop if the undisturbed run through the stress kernel is not the backtest's."""
    state = base.recording.state
    many = State._make([*(field[None] for field in state[:-1]), state.scratch])
    alone = measured_of(many, np.array([base.config.account.initial_capital]))
    difference = first_difference(found, 0, alone)
    if difference is not None:
        raise DolphinError(
            f"the undisturbed run is not the backtest's: {difference}", mend="run 'dolphin doctor'; nothing was written"
        )


def _rows(batch: Sequence[Scenario], found: Sequence[Measured], market: Market, start: int) -> pl.DataFrame:
    """One row a run: what was changed, and every metric."""
    metrics = {name: np.concatenate([part.metrics[name] for part in found]) for name in ALL_METRICS}
    random = batch[0].disturbance != UNDISTURBED
    return pl.DataFrame(
        {
            "kind": [s.kind for s in batch],
            "parameter": [s.parameter for s in batch],
            "slippage_bps": [s.config.friction.slippage_bps for s in batch],
            "fee_bps": [s.config.friction.fee_bps for s in batch],
            "fill_timing": [s.config.friction.fill_timing for s in batch],
            "seed": pl.Series([s.disturbance.seed if random else None for s in batch], dtype=pl.Int64),
            "first_ts": [int(market.ts[start if s.start is None else s.start]) for s in batch],
            **metrics,
        }
    )


def _shuffled(base: Run, runs: int, seed: int) -> tuple[pl.DataFrame, dict[str, NDArray[Any]]]:
    """The same trades in other orders (``permuted``), and drawn with replacement (``bootstrap``).

    Trades are taken one after another, each by its P&L over the capital at its entry; drawdown is on
    realised capital, from trade to trade. Returns rows, and by kind capital over its start, (runs, trades + 1).
    """
    trades = base.recording.trades
    growth = 1.0 + trades["pnl"] / trades["capital_before"]
    if not len(growth):
        return pl.DataFrame(schema={"kind": pl.String, "parameter": pl.Float64}), {}
    rng = np.random.default_rng([seed, 0x5F])
    drawn = {
        "permuted": rng.permuted(np.tile(growth, (runs, 1)), axis=1),
        "bootstrap": growth[rng.integers(0, len(growth), (runs, len(growth)))],
    }
    frames, paths = [], {"actual": capital_path(growth[None])}
    for kind, factors in drawn.items():
        paths[kind] = path = capital_path(factors)
        capital = base.config.account.initial_capital
        peak = np.maximum.accumulate(path, axis=1)
        frames.append(
            pl.DataFrame(
                {
                    "kind": [kind] * runs,
                    "parameter": [0.0] * runs,
                    "seed": np.arange(runs),
                    "trades": np.full(runs, len(growth)),
                    "roi": path[:, -1] - 1.0,
                    "final_equity": capital * path[:, -1],
                    "max_drawdown": ((peak - path) / peak).max(axis=1),
                    "ruined": path[:, -1] <= 0.0,
                }
            )
        )
    return pl.concat(frames), paths


def capital_path(growth: Floats) -> Floats:
    """(R, n + 1) capital over its start after each of ``growth`` (R, n); what is ruined stays at zero."""
    path = np.cumprod(np.maximum(growth, 0.0), axis=1)
    return np.column_stack([np.ones(len(growth)), path])


def read_stress(folder: Path) -> tuple[dict[str, Any], pl.DataFrame]:
    """What :func:`stress` wrote."""
    folder = Path(folder)
    if not (folder / "stress.json").is_file():
        raise DolphinError("holds no stress test", where=str(folder), mend="run 'dolphin stress' first")
    check_manifest(folder)
    return json.loads((folder / "stress.json").read_bytes()), pl.read_parquet(folder / "stress.parquet")
