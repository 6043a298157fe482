"""The evidence once more, by what was done on the real market alone.

Whoever runs a strategy on shifted signals can be told from whoever runs it on the market: the signals do not follow
from the prices beside them. A decision that looks for that, or an engine that was replaced, can trade badly there and
so make p_a and p_b small. Here nothing is shifted that a strategy sees: the trades of the holdout, decided row by row,
are moved in a circle by the judge, and the search is asked by the daily returns that its trials left in the registry.
"""

from __future__ import annotations

import numpy as np

from dolphin.catalog import Dataset
from dolphin.core.records import Floats, Records
from dolphin.gate.evidence.combining import of_several, rank, stouffer
from dolphin.gate.evidence.looks import looks_at, outside
from dolphin.gate.evidence.moving import Held, held_of, sharpes_moved
from dolphin.gate.evidence.resampling import reality_check
from dolphin.gate.evidence.searches import find_search
from dolphin.gate.evidence.shifting import draw_shifts, least_rows, seed_of
from dolphin.gate.policy import Policy
from dolphin.gate.report import Check
from dolphin.parity.slow.engine import SlowEngine
from dolphin.workspace import Workspace

NAME = "edge without shifted signals"

#: What p may be, in levels of the family: it is asked beside the evidence, and costs power where it is strict.
LIMIT = 2.0

#: Circular moves of the trades; they cost next to nothing.
MOVES = 999


def edge_without_shifts(
    workspace: Workspace, dataset: Dataset, config_hash: str, alpha: float, span: tuple[int, int], engine: SlowEngine,
    trades: Records, policy: Policy,
) -> Check:  # fmt: skip
    """Whether the edge is there in what cannot be told from trading.

    Parameters
    ----------
    alpha : float
        The family's level.
    span, engine, trades
        The holdout's rows, its books as the judge has kept them, and its trades.
    """
    closes = dataset.prices()
    close, ts = np.asarray(closes.close[slice(*span)]), closes.ts[slice(*span)]
    held = with_open(held_of(trades, span[0]), engine, close, span[0])
    seed = seed_of(policy.hard("seed"), "moved trades", dataset.digest, config_hash, int(ts[0]), int(ts[-1]))
    least = least_rows(policy.hard("holdout_shift_days"), dataset.spacing_ns)
    moves = draw_shifts(len(ts), least, MOVES, seed)
    value, *others = sharpes_moved(held, close, ts, [0, *moves]).tolist()
    p = p_t = rank(value, others)
    words = f"its {len(held.entry)} trades of the holdout among {len(moves)} moves of them in time: p_t = {p_t:.3g}"
    p_r = search_by_returns(workspace, dataset, config_hash, policy)
    if p_r is not None:
        p = stouffer(p_r, p_t)
        words += f"; the search by its trials' daily returns: p_r = {p_r:.3g}; together {p:.3g}"
    limit = min(1.0, LIMIT * alpha)
    return Check(NAME, p <= limit, f"{words}, {limit:.3g} may be")


def search_by_returns(workspace: Workspace, dataset: Dataset, config_hash: str, policy: Policy) -> float | None:
    """White's reality check over the search as the registry has it, other looks counted; None where it is too small."""
    search = find_search(workspace, config_hash, dataset.digest)
    if search is None or search.rows.height < policy.hard("least_trials"):
        return None
    returns = search.returns
    if returns.shape[0] < 2 or returns.shape[1] < 10:
        return 1.0
    seed = seed_of(policy.hard("seed"), "reality check", search.study_hash, search.first_ts, search.last_ts)
    p, _ = reality_check(returns, policy.hard("resamples"), policy.hard("block_days"), seed)
    beyond = outside(looks_at(workspace, dataset), search, search.first_ts, search.last_ts)
    return of_several(p, 1.0 + beyond / search.rows.height) if beyond else p


def with_open(held: Held, engine: SlowEngine, close: Floats, start: int) -> Held:
    """What is still open at the end beside what was closed: it is worth its last price."""
    rows = []
    for slot in engine.slots:
        if slot.side != 0:
            gain = slot.side * slot.qty * (float(close[-1, slot.asset]) - slot.entry_price) - slot.entry_fee
            weight = slot.side * slot.qty * slot.entry_price
            rows.append((slot.entry_bar - start, len(close) - 1, slot.asset, weight / slot.capital_before,
                         gain / slot.capital_before))  # fmt: skip
    if not rows:
        return held
    return Held(*(np.append(values, new) for values, new in zip(held, zip(*rows, strict=True), strict=True)))
