"""The search that a candidate comes from, found in the registry, and run again on other signals."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog import Dataset
from dolphin.config import Config, Variants, parse_config
from dolphin.core.records import Floats
from dolphin.errors import DolphinError
from dolphin.files import read_json
from dolphin.gate.evidence.shifting import ShiftedEvaluator, shifted
from dolphin.manifests import check_manifest
from dolphin.study.definition.spec import Study, parse_study
from dolphin.study.measure.evaluator import LocalEvaluator, by_market
from dolphin.study.measure.measured import Combinations, combinations, measure_records
from dolphin.study.measure.run import window_rows
from dolphin.study.measure.spans import Span
from dolphin.study.search.search import search
from dolphin.study.trials.choice import Choice, choice_of
from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace

#: Samplers whose points depend on no score: their trials are what the registry says, whatever the signals.
FIXED = ("sobol", "random", "grid")


class CannotRerun(Exception):
    """Why a search cannot be run again, in words."""


@dataclass(frozen=True)
class Search:
    """A search as it is registered.

    Attributes
    ----------
    study, study_hash : str
    dataset_digest, first_ts, last_ts : str, int, int
        Its data and train window.
    sampler : str
    rows : polars.DataFrame
        Its trials on that window, but for invalid ones; one row a configuration.
    """

    study: str
    study_hash: str
    dataset_digest: str
    first_ts: int
    last_ts: int
    sampler: str
    rows: pl.DataFrame = field(repr=False)

    def row_of(self, config_hash: str) -> dict[str, Any]:
        """The trial of a configuration."""
        return self.rows.row(by_predicate=pl.col("config_hash") == config_hash, named=True)

    @property
    def returns(self) -> Floats:
        """(N, T) daily returns of the trials that finished; nan for a day without equity."""
        done = self.rows.filter(pl.col("state") == "done", pl.col("daily_returns").is_not_null())["daily_returns"]
        lengths = done.list.len()
        whole = done.filter(lengths == lengths.max()) if len(done) else done
        return np.array(whole.to_list(), np.float64) if len(whole) else np.zeros((0, 0))


def find_search(workspace: Workspace, config_hash: str, dataset_digest: str) -> Search | None:
    """The search in which a configuration was first met, on this data if it was there; None if there was none."""
    found = (
        Registry(workspace)
        .trials()
        .filter(pl.col("study_hash").is_not_null(), pl.col("role").fill_null("search") == "search")
    )
    mine = found.filter(pl.col("config_hash") == config_hash, pl.col("state") == "done").collect()
    if mine.is_empty():
        return None
    here = pl.col("dataset_digest") == dataset_digest
    first = mine.sort(here, descending=True, maintain_order=True).row(0, named=True)
    found = found.filter(pl.col("dataset_digest") == first["dataset_digest"])
    keys = ("study_hash", "first_ts", "last_ts")
    same = found.filter(pl.col("config_hash").is_not_null(), *(pl.col(key) == first[key] for key in keys[:2]))
    # What halving left behind saw the first part of the window only.
    same = same.filter((pl.col("last_ts") == first["last_ts"]) | (pl.col("state") == "pruned"))
    rows = same.unique("config_hash", keep="last", maintain_order=True).collect()
    return Search(
        str(first["study"]), first["study_hash"], first["dataset_digest"], first["first_ts"], first["last_ts"],
        str(first["sampler"]), rows,
    )  # fmt: skip


def study_left_by(workspace: Workspace, found: Search) -> Study:
    """The study of a search, from the ``study.json`` that its sweep left.

    Raises
    ------
    CannotRerun
        If it is not there, damaged, or of another study.
    """
    path = workspace.experiments / found.study / "study.json"
    try:
        check_manifest(path.parent, path.name)
        document = read_json(path)
        table = {key: value for key, value in document["study"].items() if value not in (None, [], {})}
        table["search"] = {name: _entry(table["search"][name]) for name in table.pop("order", [*table["search"]])}
        table["config"] = {key: value for key, value in table["config"].items() if value is not None}
        for key in ("name", "storage", "validation", "timeout", "holdout"):
            table.pop(key, None)
        table["trials"] = document["trials"]  # that were looked at, also where more were planned
        study = parse_study(table, found.study, str(path), path.parent, workspace.research)
    except (DolphinError, KeyError, TypeError) as error:
        raise CannotRerun(f"{path.name} of '{found.study}' is not there or not whole ({error})") from None
    if document.get("hash") != found.study_hash:
        raise CannotRerun(f"{path.name} of '{found.study}' is of another study by now")
    return study


class Rerun:
    """A search that can be run again under shifted signals.

    Parameters
    ----------
    dataset : Dataset
        The one that was searched.
    threads : int, optional
        By default one per core. No result depends on it.

    Raises
    ------
    CannotRerun
        If its study, engine or trials are not what they were, or its strategies read no signals.
    """

    def __init__(self, workspace: Workspace, found: Search, dataset: Dataset, *, threads: int | None = None) -> None:
        self.found, self._dataset, self._threads = found, dataset, threads or os.cpu_count() or 1
        self._study = study_left_by(workspace, found)
        self.choice: Choice = choice_of(self._study)
        self._evaluator = LocalEvaluator(dataset, threads=self._threads)
        self.start, self.stop = window_rows(self._evaluator.ts, found.first_ts, found.last_ts + 1, found.study)
        if not self._study.config.strategy.columns:
            raise CannotRerun(f"strategy '{self._study.config.strategy_name}' reads no signals that could be shifted")
        self.fixed = self._study.sampler in FIXED
        self._groups: list[tuple[Config, Combinations, list[int]]] = []
        if self.fixed:
            self._prepare(workspace)
        self._must_repeat()

    def _prepare(self, workspace: Workspace) -> None:
        configs = configs_of(self.found.rows["config"].to_list(), workspace)
        for places in by_market(configs):
            chosen = [configs[k] for k in places]
            self._groups.append((chosen[0], combinations(chosen), places))

    def best(self, shift: int, on_done: Callable[[int], None] | None = None) -> float:
        """The first objective's score of the search's best trial, under this shift; nan if none counts."""
        scores = self.scores(shift, on_done)
        return float(np.nanmax(scores)) if np.isfinite(scores).any() else float("nan")

    def scores(self, shift: int, on_done: Callable[[int], None] | None = None) -> Floats:
        """(n,) scores of the trials, larger is better; nan for those that do not count."""
        if not self.fixed:
            return self._searched(shift)
        scores = np.full(self.found.rows.height, np.nan)
        for first, many, places in self._groups:
            market = shifted(self._evaluator.market(first), self.start, self.stop, shift)
            found = measure_records(
                first.engine, many, market, self.start, self.stop, threads=self._threads, on_done=on_done
            )
            scores[places] = self.choice.scores(found.metrics)[:, 0]
        return scores

    def _searched(self, shift: int) -> Floats:
        """The same by the sampler itself, which hears what it would have heard."""
        rows: list[dict[str, Any]] = []
        with ShiftedEvaluator(self._dataset, self.start, self.stop, shift, threads=self._threads) as evaluator:
            search(
                self._study, evaluator, _Nowhere(), Span(self.start, self.stop),
                on_batch=lambda batch: rows.extend(row for _, row in batch),
            )  # fmt: skip
        self._last = rows
        return np.asarray(self.choice.scores_of(rows)[:, 0])

    def _must_repeat(self) -> None:
        """The search under no shift gives what is registered, or it is another search."""
        here = self.scores(0)
        rows = self.found.rows.to_dicts()
        if not self.fixed:
            order = {row["config_hash"]: k for k, row in enumerate(self._last) if row["config_hash"]}
            if any(row["config_hash"] not in order for row in rows):
                raise CannotRerun("its sampler proposes other trials than are registered")
            here = here[[order[row["config_hash"]] for row in rows]]
        there = self.choice.scores_of(rows)[:, 0]
        done = np.array([row["state"] == "done" for row in rows], bool)
        if here[done].tobytes() != there[done].tobytes():
            raise CannotRerun("run again it gives other results than are registered (another engine or data)")


class _Nowhere(Registry):
    """A registry that keeps nothing: runs on shifted signals are no looks at the market."""

    def __init__(self) -> None:
        pass

    def append(self, trials: pl.DataFrame) -> None:
        """Nothing."""


def configs_of(texts: list[str], workspace: Workspace) -> list[Config]:
    """Configurations from the registry's texts; those that differ in values alone are checked cheaply."""
    documents = [json.loads(text) for text in texts]
    bases: dict[str, Variants] = {}
    found = []
    for document in documents:
        family = json.dumps({key: document.get(key) for key in ("strategy", "preset", "market")})
        if family not in bases:
            table = {key: value for key, value in document.items() if value is not None}
            bases[family] = Variants(parse_config(table, where="registry", research=workspace.research))
        values = {f"{s}.{k}": v for s in ("params", "friction", "account") for k, v in document[s].items()}
        found.append(bases[family].of(values).config)
    return found


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    """A dimension as a study file writes it."""
    return {key: value for key, value in entry.items() if value is not None and not (key == "log" and not value)}
