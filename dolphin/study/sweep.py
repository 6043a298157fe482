"""Many configurations of one study over one window, every one of them registered."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog import open_dataset, parse_time
from dolphin.core.engine import engine_for
from dolphin.core.records import Market
from dolphin.errors import DolphinError, nearest
from dolphin.files import canonical_json, sha256_bytes, write_bytes
from dolphin.study.config import Config, parse_config, read_config, read_table, to_toml
from dolphin.study.market import choose, feature_columns, open_market
from dolphin.study.measured import measure, spot_check
from dolphin.study.metrics import ALL_METRICS
from dolphin.study.own_features import of_dataset
from dolphin.study.registry import Registry, trial_frame, trial_measures
from dolphin.study.run import settle_p60, window_rows
from dolphin.study.samplers import SAMPLERS
from dolphin.study.space import Space, parse_space
from dolphin.study.variants import Variants
from dolphin.workspace import Workspace

#: Trials that are run and registered together; at most so many are lost when the process dies.
BATCH = 1024

#: Trials of each batch that are run again alone and compared bit for bit, and of a whole sweep.
CHECKS, MOST_CHECKS = 3, 16

#: What a study can look for.
OBJECTIVES = tuple(name for name in ALL_METRICS if name not in ("open_position", "ruined"))

_KEYS = (
    "dataset", "from", "to", "config", "search", "sampler", "trials", "seed",
    "objective", "direction", "min_trades",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """A study file, read and checked."""

    name: str
    dataset: str
    start_ns: int | None
    stop_ns: int | None
    config: Config
    space: Space
    sampler: str
    trials: int | None
    seed: int
    objective: str
    direction: str
    min_trades: int
    hash: str = field(repr=False)


@dataclass(frozen=True)
class SweepReport:
    """What a sweep did, and its best trials (rows of the registry, best first)."""

    study: Study
    planned: int
    ran: int
    known: int
    invalid: int
    bars: int
    seconds: float
    best: pl.DataFrame


def read_study(path: Path, research: Path | None = None) -> Study:
    """Read a study TOML (see ``docs/studies.md`` for its keys).

    Raises
    ------
    DolphinError
        On an unknown key, parameter, sampler or objective, an empty range or a bad base config.
    """
    path = Path(path)
    table, where = read_table(path), str(path)
    for key in table:
        if key not in _KEYS:
            raise DolphinError(f"unknown key '{key}'", where=where, mend=nearest(key, _KEYS))
    if not isinstance(table.get("dataset"), str):
        raise DolphinError("'dataset' is missing", where=where, mend='add dataset = "NAME"')
    base = table.get("config", {})
    if not isinstance(base, str | dict):
        raise DolphinError("config must be a table or the name of a file", where=where)
    config = (
        read_config(path.parent / base, research=research)
        if isinstance(base, str)
        else parse_config(base, where=f"{where}: [config]", research=research)
    )
    space = parse_space(table.get("search", {}), where)
    _check_names(space, config, where)
    objective = table.get("objective", "sharpe_365")
    if objective not in OBJECTIVES:
        raise DolphinError(f"unknown objective '{objective}'", where=where, mend=nearest(str(objective), OBJECTIVES))
    values = {
        "sampler": _one_of(table, "sampler", "sobol", SAMPLERS, where),
        "direction": _one_of(table, "direction", "maximize", ("maximize", "minimize"), where),
        "trials": _whole(table, "trials", None, 1, where),
        "seed": _whole(table, "seed", 1, 0, where),
        "min_trades": _whole(table, "min_trades", 1, 0, where),
    }
    for key in ("from", "to"):
        if key in table and not isinstance(table[key], str):
            table[key] = str(table[key])  # TOML has dates of its own
    identity = {key: table[key] for key in table if key != "config"} | {
        "config": config.document(),
        "p60": config.vol_p60_of_window,
    }
    return Study(
        name=path.stem,
        dataset=table["dataset"],
        start_ns=parse_time(table["from"]) if "from" in table else None,
        stop_ns=parse_time(table["to"]) if "to" in table else None,
        config=config,
        space=space,
        objective=objective,
        hash=sha256_bytes(canonical_json(identity)),
        **values,  # type: ignore[arg-type]
    )


def sweep(
    workspace: Workspace,
    study: Study,
    *,
    resume: bool = False,
    threads: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> SweepReport:
    """Run every trial of a study that is not registered yet (all of them without ``resume``).

    An interrupt between two batches keeps all finished batches; running again with ``resume``
    goes on after them.
    """
    dataset = open_dataset(workspace, study.dataset)
    market = open_market(dataset, study.config, progress)
    start, stop = window_rows(market.ts, study.start_ns, study.stop_ns, study.name)
    base = settle_p60(study.config, market, start, stop)
    columns = feature_columns(dataset)
    engine, registry = engine_for(study.config.strategy), Registry(workspace)
    sample = SAMPLERS[study.sampler](study.space, study.trials, study.seed)
    done = _registered(registry, study, dataset.digest, engine.digest) if resume else set()
    todo = [trial for trial in range(len(sample)) if trial not in done]
    threads = threads or os.cpu_count() or 1
    began, invalid, finished = time.perf_counter(), 0, 0
    common = {
        "study": study.name,
        "study_hash": study.hash,
        "dataset": dataset.name,
        "dataset_digest": dataset.digest,
        "first_ts": int(market.ts[start]),
        "last_ts": int(market.ts[stop - 1]),
        "engine_digest": engine.digest,
        "sampler": study.sampler,
        "seed": study.seed,
    }
    variants, checked = Variants(base), 0
    for low in range(0, len(todo), BATCH):
        batch = todo[low : low + BATCH]
        rows, configs = _build(variants, [(trial, sample[trial]) for trial in batch])
        invalid += len(batch) - len(configs)
        picks = _picks(study, batch[0], list(configs), MOST_CHECKS - checked)
        checked += len(picks)

        def on_done(count: int) -> None:
            nonlocal finished
            finished += count
            if progress:
                progress(finished, len(todo), "trials")

        try:
            for group in _by_features(configs):
                view = market._replace(features=choose(columns, configs[group[0]], of_dataset(dataset)))
                chosen = [configs[trial] for trial in group]
                measured = measure(chosen, view, start, stop, threads=threads, on_done=on_done)
                again = [k for k, trial in enumerate(group) if trial in picks]
                spot_check(measured, again, group, chosen, (view, start, stop))
                for trial, found in zip(group, trial_measures(measured, base.strategy.reasons), strict=True):
                    rows[trial].update(found)
        except BaseException as error:
            # They were looked at, or were about to be: that stays on record too.
            state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            stopped = [_stopped(rows[trial], state, error) for trial in batch]
            registry.append(trial_frame([row | common for row in stopped]))
            raise
        finished = low + len(batch)
        registry.append(trial_frame([rows[trial] | common for trial in batch]))
        if progress:
            progress(finished, len(todo), "trials")
    return SweepReport(
        study=study,
        planned=len(sample),
        ran=len(todo),
        known=len(done),
        invalid=invalid,
        bars=stop - start,
        seconds=time.perf_counter() - began,
        best=best_trials(registry, study, dataset.digest),
    )


def run_configs(
    configs: list[Config],
    market: Market,
    start: int,
    stop: int,
    *,
    threads: int = 1,
    on_done: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Metrics of many configurations of one strategy, (C,) each; nothing is registered."""
    return measure(configs, market, start, stop, threads=threads, on_done=on_done).metrics


