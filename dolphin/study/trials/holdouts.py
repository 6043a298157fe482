"""Bars that nobody looks at before the gate: declared by a study, opened once, both on a chain of hashed lines.

``experiments/holdouts.jsonl`` has a line per declaration and per opening; an opening is on disk before a bar of the
holdout is read. Families that open one share the gate's level of error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any, Literal

import polars as pl

from dolphin.catalog import Dataset
from dolphin.errors import Damaged, DolphinError
from dolphin.files import canonical_json, sha256_file
from dolphin.ledger import GENESIS, append, follows, lines_of, sealed, who_am_i
from dolphin.locks import hold
from dolphin.study.trials.choice import OF_THE_SEARCH
from dolphin.study.trials.markets import lag_between, overlapping, remember
from dolphin.study.trials.registry import Registry
from dolphin.times import format_time
from dolphin.workspace import Workspace

Entry = dict[str, Any]


class Holdouts:
    """The holdouts of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.path = workspace.experiments / "holdouts.jsonl"

    def entries(self) -> list[Entry]:
        """Every line, oldest first.

        Raises
        ------
        Damaged
            If the chain breaks.
        """
        found, previous = [], GENESIS
        for number, raw in enumerate(lines_of(self.path)[0], 1):
            try:
                entry = json.loads(raw)
                whole = canonical_json(entry) == raw and follows(entry, previous, canonical_json)
            except (ValueError, AttributeError):
                whole = False
            if not whole:
                raise Damaged(
                    f"line {number} was changed or does not follow", where=str(self.path), mend="restore it from git"
                )
            found.append(entry)
            previous = entry["hash"]
        return found

    def declare(self, dataset: Dataset, first_ts: int, last_ts: int, study: str, family: str) -> None:
        """Seal closes first_ts to last_ts of a dataset; what is sealed already by this study is not again."""
        same = {"dataset_digest": dataset.digest, "first_ts": first_ts, "last_ts": last_ts, "family": family}
        if not any(_declares(entry) and same.items() <= entry.items() for entry in self.entries()):
            self._append("declare", dataset, same | {"study": study, "rules": rules_of(self._workspace)})

    def open(self, dataset: Dataset, first_ts: int, last_ts: int, family: str, config_hash: str, reason: str) -> Entry:
        """Write an opening down; from here on the bars may be read. One that is written already stays the one."""
        same = {
            "dataset_digest": dataset.digest, "first_ts": first_ts, "last_ts": last_ts, "family": family,
            "config_hash": config_hash,
        }  # fmt: skip
        known = [entry for entry in self.entries() if not _declares(entry) and same.items() <= entry.items()]
        return known[0] if known else self._append("open", dataset, same | {"reason": " ".join(reason.split())})

    def declared_on(self, dataset: Dataset, first_ts: int, last_ts: int) -> list[Entry]:
        """Declarations on this market that the span touches."""
        return [entry for entry in self._touching(dataset, first_ts, last_ts) if _declares(entry)]

    def opened_on(self, dataset: Dataset, first_ts: int, last_ts: int) -> list[Entry]:
        """Openings on this market that the span touches, oldest first."""
        return [entry for entry in self._touching(dataset, first_ts, last_ts) if not _declares(entry)]

    def _touching(self, dataset: Dataset, first_ts: int, last_ts: int) -> list[Entry]:
        found = []
        for entry in self.entries():
            if entry["dataset_digest"] != dataset.digest:
                remember(self._workspace, dataset)
            lag = lag_between(self._workspace, dataset.digest, entry["dataset_digest"])
            if lag is not None and overlapping(first_ts, last_ts, entry["first_ts"], entry["last_ts"], lag):
                found.append(entry)
        return found

    def adopt(self, entries: Iterable[Entry]) -> int:
        """Add lines of another workspace with their own times and names; how many were not here yet."""
        added = 0
        with hold(self._workspace.experiments / ".holdouts.lock"):
            past = self.entries()
            known = {canonical_json(_said(entry)) for entry in past}
            last = past[-1]["hash"] if past else GENESIS
            for body in map(_said, entries):
                if canonical_json(body) not in known:
                    last = self._write(sealed({**body, "previous": last}, canonical_json))["hash"]
                    known.add(canonical_json(body))
                    added += 1
        return added

    def _append(self, action: Literal["declare", "open"], dataset: Dataset, fields: Entry) -> Entry:
        remember(self._workspace, dataset)
        now = time.time_ns()
        with hold(self._workspace.experiments / ".holdouts.lock"):
            past = self.entries()
            anchor = Registry(self._workspace).anchor()
            body = {
                "action": action, "dataset": dataset.name, "time_ns": now, "time": format_time(now - now % 1000),
                "who": who_am_i(), "registry": anchor, "previous": past[-1]["hash"] if past else GENESIS, **fields,
            }  # fmt: skip
            return self._write(sealed(body, canonical_json))

    def _write(self, entry: Entry) -> Entry:
        """Put a line at the end of the chain; the caller holds the lock."""
        size = self.path.stat().st_size - lines_of(self.path)[1] if self.path.exists() else 0
        try:
            append(self.path, canonical_json(entry), size)
        except OSError as error:
            raise DolphinError(
                f"cannot write: {error.strerror}", where=str(self.path), mend="free some space"
            ) from error
        return entry


