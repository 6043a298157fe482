"""How much a study's result hangs on its parameters: plateau or lonely peak, maps of pairs, stability over time.

A parameter's coordinate is the rank of its value among the values tried, from 0 to 1, so that a log scale
or another unit changes nothing; words and truth values are 0 apart if equal, else 1.

Literature: Pardo, *The Evaluation and Optimization of Trading Strategies*, 2nd ed., chapter 10 (a robust
optimum lies on a plateau); Beyer and Sendhoff, *Robust optimization - a comprehensive survey*, 2007; Bailey,
Borwein, Lopez de Prado and Zhu, *The probability of backtest overfitting*, 2015 (choosing on one half of the
blocks, judging on the other).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import polars as pl

from dolphin.core.records import Floats

#: Neighbours are this share of the trials, but no fewer than so many.
NEAR_SHARE, NEAR_LEAST = 0.01, 8

#: Shares of the neighbours that hold up, from which the region is a plateau, or a ridge.
PLATEAU_SHARE, RIDGE_SHARE = 0.5, 0.1

#: Cells of a map a side at most, blocks of days, and trials of the comparison over time.
CELLS, BLOCKS, MOST_TRIALS = 14, 8, 4000


@dataclass(frozen=True)
class Plateau:
    """How a chosen point compares with its neighbours.

    Attributes
    ----------
    verdict : str
        ``plateau``, ``ridge`` or ``lonely peak``; ``unknown`` with fewer than 20 trials or nothing to tell apart.
    neighbours : int
        The nearest trials by Euclidean distance: 1 % of all, at least 8 and twice as many as parameters.
    best, median_near, median_all : float
        The objective of the chosen point, the median of its neighbours and of all trials that have one. A
        neighbour without (too few trades, say) counts as the worst.
    score : float
        (median_near - median_all) / (best - median_all): 1 where the neighbours are as good as the point, 0
        where they are like any trial.
    holding : float
        The share of the neighbours at least half-way from the median of all trials to the best. From 0.5 on
        it is a plateau; from 0.1 on a ridge, good in some directions only; below, a lonely peak.
    spans : dict of str to (lowest, highest)
        The values that the neighbours cover, by parameter: how far the statement reaches.
    """

    verdict: str
    neighbours: int
    best: float
    median_near: float
    median_all: float
    score: float
    holding: float
    spans: dict[str, tuple[Any, Any]]

    def as_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """The verdict on a study's best trial in words."""
        return self.told_of("The best trial")

    def told_of(self, subject: str) -> str:
        """The verdict in words, of what is called so."""
        if self.verdict == "unknown":
            return "Too few different results, or no lead over the median trial, to tell a plateau from a peak."
        told = {"plateau": "lies on a plateau", "ridge": "lies on a ridge", "lonely peak": "is a lonely peak"}
        return (
            f"{subject} {told[self.verdict]}: {100 * self.holding:.0f} % of its {self.neighbours} nearest neighbours "
            f"keep at least half of its lead over the median trial (its own {self.best:.3g}, neighbours' median "
            f"{self.median_near:.3g}, median of all {self.median_all:.3g}; score {self.score:.2f})."
        )


def coordinates(trials: pl.DataFrame, names: Sequence[str]) -> tuple[Floats, Floats]:
    """(n, d) float64 coordinates of the trials, and (d,) bool: which parameters are categories.

    A null (a parameter that a trial does not have) is a coordinate of its own, half a range below.
    """
    points = np.zeros((trials.height, len(names)))
    worded = np.zeros(len(names), bool)
    for k, name in enumerate(names):
        column = trials[name]
        worded[k] = not column.dtype.is_numeric()
        rank = column.rank("dense").cast(pl.Float64) - 1.0
        most = rank.max()
        scale = 1.0 if worded[k] or not most else float(most)  # type: ignore[arg-type]
        points[:, k] = (rank / scale).fill_null(-1.0 if worded[k] else -0.5).to_numpy()
    return points, worded


