"""Ways in which a worthless strategy was once promoted, and what the gate says to each: strategies that cheat."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sneaky_for_tests as sneaky

from dolphin.config import Config, Variants, parse_config
from dolphin.errors import DolphinError
from dolphin.gate import Candidate, evaluate, promote
from dolphin.gate.candidate import _config
from dolphin.gate.case import open_case
from dolphin.gate.evaluation import _measure, with_open
from dolphin.gate.evidence.looks import earlier_families, looks_at
from dolphin.gate.floors import Window
from dolphin.gate.honest import honest_checks
from dolphin.gate.measure import Measure, worst_by_bar
from dolphin.gate.recount import recounted
from dolphin.gate.report import Check
from dolphin.gate.unpatched import unpatched
from dolphin.strategies import load
from dolphin.workspace import Workspace, create

DAY = 86_400_000_000_000
READ = "import json, pathlib\nDATES = tuple(json.loads(pathlib.Path(__file__ + '.t').read_text()))"


@pytest.fixture(scope="module")
def cheats(workspace: Workspace) -> Workspace:
    """The workspace with the strategy that cheats."""
    workspace.research.mkdir(exist_ok=True)
    shutil.copy(sneaky.__file__, workspace.research / "sneaky.py")
    return workspace


def candidate_of(cheats: Workspace, candidate: Candidate, mode: int, **more: Any) -> Candidate:
    table = {"strategy": "sneaky:SNEAKY", "params": {"mode": mode}, **more}
    return dataclasses.replace(candidate, config=parse_config(table, where="test", research=cheats.research))


def checked(cheats: Workspace, candidate: Candidate, mode: int) -> dict[str, Check]:
    mine = candidate_of(cheats, candidate, mode)
    measure = _measure(mine, mine.config, None)
    measure.over(Window("5d", 3))
    assert measure.whole.metrics["trades"] > 3
    found = honest_checks(measure, measure.spans)
    return {check.name: check for check in [*found, recounted(measure)]}


def broken(checks: dict[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if not check.passed}


def test_who_does_not_cheat_passes(cheats: Workspace, candidate: Candidate) -> None:
    assert broken(checked(cheats, candidate, sneaky.HONEST)) == set()


@pytest.mark.slow
def test_a_peek_where_a_state_has_room_for_day_ends(cheats: Workspace, candidate: Candidate) -> None:
    found = checked(cheats, candidate, sneaky.PEEKS_WITH_ROOM)
    assert {"same in every state", "look-ahead, every window"} <= broken(found)
    assert "no room for day ends" in found["same in every state"].detail


@pytest.mark.slow
def test_a_peek_in_windows_that_begin_late(cheats: Workspace, candidate: Candidate) -> None:
    found = checked(cheats, candidate, sneaky.PEEKS_LATER)
    assert "look-ahead, every window" in broken(found)
    assert "same in every state" not in broken(found)


@pytest.mark.slow
def test_decide_that_writes_account_sums(cheats: Workspace, candidate: Candidate) -> None:
    found = checked(cheats, candidate, sneaky.WRITES)
    assert {"decisions write wishes only", "recounted from fills and prices"} <= broken(found)
    assert "state.account." in found["decisions write wishes only"].detail


@pytest.mark.slow
def test_decide_that_writes_an_entry_price(cheats: Workspace, candidate: Candidate) -> None:
    found = checked(cheats, candidate, sneaky.WRITES_ENTRY)
    assert {"decisions write wishes only", "recounted from fills and prices"} <= broken(found)
    assert "state.slots.entry_price" in found["decisions write wishes only"].detail
    assert "where the close gives" in found["recounted from fills and prices"].detail


@pytest.mark.slow
def test_a_table_of_dates(cheats: Workspace, candidate: Candidate) -> None:
    found = checked(cheats, candidate, sneaky.DATED)
    assert "calendar" in broken(found) and "% of" in found["calendar"].detail


@pytest.mark.slow
def test_a_table_of_rows(cheats: Workspace, candidate: Candidate) -> None:
    found = checked(cheats, candidate, sneaky.BY_ROW)
    assert "later start" in broken(found) and "calendar" not in broken(found)


def test_tables_are_part_of_the_digest(cheats: Workspace, tmp_path: Path) -> None:
    """A table in a tuple, in a tuple in a tuple, or read from a file: other numbers are another strategy."""
    text = Path(sneaky.__file__).read_text()
    digests = []
    for number, line in enumerate(("DATES = (1, 2)", "DATES = (1, 3)", READ)):
        file = tmp_path / f"table{number}.py"
        start = text.index("DATES = ")
        file.write_text(text[:start] + line + text[text.index("\n", start) :])
        Path(f"{file}.t").write_text("[1, 4]")
        digests.append(load(f"table{number}:SNEAKY", tmp_path).digest)
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / "table2.py", tmp_path / "again" / "table3.py")
    (tmp_path / "again" / "table3.py.t").write_text("[1, 5]")
    digests.append(load("table3:SNEAKY", tmp_path / "again").digest)
    assert len({*digests}) == 4


def test_other_sources_are_other_looks(cheats: Workspace, candidate: Candidate, tmp_path: Path) -> None:
    """A number that is edited in the source is tuned like a parameter: another configuration, another family."""
    text, old = Path(sneaky.__file__).read_text(), "signal < -0.01"
    assert text.count(old) == 1

    def version(new: str, research: Path) -> Config:
        research.mkdir(exist_ok=True)
        (research / "tuned.py").write_text(text.replace(old, new))
        return parse_config({"strategy": "tuned:SNEAKY"}, where="test", research=research)

    said, tuned = version(f"{old}  # they say", tmp_path / "said"), version("signal < -0.02", tmp_path / "tuned")
    plain = version(old, cheats.research)
    assert plain.hash == said.hash != tuned.hash and plain.document() == tuned.document()
    variant = Variants(tuned).of({"hold": 20})
    assert variant.hash == variant.config.hash != Variants(plain).of({"hold": 20}).hash
    cases = [open_case(cheats, dataclasses.replace(candidate, config=config)) for config in (plain, tuned)]
    last = cases[1].unseen
    families = earlier_families(
        cheats, looks_at(cheats, candidate.dataset), candidate.dataset, last.first_ts, last.last_ts, tuned.hash
    )
    assert plain.hash in families
    with pytest.raises(DolphinError, match="that of its config and its strategy's sources"):
        _config({"config": plain.document(), "hash": tuned.hash}, tmp_path, cheats)
    assert _config({"config": plain.document(), "hash": tuned.hash}, tmp_path, cheats, frozen=True).hash == plain.hash


def test_a_direction_that_is_only_a_word(cheats: Workspace, candidate: Candidate) -> None:
    mine = candidate_of(cheats, candidate, sneaky.HONEST)
    assert mine.config.params.direction == "short_only"  # type: ignore[attr-defined]
    found = evaluate(cheats, mine, tier2=False, parity=False)
    assert any(floor.name.startswith("long side") for floor in found.floors)


@pytest.mark.slow
def test_trading_that_costs_nothing(cheats: Workspace, candidate: Candidate) -> None:
    free = {"slippage_bps": 0.0, "fee_bps": 0.0}
    for friction, passed in ((free, False), ({"maker_fee_bps": -1.0}, False), ({"fee_bps": 3.0}, True), ({}, True)):
        config = candidate.config.with_values({f"friction.{k}": v for k, v in friction.items()})
        found = evaluate(cheats, dataclasses.replace(candidate, config=config), tier2=False, parity=False)
        (check,) = [c for c in found.checks if c.name == "cost of trading"]
        assert check.passed == passed and "bps a round trip" in check.detail
        names = [a["name"] for a in found.evidence["advisory"]]
        assert "ROI at 10 bps a round trip" in names and "ROI with fills a bar later" in names


def test_a_module_that_patches_the_gate(cheats: Workspace) -> None:
    from dolphin.gate import evaluation, floors, judging, report

    kept = floors.judge, judging.judge, report.GateReport.passed, floors.SHARES
    assert unpatched().passed
    (cheats.research / "patcher.py").write_text(
        "from dolphin.gate import judging, floors, report\n"
        "floors.judge = judging.judge = lambda *a, **k: (True, '')\n"
        "report.GateReport.passed = property(lambda self: True)\n"
    )
    try:
        with pytest.raises(Exception, match="defines no Strategy"):
            load("patcher:NOTHING", cheats.research)
        found = unpatched()
        assert not found.passed and "dolphin.gate." in found.detail
        floors.judge = judging.judge = kept[0]
        assert "GateReport.passed" in unpatched().detail
    finally:
        floors.judge, judging.judge = kept[:2]
        report.GateReport.passed = kept[2]  # type: ignore[method-assign]
    assert unpatched().passed
    metrics = evaluation.METRICS
    try:
        evaluation.METRICS = metrics[:2]
        assert "METRICS is not that of" in unpatched().detail
    finally:
        evaluation.METRICS = metrics


def test_a_percentile_of_the_judged_window(cheats: Workspace, candidate: Candidate) -> None:
    config = parse_config({"params": {"vol_p60": "p60"}}, where="test")
    whole = dataclasses.replace(candidate, config=config)
    late = dataclasses.replace(whole, start=2880)
    for mine, passed in ((whole, False), (late, True)):
        found = evaluate(cheats, mine, tier2=False, parity=False)
        (check,) = [c for c in found.checks if c.name == "percentiles"]
        assert check.passed == passed
    column = found.measure.market.features[:2880, found.measure.config.strategy.columns.index("vol")]
    assert found.measure.config.params.vol_p60 == np.nanpercentile(column, 60)


def test_rules_that_ask_for_less(cheats: Workspace, candidate: Candidate) -> None:
    """A bankrupt run under floors that anything meets is refused, or is told first of all to be under weaker rules."""
    with pytest.raises(Exception, match="weaker than the shipped rules") as caught:
        promote(cheats, candidate, reason="try")
    assert "--weaker-policy" in str(caught.value)
    ruin = candidate.config.with_values({"friction.fee_bps": 900.0})
    found = evaluate(cheats, dataclasses.replace(candidate, config=ruin), tier2=True, parity=False)
    assert found.verdict == "REFUSED" and found.weaker and found.answers["floors"]["answer"] == "no"


def test_losses_between_the_days_closes_count() -> None:
    """Down 40 % and up again within a day, and a stretch from noon to noon."""
    ts = np.arange(1, 97, dtype=np.int64) * (DAY // 24)
    equity = np.full(96, 100.0)
    equity[60] = 60.0
    assert worst_by_bar(ts, equity, 100.0, DAY, DAY // 24) == -0.4
    assert np.isnan(worst_by_bar(ts, equity, 100.0, 5 * DAY, DAY // 24))
    equity[:] = -1.0
    assert worst_by_bar(ts, equity, 100.0, DAY, DAY // 24) == -1.01


def test_an_open_loser_is_shown() -> None:
    closed = {"gross_win": 30.0, "gross_loss": 10.0, "trades": 4, "win_rate": 0.75, "roi": -0.8}
    told = with_open(closed | {"final_equity": 20.0, "open_position": True})
    assert told == {"profit_factor_with_open": pytest.approx(30.0 / 110.0), "win_rate_with_open": 0.6}
    assert with_open(closed | {"final_equity": 20.0, "open_position": False}) == {} == with_open({})


def test_the_championsown_worst_is_the_frozen_one(candidate: Candidate) -> None:
    """On data of the candidate's choice the champion's worst window could be any."""
    from types import SimpleNamespace

    from dolphin.gate.floors import Floor
    from dolphin.gate.judging import own_worst

    floor = Floor("r", "roi", Window("rolling", 10, rolling=True), ">=", -0.05, or_champions_own=True)
    for frozen, limit in ((-0.03, -0.05), (-0.08, -0.08)):
        rows = [{"window": "pinned", "roi": -0.9}, {"window": "rolling", "roi": frozen}]
        champion: Any = SimpleNamespace(document=lambda name, rows=rows: {"windows": rows})
        assert own_worst(floor, champion)[0] == limit


def test_a_window_from_midnight_has_no_day_more(candidate: Candidate) -> None:
    """Its first bar is the last of the day before; what it earned stays in the returns."""
    market = _measure(candidate, candidate.config, None).market
    days, midnight = 2, int(np.searchsorted(market.ts, (int(market.ts[0]) // DAY + 3) * DAY))
    for start in (midnight, midnight + 1):
        found = Measure(candidate.dataset, market, candidate.config, start, midnight + 1 + days * 1440)
        assert len(found.daily_returns) == days
        assert np.prod(1.0 + found.daily_returns) == pytest.approx(1.0 + found.whole.metrics["roi"])
    assert len(Measure(candidate.dataset, market, candidate.config, midnight, midnight + 2881).whole.daily_returns) == 3


def test_measure_runs_what_was_asked(candidate: Candidate) -> None:
    measure = Measure(candidate.dataset, _measure(candidate, candidate.config, None).market, candidate.config, 0, 2000)
    assert measure.spans == []
    assert measure.run_of(0, 2000) is measure.whole and measure.spans == [(0, 2000)]


def test_a_new_workspace_says_what_it_could_see(tmp_path: Path, candidate: Candidate) -> None:
    from dolphin.gate.evidence.looks import looks_at, looks_document

    fresh = create(tmp_path / "fresh")
    document = looks_document(looks_at(fresh, candidate.dataset), (0, 1), workspace=fresh)
    assert document["seen"].startswith("0 looks at this market could be seen, none so far")
    assert document["registry_links"] == 0
