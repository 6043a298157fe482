"""Small cases by hand: bars written out, and a script that says what is wanted in which bar."""

from __future__ import annotations

from typing import Any

import numpy as np

from dolphin.core.records import INSTRUMENT, neutral_risk
from dolphin.parity.slow.engine import LIQUIDATION, Case, SlowRun, run_slow
from dolphin.parity.slow.fills import Friction

#: No slippage and no fees, unless told.
FREE = {"slippage_bps": 0.0, "fee_bps": 0.0, "maker_fee_bps": 0.0}

Wish = dict[str, Any]


def case_of(
    prices: list[Any],
    script: dict[int, list[Wish]],
    *,
    bars: list[tuple[float, float, float]] | None = None,
    volume: list[float] | None = None,
    age: list[int] | None = None,
    funding: list[float] | None = None,
    capital: float = 1_000.0,
    slots: int | str = 1,
    orders: tuple[str, ...] = ("limit", "stop"),
    resize: bool = True,
    seen: list[Any] | None = None,
    **friction: Any,
) -> Case:
    """A case of ``prices`` (T,) or (T, N): ticks of 0.1, lots of 0.001, minimum notional 5.

    ``script``: per bar a list of wishes, each the fields of an intent and ``slot`` (default 0). ``bars``:
    per bar (open, high, low) of every asset, the price itself unless told. ``seen`` gets, per bar, what
    decide could read: the refused codes, the working orders' actions and quantities, the capital.
    """
    price = np.array(prices, np.float64).reshape(len(prices), -1)
    shape = price.shape

    def column(values: list[Any] | None, default: np.ndarray) -> np.ndarray:
        return default if values is None else np.broadcast_to(np.array(values, np.float64)[:, None], shape)

    instruments = np.zeros(shape[1], INSTRUMENT)
    instruments["tick"], instruments["tick_num"], instruments["tick_den"] = 0.1, 1.0, 10.0
    instruments["lot"], instruments["lot_num"], instruments["lot_den"] = 0.001, 1.0, 1000.0
    instruments["min_notional"] = 5.0

    def decide(state: Any, params: Any, market: Any, i: int) -> None:
        if seen is not None:
            working = [(order.action, order.qty) for order in state.working]
            seen.append((list(state.refused), working, state.account[0].capital))
        for wish in script.get(i, []):
            for name, value in wish.items():
                if name != "slot":
                    setattr(state.intents[wish.get("slot", 0)], name, value)

    ohlc = [None] * 3 if bars is None else [list(x) for x in zip(*bars, strict=True)]
    return Case(
        market={
            "ts": np.arange(1, shape[0] + 1, dtype=np.int64),
            "price": price,
            "age": np.broadcast_to(np.array(age or [0] * shape[0])[:, None], shape),
            "open": column(ohlc[0], price),
            "high": column(ohlc[1], price),
            "low": column(ohlc[2], price),
            "volume": column(volume, np.full(shape, 1e9)),
            "funding": column(funding, np.zeros(shape)),
            "features": np.zeros((shape[0], 1)),
            "risk": neutral_risk(shape[0]),
            "instruments": instruments,
        },
        decide=decide,
        friction=Friction(**FREE | friction),
        slots=slots,
        orders=orders,
        resize=resize,
        columns=() if funding is None else ("funding",),
        margin=friction.get("maintenance", 0.0) > 0.0,
        reasons=("", "A", "B", LIQUIDATION),
        capital=capital,
    )


def run(*args: Any, **options: Any) -> SlowRun:
    """A case by hand through the slow engine."""
    return run_slow(case_of(*args, **options))
