"""Files that no bar waits for: in order, failures told, and the interpreter given back soon while they are written."""

from __future__ import annotations

import sys

import pytest

from dolphin.trade.background import HANDS_BACK, USUALLY, Background


def test_what_it_does_is_done_in_order_and_lets_a_bar_in_soon():
    files, done = Background(), []
    for k in range(20):
        files.do(done.append, k)
        assert sys.getswitchinterval() == pytest.approx(HANDS_BACK)
    files.finish()
    assert done == list(range(20)) and sys.getswitchinterval() == pytest.approx(USUALLY)
    files.finish()


def test_what_failed_is_raised_where_the_session_looks_next():
    files = Background()
    files.do(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        files.finish()
    assert sys.getswitchinterval() == pytest.approx(USUALLY)
