"""From a dataset to what the engine reads: scan what is missing, map the cache, choose the features."""

from __future__ import annotations

from typing import Any

import numpy as np

from dolphin.catalog import Dataset, Instrument, read_features
from dolphin.catalog.derived.scans import Columns
from dolphin.catalog.store.cache import Arrays, Writer
from dolphin.catalog.store.columns import row_column
from dolphin.config import Config, columns_needed
from dolphin.core.declaration import Source
from dolphin.core.logarithm import ln_array
from dolphin.core.records import INSTRUMENT, NO_SYMBOLS, Floats, Market, Records, neutral_risk
from dolphin.errors import DolphinError, nearest
from dolphin.features import VEL_DIV, WINDOWS, Feature, scanner_digest
from dolphin.market.funding import funding_rates
from dolphin.market.plugins import Compute, of_dataset
from dolphin.market.risk_table import risk_columns
from dolphin.market.scanning import scan_dataset
from dolphin.progress import Progress

#: Days of features, and rows of prices, that are in memory at once while the cache is built.
DAYS, ROWS = 16, 4096


def feature_columns(dataset: Dataset, progress: Progress | None = None) -> Arrays:
    """Every feature column of the whole grid by name, and ``log_price`` (T, N); memory-mapped."""
    scan_dataset(dataset, progress)
    scanner = scanner_digest()

    def build(writer: Writer) -> None:
        days = dataset.days
        columns: Arrays = {}
        row = 0
        for first in range(0, len(days), DAYS):
            part = read_features(dataset, scanner, days=days[first : first + DAYS])
            for name, values in part.items():
                if first == 0:
                    columns[name] = writer.array(name, (dataset.n_bars,), values.dtype)
                columns[name][row : row + len(values)] = values
            row += len(part["ts"])
        write_log_price(writer, dataset.prices().close)

    return dataset.cached("features", build, scanner)


def write_log_price(writer: Writer, close: Floats) -> None:
    """``log_price`` (T, N) in blocks of rows: memory holds one of them."""
    out = writer.array("log_price", close.shape, np.float64)
    for low in range(0, len(close), ROWS):
        out[low : low + ROWS] = ln_array(close[low : low + ROWS])


def choose(columns: Columns, config: Config, compute: Compute | None = None) -> Floats:
    """(T, F) float64: the columns that the strategy declares, by role, as the config's parameters select them.

    ``compute`` makes the columns of plug-in features (:mod:`dolphin.market.plugins`).
    """
    strategy, roles = config.strategy, config.features
    out = np.empty((len(columns["vol"]), len(strategy.columns)))
    who = f"strategy '{strategy.name}'"
    made: set[int] = set()
    for feature, _, places in strategy.plugged(config.params):
        assert isinstance(feature, Feature) and compute is not None
        names = [strategy.columns[k] for k in places]
        if clash := next((name for name in names if name in columns), None):
            raise DolphinError(f"feature '{feature.name}' has a column '{clash}', and so has the scanner")
        out[:, places] = compute(feature, *inputs_of(feature, columns, config))
        made |= {*places}
    for k, name in enumerate(strategy.columns):
        if k not in made:
            out[:, k] = scanner_column(columns, str(roles.get(name, name)), who)
    return out


def inputs_of(feature: Feature, columns: Columns, config: Config) -> tuple[tuple[str, ...], Floats]:
    """The columns that a plug-in feature's inputs stand for under this config, and their values (T, I).

    An input that is a role of the strategy is what stands in that role.
    """
    roles, who = config.features, f"feature '{feature.name}'"
    definitions = tuple(_scanned(roles.get(name, name), who) for name in feature.inputs)
    values = np.empty((len(columns["vol"]), len(definitions)))
    for k, name in enumerate(definitions):
        values[:, k] = scanner_column(columns, name, who)
    return definitions, values


def _scanned(source: Source, who: str) -> str:
    if not isinstance(source, str):
        raise DolphinError(f"{who} reads the feature '{source.name}'", mend="inputs are columns of the scanner")
    return source


def scanner_column(columns: Columns, name: str, who: str) -> Floats:
    """A column of the scanner (T,) by name; a difference of two velocities, such as ``v50-v150``, is one too."""
    if name in VEL_DIV:
        fast, slow = VEL_DIV[name]
        difference: Floats = columns[f"v{WINDOWS[fast]}_vel"] - columns[f"v{WINDOWS[slow]}_vel"]
        return difference
    if name not in columns:
        raise DolphinError(f"{who} declares the unknown feature '{name}'", mend=nearest(name, [*columns, *VEL_DIV]))
    return columns[name]


def open_market(dataset: Dataset, config: Config, progress: Progress | None = None) -> Market:
    """Every row of the dataset as the engine reads it; scans first what is not scanned yet."""
    columns = feature_columns(dataset, progress)
    return dressed(bare_market(dataset, columns), dataset, columns, config)


def dressed(bare: Market, dataset: Dataset, columns: Columns, config: Config) -> Market:
    """The market without features, and all that the strategy of ``config`` reads beside it."""
    more: dict[str, Any] = {name: market_column(dataset, name, config) for name in columns_needed(config)}
    features = choose(columns, config, of_dataset(dataset))
    if config.risk.table is not None:
        more["risk"] = risk_columns(dataset, config)
    return bare._replace(features=features, symbols=symbol_record(dataset, config), **more)


def market_column(dataset: Dataset, name: str, config: Config) -> Floats:
    """One of the columns beside closes that a configuration needs, (T, N) float64."""
    if name != "funding":
        return row_column(dataset, name)
    if config.market.funding is None:
        raise DolphinError(
            f"strategy '{config.strategy.name}' reads funding rates, and the config names no table of them",
            mend='add [market] funding = "TABLE", a series imported with dolphin data import',
        )
    return funding_rates(dataset, config.market.funding)


def symbol_record(dataset: Dataset, config: Config) -> Records:
    """One record: the columns of the symbols that the strategy names, by role."""
    symbols = config.symbols
    for symbol in symbols.values():
        if symbol not in dataset.symbols:
            raise DolphinError(
                f"strategy '{config.strategy.name}' names the symbol '{symbol}', which is not in it",
                where=dataset.name,
                mend=nearest(symbol, dataset.symbols),
            )
    if not symbols:
        return NO_SYMBOLS
    columns = tuple(dataset.symbols.index(symbol) for symbol in symbols.values())
    return np.array([columns], np.dtype([(role, "i8") for role in symbols], align=True))


def bare_market(dataset: Dataset, columns: Columns) -> Market:
    """Every row of the dataset without features; ``columns`` are those of :func:`feature_columns`."""
    prices = dataset.prices()
    return Market(
        ts=prices.ts,
        price=prices.close,
        log_price=columns["log_price"],
        age=prices.age,
        features=np.empty((0, 0)),
        risk=neutral_risk(len(prices.ts)),
        instruments=instrument_records(dataset.instruments),
    )


def instrument_records(instruments: tuple[Instrument, ...]) -> Records:
    """(N,) of INSTRUMENT."""
    records = np.zeros(len(instruments), INSTRUMENT)
    for record, instrument in zip(records, instruments, strict=True):
        for kind in ("tick", "lot"):
            numerator = float(getattr(instrument, f"{kind}_num"))
            denominator = 10.0 ** getattr(instrument, f"{kind}_exp")
            record[f"{kind}_num"], record[f"{kind}_den"] = numerator, denominator
            record[kind] = numerator / denominator
        record["min_notional"] = instrument.min_notional
    return records
