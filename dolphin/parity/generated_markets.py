"""Small markets in memory that have what real ones have: late starts, holes, gaps in time, coarse and fine grids."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dolphin.config import Config, columns_needed
from dolphin.core.logarithm import ln_array
from dolphin.core.records import APEX, HIBERNATE, INSTRUMENT, NO_SYMBOLS, STALKER, Floats, Market, Records, neutral_risk
from dolphin.features import scan
from dolphin.market.assemble import choose
from dolphin.market.plugins import of_rows

MINUTE = 60_000_000_000
START = 1_735_689_600_000_000_000  # 2025-01-01
SPACING = 4 * MINUTE  # three days and a bit in BARS, with their midnights
ASSETS = 6
BEFORE = 1_300  # rows that the scanner sees before the market begins: more than its longest window
BARS = 1_200

#: Numerator and denominator of ticks, and of lots, asset by asset.
TICKS = ((1, 100), (1, 100_000), (5, 10), (25, 100), (1, 1), (1, 10_000))
LOTS = ((1, 1000), (10, 1), (1, 100_000), (5, 10), (1, 1000), (1, 1))
PRICES = (120.0, 0.75, 41_000.0, 9.0, 2_600.0, 1.3)


def generated(config: Config) -> dict[str, Market]:
    """Seeded markets by name, as the strategy of ``config`` reads them: BARS rows of ASSETS columns.

    ``walk`` has the features that the scanner finds in its prices, ``shuffled`` the same ones in another order of
    rows, column by column, so that they meet in ways that no walk shows.
    """
    walk = _market(config, seed=1)
    rng = np.random.default_rng(2)
    features = np.empty_like(walk.features)  # which may have no column
    for k, column in enumerate(walk.features.T):
        features[:, k] = rng.permutation(column)
    features[rng.random(features.shape) < 0.02] = np.nan
    return {"walk": walk, "shuffled": walk._replace(features=np.ascontiguousarray(features))}


def _market(config: Config, seed: int) -> Market:
    rng = np.random.default_rng(seed)
    rows = BEFORE + BARS
    ts = START + SPACING * np.arange(1, rows + 1, dtype=np.int64)
    ts[BEFORE + 400 :] += 45 * MINUTE  # nothing came for a while
    common = rng.standard_t(4, (rows, 1))
    moves = 0.002 * common + 0.002 * rng.standard_t(4, (rows, ASSETS))
    moves[rng.random((rows, ASSETS)) < 0.002] *= 8.0
    instruments = _instruments()
    wanted = np.array(PRICES) * np.exp(np.cumsum(moves, axis=0))
    ticks = np.maximum(np.round(wanted / instruments["tick"]), 10.0)
    real = np.ones((rows, ASSETS), bool)
    for j in (1, 3, 4):
        for begin in rng.integers(BEFORE + 20, rows, 8):
            real[begin : begin + int(rng.integers(1, 9)), j] = False
    scanned = scan(ts, _prices(_filled(ticks, real)[0], instruments), 0).columns()
    real[: BEFORE + 60, 4] = False  # listed later than the others
    ticks, age = _filled(ticks, real)
    ticks, age = ticks[BEFORE:], age[BEFORE:]
    close, real = _prices(ticks, instruments), real[BEFORE:]
    ts, columns = ts[BEFORE:], {name: values[BEFORE:] for name, values in scanned.items()}
    more = _columns(rng, ticks, real, instruments)
    return Market(
        ts=ts,
        price=close,
        log_price=ln_array(close),
        age=age,
        features=np.ascontiguousarray(choose(columns, config, of_rows(ts, close))),
        risk=_risk(rng),
        instruments=instruments,
        symbols=_symbols(config.symbols),
        **{name: more[name] for name in columns_needed(config)},
    )


def _instruments() -> Records:
    records = np.zeros(ASSETS, INSTRUMENT)
    for kind, steps in (("tick", TICKS), ("lot", LOTS)):
        for record, (num, den) in zip(records, steps, strict=True):
            record[f"{kind}_num"], record[f"{kind}_den"], record[kind] = num, den, num / den
    records["min_notional"] = (5.0, 5.0, 100.0, 0.0, 10.0, 5.0)
    return records


def _filled(ticks: Floats, real: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.int32]]:
    """Ticks forward-filled where there is no row (NaN before the first), and bars since the last row (-1 before)."""
    rows = np.arange(len(ticks))[:, None]
    last = np.maximum.accumulate(np.where(real, rows, -1), axis=0)
    filled = np.where(last >= 0, np.take_along_axis(ticks, np.maximum(last, 0), axis=0), np.nan)
    return filled, np.where(last >= 0, rows - last, -1).astype(np.int32)


def _prices(ticks: Floats, instruments: Records) -> Floats:
    return np.ascontiguousarray(ticks * instruments["tick_num"] / instruments["tick_den"])


def _columns(rng: np.random.Generator, ticks: Floats, real: Floats, instruments: Records) -> dict[str, Floats]:
    """What there is beside closes (T, N), by the rules of docs/strategies.md for rows that did not come."""
    before = np.vstack([ticks[:1], ticks[:-1]])
    opened = np.where(real & np.isfinite(before), before, ticks)
    wide = np.where(real, np.floor(np.abs(rng.standard_normal(ticks.shape)) * 0.002 * ticks), 0.0)
    high, low = np.fmax(opened, ticks) + wide, np.fmax(np.fmin(opened, ticks) - wide, 1.0)
    volume = np.floor(rng.exponential(20.0, ticks.shape) * 1e5 / _prices(ticks, instruments) / instruments["lot"])
    volume = np.where(real, volume, 0.0) * instruments["lot_num"] / instruments["lot_den"]
    funding = np.zeros(ticks.shape)
    funding[::120] = 1e-4 * rng.standard_normal(funding[::120].shape)
    grid = {"open": opened, "high": high, "low": low, "bid": ticks - 1.0, "ask": ticks + 1.0}
    known = np.where(np.isfinite(ticks), 0.0, np.nan)
    return {name: _prices(values + known, instruments) for name, values in grid.items()} | {
        "volume": np.ascontiguousarray(np.where(np.isfinite(ticks), volume, np.nan)),
        "funding": funding,
    }


def _risk(rng: np.random.Generator) -> Records:
    risk = neutral_risk(BARS)
    risk["boost"] = np.where(rng.random(BARS) < 0.02, 1.5, 1.0)
    risk["beta"] = 0.5
    risk["rm"] = np.where(rng.random(BARS) < 0.05, 0.6, 1.0)
    drawn = rng.random(BARS)
    risk["posture"] = np.where(drawn < 0.01, HIBERNATE, np.where(drawn < 0.05, STALKER, APEX))
    return risk


def _symbols(symbols: Mapping[str, str]) -> Records:
    """Columns for the symbols that a strategy names: those that begin early, in the order of the names."""
    if not symbols:
        return NO_SYMBOLS
    column = {symbol: k % ASSETS for k, symbol in enumerate(dict.fromkeys(symbols.values()))}
    columns = tuple(column[symbol] for symbol in symbols.values())
    return np.array([columns], np.dtype([(role, "i8") for role in symbols], align=True))
