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


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_long_work_counts_up_to_its_total_and_not_beyond(tmp_path: Path, names: tuple[str, ...]) -> None:
    home = create(tmp_path / "w")
    heard: list[tuple[int, int, str]] = []

    def listen(done: int, total: int, what: str) -> None:
        heard.append((done, total, what))

    for name in names:
        generate(home, name, preset="null", days=2, assets=3, spacing_ns=300 * 10**9, progress=listen)
        assert [done for done, _, _ in heard] == [0, 1, 2] and {total for _, total, _ in heard} == {2}
        assert heard[0][2] == "generating 2025-01-01"
        heard.clear()
    assert not any(check_all(home, listen).values())
    assert heard == [(k, len(names), "verifying") for k in range(len(names))]
