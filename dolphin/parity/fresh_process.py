"""The same run in a fresh process: ``python -m dolphin.parity.fresh_process`` takes a job on stdin.

Determinism is judged by two of these with different ``PYTHONHASHSEED``: nothing that only this
process knows can then have made the result. Rung 5 varies more of what a process is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError
from dolphin.files import sha256_bytes

HASH_SEEDS = ("0", "20260301")

PACKAGE = Path(__file__).resolve().parents[1]


def outcome(run: Any) -> dict[str, Any]:
    """What must be equal: the digest of every bar, the last one, the metrics as spelled in JSON."""
    from dolphin.study.measure.run import metrics_document

    return {
        "final_digest": run.final_digest,
        "digests": sha256_bytes(run.recording.digests.astype("<u8").tobytes()),
        "metrics": json.loads(json.dumps(metrics_document(run))),
    }


def job_of(run: Any) -> dict[str, Any]:
    """The job that repeats ``run``: plain JSON types."""
    return {
        "root": str(run.dataset.root.parent),
        "dataset": run.dataset.label,
        "digest": run.dataset.digest,
        "config": run.config.document(),
        "start": run.start,
        "stop": run.stop,
    }


def own_environment() -> dict[str, str]:
    """Of a process that imports this package and nothing from the folder that it is started in."""
    paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def fresh(
    job: dict[str, Any], hash_seed: str, *, python: str = sys.executable, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run ``job`` in a new process of this interpreter, with these variables on top; its outcome.

    Raises
    ------
    DolphinError
        If that process fails; the last line of its stderr is in the message.
    """
    known = own_environment() if python == sys.executable else os.environ
    done = subprocess.run(
        [python, "-P", "-m", "dolphin.parity.fresh_process"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        env={**known, **(environment or {}), "PYTHONHASHSEED": hash_seed},
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise DolphinError(f"the run failed in a fresh process: {lines[-1]}", mend="run 'dolphin doctor'")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Read a job, run it, print its outcome."""
    job = json.load(sys.stdin)
    from dolphin.catalog import open_dataset
    from dolphin.config import parse_config
    from dolphin.market.assemble import open_market
    from dolphin.study.measure.run import run
    from dolphin.workspace import Workspace

    workspace = Workspace(Path(job["root"]))
    dataset = open_dataset(workspace, job["dataset"])
    if dataset.digest != job["digest"]:
        raise DolphinError("the dataset changed meanwhile", where=dataset.name)
    table = {key: value for key, value in job["config"].items() if value is not None}
    config = parse_config(table, where="job", research=workspace.research)
    result = run(dataset, open_market(dataset, config), config, job["start"], job["stop"])
    found = outcome(result)
    if job.get("platform"):
        found |= {"features": features_digest(dataset), "platform": platform_of()}
    json.dump(found, sys.stdout)


def features_digest(dataset: Any) -> str:
    """SHA-256 of the feature rows of the first day and of the last that has a whole history, scanned here and now."""
    from dolphin.features.scanner import history_bars, scan
    from dolphin.market.scanning import day_bounds

    prices = dataset.prices()
    bounds, rows = day_bounds(dataset, prices.ts), []
    for n in sorted({0, len(dataset.days) - 1}):
        low, high = bounds[n], bounds[n + 1]
        begin = max(0, low - history_bars(dataset.spacing_ns))
        block = scan(prices.ts[begin:high], prices.close[begin:high], dataset.reference_column)
        columns = block.rows(low - begin, high - begin).columns()
        rows += [columns[name].tobytes() for name in sorted(columns)]
    return sha256_bytes(b"".join(rows))


def platform_of() -> dict[str, str]:
    """What of this process could make a difference."""
    import platform

    import llvmlite
    import numba
    import numpy

    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": os.environ.get("NUMBA_CPU_NAME", "host"),
        "threads": os.environ.get("NUMBA_NUM_THREADS", "all"),
        "hash_seed": os.environ.get("PYTHONHASHSEED", "random"),
        "numba": numba.__version__,
        "numpy": numpy.__version__,
        "llvmlite": llvmlite.__version__,
    }


if __name__ == "__main__":
    main()
