"""What a bar folds into its digest, value by value, so that two bars can be laid side by side."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from dolphin.config import Config
from dolphin.core.digest import STAGES
from dolphin.core.hooks import risk_at
from dolphin.core.records import MARKET_COLUMNS, NONE, Market, State
from dolphin.times import format_time as iso

ACTIONS = ("none", "open", "close", "increase", "reduce", "reverse", "cancel")
ORDER_KINDS = ("market", "limit", "stop", "bracket")


@dataclass(frozen=True)
class Field:
    """One value of one stage at the first bar that differs."""

    stage: str
    name: str
    left: Any
    right: Any

    @property
    def equal(self) -> bool:
        """Bit for bit, not-a-number included."""
        return bool(self.left == self.right or (self.left != self.left and self.right != self.right))

    @property
    def bits(self) -> tuple[str | None, str | None]:
        """The 64 bits of both values in hexadecimal, for floats."""
        return bits_of(self.left), bits_of(self.right)


def bits_of(value: Any) -> str | None:
    """The bits of a float in hexadecimal; None for anything else."""
    return struct.pack(">d", value).hex() if isinstance(value, float) else None


def read_fields(
    config: Config, symbols: tuple[str, ...], market: Market, state: State, i: int, assets: set[int]
) -> dict[tuple[str, str], Any]:
    """Every value that bar ``i`` folds into its digest, by (stage, name), after that bar.

    ``assets`` are those of either side (:func:`assets_of`).
    """
    found: dict[tuple[str, str], Any] = {("data", "time"): iso(market.ts[i])}
    _prices(found, market, assets, i, symbols)
    slots = len(state.slots)
    for s in range(slots):
        label = f"slot {s} " if slots > 1 else ""
        slot = state.slots[s]
        _order(found, "intent", label, state.intents[s], config, symbols)
        if state.refused[s]:
            found["intent", f"{label}refused"] = int(state.refused[s])
        for bank in range(len(state.fills) // slots):
            fill = state.fills[bank * slots + s]
            if bank == 0 or fill["action"]:
                named = f"{label}{('', 'liquidation ', 'new ')[bank]}"
                _order(found, "fill", named, fill, config, symbols)
        found["state", f"{label}side"] = int(slot["side"])
        if slots > 1:
            found["state", f"{label}realised"] = float(slot["realised"])
        if slot["side"]:
            found["state", f"{label}asset"] = symbols[int(slot["asset"])]
            for name in ("qty", "entry_price", "entry_bar", "leverage"):
                found["state", f"{label}{name}"] = slot[name].item()
        if state.working[s]["action"] != NONE:
            _order(found, "state", f"{label}working ", state.working[s], config, symbols)
    for f, name in enumerate(config.strategy.columns):
        found["features", name] = float(market.features[i, f])
    for name in ("boost", "beta", "rm", "posture"):
        found["risk", name] = risk_at(state, market, i)[name].item()
    if len(state.stress):
        for name in ("rm1", "others", "imposed"):
            found["risk", name] = market.risk[i][name].item()
        for name in ("peak", "rm5", "posture"):
            found["state", f"account's {name}"] = state.stress[0][name].item()
    for name in ("capital", "equity", "peak_equity", "trades"):
        found["state", name] = state.account[0][name].item()
    for m in range(config.strategy.memory_of(market.price.shape[1])):
        found["state", f"memory {m}"] = float(state.memory[m])
    return found


def assets_of(state: State) -> set[int]:
    """The assets that are held, were traded or have an order after a bar: those whose prices are in its digest."""
    slots = {int(slot["asset"]) for slot in state.slots if slot["side"]}
    orders = {int(order["asset"]) for kind in (state.fills, state.working) for order in kind if order["action"]}
    return slots | orders


def _prices(
    found: dict[tuple[str, str], Any], market: Market, assets: set[int], i: int, symbols: tuple[str, ...]
) -> None:
    """What is known of assets in row ``i``."""
    for asset in sorted(assets):
        found["data", f"price of {symbols[asset]}"] = float(market.price[i, asset])
        for name in MARKET_COLUMNS:
            values = getattr(market, name)
            if len(values):
                found["data", f"{name} of {symbols[asset]}"] = float(values[i, asset])


def _order(
    found: dict[tuple[str, str], Any], stage: str, label: str, order: Any, config: Config, symbols: tuple[str, ...]
) -> None:
    action = int(order["action"])
    found[stage, f"{label}action"] = ACTIONS[action] if 0 <= action < len(ACTIONS) else str(action)
    if not action:
        return
    found[stage, f"{label}asset"] = symbols[int(order["asset"])]
    found[stage, f"{label}side"] = int(order["side"])
    reason = int(order["reason"])
    found[stage, f"{label}reason"] = (
        config.strategy.reasons[reason] if 0 <= reason < len(config.strategy.reasons) else reason
    )
    for name in ("qty", "leverage", *(("price", "fee") if stage == "fill" else ())):
        found[stage, f"{label}{name}"] = float(order[name])
    if not config.engine.strategy.plain:
        found[stage, f"{label}kind"] = ORDER_KINDS[int(order["kind"]) % len(ORDER_KINDS)]
        for name in ("limit", "trigger"):
            found[stage, f"{label}{name}"] = float(order[name])
        found[stage, f"{label}expires"] = int(order["expires"])


def side_by_side(a: dict[tuple[str, str], Any], b: dict[tuple[str, str], Any]) -> list[Field]:
    """The fields of two bars, by stage."""
    keys = sorted(dict.fromkeys([*a, *b]), key=lambda key: STAGES.index(key[0]))
    return [Field(*key, a.get(key), b.get(key)) for key in keys]


def copied(state: State) -> State:
    """A state that does not change with this one."""
    return State._make(np.array(field) for field in state)
