"""Rung R: stretches of the run decided again by plain interpreted Python and the slow book.

The other rungs share the kernels, so a fault inside these makes all of them agree on the wrong thing. Here nothing
compiled takes part: the strategy's own ``decide`` runs uncompiled, and orders, fills and accounts are those of
:mod:`dolphin.parity.slow`, written from the page alone.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.parity.case import Case, utc
from dolphin.parity.slow.agreement import CompiledRun, Difference, located, run_compiled
from dolphin.parity.slow.engine import SlowRun, run_slow
from dolphin.parity.slow.plain_case import plain_case

#: Bars of a stretch; two are decided again: the one with the most orders, and one that the digest draws.
STRETCH = 1_000


def plain_rung(case: Case, fed: Market | None = None, stretch: int = STRETCH) -> tuple[bool, str, dict[str, Any]]:
    """Decide two stretches again; ``fed`` is what plain Python sees in place of the case's market."""
    facts: dict[str, Any] = {"stretches": [], "bars": 0, "fills": 0, "trades": 0}
    began, bars = time.perf_counter(), 0
    for part in stretches(case, stretch):
        difference, slow = compare(part, part.market if fed is None else fed)
        facts["stretches"].append([part.start, part.stop])
        if difference or slow is None:
            began_at = f"from bar {part.start} ({utc(int(case.market.ts[part.start]))}) on"
            if isinstance(difference, str):
                return False, f"{began_at}: {difference}", facts
            assert difference is not None
            facts |= {"first_bar": difference.bar, "first_stage": difference.stage}
            return False, f"{began_at}, stage {difference.stage}: {difference.sentence}", facts
        bars += part.bars
        facts["bars"] = bars
        facts["fills"] += len(slow.fills)
        facts["trades"] += len(slow.trades)
    facts["microseconds_per_bar"] = 1e6 * (time.perf_counter() - began) / max(1, bars)
    return True, f"{bars:,} bars and {facts['fills']:,} fills are equal in every bit in plain Python", facts


def stretches(case: Case, bars: int) -> list[Case]:
    """The stretch with the most orders, and one whose place follows from the run's last digest."""
    busiest = case.excerpt(bars)
    room = case.bars - busiest.bars
    if room <= 0:
        return [busiest]
    start = case.start + int(case.batch.digests[-1] % np.uint64(room + 1))
    return [busiest, Case(case.dataset, case.market, case.config, start, start + busiest.bars)]


def compare(case: Case, fed: Market) -> tuple[Difference | str | None, SlowRun | None]:
    """The first difference between the compiled run and the plain one, in words, and the plain one."""
    fast: CompiledRun = run_compiled(
        case.engine, case.params, case.friction, case.market, case.capital, case.start, case.stop
    )
    plain = plain_case(case.config, fed)
    try:
        slow = run_slow(plain, case.start, case.stop)
    except DolphinError:
        raise
    except Exception as error:  # whatever the author's function raises in plain Python
        where = case.config.strategy.source.name
        return f"{where} does not run as plain Python: {type(error).__name__}: {' '.join(str(error).split())}", None
    return located(plain, slow, fast), slow
