"""One bar at a time with fills from outside: what to send, what came back, the digest. No exchange here.

Research fills its own orders inside the step. Everywhere else an exchange does, so the bar is cut in
three: open it and say what to send, book what was filled, mark and fold. The kernels are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dolphin.core.declaration import Plugged
from dolphin.core.digest import STAGES
from dolphin.core.engine import NO_TRADES, Engine
from dolphin.core.logarithm import ln_array
from dolphin.core.records import CLOSE, NONE, REDUCE, Floats, Market, Records
from dolphin.journal.session import SessionJournal
from dolphin.live.own_features import OwnFeatures

#: A fill as it was booked: ``direction`` +1 bought, -1 sold; ``commission`` is the exchange's own.
FILL = np.dtype(
    [
        ("bar", "i8"), ("slot", "i8"), ("action", "i8"), ("asset", "i8"), ("direction", "i8"),
        ("qty", "f8"), ("price", "f8"), ("fee", "f8"), ("commission", "f8"),
    ]
)  # fmt: skip


def own_market(source: Market, start: int, stop: int) -> Market:
    """A market whose rows before ``start`` are known and whose others are still to come (NaN, -1)."""
    rows = {
        name: np.full((stop, *values.shape[1:]), np.nan, values.dtype)
        for name, values in source.by_row().items()
        if values.dtype.kind == "f"
    }
    rows["ts"] = np.zeros(stop, np.int64)
    rows["age"] = np.full((stop, source.age.shape[1]), -1, np.int32)
    rows["risk"] = np.zeros(stop, source.risk.dtype)
    for name, theirs in source.by_row().items():
        rows[name][:start] = theirs[:start]
    return source._replace(**rows)


def order_direction(order: Records) -> int:
    """+1 if the order buys, -1 if it sells."""
    side = int(order["side"])
    return -side if order["action"] in (CLOSE, REDUCE) else side


class Session:
    """The core of one account whose fills come from an exchange.

    Call :meth:`open` with a bar's rows, send the orders of the slots that it names, report each with
    :meth:`filled` or :meth:`refused`; when none is left the bar closes by itself.

    Parameters
    ----------
    engine : Engine
    params, friction : arrays of one record
        Of ``friction`` only the fee rate and the fill timing count here.
    market : Market
        From :func:`own_market`; its rows are written as bars come.
    initial_capital : float
    start, stop : int
        Rows that will come.
    plugged : sequence of Plugged, optional
        The plug-in features that the parameters select; by default those of the default parameters.
    journal : SessionJournal, optional
        Is told of every row, wish, answer and outcome.
    """

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
    ) -> None:
        self.market = market
        self.journal = journal
        self.state = engine.new_state(market.price.shape[1], initial_capital)
        self.start = start
        self._own = OwnFeatures(engine.strategy.plugged() if plugged is None else plugged, market, start)
        self.bar = start - 1
        self.digests = np.zeros(stop - start, np.uint64)
        self.stages = np.zeros((stop - start, len(STAGES)), np.uint64)
        self.fills: list[tuple] = []
        self._kernels = engine.kernels
        self._params, self._friction = params, friction
        self._fee = float(friction["fee"][0])
        self._next = bool(friction["fill_next"][0])
        self._slots = range(len(self.state.slots))
        self._orders = self.state.working
        self._waiting: set[int] = set()
        self._booked: dict[int, tuple[float, int | None]] = {}

    @property
    def closed(self) -> bool:
        """Whether every order of the bar at hand has been answered."""
        return not self._waiting

    def open(
        self,
        bar: int,
        ts: int,
        price: Floats,
        age: NDArray[np.int32],
        features: Floats,
        risk: Records,
        columns: Mapping[str, Floats] | None = None,
    ) -> list[int]:
        """Begin row ``bar``; returns the slots whose orders (see :meth:`order`) are to be sent now.

        ``columns`` are the rows of what the strategy asks of the market beside closes, (N,) each by name.
        """
        if self._waiting:
            raise RuntimeError(f"bar {bar} begins while orders of bar {self.bar} are open")
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
        if not self._next:
            self._decide()
        actions = self._orders["action"].tolist()
        sending = [s for s in self._slots if actions[s] != NONE]
        if sending:
            self._waiting = set(sending)
        else:
            self._close()
        return sending

    def order(self, slot: int) -> Records:
        """What the slot wants (a record of ORDER)."""
        return self._orders[slot]

    def filled(self, slot: int, qty: float, price: float, commission: float, ts: int | None = None) -> None:
        """The exchange filled the slot's order whole, at its time ``ts`` (by default the bar's).

        The fee that is booked is our rate on this fill, unrounded; the exchange's own commission is
        rounded to its currency and kept beside it.
        """
        fill = self.state.fills[slot : slot + 1]
        fill[0] = self._orders[slot]
        fill["qty"], fill["price"] = qty, price
        fill["fee"] = self._fee * (qty * price)
        self._booked[slot] = commission, ts
        self._answered(slot)

    def refused(self, slot: int) -> None:
        """The exchange did not fill the slot's order: nothing is booked for it, and it is gone."""
        if self.journal is not None:
            self.journal.rejected(self._orders[slot], self.bar, slot, phase=int(not self._next))
        self.state.working["action"][slot] = NONE
        self._answered(slot)

    def _answered(self, slot: int) -> None:
        self._waiting.remove(slot)
        if self._waiting:
            return
        # In the order of slots, as the step does, however the answers came.
        for s in sorted(self._booked):
            self._kernels.book_fill(self.state, s, s, self.market, self.bar, NO_TRADES)
            fill = self.state.fills[s]
            action, asset = int(fill["action"]), int(fill["asset"])
            values = (float(fill[name]) for name in ("qty", "price", "fee"))
            commission, ts = self._booked[s]
            self.fills.append((self.bar, s, action, asset, order_direction(fill), *values, commission))
            if self.journal is not None:
                self.journal.filled(fill, self.bar, s, phase=int(not self._next), commission=commission, ts=ts)
        self._booked.clear()
        self._close()

    def _close(self) -> None:
        if self._next:
            self._decide()
        k = self.bar - self.start
        self._kernels.end_bar(self.state, self.market, self.bar, self.stages[k])
        self.digests[k] = self.state.account["digest"][0]
        if self.journal is not None:
            self.journal.closed(self.market, self.state, self.bar, self.stages[k])

    def _decide(self) -> None:
        """Decide the bar at hand, and make what is wanted the slots' orders."""
        self._kernels.decide_bar(self.state, self._params, self._friction, self.market, self.bar)
        if self.journal is not None:
            self.journal.decided(self.state, self.bar)
        self._kernels.place_bar(self.state, self.market, self.bar)
