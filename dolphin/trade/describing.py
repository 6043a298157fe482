"""What a session says of itself: in ``session.json``, and in the header of each day's journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from dolphin.config import Config
from dolphin.core.records import INSTRUMENT, Market
from dolphin.journal.schema import VERSION
from dolphin.live.feed import Feed, Row
from dolphin.study.measure.run import library_versions
from dolphin.times import format_time
from dolphin.trade.champion import Runs
from dolphin.trade.feeds import Opened

#: Takes a line for whoever watches.
Say = Callable[[str], None]


def about_session(runs: Runs, opened: Opened, feed: str, risk: str | None) -> dict[str, Any]:
    """The document of ``session.json``; ``risk`` tells of inputs that are no table's of the config."""
    config, source = runs.config, opened.feed
    about = {
        "account": runs.account, "champion": runs.champion, "frozen": runs.frozen,
        "config": config.document(), "config_hash": config.hash, "engine_digest": config.engine.digest,
        "strategy": config.strategy_name, "symbols": list(source.symbols), "reference": source.reference,
        "spacing_ns": source.spacing_ns, "feed": feed, "first_ts": opened.first_ts, "data": opened.data,
        "initial_capital": config.account.initial_capital, "features": list(config.strategy.columns),
        "created": format_time(time.time_ns() // 10**9 * 10**9),
    }  # fmt: skip
    return about if risk is None else about | {"risk": risk}


def header_of_day(
    about: Mapping[str, Any], config: Config, feed: Feed, data: Mapping[str, Any], market: Market, row: Row,
    lookback: int, more: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The header of a day's journal that begins with this row."""
    names = INSTRUMENT.names or ()
    return {
        "schema_version": VERSION,
        "session": f"paper of {about['account']}" + ("" if about["frozen"] else ", UNFROZEN"),
        "champion": about["champion"],
        "config": config.document(), "config_hash": config.hash,
        "engine_digest": config.engine.digest,
        "strategy": {"name": config.strategy_name, "digest": config.strategy.digest},
        "dataset": dict(data),
        "feed": about["feed"],
        "symbols": list(feed.symbols),
        "instruments": [{name: float(record[name]) for name in names} for record in market.instruments],
        "named_symbols": {name: int(market.symbols[0][name]) for name in market.symbols.dtype.names or ()},
        "first_bar": {"row": row.bar, "ts": row.ts},
        "initial_capital": about["initial_capital"],
        "lookback": lookback, "write_ahead": True, "funded": True, "versions": library_versions(),
        **more,
    }  # fmt: skip
