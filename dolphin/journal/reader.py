"""A journal as it is read: mapped, entered anywhere, its torn end left out, its damage named."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dolphin.core.records import Ints, Words
from dolphin.errors import Damaged, DolphinError, NotFound
from dolphin.journal.schema import (
    CLOSINGS,
    CODES,
    KINDS,
    LEAST_TEXT,
    MOST_TEXT,
    VERSION,
    Shape,
    Template,
    check_of,
    first_check,
    has_text,
    room_for,
    shape_of,
    template,
)
from dolphin.journal.walking import gather, walk
from dolphin.journal.writer import END_OF_STREAM

#: Records that one call of the kernel finds at most.
_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Index:
    """Where the records of a file are.

    Attributes
    ----------
    places : int64 [R]
        First word (of eight bytes) of each record.
    kinds : int64 [R]
        Codes of :data:`dolphin.journal.schema.KINDS`.
    which : int64 [R]
        Number of the template.
    templates : tuple of Template
    good : int
        Bytes that hold whole records; what is behind them is no record of ours.
    ended : bool
        Whether the writer closed the file.
    torn : int
        Bytes behind the last whole record that are cut off.
    """

    places: Ints
    kinds: Ints
    which: Ints
    templates: tuple[Template, ...]
    good: int
    ended: bool
    torn: int

    def of(self, *kinds: str) -> Ints:
        """Numbers of the records of these kinds, in order."""
        return np.flatnonzero(np.isin(self.kinds, [CODES[kind] for kind in kinds]))


@dataclass(frozen=True)
class Closing:
    """The record that closes a bar: where it is, and what one number per bar says."""

    offset: int
    size: int
    ordinal: int
    bar: int
    ts: int
    digest: int


class Journal:
    """One file, mapped and read only.

    Attributes
    ----------
    shape : Shape
    header : dict
        What the first record says of the session.

    Raises
    ------
    DolphinError
        If it is missing, no journal, of another version, or damaged at its beginning.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            with self.path.open("rb") as stream:
                self.size = stream.seek(0, 2)
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if self.size else b""
        except FileNotFoundError:
            raise NotFound("no such journal", where=str(path)) from None
        except OSError as error:
            raise DolphinError(f"not readable ({error.strerror})", where=str(path)) from None
        self.words: Words = np.frombuffer(self._map, np.uint64, self.size // 8)
        self.bytes = memoryview(self._map)
        self.shape, self.start = self._shape()
        self.header = self._header()
        self.closing: str = "decision" if self.header.get("write_ahead") else "bar"

    def _shape(self) -> tuple[Shape, int]:
        try:
            length = int.from_bytes(self.bytes[4:8], "little")
            if bytes(self.bytes[:4]) != b"\xff\xff\xff\xff" or not 0 < length < self.size:
                raise ValueError
            found = shape_of(pa.ipc.read_schema(pa.py_buffer(bytes(self.bytes[: 8 + length]))))
        except (ValueError, pa.ArrowException, OSError):
            found = None
        if isinstance(found, Shape) and bytes(self.bytes[: 8 + length]) == found.head:
            return found, len(found.head)
        if isinstance(found, int):
            mend = f"this version of dolphin reads version {VERSION}"
            raise DolphinError(f"is a journal of version {found}", where=str(self.path), mend=mend)
        raise Damaged(
            "is no journal, or its first bytes are damaged", where=str(self.path), mend="name a journal.arrow"
        )

    def _header(self) -> dict[str, Any]:
        of = self.template_at(self.start)
        if of is None or of.kind != "header" or not self.intact(self.start, of):
            raise Damaged("holds no whole header", where=str(self.path), mend="its writer was stopped too early")
        found: dict[str, Any] = json.loads(self.text_at(self.start, of))
        return found

    # One record ---------------------------------------------------------------------------------------------------

    def template_at(self, offset: int) -> Template | None:
        """What the whole record that begins at this byte is; None if none does."""
        if offset % 8 or self.size - offset < 64:
            return None
        length = int.from_bytes(self.bytes[offset + 4 : offset + 8], "little")
        at = offset + 8 + length  # the body
        if bytes(self.bytes[offset : offset + 4]) != b"\xff\xff\xff\xff" or not 0 < length < 1 << 16:
            return None
        name = bytes(self.bytes[at + 8 : at + 16]).rstrip(b"\0").decode("ascii", "replace")
        if name not in CODES:
            return None
        capacity = 0
        if has_text(name):
            known = template(self.shape, name, LEAST_TEXT)
            place = at + known.dtype.fields["text_end"][1] - known.body  # type: ignore[index]
            capacity = room_for(int.from_bytes(self.bytes[place : place + 4], "little"))
        if capacity > MOST_TEXT:
            return None
        of = template(self.shape, name, capacity)
        whole = offset + of.size <= self.size and self.bytes[offset : offset + len(of.front)] == of.front
        return of if whole else None

    def intact(self, offset: int, of: Template) -> bool:
        """Whether a record's check is that of its bytes and of the record before."""
        before = self._check_before(offset)
        found = check_of(self.bytes[offset + of.body : offset + of.size - 8], before)
        return found == int.from_bytes(self.bytes[offset + of.size - 8 : offset + of.size], "little")

    def _check_before(self, offset: int) -> int:
        if offset == self.start:
            return first_check(self.shape.head)
        return int.from_bytes(self.bytes[offset - 8 : offset], "little") & 0xFFFFFFFF

    def record_at(self, offset: int, of: Template) -> Any:
        """The values of a record by name (:class:`~dolphin.journal.schema.Template`)."""
        return np.frombuffer(self._map, of.dtype, 1, offset)[0]

    def text_at(self, offset: int, of: Template) -> str:
        """The text of a record."""
        place = offset + of.dtype.fields["text"][1]  # type: ignore[index]
        length = int.from_bytes(self.bytes[place - 4 : place], "little")
        return bytes(self.bytes[place : place + length]).decode()

    def records(self, offset: int | None = None) -> Iterator[tuple[int, Template]]:
        """Whole records one after the other from this one on, unchecked."""
        at = self.start if offset is None else offset
        while (of := self.template_at(at)) is not None:
            yield at, of
            at += of.size

    # Bars without the bars before ---------------------------------------------------------------------------------

    @cached_property
    def _front(self) -> Template:
        return template(self.shape, self.closing)

    def closing_from(self, offset: int) -> Closing | None:
        """The first bar whose closing record begins at or after this byte."""
        of = self._front
        at = self._map.find(of.front, max(offset, self.start))
        while at >= 0:
            if at % 8 == 0 and at + of.size <= self.size:
                return self._closing(at)
            at = self._map.find(of.front, at + 1)
        return None

    def find_before(self, sign: bytes, offset: int) -> int:
        """Where these bytes last begin before ``offset``; -1 if nowhere."""
        return self._map.rfind(sign, self.start, offset)

    def _closing(self, at: int) -> Closing:
        of = self._front
        if not self.intact(at, of):
            raise self.damage(at)
        values = self.record_at(at, of)
        return Closing(
            at, of.size, int(values["account"][3]), int(values["bar"]), int(values["ts"]), int(values["digest"])
        )

    @cached_property
    def first(self) -> Closing | None:
        """The first bar."""
        return self.closing_from(self.start)

    @cached_property
    def last(self) -> Closing | None:
        """The last bar that is whole."""
        of, at = self._front, self.size
        while (at := self._map.rfind(of.front, self.start, at + len(of.front) - 1)) >= 0:
            if at % 8 == 0 and at + of.size <= self.size and self.intact(at, of):
                return self._closing(at)
        return None

    @property
    def bars(self) -> int:
        """How many bars were closed."""
        if self.first is None or self.last is None:
            return 0
        return self.last.ordinal - self.first.ordinal + 1

    def bar_at(self, k: int) -> Closing:
        """Bar number ``k`` of those in the file; reads few records (interpolation on the file's bytes)."""
        assert self.first is not None and self.last is not None
        low, high, wanted = self.first, self.last, self.first.ordinal + k
        if wanted == high.ordinal:
            return high
        slope = (high.offset - low.offset) / max(high.ordinal - low.ordinal, 1)
        top, turn = high.offset, 0
        while low.ordinal < wanted:
            after = low.offset + low.size
            guess = low.offset + int((wanted - low.ordinal) * slope) - low.size // 2
            guess = min(max(guess if turn % 2 == 0 else (after + top) // 2, after), max(top, after))
            found = self.closing_from(guess)
            if found is not None and found.ordinal <= wanted:
                low = found
            elif guess == after:
                raise self.damage(after)  # a bar is missing there
            else:
                top = guess
            turn += 1
        return low

    # All records --------------------------------------------------------------------------------------------------

    def index(self, *, check: bool = True, low: int | None = None, high: int | None = None) -> Index:
        """Find all records, and with ``check`` hold each against its bytes.

        With ``low`` and ``high`` those between these bytes, at which records begin.

        Raises
        ------
        Damaged
            If a record that others follow is not as it was written. Only the end may be torn: that is cut.
        """
        places, which, templates, good = self._found(low, high)
        ended = bytes(self.bytes[good : good + 8]) == END_OF_STREAM
        size = self.size if high is None else high
        if not ended and good < size and self._record_after(good):
            raise self.damage(good)
        if check:
            wrong = self._first_wrong(places, which, templates)
            if wrong is not None:
                if wrong < len(places) - 1:
                    raise self.damage(int(places[wrong]) * 8)
                good, ended = int(places[wrong]) * 8, False
                places, which = places[:wrong], which[:wrong]
        codes = np.array([CODES[of.kind] for of in templates])
        return Index(places, codes[which], which, templates, good, ended, 0 if ended else size - good)

    def _record_after(self, offset: int) -> bool:
        """Whether a whole record begins anywhere behind this byte."""
        fronts = [template(self.shape, kind, LEAST_TEXT if has_text(kind) else 0).front for kind in KINDS]
        shared = next(k for k, several in enumerate(zip(*fronts, strict=False)) if len(set(several)) > 1)
        sign, at = fronts[0][:shared], offset
        while (at := self._map.find(sign, at + 1)) >= 0:
            if self.template_at(at) is not None:
                return True
        return False

    def _found(self, low: int | None, high: int | None) -> tuple[Ints, Ints, tuple[Template, ...], int]:
        known = [template(self.shape, kind, LEAST_TEXT if has_text(kind) else 0) for kind in KINDS]
        places, which = [], []
        at = (self.start if low is None else low) // 8
        words = self.words if high is None else self.words[: high // 8]
        while True:
            fronts, lengths, sizes = _tables(known)
            some, kinds = np.empty(_AT_ONCE, np.int64), np.empty(_AT_ONCE, np.int64)
            found, at = walk(words, at, fronts, lengths, sizes, some, kinds)
            places.append(some[:found])
            which.append(kinds[:found])
            if found < _AT_ONCE:
                more = self.template_at(at * 8) if at < len(words) else None
                if more is None or more in known:
                    break
                known.append(more)
        return np.concatenate(places), np.concatenate(which), tuple(known), at * 8

    def _first_wrong(self, places: Ints, which: Ints, templates: tuple[Template, ...]) -> int | None:
        """The first record whose check or number is not right."""
        bytes_ = self.bytes
        before = self._check_before(int(places[0]) * 8) if len(places) else 0
        bodies = [of.body for of in templates]
        ends = [of.size - 8 for of in templates]
        checks = self.words[places + np.array([of.size // 8 - 1 for of in templates])[which]].tolist()
        for k, (place, kind) in enumerate(zip((places * 8).tolist(), which.tolist(), strict=True)):
            before = check_of(bytes_[place + bodies[kind] : place + ends[kind]], before)
            if before != checks[k]:
                return k
        return None

    def damage(self, offset: int) -> Damaged:
        """What to say of a record that is not as it was written."""
        mend = "copy it again from where it was written; what stands before is whole"
        return Damaged(
            f"damaged at byte {offset}: the record there is not as it was written", where=str(self.path), mend=mend
        )

    def field(self, index: Index, records: Ints, name: str) -> NDArray[Any]:
        """The values (R, ...) of one field of these records, which are all of one kind."""
        if not len(records):
            of = template(self.shape, KINDS[0], LEAST_TEXT)
        else:
            of = index.templates[int(index.which[records[0]])]
        kind, offset = of.dtype.fields[name][:2]  # type: ignore[index]
        words = -(-kind.itemsize // 8)
        out = np.empty((len(records), words), np.uint64)
        gather(self.words, index.places[records], offset // 8, out)
        base, shape = kind.subdtype or (kind, ())
        return out.view(base)[:, : kind.itemsize // base.itemsize].reshape(len(records), *shape)


def _tables(templates: list[Template]) -> tuple[Words, Ints, Ints]:
    """Fronts, their lengths and the sizes of templates, in words, for :func:`dolphin.journal.walking.walk`."""
    lengths = np.array([len(of.front) // 8 for of in templates])
    fronts = np.zeros((len(templates), int(lengths.max())), np.uint64)
    for k, of in enumerate(templates):
        fronts[k, : lengths[k]] = np.frombuffer(of.front, np.uint64)
    return fronts, lengths, np.array([of.size // 8 for of in templates])


def is_journal(path: Path) -> bool:
    """Whether a file looks like one, by its first bytes."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(4) == b"\xff\xff\xff\xff"
    except OSError:
        return False


assert set(CLOSINGS) == {"bar", "decision"}
