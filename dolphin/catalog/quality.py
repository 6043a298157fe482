"""Quality rules on the way in: every row is kept, set aside with the rule's name, or an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog.store import VALUES
from dolphin.catalog.times import format_time
from dolphin.errors import DolphinError

PRICES = VALUES[:4]
OFF_GRID_SHARE = 0.01  # more than this share of a file off the grid: the spacing does not fit


@dataclass(frozen=True)
class Rule:
    """A reason to refuse a row.

    ``fatal`` rules are errors unless the user asked to set bad rows aside; the others always set aside.
    """

    name: str
    text: str
    fatal: bool
    broken: pl.Expr | None = None  # of one row; None where neighbours decide


# In this order: the first one that a row breaks names it.
RULES = (
    Rule("null", "missing value", True, pl.any_horizontal(pl.col(*VALUES).is_null())),
    Rule("nan", "NaN value", True, pl.any_horizontal(pl.col(*VALUES).is_nan())),
    Rule("infinite", "infinite value", True, pl.any_horizontal(pl.col(*VALUES).is_infinite())),
    Rule("price_not_positive", "price <= 0", True, pl.any_horizontal(pl.col(*PRICES) <= 0)),
    Rule("negative_volume", "volume < 0", True, pl.col("volume") < 0),
    Rule("high_below_low", "high < low", False, pl.col("high") < pl.col("low")),
    Rule(
        "outside_range",
        "open or close outside [low, high]",
        False,
        ~(pl.col("open").is_between("low", "high") & pl.col("close").is_between("low", "high")),
    ),
    Rule("off_grid", "time off the grid", False),
    Rule("duplicate", "duplicate time", True),
    Rule("unsorted", "unsorted time", True),
)
BY_NAME = {rule.name: rule for rule in RULES}


@dataclass
class Quality:
    """Counts and set-aside rows while an import runs."""

    reject: bool
    counts: dict[str, int] = field(default_factory=lambda: {rule.name: 0 for rule in RULES})
    aside: list[pl.DataFrame] = field(default_factory=list)

    def rows(self, frame: pl.DataFrame, spacing_ns: int, file: str) -> pl.DataFrame:
        """Apply the rules that concern a row alone; return the rows kept.

        Raises
        ------
        DolphinError
            On a fatal rule (unless rows are to be set aside), naming file, symbol, time and count.
        """
        broken = [(rule.name, rule.broken) for rule in RULES if rule.broken is not None]
        broken.append(("off_grid", pl.col("ts") % spacing_ns != 0))
        which = pl.coalesce(pl.when(expr).then(pl.lit(name)) for name, expr in broken).alias("rule")
        frame = frame.with_columns(which)
        bad = frame.filter(pl.col("rule").is_not_null())
        if bad.is_empty():
            return frame.drop("rule")
        off_grid = int((bad["rule"] == "off_grid").sum())
        if off_grid > OFF_GRID_SHARE * frame.height:
            raise DolphinError(
                f"the spacing does not fit: {off_grid} of {frame.height} times are off its grid",
                where=file,
                mend="check --spacing and whether files of different spacing are mixed",
            )
        for name, rows in bad.group_by("rule", maintain_order=True):
            self.refuse(str(name[0]), rows.drop("rule"), file)
        return frame.filter(pl.col("rule").is_null()).drop("rule")

    def order(self, frame: pl.DataFrame, file: str) -> None:
        """Count, or refuse, times of a symbol that go backwards within a file."""
        later = pl.col("ts").cum_max().shift(1).over("symbol")
        back = frame.filter(pl.col("ts") < later)
        if back.height:
            self.count("unsorted", back, file)

    def duplicates(self, frame: pl.DataFrame, files: Sequence[str]) -> pl.DataFrame:
        """Keep the first of equal (symbol, ts) in a frame sorted by them; ``file`` indexes ``files``."""
        twice = (pl.col("ts") == pl.col("ts").shift(1)) & (pl.col("symbol") == pl.col("symbol").shift(1))
        frame = frame.with_columns(twice.fill_null(False).alias("twice"))
        bad = frame.filter("twice")
        if bad.is_empty():
            return frame.drop("twice")
        for (index,), rows in bad.group_by("file", maintain_order=True):
            self.refuse("duplicate", rows.drop("twice"), files[index])  # type: ignore[call-overload]
        return frame.filter(~pl.col("twice")).drop("twice")

    def refuse(self, name: str, rows: pl.DataFrame, file: str) -> None:
        """Count rows that broke a rule and set them aside."""
        self.count(name, rows, file)
        columns = [pl.lit(file).alias("file"), pl.lit(name).alias("rule"), "symbol", "ts", *VALUES]
        self.aside.append(rows.select(columns))

    def count(self, name: str, rows: pl.DataFrame, file: str) -> None:
        """Count rows that broke a rule; an error where the rule is fatal."""
        rule = BY_NAME[name]
        if rule.fatal and not self.reject:
            symbol, ts = rows["symbol"][0], rows["ts"][0]
            number = f"{rows.height} row{'s' if rows.height > 1 else ''}"
            raise DolphinError(
                f"{rule.text}: {symbol}, bar closing {format_time(ts)} ({number} in this file)",
                where=file,
                mend="mend the file, or set such rows aside with --on-bad reject",
            )
        self.counts[name] += rows.height

    def rejected(self) -> pl.DataFrame:
        """All rows set aside."""
        return pl.concat(self.aside) if self.aside else pl.DataFrame()


class Gaps:
    """Missing bars per symbol, followed from day to day."""

    def __init__(self, symbols: Sequence[str], spacing_ns: int) -> None:
        self._symbols, self._spacing = list(symbols), spacing_ns
        n = len(self._symbols)
        self._first = np.full(n, -1, np.int64)
        self._last = np.full(n, -1, np.int64)
        self._count, self._longest = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._rows = np.zeros(n, np.int64)

    def add(self, column: NDArray[np.int64], ts: NDArray[np.int64]) -> None:
        """One more day: column numbers and closes, sorted by both."""
        starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
        ends = np.r_[starts[1:], column.size]
        for a, b in zip(starts, ends, strict=True):
            j, times = column[a], ts[a:b]
            if self._first[j] < 0:
                self._first[j] = times[0]
                steps = np.diff(times)
            else:
                steps = np.diff(times, prepend=self._last[j])
            self._note(j, steps // self._spacing - 1)
            self._last[j] = times[-1]
            self._rows[j] += b - a

    def _note(self, j: int, missing: NDArray[np.int64]) -> None:
        self._count[j] += int((missing > 0).sum())
        self._longest[j] = max(int(self._longest[j]), int(missing.max(initial=0)))

    def table(self, first_ts: int, last_ts: int) -> dict[str, dict[str, Any]]:
        """Per symbol: gaps, longest (bars) and share of the grid without a real price."""
        bars = (last_ts - first_ts) // self._spacing + 1
        table = {}
        for j, symbol in enumerate(self._symbols):
            edges = np.array([self._first[j] - first_ts, last_ts - self._last[j]]) // self._spacing
            self._note(j, edges)
            missing = int(bars - self._rows[j])
            table[symbol] = {
                "missing": missing,
                "gaps": int(self._count[j]),
                "longest": int(self._longest[j]),
                "share": missing / bars,
            }
        return table
