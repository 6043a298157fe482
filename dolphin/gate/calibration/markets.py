"""Markets whose truth is known, made of a real one.

``shift``: the prices as they are, the signals of all rows shifted in a circle. ``shiftd``: the same against prices
without their trend. ``boot``: returns without trend in blocks of five days, drawn anew, and signal days drawn
independently of them. ``broad``, ``narrow``: boot, and all prices drift down after a trigger of the signal and up at
other times, so that there is no trend: an edge is what the signal knows, not what the market does anyway. ``null``
is generated (:func:`dolphin.catalog.generate`) and has nothing of the real one but its size.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dolphin.config import Config
from dolphin.core.logarithm import ln_array
from dolphin.core.records import Floats, Ints, Market, neutral_risk
from dolphin.errors import DolphinError, nearest
from dolphin.gate.evidence.shifting import shifted
from dolphin.times import DAY_NS

NULLS = ("shift", "shiftd", "boot", "null")

#: Planted edges: the trigger is a signal below this, and the prices drift for so many bars.
EDGES = {"broad": (-0.03, 50), "narrow": (-0.08, 20)}
KINDS = (*NULLS, *EDGES)

#: How much further each price falls per bar after a trigger than at other times, where nothing else is said.
DRIFT_BPS = 4.0

#: Days of a block, and the signal that triggers an edge.
BLOCK, SIGNAL = 5, "vel_div"


class Kind(NamedTuple):
    """A kind of market, and of a planted edge its size: how much further each price falls per bar after a trigger."""

    name: str
    drift_bps: float = 0.0

    @property
    def edge(self) -> bool:
        """Whether there is an edge."""
        return self.name in EDGES

    def __str__(self) -> str:
        return f"{self.name}@{self.drift_bps:g}" if self.edge else self.name


def kinds_of(texts: Sequence[str]) -> list[Kind]:
    """The kinds of texts such as ``shift``, ``broad`` or ``broad@0.5`` (basis points a bar), each once.

    Raises
    ------
    DolphinError
        On anything else.
    """
    found: dict[Kind, None] = {}
    for text in texts:
        name, at, size = text.partition("@")
        if name not in KINDS:
            raise DolphinError(f"unknown kind '{text}'", mend=nearest(name, KINDS))
        if at and (name not in EDGES or not re.fullmatch(r"\d+(\.\d+)?", size)):
            raise DolphinError(f"'{text}' is no kind", mend="a planted edge's size stands behind it: broad@0.5")
        found[Kind(name, float(size) if at else DRIFT_BPS if name in EDGES else 0.0)] = None
    return list(found)


@dataclass(frozen=True)
class Maker:
    """Makes markets of a real one.

    Attributes
    ----------
    market : Market
        With the features that ``config`` reads.
    spacing_ns : int
    """

    market: Market
    config: Config
    spacing_ns: int

    def make(self, kind: Kind, number: int, seed: int) -> Market:
        """Market ``number`` of a kind other than ``null``: the same for the same seed.

        Raises
        ------
        DolphinError
            If the configuration reads more than closes, or has no signal for a trigger.
        """
        rng = np.random.default_rng([seed, KINDS.index(kind.name), number])
        if kind.name == "shift":
            return self._shifted(self.market, rng)
        if kind.name == "shiftd":
            return self._shifted(self._with_prices(self._flat(), self.market.ts, self.market.age), rng)
        return self._drawn(rng, kind)

    def _shifted(self, market: Market, rng: np.random.Generator) -> Market:
        rows, day = len(market.ts), round(DAY_NS / self.spacing_ns)
        return shifted(market, 0, rows, int(rng.integers(day, rows - day + 1)))

    def _flat(self) -> Floats:
        """Log prices without their trend: each ends where it began."""
        logs = np.array(self.market.log_price)
        rows = np.arange(len(logs))
        for column in logs.T:
            known = np.flatnonzero(~np.isnan(column))
            if len(known) > 1:
                first, last = known[0], known[-1]
                column -= (column[last] - column[first]) / (last - first) * (rows - first)
        return logs

    def _drawn(self, rng: np.random.Generator, kind: Kind) -> Market:
        """Returns in blocks of days drawn anew, signal days drawn apart, and the drift of an edge."""
        bars = round(DAY_NS / self.spacing_ns)
        days = len(self.market.ts) // bars
        if days < 2 * BLOCK:
            raise DolphinError(f"{days} days are too few to draw blocks of {BLOCK} from", mend="take longer data")
        prices, signals = (_rows(_blocks(days, rng), bars) for _ in range(2))
        steps = np.diff(self.market.log_price[: days * bars], axis=0, prepend=self.market.log_price[:1])
        steps -= np.nanmean(steps, axis=0)
        drawn = np.nan_to_num(steps[prices])
        features = self.market.features[signals]
        if kind.edge:
            drawn -= kind.drift_bps / 1e4 * self._falling(features, *EDGES[kind.name])[:, None]
        start = np.nan_to_num(self.market.log_price[0], nan=0.0)
        made = self._with_prices(
            start + np.cumsum(drawn, axis=0), self.market.ts[: days * bars], self.market.age[prices]
        )
        return made._replace(features=features)

    def _falling(self, features: Floats, trigger: float, bars: int) -> Floats:
        """(T,) 1 after a bar whose signal is below the trigger, for so many bars, else 0; less its mean."""
        columns = self.config.strategy.columns
        if SIGNAL not in columns:
            raise DolphinError(
                f"strategy '{self.config.strategy_name}' reads no '{SIGNAL}', the trigger of a planted edge",
                mend="leave the kinds broad and narrow out",
            )
        with np.errstate(invalid="ignore"):
            fires = np.flatnonzero(features[:, columns.index(SIGNAL)] < trigger)
        counts = np.zeros(len(features) + bars + 1)
        np.add.at(counts, fires + 1, 1.0)
        np.add.at(counts, fires + 1 + bars, -1.0)
        falls = (np.cumsum(counts)[: len(features)] > 0.0).astype(np.float64)
        return falls - falls.mean()

    def _with_prices(self, logs: Floats, ts: Ints, age: NDArray[np.int32]) -> Market:
        if any(len(getattr(self.market, name)) for name in ("open", "high", "low", "volume", "bid", "ask", "funding")):
            raise DolphinError(
                f"strategy '{self.config.strategy_name}' or its fill model reads more than closes",
                mend="calibrate on the kinds shift and null",
            )
        price = np.exp(logs)
        return self.market._replace(
            ts=ts, price=price, log_price=ln_array(price), age=age, features=self.market.features[: len(ts)],
            risk=neutral_risk(len(ts)),
        )  # fmt: skip


def _blocks(days: int, rng: np.random.Generator) -> Ints:
    """(days,) days in blocks, around a circle."""
    starts = rng.integers(0, days, -(-days // BLOCK))
    return ((starts[:, None] + np.arange(BLOCK)) % days).ravel()[:days]


def _rows(days: Ints, bars: int) -> Ints:
    return (days[:, None] * bars + np.arange(bars)).ravel()
