"""What the forewarner learns from: a configuration, the market where a window begins, and whether the window went bad.

A window *goes bad* when a fresh, flat account that begins there draws down by more than ``loss`` within ``days``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.catalog import Dataset
from dolphin.config import Config, parse_config
from dolphin.core.records import DAY_NS, Floats, Ints
from dolphin.errors import DolphinError
from dolphin.market.assemble import feature_columns, open_market
from dolphin.progress import Progress
from dolphin.study.measure.evaluator import by_market
from dolphin.study.measure.measured import combinations, measure_records
from dolphin.study.trials.trials import trials_of
from dolphin.workspace import Workspace

#: Bars over which the state of the market is summed up: the fast window and the slow one of the scanner.
FAST, SLOW = 50, 750
#: The market's part of an example, in this order.
MARKET = (
    "vol",
    "vol_ratio",
    "vel_div",
    "vel_div_mean",
    "vel_div_std",
    "vel_div_low",
    "v750_vel",
    "instability_50",
    "instability_150",
    "bull_pct",
    "bear_pct",
)


@dataclass(frozen=True)
class Examples:
    """Examples, ordered by window and then configuration.

    ``x`` (E, F) float32; ``bad`` (E,) bool; ``window`` (E,) int64 number of the window; ``starts``, ``stops`` (W,)
    int64 ns closes of each window's first and last bar; ``names`` (F,) of the columns of ``x``.
    """

    x: NDArray[np.float32]
    bad: NDArray[np.bool_]
    window: Ints
    starts: Ints
    stops: Ints
    names: tuple[str, ...]

    def of_windows(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(E,) bool: which examples are of these windows (W,)."""
        return chosen[self.window]


def market_state(columns: Mapping[str, NDArray[Any]]) -> Floats:
    """(T, 11) float64: :data:`MARKET` at each bar, from rows up to it; NaN until the slow window is full."""
    vol, vel_div = np.asarray(columns["vol"], np.float64), np.asarray(columns["vel_div"], np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        rolled = {
            "vol_ratio": vol / _rolled(vol, SLOW, np.mean),
            "vel_div_mean": _rolled(vel_div, FAST, np.mean),
            "vel_div_std": _rolled(vel_div, FAST, np.std),
            "vel_div_low": _rolled(vel_div, FAST, np.min),
        }
    found = [rolled[name] if name in rolled else np.asarray(columns[name], np.float64) for name in MARKET]
    return np.column_stack(found)


def _rolled(values: Floats, bars: int, what: Any) -> Floats:
    """``what`` of the ``bars`` values up to each row."""
    out = np.full(len(values), np.nan)
    if len(values) >= bars:
        out[bars - 1 :] = what(np.lib.stride_tricks.sliding_window_view(values, bars), axis=1)
    return out


def configs_of(workspace: Workspace, study: str, most: int, seed: int) -> list[Config]:
    """At most ``most`` of a study's distinct configurations that were run, drawn with ``seed``.

    Raises
    ------
    DolphinError
        If the study is not registered or has none.
    """
    done = trials_of(workspace, study).filter(state="done").unique("config_hash", maintain_order=True)
    texts = sorted(done["config"].drop_nulls().to_list())
    if not texts:
        raise DolphinError(f"study '{study}' has no finished trial", mend=f"run it: dolphin sweep {study}.toml")
    rng = np.random.default_rng(seed)
    chosen = sorted(rng.permutation(len(texts))[:most].tolist())
    tables = [{key: value for key, value in json.loads(texts[k]).items() if value is not None} for k in chosen]
    return [parse_config(table, where=study, research=workspace.research) for table in tables]


def numbers_of(configs: Sequence[Config]) -> tuple[tuple[str, ...], Floats]:
    """The numeric parameters that differ between configurations, by name, and their values (C, P)."""
    documents = [{**config.friction.model_dump(), **config.params.model_dump()} for config in configs]
    names = [n for n, v in documents[0].items() if isinstance(v, int | float) and not isinstance(v, bool)]
    names = [name for name in names if len({document[name] for document in documents}) > 1]
    return tuple(names), np.array([[float(d[name]) for name in names] for d in documents]).reshape(len(configs), -1)


def examples_of(
    dataset: Dataset,
    configs: Sequence[Config],
    names: Sequence[str],
    *,
    days: float,
    loss: float,
    every_ns: int,
    threads: int = 1,
    progress: Progress | None = None,
) -> Examples:
    """Run every configuration on a window of ``days`` from every start, and see which lost more than ``loss``.

    Parameters
    ----------
    names : sequence of str
        The parameters that the examples carry, after :data:`MARKET`.
    every_ns : int
        Time between two starts.

    Raises
    ------
    DolphinError
        If the data is shorter than a window after the scanner's memory.
    """
    columns, ts = feature_columns(dataset, progress), dataset.grid()
    state, bars = market_state(columns), round(days * DAY_NS / dataset.spacing_ns)
    step = max(1, round(every_ns / dataset.spacing_ns))
    starts = np.arange(1, len(ts) - bars + 1, step)
    starts = starts[~np.isnan(state[starts - 1]).any(axis=1)]  # known at the bar before the first decision
    if not len(starts):
        raise DolphinError(f"no window of {days:g} days in it", where=dataset.name, mend="use more data or fewer days")
    _, values = _values_of(configs, names)
    bad = np.empty((len(starts), len(configs)), np.bool_)
    groups = by_market(configs)
    for number, places in enumerate(groups):
        chosen = [configs[c] for c in places]
        market, many = open_market(dataset, chosen[0]), combinations(chosen)
        for k, start in enumerate(starts.tolist()):
            done = measure_records(chosen[0].engine, many, market, start, start + bars, threads=threads)
            bad[k, places] = done.metrics["max_drawdown"] > loss
            if progress and k % 50 == 0:
                progress(number * len(starts) + k, len(groups) * len(starts), "windows")
    many_configs = len(configs)
    market_part = np.repeat(state[starts - 1], many_configs, axis=0)
    x = np.column_stack([market_part, np.tile(values, (len(starts), 1))]).astype(np.float32)
    window = np.repeat(np.arange(len(starts)), many_configs)
    return Examples(x, bad.reshape(-1), window, ts[starts], ts[starts + bars - 1], (*MARKET, *names))


def _values_of(configs: Sequence[Config], names: Sequence[str]) -> tuple[Sequence[str], Floats]:
    documents = [{**config.friction.model_dump(), **config.params.model_dump()} for config in configs]
    if unknown := [name for name in names if name not in documents[0]]:
        raise DolphinError(f"the configuration has no parameter '{unknown[0]}'", mend="use one of the same strategy")
    values = np.array([[float(document[name]) for name in names] for document in documents])
    return names, values.reshape(len(configs), len(names))


def parameters_of(config: Config, names: Sequence[str]) -> Floats:
    """(P,) float64: the values of these parameters.

    Raises
    ------
    DolphinError
        If the configuration has no such parameter.
    """
    row: Floats = _values_of([config], names)[1][0]
    return row
