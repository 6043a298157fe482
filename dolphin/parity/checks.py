"""No look-ahead, no warm-up dependence, nothing rewritten (PARITY section 4).

The look-ahead check gives a run its rows one bar at a time, as live does: at every bar of the window
all later rows are missing, altered or shuffled, and the chained digest must still be that of the
plain run. So each bar is a cut, and the first bar that peeked is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.catalog import Dataset, missing_days, read_features, scan_folder
from dolphin.config import Config
from dolphin.core.digest import STAGES
from dolphin.core.engine import NO_TRADES
from dolphin.core.records import DAY_NS, MARKET_COLUMNS, Floats, Market, Words
from dolphin.errors import DolphinError
from dolphin.features import FeatureBlock, history_bars, scan, scanner_digest
from dolphin.market.assemble import choose
from dolphin.market.plugins import of_rows
from dolphin.market.scanning import day_bounds
from dolphin.parity.own_features import first_unfit, plugged, rewritten
from dolphin.study.measure.run import flat_state
from dolphin.times import format_time as iso

Progress = Callable[[int, int, str], None]

#: Rows before and after a cut that a re-scan sees: more than the longest window on either side.
BEFORE, AFTER = 1600, 800


@dataclass(frozen=True)
class CheckResult:
    """What a check found; ``detail`` is one line for people."""

    name: str
    passed: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """Plain types for JSON."""
        return asdict(self)


def lookahead(
    dataset: Dataset,
    market: Market,
    config: Config,
    start: int,
    stop: int,
    *,
    cuts: int | Sequence[int] = 4,
    seed: int = 1,
    progress: Progress | None = None,
) -> CheckResult:
    """Decisions and features up to a bar do not change with what comes after it.

    Parameters
    ----------
    market : Market
        All rows of the dataset, as the strategy of ``config`` reads them.
    start, stop : int
        Rows of the run; every one of them is a cut for the decisions.
    cuts : int or sequence of int
        How many rows (spread evenly), or which ones, are cuts for the re-scanned features.
    seed : int
        Of the altered and shuffled rows.
    """
    name = "look-ahead"
    _check_rows(market, start, stop)
    if isinstance(cuts, int):
        cuts = [int(row) for row in np.linspace(start, stop - 1, cuts + 2)[1:-1]]
    peek = first_peek(market, config, start, stop, seed=seed, progress=progress)
    if peek is not None:
        row, what = peek
        return CheckResult(
            name, False, f"the decision at bar {row} ({iso(market.ts[row])}) changes when later rows are {what}"
        )
    if progress:
        progress(3, 4, "look-ahead: features scanned again")
    for cut in cuts:
        found = _scan_peek(market, config, dataset.reference_column, int(cut), seed)
        if found is not None:
            return CheckResult(name, False, found)
    unfit = first_unfit(dataset, market, config, stop)
    if unfit is not None:
        return CheckResult(name, False, unfit)
    return CheckResult(
        name,
        True,
        f"{stop - start} bars decided with all later rows removed, altered and shuffled, "
        f"features scanned again at {len(cuts)} cuts: bit for bit the same",
    )


def first_peek(
    market: Market,
    config: Config,
    start: int,
    stop: int,
    *,
    seed: int = 1,
    days: int | None = None,
    progress: Progress | None = None,
) -> tuple[int, str] | None:
    """The first bar (row) whose decision changes with later rows, and what became of them; None if none does.

    ``days`` is the state's room for day ends, by default that of a judged run; a run that goes on for ever has none.
    """
    baseline = _digests(market, config, start, stop)
    for done, (what, later) in enumerate(_futures(market, start, stop, np.random.default_rng(seed))):
        if progress:
            progress(done, 4, f"look-ahead: later rows {what}")
        row = _first_peek(market, later, config, start, stop, baseline, cut_short=what == "removed", days=days)
        if row is not None:
            return row, what
    return None


def warmup(
    dataset: Dataset, market: Market, config: Config, start: int, stop: int, *, bars: int | None = None
) -> CheckResult:
    """Decisions do not depend on history before the stated warm-up.

    A run that starts with exactly ``history_bars(spacing) + warmup_bars(params)`` rows before it
    is compared with one that has all rows; both start flat at the same bar. That is ``start``, or
    later when there are no rows before the warm-up: without rows that one of the two lacks, the
    comparison could not fail.

    Parameters
    ----------
    bars : int, optional
        Bars to compare; by default as many as the warm-up, because what is missing fades.
    """
    name = "warm-up"
    _check_rows(market, start, stop)
    need = history_bars(dataset.spacing_ns) + int(config.strategy.warmup_bars(config.params))
    own = plugged(config)
    if own:
        unfit = first_unfit(dataset, market, config, stop)
        if unfit is not None:
            return CheckResult(name, False, unfit)
        # Their inputs are settled then, and they are from the first day after their own warm-up on.
        need += max(feature.warmup_bars for feature, *_ in own) - (-DAY_NS // dataset.spacing_ns)
    begin = start if start > need else need + min(need, max(stop - need, 0) // 2)
    if begin >= stop or begin == need:
        return CheckResult(
            name, False, f"{need} warm-up bars are stated, and only {stop} bars exist before the window's end"
        )
    stop = min(stop, begin + (bars or need))
    low = begin - need
    block = scan(market.ts[low:stop], market.price[low:stop], dataset.reference_column)
    short = _without_history(
        market, choose(block.columns(), config, of_rows(market.ts[low:stop], market.price[low:stop])), low, stop
    )
    full, cut = _digests(market, config, begin, stop), _digests(short, config, begin, stop)
    row = _first_difference(full, cut)
    if row is not None:
        return CheckResult(
            name,
            False,
            f"with the stated {need} warm-up bars only, bar {begin + row} ({iso(market.ts[begin + row])}), "
            f"{row} bars after the start, is decided differently than with all {begin}",
        )
    return CheckResult(
        name,
        True,
        f"{stop - begin} bars from {iso(market.ts[begin])}: {need} warm-up bars decide like all {begin}",
    )


def append_only(dataset: Dataset, config: Config | None = None, *, days: int = 3) -> CheckResult:
    """Stored feature rows equal a fresh scan that knows nothing after them.

    Parameters
    ----------
    config : Config, optional
        The plug-in features of its strategy are computed again too.
    days : int
        Stored days to scan again, spread evenly from the first to the last.
    """
    name, scanner = "append-only", scanner_digest()
    damaged = missing_days(dataset, scanner, deep=True)
    if damaged:
        day = scan_folder(dataset) / f"{damaged[0]}.parquet"
        return CheckResult(name, False, f"{day} (or its detail): missing, or changed since it was written")
    prices = dataset.prices()
    picks = sorted({int(n) for n in np.linspace(0, len(dataset.days) - 1, days)})
    bounds = day_bounds(dataset, prices.ts)
    for n in picks:
        low, high = bounds[n], bounds[n + 1]
        begin = max(0, low - history_bars(dataset.spacing_ns))
        block = scan(prices.ts[begin:high], prices.close[begin:high], dataset.reference_column)
        fresh = {"ts": prices.ts[low:high], **block.rows(low - begin, high - begin).columns()}
        stored = read_features(dataset, scanner, days=dataset.days[n : n + 1])
        for column in sorted(fresh.keys() | stored.keys()):
            if not _same_column(fresh.get(column), stored.get(column)):
                day = scan_folder(dataset) / f"{dataset.days[n]}.parquet"
                return CheckResult(name, False, f"{day}: column {column} is not what a scan up to that day gives")
        other = config and rewritten(dataset, config, low, high)
        if other:
            return CheckResult(name, False, other)
    dates = ", ".join(dataset.days[n] for n in picks)
    return CheckResult(
        name,
        True,
        f"{len(dataset.days)} stored days as written; {dates} scanned again without what followed: equal",
    )


def _check_rows(market: Market, start: int, stop: int) -> None:
    if not 0 <= start < stop <= len(market.ts):
        raise DolphinError(f"rows {start} to {stop} are not within the {len(market.ts)} bars")


def _digests(market: Market, config: Config, start: int, stop: int) -> Words:
    engine, state = config.engine, flat_state(config, market, start, stop)
    return engine.run(state, config.params_record(), config.friction_record(), market, start, stop).digests


def _first_peek(
    market: Market,
    later: Market,
    config: Config,
    start: int,
    stop: int,
    baseline: Words,
    *,
    cut_short: bool,
    days: int | None = None,
) -> int | None:
    """The first bar whose digest changes when the rows after it are those of ``later``.

    ``later`` is overwritten: its rows become the market's as their bar arrives. ``cut_short``
    also ends the arrays at the bar; what lies behind is still ``later``, never foreign memory.
    """
    engine = config.engine
    state = flat_state(config, market, start, stop)
    if days is not None:
        state = state._replace(day_ends=np.zeros(days))
    params, friction = config.params_record(), config.friction_record()
    stages = np.zeros(len(STAGES), np.uint64)
    step_bar, account = engine.kernels.step_bar, state.account
    pairs = list(zip(later.by_row().values(), market.by_row().values(), strict=True))
    shown = _frozen_like(later, market)
    for i in range(start, stop):
        for here, there in pairs:
            here[i] = there[i]
        known = _shortened(shown, i + 1) if cut_short else shown
        step_bar(state, params, friction, known, i, NO_TRADES, stages)
        if account["digest"][0] != baseline[i - start]:
            return i
    return None


def _futures(market: Market, start: int, stop: int, random: np.random.Generator) -> Iterator[tuple[str, Market]]:
    """Copies of the market whose rows from ``start`` on are removed, altered, shuffled."""
    for what in ("removed", "altered", "shuffled"):
        copy = market._replace(**{name: np.array(values) for name, values in market.by_row().items()})
        more = [values for name, values in copy.by_row().items() if name in MARKET_COLUMNS]
        later = slice(start, None)
        count = len(market.ts) - start
        if what == "removed":
            for values in (copy.price, copy.log_price, copy.features, *more):
                values[later] = np.nan
            copy.age[later] = -1
            copy.risk[later] = np.zeros((), copy.risk.dtype)
        elif what == "altered":
            copy.price[later] *= random.uniform(0.5, 1.5, copy.price[later].shape)
            copy.log_price[later] = np.log(copy.price[later])
            copy.features[later] *= random.normal(0.0, 3.0, copy.features[later].shape)
            for values in more:
                values[later] *= random.uniform(0.5, 1.5, values[later].shape)
            copy.risk["boost"][later] += random.uniform(0.0, 1.0, count)
            for name in ("rm", "others"):
                copy.risk[name][later] *= random.uniform(0.0, 1.0, count)
        else:
            order = start + random.permutation(count)
            for values, original in zip(copy.by_row().values(), market.by_row().values(), strict=True):
                values[later] = original[order]
        yield what, copy


def _shortened(market: Market, rows: int) -> Market:
    return market._replace(**{name: values[:rows] for name, values in market.by_row().items()})


def _frozen_like(copy: Market, original: Market) -> Market:
    """Views with the original's write flags, so that no second kernel is compiled for them."""
    views: dict[str, NDArray[Any]] = {}
    for name in Market._fields:
        views[name] = getattr(copy, name).view()
        views[name].flags.writeable = getattr(original, name).flags.writeable
    return Market(**views)


