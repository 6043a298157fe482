"""Readers of market data files: one function per kind, registered by suffix, one canonical frame.

A reader takes a path and returns the columns symbol, ts, open, high, low, close, volume, where ``ts`` is
the candle's *open* in int64 ns UTC, as such files have it; the importer turns it into the close. To add
a kind of file, write such a function and one line of ``READERS``.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl

from dolphin.catalog.instruments import check_symbol
from dolphin.catalog.store import COLUMNS, VALUES
from dolphin.errors import DolphinError, nearest

KLINE_COLUMNS = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume",
    "count", "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip
MAX_MEMBER_BYTES = 4 << 30
MAX_MEMBERS = 10_000
MAX_RATIO = 200
_EARLIEST_NS, _LATEST_NS = 946_684_800 * 10**9, 4_102_444_800 * 10**9  # 2000 to 2100


def read_parquet(path: Path) -> pl.DataFrame:
    """Kline Parquet: symbol, ts (open; int ms, us or ns, or a datetime) and OHLCV."""
    with path.open("rb") as stream:
        if stream.read(4) != b"PAR1":
            raise DolphinError("not a Parquet file", where=str(path), mend="check what was downloaded")
    try:
        frame = pl.read_parquet(path, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DolphinError(f"not readable as Parquet ({_first_line(error)})", where=str(path)) from error
    return canonical(frame, path)


def read_csv(path: Path) -> pl.DataFrame:
    """An exchange's kline CSV, with or without header; the symbol is the file name up to ``-``."""
    return _parse_csv(path.read_bytes(), path.name, path)


def read_zip(path: Path) -> pl.DataFrame:
    """Kline CSV files in a zip; nothing is unpacked to disk."""
    if not zipfile.is_zipfile(path):
        raise DolphinError("not a zip file", where=str(path), mend="check what was downloaded")
    frames = []
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) > MAX_MEMBERS:
                raise DolphinError(f"holds {len(members)} files", where=str(path), mend="split the archive")
            for member in members:
                _check_member(member, path)
                with archive.open(member) as stream:
                    data = stream.read(member.file_size + 1)
                if len(data) != member.file_size:
                    raise DolphinError(f"'{member.filename}' is not as long as it says", where=str(path))
                frames.append(_parse_csv(data, Path(member.filename).name, path))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise DolphinError(f"not readable as zip ({_first_line(error)})", where=str(path)) from error
    if not frames:
        raise DolphinError("an empty zip", where=str(path), mend="give an archive with a kline CSV inside")
    return pl.concat(frames)


READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": read_parquet,
    ".csv": read_csv,
    ".zip": read_zip,
}


def find_files(source: Path) -> tuple[list[Path], list[Path]]:
    """Files to read, sorted by path, and those of no known kind, from a file or a folder.

    Raises
    ------
    DolphinError
        If it does not exist or there is nothing to read.
    """
    kinds = ", ".join(READERS)
    if source.is_file():
        if source.suffix.lower() not in READERS:
            raise DolphinError(f"no reader for '{source.suffix}' files", where=str(source), mend=f"there are: {kinds}")
        return [source], []
    if not source.is_dir():
        raise DolphinError("no such file or folder", where=str(source), mend="check the path")
    files = sorted(p for p in source.rglob("*") if p.is_file() and not p.name.startswith("."))
    readable = [p for p in files if p.suffix.lower() in READERS]
    if not readable:
        raise DolphinError("no data file in this folder", where=str(source), mend=f"it reads {kinds}")
    known = ("instruments.json", "readme.md", "readme.txt", "readme")
    return readable, [p for p in files if p not in set(readable) and p.name.lower() not in known]


def read(path: Path) -> pl.DataFrame:
    """The canonical frame of any supported file."""
    return READERS[path.suffix.lower()](path)


