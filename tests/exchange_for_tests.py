"""A session on an exchange that does what exchanges do: parts, late fills, rejections, cancellations, repetitions.

The session books by the rules of docs/parity.md, in Python and on the step's own parts; its journal is what
replay is held against.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ladder_cases import dataset_of
from numpy.random import PCG64, Generator
from pydantic import BaseModel, ConfigDict

from dolphin.config import Account, Config, Friction
from dolphin.core.engine import NO_TRADES
from dolphin.core.logarithm import ln_array
from dolphin.core.records import INCREASE, NONE, OPEN, Market
from dolphin.core.strategy import Strategy
from dolphin.journal import JournalWriter, SessionJournal
from dolphin.journal.header import header_of, shape_for
from dolphin.journal.schema import ACCEPTED, CANCELLED, FILLED, PARTLY_FILLED, REJECTED
from dolphin.parity.slow.random_case import random_case
from dolphin.parity.slow.random_strategy import MEMORY, REASONS, WIDTH, decide

SLOTS = 2


class AnythingParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    activity: float = 0.5
    mistakes: float = 0.0
    size: float = 0.3
    reach: float = 0.01
    hold: int = 12
    resize: int = 1
    limits: int = 1
    stops: int = 0


ANYTHING = Strategy(
    name="anything",
    decide=decide,
    params=AnythingParams,
    features=tuple(f"u{k}" for k in range(SLOTS * WIDTH)),
    reasons=REASONS,
    warmup_bars=lambda params: 3,
    slots=SLOTS,
    memory=MEMORY,
    orders=("limit",),
    resize=True,
)
CONFIG = Config(ANYTHING, "anything", None, AnythingParams(), Friction(), Account())


def market_of(seed: int, bars: int = 60) -> Market:
    """A random market of at least ``bars`` bars, cut to them."""
    case = random_case(seed)
    names = ("ts", "price", "age", "risk")
    rows = {name: np.ascontiguousarray(case.market[name][:bars]) for name in names}
    rows["price"] = np.where(np.isnan(rows["price"]), 100.0, rows["price"])
    rows["log_price"] = ln_array(rows["price"])
    rows["age"] = np.maximum(rows["age"], 0).astype(np.int32)
    features = np.ascontiguousarray(case.market["features"][:bars, : SLOTS * WIDTH])
    return Market(features=features, instruments=case.market["instruments"], **rows)


@dataclass(frozen=True)
class Answer:
    """What the exchange says of an order, in bar ``bar`` (before its decision, or after)."""

    bar: int
    phase: int
    slot: int
    order: Any
    status: int
    qty: float = 0.0
    price: float = 0.0
    trade: str = ""
    ts: int = 0


@dataclass
class Exchange:
    """Draws what becomes of each order when it is sent."""

    rng: Generator
    bars: int
    waiting: list[Answer] = field(default_factory=list)
    trades: int = 0

    def take(self, order: Any, slot: int, bar: int, market: Market) -> None:
        """An order: some are refused, the others fill in up to three parts, now or in later bars, or never whole."""
        order = order.copy()
        draw = self.rng.random()
        if draw < 0.1:
            self.waiting.append(Answer(bar, 1, slot, order, REJECTED))
            return
        self.waiting.append(Answer(bar, 1, slot, order, ACCEPTED))
        instrument = market.instruments[int(order["asset"])]
        lots = round(float(order["qty"]) / float(instrument["lot"]))
        parts = min(lots, int(self.rng.integers(1, 4)))
        at, phase = bar, 1
        whole = draw < 0.8
        for k in range(parts):
            size = lots - (parts - 1) * (lots // parts) if k == parts - 1 else lots // parts
            if self.rng.random() < 0.5:
                at, phase = at + int(self.rng.integers(1, 4)), int(self.rng.integers(0, 2))
            if k == parts - 1 and not whole:
                self.waiting.append(Answer(at, phase, slot, order, CANCELLED))
                return
            self.trades += 1
            qty = size * float(instrument["lot_num"]) / float(instrument["lot_den"])
            price = float(market.price[bar, int(order["asset"])]) * (1.0 + 1e-3 * float(self.rng.standard_normal()))
            status = FILLED if k == parts - 1 else PARTLY_FILLED
            ts = int(market.ts[min(at, self.bars - 1)]) + self.trades
            self.waiting.append(Answer(at, phase, slot, order, status, qty, price, f"t{self.trades:05}", ts))

    def of(self, bar: int, phase: int) -> list[Answer]:
        """What it says in this part of the bar."""
        return [answer for answer in self.waiting if (answer.bar, answer.phase) == (bar, phase)]


@dataclass
class Session:
    """The reference: books answers by the rules and tells the journal of each as it arrives."""

    market: Market
    seed: int
    shuffle: int | None = None
    #: From this bar on fills have prices higher by this share; before it they are the plain session's.
    slipped: tuple[int, float] | None = None
    #: The first fill from this bar on comes a bar later.
    delayed: int | None = None
    digests: list[int] = field(default_factory=list)
    repeated: int = 0
    touched: set[str] = field(default_factory=set)

    def run(self, path: Path, *, write_ahead: bool) -> list[int]:
        """All bars; with ``shuffle`` answers arrive in another order, and some again."""
        config, market, bars = CONFIG, self.market, len(self.market.ts)
        engine, params, friction = config.engine, config.params_record(), config.friction_record()
        state = engine.new_state(market.price.shape[1], config.account.initial_capital)
        stages = np.zeros(6, np.uint64)
        exchange = Exchange(Generator(PCG64(self.seed)), bars)
        journal = journal_at(path, market, config, write_ahead=write_ahead)
        seen: list[Answer] = []
        for bar in range(bars):
            journal.opened(market, bar)
            engine.kernels.begin_bar(state, market, bar)
            self._disturb(exchange, bar)
            self._answers(state, journal, exchange.of(bar, 0), bar, 0, seen)
            engine.kernels.decide_bar(state, params, friction, market, bar)
            journal.decided(state, bar)
            wished = [s for s in range(SLOTS) if state.intents[s]["action"] not in (NONE, 6)]
            engine.kernels.place_bar(state, market, bar)
            for s in wished:
                exchange.take(state.working[s], s, bar, market)
            self._disturb(exchange, bar)
            self._answers(state, journal, exchange.of(bar, 1), bar, 1, seen)
            engine.kernels.end_bar(state, market, bar, stages)
            self.digests.append(int(state.account["digest"][0]))
            journal.closed(market, state, bar, stages)
        journal.writer.close()
        return self.digests

    def _disturb(self, exchange: Exchange, bar: int) -> None:
        """What the other session's exchange does otherwise."""
        waiting = exchange.waiting
        if self.slipped is not None and bar >= self.slipped[0]:
            for k, answer in enumerate(waiting):
                if answer.bar >= bar and answer.trade and answer.trade not in self.touched:
                    self.touched.add(answer.trade)
                    waiting[k] = replace(answer, price=answer.price * (1.0 + self.slipped[1]))
        if self.delayed is not None and bar >= self.delayed and not self.touched:
            for k, answer in enumerate(waiting):
                if answer.bar == bar and answer.trade and not self.touched:
                    self.touched.add(answer.trade)
                    waiting[k] = replace(answer, bar=bar + 1, phase=0)

    def _answers(
        self, state: Any, journal: SessionJournal, answers: list[Answer], bar: int, phase: int, seen: list[Answer]
    ) -> None:
        arrive = list(answers)
        if self.shuffle is not None:
            rng = Generator(PCG64([self.shuffle, bar, phase]))
            again = [answer for answer in (*seen, *answers) if answer.trade and rng.random() < 0.05]
            self.repeated += len(again)
            arrive = [arrive[k] for k in rng.permutation(len(arrive))] + again
        for answer in arrive:
            order = answer.order.copy()
            order["qty"], order["price"], order["fee"] = answer.qty, answer.price, 1e-4 * answer.qty * answer.price
            ids = {"trade_id": answer.trade} if answer.trade else None
            journal.event(order, bar, answer.slot, answer.status, phase=phase, ts=answer.ts, ids=ids)
        seen += answers
        self._book(state, answers, bar)

    def _book(self, state: Any, answers: Iterable[Answer], bar: int) -> None:
        """By slot and order: its parts as one fill, then what ends it."""
        by_order: dict[tuple[int, int], list[Answer]] = {}
        for answer in answers:
            by_order.setdefault((answer.slot, int(answer.order["bar"])), []).append(answer)
        kernels = CONFIG.engine.kernels
        for (slot, wished), several in sorted(by_order.items()):
            working = state.working[slot]
            mine = working["action"] != NONE and int(working["bar"]) == wished
            fills = sorted((a for a in several if a.trade), key=lambda a: (a.ts, a.trade))
            if fills:
                self._fill(state, fills, slot, bar, kernels)
                if mine:
                    _rest(working, fills, self.market)
            if mine and any(a.status in (REJECTED, CANCELLED) for a in several):
                working["action"] = NONE

    def _fill(self, state: Any, fills: list[Answer], slot: int, bar: int, kernels: Any) -> None:
        """The average of the parts, booked; ``book_fill`` ends market orders, so the order is put back."""
        first, working = fills[0], state.working[slot].copy()
        qty, price, fee = first.qty, first.price, 1e-4 * first.qty * first.price
        instrument = self.market.instruments[int(first.order["asset"])]
        for part in fills[1:]:
            total = qty + part.qty
            price = (qty * price + part.qty * part.price) / total
            lots = np.floor(total / instrument["lot"] + 0.5)
            qty = float(lots * instrument["lot_num"] / instrument["lot_den"])
            fee += 1e-4 * part.qty * part.price
        state.fills[slot] = first.order
        state.fills[slot]["qty"], state.fills[slot]["price"], state.fills[slot]["fee"] = qty, price, fee
        state.fills[slot]["passive"] = 0
        kernels.book_fill(state, slot, slot, self.market, bar, NO_TRADES)
        state.working[slot] = working


def _rest(working: Any, fills: list[Answer], market: Market) -> None:
    """What works on after these parts."""
    if any(fill.status == FILLED for fill in fills):
        working["action"] = NONE
        return
    instrument = market.instruments[int(working["asset"])]
    lots = np.floor(working["qty"] / instrument["lot"] + 0.5) - sum(round(f.qty / instrument["lot"]) for f in fills)
    working["qty"] = lots * instrument["lot_num"] / instrument["lot_den"]
    if working["action"] == OPEN:
        working["action"] = INCREASE


def journal_at(path: Path, market: Market, config: Config, *, write_ahead: bool, start: int = 0) -> SessionJournal:
    """The journal of a session on this market."""
    dataset = replace(dataset_of(market), symbols=tuple(f"S{k}USDT" for k in range(market.price.shape[1])))
    header = header_of(
        dataset, market, config, start, session="test", versions={}, write_ahead=write_ahead, funded=False
    )
    writer = JournalWriter(path, shape_for(market, config), header, policy="never")
    return SessionJournal(writer, write_ahead=write_ahead)
