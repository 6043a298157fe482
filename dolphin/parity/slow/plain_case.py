"""A configuration as a case of the slow engine: its ``decide`` in plain Python all the way down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dolphin.config import Config
from dolphin.core.records import Market, Records
from dolphin.core.strategy import Strategy
from dolphin.parity.slow import vel_div
from dolphin.parity.slow.engine import Case
from dolphin.parity.slow.fills import Friction
from dolphin.parity.slow.in_python import in_python
from dolphin.strategies.vel_div import VEL_DIV


def plain_case(config: Config, market: Market) -> Case:
    """What the slow engine needs to decide this configuration on this market again."""
    friction, account = config.friction, config.account
    charged = Friction(
        slippage_bps=friction.slippage_bps,
        fee_bps=friction.fee_bps,
        maker_fee_bps=friction.maker_fee_bps,
        fill_model=friction.fill_model,
        volume_share=friction.volume_share,
        timing=friction.fill_timing,
        maintenance=account.cross_maintenance,
    )
    columns = dict(market.by_row()) | {"instruments": market.instruments, "symbols": market.symbols}
    return case_of(config.engine.strategy, config.params_record(), columns, charged, account.initial_capital)


def decide_of(strategy: Strategy) -> Callable[..., None]:
    """A second writing of the strategy where there is one, else its own source uncompiled."""
    return vel_div.decide if strategy.decide is VEL_DIV.decide else in_python(strategy.decide)


def case_of(strategy: Strategy, params: Records, market: dict[str, Any], friction: Friction, capital: float) -> Case:
    """The same from its pieces; ``market`` holds the arrays of a Market by name."""
    assets = market["price"].shape[1]
    asked = [name for name in ("open", "high", "low", "volume") if name in market]
    return Case(
        market=market,
        decide=decide_of(strategy),
        params={name: params[name][0].item() for name in params.dtype.names or ()},
        friction=friction,
        slots=strategy.slots,
        orders=strategy.orders,
        resize=strategy.resize,
        columns=tuple(dict.fromkeys([*strategy.market_columns, *asked])),
        margin=strategy.margin,
        memory=max(1, strategy.memory_of(assets)),
        reasons=strategy.reasons,
        capital=capital,
        postures=strategy.postures,
        orderly=strategy.orderly,
        drawdown=strategy.drawdown,
    )
