"""Rungs 3 and 4: the step inside a Nautilus TradingNode in lockstep, and the journal that it wrote decided again."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.journal import Journal, replay
from dolphin.parity.case import Case
from dolphin.parity.rungs_nautilus import Outcome, compare, journal_for

#: The journal of rung 3 in a case's folder.
JOURNAL = "nautilus-node.arrow"


def node_rung(case: Case, fed: Market | None = None) -> Outcome:
    """Run the case in a node and compare; ``fed`` is what the node sees in place of the market."""
    from dolphin.live.node_run import run_in_node

    journal = journal_for(case, "node", write_ahead=True)
    try:
        run = run_in_node(
            case.engine, case.dataset.instruments, case.market if fed is None else fed, case.params, case.friction,
            case.capital, case.start, case.stop, fill_model=case.config.friction.model,
            plugged=case.config.strategy.plugged(case.config.params), journal=journal,
        )  # fmt: skip
    except DolphinError as error:
        return False, str(error), {}
    finally:
        if journal is not None:
            journal.writer.close()
    return compare(case, run)


def replay_rung(case: Case) -> Outcome:
    """The journal of :func:`node_rung`, which is run for it where there is none, decided again."""
    if case.journals is None:
        with tempfile.TemporaryDirectory(prefix="dolphin-rung4-") as folder:
            return replay_rung(replace(case, journals=Path(folder)))
    path = case.journals / JOURNAL
    if not path.is_file():
        passed, sentence, facts = node_rung(case)
        if not passed:
            return False, f"rung 3 differs, so there is no journal to replay: {sentence}", facts
    found = replay(Journal(path), config=case.config)
    facts = {"bars": found.bars, "seconds_of_replay": found.seconds, "differing_bars": found.differing}
    return found.equal and found.bars == case.bars, found.sentence, facts
