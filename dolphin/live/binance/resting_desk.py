"""Orders that rest in the market: laid, found again, taken out; nothing of them is guessed and none is sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dolphin.core.records import Records
from dolphin.live.binance.asking import BEYOND_MS, Answer
from dolphin.live.binance.leaving import Leaving, within
from dolphin.live.binance.market_desk import KILLED
from dolphin.live.binance.outcomes import Part, is_certain
from dolphin.live.binance.protecting import end_unprotected
from dolphin.live.binance.requests import AGAIN, RECV_WINDOW_MS
from dolphin.live.binance.resting import Leg, Resting, is_over, not_carried, resting_of
from dolphin.live.binance.writing import limit_order, stop_order

if TYPE_CHECKING:
    from dolphin.live.binance.trader import LiveTrader

#: Legs that are known by name before those that are over are forgotten.
REMEMBERED = 1000

REPLACED = "what it was to take the place of was filled on its way out"


@dataclass
class Heard:
    """A leg, and what waits to hear of it: that it was taken or refused, that it is gone."""

    one: Resting
    leg: Leg
    known: asyncio.Event
    gone: asyncio.Event


class RestingDesk:
    """The orders of all slots that rest.

    Fills are kept as they come and booked in the next row. What is over, replaced or cancelled is taken out and asked
    about before the bar goes on: what it was given on its way out is booked in that bar.

    Attributes
    ----------
    of : dict of Resting
        By slot.
    counts : dict of int
        Orders that were ``laid``, ``refused``, ``taken_out``; fills that came ``late``; orders that were ``asked``
        about and that were ``found`` again after a restart.
    heard : dict of Heard
        By client order id.
    """

    def __init__(self, trader: LiveTrader) -> None:
        self._trader = trader
        self.of: dict[int, Resting] = {}
        self.counts = dict.fromkeys(("laid", "refused", "taken_out", "late", "asked", "found", "repeated"), 0)
        self.heard: dict[str, Heard] = {}
        self._out = Leaving(trader, self)

    @property
    def idle(self) -> bool:
        """Whether none is on its way in or out."""
        return self._out.idle

    # After a restart ----------------------------------------------------------------------------------------------

    async def find_again(self, booked: Mapping[tuple[int, int], Set[str]]) -> None:
        """Ask about what rests by our books; ``booked`` are trades that the journal has booked, by slot and bar."""
        session = self._trader.session
        for slot in session.resting:
            order = session.order(slot)
            one = resting_of(
                self._trader.prefix, slot, order, self._trader.symbol(order), self._trader.quantity(order)
            )  # fmt: skip
            one.booked |= set(booked.get((slot, int(order["bar"])), ()))
            for leg in one.legs:
                self._keep(one, leg)
                self.take_in(one, leg, await self._look(one, leg))
                self.counts["found"] += leg.open
            one.qty += sum((part.qty for part in one.parts.values() if part.trade_id in one.booked), Decimal(0))
            self.of[slot] = one

    def _keep(self, one: Resting, leg: Leg) -> Heard:
        found = self.heard[leg.client_id] = Heard(one, leg, asyncio.Event(), asyncio.Event())
        return found

    async def _look(self, one: Resting, leg: Leg) -> Answer:
        return await self._trader.client.look(one.symbol, leg.client_id, conditional=leg.conditional)

    def take_in(self, one: Resting, leg: Leg, answer: Answer) -> None:
        """What the exchange says of a leg."""
        for part in answer.parts:
            self._part(one, part)
        leg.accepted = leg.accepted or answer.came
        leg.ended = leg.ended or not answer.open

    def _part(self, one: Resting, part: Part) -> None:
        if not one.fill(part):
            self.counts["repeated"] += 1
        elif part.trade_id not in one.booked and self._trader.journal is not None:
            self._trader.journal.part(one.slot, part, one.order)

    async def poll(self) -> None:
        """Ask about each that is open: what nobody told of is heard now."""
        for one in list(self.of.values()):
            for leg in one.legs:
                if leg.open:
                    self.counts["asked"] += 1
                    self.take_in(one, leg, await self._look(one, leg))

    # Before a row is decided --------------------------------------------------------------------------------------

    async def before(self, closings: Collection[int], again: Mapping[int, Set[str]] | None) -> set[int]:
        """Tell the session what came since the row before; the slots of which something did.

        Parameters
        ----------
        closings : collection of int
            Slots that are to hold nothing: what rests for them is taken out.
        again : mapping of set of str, optional
            For a row that is decided again: trades that were booked in it, by slot. No others are.
        """
        session = self._trader.session
        came: set[int] = set()
        for slot in session.resting:
            one = self.of[slot]
            over = is_over(session.order(slot), session.bar)
            broken = any(leg.ended for leg in one.legs)
            leaves = over or slot in closings or (broken and again is None)
            if leaves:
                await self._out.settle(one)
            only = None if again is None or leaves else again.get(slot, frozenset())
            filled, ids = one.take(only)
            if filled.qty:
                session.filled(slot, filled.qty, filled.price, filled.commission, filled.ts, filled.passive, ids)
                came.add(slot)
            closes = slot in closings
            if leaves and not over and not one.complete and (filled.qty or not closes):  # else the closing takes it out
                session.gone(slot, "taken out" if closes else "the exchange has it no more")
        return came

    def after(self) -> None:
        """A row is closed: forget what does not rest any more."""
        resting = set(self._trader.session.resting)
        self.of = {slot: one for slot, one in self.of.items() if slot in resting}
        if len(self.heard) > REMEMBERED:
            kept = {leg.client_id for one in self.of.values() for leg in one.legs}
            self.heard = {name: heard for name, heard in self.heard.items() if name in kept or not heard.leg.over}

    # Out ----------------------------------------------------------------------------------------------------------

    def withdraw(self, slot: int) -> None:
        """The slot's order is not wanted any more; the bar waits until it is gone."""
        one = self.of.pop(slot, None)
        if one is not None and (one.fresh or not one.ended):
            self._out.begin(slot, one)

    async def left(self, slot: int) -> bool:
        """Wait until what the slot had is gone; whether it was given something on its way out."""
        return await self._out.gone(slot)

    def leaves(self, slot: int) -> bool:
        """Whether an order of the slot is on its way out."""
        return self._out.has(slot)

    # In -----------------------------------------------------------------------------------------------------------

    def rest(self, slot: int, order: Records) -> None:
        """An order that waits from the next bar on; the bar waits until the exchange has it, or does not want it."""
        trader, kept = self._trader, order.copy()
        again = trader.sent_before is not None
        stopped = None if again else not_carried(order) or trader.house.stops(trader.session, order)
        if stopped is not None and not self.leaves(slot):
            trader.session.refused(slot, stopped)
            return
        trader.session.wait_for(("rests", slot))
        if not again and stopped is None:
            trader.house.sent(trader.session, order)
        trader.spawn(self._place(slot, kept, stopped))

    async def _place(self, slot: int, order: Records, stopped: str | None) -> None:
        trader = self._trader
        late = await self.left(slot)
        why = stopped or (REPLACED if late else await self._lay(slot, order))
        if why is not None:
            self.counts["refused"] += 1
            trader.session.refused(slot, why)
        trader.session.came(("rests", slot))
        trader.wake()

    async def _lay(self, slot: int, order: Records) -> str | None:
        """Send it, or find what was sent before a kill; why it does not rest, if so."""
        trader = self._trader
        one = resting_of(trader.prefix, slot, order, trader.symbol(order), trader.quantity(order))
        for leg in one.legs:
            self._keep(one, leg)
        if trader.sent_before is None:
            self.of[slot] = one
            await asyncio.gather(*(self._submit(one, leg) for leg in one.legs))
        elif not any(leg.client_id in trader.sent_before for leg in one.legs):
            return KILLED
        else:
            self.of[slot] = one
            await asyncio.sleep((RECV_WINDOW_MS + BEYOND_MS) / 1000.0)
            for leg in one.legs:
                await self._learn(one, leg, "never reached the exchange")
                self.counts["found"] += leg.open
        refused = [leg.refused for leg in one.legs if leg.refused]
        if not refused:
            self.counts["laid"] += trader.sent_before is None
            return None
        del self.of[slot]
        await self._out.settle(one)
        self._out.book_late(one)
        for leg in one.legs:
            if leg.refused:
                trader.house.refused(leg.client_id, one.symbol, leg.refused)
        await end_unprotected(trader, one, "; ".join(refused))
        return "; ".join(refused)

    async def _submit(self, one: Resting, leg: Leg) -> None:
        """Send a leg and wait until it is known whether the exchange has it."""
        trader, heard = self._trader, self.heard[leg.client_id]
        write = stop_order if leg.conditional else limit_order
        written = write(trader.order_factory, trader.instrument(one.order), one.order, leg.client_id)
        if trader.journal is not None:
            trader.journal.sent(one.slot, one.order, leg.client_id)
        trader.submit_order(written)
        if not await within(heard.known, trader.ask_after) or not (leg.accepted or leg.refused):
            await asyncio.sleep((RECV_WINDOW_MS + BEYOND_MS) / 1000.0)
            await self._learn(one, leg, "it never reached the exchange")

    async def _learn(self, one: Resting, leg: Leg, otherwise: str) -> None:
        """Ask whether the exchange ever had a leg."""
        self.counts["asked"] += 1
        answer = await self._look(one, leg)
        self.take_in(one, leg, answer)
        if not answer.came and not leg.accepted:
            leg.refused = otherwise

    # What is heard ------------------------------------------------------------------------------------------------

    def accepted(self, client_id: str, venue_id: str) -> bool:
        """It is at the exchange; whether it is one of these orders."""
        heard = self.heard.get(client_id)
        if heard is None:
            return False
        if not heard.leg.accepted and self._trader.journal is not None:
            self._trader.journal.accepted(heard.one.slot, venue_id, heard.one.order)
        heard.leg.accepted = True
        heard.known.set()
        return True

    def filled(self, client_id: str, part: Part, reconciled: bool) -> bool:
        """A part, or all of it; what Nautilus made up itself is asked about. Whether it is one of these orders."""
        heard = self.heard.get(client_id)
        if heard is None:
            return False
        one, leg = heard.one, heard.leg
        if reconciled or not part.trade_id.isdigit():
            self._trader.spawn(self._ask(one, leg))
            return True
        leg.accepted = True
        heard.known.set()
        self._part(one, part)
        if one.complete and not leg.ended:
            leg.ended = True
            heard.gone.set()
            if not one.ended:
                self._trader.spawn(self._out.settle(one))
        return True

    def rejected(self, client_id: str, reason: str) -> bool:
        """Certain, or to be asked about."""
        heard = self.heard.get(client_id)
        if heard is None:
            return False
        if is_certain(reason) and not heard.one.parts:
            heard.leg.refused, heard.leg.ended = reason, True
        elif heard.known.is_set():
            self._trader.spawn(self._ask(heard.one, heard.leg))
        heard.known.set()
        heard.gone.set()
        return True

    def denied(self, client_id: str, reason: str) -> bool:
        """Nautilus would not send it."""
        heard = self.heard.get(client_id)
        if heard is None:
            return False
        heard.leg.refused, heard.leg.ended = f"not sent: {reason}", True
        heard.known.set()
        return True

    def ended(self, client_id: str) -> bool:
        """It is gone, or a cancel came too late: the exchange knows how far it came."""
        heard = self.heard.get(client_id)
        if heard is None:
            return False
        heard.known.set()
        heard.gone.set()
        if not heard.leg.ended and not self._out.settles(heard.one):
            heard.leg.accepted = True
            self._trader.spawn(self._ask(heard.one, heard.leg))
        return True

    def finished(self, client_id: str) -> None:
        """The order of a triggered stop has ended; what it was given comes beside this, or it is asked about."""
        heard = self.heard.get(client_id)
        if heard is not None and not heard.leg.ended:
            self._trader.spawn(self._ask_later(heard.one, heard.leg))

    async def _ask_later(self, one: Resting, leg: Leg) -> None:
        await asyncio.sleep(AGAIN)
        if not leg.ended:
            await self._ask(one, leg)

    async def _ask(self, one: Resting, leg: Leg) -> None:
        self.counts["asked"] += 1
        self.take_in(one, leg, await self._look(one, leg))
