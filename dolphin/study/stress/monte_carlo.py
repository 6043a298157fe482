"""One configuration under other circumstances: dearer, later, noisier, with trades missed, begun on another day.

Everything but the order of the trades is a real run through the engine, and registered: it is a look at
the data. The undisturbed run is compared with a single run bit for bit before anything is reported.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.files import canonical_json
from dolphin.progress import Progress
from dolphin.study.backtest import prepare
from dolphin.study.measure.measured import BatchResult, first_difference, measure, result_of_one
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.measure.run import Run, run, run_document
from dolphin.study.stress.disturbed import UNDISTURBED, run_disturbed
from dolphin.study.stress.scenarios import Part, Scenario, scenarios_of
from dolphin.study.stress.stress_document import StressDocument
from dolphin.study.stress.stress_folder import check_out, check_same, write_stress
from dolphin.study.stress.stress_summary import summarize
from dolphin.study.stress.trade_orders import reordered_trades
from dolphin.study.trials.holdouts import enter
from dolphin.study.trials.markets import remember
from dolphin.study.trials.registry import Registry, stopped, trial_frame, trial_measures
from dolphin.workspace import Workspace

#: The study name, and the role, under which the runs are registered.
STRESS = "stress"


@dataclass(frozen=True)
class Stress:
    """What a stress test found: ``rows`` has a run each, ``document`` is ``stress.json``."""

    run: Run
    rows: pl.DataFrame
    document: StressDocument

    def __repr__(self) -> str:
        even = self.document["break_even_bps"]
        earns = "at every friction tried" if even is None else f"up to {even:.2f} bps a round trip"
        name = self.run.config.strategy_name
        return f"<stress of {name} on {self.run.dataset.name}: {self.rows.height:,} runs, earns {earns}>"


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
    force: bool = False,
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
    force : bool
        Replace the stress test of another configuration, dataset, window, number of runs or seed in that folder.
    open_holdout : str, optional
        Open a sealed holdout among the bars, for this reason; without it such bars are refused.

    Raises
    ------
    DolphinError
        If the undisturbed run is not bit for bit what a single run gives.
    """
    if out is not None:
        check_out(out)  # before the work, not after it
    if runs < 1:
        raise DolphinError(f"--runs {runs}: at least one is needed")
    dataset, market, config, start, stop = prepare(workspace, name, config, start_ns, stop_ns, progress)
    span = int(market.ts[start]), int(market.ts[stop - 1])
    if out is not None and not force:
        check_same(out, dataset, config, *span, runs, seed)
    enter(workspace, dataset, *span, config_hash=config.hash, reason=open_holdout)
    remember(workspace, dataset)
    base = run(dataset, market, config, start, stop)
    bench = _Bench(workspace, dataset, market, start, stop, threads or os.cpu_count() or 1, seed)
    parts = _run_all(bench, base, runs, seed, progress)
    rows = pl.concat([_rows(batch, found, market, start) for batch, found in parts])
    shuffled, orders = reordered_trades(base, runs, seed)
    rows = pl.concat([rows, shuffled], how="diagonal")
    document: StressDocument = {
        "dataset": name,
        "provenance": run_document(base),
        "config": config.document(),
        "first_ts": span[0],
        "last_ts": span[1],
        "runs": runs,
        "seed": seed,
        **summarize(base, rows, parts, orders),
    }
    found = Stress(base, rows, json.loads(canonical_json(document)))  # as it will be read
    if out is not None:
        write_stress(found.rows, found.document, out)
    return found


def _run_all(bench: _Bench, base: Run, runs: int, seed: int, progress: Progress | None) -> list[Part]:
    """Run and register batch after batch; the first, undisturbed run must be ``base`` again."""
    batches = [list(batch) for batch in scenarios_of(base, runs, seed)]
    total, done = sum(map(len, batches)), 0

    def on_done(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress(done, total, "runs under stress")

    parts: list[Part] = []
    for batch in batches:
        found = bench.run(batch, on_done)
        if batch[0].kind == "base":
            _must_be_equal(base, found[0])
        bench.register(batch, found)
        parts.append((batch, found))
    return parts


class _Bench:
    """Runs scenarios over one window and registers them."""

    def __init__(
        self, workspace: Workspace, dataset: Dataset, market: Market, start: int, stop: int, threads: int, seed: int
    ) -> None:
        self._registry = Registry(workspace)
        self._dataset, self._market, self._threads, self._seed = dataset, market, threads, seed
        self._start, self._stop, self._next = start, stop, 0

    def run(self, batch: Sequence[Scenario], on_done: Callable[[int], None]) -> list[BatchResult]:
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
            self._registry.append(trial_frame([self._row(s, began) | stopped(error) for s in batch]))
            raise

    def register(self, batch: Sequence[Scenario], found: Sequence[BatchResult]) -> None:
        """One row a run. A disturbed one carries its disturbance in its config and the hash of the config alone:
        it is no further configuration, and no single run of that configuration repeats it.
        """
        now, reasons = time.time_ns(), batch[0].config.strategy.reasons
        measures = [row for part in found for row in trial_measures(part, reasons)]
        rows = [self._row(s, now) | {"state": "done"} | m for s, m in zip(batch, measures, strict=True)]
        self._registry.append_once(trial_frame(rows))

    def _row(self, scenario: Scenario, now: int) -> dict[str, Any]:
        document: dict[str, Any] = {**scenario.config.document()}
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


def _must_be_equal(base: Run, found: BatchResult) -> None:
    """Stop if the undisturbed run through the stress kernel is not the backtest's."""
    alone = result_of_one(base.recording.state, base.config.account.initial_capital)
    difference = first_difference(found, 0, alone)
    if difference is not None:
        raise DolphinError(
            f"the undisturbed run is not the backtest's: {difference}", mend="run 'dolphin doctor'; nothing was written"
        )


def _rows(batch: Sequence[Scenario], found: Sequence[BatchResult], market: Market, start: int) -> pl.DataFrame:
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
