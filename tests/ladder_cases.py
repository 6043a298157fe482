"""Small markets with awkward instruments, as datasets, for the rungs of the parity ladder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from strategies_for_tests import TWO_SLOTS

from dolphin.catalog import Dataset, Instrument
from dolphin.config import Account, Config, Friction, columns_needed
from dolphin.config.config import RiskInputs
from dolphin.core.logarithm import ln_array
from dolphin.core.records import Floats, Market, neutral_risk
from dolphin.core.strategy import Strategy
from dolphin.market.assemble import instrument_records
from dolphin.parity.case import Case
from dolphin.strategies.breakout import BREAKOUT
from dolphin.strategies.cross_momentum import CROSS_MOMENTUM
from dolphin.strategies.pair_reversion import PAIR_REVERSION
from dolphin.strategies.vel_div import VEL_DIV
from dolphin.strategies.vel_div_sleeves import VEL_DIV_SLEEVES

SECOND = 1_000_000_000
SPACING = 5 * SECOND
START = 1_735_689_600 * SECOND

#: Ticks of 5 and of 0.25, lots of 10, prices finer than the tick, a symbol without USDT at its end.
INSTRUMENTS = (
    Instrument("AAAUSDT", 2, 1, 2, 1, 5, 5.0),
    Instrument("BBBUSDT", 3, 5, 3, 1, 3, 5.0),
    Instrument("BTCUSDT", 1, 1, 1, 1, 3, 5.0),
    Instrument("CCCUSDT", 7, 1, 7, 10, 0, 5.0),
    Instrument("DDDUSDC", 4, 25, 2, 1, 2, 5.0),
    Instrument("EEEUSDT", 5, 1, 4, 1, 0, 5.0),
)
LEVELS = (91.37, 4.215, 61_234.5, 0.0012345, 250.25, 0.31415)


def small_market(bars: int = 240, seed: int = 7, features: int = 2) -> Market:
    """A seeded walk on the instruments' grids with late listings and missing bars."""
    rng = np.random.default_rng(seed)
    walk = np.array(LEVELS) * np.exp(np.cumsum(0.003 * rng.standard_normal((bars, len(LEVELS))), axis=0))
    close = np.column_stack([[round(x, i.price_precision) for x in walk[:, j]] for j, i in enumerate(INSTRUMENTS)])
    age = np.zeros(close.shape, np.int32)
    for t in range(bars):
        for j in range(close.shape[1]):
            missing = (j == 4 and t < 30) or (j in (1, 3) and rng.random() < 0.15)
            if missing and t > 0:
                close[t, j], known = close[t - 1, j], age[t - 1, j]
                age[t, j] = known + 1 if known >= 0 else -1
            elif missing:
                close[t, j], age[t, j] = np.nan, -1
    signal = 0.05 * rng.standard_normal(bars)
    signal[:3] = np.nan
    momentum = np.full(bars, np.nan)
    momentum[7:] = close[7:, 2] / close[:-7, 2] - 1.0
    columns = [signal, rng.uniform(5e-5, 2e-4, bars), momentum][:features]
    risk = neutral_risk(bars)
    risk["boost"] = 1.0 + 0.3 * (rng.random(bars) < 0.2)
    risk["beta"] = 0.5
    ts = START + SPACING * np.arange(1, bars + 1, dtype=np.int64)
    instruments = instrument_records(INSTRUMENTS)
    return Market(ts, close, ln_array(close), age, np.ascontiguousarray(np.column_stack(columns)), risk, instruments)


def dataset_of(market: Market) -> Dataset:
    """A dataset that says what the rungs ask of one: instruments, symbols, spacing."""
    return Dataset(
        name="small", digest="0" * 64, spacing_ns=SPACING, symbols=tuple(i.symbol for i in INSTRUMENTS),
        reference="BTCUSDT", instruments=INSTRUMENTS, synthetic=True, source="made in memory",
        n_bars=len(market.ts), first_ts=int(market.ts[0]), last_ts=int(market.ts[-1]), root=Path("unused"),
        manifest={},
    )  # fmt: skip


def config_of(strategy: Strategy, fill_timing: str = "close", **params: object) -> Config:
    """A config around parameters of this strategy; vel_div and its sleeves trade often in both directions."""
    often: dict[str, object] = {}
    if strategy in (VEL_DIV, VEL_DIV_SLEEVES):
        often = {"direction": "bidirectional", "rank_lookback": 5, "vol_gate_mode": "off", "max_hold_bars": 9}
    return Config(
        strategy=strategy,
        strategy_name=strategy.name,
        preset=None,
        params=strategy.params(**(often | params)),
        friction=Friction(slippage_bps=2.0, fee_bps=3.0, fill_timing=fill_timing),
        account=Account(),
    )


def case_of(strategy: Strategy, fill_timing: str = "close", start: int = 12, **params: object) -> Case:
    """A case over the small market from row ``start`` on."""
    market = small_market(features=len(strategy.columns))
    if strategy is VEL_DIV_SLEEVES:  # a UTC day begins inside, one sleeve is favoured from there on
        market = market._replace(ts=market.ts - 120 * SPACING)
        params = {"arbiter_threshold": 0.0} | params
    return Case(dataset_of(market), market, config_of(strategy, fill_timing, **params), start, len(market.ts))


