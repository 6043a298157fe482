"""Everything about a study that its page shows, as plain data: from the registry and ``experiments/<study>/``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import polars as pl

from dolphin.catalog import open_dataset
from dolphin.core.records import Floats, Ints
from dolphin.errors import BadInput, Damaged, NotFound, nearest
from dolphin.files import json_bytes, json_value, read_json
from dolphin.manifests import check_manifest, write_listed
from dolphin.study.findings.histogram import histogram
from dolphin.study.findings.importance import importances
from dolphin.study.findings.sensitivity import Plateau, pair_map, plateau, stability
from dolphin.study.findings.study_plan import StudyPlan, read_plan
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.search.study_document import StudyDocument
from dolphin.study.trials.choice import OF_THE_SEARCH, VALUE, pareto
from dolphin.study.trials.registry import Registry
from dolphin.study.trials.trials import latest_search, searched, with_parameters
from dolphin.study.validation.documents import FoldDocument, ValidationDocument
from dolphin.times import format_time
from dolphin.workspace import Workspace

#: Points of a scatter, lines of the parallel coordinates, rows of the table, parameters whose pairs are mapped.
POINTS, LINES, TOP, MAPPED = 4000, 600, 20, 4

_SHOWN = ("trades", "roi", "max_drawdown", "sharpe_365", "profit_factor", "win_rate", "worst_10_days")


def gather(workspace: Workspace, study: str | Path) -> dict[str, Any]:
    """All that :func:`dolphin.report.study_page` shows of a study; ``sensitivity.json`` is written on the way.

    Parameters
    ----------
    study : str or Path
        A study file, or the name of a registered study. Only what its latest sweep registered is read.

    Raises
    ------
    DolphinError
        If no trial of the study is registered.
    """
    plan = read_plan(workspace, str(study))
    every = _latest(workspace, plan.name)
    if every.is_empty():
        raise NotFound(f"no study '{plan.name}' is registered", mend="run 'dolphin sweep' first")
    first = every.row(0, named=True)
    names = [name for name in searched(every, plan.searched) if name in every.columns]
    judged = _judged(every, plan)
    folder = workspace.experiments / plan.name
    best = _best_row(judged, names, folder)
    found = _sensitivity(judged, plan, names, best)
    if folder.is_dir():
        write_listed(
            folder,
            {"sensitivity.json": json_bytes(json_value({k: v for k, v in found.items() if k != "maps"}))},
        )
    registry = Registry(workspace)
    return {
        "name": plan.name,
        "file": plan.file,
        "objectives": list(plan.choice.objectives),
        "directions": list(plan.choice.directions),
        "min_trades": plan.choice.min_trades,
        "parameters": names,
        "log": [name for name in plan.log if name in names],
        "dataset": _dataset(workspace, first),
        "window": {"first_ts": first["first_ts"], "last_ts": first["last_ts"]},
        "sampler": first["sampler"],
        "seed": first["seed"],
        "states": dict(every.group_by("state").len().sort("state").iter_rows()),
        "looked_at": registry.count_on(first["dataset_digest"]),
        "history": _history(every, judged, plan),
        "spread": _spread(judged, best),
        "parallel": _parallel(judged, names, best or 0),
        "front": _front(judged, plan, names),
        "top": [_row(row, plan, names) for row in judged.filter(pl.col(VALUE).is_not_nan()).head(TOP).to_dicts()],
        "best": None if best is None or not judged.height else _row(judged.row(best, named=True), plan, names),
        **found,
        **_left(folder),
    }


def plateau_of(workspace: Workspace, study: str | Path) -> Plateau | None:
    """The verdict on a study's best trial alone; None without a finished one."""
    plan = read_plan(workspace, str(study))
    every = _latest(workspace, plan.name, without=("daily_returns", "exits"))
    if every.is_empty():
        return None
    judged = _judged(every, plan)
    if judged.is_empty() or not np.isfinite(judged[VALUE][0]):
        return None
    names = [name for name in searched(every, plan.searched) if name in every.columns]
    best = _best_row(judged, names, workspace.experiments / plan.name)
    return _plateau(judged, plan, names, best or 0)


def _best_row(judged: pl.DataFrame, names: Sequence[str], folder: Path) -> int | None:
    """The row of what ``best.toml`` holds: the first, or what a validation's newest train window chose.

    None where that is no trial of this search: a sampler that learns searches every train window anew.
    """
    document = folder / "validation.json"
    newest: FoldDocument | None = read_json(document)["folds"][-1] if document.is_file() else None
    if newest is None or newest["blocks"] or newest["chosen"] is None:
        return 0
    chosen = newest["chosen"]["parameters"]
    same = [pl.col(name).eq_missing(pl.lit(chosen.get(name), judged.schema[name])) for name in names]
    rows = judged.with_row_index("_row").filter(pl.col(VALUE).is_not_nan(), *same)["_row"]
    return int(rows[0]) if len(rows) else None


