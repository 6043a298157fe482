"""One bar at a time with fills from outside: what to send, what came back, the digest. No exchange here.

Research fills its own orders inside the step. Everywhere else an exchange does, so the bar is cut where the step asks
its fill model: after the orders that work, after a margin call, after the new orders. The kernels are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dolphin.core.declaration import Plugged
from dolphin.core.digest import STAGES
from dolphin.core.engine import NO_TRADES, Engine
from dolphin.core.logarithm import ln_array
from dolphin.core.records import CLOSE, MARKET, NONE, OPEN, Floats, Ints, Market, Records, State
from dolphin.journal.schema import CANCELLED, EXPIRED, FILLED, PARTLY_FILLED
from dolphin.journal.session import SessionJournal
from dolphin.live.answers import Answer, Given, Late, Transport, order_direction
from dolphin.live.own_features import OwnFeatures
from dolphin.live.rows import ROOM


def named(actions: Ints) -> list[int]:
    """The slots of which something is wanted; far less than numpy's own takes for a few."""
    return [s for s, action in enumerate(actions.tolist()) if action != NONE]


#: What a session waits for: answers to the orders of earlier bars, to a margin call, to the new ones; the next bar.
WORKING, CALLED, NEW, CLOSED = range(4)


class Session:
    """The core of one account whose fills come from an exchange.

    Call :meth:`open` with a bar's rows; market orders go out through ``transport``. Report what orders that rest in
    the market were given with :meth:`filled`, and with :meth:`matched` that this was all for the bar; answer each order
    that was sent with :meth:`filled` or :meth:`refused`. When nothing is left to wait for, the bar is decided, new
    orders go out, and once these are answered it closes by itself.

    Parameters
    ----------
    engine : Engine
    params, friction : arrays of one record
        Of ``friction`` only the fee rates, the maintenance margin and the fill timing count here.
    market : Market
        From :func:`own_market`; its rows are written as bars come.
    initial_capital : float
    start, stop : int
        Rows that will come.
    plugged : sequence of Plugged, optional
        The plug-in features that the parameters select; by default those of the default parameters.
    journal : SessionJournal, optional
        Is told of every row, wish, answer and outcome.
    state : State, optional
        Of the bar before ``start``, to go on from; a flat account otherwise.
    """

    transport: Transport

    def __init__(
        self,
        engine: Engine,
        params: Records,
        friction: Records,
        market: Market,
        initial_capital: float,
        start: int,
        stop: int,
        plugged: Sequence[Plugged] | None = None,
        journal: SessionJournal | None = None,
        state: State | None = None,
    ) -> None:
        self.market = market
        self.journal = journal
        self.state = engine.new_state(market.price.shape[1], initial_capital) if state is None else state
        self.start = start
        self._own = OwnFeatures(engine.strategy.plugged() if plugged is None else plugged, market, start)
        self.bar = start - 1
        self.digests = np.zeros(stop - start, np.uint64)
        self.stages = np.zeros((stop - start, len(STAGES)), np.uint64)
        self.fills: list[tuple] = []
        self._kernels = engine.kernels
        self._params, self._friction = params, friction
        self._fees = float(friction["fee"][0]), float(friction["maker_fee"][0])
        self._next = bool(friction["fill_next"][0])
        self._plain = engine.strategy.plain
        self._slots = len(self.state.slots)
        self._new_bank = len(self.state.fills) // self._slots - 1
        self._intents, self._working = self.state.intents["action"], self.state.working["action"]
        self._stage = CLOSED
        self._matched = False
        self._going = False
        self._sent: dict[int, int] = {}
        self._resting: set[int] = {s for s in named(self._working) if self.state.working["kind"][s] != MARKET}
        self._came: dict[tuple[int, int], Answer] = {}
        self._late: list[Late] = []
        self._gone: dict[int, Mapping[str, str]] = {}
        self._awaited: set[object] = set()

    @property
    def closed(self) -> bool:
        """Whether every order of the bar at hand has been answered and the bar is folded."""
        return self._stage == CLOSED

    @property
    def resting(self) -> list[int]:
        """The slots whose orders wait in the market."""
        return sorted(self._resting) if self._resting else []

    def open(
        self,
        bar: int,
        ts: int,
        price: Floats,
        age: NDArray[np.int32],
        features: Floats,
        risk: Records,
        columns: Mapping[str, Floats] | None = None,
    ) -> None:
        """Begin row ``bar``.

        ``columns`` are the rows of what the strategy asks of the market beside closes, (N,) each by name.
        """
        if not self.closed:
            raise RuntimeError(f"bar {bar} begins while orders of bar {self.bar} are open")
        if bar >= len(self.market.ts):
            self._make_room(bar)
        market, state = self.market, self.state
        market.ts[bar] = ts
        market.price[bar] = price
        market.log_price[bar] = ln_array(market.price[bar])
        market.age[bar] = age
        market.features[bar] = features
        self._own.fill(market, bar)
        market.risk[bar] = risk
        for name, values in (columns or {}).items():
            getattr(market, name)[bar] = values
        self.bar = bar
        if self.journal is not None:
            self.journal.opened(market, bar)
        self._kernels.begin_bar(state, market, bar)
        self._stage, self._matched = WORKING, False
        if self._next or not self._plain:
            for s in named(self._working):
                if state.working["kind"][s] == MARKET:
                    self._send(s, 0, state.working[s])

    def _make_room(self, bar: int) -> None:
        """Room for more rows: those far behind are let go, and no memory is used for them."""
        rows, kept = bar + ROOM, slice(max(0, bar - ROOM), bar)
        grown = {}
        for name, values in self.market.by_row().items():
            grown[name] = np.empty((rows, *values.shape[1:]), values.dtype)
            grown[name][kept] = values[kept]
        grown["age"][bar:] = -1
        self.market = self.market._replace(**grown)
        for name in ("digests", "stages"):
            values = getattr(self, name)
            larger = np.zeros((rows - self.start, *values.shape[1:]), values.dtype)
            larger[: len(values)] = values
            setattr(self, name, larger)

    def close_out(self, slot: int) -> bool:
        """Close the slot's position at the market, whoever wants it beside the strategy; whether there is one to close.

        To be called between :meth:`open` and :meth:`matched`. What rests for the slot is taken out. A replay reads it
        from the events: a fill that nobody wished, in the phase before the decision.
        """
        state, position = self.state, self.state.slots[slot]
        if self._stage != WORKING or self._matched or position["side"] == 0 or slot in self._sent:
            return False
        self.take_out(slot)
        order = state.working[slot]
        state.working[slot] = np.zeros((), state.working.dtype)
        for name, value in (("action", CLOSE), ("kind", MARKET), ("bar", self.bar)):
            order[name] = value
        for name in ("asset", "side", "qty", "leverage"):
            order[name] = position[name]
        self._send(slot, 0, order)
        return True

    def take_in(self, given: Given) -> None:
        """Book what an operator says is ours; between :meth:`open` and :meth:`matched`, like :meth:`close_out`.

        No order is behind it. A replay reads it from the event: a fill that nobody wished, of no bar.
        """
        order = np.zeros((), self.state.working.dtype)
        names = ("action", "kind", "bar", "asset", "side", "qty", "leverage")
        equity = float(self.state.account["equity"][0])
        leverage = given.qty * given.price / equity if equity > 0.0 else 0.0
        for name, value in zip(
            names, (OPEN, MARKET, -1, given.asset, given.direction, given.qty, leverage), strict=True
        ):
            order[name] = value
        fill = self.state.fills[given.slot : given.slot + 1]
        fill[0] = order
        answer = Answer(given.qty, given.price, given.fee, None, False, {"trade_id": given.trade_id})
        fill["qty"], fill["price"], fill["passive"], fill["fee"] = given.qty, given.price, 0, given.fee
        self.take_out(given.slot)
        self._kernels.book_fill(self.state, given.slot, given.slot, self.market, self.bar, NO_TRADES)
        self._note(fill[0], given.slot, 0, 0, answer)

    def take_out(self, slot: int) -> None:
        """Cancel what rests for the slot; between :meth:`open` and :meth:`matched`, like :meth:`close_out`."""
        order = self.state.working[slot]
        if self._stage == WORKING and not self._matched and order["action"] != NONE and slot not in self._sent:
            self._withdraw(slot)
            if self.journal is not None:
                self.journal.event(order.copy(), self.bar, slot, CANCELLED, phase=0)
            self.state.working["action"][slot] = NONE

    def matched(self) -> None:
        """Whatever rests in the market has been matched against this bar."""
        self._matched = True
        self._go_on()

    def is_called(self, slot: int) -> bool:
        """Whether the order that was sent for the slot is a margin call's."""
        return not self._plain and self._sent.get(slot) == CALLED

    def order(self, slot: int) -> Records:
        """The order that works for the slot (a record of ORDER)."""
        return self.state.working[slot]

    def filled(
        self, slot: int, qty: float, price: float, commission: float, ts: int | None = None, passive: bool = False,
        ids: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """The exchange filled so much of the slot's order in this bar, at its time ``ts`` (by default the bar's).

        That is all that it will fill in this bar: parts are reported as one, at their average price. The fee that
        is booked is our rate on this fill, unrounded; the exchange's own commission is rounded to its currency and
        kept beside it; ``ids`` are the exchange's, for the journal.
        """
        self._came[self._sent.get(slot, 0), slot] = Answer(qty, price, commission, ts, passive, ids)
        self._answered(slot)

    def refused(self, slot: int, why: str = "") -> None:
        """The exchange, or a limit of ours, did not take the slot's order: nothing is booked for it, and it is gone."""
        if self.journal is not None:
            phase = int(self._stage == NEW)
            self.journal.rejected(self.state.working[slot], self.bar, slot, phase=phase, why=why)
        self.state.working["action"][slot] = NONE
        self._resting.discard(slot)
        self._answered(slot)

    def gone(self, slot: int, why: str) -> None:
        """The exchange has the slot's resting order no more, beside what it was filled with; before :meth:`matched`."""
        self._gone[slot] = {"why": why}

    def late(self, late: Late) -> None:
        """An order that was taken out, or refused, was filled all the same: it is booked behind the decision."""
        self._late.append(late)

    def wait_for(self, what: object) -> None:
        """The bar does not go on before :meth:`came` says so: a cancel, or an order that is to rest, is on its way."""
        self._awaited.add(what)

    def came(self, what: object) -> None:
        """What was waited for is settled."""
        self._awaited.discard(what)
        self._go_on()

    def unfilled(self, slot: int) -> None:
        """The exchange had nothing for the slot's market order in this bar: it works on."""
        self._answered(slot)

    def _answered(self, slot: int) -> None:
        if self._sent.pop(slot, None) is not None:
            self._go_on()

    def _send(self, slot: int, bank: int, order: Records) -> None:
        self._sent[slot] = bank
        self.transport.send(slot, order)

    def _go_on(self) -> None:
        """From stage to stage, as long as nothing is to be waited for."""
        if self._going:  # an answer that came while the order was being sent
            return
        self._going = True
        try:
            while not self._sent and not self._awaited and self._matched and not self.closed:
                self._pass_stage()
        finally:
            self._going = False

    def _pass_stage(self) -> None:
        if self._stage == WORKING:
            self._stage = CALLED
            self._book(0, phase=0)
            if self._gone:
                self._let_go()
            if not self._plain:
                self._call_margin()
        elif self._stage == CALLED:
            if not self._plain:
                self._book(1, phase=0)
            self._stage = NEW
            self._decide()
        else:
            if self._late:
                self._book_late()
            self._book(self._new_bank, phase=1)
            self._close()

    def _let_go(self) -> None:
        """Take out what the exchange has no more."""
        for slot, ids in sorted(self._gone.items()):
            order = self.state.working[slot]
            if order["action"] != NONE:
                if self.journal is not None:
                    self.journal.event(order.copy(), self.bar, slot, CANCELLED, phase=0, ids=dict(ids))
                order["action"] = NONE
            self._resting.discard(slot)
        self._gone.clear()

    def _book_late(self) -> None:
        """Book what came to orders on their way out, by slot and order; what works for their slots now stays."""
        state = self.state
        for late in sorted(self._late, key=lambda late: (late.slot, int(late.order["bar"]))):
            slot, answer = late.slot, late.answer
            working, fill = state.working[slot].copy(), state.fills[slot : slot + 1]
            fill[0] = late.order
            self._fill_in(fill, answer)
            state.working["action"][slot] = NONE
            self._kernels.book_fill(state, slot, slot, self.market, self.bar, NO_TRADES)
            state.working[slot] = working
            self._note(fill[0], slot, 0, 1, answer, FILLED)
        self._late.clear()

    def _fill_in(self, fill: Records, answer: Answer) -> None:
        """Quantity, price and our fee of an answer."""
        fill["qty"], fill["price"], fill["passive"] = answer.qty, answer.price, answer.passive
        fill["fee"] = self._fees[answer.passive] * (answer.qty * answer.price)

    def _book(self, bank: int, *, phase: int) -> None:
        """Book what came for a bank of fills, in the order of slots, as the step does, however the answers came."""
        state = self.state
        if not self._came:
            return
        for key in sorted(key for key in self._came if key[0] == bank):
            answer, s = self._came.pop(key), key[1]
            f = bank * self._slots + s
            fill = state.fills[f : f + 1]
            if not (bank == CALLED and self._new_bank > 0):  # a margin call has written its own
                fill[0] = state.working[s]
            self._fill_in(fill, answer)
            self._kernels.book_fill(state, f, s, self.market, self.bar, NO_TRADES)
            if state.working["action"][s] == NONE:
                self._resting.discard(s)
            self._note(fill[0], s, bank, phase, answer)

    def _note(
        self, fill: Records, slot: int, bank: int, phase: int, answer: Answer, status: int | None = None
    ) -> None:  # fmt: skip
        what = int(fill["action"]), int(fill["asset"]), order_direction(fill)
        values = (float(fill[name]) for name in ("qty", "price", "fee"))
        self.fills.append((self.bar, slot, *what, *values, int(answer.passive), answer.commission))
        if self.journal is not None:
            order = self.state.working[slot]
            if status is None:
                status = PARTLY_FILLED if order["action"] != NONE and order["bar"] == fill["bar"] else FILLED
            self.journal.event(
                fill, self.bar, slot, status, phase=phase, ts=answer.ts, bank=bank, commission=answer.commission,
                ids=None if answer.ids is None else dict(answer.ids),
            )  # fmt: skip

    def _call_margin(self) -> None:
        """Take out what expired; where the margin does not cover the positions, everything is closed."""
        state, before = self.state, self.state.working.copy()
        called = self._kernels.call_margin(state, self._friction, self.market, self.bar)
        for s in np.flatnonzero((before["action"] != NONE) & (state.working["action"] == NONE)).tolist():
            self._withdraw(s)
            if self.journal is not None:
                self.journal.event(before[s], self.bar, s, CANCELLED if called else EXPIRED, phase=0)
        if called:
            calls = state.fills[self._slots : 2 * self._slots]
            for s in np.flatnonzero(calls["action"]).tolist():
                self._send(s, CALLED, calls[s])

    def _withdraw(self, slot: int) -> None:
        if slot in self._resting:
            self._resting.remove(slot)
            self.transport.withdraw(slot)

    def _decide(self) -> None:
        """Decide the bar at hand, and bring to the market what is wanted."""
        state = self.state
        self._kernels.decide_bar(state, self._params, self._friction, self.market, self.bar)
        if self.journal is not None:
            self.journal.decided(state, self.bar)
        wanted = named(self._intents)
        if self._resting:
            for s in sorted(self._resting):  # what a posture took out
                if state.working["action"][s] == NONE:
                    self._withdraw(s)
        if not wanted:
            return
        self._kernels.place_bar(state, self.market, self.bar)
        for s in wanted:
            self._withdraw(s)
            order = state.working[s]
            if order["action"] == NONE:  # a CANCEL
                continue
            if order["kind"] != MARKET:
                self._resting.add(s)
                self.transport.rest(s, order)
            elif not self._next:
                self._send(s, self._new_bank, order)

    def _close(self) -> None:
        k = self.bar - self.start
        self._kernels.end_bar(self.state, self.market, self.bar, self.stages[k])
        self.digests[k] = self.state.account["digest"][0]
        self._stage = CLOSED
        if self.journal is not None:
            self.journal.closed(self.market, self.state, self.bar, self.stages[k])