CASES = [(strategy, timing) for strategy in (VEL_DIV, TWO_SLOTS, VEL_DIV_SLEEVES) for timing in ("close", "next")]


#: The bundled strategies that do more than open and close at the market, with parameters that trade often.
RICH: dict[Strategy, dict[str, object]] = {
    BREAKOUT: {
        "channel": 6, "range_bars": 4, "stop_atr": 1.0, "target_atr": 1.5, "trail_bars": 3, "max_hold_bars": 30,
    },
    CROSS_MOMENTUM: {"lookback": 5, "rebalance_bars": 4, "per_side": 2, "gross_leverage": 3.0},
    PAIR_REVERSION: {
        "window": 8, "entry_z": 1.0, "exit_z": 0.2, "stop_z": 4.0, "max_hold_bars": 20,
        "first": "AAAUSDT", "second": "BTCUSDT",
    },
}  # fmt: skip


def columns_of(market: Market, seed: int = 3) -> dict[str, Floats]:
    """Open, high, low, volume and funding that belong to the market's closes."""
    rng, price, records = np.random.default_rng(seed), market.price, market.instruments
    opened = np.vstack([price[:1], price[:-1]])
    opened = np.where(np.isnan(opened) | (market.age != 0), price, opened)

    def on_ticks(x: Floats) -> Floats:
        grid: Floats = np.floor(x / records["tick"] + 0.5) * records["tick_num"] / records["tick_den"]
        return grid

    def reach() -> Floats:
        ticks: Floats = np.floor(rng.exponential(0.001, price.shape) * price / records["tick"]) * records["tick"]
        return ticks

    high = np.maximum(np.maximum(opened, price), on_ticks(np.maximum(opened, price) + reach()))
    low = np.minimum(np.minimum(opened, price), on_ticks(np.minimum(opened, price) - reach()))
    settles = (np.arange(len(price)) % 7 == 0)[:, None]
    return {
        "open": opened,
        "high": np.where(market.age != 0, price, high),
        "low": np.where(market.age != 0, price, low),
        "volume": np.where(market.age == 0, rng.exponential(150_000.0, price.shape) / price, 0.0),
        "funding": np.where(settles, 1e-4 * rng.standard_normal(price.shape), 0.0),
    }


def rich_case(
    strategy: Strategy, timing: str = "close", model: str = "scan_price", *, funded: bool = False, bars: int = 400
) -> Case:
    """A case of a strategy of :data:`RICH`; with funding its margin is watched, too."""
    config = config_of(strategy, timing, **RICH[strategy])
    config = dataclasses.replace(
        config,
        friction=config.friction.model_copy(update={"maker_fee_bps": 1.0, "fill_model": model}),
        account=config.account.model_copy(update={"cross_maintenance": 0.02 if funded else 0.0}),
        market=config.market.model_copy(update={"funding": "rates" if funded else None}),
    )
    market = small_market(bars, features=2)._replace(features=np.empty((bars, 0)))
    columns = columns_of(market)
    market = market._replace(**{name: columns[name] for name in columns_needed(config)})
    if config.symbols:
        symbols = np.zeros(1, [(role, "i8") for role in config.symbols])
        for role, symbol in config.symbols.items():
            symbols[role] = [i.symbol for i in INSTRUMENTS].index(symbol)
        market = market._replace(symbols=symbols)
    return Case(dataset_of(market), market, config, 20, bars)


def risky_case(
    strategy: Strategy, timing: str = "close", *, funded: bool = False, bars: int = 400, weighed: bool = False
) -> Case:
    """A case in an engine that obeys postures, which come and go in stretches; the breaker turns, the book changes.

    Where its account's drawdown is ``weighed`` they follow from factors instead, and now and then somebody imposes one.
    """
    if strategy in RICH:
        plain = rich_case(strategy, timing, funded=funded, bars=bars)
    else:
        market = small_market(bars, features=len(strategy.columns))
        plain = Case(dataset_of(market), market, config_of(strategy, timing), 20, bars)
    rng, risk = np.random.default_rng(11), plain.market.risk.copy()
    stretches = np.repeat(rng.choice([0, 0, 0, 1, 1, 2, 3], bars // 8 + 1), 8)[:bars]
    risk["posture"], risk["rm"] = stretches, np.where(stretches == 0, 1.0, 0.7)
    risk["boost"] = 1.0 + 0.5 * (rng.random(bars) < 0.3)
    risk["quality"] = rng.random(bars)
    risk["rm1"], risk["others"] = rng.random(bars) >= 0.02, np.array([1.0, 0.9, 0.6, 0.2])[stretches]
    risk["imposed"] = np.where(rng.random(bars) < 0.02, 2, 0)
    config = dataclasses.replace(plain.config, risk=RiskInputs(table="made here", account=weighed))
    return dataclasses.replace(plain, config=config, market=plain.market._replace(risk=risk))
