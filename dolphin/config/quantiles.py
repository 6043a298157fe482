"""Parameters that a percentile settles: the word ``"p60"`` in a config, and the number of a window in its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dolphin.core.records import Market
from dolphin.core.strategy import Strategy
from dolphin.errors import DolphinError

if TYPE_CHECKING:
    from dolphin.config.config import Config

_WORD = re.compile(r"p(\d{1,3}(?:\.\d+)?)")


def word(percentile: float) -> str:
    """The percentile as a config writes it."""
    return f"p{percentile:.15g}"


def take_words(strategy: Strategy, params: Mapping[str, Any], where: str) -> tuple[dict[str, Any], dict[str, float]]:
    """The params table of a config without its percentiles, and these by parameter, in the model's order.

    Raises
    ------
    DolphinError
        For a word that is no percentile, and for a percentile of a parameter that none settles.
    """
    values, found = dict(params), {}
    for name, about in strategy.params.model_fields.items():  # type: ignore[attr-defined]
        value = values.get(name)
        if not isinstance(value, str) or about.annotation is not float:
            continue
        match = _WORD.fullmatch(value)
        if name not in strategy.quantiles:
            if match:
                raise DolphinError(
                    f"[params] {name} = {value!r}: no percentile settles it",
                    where=where,
                    mend=f"one settles {', '.join(strategy.quantiles)}" if strategy.quantiles else "write a number",
                )
            continue  # the model's own words say what it takes
        if match is None or float(match[1]) > 100.0:
            raise DolphinError(
                f"[params] {name} = {value!r} is neither a valid number nor a percentile from p0 to p100", where=where
            )
        found[name] = float(match[1])
        del values[name]
    return values, found


def settled(config: Config, market: Market, spans: Sequence[tuple[int, int]]) -> Config:
    """The config with its open percentiles taken over the rows of ``spans``, of the columns that it reads.

    Parameters
    ----------
    market : Market
        As the strategy of ``config`` reads it.
    spans : sequence of (start_row, stop_row)
        The training window. NaN rows are left out; between two values a percentile is interpolated.

    Raises
    ------
    DolphinError
        If a column has no value on these rows.
    """
    if not config.of_window:
        return config
    strategy, numbers = config.strategy, {}
    for name, percentile in config.of_window:
        role = strategy.quantiles[name]
        column = market.features[:, strategy.columns.index(role)]
        values = np.concatenate([column[start:stop] for start, stop in spans])
        known = values[~np.isnan(values)]
        if not len(known):
            raise DolphinError(
                f"{name} = \"{word(percentile)}\" needs bars with a value of '{role}'", mend="use a longer window"
            )
        numbers[name] = float(np.percentile(known, percentile))
    return config.with_quantiles(numbers)