def _latest(workspace: Workspace, name: str, without: Sequence[str] = ()) -> pl.DataFrame:
    """The trials of the sweep that registered last, with their parameters; none without one."""
    mine = Registry(workspace).trials().filter(pl.col("study") == name, OF_THE_SEARCH)
    return with_parameters(latest_search(mine.drop(without).collect()))


def _judged(every: pl.DataFrame, plan: StudyPlan) -> pl.DataFrame:
    """The distinct finished trials, best first, with ``_value``: the first objective, nan if one does not count."""
    for name in plan.choice.objectives:
        if name not in every.columns:
            raise BadInput(f"unknown objective '{name}'", where=plan.name, mend=nearest(name, ALL_METRICS))
    return plan.choice.judged(every)


def _sensitivity(judged: pl.DataFrame, plan: StudyPlan, names: list[str], best: int | None) -> dict[str, Any]:
    values = judged[VALUE].to_numpy()
    if not np.isfinite(values).any():
        return {"plateau": None, "importance": None, "maps": [], "stability": None}
    maximize = plan.choice.maximize
    found = _plateau(judged, plan, names, best or 0)
    shares = importances(judged, names, values, maximize=maximize, log=plan.log)
    order = list(shares["ped_anova"]) if shares else names
    first = order[:MAPPED]
    maps = [pair_map(judged, x, y, values, best or 0, plan.log) for k, x in enumerate(first) for y in first[k + 1 :]]
    daily = judged.filter(pl.col("daily_returns").is_not_null(), pl.col(VALUE).is_not_nan())["daily_returns"]
    return {
        "plateau": found.as_dict()
        | {"sentence": found.told_of(f"The {'raw maximum' if best is None else 'best trial'}")},
        "importance": shares,
        "maps": maps,
        "stability": stability(np.array(daily.to_list(), np.float64)) if len(daily) else None,
    }


def _plateau(judged: pl.DataFrame, plan: StudyPlan, names: list[str], row: int) -> Plateau:
    return plateau(judged, names, judged[VALUE].to_numpy(), row, maximize=plan.choice.maximize)


def _dataset(workspace: Workspace, row: dict[str, Any]) -> dict[str, Any]:
    digest = row["dataset_digest"]
    try:
        dataset = open_dataset(workspace, row["dataset"])
        if dataset.digest != digest:
            dataset = open_dataset(workspace, f"{row['dataset']}@{digest[:16]}")
    except (NotFound, Damaged):  # its version is gone; what the registry knows is left
        return {"name": row["dataset"], "digest": digest, "synthetic": None, "notes": [], "symbols": None}
    notes = dataset.manifest.get("notes", [])
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "synthetic": dataset.synthetic,
        "notes": [notes] if isinstance(notes, str) else list(notes),
        "symbols": len(dataset.symbols),
        "spacing_ns": dataset.spacing_ns,
        "source": dataset.source,
    }


