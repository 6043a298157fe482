"""The journal's schema: Arrow IPC stream, one record batch of one row per record, every kind of one fixed size.

Lists that a kind does not use are empty, texts have room in powers of two. So a kind's message is always the
same but for its values: it is made by pyarrow once, and afterwards only filled in; and a file can be entered
anywhere, because what a record begins with is known.
"""

from __future__ import annotations

import functools
import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dolphin.core.digest import STAGES
from dolphin.core.records import ORDER, RISK

#: Of the records; a reader refuses another.
VERSION = 1

#: What a record can be, by code: the header first; rows before the first bar; a bar as one record, or as its inputs
#: (before the decision) and its outcome; what was wished, what became of it, what works on; the state at times.
KINDS = (
    "header", "history", "bar", "row", "decision", "intent", "event", "working", "state",
    "risk", "operator", "gap", "end",
)  # fmt: skip
CODES = {kind: code for code, kind in enumerate(KINDS)}
#: Records with the inputs of a bar, and those that close one.
INPUTS, CLOSINGS = ("history", "bar", "row"), ("bar", "decision")

#: What can become of an order.
STATUSES = ("SUBMITTED", "ACCEPTED", "REJECTED", "PARTLY_FILLED", "FILLED", "CANCELLED", "EXPIRED")
SUBMITTED, ACCEPTED, REJECTED, PARTLY_FILLED, FILLED, CANCELLED, EXPIRED = range(len(STATUSES))

#: The numbers of ``order``: the engine's record, then where and when it belongs. ``bank`` is the fill's in the state,
#: ``phase`` 0 before the bar's decision and 1 after it; latencies in ns, NaN where no clock ran.
ORDER_VALUES = (
    *(ORDER.names or ()), "slot", "bank", "phase", "status", "commission", "scan_to_order", "order_to_fill",
)  # fmt: skip
#: The numbers of ``risk``: the step's record. Journals from before Rm5 was the step's have the first five.
RISK_VALUES = RISK.names or ()
ACCOUNT_VALUES = ("capital", "equity", "open_positions", "bars")

_LIST, _INTS = pa.list_(pa.float64()), pa.list_(pa.int32())

COLUMNS: tuple[tuple[str, Any], ...] = (
    ("kind", pa.string()), ("seq", pa.uint64()), ("bar", pa.int64()), ("ts", pa.int64()), ("local", pa.int64()),
    ("digest", pa.uint64()), ("stages", pa.list_(pa.uint64())), ("price", _LIST), ("age", _INTS), ("features", _LIST),
    ("risk", _LIST), ("columns", _LIST), ("account", _LIST), ("order", _LIST), ("text", pa.string()),
    ("check", pa.uint64()),
)  # fmt: skip

#: Room for a text: the least, and the most.
LEAST_TEXT, MOST_TEXT = 64, 1 << 26

_META = b"dolphin.journal"


