"""The rules of plug-in features on the rows of a dataset: for the checks, and for ``dolphin check feature``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dolphin.catalog import Dataset, open_dataset
from dolphin.config import Config, parse_config
from dolphin.core.records import DAY_NS, Floats, Ints, Market
from dolphin.errors import DolphinError
from dolphin.features import Feature, compute_feature
from dolphin.features.conformance import Conformance, Rule, conform
from dolphin.market.assemble import feature_columns, inputs_of, open_market
from dolphin.parity.outside import DAYS, RULE, SHARE
from dolphin.parity.written_in import outside_functions, tables, with_other
from dolphin.study.measure.run import window_rows
from dolphin.times import format_time as iso
from dolphin.workspace import Workspace


def check_feature(
    workspace: Workspace,
    name: str,
    feature: Feature,
    config: Config | None = None,
    start_ns: int | None = None,
    stop_ns: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Conformance:
    """Every rule of ``feature`` on the prices of dataset ``name`` whose bars close in [start_ns, stop_ns).

    ``config`` says what stands in the roles that the feature reads (the defaults unless given). Bars before every
    input is a number are left out.
    """
    dataset = open_dataset(workspace, name)
    prices = dataset.prices()
    start, stop = window_rows(prices.ts, start_ns, stop_ns, name)
    inputs = None
    if feature.inputs:
        settings = config or parse_config({}, where="defaults")
        _, values = inputs_of(feature, feature_columns(dataset, progress), settings)
        start += _first_numbers(values[start:stop])
        inputs = values[start:stop]
    return judged(feature, prices.ts[start:stop], prices.close[start:stop], inputs)


def judged(feature: Feature, ts: Ints, close: Floats, inputs: Floats | None = None) -> Conformance:
    """Every rule of the suite, and that the feature reads its inputs only (:func:`reads_its_inputs`)."""
    found = conform(feature, ts, close, inputs)
    if not found.passed:
        return found
    return replace(found, rules=(*found.rules, reads_its_inputs(feature, ts, close, inputs)))


def reads_its_inputs(feature: Feature, ts: Ints, close: Floats, inputs: Floats | None = None) -> Rule:
    """No function from outside, no table that knows the data; how much depends on the date is said.

    A feature has no number of a row: its state begins anew with each day. So a table of its own that knows the data
    has to be asked by the time.
    """
    name, outside = RULE, outside_functions(feature.functions)
    if outside:
        return Rule(name, False, f"update calls '{outside[0]}', which may read files, clocks or other processes")
    plain = compute_feature(feature, ts, close, inputs)
    dated = _share(plain, compute_feature(feature, ts + DAYS * DAY_NS, close, inputs))
    read = tables(feature.functions)
    deciding = [table for table in read if _share(plain, compute_feature(_poisoned(feature, table), ts, close, inputs))]
    said = f"values that depend on the date {dated:.1%}"
    if deciding and dated > SHARE:
        told = f"'{deciding[0]}' ({read[deciding[0]]} numbers) is a memory of the data: other numbers in it, or another"
        return Rule(name, False, f"{told} date, give other values ({dated:.1%} of them)")
    return Rule(name, True, said + (f"; tables that decide: {', '.join(deciding)}" if deciding else ""))


def _poisoned(feature: Feature, table: str) -> Feature:
    return replace(feature, update=with_other(feature.update, table))


def _share(here: Floats, there: Floats) -> float:
    """Share of rows that are not the same."""
    return float((~((here == there) | (np.isnan(here) & np.isnan(there)))).any(axis=1).mean()) if len(here) else 0.0


def first_unfit(dataset: Dataset, market: Market, config: Config, stop: int) -> str | None:
    """The first rule that a plug-in feature of the strategy breaks on the rows up to ``stop``, in words."""
    for feature, inputs_at, _ in plugged(config):
        # Enough for every rule: days to start at, and warm-ups several times as long as stated.
        rows = 5 * feature.warmup_bars + 4 * -(-DAY_NS // dataset.spacing_ns)
        low = max(0, stop - rows)
        inputs = market.features[low:stop, list(inputs_at)]
        settled = _first_numbers(inputs)
        part = slice(low + settled, stop)
        try:
            found = judged(feature, market.ts[part], market.price[part], inputs[settled:])
        except DolphinError as error:
            return str(error)
        for rule in found.rules:
            if not rule.passed:
                return f"feature '{feature.name}', rows from {part.start}: broken rule '{rule.name}': {rule.detail}"
    return None


def plugged(config: Config) -> list[tuple[Feature, tuple[int, ...], tuple[int, ...]]]:
    """The plug-in features of the strategy, and the columns that each reads and fills."""
    own = config.strategy.plugged(config.params)
    return [(feature, inputs, columns) for feature, inputs, columns in own if isinstance(feature, Feature)]


def _first_numbers(inputs: Floats) -> int:
    """The first row at which every input is a number; 0 if there is none."""
    good = np.isfinite(inputs).all(axis=1)
    return int(np.argmax(good)) if good.any() else 0


def rewritten(dataset: Dataset, config: Config, low: int, high: int) -> str | None:
    """Say which plug-in column of rows ``low`` to ``high``, a whole day, is not what its rows up to there give."""
    market = open_market(dataset, config)
    for feature, inputs_at, columns in plugged(config):
        rows = slice(max(0, low - feature.warmup_bars), high)
        inputs = market.features[rows, list(inputs_at)]
        fresh = compute_feature(feature, market.ts[rows], market.price[rows], inputs)[low - rows.start :]
        stored = market.features[low:high, list(columns)]
        if not np.array_equal(fresh, stored, equal_nan=True):
            return f"feature '{feature.name}' of {iso(market.ts[low])[:10]} is not what its rows up to that day give"
    return None
