"""``python -m benchmarks``: all of them, one after the other."""

from __future__ import annotations

from benchmarks import (
    cache,
    cluster,
    cold_start,
    journal,
    nautilus,
    risk,
    scanner,
    stores,
    strategies,
    sweep,
    vectorbt_step,
)

for module in (vectorbt_step, strategies, sweep, scanner, risk, cache, nautilus, journal, stores, cold_start, cluster):
    module.main()
