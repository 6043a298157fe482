"""What every plug-in feature must keep: one suite, for tests of one's own and for ``dolphin check feature``.

>>> from dolphin.features.conformance import conform  # doctest: +SKIP
>>> assert conform(MY_FEATURE, ts, close).passed  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dolphin.core.jit import checked
from dolphin.core.logarithm import ln_array
from dolphin.core.records import DAY_NS, Floats, Ints
from dolphin.errors import DolphinError
from dolphin.features.plugin import Feature, FeatureStream, compiled, compute, replay

CUTS = 6  # bars after which another future is tried, and starts of later histories
LONGER = 3  # warm-ups of rows that the stated warm-up is compared with, beside its own
GUARD = 64  # numbers on either side of state and output that no feature may read or write


class Rule(NamedTuple):
    """One rule: whether it held, and if not, the first bar (row) that broke it, and how."""

    name: str
    passed: bool
    detail: str
    bar: int | None = None


@dataclass(frozen=True)
class Conformance:
    """All rules of one feature; those after one that keeps it from running at all are left out."""

    feature: str
    rules: tuple[Rule, ...]

    @property
    def passed(self) -> bool:
        """Whether every rule held."""
        return all(rule.passed for rule in self.rules)

    def __str__(self) -> str:
        return "\n".join(f"{'ok    ' if r.passed else 'FAILED'}  {r.name}: {r.detail}" for r in self.rules)

    def as_dict(self) -> dict[str, Any]:
        """Plain types for JSON."""
        return {"feature": self.feature, "passed": self.passed, "rules": [rule._asdict() for rule in self.rules]}


@dataclass(frozen=True)
class _Case:
    """The feature, the rows it is tried on, its values there, and where days begin."""

    feature: Feature
    ts: Ints
    close: Floats
    inputs: Floats
    plain: Floats
    days: list[int]

    def on(self, low: int, high: int) -> Floats:
        """The values when only rows ``low`` to ``high`` are known."""
        return compute(self.feature, self.ts[low:high], self.close[low:high], self.inputs[low:high])

    def settled(self, low: int) -> int:
        """The first row whose value does not depend on whether data began at ``low`` or before: a day's
        first bar with the warm-up before it."""
        return next((day for day in self.days if day - low >= self.feature.warmup_bars), len(self.ts))

    def cuts(self) -> list[int]:
        """Rows spread over the settled ones."""
        first = self.settled(0)
        return sorted({int(row) for row in np.linspace(first, len(self.ts) - 2, CUTS)})


def conform(feature: Feature, ts: Ints, close: Floats, inputs: Floats | None = None) -> Conformance:
    """Try every rule on these rows (shapes as for :func:`dolphin.features.plugin.compute`).

    Raises
    ------
    DolphinError
        If ``feature`` is none, does not compile, or the rows are too few to tell: the warm-up, then the
        first bar of a UTC day, and some bars of that day.
    """
    if not isinstance(feature, Feature):
        raise DolphinError(f"{type(feature).__name__} is no Feature", mend="make one with dolphin.features.Feature")
    inputs = np.empty((len(ts), 0)) if inputs is None else inputs
    days = [0, *(np.flatnonzero(np.diff(ts // DAY_NS)) + 1).tolist()]
    enough = next((day + 10 for day in days if day >= feature.warmup_bars), None)
    if enough is None or enough > len(ts):
        raise DolphinError(
            f"{len(ts)} bars are too few to check feature '{feature.name}'",
            mend=f"give {feature.warmup_bars} warm-up bars, then a UTC day's first bar and ten more",
        )
    bounds = _bounds(feature, ts, close, inputs)
    if not bounds.passed:  # what lies outside its arrays is not ours to run it on
        return Conformance(feature.name, (bounds,))
    rules = [bounds]
    try:
        case = _Case(feature, ts, close, inputs, compute(feature, ts, close, inputs), days)
        for rule in (_deterministic, _streaming, _later, _append_only, _look_ahead, _warm_up, _missing):
            rules.append(rule(case))
    except DolphinError as error:
        rules.append(Rule("no exception", False, str(error)))
    return Conformance(feature.name, tuple(rules))


def _bounds(feature: Feature, ts: Ints, close: Floats, inputs: Floats) -> Rule:
    """It reads and writes inside its arrays: checked by the compiler, and by guards for what it calls."""
    name = "stays inside its arrays"
    safe = compiled(feature, checked(feature.update.py_func), "checked")  # type: ignore[attr-defined]
    rows = min(len(ts), 2 * feature.warmup_bars + 10)
    size, columns = len(feature.new_state(close.shape[1])), len(feature.names)
    for loop in (safe, feature.advance):
        runs = []
        for guard in (7.25, -3.5e9):
            state, out = np.full(size + 2 * GUARD, guard), np.full((1, columns + 2 * GUARD), guard)
            price, log_price = np.full((3, close.shape[1]), guard), np.full((3, close.shape[1]), guard)
            given = np.full((3, inputs.shape[1]), guard)
            inner, target = state[GUARD : GUARD + size], out[:, GUARD : GUARD + columns]
            inner[:] = 0.0
            values = np.empty((rows, columns))
            for t in range(rows):
                price[1], given[1] = close[t], inputs[t]
                log_price[1] = ln_array(close[t])
                target[:] = np.nan
                try:
                    loop(
                        ts[t : t + 1].astype(np.int64), price[1:2], log_price[1:2], given[1:2], inner, target
                    )  # fmt: skip
                except DolphinError as error:
                    return Rule(name, False, f"{error} at bar {t}, with a state of {size}", t)
                values[t] = target[0]
                outside = (state[:GUARD], state[GUARD + size :], out[0, :GUARD], out[0, GUARD + columns :])
                if any((part != guard).any() for part in outside):
                    return Rule(name, False, f"bar {t} writes outside its state of {size} or {columns} columns", t)
            runs.append(values)
        row = _first_difference(*runs)
        if row is not None:
            return Rule(name, False, f"the value of bar {row} depends on what lies outside its arrays", row)
    return Rule(name, True, f"{rows} bars, a state of {size} numbers")


def _deterministic(case: _Case) -> Rule:
    """The same bits again, and with days side by side."""
    for threads in (1, 3):
        again = compute(case.feature, case.ts, case.close, case.inputs, threads=threads)
        row = _first_difference(case.plain, again)
        if row is not None:
            return Rule("deterministic", False, f"another run on {threads} threads differs from bar {row} on", row)
    return Rule("deterministic", True, f"{len(case.ts)} bars again, and on three threads: the same bits")


def _streaming(case: _Case) -> Rule:
    """One bar at a time gives the batch's bits, also after a warm-up from stored rows inside a day."""
    name = "streaming is the batch"
    starts = [0, *case.cuts()[1:2]]
    for start in starts:
        stream = FeatureStream(case.feature, case.close.shape[1])
        stream.warm(case.ts[:start], case.close[:start], case.inputs[:start])
        values = np.empty_like(case.plain[start:])
        for k, row in enumerate(range(start, len(case.ts))):
            values[k] = stream.update(int(case.ts[row]), case.close[row], case.inputs[row])
        found = _first_difference(case.plain[start:], values)
        if found is not None:
            return Rule(name, False, f"bar {start + found} differs in a stream that began at {start}", start + found)
    return Rule(name, True, f"bit for bit from bar {starts[0]} and from bar {starts[-1]}")


