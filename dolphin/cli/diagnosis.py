"""What this machine can do: versions, CPU, kernel cache, workspace, optional parts."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dolphin import workspace
from dolphin.core import jit
from dolphin.errors import DolphinError
from dolphin.extras import install

REQUIRED = ("numba", "numpy", "polars", "pydantic", "plotly", "scipy")
#: Import name of an optional part, what it is for, and what brings it where it is no extra of this package.
OPTIONAL = {
    "nautilus_trader": ("ladder rung 2, paper and live", None),
    "vectorbt": ("ladder rung 1", None),
    "duckdb": ("SQL and bars from ticks", "pip install duckdb"),
    "optuna": ("adaptive samplers and studies", "pip install optuna"),
    "sklearn": ("the forewarner", None),
    "distributed": ("sweeps on a cluster", None),
    "exchange_calendars": ("session calendars", "pip install exchange_calendars"),
    "flint": ("dolphin scan --certify", None),
    "httpx": ("dolphin data pull", "pip install httpx tenacity"),
    "fastexcel": ("Excel files", None),
    "aiohttp": ("dolphin ui, dolphin exchange", None),
    "msgspec": ("dolphin feeds", None),
    "hazelcast": ("the shared feature store", None),
    "apscheduler": ("dolphin service run-jobs", None),
    "prometheus_client": ("dolphin service status-port", None),
}
#: What a module is called where it is installed from, if not the same.
DISTRIBUTIONS = {"hazelcast": "hazelcast-python-client", "sklearn": "scikit-learn", "flint": "python-flint"}


@dataclass(frozen=True)
class Finding:
    """``ok`` is True, False (something needed is missing) or None (an optional part is absent)."""

    part: str
    ok: bool | None
    detail: str


def examine() -> list[Finding]:
    """Look at everything, and run one kernel to see that compiling works."""
    version = f"{platform.python_version()} ({sys.executable})"
    findings = [Finding("Python", (3, 12) <= sys.version_info[:2] <= (3, 13), version)]
    cpus = os.cpu_count() or 1
    findings.append(Finding("CPU", True, f"{platform.machine()}, {cpus} cores, {_llvm_cpu()}"))
    for name in REQUIRED:
        findings.append(_package(name, "needed", f"pip install {name}", needed=True))
    findings.append(_kernel_cache())
    findings.append(_compiles())
    try:
        found = workspace.find()
        findings.append(Finding("workspace", True, str(found.root)))
    except DolphinError as error:
        findings.append(Finding("workspace", None, str(error)))
    for name, (purpose, mend) in OPTIONAL.items():
        findings.append(_package(name, purpose, mend or install(name), needed=False))
    return findings


def _package(name: str, purpose: str, mend: str, *, needed: bool) -> Finding:
    if importlib.util.find_spec(name) is None:
        return Finding(name, False if needed else None, f"for {purpose}: {mend}")
    return Finding(name, True, importlib.metadata.version(DISTRIBUTIONS.get(name, name)))


def _llvm_cpu() -> str:
    import llvmlite.binding

    return str(os.environ.get("NUMBA_CPU_NAME") or llvmlite.binding.get_host_cpu_name())


def _kernel_cache() -> Finding:
    folder: Path = jit.cache_folder(jit.kernel_digest())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        mend = "every start compiles anew; set NUMBA_CACHE_DIR to a folder that can be written"
        return Finding("kernel cache", None, f"{folder}: {error.strerror}; {mend}")
    return Finding("kernel cache", True, f"{folder}, {sum(1 for _ in folder.glob('**/*.nbc'))} kernels")


def _compiles() -> Finding:
    import math

    import numpy as np

    from dolphin.core.logarithm import ln_array

    got = float(ln_array(np.array([2.0]))[0])
    return Finding("kernels", abs(got - math.log(2.0)) < 1e-15, f"compiled and ran: ln 2 = {got!r}")
