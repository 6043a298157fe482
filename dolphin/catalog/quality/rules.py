"""Quality rules on the way in: every row is kept, flagged, set aside with the rule's name, or an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import polars.selectors as cs

from dolphin.catalog.store.instruments import SYMBOL
from dolphin.catalog.store.layout import QUOTES, VALUES, writing
from dolphin.errors import DolphinError
from dolphin.times import DAY_NS, format_time, grid_origin

PRICES = VALUES[:4]
OFF_GRID_SHARE = 0.01  # more than this share of a file off the grid: the spacing does not fit
SPILL_ROWS = 1 << 18  # set aside in memory, all rules together
GAP = "gap"  # the rows of quality.parquet that count missing bars
#: Columns of ``quality.parquet``; ``gaps`` to ``expected`` are of the rule ``gap`` alone.
REPORT = {
    "date": pl.Date, "symbol": pl.String, "rule": pl.String, "count": pl.Int64,
    "gaps": pl.Int64, "longest": pl.Int64, "expected": pl.Int64,
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A reason to refuse a row, or to look at it twice.

    ``fatal`` rules are errors unless the user asked to set bad rows aside; ``flag`` rules keep the row
    and count it; the others always set aside.
    """

    name: str
    text: str
    fatal: bool
    broken: pl.Expr | None = None  # of one row; None where neighbours or the dataset decide
    flag: bool = False

    @property
    def outcome(self) -> str:
        """What becomes of a row that breaks it, where the import goes on."""
        return "flagged" if self.flag else "put in order" if self.name == "unsorted" else "set aside"


#: Numbers and prices of a row, its quotes among them where it has any.
_NUMBERS, _PRICES = (cs.by_name(*names, *QUOTES, require_all=False) for names in (VALUES, PRICES))

# In this order: the first one that a row breaks names it.
RULES = (
    Rule("bad_symbol", "no symbol (1 to 20 capital letters or digits)", True,
         ~pl.col("symbol").str.contains(f"^{SYMBOL.pattern}$").fill_null(False)),
    Rule("unknown_symbol", "symbol that the definition does not list", False),
    Rule("null", "missing value", True, pl.any_horizontal(pl.col(*VALUES).is_null())),
    Rule("nan", "NaN value", True, pl.any_horizontal(pl.col(*VALUES).is_nan())),
    Rule("infinite", "infinite value", True, pl.any_horizontal(_NUMBERS.is_infinite())),
    Rule("price_not_positive", "price <= 0", True, pl.any_horizontal(_PRICES <= 0)),
    Rule("negative_volume", "volume < 0", True, pl.col("volume") < 0),
    Rule("high_below_low", "high < low", False, pl.col("high") < pl.col("low")),
    Rule(
        "outside_range",
        "open or close outside [low, high]",
        False,
        ~(pl.col("open").is_between("low", "high") & pl.col("close").is_between("low", "high")),
    ),
    Rule("off_grid", "time off the grid", False),
    Rule("outside_session", "outside the sessions of the calendar", False),
    Rule("duplicate", "duplicate time", True),
    Rule("unsorted", "unsorted time", True),
    Rule("price_jump", "price jump > 5 % that neither volume nor a second source confirms", False, flag=True),
)  # fmt: skip

BID_ABOVE_ASK = Rule("bid_above_ask", "bid > ask", False, pl.col("bid") > pl.col("ask"))


def outside_spread(price: str) -> Rule:
    """The rule that counts prices of this column outside the quotes of their row."""
    broken = (pl.col(price) < pl.col("bid")) | (pl.col(price) > pl.col("ask"))
    return Rule("outside_spread", "price outside the last bid and ask", False, broken, flag=True)


#: For bars that have quotes.
OUTSIDE_SPREAD = outside_spread("close")
QUOTE_RULES = (BID_ABOVE_ASK, OUTSIDE_SPREAD)
BY_NAME = {rule.name: rule for rule in (*RULES, *QUOTE_RULES)}


