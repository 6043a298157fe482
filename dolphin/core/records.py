"""The record layouts that engine and strategies share. All aligned, all eight-byte fields.

Prices and money are float64 in quote currency (USDT), quantities float64 in base units, times
int64 nanoseconds UTC, bars row numbers of the dataset, assets column numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dolphin.core.units import DAY_NS as DAY_NS

#: What is wished of a slot.
NONE, OPEN, CLOSE, INCREASE, REDUCE, REVERSE, CANCEL = range(7)

#: How it is to be traded; BRACKET is a LIMIT and a STOP of which the first that is reached fills.
MARKET, LIMIT, STOP, BRACKET = range(4)

#: Postures of the survival stack, best first (RISK section 3).
APEX, STALKER, TURTLE, HIBERNATE = 0, 1, 2, 3
POSTURES = ("APEX", "STALKER", "TURTLE", "HIBERNATE")


def _record(**fields: str) -> np.dtype[np.void]:
    return np.dtype(list(fields.items()), align=True)


#: Tick = tick_num / tick_den and lot = lot_num / lot_den, with integer parts (ENGINE section 1).
INSTRUMENT = _record(tick="f8", tick_num="f8", tick_den="f8", lot="f8", lot_num="f8", lot_den="f8", min_notional="f8")

#: What a strategy may ask of the market beside closes (fields of :class:`Market`).
MARKET_COLUMNS = ("open", "high", "low", "volume", "bid", "ask", "funding")

#: Inputs of the survival stack and the circuit breaker for one bar; ``quality`` is that of the order book, in [0, 1],
#: and read where the engine obeys postures. ``rm1``, ``others`` (Rm2 Rm3 Rm4) and ``imposed`` (0, or 1 + the posture
#: that a person imposes) are read where the account's drawdown is weighed, in place of ``rm`` and ``posture``.
RISK = _record(boost="f8", beta="f8", rm="f8", posture="i8", quality="f8", rm1="f8", others="f8", imposed="i8")

#: What trading costs: slippage and fees as fractions of the price (``fee`` where we take, ``maker_fee`` where we
#: give), whether market orders wait for the next bar, the share of a bar's volume that an order may have, and the
#: maintenance margin as a fraction of the notional.
FRICTION = _record(slippage="f8", fee="f8", maker_fee="f8", volume_share="f8", maintenance="f8", fill_next="i8")

#: What a strategy wants of one position slot and, with price and fee, what the market gave. ``expires`` counts bars
#: after ``bar``, the one that decided; ``passive`` says that a fill gave liquidity.
ORDER = _record(
    action="i8",
    asset="i8",
    side="i8",
    reason="i8",
    qty="f8",
    leverage="f8",
    kind="i8",
    limit="f8",
    trigger="f8",
    expires="i8",
    post_only="i8",
    reduce_only="i8",
    bar="i8",
    price="f8",
    fee="f8",
    passive="i8",
)

#: One position; side 0 is flat. ``realised`` is the sum of all P&L that the slot ever booked, net of fees and with
#: funding; ``funding`` is what the open position was paid, less what it paid.
SLOT = _record(
    side="i8",
    asset="i8",
    entry_bar="i8",
    qty="f8",
    entry_price="f8",
    entry_fee="f8",
    leverage="f8",
    capital_before="f8",
    peak_before="f8",
    drawdown_before="f8",
    realised="f8",
    funding="f8",
)

#: Realised capital, mark-to-market equity, and the running sums that all metrics come from. ``funding`` is
#: what was received, less what was paid; ``traded`` the notional of all fills, ``day`` the number of UTC days that
#: have ended. An engine puts a field before them that names its strategy (:mod:`dolphin.core.hooks`).
ACCOUNT = _record(
    capital="f8",
    equity="f8",
    peak_equity="f8",
    max_drawdown="f8",
    gross_win="f8",
    gross_loss="f8",
    fees_paid="f8",
    funding="f8",
    traded="f8",
    trades="i8",
    wins="i8",
    open_positions="i8",
    ruined="i8",
    bars="i8",
    exposed_bars="i8",
    day="i8",
    day_end="i8",
    day_equity="f8",
    days="i8",
    day_mean="f8",
    day_m2="f8",
    digest="u8",
)

#: One closed trade as the kernel writes it; names and times are added outside.
TRADE = _record(
    entry_bar="i8",
    exit_bar="i8",
    asset="i8",
    side="i8",
    reason="i8",
    open_positions="i8",
    qty="f8",
    entry_price="f8",
    exit_price="f8",
    pnl="f8",
    pnl_pct="f8",
    funding="f8",
    leverage="f8",
    capital_before="f8",
    capital_after="f8",
    peak_before="f8",
    drawdown_before="f8",
)

#: One remembered answer of :func:`dolphin.core.rank.most_efficient`; ``key`` is twice the bar, plus one for longs.
RANKED = _record(key="i8", lookback="i8", max_stale="i8", asset="i8", efficiency="f8")

#: Arrays of records, of float64, of int64 and of 64-bit words.
Records = NDArray[np.void]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]


#: A column of prices that nobody asked for, and the symbols of a strategy that names none.
NOT_ASKED: Floats = np.empty((0, 0))
NO_SYMBOLS: Records = np.array([(-1,)], _record(none="i8"))


class Market(NamedTuple):
    """Everything a decision at bar ``i`` may read, rows ``<= i`` only.

    ``ts`` (T,) int64; ``price``, ``log_price`` (T, N) float64; ``age`` (T, N) int32, bars since
    the last real price (0 real, -1 before the first); ``features`` (T, F) float64 in the order the
    strategy declares; ``risk`` (T,) of RISK; ``instruments`` (N,) of INSTRUMENT.

    ``open``, ``high``, ``low``, ``volume``, ``bid``, ``ask`` and ``funding`` are (T, N) float64 where the
    strategy asks for them (``market_columns``), else (0, 0): where no bar came, open, high and low are the
    price that stands and volume is 0; NaN before a symbol's first; ``funding`` is the rate of what was
    settled since the bar before, else 0. ``symbols`` is one record, per symbol that the strategy names its
    column, int64.
    """

    ts: Ints
    price: Floats
    log_price: Floats
    age: NDArray[np.int32]
    features: Floats
    risk: Records
    instruments: Records
    open: Floats = NOT_ASKED
    high: Floats = NOT_ASKED
    low: Floats = NOT_ASKED
    volume: Floats = NOT_ASKED
    bid: Floats = NOT_ASKED
    ask: Floats = NOT_ASKED
    funding: Floats = NOT_ASKED
    symbols: Records = NO_SYMBOLS

    def by_row(self) -> dict[str, NDArray[Any]]:
        """The arrays that have a row per bar, by name: the first six, and what was asked for beside them."""
        rows = {name: getattr(self, name) for name in Market._fields if name not in ("instruments", "symbols")}
        return {name: values for name, values in rows.items() if name not in MARKET_COLUMNS or len(values)}


class State(NamedTuple):
    """Everything that changes: one ACCOUNT, S position slots and what is in flight for them.

    ``intents`` are of the bar at hand, and so are ``fills``: of working orders, or of plain strategies' all (the first
    S), of a liquidation (the next S), of new market orders (the last S). ``working`` (S,) holds the order that each
    slot has in the market, ``refused`` (S,) int64 why its last intent was refused (:mod:`dolphin.core.refusals`), or 0.
    ``exits`` (R,) int64 counts closed trades by reason, ``day_ends`` (D,) float64 keeps the equity at
    the end of each UTC day for as many days as it has room. ``memory`` (M,) float64 is the strategy's
    own. Where the account's drawdown is weighed ``in_force`` is one RISK, what the bar's decision reads, ``stress``
    one record of :data:`~dolphin.core.capital.CAPITAL`, and ``highs`` (30,) float64 the highest equity of each of 30
    UTC days; elsewhere all three are empty.
    ``signals`` (S,) int64 is what became of each slot's wish to open, where a run is disturbed, and empty
    otherwise. ``ranking`` (K,) of RANKED is shared by the combinations of a sweep and empty otherwise;
    ``scratch`` (N,) float64 carries nothing over.
    """

    account: Records
    slots: Records
    intents: Records
    working: Records
    fills: Records
    refused: Ints
    exits: Ints
    day_ends: Floats
    memory: Floats
    in_force: Records
    stress: Records
    highs: Floats
    signals: Ints
    ranking: Records
    scratch: Floats


def neutral_risk(bars: int) -> Records:
    """Risk inputs of research without a risk feed: boost 1, beta 0, Rm 1, APEX, a good book."""
    risk = np.zeros(bars, RISK)
    for field in ("boost", "rm", "quality", "rm1", "others"):
        risk[field] = 1.0
    return risk
