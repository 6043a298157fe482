"""Where a session was: the newest good snapshot and the journal's tail, every digest held against the journaled one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from dolphin.config import Config
from dolphin.core.digest import STAGES
from dolphin.core.records import INCREASE, OPEN, REVERSE, Ints, Market, State, Words, neutral_risk
from dolphin.errors import Damaged
from dolphin.journal.held import Held, hold, market_of
from dolphin.journal.reader import Index, Journal
from dolphin.journal.replaying import Replayer
from dolphin.journal.schema import RISK_VALUES
from dolphin.live.dressing import Dresser
from dolphin.live.feed import Feed, Row
from dolphin.times import format_time
from dolphin.trade.figures import account_of
from dolphin.trade.folder import StateFolder
from dolphin.trade.limits import MINUTE_NS
from dolphin.trade.snapshot import Snapshot, snapshots
from dolphin.trade.writing import tail_of


@dataclass
class Recovered:
    """A session as it stood after its last closed bar.

    Attributes
    ----------
    market : Market
        The rows that the day's journal holds, from ``first`` on, at their own numbers.
    dressed : bool
        Whether the scanner has taken in every row up to ``bar``; otherwise the feed's history is to be scanned.
    row : Row, optional
        The row that was journaled and not closed; ``why_not`` says why nothing may be opened on it, if so.
    risk : dict of arrays
        What the snapshot says of the risk inputs; empty without one.
    day_begin : dict of float
        Capital, equity, fees paid and trades with which the journal's day began.
    replayed : int
        Bars that were decided again; ``cold`` says that no snapshot could be used.
    """

    journal: Journal
    index: Index
    state: State
    bar: int
    ts: int
    market: Market
    first: int
    dressed: bool
    row: Row | None
    why_not: str
    risk: dict[str, Any]
    tail: list[dict[str, Any]]
    halted: dict[str, Any]
    entries: list[int]
    day_begin: dict[str, float]
    replayed: int
    cold: bool


def recover(folder: StateFolder, config: Config, feed: Feed, dresser: Dresser) -> Recovered | None:
    """Read the newest journal and bring state and scanner to its last closed bar; None if nothing was decided yet.

    Raises
    ------
    Damaged
        If a bar decides otherwise now than it did: the first difference is named.
    """
    path = folder.newest_journal()
    if path is None:
        return None
    journal = Journal(path)
    index = journal.index()
    player = Replayer(journal, config=config)
    rows = index.of("history", "row")
    numbers = _bars_of(journal, index, rows)
    market = market_of(journal, index, numbers, rows)
    closing = index.of("decision")
    begin = _begin(journal, index, player)
    if not len(closing):
        state, bar, ts, last = begin.state, begin.bar, begin.ts, begin.record
        held, low = None, 0
        taken = _usable(folder, {bar: int(state.account["digest"][0])}, player)
    else:
        held = hold(journal, index, player.banks)
        bar, ts, last = int(held.bars[-1]), int(held.ts[-1]), int(closing[-1])
        digests_at = dict(zip(held.bars.tolist(), held.digests.tolist(), strict=True))
        digests_at[begin.bar] = int(begin.state.account["digest"][0])
        taken = _usable(folder, digests_at, player)
        low = 0 if taken is None else int(np.searchsorted(held.bars, taken.bar, side="right"))
        state = begin.state if taken is None else taken.state(player.engine, player.assets)
        digests, stages = player.run(state, held, low, len(held.bars))
        _check(journal, held, low, digests, stages)
    replayed = 0 if held is None else len(held.bars) - low
    dressed = taken is not None and _dress(dresser, taken, market, bar)
    row, why_not = _open_row(journal, index, rows, numbers, bar)
    return Recovered(
        journal=journal, index=index, state=state, bar=bar, ts=ts, market=market,
        first=int(numbers.min()) if len(numbers) else bar + 1, dressed=dressed,
        row=row, why_not=why_not, risk={} if taken is None else taken.parts["risk"], tail=tail_of(journal, index, last),
        halted=_halted(journal, index), entries=_entries(held), day_begin=begin.account, replayed=replayed,
        cold=taken is None,
    )  # fmt: skip


@dataclass(frozen=True)
class _Begin:
    """What a day's journal begins with."""

    state: State
    bar: int
    ts: int
    record: int
    account: dict[str, float]


def _begin(journal: Journal, index: Index, player: Replayer) -> _Begin:
    first = journal.header["first_bar"]
    closing = index.of("decision")
    states = [k for k in index.of("state").tolist() if not len(closing) or k < closing[0]]
    if not states:
        state = player.engine.new_state(player.assets, float(journal.header["initial_capital"]))
        before = index.of("header", "history")
        return _Begin(state, int(first["row"]) - 1, 0, int(before[-1]), account_of(state))
    of, place = index.templates[int(index.which[states[-1]])], int(index.places[states[-1]]) * 8
    values = journal.record_at(place, of)
    state = player.unpacked(journal.text_at(place, of))
    return _Begin(state, int(values["bar"]), int(values["ts"]), states[-1], account_of(state))