@dataclass(frozen=True)
class Shape:
    """What sizes depend on: columns of assets, of features, market columns beside closes by name, numbers of risk."""

    assets: int
    features: int
    columns: tuple[str, ...] = ()
    risk: int = len(RISK_VALUES)

    def counts(self, kind: str) -> dict[str, int]:
        """Elements of the lists of a kind of record."""
        found: dict[str, int] = {}
        if kind in INPUTS:
            found |= {"price": self.assets, "age": self.assets, "features": self.features, "risk": self.risk}
            found["columns"] = len(self.columns) * self.assets
        if kind in CLOSINGS:
            found |= {"stages": len(STAGES), "account": len(ACCOUNT_VALUES)}
        if kind in ("intent", "event", "working"):
            found["order"] = len(ORDER_VALUES)
        return found

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema; its metadata says how to read what the lists hold."""
        about = {
            "version": VERSION,
            "assets": self.assets,
            "features": self.features,
            "columns": list(self.columns),
            "stages": list(STAGES),
            "order": list(ORDER_VALUES),
            "risk": list(RISK_VALUES[: self.risk]),
            "account": list(ACCOUNT_VALUES),
            "statuses": list(STATUSES),
        }
        return pa.schema(COLUMNS, metadata={_META: json.dumps(about).encode()})

    @functools.cached_property
    def head(self) -> bytes:
        """What a file begins with: the schema message."""
        return bytes(self.schema.serialize().to_pybytes())


def shape_of(schema: pa.Schema) -> Shape | int | None:
    """The shape that a file's schema names; the version if it is another, None if it is no journal's."""
    try:
        about = json.loads((schema.metadata or {})[_META])
        if about["version"] != VERSION:
            return int(about["version"])
        return Shape(int(about["assets"]), int(about["features"]), tuple(about["columns"]), len(about["risk"]))
    except (KeyError, ValueError, TypeError):
        return None


class Template:
    """The message of one kind of record with room for ``capacity`` bytes of text.

    Attributes
    ----------
    dtype : numpy.dtype
        One message: ``meta`` (the constant front), the values by name, ``check`` at its end. ``kind`` is the
        text as eight bytes, ``text_end`` the length of the text.
    front : bytes
        What every such message begins with, the kind included.
    """

    def __init__(self, shape: Shape, kind: str, capacity: int = 0) -> None:
        self.kind, self.capacity = kind, capacity
        counts = shape.counts(kind)
        message = _batch(shape, kind, counts, capacity).serialize().to_pybytes()
        body = len(message) - _body_size(counts, capacity)
        names, formats, offsets = ["meta"], [f"V{body}"], [0]
        at = body
        for name, of in COLUMNS:
            fields, size = _fields(name, of, counts.get(name, 0), capacity)
            for field, form, offset in fields:
                names.append(field)
                formats.append(form)
                offsets.append(at + offset)
            at += size
        assert at == len(message)
        self.dtype = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": at})
        self.size, self.body = at, body
        self.message = bytes(message)
        self.front = self.message[: body + 16]
        self.kind_word = int.from_bytes(self.message[body + 8 : body + 16], "little")

    def empty(self, count: int = 1) -> np.ndarray:
        """``count`` messages without values."""
        # No copy as records: that would leave out what lies between the fields.
        return np.frombuffer(bytearray(self.message * count), self.dtype)


@functools.lru_cache(maxsize=512)
def template(shape: Shape, kind: str, capacity: int = 0) -> Template:
    """The template of this kind for this shape, made once."""
    return Template(shape, kind, capacity)


def has_text(kind: str) -> bool:
    """Whether records of this kind carry a text."""
    return kind not in ("history", "bar", "row", "decision", "intent", "working")


def room_for(length: int) -> int:
    """The room that a text of so many bytes gets."""
    return max(LEAST_TEXT, 1 << max(length - 1, 0).bit_length())


def check_of(body: Any, before: int) -> int:
    """The check of a record: its body without the check itself, on top of the record before."""
    return zlib.crc32(body, before)


def first_check(head: bytes) -> int:
    """What the first record's check is built on."""
    return zlib.crc32(head)


def _padded(size: int) -> int:
    return -(-size // 8) * 8


def _fields(name: str, of: Any, count: int, capacity: int) -> tuple[list[tuple[str, str, int]], int]:
    """Fields of one column in a message's body (name, format, offset), and its size there."""
    if name == "kind":
        return [("kind_end", "<i4", 4), (name, "<u8", 8)], 16
    if pa.types.is_string(of):
        return [("text_end", "<i4", 4), (name, f"V{capacity}", 8)], 8 + _padded(capacity)
    if pa.types.is_list(of):
        form = np.dtype(of.value_type.to_pandas_dtype()).newbyteorder("<").str
        width = of.value_type.bit_width // 8
        return [(name, f"({count},){form}", 8)], 8 + _padded(count * width)
    return [(name, np.dtype(of.to_pandas_dtype()).newbyteorder("<").str, 0)], 8


def _body_size(counts: dict[str, int], capacity: int) -> int:
    return sum(_fields(name, of, counts.get(name, 0), capacity)[1] for name, of in COLUMNS)


def _batch(shape: Shape, kind: str, counts: dict[str, int], capacity: int) -> pa.RecordBatch:
    """One row of this kind with zeros for values, and text as long as there is room."""
    arrays = []
    for name, of in COLUMNS:
        if pa.types.is_string(of):
            length, data = (len(kind), kind.encode().ljust(8, b"\0")) if name == "kind" else (capacity, bytes(capacity))
            arrays.append(pa.Array.from_buffers(of, 1, [None, _ends(length), pa.py_buffer(data)]))
        elif pa.types.is_list(of):
            count = counts.get(name, 0)
            child = pa.array(np.zeros(count, of.value_type.to_pandas_dtype()), of.value_type)
            arrays.append(pa.Array.from_buffers(of, 1, [None, _ends(count)], children=[child]))
        else:
            arrays.append(pa.array([0], of))
    return pa.RecordBatch.from_arrays(arrays, schema=shape.schema)


def _ends(count: int) -> pa.Buffer:
    return pa.py_buffer(np.array([0, count], np.int32).tobytes())
