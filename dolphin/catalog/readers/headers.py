"""Which column of a table that people have is the time, the close, and so on: told by its name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dolphin.catalog.readers.reading import Source
from dolphin.catalog.store.layout import QUOTES
from dolphin.errors import DolphinError, nearest

#: What a column may be called for each role, without case, blanks, points and underscores; the first found wins.
ALIASES: dict[str, tuple[str, ...]] = {
    "time": (
        "ts", "opentime", "unixtimestamp", "unixtime", "unix", "timestamp", "datetime", "datetimeutc", "timestamputc",
        "gmttime", "timeutc", "date", "tradedate", "tradingday", "day", "time", "begin", "start", "starttime", "dt",
        "t", "indexlevel0", "index", "unnamed0", "",
    ),
    "symbol": ("symbol", "sym", "ticker", "tickersymbol", "pair", "instrument", "market", "asset", "tic", "code"),
    "open": ("open", "openprice", "o", "1open"),
    "high": ("high", "highprice", "h", "2high", "max"),
    "low": ("low", "lowprice", "l", "3low", "min"),
    "close": ("close", "closeprice", "c", "4close", "closelast", "settle", "adjclose", "adjustedclose", "price"),
    "volume": ("volume", "v", "basevolume", "tickvol", "tickvolume", "vol", "5volume", "6volume"),
    "bid": ("bid", "bestbid", "bidprice", "bestbidprice", "bidclose", "closebid"),
    "ask": ("ask", "bestask", "askprice", "bestaskprice", "askclose", "closeask", "offer", "bestoffer", "offerprice"),
}  # fmt: skip
ROLES = tuple(ALIASES)
#: Closes that dividends and splits are taken out of.
ADJUSTED = ("adjclose", "adjustedclose")
_CANDLE = ("open", "high", "low")


class NotTold(DolphinError):
    """A column that bars need was not found.

    ``candle`` counts those of open, high, low and close that were; ``separated`` is whether the table is told by
    another sign than the comma, so that no other reader can have split its header.
    """

    candle, separated = 0, False


@dataclass(frozen=True)
class Roles:
    """Columns of a table by role.

    ``clock`` is a second column with the time of day, where the time is only a date; ``plain_close`` the close before
    adjustment where an adjusted one was asked for; ``left_out`` all that is not read.
    """

    of: Mapping[str, str]
    clock: str | None
    plain_close: str | None
    left_out: tuple[str, ...]


def key_of(name: str) -> str:
    """A column's name as :data:`ALIASES` has it."""
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def roles_of(columns: Sequence[str], source: Source, asked: Mapping[str, str] | None = None) -> Roles:
    """Tell the columns of a table of bars.

    Parameters
    ----------
    asked : mapping of str to str, optional
        Role to column, before any alias: ``{"close": "Adj Close"}``.

    Raises
    ------
    DolphinError
        If a role or column that was asked for is none, there is no time or no close, or one quote without the other.
    """
    found = _asked(columns, source, asked or {})
    by_key = _by_key(columns)
    for role, aliases in ALIASES.items():
        if role not in found:
            told = next((by_key[a] for a in aliases if a in by_key and by_key[a] not in found.values()), None)
            if told is None and role == "volume":
                told = _of_quantity(columns, found)
            if told is not None:
                found[role] = told
    clock = None
    if key_of(found.get("time", "")) in ("date", "day", "tradedate") and "time" in by_key:
        clock = by_key["time"]
    for role in ("time", "close"):
        if role not in found:
            close = difflib.get_close_matches(role, [c.lower() for c in columns], n=1, cutoff=0.8)
            shown = f"did you mean '{close[0]}'? " if close else ""
            mend = f"{shown}name it: --columns {role}=COLUMN (there are {', '.join(map(repr, columns[:10]))[:200]})"
            raise _not_told(role, found, mend, source)
    here = [role for role in _CANDLE if role in found]
    if here and len(here) < len(_CANDLE):
        lost = next(role for role in _CANDLE if role not in found)
        mend = f"name it: --columns {lost}=COLUMN, or leave {', '.join(here)} out of the file"
        raise _not_told(lost, found, mend, source)
    _check_quotes(found, source)
    plain = by_key.get("close") if key_of(found["close"]) in ADJUSTED else None
    taken = {*found.values(), clock, plain}
    return Roles(found, clock, plain, tuple(c for c in columns if c not in taken))


def quotes_of(columns: Sequence[str], source: Source | None = None) -> dict[str, str]:
    """The columns of the best bid and offer by role; with ``source`` an error where there is one alone."""
    by_key = _by_key(columns)
    told = {role: next((by_key[a] for a in ALIASES[role] if a in by_key), None) for role in QUOTES}
    found = {role: name for role, name in told.items() if name is not None}
    if source is not None:
        _check_quotes(found, source)
    return found


def _by_key(columns: Sequence[str]) -> dict[str, str]:
    """Columns by their key; the first of equal ones."""
    by_key: dict[str, str] = {}
    for name in columns:
        by_key.setdefault(key_of(name), name)
    return by_key


def _check_quotes(found: Mapping[str, str], source: Source) -> None:
    """Raise where there is a bid without an ask, or the other way round."""
    here = [role for role in QUOTES if role in found]
    if len(here) == 1:
        other = QUOTES[1 - QUOTES.index(here[0])]
        what = f"a column for the {here[0]} ('{found[here[0]]}') and none for the {other}"
        raise DolphinError(what, where=source.where, mend=f"name it: --columns {other}=COLUMN, or leave both out")


def _not_told(role: str, found: Mapping[str, str], mend: str, source: Source) -> NotTold:
    error = NotTold(f"no column for the {role}", where=source.where, mend=mend)
    error.candle = sum(name in found for name in (*_CANDLE, "close"))
    return error


def _asked(columns: Sequence[str], source: Source, asked: Mapping[str, str]) -> dict[str, str]:
    """What was asked for, with the columns' own spelling."""
    found = {}
    for role, wanted in asked.items():
        if role not in ROLES:
            raise DolphinError(f"--columns {role}=: no such role", mend=nearest(role, ROLES))
        same = [c for c in columns if c == wanted] or [c for c in columns if key_of(c) == key_of(wanted)]
        if not same:
            raise DolphinError(f"no column '{wanted}'", where=source.where, mend=nearest(wanted, columns))
        found[role] = same[0]
    return found


def _of_quantity(columns: Sequence[str], found: Mapping[str, str]) -> str | None:
    """The first ``Volume BTC`` or ``vol_btc``: an exchange's export may name the unit."""
    volumes = [c for c in columns if re.match(r"vol(ume)?[ _(]", c.lower())]
    return next((c for c in volumes if c not in found.values()), None)