def _bars_of(journal: Journal, index: Index, records: Ints) -> Ints:
    out = np.empty(len(records), np.int64)
    for of in np.unique(index.which[records]).tolist():
        here = index.which[records] == of
        out[here] = journal.field(index, records[here], "bar")
    return out


def _usable(folder: StateFolder, digests: dict[int, int], player: Replayer) -> Snapshot | None:
    """The newest snapshot whose digest is the one of its bar in the journal."""
    for found in snapshots(folder.snapshots):
        if digests.get(found.bar) == found.digest:
            try:
                found.state(player.engine, player.assets)
            except ValueError:
                continue
            return found
    return None


def _check(journal: Journal, held: Held, low: int, digests: Words, stages: Words) -> None:
    """Every bar that was decided again must be the one that was journaled."""
    unequal = np.flatnonzero(digests != held.digests[low:])
    if held.problems:
        raise Damaged(f"its records contradict each other: {held.problems[0]}", where=str(journal.path))
    if len(unequal):
        k = int(unequal[0])
        differs = np.flatnonzero(stages[k] != held.stages[low + k])
        stage = STAGES[int(differs[0])] if len(differs) else "chain"
        raise Damaged(
            f"bar {int(held.bars[low + k])} ({format_time(int(held.ts[low + k]))}) decides otherwise now, "
            f"first in stage '{stage}'",
            where=str(journal.path),
            mend="the session does not go on; 'dolphin parity JOURNAL JOURNAL@rung4' says what differs",
        )


def _dress(dresser: Dresser, taken: Snapshot, market: Market, bar: int) -> bool:
    """Bring the scanner from the snapshot to the last closed bar, on the journaled prices."""
    if not taken.parts["scanner"]:
        return False
    dresser.restore(taken.parts["scanner"])
    for k in range(taken.bar + 1, bar + 1):
        dresser.scanner.update(int(market.ts[k]), market.price[k])
        dresser.rows += 1
    return True


def _open_row(
    journal: Journal, index: Index, rows: Ints, numbers: Ints, bar: int
) -> tuple[Row | None, str]:  # fmt: skip
    """The row behind the last closed bar, as it was written, and why nothing may be opened on it."""
    behind = np.flatnonzero(numbers > bar)
    if not len(behind):
        return None, ""
    k = int(rows[behind[0]])
    values = journal.record_at(int(index.places[k]) * 8, index.templates[int(index.which[k])])
    assets = journal.shape.assets
    columns = {
        name: np.array(values["columns"].reshape(-1, assets)[j]) for j, name in enumerate(journal.shape.columns)
    }  # fmt: skip
    risk = neutral_risk(1)
    for j, name in enumerate(RISK_VALUES[: journal.shape.risk]):
        risk[name] = values["risk"][j]
    gaps = {_at(journal, index, g, "bar"): json.loads(_text(journal, index, g)) for g in index.of("gap").tolist()}
    why_not = str(gaps.get(int(values["bar"]), {}).get("why", ""))
    row = Row(
        trade=not why_not,
        bar=int(values["bar"]), ts=int(values["ts"]), price=np.array(values["price"], np.float64),
        age=np.array(values["age"], np.int32), columns=columns, risk=risk,
    )  # fmt: skip
    return row, why_not


def _at(journal: Journal, index: Index, k: int, name: str) -> int:
    """A number of record ``k``."""
    of = index.templates[int(index.which[k])]
    return int(journal.record_at(int(index.places[k]) * 8, of)[name])


def _text(journal: Journal, index: Index, k: int) -> str:
    """The text of record ``k``."""
    return journal.text_at(int(index.places[k]) * 8, index.templates[int(index.which[k])])


def _halted(journal: Journal, index: Index) -> dict[str, Any]:
    """What the operator last wanted, as the session had read it."""
    found = index.of("operator")
    wanted: dict[str, Any] = dict(journal.header.get("wanted") or {})
    for k in found.tolist():
        text = json.loads(_text(journal, index, k))
        wanted = text.get("wanted", wanted)
    return wanted


def _entries(held: Held | None) -> list[int]:
    """Times of the entries that went out in the last minute before the last bar."""
    if held is None or not len(held.intents):
        return []
    times = dict(zip(held.bars.tolist(), held.ts.tolist(), strict=True))
    refused = {(int(e["slot"]), int(e["bar"])) for e in held.events if e.ids.get("why")}
    found = [
        times[bar]
        for order, slot, bar in zip(held.intents, held.intent_slots.tolist(), held.intent_bars.tolist(), strict=True)
        if bar in times and int(order["action"]) in (OPEN, INCREASE, REVERSE) and (slot, bar) not in refused
    ]
    return [ts for ts in found if ts > held.ts[-1] - MINUTE_NS]
