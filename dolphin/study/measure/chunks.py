"""What travels to a worker of a cluster: a chunk of combinations, and who it may be run by.

A chunk names its dataset by digest and carries one configuration in full and, of the parameters in which
its combinations differ, a number each: about 40 bytes a combination where five parameters are searched.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from dolphin.catalog import Dataset, open_dataset
from dolphin.config import Config, parse_config
from dolphin.core.jit import PACKAGE, source_digest
from dolphin.core.records import Floats, Ints
from dolphin.errors import DolphinError
from dolphin.features import scanner_digest
from dolphin.files import canonical_json
from dolphin.study.measure.evaluator import LocalEvaluator
from dolphin.study.measure.measured import Combinations, Measures, combinations, measure_records
from dolphin.study.measure.spans import Span
from dolphin.workspace import Workspace

#: Libraries that decide bits of a result; a worker has the client's versions.
LIBRARIES = ("numpy", "numba", "llvmlite", "polars")

#: What of this package a worker runs, beside the strategy: that is in the engine's digest.
SOURCES = (
    "core/*.py", "features/*.py", "strategies/__init__.py", "config/*.py", "catalog/store/*.py",
    "catalog/derived/scans.py", "market/*.py", "study/measure/*.py",
)  # fmt: skip


@dataclass(frozen=True)
class Chunk:
    """Combinations of one configuration's variants over some spans of one dataset.

    ``config`` is the canonical JSON of the first; ``columns`` holds what differs between the ``count``
    combinations by ``section.field``; ``code`` is :func:`code_of` where the chunk was made.
    """

    workspace: str
    dataset: str
    code: Mapping[str, str]
    config: str
    columns: Mapping[str, Floats | Ints]
    count: int
    spans: tuple[Span, ...]
    daily: bool


@dataclass(frozen=True)
class Answer:
    """Measures of a chunk's spans, in their order, and the seconds that the runs took."""

    parts: list[Measures]
    seconds: float


class Packing:
    """Cuts chunks out of configurations that read the same market."""

    def __init__(self, dataset: Dataset, configs: Sequence[Config], daily: bool) -> None:
        self.dataset, self.daily = dataset, daily
        self.code = code_of(configs[0])
        self.config = canonical_json(configs[0].document()).decode()
        self.columns = dict(_differing(combinations(configs)))

    def chunk(self, low: int, high: int, spans: tuple[Span, ...]) -> Chunk:
        """Combinations ``low`` to ``high``."""
        return Chunk(
            workspace=str(self.dataset.root.parent.resolve()),
            dataset=f"{self.dataset.name}@{self.dataset.digest}",
            code=self.code,
            config=self.config,
            columns={name: values[low:high] for name, values in self.columns.items()},
            count=high - low,
            spans=spans,
            daily=self.daily,
        )


def run_chunk(chunk: Chunk) -> Answer:
    """Measure a chunk in this process, on one thread.

    Raises
    ------
    DolphinError
        If the code or the libraries are others than where the chunk was made, or the data is not here.
    """
    _refuse_other_code(chunk.code, libraries())
    with _opening:
        evaluator = _opened(chunk.workspace, chunk.dataset, os.environ.get("DOLPHIN_HOME"))
        config = _parsed(chunk.config, Workspace(evaluator.dataset.root.parent).research)
        market = evaluator.market(config)
    _refuse_other_code(chunk.code, code_of(config))
    many, engine = _unpacked(config, chunk), config.engine
    began, parts = time.perf_counter(), []
    for start, stop in chunk.spans:
        found = measure_records(engine, many, market, start, stop)
        daily = found.daily_returns if chunk.daily else found.daily_returns[:, :0]
        parts.append(Measures(found.metrics, daily, found.exits))
    return Answer(parts, time.perf_counter() - began)


def run_on_worker(chunk: Chunk) -> Answer:
    """:func:`run_chunk` on a worker of a cluster; what goes wrong there says where."""
    from distributed import get_worker

    try:
        return run_chunk(chunk)
    except DolphinError as error:
        raise DolphinError(str(error), where=f"worker {get_worker().address}") from None


def code_of(config: Config) -> dict[str, str]:
    """All that a result depends on beside data and parameters, by a name for people."""
    return {
        **libraries(),
        "engine digest": config.engine.digest,
        "scanner digest": scanner_digest(),
    }


@functools.cache
def libraries() -> dict[str, str]:
    """Python, the libraries and the sources of this package that a worker runs."""
    sources = [path for pattern in SOURCES for path in PACKAGE.glob(pattern)]
    versions = {name: metadata.version(name) for name in LIBRARIES}
    return {"Python": platform.python_version(), **versions, "source digest": source_digest(sources)}


def _refuse_other_code(theirs: Mapping[str, str], ours: Mapping[str, str]) -> None:
    for what, here in ours.items():
        if theirs[what] != here:
            raise DolphinError(
                f"the worker runs other code: {what} {here[:16]}, not {theirs[what][:16]}",
                mend="install the same version and start the worker again",
            )


def _differing(many: Combinations) -> Mapping[str, Floats | Ints]:
    """The fields that are not the same, by bits, in all combinations."""
    fields = {f"params.{name}": many.params[name] for name in many.params.dtype.names or ()}
    fields |= {f"friction.{name}": many.friction[name] for name in many.friction.dtype.names or ()}
    fields["capital"] = many.capital
    bits = {name: np.ascontiguousarray(values).view(np.int64) for name, values in fields.items()}
    return {name: np.ascontiguousarray(fields[name]) for name, found in bits.items() if (found != found[0]).any()}


def _unpacked(config: Config, chunk: Chunk) -> Combinations:
    one = combinations([config])
    params, friction, capital = (
        np.repeat(one.params, chunk.count),
        np.repeat(one.friction, chunk.count),
        np.repeat(one.capital, chunk.count),
    )
    many = Combinations(params, friction, capital)
    for name, values in chunk.columns.items():
        section, _, field = name.partition(".")
        if field:
            getattr(many, section)[field] = values
        else:
            many.capital[:] = values
    return many


#: Threads of one worker process open the data once.
_opening = threading.Lock()


@functools.lru_cache(maxsize=2)
def _opened(workspace: str, dataset: str, own: str | None) -> LocalEvaluator:
    """The mapped data, one per process: from the client's folder if it is here, else from the worker's own."""
    homes = [Workspace(Path(home)) for home in (workspace, own) if home]
    homes = [home for home in homes if home.catalog.is_dir()] or homes[-1:]
    return LocalEvaluator(open_dataset(homes[0], dataset), threads=1)


@functools.lru_cache(maxsize=64)
def _parsed(text: str, research: Path) -> Config:
    return parse_config(json.loads(text), where="chunk", research=research)
