"""The simulated exchange: instruments, the market that orders meet, fills slipped as in research, funding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
from nautilus_trader.backtest.models import FillModel
from nautilus_trader.backtest.modules import SimulationModule, SimulationModuleConfig
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import BookOrder, QuoteTick
from nautilus_trader.model.enums import BookType, CurrencyType, OrderSide, OrderType
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.model.orders import Order
from numpy.typing import NDArray

from dolphin.catalog import Instrument
from dolphin.core.fill_models import TOUCH
from dolphin.core.fill_models import FillModel as OurModel
from dolphin.core.grid import slipped_price
from dolphin.core.records import LIMIT, STOP, Floats, Records
from dolphin.live.answers import order_direction

VENUE = Venue("SIM")

#: What lies on each side of a quote and behind a bar: no order of ours ever exhausts it. Billions are wanted of what
#: costs a millionth; Nautilus counts to 3.4e13, and to a quarter of that in a bar.
DEPTH = 1_000_000_000_000


def instrument_id(symbol: str) -> InstrumentId:
    """The perpetual of a symbol on the simulated venue."""
    return InstrumentId(Symbol(f"{symbol}-PERP"), VENUE)


def precision_of(instrument: Instrument) -> int:
    """Decimals that hold both the data's prices and the ticks that fills lie on."""
    return max(instrument.price_precision, instrument.tick_exp)


def perpetual(instrument: Instrument, fee: float, maker_fee: float) -> CryptoPerpetual:
    """A linear perpetual with this instrument's grid, and fees (fractions) on fills that take and that give.

    It carries no minimum notional: the core decides about sizes, and what it opened it must be able
    to close.
    """
    code = instrument.symbol.removesuffix("USDT") or instrument.symbol
    base = Currency(code, 8, 0, code, CurrencyType.CRYPTO)
    Currency.register(base, overwrite=False)
    decimals = precision_of(instrument)
    tick = Decimal(instrument.tick_num).scaleb(-instrument.tick_exp)
    lot = Decimal(instrument.lot_num).scaleb(-instrument.lot_exp)
    return CryptoPerpetual(
        instrument_id=instrument_id(instrument.symbol),
        raw_symbol=Symbol(instrument.symbol),
        base_currency=base,
        quote_currency=USDT,
        settlement_currency=USDT,
        is_inverse=False,
        price_precision=decimals,
        size_precision=instrument.lot_exp,
        price_increment=Price.from_str(f"{tick:.{decimals}f}"),
        size_increment=Quantity.from_str(f"{lot:.{instrument.lot_exp}f}"),
        ts_event=0,
        ts_init=0,
        margin_init=Decimal(1),
        margin_maint=Decimal("0.005"),
        maker_fee=Decimal(repr(maker_fee)),
        taker_fee=Decimal(repr(fee)),
    )