def rules_of(workspace: Workspace) -> dict[str, str]:
    """What candidates are judged by: SHA-256 of floors and policy, or that they are the package's."""
    paths = {name: workspace.promote / f"{name}.toml" for name in ("floors", "policy")}
    return {name: sha256_file(path) if path.is_file() else "package" for name, path in paths.items()}


def family_of(workspace: Workspace, config_hash: str) -> str:
    """The study whose search met this configuration first, by its hash; else the configuration itself."""
    rows = Registry(workspace).trials().filter(pl.col("config_hash") == config_hash, OF_THE_SEARCH)
    found = rows.filter(pl.col("study_hash").is_not_null()).select("study_hash").head(1).collect()
    return str(found.item()) if found.height else config_hash


def enter(
    workspace: Workspace,
    dataset: Dataset,
    first_ts: int,
    last_ts: int,
    *,
    config_hash: str,
    family: str | None = None,
    reason: str | None = None,
) -> None:
    """Let a run look at closes first_ts to last_ts, if no sealed holdout is among them, or it is opened.

    Parameters
    ----------
    family : str, optional
        Of the configurations that look; by default that of ``config_hash``.
    reason : str, optional
        Open what is sealed, for this reason.

    Raises
    ------
    DolphinError
        If a part is sealed and there is no reason to open it.
    """
    holdouts = Holdouts(workspace)
    declared = holdouts.declared_on(dataset, first_ts, last_ts) if holdouts.path.is_file() else []
    if not declared:
        return
    family = family or family_of(workspace, config_hash)
    for entry in declared:
        same = (entry["first_ts"], entry["last_ts"])
        spans = [(e["first_ts"], e["last_ts"]) for e in holdouts.opened_on(dataset, *same) if e["family"] == family]
        if same in spans:
            continue
        if reason is None or not reason.strip():
            times = f"{format_time(same[0])} to {format_time(same[1])}"
            raise DolphinError(
                f"bars {times} are the holdout of study '{entry['study']}' and stay sealed until the gate",
                where=dataset.name,
                mend="end before them, or open them for good with --open-holdout --reason TEXT",
            )
        holdouts.open(dataset, *same, family, config_hash, reason)


def _said(entry: Entry) -> Entry:
    """What a line says, without its place in a chain."""
    return {key: value for key, value in entry.items() if key not in ("previous", "hash")}


def _declares(entry: Entry) -> bool:
    return bool(entry["action"] == "declare")
