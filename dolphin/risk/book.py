"""Figures of an order book, and what an old one counts as (RISK section 4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dolphin.core.records import Floats
from dolphin.freshness import LIMITS

LIMIT_NS = LIMITS["order_book"].dead_after


class Book(NamedTuple):
    """One symbol's book in figures.

    ``imbalance`` in [-1, 1], ``spread_bps`` >= 0 (NaN unknown), ``fill_prob`` and ``depth_quality`` in [0, 1] (NaN
    unknown), ``agreement`` in [-1, 1].
    """

    imbalance: float
    spread_bps: float
    fill_prob: float
    depth_quality: float
    agreement: float


#: What a book that is stale or missing counts as; its Rm3 is 0.5.
STALE = Book(0.0, np.nan, 0.5, np.nan, 0.0)
#: The provider that baselines use.
MOCK = Book(-0.09, 0.0, 0.62, 1.0, 0.0)


def imbalance(bid: float, ask: float) -> float:
    """(bid - ask) / (bid + ask) of quantities >= 0; 0 when both are 0."""
    both = bid + ask
    return (bid - ask) / both if both > 0.0 else 0.0


def spread_bps(bid: float, ask: float) -> float:
    """Best ask less best bid, in basis points of the price between; NaN where there is none."""
    middle = 0.5 * (bid + ask)
    return (ask - bid) / middle * 1e4 if middle > 0.0 else np.nan


def agreement(imbalances: Floats) -> float:
    """How far books lean to one side: (leaning up - leaning down) / leaning, 0 where none leans."""
    up, down = int(np.sum(imbalances > 0.0)), int(np.sum(imbalances < 0.0))
    return (up - down) / (up + down) if up + down else 0.0


def depth_quality(depth: float, usual: float) -> float:
    """Depth at the touch (the thinner side) over what is usual, at most 1; NaN where nothing is usual yet."""
    return min(max(depth / usual, 0.0), 1.0) if usual > 0.0 else np.nan


def fill_prob(traded: float, queue: float) -> float:
    """The chance that an order at the end of the queue fills: traded / (traded + queue), 0.5 where both are 0."""
    both = traded + queue
    return traded / both if both > 0.0 else 0.5


def aged(book: Book | None, age_ns: int) -> Book:
    """The book, or :data:`STALE` where it is missing, of the future or older than 30 s."""
    return book if book is not None and 0 <= age_ns <= LIMIT_NS else STALE
