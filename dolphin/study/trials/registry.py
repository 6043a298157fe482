"""The trial registry: append-only Parquet segments, each chained to the one before by its hash.

Every configuration that was looked at leaves a record, because the gate's honesty depends on the
count. A segment appears whole or not at all; writers take turns by a lock on the folder. A link of the
chain is one line, appended and synced; a last line without its end was torn by a crash and never counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog.store.intact import check_files
from dolphin.catalog.store.layout import writing
from dolphin.errors import Damaged
from dolphin.files import publish, sha256_bytes, sha256_file
from dolphin.ledger import GENESIS, append, follows, last_line, lines_of, sealed
from dolphin.locks import hold
from dolphin.study.measure.measured import Measures
from dolphin.study.measure.metrics import ALL_METRICS, exit_counts
from dolphin.study.measure.run import Run
from dolphin.workspace import Workspace

_METRIC_TYPES = {"trades": pl.Int64, "bars": pl.Int64, "open_position": pl.Boolean, "ruined": pl.Boolean}

#: What became of a trial: measured, refused by the strategy or a constraint, stopped by an error, stopped by the
#: user, left behind after a part of the window.
STATES = ("done", "invalid", "failed", "interrupted", "pruned")

#: One row per trial. ``state`` is one of :data:`STATES`; ``exits`` counts closed trades by reason (JSON),
#: ``role`` says why it was looked at ("search", "test" ...), ``fold`` for which split of a validation,
#: ``daily_returns`` are the equity's per UTC day with bars. A column that came later is null in older segments.
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
    "role": pl.String,
    "fold": pl.Int64,
    **{name: _METRIC_TYPES.get(name, pl.Float64) for name in ALL_METRICS},
    "exits": pl.String,
    "daily_returns": pl.List(pl.Float64),
}

#: What makes two rows one look at the data: the same run, whatever its time and number, with the same outcome. An
#: outcome that differs would mean that a run is not reproducible, and stays on record.
LOOK = (
    "study", "role", "sampler", "seed", "state", "config_hash", "config", "dataset_digest", "first_ts", "last_ts",
    "engine_digest", "trades", "final_equity",
)  # fmt: skip


def trial_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Registry rows as a frame; what a row does not name is null."""
    return pl.DataFrame([{name: row.get(name) for name in SCHEMA} for row in rows], schema=SCHEMA)


def stopped(error: BaseException) -> dict[str, str]:
    """State and note of trials that ``error`` ended: they were looked at, or were about to be, and stay on record."""
    state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
    return {"state": state, "note": " ".join(str(error).split()) or type(error).__name__}


