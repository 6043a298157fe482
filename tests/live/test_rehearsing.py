"""After a rehearsal no bar of a session compiles anything."""

from __future__ import annotations

from dataclasses import replace

from ladder_cases import case_of
from strategies_for_tests import TWO_SLOTS
from test_session import play, session_of

from dolphin.core import kernels
from dolphin.live.rehearsing import rehearse

CALLED = ("begin_bar", "call_margin", "decide_bar", "place_bar", "book_fill", "end_bar")


def compiled() -> dict[str, int]:
    return {name: len(getattr(kernels, name).overloads) for name in CALLED}


def test_no_bar_waits_for_a_compiler() -> None:
    case = case_of(replace(TWO_SLOTS, reasons=("", *(f"REHEARSED_{k}" for k in range(len(TWO_SLOTS.reasons) - 1)))))
    before = compiled()
    rehearse(case.engine, case.params, case.friction, case.market, case.start - 1)
    after = compiled()
    assert all(after[name] > before[name] for name in CALLED), "a strategy that nobody has met"
    session = session_of(case)
    play(case, session)
    assert session.fills and compiled() == after
