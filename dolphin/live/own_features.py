"""Plug-in features of a live strategy: computed here, bar by bar, whatever a scan says of them."""

from __future__ import annotations

from dolphin.core.records import Market
from dolphin.core.strategy import Strategy
from dolphin.features import Feature, FeatureStream


class OwnFeatures:
    """One stream per plug-in feature of ``strategy``, warmed with the rows before ``start``."""

    def __init__(self, strategy: Strategy, market: Market, start: int) -> None:
        self._streams: list[tuple[FeatureStream, list[int], list[int]]] = []
        names = strategy.columns
        for feature in strategy.plugins:
            assert isinstance(feature, Feature)
            stream = FeatureStream(feature, market.price.shape[1])
            inputs = [names.index(name) for name in feature.inputs]
            stream.warm(market.ts[:start], market.price[:start], market.features[:start, inputs])
            self._streams.append((stream, inputs, [names.index(name) for name in feature.names]))

    def fill(self, market: Market, bar: int) -> None:
        """Write the columns of row ``bar`` from its prices and the scanner's columns."""
        row = market.features[bar]
        for stream, inputs, own in self._streams:
            row[own] = stream.update(int(market.ts[bar]), market.price[bar], row[inputs])
