"""A strategy in plain Python, bar by bar: prints, breakpoints and bounds are those of Python.

The engine is the slow one of rung R, so that nothing is compiled; see :mod:`dolphin.parity.slow`.
"""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.config import Config, settled
from dolphin.core.mistakes import StrategyError
from dolphin.core.records import Market
from dolphin.parity.generated_markets import generated
from dolphin.parity.own_strategy import stretch
from dolphin.parity.slow.engine import SlowRun, run_slow
from dolphin.parity.slow.plain_case import plain_case
from dolphin.study.backtest import prepare
from dolphin.times import format_time
from dolphin.workspace import Workspace

BARS = 500  # decided beyond the warm-up


@dataclass(frozen=True)
class PlainRun:
    """What the strategy did in plain Python."""

    strategy: str
    market: str
    bars: int
    wishes: dict[str, int]
    fills: int
    trades: int


def debug(
    workspace: Workspace,
    config: Config,
    name: str | None = None,
    start_ns: int | None = None,
    stop_ns: int | None = None,
) -> PlainRun:
    """Run the strategy uncompiled on a generated market, or on the first bars of a dataset beyond its warm-up.

    Raises
    ------
    StrategyError
        Where the strategy raises: its file and line, the bar, and what was wrong.
    """
    if name is None:
        market = generated(config)["walk"]
        config = settled(config, market, [(0, len(market.ts))])
        what = "a generated market"
    else:
        _, market, config, low, stop = prepare(workspace, name, config, start_ns, stop_ns)
        market, what = stretch(market, low, min(stop, low + _bars(config))), name
    stop = min(len(market.ts), _bars(config))
    run = _run(config, market, stop)
    actions = ("", "open", "close", "increase", "reduce", "reverse", "cancel")
    wishes = Counter(actions[int(wish[2])] for wish in run.wishes)
    return PlainRun(config.strategy_name, what, stop, dict(wishes), len(run.fills), len(run.trades))


def _bars(config: Config) -> int:
    return int(config.strategy.warmup_bars(config.params)) + BARS


def _run(config: Config, market: Market, stop: int) -> SlowRun:
    case = plain_case(config, market)
    decide, at = case.decide, [0]

    def watched(state: Any, params: Any, rows: Any, i: int) -> None:
        at[0] = i
        decide(state, params, rows, i)

    case = replace(case, decide=watched)
    try:
        with np.errstate(all="ignore"):  # a NaN is no mistake: compiled code computes on, too
            return run_slow(case, 0, stop)
    except Exception as error:  # whatever the author's function raises
        raise _placed(error, config, f"at bar {at[0]}, which closes {format_time(market.ts[at[0]])}") from error


def _placed(error: Exception, config: Config, when: str) -> StrategyError:
    """The line of the strategy's own that raised."""
    own = {str(path) for path in config.strategy.sources}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    source, line = (Path(frames[-1].filename), frames[-1].lineno) if frames else (config.strategy.source, None)
    said = " ".join(str(error).split())
    return StrategyError(str(source), line or 0, f"{type(error).__name__}: {said} ({when})")
