"""Registered trials to look at: as a frame with their parameters, filtered, sorted, and run again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from dolphin.catalog import open_dataset
from dolphin.config import parse_config
from dolphin.errors import Damaged, DolphinError, NotFound, nearest
from dolphin.progress import Progress
from dolphin.study.measure.evaluator import LocalEvaluator
from dolphin.study.measure.measured import run_alone
from dolphin.study.measure.run import window_rows
from dolphin.study.trials.choice import OF_THE_SEARCH
from dolphin.study.trials.registry import SCHEMA, Registry, trial_measures
from dolphin.workspace import Workspace

_SECTIONS = ("params", "friction", "account", "risk")
_KINDS = {bool: pl.Boolean, int: pl.Int64, float: pl.Float64, str: pl.String}

Row = dict[str, Any]


def trials_of(workspace: Workspace, study: str | None = None, study_hash: str | None = None) -> pl.DataFrame:
    """Every registered trial of a study, by name or by hash, with its parameters as further columns.

    Raises
    ------
    DolphinError
        If no study of that name is registered; the nearest is suggested.
    """
    trials = Registry(workspace).trials()
    if study_hash is not None:
        trials = trials.filter(pl.col("study_hash") == study_hash)
    elif study is not None:
        known = trials.select(pl.col("study").unique()).collect()["study"].to_list()
        if study not in known:
            raise NotFound(f"no study '{study}' is registered", mend=nearest(study, [k for k in known if k]))
        trials = trials.filter(pl.col("study") == study)
    return with_parameters(trials.collect())


def with_parameters(trials: pl.DataFrame) -> pl.DataFrame:
    """``trials`` and, from their configs, a column for each parameter and key of friction and account.

    A trial whose strategy has no such parameter, and one that was refused, has null there. Of one name in several
    sections it is the strategy's parameter.
    """
    strategy = pl.col("config").str.json_path_match("$.strategy")
    with_risk = pl.col("config").str.json_path_match("$.risk.table").is_not_null()
    examples = trials.filter(strategy.is_not_null()).unique([strategy, with_risk], maintain_order=True)["config"]
    kinds: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    for document in map(json.loads, examples):
        for section in _SECTIONS:
            kinds[section] |= {name: _KINDS[type(value)] for name, value in document.get(section, {}).items()}
    if not any(kinds.values()):
        return trials
    kinds = {section: fields for section, fields in kinds.items() if fields}
    dtype = pl.Struct({section: pl.Struct(fields) for section, fields in kinds.items()})
    decoded = pl.col("config").str.json_decode(dtype)
    columns = {
        name: decoded.struct.field(section).struct.field(name)
        for section in reversed(kinds)
        for name in kinds[section]
        if name not in SCHEMA
    }
    return trials.with_columns(**columns)


def latest_search(trials: pl.DataFrame) -> pl.DataFrame:
    """Of a study's trials those of the sweep that registered last, over the widest window that it searched."""
    found = trials.filter(OF_THE_SEARCH)
    if found.is_empty():
        return found
    last = found.row(-1, named=True)
    for column in ("study_hash", "dataset_digest"):
        if last[column] is not None:
            found = found.filter(pl.col(column) == last[column])
    # Successive halving looks at shorter windows first.
    width = pl.col("last_ts") - pl.col("first_ts")
    widest = found.sort(width, descending=True, maintain_order=True).row(0, named=True)
    return found.filter(pl.col("first_ts") == widest["first_ts"], pl.col("last_ts") == widest["last_ts"])


def select(
    trials: pl.DataFrame, *, where: str | None = None, sort: str | None = None, ascending: bool = False
) -> pl.DataFrame:
    """Filter by an SQL expression over the columns, and sort by one of them.

    Not-a-number counts as missing: no comparison holds for it, and it is sorted last.

    Raises
    ------
    DolphinError
        If the expression is no condition over these columns.
    """
    known = trials.with_columns(cs.float().fill_nan(None)).with_row_index("_row")
    if where is not None:
        try:
            known = known.filter(pl.sql_expr(where))
        except pl.exceptions.ColumnNotFoundError as error:
            quoted = re.search(r'column "([^"]+)"', str(error))
            name = quoted[1] if quoted else str(error).splitlines()[0]
            raise DolphinError(f"--where {where}: no column '{name}'", mend=nearest(name, trials.columns)) from None
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise DolphinError(
                f"--where {where}: {reason}", mend='write a condition such as "sharpe_365 > 2 AND trades > 50"'
            ) from None
    if sort is not None:
        if sort not in trials.columns:
            raise DolphinError(f"--sort {sort}: no such column", mend=nearest(sort, trials.columns))
        known = known.sort([sort, "_row"], descending=[not ascending, False], nulls_last=True)
    return trials[known["_row"].to_numpy()]


