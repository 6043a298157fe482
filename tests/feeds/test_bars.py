"""The ring of the newest bars."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin.feeds.bars import KEPT, Bar, Ring, Rings

SECOND = 10**9
TRADES = st.lists(
    st.tuples(st.integers(1, 40 * SECOND), st.sampled_from([99.0, 100.0, 101.5, 103.0])), min_size=1, max_size=40
)


@settings(max_examples=80)
@given(TRADES, st.randoms(use_true_random=False))
def test_bars_do_not_depend_on_the_order_in_which_trades_come(trades: list[tuple[int, float]], random) -> None:  # type: ignore[no-untyped-def]
    trades = sorted(trades)
    numbered = [(k, *trade) for k, trade in enumerate(trades)]
    expected = []
    for end in sorted({-(-ts // (5 * SECOND)) for ts, _ in trades}):
        prices = [price for ts, price in trades if -(-ts // (5 * SECOND)) == end]
        ohlc = (prices[0], max(prices), min(prices), prices[-1])
        expected.append(Bar(end * 5 * SECOND, *ohlc, 0.5 * len(prices), len(prices)))
    shuffled = list(numbered)
    random.shuffle(shuffled)
    for order in (numbered, shuffled):
        ring = Ring(5 * SECOND)
        assert all(ring.trade(number, ts, price, 0.5) for number, ts, price in order)
        assert ring.newest(KEPT) == expected
        assert ring.newest(2) == expected[-2:] and ring.newest(0) == []


def test_what_leaves_the_ring_is_not_taken_again() -> None:
    ring = Ring(SECOND, 3)
    assert all(ring.trade(k, k * SECOND, 100.0 + k, 1.0) for k in (1, 2, 3, 4, 6))
    assert [bar.ts // SECOND for bar in ring.newest(9)] == [4, 6]
    assert not ring.trade(7, 3 * SECOND, 1.0, 1.0) and ring.trade(8, 5 * SECOND, 1.0, 1.0)
    assert [bar.ts // SECOND for bar in ring.newest(9)] == [4, 5, 6]


def test_a_bar_holds_the_trade_at_its_end() -> None:
    rings = Rings(5 * SECOND)
    rings.trade("A", 1, 5 * SECOND, 1.0, 2.0)
    rings.trade("A", 2, 5 * SECOND + 1, 3.0, 4.0)
    found = rings.document("A")
    assert found["ts"] == [5 * SECOND, 10 * SECOND] and found["close"] == [1.0, 3.0] and found["volume"] == [2.0, 4.0]
    assert rings.symbols == ["A"] and rings.document("B")["ts"] == []
