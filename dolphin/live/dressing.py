"""From a feed's row to what the engine reads: the scanner runs here, bar by bar, as research scans in batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dolphin.config import Config
from dolphin.core.logarithm import ln_array
from dolphin.core.records import Floats, Market, Records, neutral_risk
from dolphin.errors import DolphinError
from dolphin.features import FeatureBlock, Scanner, history_bars
from dolphin.live.feed import Feed, History, Row
from dolphin.market.assemble import instrument_records, scanner_column

#: The risk of a row that brings none.
NEUTRAL = neutral_risk(1)


class Columns(Protocol):
    """What the scanner has to know of rows: a feed says it, and so does the plan of a session."""

    @property
    def symbols(self) -> Sequence[str]:
        """By column."""

    @property
    def reference(self) -> str:
        """The reference symbol."""

    @property
    def spacing_ns(self) -> int:
        """Between two rows."""


class Dresser:
    """The scanner of a session and the columns that its strategy reads of it.

    Columns of plug-in features stay empty: the session computes them itself.
    """

    def __init__(self, config: Config, feed: Columns) -> None:
        strategy, roles = config.strategy, config.features
        self._who = f"strategy '{strategy.name}'"
        own = {place for _, _, places in strategy.plugged(config.params) for place in places}
        self._sources = [
            (k, str(roles.get(name, name))) for k, name in enumerate(strategy.columns) if k not in own
        ]  # fmt: skip
        self._width = len(strategy.columns)
        self.scanner = Scanner(len(feed.symbols), feed.symbols.index(feed.reference))
        self._divides = any(name == "vel_div" for _, name in self._sources)
        self._row: FeatureBlock | None = None
        self._columns: dict[str, Any] = {}
        self.needed = history_bars(feed.spacing_ns)
        self.rows = 0

    @property
    def warm(self) -> bool:
        """Whether no bit of a feature depends on where the history began."""
        return self.rows >= self.needed

    def take_history(self, history: History) -> Floats:
        """Scan the rows before the first; their features (T, F)."""
        out = np.full((len(history.ts), self._width), np.nan)
        if not len(history.ts):
            return out
        if history.features is not None:
            self._choose(history.features, out)
        else:
            block: FeatureBlock = self.scanner.warm(history.ts, history.price)
            self._choose(block.columns(), out)
        self.rows = self.needed if history.whole else len(history.ts)
        return out

    def features(self, row: Row) -> Floats:
        """The features of a row (F,)."""
        out = np.full((1, self._width), np.nan)
        if row.features is not None:
            self._choose({name: np.array([value]) for name, value in row.features.items()}, out)
        else:
            self._choose(self._views(self.scanner.update(row.ts, row.price)), out)
        self.rows += 1
        found: Floats = out[0]
        return found

    def _views(self, row: FeatureBlock) -> dict[str, Any]:
        """The row's columns. The scanner writes every row over the one before: views of it are named once."""
        if row is not self._row:
            self._row, self._columns = row, row.columns()
        if self._divides:  # the one column that is no view
            self._columns["vel_div"] = row.vel_div()
        return self._columns

    def _choose(self, columns: Mapping[str, Any], out: Floats) -> None:
        named = columns if isinstance(columns, dict) else dict(columns)
        for k, name in self._sources:
            out[:, k] = scanner_column(named, name, self._who)

    def arrays(self) -> dict[str, Any]:
        """Everything that the scanner goes on from, as plain arrays by name."""
        scanner = self.scanner
        found = {f"state.{name}": values.copy() for name, values in scanner._state._asdict().items()}
        found |= {f"trail.{name}": values.copy() for name, values in scanner._trail._asdict().items()}
        found["last"] = np.array([scanner._last, int(scanner._recalled), self.rows], np.int64)
        return found

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Go on from :meth:`arrays`.

        Raises
        ------
        DolphinError
            If they are another scanner's.
        """
        scanner = self.scanner
        for prefix, target in (("state", scanner._state), ("trail", scanner._trail)):
            for name, values in target._asdict().items():
                given = arrays.get(f"{prefix}.{name}")
                if given is None or given.shape != values.shape or given.dtype != values.dtype:
                    raise DolphinError(f"a snapshot of another scanner ({prefix}.{name})")
                values[...] = given
        last, recalled, rows = (int(x) for x in arrays["last"])
        scanner._last, scanner._recalled, self.rows = last, bool(recalled), rows


def market_before(config: Config, feed: Feed, history: History, features: Floats, columns: tuple[str, ...]) -> Market:
    """A market that ends with the history; its rows stand at their own numbers, and the rest uses no memory."""
    stop, assets = history.first + len(history.ts), len(feed.symbols)
    part = slice(history.first, stop)

    def at(values: Any, dtype: Any) -> Any:
        out = np.empty((stop, *np.shape(values)[1:]), dtype)
        out[part] = values
        return out

    ts = np.zeros(stop, np.int64)
    ts[part] = history.ts
    risk = neutral_risk(len(history.ts)) if history.risk is None else history.risk
    more = {name: at(history.columns[name], np.float64) for name in columns}
    price = np.asarray(history.price, np.float64).reshape(-1, assets)
    return Market(
        ts, at(price, np.float64), at(ln_array(price), np.float64), at(history.age.reshape(-1, assets), np.int32),
        at(features, np.float64), at(risk, risk.dtype), instrument_records(tuple(feed.instruments)),
        symbols=named_symbols(config, feed), **more,
    )  # fmt: skip


def named_symbols(config: Config, feed: Feed) -> Records:
    """The record of the symbols that the strategy names, by column of the feed."""
    from dolphin.core.records import NO_SYMBOLS

    named = config.symbols
    if not named:
        return NO_SYMBOLS
    for symbol in named.values():
        if symbol not in feed.symbols:
            raise DolphinError(f"the strategy names the symbol '{symbol}', which it does not bring", where=feed.name)
    columns = tuple(feed.symbols.index(symbol) for symbol in named.values())
    return np.array([columns], np.dtype([(role, "i8") for role in named], align=True))
