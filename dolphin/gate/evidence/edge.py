"""Is there an edge: the search among its own reruns on shifted signals, and the candidate on bars that nobody saw.

p_a ranks what the search found on its train window among what it finds when the signals are shifted against the
prices; p_b ranks the candidate on the holdout among shifts of its signals there; p = 1 - Phi((z_a + z_b) / sqrt 2).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dolphin.catalog import Dataset, open_dataset
from dolphin.config import Config
from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.gate.evidence.combining import of_several, rank, spent, stouffer
from dolphin.gate.evidence.holdout import Unseen
from dolphin.gate.evidence.kept import Kept
from dolphin.gate.evidence.looks import Looks, earlier_families, outside
from dolphin.gate.evidence.resampling import reality_check
from dolphin.gate.evidence.searches import CannotRerun, Rerun, Search
from dolphin.gate.evidence.shifting import draw_shifts, finite, least_rows, scores_under, seed_of
from dolphin.gate.policy import Policy
from dolphin.progress import Progress
from dolphin.study.measure.measured import run_alone
from dolphin.study.trials.choice import Choice
from dolphin.workspace import Workspace

#: Fewer shifts than these cannot tell anything at a level of 5 %.
LEAST_SHIFTS = 19


@dataclass(frozen=True)
class Part:
    """One of the two p-values: how it was had, the value judged, those of the shifts, and a sentence."""

    p: float
    method: str
    words: str
    value: float = math.nan
    others: tuple[float, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Plain facts, with every shift's figure."""
        return {
            "p": self.p, "method": self.method, "words": self.words, "value": self.value,
            "under_shifts": finite(list(self.others)), **self.more,
        }  # fmt: skip


@dataclass(frozen=True)
class Edge:
    """The answer. ``search`` is None where the holdout alone is asked; ``p`` is then that of the holdout."""

    search: Part | None
    holdout: Part
    p: float
    alpha: float
    guard: float
    family: int
    trials: int
    unseen: Unseen

    @property
    def passed(self) -> bool:
        """Whether p and p_b are within their limits."""
        return self.p <= self.alpha and (self.search is None or self.holdout.p <= self.guard)

    @property
    def sentence(self) -> str:
        """p and its limit, in words."""
        what = "the holdout alone" if self.search is None else "search and holdout together"
        verb = "is" if self.p <= self.alpha else "is not"
        return f"{what}: p = {self.p:.3g} {verb} within {self.alpha:.3g}" + (
            f" (what is left for configuration {self.family} on this holdout)" if self.family > 1 else ""
        )

    @property
    def guard_sentence(self) -> str:
        """p_b and its guard, in words."""
        verb = "is" if self.holdout.p <= self.guard else "is not"
        return f"the holdout by itself: p_b = {self.holdout.p:.3g} {verb} within {self.guard:.3g}"

    def document(self) -> dict[str, Any]:
        """Everything that the answer rests on."""
        return {
            "passed": self.passed, "p": self.p, "alpha": self.alpha, "guard": self.guard,
            "families_on_this_holdout": self.family, "registered_trials": self.trials,
            "search": self.search.document() if self.search else None, "holdout": self.holdout.document(),
        }  # fmt: skip


