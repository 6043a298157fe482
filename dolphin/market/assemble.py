"""From a dataset to what the engine reads: scan what is missing, map the cache, choose the features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dolphin.catalog import Dataset, Instrument, read_features
from dolphin.catalog.store.cache import Writer
from dolphin.config.config import Config
from dolphin.core.logarithm import ln_array
from dolphin.core.records import INSTRUMENT, Market, Records, neutral_risk
from dolphin.errors import DolphinError, nearest
from dolphin.features import VEL_DIV, WINDOWS, Feature, scanner_digest
from dolphin.market.plugins import Compute, of_dataset
from dolphin.market.scanning import scan_dataset
from dolphin.progress import Progress

#: Days of features, and rows of prices, that are in memory at once while the cache is built.
DAYS, ROWS = 16, 4096


def feature_columns(dataset: Dataset, progress: Progress | None = None) -> dict[str, np.ndarray]:
    """Every feature column of the whole grid by name, and ``log_price`` (T, N); memory-mapped."""
    scan_dataset(dataset, progress)
    scanner = scanner_digest()

    def build(writer: Writer) -> None:
        days = dataset.days
        columns: dict[str, np.ndarray] = {}
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


def write_log_price(writer: Writer, close: np.ndarray) -> None:
    """``log_price`` (T, N) in blocks of rows: memory holds one of them."""
    out = writer.array("log_price", close.shape, np.float64)
    for low in range(0, len(close), ROWS):
        out[low : low + ROWS] = ln_array(close[low : low + ROWS])


def choose(columns: Mapping[str, np.ndarray], config: Config, compute: Compute | None = None) -> np.ndarray:
    """(T, F) float64: the columns that the strategy declares, by the config's definitions.

    ``vel_div`` follows the parameter of that name and ``vol`` the parameter ``vol_ewma``, where
    the strategy has them. ``compute`` makes the columns of plug-in features
    (:mod:`dolphin.market.plugins`).
    """
    strategy = config.strategy
    own: dict[str, np.ndarray] = {}
    for feature in strategy.plugins:
        assert isinstance(feature, Feature) and compute is not None
        if clash := next((name for name in feature.names if name in columns), None):
            raise DolphinError(f"feature '{feature.name}' has a column '{clash}', and so has the scanner")
        values = compute(feature, *inputs_of(feature, columns, config))
        own |= zip(feature.names, values.T, strict=True)
    who = f"strategy '{strategy.name}'"
    wanted = [own[name] if name in own else _column(columns, name, config, who) for name in strategy.columns]
    return np.ascontiguousarray(np.column_stack(wanted).astype(np.float64))


def inputs_of(
    feature: Feature, columns: Mapping[str, np.ndarray], config: Config
) -> tuple[tuple[str, ...], np.ndarray]:
    """The definitions of a plug-in feature's inputs under this config, and their values (T, I)."""
    definitions = tuple(_definition(name, config) for name in feature.inputs)
    values = np.empty((len(columns["vol"]), len(definitions)))
    for k, name in enumerate(feature.inputs):
        values[:, k] = _column(columns, name, config, f"feature '{feature.name}'")
    return definitions, values


def _definition(name: str, config: Config) -> str:
    """What the name of a feature stands for under this config."""
    if name == "vel_div":
        return str(getattr(config.params, "vel_div", "v50-v750"))
    return "vol_ewma" if name == "vol" and getattr(config.params, "vol_ewma", False) else name


def _column(columns: Mapping[str, np.ndarray], name: str, config: Config, who: str) -> np.ndarray:
    """The scanner's column (T,) that the name stands for."""
    definition = _definition(name, config)
    if name == "vel_div":
        fast, slow = VEL_DIV[definition]
        return columns[f"v{WINDOWS[fast]}_vel"] - columns[f"v{WINDOWS[slow]}_vel"]
    if definition not in columns:
        raise DolphinError(f"{who} declares the unknown feature '{name}'", mend=nearest(name, columns))
    return columns[definition]


def open_market(dataset: Dataset, config: Config, progress: Progress | None = None) -> Market:
    """Every row of the dataset as the engine reads it; scans first what is not scanned yet."""
    columns = feature_columns(dataset, progress)
    return bare_market(dataset, columns)._replace(features=choose(columns, config, of_dataset(dataset)))


def bare_market(dataset: Dataset, columns: Mapping[str, np.ndarray]) -> Market:
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
