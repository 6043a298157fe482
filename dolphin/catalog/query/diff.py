"""Where two datasets, or two versions of one, differ: identity, days, symbols, cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from dolphin.catalog.store.dataset import Dataset
from dolphin.catalog.store.layout import QUOTES, VALUES

IDENTITY = ("spacing_ns", "symbols", "reference", "instruments", "synthetic", "quotes")


@dataclass
class Difference:
    """What :func:`diff` found.

    Attributes
    ----------
    identity : dict
        What differs beside the rows: key to (value of A, value of B).
    only_a, only_b : list of str
        Days that the other has not.
    equal_days : int
        Days that both have, row for row.
    days : dict
        Day to symbol to counts: ``cells`` that differ, ``only_a`` and ``only_b`` rows.
    columns : dict
        Column to ``cells`` and ``max_difference`` (absolute).
    cells : list of dict
        The first cells: day, symbol, ts, column, a, b.
    """

    a: str
    b: str
    identity: dict[str, Any] = field(default_factory=dict)
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)
    equal_days: int = 0
    days: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    columns: dict[str, dict[str, float]] = field(default_factory=dict)
    cells: list[dict[str, Any]] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """True if nothing differs."""
        return not (self.identity or self.only_a or self.only_b or self.days)

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``."""
        return {"equal": self.equal, **vars(self)}


def diff(a: Dataset, b: Dataset, *, first: int = 20) -> Difference:
    """Compare two datasets day by day; days whose digests are equal are not read.

    Parameters
    ----------
    first : int
        How many cells to keep with both values.
    """
    found = Difference(a.label, b.label, identity=_identity(a, b))
    days_a, days_b = a.manifest["days"], b.manifest["days"]
    found.only_a = sorted(days_a.keys() - days_b.keys())
    found.only_b = sorted(days_b.keys() - days_a.keys())
    comparable = a.symbols == b.symbols  # a day's digest counts symbols, it does not name them
    for date in sorted(days_a.keys() & days_b.keys()):
        known = comparable and days_a[date]["content"] == days_b[date]["content"]
        if known or not _compare(found, date, a.day(date), b.day(date), first):
            found.equal_days += 1
    return found


def _identity(a: Dataset, b: Dataset) -> dict[str, Any]:
    """What differs beside the rows; of symbols and instruments, those that do."""
    differ: dict[str, Any] = {}
    for key in IDENTITY:
        one, two = a.manifest.get(key, False), b.manifest.get(key, False)
        if key == "symbols":
            one, two = sorted(set(one) - set(two)), sorted(set(two) - set(one))
        elif key == "instruments":
            by_a, by_b = ({entry["symbol"]: entry for entry in side} for side in (one, two))
            both = [symbol for symbol in by_a.keys() & by_b.keys() if by_a[symbol] != by_b[symbol]]
            one, two = ([side[symbol] for symbol in sorted(both)] for side in (by_a, by_b))
        if one != two:
            differ[key] = [one, two]
    return differ


def _compare(found: Difference, date: str, one: pl.DataFrame, two: pl.DataFrame, first: int) -> bool:
    """Enter what differs in one day; False if nothing does."""
    joined = one.join(two, on=["symbol", "ts"], how="full", suffix="_b", coalesce=True)
    joined = joined.join(one.select("symbol", "ts", in_a=True), on=["symbol", "ts"], how="left")
    joined = joined.join(two.select("symbol", "ts", in_b=True), on=["symbol", "ts"], how="left")
    both = pl.col("in_a").is_not_null() & pl.col("in_b").is_not_null()
    values = [name for name in (*VALUES, *QUOTES) if name in one.columns and name in two.columns]
    unequal = {name: (both & pl.col(name).ne_missing(pl.col(f"{name}_b"))) for name in values}
    joined = joined.with_columns(**{f"{name}_differs": expression for name, expression in unequal.items()})
    counts = (
        joined.group_by("symbol")
        .agg(
            cells=pl.sum_horizontal(pl.col(f"{name}_differs").sum() for name in values),
            only_a=pl.col("in_b").is_null().sum(),
            only_b=pl.col("in_a").is_null().sum(),
        )
        .filter((pl.col("cells") + pl.col("only_a") + pl.col("only_b")) > 0)
        .sort("symbol")
    )
    if counts.is_empty():
        return False
    found.days[date] = {str(row.pop("symbol")): row for row in counts.iter_rows(named=True)}
    for name in values:
        rows = joined.filter(f"{name}_differs").sort("symbol", "ts")
        if rows.is_empty():
            continue
        largest = rows.select((pl.col(name) - pl.col(f"{name}_b")).abs().max()).item()
        entry = found.columns.setdefault(name, {"cells": 0, "max_difference": 0.0})
        entry["cells"] += rows.height
        entry["max_difference"] = max(entry["max_difference"], float(largest or 0.0))  # None: quoted in one alone
        for row in rows.head(max(0, first - len(found.cells))).iter_rows(named=True):
            found.cells.append(
                {
                    "day": date,
                    "symbol": row["symbol"],
                    "ts": row["ts"],
                    "column": name,
                    "a": row[name],
                    "b": row[f"{name}_b"],
                }
            )
    return True