def distances(points: Floats, worded: Floats, chosen: int) -> Floats:
    """(n,) Euclidean distances from the chosen point; a category differs by 1 or not at all."""
    apart = np.abs(points - points[chosen])
    apart[:, worded] = apart[:, worded] != 0.0
    return np.asarray(np.sqrt((apart**2).sum(axis=1)))


def plateau(
    trials: pl.DataFrame, names: Sequence[str], values: Floats, chosen: int, *, maximize: bool = True
) -> Plateau:
    """Compare trial ``chosen`` (a row) with its neighbours.

    Parameters
    ----------
    trials : polars.DataFrame
        Distinct trials, with a column for each of ``names``.
    values : float64 (n,)
        The objective; nan where a trial has none.
    """
    sign = 1.0 if maximize else -1.0
    known = sign * values
    finite = known[np.isfinite(known)]
    found = np.where(np.isfinite(known), known, finite.min() if len(finite) else np.nan)
    near = np.zeros(0, np.int64)
    if len(found) > 1 and names:
        away = distances(*coordinates(trials, names), chosen)
        away[chosen] = np.inf
        count = max(NEAR_LEAST, 2 * len(names), math.ceil(NEAR_SHARE * len(found)))
        near = np.argsort(away, kind="stable")[: min(count, len(found) - 1)]
    middle = float(np.median(finite)) if len(finite) else math.nan
    best = float(found[chosen]) if len(finite) else math.nan
    lead = best - middle
    if len(near) and len(found) >= 20 and lead > 0.0:
        score = (float(np.median(found[near])) - middle) / lead
        holding = float(np.mean(found[near] >= middle + 0.5 * lead))
        verdict = "plateau" if holding >= PLATEAU_SHARE else "ridge" if holding >= RIDGE_SHARE else "lonely peak"
    else:
        score, holding, verdict = math.nan, math.nan, "unknown"
    spans = {name: _span(trials[name][near]) for name in names} if len(near) else {}
    here = sign * float(np.median(found[near])) if len(near) else math.nan
    return Plateau(verdict, len(near), sign * best, here, sign * middle, score, holding, spans)


def _span(column: pl.Series) -> tuple[Any, Any]:
    known = column.drop_nulls()
    if not known.dtype.is_numeric():
        shown = ", ".join(sorted({str(v) for v in known}))
        return shown, shown
    return known.min(), known.max()


def pair_map(
    trials: pl.DataFrame, x: str, y: str, values: Floats, chosen: int, log: Sequence[str] = ()
) -> dict[str, Any]:
    """The median objective over two parameters.

    Returns
    -------
    dict
        ``x``, ``y`` (names), ``x_cells``, ``y_cells`` (names of the cells), ``z`` (medians, None where no
        trial is), ``n`` (trials) as rows of y, ``chosen`` (cell in x, cell in y).
    """
    (xs, x_cells), (ys, y_cells) = cells(trials[x], x in log), cells(trials[y], y in log)
    frame = pl.DataFrame({"x": xs, "y": ys, "v": values}).filter(
        pl.col("v").is_finite(), pl.col("x") >= 0, pl.col("y") >= 0
    )
    grid = frame.group_by("x", "y").agg(pl.col("v").median(), pl.len().alias("n"))
    z: list[list[float | None]] = [[None] * len(x_cells) for _ in y_cells]
    n = [[0] * len(x_cells) for _ in y_cells]
    for i, j, value, count in grid.iter_rows():
        z[j][i], n[j][i] = float(f"{value:.6g}"), count
    return {
        "x": x, "y": y, "x_cells": x_cells, "y_cells": y_cells, "z": z, "n": n,
        "chosen": [int(xs[chosen]), int(ys[chosen])],
    }  # fmt: skip


