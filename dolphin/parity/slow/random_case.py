"""Random markets, declarations and friction for the comparison of the two engines, by seed."""

from __future__ import annotations

import numpy as np
from numpy.random import PCG64, Generator

from dolphin.core.records import INSTRUMENT, RISK
from dolphin.parity.slow.engine import Case
from dolphin.parity.slow.fills import FILL_MODELS, Friction
from dolphin.parity.slow.random_strategy import MEMORY, REASONS, WIDTH, decide

SPACING = 60_000_000_000
START = 1_735_689_600_000_000_000  # 2025-01-01

#: (tick_num, tick_den), coarse and fine, and steps that no double holds.
TICKS = ((1, 10), (25, 100), (1, 100_000), (5, 1), (1, 100), (1, 10_000_000), (5, 10), (1, 1))
#: (lot_num, lot_den).
LOTS = ((1, 1000), (1, 1), (10, 1), (1, 100_000), (5, 10), (1, 10))
MAX_ASSETS = 6


def random_case(seed: int) -> Case:
    """One case, the same for the same seed. About a quarter declare nothing: plain market orders."""
    rng = Generator(PCG64(seed))
    assets, bars = int(rng.integers(1, MAX_ASSETS + 1)), int(rng.integers(60, 401))
    capital = float(rng.choice([25_000.0, 25_000.0, 1_000.0, 123_456.78]))
    plain = bool(rng.random() < 0.25)
    orders = () if plain else tuple(kind for kind in ("limit", "stop") if rng.random() < 0.75)
    resize, margin = not plain and bool(rng.random() < 0.75), not plain and bool(rng.random() < 0.5)
    friction = _friction(rng, plain, margin)
    funding = not plain and bool(rng.random() < 0.5)
    size = float(rng.choice([0.3, 1.0, 5.0, 20.0]))
    params = {
        "activity": float(rng.uniform(0.1, 0.9)),
        "mistakes": float(rng.choice([0.0, 0.1, 0.4])),
        "size": size,
        "reach": float(rng.choice([0.002, 0.01, 0.03])),
        "hold": int(rng.integers(3, 60)),
        "resize": int(resize),
        "limits": int("limit" in orders),
        "stops": int("stop" in orders),
    }
    return Case(
        market=_market(rng, bars, assets, capital, size),
        decide=decide,
        params=params,
        friction=friction,
        slots="assets" if rng.random() < 0.3 else int(rng.integers(1, 5)),
        orders=orders,
        resize=resize,
        columns=_columns(friction.fill_model, funding),
        margin=margin,
        memory=MEMORY,
        reasons=REASONS,
        capital=capital,
        seed=seed,
    )


def _columns(fill_model: str, funding: bool) -> tuple[str, ...]:
    needed = () if fill_model == "scan_price" else ("open", "high", "low")
    volume = ("volume",) if fill_model == "volume_share" else ()
    return needed + volume + (("funding",) if funding else ())


def _friction(rng: Generator, plain: bool, margin: bool) -> Friction:
    models = FILL_MODELS[:3] if plain else FILL_MODELS
    return Friction(
        slippage_bps=float(rng.choice([0.0, 1.0, 2.0, 7.3])),
        fee_bps=float(rng.choice([0.0, 2.0, 3.0, 4.5])),
        maker_fee_bps=float(rng.choice([0.0, 1.0, 2.0])),
        fill_model=models[int(rng.integers(len(models)))],
        volume_share=float(rng.choice([0.02, 0.1, 0.33, 1.0])),
        timing="next" if rng.random() < 0.5 else "close",
        maintenance=float(rng.choice([0.005, 0.02, 0.1])) if margin else 0.0,
    )


def _market(rng: Generator, bars: int, assets: int, capital: float, size: float) -> dict[str, np.ndarray]:
    shape = (bars, assets)
    instruments = np.zeros(assets, INSTRUMENT)
    columns = {name: np.full(shape, np.nan) for name in ("price", "open", "high", "low", "volume", "bid", "ask")}
    columns["age"] = np.zeros(shape, np.int32)
    columns["funding"] = _funding(rng, shape)
    for j in range(assets):
        one = instruments[j : j + 1]
        ticks = _walk(rng, bars)
        _draw_instrument(rng, one, float(ticks[0]), capital)
        for name, x in _bars(rng, one, ticks, capital * size).items():
            columns[name][:, j] = x
    risk = np.zeros(bars, RISK)
    risk["boost"] = rng.choice([1.0, 1.3, 2.0], bars)
    risk["beta"], risk["rm"] = rng.random(bars), rng.random(bars)
    risk["posture"] = np.where(rng.random(bars) < 0.1, rng.integers(0, 4, bars), 0)
    risk["quality"] = rng.random(bars)
    # Drawn apart: what came after it of a seed stays what it was.
    apart = Generator(PCG64(int(2**52 * risk["rm"][0])))
    risk["rm1"] = apart.random(bars) >= 0.02
    risk["others"] = np.where(apart.random(bars) < 0.8, 1.0, apart.random(bars))
    risk["imposed"] = np.where(apart.random(bars) < 0.02, apart.integers(1, 5, bars), 0)
    return {
        "ts": START + SPACING * np.arange(1, bars + 1, dtype=np.int64),
        "log_price": np.log(columns["price"]),
        "features": rng.random((bars, MAX_ASSETS * WIDTH)),
        "risk": risk,
        "instruments": instruments,
    } | columns


