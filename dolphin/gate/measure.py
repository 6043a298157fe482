"""The metrics that floors are about, each over its own window of the gate's data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dolphin.catalog import Dataset, parse_time
from dolphin.config import Config
from dolphin.core.records import Floats, Ints, Market
from dolphin.errors import DolphinError
from dolphin.gate.floors import Window
from dolphin.study.measure.run import Run, run
from dolphin.times import DAY_NS, format_time, return_day


def days_spanned(ts: Ints, start: int, stop: int, spacing_ns: int) -> float:
    """Days of 24 h from the opening of row ``start`` to the close of row ``stop - 1``, closed hours included."""
    return (int(ts[stop - 1]) - int(ts[start]) + spacing_ns) / DAY_NS


def worst_by_bar(ts: Ints, equity: Floats, capital: float, length_ns: int, spacing_ns: int) -> float:
    """The lowest return over any stretch of ``length_ns`` that ends at a bar's close; nan if there is none.

    Parameters
    ----------
    ts, equity : (bars,) int64, float64
        Closes, and the equity at each; ``capital`` is that of one spacing before the first.

    Notes
    -----
    A stretch that begins at or below zero has no return. Where an exchange was closed, a stretch begins at the last
    close before.
    """
    times = np.concatenate([[int(ts[0]) - spacing_ns], ts])
    levels = np.concatenate([[capital], equity])
    begin = np.searchsorted(times, times - length_ns, side="right") - 1
    whole = (begin >= 0) & (levels[np.maximum(begin, 0)] > 0.0)
    if not whole.any():
        return math.nan
    return float(np.min(levels[whole] / levels[begin[whole]] - 1.0))


@dataclass(frozen=True)
class Measured:
    """Metrics of one window; ``metrics`` is empty and ``problem`` says why if it cannot be measured."""

    metrics: dict[str, Any]
    start: int
    stop: int
    text: str
    problem: str = ""


@dataclass
class Measure:
    """One configuration over any window; a window is run once, from a flat account of its own.

    That is what ``dolphin backtest --from --to`` gives, so every figure can be had again by hand.
    """

    dataset: Dataset
    market: Market
    config: Config
    start: int
    stop: int
    _runs: dict[tuple[int, int], Run] = field(default_factory=dict)

    @property
    def whole(self) -> Run:
        """The run over the gate window."""
        return self._run(self.start, self.stop)

    @property
    def daily_returns(self) -> Floats:
        """(days,) of the whole window; a first bar that only ends the day before it is none of its own.

        A window that begins at midnight begins with the close of the day before: 55 days are not 56.
        """
        returns, days = self.whole.daily_returns, return_day(self.market.ts[self.start : self.start + 2])
        if len(returns) < 2 or days[0] == days[1] or self.dataset.spacing_ns >= DAY_NS:
            return returns
        return np.concatenate([[(1.0 + returns[0]) * (1.0 + returns[1]) - 1.0], returns[2:]])

    def run_of(self, start: int, stop: int) -> Run:
        """The run over rows ``start`` to ``stop``."""
        return self._run(start, stop)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Rows of every window that was run so far."""
        return list(self._runs)

    def over(self, window: Window) -> Measured:
        """The metrics of a window of the floors file."""
        if window.rolling:
            return self._rolling(window)
        start, stop, problem = self._rows(window)
        text = self._text(window, start, stop)
        if problem:
            return Measured({}, start, stop, text, problem)
        return Measured(self._run(start, stop).metrics, start, stop, text)

    def _rolling(self, window: Window) -> Measured:
        assert window.days is not None
        whole = self.whole
        ts = self.market.ts[self.start : self.stop]
        capital = self.config.account.initial_capital
        worst = worst_by_bar(ts, whole.recording.equity, capital, window.days * DAY_NS, self.dataset.spacing_ns)
        text = f"any {window.days} days of {self._text(window, self.start, self.stop)}"
        if math.isnan(worst) and int(ts[-1]) - int(ts[0]) + self.dataset.spacing_ns < window.days * DAY_NS:
            return Measured({}, self.start, self.stop, text, self._too_short(window.days))
        return Measured({"roi": worst, "trades": whole.metrics["trades"]}, self.start, self.stop, text)

    def _rows(self, window: Window) -> tuple[int, int, str]:
        """Rows of a window, and why it cannot be measured.

        The last D days are the D x 24 h up to the last close, so that data whose bars close at midnight
        is not cut a day short by its last bar; an exchange's nights and weekends count.
        """
        ts = self.market.ts
        if window.start is not None and window.stop is not None:
            start, stop = (int(np.searchsorted(ts, parse_time(t))) for t in (window.start, window.stop))
            if start >= stop or start < self.start or stop > self.stop:
                return start, stop, f"{window.start} to {window.stop} is not inside the gate window"
            return start, stop, ""
        if window.days is None:
            return self.start, self.stop, ""
        opens = int(ts[self.stop - 1]) - window.days * DAY_NS
        if opens < int(ts[self.start]) - self.dataset.spacing_ns:
            return self.start, self.stop, self._too_short(window.days)
        return int(np.searchsorted(ts, opens, side="right")), self.stop, ""

    def _too_short(self, days: int) -> str:
        have = days_spanned(self.market.ts, self.start, self.stop, self.dataset.spacing_ns)
        return f"needs {days} days of bars, the gate window has {have:.4g}"

    def _text(self, window: Window, start: int, stop: int) -> str:
        ts = self.market.ts
        if start >= stop or stop > len(ts):
            return f"{window.start} to {window.stop}"
        days = days_spanned(ts, start, stop, self.dataset.spacing_ns)
        return f"{format_time(ts[start])} to {format_time(ts[stop - 1])} ({days:.4g} days)"

    def _run(self, start: int, stop: int) -> Run:
        if (start, stop) not in self._runs:
            if not 0 <= start < stop <= len(self.market.ts):
                raise DolphinError(f"rows {start} to {stop} are not within the {len(self.market.ts)} bars")
            self._runs[start, stop] = run(self.dataset, self.market, self.config, start, stop)
        return self._runs[start, stop]
