"""The tests lie where what they test lies: ``tests/catalog/store`` holds the tests of ``dolphin/catalog/store``."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "dolphin"
#: The independent slow engine and strategies, which the package's are held against, live among the tests.
OWN_ROOMS = {"reference"}
#: What is about the whole package and no module of it.
ABOUT_THE_WHOLE = {
    "test_docs",
    "test_architecture",
    "test_examples",
    "test_house",
    "test_mirror",
    "test_notebooks",
    "test_public",
    "test_snippets",
}


def rooms(root: Path, pattern: str) -> set[str]:
    """The folders below ``root``, itself included as ``.``, with such files."""
    return {str(path.parent.relative_to(root)) for path in root.rglob(pattern)}


def test_every_room_of_the_tests_is_a_room_of_the_package() -> None:
    assert rooms(TESTS, "test_*.py") - OWN_ROOMS <= rooms(PACKAGE, "*.py")


def test_every_room_of_the_package_has_tests() -> None:
    assert rooms(PACKAGE, "[!_]*.py") <= rooms(TESTS, "test_*.py")


def test_what_lies_at_the_top_tests_a_module_at_the_top() -> None:
    here = {path.stem for path in TESTS.glob("test_*.py")} - ABOUT_THE_WHOLE
    assert here <= {f"test_{path.stem}" for path in PACKAGE.glob("*.py")}
