"""The public surface, and which room may import which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import dolphin
from dolphin.errors import DolphinError

PACKAGE = Path(dolphin.__file__).parent
#: One module each, for every room.
ROOT = {"errors", "files", "freshness", "workspace", "times", "locks", "ledger", "progress", "manifests", "extras"}

#: ARCHITECTURE, "Rooms inside dolphin/": rooms and sub-rooms from the ground up. Each may import what stands
#: above it in this list, unless ``ONLY`` says less; nothing imports downwards, so there is no circle.
LEVELS = (
    "stores",
    "exchange",
    "core",
    "features",
    "risk",
    "indicators",
    "strategies",
    "config",
    "catalog.store",
    "catalog.quality",
    "catalog.derived",
    "catalog.readers",
    "catalog.ingest",
    "catalog.query",
    "catalog.pull",
    "catalog",
    "feeds",
    "market",
    "journal",
    "study.space",
    "study.samplers",
    "study.measure",
    "study.definition",
    "study.trials",
    "study.forewarn",
    "study.search",
    "study.validation",
    "study.backtest",
    "study.stress",
    "study.findings",
    "study.sweep",
    "study",
    "live",
    "service",
    "parity",
    "selftest",
    "starters",
    "report",
    "gate",
    "trade",
    "ui",
    "api",
    "cli",
)

#: Rooms that know less than all below them.
CATALOG = {level for level in LEVELS if level.startswith("catalog")}
ONLY: dict[str, set[str]] = {
    "stores": set(),
    "exchange": set(),
    "core": set(),
    "features": {"core"},
    "risk": {"core"},
    "indicators": {"core", "features"},
    "strategies": {"core", "features", "indicators"},
    "starters": {"core", "strategies", "config", "catalog"},
    "config": {"core", "strategies"},
    "report": set(),
    "journal": {"core", "strategies", "config"} | CATALOG,
    "feeds": {"core", "risk"} | CATALOG,
    "live": {"stores", "core", "features", "risk", "strategies", "config", "feeds", "market", "journal"} | CATALOG,
    "service": {"stores"},
} | dict.fromkeys(CATALOG, CATALOG)


def test_every_public_name_is_there_and_named_once():
    assert dolphin.__all__ == sorted(dolphin._PUBLIC)
    assert dir(dolphin) == dolphin.__all__
    for name in (*dolphin.__all__, *dolphin._MORE):
        assert getattr(dolphin, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = dolphin.nonsense


def test_rooms_that_are_verbs_can_be_called():
    import dolphin.gate
    import dolphin.parity

    for room in (dolphin.gate, dolphin.parity):
        assert callable(room) and room.__path__
    with pytest.raises(DolphinError, match="no such"):
        dolphin.parity("absent_a", "absent_b")


def room_of(module: str) -> str:
    """The level that a dotted module name (without the package's) belongs to."""
    found = [level for level in LEVELS if module == level or module.startswith(f"{level}.")]
    return max(found, key=len, default=module.split(".")[0])


def imported(path: Path) -> set[str]:
    """The levels and root modules of this package that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dolphin"):
            module = (node.module or "").removeprefix("dolphin").removeprefix(".")
            names = [f"{module}.{alias.name}" if module else alias.name for alias in node.names]
            found |= {room_of(name if is_module(name) else module) for name in names}
        elif isinstance(node, ast.Import):
            found |= {room_of(a.name.removeprefix("dolphin.")) for a in node.names if a.name.startswith("dolphin.")}
    return found


def is_module(name: str) -> bool:
    """Whether a dotted name is a module or package of ours, and not a thing in one."""
    place = PACKAGE.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def files_of(level: str) -> list[Path]:
    """The modules of a level, those of its sub-rooms left out."""
    return [file for file in sorted(PACKAGE.rglob("*.py")) if room_of(module_of(file)) == level]


def module_of(file: Path) -> str:
    """The dotted name of a file, without the package's."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("level", LEVELS)
def test_imports_run_one_way(level):
    below = set(LEVELS[: LEVELS.index(level)])
    allowed = ONLY.get(level, below) & below
    root = set() if level == "core" else ROOT
    for path in files_of(level):
        extra = imported(path) - allowed - {level} - root
        assert not extra, f"{path.relative_to(PACKAGE)} imports {sorted(extra)}"


def test_every_module_is_in_a_room():
    rooms = {room_of(module_of(file)) for file in PACKAGE.rglob("*.py")}
    assert rooms <= set(LEVELS) | ROOT | {"__init__", "__main__"}
