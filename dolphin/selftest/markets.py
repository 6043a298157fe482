"""The small market that faults are looked for on, and configurations that trade often there."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.catalog import Dataset, Instrument
from dolphin.config import Account, Config, Friction
from dolphin.core.logarithm import ln_array
from dolphin.core.records import HIBERNATE, STALKER, Market, neutral_risk
from dolphin.core.strategy import Strategy
from dolphin.market.assemble import instrument_records
from dolphin.parity.case import Case
from dolphin.strategies.vel_div import VEL_DIV
from dolphin.strategies.vel_div_sleeves import VEL_DIV_SLEEVES

SPACING = 300_000_000_000  # five minutes: a day and a half, with a midnight on the grid
START = 1_735_689_600_000_000_000  # 2025-01-01
BARS, FIRST = 440, 14

#: Ticks of 5 and of 0.25, lots of 10, a price finer than its tick. The last is the twin of the first: their ranks tie.
INSTRUMENTS = (
    Instrument("AAAUSDT", 2, 1, 2, 1, 5, 5.0),
    Instrument("BBBUSDT", 3, 5, 3, 1, 3, 5.0),
    Instrument("BTCUSDT", 1, 1, 1, 1, 3, 5.0),
    Instrument("CCCUSDT", 7, 1, 7, 10, 0, 5.0),
    Instrument("DDDUSDT", 4, 25, 2, 1, 2, 5.0),
    Instrument("EEEUSDT", 2, 1, 2, 1, 5, 5.0),
)
LEVELS = (91.37, 4.215, 61_234.5, 0.0012345, 250.25)


@functools.cache
def small_market(features: int = 2, bars: int = BARS) -> Market:
    """A seeded walk on the instruments' grids: holes, a late start, gaps in the price, missing features, postures."""
    rng = np.random.default_rng(11)
    moves = 0.004 * rng.standard_normal((bars, len(LEVELS)))
    moves[rng.random(moves.shape) < 0.01] *= 10.0
    walk = np.array(LEVELS) * np.exp(np.cumsum(moves, axis=0))
    walk = np.column_stack([walk, walk[:, 0]])
    close = np.column_stack([[round(x, i.price_precision) for x in walk[:, j]] for j, i in enumerate(INSTRUMENTS)])
    age = np.zeros(close.shape, np.int32)
    holes = rng.random(close.shape) < 0.1
    for j in (1, 3, 4):  # longer than a price may be old for an entry
        for begin in range(60 + 7 * j, bars - 10, 37):
            holes[begin : begin + 9, j] = True
    for t in range(bars):
        for j in (1, 3, 4):
            if (holes[t, j] and t > 0) or (j == 4 and t < 30):
                known = age[t - 1, j] if t > 0 else -1
                close[t, j] = close[t - 1, j] if t > 0 else np.nan
                age[t, j] = known + 1 if known >= 0 else -1
    signal, vol = 0.05 * rng.standard_normal(bars), rng.uniform(5e-5, 2e-4, bars)
    signal[:3], vol[rng.random(bars) < 0.1] = np.nan, np.nan
    momentum = np.full(bars, np.nan)
    momentum[7:] = close[7:, 2] / close[:-7, 2] - 1.0
    risk = neutral_risk(bars)
    risk["boost"] = 1.0 + 0.5 * (rng.random(bars) < 0.2)
    risk["beta"] = 0.5
    risk["rm"] = np.where(rng.random(bars) < 0.2, 0.5, 1.0)
    drawn = rng.random(bars)
    risk["posture"] = np.where(drawn < 0.02, HIBERNATE, np.where(drawn < 0.1, STALKER, 0))
    ts = START + SPACING * np.arange(1, bars + 1, dtype=np.int64)
    columns = np.ascontiguousarray(np.column_stack([signal, vol, momentum][:features]))
    return Market(ts, close, ln_array(close), age, columns, risk, instrument_records(INSTRUMENTS))


def dataset_of(market: Market) -> Dataset:
    """A dataset that says what the rungs ask of one: instruments, symbols, spacing."""
    return Dataset(
        name="selftest", digest="0" * 64, spacing_ns=SPACING, symbols=tuple(i.symbol for i in INSTRUMENTS),
        reference="BTCUSDT", instruments=INSTRUMENTS, synthetic=True, source="made in memory",
        n_bars=len(market.ts), first_ts=int(market.ts[0]), last_ts=int(market.ts[-1]), root=Path("unused"),
        manifest={},
    )  # fmt: skip


#: Trades often, both ways, with every exit.
OFTEN: dict[str, object] = {
    "direction": "bidirectional",
    "rank_lookback": 12,
    "vol_gate_mode": "off",
    "max_hold_bars": 9,
    "stop_pct": 0.02,
    "soft_cap": 9.0,
}


def config_of(strategy: Strategy, fill_timing: str = "close", **params: Any) -> Config:
    """The strategy with parameters that trade often; maker and taker fees differ."""
    return Config(
        strategy=strategy,
        strategy_name=strategy.name,
        preset=None,
        params=strategy.params(**(OFTEN | params)),
        friction=Friction.model_validate(
            {"slippage_bps": 2.0, "fee_bps": 3.0, "maker_fee_bps": 1.0, "fill_timing": fill_timing}
        ),
        account=Account(),
    )


def case_of(strategy: Strategy = VEL_DIV, fill_timing: str = "close", **params: Any) -> Case:
    """A case over the small market."""
    market = small_market(len(strategy.columns))
    if strategy is VEL_DIV_SLEEVES:
        params = {"arbiter_threshold": 0.0} | params
    return Case(dataset_of(market), market, config_of(strategy, fill_timing, **params), FIRST, len(market.ts))
