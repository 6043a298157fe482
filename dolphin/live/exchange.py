"""The simulated exchange: instruments, a quote when one is needed, fills slipped as in research."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from nautilus_trader.backtest.models import FillModel
from nautilus_trader.backtest.modules import SimulationModule, SimulationModuleConfig
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import BookOrder, QuoteTick
from nautilus_trader.model.enums import BookType, CurrencyType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Currency, Price, Quantity

from dolphin.catalog import Instrument
from dolphin.core.grid import slipped_price
from dolphin.core.records import Records

VENUE = Venue("SIM")

#: What lies on each side of a quote and behind a bar: no order of ours ever exhausts it.
DEPTH = 1_000_000_000


def instrument_id(symbol: str) -> InstrumentId:
    """The perpetual of a symbol on the simulated venue."""
    return InstrumentId(Symbol(f"{symbol}-PERP"), VENUE)


def precision_of(instrument: Instrument) -> int:
    """Decimals that hold both the data's prices and the ticks that fills lie on."""
    return max(instrument.price_precision, instrument.tick_exp)


def perpetual(instrument: Instrument, fee: float) -> CryptoPerpetual:
    """A linear perpetual with this instrument's grid, and ``fee`` (a fraction) on every fill.

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
        maker_fee=Decimal(repr(fee)),
        taker_fee=Decimal(repr(fee)),
    )


class SlippedFills(FillModel):
    """Fills at the quote moved against the order and rounded to the tick, whole, in one piece.

    The arithmetic is the core's (:func:`dolphin.core.grid.slipped_price`), from the exchange's own quote.
    """

    def __init__(self, instruments: Sequence[Instrument], records: Records, slippage: float) -> None:
        super().__init__()
        self._slippage = slippage
        self._grid = {
            instrument_id(instrument.symbol): (precision_of(instrument), records[j : j + 1])
            for j, instrument in enumerate(instruments)
        }

    def get_orderbook_for_fill_simulation(self, instrument, order, best_bid, best_ask):  # type: ignore[no-untyped-def]
        """A book with one level, on the side that the order takes from."""
        decimals, record = self._grid[instrument.id]
        buys = order.side == OrderSide.BUY
        quote = round((best_ask if buys else best_bid).as_double(), decimals)
        filled = slipped_price(quote, 1 if buys else -1, self._slippage, record)
        book = OrderBook(instrument_id=instrument.id, book_type=BookType.L2_MBP)
        side = OrderSide.SELL if buys else OrderSide.BUY
        book.add(BookOrder(side, Price(filled, decimals), order.quantity, 1), 0, 0)
        return book


class QuotesOnDemand(SimulationModule):
    """Gives the exchange a market only where an order is about to go.

    Quoting every instrument at every scan would cost most of a backtest's time; a market order
    looks at no quote but its own.
    """

    def __init__(self) -> None:
        super().__init__(SimulationModuleConfig())

    def quote(self, instrument: CryptoPerpetual, price: float, ts: int) -> None:
        """Bid and ask of ``instrument`` are ``price`` from now on."""
        level = Price(price, instrument.price_precision)
        size = Quantity(DEPTH, instrument.size_precision)
        self.exchange.process_quote_tick(QuoteTick(instrument.id, level, level, size, size, ts, ts))

    def process(self, ts_now: int) -> None:
        """Nothing happens by the clock."""

    def log_diagnostics(self, logger) -> None:  # type: ignore[no-untyped-def]
        """Nothing to tell."""

    def reset(self) -> None:
        """Nothing is kept."""