def _walk(rng: Generator, bars: int) -> np.ndarray:
    """Closing prices in ticks (T,), whole numbers as floats, never below 100."""
    start = 10.0 ** rng.uniform(2.5, 5.5)
    moves = float(rng.choice([0.001, 0.004, 0.015])) * rng.standard_normal(bars)
    # Now and then a gap, through stops and margins.
    moves[rng.random(bars) < 0.01] *= 12.0
    return np.maximum(np.round(start * np.exp(np.cumsum(moves))), 100.0)


def _draw_instrument(rng: Generator, one: np.ndarray, ticks: float, capital: float) -> None:
    """A tick, and a lot of which the capital buys at least fifty."""
    tick_num, tick_den = TICKS[int(rng.integers(len(TICKS)))]
    price = ticks * tick_num / tick_den
    small = [lot for lot in LOTS if lot[0] / lot[1] * price <= capital / 50] or [(1, 100_000_000)]
    lot_num, lot_den = small[int(rng.integers(len(small)))]
    one["tick"], one["tick_num"], one["tick_den"] = tick_num / tick_den, tick_num, tick_den
    one["lot"], one["lot_num"], one["lot_den"] = lot_num / lot_den, lot_num, lot_den
    one["min_notional"] = rng.choice([0.0, 5.0, 100.0])


def _bars(rng: Generator, one: np.ndarray, ticks: np.ndarray, notional: float) -> dict[str, np.ndarray]:
    """One asset's columns (T,): bars on the tick grid, a late start, stretches without a real price.

    Without one the price stands, volume is 0 and open, high and low are NaN, which nobody may use.
    """
    bars = len(ticks)
    first = int(rng.integers(1, bars // 3)) if rng.random() < 0.25 else 0
    real = np.arange(bars) >= first
    if rng.random() < 0.5:
        for start in rng.integers(first + 1, bars, 6):
            real[start : start + int(rng.integers(1, 11))] = False
    last = np.maximum.accumulate(np.where(real, np.arange(bars), -1))
    started = last >= 0
    close = ticks[last]

    def reach_out() -> np.ndarray:
        wide = np.abs(rng.standard_normal(bars)) * rng.choice([0.0, 0.001, 0.005]) * close
        return np.where(rng.random(bars) < 0.3, 0.0, np.floor(wide))

    opening = np.roll(close, 1) + np.round(0.0005 * close * rng.standard_normal(bars))
    opening[0] = close[0]
    high = np.maximum(opening, close) + reach_out()
    low = np.maximum(np.minimum(opening, close) - reach_out(), 1.0)
    num, den = float(one["tick_num"][0]), float(one["tick_den"][0])
    price = np.where(started, close * num / den, np.nan)
    lots = np.floor(rng.exponential(4.0, bars) * notional / (close * num / den) / float(one["lot"][0]))
    volume = lots * float(one["lot_num"][0]) / float(one["lot_den"][0])
    volume[(rng.random(bars) < 0.15) | ~real] = 0.0
    nowhere = np.where(real, 0.0, np.nan)
    return {
        "price": price,
        "age": np.where(started, np.arange(bars) - last, -1),
        "open": opening * num / den + nowhere,
        "high": high * num / den + nowhere,
        "low": low * num / den + nowhere,
        "volume": volume,
        "bid": (close - 1.0) * num / den + nowhere,
        "ask": (close + 1.0) * num / den + nowhere,
    }


def _funding(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """A rate at every k-th bar (T, N); between them 0, or nothing at all (NaN)."""
    every = int(rng.integers(1, 30))
    rates = np.full(shape, np.nan if rng.random() < 0.5 else 0.0)
    rates[::every] = float(rng.choice([1e-4, 2e-3])) * rng.standard_normal(rates[::every].shape)
    return rates