def _later(case: _Case) -> Rule:
    """A history that begins later gives the same bits from the first day with a whole warm-up before it."""
    name, tried = "started later, same bits", 0
    for low in case.cuts():
        first = case.settled(low)
        if first < len(case.ts):
            tried += 1
            row = _first_difference(case.plain[first:], case.on(low, len(case.ts))[first - low :])
            if row is not None:
                return Rule(name, False, f"bar {first + row} differs when data begins at bar {low}", first + row)
    first = case.settled(0)
    low = first - case.feature.warmup_bars
    row = _first_difference(case.plain[first:], case.on(low, len(case.ts))[first - low :])
    if row is not None:
        return Rule(name, False, f"bar {first + row} differs with exactly the warm-up before its day", first + row)
    return Rule(name, True, f"{tried + 1} later starts")


def _append_only(case: _Case) -> Rule:
    """More bars do not change earlier values."""
    for cut in case.cuts():
        row = _first_difference(case.plain[: cut + 1], case.on(0, cut + 1))
        if row is not None:
            return Rule("append-only", False, f"bar {row} was another before bar {cut + 1} came", row)
    return Rule("append-only", True, f"the same bits when the data ends at {len(case.cuts())} earlier bars")


def _look_ahead(case: _Case) -> Rule:
    """Another future changes nothing up to the cut."""
    name = "no look-ahead"
    for cut in case.cuts():
        low = max(0, max(day for day in case.days if day <= cut) - case.feature.warmup_bars)
        high = min(len(case.ts), cut + 1 + 500)
        known = cut + 1 - low
        for what, close, inputs in _futures(case.close[low:high], case.inputs[low:high], known, cut):
            values = compute(case.feature, case.ts[low:high], close, inputs)[:known]
            plain = case.on(low, high)[:known]
            row = _first_difference(plain, values)
            if row is not None:
                return Rule(name, False, f"bar {low + row} changes when bars after {cut} are {what}", low + row)
    return Rule(name, True, f"bars after {len(case.cuts())} cuts altered, shuffled and missing: the same bits")