def best_trials(registry: Registry, study: Study, dataset_digest: str, count: int = 10) -> pl.DataFrame:
    """The study's best distinct trials by its objective, with enough trades to count."""
    return (
        registry.trials()
        .filter(
            pl.col("study_hash") == study.hash,
            pl.col("dataset_digest") == dataset_digest,
            pl.col("state") == "done",
            pl.col("trades") >= study.min_trades,
            pl.col(study.objective).is_not_nan(),
        )
        .unique("config_hash", keep="first", maintain_order=True)
        .sort([study.objective, "trial"], descending=[study.direction == "maximize", False])
        .head(count)
        .collect()
    )


def write_best(workspace: Workspace, study: Study, best: pl.DataFrame) -> Path | None:
    """Write the best trial's config to ``experiments/<study>/best.toml``; None without one."""
    if best.is_empty():
        return None
    row = best.row(0, named=True)
    target = workspace.experiments / study.name / "best.toml"
    head = f"# Trial {row['trial']} of study {study.name}: {study.objective} = {row[study.objective]!r}\n"
    write_bytes(target, (head + to_toml(json.loads(row["config"]))).encode())
    return target


def _build(
    variants: Variants, sample: list[tuple[int, dict[str, Any]]]
) -> tuple[dict[int, dict[str, Any]], dict[int, Config]]:
    """Registry rows of all trials, and the configs of those that the strategy accepts."""
    rows: dict[int, dict[str, Any]] = {}
    configs: dict[int, Config] = {}
    now = time.time_ns()
    for trial, values in sample:
        row: dict[str, Any] = {"time_ns": now, "trial": trial, "state": "done", "note": None}
        try:
            variant = variants.of(values)
        except DolphinError as error:
            row |= {"state": "invalid", "note": str(error), "config_hash": None}
            row["config"] = canonical_json(values).decode()
        else:
            row |= {"config_hash": variant.hash, "config": variant.text}
            configs[trial] = variant.config
        rows[trial] = row
    return rows, configs


