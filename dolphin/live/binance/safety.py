"""What must be so before an order may go out: clock, position mode, leverage, symbols and their grids, the strategy."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from dolphin.catalog import Instrument
from dolphin.config import Config, columns_needed
from dolphin.errors import Refused
from dolphin.live.binance.asking import Client
from dolphin.live.binance.feed import OF_KLINES

#: Ms that this machine's clock may be off the exchange's.
MOST_SKEW_MS = 500


def check_strategy(config: Config) -> None:
    """Refuse a configuration whose orders or inputs live trading does not carry.

    Raises
    ------
    Refused
        For columns that the exchange's klines do not hold.
    """
    strategy, reasons = config.strategy, []
    missing = [name for name in columns_needed(config) if name not in (*OF_KLINES, "funding")]
    if missing:
        reasons.append(f"it reads {', '.join(missing)}; klines hold {', '.join(OF_KLINES)} and close")
    if reasons:
        raise Refused("cannot be traded live", where=f"strategy '{strategy.name}'", details=reasons)


def clock_off(skew_ms: float) -> str:
    """The line for an exchange whose clock is ``skew_ms`` before this machine's."""
    return f"this machine's clock is {abs(skew_ms):.0f} ms {'behind' if skew_ms > 0 else 'ahead of'} the exchange's"


async def check_account(client: Client, instruments: Sequence[Instrument], leverage: int | None) -> None:
    """Refuse an account or a market that is not what the champion was made for.

    Parameters
    ----------
    client : Client
    instruments : sequence of Instrument
        As research knows them.
    leverage : int, optional
        What every symbol must be set to; None for any.

    Raises
    ------
    Refused
        With a line per mismatch.
    """
    before = time.time()
    server = await client.server_time()
    skew = server - (before + time.time()) * 500.0
    if abs(skew) > MOST_SKEW_MS:
        raise Refused(clock_off(skew), where="clock")
    reasons = ["the account is in hedge mode; set it to one-way"] if await client.hedged() else []
    reasons += grid_differences(instruments, await client.exchange_info())
    if leverage is not None:
        found = await client.symbol_config()
        for one in instruments:
            theirs = found.get(one.symbol, {}).get("leverage")
            if theirs is not None and int(theirs) != leverage:
                reasons.append(f"{one.symbol}: leverage {theirs} at the exchange, {leverage} wanted")
    if reasons:
        raise Refused(f"{len(reasons)} mismatches between champion and exchange", where="account", details=reasons)


def grid_differences(instruments: Sequence[Instrument], found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Symbols that the exchange does not trade, or whose tick, lot or least notional is another than research's."""
    reasons = []
    for one in instruments:
        theirs = found.get(one.symbol)
        if theirs is None:
            reasons.append(f"{one.symbol}: unknown to the exchange")
            continue
        if theirs["status"] != "TRADING":
            reasons.append(f"{one.symbol}: is {theirs['status']}")
        filters = {each["filterType"]: each for each in theirs["filters"]}
        ours = {
            "tick": Decimal(one.tick_num).scaleb(-one.tick_exp),
            "lot": Decimal(one.lot_num).scaleb(-one.lot_exp),
            "least notional": Decimal(repr(one.min_notional)),
        }
        said = {
            "tick": filters["PRICE_FILTER"]["tickSize"],
            "lot": filters["LOT_SIZE"]["stepSize"],
            "least notional": filters["MIN_NOTIONAL"]["notional"],
        }
        for what, value in ours.items():
            if Decimal(said[what]) != value:
                reasons.append(f"{one.symbol}: {what} {Decimal(said[what]).normalize():f}, was {value.normalize():f}")
    return reasons
