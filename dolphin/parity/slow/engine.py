"""A slow engine in plain Python, written from ENGINE and docs/engine.md alone.

It shares no line with the kernels: what the two agree on, bit by bit, the page says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.parity.slow.book import (
    CANCEL,
    CLOSE,
    INCREASE,
    NONE,
    OPEN,
    REDUCE,
    REVERSE,
    Account,
    Fill,
    Order,
    Slot,
    Trade,
    book,
)
from dolphin.parity.slow.capital import Stack
from dolphin.parity.slow.fills import LIMIT, MARKET, Friction, Row, quantity, reach, slipped
from dolphin.parity.slow.grid import Instrument, Step
from dolphin.parity.slow.refusals import POSTURE, refusal

#: The names by which a case's reasons hold the engine's own.
LIQUIDATION, HALT = "LIQUIDATION", "HIBERNATE_HALT"

STALKER, TURTLE, HIBERNATE = 1, 2, 3
GROWING = (OPEN, INCREASE, REVERSE)

#: What is kept of a wish.
WISH = ("bar", "slot", "action", "asset", "side", "reason", "qty", "leverage", "kind")

_COLUMNS = ("open", "high", "low", "volume", "bid", "ask", "funding")


@dataclass(frozen=True)
class Case:
    """Everything that a run of either engine needs.

    ``market``: the arrays of a Market by name, ``risk`` and ``instruments`` as records, and all of the
    optional columns, of which the strategy declares ``columns``. ``decide``: the plain function, or a
    compiled one whose ``py_func`` it is. ``reasons`` holds LIQUIDATION where ``margin`` is on.
    """

    market: Mapping[str, NDArray[Any]]
    decide: Callable[..., None]
    params: Mapping[str, float] = field(default_factory=dict)
    friction: Friction = field(default_factory=Friction)
    slots: int | str = 1
    orders: tuple[str, ...] = ()
    resize: bool = False
    columns: tuple[str, ...] = ()
    margin: bool = False
    memory: int = 4
    reasons: tuple[str, ...] = ("", LIQUIDATION)
    capital: float = 25_000.0
    seed: int = -1
    postures: bool = False
    orderly: tuple[str, ...] = ()
    drawdown: bool = False

    @property
    def bars(self) -> int:
        return len(self.market["ts"])

    @property
    def slot_count(self) -> int:
        return self.market["price"].shape[1] if self.slots == "assets" else int(self.slots)

    def first(self, bars: int) -> Case:
        """The same case cut after so many bars, to hunt a difference down."""
        cut = {name: x if name == "instruments" else x[:bars] for name, x in self.market.items()}
        return replace(self, market=cut)


@dataclass
class SlowRun:
    """What a run left: per bar ``capital``, ``equity`` and its ``peak`` (T,), ``refused`` (T, S); every wish
    that was not refused, as :data:`WISH` names it; the rest as it ended."""

    trades: list[Trade]
    fills: list[Fill]
    wishes: list[tuple[Any, ...]]
    capital: list[float]
    equity: list[float]
    peak: list[float]
    refused: list[list[int]]
    payments: list[float]
    account: Account
    slots: list[Slot]
    working: list[Order]
    memory: list[float]


class Rows:
    """A column of the market as lists of plain numbers, a row at a time."""

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values
        self._at, self._row = -1, [0.0]

    def __getitem__(self, i: int) -> list[float]:
        if i != self._at:
            self._at, self._row = i, self._values[i].tolist()
        return self._row


class SlowEngine:
    """One run, bar by bar: ``step(i)`` for i = 0, 1, ... and ``result()``."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.friction = case.friction
        self.decide = getattr(case.decide, "py_func", case.decide)
        self.params = SimpleNamespace(**case.params)
        self.market = SimpleNamespace(
            **{name: x.view(np.recarray) if x.dtype.names else x for name, x in case.market.items()}
        )
        self.columns = {name: Rows(case.market[name]) for name in ("price", "age", *_COLUMNS) if name in case.market}
        self.instruments = [
            Instrument(
                Step(float(x["tick"]), float(x["tick_num"]), float(x["tick_den"])),
                Step(float(x["lot"]), float(x["lot_num"]), float(x["lot_den"])),
                float(x["min_notional"]),
            )
            for x in case.market["instruments"]
        ]
        count = case.slot_count
        self.account = Account(case.capital, case.capital, case.capital)
        self.slots = [Slot() for _ in range(count)]
        self.working = [Order() for _ in range(count)]
        self.stack, self.in_force = Stack(), [SimpleNamespace()] if case.drawdown else []
        self.refused = [0] * count
        self.memory = [0.0] * case.memory
        self.run = SlowRun([], [], [], [], [], [], [], [], self.account, self.slots, self.working, self.memory)

    def step(self, i: int) -> None:
        """One bar, in the order of the page."""
        if "funding" in self.case.columns:
            self._fund(i)
        busy = [self._match(i, s) for s in range(len(self.slots))]
        if self.case.margin:
            self._liquidate(i)
        if self.case.drawdown:
            self.in_force[0] = self.stack.weigh(self.market.risk[i], int(self.market.ts[i]), self.account.equity)
        intents = self._decide(i)
        for s, intent in enumerate(intents):
            self.refused[s] = self._refusal(i, s, intent, busy[s])
            if self.refused[s] != 0:
                intent.action = NONE
        if self.case.postures:
            self._obey(i, intents, busy)
        for s, intent in enumerate(intents):
            if intent.action != NONE:
                self.run.wishes.append((i, s, *(getattr(intent, name) for name in WISH[2:])))
                self._take(i, s, intent)
        self._mark(i)

    def result(self) -> SlowRun:
        return self.run

    def _row(self, i: int, asset: int) -> Row:
        names = ("open", "high", "low", "volume")
        rest = [self.columns[name][i][asset] if name in self.columns else float("nan") for name in names]
        return Row(self.columns["price"][i][asset], int(self.columns["age"][i][asset]), *rest)

    def _fund(self, i: int) -> None:
        for slot in self.slots:
            if slot.side == 0:
                continue
            rate = self.columns["funding"][i][slot.asset]
            if rate == rate and rate != 0.0:
                payment = -(slot.side * slot.qty * self.columns["price"][i][slot.asset] * rate)
                self.account.capital += payment
                self.account.funding_paid += payment
                slot.funding += payment
                slot.realised += payment
                self.run.payments.append(payment)

    def _match(self, i: int, s: int) -> bool:
        """Ask the fill model about the slot's working order; whether the slot is busy in this bar."""
        order = self.working[s]
        if order.action == NONE:
            return False
        filled = self._ask(i, s, order)
        if is_over(order, i) and not self._is_orderly(order):
            self.working[s] = Order()
        return filled and order.kind == MARKET and self.friction.timing == "next"

    def _ask(self, i: int, s: int, order: Order) -> bool:
        """Fill what the model gives of ``order``; what is left is the slot's working order. Whether any filled."""
        slot, instrument, row = self.slots[s], self.instruments[order.asset], self._row(i, order.asset)
        before = replace(slot)
        wanted = instrument.lot.add(slot.qty, order.qty) if order.action == REVERSE else order.qty
        direction = order.direction
        reached = reach(order.kind, order.limit, order.trigger, direction, row, self.friction, instrument)
        got = 0.0 if reached is None else quantity(wanted, row, self.friction, instrument)
        if reached is None or not got > 0.0:
            self.working[s] = order
            return False
        fee = reached.rate * (got * reached.price)
        self._book(s, order, Fill(i, s, order.asset, direction, got, reached.price, fee))
        left = instrument.lot.subtract(wanted, got)
        self.working[s] = _rest(order, before, slot, left) if left > 0.0 else Order()
        return True

    def _book(self, s: int, order: Order, fill: Fill) -> None:
        trade = book(self.account, self.slots[s], order, fill, self.instruments[fill.asset])
        self.run.fills.append(fill)
        if trade is not None:
            self.run.trades.append(trade)

    def _liquidate(self, i: int) -> None:
        held = [slot for slot in self.slots if slot.side != 0]
        maintenance = self.friction.maintenance
        equity, need = self.account.capital, 0.0
        for slot in held:
            price = self.columns["price"][i][slot.asset]
            equity += slot.side * slot.qty * (price - slot.entry_price)
            need += maintenance * (slot.qty * price)
        if not held or not maintenance > 0.0 or equity > need:
            return
        for s, slot in enumerate(self.slots):
            self.working[s] = Order()
            if slot.side != 0:
                direction, instrument = -slot.side, self.instruments[slot.asset]
                price = slipped(self.columns["price"][i][slot.asset], direction, self.friction, instrument)
                fee = self.friction.taker * (slot.qty * price)
                order = Order(CLOSE, slot.asset, slot.side, self.case.reasons.index(LIQUIDATION), slot.qty)
                self._book(s, order, Fill(i, s, slot.asset, direction, slot.qty, price, fee))

    def _decide(self, i: int) -> list[Order]:
        state = SimpleNamespace(
            account=[self.account],
            slots=self.slots,
            intents=[Order() for _ in self.slots],
            working=self.working,
            refused=self.refused,
            memory=self.memory,
            in_force=self.in_force,
            scratch=[0.0] * self.case.market["price"].shape[1],
            ranking=np.empty(0),
        )
        # Compiled code divides by zero and overflows without a word.
        with np.errstate(all="ignore"):
            self.decide(state, self.params, self.market, i)
        self.memory[:] = [float(x) for x in self.memory]
        return [intent.stored(i) for intent in state.intents]

    def _refusal(self, i: int, s: int, intent: Order, busy: bool) -> int:
        return refusal(
            intent,
            self.slots[s],
            works=self.working[s].action != NONE,
            busy=busy,
            capital=self.account.capital,
            prices=self.columns["price"][i],
            instruments=self.instruments,
            orders=self.case.orders,
            resize=self.case.resize,
        )

    def _obey(self, i: int, intents: list[Order], busy: list[bool]) -> None:
        """The posture of the bar, after the page's section on postures."""
        risk = self.in_force[0] if self.case.drawdown else self.market.risk[i]
        posture, quality = int(risk.posture), float(risk.quality)
        for s, intent in enumerate(intents):
            slot, working = self.slots[s], self.working[s]
            if posture in (TURTLE, HIBERNATE):
                if intent.action in GROWING:
                    intents[s] = intent = Order()
                    self.refused[s] = POSTURE
                if working.action in GROWING:
                    self.working[s] = working = Order()
            if posture == HIBERNATE:
                if slot.side == 0:
                    self.working[s] = Order()
                elif not busy[s] and not (intent.action == CLOSE and intent.kind == MARKET):
                    reason = self.case.reasons.index(HALT)
                    intents[s] = Order(CLOSE, slot.asset, slot.side, reason, slot.qty, slot.leverage, decided=i)
                continue
            if posture == STALKER and intent.action in GROWING and intent.kind == MARKET:
                self._wait(i, intent)
            waiting = working.kind != MARKET and self._is_orderly(working)
            if intent.action == NONE:
                if waiting and (is_over(working, i) or quality <= 0.5):
                    intents[s] = replace(working, kind=MARKET, limit=0.0, trigger=0.0, expires=0, decided=i)
            elif intent.kind == MARKET and self._is_orderly(intent) and quality > 0.5:
                if not waiting:
                    self._wait(i, intent)
                elif not is_over(working, i):
                    intents[s] = Order()

    def _is_orderly(self, order: Order) -> bool:
        """Whether it is an exit whose reason is declared to bear a wait."""
        if not self.case.postures or order.action not in (CLOSE, REDUCE):
            return False
        return order.reason in [self.case.reasons.index(reason) for reason in self.case.orderly]

    def _wait(self, i: int, order: Order) -> None:
        """A limit at the scan price, on the tick against us, for three bars."""
        tick, price = self.instruments[order.asset].tick, self.columns["price"][i][order.asset]
        order.kind, order.expires = LIMIT, 3
        order.limit = tick.above(price) if order.direction > 0 else tick.below(price)

    def _take(self, i: int, s: int, intent: Order) -> None:
        """An intent that was not refused: it replaces the working order, filled or resting."""
        if intent.action == CANCEL:
            self.working[s] = Order()
        elif intent.kind == MARKET and self.friction.timing == "close":
            self._ask(i, s, intent)
        else:
            self.working[s] = intent

    def _mark(self, i: int) -> None:
        account = self.account
        account.bars += 1
        account.exposed_bars += account.open_positions > 0
        equity = account.capital
        for slot in self.slots:
            if slot.side != 0:
                equity += slot.side * slot.qty * (self.columns["price"][i][slot.asset] - slot.entry_price)
        account.equity = equity
        account.peak_equity = max(account.peak_equity, equity)
        account.max_drawdown = max(account.max_drawdown, (account.peak_equity - equity) / account.peak_equity)
        if account.capital <= 0.0:
            account.ruined = 1
        self.run.capital.append(account.capital)
        self.run.equity.append(equity)
        self.run.peak.append(account.peak_equity)
        self.run.refused.append(list(self.refused))


def is_over(order: Order, i: int) -> bool:
    """Whether bar ``i`` was the last in which the order could fill."""
    return order.kind != MARKET and order.expires != 0 and i >= order.decided + order.expires


def _rest(order: Order, before: Slot, after: Slot, left: float) -> Order:
    """What works on of an order that filled in part; it keeps the bar that decided it.

    A REVERSE stays one, for the same new position, until the old one is gone.
    """
    if order.action == OPEN:
        return replace(order, action=INCREASE, qty=left)
    if order.action != REVERSE:
        return replace(order, qty=left)
    if after.side == before.side:
        return order
    return replace(order, action=OPEN if after.side == 0 else INCREASE, qty=left)


def run_slow(case: Case, start: int = 0, stop: int | None = None) -> SlowRun:
    """Bars ``start`` to ``stop`` of the case, all of them unless told, through the slow engine, from a flat account."""
    engine = SlowEngine(case)
    for i in range(start, case.bars if stop is None else stop):
        engine.step(i)
    return engine.result()
