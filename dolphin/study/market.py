"""From a dataset to what the engine reads: scan what is missing, map the cache, choose the features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dolphin.catalog import Dataset, Instrument, cached, missing_days, read_features, write_day
from dolphin.core.logarithm import ln_array
from dolphin.core.records import DAY_NS, INSTRUMENT, Market, Records, neutral_risk
from dolphin.errors import DolphinError, nearest
from dolphin.features import VEL_DIV, WINDOWS, FeatureBlock, scan, scanner_digest
from dolphin.study.config import Config

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ScanReport:
    """What a scan did: the days of the dataset, and how many of them were computed now."""

    dataset: Dataset
    days: int
    computed: int


def scan_dataset(dataset: Dataset, progress: Progress | None = None) -> ScanReport:
    """Write the feature rows of every day that has none yet.

    A day's rows depend on the trailing window of prices and on the stored rows before it, so the
    scan starts at the first missing day; days after it that are there already stay as they are.
    """
    scanner = scanner_digest()
    missing = set(missing_days(dataset, scanner))
    if not missing:
        return ScanReport(dataset, len(dataset.days), 0)
    prices = dataset.prices()
    bounds = day_bounds(dataset, prices.ts)
    todo = [n for n, date in enumerate(dataset.days) if date in missing]
    block = FeatureBlock.empty(len(prices.ts), len(dataset.symbols))
    if todo[0] > 0:
        known = read_features(dataset, scanner, days=dataset.days[: todo[0]])
        block.fill(known, prices.close)
    for n in range(todo[0], todo[-1] + 1):
        low, high = bounds[n], bounds[n + 1]
        # One day at a time: what is finished is on disk, so an interrupted scan goes on from there.
        scan(prices.ts, prices.close, dataset.reference_column, out=block, start_row=low, stop_row=high)
        if n in todo:
            rows = block.rows(low, high).columns()
            write_day(dataset, scanner, dataset.days[n], {"ts": prices.ts[low:high], **rows}, prices.close[low:high])
        if progress:
            progress(n + 1 - todo[0], todo[-1] + 1 - todo[0], "scanning days")
    return ScanReport(dataset, len(dataset.days), len(missing))


def day_bounds(dataset: Dataset, ts: np.ndarray) -> list[int]:
    """First row of every UTC day of the grid, and the number of rows."""
    first = int(ts[0] // DAY_NS)
    return [int(np.searchsorted(ts, (first + n) * DAY_NS)) for n in range(len(dataset.days))] + [len(ts)]


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
