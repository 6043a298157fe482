"""Readers of market data files: by suffix what stores the bytes, by content what they mean.

``read(path)`` gives the kind of a file and its rows as canonical frames, streamed:

- **bars**: symbol, ts (the candle's *open* in int64 ns UTC, as such files have it; the importer turns it
  into the close), open, high, low, close, volume (float64), and bid and ask where the file has both (null
  where nobody quoted);
- **ticks**: symbol, ts (exchange time, ns), price, quantity (decimal128(20,8)), buyer_is_maker, trade_id,
  bid, ask, received_ts (null where the file has none);
- **features**: ts (the close, ns), symbol and scan_number (null where absent), then the source's numeric
  columns as float64, ``eigenvalues`` as a list, ``regime`` as text;
- **series**: external factors, see :mod:`dolphin.catalog.readers.series`.

A reader of another suffix is a function and a line of ``READERS``; another producer's columns are a line
of :mod:`dolphin.catalog.readers.layouts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dolphin.catalog.readers.archives import read_zip
from dolphin.catalog.readers.columnar import read_arrow, read_parquet
from dolphin.catalog.readers.documents import read_json, read_json_lines
from dolphin.catalog.readers.headers import NotTold
from dolphin.catalog.readers.indicators import read_npz
from dolphin.catalog.readers.layouts import KLINE_COLUMNS
from dolphin.catalog.readers.pickles import read_pickle, refuse_pickle
from dolphin.catalog.readers.reading import Kind, NoLayout, Reading
from dolphin.catalog.readers.tables import read_table
from dolphin.catalog.readers.text import read_csv, read_gz
from dolphin.errors import DolphinError

__all__ = ["KLINE_COLUMNS", "READERS", "Kind", "Reading", "find_files", "read"]

READERS: dict[str, Callable[[Path], Reading]] = {
    ".parquet": read_parquet,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_csv,
    ".xlsx": read_table,
    ".zip": read_zip,
    ".gz": read_gz,
    ".feather": read_arrow,
    ".arrow": read_arrow,
    ".arrows": read_arrow,
    ".ipc": read_arrow,
    ".npz": read_npz,
    ".json": read_json,
    ".json.gz": read_json,
    ".jsonl": read_json_lines,
    ".jsonl.gz": read_json_lines,
    ".ndjson": read_json_lines,
    ".ndjson.gz": read_json_lines,
    ".pkl": refuse_pickle,
    ".pickle": refuse_pickle,
    ".p": refuse_pickle,
    ".joblib": refuse_pickle,
}
#: Read where it is named, and left alone in a folder, where it may be anything.
_NAMED_ONLY = ".txt"
_NO_DATA = ("instruments.json", "manifest.json", "readme.md", "readme.txt", "readme")
_COMPANIONS = (".sha256", ".checksum")


def suffix_of(path: Path) -> str | None:
    """The longest suffix of the file's name that has a reader."""
    name = path.name.lower()
    return max((s for s in READERS if name.endswith(s) and name != s), key=len, default=None)


def read(path: Path, *, allow_pickle: bool = False, columns: Mapping[str, str] | None = None) -> Reading:
    """Read any supported file.

    Parameters
    ----------
    allow_pickle : bool
        Load pickles (they can run any code) instead of refusing them.
    columns : mapping of str to str, optional
        Of a table of bars: role to column, such as ``{"close": "Adj Close"}``. Where no producer's layout fits, the
        columns are told by their names (:mod:`dolphin.catalog.readers.headers`).

    Raises
    ------
    DolphinError
        If it cannot be read whole; also while ``frames`` is consumed.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix is None:
        raise _no_reader(path)
    if allow_pickle and READERS[suffix] is refuse_pickle:
        return read_pickle(path)
    if allow_pickle and READERS[suffix] is read_npz:
        return read_npz(path, allow_pickle=True)
    if columns:
        return read_table(path, columns)
    try:
        return READERS[suffix](path)
    except NoLayout as unknown:
        return _by_header(path, unknown)


def _by_header(path: Path, unknown: NoLayout) -> Reading:
    """A table of no known producer by its header; where that tells no candle, what was wrong at first is said."""
    try:
        return read_table(path)
    except NotTold as error:
        raise (error if error.candle or error.separated else unknown) from None


def find_files(source: Path) -> tuple[list[Path], list[Path]]:
    """Files to read, sorted by path, and those of no known kind, from a file or a folder.

    Raises
    ------
    DolphinError
        If it does not exist or there is nothing to read.
    """
    if source.is_file():
        if suffix_of(source) is None:
            raise _no_reader(source)
        return [source], []
    if not source.is_dir():
        raise DolphinError("no such file or folder", where=str(source), mend="check the path")
    files = sorted(p for p in source.rglob("*") if p.is_file() and not p.name.startswith("."))
    files = [p for p in files if p.name.lower() not in _NO_DATA and not p.name.lower().endswith(_COMPANIONS)]
    readable = [p for p in files if suffix_of(p) not in (None, _NAMED_ONLY)]
    if not readable:
        mend = f"it reads {', '.join(READERS)}"
        if named := next((p for p in files if suffix_of(p) == _NAMED_ONLY), None):
            mend = f"a {_NAMED_ONLY} file is read where it is named itself: {named}"
        raise DolphinError("no data file in this folder", where=str(source), mend=mend)
    return readable, [p for p in files if p not in readable]


def _no_reader(path: Path) -> DolphinError:
    return DolphinError(
        f"no reader for '{path.suffix}' files", where=str(path), mend=f"there are: {', '.join(READERS)}"
    )
