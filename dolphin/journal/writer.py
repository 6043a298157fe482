"""A journal as it is written: records as they come, on disk with every bar."""

from __future__ import annotations

import base64
import fcntl
import io
import json
import os
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.core.records import NONE, Market, Records, State, Words
from dolphin.core.snapshot import to_arrays
from dolphin.errors import BadInput, Busy, DolphinError
from dolphin.files import canonical_json, mode_in
from dolphin.journal.schema import (
    ORDER_VALUES,
    RISK_VALUES,
    Shape,
    Template,
    check_of,
    first_check,
    has_text,
    room_for,
    template,
)

#: Bars between two records of the whole state, from which a reader can go on without the bars before.
STATE_BARS = 1024

END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


class Policy:
    """When what was written is made durable: ``order`` (before each order), ``bar``, ``seconds:N`` or ``never``."""

    def __init__(self, text: str) -> None:
        kind, _, number = text.partition(":")
        self.seconds = 0.0
        try:
            if kind == "seconds":
                self.seconds = float(number)
            if kind not in ("order", "bar", "seconds", "never") or (kind == "seconds") != (self.seconds > 0.0):
                raise ValueError
        except ValueError:
            raise BadInput(f"no such fsync policy '{text}'", mend="one of order, bar, seconds:N, never") from None
        self.kind = kind
        self._last = time.monotonic()

    def due(self, order: bool, bar: bool) -> bool:
        """Whether to sync now, before an order is sent or after a bar was closed."""
        if self.kind == "seconds" and bar and time.monotonic() - self._last >= self.seconds:
            self._last = time.monotonic()
            return True
        return (self.kind == "order" and order) or (self.kind == "bar" and bar)


#: The numbers that every record has, side by side in its message: seq, bar, ts, local, digest.
_FIRST = struct.Struct("<QqqqQ")
_ORDER = struct.Struct(f"<{len(ORDER_VALUES)}d")
_FLOATS = [struct.Struct(f"<{count}d") for count in range(1 + len(RISK_VALUES))]


class _Frame:
    """One message that is filled in and sent again and again; ``lists`` are views of its lists."""

    def __init__(self, of: Template) -> None:
        self.record = of.empty()
        self.bytes = memoryview(self.record.view(np.uint8).reshape(-1))
        self.body = self.bytes[of.body : -8]
        fields: Any = of.dtype.fields
        self.at = {name: int(fields[name][1]) for name in of.dtype.names or ()}
        self.lists = {name: self.record[name][0] for name in of.dtype.names or () if fields[name][0].subdtype}
        self.check = self.record["check"]

    def floats(self, name: str, *values: float) -> None:
        """Fill in a short list of numbers."""
        _FLOATS[len(values)].pack_into(self.bytes, self.at[name], *values)

    def text(self, data: bytes, capacity: int) -> None:
        """Fill in a text, and what is left of the text before."""
        at = self.at["text"]
        self.bytes[at : at + capacity] = data.ljust(capacity, b"\0")
        self.bytes[at - 4 : at] = len(data).to_bytes(4, "little")


