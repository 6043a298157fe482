from __future__ import annotations

import warnings
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ladder_cases import INSTRUMENTS, LEVELS, SPACING, case_of, small_market
from nautilus_trader.model.enums import OrderSide, OrderType
from nautilus_trader.model.objects import Price, Quantity

from dolphin.core.fill_models import SCAN_PRICE
from dolphin.core.grid import round_against
from dolphin.core.records import FRICTION
from dolphin.errors import DolphinError
from dolphin.live.backtest import run_backtest
from dolphin.live.data_objects import bar_type
from dolphin.live.exchange import SlippedFills, perpetual, precision_of
from dolphin.live.scan import BARRIER_NS, layout, scans
from dolphin.strategies.vel_div import VEL_DIV

RECORDS = small_market(10).instruments
PERPETUALS = [perpetual(instrument, 0.0002, 0.0001) for instrument in INSTRUMENTS]


@given(
    st.integers(0, len(INSTRUMENTS) - 1),
    st.floats(0.5, 2.0),
    st.sampled_from([OrderSide.BUY, OrderSide.SELL]),
    st.sampled_from([0.0, 0.0002, 0.003]),
)
def test_nautilus_slips_to_the_very_float_of_the_fill_model(column, factor, side, slippage):
    instrument, decimals = PERPETUALS[column], precision_of(INSTRUMENTS[column])
    price = round(LEVELS[column] * factor, INSTRUMENTS[column].price_precision)
    friction = np.zeros(1, FRICTION)
    friction["slippage"] = slippage
    model = SlippedFills(INSTRUMENTS, RECORDS, friction, SCAN_PRICE, known_first=True)
    model.price = np.full(len(INSTRUMENTS), price)
    quote = Price(price, decimals)
    quantity = Quantity(10, instrument.size_precision)
    order = SimpleNamespace(side=side, quantity=quantity, order_type=OrderType.MARKET)
    book = model.get_orderbook_for_fill_simulation(instrument, order, quote, quote)
    level = book.best_ask_price() if side == OrderSide.BUY else book.best_bid_price()
    direction = 1 if side == OrderSide.BUY else -1
    ours = round_against.py_func(price * (1.0 + direction * slippage), direction, RECORDS.view(np.recarray)[column])
    assert round(level.as_double(), decimals) == ours


def test_instruments_keep_their_grids():
    for ours, theirs in zip(INSTRUMENTS, PERPETUALS, strict=True):
        assert theirs.price_increment.as_decimal() == Decimal(ours.tick_num).scaleb(-ours.tick_exp)
        assert theirs.size_increment.as_decimal() == Decimal(ours.lot_num).scaleb(-ours.lot_exp)
        assert theirs.price_precision >= ours.price_precision
        assert theirs.taker_fee == Decimal("0.0002") and theirs.maker_fee == Decimal("0.0001")
        assert theirs.min_notional is None


def test_bars_are_named_in_the_largest_unit():
    milli = 10**6
    for spacing, text in (
        (5_000, "5-SECOND"),
        (60_000, "1-MINUTE"),
        (3_600_000, "1-HOUR"),
        (250, "250-MILLI"),
    ):
        assert text in str(bar_type(PERPETUALS[0], spacing * milli))
    with pytest.raises(DolphinError, match="whole milliseconds"):
        bar_type(PERPETUALS[0], 1500)


def test_a_scan_carries_its_row():
    market = small_market(40)
    row = scans(market, 20, 40, with_prices=True)[3].data
    assert (row.bar, row.ts_event, row.ts_init) == (23, market.ts[23], market.ts[23] + BARRIER_NS)
    record = np.frombuffer(row.row, layout(market, True))[0]
    assert record["price"].tobytes() == market.price[23].tobytes()
    assert record["age"].tobytes() == market.age[23].tobytes()
    assert record["risk"] == market.risk[23]
    assert "price" not in (layout(market, False).names or ())


def test_bars_carry_no_price_that_was_not_there():
    # A forward-filled price is no bar: as many events as real prices and scans.
    case = case_of(VEL_DIV)
    arguments = (
        case.engine, case.dataset.instruments, SPACING, case.market, case.params, case.friction, case.capital,
        case.start, case.stop,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = run_backtest(*arguments, feed="bars")
    real = int((case.market.age[case.start : case.stop] == 0).sum())
    assert run.events == real + case.bars
    assert run.refusals == ()
