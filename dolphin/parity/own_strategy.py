"""The rules of strategies on generated markets and on a stretch of a dataset: for ``dolphin check strategy``."""

from __future__ import annotations

import numpy as np

from dolphin.config import Config
from dolphin.core.records import Market
from dolphin.parity.strategy_conformance import Conformance, conform
from dolphin.parity.strategy_rules import AFTER
from dolphin.progress import Progress
from dolphin.study.backtest import prepare
from dolphin.workspace import Workspace

#: Bars of a dataset that are decided beyond the warm-up, and how many a rule may take at most.
BARS, MOST = 1_500, 20_000


def check_strategy(
    workspace: Workspace,
    config: Config,
    name: str | None = None,
    start_ns: int | None = None,
    stop_ns: int | None = None,
    progress: Progress | None = None,
) -> Conformance:
    """Every rule of the strategy of ``config``, where it is named also on dataset ``name``.

    Of the dataset's bars that close in [start_ns, stop_ns) the last ones are taken: the strategy's warm-up and BARS
    more. A percentile among the parameters is that of the generated markets there, of the window here.
    """
    if name is None:
        return conform(config, progress=progress)
    _, market, settled, start, stop = prepare(workspace, name, config, start_ns, stop_ns, progress)
    rows = min(MOST, int(config.strategy.warmup_bars(settled.params)) + BARS + AFTER)
    low = max(start, stop - rows)
    on_data = conform(settled, {name: stretch(market, low, stop)}, progress=progress)
    return _joined(conform(config, progress=progress), on_data, low)


def stretch(market: Market, low: int, stop: int) -> Market:
    """Rows ``low`` to ``stop`` as a market of their own, in memory."""
    return market._replace(**{part: np.array(values[low:stop]) for part, values in market.by_row().items()})


def _joined(generated_: Conformance, on_data: Conformance, low: int) -> Conformance:
    """Both answers as one: a rule holds where both hold; bars of the dataset are its rows."""
    rules = {rule.name: rule for rule in generated_.rules}
    for rule in on_data.rules:
        first = rules.get(rule.name)
        if first is None or (first.passed and not rule.passed):
            at = f"; bars are counted from row {low}" if not rule.passed and low else ""
            rules[rule.name] = rule._replace(detail=rule.detail + at, bar=None if rule.bar is None else rule.bar + low)
        elif first.passed:
            rules[rule.name] = first._replace(detail=f"{first.detail}; {on_data.markets[0]}: {rule.detail}")
    return Conformance(generated_.strategy, (*generated_.markets, *on_data.markets), tuple(rules.values()))
