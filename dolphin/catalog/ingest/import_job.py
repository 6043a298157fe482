"""One import of bars: every file checked and spilled by day, then every day judged, rounded and written.

Memory is bounded by one piece of a file and one day.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog import readers
from dolphin.catalog.quality.gaps import Gaps
from dolphin.catalog.quality.jumps import Jumps
from dolphin.catalog.quality.report import FLAGGED_JUMPS, QUALITY, QualityReport
from dolphin.catalog.quality.rules import OUTSIDE_SPREAD, PRICES, Quality
from dolphin.catalog.store.draft import Draft
from dolphin.catalog.store.instruments import DecimalCount, load_instruments, round_prices
from dolphin.catalog.store.layout import QUOTES, Identity, writing
from dolphin.catalog.store.sessions import ALWAYS_OPEN, Calendar
from dolphin.catalog.store.sessions import calendar as sessions_of
from dolphin.errors import DolphinError, nearest
from dolphin.files import sha256_file
from dolphin.progress import Progress
from dolphin.times import DAY_NS, format_day, format_spacing, format_time, is_spacing

REFERENCE = "BTCUSDT"  # where the data has it and none is named
FIT_SHARE = 0.1  # of a symbol's steps must be one spacing, else the spacing does not fit


class ImportJob:
    """State of one import between its two passes."""

    def __init__(
        self,
        draft: Draft,
        files: Sequence[tuple[Path, str]],
        quality: Quality,
        grid: Calendar,
        spacing_ns: int | None,
        symbols: Sequence[str] | None,
        infer: bool,
        columns: Mapping[str, str] | None = None,
        stamped: str = "open",
    ) -> None:
        self.draft, self.quality, self.grid = draft, quality, grid
        self.columns, self.stamped = columns, stamped
        self.files = [path for path, _ in files]
        self.labels = dict(files)
        self._spacing: int | None = None
        if spacing_ns is not None:
            self._settle(spacing_ns)
        self.wanted = tuple(sorted(set(symbols))) if symbols is not None else None
        self.infer = infer
        self.decimals = DecimalCount()
        self.parts: dict[int, list[Path]] = {}
        self.known: set[str] = set()
        self.seen: set[str] = set()
        self.steps: Counter[tuple[str, int]] = Counter()
        self.lineage: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self._chosen: str | None = None
        self._told: dict[str, list[str]] = {}
        self.rounded = 0
        self.rows = 0
        self.quoted = False  # some row of some file has a bid or an ask
        self.jumps: Jumps
        self.gaps: Gaps

    @property
    def spacing(self) -> int:
        """Bar spacing in ns, once it is told."""
        assert self._spacing is not None
        return self._spacing

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the dataset, once it is identified."""
        assert self.draft.identity is not None
        return self.draft.identity.symbols

    @property
    def span(self) -> tuple[int, int]:
        """First and last close of the dataset."""
        days = self.draft.days.values()
        return min(e["first_ts"] for e in days), max(e["last_ts"] for e in days)

    def spill(self, start_ns: int | None, stop_ns: int | None, allow_pickle: bool, progress: Progress | None) -> None:
        """First pass: every piece of every file read, checked and parted by the day of the close."""
        opened = readings_of(self.files, "bars", allow_pickle, progress, self.columns)
        for index, (path, reading) in enumerate(opened):
            read = 0
            for note in reading.notes:
                self._told.setdefault(note, []).append(self.labels[path])
            for number, frame in enumerate(self._pieces(reading.frames, path)):
                if self.stamped == "open":
                    frame = frame.with_columns(pl.col("ts") + self.spacing)
                if start_ns is not None:
                    frame = frame.filter(pl.col("ts") >= start_ns)
                if stop_ns is not None:
                    frame = frame.filter(pl.col("ts") < stop_ns)
                read += frame.height
                frame = self.quality.rows(frame, self.spacing, str(path))
                self.quality.order(frame, str(path), first=number == 0)
                self._spill(frame, index, number)
            self.lineage.append({"file": self.labels[path], "sha256": sha256_file(path), "rows": read})
        for note, files in self._told.items():
            self.notes.append(f"{files[0]}{f' and {len(files) - 1} more' if files[1:] else ''}: {note}")

    def _spill(self, frame: pl.DataFrame, index: int, number: int) -> None:
        if frame.is_empty():
            return
        self.seen.update(frame["symbol"].unique().to_list())
        if self.infer:
            self._count_decimals(frame)
        self.quoted |= any(not frame[name].is_null().all() for name in QUOTES if name in frame.columns)
        day = self.quality.day_of(frame["ts"]).alias("day")
        frame = frame.with_columns(pl.lit(index, pl.Int32).alias("file"), day)
        for (day_number,), part in frame.group_by("day", maintain_order=True):
            target = self.draft.stage / f"{day_number}-{index}-{number}.arrow"
            with writing(target):
                part.drop("day").write_ipc(target)
            self.parts.setdefault(int(day_number), []).append(target)  # type: ignore[call-overload]

    def _pieces(self, frames: Iterable[pl.DataFrame], path: Path) -> Iterator[pl.DataFrame]:
        """The rows that are wanted, once the spacing is told; every symbol of every file is held to it."""
        held: list[pl.DataFrame] = []
        self.steps.clear()
        for frame in frames:
            self.known.update(frame["symbol"].drop_nulls().unique().to_list())
            if self._spacing is None:
                self._tell_spacing(frame, path)
            if self.wanted is not None:
                frame = frame.filter(pl.col("symbol").is_in(self.wanted))
            held.append(frame)
            if self._spacing is not None:
                for piece in held:
                    self._hold_spacing(piece, path)
                yield from held
                held = []
        if self._spacing is None:
            raise DolphinError("too few rows to tell the spacing", where=str(path), mend="give it: --spacing 5m")

    def _tell_spacing(self, frame: pl.DataFrame, path: Path) -> None:
        """The most frequent step of the first piece that has any."""
        steps = _steps(frame).group_by("step").agg(pl.col("len").sum()).sort("len", "step", descending=[True, False])
        if steps.is_empty():
            return
        step = int(steps["step"][0])
        if not is_spacing(step):
            raise DolphinError(
                f"its steps of {step / 1e9:g} s neither divide a day nor are a week",
                where=str(path),
                mend="give the spacing of the bars: --spacing 5m",
            )
        self._settle(step)

    def _settle(self, spacing_ns: int) -> None:
        """The spacing is known, and with it what a session is: daily bars are of one as a whole."""
        self._spacing = spacing_ns
        self.grid = sessions_of(self.grid.name, spacing_ns)
        self.quality.day_of = self.grid.days_of

    def _hold_spacing(self, frame: pl.DataFrame, path: Path) -> None:
        for symbol, step, number in _steps(frame).iter_rows():
            self.steps[symbol, step] += number
        total: Counter[str] = Counter()
        for (symbol, _), number in self.steps.items():
            total[symbol] += number
        for symbol in sorted(total):
            fits = self.steps[symbol, self.spacing]
            if fits < FIT_SHARE * total[symbol] and total[symbol] >= 3:
                usual = max((n, -step) for (name, step), n in self.steps.items() if name == symbol)
                raise DolphinError(
                    f"spacing {format_spacing(self.spacing)} does not fit: "
                    f"{symbol} has steps of {format_spacing(-usual[1])}",
                    where=str(path),
                    mend="check --spacing; a dataset has one spacing",
                )

    def _count_decimals(self, frame: pl.DataFrame) -> None:
        for (symbol,), rows in frame.group_by("symbol"):
            for column in PRICES:
                self.decimals.add(str(symbol), "price", rows[column].to_numpy())
            self.decimals.add(str(symbol), "volume", rows["volume"].to_numpy())

    def identify(
        self, instruments: Path | None, reference: str | None, source: str, listed: Sequence[str] | None
    ) -> None:
        """Symbols, reference and instruments of the dataset, once all rows are known."""
        for symbol in self.wanted or listed or ():
            if symbol not in self.known:
                raise DolphinError(f"unknown symbol '{symbol}'", where=source, mend=nearest(symbol, self.known))
        if not self.seen:
            raise DolphinError("no row is left", where=source, mend="check --from, --to and the data")
        symbols = tuple(sorted(self.seen))
        if reference is None:
            reference = REFERENCE if REFERENCE in symbols else symbols[0]
            if reference != REFERENCE and len(symbols) > 1:
                self._chosen = f"the reference symbol is {reference}, the first; another: --reference SYMBOL"
        if reference not in self.seen:
            closest = difflib.get_close_matches(reference, symbols, n=1, cutoff=0.0)[0]
            raise DolphinError(
                f"the reference symbol {reference} is not in the data",
                where=source,
                mend=f"choose one that is: --reference {closest}",
            )
        if instruments is not None:
            found = load_instruments(instruments, symbols)
        else:
            found = tuple(self.decimals.instrument(symbol) for symbol in symbols)
        self.draft.identity = Identity(self.spacing, symbols, reference, found, calendar=self.grid.name,
                                       quotes=self.quoted)  # fmt: skip
        self.gaps = Gaps(symbols)

    def write(self, reject_jumps: bool, progress: Progress | None) -> None:
        """Second pass: each day merged, duplicates refused, jumps found, prices rounded, written."""
        names = [str(path) for path in self.files]
        kinds = pl.Enum(list(self.symbols))
        pending: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None
        for done, (day, parts) in enumerate(sorted(self.parts.items())):
            if progress:
                progress(done, len(self.parts), f"writing {format_time(day * DAY_NS)[:10]}")
            frame = pl.concat([pl.read_ipc(p) for p in parts], how="diagonal")
            if self.quoted:  # rows of files without quotes have none
                frame = frame.with_columns(pl.lit(None, pl.Float64).alias(q) for q in QUOTES if q not in frame.columns)
            frame = frame.sort("symbol", "ts", "file", maintain_order=True)
            frame = self.quality.duplicates(frame, names)
            frame = self._judge(frame, frame["symbol"].cast(kinds).to_physical().to_numpy(), names, reject_jumps)
            for part in parts:
                part.unlink()
            if frame.is_empty():
                continue
            column = frame["symbol"].cast(kinds).to_physical().to_numpy().astype(np.int64)
            frame = self._round(frame, column, names)
            if pending is not None:  # the last day is known as such when none follows
                self._count_gaps(*pending, day)
            pending = (day, column, frame["ts"].to_numpy())
            self.rows += frame.height
            self.draft.write_day(day, frame)
            read = sorted(self.labels[self.files[k]] for k in frame["file"].unique())
            self.draft.days[format_day(day)]["sources"] = read
        if pending is None:
            raise DolphinError("no row is left", where=names[0], mend="check the limits and the data")
        self._count_gaps(*pending, None)
        if progress:
            progress(len(self.parts), len(self.parts), "written")

    def _judge(self, frame: pl.DataFrame, column: NDArray[np.int64], names: list[str], reject: bool) -> pl.DataFrame:
        """Count the jumps of a day, and set the stray prices aside where that is asked for."""
        jumps, stray = self.jumps.add(column, frame)
        for (index,), rows in frame[jumps].group_by("file", maintain_order=True):
            self.quality.count("price_jump", rows, names[index])  # type: ignore[call-overload]
        if not reject or not stray.size:
            return frame
        for (index,), rows in frame[stray].group_by("file", maintain_order=True):
            self.quality.refuse("price_jump", rows, names[index], count=False)  # type: ignore[call-overload]
        keep = np.ones(frame.height, bool)
        keep[stray] = False
        return frame.filter(pl.Series(keep))

    def _round(self, frame: pl.DataFrame, column: NDArray[np.int64], names: list[str]) -> pl.DataFrame:
        """Prices at the precision of their instruments."""
        assert self.draft.identity is not None
        precision = np.array([i.price_precision for i in self.draft.identity.instruments])
        prices = (*PRICES, *QUOTES) if self.quoted else PRICES
        rounded = {c: frame[c].to_numpy().copy() for c in prices}
        for places in np.unique(precision[column]):
            of = precision[column] == places
            for values in rounded.values():
                at = of & ~np.isnan(values)  # no quote
                before = values[at]
                values[at] = round_prices(before, int(places))
                self.rounded += int((values[at] != before).sum())
        if any((values <= 0).any() for values in rounded.values()):
            raise DolphinError(
                "a price rounds to zero at its instrument's precision",
                where=names[int(frame["file"][0])],
                mend="give finer price_precision and price_tick with --instruments",
            )
        return frame.with_columns(pl.Series(c, values, nan_to_null=True) for c, values in rounded.items())

    def _count_gaps(self, day: int, column: NDArray[np.int64], ts: NDArray[np.int64], following: int | None) -> None:
        """Gaps of a day and of the days without any row before the ``following`` one (None: it is the last)."""
        for each in self.grid.days(day, following if following is not None else day + 1):
            closes = self.grid.closes_of(each, self.spacing)
            if each != day:
                self.gaps.add(each, closes, column[:0], ts[:0])
                continue
            if not self.gaps.bars:  # the dataset begins with its first row and ends with its last
                closes = closes[closes >= ts.min()]
            self.gaps.add(each, closes if following is not None else closes[closes <= ts.max()], column, ts)

    def keep(self, report: QualityReport) -> None:
        """Put quality, jumps and rejected rows beside the rows of the version."""
        self.draft.write_file(QUALITY, report.days.lazy())
        if report.jumps.height:
            self.draft.write_file(FLAGGED_JUMPS, report.jumps.lazy())
        for rule, rows in self.quality.set_aside().items():
            self.draft.write_file(f"rejected/{rule}.parquet", rows)

    def report(self) -> pl.DataFrame:
        """Counts per date, symbol and rule, the gaps among them."""
        return pl.concat([self.quality.report(), self.gaps.report()]).sort("date", "symbol", "rule")

    def advice(self) -> tuple[str, ...]:
        """Why rows lie in no session, and which calendar would count the gaps of such data rightly."""
        lines = [self._chosen] if self._chosen else []
        outside = self.quality.rejected["outside_session"]
        if outside:
            row = self.quality.set_aside()["outside_session"].head(1).collect()
            what = "days without a session" if self.spacing >= DAY_NS else "closes before or after trading hours"
            lines.append(
                f"{outside:,} rows lie outside the sessions of {self.grid.name} ({what}) and are set aside, the first "
                f"{row['symbol'][0]} closing {format_time(row['ts'][0])}; without --calendar all are kept"
            )
        days = {(entry["first_ts"] - 1) // DAY_NS for entry in self.draft.days.values()}
        week = {(day + 3) % 7 for day in days}  # 1970-01-01 was a Thursday; Monday is 0
        if self.grid.name == ALWAYS_OPEN and self.spacing == DAY_NS and len(days) > 9 and not week & {5, 6}:
            lines.append("no bars on Saturdays and Sundays: with --calendar NYSE (or another) these are no gaps")
        return tuple(lines)

    def summary(self) -> dict[str, Any]:
        """The quality numbers, as they go into manifest and report."""
        gaps, quality = self.gaps.table(), self.quality
        return {
            "rows": self.rows,
            "rejected": quality.rejected.total(),
            "flagged": quality.counts["price_jump"]
            - quality.rejected["price_jump"]
            + quality.counts.get(OUTSIDE_SPREAD.name, 0),
            "counts": quality.counts,
            "rounded": self.rounded,
            "missing_share": sum(g["share"] for g in gaps.values()) / len(gaps),
            "gaps": gaps,
        }


def readings_of(
    paths: Sequence[Path],
    kind: str,
    allow_pickle: bool,
    progress: Progress | None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[tuple[Path, readers.Reading]]:
    """Every file opened in its turn; all must be of one kind."""
    for index, path in enumerate(paths):
        if progress:
            progress(index, len(paths), f"reading {path.name}")
        reading = readers.read(path, allow_pickle=allow_pickle, columns=columns)
        if reading.kind != kind:
            raise DolphinError(
                f"holds {reading.kind}, the files before it {kind}",
                where=str(path),
                mend="keep one kind of data in a folder and import each under a name of its own",
            )
        yield path, reading


def _steps(frame: pl.DataFrame) -> pl.DataFrame:
    """How often each symbol has which step forward: symbol, step, len."""
    return (
        frame.drop_nulls("symbol")
        .sort("symbol", "ts")
        .select("symbol", pl.col("ts").diff().over("symbol").alias("step"))
        .filter(pl.col("step") > 0)
        .group_by("symbol", "step")
        .len()
    )