def canonical(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Check and cast a frame with the canonical columns; times to ns."""
    for name in COLUMNS:
        if name not in frame.columns:
            hint = nearest(name, frame.columns) if frame.columns else "it has no columns"
            raise DolphinError(f"column '{name}' is missing", where=str(path), mend=hint)
    if frame.is_empty():
        raise DolphinError("holds no rows", where=str(path), mend="remove it or download it again")
    schema = frame.schema
    for name in VALUES:
        if not schema[name].is_numeric():
            raise DolphinError(f"column '{name}' is {schema[name]}, no number", where=str(path))
    if not isinstance(schema["symbol"], pl.String | pl.Categorical | pl.Enum):
        raise DolphinError(f"column 'symbol' is {schema['symbol']}, no text", where=str(path))
    frame = frame.select(pl.col("symbol").cast(pl.String), _time_ns(frame["ts"], path), *VALUES)
    frame = frame.with_columns(pl.col(name).cast(pl.Float64) for name in VALUES)
    if frame["symbol"].null_count():
        raise DolphinError(f"{frame['symbol'].null_count()} rows have no symbol", where=str(path))
    for symbol in frame["symbol"].unique().to_list():
        check_symbol(symbol, str(path))
    return frame


def _time_ns(ts: pl.Series, path: Path) -> pl.Series:
    """Open times as int64 ns; the unit of integers is told from their size."""
    if isinstance(ts.dtype, pl.Datetime):
        ts = ts.dt.epoch("ns")
    elif not ts.dtype.is_integer():
        raise DolphinError(f"column 'ts' is {ts.dtype}, no time", where=str(path))
    else:
        ts = ts.cast(pl.Int64)
        last = int(ts.drop_nulls().to_numpy().max(initial=0))
        factor = 10**6 if last < 10**14 else 10**3 if last < 10**17 else 1
        ts = ts * factor
    odd = int(ts.null_count()) + int((~ts.is_between(_EARLIEST_NS, _LATEST_NS)).sum() or 0)
    if odd:
        raise DolphinError(
            f"{odd} of {ts.len()} times are empty or not between 2000 and 2100",
            where=str(path),
            mend="times are milliseconds, microseconds or nanoseconds since 1970, one unit per file",
        )
    return ts.alias("ts")


def _parse_csv(data: bytes, name: str, path: Path) -> pl.DataFrame:
    where = str(path) if path.name == name else f"{path}:{name}"
    if b"\0" in data[:4096]:
        raise DolphinError("not a CSV text file", where=where, mend="check what was downloaded")
    if not data.strip():
        raise DolphinError("an empty file", where=where, mend="remove it or download it again")
    first = data.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0].split(b",")
    header = not re.fullmatch(rb"\s*\d+\s*", first[0])
    try:
        frame = pl.read_csv(io.BytesIO(data), has_header=header, infer_schema=False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise DolphinError(f"not readable as CSV ({_first_line(error)})", where=where) from error
    if header:
        frame = frame.rename({c: c.strip().lower().replace(" ", "_") for c in frame.columns}, strict=False)
    elif len(frame.columns) < 6:
        raise DolphinError(
            f"{len(frame.columns)} columns without a header",
            where=where,
            mend=f"klines have {', '.join(KLINE_COLUMNS[:6])}, ...",
        )
    else:
        frame = frame.rename(dict(zip(frame.columns, KLINE_COLUMNS, strict=False)))
    for column in ("open_time", *VALUES):
        if column not in frame.columns:
            raise DolphinError(f"column '{column}' is missing", where=where, mend=nearest(column, frame.columns))
    symbol = name.split("-", 1)[0].removesuffix(".csv")
    check_symbol(symbol, f"{where} (the file name)")
    numbers = frame.with_columns(pl.col("open_time").str.strip_chars().cast(pl.Int64, strict=False))
    bad = int(numbers["open_time"].null_count())
    if bad:
        raise DolphinError(f"{bad} rows have no integer open_time", where=where, mend="check the download")
    numbers = numbers.with_columns(
        pl.lit(symbol).alias("symbol"),
        pl.col("open_time").alias("ts"),
        *(pl.col(c).str.strip_chars().cast(pl.Float64, strict=False) for c in VALUES),
    )
    return canonical(numbers, Path(where))


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    name = member.filename
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name:
        raise DolphinError(f"'{name}' points outside the archive", where=str(path), mend="do not trust it")
    if not name.lower().endswith(".csv"):
        raise DolphinError(f"'{name}' in the zip is no CSV", where=str(path), mend="zip only kline CSV files")
    if member.file_size > MAX_MEMBER_BYTES or member.file_size > MAX_RATIO * max(member.compress_size, 1024):
        raise DolphinError(
            f"'{name}' would unpack to {member.file_size} bytes", where=str(path), mend="do not trust it"
        )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
