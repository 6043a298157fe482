"""A table of bars as people have it, in any dialect, as the catalog's canonical frame."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from dolphin.catalog.readers.headers import Roles, roles_of
from dolphin.catalog.readers.moments import Moments, moments
from dolphin.catalog.readers.names import symbol_of, symbol_of_file
from dolphin.catalog.readers.reading import Reading, Source, filled
from dolphin.catalog.store.layout import QUOTES, VALUES
from dolphin.errors import DolphinError

_NOTHING = ("", "null", "nan", "none", "na", "n/a", "-", "--")


def candles(
    frame: pl.DataFrame, source: Source, columns: Mapping[str, str] | None = None, *, comma: bool = False
) -> Reading:
    """The bars of a raw table.

    Parameters
    ----------
    frame : polars.DataFrame
        Its columns under the names that people gave them; text or typed.
    columns : mapping of str to str, optional
        Role to column (:func:`~dolphin.catalog.readers.headers.roles_of`).
    comma : bool
        Numbers in text have a decimal comma.

    Raises
    ------
    DolphinError
        If a column that is needed cannot be told, or a cell is no number or no time.
    """
    frame = long_of(frame)
    roles = roles_of(frame.columns, source, columns)
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    when = moments(_times(frame, roles), source)
    numbers = {role: _numbers(frame[roles.of[role]], source, comma) for role in VALUES if role in roles.of}
    quotes = {role: quote(frame[roles.of[role]], source, comma) for role in QUOTES if role in roles.of}
    if roles.plain_close is not None and ("open" in numbers or quotes):
        share = numbers["close"] / _numbers(frame[roles.plain_close], source, comma)
        numbers |= {role: numbers[role] * share for role in ("open", "high", "low") if role in numbers}
        quotes = {role: cells * share for role, cells in quotes.items()}
    for role in ("open", "high", "low"):
        numbers.setdefault(role, numbers["close"])
    numbers.setdefault("volume", pl.zeros(frame.height, pl.Float64, eager=True))
    symbols, renamed = _symbols(frame, roles, source)
    made = pl.DataFrame({"symbol": symbols, "ts": when.ns.alias("ts"), **{n: numbers[n] for n in VALUES}, **quotes})
    facts = {"times": when.written, "columns": ", ".join(f"{role} = {name}" for role, name in roles.of.items())}
    if roles.left_out:
        facts["left out"] = ", ".join(map(repr, roles.left_out))
    notes = _notes(roles, when, renamed)
    return Reading("bars", filled(iter([made]), source.where, "a table"), notes, facts)


def long_of(frame: pl.DataFrame) -> pl.DataFrame:
    """yfinance's table of several tickers, ``Price | Ticker`` in two header rows, with a column for the symbol.

    Its columns come as ``Close\\tAAPL`` (:data:`PAIR`): a field, then a symbol.
    """
    paired = [name for name in frame.columns if PAIR in name]
    if not paired:
        return frame
    fields = [tuple(name.split(PAIR, 1)) for name in paired]
    single = [name for name in frame.columns if PAIR not in name]
    parts = []
    for symbol in dict.fromkeys(symbol for _, symbol in fields):
        own = {name: field for name, (field, other) in zip(paired, fields, strict=True) if other == symbol}
        part = frame.select(*single, *own).rename(own).with_columns(pl.lit(symbol).alias("Ticker"))
        # A ticker that did not trade at a time of another has empty cells there, and no row.
        parts.append(part.filter(~pl.all_horizontal(pl.col(list(own.values())).is_null())))
    return pl.concat(parts, how="diagonal_relaxed")


#: Between the field and the symbol of a column that has both.
PAIR = "\t"


def _times(frame: pl.DataFrame, roles: Roles) -> pl.Series:
    times = frame[roles.of["time"]]
    if roles.clock is None:
        return times
    clock = frame[roles.clock]
    if times.dtype == pl.Date:
        times = times.dt.strftime("%Y-%m-%d")
    parts = [part.cast(pl.String).str.strip_chars() for part in (times, clock)]
    return (parts[0] + " " + parts[1]).alias(times.name)


def _numbers(cells: pl.Series, source: Source, comma: bool) -> pl.Series:
    """Float64; an empty cell is null, which a quality rule tells.

    Raises
    ------
    DolphinError
        If a cell is no number; the first is shown with its row.
    """
    if cells.dtype.is_numeric() or cells.dtype == pl.Null:
        return cells.cast(pl.Float64)
    if cells.dtype != pl.String:
        raise DolphinError(f"column '{cells.name}' is {cells.dtype}, no number", where=source.where)
    texts = cells.str.strip_chars().str.strip_chars_start("$")
    if comma:
        texts = texts.str.replace(",", ".", literal=True)
    texts = texts.set(texts.str.to_lowercase().is_in(_NOTHING), None)
    numbers = texts.cast(pl.Float64, strict=False)
    odd = (numbers.is_null() & texts.is_not_null()).arg_true()
    if odd.len():
        row = int(odd[0])
        raise DolphinError(
            f"'{str(texts[row])[:40]}' in column '{cells.name}' is no number (data row {row + 1}, {odd.len()} in all)",
            where=source.where,
            mend="write numbers as 1234.5; another column is named with --columns ROLE=COLUMN",
        )
    return numbers


def quote(cells: pl.Series, source: Source, comma: bool = False) -> pl.Series:
    """Bids or asks as float64; null where nobody quoted, an empty cell or NaN.

    Raises
    ------
    DolphinError
        If a cell is no number.
    """
    return _numbers(cells, source, comma).fill_nan(None)


def _symbols(frame: pl.DataFrame, roles: Roles, source: Source) -> tuple[pl.Series, dict[str, str]]:
    """The symbol of every row, and those that are written otherwise here than in the file.

    Raises
    ------
    DolphinError
        If two of the file are one here.
    """
    if "symbol" not in roles.of:
        return pl.Series("symbol", [symbol_of_file(source)] * frame.height, pl.String), {}
    given = frame[roles.of["symbol"]].cast(pl.String)
    known = {text: symbol_of(text) for text in given.drop_nulls().unique().to_list()}
    by_symbol: dict[str, str] = {}
    for text, symbol in sorted(known.items()):
        if symbol in by_symbol:
            what = f"'{by_symbol[symbol]}' and '{text}' are both {symbol} here"
            raise DolphinError(what, where=source.where, mend="give them symbols of their own")
        by_symbol[symbol] = text
    symbols = given.replace_strict(known, default=None, return_dtype=pl.String) if known else given
    return symbols.alias("symbol"), {text: symbol for text, symbol in known.items() if text != symbol}


def _notes(roles: Roles, when: Moments, renamed: Mapping[str, str]) -> tuple[str, ...]:
    notes = []
    if when.assumed_utc:
        notes.append("its times name no zone and are taken as UTC")
    if "open" not in roles.of:
        notes.append("it has closes alone: open, high and low are the close")
    if "volume" not in roles.of:
        notes.append("it has no volume: 0 everywhere")
    if roles.plain_close is not None:
        notes.append(f"prices are adjusted as '{roles.of['close']}' is")
    if renamed:
        few = ", ".join(f"'{text}' is {symbol}" for text, symbol in sorted(renamed.items())[:5])
        notes.append(f"symbols are written without signs: {few}{' ...' if len(renamed) > 5 else ''}")
    return tuple(notes)
