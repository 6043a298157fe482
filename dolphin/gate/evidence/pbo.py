"""The probability of backtest overfitting, by combinatorially symmetric cross-validation.

Bailey, Borwein, Lopez de Prado and Zhu, *The probability of backtest overfitting*, 2015: the days are cut into S
blocks; for every choice of half of them the trial that is best there is ranked on the other half. Overfitted is a
choice whose best lies in the lower half of the others.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dolphin.core.records import Floats

#: Numbers (choices times trials) that are in memory at once: 16 MB as float32.
CELLS = 4_000_000


class Overfitting(NamedTuple):
    """``probability``; ``logits`` (C,) of the relative rank of each choice's best; ``slope`` of the line of the
    metric on the other half against that on the half that chose."""

    probability: float
    logits: Floats
    slope: float


def cscv(returns: Floats, blocks: int = 10, *, mean: bool = False) -> Overfitting:
    """The probability of overfitting of trials by their daily returns.

    Parameters
    ----------
    returns : (N, T) array
        Daily returns; nan counts as 0. The days that are too many for equal blocks go from the start.
    blocks : int
        S, an even number.
    mean : bool
        Choose by the mean instead of the Sharpe ratio.

    Notes
    -----
    Float32 throughout, in chunks. Of equal bests the first is taken, tied ranks are averaged, and the relative rank
    is rank / (N + 1).
    """
    if blocks < 2 or blocks % 2:
        raise ValueError(f"blocks = {blocks} must be an even number")
    values = np.nan_to_num(np.asarray(returns, np.float32))
    trials, days = values.shape
    size = days // blocks
    if trials < 2 or size < 1:
        raise ValueError(f"{trials} trials of {days} days cannot be cut into {blocks} blocks")
    cut = values[:, days - size * blocks :].reshape(trials, blocks, size)
    sums = cut.sum(axis=2).T  # (S, N)
    squares = np.einsum("nbs,nbs->bn", cut, cut)
    chosen = np.zeros((0, blocks), np.float32)
    picks = list(combinations(range(blocks), blocks // 2))
    chosen = np.zeros((len(picks), blocks), np.float32)
    chosen[np.repeat(np.arange(len(picks)), blocks // 2), np.array(picks).ravel()] = 1.0
    count = float(size * blocks // 2)
    logits, inside, outside = (np.empty(len(picks)) for _ in range(3))
    step = max(1, CELLS // trials)
    for low in range(0, len(picks), step):
        part = slice(low, low + step)
        here = _metric(chosen[part], sums, squares, count, mean)
        there = _metric(1.0 - chosen[part], sums, squares, count, mean)
        rows = np.arange(len(here))
        best = here.argmax(axis=1)
        inside[part], outside[part] = here[rows, best], there[rows, best]
        mine = outside[part].astype(np.float32)[:, None]
        rank = (there < mine).sum(axis=1) + ((there == mine).sum(axis=1) + 1) / 2.0
        share = rank / (trials + 1)
        logits[part] = np.log(share / (1.0 - share))
    spread = inside.var()
    slope = float(((inside - inside.mean()) * (outside - outside.mean())).mean() / spread) if spread > 0.0 else 0.0
    return Overfitting(float((logits <= 0.0).mean()), logits, slope)


def _metric(
    chosen: NDArray[np.float32], sums: NDArray[np.float32], squares: NDArray[np.float32], count: float, mean: bool
) -> NDArray[np.float32]:
    """(c, N) mean or Sharpe ratio over the chosen blocks; 0 where nothing varies."""
    average = chosen @ sums / np.float32(count)
    if mean:
        return average
    variance = chosen @ squares / np.float32(count) - average**2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = average / np.sqrt(variance)
    return np.where(variance > 1e-16, ratio, np.float32(0.0))
