"""ENGINE section 3 once more in plain Python, written from the page: what rung R decides ``vel_div`` by.

A fault in the bundled strategy's own source, or in the ranking, would be the same when that source runs uncompiled.
"""

from __future__ import annotations

import math
from typing import Any

from dolphin.parity.slow.book import CLOSE, OPEN
from dolphin.parity.slow.grid import Step

APEX, STALKER, HIBERNATE = 0, 1, 3
DAY = 86_400_000_000_000  # ns

REASONS = (
    "",
    "LIQUIDATION",
    "HIBERNATE_HALT",
    "SUBDAY_ACB_NORMALIZATION",
    "STOP_LOSS",
    "FIXED_TP",
    "MAX_HOLD",
)

#: Choices come by position: direction is short_only, long_only or bidirectional, the gate min, max or off.
SHORT_ONLY, LONG_ONLY = 0, 1
MIN, MAX = 0, 1


def decide(state: Any, params: Any, market: Any, i: int) -> None:
    """Exit, or enter if flat."""
    slot, intent, account = state.slots[0], state.intents[0], state.account[0]
    if slot.side != 0:
        reason = exit_reason(slot, account.capital, params, market, i, read(state, market, i).posture)
        if reason:
            intent.action, intent.asset, intent.side, intent.qty = CLOSE, slot.asset, slot.side, slot.qty
            intent.reason, intent.leverage = REASONS.index(reason), slot.leverage
        return
    risk = read(state, market, i)
    side = signal(params, float(market.features[i][0]), float(market.features[i][1]))
    if side == 0 or int(risk.posture) not in (APEX, STALKER) or account.capital <= 0.0:
        return
    asset = best_aligned(market, params, side, i)
    if asset is None:
        return
    leverage = leverage_of(params, float(market.features[i][0]), side, risk)
    record, price = market.instruments[asset], float(market.price[i, asset])
    lot = Step(float(record.lot), float(record.lot_num), float(record.lot_den))
    qty = lot.below(account.capital * params.fraction * leverage / price)
    if qty > 0.0 and qty * price >= record.min_notional:
        intent.action, intent.asset, intent.side, intent.qty, intent.leverage = OPEN, asset, side, qty, leverage


def read(state: Any, market: Any, i: int) -> Any:
    """The risk inputs that the bar is decided by: the account's where its drawdown is weighed."""
    return state.in_force[0] if state.in_force else market.risk[i]


def exit_reason(slot: Any, capital: float, params: Any, market: Any, i: int, posture: int) -> str:
    """The first exit that holds, or nothing."""
    price = float(market.price[i, slot.asset])
    move = slot.side * (price / slot.entry_price - 1.0)
    margin = params.maintenance_margin
    if margin > 0.0 and capital + slot.side * slot.qty * (price - slot.entry_price) <= margin * slot.qty * price:
        return "LIQUIDATION"
    if posture == HIBERNATE:
        return "HIBERNATE_HALT"
    if i > 0:
        turned = float(market.risk[i - 1].boost) - float(market.risk[i].boost) > params.adverse_turn_drop
        new_day = int(market.ts[i]) // DAY != int(market.ts[i - 1]) // DAY
        if turned or (params.acb_day_reset and new_day):
            return "SUBDAY_ACB_NORMALIZATION"
    if params.stop_pct > 0.0 and move <= -params.stop_pct:
        return "STOP_LOSS"
    if move >= params.tp_pct:
        return "FIXED_TP"
    return "MAX_HOLD" if i - slot.entry_bar >= params.max_hold_bars else ""


def signal(params: Any, vel_div: float, vol: float) -> int:
    """-1, 0 or +1."""
    if math.isnan(vel_div) or math.isnan(vol):
        return 0
    if params.vol_gate_mode == MIN and not vol >= params.vol_p60:
        return 0
    if params.vol_gate_mode == MAX and not vol <= params.vol_p60:
        return 0
    if vel_div < params.short_threshold and params.direction != LONG_ONLY:
        return -1
    return 1 if vel_div > params.long_threshold and params.direction != SHORT_ONLY else 0


def leverage_of(params: Any, vel_div: float, side: int, risk: Any) -> float:
    """Notional over capital."""
    threshold, extreme = params.long_threshold, params.long_extreme
    if side < 0:
        threshold, extreme = params.short_threshold, params.short_extreme
    strength = min(max((abs(vel_div) - abs(threshold)) / (abs(extreme) - abs(threshold)), 0.0), 1.0)
    power = strength
    for _ in range(int(params.convexity) - 1):
        power = power * strength
    leverage = params.base_leverage + (params.soft_cap - params.base_leverage) * power
    leverage = leverage * (1.0 + float(risk.beta) * (float(risk.boost) - 1.0))
    leverage = max(min(leverage, params.abs_cap * float(risk.rm)), 1.0)
    return min(leverage, 2.0) if risk.posture == STALKER else leverage


def best_aligned(market: Any, params: Any, side: int, i: int) -> int | None:
    """The asset of the highest directional efficiency, the lower column of equals."""
    if i < params.rank_lookback:
        return None
    best, highest = None, params.min_alignment
    logs = market.log_price[i - params.rank_lookback : i + 1].tolist()
    for j, age in enumerate(market.age[i].tolist()):
        if not 0 <= age <= params.max_stale_bars:
            continue
        way = 0.0
        for k in range(len(logs) - 1):
            way += abs(logs[k + 1][j] - logs[k][j])
        if not way > 0.0:
            continue
        efficiency = side * (logs[-1][j] - logs[0][j]) / way
        if efficiency > highest or (best is None and efficiency >= highest):
            best, highest = j, efficiency
    return best
