"""The bytes of a table as people have it, whatever its dialect: separators, headers or none, Excel, Parquet, Arrow.

What no layout of :mod:`dolphin.catalog.readers.layouts` knows is read here, whole, and told by its columns' names.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from dolphin.catalog.readers.candles import PAIR, candles
from dolphin.catalog.readers.headers import NotTold
from dolphin.catalog.readers.lines import UTF_16, unpacked_limit
from dolphin.catalog.readers.reading import MAX_RATIO, Reading, Source, check_begins, explained
from dolphin.errors import DolphinError

MAX_TABLE_BYTES = 4 << 30  # read whole
_SEPARATORS = (",", "\t", ";", "|")
#: Headers of exports without one, by the number of columns: MetaTrader 4, ccxt's lists, Kraken (two forms).
_METATRADER_4 = ("date", "time", "open", "high", "low", "close", "volume")
_LISTS = {
    6: ("timestamp", "open", "high", "low", "close", "volume"),
    7: ("timestamp", "open", "high", "low", "close", "volume", "trades"),
    8: ("timestamp", "open", "high", "low", "close", "vwap", "volume", "trades"),
}
_DATE = re.compile(r"\d{4}[-./]\d\d[-./]\d\d")
_COUNT = re.compile(r"\d{9,19}(\.0+)?")
_MT4_NAME = re.compile(r"(?P<symbol>[A-Z]{6}[a-z.#]{0,3}?)(?:1|5|15|30|60|240|1440|10080|43200|[MHDW]\d*|MN1?)")


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> Reading:
    """Bars of a table that people made, by the names of its columns.

    Parameters
    ----------
    columns : mapping of str to str, optional
        Role to column: ``{"time": "when", "close": "Adj Close"}``.

    Raises
    ------
    DolphinError
        If it is no table, or the columns that bars need cannot be told.
    """
    source, name = Source.of(path), path.name.lower()
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise DolphinError("too large to be read whole", where=source.where, mend="split it, or write it as Parquet")
    for suffix, of in _FORMS.items():
        if name.endswith(suffix):
            with explained(source.where, "a table"):
                return of(path, source, columns)
    raise DolphinError(f"columns are not told of '{path.suffix}' files", where=source.where)


def _text(path: Path, source: Source, columns: Mapping[str, str] | None) -> Reading:
    return _of_text(path.read_bytes(), source, columns)


def _gzip(path: Path, source: Source, columns: Mapping[str, str] | None) -> Reading:
    limit = min(unpacked_limit(path.stat().st_size), MAX_TABLE_BYTES)
    with gzip.open(path) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise DolphinError(f"unpacks to more than {limit} bytes", where=source.where, mend="unpack it first")
    return _of_text(data, source, columns)


def _zip(path: Path, source: Source, columns: Mapping[str, str] | None) -> Reading:
    from dolphin.catalog.readers.archives import checked_members

    members = checked_members(path, (".csv", ".tsv", ".txt"))
    if len(members) > 1:
        raise DolphinError(f"holds {len(members)} tables", where=source.where, mend="unpack it into a folder")
    with zipfile.ZipFile(path) as archive:
        data = archive.read(members[0])
    inside = members[0].filename
    return _of_text(data, Source(f"{source.where}:{inside}", inside.rsplit("/", 1)[-1]), columns)


def _of_text(data: bytes, source: Source, columns: Mapping[str, str] | None) -> Reading:
    """CSV in any dialect: separator, quotes, header or none, a decimal comma."""
    if b"\0" in data[:4096] and not data.startswith(UTF_16):
        raise DolphinError("not a text file", where=source.where, mend="check what was downloaded")
    try:
        text = data.decode("utf-16" if data.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        raise DolphinError("not a UTF-8 text file", where=source.where, mend="save it as UTF-8") from None
    text = text.replace("\r\n", "\n").strip("\n \t\r")
    if not text:
        raise DolphinError("an empty file", where=source.where, mend="remove it or download it again")
    text = _without_banner(text)
    first = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    cells = [cell.strip().strip('"') for cell in first.split(separator)]
    skip, names = _header(cells, text, separator, source)
    if tuple(names) == _METATRADER_4 and skip == 0 and (match := _MT4_NAME.fullmatch(source.stem)):
        source = Source(source.where, f"{match['symbol']}.csv")
    body = "".join(text.split("\n", skip)[skip:])
    if not body.strip():
        raise DolphinError("holds no rows", where=source.where, mend="remove it or download it again")
    _check_width(body, len(names), separator, source)
    frame = pl.read_csv(
        io.StringIO(body), separator=separator, has_header=False, schema=dict.fromkeys(names, pl.String),
    )  # fmt: skip
    try:
        return candles(frame, source, columns, comma=separator != ",")
    except NotTold as error:
        error.separated = separator != ","
        raise


def _without_banner(text: str) -> str:
    """The text without an address in its first line, which CryptoDataDownload puts before the header."""
    first, _, rest = text.partition("\n")
    return rest if rest and re.match(r'"?https?://\S+$', first.strip()) else text


def _header(cells: list[str], text: str, separator: str, source: Source) -> tuple[int, list[str]]:
    """How many lines are no rows, and the names of the columns."""
    lines = text.split("\n", 3)[:3]
    if cells[0] == "Price" and len(lines) == 3 and lines[1].split(separator)[0] == "Ticker":  # yfinance.download
        tickers = [cell.strip() for cell in lines[1].split(separator)]
        third = lines[2].split(separator)[0].strip() or "Date"
        return 3, [third, *(f"{f}{PAIR}{t}" for f, t in zip(cells[1:], tickers[1:], strict=True))]
    if cells[0] == "Ticker" and len(lines) == 3 and lines[1].split(separator)[0] == "Price":  # group_by="ticker"
        fields = [cell.strip() for cell in lines[1].split(separator)]
        third = lines[2].split(separator)[0].strip() or "Date"
        return 3, [third, *(f"{f}{PAIR}{t}" for f, t in zip(fields[1:], cells[1:], strict=True))]
    if _DATE.fullmatch(cells[0]) and len(cells) == 7 and ":" in cells[1]:
        return 0, list(_METATRADER_4)
    if _COUNT.fullmatch(cells[0]) or _DATE.match(cells[0]):
        # A row alone may be a cut one of another table.
        if len(cells) not in _LISTS or len(lines) < 2:
            mend = "klines have 12, lists of ccxt 6, Kraken's 7 or 8; other tables need a header"
            raise DolphinError(f"{len(cells)} columns without a header", where=source.where, mend=mend)
        return 0, list(_LISTS[len(cells)])
    if len(set(cells)) != len(cells):
        raise DolphinError("a column name occurs twice", where=source.where, mend="name every column once")
    return 1, cells


def _check_width(body: str, width: int, separator: str, source: Source) -> None:
    """Raise unless every line has as many cells as the first: a cut line would read as empty cells."""
    if '"' in body or body.count(separator) == (width - 1) * (body.count("\n") + 1):
        return
    for number, line in enumerate(body.split("\n"), 1):
        if line.strip() and line.count(separator) != width - 1:
            what = f"data row {number} has {line.count(separator) + 1} cells where there are {width}: '{line[:40]}'"
            raise DolphinError(what, where=source.where, mend="check the download")


def _parquet(path: Path, source: Source, columns: Mapping[str, str] | None) -> Reading:
    from dolphin.catalog.readers.columnar import whole_parquet

    return candles(whole_parquet(path), source, columns)


def _arrow(path: Path, source: Source, columns: Mapping[str, str] | None) -> Reading:
    from dolphin.catalog.readers.columnar import whole_arrow

    return candles(whole_arrow(path), source, columns)


def _excel(path: Path, source: Source, columns: Mapping[str, str] | None) -> Reading:
    """The first sheet of a workbook.

    Raises
    ------
    DolphinError
        If the optional reader is not installed.
    """
    check_begins(path, b"PK", "Excel")
    with zipfile.ZipFile(path) as archive:
        total = sum(member.file_size for member in archive.infolist())
    if total > max(MAX_RATIO * path.stat().st_size, 1 << 24):
        raise DolphinError(f"would unpack to {total} bytes", where=source.where, mend="do not trust it")
    try:
        import fastexcel
    except ImportError:
        mend = "pip install 'dolphin-quant[excel]', or save the sheet as CSV"
        raise DolphinError("Excel files need fastexcel", where=source.where, mend=mend) from None
    try:
        book = fastexcel.read_excel(str(path))
        frame = book.load_sheet(0).to_polars()
    except (Exception, pl.exceptions.PanicException) as error:  # whatever a damaged workbook raises
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise DolphinError(f"not readable as Excel ({reason})", where=source.where) from None
    found = candles(frame, source, columns)
    if len(book.sheet_names) > 1:
        left = f"only its first sheet of {len(book.sheet_names)} is read"
        return Reading(found.kind, found.frames, (*found.notes, left), found.facts)
    return found


_Form = Callable[[Path, Source, Mapping[str, str] | None], Reading]
_FORMS: dict[str, _Form] = {
    ".csv": _text, ".tsv": _text, ".txt": _text, ".gz": _gzip, ".zip": _zip,
    ".parquet": _parquet, ".feather": _arrow, ".arrow": _arrow, ".arrows": _arrow, ".ipc": _arrow, ".xlsx": _excel,
}  # fmt: skip
