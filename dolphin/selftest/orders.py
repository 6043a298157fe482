"""Every kind of order at random, in small markets (:mod:`dolphin.parity.slow.random_case`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict

from dolphin.config import Account, Config, Friction, columns_needed
from dolphin.core.records import Market
from dolphin.core.strategy import Strategy
from dolphin.parity.case import Case
from dolphin.parity.rung_plain import plain_rung
from dolphin.parity.slow.random_case import random_case
from dolphin.parity.slow.random_strategy import MEMORY, REASONS, WIDTH, decide
from dolphin.selftest.detectors import Finding, found
from dolphin.selftest.markets import dataset_of

SEEDS = range(40, 52)
SLOTS = 3


class OrdersParams(BaseModel):
    """Parameters of :func:`dolphin.parity.slow.random_strategy.decide`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    activity: float = 0.5
    mistakes: float = 0.1
    size: float = 1.0
    reach: float = 0.01
    hold: int = 20
    resize: int = 1
    limits: int = 1
    stops: int = 1


#: All that a strategy can declare: one engine, whatever the seed.
ORDERS = Strategy(
    name="orders",
    decide=decide,
    params=OrdersParams,
    features=tuple(f"draw{k}" for k in range(SLOTS * WIDTH)),
    reasons=REASONS,
    warmup_bars=lambda params: 0,
    slots=SLOTS,
    memory=MEMORY,
    market_columns=("funding",),
    orders=("limit", "stop"),
    resize=True,
    margin=True,
    postures=True,
    orderly=("HELD", "DRAWN"),
)


def case_of_orders(seed: int, fill_model: str = "bar_range") -> Case:
    """A random market and its random orders; margin is called now and then, makers pay less than takers."""
    drawn = random_case(seed)
    size = (0.3, 1.0, 8.0)[seed % 3]
    friction = {
        "slippage_bps": 2.0, "fee_bps": 3.0, "maker_fee_bps": 1.0, "fill_model": fill_model,
        "fill_timing": "next" if seed % 4 == 0 else "close", "volume_share": 0.1,
    }  # fmt: skip
    config = Config(
        strategy=ORDERS,
        strategy_name="orders",
        preset=None,
        params=OrdersParams(size=size),
        friction=Friction.model_validate(friction),
        account=Account(cross_maintenance=0.05),
    )
    names = ("ts", "price", "log_price", "age", "risk", "instruments", *columns_needed(config))
    features = np.ascontiguousarray(drawn.market["features"][:, : SLOTS * WIDTH])
    market = Market(features=features, **{name: drawn.market[name] for name in names})
    symbols = tuple(f"S{j}USDT" for j in range(market.price.shape[1]))
    dataset = replace(dataset_of(market), symbols=symbols, reference=symbols[0])
    return Case(dataset, market, config, 0, len(market.ts))


def first_finding(fill_model: str) -> Finding | None:
    """Rung R, seed by seed: the first that parts."""
    for seed in SEEDS:
        seen = found(plain_rung(case_of_orders(seed, fill_model)))
        if seen:
            return seen._replace(sentence=f"seed {seed}: {seen.sentence}")
    return None
