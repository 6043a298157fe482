"""From a row's prices to the features that the strategy reads: the streaming scanner, warmed with history."""

from __future__ import annotations

import numpy as np

from dolphin.config import Config
from dolphin.core.records import Floats
from dolphin.features import FeatureBlock, Scanner
from dolphin.live.feed import History, Row
from dolphin.market.assemble import scanner_column


class RowScanner:
    """One row of features at a time, bit for bit what research scans.

    Parameters
    ----------
    config : Config
    history : History
        Rows before the first; :func:`dolphin.features.history_bars` of them for the same bits.
    reference : int
        Column of the reference symbol.

    Attributes
    ----------
    warm : float64 [T, F]
        The features of the history.
    """

    def __init__(self, config: Config, history: History, reference: int) -> None:
        self._config = config
        self._scanner = Scanner(history.price.shape[1], reference)
        self._own = {config.strategy.columns[k] for _, _, at in config.strategy.plugged(config.params) for k in at}
        block = self._scanner.warm(history.ts, history.price)
        self.warm = self._chosen(block)

    def __call__(self, row: Row) -> Floats:
        """The features (F,) of the next row."""
        chosen: Floats = self._chosen(self._scanner.update(row.ts, row.price))[0]
        return chosen

    def _chosen(self, block: FeatureBlock) -> Floats:
        strategy, roles = self._config.strategy, self._config.features
        columns = block.columns()
        out = np.full((len(block), len(strategy.columns)), np.nan)
        for k, name in enumerate(strategy.columns):
            if name not in self._own:  # those the session computes itself
                out[:, k] = scanner_column(columns, str(roles.get(name, name)), f"strategy '{strategy.name}'")
        return out
