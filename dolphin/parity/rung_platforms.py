"""Rung 5: the run and its features again in processes that differ in all that a process can differ in."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dolphin.errors import BadInput, DolphinError
from dolphin.parity.case import Case
from dolphin.parity.fresh_process import fresh, platform_of

#: Other interpreters, each of an environment in which this package is installed, separated as in PATH.
PYTHONS = "DOLPHIN_PYTHONS"

#: What must be equal.
OUTCOMES = ("final_digest", "digests", "metrics", "features")

#: Instructions of every x86-64 machine only; what vectors the host has is then not used.
GENERIC = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}


class Variant(NamedTuple):
    """A process: its name, hash seed, interpreter and variables."""

    name: str
    hash_seed: str
    python: str
    environment: dict[str, str]


def variants(pythons: Sequence[str]) -> Iterator[Variant]:
    """The processes of this interpreter, then one of each other one on the host and on a generic CPU."""
    here = sys.executable
    yield Variant("hash seed 0", "0", here, {})
    yield Variant("hash seed 20260301, one thread", "20260301", here, {"NUMBA_NUM_THREADS": "1"})
    yield Variant("two threads", "1", here, {"NUMBA_NUM_THREADS": "2"})
    yield Variant("random hashes, no huge allocations", "random", here, {"MALLOC_ARENA_MAX": "1"})
    yield Variant("generic CPU", "0", here, GENERIC)
    for python in pythons:
        yield Variant(f"{Path(python).parent.parent.name or python}", "0", python, {})
        yield Variant(f"{Path(python).parent.parent.name or python}, generic CPU", "0", python, GENERIC)


def other_pythons() -> list[str]:
    """The interpreters that the environment names.

    Raises
    ------
    BadInput
        If one is not there.
    """
    found = [path for path in os.environ.get(PYTHONS, "").split(os.pathsep) if path]
    for path in found:
        if not os.access(path, os.X_OK):
            raise BadInput("is no interpreter", where=f"{PYTHONS}: {path}", mend="name bin/python of an environment")
    return found


def platforms_rung(
    case: Case, pythons: Sequence[str] | None = None, on_process: Callable[[str], None] | None = None
) -> tuple[bool, str, dict[str, Any]]:
    """Run the case in every variant; what differs is named with the variant."""
    job = {
        "root": str(case.dataset.root.parent),
        "dataset": case.dataset.label,
        "digest": case.dataset.digest,
        "config": case.config.document(),
        "start": case.start,
        "stop": case.stop,
        "platform": True,
    }
    rows: list[dict[str, Any]] = []
    facts: dict[str, Any] = {"processes": rows, "here": platform_of()}
    for variant in variants(other_pythons() if pythons is None else pythons):
        if on_process:
            on_process(variant.name)
        try:
            found = fresh(job, variant.hash_seed, python=variant.python, environment=variant.environment)
        except DolphinError as error:
            return False, f"{variant.name}: {error}", facts
        rows.append({"name": variant.name, **{name: found[name] for name in OUTCOMES}, **found["platform"]})
        unequal = [name for name in OUTCOMES if found[name] != rows[0][name]]
        if found["final_digest"] != f"{int(case.batch.digests[-1]):016x}":
            unequal.insert(0, "final_digest")
        if unequal:
            return False, f"{variant.name} has another {unequal[0]}", facts
    versions = sorted({f"Python {row['python']}, numba {row['numba']}, numpy {row['numpy']}" for row in rows})
    facts["bars"] = case.bars * len(rows)
    return (
        True,
        f"{len(rows)} processes give one digest, one set of features and metrics ({'; '.join(versions)})",
        facts,
    )
