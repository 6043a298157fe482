"""Orders that rest on their way out of the market: cancelled once, then asked about, since only the exchange knows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nautilus_trader.model.identifiers import ClientOrderId

from dolphin.live.answers import Answer, Late
from dolphin.live.binance.resting import Leg, Resting

if TYPE_CHECKING:
    from dolphin.live.binance.resting_desk import RestingDesk
    from dolphin.live.binance.trader import LiveTrader


class Leaving:
    """The orders of a desk that are taken out; a bar waits for those that were wished away in it.

    Parameters
    ----------
    trader : LiveTrader
    desk : RestingDesk
        Keeps what is heard of them, and counts.
    """

    def __init__(self, trader: LiveTrader, desk: RestingDesk) -> None:
        self._trader, self._desk = trader, desk
        self._leaving: dict[int, asyncio.Task[bool]] = {}
        self._settling: dict[str, asyncio.Task[None]] = {}

    @property
    def idle(self) -> bool:
        """Whether none is on its way."""
        return not self._leaving and not self._settling

    def begin(self, slot: int, one: Resting) -> None:
        """A slot's order is not wanted any more; the bar waits until it is gone."""
        self._trader.session.wait_for(("leaves", slot))
        self._leaving[slot] = self._trader.spawn(self._leave(slot, one))

    async def _leave(self, slot: int, one: Resting) -> bool:
        await self.settle(one)
        came = self.book_late(one)
        del self._leaving[slot]
        self._trader.session.came(("leaves", slot))
        self._trader.wake()
        return came

    def book_late(self, one: Resting) -> bool:
        """What an order was given before it was gone; whether there is any."""
        filled, ids = one.take()
        if filled.qty:
            self._desk.counts["late"] += 1
            answer = Answer(filled.qty, filled.price, filled.commission, filled.ts, filled.passive, ids)
            self._trader.session.late(Late(one.slot, one.order, answer))
        return bool(filled.qty)

    async def gone(self, slot: int) -> bool:
        """Wait until what the slot had is gone; whether it was given something on its way out."""
        leaving = self._leaving.get(slot)
        return False if leaving is None else await leaving

    def has(self, slot: int) -> bool:
        """Whether an order of the slot is on its way."""
        return slot in self._leaving

    def settles(self, one: Resting) -> bool:
        """Whether all of an order's legs are being taken out."""
        return one.legs[0].client_id in self._settling

    async def settle(self, one: Resting) -> None:
        """Take every leg out and know all that it was given."""
        name = one.legs[0].client_id
        task = self._settling.get(name)
        if task is None:
            task = self._settling[name] = self._trader.spawn(self._end_all(one))
            task.add_done_callback(lambda _: self._settling.pop(name, None))
        await task

    async def _end_all(self, one: Resting) -> None:
        await asyncio.gather(*(self._end(one, leg) for leg in one.legs if leg.accepted and not leg.ended))

    async def _end(self, one: Resting, leg: Leg) -> None:
        trader, heard = self._trader, self._desk.heard[leg.client_id]
        order = trader.cache.order(ClientOrderId(leg.client_id))
        self._desk.counts["taken_out"] += 1
        if order is not None and not order.is_closed and not heard.gone.is_set():
            trader.cancel_order(order)
            await within(heard.gone, trader.ask_after)
        # The stream says that it is gone; only the exchange knows how far it came.
        answer = await trader.client.resolve(one.symbol, leg.client_id, wait=False, conditional=leg.conditional)
        self._desk.take_in(one, leg, answer)


async def within(event: asyncio.Event, seconds: float) -> bool:
    """Wait so long at most; whether it happened."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
