"""Small markets in memory for the tests of the core: seeded random walks on a tick grid."""

from __future__ import annotations

import numpy as np

from dolphin.config import params_records
from dolphin.core.logarithm import ln_array
from dolphin.core.records import FRICTION, INSTRUMENT, Market, Records, neutral_risk
from dolphin.strategies.vel_div import VelDivParams

SECOND = 1_000_000_000
START = 1_735_689_600 * SECOND  # 2025-01-01


def instruments(count: int, *, tick_den: float = 100.0, lot_den: float = 1000.0) -> Records:
    """Ticks of 1/tick_den, lots of 1/lot_den, minimum notional 5."""
    records = np.zeros(count, INSTRUMENT)
    records["tick_num"], records["tick_den"], records["tick"] = 1.0, tick_den, 1.0 / tick_den
    records["lot_num"], records["lot_den"], records["lot"] = 1.0, lot_den, 1.0 / lot_den
    records["min_notional"] = 5.0
    return records


def market_of(
    price: np.ndarray,
    vel_div: np.ndarray,
    *,
    vol: np.ndarray | None = None,
    spacing: int = 60 * SECOND,
    risk: Records | None = None,
    age: np.ndarray | None = None,
) -> Market:
    """A market from (T, N) prices and (T,) signals."""
    bars, assets = price.shape
    vol = np.full(bars, 1e-3) if vol is None else vol
    return Market(
        ts=START + spacing * np.arange(1, bars + 1, dtype=np.int64),
        price=np.ascontiguousarray(price, dtype=np.float64),
        log_price=ln_array(np.ascontiguousarray(price, dtype=np.float64)),
        age=np.zeros((bars, assets), np.int32) if age is None else age,
        features=np.ascontiguousarray(np.column_stack([vel_div, vol])),
        risk=neutral_risk(bars) if risk is None else risk,
        instruments=instruments(assets),
    )


def random_market(seed: int, bars: int = 400, assets: int = 5, *, scale: float = 0.004) -> Market:
    """A random walk around 100 with signals that cross the default thresholds often."""
    rng = np.random.default_rng(seed)
    walk = 100.0 * np.exp(np.cumsum(scale * rng.standard_normal((bars, assets)), axis=0))
    return market_of(np.round(walk, 2), 0.05 * rng.standard_normal(bars), vol=rng.uniform(5e-5, 2e-4, bars))


def params(**values: object) -> Records:
    """One parameter record of ``vel_div``; a short look-back unless told, and no volatility gate."""
    return params_records([VelDivParams(**({"rank_lookback": 5, "vol_gate_mode": "off"} | values))])


def friction(slippage_bps: float = 2.0, fee_bps: float = 2.0, *, fill_next: bool = False) -> Records:
    """One friction record."""
    record = np.zeros(1, FRICTION)
    record["slippage"], record["fee"], record["fill_next"] = slippage_bps / 1e4, fee_bps / 1e4, fill_next
    record["maker_fee"], record["maintenance"], record["volume_share"] = fee_bps / 1e4, 0.005, 0.1
    return record
