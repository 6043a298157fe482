"""Progress: one form of it everywhere, and long work that keeps to it."""

from __future__ import annotations

from pathlib import Path

import pytest

import dolphin
from dolphin.catalog.ingest.generator import generate
from dolphin.catalog.store.checking import check_all
from dolphin.workspace import create


def test_the_form_of_progress_is_written_down_once() -> None:
    package = Path(dolphin.__file__).parent
    rewritten = {"live", "parity"}
    said = [
        path.relative_to(package)
        for path in sorted(package.rglob("*.py"))
        if "Callable[[int, int, str], None]" in path.read_text()
    ]
    assert [path.name for path in said if path.parts[0] not in rewritten] == ["progress.py"]
