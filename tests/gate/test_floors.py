"""Floors are as strict as written, at their borders too, and the file is checked to the letter."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.errors import DolphinError
from dolphin.gate import DEFAULT, judge, read_floors
from dolphin.gate.floors import Floor, Window
from dolphin.workspace import Workspace, create

PINNED = Window("pinned", 10)
limits = st.floats(-1e6, 1e6, allow_subnormal=False)


def floor(op: str, limit: float, metric: str = "roi") -> Floor:
    return Floor("it", metric, PINNED, op, limit)


def floors_of(tmp_path: Path, text: str) -> Workspace:
    workspace = create(tmp_path / "w")
    (workspace.promote / "floors.toml").write_text(text)
    return workspace


@given(limits)
def test_borders(limit: float) -> None:
    above, below = math.nextafter(limit, math.inf), math.nextafter(limit, -math.inf)
    expected = {">=": (False, True, True), ">": (False, False, True), "<": (True, False, False)}
    for op, outcome in expected.items():
        assert tuple(judge(floor(op, limit), value, 9)[0] for value in (below, limit, above)) == outcome
    assert tuple(judge(floor("<=", limit), v, 9)[0] for v in (below, limit, above)) == (True, True, False)


@given(st.sampled_from([">=", ">", "<", "<="]), limits)
def test_nan_and_no_trades_fail_whatever_the_limit(op: str, limit: float) -> None:
    assert judge(floor(op, limit), math.nan, 9) == (False, "not a number")
    safe = {">": 1e9, ">=": 1e9, "<": -1e9, "<=": -1e9}[op]
    assert judge(floor(op, limit), safe, 9)[0]
    assert judge(floor(op, limit), safe, 0) == (False, "no trades in the window")


def test_infinite_profit_factor_needs_enough_trades() -> None:
    pf = floor(">=", 1.08, "profit_factor")
    assert judge(pf, math.inf, 5, enough=5) == (True, "no losing trade among 5")
    passed, reason = judge(pf, math.inf, 4, enough=5)
    assert not passed and reason == "infinite, but on 4 trades only (5 needed)"


def test_reason_tells_a_strict_floor_from_a_missed_one() -> None:
    assert judge(floor(">", 1.5), 1.5, 9)[1] == "equal to the limit, and the floor is strict"
    assert judge(floor(">", 1.5, "sharpe_365"), 1.25, 9)[1] == "missed by 0.25"
    assert judge(floor(">", 0.35), 0.30, 9)[1] == "missed by 5 points"


def test_the_packaged_floors_are_those_of_the_specification(tmp_path: Path) -> None:
    floors = read_floors(create(tmp_path / "w"))
    stated = {
        tier: [(f.metric, f.window.name, f.window.days, f.op, f.limit) for f in rows]
        for tier, rows in floors.tiers.items()
        if tier != "champion"
    }
    assert stated == {
        "tier1": [
            ("profit_factor", "pinned", 10, ">=", 1.08),
            ("win_rate", "pinned", 10, ">=", 0.42),
            ("roi", "rolling", 10, ">=", -0.05),
            ("trades", "pinned", 10, ">=", 5.0),
            ("max_drawdown", "55d", 55, "<", 0.20),
            ("sharpe_365", "55d", 55, ">", 1.5),
        ],
        "tier2": [("roi", "55d", 55, ">", 0.35), ("sharpe_365", "55d", 55, ">", 2.0)],
        "green": [
            ("profit_factor", "whole", None, ">", 1.05),
            ("win_rate", "whole", None, ">", 0.42),
            ("roi", "whole", None, ">", 0.0),
            ("max_drawdown", "whole", None, "<", 0.30),
            ("trades", "whole", None, ">", 100.0),
        ],
    }
    assert [f.name for f in floors.tiers["tier1"] if f.or_champions_own] == ["ROI, any 10 days"]
    assert floors.default and floors.own  # a new workspace has its own copy
    assert floors.enough_trades("tier1", floors.tiers["tier1"][0].window) == 5
    assert floors.enough_trades("tier2", floors.tiers["tier2"][0].window) == 1


def test_the_repository_has_the_packaged_floors() -> None:
    own = DEFAULT.parents[2] / "promote" / "floors.toml"
    assert own.read_bytes() == DEFAULT.read_bytes()


def test_own_floors_are_read(tmp_path: Path) -> None:
    floors = read_floors(floors_of(tmp_path, DEFAULT.read_text().replace("1.08", "1.2")))
    assert floors.own and not floors.default
    assert floors.tiers["tier1"][0] == replace(read_floors(create(tmp_path / "v")).tiers["tier1"][0], limit=1.2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('metric = "roi"', 'metric = "roy"', "unknown metric 'roy'; did you mean 'roi'"),
        ('window = "55d"', 'window = "50d"', "unknown window '50d'; did you mean '55d'"),
        ('op = "<"', 'op = "=<"', "unknown op '=<'"),
        ("limit = 1.08", 'limit = "1.08"', "limit = '1.08' must be a number"),
        ("limit = 1.08", "limit = nan", "limit = nan must be a number"),
        ("limit = 1.08", "", "'limit' is missing"),
        ("tolerance = 0.02", "limit = 0.02", "unknown key 'limit'"),
        ("[[tier2]]", "[[tier3]]", "unknown key 'tier3'; did you mean 'tier2'"),
        ("days = 55", "days = 0", "days = 0 must be a whole number from 1"),
        ("rolling = true", "rollin = true", "unknown key 'rollin'; did you mean 'rolling'"),
        ("days = 55", 'from = "2025-01-01"', "'from' and 'to' go together"),
        ("version = 1", "version = ", "not valid"),
        ('op = ">="\nlimit = -0.05', 'op = ">="\nlimit = -0.05\nsoft = 1', "unknown key 'soft'"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = DEFAULT.read_text()
    assert old in text
    with pytest.raises(DolphinError) as caught:
        read_floors(floors_of(tmp_path, text.replace(old, new)))
    assert message in str(caught.value) and "floors.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_tier_one_guards_nothing_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DolphinError, match=r"holds no \[\[tier1\]\] floor"):
        read_floors(floors_of(tmp_path, "version = 1\n"))