def _thinned(count: int, most: int, first: int = 0) -> Ints:
    """Rows to draw: the first ``first`` and an even sample of the rest."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.concatenate([np.arange(first), np.linspace(0, count - 1, most - first).astype(int)]))


def _history(every: pl.DataFrame, judged: pl.DataFrame, plan: StudyPlan) -> dict[str, Any]:
    """The objective by trial number, and the best so far where it rises."""
    frame = judged.filter(pl.col(VALUE).is_not_nan()).sort("trial")
    values, trials = frame[VALUE].to_numpy(), frame["trial"].to_numpy()
    if not len(values):
        return {"trial": [], "value": [], "best_trial": [], "best": [], "total": every.height}
    best = np.maximum.accumulate(values) if plan.choice.maximize else np.minimum.accumulate(values)
    steps = np.flatnonzero(np.diff(best, prepend=np.nan) != 0.0)
    at = _thinned(len(values), POINTS)
    return {
        "trial": trials[at].tolist(),
        "value": _short(values[at]),
        "best_trial": [*trials[steps].tolist(), int(trials[-1])],
        "best": [*_short(best[steps]), float(best[-1])],
        "total": every.height,
    }


def _spread(judged: pl.DataFrame, best: int | None) -> dict[str, Any]:
    """A histogram of the objective, where the best trial is, and the raw maximum where that is another one."""
    values = judged[VALUE].to_numpy()
    chosen = None if best is None or not len(values) else float(values[best])
    values = values[np.isfinite(values)]
    if not len(values):
        return {"edges": [], "counts": [], "chosen": None, "maximum": None, "median": None, "positive": None}
    counts, edges = histogram(values, min(60, max(5, round(len(values) ** 0.5))))
    return {
        "edges": _short(edges),
        "counts": counts.tolist(),
        "chosen": chosen,
        "maximum": None if best == 0 else float(values[0]),
        "median": float(np.median(values)),
        "positive": float(np.mean(values > 0.0)),
        "trials": len(values),
    }


def _parallel(judged: pl.DataFrame, names: Sequence[str], first: int) -> dict[str, Any]:
    """Parameter values of row ``first``, then of the highest trials and a sample of the rest; words as positions."""
    frame = judged.filter(pl.col(VALUE).is_not_nan())
    rows = _thinned(frame.height, LINES, LINES // 3)
    frame = frame[[first, *rows[rows != first].tolist()]] if frame.height else frame
    axes: list[dict[str, Any]] = []
    for name in names:
        column = frame[name]
        if column.dtype.is_numeric():
            axes.append({"name": name, "values": [None if v is None else float(v) for v in column], "words": None})
        else:
            words = sorted({str(v).lower() if isinstance(v, bool) else str(v) for v in column.drop_nulls()})
            place = {word: k for k, word in enumerate(words)}
            told = [None if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in column]
            axes.append({"name": name, "values": [None if t is None else place[t] for t in told], "words": words})
    return {"axes": axes, "value": _short(frame[VALUE].to_numpy()), "shown": frame.height, "of": judged.height}


def _front(judged: pl.DataFrame, plan: StudyPlan, names: Sequence[str]) -> dict[str, Any] | None:
    """The trials that none is better than in every objective, and a sample of the others."""
    if len(plan.choice.objectives) < 2:
        return None
    frame = judged.filter(pl.col(VALUE).is_not_nan())
    values = frame.select(plan.choice.objectives).to_numpy().astype(np.float64)
    inside = pareto(plan.choice.scores(frame))
    at = _thinned(frame.height, POINTS // 2)
    return {
        "objectives": list(plan.choice.objectives),
        "points": [[_short_one(v) for v in row] for row in values[at]],
        "front": [_row(row, plan, names) for row in frame[np.flatnonzero(inside)].to_dicts()[:200]],
        "size": int(inside.sum()),
    }


def _row(row: dict[str, Any], plan: StudyPlan, names: Sequence[str]) -> dict[str, Any]:
    kept = [*plan.choice.objectives, *(name for name in _SHOWN if name not in plan.choice.objectives)]
    return {
        "trial": row["trial"],
        "config_hash": row["config_hash"],
        "parameters": {name: row[name] for name in names},
        "metrics": {name: json_value(row[name]) for name in kept},
    }


class LeftDocuments(TypedDict):
    """What sweep and validation left in a study's folder; None where they did not."""

    sweep: StudyDocument | None
    validation: ValidationDocument | None
    oos: OutOfSample | None
    best_config: str | None


class OutOfSamplePath(TypedDict):
    """A curve of equity at the end of each day, and the fold that each day was judged in."""

    ts: list[str]
    equity: list[float]
    fold: list[int]


class OutOfSample(TypedDict):
    """The equity out of sample: a curve a path, and the capital with which all begin."""

    paths: list[OutOfSamplePath]
    capital: float


def _left(folder: Path) -> LeftDocuments:
    best = folder / "best.toml"
    found: LeftDocuments = {
        "sweep": None,
        "validation": None,
        "oos": None,
        "best_config": str(best) if best.is_file() else None,
    }
    if (folder / "study.json").is_file() or (folder / "validation.json").is_file():
        check_manifest(folder)
    if (folder / "study.json").is_file():
        found["sweep"] = read_json(folder / "study.json")
    if (folder / "validation.json").is_file():
        found["validation"] = read_json(folder / "validation.json")
    if (folder / "oos_equity.parquet").is_file():
        found["oos"] = _oos(pl.read_parquet(folder / "oos_equity.parquet"))
    return found


def _oos(frame: pl.DataFrame) -> OutOfSample | None:
    """The equity out of sample at the end of each day, a curve a path, and where they began."""
    if frame.is_empty():
        return None
    first = frame.row(0, named=True)
    paths: list[OutOfSamplePath] = [
        {
            "ts": [format_time(ts) for ts in part["ts"]],
            "equity": _short(part["equity"].to_numpy()),
            "fold": part["fold"].to_list(),
        }
        for part in frame.partition_by("path", maintain_order=True)
    ]
    return {"paths": paths, "capital": first["equity"] / (1.0 + first["return"])}


def _short(values: Floats) -> list[float]:
    return [_short_one(v) for v in values]


def _short_one(value: float) -> float:
    return float(f"{value:.6g}")
