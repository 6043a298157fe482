"""The account's limits, outside the strategy: what they stop is a rejection in the journal, so a replay knows it."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dolphin.core.records import INCREASE, LIMIT, OPEN, REVERSE, STOP, Records
from dolphin.core.units import SECOND_NS
from dolphin.live.session import Session
from dolphin.trade.control import Wanted
from dolphin.trade.settings import Limits

MINUTE_NS = 60 * SECOND_NS
#: Bars between two looks at the disk.
DISK_BARS = 100


class Guard:
    """Says of each order why it may not go out, if it may not. What closes or reduces is never stopped.

    Parameters
    ----------
    limits : Limits
    symbols : sequence of str
        By column.
    folder : Path
        Whose disk is watched.
    """

    def __init__(self, limits: Limits, symbols: Sequence[str], folder: Path) -> None:
        self.limits, self._symbols, self._folder = limits, tuple(symbols), folder
        self.wanted = Wanted()
        self.may_trade, self.why_not = True, ""
        self.day_equity = float("nan")
        self.lost = False
        self._sent: deque[int] = deque()
        self._disk_in, self.disk_low = 0, False

    def begin_day(self, equity: float) -> None:
        """A UTC day begins with this equity."""
        self.day_equity, self.lost = equity, False

    def begin_bar(self, may_trade: bool, why_not: str) -> None:
        """A bar begins; whether the feed and the warm-up let it open anything."""
        self.may_trade, self.why_not = may_trade, why_not
        self._disk_in -= 1
        if self._disk_in < 0 and self.limits.disk_mb:
            self._disk_in = DISK_BARS
            self.disk_low = shutil.disk_usage(self._folder).free < self.limits.disk_mb * 1e6

    def sees_loss(self, session: Session) -> bool:
        """Whether the day's loss is beyond its limit; it stays so until the next day."""
        limit = self.limits.daily_loss
        if limit is not None and not self.lost:
            equity = float(session.state.account["equity"][0])
            self.lost = self.day_equity - equity >= limit
        return self.lost

    def remember(self, times: Sequence[int]) -> None:
        """Entries that went out before a restart, by exchange time."""
        self._sent.extend(times)

    def stops(self, session: Session, order: Records) -> str | None:
        """Why this order may not go out; None if it may."""
        if int(order["action"]) not in (OPEN, INCREASE, REVERSE):
            return None
        reason = self._closed(session) or self._too_much(session, order) or self._strange(session, order)
        if reason is None:
            self._sent.append(int(session.market.ts[session.bar]))
        return reason

    def _closed(self, session: Session) -> str | None:
        if self.wanted.halted:
            return f"halted: {self.wanted.reason}"
        if not self.may_trade:
            return self.why_not
        if self.lost:
            return f"daily loss limit of {self.limits.daily_loss:g}"
        if self.disk_low:
            return f"less than {self.limits.disk_mb:g} MB are free"
        least = self.limits.balance
        if least is not None and float(session.state.account["capital"][0]) < least:
            return f"capital is below {least:g}"
        return None

    def _too_much(self, session: Session, order: Records) -> str | None:
        limits, state, market, bar = self.limits, session.state, session.market, session.bar
        symbol = self._symbols[int(order["asset"])]
        if limits.symbols is not None and symbol not in limits.symbols:
            return f"{symbol} is not allowed"
        notional = float(order["qty"]) * float(market.price[bar, int(order["asset"])])
        if limits.order_notional is not None and notional > limits.order_notional:
            return f"order of {notional:.2f} is above {limits.order_notional:g}"
        total = 0.0
        if limits.total_notional is not None or limits.leverage is not None:
            held = state.slots[state.slots["side"] != 0]
            total = notional + float(np.sum(held["qty"] * market.price[bar, held["asset"]]))
        if limits.total_notional is not None and total > limits.total_notional:
            return f"{total:.2f} in all is above {limits.total_notional:g}"
        equity = float(state.account["equity"][0])
        if limits.leverage is not None and not total <= limits.leverage * equity:
            return f"leverage of {total / equity if equity else np.inf:.3f} is above {limits.leverage:g}"
        if limits.orders_per_minute is not None:
            now = int(market.ts[bar])
            while self._sent and self._sent[0] <= now - MINUTE_NS:
                self._sent.popleft()
            if len(self._sent) >= limits.orders_per_minute:
                return f"{limits.orders_per_minute} orders in a minute were sent"
        return None

    def _strange(self, session: Session, order: Records) -> str | None:
        collar = self.limits.price_collar
        if collar is None:
            return None
        asset, bar = int(order["asset"]), session.bar
        price = float(session.market.price[bar, asset])
        before = float(session.market.price[bar - 1, asset]) if bar else float("nan")
        kind = int(order["kind"])
        for what, value, base in (
            ("price", price, before),
            ("limit", float(order["limit"]) if kind & LIMIT else price, price),
            ("trigger", float(order["trigger"]) if kind & STOP else price, price),
        ):
            if not abs(value / base - 1.0) <= collar:
                return f"{what} {value:g} is more than {collar:g} away from {base:g}"
        return None
