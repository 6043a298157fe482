"""A person's posture on record: who, why, until when; a ledger that cannot be changed unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolphin.core.records import APEX, HIBERNATE, TURTLE
from dolphin.errors import Damaged, DolphinError
from dolphin.feeds.overrides import current, ledger_path, lift_override, read_overrides, set_override
from dolphin.risk.override import in_force
from dolphin.times import SECOND_NS
from dolphin.workspace import create

HOUR = 3600 * SECOND_NS


def test_set_expire_lift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLPHIN_USER", "ann")
    home = create(tmp_path)
    assert current(home, 0) is None
    set_override(home, "TURTLE", "news at two", 10, HOUR)
    found = current(home, 10)
    assert found is not None and (found.posture, found.author, found.reason) == (TURTLE, "ann", "news at two")
    assert in_force(APEX, found, 10, 1.0) == TURTLE and in_force(HIBERNATE, found, 10, 0.0) == HIBERNATE
    assert current(home, 9) is None and current(home, 10 + HOUR) is None
    set_override(home, "HIBERNATE", "worse", 20, HOUR)
    assert current(home, 20).posture == HIBERNATE  # type: ignore[union-attr]
    lift_override(home, "over", 30)
    assert current(home, 30) is None
    assert [line["action"] for line in read_overrides(home)] == ["set", "set", "lift"]
    with pytest.raises(DolphinError, match="no override is in force"):
        lift_override(home, "again", 40)


def test_what_is_refused_leaves_no_line(tmp_path: Path) -> None:
    home = create(tmp_path)
    for posture, reason, length in (("TURTEL", "r", 1), ("TURTLE", " ", 1), ("TURTLE", "r", 0)):
        with pytest.raises(DolphinError):
            set_override(home, posture, reason, 0, length)
    assert not ledger_path(home).exists()


def test_a_changed_line_is_found(tmp_path: Path) -> None:
    home = create(tmp_path)
    for reason in ("one", "two"):
        set_override(home, "TURTLE", reason, 0, HOUR)
    path = ledger_path(home)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"torn')  # a crash: the line was never written
    assert len(read_overrides(home)) == 2
    for damage in (whole.replace(b"one", b"eno"), whole.split(b"\n", 1)[1], b"[]\n"):
        path.write_bytes(damage)
        with pytest.raises(Damaged, match="line 1"):
            current(home, 0)
