"""How many bar decisions have ever been compared in a workspace, and how many differed: a hash-chained file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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
    """Append one ladder to the record and add it up; ``about`` says of what (strategy, dataset, config, engine).

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
            **_processes(report),
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


class Process(NamedTuple):
    """A process of rung 5: what it was, and what it came to (the last two as the first 16 digits of a SHA-256)."""

    name: str
    machine: str
    cpu: str
    python: str
    numba: str
    numpy: str
    threads: str
    hash_seed: str
    final_digest: str
    digests: str
    features: str

    @property
    def outcome(self) -> tuple[str, str, str]:
        """What must be equal: the last digest, all of them, the feature rows."""
        return self.final_digest, self.digests, self.features


def processes_of(facts: Mapping[str, Any]) -> list[Process]:
    """Those that a rung's facts tell of."""
    return [
        Process(**{name: str(row[name])[:16] if name in ("digests", "features") else str(row[name])
                   for name in Process._fields})
        for row in facts.get("processes", ())
    ]  # fmt: skip


def processes(path: Path) -> list[tuple[str, list[Process]]]:
    """What rung 5 found, ladder by ladder: of what (strategy, config and dataset), and its processes.

    Raises
    ------
    Damaged
        If the record's chain does not hold.
    """
    _read(path)
    found = []
    for line in lines_of(path)[0]:
        entry = json.loads(line)
        if "processes" in entry:
            of = f"{entry.get('strategy', 'a strategy')}, {entry['config'][:8]} on {entry['dataset'][:8]}"
            found.append((of, [Process(**one) for one in entry["processes"]]))
    return found


def _processes(report: LadderReport) -> dict[str, Any]:
    found = [one._asdict() for result in report.results for one in processes_of(result.facts)]
    return {"processes": found} if found else {}


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
