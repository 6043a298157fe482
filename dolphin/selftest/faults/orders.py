"""Faults in what only strategies of more than market orders meet: limits, stops, parts, margin, funding."""

from __future__ import annotations

from dolphin.selftest.fault import Fault

_T, _F = "core/trading.py", "core/fill_models.py"

ORDERS = (
    Fault("stop-at-trigger-through-gap", "a stop fills at its trigger though the bar opened beyond it", _F,
          "        price = opened if direction * (opened - order.trigger) > 0.0 else order.trigger\n",
          "        price = order.trigger\n", "rung R, orders", "fill"),
    Fault("limit-on-touch", "a limit fills where the price only touches it", _F,
          "    return in_range(order, direction, friction, market, i, False)\n\n\n@inline\ndef touch",
          "    return in_range(order, direction, friction, market, i, True)\n\n\n@inline\ndef touch", "rung R, orders", "fill"),
    Fault("bracket-fills-better-side", "a bar that reaches both sides of a bracket fills the limit", _F,
          "    if (order.kind & STOP) != 0 and direction * (worst - order.trigger) >= 0.0:\n        opened",
          "    if order.kind == STOP and direction * (worst - order.trigger) >= 0.0:\n        opened", "rung R, orders", "fill"),
    Fault("expiry-one-bar-late", "an order works a bar longer than it was to", _T,
          "order.expires > 0 and i >= order.bar + order.expires", "order.expires > 0 and i > order.bar + order.expires",
          "rung R, orders", "intent"),
    Fault("post-only-ignored", "a post-only limit that would take is laid into the market", "core/refusals.py",
          "    if (kind & LIMIT) != 0 and intent.post_only != 0 and direction * (price - limit) <= 0.0:\n        return CROSSES\n",
          "", "rung R, orders", "intent"),
    Fault("margin-call-ignores-a-slot", "the margin of the first slot is not needed", _T,
          "    need = 0.0\n    for s in range(slots):\n", "    need = 0.0\n    for s in range(1, slots):\n",
          "rung R, orders", "intent"),
    Fault("funding-sign", "who should pay funding is paid", _T,
          "            payment = -(slot.side", "            payment = +(slot.side", "rung R, orders", "state"),
    Fault("partial-fill-twice", "what was filled in part stays in the order", _T,
          "of_lots(lots_of(order.qty, instrument) - lots_of(filled, instrument), instrument)\n    working",
          "of_lots(lots_of(order.qty, instrument), instrument)\n    working", "rung R, parts", "fill"),
    Fault("reduce-not-pro-rata", "a reduction takes the whole entry fee with it", "core/book.py",
          "    share = qty / slot.qty\n", "    share = 1.0\n", "rung R, orders", "state"),
)  # fmt: skip
