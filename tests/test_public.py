"""The public surface, and which room may import which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import dolphin

PACKAGE = Path(dolphin.__file__).parent
ROOMS = (
    "core",
    "features",
    "risk",
    "strategies",
    "catalog",
    "study",
    "live",
    "parity",
    "gate",
    "report",
    "cli",
)
ROOT = {"errors", "files", "workspace"}

#: ARCHITECTURE, "Rooms inside dolphin/": what each may import besides itself.
MAY_IMPORT = {
    "core": set(),
    "features": {"core"},
    "risk": {"core"},
    "strategies": {"core", "features"},
    "catalog": set(),
    "study": {"core", "features", "risk", "strategies", "catalog"},
    "live": {"core", "features", "risk", "strategies", "catalog"},
    "parity": {"core", "features", "risk", "strategies", "catalog", "study", "live"},
    "gate": {"core", "features", "risk", "strategies", "catalog", "study", "live", "parity", "report"},
    "report": set(),
    "cli": set(ROOMS),
}


def test_every_public_name_is_there_and_named_once():
    assert dolphin.__all__ == sorted(dolphin._PUBLIC)
    for name in dolphin.__all__:
        assert getattr(dolphin, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = dolphin.nonsense


def imported(path: Path) -> set[str]:
    """The rooms and root modules of this package that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dolphin"):
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("dolphin.")}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room):
    for path in sorted((PACKAGE / room).rglob("*.py")):
        root = set() if room == "core" else ROOT
        extra = imported(path) - MAY_IMPORT[room] - {room} - root
        assert not extra, f"{path.relative_to(PACKAGE)} imports {sorted(extra)}"