def cells(column: pl.Series, log: bool = False) -> tuple[Floats, list[str]]:
    """Cell of every row (-1 for null), and the cells' names: the values where they are few, else equal steps."""
    distinct = column.drop_nulls().unique().sort()
    if len(distinct) <= CELLS or not column.dtype.is_numeric():
        where = {value: k for k, value in enumerate(distinct)}
        return np.array([where.get(value, -1) for value in column]), [_word(value) for value in distinct]
    low, high = float(distinct[0]), float(distinct[-1])
    edges = np.geomspace(low, high, CELLS + 1) if log and low > 0 else np.linspace(low, high, CELLS + 1)
    numbers = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    at = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, CELLS - 1)
    names = [f"{a:.3g} to {b:.3g}" for a, b in pairwise(edges)]
    return np.where(np.isnan(numbers), -1, at), names


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.6g}" if isinstance(value, float) else str(value)


def stability(daily: Floats, seed: int = 1) -> dict[str, Any] | None:
    """What choosing on some days says about others, from daily returns (n trials, days).

    The days are cut into 8 blocks; for every choice of 4 (70 ways) the trial with the best Sharpe ratio on
    these is ranked, by its Sharpe ratio, on the other 4. Beside it Spearman's rank correlation of all trials
    between the thirds of the window. At most 4,000 trials take part, drawn with ``seed``.

    Returns
    -------
    dict or None
        ``trials``, ``days``, ``below_median`` (share of the 70 ways in which the chosen trial is below the
        median of all on the other half), ``rank_after`` (mean rank there, 1 best, 0 worst), ``correlation``
        (three by three). None with fewer than 10 trials that traded or 16 days.
    """
    daily = np.nan_to_num(daily[np.isfinite(daily).any(axis=1) & (daily != 0.0).any(axis=1)])
    if len(daily) < 10 or daily.shape[1] < 2 * BLOCKS:
        return None
    if len(daily) > MOST_TRIALS:
        daily = daily[np.sort(np.random.default_rng(seed).choice(len(daily), MOST_TRIALS, replace=False))]
    blocks = np.array_split(np.arange(daily.shape[1]), BLOCKS)
    sums = np.stack([daily[:, b].sum(axis=1) for b in blocks])
    squares = np.stack([(daily[:, b] ** 2).sum(axis=1) for b in blocks])
    counts = np.array([len(b) for b in blocks])
    after = []
    for chosen in combinations(range(BLOCKS), BLOCKS // 2):
        others = [k for k in range(BLOCKS) if k not in chosen]
        here = _sharpe(sums[list(chosen)].sum(0), squares[list(chosen)].sum(0), counts[list(chosen)].sum())
        there = _sharpe(sums[others].sum(0), squares[others].sum(0), counts[others].sum())
        value = there[int(np.argmax(here))]
        after.append((np.sum(there < value) + 0.5 * (np.sum(there == value) - 1)) / (len(there) - 1))
    thirds = [daily[:, part] for part in np.array_split(np.arange(daily.shape[1]), 3)]
    ranks = [_ranks(_sharpe(t.sum(1), (t**2).sum(1), t.shape[1])) for t in thirds]
    return {
        "trials": len(daily),
        "days": daily.shape[1],
        "ways": len(after),
        "below_median": float(np.mean(np.array(after) < 0.5)),
        "rank_after": float(np.mean(after)),
        "ranks": [float(f"{v:.4g}") for v in after],
        "correlation": [[_correlation(a, b) for b in ranks] for a in ranks],
    }


def _sharpe(total: Floats, square: Floats, count: int) -> Floats:
    """Mean over deviation of daily returns; zero where nothing moved."""
    mean = total / count
    variance = np.maximum(square / count - mean * mean, 0.0)
    return np.asarray(np.where(variance > 1e-18, mean / np.sqrt(np.maximum(variance, 1e-18)), 0.0))


def _ranks(values: Floats) -> Floats:
    return np.asarray(pl.Series(values).rank("average").to_numpy(), np.float64)


def _correlation(a: Floats, b: Floats) -> float | None:
    if a.std() == 0.0 or b.std() == 0.0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
