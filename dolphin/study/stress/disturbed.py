"""Runs whose fills are disturbed or whose entries are missed, through the engine's own step.

The strategy decides on the true prices and features. Noise moves only the price of a fill, so that no
exit is triggered by a price that never was, and then filled at it: such a run would earn its own noise.
"""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.config import Config
from dolphin.core import jit
from dolphin.core.engine import NO_TRADES, NOT_RANKED, RANKING, Engine, engine_for
from dolphin.core.records import RANKED, Market, State
from dolphin.study.measure.measured import Measured, combinations, measured_of
from dolphin.study.measure.run import days_of

_KERNEL = Path(__file__).with_name("stress_kernel.py")

#: Runs of one task; short, so that an interrupt need not wait for long.
_CHUNK = 8


@dataclass(frozen=True)
class Disturbance:
    """What is done to a run; nothing by default.

    Attributes
    ----------
    noise_bps : float
        Deviation of the noise on the price of every fill, drawn anew for each bar and asset.
    missed : float
        Probability that an entry signal is not taken. A signal lasts for as long as the strategy asks, bar
        after bar, to open the same slot: one draw decides about all of it.
    seed : int
        Of both.
    """

    noise_bps: float = 0.0
    missed: float = 0.0
    seed: int = 0


#: Nothing is done.
UNDISTURBED = Disturbance()


def run_disturbed(
    configs: Sequence[Config],
    disturbances: Sequence[Disturbance],
    market: Market,
    start: int,
    stop: int,
    *,
    threads: int = 1,
    on_done: Callable[[int], None] | None = None,
) -> Measured:
    """Run one configuration per disturbance over rows ``start`` to ``stop``; all of one strategy.

    Undisturbed runs equal single runs bit for bit. A run depends on nothing but its own configuration,
    disturbance and the market. Memory: about 1 kB a run, and 8 bytes more per UTC day of the window.
    """
    engine = engine_for(configs[0].strategy)
    kernel = _kernel_for(engine)
    params, friction, capital = combinations(configs)
    states = engine.new_states(market.price.shape[1], capital, days_of(market.ts, start, stop))
    seeds = np.array([_spread(d.seed) for d in disturbances], np.uint64)
    noise = np.array([d.noise_bps for d in disturbances]) / 1e4
    missed = np.array([d.missed for d in disturbances], np.float64)
    signals = np.zeros((len(configs), engine.strategy.slots), np.int64)

    def work(low: int) -> int:
        at = slice(low, min(low + _CHUNK, len(configs)))
        part = State._make([field[at] for field in states[:-1]] + [np.empty_like(states.scratch)])
        part = part._replace(ranking=np.full((1, RANKING), NOT_RANKED, RANKED))
        kernel(
            part, params[at], friction[at], market, seeds[at], noise[at], missed[at], signals[at],
            start, stop, NO_TRADES,
        )  # fmt: skip
        return at.stop - low

    with ThreadPoolExecutor(max_workers=threads) as pool:
        try:
            for done in pool.map(work, range(0, len(configs), _CHUNK)):
                if on_done is not None:
                    on_done(done)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return measured_of(states, capital)


def _spread(seed: int) -> int:
    """A seed as 64 bits that its neighbours do not share."""
    return int.from_bytes(hashlib.sha256(f"stress {seed}".encode()).digest()[:8], "little")


def _kernel_for(engine: Engine) -> Callable[..., Any]:
    """Compile ``stress_kernel.py`` for the engine's strategy; numba caches it under a key of all that it reads."""
    key = hashlib.sha256(f"{engine.digest} {jit.source_digest([_KERNEL])}".encode()).hexdigest()
    name = f"dolphin.study.stress_{key[:16]}"
    if name not in sys.modules:
        module = types.ModuleType(name, doc=f"The disturbed step of strategy {engine.strategy.name}.")
        module.__file__ = str(_KERNEL)
        names = ("decide", "begin", "drop_busy", "hold", "SLOTS")
        module.__dict__.update({name: getattr(engine.kernels, name) for name in names}, kernel=jit.kernel_in(key))
        sys.modules[name] = module  # numba looks a cached kernel's globals up by module name
        try:
            exec(compile(_KERNEL.read_text(), str(_KERNEL), "exec"), module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
    kernel: Callable[..., Any] = sys.modules[name].run_disturbed
    return kernel
