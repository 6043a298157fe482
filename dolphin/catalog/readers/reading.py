"""What every reader gives, and how whatever a damaged file raises becomes one clear line."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from dolphin.errors import DolphinError

Kind = Literal["bars", "ticks", "features", "series"]
MAX_ROWS = 1 << 20  # of one frame
MAX_RATIO = 200  # unpacked to packed bytes; market data reaches 20
MAX_FILE_BYTES = 64 << 30


@dataclass(frozen=True)
class Reading:
    """One file, read in pieces.

    Attributes
    ----------
    kind : {"bars", "ticks", "features", "series"}
        Told by the file's content, before any row is read.
    frames : iterator of polars.DataFrame
        Canonical frames of that kind in the order of the file, at most about a million rows each. A
        :class:`DolphinError` on the way means that the file cannot be taken whole.
    notes : tuple of str
        What a user should know of it, such as columns that were left out.
    facts : mapping of str to str
        How a table was read that is told by its header: its columns by role, how it writes times.
    """

    kind: Kind
    frames: Iterator[pl.DataFrame]
    notes: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


class NoLayout(DolphinError):
    """A table whose columns are of no known producer; its header may tell what they are."""


@dataclass(frozen=True)
class Source:
    """Which file it is: ``where`` for messages, ``name`` (without folders) for the symbol in it."""

    where: str
    name: str

    @classmethod
    def of(cls, path: Path) -> Source:
        """A file of its own."""
        return cls(str(path), path.name)

    @property
    def stem(self) -> str:
        """The name without its suffixes."""
        name = self.name
        for suffix in (
            ".gz",
            ".csv",
            ".tsv",
            ".txt",
            ".json",
            ".parquet",
            ".feather",
            ".arrow",
            ".arrows",
            ".ipc",
            ".xlsx",
        ):
            name = name.removesuffix(suffix)
        return name


@contextmanager
def explained(where: str, form: str) -> Iterator[None]:
    """Turn what a hostile or damaged file raises in a parser into ``not readable as {form}``.

    polars raises its Rust panics as an exception that is no :class:`Exception`; they are such a case.
    """
    try:
        yield
    except DolphinError:
        raise
    except (
        OSError, ValueError, TypeError, LookupError, EOFError, RuntimeError, MemoryError, ArithmeticError,
        struct.error, zlib.error, zipfile.BadZipFile, pl.exceptions.PolarsError, pl.exceptions.PanicException,
    ) as error:  # fmt: skip
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DolphinError(
            f"not readable as {form} ({reason.strip()[:200]})", where=where, mend="check what was downloaded"
        ) from error


def filled(frames: Iterator[pl.DataFrame], where: str, form: str) -> Iterator[pl.DataFrame]:
    """The frames that hold rows, in pieces of bounded size.

    Raises
    ------
    DolphinError
        If there is no row at all, or the file proves damaged on the way.
    """
    empty = True
    with explained(where, form):
        for frame in frames:
            for piece in frame.iter_slices(MAX_ROWS):
                if piece.height:
                    empty = False
                    yield piece
    if empty:
        raise DolphinError("holds no rows", where=where, mend="remove it or download it again")


def check_begins(path: Path, magic: bytes, form: str) -> None:
    """Raise unless the file begins with these bytes."""
    with explained(str(path), form), path.open("rb") as stream:
        head = stream.read(len(magic))
    if not head:
        raise DolphinError("an empty file", where=str(path), mend="remove it or download it again")
    if head != magic:
        raise DolphinError(f"not a {form} file", where=str(path), mend="check what was downloaded")
