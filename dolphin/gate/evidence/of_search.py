"""p_a: what a search found, among what it finds on shifted signals; or by its trials' daily returns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dolphin.catalog import Dataset, open_dataset
from dolphin.config import Config
from dolphin.errors import DolphinError
from dolphin.gate.evidence.combining import of_several, rank
from dolphin.gate.evidence.kept import Kept
from dolphin.gate.evidence.looks import Looks, outside
from dolphin.gate.evidence.part import LEAST_SHIFTS, Part, called, luck
from dolphin.gate.evidence.resampling import reality_check
from dolphin.gate.evidence.searches import CannotRerun, Rerun, Search
from dolphin.gate.evidence.shifting import draw_shifts, least_rows, seed_of
from dolphin.gate.policy import Policy
from dolphin.progress import Progress
from dolphin.study.trials.choice import Choice
from dolphin.workspace import Workspace


def of_search(
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
        list(rerun.choice.objectives), list(rerun.choice.directions), rerun.choice.min_trades,
    ]  # fmt: skip
    seed = seed_of(policy.hard("seed"), "search", *about)
    least = least_rows(days, dataset.spacing_ns)
    shifts = draw_shifts(rerun.stop - rerun.start, least, policy.hard("search_shifts"), seed)
    if len(shifts) < LEAST_SHIFTS:
        raise CannotRerun(f"its window has room for {len(shifts)} shifts of {days:g} days, {LEAST_SHIFTS} are needed")
    kept = Kept(workspace.promote / ".shifts", ["search", seed, about, search.rows["engine_digest"][0]])
    others = _each(shifts, rerun.best, kept, progress, "search under shifted signals")
    p = rank(value, others)
    middle, top = float(np.nanmedian(others)), float(np.nanquantile(others, 0.95))
    words = (
        f"the search's {called(rerun.choice.objective)} of {value:.4g} on its train window is {luck(p)}: run again on "
        f"{len(shifts)} shifts of its signals against the prices it finds {middle:.3g} at the median and {top:.3g} in "
        f"one of twenty (p_a = {p:.3g})"
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
