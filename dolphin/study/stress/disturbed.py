"""Runs whose fills are disturbed or whose entries are missed, through the engine's own step.

The strategy decides on the true prices and features. Noise moves only the price of a fill, so that no
exit is triggered by a price that never was, and then filled at it: such a run would earn its own noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dolphin.config import Config
from dolphin.core.hooks import friction_of
from dolphin.core.records import Market
from dolphin.core.taking import DISTURBED
from dolphin.study.measure.measured import BatchResult, combinations, measure_records

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
) -> BatchResult:
    """Run one configuration per disturbance over rows ``start`` to ``stop``; all of one strategy.

    Undisturbed runs equal single runs bit for bit. A run depends on nothing but its own configuration,
    disturbance and the market. Memory: about 1 kB a run, and 8 bytes more per UTC day of the window.
    """
    many = combinations(configs)
    plain = many.friction
    friction = np.zeros(len(configs), friction_of(configs[0].friction.model, DISTURBED))
    for name in plain.dtype.names or ():
        friction[name] = plain[name]
    friction["seed"] = [_spread(d.seed) for d in disturbances]
    friction["noise"] = np.array([d.noise_bps for d in disturbances]) / 1e4
    friction["missed"] = [d.missed for d in disturbances]
    return measure_records(
        configs[0].engine, many._replace(friction=friction), market, start, stop,
        threads=threads, chunk=_CHUNK, disturbed=True, on_done=on_done,
    )  # fmt: skip


def _spread(seed: int) -> int:
    """A seed as 64 bits that its neighbours do not share."""
    return int.from_bytes(hashlib.sha256(f"stress {seed}".encode()).digest()[:8], "little")