def _scan_peek(market: Market, config: Config, reference: int, cut: int, seed: int) -> str | None:
    """Scan a stretch around ``cut`` with other later prices; say what changed up to it."""
    low, high = max(0, cut + 1 - BEFORE), min(len(market.ts), cut + 1 + AFTER)
    ts, close, known = market.ts[low:high], market.price[low:high], cut + 1 - low
    random = np.random.default_rng(seed + cut)
    altered, shuffled = np.array(close), np.array(close)
    altered[known:] *= random.uniform(0.5, 1.5, altered[known:].shape)
    shuffled[known:] = shuffled[known + random.permutation(len(close) - known)]
    plain = scan(ts, close, reference)
    for what, length, prices in (
        ("removed", known, close),
        ("altered", len(ts), altered),
        ("shuffled", len(ts), shuffled),
    ):
        other = scan(ts[:length], prices[:length], reference)
        column = _differs(plain.rows(0, known), other.rows(0, known))
        if column is None and plugged(config):
            ours = choose(plain.columns(), config, of_rows(ts, close))[:known]
            theirs = choose(other.columns(), config, of_rows(ts[:length], prices[:length]))[:known]
            differ = ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs))).all(axis=0)
            column = config.strategy.columns[int(np.argmax(differ))] if differ.any() else None
        if column is not None:
            at = f"{cut} ({iso(market.ts[cut])})"
            return f"feature {column} up to bar {at} changes when later prices are {what}"
    return None


def _differs(a: FeatureBlock, b: FeatureBlock) -> str | None:
    for (name, left), right in zip(a.arrays().items(), b.arrays().values(), strict=True):
        if not _same_bits(left, right):
            return name
    return None


def _same_column(a: Floats | None, b: Floats | None) -> bool:
    return a is not None and b is not None and a.dtype == b.dtype and a.shape == b.shape and _same_bits(a, b)


def _same_bits(a: Floats, b: Floats) -> bool:
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


def _without_history(market: Market, features: Floats, low: int, stop: int) -> Market:
    """The market as it looks when data begins at row ``low``; row numbers stay, because digests hold them."""
    copy = market._replace(**{name: np.array(values[:stop]) for name, values in market.by_row().items()})
    more = [values for name, values in copy.by_row().items() if name in MARKET_COLUMNS]
    for values in (copy.price, copy.log_price, copy.features, *more):
        values[:low] = np.nan
    copy.age[:low] = -1
    copy.features[low:] = features
    return _frozen_like(copy, market)


def _first_difference(a: Words, b: Words) -> int | None:
    """Where two chained digests part; they never meet again, but a plain scan needs no proof of that."""
    rows = np.flatnonzero(a != b)
    return int(rows[0]) if len(rows) else None
