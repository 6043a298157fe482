"""Is there an edge: the search among its own reruns on shifted signals, and the candidate on bars that nobody saw.

p_a ranks what the search found on its train window among what it finds when the signals are shifted against the
prices; p_b ranks the candidate on the holdout among shifts of its signals there; p = 1 - Phi((z_a + z_b) / sqrt 2).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import Market
from dolphin.gate.evidence.combining import spent, stouffer
from dolphin.gate.evidence.holdout import Unseen
from dolphin.gate.evidence.looks import Looks, earlier_families
from dolphin.gate.evidence.of_holdout import of_holdout
from dolphin.gate.evidence.of_search import of_search
from dolphin.gate.evidence.part import Part
from dolphin.gate.evidence.searches import Search
from dolphin.gate.policy import Policy
from dolphin.progress import Progress
from dolphin.study.trials.choice import Choice
from dolphin.workspace import Workspace


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
        part, choice = of_search(workspace, dataset, config, search, looks, policy, threads, progress)
    held = of_holdout(workspace, dataset, market, config, unseen, choice, policy, threads, progress)
    # Open percentiles are settled after the opening, which has the hash that was asked for.
    opened_as = unseen.entry["config_hash"] if unseen.entry is not None else config.hash
    others = earlier_families(workspace, looks, dataset, unseen.first_ts, unseen.last_ts, opened_as)
    others = [name for name in others if name != config.hash]
    family = 1 + len(others)
    alpha = policy.alpha if family == 1 else spent(policy.alpha, family)
    p = held.p if part is None else stouffer(part.p, held.p)
    return Edge(part, held, p, alpha, policy.hard("guard"), family, trials, unseen)
