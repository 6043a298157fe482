"""Days of a session: capital and positions go over midnight to the last bit, and closed days are in the catalog."""

from __future__ import annotations

import itertools
import json

import numpy as np
import polars as pl
import pytest
from small_market import BUSY

from dolphin.catalog.query.sql import query
from dolphin.config import parse_config
from dolphin.errors import DolphinError, Refused
from dolphin.files import canonical_json
from dolphin.journal.reader import Journal
from dolphin.live.mirrors.record import LocalLedger
from dolphin.stores.names import CAPITAL, pnl_map
from dolphin.times import parse_time
from dolphin.trade import champion as champions
from dolphin.trade.archive import archive_closed, session_tables
from dolphin.trade.champion import UNFROZEN, Runs, may_buy, require_long_record
from dolphin.trade.feeds import FeedOptions, open_feed
from dolphin.trade.folder import StateFolder
from dolphin.trade.paper import trade_paper
from dolphin.trade.proof import prove
from dolphin.trade.settings import RiskSettings, Settings

CONFIG = parse_config(BUSY | {"params": BUSY["params"] | {"max_hold_bars": 200, "tp_pct": 0.01}}, where="busy")
#: A run a day, as when the machine is switched off in between; the last day is not over.
BEGIN, STOPS = "2025-01-01T22:00:00Z", ("2025-01-02T00:00:00Z", "2025-01-03T00:00:00Z", "2025-01-03T20:00:00Z")


def trade(home, state, stop, config=CONFIG, account="blue"):
    opened = open_feed(home, "replay:m", config, FeedOptions(0.0, parse_time(BEGIN), parse_time(stop)))
    return trade_paper(
        home, Runs(config, UNFROZEN, account), opened, state,
        Settings(fsync="never", snapshot_bars=300, risk=RiskSettings(mode="observe", books=False)),
        feed="replay:m", say=lambda line: None, store=f"embedded:{state.parent / 'store'}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def three_days(pristine, tmp_path_factory):
    """A session over three days in three processes' worth of runs; its folder and how each run ended."""
    state = tmp_path_factory.mktemp("days") / "state"
    return state, [trade(pristine, state, stop) for stop in STOPS]


def bits(value):
    return np.float64(value).tobytes()


@pytest.mark.slow
def test_the_end_of_a_day_is_the_start_of_the_next_to_the_last_bit(pristine, three_days):
    state, ended = three_days
    days = [json.loads(path.read_text()) for path in sorted((state / "days").glob("*.json"))]
    assert [day["date"] for day in days] == ["2025-01-01", "2025-01-02", "2025-01-03"]
    for before, after in itertools.pairwise(days):
        for name in ("capital", "equity"):
            assert bits(before[name]) == bits(after["begin"][name])
    journals = [Journal(path) for path in StateFolder(state).sessions_journals()]
    last = [j.field(i := j.index(), i.of("decision"), "account")[-1] for j in journals]
    # What a journal begins with is the account of the day before, to the last bit; positions were held.
    assert any(account[2] for account in last[:2])
    for run, day in zip(ended, days, strict=True):
        assert bits(run.status["capital"]) == bits(day["capital"])
    assert ended[0].status["positions"] == json.loads(json.dumps(ended[0].status["positions"]))
    proof = prove(pristine, state)  # one run of research over all of it, which never stops
    assert proof.equal and proof.days == 3, proof.sentence
    assert json.loads((state / "session.json").read_text())["initial_capital"] == 25_000.0


@pytest.mark.slow
def test_the_ledger_has_the_days_and_the_first_capital_stays(three_days):
    state, _ = three_days
    kept = list(LocalLedger(state / "ledger.jsonl").records())
    checkpoints = [record.value for record in kept if record.key == CAPITAL]
    assert [c["date"] for c in checkpoints] == ["2025-01-01", "2025-01-02"]
    assert {c["initial_capital"] for c in checkpoints} == {25_000.0}
    days = {record.key: record.value["engine_capital"] for record in kept if record.place == pnl_map("blue")}
    for date, capital in days.items():
        assert bits(capital) == bits(json.loads((state / "days" / f"{date}.json").read_text())["capital"])


@pytest.mark.slow
def test_closed_days_are_asked_in_sql(home, three_days, tmp_path):
    assert archive_closed(home, StateFolder(three_days[0])) == []  # not of this workspace
    state = home.root / "runs" / "trade" / "blue"
    ended = trade(home, state, "2025-01-03T00:30:00Z")
    answer = query(
        home, "select day, count(*) as bars, max_by(capital, bar) as capital from session_decisions "
        "group by day order by day", session_tables(home),
    ).frame()  # fmt: skip
    assert answer["bars"].to_list() == [121, 1440]
    day = json.loads((state / "days" / "2025-01-02.json").read_text())
    assert bits(answer["capital"][1]) == bits(day["capital"])
    assert ended.status["alerts"] == [] and archive_closed(home, StateFolder(state)) == []
    events = query(home, "select * from session_events where status_name = 'FILLED'", session_tables(home)).frame()
    assert isinstance(events, pl.DataFrame) and events.height > 0


class Frozen:
    """What of a champion a LONG record is read from."""

    def __init__(self, folder, floors):
        self.folder, self._floors = folder, floors

    def document(self, name):
        assert name == "gate.json"
        return {"floors": self._floors}


def test_a_champion_that_may_buy_needs_the_record_of_its_long_side(pristine, tmp_path, monkeypatch):
    from dolphin.gate.floors import DEFAULT, parse_floors

    (tmp_path / "floors.toml").write_bytes(DEFAULT.read_bytes())
    names = [floor.name for floor in parse_floors(DEFAULT.read_bytes(), "floors", own=False).tiers["green"]]
    runs = Runs(CONFIG, "0" * 64, "green")
    assert may_buy(CONFIG) and not may_buy(parse_config({}, where="short"))
    assert may_buy(parse_config({"strategy": "vel_div_sleeves"}, where="sleeves"))
    for floors, says in (
        ([], "long side: profit factor: not judged"),
        ([{"name": name, "passed": name != names[1]} for name in names], f"{names[1]}: breached"),
    ):
        monkeypatch.setattr(champions, "champion_at", lambda *_, floors=floors: Frozen(tmp_path, floors))
        with pytest.raises(Refused, match=says) as caught:
            require_long_record(pristine, runs)
        assert caught.value.exit_code == 1
    passed = Frozen(tmp_path, [{"name": name, "passed": True} for name in names])
    monkeypatch.setattr(champions, "champion_at", lambda *_: passed)
    require_long_record(pristine, runs)
    require_long_record(pristine, Runs(parse_config({}, where="short"), "0" * 64, "green"))
    assert canonical_json(runs.config.document()) and issubclass(Refused, DolphinError)
