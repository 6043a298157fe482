"""The trial registry: append-only Parquet segments, each chained to the one before by its hash.

Every configuration that was looked at leaves a record, because the gate's honesty depends on the
count. A segment appears whole or not at all; writers take turns by a lock on the folder.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog.store import writing
from dolphin.errors import DolphinError
from dolphin.files import publish, sha256_bytes, sha256_file
from dolphin.study.metrics import METRICS
from dolphin.workspace import Workspace

#: Before the first segment.
GENESIS = "0" * 64

_METRIC_TYPES = {"trades": pl.Int64, "bars": pl.Int64, "open_position": pl.Boolean}

#: One row per trial. ``state`` is done or invalid (a combination that the strategy refuses).
SCHEMA: dict[str, Any] = {
    "time_ns": pl.Int64,
    "study": pl.String,
    "study_hash": pl.String,
    "trial": pl.Int64,
    "state": pl.String,
    "note": pl.String,
    "config_hash": pl.String,
    "config": pl.String,
    "dataset": pl.String,
    "dataset_digest": pl.String,
    "first_ts": pl.Int64,
    "last_ts": pl.Int64,
    "engine_digest": pl.String,
    "sampler": pl.String,
    "seed": pl.Int64,
    **{name: _METRIC_TYPES.get(name, pl.Float64) for name in METRICS},
}


def trial_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Registry rows as a frame; what a row does not name is null."""
    return pl.DataFrame([{name: row.get(name) for name in SCHEMA} for row in rows], schema=SCHEMA)


class Registry:
    """The registry of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.folder = workspace.experiments / "registry"

    def append(self, trials: pl.DataFrame) -> None:
        """Add a batch of trials (columns of :data:`SCHEMA`) as one segment."""
        frame = trials.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
        with self._locked():
            for leftover in self.folder.glob(".*.part"):  # of a writer that was killed
                leftover.unlink()
            links = self._links()
            number, previous = len(links) + 1, links[-1]["hash"] if links else GENESIS
            segment = self.folder / f"{number:06d}.parquet"
            with publish(segment) as part, writing(segment):
                frame.write_parquet(part, compression="zstd")
            link = {"segment": segment.name, "sha256": sha256_file(segment), "previous": previous}
            link["hash"] = sha256_bytes(json.dumps(link, sort_keys=True).encode())
            # The link makes the segment count; a segment without one is overwritten by the next.
            with publish(self._chain) as part:
                part.write_text("".join(json.dumps(entry, sort_keys=True) + "\n" for entry in [*links, link]))

    def trials(self) -> pl.LazyFrame:
        """All trials in the order of their registration."""
        paths = [self.folder / link["segment"] for link in self._links()]
        if not paths:
            return pl.LazyFrame(schema=SCHEMA)
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise DolphinError("a segment of the trial registry is missing", where=str(missing[0]))
        return pl.scan_parquet(paths)

    def count_on(self, dataset_digest: str) -> int:
        """How many different configurations were looked at on this data."""
        seen = self.trials().filter(pl.col("dataset_digest") == dataset_digest, pl.col("state") == "done")
        return int(seen.select(pl.col("config_hash").n_unique()).collect().item())

    def head(self) -> str:
        """The hash of the last link."""
        links = self._links()
        return str(links[-1]["hash"]) if links else GENESIS

    def problems(self) -> list[str]:
        """Broken links, missing or changed segments; empty if the chain holds."""
        found, previous = [], GENESIS
        for link in self._links():
            body = {key: link[key] for key in ("segment", "sha256", "previous")}
            path = self.folder / link["segment"]
            if link["previous"] != previous or link["hash"] != sha256_bytes(json.dumps(body, sort_keys=True).encode()):
                found.append(f"{self._chain}: the chain breaks at {link['segment']}")
            if not path.is_file():
                found.append(f"{path}: missing")
            elif sha256_file(path) != link["sha256"]:
                found.append(f"{path}: changed since it was registered")
            previous = link["hash"]
        return found

    @property
    def _chain(self) -> Path:
        return self.folder / "chain.jsonl"

    def _links(self) -> list[dict[str, str]]:
        try:
            lines = self._chain.read_text().splitlines()
        except FileNotFoundError:
            return []
        try:
            links = [json.loads(line) for line in lines]
            return [{key: str(link[key]) for key in ("segment", "sha256", "previous", "hash")} for link in links]
        except (ValueError, TypeError, KeyError):
            raise DolphinError(
                "the trial registry's chain is damaged", where=str(self._chain), mend="restore it"
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
