"""Who is asked: every provider's address and what it allows, and a workspace's own settings over these."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dolphin.catalog.store.instruments import check_symbol
from dolphin.errors import BadInput, DolphinError, NotFound, nearest
from dolphin.times import SECOND_NS, parse_duration

#: Settings of a workspace, where it has any.
FILE = "feeds.toml"


class Source(NamedTuple):
    """A provider: base address, tokens a minute that we use at most (a request costs its weight), what it is."""

    base: str
    per_minute: int
    text: str


#: The public providers. Budgets are below what each allows: others may ask from this address too.
SOURCES: dict[str, Source] = {
    "binance": Source("https://fapi.binance.com", 1200, "Binance USD-M futures, REST"),
    "binance_ws": Source("wss://fstream.binance.com", 60, "Binance USD-M futures, streams"),
    "deribit": Source("https://www.deribit.com", 120, "Deribit, REST"),
    "bybit": Source("https://api.bybit.com", 120, "Bybit linear futures, REST"),
    "fred": Source("https://fred.stlouisfed.org", 30, "FRED, CSV of its graphs, without a key"),
    "alternative": Source("https://api.alternative.me", 30, "alternative.me, fear and greed"),
    "blockchain": Source("https://api.blockchain.info", 20, "blockchain.com, charts"),
    "mempool": Source("https://mempool.space", 20, "mempool.space, mining"),
    "llama": Source("https://api.llama.fi", 20, "DefiLlama"),
}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceSettings(_Section):
    """What a workspace says of one provider."""

    base: str | None = None
    per_minute: int | None = Field(None, ge=1)


class FeedSettings(_Section):
    """Every key of ``feeds.toml``.

    ``cadence`` is how often a book record is made, ``snapshot`` how often what was recorded becomes a file of its
    own, ``silence`` after how long a mute stream is taken for dead, ``least_poll`` the shortest time between two
    polls of one indicator.
    """

    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    tables: str = "rec"
    cadence: str = "5s"
    snapshot: str = "5m"
    silence: str = "10s"
    least_poll: str = "5s"
    attempts: int = Field(3, ge=1, le=10)
    timeout: float = Field(5.0, gt=0.0)
    pause: float = Field(0.25, gt=0.0)
    breaker_failures: int = Field(5, ge=1)
    breaker_rest: str = "60s"
    fallbacks: bool = True
    keep_days: int = Field(7, ge=0)
    port: int = Field(0, ge=0, le=65535)
    repair_trades: int = Field(100_000, ge=0)
    sources: dict[str, SourceSettings] = {}

    def base(self, source: str) -> str:
        """The address of a provider."""
        own = self.sources.get(source)
        return own.base.rstrip("/") if own and own.base else SOURCES[source].base

    def per_minute(self, source: str) -> int:
        """Tokens a minute of a provider."""
        own = self.sources.get(source)
        return own.per_minute if own and own.per_minute else SOURCES[source].per_minute

    def seconds(self, key: str) -> float:
        """One of the lengths of time, in seconds."""
        return parse_duration(getattr(self, key)) / SECOND_NS


def parse_settings(table: Mapping[str, Any], where: str) -> FeedSettings:
    """Settings from a table.

    Raises
    ------
    DolphinError
        On an unknown key or provider, an address that is none, a wrong type or a value out of range.
    """
    for key in table:
        if key not in FeedSettings.model_fields:
            raise BadInput(f"unknown key '{key}'", where=where, mend=nearest(key, FeedSettings.model_fields))
    try:
        found = FeedSettings.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{place}: {first['msg']}", where=where, mend="see docs/feeds.md") from None
    for name, own in found.sources.items():
        if name not in SOURCES:
            raise BadInput(f"no source '{name}'", where=where, mend=nearest(name, SOURCES))
        _check_base(name, own.base, where)
    for symbol in found.symbols:
        check_symbol(symbol, where)
    for key in ("cadence", "snapshot", "silence", "least_poll", "breaker_rest"):
        if found.seconds(key) <= 0.0:
            raise BadInput(f"{key} = '{getattr(found, key)}'", where=where, mend="give a time above 0")
    return found


def _check_base(name: str, base: str | None, where: str) -> None:
    schemes = ("ws://", "wss://") if name.endswith("_ws") else ("http://", "https://")
    if base is not None and not (base.startswith(schemes) and len(base) > len(schemes[1])):
        raise BadInput(f"sources.{name}.base = '{base}' is no address", where=where, mend=f"begin it with {schemes[1]}")


def read_settings(root: Path, file: Path | None = None) -> FeedSettings:
    """The settings of a workspace: of ``file``, else of its ``feeds.toml``, else the defaults."""
    path = file or root / FILE
    if not path.is_file():
        if file is not None:
            raise NotFound("no such file", where=str(file), mend="check the path")
        return FeedSettings.model_validate({})
    try:
        return parse_settings(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError) as error:
        if isinstance(error, DolphinError):
            raise
        raise BadInput(
            f"not valid: {' '.join(str(error).split())}", where=str(path), mend="see docs/feeds.md"
        ) from None
