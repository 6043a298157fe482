"""How often this market was looked at before, read from the registry and never typed in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from dolphin.catalog import Dataset
from dolphin.study.stress.monte_carlo import STRESS
from dolphin.study.trials.holdouts import Holdouts
from dolphin.study.trials.markets import lag_between, remember
from dolphin.study.trials.registry import Registry
from dolphin.times import format_time
from dolphin.workspace import Workspace

_COLUMNS = (
    "time_ns", "row", "study", "study_hash", "role", "config_hash", "dataset", "dataset_digest", "first_ts", "last_ts",
)  # fmt: skip


@dataclass(frozen=True)
class Looks:
    """The looks at one market that the registry knows, windows moved onto the times of the dataset at hand.

    ``rows`` has a row per registered look but for invalid trials, oldest first; ``datasets`` the names and digests
    that are this market, ``others`` those that are not.
    """

    rows: pl.DataFrame
    datasets: tuple[tuple[str, str], ...]
    others: tuple[tuple[str, str], ...]

    def over(self, first_ts: int, last_ts: int) -> pl.DataFrame:
        """Those whose window overlaps a span of closes."""
        return self.rows.filter(pl.col("first_ts") <= last_ts, pl.col("last_ts") >= first_ts)

    def count(self, first_ts: int, last_ts: int) -> int:
        """Distinct (configuration, window) pairs that overlap a span."""
        return distinct(self.over(first_ts, last_ts))


def distinct(rows: pl.DataFrame) -> int:
    """Distinct (configuration, window) pairs."""
    return int(rows.select(pl.struct("config_hash", "dataset_digest", "first_ts", "last_ts").n_unique()).item())


def looks_at(workspace: Workspace, dataset: Dataset) -> Looks:
    """Every look at the market of ``dataset``, under whatever name and of whatever part."""
    remember(workspace, dataset)
    trials = Registry(workspace).trials().with_row_index("row")
    trials = trials.filter(pl.col("state") != "invalid", pl.col("config_hash").is_not_null())
    frame = trials.select(_COLUMNS).collect()
    known = frame.select("dataset", "dataset_digest").unique(maintain_order=True).rows()
    lags = {digest: lag_between(workspace, dataset.digest, digest) for _, digest in known}
    mine = frame.filter(pl.col("dataset_digest").is_in([digest for digest, lag in lags.items() if lag is not None]))
    lag = pl.col("dataset_digest").replace_strict(
        {digest: lag or 0 for digest, lag in lags.items()}, default=0, return_dtype=pl.Int64
    )
    moved = mine.with_columns(pl.col("first_ts") + lag, pl.col("last_ts") + lag)
    same = tuple(pair for pair in known if lags[pair[1]] is not None)
    return Looks(moved, same, tuple(pair for pair in known if lags[pair[1]] is None))


def outside(looks: Looks, search: Any, first_ts: int, last_ts: int) -> int:
    """Distinct looks over a span that are no part of the search: of other studies, on configurations it has not."""
    rows = looks.over(first_ts, last_ts).filter(pl.col("study_hash").fill_null("") != search.study_hash)
    return distinct(rows.filter(~pl.col("config_hash").is_in(search.rows["config_hash"].to_list())))


def earlier_families(
    workspace: Workspace, looks: Looks, dataset: Dataset, first_ts: int, last_ts: int, config_hash: str
) -> list[str]:
    """Other configurations that looked at a holdout before this one did, as the chain or the registry has it.

    A configuration that opened it is known by its hash. Runs under stress vary one that is there already.
    """
    first: dict[str, tuple[float, float]] = {}  # by the clock, and by place in the registry
    seen = looks.over(first_ts, last_ts).filter(pl.col("role").fill_null("") != STRESS)
    rows = seen.select("config_hash", "time_ns", "row").to_dicts()
    met = [(row["config_hash"], float(row["time_ns"] or 0), float(row["row"])) for row in rows]
    for entry in Holdouts(workspace).opened_on(dataset, first_ts, last_ts):
        # It lies between the rows that were registered before it and those after; older lines do not say.
        place = entry["registry"]["rows"] - 0.5 if "registry" in entry else math.inf
        met.append((entry["config_hash"], float(entry["time_ns"]), place))
    for name, when, place in met:
        before = first.get(name, (math.inf, math.inf))
        first[name] = min(when, before[0]), min(place, before[1])
    mine = first.get(config_hash, (math.inf, math.inf))
    # A clock can be set, and a registry be merged: who is earlier by either was there before.
    return [
        name
        for name, (when, place) in first.items()
        if name != config_hash and (config_hash not in first or when < mine[0] or place < mine[1])
    ]


def looks_document(looks: Looks, *spans: tuple[int, int], workspace: Workspace) -> dict[str, Any]:
    """What a verdict says of them: how many could be seen, since when, and under which names."""
    rows = pl.concat([looks.over(*span) for span in spans]).unique()
    since = looks.rows["time_ns"].min()
    count = distinct(looks.rows) if looks.rows.height else 0
    words = f"since {format_time(int(since) // 1000 * 1000)}" if isinstance(since, int) else "none so far"
    anchor = Registry(workspace).anchor()
    return {
        "seen": f"{count} looks at this market could be seen, {words}; what was looked at elsewhere, or before this "
        "registry was begun, nobody here knows",
        "registry_links": anchor["links"],
        "registry_first": anchor["first"],
        "looks_at_this_market_and_time": distinct(rows) if rows.height else 0,
        "looks_at_this_market": distinct(looks.rows) if looks.rows.height else 0,
        "seen_since": format_time(int(since) // 1000 * 1000) if isinstance(since, int) else None,
        "datasets_of_this_market": [f"{name} {digest[:16]}" for name, digest in looks.datasets],
        "other_markets": len(looks.others),
        "registry_head": Registry(workspace).head(),
    }
