"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Compiling counts as slowness, and a verdict on a change must not depend on the draw.
settings.register_profile("dolphin", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("dolphin")

# How long a command takes on a busy machine must not change what it says.
os.environ["DOLPHIN_PROGRESS"] = "0"

pytest_plugins = ["cpu", "small_market"]

REPOSITORY = Path(__file__).resolve().parent.parent


def _shared(folder: str) -> Path:
    root = Path(os.environ.get("DOLPHIN_SHARED", REPOSITORY.parent / "shared"))
    path = root / folder
    if not path.is_dir():
        pytest.skip(f"{folder} is not on this machine (set DOLPHIN_SHARED to its parent folder)")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real market data, read only; the test is skipped where it is absent."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_vectors() -> Path:
    """Results of the independent slow implementation."""
    return _shared("vectors")
