"""Journals written, replayed, torn and damaged (PARITY sections 1 and 2)."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import numpy as np

from dolphin.core.records import Records
from dolphin.errors import DolphinError
from dolphin.journal import Journal, JournalWriter, Replayed, SessionJournal, replay
from dolphin.journal.bookings import book_events
from dolphin.journal.header import header_of, instruments_of, shape_for
from dolphin.journal.held import hold
from dolphin.journal.of_run import write_run_journal
from dolphin.journal.schema import FILLED, PARTLY_FILLED
from dolphin.live.rows import own_market
from dolphin.live.session import Session
from dolphin.parity.case import Case
from dolphin.selftest.detectors import Finding
from dolphin.selftest.orders import case_of_orders

SEEDS = (44, 45, 47)


def _judged(found: Replayed, duplicates: bool = False) -> Finding | None:
    if found.problems:
        return Finding("events", None, found.problems[0])
    return None if found.equal else Finding(found.stage or "chain", found.bar, found.sentence)


def _write(folder: str, case: Case) -> Path:
    path = Path(folder) / "journal.arrow"
    path.unlink(missing_ok=True)
    write_run_journal(path, case.dataset, case.market, case.config, case.start, case.stop, {})
    return path


def replay_agrees() -> Finding | None:
    """Research runs with every kind of order, written and replayed."""
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            case = case_of_orders(seed)
            seen = _judged(replay(Journal(_write(folder, case)), config=case.config))
            if seen:
                return seen._replace(sentence=f"seed {seed}: {seen.sentence}")
    return None


class Refusing:
    """An exchange that fills some market orders at the scan price, and refuses the others and some that are to rest."""

    def __init__(self, session: Session) -> None:
        self.session, self.count = session, 0

    def send(self, slot: int, order: Records) -> None:
        """Fill two of three."""
        self.count += 1
        price = float(self.session.market.price[self.session.bar, int(order["asset"])])
        if self.count % 3 == 0:
            self.session.refused(slot)
        else:
            self.session.filled(slot, float(order["qty"]), price, 0.0)

    def rest(self, slot: int, order: Records) -> None:
        """Refuse one of two; the others wait in vain."""
        self.count += 1
        if self.count % 2 == 0:
            self.session.refused(slot)

    def withdraw(self, slot: int) -> None:
        """Nothing lies anywhere."""


def _session(path: Path, case: Case, exchange: type[Refusing] = Refusing) -> Session:
    """A session of the case at that exchange, its journal written ahead."""
    market, start = case.market, 5
    header = header_of(case.dataset, market, case.config, start, session="selftest", versions={}, write_ahead=True)
    writer = JournalWriter(path, shape_for(market, case.config), header, policy="never")
    journal = SessionJournal(writer, write_ahead=True)
    own = own_market(market, start, case.stop)
    session = Session(
        case.engine, case.params, case.friction, own, case.capital, start, case.stop, [], journal
    )  # fmt: skip
    session.transport = exchange(session)
    more = {name: getattr(market, name) for name in market.by_row() if name in shape_for(market, case.config).columns}
    journal.history(market, start, start)
    for i in range(start, case.stop):
        columns = {name: values[i] for name, values in more.items()}
        session.open(i, int(market.ts[i]), market.price[i], market.age[i], market.features[i], market.risk[i], columns)
        session.matched()
    writer.close()
    return session


def rejects_replayed() -> Finding | None:
    """A session whose orders were refused in part, replayed from its journal."""
    with tempfile.TemporaryDirectory() as folder:
        case = case_of_orders(46)
        path = Path(folder) / "session.arrow"
        _session(path, case)
        return _judged(replay(Journal(path), config=case.config))


def decided_before_written() -> Finding | None:
    """A session killed while it sends an order: the bar's row and the intent are in the file by then."""

    class Killed(Exception):
        pass

    with tempfile.TemporaryDirectory() as folder:
        case, path = case_of_orders(46), Path(folder) / "session.arrow"

        class Killing(Refusing):
            """Its first order is the last thing that happens."""

            def send(self, slot: int, order: Records) -> None:
                raise Killed

        with contextlib.suppress(Killed):
            _session(path, case, Killing)
        journal = Journal(path)
        kinds = [of.kind for _, of in journal.records()]
        row, wish = len(kinds) - kinds[::-1].index("row") if "row" in kinds else 0, "intent" in kinds[-3:]
        if not wish or not row or "decision" in kinds[row:]:
            return Finding("journal", None, f"a session that was killed at an order left {', '.join(kinds[-3:])}")
    return None


def torn_end_is_cut() -> Finding | None:
    """A file cut anywhere in its last records: the bars that are whole are there, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        case = case_of_orders(47)
        whole = _write(folder, case).read_bytes()
        journal = Journal(Path(folder) / "journal.arrow")
        index = journal.index()
        ends = [int(place) * 8 for place in index.places]
        torn = Path(folder) / "torn.arrow"
        for cut in (ends[-1] + 8, ends[-2] + 200, ends[-4] + 88, ends[-6] + 1):
            torn.write_bytes(whole[:cut])
            found = Journal(torn).index()
            good = max(end for end in ends if end <= cut)
            if found.good != good or found.ended or found.torn != cut - good:
                return Finding(
                    "journal", None, f"cut at byte {cut}: {found.good} bytes are said to be whole, {good} are"
                )
        # The last record is there in full length, but not what it was: a write that the disk did not finish.
        torn.write_bytes(whole[: ends[-1] - 48] + b"\0" * 48)
        if Journal(torn).index().good > ends[-2]:
            return Finding("journal", None, "a last record whose end was never written is taken for whole")
    return None


def duplicates_count_once() -> Finding | None:
    """Every fill of a run reported twice, with its trade id: what is booked is what one report of each gives."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(_write(folder, case_of_orders(47)))
        held = hold(journal, journal.index())
        instruments = instruments_of(journal.header)
        events = [replace(event, ids={"trade_id": str(k)}) for k, event in enumerate(held.events)]
        fills = [event for event in events if event["status"] in (PARTLY_FILLED, FILLED)]
        once, twice = (book_events(some, {}, 3, instruments) for some in (events, [*events, *fills]))
        for k, (a, b) in enumerate(zip_longest(once.records, twice.records)):
            if a is None or b is None or a != b:
                bar = int((a if a is not None else b)["at"])
                return Finding("events", bar, f"booking {k} is {b}, without repetition {a}")
    return None


def damage_is_named() -> Finding | None:
    """One bit flipped in the middle of the file is found, wherever it is in a record."""
    with tempfile.TemporaryDirectory() as folder:
        path = _write(folder, case_of_orders(47))
        whole, index = path.read_bytes(), Journal(path).index()
        rng = np.random.default_rng(3)
        for k in rng.integers(5, len(index.places) - 20, 12).tolist():
            data, place, of = bytearray(whole), index.places[k], index.templates[int(index.which[k])]
            data[int(place) * 8 + int(rng.integers(of.body, of.size - 8))] ^= 4
            path.write_bytes(bytes(data))
            try:
                Journal(path).index()
            except DolphinError:
                continue
            return Finding("journal", None, f"a bit flipped behind byte {int(place) * 8} is not seen")
    return None
