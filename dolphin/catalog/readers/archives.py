"""Zip files of CSV tables; every claim of the archive is checked before a byte is unpacked."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import polars as pl

from dolphin.catalog.readers.reading import MAX_FILE_BYTES, MAX_RATIO, Reading, Source, check_begins, explained, filled
from dolphin.catalog.readers.text import csv_reading
from dolphin.errors import DolphinError

MAX_MEMBERS = 10_000
_LOCAL_HEADER = 30  # bytes before a member's name


def read_zip(path: Path) -> Reading:
    """CSV files of one kind in a zip; nothing is unpacked to disk."""
    check_begins(path, b"PK", "zip")
    members = checked_members(path, (".csv",))
    readings = [_member(path, members[0])]

    def frames() -> Iterator[pl.DataFrame]:
        for member in members:
            reading = readings.pop() if readings else _member(path, member)
            if reading.kind != kind:
                raise DolphinError(
                    f"holds {kind} and {reading.kind}", where=str(path), mend="keep one kind in an archive"
                )
            yield from reading.frames

    kind = readings[0].kind
    return Reading(kind, filled(frames(), str(path), "zip"))


def _member(path: Path, member: zipfile.ZipInfo) -> Reading:
    def opener() -> IO[bytes]:
        with zipfile.ZipFile(path) as archive:
            return archive.open(member)  # keeps the file open until it is closed itself

    name = member.filename
    with explained(f"{path}:{name}", "zip"):
        return csv_reading(opener, Source(f"{path}:{name}", name.rsplit("/", 1)[-1]), member.file_size, exact=True)


def checked_members(path: Path, suffixes: tuple[str, ...]) -> list[zipfile.ZipInfo]:
    """The files of a zip in their order, if all of them can be trusted.

    Raises
    ------
    DolphinError
        On a bomb (count, ratio, total, overlapping members), a path that leaves the archive, a symbolic
        link, an encrypted member, a name that occurs twice, or a file of another kind (nested archives too).
    """
    where = str(path)
    with explained(where, "zip"), zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
    if not members:
        raise DolphinError("an empty zip", where=where, mend=f"give an archive with a {suffixes[0]} file inside")
    if len(members) > MAX_MEMBERS:
        raise DolphinError(f"holds {len(members)} files", where=where, mend="split the archive")
    for member in members:
        _check_member(member, where, suffixes)
    if len({m.filename for m in members}) != len(members):
        raise DolphinError("holds a file twice", where=where, mend="do not trust it")
    total = sum(m.file_size for m in members)
    if total > MAX_FILE_BYTES:
        raise DolphinError(f"would unpack to {total} bytes", where=where, mend="do not trust it, or split it")
    end = 0
    for member in sorted(members, key=lambda m: m.header_offset):
        if member.header_offset < end:
            raise DolphinError(f"'{member.filename}' overlaps another file", where=where, mend="do not trust it")
        end = member.header_offset + _LOCAL_HEADER + len(member.filename) + member.compress_size
    if end > path.stat().st_size:
        raise DolphinError("its files are longer than itself", where=where, mend="check what was downloaded")
    return members


def _check_member(member: zipfile.ZipInfo, where: str, suffixes: tuple[str, ...]) -> None:
    name = member.filename
    unsafe = name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name
    if unsafe or not name.isprintable():
        raise DolphinError(f"{name!r} points outside the archive", where=where, mend="do not trust it")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise DolphinError(f"'{name}' is a symbolic link", where=where, mend="do not trust it")
    if member.flag_bits & 1:
        raise DolphinError(f"'{name}' is encrypted", where=where, mend="unpack it first")
    if not name.lower().endswith(suffixes):
        kind = suffixes[0].removeprefix(".").upper()
        raise DolphinError(f"'{name}' in the zip is no {kind}", where=where, mend=f"keep only {kind} files in it")
    if member.file_size > MAX_RATIO * max(member.compress_size, 1024):
        raise DolphinError(f"'{name}' would unpack to {member.file_size} bytes", where=where, mend="do not trust it")
