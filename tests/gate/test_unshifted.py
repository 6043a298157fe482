"""Who knows shifted signals when he sees them can make p_a and p_b small, and not what the judge asks beside them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import wary_for_tests as wary

from dolphin.catalog import generate
from dolphin.files import read_json
from dolphin.gate import Candidate, find_candidate
from dolphin.gate.apart import _ask, _ran
from dolphin.gate.evaluation import _measure
from dolphin.gate.evidence.combining import rank
from dolphin.gate.evidence.moving import Held, held_of, sharpes_moved
from dolphin.gate.evidence.shifting import draw_shifts, scores_under
from dolphin.gate.policy import DEFAULT as POLICY
from dolphin.gate.policy import read_policy
from dolphin.gate.second_look import _without_later_rows
from dolphin.gate.unshifted import LIMIT, MOVES, NAME, edge_without_shifts, with_open
from dolphin.study.trials.choice import Choice
from dolphin.workspace import Workspace

DAY = 86_400_000_000_000


def test_trades_moved_by_hand() -> None:
    """Four rows of one day and four of the next, two assets, one of them without its first price."""
    logs = [[0.0, np.nan], [0.1, 1.0], [0.3, 1.2], [0.2, 1.1], [0.5, 1.0], [0.4, 1.3], [0.9, 1.4], [0.7, 1.1]]
    close = np.exp(np.array(logs))
    ts = DAY + (np.arange(8, dtype=np.int64) + 1) * (DAY // 4)
    held = Held(*(np.array(v) for v in ([1, 4], [3, 7], [0, 1], [0.5, -2.0], [0.04, -0.5])))
    costs = 0.5 * np.expm1(0.1) - 0.04, -2.0 * np.expm1(0.1) + 0.5
    found = sharpes_moved(held, close, ts, [0, 3])

    def ratio(one: float, two: float) -> float:
        days = np.array([one, two])
        return float(np.sqrt(365.0) * days.mean() / days.std(ddof=1))

    assert found[0] == pytest.approx(ratio(0.04, -0.5), rel=1e-12)
    # Moved by three: the first holds rows 4 to 6, the second row 7 and, around the circle, up to row 2; before its
    # first price an asset is worth that.
    first = 0.5 * np.expm1(0.4) - costs[0]
    second = -2.0 * np.expm1((1.1 - 1.1) + (1.2 - 1.0)) - costs[1]
    assert found[1] == pytest.approx(ratio(second, first), rel=1e-12)
    assert np.isnan(sharpes_moved(Held(*(v[:0] for v in held)), close, ts, [0, 1])).all()


def test_positions_by_their_trades_and_what_is_open(candidate: Candidate) -> None:
    measure = _measure(candidate, candidate.config, None)
    run, start = measure.run_of(1440, measure.stop), 1440
    held = held_of(run.recording.trades, start)
    trades = run.recording.trades
    assert held.earned == pytest.approx(trades["capital_after"] / trades["capital_before"] - 1.0, abs=1e-9)
    assert held.entry.min() >= 0 and (np.abs(held.weight) <= 2.0).all() and (held.weight < 0.0).all()
    close = np.full((10, 2), 50.0)
    slot = SimpleNamespace(
        side=-1, qty=2.0, entry_price=55.0, entry_bar=7, entry_fee=1.0, asset=1, capital_before=500.0
    )
    engine: Any = SimpleNamespace(slots=[SimpleNamespace(side=0), slot])
    more = with_open(held, engine, close, 5)
    assert [float(values[-1]) for values in more] == [2, 9, 1, pytest.approx(-0.22), pytest.approx(9.0 / 500.0)]
    assert len(more.entry) == len(held.entry) + 1 and with_open(held, SimpleNamespace(slots=[]), close, 5) is held  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def wary_home(tmp_path_factory: pytest.TempPathFactory, workspace: Workspace) -> Workspace:
    """A copy of the workspace with a market without an edge, the shipped policy, and the strategy."""
    home = Workspace(Path(shutil.copytree(workspace.root, tmp_path_factory.mktemp("wary") / "w")))
    generate(home, "null", preset="null", days=6, assets=2, spacing_ns=60 * 10**9, seed=4)
    shutil.copy(POLICY, home.promote / "policy.toml")
    home.research.mkdir(exist_ok=True)
    shutil.copy(wary.__file__, home.research / "wary.py")
    (home.root / "wary.toml").write_text('strategy = "wary:WARY"\n')
    return home


def measured(home: Workspace) -> Any:
    found = find_candidate(home, str(home.root / "wary.toml"), dataset="null")
    return _measure(found, found.config, None)


def test_who_trades_badly_under_shifts_has_a_small_p_and_no_edge(wary_home: Workspace) -> None:
    measure = measured(wary_home)
    start, stop = measure.start, measure.stop
    shifts = [0, *draw_shifts(stop - start, 720, 39, [1])]
    value, *others = scores_under(measure.config, measure.market, start, stop, shifts, Choice()).tolist()
    assert rank(value, others) == 1 / 40 and max(others) < -20.0 < value, "by its shifted signals it has an edge"
    engine: Any = SimpleNamespace(slots=[])
    trades, policy = measure.whole.recording.trades, read_policy(wary_home)
    asked = wary_home, measure.dataset, measure.config.hash
    check = edge_without_shifts(*asked, policy.alpha, (start, stop), engine, trades, policy)
    assert not check.passed and check.name == NAME and f"among {MOVES} moves" in check.detail
    # Trades that know when are told from those that do not.
    close = measure.dataset.prices().close[start:stop]
    later = trades.copy()
    rose = close[trades["exit_bar"] - start, 0] > close[trades["entry_bar"] - start, 0]
    later["side"] = np.where(rose, 1, -1)
    later["pnl"] = np.abs(trades["pnl"])
    check = edge_without_shifts(*asked, policy.alpha, (start, stop), engine, later, policy)
    assert (
        check.passed
        and f"p_t = {1 / (MOVES + 1):.3g}" in check.detail
        and f"{LIMIT * policy.alpha:.3g} may be" in check.detail
    )
    # A later family has less.
    assert not edge_without_shifts(*asked, 0.0001, (start, stop), engine, later, policy).passed


@pytest.mark.slow
def test_a_strategy_that_knows_shifted_signals(wary_home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its p_b is 1 in 200, its own process says yes, every decision is honest, and it is refused."""
    for name in [name for name in sys.modules if name.startswith("research_")]:
        monkeypatch.delitem(sys.modules, name)
    ask = _ask(wary_home, str(wary_home.root / "wary.toml"), "null", None, None, tier2=True, parity=False, who=None)
    with _ran(wary_home, ask, None) as (folder, report):
        assert report.passed, report.refusal()
        assert report.evidence["edge"]["p"] == 1 / 200
        rows, check = _without_later_rows(wary_home, folder, read_json(folder / "found.json"), None)
    assert rows.passed and not check.passed and "may be" in check.detail
