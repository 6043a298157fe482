"""How much an Arrow IPC file or stream would unpack to, from its messages alone.

Decoding a batch allocates what its compressed buffers claim, so the claims (a little-endian int64 before
each buffer) are read first. The messages are flatbuffers; of those only the few fields needed are read,
as the Arrow columnar format lays them down.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from dolphin.errors import DolphinError

MAX_METADATA = 1 << 24
_MARK, _MAGIC, _END = b"\xff\xff\xff\xff", b"ARROW1", b"\xff\xff\xff\xff\0\0\0\0"
_TAIL = struct.Struct("<i6s")  # a file ends with its footer, the footer's length and the magic
_BLOCK = "<qi4xq"  # of a footer: offset, length of the metadata, length of the body
_RECORD_BATCH, _DICTIONARY = 3, 2  # types of messages
_DICTIONARIES, _BATCHES = 2, 3  # fields of a footer
_VERSION, _TYPE, _HEADER, _BODY = range(4)  # fields of a message


class _Table:
    """A flatbuffer table: field ``i`` lies where its vtable says."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.vtable = at - self._int("<i", at)
        self.fields = (self._int("<H", self.vtable) - 4) // 2

    def _int(self, form: str, at: int) -> int:
        if at < 0:
            raise ValueError("an offset before the message")
        return int(struct.unpack_from(form, self.data, at)[0])

    def _field(self, i: int) -> int:
        offset = self._int("<H", self.vtable + 4 + 2 * i) if i < self.fields else 0
        return self.at + offset if offset else 0

    def number(self, i: int, form: str) -> int:
        at = self._field(i)
        return self._int(form, at) if at else 0

    def table(self, i: int) -> _Table | None:
        at = self._field(i)
        return _Table(self.data, at + self._int("<I", at)) if at else None

    def structs(self, i: int, form: str) -> list[tuple[int, ...]]:
        """A vector of structs."""
        at = self._field(i)
        if not at:
            return []
        at += self._int("<I", at)
        count, size = self._int("<I", at), struct.calcsize(form)
        if count > len(self.data) // size:
            raise ValueError("a vector longer than the message")
        return [struct.unpack_from(form, self.data, at + 4 + size * k) for k in range(count)]


def check_batches(path: Path, as_file: bool, ratio: int, small: int) -> bool:
    """Raise if lengths or sizes claimed by the batches cannot be honest.

    Parameters
    ----------
    as_file : bool
        Whether it is an IPC file; else a stream.
    ratio : int
        Unpacked bytes per byte of the file that are believed.
    small : int
        Unpacked bytes that are always believed.

    Returns
    -------
    bool
        Whether the mark of the end is there; a file without it raises.

    Raises
    ------
    DolphinError, ValueError, struct.error
        The latter two on a damaged message.
    """
    size = path.stat().st_size
    limit = max(ratio * size, small)
    unpacked = 0
    with path.open("rb") as stream:
        for message, body in _file_messages(stream, size) if as_file else _stream_messages(stream, size):
            root = _Table(message, struct.unpack_from("<I", message)[0])
            batch = root.table(_HEADER)
            kind = root.number(_TYPE, "<B")
            if batch is not None and kind == _DICTIONARY:
                batch = batch.table(1)
            if batch is None or kind not in (_RECORD_BATCH, _DICTIONARY):
                continue
            rows = batch.number(0, "<q")
            nodes = [length for length, _ in batch.structs(1, "<qq")]
            if rows < 0 or rows > limit or any(not 0 <= n <= limit for n in nodes):
                raise DolphinError(
                    f"claims {max([rows, *nodes])} rows in {size} bytes", where=str(path), mend="do not trust it"
                )
            for offset, length in batch.structs(2, "<qq"):
                unpacked += _claimed(stream, body, offset, length, compressed=batch.table(3) is not None)
            if unpacked > limit:
                raise DolphinError(f"would unpack to {unpacked} bytes", where=str(path), mend="do not trust it")
        stream.seek(-min(8, size), 2)
        return as_file or stream.read() == _END


def _file_messages(stream: IO[bytes], size: int) -> Iterator[tuple[bytes, int]]:
    """Metadata of each message that a file's footer points at, and where its body begins."""
    stream.seek(-min(_TAIL.size, size), 2)
    length, magic = _TAIL.unpack(stream.read(_TAIL.size))
    if magic != _MAGIC:
        raise ValueError("the end is missing")
    if not 0 < length <= min(MAX_METADATA, size - _TAIL.size):
        raise ValueError(f"a footer of {length} bytes")
    stream.seek(-_TAIL.size - length, 2)
    data = stream.read(length)
    footer = _Table(data, struct.unpack_from("<I", data)[0])
    for offset, metadata, body in footer.structs(_DICTIONARIES, _BLOCK) + footer.structs(_BATCHES, _BLOCK):
        if offset < 0 or not 8 < metadata <= MAX_METADATA or not 0 <= body <= size - offset - metadata:
            raise ValueError("a batch is cut off")
        stream.seek(offset)
        message = stream.read(metadata)
        yield message[8 if message.startswith(_MARK) else 4 :], offset + metadata


def _stream_messages(stream: IO[bytes], size: int) -> Iterator[tuple[bytes, int]]:
    """Metadata of each message of a stream, and where its body begins."""
    while (head := stream.read(8)) not in (b"", _END):
        if head[:4] != _MARK:
            raise ValueError("no message where one should begin")
        length = struct.unpack("<i", head[4:])[0]
        if not 0 < length <= MAX_METADATA:
            raise ValueError(f"a message of {length} bytes")
        message = stream.read(length)
        if len(message) < length:
            raise ValueError("a message is cut off")
        body = stream.tell()
        length = _Table(message, struct.unpack_from("<I", message)[0]).number(_BODY, "<q")
        if not 0 <= length <= size - body:
            raise ValueError("a batch is cut off")
        yield message, body
        stream.seek(body + length)


def _claimed(stream: IO[bytes], body: int, offset: int, length: int, *, compressed: bool) -> int:
    """Bytes that a buffer takes once decoded."""
    if offset < 0 or length < 0:
        raise ValueError("a buffer of negative size")
    if not compressed or length < 8:
        return length
    stream.seek(body + offset)
    claim = int(struct.unpack("<q", stream.read(8))[0])
    if claim < -1:
        raise ValueError("a buffer of negative size")
    return length - 8 if claim == -1 else claim
