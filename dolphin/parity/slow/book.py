"""Orders, position slots, the account, and the booking of one fill, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from dolphin.parity.slow.fills import MARKET
from dolphin.parity.slow.grid import Instrument

NONE, OPEN, CLOSE, INCREASE, REDUCE, REVERSE, CANCEL = range(7)


@dataclass(slots=True)
class Order:
    """An intent or a working order; ``action`` 0 is none. ``decided`` is the bar that decided it."""

    action: int = NONE
    asset: int = 0
    side: int = 0
    reason: int = 0
    qty: float = 0.0
    leverage: float = 0.0
    kind: int = MARKET
    limit: float = 0.0
    trigger: float = 0.0
    expires: int = 0
    post_only: int = 0
    reduce_only: int = 0
    decided: int = 0

    def stored(self, bar: int) -> Order:
        """A copy with the types of the record's fields, as decided at ``bar``."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        floats = ("qty", "leverage", "limit", "trigger")
        values = {name: float(x) if name in floats else int(x) for name, x in values.items()}
        kept = Order(**values)
        kept.decided = bar
        return kept

    @property
    def direction(self) -> int:
        """+1 buys, -1 sells."""
        return -self.side if self.action in (CLOSE, REDUCE) else self.side


@dataclass(slots=True)
class Slot:
    """One position; side 0 is flat. ``realised`` is the cash that the slot ever brought: gross, fees, funding."""

    side: int = 0
    asset: int = 0
    qty: float = 0.0
    entry_price: float = 0.0
    entry_bar: int = 0
    leverage: float = 0.0
    entry_fee: float = 0.0
    funding: float = 0.0
    capital_before: float = 0.0
    peak_before: float = 0.0
    realised: float = 0.0


@dataclass(slots=True)
class Account:
    """Realised capital, what the marks left, and the counters that a strategy may read."""

    capital: float
    equity: float
    peak_equity: float
    max_drawdown: float = 0.0
    funding_paid: float = 0.0
    open_positions: int = 0
    ruined: int = 0
    bars: int = 0
    exposed_bars: int = 0
    trades: int = 0
    wins: int = 0
    fees_paid: float = 0.0
    traded: float = 0.0

    @property
    def funding(self) -> float:
        """The record's name of it."""
        return self.funding_paid


class Trade(NamedTuple):
    """A closing part of a fill; bars are row numbers, ``side`` that of the position."""

    entry_bar: int
    exit_bar: int
    asset: int
    side: int
    reason: int
    qty: float
    entry_price: float
    exit_price: float
    pnl: float
    pnl_pct: float
    leverage: float
    capital_before: float
    capital_after: float
    funding: float


class Fill(NamedTuple):
    """What the market gave in one bar to one slot; ``direction`` +1 bought, -1 sold."""

    bar: int
    slot: int
    asset: int
    direction: int
    qty: float
    price: float
    fee: float


def book(account: Account, slot: Slot, order: Order, fill: Fill, instrument: Instrument) -> Trade | None:
    """Book one fill of ``order`` and return the trade that it closed, if any.

    What is against the position closes it, what is left over opens; the fee is split by quantity.
    """
    account.fees_paid += fill.fee
    account.traded += fill.qty * fill.price
    closing = min(fill.qty, slot.qty) if slot.side == -fill.direction else 0.0
    opening = instrument.lot.subtract(fill.qty, closing) if closing > 0.0 else fill.qty
    closing_fee = fill.fee * (closing / fill.qty)
    trade = None
    if closing > 0.0:
        trade = _close(account, slot, order.reason, fill, closing, closing_fee, instrument)
        account.trades += 1
        account.wins += trade.pnl > 0.0
    if opening > 0.0:
        _open(account, slot, order, fill, opening, fill.fee - closing_fee, instrument)
    return trade


def _close(
    account: Account, slot: Slot, reason: int, fill: Fill, closing: float, fee: float, instrument: Instrument
) -> Trade:
    share = closing / slot.qty
    gross = slot.side * closing * (fill.price - slot.entry_price)
    entry_fee, funding = slot.entry_fee * share, slot.funding * share
    pnl = gross - entry_fee - fee
    account.capital += gross - fee
    slot.realised += gross - fee
    trade = Trade(
        entry_bar=slot.entry_bar,
        exit_bar=fill.bar,
        asset=slot.asset,
        side=slot.side,
        reason=reason,
        qty=closing,
        entry_price=slot.entry_price,
        exit_price=fill.price,
        pnl=pnl,
        pnl_pct=pnl / (closing * slot.entry_price),
        leverage=slot.leverage,
        capital_before=slot.capital_before,
        capital_after=account.capital,
        funding=funding,
    )
    left = instrument.lot.subtract(slot.qty, closing)
    if left > 0.0:
        slot.qty = left
        slot.entry_fee -= entry_fee
        slot.funding -= funding
    else:
        realised = slot.realised
        for field in fields(Slot):
            setattr(slot, field.name, field.default)
        slot.realised = realised
        account.open_positions -= 1
    return trade


def _open(
    account: Account, slot: Slot, order: Order, fill: Fill, opening: float, fee: float, instrument: Instrument
) -> None:
    if slot.side == 0:
        slot.side, slot.asset, slot.entry_bar = fill.direction, fill.asset, fill.bar
        slot.qty, slot.entry_price, slot.entry_fee = opening, fill.price, fee
        slot.leverage = order.leverage
        slot.capital_before, slot.peak_before = account.capital, account.peak_equity
        account.open_positions += 1
    else:
        whole = instrument.lot.add(slot.qty, opening)
        slot.entry_price = (slot.qty * slot.entry_price + opening * fill.price) / whole
        slot.qty = whole
        slot.entry_fee += fee
    account.capital -= fee
    slot.realised -= fee
