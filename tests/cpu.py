"""What each test costs in CPU seconds, and the limit that keeps the fast suite fast.

CPU time rather than the clock: a busy machine must not fail a test. The compiling of kernels that are cached on disk
does not count, for it happens once per machine and not once per run. Of the processes that a test started and waited
for nobody knows what they compiled, so they have a limit of their own that leaves room for it.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Generator
from typing import Any

import pytest
from numba.core import event
from numba.core.caching import NullCache

#: Seconds of CPU that one phase of a test, and the processes it started, may take unless it is marked slow. A busy
#: machine doubles what a test takes alone.
LIMIT, LIMIT_OF_CHILDREN = 45.0, 120.0


def used() -> tuple[float, float]:
    """CPU seconds so far of this process, without what it compiled, and of its ended children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() - compiling.seconds, children.ru_utime + children.ru_stime


class Compiling(event.Listener):  # type: ignore[misc]
    """CPU seconds that went into kernels that are cached on disk."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.began: list[float] = []

    def on_start(self, event: Any) -> None:
        self.began.append(time.process_time())

    def on_end(self, event: Any) -> None:
        began = self.began.pop()
        if not self.began and not isinstance(event.data["dispatcher"]._cache, NullCache):
            self.seconds += time.process_time() - began


compiling = Compiling()


def _phase(item: pytest.Item, name: str) -> Generator[None, Any, Any]:
    began, compiled = used(), compiling.seconds
    result = yield
    own, children = (after - before for before, after in zip(began, used(), strict=True))
    parts = {"": own, " of children": children, " compiling": compiling.seconds - compiled}
    item.user_properties += [(f"cpu {name}{part}", cost) for part, cost in parts.items()]
    if (own > LIMIT or children > LIMIT_OF_CHILDREN) and item.get_closest_marker("slow") is None:
        said = f"the {name} took {own:.1f} s of CPU and {children:.1f} s in children; more than"
        pytest.fail(f"{said} {LIMIT:g} and {LIMIT_OF_CHILDREN:g}: make it cheaper or mark it slow", pytrace=False)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _phase(item, "setup"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _phase(item, "call"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu", type=int, metavar="N", help="show the N tests and files that take most CPU time")


def pytest_configure() -> None:
    event.register("numba:compile", compiling)


def pytest_unconfigure() -> None:
    event.unregister("numba:compile", compiling)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The costliest tests and files, and their sum over all workers."""
    if not config.option.cpu:
        return
    tests: dict[str, dict[str, float]] = {}
    for report in (r for reports in terminalreporter.stats.values() for r in reports):
        if getattr(report, "when", None) == "teardown":
            tests[report.nodeid] = {k: v for k, v in report.user_properties if k.startswith("cpu ")}
    files: dict[str, float] = {}
    compiled = sum(v for phases in tests.values() for k, v in phases.items() if k.endswith("compiling"))
    for name, phases in tests.items():
        file = name.split("::")[0]
        files[file] = files.get(file, 0.0) + sum(phases.values())
    terminalreporter.section(
        f"CPU: {sum(files.values()):.0f} s in {len(tests)} tests, {compiled:.0f} s of them compiling"
    )
    for file, cost in sorted(files.items(), key=lambda pair: -pair[1])[: config.option.cpu]:
        terminalreporter.line(f"{cost:8.2f} s  {file}")
    for name, phases in sorted(tests.items(), key=lambda pair: -sum(pair[1].values()))[: config.option.cpu]:
        split = ", ".join(f"{k[4:]} {v:.2f}" for k, v in phases.items() if v >= 0.005)
        terminalreporter.line(f"{sum(phases.values()):8.2f} s  {name}  ({split})")
