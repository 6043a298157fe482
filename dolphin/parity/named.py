"""Sides by name: a run folder, a journal, ``DATASET@rungN`` run now, ``JOURNAL@rung4`` decided again."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import Market
from dolphin.errors import BadInput, DolphinError
from dolphin.journal.reader import Journal
from dolphin.journal.showing import open_journal
from dolphin.parity.case import Case
from dolphin.parity.divergence import open_side
from dolphin.parity.journal_side import JournalSide, ReplayedSide
from dolphin.parity.sides import About, RunSide, Side
from dolphin.workspace import Workspace

#: Opens what a rung runs: dataset, market, resolved config, first row, row after the last.
Prepare = Callable[[str], tuple[Dataset, Market, Config, int, int]]

#: Rungs of a dataset that leave a journal to compare.
JOURNALED = (2, 3, 4)

_RUNG = re.compile(r"^(?P<name>.+)@rung(?P<rung>\d)$")


def side(name: str, workspace: Workspace | None, prepare: Prepare | None, folder: Path) -> Side:
    """The side that a name stands for; what is run now keeps its journal in ``folder``.

    Raises
    ------
    DolphinError
        If there is no such thing, or a rung has nothing to compare.
    """
    found = _RUNG.match(name)
    if found is None:
        return open_side(Path(name), workspace)
    what, rung = found["name"], int(found["rung"])
    if rung == 4 and Path(what).exists():
        return ReplayedSide(open_journal(Path(what)), workspace.research if workspace is not None else None)
    if rung not in (0, *JOURNALED):
        mend = "compare @rung0, 2, 3 or 4 of a dataset, or @rung4 of a journal; 'dolphin ladder' climbs the others"
        raise BadInput(f"rung {rung} keeps no digests of its own to compare", where=name, mend=mend)
    if prepare is None or workspace is None:
        raise BadInput("a rung needs a config to run", where=name, mend="add --config F.toml, inside a workspace")
    case = Case(*prepare(what), journals=folder)
    return _batch(name, case, workspace) if rung == 0 else _nautilus(case, workspace, rung)


def _batch(name: str, case: Case, workspace: Workspace) -> RunSide:
    """Rung 0: the batch loop."""
    config, dataset = case.config, case.dataset
    made = dataset.name, dataset.digest, config.engine.digest, dataset.synthetic
    about = About(dict(config.document()), config.hash, *made)
    ts = case.market.ts[case.start : case.stop]
    ready = config, case.market, dataset.symbols
    return RunSide(name, about, ts, case.batch.digests, workspace, ready=ready)


def _nautilus(case: Case, workspace: Workspace, rung: int) -> Side:
    """Rung 2 or 3: the step inside Nautilus, from the journal that it writes; rung 4: that of rung 3 decided again."""
    from dolphin.parity.rung_node import JOURNAL, node_rung
    from dolphin.parity.rungs_nautilus import fast_rung

    assert case.journals is not None
    passed, detail, _ = fast_rung(case) if rung == 2 else node_rung(case)
    journal = Journal(case.journals / ("nautilus-scan.arrow" if rung == 2 else JOURNAL))
    if not journal.bars:
        raise DolphinError(f"rung {rung} closed no bar: {detail}", where=case.dataset.name)
    assert passed or detail  # a difference is what is to be looked into
    if rung == 4:
        return ReplayedSide(journal, workspace.research)
    return JournalSide(journal, workspace.research, case.config)
