"""The ladder, the first difference, the gate and the champions from Python."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dolphin.api.configs import as_config, ns
from dolphin.api.results import RunResult
from dolphin.errors import DolphinError, NotFound
from dolphin.gate import GateReport
from dolphin.gate.apart import judge_apart, promote_apart
from dolphin.gate.champions import Champion, open_champion
from dolphin.parity.divergence import Comparison, compare
from dolphin.parity.ladder import RUNGS, Label, LadderReport
from dolphin.parity.ladder import ladder as climb
from dolphin.parity.named import side
from dolphin.progress import Progress
from dolphin.study.backtest import prepare
from dolphin.workspace import Workspace
from dolphin.workspace import find as find_workspace


def ladder(
    name: str,
    config: Any = "vel_div",
    start: str | None = None,
    stop: str | None = None,
    *,
    rungs: Iterable[Label] = RUNGS,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> LadderReport:
    """The same decisions through one engine after the other: the core three ways, plain Python, vectorbt, Nautilus."""
    home = workspace or find_workspace()
    dataset, market, settings, low, high = prepare(home, name, as_config(config, home), ns(start), ns(stop), progress)
    return climb(dataset, market, settings, low, high, rungs=rungs, progress=progress)


def parity(
    left: str | Path | RunResult,
    right: str | Path | RunResult,
    *,
    config: Any = None,
    tolerance: float | None = None,
    workspace: Workspace | None = None,
) -> Comparison:
    """The first bar, stage and field where two runs differ, and why.

    Parameters
    ----------
    left, right : str, Path or RunResult
        Run folders, journals, results with a folder, or ``"DATASET@rung0"`` with ``config``.
    """
    try:
        home = workspace or find_workspace()
    except NotFound:
        home = None  # digests can be compared; only the fields need the data

    def prepared(name: str) -> Any:
        assert home is not None
        return prepare(home, name, as_config(config, home))

    with tempfile.TemporaryDirectory(prefix="dolphin-parity-") as folder:
        sides = [
            side(_named(what), home, prepared if config is not None else None, Path(folder) / which)
            for which, what in (("a", left), ("b", right))
        ]
        return compare(sides[0], sides[1], home, tolerance=tolerance)


def _named(what: str | Path | RunResult) -> str:
    if isinstance(what, RunResult):
        if what.out is None:
            raise DolphinError("this run has no folder to compare", mend="give out= to dolphin.backtest")
        return str(what.out)
    return str(what)


def gate(
    candidate: str | Path | RunResult = "blue",
    *,
    data: str | None = None,
    start: str | None = None,
    stop: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> GateReport:
    """Is there an edge, and is it good enough: the verdict with all that it rests on. Moves nothing.

    Parameters
    ----------
    candidate : str, Path or RunResult
        A run's folder, a config file (with ``data``), ``blue`` or ``green``.
    """
    home = workspace or find_workspace()
    return judge_apart(home, _named(candidate), dataset=data, start=start, stop=stop, progress=progress)


def promote(
    candidate: str | Path | RunResult,
    *,
    reason: str,
    pointer: str = "blue",
    data: str | None = None,
    start: str | None = None,
    stop: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> Champion:
    """Freeze what passes the gate and move a pointer to it; :class:`~dolphin.errors.Refused` says why not."""
    home = workspace or find_workspace()
    return promote_apart(
        home, _named(candidate), dataset=data, start=start, stop=stop, pointer=pointer, reason=reason, progress=progress
    )


def champion(pointer: str = "blue", *, workspace: Workspace | None = None) -> Champion:
    """The frozen champion that a pointer is at."""
    return open_champion(workspace or find_workspace(), pointer)
