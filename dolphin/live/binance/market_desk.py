"""Market orders on their way: sent once, settled by what is heard, or by asking."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from dolphin.core.records import Records
from dolphin.errors import DolphinError
from dolphin.live.binance.outcomes import Outcome, Part
from dolphin.live.binance.writing import market_order

if TYPE_CHECKING:
    from dolphin.live.binance.trader import LiveTrader

KILLED = "the session was killed before it was sent"

#: What an order wants before it is written: no parts add up to it.
UNKNOWN = Decimal("Infinity")


class MarketDesk:
    """The orders of a bar that are to be answered within it.

    Attributes
    ----------
    waiting : dict of Outcome
        By client order id.
    asked : list of (str, str)
        Orders that were in doubt, and why.
    """

    def __init__(self, trader: LiveTrader) -> None:
        self._trader = trader
        self.waiting: dict[str, Outcome] = {}
        self.asked: list[tuple[str, str]] = []
        self.latencies: list[int] = []
        self.duplicates = 0
        self.silent = 0
        self._mine: set[str] = set()
        self._turns: Counter[tuple[int, bool]] = Counter()

    def begins(self) -> None:
        """A bar begins: the turns of its slots are counted anew."""
        self._turns.clear()

    def send(self, slot: int, order: Records) -> None:
        """An order, once, unless something forbids it."""
        trader, client_id = self._trader, self._id(slot)
        if trader.sent_before is not None and client_id in trader.sent_before:
            self._ask_again(slot, order, client_id)
            return
        stopped = trader.house.stops(trader.session, order)
        if trader.sent_before is not None:
            stopped = KILLED
        if stopped is not None:
            trader.session.refused(slot, stopped)
            return
        outcome = self._expect(slot, order, client_id, UNKNOWN)
        written = market_order(trader.order_factory, trader.instrument(order), order, client_id)
        journal, wished = trader.journal, not trader.closing
        if journal is not None and not wished:  # one that was wished has its intent there
            journal.sent(slot, order, client_id, wished=False)
        feed = trader.feed
        if feed.last_message:
            self.latencies.append(time.perf_counter_ns() - feed.last_message)
            feed.last_message = 0
        trader.submit_order(written)
        # Before the loop's next turn, in which the order leaves the process, and the first in which it can be answered.
        outcome.qty = Decimal(str(written.quantity))
        if journal is not None and wished:
            journal.sent(slot, order, client_id)
        trader.house.sent(trader.session, order)
        trader.later(self._doubt, outcome, "no answer in time")

    async def close(self, slot: int, order: Records, client_id: str) -> Outcome:
        """Send an order that no wish is behind and that only reduces, or ask for it after a kill; what became of it.

        The session is told nothing of it.
        """
        trader, settled = self._trader, asyncio.Event()
        outcome = Outcome(
            client_id, trader.symbol(order), slot, trader.quantity(order), then=lambda _: settled.set()
        )  # fmt: skip
        self.waiting[client_id] = outcome
        self._mine.add(client_id)
        journal = trader.journal
        if client_id in (trader.sent_before or ()):
            if journal is not None:
                journal.keep(slot, order)
            self._doubt(outcome, "the session was killed before it knew")
        else:
            if journal is not None:
                journal.sent(slot, order, client_id, wished=False)
            trader.submit_order(market_order(trader.order_factory, trader.instrument(order), order, client_id))
            trader.house.sent(trader.session, order)
            trader.later(self._doubt, outcome, "no answer in time")
        await settled.wait()
        return outcome

    def _expect(self, slot: int, order: Records, client_id: str, qty: Decimal) -> Outcome:
        trader = self._trader
        outcome = Outcome(client_id, trader.symbol(order), slot, qty)
        self.waiting[client_id] = outcome
        self._mine.add(client_id)
        self._turns[slot, trader.closing] += 1
        return outcome

    def _ask_again(self, slot: int, order: Records, client_id: str) -> None:
        """What a killed session may have sent is asked about, and not sent."""
        outcome = self._expect(slot, order, client_id, self._trader.quantity(order))
        if self._trader.journal is not None:
            self._trader.journal.keep(slot, order)
        self._doubt(outcome, "the session was killed before it knew")

    def _id(self, slot: int) -> str:
        """``session-bar-slot``; a second order of a slot in one bar has a turn behind it."""
        trader = self._trader
        plain = order_id(trader.prefix, trader.session.bar, slot) + ("x" if trader.closing else "")
        turn = self._turns[slot, trader.closing]
        return f"{plain}.{turn}" if turn else plain

    # What is heard ------------------------------------------------------------------------------------------------

    def accepted(self, client_id: str, venue_id: str) -> None:
        """It is at the exchange."""
        self.silent = 0
        outcome = self.waiting.get(client_id)
        if outcome is not None and self._trader.journal is not None:
            self._trader.journal.accepted(outcome.slot, venue_id)

    def filled(self, client_id: str, part: Part, reconciled: bool) -> bool:
        """A part, or all of it; what Nautilus made up itself is asked about. Whether it is one of these orders."""
        outcome = self.waiting.get(client_id)
        if outcome is None:
            self.duplicates += client_id in self._mine
            return client_id in self._mine
        if reconciled:
            self._doubt(outcome, "a fill that was reconciled")
            return True
        self._write((part,), outcome)
        outcome.fill(part)
        self._check(outcome)
        return True

    def _write(self, parts: Iterable[Part], outcome: Outcome) -> None:
        if self._trader.journal is not None:
            for part in parts:
                if part.trade_id not in outcome.parts and not outcome.settled:
                    self._trader.journal.part(outcome.slot, part)

    def rejected(self, client_id: str, reason: str) -> None:
        """Certain or not: :func:`dolphin.live.binance.outcomes.is_certain`."""
        outcome = self.waiting.get(client_id)
        if outcome is not None:
            outcome.reject(reason)
            self._check(outcome)

    def denied(self, client_id: str, reason: str) -> None:
        """Nautilus would not send it."""
        outcome = self.waiting.get(client_id)
        if outcome is not None:
            outcome.deny(reason)
            self._check(outcome)

    def ended_early(self, client_id: str, why: str) -> None:
        """The exchange knows how far it came."""
        outcome = self.waiting.get(client_id)
        if outcome is not None:
            outcome.came = True
            self._doubt(outcome, why)

    # Doubt --------------------------------------------------------------------------------------------------------

    def _doubt(self, outcome: Outcome, why: str) -> None:
        if not outcome.settled and not outcome.doubtful:
            outcome.doubt(why)
            self._check(outcome)

    def _check(self, outcome: Outcome) -> None:
        """Tell the session of an end; ask about a doubt, once."""
        if outcome.settled:
            self._finish(outcome)
        elif outcome.doubtful and all(asked[0] != outcome.client_id for asked in self.asked):
            self.asked.append((outcome.client_id, outcome.why))
            self._trader.spawn(self._ask(outcome))

    async def _ask(self, outcome: Outcome) -> None:
        why = outcome.why
        answer = await self._trader.client.resolve(outcome.symbol, outcome.client_id, wait=not outcome.came)
        self._write(answer.parts, outcome)
        self.silent += int(answer.came and why == "no answer in time")
        outcome.answer(answer.parts, f"{why}; asked: {answer.status}")
        self._finish(outcome)

    def _finish(self, outcome: Outcome) -> None:
        if self.waiting.pop(outcome.client_id, None) is None:
            return
        if outcome.then is not None:
            outcome.then(outcome)
            return
        filled, session = outcome.filled, self._trader.session
        if self._trader.journal is not None:
            # A fill that is written twice, before a kill and after it, has one name and counts once.
            trades = ",".join(sorted(outcome.parts))
            ids = {"client_id": outcome.client_id, "why": outcome.why} | ({"trade_id": trades} if trades else {})
            self._trader.journal.note(outcome.slot, ids)
        if filled.qty:
            session.filled(outcome.slot, filled.qty, filled.price, filled.commission, filled.ts, filled.passive)
        else:
            self._trader.house.refused(outcome.client_id, outcome.symbol, outcome.why)
            session.refused(outcome.slot)
        self._trader.wake()


def order_id(session: str, bar: int, slot: int) -> str:
    """The client order id: a function of session, bar and slot, at most 36 characters."""
    found = f"{session}-{bar:d}-{slot:d}"
    if len(found) > 33:  # three are left for a turn
        raise DolphinError(f"a session's name of {len(session)} characters", where=session, mend="take a shorter one")
    return found


def part_of_fill(event) -> Part:  # type: ignore[no-untyped-def]
    """An execution as Nautilus tells it; its time went through a float and is put back on the millisecond."""
    from nautilus_trader.model.enums import LiquiditySide

    return Part(
        event.trade_id.value, Decimal(str(event.last_qty)), Decimal(str(event.last_px)),
        Decimal(str(event.commission.as_decimal())), (int(event.ts_event) + 500_000) // 1_000_000 * 1_000_000,
        event.liquidity_side == LiquiditySide.MAKER,
    )  # fmt: skip
