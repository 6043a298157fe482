"""The policy file is checked to the letter, and whatever asks for less than the package's is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolphin.errors import DolphinError
from dolphin.gate.floors import DEFAULT as FLOORS
from dolphin.gate.floors import read_floors
from dolphin.gate.policy import DEFAULT, read_policy, weaker
from dolphin.workspace import Workspace, create


def home(tmp_path: Path, name: str = "policy.toml", *changes: tuple[str, str]) -> Workspace:
    made = create(tmp_path / "w")
    path = made.promote / name
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return made


def found(workspace: Workspace) -> list[str]:
    return weaker(read_policy(workspace), read_floors(workspace))


def test_the_shipped_policy_is_that_of_the_specification(tmp_path: Path) -> None:
    policy = read_policy(create(tmp_path / "w"))
    assert (policy.alpha, policy.hard("guard"), policy.hard("least_trials")) == (0.05, 0.30, 50)
    assert policy.hard("search_shifts") >= 39 and policy.hard("search_shift_days") == 1.0
    assert policy.hard("holdout_shifts") >= 199 and policy.hard("holdout_shift_days") == 0.5
    assert policy.own and found(Workspace(tmp_path / "w")) == []
    own = DEFAULT.parents[2] / "promote" / "policy.toml"
    assert own.read_bytes() == DEFAULT.read_bytes()


def test_without_a_file_the_packages_holds(tmp_path: Path) -> None:
    workspace = create(tmp_path / "w")
    (workspace.promote / "policy.toml").unlink()
    policy = read_policy(workspace)
    assert not policy.own and policy.data == DEFAULT.read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "weak"),
    [
        ("total = 0.05", "total = 0.1", True),
        ("total = 0.05", "total = 0.01", False),
        ("guard = 0.30", "guard = 0.31", True),
        ("search_shifts = 99", "search_shifts = 39", True),
        ("search_shifts = 99", "search_shifts = 999", False),
        ("holdout_shift_days = 0.5", "holdout_shift_days = 0.1", True),
        ("least_trials = 50", "least_trials = 51", True),
        ("seed = 20260301", "seed = 1", False),
        ("psr = 0.95", "psr = 0.5", False),
    ],
)
def test_a_weaker_policy_is_named(tmp_path: Path, old: str, new: str, weak: bool) -> None:
    lines = found(home(tmp_path, "policy.toml", (old, new)))
    key = old.split()[0]
    assert [key in line for line in lines] == [True] * weak


@pytest.mark.parametrize(
    ("old", "new", "weak"),
    [
        ("limit = 1.08", "limit = 1.07", True),
        ("limit = 1.08", "limit = 1.2", False),
        ("limit = 0.20", "limit = 0.21", True),
        ("limit = 0.20", "limit = 0.1", False),
        ('op = ">"\nlimit = 1.5', 'op = ">="\nlimit = 1.5', True),
        ('op = ">="\nlimit = 1.08', 'op = ">"\nlimit = 1.08', False),
        ("tolerance = 0.02", "tolerance = 0.5", True),
        ("[windows.55d]\ndays = 55", "[windows.55d]\ndays = 20", True),
        ("[windows.55d]\ndays = 55", '[windows.55d]\nfrom = "2025-01-01"\nto = "2025-02-25"\ndays = 55', False),
        ("[windows.55d]\ndays = 55", '[windows.55d]\nfrom = "2025-01-01"\nto = "2025-01-25"\ndays = 55', True),
    ],
)
def test_weaker_floors_are_named(tmp_path: Path, old: str, new: str, weak: bool) -> None:
    lines = found(home(tmp_path, "floors.toml", (old, new)))
    assert bool(lines) == weak and all(line.startswith("floors.toml: '") for line in lines)


def test_a_floor_that_is_gone_is_named(tmp_path: Path) -> None:
    workspace = create(tmp_path / "w")
    rows = FLOORS.read_text().split("[[tier1]]")
    (workspace.promote / "floors.toml").write_text("[[tier1]]".join(rows[:4] + rows[5:]))
    assert found(workspace) == ["floors.toml: 'trades, 10 days' (tier1) asks for none, shipped is >= 5 over 10 days"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("total = 0.05", "total = 5.0", "total = 5.0 must be a number from 0 to 1"),
        ("total = 0.05", "total = nan", "total = nan must be a number"),
        ("total = 0.05", "", "'total' is missing"),
        ("guard = 0.30", "gard = 0.3", "unknown key 'gard'; did you mean 'guard'"),
        ("[hard]", "[hart]", "unknown key 'hart'; did you mean 'hard'"),
        ("search_shifts = 99", "search_shifts = 9.5", "search_shifts = 9.5 must be a whole number"),
        ("pbo_blocks = 10", "pbo_blocks = 9", "pbo_blocks must be an even number"),
        ("[alpha]", "[alpha", "not valid"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(DolphinError) as caught:
        read_policy(home(tmp_path, "policy.toml", (old, new)))
    assert message in str(caught.value) and "policy.toml" in str(caught.value) and "\n" not in str(caught.value)
