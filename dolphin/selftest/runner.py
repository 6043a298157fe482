"""All faults, one after the other or some side by side; what was found is kept, so that a stopped run goes on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

from dolphin.errors import DolphinError, nearest
from dolphin.files import read_json, write_json
from dolphin.locks import hold
from dolphin.progress import Progress
from dolphin.selftest.copies import Copy, detector_digest, package_digest
from dolphin.selftest.detectors import DETECTORS
from dolphin.selftest.fault import Fault
from dolphin.selftest.faults import FAULTS


@dataclass(frozen=True)
class Outcome:
    """What became of a fault; ``seen_by`` is None if nobody saw it."""

    name: str
    what: str
    module: str
    expected: str
    expected_stage: str
    seen_by: str | None
    stage: str | None
    bar: int | None
    sentence: str
    seconds: float

    @property
    def caught(self) -> bool:
        """Whether the named detector saw it, at the named stage."""
        return self.seen_by == self.expected and self.stage == self.expected_stage


@dataclass(frozen=True)
class Report:
    """All that were looked for."""

    outcomes: tuple[Outcome, ...]
    digest: str

    @property
    def caught(self) -> int:
        """How many were caught where they should."""
        return sum(one.caught for one in self.outcomes)

    @property
    def passed(self) -> bool:
        """Whether all were."""
        return self.caught == len(self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        rows = [asdict(one) | {"caught": one.caught} for one in self.outcomes]
        return {
            "passed": self.passed,
            "caught": self.caught,
            "faults": len(rows),
            "package": self.digest,
            "outcomes": rows,
        }


def cache_root() -> Path:
    """Where copies of the package and results are kept: the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dolphin" / "selftest"


def selftest(
    only: Sequence[str] = (), *, jobs: int = 1, root: Path | None = None, progress: Progress | None = None
) -> Report:
    """Look for the faults.

    Parameters
    ----------
    only : sequence of str
        Names of faults; all unless given.
    jobs : int
        How many processes at once, each with a copy of the package.
    root : Path, optional
        In place of :func:`cache_root`.

    Raises
    ------
    DolphinError
        For an unknown name, a fault that does not apply, a package that is wrong without any fault, or when another
        selftest runs.
    """
    chosen = select(only)
    root = cache_root() if root is None else root
    with hold(root / "lock", busy="another selftest runs"), ExitStack() as stack:
        keep = _Kept(root / "results.json")
        todo = [fault for fault in chosen if _key(fault) not in keep.found]
        copies: SimpleQueue[Copy] = SimpleQueue()
        if todo:
            for k in range(min(jobs, len(todo))):
                copies.put(Copy(root / f"copy{k}"))
        done = len(chosen) - len(todo)

        def look(fault: Fault) -> None:
            nonlocal done
            copy = copies.get()
            try:
                _prove_sound(copy, fault.detector, keep)
                with copy.made_wrong(fault):
                    keep.add(_key(fault), copy.detect([fault.detector])[0])
            finally:
                copies.put(copy)
            done += 1
            if progress:
                progress(done, len(chosen), "faults")

        pool = stack.enter_context(ThreadPoolExecutor(max_workers=max(1, jobs)))
        try:
            for _ in pool.map(look, todo):
                pass
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return Report(tuple(_outcome(fault, keep.found[_key(fault)]) for fault in chosen), keep.digest)


def _key(fault: Fault) -> str:
    """What a result is kept under: the edit, who is asked, and what that one is made of."""
    return f"{fault.key} {detector_digest(fault.detector)[:16]}"


def select(only: Sequence[str]) -> list[Fault]:
    """The faults of these names."""
    known = {fault.name: fault for fault in FAULTS}
    for name in only:
        if name not in known:
            raise DolphinError(f"no fault '{name}'", mend=nearest(name, known))
    return [fault for fault in FAULTS if not only or fault.name in only]


class _Kept:
    """Results by key, on disk after every one, for one state of the package."""

    def __init__(self, path: Path) -> None:
        self.path, self.digest, self._lock = path, package_digest(), Lock()
        self.found: dict[str, dict[str, Any]] = {}
        if path.is_file():
            held = read_json(path)
            if held.get("package") == self.digest:
                self.found = held["found"]

    def add(self, key: str, seen: dict[str, Any]) -> None:
        """Keep what was seen."""
        with self._lock:
            self.found[key] = seen
            write_json(self.path, {"package": self.digest, "found": self.found})


def _prove_sound(copy: Copy, detector: str, keep: _Kept) -> None:
    """The package without a fault passes the detector, or what it says of faults means nothing."""
    key = f"{copy.folder.name}: {detector} {detector_digest(detector)[:16]}"
    if key in keep.found:
        return
    seen = copy.detect([detector])[0]
    if "stage" in seen:
        raise DolphinError(
            f"the package is wrong without any fault: {detector} says {seen['sentence']}",
            where="dolphin selftest",
            mend="mend that first",
        )
    keep.add(key, seen)


def _outcome(fault: Fault, seen: dict[str, Any]) -> Outcome:
    return Outcome(
        name=fault.name,
        what=fault.what,
        module=fault.module,
        expected=fault.detector,
        expected_stage=fault.stage,
        seen_by=seen["detector"] if "stage" in seen else None,
        stage=seen.get("stage"),
        bar=seen.get("bar"),
        sentence=seen.get("sentence", "nobody saw it"),
        seconds=seen["seconds"],
    )


assert {fault.detector for fault in FAULTS} <= set(DETECTORS)
