"""A single backtest as the command runs it: opened, run, written, and registered as a trial."""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import nullcontext
from pathlib import Path

from dolphin.catalog import Dataset, open_dataset
from dolphin.config import Config, settled
from dolphin.core.records import Market
from dolphin.files import canonical_json
from dolphin.market.assemble import feature_columns, open_market
from dolphin.progress import Progress
from dolphin.study.measure.run import Run, check_out, check_same, run, window_rows, writing_run
from dolphin.study.trials.holdouts import enter
from dolphin.study.trials.markets import remember
from dolphin.study.trials.registry import Registry, run_measures, stopped, trial_frame
from dolphin.workspace import Workspace

#: The study name under which runs by hand are registered: they are looks at the data too.
BY_HAND = "backtest"
#: Hexadecimal digits by which folders of runs that nobody named are told apart.
SHORT_ID = 8


def folder_for(
    workspace: Workspace,
    name: str,
    config: Config,
    called: str,
    start_ns: int | None = None,
    stop_ns: int | None = None,
    *more: int | str,
) -> Path:
    """The folder of a run that nobody named: ``runs/<called>-<id>``.

    The id is of the dataset, the configuration, the window as it was asked for, the engine and what ``more`` makes a
    difference: the same run again has the same folder, another one never has.
    """
    whole = (open_dataset(workspace, name).digest, config.hash, config.engine.digest, start_ns, stop_ns, *more)
    short = hashlib.sha256(canonical_json(list(whole))).hexdigest()[:SHORT_ID]
    plain = re.sub(r"[^\w.-]+", "-", called).strip("-.") or "run"
    return workspace.root / "runs" / f"{plain}-{short}"


def prepare(
    workspace: Workspace,
    name: str,
    config: Config,
    start_ns: int | None = None,
    stop_ns: int | None = None,
    progress: Progress | None = None,
) -> tuple[Dataset, Market, Config, int, int]:
    """The dataset and its market, the config with its percentiles settled, and the rows of the window."""
    dataset = open_dataset(workspace, name)
    market = open_market(dataset, config, progress)
    start, stop = window_rows(market.ts, start_ns, stop_ns, name)
    return dataset, market, settled(config, market, [(start, stop)]), start, stop


def backtest(
    workspace: Workspace,
    name: str,
    config: Config,
    start_ns: int | None = None,
    stop_ns: int | None = None,
    *,
    out: Path | None = None,
    force: bool = False,
    journal: bool = False,
    open_holdout: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Run ``config`` on dataset ``name`` for closes in [start_ns, stop_ns).

    With ``out`` the run folder is written, and with ``journal`` a journal into it; one that holds another run is
    replaced only with ``force``. The run is registered either way, also one that fails or is interrupted; a run that
    is registered already is not again.
    A sealed holdout among the bars is refused, or opened for the reason ``open_holdout``.
    """
    if out is not None:
        check_out(out)  # before the work, not after it
    dataset, market, config, start, stop = prepare(workspace, name, config, start_ns, stop_ns, progress)
    if out is not None and not force:
        check_same(out, dataset, config, int(market.ts[start]), int(market.ts[stop - 1]))
    span = int(market.ts[start]), int(market.ts[stop - 1])
    enter(workspace, dataset, *span, config_hash=config.hash, reason=open_holdout)
    remember(workspace, dataset)
    row = {
        "time_ns": time.time_ns(),
        "study": BY_HAND,
        "trial": 0,
        "config_hash": config.hash,
        "config": canonical_json(config.document()).decode(),
        "dataset": name,
        "dataset_digest": dataset.digest,
        "first_ts": span[0],
        "last_ts": span[1],
        "engine_digest": config.engine.digest,
    }
    try:
        done = run(dataset, market, config, start, stop)
    except BaseException as error:
        Registry(workspace).append(trial_frame([row | stopped(error)]))
        raise
    row |= {"state": "done", **run_measures(done)}
    # The folder appears after the registration: no result is seen that is not counted.
    regime = feature_columns(dataset)["regime"]
    with writing_run(done, regime, out, journal=journal) if out is not None else nullcontext():
        Registry(workspace).append_once(trial_frame([row]))
    return done
