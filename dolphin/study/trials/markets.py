"""Which datasets are one market: told by how their prices move, not by their names.

Of every dataset that is looked at, the hourly return of the median symbol is kept beside the registry
(``experiments/markets/``), also when the dataset is gone. Two are one market if these agree at any lag: a copy under
another name, moved in time, at another spacing, of other symbols or a part of it is no other market.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog import Dataset
from dolphin.core.logarithm import ln_array
from dolphin.core.records import Floats, Ints
from dolphin.files import publish
from dolphin.times import SECOND_NS
from dolphin.workspace import Workspace

#: What a series is as a sum of waves.
Waves = NDArray[np.complex128]

HOUR_NS = 3600 * SECOND_NS

#: An hour is sampled at every fifth minute where bars are as short, so that a copy moved by minutes is found.
PHASE_NS = 300 * SECOND_NS

#: Hours in common from which a correlation is told, and the one from which two are one market.
LEAST_HOURS, ALIKE = 120, 0.6

#: Moves are clipped at so many median absolute deviations.
CLIP = 6.0


def sketch(dataset: Dataset) -> tuple[Ints, Floats]:
    """Times (n,) and log return of the median symbol over the hour before each (n,); empty for bars above an hour."""
    step = max(PHASE_NS, dataset.spacing_ns)
    if HOUR_NS % step or step % dataset.spacing_ns:
        step = HOUR_NS
    if dataset.spacing_ns > HOUR_NS:
        return np.zeros(0, np.int64), np.zeros(0)
    prices = dataset.prices()
    times = np.arange(-(-int(prices.ts[0]) // step), int(prices.ts[-1]) // step + 1) * step
    if dataset.spacing_ns == HOUR_NS:  # closes may lie off the full hour
        times = prices.ts
    rows = np.searchsorted(prices.ts, times, "right") - 1
    fresh = (rows >= 0) & (times - prices.ts[rows] < step)
    times, rows = times[fresh], rows[fresh]
    before = np.searchsorted(times, times - HOUR_NS)
    whole = times[np.minimum(before, len(times) - 1)] == times - HOUR_NS
    moves = np.full(len(times), np.nan)
    for low in range(0, len(times), 16_384):
        part = np.flatnonzero(whole[low : low + 16_384]) + low
        if len(part):
            ratio = np.asarray(prices.close[rows[part]]) / prices.close[rows[before[part]]]
            known = ~np.isnan(ratio).all(axis=1)
            moves[part[known]] = np.nanmedian(ln_array(np.ascontiguousarray(ratio[known])), axis=1)
    known = ~np.isnan(moves)
    times, moves = times[known], moves[known]
    if len(moves):
        middle = np.median(moves)
        spread = np.median(np.abs(moves - middle))
        if spread > 0.0:
            moves = np.clip(moves, middle - CLIP * spread, middle + CLIP * spread)
    return times, moves


def remember(workspace: Workspace, dataset: Dataset) -> Path:
    """Keep the sketch of a dataset, if it is not kept yet."""
    path = _path(workspace, dataset.digest)
    if not path.is_file():
        times, moves = sketch(dataset)
        with publish(path) as part:
            pl.DataFrame({"ts": times, "move": moves}).write_parquet(part, compression="zstd")
    return path


def lag_between(workspace: Workspace, digest: str, other: str) -> int | None:
    """What to add to times of ``other`` to have those of ``digest`` (ns), if both are one market; else None.

    Of what is not known, or has under :data:`LEAST_HOURS` hours, the calendar tells: the lag is 0.
    """
    if digest == other:
        return 0
    one, two = _path(workspace, digest), _path(workspace, other)
    if not one.is_file() or not two.is_file():
        return 0
    return _lag_of_files(one, two)


@lru_cache(maxsize=256)
def _lag_of_files(one: Path, two: Path) -> int | None:
    frames = [pl.read_parquet(path) for path in (one, two)]
    return lag_of(*((frame["ts"].to_numpy(), frame["move"].to_numpy()) for frame in frames))


def lag_of(one: tuple[Ints, Floats], two: tuple[Ints, Floats]) -> int | None:
    """The lag at which two sketches agree best, if by :data:`ALIKE` or more; see :func:`lag_between`."""
    if min(_hours(one[0]), _hours(two[0])) < LEAST_HOURS:
        return 0
    phases, counts = np.unique(one[0] % HOUR_NS, return_counts=True)
    mine = _series(*one, int(phases[counts.argmax()]))
    best, lag = 0.0, 0
    for phase in np.unique(two[0] % HOUR_NS).tolist():
        other = _series(*two, int(phase))
        found, shift = _best_correlation(mine[1], other[1])
        if found > best + 1e-9:
            best, lag = found, mine[0] - other[0] + shift * HOUR_NS
    return lag if best >= ALIKE else None


def _hours(times: Ints) -> int:
    return len(np.unique(times // HOUR_NS))


def _series(times: Ints, moves: Floats, phase: int) -> tuple[int, Floats]:
    """Time of the first hour of a phase, and its moves hour by hour, NaN where there is none."""
    mine = times % HOUR_NS == phase
    hours = times[mine] // HOUR_NS
    dense = np.full(int(hours[-1] - hours[0]) + 1, np.nan)
    dense[hours - hours[0]] = moves[mine]
    return int(hours[0]) * HOUR_NS + phase, dense


def _best_correlation(one: Floats, two: Floats) -> tuple[float, int]:
    """The largest |correlation| over all lags with enough in common, and by how many places ``two`` is behind."""
    size = 1 << (len(one) + len(two)).bit_length()

    def transformed(values: Floats) -> tuple[Waves, ...]:
        mask = ~np.isnan(values)
        scaled = np.where(mask, values - np.nanmean(values), 0.0) / (np.nanstd(values) or 1.0)
        return tuple(np.fft.rfft(part, size) for part in (mask.astype(np.float64), scaled, scaled**2))

    (m1, x1, s1), (m2, x2, s2) = transformed(one), transformed(two)

    def together(a: Waves, b: Waves) -> Floats:
        return np.asarray(np.fft.irfft(a * np.conj(b), size))

    count = np.round(together(m1, m2))
    enough = count >= LEAST_HOURS
    if not enough.any():
        return 0.0, 0
    count = np.where(enough, count, 1.0)
    sum1, sum2 = together(x1, m2), together(m1, x2)
    cross = together(x1, x2) - sum1 * sum2 / count
    spread1 = together(s1, m2) - sum1**2 / count
    spread2 = together(m1, s2) - sum2**2 / count
    known = enough & (spread1 > 1e-6 * count) & (spread2 > 1e-6 * count)
    found = np.where(known, np.abs(cross) / np.sqrt(np.where(known, spread1 * spread2, 1.0)), 0.0)
    place = int(found.argmax())
    return float(found[place]), place if place < size // 2 else place - size


def overlapping(first: int, last: int, other_first: int, other_last: int, lag: int) -> bool:
    """Whether two spans of closes overlap, the other moved by ``lag``."""
    return other_first + lag <= last and other_last + lag >= first


def _path(workspace: Workspace, digest: str) -> Path:
    return workspace.experiments / "markets" / f"{digest[:32]}.parquet"
