"""Which trial is the best: the one rule that searches, validations, files, tables and pages go by.

A trial counts if it finished, its account was not ruined (its Sharpe ratio is that of the days before), it
closed at least ``min_trades`` trades, and every objective is a finite number: a profit factor without a
loss is infinite however little was won, and says nothing of two such trials. Of those that count, the better
first objective wins, then the better second one and so on, then the earlier trial. So the best by the first
objective is always on the Pareto front too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from dolphin.core.records import Floats
from dolphin.study.definition.spec import Study

#: States of a trial that was measured: to the end, or on a part of the window.
MEASURED = ("done", "pruned")

#: Two rows that agree in these were the same run.
SAME = ("config_hash", "dataset_digest", "first_ts", "last_ts")

#: Registry columns that the rule needs, besides the objectives.
NEEDED = (*SAME, "trial", "state", "trades", "ruined")

#: The column of :meth:`Choice.judged`.
VALUE = "_value"

#: What a search over the whole window registers: not the folds of a validation. Older segments say no role.
OF_THE_SEARCH = (pl.col("role").is_null() | (pl.col("role") == "search")) & pl.col("fold").is_null()


@dataclass(frozen=True)
class Choice:
    """How a study chooses.

    Attributes
    ----------
    objectives, directions : tuple of str
        (K) Names of metrics, and ``maximize`` or ``minimize`` for each.
    min_trades : int
        Trials with fewer do not count.
    """

    objectives: tuple[str, ...] = ("sharpe_365",)
    directions: tuple[str, ...] = ("maximize",)
    min_trades: int = 1

    @property
    def objective(self) -> str:
        """The first objective."""
        return self.objectives[0]

    @property
    def maximize(self) -> bool:
        """Whether the first objective is better the larger it is."""
        return self.directions[0] == "maximize"

    def scores(self, metrics: Mapping[str, Any] | pl.DataFrame) -> Floats:
        """(n, K) float64: the larger the better; NaN in all of a row that does not count.

        Parameters
        ----------
        metrics : mapping of (n,) arrays
            ``trades``, ``ruined`` and the objectives of measured trials; None or NaN where nothing is known.
        """
        found = np.column_stack([_floats(metrics[name]) for name in self.objectives]) * self._signs
        ruined = np.nan_to_num(_floats(metrics["ruined"])) > 0.0  # unknown before ruin was told
        with np.errstate(invalid="ignore"):
            counts = (_floats(metrics["trades"]) >= self.min_trades) & ~ruined & np.isfinite(found).all(axis=1)
        return np.where(counts[:, None], found, np.nan)

    def scores_of(self, rows: Sequence[Mapping[str, Any]], states: Sequence[str] = ("done",)) -> Floats:
        """:meth:`scores` of registry rows; those in none of ``states`` do not count."""
        names = ("trades", "ruined", *self.objectives)
        found = self.scores({name: [row.get(name) for row in rows] for name in names})
        found[[row["state"] not in states for row in rows]] = np.nan
        return found

    def first(self, metrics: Mapping[str, Any] | pl.DataFrame) -> int | None:
        """Place of the best of several measured alike, in the order of their trials; None if none counts."""
        order = best_first(self.scores(metrics))
        return int(order[0]) if len(order) else None

    def judged(self, trials: pl.DataFrame) -> pl.DataFrame:
        """The distinct finished ones of ``trials``, best first, then those that do not count.

        Of a configuration that was met twice over one window the earlier trial is meant; of a trial that was
        registered twice the later row. Column :data:`VALUE` is the first objective, NaN where one does not count.
        """
        here = (
            trials.filter(pl.col("state") == "done")
            .filter(pl.col("trial") == pl.col("trial").min().over(SAME))
            .unique(SAME, keep="last", maintain_order=True)
            .sort("trial", maintain_order=True)
        )
        scores = self.scores(here)
        best = best_first(scores)
        values = pl.Series(VALUE, scores[:, 0] * self._signs[0], pl.Float64)
        return here.with_columns(values)[np.concatenate([best, np.setdiff1d(np.arange(len(scores)), best)])]

    def ranked(self, trials: pl.DataFrame) -> pl.DataFrame:
        """Those of :meth:`judged` that count, best first."""
        return self.judged(trials).filter(pl.col(VALUE).is_not_nan()).drop(VALUE)

    def front(self, trials: pl.DataFrame) -> pl.DataFrame:
        """Those of :meth:`ranked` that none beats in every objective: with one objective, the equally best."""
        found = self.ranked(trials)
        return found.filter(pl.Series(pareto(self.scores(found)), dtype=pl.Boolean))

    @property
    def _signs(self) -> Floats:
        return np.array([1.0 if way == "maximize" else -1.0 for way in self.directions])


def choice_of(study: Study) -> Choice:
    """The rule of a study."""
    return Choice(study.objectives, study.directions, study.min_trades)


def best_first(scores: Floats) -> Floats:
    """Places of the rows of ``scores`` (n, K) that count, best first; of equals the earlier."""
    order = np.lexsort(-scores.T[::-1])  # by the first, then the second objective ...; a stable sort
    return order[~np.isnan(scores[order, 0])]


def pareto(scores: Floats) -> Floats:
    """(n,) bool: the rows of ``scores`` (n, K), larger is better, that count and that no other row dominates."""
    kept = np.zeros(len(scores), bool)
    front = np.empty((0, scores.shape[1]))
    for k in best_first(scores):
        worse = (front >= scores[k]).all(axis=1) & (front > scores[k]).any(axis=1)
        if not worse.any():
            kept[k] = True
            front = np.vstack([front, scores[k]])
    return kept


def _floats(values: Any) -> Floats:
    """(n,) float64, NaN for None."""
    return np.asarray(values.to_list() if isinstance(values, pl.Series) else values, dtype=np.float64)
