"""Whole lines of a byte stream, a few megabytes at a time, within limits that a bomb cannot pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO

from dolphin.catalog.readers.reading import MAX_FILE_BYTES, MAX_RATIO, NoLayout, Source, explained
from dolphin.errors import DolphinError

BLOCK_BYTES = 8 << 20
MAX_LINE_BYTES = 1 << 20
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
Opener = Callable[[], IO[bytes]]


def unpacked_limit(packed: int) -> int:
    """How many bytes so many packed ones may give before they are a bomb."""
    return min(MAX_RATIO * max(packed, 1 << 16), MAX_FILE_BYTES)


def first_line(opener: Opener, source: Source, form: str) -> bytes:
    """The first line that is not blank, without its end."""
    with explained(source.where, form), opener() as stream:
        head = stream.read(MAX_LINE_BYTES)
    if head.startswith(UTF_16):
        raise NoLayout("text of two bytes a character", where=source.where, mend="save it as UTF-8")
    if b"\0" in head:
        raise DolphinError("not a CSV text file", where=source.where, mend="check what was downloaded")
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        raise DolphinError("an empty file", where=source.where, mend="remove it or download it again")
    line, end, _ = head.partition(b"\n")
    if not end and len(head) > MAX_LINE_BYTES // 2:
        raise DolphinError("a line without end", where=source.where, mend="check what was downloaded")
    return line.rstrip()


def blocks(stream: IO[bytes], source: Source, limit: int, *, exact: bool = False) -> Iterator[bytes]:
    """Whole lines of a stream, some megabytes at a time."""
    rest, total = b"", 0
    while data := stream.read(BLOCK_BYTES):
        total += len(data)
        if total > limit:
            raise DolphinError(
                f"unpacks to more than {limit} bytes", where=source.where, mend="do not trust it, or unpack it first"
            )
        end = data.rfind(b"\n") + 1
        if not end and len(rest) + len(data) > MAX_LINE_BYTES:
            raise DolphinError(
                f"a line of more than {MAX_LINE_BYTES} bytes", where=source.where, mend="check what was downloaded"
            )
        if end:
            yield rest + data[:end]
            rest = data[end:]
        else:
            rest += data
    if exact and total != limit:
        raise DolphinError(f"is {total} bytes where it says {limit}", where=source.where, mend="do not trust it")
    if rest:
        yield rest
