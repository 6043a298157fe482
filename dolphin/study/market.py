"""From a dataset to what the engine reads: scan what is missing, map the cache, choose the features."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dolphin.catalog import Dataset, Instrument, cached, read_features
from dolphin.core.logarithm import ln_array
from dolphin.core.records import INSTRUMENT, Market, Records, neutral_risk
from dolphin.errors import DolphinError, nearest
from dolphin.features import VEL_DIV, WINDOWS, scanner_digest
from dolphin.study.config import Config
from dolphin.study.scanning import scan_dataset

Progress = Callable[[int, int, str], None]


def feature_columns(dataset: Dataset, progress: Progress | None = None) -> dict[str, np.ndarray]:
    """Every feature column of the whole grid by name, and ``log_price`` (T, N); memory-mapped."""
    scan_dataset(dataset, progress)
    scanner = scanner_digest()

    def build() -> dict[str, np.ndarray]:
        return {**read_features(dataset, scanner), "log_price": ln_array(dataset.prices().close)}

    return cached(dataset.cache_root, f"features-{dataset.digest[:20]}-{scanner[:20]}", build)


def choose(columns: Mapping[str, np.ndarray], config: Config) -> np.ndarray:
    """(T, F) float64: the columns that the strategy declares, by the config's definitions.

    ``vel_div`` follows the parameter of that name and ``vol`` the parameter ``vol_ewma``, where
    the strategy has them.
    """
    wanted = []
    for name in config.strategy.features:
        if name == "vel_div":
            fast, slow = VEL_DIV[getattr(config.params, "vel_div", "v50-v750")]
            wanted.append(columns[f"v{WINDOWS[fast]}_vel"] - columns[f"v{WINDOWS[slow]}_vel"])
        elif name == "vol" and getattr(config.params, "vol_ewma", False):
            wanted.append(columns["vol_ewma"])
        elif name in columns:
            wanted.append(columns[name])
        else:
            raise DolphinError(
                f"strategy '{config.strategy.name}' declares the unknown feature '{name}'",
                mend=nearest(name, columns),
            )
    return np.ascontiguousarray(np.column_stack(wanted).astype(np.float64))


def open_market(dataset: Dataset, config: Config, progress: Progress | None = None) -> Market:
    """Every row of the dataset as the engine reads it; scans first what is not scanned yet."""
    prices = dataset.prices()
    columns = feature_columns(dataset, progress)
    return Market(
        ts=prices.ts,
        price=prices.close,
        log_price=columns["log_price"],
        age=prices.age,
        features=choose(columns, config),
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
