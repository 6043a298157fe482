"""What a session does while no bar waits for it: files, garbage, snapshots."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from dolphin.config import parse_config
from dolphin.errors import DolphinError
from dolphin.trade.background import MOST, Background
from dolphin.trade.collecting import YOUNG, Collector
from dolphin.trade.marks import Marks
from dolphin.trade.snapshot import KEPT, snapshots, take_snapshot, write_snapshot


def test_files_are_written_in_order_and_a_failure_is_raised_at_the_next_look():
    files, done, go = Background(), [], threading.Event()
    files.do(go.wait, 60)
    for k in range(MOST - 1):
        files.do(done.append, k)
    assert done == []
    go.set()
    files.finish()
    assert done == [0, 1, 2]

    def fails():
        raise DolphinError("no space", where="disk")

    files.do(fails)
    with pytest.raises(DolphinError, match="no space"):
        files.finish()
    files.finish()


def test_garbage_is_collected_between_bars_alone_and_as_ever_behind_the_session():
    assert gc.isenabled()
    one, looks = Collector(), []
    gc.callbacks.append(lambda phase, info: looks.append(info["generation"]))
    try:
        one.begin()
        one.leave_out()
        assert not gc.isenabled()
        looks.clear()
        kept = [[] for _ in range(2 * YOUNG)]
        assert looks == [] and len(kept) == 2 * YOUNG
        one.between()
        assert looks[:1] == [1]
        looks.clear()
        one.between()
        assert looks == []
    finally:
        gc.callbacks.pop()
        one.end()
    one.end()
    assert gc.isenabled() and gc.get_freeze_count() == 0


def test_a_snapshot_gives_back_every_array_and_a_torn_one_has_another_behind_it(tmp_path):
    engine = parse_config({}, where="x").engine
    state = engine.new_state(3, 25_000.0)
    records = np.zeros(2, np.dtype([("a", "f8"), ("b", "i8", (3,)), ("c", "i4")], align=True))
    records["a"], records["c"] = (1.5, 2.5), 7
    scanner = {
        "records": records,
        "last": np.array([1, 2], np.int64),
        "flags": np.zeros((0, 4)),
        "ring": np.arange(6.0).reshape(2, 3),
    }
    for bar in range(5):
        state.account["capital"] = 25_000.0 + bar
        write_snapshot(tmp_path, take_snapshot(bar, bar * 60, state, scanner, {"name": np.array("blue"), "x": 1.5}))
    files = sorted(tmp_path.glob("*.npz"))
    assert len(files) == KEPT
    files[-1].write_bytes(files[-1].read_bytes()[:-200])
    found = next(snapshots(tmp_path))
    assert (found.bar, found.ts) == (3, 180)
    assert float(found.state(engine, 3).account["capital"][0]) == 25_003.0
    for name, values in scanner.items():
        np.testing.assert_array_equal(found.parts["scanner"][name], values)
        assert found.parts["scanner"][name].dtype == values.dtype
    assert str(found.parts["risk"]["name"]) == "blue" and float(found.parts["risk"]["x"]) == 1.5


def test_nothing_decided_is_no_decision():
    assert Marks(("A",), (), ()).last is None
