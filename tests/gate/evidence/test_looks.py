"""Looks are counted from the registry: distinct pairs on one market and time, whatever the data is called."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

from dolphin.gate import Candidate
from dolphin.gate.evidence.looks import earlier_families, looks_at, looks_document
from dolphin.study.trials.registry import SCHEMA, Registry
from dolphin.workspace import Workspace


def test_looks_come_from_the_registry(workspace: Workspace, candidate: Candidate, tmp_path: Path) -> None:
    other = Workspace(Path(shutil.copytree(workspace.root, tmp_path / "w")))
    first, last = candidate.dataset.first_ts, candidate.dataset.last_ts
    base = dict.fromkeys(SCHEMA) | {"dataset": "edge", "dataset_digest": candidate.dataset.digest, "state": "done"}
    here = base | {"first_ts": first, "last_ts": last}
    rows = [
        here | {"config_hash": "a", "time_ns": 5},
        here | {"config_hash": "a", "time_ns": 9},  # the same pair again
        here | {"config_hash": "a", "last_ts": last - 9, "time_ns": 9},  # on another window
        here | {"config_hash": "b", "state": "failed", "time_ns": 3},
        here | {"config_hash": "s", "role": "stress", "time_ns": 2},
        here | {"config_hash": None, "state": "invalid", "time_ns": 1},
        base | {"config_hash": "c", "first_ts": first - 9, "last_ts": first - 1, "time_ns": 1},
        # Nobody knows this data any more: the calendar tells.
        base | {"config_hash": "e", "dataset_digest": "gone", "first_ts": last, "last_ts": last + 9, "time_ns": 7},
    ]
    Registry(other).append(pl.DataFrame(rows, schema=SCHEMA))
    looks = looks_at(other, candidate.dataset)
    assert looks.count(first, last) == 5 and looks.count(first - 9, first - 1) == 1
    document = looks_document(looks, (first, last), (first - 9, first - 1), workspace=other)
    assert (document["looks_at_this_market_and_time"], document["looks_at_this_market"]) == (6, 6)
    assert document["seen_since"].startswith("1970-01-01") and document["registry_head"] == Registry(other).head()
    before = earlier_families(other, looks, candidate.dataset, first, last, "a")
    assert before == ["b"]  # not what came later, nor stress
    # One that nobody met yet comes after all; in the copied workspace the gate may have opened it before.
    assert {"a", "b", "e"} <= {*earlier_families(other, looks, candidate.dataset, first, last, "new")}