def _picks(study: Study, first: int, trials: list[int], most: int) -> list[int]:
    """The trials of the batch that begins with ``first`` to run again alone; the study's hash is the seed."""
    rng = np.random.default_rng([int(study.hash[:16], 16), first])
    count = max(0, min(CHECKS, most, len(trials)))
    return [trials[k] for k in rng.choice(len(trials), count, replace=False)] if count else []


def _stopped(row: dict[str, Any], state: str, error: BaseException) -> dict[str, Any]:
    """The row of a trial whose batch came to no end."""
    if row["state"] == "invalid":
        return row
    kept = {name: row[name] for name in ("time_ns", "trial", "config_hash", "config")}
    return kept | {"state": state, "note": " ".join(str(error).split()) or type(error).__name__}


def _by_features(configs: dict[int, Config]) -> Iterable[list[int]]:
    """Trials grouped by the definitions of the features that they read."""
    groups: dict[Any, list[int]] = {}
    for trial, config in configs.items():
        key = (getattr(config.params, "vel_div", None), getattr(config.params, "vol_ewma", None))
        groups.setdefault(key, []).append(trial)
    return groups.values()


def _registered(registry: Registry, study: Study, dataset_digest: str, engine_digest: str) -> set[int]:
    """Trials of this study that are in the registry; refuses if data or engine changed since."""
    mine = registry.trials().filter(pl.col("study_hash") == study.hash)
    frame = mine.select("trial", "state", "dataset_digest", "engine_digest").collect()
    for column, now, what in (
        ("dataset_digest", dataset_digest, f"dataset '{study.dataset}'"),
        ("engine_digest", engine_digest, "engine"),
    ):
        if frame.height and frame[column][-1] != now:
            raise DolphinError(
                f"the {what} has changed since this study began",
                where=study.name,
                mend="run it without --resume to start anew",
            )
    same = (pl.col("dataset_digest") == dataset_digest) & (pl.col("engine_digest") == engine_digest)
    same &= pl.col("state").is_in(["done", "invalid"])
    return set(frame.filter(same)["trial"].to_list())


def _check_names(space: Space, config: Config, where: str) -> None:
    for name, dimension in space.items():
        first = dimension.at(0.0)
        try:
            config.with_values({name: first})
        except DolphinError as error:
            if error.what.startswith("unknown key"):
                raise DolphinError(error.what, where=f"{where}: [search]", mend=error.mend) from None


def _one_of(table: dict[str, Any], key: str, default: str, known: Any, where: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or value not in known:
        raise DolphinError(f"unknown {key} '{value}'", where=where, mend=nearest(str(value), known))
    return str(value)


def _whole(table: dict[str, Any], key: str, default: int | None, least: int, where: str) -> int | None:
    value = table.get(key, default)
    if value is not None and (type(value) is not int or not least <= value < 2**63):
        raise DolphinError(f"{key} = {value!r} must be a whole number of at least {least}", where=where)
    return value
