"""The parity ladder: the same decisions through one engine after the other (PARITY section 1)."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.extras import require
from dolphin.parity.case import Case

Progress = Callable[[int, int, str], None]
Rung = Callable[[Case], tuple[bool, str, dict[str, Any]]]

#: A rung's name: its number, or R for the one in plain Python.
Label = int | str

BARS, QUOTES, CHUNKS = "Nautilus, bars", "Nautilus, quotes", "2b: BacktestNode, catalog in chunks"
NODE, REPLAY = "Nautilus node, lockstep", "journal of the node"

#: Those that are climbed unless told, and all.
RUNGS: tuple[Label, ...] = (0, "R", 1, 2)
ALL: tuple[Label, ...] = (*RUNGS, 3, 4, 5)
#: What rungs import that not everybody has.
NEEDS = {1: "vectorbt", 2: "nautilus_trader", 3: "nautilus_trader"}


@dataclass(frozen=True)
class RungResult:
    """One rung: whether it held, in one sentence, and the numbers behind it."""

    rung: Label
    name: str
    passed: bool
    bars: int
    seconds: float
    detail: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class NotRun:
    """A rung, or a way of one, that is not there for this configuration, and why."""

    rung: Label
    name: str
    reason: str


@dataclass(frozen=True)
class LadderReport:
    """The rungs that were climbed, lowest first, and those that are not there for the configuration."""

    results: tuple[RungResult, ...]
    not_run: tuple[NotRun, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every rung that was climbed held."""
        return all(result.passed for result in self.results)

    def __repr__(self) -> str:
        told = ", ".join(f"rung {r.rung} {'equal' if r.passed else 'DIFFERENT'}" for r in self.results)
        return f"<ladder: {told}>"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "passed": self.passed,
            "rungs": [asdict(result) for result in self.results],
            "not_run": [asdict(rung) for rung in self.not_run],
        }


def ladder(
    dataset: Dataset,
    market: Market,
    config: Config,
    start: int,
    stop: int,
    *,
    rungs: Iterable[Label] = RUNGS,
    full_bars: int | None = None,
    journals: Path | None = None,
    progress: Progress | None = None,
) -> LadderReport:
    """Climb the rungs for one configuration over rows ``start`` to ``stop``.

    Parameters
    ----------
    dataset : Dataset
        Instruments, symbols and spacing of ``market``.
    market : Market
        From :func:`dolphin.market.assemble.open_market`.
    config : Config
        Any strategy, any number of slots, either fill timing.
    rungs : iterable of int or str
        Of 0 (core), "R" (plain Python), 1 (vectorbt), 2 (Nautilus, with scans, then with bars and with quotes),
        3 (a Nautilus TradingNode with the sandbox exchange, in lockstep), 4 (the journal of 3 decided again),
        5 (fresh processes: hash seeds, threads, CPU targets, other interpreters).
    full_bars : int, optional
        Bars of the Nautilus run that goes through every instrument's bars, those with the most orders;
        one day, or about 30,000 bar events, unless given.
    journals : Path, optional
        Folder for the journals of the Nautilus runs.
    progress : callable, optional
        ``progress(done, total, what)``.

    Raises
    ------
    DolphinError
        On an unknown rung or an empty window.
    """
    asked = list(rungs)
    wanted = [rung for rung in ALL if rung in asked]
    unknown = [rung for rung in asked if rung not in ALL]
    if unknown or not wanted:
        raise DolphinError(f"no rung {unknown[0] if unknown else 'is named'}", mend="choose of 0, R, 1, 2, 3, 4, 5")
    if not 0 <= start < stop <= len(market.ts):
        raise DolphinError(f"rows {start} to {stop} are no window of {len(market.ts)} bars", where=dataset.name)
    if full_bars is not None and full_bars < 1:
        raise DolphinError(f"full_bars is {full_bars}", mend="choose 1 or more")
    require(
        dict.fromkeys(package for rung, package in NEEDS.items() if rung in wanted),
        "rungs that go without: --rungs 0,R",
    )
    case = Case(dataset, market, config, start, stop, journals)
    if journals is None and {3, 4} <= {*wanted}:  # rung 4 reads what rung 3 wrote
        with tempfile.TemporaryDirectory(prefix="dolphin-ladder-") as folder:
            kept = replace(case, journals=Path(folder))
            return _climb(kept, wanted, full_bars, progress)
    return _climb(case, wanted, full_bars, progress)


def _climb(case: Case, wanted: list[Label], full_bars: int | None, progress: Progress | None) -> LadderReport:
    planned = list(_plan(case, wanted, full_bars))
    results = []
    for done, (rung, name, of, climb) in enumerate(planned):
        if progress:
            progress(done, len(planned), f"rung {rung}: {name}")
        began = time.perf_counter()
        passed, detail, facts = climb(of)
        seconds, bars = time.perf_counter() - began, facts.get("bars", of.bars)
        results.append(RungResult(rung, name, passed, bars, seconds, detail, facts))
    return LadderReport(tuple(results), tuple(_left_out(case, wanted)))


def _left_out(case: Case, rungs: list[Label]) -> Iterator[NotRun]:
    """The ways of rung 2 that do not know what this configuration does."""
    reason = _more_than_a_close(case)
    if reason and 2 in rungs:
        for name in (BARS, QUOTES, CHUNKS):
            yield NotRun(2, name, reason)


def _more_than_a_close(case: Case) -> str | None:
    """Why bars and quotes, which say no more than a close, do not do: None where they do."""
    if case.config.friction.model.columns:
        return f"fill model '{case.config.friction.fill_model}' reads more of a bar than its close"
    if case.has_limits and not case.on_ticks:
        return "a limit needs a whole tick beyond it, and closes here lie between ticks"
    return None


def _plan(case: Case, rungs: list[Label], full_bars: int | None) -> Iterator[tuple[Label, str, Case, Rung]]:
    """What to run. vectorbt and Nautilus are imported by their rungs, when they run."""
    from dolphin.parity.rung_node import node_rung, replay_rung
    from dolphin.parity.rung_plain import plain_rung
    from dolphin.parity.rung_platforms import platforms_rung
    from dolphin.parity.rungs_core import core_rung
    from dolphin.parity.rungs_nautilus import default_full_bars, fast_rung, full_rung, node_chunks_rung, quoted_rung
    from dolphin.parity.rungs_vectorbt import vectorbt_rung

    if 0 in rungs:
        yield 0, "per bar, batch, sweep", case, core_rung
    if "R" in rungs:
        yield "R", "plain Python, slow books", case, plain_rung
    if 1 in rungs:
        yield 1, "vectorbt's books", case, vectorbt_rung
    if 2 in rungs:
        yield 2, "Nautilus, scans", case, fast_rung
        if _more_than_a_close(case) is None:
            few = case.excerpt(full_bars or default_full_bars(case))
            yield 2, BARS, few, full_rung
            yield 2, QUOTES, few, quoted_rung
            yield 2, CHUNKS, few, node_chunks_rung
    if 3 in rungs:
        yield 3, NODE, case, node_rung
    if 4 in rungs:
        yield 4, REPLAY, case, replay_rung
    if 5 in rungs:
        yield 5, "other processes", case, platforms_rung
