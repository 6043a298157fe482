"""Which archive files a span of days needs, and bringing them here."""

from __future__ import annotations

import calendar
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import groupby
from pathlib import Path

from dolphin.catalog.pull.binance import ARCHIVE, INTERVALS, MARKETS, Binance
from dolphin.catalog.pull.fetch import Fetcher, Unreachable, address
from dolphin.catalog.store.instruments import check_symbol
from dolphin.errors import DolphinError, nearest
from dolphin.files import write_bytes
from dolphin.locks import hold
from dolphin.progress import Progress
from dolphin.times import DAY_NS, format_day
from dolphin.workspace import Workspace

#: The archive publishes a day some hours after its end: so many days back, REST stands in for it.
RECENT_DAYS = 7
DAY_MS = DAY_NS // 1_000_000


@dataclass
class PullReport:
    """What a pull did.

    Attributes
    ----------
    folder : Path
        Where the files are, a folder per symbol; ``dolphin data import`` reads it.
    fetched, known : int
        Files that came now, and that were here before.
    provisional : list of str
        ``SYMBOL DAY`` that REST stands in for, until the archive has them.
    absent : list of str
        ``SYMBOL DAY`` that nobody has: not listed yet, or no longer.
    failed : list of str
        One line per file that could not be had; a further run tries these again.
    bytes : int
        Received from the archive.
    """

    folder: Path
    fetched: int = 0
    known: int = 0
    provisional: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    bytes: int = 0

    def add(self, part: PullReport) -> None:
        """Take in what one month brought."""
        self.fetched += part.fetched
        self.known += part.known
        self.bytes += part.bytes
        self.provisional += part.provisional
        self.absent += part.absent
        self.failed += part.failed


def pull(
    workspace: Workspace,
    symbols: Sequence[str],
    interval: str,
    start_ns: int,
    stop_ns: int,
    *,
    exchange: str = "binance",
    market: str = "um",
    archive: str | None = None,
    rest: str | None = None,
    jobs: int = 4,
    fetcher: Fetcher | None = None,
    now_ns: int | None = None,
    progress: Progress | None = None,
) -> PullReport:
    """Bring the klines of whole UTC days here; files that are here already are not fetched again.

    Parameters
    ----------
    symbols : sequence of str
        Names as the exchange writes them.
    interval : str
        Candle length, one of the exchange's.
    start_ns, stop_ns : int
        Candles that open in [start, stop), ns UTC, both at midnight; days to come are left out.
    archive, rest : str, optional
        Base addresses (default: the exchange's).
    jobs : int
        Downloads at a time.

    Raises
    ------
    DolphinError
        For a wrong argument, when the server cannot be reached, or another process pulls the same.
    """
    for what, name, known in (
        ("exchange", exchange, ("binance",)),
        ("market", market, MARKETS),
        ("interval", interval, INTERVALS),
    ):
        if name not in known:
            raise DolphinError(f"unknown {what} '{name}'", mend=nearest(name, known))
    for symbol in symbols:
        check_symbol(symbol, "--symbols")
    now = time.time_ns() if now_ns is None else now_ns
    days = _days(start_ns, stop_ns, now)
    folder = workspace.catalog / "downloads" / f"{exchange}-{market}-{interval}"
    where = MARKETS[market]
    source = Binance(where, address(archive or ARCHIVE), address(rest or where.rest))
    months = [list(group) for _, group in groupby(days, lambda day: format_day(day)[:7])]
    tasks = [(symbol, month) for symbol in sorted(set(symbols)) for month in months]
    report = PullReport(folder)
    lock = hold(folder / ".lock", busy="another process is pulling into this folder")
    with lock, fetcher or Fetcher() as client, ThreadPoolExecutor(max_workers=jobs) as pool:
        running: list[Future[PullReport]] = [
            pool.submit(_Month(source, client, folder, symbol, interval, month, now).bring) for symbol, month in tasks
        ]
        try:
            for done, future in enumerate(as_completed(running), start=1):
                report.add(future.result())
                if progress:
                    progress(done, len(tasks), "symbol months")
        except BaseException:
            client.stop.set()  # those under way keep their partial files
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    for lines in (report.provisional, report.absent, report.failed):
        lines.sort()
    return report


