"""Averages of one asset's closes and what is built on them: SMA, EMA, RSI, MACD."""

from __future__ import annotations

import functools
import math

from dolphin.core.jit import inline
from dolphin.errors import DolphinError
from dolphin.features import Feature
from dolphin.indicators.rings import known, mean_of, push

#: What is left of where an exponential average began, after its warm-up.
REMAINDER = 1e-12


def length(n: int, least: int = 1) -> int:
    """A number of bars.

    Raises
    ------
    DolphinError
        If it is none.
    """
    if not isinstance(n, int) or isinstance(n, bool) or not least <= n <= 2_000:
        raise DolphinError(f"an indicator over {n!r} bars", mend=f"give a whole number from {least} to 2000")
    return n


def settled(alpha: float) -> int:
    """Bars after which an exponential average has forgotten its beginning."""
    return 1 if alpha >= 1.0 else math.ceil(math.log(REMAINDER) / math.log(1.0 - alpha))


def named(name: str, asset: int) -> str:
    """The feature's name; assets beside the first are told by their column."""
    return f"{name}_of{asset}" if asset else name


@functools.cache
def sma(n: int, asset: int = 0) -> Feature:
    """Simple moving average of the last ``n`` closes of the asset in this column."""
    length(n)

    @inline
    def update(state, bar, out):  # type: ignore[no-untyped-def]
        if push(state, n, known(bar.price, asset)):
            out[0] = mean_of(state, n)

    return Feature(named(f"sma{n}", asset), update, memory=1 + n, warmup_bars=n)


@functools.cache
def ema(n: int, asset: int = 0) -> Feature:
    """Exponential moving average of the closes, alpha = 2 / (n + 1), begun with the first."""
    alpha = 2.0 / (length(n) + 1.0)

    @inline
    def update(state, bar, out):  # type: ignore[no-untyped-def]
        price = known(bar.price, asset)
        if price == price:
            state[1] = price if state[0] == 0.0 else state[1] + alpha * (price - state[1])
            state[0] = 1.0
            out[0] = state[1]

    return Feature(named(f"ema{n}", asset), update, memory=2, warmup_bars=settled(alpha), tolerance=1e-9)


@functools.cache
def rsi(n: int = 14, asset: int = 0) -> Feature:
    """Relative strength index, 0 to 100, with Wilder's averages (alpha = 1 / n); 50 where nothing moved.

    J. W. Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    alpha = 1.0 / length(n, 2)

    @inline
    def update(state, bar, out):  # type: ignore[no-untyped-def]
        price = known(bar.price, asset)
        if price != price:  # NaN
            return
        if state[0] >= 1.0:
            move = price - state[1]
            gain, loss = max(move, 0.0), max(-move, 0.0)
            first = state[0] == 1.0
            state[2] = gain if first else state[2] + alpha * (gain - state[2])
            state[3] = loss if first else state[3] + alpha * (loss - state[3])
            whole = state[2] + state[3]
            out[0] = 100.0 * state[2] / whole if whole > 0.0 else 50.0
        state[0], state[1] = min(state[0] + 1.0, 2.0), price

    return Feature(named(f"rsi{n}", asset), update, memory=4, warmup_bars=settled(alpha) + 2, tolerance=1e-7)


@functools.cache
def macd(fast: int = 12, slow: int = 26, signal: int = 9, asset: int = 0) -> Feature:
    """MACD in three columns: ``line`` = EMA(fast) - EMA(slow), ``signal`` = its EMA, ``gap`` = line - signal."""
    quick, slack, smooth = (2.0 / (length(n) + 1.0) for n in (fast, slow, signal))

    @inline
    def update(state, bar, out):  # type: ignore[no-untyped-def]
        price = known(bar.price, asset)
        if price != price:  # NaN
            return
        first = state[0] == 0.0
        state[1] = price if first else state[1] + quick * (price - state[1])
        state[2] = price if first else state[2] + slack * (price - state[2])
        line = state[1] - state[2]
        state[3] = line if first else state[3] + smooth * (line - state[3])
        state[0] = 1.0
        out[0], out[1], out[2] = line, state[3], line - state[3]

    warmup = settled(min(quick, slack)) + settled(smooth)
    columns = ("line", "signal", "gap")
    name = named(f"macd{fast}_{slow}_{signal}", asset)
    return Feature(name, update, memory=4, warmup_bars=warmup, columns=columns, tolerance=1e-6)
