"""What trading must cost at least in a run that is to be promoted."""

from __future__ import annotations

from dolphin.config import Config
from dolphin.gate.report import Check

#: Slippage and fees of an entry and an exit together, and the fee of a fill that gave liquidity, in basis points.
ROUND_TRIP_BPS, MAKER_BPS = 8.0, 2.0

#: What rounding may take off.
SLACK = 1e-9


def cost_check(config: Config) -> Check:
    """Whether the candidate pays the floor; no policy lowers it."""
    friction = config.friction
    paid, maker = 2.0 * (friction.slippage_bps + friction.fee_bps), friction.maker_fee_bps
    passed = paid >= ROUND_TRIP_BPS - SLACK and maker >= MAKER_BPS - SLACK
    words = f"{paid:g} bps a round trip, {maker:g} bps where it gives liquidity"
    return Check(
        "cost of trading", passed, f"{words}; at least {ROUND_TRIP_BPS:g} and {MAKER_BPS:g} are needed to be promoted"
    )
