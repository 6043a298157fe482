"""p_b: a candidate on bars that nobody saw, among shifts of its signals there."""

from __future__ import annotations

import numpy as np

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import Market
from dolphin.gate.evidence.combining import rank
from dolphin.gate.evidence.holdout import Unseen
from dolphin.gate.evidence.kept import Kept
from dolphin.gate.evidence.part import LEAST_SHIFTS, Part, called, luck
from dolphin.gate.evidence.resampling import reality_check
from dolphin.gate.evidence.shifting import draw_shifts, least_rows, scores_under, seed_of
from dolphin.gate.policy import Policy
from dolphin.progress import Progress
from dolphin.study.measure.measured import run_alone
from dolphin.study.trials.choice import Choice
from dolphin.workspace import Workspace


def of_holdout(
    workspace: Workspace,
    dataset: Dataset,
    market: Market,
    config: Config,
    unseen: Unseen,
    choice: Choice,
    policy: Policy,
    threads: int,
    progress: Progress | None,
) -> Part:
    """p_b, by the study's first objective."""
    rule = Choice(choice.objectives[:1], choice.directions[:1], 1)
    if unseen.days < policy.hard("least_holdout_days"):
        least = policy.hard("least_holdout_days")
        text = unseen.text if unseen.start == unseen.stop else f"it has {unseen.days:.3g} days"
        return Part(1.0, "none", f"no untouched holdout: {text}, {least:g} days are needed")
    start, stop = unseen.start, unseen.stop
    days = policy.hard("holdout_shift_days")
    about = [dataset.digest, config.hash, unseen.first_ts, unseen.last_ts, rule.objective]
    seed = seed_of(policy.hard("seed"), "holdout", *about)
    shifts = draw_shifts(stop - start, least_rows(days, dataset.spacing_ns), policy.hard("holdout_shifts"), seed)
    if not config.strategy.columns or len(shifts) < LEAST_SHIFTS:
        return _resampled(config, market, start, stop, policy, seed)
    kept = Kept(workspace.promote / ".shifts", ["holdout", seed, about, days, config.engine.digest])
    here = scores_under(config, market, start, stop, [0], rule).tolist()
    if np.array(kept.values.get(0, here[0])).tobytes() != np.array(here[0]).tobytes():
        kept.values.clear()  # something that no hash here knows of has changed
    kept.values[0] = here[0]
    todo = [shift for shift in shifts if shift not in kept.values]

    def on_done(count: int) -> None:
        if progress:
            progress(len(shifts) - len(todo) + count, len(shifts), "holdout under shifted signals")

    found = scores_under(config, market, start, stop, todo, rule, threads=threads, on_done=on_done)
    kept.values |= dict(zip(todo, found.tolist(), strict=True))
    if todo:
        kept.write()
    value, others = kept.values[0], [kept.values[shift] for shift in shifts]
    p = rank(value, others)
    better = sum(other >= value for other in others)
    words = (
        f"on bars that the search has not seen, {unseen.text}, its {called(rule.objective)} of {value:.4g} is "
        f"{luck(p)}: {better} of {len(shifts)} shifts of its own signals do as well or better (p_b = {p:.3g})"
    )
    more = {"objective": rule.objective, "seed": seed, "shifts": shifts}
    return Part(p, "shifted signals", words, value, tuple(others), more)


def _resampled(config: Config, market: Market, start: int, stop: int, policy: Policy, seed: list[int]) -> Part:
    """Where there are no signals to shift: is the mean daily return above zero, by the stationary bootstrap."""
    returns = run_alone(config, market, start, stop).daily_returns
    if not np.nan_to_num(returns).any():
        return Part(1.0, "none", "it did not trade on the holdout")
    p, mean = reality_check(returns, policy.hard("resamples"), policy.hard("block_days"), seed)
    words = (
        f"the strategy reads no signals that could be shifted; its mean of {1e4 * mean:.3g} bps a day on the holdout "
        f"is above zero with p_b = {p:.3g} (a test that passes 6 to 14 % of what has no edge, not 5 %)"
    )
    return Part(p, "resampled days", words, mean, (), {"seed": seed})
