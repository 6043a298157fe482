"""What a session may be told beside its champion: limits of the account, durability, snapshots (a small TOML file)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dolphin.errors import BadInput, NotFound, nearest
from dolphin.journal.writer import Policy

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Limits(BaseModel):
    """Limits of the account, each off unless given; money in USDT.

    Attributes
    ----------
    symbols : tuple of str, optional
        Those that may be traded.
    order_notional, total_notional : float, optional
        Of one order, and of all positions with it.
    leverage : float, optional
        Notional of all positions with the order, over equity.
    orders_per_minute : int, optional
        Entries in a minute of exchange time.
    daily_loss : float, optional
        Equity lost since the UTC day began: from there on everything is closed and nothing opened until the next day.
    price_collar : float, optional
        Fraction that a price may have moved since the bar before, and an order's price may be away from the last.
    balance : float, optional
        Least capital with which anything is opened.
    disk_mb : float
        Free space of the state folder's disk below which nothing is opened.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    symbols: tuple[str, ...] | None = None
    order_notional: Positive | None = None
    total_notional: Positive | None = None
    leverage: Positive | None = None
    orders_per_minute: Annotated[int, Field(ge=1)] | None = None
    daily_loss: Positive | None = None
    price_collar: Positive | None = None
    balance: Positive | None = None
    disk_mb: Annotated[float, Field(ge=0.0)] = 50.0


class RiskSettings(BaseModel):
    """What a session with a store does with the risk inputs that it makes of it.

    Attributes
    ----------
    mode : {"apply", "observe"}
        Whether boost, beta, Rm and posture are the step's, or only told.
    books : bool
        Whether somebody publishes order books: where nobody does Rm3 is neutral, and not that of a missing book.
    require_store : bool
        Whether a store that is gone means HIBERNATE.
    rules : str, optional
        File of the circuit breaker's rules, such as those of ``dolphin risk build --rules``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["apply", "observe"] = "apply"
    books: bool = True
    require_store: bool = True
    rules: str | None = None


class Settings(BaseModel):
    """A session's settings; every key has a default.

    ``skew_ms`` is how far this machine's clock may be off the exchange's, ``fresh_spacings`` how many spacings may
    pass without a fresh row; beyond either nothing is opened.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fsync: str = "order"
    snapshot_bars: Annotated[int, Field(ge=1)] = 60
    limits: Limits = Limits()
    risk: RiskSettings = RiskSettings()
    skew_ms: Positive = 500.0
    fresh_spacings: Positive = 3.0


def read_settings(path: Path | None) -> Settings:
    """The settings of a file; the defaults without one.

    Raises
    ------
    DolphinError
        For a key that nobody knows or a value that cannot be.
    """
    if path is None:
        return Settings()
    try:
        table = tomllib.loads(Path(path).read_text())
    except FileNotFoundError:
        raise NotFound("no such file", where=str(path)) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"not readable as TOML ({error})", where=str(path)) from None
    try:
        found = Settings.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = [
            *Settings.model_fields, *(f"limits.{name}" for name in Limits.model_fields),
            *(f"risk.{name}" for name in RiskSettings.model_fields),
        ]  # fmt: skip
        mend = nearest(key, known) if first["type"] == "extra_forbidden" else None
        raise BadInput(f"{key}: {first['msg']}", where=str(path), mend=mend) from None
    Policy(found.fsync)
    return found
