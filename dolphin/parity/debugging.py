"""A strategy in plain Python, bar by bar: prints, breakpoints and bounds are those of Python.

The engine is the slow one of rung R, so that nothing is compiled; see :mod:`dolphin.parity.slow`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dolphin.config import Config, settled
from dolphin.parity.generated_markets import generated
from dolphin.parity.in_plain import BARS, run_in_plain
from dolphin.parity.own_strategy import stretch
from dolphin.study.backtest import prepare
from dolphin.workspace import Workspace


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
    run = run_in_plain(config, market, 0, stop)
    actions = ("", "open", "close", "increase", "reduce", "reverse", "cancel")
    wishes = Counter(actions[int(wish[2])] for wish in run.wishes)
    return PlainRun(config.strategy_name, what, stop, dict(wishes), len(run.fills), len(run.trades))


def _bars(config: Config) -> int:
    return int(config.strategy.warmup_bars(config.params)) + BARS
