"""The risk table of a dataset: made once, kept as a version of the catalog, read by the runs that name it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog import Dataset
from dolphin.catalog.store.cache import Writer
from dolphin.catalog.store.tables import Part, Table, open_table, write_table
from dolphin.catalog.store.versions import split_name
from dolphin.config import Config
from dolphin.core.records import POSTURES, Floats, Records, neutral_risk
from dolphin.errors import DolphinError
from dolphin.market.risk_sources import Known, gather
from dolphin.risk.compiling import room_digest
from dolphin.risk.rules import RiskRules
from dolphin.risk.stack import ROW, risk_rows, step_columns
from dolphin.times import DAY_NS, format_day
from dolphin.workspace import Workspace

_BUILD = "dolphin risk build {dataset} --out {table}"


def build_risk(
    dataset: Dataset,
    out: str,
    *,
    rules: RiskRules | None = None,
    external: str | None = None,
    books: str | None = None,
    forecasts: str | None = None,
    velocity: Floats | None = None,
    esof: str = "neutral",
    made: str = "dolphin risk build",
) -> Table:
    """Make and publish the risk table ``out`` of a dataset.

    Parameters
    ----------
    external, books, forecasts : str, optional
        Tables of series; ``NAME@DIGEST`` for a version. A category without a source is neutral, and the manifest
        says so. ``books`` may be several, with commas between them, and ``rec_books_*`` all whose names begin so.
    velocity : float64 [T], optional
        The 750-window velocity, where the rules switch beta by it.
    esof : str
        The esoteric factor, by its name in :data:`dolphin.risk.esof.REGISTRY`.

    Raises
    ------
    DolphinError
        If a table is missing or holds none of what it is named for, or ``out`` names other data.
    """
    rules, workspace = rules or RiskRules(), Workspace(dataset.root.parent)
    tables = {
        role: open_table(workspace, name)
        for role, name in (("external", external), ("forecasts", forecasts))
        if name is not None
    }
    found = [open_table(workspace, name) for name in _names(workspace, books)]
    tables |= {"books" if len(found) == 1 else f"books {table.name}": table for table in found}
    known = gather(dataset, rules, tables.get("external"), found, tables.get("forecasts"), velocity, esof)
    rows = risk_rows(known.inputs, rules, factors=bool(known.factors), books=known.books)
    about = {
        "source": dataset.name,
        "made": made,
        "dataset": {"name": dataset.name, "digest": dataset.digest},
        "tables": {role: {"name": table.name, "digest": table.digest} for role, table in tables.items()},
        "made_from": [f"{dataset.name}@{dataset.digest}", *(f"{t.name}@{t.digest}" for t in tables.values())],
        "rules": rules.model_dump(mode="json"),
        "rules_hash": rules.hash,
        "room": room_digest(),
        "categories": known.categories,
        "summary": summary_of(rows),
        "notes": _notes(known, rules),
        "synthetic": dataset.synthetic,
    }
    return write_table(workspace, out, kind="risk", parts=_days(known, rows), about=about)


def _names(workspace: Workspace, text: str | None) -> list[str]:
    """The tables that ``a,b`` or ``begins_*`` names, in order."""
    names: list[str] = []
    for part in (text or "").split(","):
        if part.endswith("*"):
            found = [path.stem for path in sorted(workspace.catalog.glob("*.json")) if path.stem.startswith(part[:-1])]
            if not found:
                what = f"no table's name begins with '{part[:-1]}'"
                raise DolphinError(what, where="--books", mend="see 'dolphin data list'")
            names += found
        elif part:
            names.append(part)
    return names


def _notes(known: Known, rules: RiskRules) -> list[str]:
    notes = [f"{name} is {text}" for name, text in known.categories.items() if text.startswith("neutral")]
    if rules.reduced and known.factors:
        notes.append(f"the circuit breaker is reduced to {', '.join(rules.required)}: not that of the specification")
    return notes


def _days(known: Known, rows: Records) -> Iterator[Part]:
    ts = known.inputs.ts
    days, starts = np.unique(ts // DAY_NS, return_index=True)
    for day, low, high in zip(days, starts, np.append(starts[1:], len(ts)), strict=True):
        columns = {"ts": ts[low:high]} | {name: rows[name][low:high] for name in ROW.names or ()}
        yield format_day(int(day)), None, pl.DataFrame(columns)


def summary_of(rows: Records) -> dict[str, Any]:
    """What each category came to: share of bars below full and mean of Rm1 to Rm4, shares of postures, the breaker."""
    factors = {
        name: {"below_full": float(np.mean(rows[name] < 1.0)), "mean": float(np.mean(rows[name]))}
        for name in ("rm1", "rm2", "rm3", "rm4", "rm")
    }
    postures = {name: float(np.mean(rows["posture"] == code)) for code, name in enumerate(POSTURES)}
    breaker = {
        "ready": float(np.mean(rows["ready"])),
        "mean_signals": float(np.mean(rows["signals"])),
        "mean_boost": float(np.mean(rows["boost"])),
        "adverse_turns": int(np.count_nonzero(rows["turn"])),
    }
    return {"bars": len(rows), "factors": factors, "postures": postures, "breaker": breaker}


def risk_table(dataset: Dataset, name: str) -> Table:
    """The risk table of this name, made of this very version of the dataset.

    Raises
    ------
    DolphinError
        If there is none, it holds something else, or was made of another dataset or another version.
    """
    table = open_table(Workspace(dataset.root.parent), name)
    plain, _ = split_name(name)
    if table.kind != "risk":
        raise DolphinError(f"'{name}' holds {table.kind}, no risk rows", where="[risk] table", mend="name a risk table")
    of = table.manifest["dataset"]
    again = _BUILD.format(dataset=dataset.label, table=plain)
    if of["name"] != dataset.name:
        raise DolphinError(
            f"risk table '{name}' is of dataset '{of['name']}', not of '{dataset.name}'",
            where="[risk] table",
            mend=f"name another, or make one: {_BUILD.format(dataset=dataset.label, table='NAME')}",
        )
    if of["digest"] != dataset.digest:
        raise DolphinError(
            f"risk table '{name}' is of version {of['digest'][:16]} of '{dataset.name}', "
            f"the data in use is {dataset.digest[:16]}",
            where="[risk] table",
            mend=f"make it again: {again}",
        )
    return table


def table_rows(dataset: Dataset, name: str) -> Records:
    """(T,) of ROW: the risk rows of every bar of the dataset, from the hot cache."""
    table = risk_table(dataset, name)

    def build(writer: Writer) -> None:
        frame = table.frame().collect()
        if not (frame["ts"].to_numpy() == dataset.grid()).all():
            raise DolphinError("its bars are not those of the dataset", where=name, mend="make it again")
        out = writer.array("risk", (frame.height,), ROW)
        for column in ROW.names or ():
            out[column] = frame[column].to_numpy()

    rows: Records = dataset.cached("risk", build, table.digest)["risk"]
    return rows


def risk_columns(dataset: Dataset, config: Config) -> Records:
    """(T,) of RISK: what the step reads; neutral unless the config applies a table."""
    if config.risk.table is None:
        return neutral_risk(dataset.n_bars)
    if config.risk.mode != "apply":
        risk_table(dataset, config.risk.table)  # a name that means nothing is told in every mode
        return neutral_risk(dataset.n_bars)
    return step_columns(table_rows(dataset, config.risk.table))


def risk_document(dataset: Dataset, config: Config) -> dict[str, Any] | None:
    """What ``run.json`` says of the risk inputs; None where the config names no table."""
    if config.risk.table is None:
        return None
    table = risk_table(dataset, config.risk.table)
    return {
        "table": table.name,
        "digest": table.digest,
        "mode": config.risk.mode,
        "rules_hash": table.manifest["rules_hash"],
        "categories": dict(table.manifest["categories"]),
    }


def check_recorded(dataset: Dataset, config: Config, about: Mapping[str, Any], where: str) -> None:
    """Refuse where a run was made with another version of its risk table than its name means now."""
    if config.risk.table is None:
        return
    stated, now = (about.get("risk") or {}).get("digest"), risk_table(dataset, config.risk.table).digest
    if stated != now:
        raise DolphinError(
            f"was made with version {str(stated)[:16]} of risk table '{config.risk.table}', it is {now[:16]} now",
            where=where,
            mend=f'run it again, or name the version: [risk] table = "{split_name(config.risk.table)[0]}@DIGEST"',
        )
