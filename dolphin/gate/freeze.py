"""What a champion's folder holds, as bytes by file name."""

from __future__ import annotations

import io
import json
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.config import to_toml
from dolphin.core.strategy import Strategy
from dolphin.features import scanner_digest
from dolphin.files import canonical_json, sha256_bytes, sha256_file
from dolphin.gate.candidate import Candidate
from dolphin.gate.evaluation import windows
from dolphin.gate.floors import read_floors
from dolphin.gate.measure import Measure
from dolphin.gate.policy import read_policy
from dolphin.gate.report import GateReport, plain
from dolphin.study.measure.run import Run, digests_frame, metrics_document, run_document
from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace

#: Rows of the trial registry that a champion keeps, besides its own.
BEST_TRIALS = 20
LOCK = "requirements.lock"


def contents_of(workspace: Workspace, candidate: Candidate, report: GateReport, who: str) -> dict[str, bytes]:
    """The files of the champion that ``report`` lets through.

    Times stand only in the fields ``created`` of ``gate.json``, its page and ``provenance.json``.
    """
    from dolphin.report import gate_page

    measure: Measure = report.measure
    run, document = measure.whole, report.as_dict()
    about_run = {key: value for key, value in run_document(run).items() if key != "timings"}
    floors = read_floors(workspace)
    return {
        "config.json": _json({"config": run.config.document(), "hash": run.config.hash}),
        "config.toml": to_toml(run.config.document()).encode(),
        "run.json": _json(about_run),
        "metrics.json": _json({"whole": metrics_document(run), "windows": windows(floors, measure)}),
        "gate.json": _json(document),
        "gate.html": gate_page(document).encode(),
        "floors.toml": floors.data,
        "policy.toml": read_policy(workspace).data,
        "parity.json": _json({"ladder": document["evidence"].get("parity"), "checks": document["checks"]}),
        "digests.parquet": _parquet(digests_frame(run)),
        "trials.parquet": _parquet(trials_excerpt(workspace, run)),
        **sources(run.config.strategy),
        "provenance.json": _json(provenance(workspace, candidate, run, report.created, who)),
    }


def sources(strategy: Strategy) -> dict[str, bytes]:
    """``strategy.py``, and ``source_*.py`` for every other file of one's own that its decisions come from."""
    first, *others = strategy.sources
    found = {"strategy.py": first.read_bytes()}
    for path in others:
        data = path.read_bytes()
        name = f"source_{path.name}"
        if name in found:
            name = f"source_{sha256_bytes(data)[:8]}_{path.name}"
        found[name] = data
    return found


def provenance(workspace: Workspace, candidate: Candidate, run: Run, created: str, who: str) -> dict[str, Any]:
    """Where the champion comes from, and what the live runner must find unchanged."""
    manifest = run.dataset.manifest
    return plain(
        {
            "created": created,
            "who": who,
            "candidate": {"name": candidate.name, "kind": candidate.kind},
            "engine_digest": run.engine.digest,
            "scanner_digest": scanner_digest(),
            "strategy": {
                "name": run.config.strategy_name,
                "sha256": sha256_file(run.config.strategy.source),
                "sources": {name: sha256_bytes(data) for name, data in sources(run.config.strategy).items()},
            },
            "config_hash": run.config.hash,
            "data": {
                "name": run.dataset.name,
                "digest": run.dataset.digest,
                "first_ts": run.market.ts[run.start],
                "last_ts": run.market.ts[run.stop - 1],
                "days": sha256_bytes(canonical_json({d: e["content"] for d, e in manifest["days"].items()})),
                "synthetic": run.dataset.synthetic,
            },
            "final_digest": run.final_digest,
            **runtime(workspace),
        }
    )


def runtime(workspace: Workspace) -> dict[str, Any]:
    """The library lock, what is installed, and the platform, as they are now."""
    lock = lock_file(workspace)
    installed = {dist.name.lower().replace("_", "-"): dist.version for dist in metadata.distributions()}
    return {
        "lock": {"file": LOCK if lock else None, "sha256": sha256_file(lock) if lock else None},
        "installed": dict(sorted(installed.items())),
        "platform": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "implementation": sys.implementation.name,
        },
    }


def lock_file(workspace: Workspace) -> Path | None:
    """The library lock of the workspace, else of the repository that the package runs from."""
    for folder in (workspace.root, Path(__file__).resolve().parents[2]):
        if (folder / LOCK).is_file():
            return folder / LOCK
    return None


def trials_excerpt(workspace: Workspace, run: Run) -> pl.DataFrame:
    """The candidate's own trials on this data, and the best others by Sharpe ratio."""
    trials = Registry(workspace).trials()
    here = trials.filter(pl.col("dataset_digest") == run.dataset.digest, pl.col("state") == "done")
    own = pl.col("config_hash") == run.config.hash
    ranked = here.filter(~own).sort("sharpe_365", descending=True, nulls_last=True).head(BEST_TRIALS)
    return pl.concat([here.filter(own), ranked]).collect()


def _json(document: Any) -> bytes:
    return (json.dumps(plain(document), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
