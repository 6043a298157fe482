"""Which parameters matter, by Optuna's evaluators on the registered trials of any sampler.

PED-ANOVA (Watanabe, Bansal and Hutter, *PED-ANOVA*, IJCAI 2023) compares the best tenth of the trials with all
of them: what makes a trial good. fANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014) splits the variance over
the whole space: what makes a difference at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from dolphin.core.records import Floats

#: Trials that the random forest of fANOVA learns from at most.
FOREST_TRIALS = 400

#: Trials that PED-ANOVA looks at most; more change its shares by a thousandth.
MOST_TRIALS = 4000

#: Fewer say nothing.
LEAST_TRIALS = 30


def importances(
    trials: pl.DataFrame,
    names: Sequence[str],
    values: Floats,
    *,
    maximize: bool = True,
    log: Sequence[str] = (),
    seed: int = 1,
) -> dict[str, Any] | None:
    """The share of each parameter, by two measures and in two halves of the trials.

    Parameters
    ----------
    trials : polars.DataFrame
        With a column for each of ``names``; parameters that some trial does not have are left out.
    values : float64 (n,)
        The objective; trials without a finite one are left out.
    log : sequence of str
        Parameters searched on a log scale.

    Returns
    -------
    dict or None
        ``ped_anova`` and ``fanova``: shares by name, the largest first, summing to 1; ``halves``: PED-ANOVA's
        on two halves of the trials, drawn with ``seed``; ``same_first``: whether both halves name the same most
        important parameter; ``left_out`` names. None with fewer than 30 trials or no parameter that varies.
    """
    known = np.isfinite(values)
    trials, values = trials.filter(known), values[known]
    whole = [name for name in names if trials.height and trials[name].null_count() == 0 and trials[name].n_unique() > 1]
    if trials.height < LEAST_TRIALS or not whole or np.ptp(values) == 0.0:
        return None
    order = np.random.default_rng(seed).permutation(trials.height)[:MOST_TRIALS]
    halves = []
    for part in np.array_split(order, 2):
        found = _evaluate("ped_anova", trials[part], whole, values[part], maximize, log, seed)
        halves.append(found)
    sample = np.sort(order[:FOREST_TRIALS])
    first = [max(half, key=half.__getitem__) for half in halves]
    return {
        "ped_anova": _evaluate("ped_anova", trials[order], whole, values[order], maximize, log, seed),
        "fanova": _evaluate("fanova", trials[sample], whole, values[sample], maximize, log, seed),
        "halves": halves,
        "same_first": first[0] == first[1],
        "left_out": [name for name in names if name not in whole],
    }


def _evaluate(
    measure: str,
    trials: pl.DataFrame,
    names: Sequence[str],
    values: Floats,
    maximize: bool,
    log: Sequence[str],
    seed: int,
) -> dict[str, float]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

    if len(names) == 1:
        return {names[0]: 1.0}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both evaluators are called experimental
            study = optuna.create_study(direction="maximize" if maximize else "minimize")
            spaces = {name: _distribution(trials[name], name in log) for name in names}
            columns = {name: [_plain(v) for v in trials[name]] for name in names}
            made = [
                optuna.trial.create_trial(
                    params={name: columns[name][k] for name in names}, distributions=spaces, value=float(value)
                )
                for k, value in enumerate(values)
            ]
            study.add_trials(made)
            evaluator: Any = (
                PedAnovaImportanceEvaluator()
                if measure == "ped_anova"
                else FanovaImportanceEvaluator(n_trees=24, max_depth=12, seed=seed)
            )
            found = get_param_importances(study, evaluator=evaluator, params=list(names))
    finally:
        optuna.logging.set_verbosity(verbosity)
    shares = {name: float(value) for name, value in found.items() if np.isfinite(value)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _distribution(column: pl.Series, log: bool) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not column.dtype.is_numeric():
        return CategoricalDistribution([_plain(v) for v in column.unique().sort()])
    low, high = column.min(), column.max()
    kind = IntDistribution if column.dtype.is_integer() else FloatDistribution
    return kind(low, high, log=log and low > 0)  # type: ignore[arg-type,operator]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