@dataclass(frozen=True)
class Rerun:
    """What running registered trials again found: how many are equal, and a line for each that is not."""

    equal: int
    different: list[str]
    not_runnable: dict[str, int]


def rerun_sample(
    workspace: Workspace,
    trials: pl.DataFrame,
    count: int,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Rerun:
    """Run ``count`` finished trials, drawn at random, again and compare every registered measure by bits."""
    done = trials.filter(pl.col("state") == "done")
    chosen = np.sort(np.random.default_rng(seed).choice(done.height, min(count, done.height), replace=False))
    rows = sorted(
        done[chosen].select(SCHEMA.keys()).to_dicts(), key=lambda row: (row["dataset"], row["dataset_digest"])
    )
    bench = _Bench(workspace)
    equal = 0
    different: list[str] = []
    not_runnable: dict[str, int] = {}
    for k, row in enumerate(rows):
        try:
            found = bench.run(row)
        except _NotRunnableError as error:
            not_runnable[str(error)] = not_runnable.get(str(error), 0) + 1
        else:
            wrong = first_unequal(row, found)
            if wrong is None:
                equal += 1
            else:
                different.append(f"study {row['study']}, trial {row['trial']}: {wrong}")
        if progress:
            progress(k + 1, len(rows), "trials run again")
    return Rerun(equal, different, not_runnable)


def first_unequal(row: Row, found: Row) -> str | None:
    """The first measure of ``found`` that is not the registered one; what the row does not know is left out."""
    for name, value in found.items():
        registered = row[name]
        if registered is None:
            continue
        if isinstance(value, np.ndarray):
            same = np.array(registered, np.float64).tobytes() == value.tobytes()
        else:
            same = np.array([registered]).tobytes() == np.array([value]).tobytes()
        if not same:
            return f"{name} {registered!r} is registered, run again it is {value!r}"
    return None


class _NotRunnableError(Exception):
    """Why a trial cannot be run again here."""


class _Bench:
    """Runs registered trials; keeps the last dataset open."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._opened: dict[str, LocalEvaluator] = {}

    def run(self, row: Row) -> Row:

        document = {key: value for key, value in json.loads(row["config"]).items() if value is not None}
        if "stress" in document:
            raise _NotRunnableError("it was run under stress, with its fills or entries disturbed")
        try:
            config = parse_config(document, where="registry", research=self._workspace.research)
        except DolphinError as error:
            raise _NotRunnableError(f"its configuration is not valid any more ({error})") from None
        if config.engine.digest != row["engine_digest"]:
            raise _NotRunnableError("it was run by another version of the engine or strategy")
        evaluator = self._open(row)
        market = evaluator.market(config)
        start, stop = window_rows(market.ts, row["first_ts"], row["last_ts"] + 1, evaluator.dataset.name)
        return next(iter(trial_measures(run_alone(config, market, start, stop), config.strategy.reasons)))

    def _open(self, row: Row) -> LocalEvaluator:
        digest = row["dataset_digest"]
        if digest not in self._opened:
            self._opened.clear()
            try:
                dataset = open_dataset(self._workspace, row["dataset"])
                if dataset.digest != digest:
                    dataset = open_dataset(self._workspace, f"{row['dataset']}@{digest[:16]}")
            except (NotFound, Damaged):
                raise _NotRunnableError("its version of the dataset is not here any more") from None
            self._opened[digest] = LocalEvaluator(dataset, threads=1)
        return self._opened[digest]


def is_study_file(study: str) -> bool:
    """Whether this names a file, rather than a study of the registry."""
    return study.endswith(".toml") or "/" in study or Path(study).is_file()


def searched(trials: pl.DataFrame, names: Iterable[str] | None = None) -> list[str]:
    """The parameters that differ between the trials, or those of ``names`` by their plain names."""
    if names is not None:
        return [name.rpartition(".")[2] for name in names]
    return [name for name in trials.columns if name not in SCHEMA and trials[name].drop_nulls().n_unique() > 1]
