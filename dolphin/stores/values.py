"""What lies in a store: JSON text that any client can read, with its schema and UTC time; or bytes."""

from __future__ import annotations

import json
import time
from typing import Any

from dolphin.errors import BadInput, Damaged
from dolphin.times import format_time, parse_time

SCHEMA = 1
#: Bytes of the largest value; a row of 2,000 symbols is a tenth of it.
LARGEST = 8 << 20

Value = dict[str, Any] | bytes
Raw = str | bytes


def encode(value: Value, where: str) -> Raw:
    """A value as it lies in a store; a document without ``schema`` or ``timestamp`` gets them.

    Raises
    ------
    DolphinError
        If it is too large, or no document that JSON can carry (not-a-number is none).
    """
    if isinstance(value, bytes | bytearray | memoryview):
        raw: Raw = bytes(value)
    elif isinstance(value, dict):
        known = {"schema": SCHEMA, "timestamp": format_time(time.time_ns())}
        try:
            raw = json.dumps({**known, **value}, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise BadInput(f"no JSON document ({error})", where=where, mend="text, finite numbers, lists") from None
    else:
        raise BadInput(f"a {type(value).__name__} is no value of a store", where=where, mend="a dict, or bytes")
    if len(raw) > LARGEST:
        raise BadInput(f"a value of {len(raw)} bytes", where=where, mend=f"at most {LARGEST}")
    return raw


def decode(raw: Raw, where: str) -> Value:
    """The value of what lies in a store.

    Raises
    ------
    DolphinError
        If it is no JSON object: another program wrote it.
    """
    if isinstance(raw, bytes):
        return raw
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"no JSON ({error})", where=where, mend="see who else writes there") from None
    if not isinstance(value, dict):
        raise Damaged(f"a JSON {type(value).__name__}, no object", where=where, mend="see who else writes there")
    return value


def written_ns(raw: Raw) -> int | None:
    """When its writer says that it was written (ns UTC); None where it does not."""
    if isinstance(raw, bytes):
        return None
    try:
        return parse_time(str(json.loads(raw)["timestamp"]))
    except Exception:  # whatever another program wrote there
        return None
