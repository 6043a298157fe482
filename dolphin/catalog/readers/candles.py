"""A table of bars as people have it, in any dialect, as the catalog's canonical frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from dolphin.catalog.readers.headers import Roles, roles_of
from dolphin.catalog.readers.moments import Moments, moments
from dolphin.catalog.readers.names import symbol_of, symbol_of_file
from dolphin.catalog.readers.reading import Reading, Source, filled
from dolphin.catalog.store.layout import QUOTES, VALUES
from dolphin.errors import DolphinError

_NOTHING = ("", "null", "nan", "none", "na", "n/a", "-", "--")
_SIZES = {"K": 1e3, "M": 1e6, "B": 1e9}


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
        A comma in a number may be a decimal one: cells are not parted by commas.

    Raises
    ------
    DolphinError
        If a column that is needed cannot be told, or a cell is no number or no time.
    """
    frame = long_of(frame)
    roles = roles_of(frame.columns, source, columns)
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    when = moments(_times(frame, roles), source)
    marks = _marks([frame[roles.of[role]] for role in (*VALUES, *QUOTES) if role in roles.of], comma)
    numbers = {role: _numbers(frame[roles.of[role]], source, marks) for role in VALUES if role in roles.of}
    quotes = {role: quote(frame[roles.of[role]], source, marks) for role in QUOTES if role in roles.of}
    if roles.plain_close is not None and ("open" in numbers or quotes):
        share = numbers["close"] / _numbers(frame[roles.plain_close], source, marks)
        numbers |= {role: numbers[role] * share for role in ("open", "high", "low") if role in numbers}
        quotes = {role: cells * share for role, cells in quotes.items()}
    for role in ("open", "high", "low"):
        numbers.setdefault(role, numbers["close"])
    numbers.setdefault("volume", pl.zeros(frame.height, pl.Float64, eager=True))
    symbols, renamed = _symbols(frame, roles, source)
    made = pl.DataFrame({"symbol": symbols, "ts": when.ns.alias("ts"), **{n: numbers[n] for n in VALUES}, **quotes})
    backwards = when.ns.len() > 1 and bool((when.ns.diff().drop_nulls() < 0).all())
    made = made.reverse() if backwards else made
    facts = {"times": when.written, "columns": ", ".join(f"{role} = {name}" for role, name in roles.of.items())}
    if roles.left_out:
        facts["left out"] = ", ".join(map(repr, roles.left_out))
    notes = _notes(roles, when, renamed)
    if backwards:
        notes = (*notes, "its newest row is its first: read from the end")
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


def _marks(columns: Sequence[pl.Series], comma: bool) -> tuple[str, str]:
    """The signs between thousands and before decimals, of all numbers of a table; no sign where there are no thousands.

    Where cells are parted by commas, one in a number is of thousands, and only where some number shows its point, too:
    ``1,234`` alone is nobody knows which.
    """
    texts = [cells.drop_nulls() for cells in columns if cells.dtype == pl.String]
    if not any(bool(cells.str.contains(",", literal=True).any()) for cells in texts):
        return "", "."
    if any(bool(cells.str.contains(r",\d{3}\.\d").any()) for cells in texts):
        return ",", "."
    return (".", ",") if comma else ("", ".")


def _plain(texts: pl.Series, marks: tuple[str, str]) -> pl.Series:
    """Numbers as Python writes them; what has signs elsewhere than between thousands stays as it is."""
    thousands, decimal = marks
    if thousands:
        grouped = texts.str.contains(rf"^[-+]?\d{{1,3}}(\{thousands}\d{{3}})+(\{decimal}\d*)?[A-Za-z]?$")
        without = texts.str.replace_all(thousands, "", literal=True)
        bare = ~texts.str.contains(thousands, literal=True)
        texts = without.zip_with(grouped | bare, texts.str.replace_all(thousands, "?", literal=True))
    return texts.str.replace(decimal, ".", literal=True)


def _numbers(cells: pl.Series, source: Source, marks: tuple[str, str] = ("", ".")) -> pl.Series:
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
    texts = texts.set(texts.str.to_lowercase().is_in(_NOTHING), None)
    plain = _plain(texts, marks)
    numbers = plain.cast(pl.Float64, strict=False)
    if numbers.null_count() > texts.null_count():  # Investing.com's volumes: 12.5K, 1.2M, 3B
        size = plain.str.slice(-1).replace_strict(_SIZES, default=None, return_dtype=pl.Float64)
        numbers = numbers.fill_null(plain.str.head(-1).cast(pl.Float64, strict=False) * size)
    odd = (numbers.is_null() & texts.is_not_null()).arg_true()
    if odd.len():
        row = int(odd[0])
        raise DolphinError(
            f"'{str(texts[row])[:40]}' in column '{cells.name}' is no number (data row {row + 1}, {odd.len()} in all)",
            where=source.where,
            mend="write numbers as 1234.5; another column is named with --columns ROLE=COLUMN",
        )
    return numbers


def quote(cells: pl.Series, source: Source, marks: tuple[str, str] = ("", ".")) -> pl.Series:
    """Bids or asks as float64; null where nobody quoted, an empty cell or NaN.

    Raises
    ------
    DolphinError
        If a cell is no number.
    """
    return _numbers(cells, source, marks).fill_nan(None)


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
