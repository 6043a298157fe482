"""Bars decided in plain Python by the slow engine: nothing is compiled, and what the author wrote has its line."""

from __future__ import annotations

import contextlib
import io
import linecache
import math
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.config import Config
from dolphin.core.jit import PACKAGE
from dolphin.core.mistakes import StrategyError
from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.parity.slow.engine import SlowRun, run_slow
from dolphin.parity.slow.plain_case import plain_case
from dolphin.study.backtest import prepare
from dolphin.study.trials.registry import Registry
from dolphin.times import format_time
from dolphin.workspace import Workspace

#: Bars decided beyond the warm-up, and the most in all, before the first run of a new source.
BARS, MOST = 500, 5_000
#: Seconds of the processor after which it has looked long enough.
PATIENCE_S = 5.0


def run_in_plain(config: Config, market: Market, start: int, stop: int, patience_s: float = math.inf) -> SlowRun:
    """Decide bars ``start`` to ``stop``.

    Raises
    ------
    StrategyError
        Where the strategy raises: its file and line, the bar, and what was wrong. Where it decides for longer than
        ``patience_s`` seconds of the processor, a TimeoutError is what was wrong.
    """
    case = plain_case(config, market)
    decide, at, end = case.decide, [start], time.process_time() + patience_s

    def watched(state: Any, params: Any, rows: Any, i: int) -> None:
        at[0] = i
        if time.process_time() > end:
            raise TimeoutError("decided for too long")
        decide(state, params, rows, i)

    case = replace(case, decide=watched)
    try:
        with np.errstate(all="ignore"):  # a NaN is no mistake: compiled code computes on, too
            return run_slow(case, start, stop)
    except Exception as error:  # whatever the author's function raises
        when = f"at bar {at[0]}, which closes {format_time(market.ts[at[0]])}"
        raise _placed(error, config, market, when) from error


def outside_at(config: Config, market: Market, start: int, stop: int) -> StrategyError | None:
    """The first index that lies outside an array; None where there is none, or something else stops it before."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            run_in_plain(config, market, start, stop, PATIENCE_S)
    except StrategyError as mistake:
        return mistake if isinstance(mistake.__cause__, IndexError) and mistake.line else None
    return None


def look_before_first_run(
    workspace: Workspace, name: str, config: Config, start_ns: int | None = None, stop_ns: int | None = None
) -> None:
    """Decide the first bars of a run in plain Python if no run of this source, one's own, is registered.

    A run is compiled without checks of bounds: an index outside an array would read whatever lies there. Anything else
    that is wrong the run itself will say.

    Raises
    ------
    StrategyError
        If an index lies outside an array.
    """
    bundled = all(PACKAGE in Path(file).parents for file in config.strategy.sources)
    if bundled or _registered(workspace, config.engine.digest):
        return
    try:
        _, market, config, start, stop = prepare(workspace, name, config, start_ns, stop_ns)
        bars = min(int(config.strategy.warmup_bars(config.params)) + BARS, MOST)
    except DolphinError:
        return
    mistake = outside_at(config, market, start, min(stop, start + bars))
    if mistake is not None:
        raise mistake from None


def _registered(workspace: Workspace, digest: str) -> bool:
    trials = Registry(workspace).trials()
    return not trials.filter(engine_digest=digest, state="done").head(1).collect().is_empty()


def _placed(error: Exception, config: Config, market: Market, when: str) -> StrategyError:
    """The line of the strategy's own that raised."""
    own = {str(path) for path in config.strategy.sources}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    source, line = (Path(frames[-1].filename), frames[-1].lineno) if frames else (config.strategy.source, None)
    said = " ".join(str(error).split())
    mend = None
    if isinstance(error, IndexError) and "features[" in linecache.getline(str(source), line or 0):
        count = market.features.shape[1]
        mend = f"it declares {count} feature{'s' * (count != 1)}: Strategy(features=...)"
    return StrategyError(str(source), line or 0, f"{type(error).__name__}: {said} ({when})", mend)