def _futures(close: Floats, inputs: Floats, known: int, seed: int) -> Iterator[tuple[str, Floats, Floats]]:
    random = np.random.default_rng(seed)
    for what in ("altered", "shuffled", "missing"):
        prices, given = np.array(close), np.array(inputs)
        later = len(close) - known
        if what == "altered":
            prices[known:] *= random.uniform(0.5, 1.5, prices[known:].shape)
            given[known:] *= random.normal(0.0, 3.0, given[known:].shape)
        elif what == "shuffled":
            order = known + random.permutation(later)
            prices[known:], given[known:] = prices[order], given[order]
        else:
            prices[known:], given[known:] = np.nan, np.nan
        yield what, prices, given


def _warm_up(case: _Case) -> Rule:
    """NaN before the stated warm-up, a number after it, and not another one with a longer warm-up."""
    name, warm = "warm-up stated and true", case.feature.warmup_bars
    if not np.isnan(case.plain[:warm]).all():
        row = int(np.flatnonzero(~np.isnan(case.plain[:warm]).all(axis=1))[0])
        return Rule(name, False, f"bar {row} has a value before {warm} bars", row)
    good = np.isfinite(case.close).all(axis=1) & np.isfinite(case.inputs).all(axis=1)
    bad_until = np.maximum.accumulate(np.where(good, -1, np.arange(len(good))))
    day = np.array(case.days)[np.searchsorted(case.days, np.arange(len(good)), side="right") - 1]
    judged = (bad_until < np.maximum(day - warm, 0)) & (np.arange(len(good)) >= warm)
    wrong = np.flatnonzero(judged & ~np.isfinite(case.plain).all(axis=1))
    if len(wrong):
        row = int(wrong[0])
        what = ", ".join(f"{n} = {v}" for n, v in zip(case.feature.names, case.plain[row].tolist(), strict=True))
        return Rule(name, False, f"bar {row} is no number ({what}) {warm} or more good bars after the start", row)
    largest = np.nanmax(np.abs(case.plain), axis=0, initial=0.0, where=np.isfinite(case.plain))
    compared = 0
    for first in case.days:
        longer = first - warm * (1 + LONGER)
        if longer < 0 or bad_until[first] >= longer:
            continue
        compared += 1
        last = min(len(case.ts), first + warm + 100)
        state = case.feature.new_state(case.close.shape[1])
        rows = (case.ts, case.close, case.inputs)
        replay(case.feature, state, *rows, longer, first)
        values = replay(case.feature, state, *rows, first, last)
        gap = np.abs(values - case.plain[first:last])
        far = np.flatnonzero((gap > case.feature.tolerance * largest).any(axis=1))
        if len(far):
            row = int(far[0])
            share = float(np.max(gap[row] / np.where(largest > 0.0, largest, 1.0)))
            return Rule(
                name,
                False,
                f"bar {first + row} differs by {share:.1e} of the largest value from one that had "
                f"{1 + LONGER} times the stated {warm} bars; allowed is {case.feature.tolerance:.1e}",
                first + row,
            )
    if not judged.any():
        return Rule(name, False, f"no bar has {warm} bars with every price before its day: nothing to judge by")
    return Rule(
        name,
        True,
        f"NaN in the first {warm} bars, numbers at {int(judged.sum())} bars after them; "
        f"{compared} days' first bars agree with a warm-up {1 + LONGER} times as long",
    )


def _missing(case: _Case) -> Rule:
    """Prices that are missing raise nothing, and a day that they do not reach is as it was."""
    name = "missing prices"
    first = case.settled(0)
    ts = case.ts[: first + 5000]
    close, inputs = np.array(case.close[: len(ts)]), np.array(case.inputs[: len(ts)])
    end = max(1, first - case.feature.warmup_bars)
    close[:end] = np.nan  # nothing has a price yet
    close[:, ::3] = np.where(np.arange(len(close))[:, None] < end // 2, np.nan, close[:, ::3])
    inputs[:end] = np.nan
    values = compute(case.feature, ts, close, inputs)
    if end == first - case.feature.warmup_bars:
        row = _first_difference(case.plain[first : len(ts)], values[first:])
        if row is not None:
            return Rule(name, False, f"bar {first + row} depends on prices before its day's warm-up", first + row)
    compute(case.feature, ts, np.full_like(close, np.nan), inputs)
    return Rule(name, True, "no exception without prices, and the first whole day is as it was")


def _first_difference(a: Floats, b: Floats) -> int | None:
    """The first row that is not the same bit for bit; any NaN is as good as another."""
    same = (a.view(np.uint64) == b.view(np.uint64)) | (np.isnan(a) & np.isnan(b))
    rows = np.flatnonzero(~same.all(axis=1))
    return int(rows[0]) if len(rows) else None
