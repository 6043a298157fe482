"""Rung 0: one Python call per bar, the batch loop, and the parallel sweep give the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.core.records import Market, State
from dolphin.parity.case import Case

#: Combinations that run beside ours, and where ours stands among them (more than once on purpose).
NEIGHBOURS = 12
OURS = (0, 5, 11)
THREADS, CHUNK = 2, 4


def core_rung(case: Case, fed: Market | None = None) -> tuple[bool, str, dict[str, Any]]:
    """Run it; ``fed`` is what the per-bar run and the sweep see in place of the case's market."""
    market = case.market if fed is None else fed
    trace = case.trace if fed is None else case.trace_on(fed)
    found = case.divergence(trace.digests, trace.stages)
    if found:
        return False, f"per-bar calls and the batch loop differ: {found.sentence()}", found.facts()
    unequal = sweep_difference(case, market)
    facts = {
        "combinations": NEIGHBOURS,
        "threads": THREADS,
        "orders": len(trace.fills),
        "trades": len(case.batch.trades),
        "final_digest": f"{int(case.batch.digests[-1]):016x}",
    }
    if unequal:
        return False, f"the parallel sweep ends with another {unequal} than the batch loop", facts
    sentence = f"per-bar calls, batch loop and sweep agree in every bit over {case.bars:,} bars"
    return True, sentence, facts


def sweep_difference(case: Case, market: Market) -> str | None:
    """The first field that a parallel sweep among neighbours leaves otherwise than the batch loop."""
    params = np.repeat(case.params, NEIGHBOURS)
    friction = np.repeat(case.friction, NEIGHBOURS)
    capital = np.full(NEIGHBOURS, case.capital)
    for k in range(NEIGHBOURS):
        if k not in OURS:
            nudge = 1.0 + 0.01 * (k + 1)
            friction["fee"][k] *= nudge
            friction["slippage"][k] *= nudge
            capital[k] *= nudge
            for name in params.dtype.names or ():
                if params.dtype[name].kind == "f":
                    params[name][k] *= nudge
    states = case.engine.new_states(market.price.shape[1], capital)
    case.engine.run_many(states, params, friction, market, case.start, case.stop, threads=THREADS, chunk=CHUNK)
    for k in OURS:
        unequal = state_difference(case.batch.state, State._make([*(f[k] for f in states[:-1]), states.scratch]))
        if unequal:
            return unequal
    return None


def state_difference(a: State, b: State) -> str | None:
    """The first field whose bits differ; the digest, which sweeps do not fold, is left out."""
    for part in ("account", "slots", "working"):
        ours, theirs = getattr(a, part), getattr(b, part)
        for name in ours.dtype.names:
            if name != "digest" and _bits(ours[name]) != _bits(theirs[name]):
                return f"{part}.{name}"
    return None if _bits(a.memory) == _bits(b.memory) else "memory"


def _bits(values: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values).tobytes()
