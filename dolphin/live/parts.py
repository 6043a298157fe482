"""An exchange that has little of everything: a share of a bar's volume, so that orders fill in parts.

Nautilus' books of one level (L1) grant more than they show: what a market order or a stop finds no size for is filled a
tick worse at once, and a limit that the market passed is filled whole. Books of several levels (L2) give what lies in
them. So the market is shown as such a book, with as much on each side as research lets an order have of the bar.
Market orders and stops take what is there and let go of the rest (IOC); the rest is sent or laid anew in the next bar,
as the engine's working order says. A limit stays where it is, and Nautilus counts what is left of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas
from nautilus_trader.model.enums import BookAction, BookType, OrderSide, OrderType
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Price, Quantity

from dolphin.catalog import Instrument
from dolphin.core.fill_models import FillModel
from dolphin.core.grid import lots_below
from dolphin.core.jit import kernel
from dolphin.core.records import STOP, Floats, Market, Records
from dolphin.live.answers import order_direction
from dolphin.live.exchange import DEPTH, Exchange, SlippedFills


@kernel(_nrt=False)
def most_of(volume, share, instruments):  # type: ignore[no-untyped-def]
    """What an order may have of a bar's volume, as the fill model reckons; ``instruments`` holds one record."""
    return lots_below(share * volume, instruments[0])


class PartFills(SlippedFills):
    """:class:`~dolphin.live.exchange.SlippedFills` where an order gets a share of the bar's volume, once a bar."""

    def __init__(
        self, instruments: Sequence[Instrument], records: Records, friction: Records, model: FillModel
    ) -> None:  # fmt: skip
        super().__init__(instruments, records, friction, model, known_first=True)
        self._share = float(friction["volume_share"][0])
        self._volume: Floats = np.empty(0)
        self._given: set[str] = set()
        #: Orders by client id that are filled whole: a margin call asks nobody.
        self.whole: set[str] = set()

    def begin(self, volume: Floats) -> None:
        """A bar: nobody was given anything of it yet."""
        self._volume = volume
        self._given.clear()

    def most(self, j: int) -> float:
        """What an order of this bar's may have of an instrument."""
        most = float(most_of(float(self._volume[j]), self._share, self._records[j]))
        return most if most > 0.0 else 0.0

    def get_orderbook_for_fill_simulation(self, instrument, order, best_bid, best_ask):  # type: ignore[no-untyped-def]
        """One slipped level with what is to be had; a limit meets Nautilus' own book, but once in a bar."""
        name = order.client_order_id.value
        if name in self.whole:
            return super().get_orderbook_for_fill_simulation(instrument, order, best_bid, best_ask)
        most = self.most(self._column[instrument.id])
        if most == 0.0 or name in self._given:
            return OrderBook(instrument_id=instrument.id, book_type=BookType.L2_MBP)
        self._given.add(name)
        return super().get_orderbook_for_fill_simulation(instrument, order, best_bid, best_ask)

    def _size(self, order, j: int) -> Quantity:  # type: ignore[no-untyped-def]
        if order.client_order_id.value in self.whole or order.order_type == OrderType.LIMIT:
            return order.quantity  # type: ignore[no-any-return]
        return min(order.leaves_qty, Quantity(self.most(j), order.quantity.precision))  # type: ignore[no-any-return]


class ThinExchange(Exchange):
    """:class:`~dolphin.live.exchange.Exchange` that shows books with a bar's share of volume in them."""

    in_parts = True

    def __init__(self, instruments: Sequence[CryptoPerpetual], fills: PartFills, model: FillModel) -> None:
        super().__init__(instruments, fills, model)
        self._part_fills = fills

    def begin(self, price: Floats, columns: Mapping[str, Floats], ts: int) -> None:
        """A bar: its scan prices and the columns that were asked for, the volume among them."""
        super().begin(price, columns, ts)
        self._part_fills.begin(columns["volume"])

    def has_nothing(self, j: int) -> bool:
        """Whether nothing of an instrument is to be had in this bar."""
        return self._part_fills.most(j) == 0.0

    def fill_whole(self, client_id: str) -> None:
        """This order is not to be filled in parts."""
        self._part_fills.whole.add(client_id)

    def hide(self, order: Records) -> None:
        """Also below a stop that took what there was, and whose rest waits for the next bar to reach it again."""
        super().hide(order)
        if not int(order["kind"]) & STOP:
            return
        j, trigger = int(order["asset"]), float(order["trigger"])
        bid, ask = self._hidden[j]
        if order_direction(order) > 0:
            ask = min(ask, trigger - self._least[j])
            bid = min(bid, ask)
        else:
            bid = max(bid, trigger + self._least[j])
            ask = max(ask, bid)
        self._hidden[j] = bid, ask
        self.quote(j, bid, self._ts, ask)

    def quote(self, j: int, bid: float, ts: int, ask: float | None = None) -> None:
        """Bid and ask from now on. Beside the market (``ask`` given) nobody trades, and any size will do."""
        size = float(DEPTH) if ask is not None or not len(self._part_fills.price) else self._part_fills.most(j)
        instrument = self._instruments[j]
        decimals = instrument.price_precision
        deltas = [OrderBookDelta.clear(instrument.id, 0, ts, ts)]
        if size > 0.0:
            quantity = Quantity(size, instrument.size_precision)
            for side, price in ((OrderSide.BUY, bid), (OrderSide.SELL, bid if ask is None else ask)):
                level = BookOrder(side, Price(price, decimals), quantity, int(side))
                deltas.append(OrderBookDelta(instrument.id, BookAction.ADD, level, 0, 0, ts, ts))
        self.exchange.process_order_book_deltas(OrderBookDeltas(instrument.id, deltas))


def empty_books(instruments: Sequence[CryptoPerpetual], ts: int) -> list[OrderBookDelta]:
    """What a backtest with books wants to have been told of each instrument before it begins."""
    return [OrderBookDelta.clear(instrument.id, 0, ts, ts) for instrument in instruments]


def exchange_of(
    instruments: Sequence[Instrument],
    perpetuals: Sequence[CryptoPerpetual],
    market: Market,
    friction: Records,
    model: FillModel,
    *,
    known_first: bool = True,
) -> tuple[SlippedFills, Exchange]:
    """What fills orders by a configuration's fill model, and the market that is shown to them.

    ``known_first`` says whether a bar's prices are told before the exchange sees them.
    """
    if model.partial:
        parts = PartFills(instruments, market.instruments, friction, model)
        return parts, ThinExchange(perpetuals, parts, model)
    fills = SlippedFills(instruments, market.instruments, friction, model, known_first=known_first)
    return fills, Exchange(perpetuals, fills, model)