@dataclass
class Quality:
    """Counts and set-aside rows while an import runs.

    Attributes
    ----------
    reject : bool
        Rows that break a fatal rule are set aside too.
    stage : Path
        Folder for rows that do not fit in memory any more.
    listed : collection of str, optional
        The symbols that there may be.
    day_of : callable
        Day number (days since 1970) of bar closes, a calendar's session date; null outside its sessions.
    """

    reject: bool
    stage: Path
    day_of: Callable[[pl.Series], pl.Series]
    listed: Collection[str] | None = None
    counts: dict[str, int] = field(default_factory=lambda: {rule.name: 0 for rule in RULES})
    rejected: Counter[str] = field(default_factory=Counter)
    tally: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    _aside: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    _parts: dict[str, list[Path]] = field(default_factory=dict)
    _held: int = 0
    _latest: dict[str, int] = field(default_factory=dict)

    def rows(self, frame: pl.DataFrame, spacing_ns: int, file: str) -> pl.DataFrame:
        """Apply the rules that concern a row alone; return the rows kept.

        Raises
        ------
        DolphinError
            On a fatal rule (unless rows are to be set aside), naming file, symbol, time and count.
        """
        frame = frame.with_columns(self.day_of(frame["ts"]).alias("day"))
        own = {
            "off_grid": (pl.col("ts") - grid_origin(spacing_ns)) % spacing_ns != 0,
            "outside_session": pl.col("day").is_null(),
        }
        if self.listed is not None:
            own["unknown_symbol"] = ~pl.col("symbol").is_in(list(self.listed))
        quoted = set(QUOTES) <= set(frame.columns)
        if quoted:
            self.counts |= {rule.name: self.counts.get(rule.name, 0) for rule in QUOTE_RULES}
        tests = [(rule.name, rule.broken if rule.broken is not None else own.get(rule.name)) for rule in RULES]
        tests += [(BID_ABOVE_ASK.name, BID_ABOVE_ASK.broken)] if quoted else []
        broken = [pl.when(test).then(pl.lit(name)) for name, test in tests if test is not None]
        frame = frame.with_columns(pl.coalesce(broken).alias("rule")).drop("day")
        bad = frame.filter(pl.col("rule").is_not_null())
        off_grid = int((bad["rule"] == "off_grid").sum())
        if off_grid > OFF_GRID_SHARE * frame.height:
            raise DolphinError(
                f"the spacing does not fit: {off_grid} of {frame.height} times are off its grid",
                where=file,
                mend="check --spacing and whether files of different spacing are mixed",
            )
        for name, rows in bad.group_by("rule", maintain_order=True):
            self.refuse(str(name[0]), rows.drop("rule"), file)
        frame = frame.filter(pl.col("rule").is_null()).drop("rule")
        for rule in QUOTE_RULES if quoted else ():
            if rule.flag and rule.broken is not None and (flagged := frame.filter(rule.broken)).height:
                self.count(rule.name, flagged, file)
        return frame

    def order(self, frame: pl.DataFrame, file: str, *, first: bool = True) -> None:
        """Count, or refuse, times of a symbol that go backwards within a file, whose ``first`` frame it may be."""
        if first:
            self._latest = {}
        before = pl.col("symbol").replace_strict(self._latest, default=None, return_dtype=pl.Int64)
        later = pl.max_horizontal(pl.col("ts").cum_max().shift(1).over("symbol"), before)
        back = frame.filter(pl.col("ts") < later)
        latest = frame.group_by("symbol").agg(pl.col("ts").max())
        for symbol, ts in latest.iter_rows():
            self._latest[symbol] = max(ts, self._latest.get(symbol, ts))
        if back.height:
            self.count("unsorted", back, file)

    def duplicates(self, frame: pl.DataFrame, files: Sequence[str]) -> pl.DataFrame:
        """Keep the first of equal (symbol, ts) in a frame sorted by them; ``file`` indexes ``files``."""
        twice = (pl.col("ts") == pl.col("ts").shift(1)) & (pl.col("symbol") == pl.col("symbol").shift(1))
        return self.drop("duplicate", frame, twice.fill_null(False), files)

    def drop(self, name: str, frame: pl.DataFrame, broken: pl.Expr, files: Sequence[str]) -> pl.DataFrame:
        """Refuse the rows of a merged day for which ``broken`` holds; return the others."""
        frame = frame.with_columns(broken.alias("broken"))
        bad = frame.filter("broken")
        if bad.is_empty():
            return frame.drop("broken")
        for (index,), rows in bad.group_by("file", maintain_order=True):
            self.refuse(name, rows.drop("broken"), files[index])  # type: ignore[call-overload]
        return frame.filter(~pl.col("broken")).drop("broken")

    def refuse(self, name: str, rows: pl.DataFrame, file: str, *, count: bool = True) -> None:
        """Set aside rows that broke a rule, after counting them (unless they are already)."""
        if count:
            self.count(name, rows, file)
        quotes = [column for column in QUOTES if column in rows.columns]
        columns = [pl.lit(file).alias("file"), pl.lit(name).alias("rule"), "symbol", "ts", *VALUES, *quotes]
        self._aside.setdefault(name, []).append(rows.select(columns))
        self.rejected[name] += rows.height
        self._held += rows.height
        if self._held > SPILL_ROWS:
            self._spill()

    def count(self, name: str, rows: pl.DataFrame, file: str) -> None:
        """Count rows that broke a rule; an error where the rule is fatal."""
        rule = BY_NAME[name]
        if rule.fatal and not self.reject:
            symbol, ts = "".join(filter(str.isprintable, str(rows["symbol"][0]))), rows["ts"][0]
            number = f"{rows.height} row{'s' if rows.height > 1 else ''}"
            raise DolphinError(
                f"{rule.text}: {symbol}, bar closing {format_time(ts)} ({number} in this file)",
                where=file,
                mend="mend the file, or set such rows aside with --on-bad reject",
            )
        self.counts[name] += rows.height
        day = self.day_of(rows["ts"]).fill_null(rows["ts"] // DAY_NS)
        days = rows.select(day.alias("day"), pl.col("symbol").fill_null(""))
        for day, symbol, number in days.group_by("day", "symbol").len().iter_rows():
            self.tally[day, symbol, name] += number

    def report(self) -> pl.DataFrame:
        """Counts per day, symbol and rule (columns ``REPORT``, those of gaps empty)."""
        rows = [(day, symbol, rule, count) for (day, symbol, rule), count in self.tally.items()]
        days, symbols, rules, counts = zip(*rows, strict=True) if rows else ((), (), (), ())
        frame = pl.DataFrame({"date": pl.Series(days, dtype=pl.Int32).cast(pl.Date), "symbol": symbols,
                              "rule": rules, "count": counts})  # fmt: skip
        absent = [pl.lit(None).alias(name) for name in REPORT if name not in frame.columns]
        return frame.with_columns(absent).select(pl.col(name).cast(kind) for name, kind in REPORT.items())

    def set_aside(self) -> dict[str, pl.LazyFrame]:
        """All rows set aside, in the order of the files, by rule."""
        return {
            rule: pl.concat([pl.scan_ipc(p) for p in self._parts.get(rule, [])]
                            + [frame.lazy() for frame in self._aside.get(rule, [])], how="diagonal")
            for rule in self.rejected
        }  # fmt: skip

    def _spill(self) -> None:
        for rule, frames in self._aside.items():
            parts = self._parts.setdefault(rule, [])
            target = self.stage / f"aside-{rule}-{len(parts)}.arrow"
            with writing(target):
                pl.concat(frames, how="diagonal").write_ipc(target)
            parts.append(target)
        self._aside, self._held = {}, 0
