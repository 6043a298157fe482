"""The nightly proof: a session's days decided again in research, from the catalog, and held against its journals."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.catalog import open_dataset
from dolphin.config import Config, parse_config
from dolphin.config.config import NO_RISK
from dolphin.core.records import Floats, Ints, Market, Records, Words
from dolphin.errors import DolphinError, NotFound
from dolphin.files import read_json
from dolphin.journal.held import hold
from dolphin.journal.reader import Journal
from dolphin.journal.schema import FILLED, PARTLY_FILLED, RISK_VALUES
from dolphin.market.assemble import open_market
from dolphin.parity.divergence import Comparison, compare
from dolphin.parity.journal_side import JournalSide
from dolphin.parity.sides import About, RunSide, Scene
from dolphin.study.measure.run import flat_state
from dolphin.times import format_time
from dolphin.trade.folder import StateFolder, find_state
from dolphin.trade.risk_inputs import STORE_TABLE
from dolphin.workspace import Workspace

#: Stops of orders that the journal tells of before the first difference.
TOLD = 5


@dataclass(frozen=True)
class Proof:
    """What the proof found.

    Attributes
    ----------
    bars : int
        Bars of the session, over ``days`` journals.
    first : Comparison, optional
        The first difference, looked into; ``day`` its day.
    stopped : list of str
        Orders that a limit or the operator stopped up to there: research knows no limits.
    """

    equal: bool
    sentence: str
    bars: int
    days: int
    day: str | None
    first: Comparison | None
    stopped: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        found = asdict(replace(self, first=None))
        found["first"] = None if self.first is None else self.first.as_dict()
        return found


class LaterDay:
    """Some bars of a research run, from bar ``lead`` on: a day of it, decided with all that came before."""

    def __init__(self, run: RunSide, lead: int, bars: int) -> None:
        self._run, self._lead, self.bars = run, lead, bars
        self.label, self.about = run.label, run.about

    def ts_at(self, k: int) -> int:
        """When bar ``k`` closed."""
        return self._run.ts_at(k + self._lead)

    def digest_at(self, k: int) -> int:
        """The chained digest of bar ``k``."""
        return self._run.digest_at(k + self._lead)

    def curves(self) -> tuple[Floats, Floats, Ints]:
        """A run of now has none."""
        return self._run.curves()

    def scene(self, k: int, before: int, after: int, later: int) -> Scene:
        """See :class:`~dolphin.parity.sides.Side`; nothing is shown that is not of these bars."""
        after, later = min(after, self.bars - k - 1), min(later, self.bars - k - 1)
        found = self._run.scene(k + self._lead, min(before, k), after, later)
        return replace(found, around=replace(found.around, first=found.around.first - self._lead))

    def go_on(self, scene: Scene, market: Market, stop: int) -> Words:
        """See :class:`~dolphin.parity.sides.Side`."""
        return self._run.go_on(scene, market, stop)


def prove(workspace: Workspace, path: Path) -> Proof:
    """Decide a session's days again from the dataset of its feed, as the catalog has it now.

    Raises
    ------
    DolphinError
        If it is no session, has closed no bar, or its feed is no dataset of the catalog.
    """
    folder = find_state(path)
    about = read_json(folder.about)
    journals = [j for j in (Journal(p) for p in folder.sessions_journals()) if j.bars]
    if not journals:
        raise NotFound("has closed no bar", where=str(path), mend="prove it when it has")
    config = parse_config(
        {key: value for key, value in about["config"].items() if value is not None},
        where=str(folder.about), research=workspace.research,
    )  # fmt: skip
    run = _research(workspace, about, config, journals)
    lead = 0
    for journal in journals:
        closed = journal.index()
        digests = journal.field(closed, closed.of(journal.closing), "digest")
        theirs = run.digests_from(lead, len(digests))
        if not np.array_equal(digests, theirs):
            return _differs(journal, run, lead, about, journals, workspace, config)
        lead += len(digests)
    sentence = (
        f"all {lead:,} bars of {len(journals)} days are what research decides from "
        f"{run.about.dataset}@{run.about.dataset_digest[:12]}, bit for bit"
    )
    return Proof(True, sentence, lead, len(journals), None, None, _stopped(journals, None))


class _Research(RunSide):
    """The run of now over the bars of a session."""

    def digests_from(self, lead: int, count: int) -> Words:
        """Digests of some bars."""
        return self._digests[lead : lead + count]


def _research(workspace: Workspace, about: dict[str, Any], config: Config, journals: list[Journal]) -> _Research:
    name = about["data"]["name"]
    dataset = open_dataset(workspace, name)
    if config.risk.table == STORE_TABLE:  # what the store said is in the journals, and nowhere else
        market = open_market(dataset, replace(config, risk=NO_RISK))
        market = market._replace(risk=_journaled_risk(market, journals))
    else:
        market = open_market(dataset, config)
    first, last = journals[0].bar_at(0), journals[-1].bar_at(journals[-1].bars - 1)
    start, stop = first.bar, int(np.searchsorted(market.ts, last.ts)) + 1
    if start >= len(market.ts) or int(market.ts[start]) != first.ts:
        raise DolphinError(
            f"its row {start} does not close at {format_time(first.ts)}, as the session's first bar did",
            where=f"dataset {name}", mend="it begins at another bar than the session's feed did",
        )  # fmt: skip
    state = flat_state(config, market, start, stop)
    recording = config.engine.run(state, config.params_record(), config.friction_record(), market, start, stop)
    of = About(about["config"], config.hash, dataset.name, dataset.digest, config.engine.digest)
    ready = config, market, dataset.symbols
    return _Research(f"research on {name}", of, market.ts[start:stop], recording.digests, workspace, ready=ready)


def _journaled_risk(market: Market, journals: list[Journal]) -> Records:
    """The risk inputs of every bar as the session read them; neutral where it read none."""
    risk = market.risk.copy()
    for journal in journals:
        index = journal.index()
        rows = index.of("row")
        bars = journal.field(index, rows, "bar")
        known = bars < len(risk)
        values = journal.field(index, rows, "risk")[known]
        for k, name in enumerate(RISK_VALUES[: journal.shape.risk]):
            risk[name][bars[known]] = values[:, k]
    return risk


def _differs(
    journal: Journal, run: _Research, lead: int, about: dict[str, Any], journals: list[Journal], workspace: Workspace,
    config: Config,
) -> Proof:  # fmt: skip
    bars = sum(j.bars for j in journals)
    side = JournalSide(journal, workspace.research, config)
    first = compare(side, LaterDay(run, lead, min(side.bars, run.bars - lead)), workspace)
    stopped = _stopped(journals, first.row)
    sentence = first.sentence
    if stopped:
        sentence += f"; before it {len(stopped)} orders were stopped, the first: {stopped[0]}"
    if run.about.dataset_digest != about["data"]["digest"]:
        sentence += "; the catalog holds another version of the data than the session was fed with"
    day = journal.path.stem
    return Proof(False, sentence, bars, len(journals), day, first, stopped[:TOLD])


def _stopped(journals: list[Journal], until: int | None) -> list[str]:
    """Orders that limits or the operator stopped, in words."""
    found = []
    for journal in journals:
        held = hold(journal, journal.index())
        times = dict(zip(held.bars.tolist(), held.ts.tolist(), strict=True))
        for event in held.events:
            stopped = event.ids.get("why") and int(event["status"]) not in (FILLED, PARTLY_FILLED)
            if stopped and (until is None or event.bar <= until):
                found.append(f"{format_time(times.get(event.bar, event.ts))}: {event.ids['why']}")
    return found


def is_session(path: Path) -> bool:
    """Whether a path is a session's state folder."""
    return StateFolder(Path(path)).about.is_file()