class SlippedFills(FillModel):
    """Fills at this bar's price moved against the order and rounded to the tick.

    When an order is reached is Nautilus' own matching; the arithmetic of the price is the core's
    (:func:`dolphin.core.grid.slipped_price`). A limit fills at its price, once the market trades through it, or touches
    it where the fill model of the configuration says so.

    Parameters
    ----------
    instruments : sequence of Instrument
        By column.
    records : array of INSTRUMENT [N]
    friction : array of one record
    model : FillModel
        The configuration's.
    known_first : bool
        Whether a bar's prices are told before the exchange sees them; where they come as data, it sees them first.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        records: Records,
        friction: Records,
        model: OurModel,
        *,
        known_first: bool,
    ) -> None:
        super().__init__(prob_fill_on_limit=1.0 if model is TOUCH else 0.0)
        self.price: Floats = np.empty(0)
        self.open: Floats | None = None
        #: Orders by client id that fill at a price of their own, to the last digit.
        self.exact: dict[str, float] = {}
        self._known_first = known_first
        self._slippage = float(friction["slippage"][0])
        self._column = {instrument_id(instrument.symbol): j for j, instrument in enumerate(instruments)}
        self._decimals = [precision_of(instrument) for instrument in instruments]
        self._records = [records[j : j + 1] for j in range(len(instruments))]

    def get_orderbook_for_fill_simulation(self, instrument, order, best_bid, best_ask):  # type: ignore[no-untyped-def]
        """A book with one level, on the side that the order takes from; a limit meets Nautilus' own."""
        if order.order_type == OrderType.LIMIT:
            return None
        j = self._column[instrument.id]
        buys = order.side == OrderSide.BUY
        direction = 1 if buys else -1
        price = float(self.price[j])
        if order.order_type == OrderType.STOP_MARKET:
            price = self._stopped_at(order, direction, j, best_ask if buys else best_bid)
        exact = self.exact.get(order.client_order_id.value) if self.exact else None
        filled = slipped_price(price, direction, self._slippage, self._records[j]) if exact is None else exact
        book = OrderBook(instrument_id=instrument.id, book_type=BookType.L2_MBP)
        side = OrderSide.SELL if buys else OrderSide.BUY
        book.add(BookOrder(side, Price(filled, self._decimals[j]), self._size(order, j), 1), 0, 0)
        return book

    def _size(self, order, j: int) -> Quantity:  # type: ignore[no-untyped-def]
        """How much of the book's level there is for an order: all that it wants."""
        return order.quantity  # type: ignore[no-any-return]

    def ticks_around(self, price: float, j: int) -> tuple[float, float]:
        """The ticks at or below a price and at or above it."""
        record = self._records[j]
        return slipped_price(price, -1, 0.0, record), slipped_price(price, 1, 0.0, record)

    def _stopped_at(self, order, direction: int, j: int, quote) -> float:  # type: ignore[no-untyped-def]
        """What a stop that was reached takes: the market, or inside a bar the worse of trigger and open."""
        if self.open is None:
            return float(self.price[j]) if self._known_first else round(quote.as_double(), self._decimals[j])
        trigger = round(order.trigger_price.as_double(), self._decimals[j])
        opened = float(self.open[j])
        return opened if direction * (opened - trigger) > 0.0 else trigger


