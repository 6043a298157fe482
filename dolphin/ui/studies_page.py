"""The studies: what was searched, what was chosen; one with its page."""

from __future__ import annotations

from typing import Any

import polars as pl

from dolphin.errors import DolphinError, NotFound
from dolphin.report.markup import Cell, table, text
from dolphin.report.numerals import number
from dolphin.study.trials.registry import Registry
from dolphin.times import SECOND_NS, format_time
from dolphin.ui.asked import Asked, inside
from dolphin.ui.shell import frame, head, linked

_HEADS = ("Study", "Dataset", "Sampler", "Trials", "Finished", "Highest Sharpe", "Last looked")


def studies(ask: Asked) -> tuple[str, str]:
    """The page."""
    found = registered(ask)
    files = sorted(path.stem for path in ask.workspace.experiments.glob("*.toml"))
    known = {row["study"] for row in found}
    waiting = [name for name in files if name not in known]
    body = head("Studies", f"{len(found)} registered; every trial counts as a look at its data")
    if found:
        rows = [_row(ask, row) for row in found]
        body += f'<section class="card long">{table(_HEADS, rows, sortable=True, names=3)}</section>'
    if waiting:
        shown = ", ".join(f"<code>experiments/{text(name)}.toml</code>" for name in waiting[:40])
        body += f'<section class="card"><h2>Not run here</h2><p>{shown}</p></section>'
    if not found and not waiting:
        body += '<p class="empty">None yet: <code>dolphin new study NAME</code>, then <code>dolphin sweep</code></p>'
    return "Studies", body


def registered(ask: Asked) -> list[dict[str, Any]]:
    """A row per study of the registry, the newest first."""
    try:
        trials = Registry(ask.workspace).trials()
    except DolphinError:
        return []
    summary = trials.group_by("study").agg(
        pl.col("dataset").last(),
        pl.col("sampler").last(),
        pl.len().alias("trials"),
        (pl.col("state") == "done").sum().alias("done"),
        pl.col("sharpe_365").filter(pl.col("sharpe_365").is_finite()).max().alias("best"),
        pl.col("time_ns").max().alias("time_ns"),
    )
    return summary.sort("time_ns", descending=True).collect().to_dicts()


def _row(ask: Asked, row: dict[str, Any]) -> list[Cell]:
    name = row["study"]
    there = (ask.workspace.experiments / name / "study.json").is_file()
    when = format_time(row["time_ns"] // SECOND_NS * SECOND_NS)[:16].replace("T", " ")
    return [
        linked(f"/study/{name}", name) if there else Cell(name),
        linked(f"/datasets/{row['dataset']}", row["dataset"]),
        Cell(row["sampler"] or "-"),
        Cell(f"{row['trials']:,}", order=row["trials"]),
        Cell(f"{row['done']:,}", order=row["done"]),
        Cell(number(row["best"]), order=row["best"] or -1e300),
        Cell(when, order=row["time_ns"]),
    ]


def study(ask: Asked) -> tuple[str, str]:
    """One of them: its page as ``dolphin report`` writes it."""
    folder = inside(ask.workspace.experiments, ask.name)
    if not (folder / "study.json").is_file():
        raise NotFound("no such study", where=ask.name, mend="'dolphin sweep' makes them")
    sub = f"<code>dolphin report {text(ask.name)} --out page.html</code> writes this page"
    return ask.name, head(ask.name, sub) + frame(f"/frame/study/{ask.name}", f"Study {ask.name}")
