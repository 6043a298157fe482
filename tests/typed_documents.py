"""Whether a JSON document is what its ``TypedDict`` says: every key and type of it, and no key more."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter


def is_typed(document: Any, kind: Any) -> bool:
    """Raises where a key is missing or of another type; False where there is one that ``kind`` does not have."""
    return bool(TypeAdapter(kind).validate_python(document, strict=True) == document)