def _days(start_ns: int, stop_ns: int, now: int) -> range:
    """The whole UTC days of a span that have begun, as days since 1970."""
    if start_ns % DAY_NS or stop_ns % DAY_NS:
        raise DolphinError("a pull begins and ends at midnight UTC", mend="give --from and --to as dates")
    days = range(start_ns // DAY_NS, min(stop_ns, now + DAY_NS - 1) // DAY_NS)
    if not days:
        raise DolphinError("the span holds no day that has begun", mend="check --from and --to")
    return days


class _Answer(Enum):
    """What came of asking the archive for a file."""

    here = auto()
    absent = auto()
    failed = auto()


class _Month:
    """The wanted days of one symbol in one month."""

    def __init__(
        self, source: Binance, fetcher: Fetcher, folder: Path, symbol: str, interval: str, days: list[int], now: int
    ) -> None:
        self.source, self.fetcher, self.symbol, self.interval = source, fetcher, symbol, interval
        self.home, self.days, self.now = folder / symbol, days, now
        self.month = format_day(days[0])[:7]
        self.report = PullReport(folder)

    def bring(self) -> PullReport:
        """Fetch the month as one file, or what of its days is not here."""
        if self._zip(self.month).exists():
            self.report.known += 1
        elif all(self._zip(format_day(day)).exists() for day in self.days):
            self.report.known += len(self.days)
        elif not (self._is_whole() and self._fetched(self.month) is _Answer.here):
            for day in self.days:
                self._bring_day(day)
            if all(self._zip(format_day(day)).exists() for day in self.days):
                self.report.failed.clear()  # the month's file failed, and all of its days are here
            return self.report
        self._drop_days()
        return self.report

    def _is_whole(self) -> bool:
        year, month = (int(part) for part in self.month.split("-"))
        return len(self.days) == calendar.monthrange(year, month)[1] and (self.days[-1] + 1) * DAY_NS <= self.now

    def _bring_day(self, day: int) -> None:
        date = format_day(day)
        if self._zip(date).exists():
            self.report.known += 1
            return
        answer = self._fetched(date)
        if answer is _Answer.here:
            self._csv(date).unlink(missing_ok=True)
        elif answer is _Answer.absent and self.now // DAY_NS - day > RECENT_DAYS:
            self.report.absent.append(f"{self.symbol} {date}")
        elif answer is _Answer.absent:
            self._stand_in(day, date)

    def _fetched(self, period: str) -> _Answer:
        """Get the archive's file; a failure is noted and does not stop the others."""
        url, target = self.source.url(self.symbol, self.interval, period), self._zip(period)
        try:
            stated = self.source.checksum(self.fetcher, url)
            if stated is None:
                return _Answer.absent
            self.report.bytes += self.fetcher.download(url, target, stated)
        except Unreachable:
            raise
        except DolphinError as error:
            self.report.failed.append(f"{target.name}: {error}")
            return _Answer.failed
        self.report.fetched += 1
        return _Answer.here

    def _stand_in(self, day: int, date: str) -> None:
        """The closed candles of a day that the archive does not have yet."""
        stop = min((day + 1) * DAY_MS, self.now // 1_000_000)
        try:
            lines = list(self.source.recent(self.fetcher, self.symbol, self.interval, day * DAY_MS, stop))
        except Unreachable:
            raise
        except DolphinError as error:
            self.report.failed.append(f"{self.symbol} {date}: {error}")
            return
        if lines:
            write_bytes(self._csv(date), ("\n".join(lines) + "\n").encode())
            self.report.provisional.append(f"{self.symbol} {date}")
            self.report.fetched += 1
        else:
            self.report.absent.append(f"{self.symbol} {date}")

    def _drop_days(self) -> None:
        """What a month's file holds must not lie beside it a second time."""
        if self._zip(self.month).exists():
            for path in self.home.glob(f"{self.symbol}-{self.interval}-{self.month}-*"):
                path.unlink()

    def _zip(self, period: str) -> Path:
        return self.home / self.source.file_name(self.symbol, self.interval, period)

    def _csv(self, date: str) -> Path:
        return self.home / f"{self.symbol}-{self.interval}-{date}.csv"
