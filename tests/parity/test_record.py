"""What was ever compared: counted, chained, and this repository's own record."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolphin.errors import Damaged
from dolphin.parity.ladder import LadderReport, RungResult
from dolphin.parity.record import NAME, add, processes, processes_of, total

REPOSITORY = Path(__file__).resolve().parents[2]
ABOUT = {"dataset": "d", "config": "c", "engine": "e"}


def report(passed: bool = True, bars: int = 100) -> LadderReport:
    facts = {} if passed else {"differing_bars": 7}
    return LadderReport(
        (RungResult(0, "core", True, bars, 0.1, "", {}), RungResult("R", "x", passed, 40, 0.1, "", facts))
    )


def test_ladders_add_up(tmp_path: Path) -> None:
    path = tmp_path / "experiments" / NAME
    assert total(path).compared == 0
    assert add(path, report(), ABOUT) == total(path)
    found = add(path, report(passed=False), ABOUT)
    assert found == total(path)
    assert (found.runs, found.compared, found.differed) == (2, 280, 7)
    assert "280 bar decisions" in found.sentence() and "7 differed" in found.sentence()


def test_a_rung_that_ended_without_a_comparison_differs_whole(tmp_path: Path) -> None:
    path = tmp_path / NAME
    failed = RungResult(1, "x", False, 30, 0.1, "stopped", {})
    assert add(path, LadderReport((failed,)), ABOUT).differed == 30


@pytest.mark.parametrize("change", ["edit", "drop", "swap"])
def test_a_changed_record_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / NAME
    for bars in (10, 20, 30):
        add(path, report(bars=bars), ABOUT)
    lines = path.read_bytes().splitlines(keepends=True)
    changed = {
        "edit": [lines[0].replace(b'"compared":50', b'"compared":5000'), *lines[1:]],
        "drop": lines[1:],
        "swap": [lines[1], lines[0], lines[2]],
    }[change]
    path.write_bytes(b"".join(changed))
    with pytest.raises(Damaged, match="line 1 was changed"):
        total(path)
    with pytest.raises(Damaged):
        add(path, report(), ABOUT)


def test_a_torn_line_was_never_written(tmp_path: Path) -> None:
    path = tmp_path / NAME
    add(path, report(), ABOUT)
    with path.open("ab") as stream:
        stream.write(b'{"compared":1')
    assert total(path).runs == 1
    assert add(path, report(), ABOUT).runs == 2


PROCESS = {
    "name": "generic CPU", "machine": "x86_64", "cpu": "generic", "python": "3.13.0", "numba": "0.68.1",
    "numpy": "2.5.5", "threads": "all", "hash_seed": "0", "final_digest": "0123456789abcdef", "digests": "a" * 64,
    "features": "b" * 64, "metrics": {"trades": 3}, "llvmlite": "0.50.0",
}  # fmt: skip


def test_processes_are_kept_with_what_they_came_to(tmp_path: Path) -> None:
    path = tmp_path / NAME
    add(path, report(), ABOUT)
    facts = {"processes": [PROCESS, PROCESS | {"cpu": "host"}]}
    add(path, LadderReport((RungResult(5, "other processes", True, 20, 0.1, "", facts),)), ABOUT | {"strategy": "mine"})
    ((of, found),) = processes(path)
    assert of == "mine, c on d" and found == processes_of(facts)
    assert [one.cpu for one in found] == ["generic", "host"]
    assert {one.outcome for one in found} == {("0123456789abcdef", "a" * 16, "b" * 16)}
    path.write_bytes(path.read_bytes().replace(b'"generic"', b'"another"'))
    with pytest.raises(Damaged):
        processes(path)


def test_every_process_gave_this_repository_the_same() -> None:
    found = processes(REPOSITORY / "experiments" / NAME)
    outcomes: dict[str, set[tuple[str, ...]]] = {}
    for of, those in found:
        outcomes.setdefault(of, set()).update(one.outcome for one in those)
    assert {len(outcome) for outcome in outcomes.values()} == {1}
    assert {one.machine for _, those in found for one in those} >= {"x86_64", "aarch64"}


def test_the_page_has_the_table_of_the_processes() -> None:
    page = (REPOSITORY / "docs" / "parity.md").read_text()
    for of, those in processes(REPOSITORY / "experiments" / NAME):
        for one in those:
            assert f"| {of} | {' | '.join(one[1:])} |" in page


def test_this_repository_has_compared_ten_million_decisions_and_none_differed() -> None:
    found = total(REPOSITORY / "experiments" / NAME)
    assert found.compared >= 10_000_000
    assert found.differed == 0