def judge_edge(
    workspace: Workspace,
    dataset: Dataset,
    market: Market,
    config: Config,
    unseen: Unseen,
    search: Search | None,
    looks: Looks,
    policy: Policy,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Edge:
    """Ask whether a candidate has an edge; its holdout must be open.

    Parameters
    ----------
    market, config : Market, Config
        The candidate's, percentiles settled.
    threads : int, optional
        By default one per core. No number depends on it.
    """
    threads = threads or os.cpu_count() or 1
    trials = search.rows.height if search is not None else 0
    part = None
    choice = Choice()
    if search is not None and trials >= policy.hard("least_trials"):
        part, choice = _of_search(workspace, dataset, config, search, looks, policy, threads, progress)
    held = _of_holdout(workspace, dataset, market, config, unseen, choice, policy, threads, progress)
    others = earlier_families(workspace, looks, dataset, unseen.first_ts, unseen.last_ts, config.hash)
    family = 1 + len(others)
    alpha = policy.alpha if family == 1 else spent(policy.alpha, family)
    p = held.p if part is None else stouffer(part.p, held.p)
    return Edge(part, held, p, alpha, policy.hard("guard"), family, trials, unseen)


def _of_search(
    workspace: Workspace,
    dataset: Dataset,
    config: Config,
    search: Search,
    looks: Looks,
    policy: Policy,
    threads: int,
    progress: Progress | None,
) -> tuple[Part, Choice]:
    """p_a, and the study's rule of choice."""
    choice = Choice()
    try:
        try:
            name = search.rows["dataset"][0]
            here = dataset if dataset.digest == search.dataset_digest else None
            here = here or open_dataset(workspace, f"{name}@{search.dataset_digest}")
        except DolphinError as error:
            raise CannotRerun(f"its data cannot be opened ({error.what})") from None
        rerun = Rerun(workspace, search, here, threads=threads)
        choice = rerun.choice
        found = _reruns(workspace, rerun, here, config.hash, policy, progress)
    except CannotRerun as why:
        found = _reality(search, policy, str(why))
    beyond = outside(looks, search, search.first_ts, search.last_ts)
    if not beyond:
        return found, choice
    p = of_several(found.p, 1.0 + beyond / search.rows.height)
    words = f"{found.words}; {beyond:,} looks outside of it make that {p:.3g}"
    return Part(p, found.method, words, found.value, found.others, {**found.more, "looks_outside": beyond}), choice


def _reruns(
    workspace: Workspace, rerun: Rerun, dataset: Dataset, config_hash: str, policy: Policy, progress: Progress | None
) -> Part:
    search = rerun.found
    value = float(rerun.choice.scores_of([search.row_of(config_hash)])[0, 0])
    days = policy.hard("search_shift_days")
    about = [
        dataset.digest, search.study_hash, search.first_ts, search.last_ts, sorted(search.rows["config_hash"]),
        search.rows["engine_digest"][0], list(rerun.choice.objectives), list(rerun.choice.directions),
        rerun.choice.min_trades,
    ]  # fmt: skip
    seed = seed_of(policy.hard("seed"), "search", *about)
    least = least_rows(days, dataset.spacing_ns)
    shifts = draw_shifts(rerun.stop - rerun.start, least, policy.hard("search_shifts"), seed)
    if len(shifts) < LEAST_SHIFTS:
        raise CannotRerun(f"its window has room for {len(shifts)} shifts of {days:g} days, {LEAST_SHIFTS} are needed")
    kept = Kept(workspace.promote / ".shifts", ["search", seed, about])
    others = _each(shifts, rerun.best, kept, progress, "search under shifted signals")
    p = rank(value, others)
    middle, top = float(np.nanmedian(others)), float(np.nanquantile(others, 0.95))
    words = (
        f"{rerun.choice.objective} {value:.4g} is the search's result on its train window; run again on "
        f"{len(shifts)} shifts of its signals it finds {middle:.3g} at the median, {top:.3g} in one of "
        f"twenty: p_a = {p:.3g}"
    )
    about_it = {"study": search.study, "trials": search.rows.height, "seed": seed, "shifts": shifts}
    return Part(p, "search rerun", words, value, tuple(others), about_it)


def _reality(search: Search, policy: Policy, why: str) -> Part:
    """White's reality check over the trials' daily returns, where the search cannot be rerun."""
    returns = search.returns
    if returns.shape[0] < 2 or returns.shape[1] < 10:
        return Part(1.0, "none", f"the search cannot be rerun: {why}; and its daily returns are too few for a test")
    seed = seed_of(policy.hard("seed"), "reality check", search.study_hash, search.first_ts, search.last_ts)
    p, best = reality_check(returns, policy.hard("resamples"), policy.hard("block_days"), seed)
    words = (
        f"the search cannot be rerun ({why}); the best of {returns.shape[0]:,} trials earned {1e4 * best:.3g} bps a "
        f"day, by White's reality check p_a = {p:.3g}"
    )
    return Part(p, "reality check", words, best, (), {"study": search.study, "trials": returns.shape[0], "seed": seed})


def _of_holdout(
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
    about = [dataset.digest, config.hash, config.engine.digest, unseen.first_ts, unseen.last_ts, rule.objective]
    seed = seed_of(policy.hard("seed"), "holdout", *about)
    shifts = draw_shifts(stop - start, least_rows(days, dataset.spacing_ns), policy.hard("holdout_shifts"), seed)
    if not config.strategy.columns or len(shifts) < LEAST_SHIFTS:
        return _resampled(config, market, start, stop, policy, seed)
    kept = Kept(workspace.promote / ".shifts", ["holdout", seed, about, days])
    todo = [shift for shift in [0, *shifts] if shift not in kept.values]

    def on_done(count: int) -> None:
        if progress:
            progress(len(shifts) + 1 - len(todo) + count, len(shifts) + 1, "holdout under shifted signals")

    found = scores_under(config, market, start, stop, todo, rule, threads=threads, on_done=on_done)
    kept.values |= dict(zip(todo, found.tolist(), strict=True))
    if todo:
        kept.write()
    value, others = kept.values[0], [kept.values[shift] for shift in shifts]
    p = rank(value, others)
    better = sum(other >= value for other in others)
    words = (
        f"on {unseen.text} {rule.objective} is {value:.4g}; {better} of {len(shifts)} shifts of its signals do as "
        f"well: p_b = {p:.3g}"
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


def _each(
    shifts: list[int], best: Callable[[int], float], kept: Kept, progress: Progress | None, text: str
) -> list[float]:
    try:
        for k, shift in enumerate(shifts):
            if shift not in kept.values:
                kept.add(shift, best(shift))
            if progress:
                progress(k + 1, len(shifts), text)
    finally:
        if kept.values:
            kept.write()
    return [kept.values[shift] for shift in shifts]