def trial_measures(measured: Measures, reasons: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The measured columns of :data:`SCHEMA` for each combination."""
    metrics = [measured.metrics[name].tolist() for name in ALL_METRICS]
    for c, values in enumerate(zip(*metrics, strict=True)):
        exits = json.dumps(exit_counts(measured.exits[c], reasons), separators=(",", ":"))
        yield dict(zip(ALL_METRICS, values, strict=True)) | {
            "exits": exits,
            "daily_returns": measured.daily_returns[c],
        }


def run_measures(run: Run) -> dict[str, Any]:
    """The measured columns of :data:`SCHEMA` for a single run."""
    metrics = {name: run.metrics[name] for name in ALL_METRICS}
    exits = json.dumps(run.metrics["exits"], separators=(",", ":"))
    return metrics | {"exits": exits, "daily_returns": run.daily_returns}


class Registry:
    """The registry of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.folder = workspace.experiments / "registry"

    def append(self, trials: pl.DataFrame) -> None:
        """Add a batch of trials (columns of :data:`SCHEMA`) as one segment."""
        frame = trials.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
        with hold(self.folder / ".lock"):
            self._append(frame)

    def _append(self, frame: pl.DataFrame) -> None:
        self._link(lambda part: frame.write_parquet(part, compression="zstd"))

    def adopt(self, segments: Iterable[bytes]) -> int:
        """Add segments of another registry, byte for byte; how many were not here yet."""
        added = 0
        with hold(self.folder / ".lock"):
            known = {link["sha256"] for link in self._links()}
            for data in segments:
                if (digest := sha256_bytes(data)) not in known:
                    self._link(partial(_write, data))
                    known.add(digest)
                    added += 1
        return added

    def links(self) -> list[dict[str, str]]:
        """The chain: name, hash, previous hash and link hash of every segment, oldest first."""
        return self._links()

    def _link(self, write: Callable[[Path], Any]) -> None:
        """Write a segment and its link; the caller holds the lock."""
        for leftover in self.folder.glob(".*.part"):  # of a writer that was killed
            leftover.unlink()
        last, end = self._last_link()
        number, previous = (int(last["segment"].partition(".")[0]) + 1, last["hash"]) if last else (1, GENESIS)
        segment = self.folder / f"{number:06d}.parquet"
        with publish(segment) as part, writing(segment):
            write(part)
        body = {"segment": segment.name, "sha256": sha256_file(segment), "previous": previous}
        # The link makes the segment count; a segment without one is overwritten by the next.
        with writing(self._chain):
            append(self._chain, _encode(sealed(body, _encode)), end)

    def append_once(self, trials: pl.DataFrame) -> int:
        """Like :meth:`append`, without the rows whose look is registered already (:data:`LOOK`); how many were new.

        A run that was killed after its registration, or is simply repeated, is one look.
        """
        frame = trials.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
        with hold(self.folder / ".lock"):
            known = self.trials().filter(pl.col("study").is_in(frame["study"].unique().to_list())).select(LOOK)
            new = frame.join(known.collect(), on=LOOK, how="anti", nulls_equal=True, maintain_order="left")
            if new.height:
                self._append(new)
        return new.height

    def trials(self) -> pl.LazyFrame:
        """All trials in the order of their registration."""
        links = self._links()
        paths = [self.folder / link["segment"] for link in links]
        if not paths:
            return pl.LazyFrame(schema=SCHEMA)
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise Damaged("a segment of the trial registry is missing", where=str(missing[0]))
        check_files(self.folder, ((link["segment"], link["sha256"]) for link in links), "restore it")
        return pl.scan_parquet(paths, schema=SCHEMA, missing_columns="insert", extra_columns="ignore")

    def count_on(self, dataset_digest: str) -> int:
        """How many different configurations were looked at on this data."""
        mine = (pl.col("dataset_digest") == dataset_digest) & pl.col("state").is_in(["done", "pruned"])
        seen = self.trials().filter(mine)
        return int(seen.select(pl.col("config_hash").n_unique()).collect().item())

    def head(self) -> str:
        """The hash of the last link."""
        last, _ = self._last_link()
        return last["hash"] if last else GENESIS

    def anchor(self) -> dict[str, Any]:
        """What other records keep of the chain, so that another one in its place is told (:meth:`missing`).

        ``links`` and ``rows`` count segments and trials, ``first`` and ``head`` are hashes of the first and last link.
        """
        links = self._links()
        rows = int(self.trials().select(pl.len()).collect().item()) if links else 0
        first, head = (links[0]["hash"], links[-1]["hash"]) if links else (GENESIS, GENESIS)
        return {"links": len(links), "rows": rows, "first": first, "head": head}

    def missing(self, anchor: dict[str, Any]) -> str:
        """What of an anchored chain is not in this one, in words; empty if it goes on from there."""
        links, count = self._links(), int(anchor["links"])
        if not count:
            return ""
        if not links or links[0]["hash"] != anchor["first"]:
            return "is another registry than the one that was known, or was begun anew"
        if len(links) < count or links[count - 1]["hash"] != anchor["head"]:
            return f"was cut or rewritten: its link {count} was known and is gone"
        return ""

    def problems(self) -> list[str]:
        """Broken links, missing, changed or left-out segments, symbolic links; empty if the chain holds."""
        found, previous = [], GENESIS
        links = self._links()
        segments = sorted(self.folder.glob("*.parquet"))
        for path in (self.folder.parent, self.folder, self._chain, *segments):
            if path.is_symlink():
                found.append(f"{path}: is a symbolic link; the registry must be the workspace's own")
        # One segment without a link is what a crash leaves; more of them are a chain that was cut.
        left = [path for path in segments if path.name not in {link["segment"] for link in links}]
        if len(left) > 1:
            found.append(f"{self._chain}: {len(left)} segments have no link, the chain was cut")
        for link in links:
            path = self.folder / link["segment"]
            if not follows(link, previous, _encode):
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
        return self._parse(lines_of(self._chain)[0])

    def _last_link(self) -> tuple[dict[str, str] | None, int]:
        """The last link, if any, and where in the file the next one goes."""
        line, end = last_line(self._chain)
        return (self._parse([line])[0] if line is not None else None), end

    def _parse(self, lines: list[bytes]) -> list[dict[str, str]]:
        try:
            links = [json.loads(line) for line in lines]
            found = [{key: str(link[key]) for key in ("segment", "sha256", "previous", "hash")} for link in links]
            if all(re.fullmatch(r"\d+\.parquet", link["segment"]) for link in found):
                return found
        except (ValueError, TypeError, KeyError):
            pass
        raise Damaged("the trial registry's chain is damaged", where=str(self._chain), mend="restore it")


def _write(data: bytes, part: Path) -> None:
    part.write_bytes(data)


def _encode(link: dict[str, Any]) -> bytes:
    """The bytes of a link, and what its hash is taken over."""
    return json.dumps(link, sort_keys=True).encode()
