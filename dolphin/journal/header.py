"""What a journal's first record says of its session: all that replay needs beside the bars."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.catalog import Dataset
from dolphin.config import Config, columns_needed, parse_config
from dolphin.core.records import INSTRUMENT, NO_SYMBOLS, Market, Records
from dolphin.errors import Damaged
from dolphin.journal.schema import VERSION, Shape


def shape_for(market: Market, config: Config) -> Shape:
    """The sizes of this market's records under a configuration."""
    return Shape(market.price.shape[1], market.features.shape[1], tuple(columns_needed(config)))


def lookback(config: Config) -> int:
    """Rows before a bar that its decision may read."""
    return int(config.strategy.warmup_bars(config.params))


def header_of(
    dataset: Dataset,
    market: Market,
    config: Config,
    start: int,
    *,
    session: str,
    versions: Mapping[str, str],
    write_ahead: bool = False,
    funded: bool = True,
) -> dict[str, Any]:
    """Plain JSON types.

    Parameters
    ----------
    start : int
        Row of the first bar.
    session : str
        What made the decisions, such as ``research`` or ``nautilus backtest``.
    write_ahead : bool
        Whether a bar's inputs are a record of their own, written before its decision.
    funded : bool
        Whether funding is paid by the rates of the rows.
    """
    names = INSTRUMENT.names or ()
    return {
        "schema_version": VERSION,
        "session": session,
        "config": config.document(),
        "config_hash": config.hash,
        "engine_digest": config.engine.digest,
        "strategy": {"name": config.strategy_name, "digest": config.strategy.digest},
        "dataset": {
            "name": dataset.name,
            "digest": dataset.digest,
            "spacing_ns": dataset.spacing_ns,
            "synthetic": dataset.synthetic,
        },
        "symbols": list(dataset.symbols),
        "instruments": [{name: float(record[name]) for name in names} for record in market.instruments],
        "named_symbols": {name: int(market.symbols[0][name]) for name in market.symbols.dtype.names or ()},
        "first_bar": {"row": start, "ts": int(market.ts[start])},
        "initial_capital": config.account.initial_capital,
        "lookback": lookback(config),
        "write_ahead": write_ahead,
        "funded": funded,
        "versions": dict(versions),
        "platform": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


#: What a session's header must have to be read as one.
NEEDED = (
    "session", "config", "config_hash", "engine_digest", "strategy", "dataset", "symbols", "instruments",
    "named_symbols", "initial_capital", "lookback", "write_ahead", "funded", "versions",
)  # fmt: skip


def check_header(header: Mapping[str, Any], where: Path) -> None:
    """Refuse a journal whose header is no session's."""
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise Damaged(f"its header names no {missing[0]}", where=str(where), mend="it was written by another program")


def config_of(header: Mapping[str, Any], where: Path, research: Path | None = None) -> Config:
    """The configuration that a header names; its strategy is the code that is here now."""
    try:
        document = {key: value for key, value in header["config"].items() if value is not None}
    except (KeyError, AttributeError):
        raise Damaged("its header names no configuration", where=str(where)) from None
    return parse_config(document, where=str(where), research=research)


def instruments_of(header: Mapping[str, Any]) -> Records:
    """(N,) of INSTRUMENT."""
    names = INSTRUMENT.names or ()
    return np.array([tuple(one[name] for name in names) for one in header["instruments"]], INSTRUMENT)


def named_symbols_of(header: Mapping[str, Any]) -> Records:
    """The record of the symbols that the strategy names."""
    named = header["named_symbols"]
    if tuple(named) == NO_SYMBOLS.dtype.names:
        return NO_SYMBOLS
    return np.array([tuple(named.values())], np.dtype([(name, "i8") for name in named], align=True))