class JournalWriter:
    """Appends records to one file; :meth:`flush` hands them to the system, :meth:`sync` to the disk.

    Parameters
    ----------
    path : Path
        A new file, or with ``resume`` one to go on with.
    shape : Shape
    header : mapping
        What the session is (:func:`dolphin.journal.header.header_of`); plain JSON types.
    policy : str
        See :class:`Policy`.
    clock : callable, optional
        Nanoseconds of this machine, for latencies; without it none are kept, and equal sessions leave equal bytes.

    Raises
    ------
    DolphinError
        If the file exists or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        shape: Shape,
        header: Mapping[str, Any],
        *,
        policy: str = "order",
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._open(path, shape, policy, clock, os.O_CREAT | os.O_EXCL)
        self._check = first_check(shape.head)
        self._pending.append(shape.head)
        self.text("header", canonical_json(dict(header)).decode())
        self.flush()

    def _open(self, path: Path, shape: Shape, policy: str, clock: Callable[[], int] | None, flags: int) -> None:
        self.path, self.shape = Path(path), shape
        self.policy, self.clock = Policy(policy), clock
        try:
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | flags, mode_in(self.path.parent))
        except FileExistsError:
            raise DolphinError("there is a journal already", where=str(path), mend="name a new file") from None
        except OSError as error:
            raise DolphinError(f"cannot write: {error.strerror}", where=str(path)) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise Busy("another process writes this journal", where=str(path)) from None
        self._pending: list[bytes] = []
        self._frames: dict[tuple[str, int], _Frame] = {}
        self._check, self._seq, self._bars_since_state = 0, 0, 0
        self._scanned = 0
        self._sent: dict[int, int] = {}
        self.closed = False

    @classmethod
    def resume(
        cls, path: Path, shape: Shape, *, length: int, seq: int, check: int, policy: str = "order",
        clock: Callable[[], int] | None = None,
    ) -> JournalWriter:  # fmt: skip
        """Go on after the first ``length`` bytes, which hold ``seq`` records of which the last has this check."""
        self = cls.__new__(cls)
        self._open(path, shape, policy, clock, 0)
        os.ftruncate(self._file, length)
        self._seq, self._check = seq, check
        return self

    # What a session says ------------------------------------------------------------------------------------------

    def inputs(self, kind: str, market: Market, bar: int) -> None:
        """Row ``bar`` of the market: all that a decision reads of it."""
        frame = self._frame(kind)
        local = self._begin(frame, bar, int(market.ts[bar]))
        if kind == "row":
            self._scanned = local
        self._inputs(frame, market, bar)
        self._send(frame)

    def whole_bar(self, market: Market, bar: int, account: Any, digest: int, stages: Words) -> None:
        """A bar's inputs and outcome as one record."""
        frame = self._frame("bar")
        self._begin(frame, bar, int(market.ts[bar]), digest)
        self._inputs(frame, market, bar)
        self._outcome(frame, account, stages)
        self._send(frame)

    def decision(self, bar: int, ts: int, account: Any, digest: int, stages: Words) -> None:
        """A bar's outcome, its inputs being there already."""
        frame = self._frame("decision")
        self._begin(frame, bar, ts, digest)
        self._outcome(frame, account, stages)
        self._send(frame)

    def scanned(self) -> None:
        """A row came: latencies of its orders count from here."""
        if self.clock is not None:
            self._scanned = self.clock()

    def order(
        self,
        kind: str,
        bar: int,
        ts: int,
        order: Any,
        slot: int,
        *,
        bank: int = 0,
        phase: int = 1,
        status: int = 0,
        commission: float = 0.0,
        text: str = "",
    ) -> None:
        """An intent, an event of an order or a working order; ``order`` is a record of ORDER."""
        data = text.encode()
        capacity = room_for(len(data)) if has_text(kind) else 0
        frame = self._frame(kind, capacity)
        local = self._begin(frame, bar, ts)
        to_order = to_fill = np.nan
        if self.clock is not None:
            if kind == "intent":
                to_order, self._sent[slot] = float(local - self._scanned), local
            elif kind == "event" and slot in self._sent:
                to_fill = float(local - self._sent[slot])
        _ORDER.pack_into(
            frame.bytes, frame.at["order"], *order.item(), slot, bank, phase, status, commission, to_order, to_fill
        )
        if capacity:
            frame.text(data, capacity)
        self._send(frame)

    def text(self, kind: str, text: str, bar: int = -1, ts: int = 0, digest: int = 0) -> None:
        """A record that is a text: header, state, risk, operator, gap, end."""
        data = text.encode()
        capacity = room_for(len(data))
        frame = self._frame(kind, capacity)
        self._begin(frame, bar, ts, digest)
        frame.text(data, capacity)
        self._send(frame)

    def state(self, state: State, bar: int, ts: int) -> None:
        """The whole state after a bar."""
        self.text("state", pack_state(state), bar, ts, int(state.account["digest"][0]))

    def bar_done(self, state: State, bar: int, ts: int) -> None:
        """After a closing record: the state at times, everything written, durable if the policy says so."""
        self._bars_since_state += 1
        if self._bars_since_state >= STATE_BARS:
            self.state(state, bar, ts)
            self._bars_since_state = 0
        self.flush(bar=True)

    def raw(self, messages: memoryview, count: int, check: int) -> None:
        """``count`` records that were made elsewhere, checks included; the last check is ``check``."""
        self._pending.append(bytes(messages))
        self._seq, self._check = self._seq + count, check

    @property
    def position(self) -> tuple[int, int]:
        """Number of the next record, and the check of the last."""
        return self._seq, self._check

    # To the file --------------------------------------------------------------------------------------------------

    def flush(self, *, order: bool = False, bar: bool = False) -> None:
        """Hand what was written to the system; a killed process loses nothing of it."""
        if self._pending:
            data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
            self._pending.clear()
            try:
                while data:
                    data = data[os.write(self._file, data) :]
            except OSError as error:
                raise DolphinError(f"the journal cannot be written: {error.strerror}", where=str(self.path)) from None
        if self.policy.due(order, bar):
            self.sync()

    def sync(self) -> None:
        """Make what was flushed durable."""
        os.fsync(self._file)

    def close(self, text: str = "") -> None:
        """End the journal: what follows is another session's file."""
        if self.closed:
            return
        self.text("end", text)
        self._pending.append(END_OF_STREAM)
        self.flush()
        if self.policy.kind != "never":
            self.sync()
        self.abandon()

    def abandon(self) -> None:
        """Let go of the file as it is."""
        if not self.closed:
            os.close(self._file)
            self.closed = True

    # Filling in ---------------------------------------------------------------------------------------------------

    def _frame(self, kind: str, capacity: int = 0) -> _Frame:
        frame = self._frames.get((kind, capacity))
        if frame is None:
            frame = self._frames[kind, capacity] = _Frame(template(self.shape, kind, capacity))
        return frame

    def _begin(self, frame: _Frame, bar: int, ts: int, digest: int = 0) -> int:
        local = self.clock() if self.clock is not None else 0
        _FIRST.pack_into(frame.bytes, frame.at["seq"], self._seq, bar, ts, local, digest)
        return local

    def _send(self, frame: _Frame) -> None:
        self._check = check_of(frame.body, self._check)
        frame.check[0] = self._check
        self._pending.append(bytes(frame.bytes))
        self._seq += 1

    def _inputs(self, frame: _Frame, market: Market, bar: int) -> None:
        lists = frame.lists
        lists["price"][:] = market.price[bar]
        lists["age"][:] = market.age[bar]
        lists["features"][:] = market.features[bar]
        frame.floats("risk", *market.risk[bar].item()[: self.shape.risk])
        if self.shape.columns:
            columns = lists["columns"].reshape(len(self.shape.columns), -1)
            for k, name in enumerate(self.shape.columns):
                columns[k] = getattr(market, name)[bar]

    @staticmethod
    def _outcome(frame: _Frame, account: Any, stages: Words) -> None:
        frame.lists["stages"][:] = stages
        frame.floats("account", account["capital"], account["equity"], account["open_positions"], account["bars"])


def pack_state(state: State) -> str:
    """A state as text (:func:`dolphin.core.snapshot.to_arrays`, as one file of numpy arrays)."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = to_arrays(state)
    np.savez(buffer, **arrays)
    return base64.b64encode(buffer.getvalue()).decode()


def unpack_state(text: str) -> dict[str, Any]:
    """The arrays of :func:`pack_state`."""
    with np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False) as held:
        return dict(held)


def write_working(writer: JournalWriter, state: State, bar: int, ts: int) -> None:
    """A record per order that works on after a bar."""
    for slot in wanted(state.working):
        writer.order("working", bar, ts, state.working[slot], slot)


def wanted(orders: Records) -> list[int]:
    """The slots whose order is one."""
    actions = orders["action"].tolist()
    return [slot for slot, action in enumerate(actions) if action != NONE] if any(actions) else []


def json_text(document: Mapping[str, Any]) -> str:
    """A mapping as the text of a record."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
