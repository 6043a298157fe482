"""Plug-in features of a live strategy: computed here, bar by bar, whatever a scan says of them."""

from __future__ import annotations

from collections.abc import Sequence

from dolphin.core.declaration import Plugged
from dolphin.core.records import Market
from dolphin.features import Feature, FeatureStream


class OwnFeatures:
    """One stream per plug-in feature, warmed with the rows before ``start``."""

    def __init__(self, plugged: Sequence[Plugged], market: Market, start: int) -> None:
        self._streams: list[tuple[FeatureStream, list[int], list[int]]] = []
        for feature, inputs, columns in plugged:
            assert isinstance(feature, Feature)
            stream = FeatureStream(feature, market.price.shape[1])
            stream.warm(market.ts[:start], market.price[:start], market.features[:start, list(inputs)])
            self._streams.append((stream, list(inputs), list(columns)))

    def fill(self, market: Market, bar: int) -> None:
        """Write the columns of row ``bar`` from its prices and the scanner's columns."""
        row = market.features[bar]
        for stream, inputs, own in self._streams:
            row[own] = stream.update(int(market.ts[bar]), market.price[bar], row[inputs])