class Exchange(SimulationModule):
    """What a strategy tells the simulated exchange of a bar: quotes where orders are, and funding.

    Quoting every instrument at every scan would cost most of a backtest's time; an order looks at no quote but its own.
    """

    #: Whether a bar may have less of an instrument than an order wants.
    in_parts = False
    #: The node's, which tells of what becomes of orders.
    client: LiveExecutionClient

    def __init__(self, instruments: Sequence[CryptoPerpetual], fills: SlippedFills, model: OurModel) -> None:
        super().__init__(SimulationModuleConfig())
        self._instruments = list(instruments)
        self._column = {instrument.id: j for j, instrument in enumerate(instruments)}
        self._least = [10.0**-instrument.price_precision for instrument in instruments]
        self._fills = fills
        self._ranged = "high" in model.columns
        self._columns: Mapping[str, Floats] = {}
        self._hidden: dict[int, tuple[float, float]] = {}
        self._held: list[tuple[int, float]] = []
        self._ts = 0

    def begin(self, price: Floats, columns: Mapping[str, Floats], ts: int) -> None:
        """A bar: its scan prices and the columns that were asked for."""
        self._fills.price = price
        self._fills.open = columns["open"] if self._ranged else None
        self._columns, self._ts = columns, ts
        self._hidden.clear()

    def quote(self, j: int, bid: float, ts: int, ask: float | None = None) -> None:
        """Bid and ask of an instrument from now on; one price unless both are given."""
        instrument = self._instruments[j]
        decimals, size = instrument.price_precision, Quantity(DEPTH, instrument.size_precision)
        level = Price(bid, decimals)
        other = level if ask is None else Price(ask, decimals)
        self.exchange.process_quote_tick(QuoteTick(instrument.id, level, other, size, size, ts, ts))

    def show(self, j: int, *, whole: bool = False) -> None:
        """The market stands at the scan price; what hides an order of this bar stays hidden.

        With ``whole`` there is all that anybody wants, whatever the bar has.
        """
        if j not in self._hidden:
            price = float(self._fills.price[j])
            self.quote(j, price, self._ts, price if whole else None)

    def hide(self, order: Records) -> None:
        """Move the market beside a limit that it would reach: a new order rests until the next bar."""
        j = int(order["asset"])
        price = float(self._fills.price[j])
        bid, ask = self._hidden.get(j, (price, price))
        if int(order["kind"]) & LIMIT:
            limit, least = float(order["limit"]), self._least[j]
            if order_direction(order) > 0 and price <= limit:
                ask = max(ask, limit + least)
            elif order_direction(order) < 0 and price >= limit:
                bid = max(min(bid, limit - least), least)
        self._hidden[j] = bid, ask
        self.quote(j, bid, self._ts, ask)

    def match(self, orders: Sequence[Records], age: NDArray[np.int32]) -> None:
        """The bar's prices, for instruments that have an order waiting and a real price: worst first."""
        waiting: dict[int, list[Records]] = {}
        for order in orders:
            if age[order["asset"]] == 0 and not self.has_nothing(int(order["asset"])):
                waiting.setdefault(int(order["asset"]), []).append(order)
        for j, of in waiting.items():
            for price in self._prices(j, of):
                self.quote(j, self._level(price, j, of), self._ts)

    def _prices(self, j: int, orders: Sequence[Records]) -> list[float]:
        """What the bar's prices were, in the order that is worst for who waits: a stop's side comes first.

        The open is not among them: a limit that it reaches would fill before the stop of its bracket. What a stop
        pays through a gap is the fill model's to know.
        """
        close = float(self._fills.price[j])
        if not self._ranged:
            return [close]
        low, high = (float(self._columns[name][j]) for name in ("low", "high"))
        first = next((order for order in orders if int(order["kind"]) & STOP), orders[0])
        high_first = (order_direction(first) > 0) == bool(int(first["kind"]) & STOP)
        return [high, low, close] if high_first else [low, high, close]

    def _level(self, price: float, j: int, orders: Sequence[Records]) -> float:
        """Where the market stands at a price: on a tick, so that a limit is traded through by a whole one.

        Between two ticks it is the one farther from the limits that wait, unless a stop would be reached there that
        the price does not reach.
        """
        below, above = self._fills.ticks_around(price, j)
        buys = any(int(order["kind"]) & LIMIT and order_direction(order) > 0 for order in orders)
        level, other = (above, below) if buys else (below, above)
        for order in orders:
            if int(order["kind"]) & STOP:
                direction, trigger = order_direction(order), float(order["trigger"])
                if direction * (level - trigger) >= 0.0 > direction * (price - trigger):
                    level = other
        return level

    def has_nothing(self, j: int) -> bool:
        """Whether nothing of an instrument is to be had in this bar."""
        return False

    def fill_whole(self, client_id: str) -> None:
        """This order is not to be filled in parts; no other is, here."""

    def let_go(self, order: Order) -> None:
        """Answer for an order that the exchange itself does not look at any more; in a node alone."""
        names = order.strategy_id, order.instrument_id, order.client_order_id
        if order.venue_order_id is None:
            self.client.generate_order_rejected(*names, "there is no market", self._ts)
        else:
            self.client.generate_order_canceled(*names, order.venue_order_id, self._ts)

    def flush(self) -> None:
        """Have the exchange process what it was sent."""
        self.exchange.process(self._ts)

    def pay_funding(self, rates: Floats) -> None:
        """Funding on Nautilus' own positions, as they were when the bar began, where it has a rate."""
        for j, held in self._held:
            rate = float(rates[j])
            if rate == rate and rate != 0.0:
                payment = -(held * float(self._fills.price[j]) * rate)
                self.exchange.adjust_account(Money(payment, USDT))

    def remember_positions(self) -> None:
        """What is held when the bar ends: bars and quotes of the next one may fill orders before its scan comes."""
        self._held = [(self._column[p.instrument_id], p.signed_qty) for p in self.exchange.cache.positions_open()]

    def process(self, ts_now: int) -> None:
        """Nothing happens by the clock."""

    def log_diagnostics(self, logger) -> None:  # type: ignore[no-untyped-def]
        """Nothing to tell."""

    def reset(self) -> None:
        """Nothing is kept."""
