"""A process that has imported everything and forks children that work and, if asked, are killed at work.

Reads one JSON job a line: ``jobs`` (a list of ``{"do": ..., ...}`` that run side by side) and ``after``
(seconds until SIGKILL, or null). Answers one line: per job what came of it. The process itself never
calls polars: a fork would inherit the locks of its threads.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.catalog import import_klines, open_dataset, readers  # noqa: F401 - what children would import
from dolphin.catalog.store.checking import check_all
from dolphin.core.logarithm import ln_array
from dolphin.errors import DolphinError
from dolphin.features import scan, scanner_digest
from dolphin.market.assemble import feature_columns
from dolphin.market.scanning import scan_dataset
from dolphin.workspace import Workspace


def work(job: dict[str, Any]) -> list[Any]:
    """What is to do, one after the other, in a workspace on dataset ``k``."""
    return [step(what, job) for what in job["do"]]


def step(what: str, job: dict[str, Any]) -> Any:
    home = Workspace(Path(job["home"]))
    if what == "import":
        return import_klines(home, Path(job["source"]), "k").dataset.digest
    if what == "scan":
        return scan_dataset(open_dataset(home, "k")).days
    if what == "cache":
        columns = feature_columns(open_dataset(home, "k"))
        return {name: float(np.nansum(values)) for name, values in columns.items()}
    if what == "check":
        problems = [line for lines in check_all(home).values() for line in lines]
        there = (home.catalog / "k.json").is_file()
        return {"problems": problems, "digest": open_dataset(home, "k").digest if there else None}
    raise ValueError(what)


def begin(job: dict[str, Any]) -> tuple[int, int]:
    """Fork a child for a job; its pid and the pipe with its answer."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    os.close(reading)
    try:
        try:
            answer = {"state": "done", "result": work(job)}
        except DolphinError as error:
            answer = {"state": "refused", "result": str(error)}
        except BaseException as error:
            answer = {"state": "failed", "result": repr(error)}
        os.write(writing, json.dumps(answer).encode())
    finally:
        os._exit(0)


def run(jobs: list[dict[str, Any]], after: float | None) -> list[dict[str, Any]]:
    """Run the jobs side by side; each is killed ``after`` seconds if it is still at work."""
    began = time.monotonic()
    answers = []
    for child, pipe in [begin(job) for job in jobs]:
        patience = 120.0 if after is None else max(0.0, began + after - time.monotonic())
        data = b""
        if not select.select([pipe], [], [], patience)[0]:
            os.kill(child, signal.SIGKILL)
        while part := os.read(pipe, 1 << 16):
            data += part
        os.close(pipe)
        os.waitpid(child, 0)
        answer = json.loads(data) if data else {"state": "killed", "result": None}
        answers.append(answer | {"seconds": time.monotonic() - began})
    return answers


def warm() -> None:
    """Compile what the children need, without polars and without threads."""
    rng = np.random.default_rng(1)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-4, (64, 3)), axis=0))
    scan(60_000_000_000 * np.arange(1, 65, dtype=np.int64), close, 0)
    ln_array(close)
    scanner_digest()


def main() -> None:
    warm()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        document = json.loads(line)
        print(json.dumps(run(document["jobs"], document["after"])), flush=True)


if __name__ == "__main__":
    main()
