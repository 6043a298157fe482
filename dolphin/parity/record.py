"""How many bar decisions have ever been compared in a workspace, and how many differed: a hash-chained file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.errors import Damaged
from dolphin.files import canonical_json
from dolphin.ledger import GENESIS, append, follows, last_line, lines_of, sealed
from dolphin.locks import hold
from dolphin.parity.ladder import LadderReport
from dolphin.times import format_time

#: Inside the experiments folder of a workspace.
NAME = "parity_record.jsonl"


@dataclass(frozen=True)
class Total:
    """What a record adds up to.

    Attributes
    ----------
    runs : int
        Ladders that were climbed.
    compared : int
        Decisions compared: the bars of every rung.
    differed : int
        Of them, those in rungs that did not hold, from the first bar that differs on.
    """

    runs: int
    compared: int
    differed: int

    def sentence(self) -> str:
        """In plain words."""
        return (
            f"in this workspace {self.compared:,} bar decisions have been compared in {self.runs:,} ladders, "
            f"and {self.differed:,} differed"
        )


def add(path: Path, report: LadderReport, about: Mapping[str, str]) -> Total:
    """Append one ladder to the record and add it up; ``about`` says of what (dataset, config, engine).

    Raises
    ------
    Damaged
        If the record's chain does not hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with hold(path.with_suffix(".lock")):
        before, previous = _read(path)
        compared = sum(result.bars for result in report.results)
        differed = sum(_differed(result.passed, result.bars, result.facts) for result in report.results)
        rungs = {f"{result.rung} {result.name}": result.bars for result in report.results}
        body = {
            "time": format_time(time.time_ns()),
            **about,
            "rungs": rungs,
            "compared": compared,
            "differed": differed,
            "previous": previous,
        }
        _, end = last_line(path)
        append(path, canonical_json(sealed(body, canonical_json)), end)
    return Total(before.runs + 1, before.compared + compared, before.differed + differed)


def total(path: Path) -> Total:
    """What the record adds up to; nothing if there is none yet.

    Raises
    ------
    Damaged
        If a line was changed or is missing.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[Total, str]:
    runs = compared = differed = 0
    previous = GENESIS
    for number, line in enumerate(lines_of(path)[0], 1):
        entry = _entry(line)
        if entry is None or not follows(entry, previous, canonical_json):
            raise Damaged(
                f"line {number} was changed or does not follow the one before",
                where=str(path),
                mend="take the file from version control; it is only ever appended to",
            )
        runs, previous = runs + 1, str(entry["hash"])
        compared, differed = compared + int(entry["compared"]), differed + int(entry["differed"])
    return Total(runs, compared, differed), previous


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"previous", "hash", "compared", "differed"} <= found.keys() else None


def _differed(passed: bool, bars: int, facts: Mapping[str, Any]) -> int:
    return 0 if passed else int(facts.get("differing_bars", bars))
