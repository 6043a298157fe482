"""What a session is fed with: closed rows of a market, in order, each once.

Whatever the rows come from (a dataset replayed, an exchange, another program's scans), a session sees this protocol and
nothing else. :mod:`dolphin.live.feed_conformance` holds what every feed must keep.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dolphin.catalog import Instrument
from dolphin.core.records import Floats, Ints, Records


@dataclass(frozen=True)
class Row:
    """One closed bar of the whole market.

    Attributes
    ----------
    bar : int
        Number of the row on the feed's grid. The same close time has the same number whenever the feed is opened.
    ts : int
        Close time by the exchange's clock, ns UTC, on the grid.
    price : float64 [N]
        Last price per symbol; where none came the one that stood, NaN before the first.
    age : int32 [N]
        Bars since a real price: 0 a real one, -1 before the first.
    columns : mapping of str to float64 [N]
        What was asked for beside closes (:data:`dolphin.core.records.MARKET_COLUMNS`), filled as the catalog fills.
    features : mapping of str to float, optional
        Columns of the scanner by name where another program scans; without it the session scans the prices itself.
    risk : array of one record of RISK, optional
        Inputs of the survival stack; neutral without.
    trade : bool
        Whether orders may be opened on it: not on a row that was missed and is only made up for.
    local : int
        This machine's clock when the row was complete, ns UTC; 0 where nobody looked.
    """

    bar: int
    ts: int
    price: Floats
    age: NDArray[np.int32]
    columns: Mapping[str, Floats] = field(default_factory=dict)
    features: Mapping[str, float] | None = None
    risk: Records | None = None
    trade: bool = True
    local: int = 0


@dataclass(frozen=True)
class History:
    """Rows before a session's first: arrays have a row per bar, oldest first, and are consecutive on the grid.

    ``first`` is the number of the first row; ``features`` (T,) each by scanner column, where the feed
    brings its own. ``whole`` says that nothing came before it anywhere: however short, it is all that research has.
    """

    first: int
    ts: Ints
    price: Floats
    age: NDArray[np.int32]
    columns: Mapping[str, Floats] = field(default_factory=dict)
    features: Mapping[str, Floats] | None = None
    risk: Records | None = None
    whole: bool = False


class Feed(Protocol):
    """A source of rows.

    Attributes
    ----------
    name : str
        As the command names it, such as ``replay:m``.
    symbols : tuple of str
        By column.
    instruments : tuple of Instrument
        By column.
    reference : str
        The symbol that volatility is measured on.
    spacing_ns : int
    """

    @property
    def name(self) -> str: ...
    @property
    def symbols(self) -> tuple[str, ...]: ...
    @property
    def instruments(self) -> tuple[Instrument, ...]: ...
    @property
    def reference(self) -> str: ...
    @property
    def spacing_ns(self) -> int: ...

    async def history(self, rows: int, after: int | None) -> History:
        """At most ``rows`` rows that end with the one that closed at ``after`` (ns UTC).

        With ``after`` None they end before the first row that :meth:`rows` gives to a session that begins. Fewer come
        where the source has no more; a hole in the grid is filled as the catalog fills, never left out.
        """
        ...

    def rows(self, after: int | None) -> AsyncIterator[Row]:
        """Rows that close after ``after`` (ns UTC), in order and consecutive; None: from where a session begins.

        What a restarted session missed comes first, with ``trade`` False unless the feed replays. The iterator ends
        when the source does.
        """
        ...

    async def close(self) -> None:
        """Let go of what it holds; may be called twice."""
        ...
