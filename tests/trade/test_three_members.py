"""A session whose store is a cluster of three: one member is killed and started again, and no bar waits for it."""

from __future__ import annotations

import dataclasses
import threading
import time

import numpy as np
import pytest
from acting_feed import ActingFeed
from hazelcast_member import three_members
from small_market import BUSY
from test_risk_sessions import BEGIN, RISK, STOP, publish, risk_of

from dolphin.catalog import open_dataset
from dolphin.config import parse_config
from dolphin.core.records import APEX
from dolphin.stores import open_store
from dolphin.trade.champion import UNFROZEN, Runs
from dolphin.trade.feeds import FeedOptions, open_feed
from dolphin.trade.marks import Latencies
from dolphin.trade.paper import trade_paper
from dolphin.trade.proof import prove
from dolphin.trade.settings import Settings

pytest.importorskip("hazelcast")
#: Seconds; the promise is 0.05 beyond what the bar itself takes, and a machine under load stops a thread for longer.
GENEROUS = 1.0
KILLED, STARTED = 30, 60


@pytest.mark.slow
def test_a_member_that_dies_and_comes_back_in_mid_session_blocks_no_bar(pristine, tmp_path, monkeypatch):
    members = three_members()
    url = f"hazelcast://{','.join(f'127.0.0.1:{one.port}' for one in members)}/three"
    first = int(np.searchsorted(open_dataset(pristine, "m").grid(), BEGIN))
    config, taken, seen = parse_config(BUSY, where="busy"), [], []
    add = Latencies.add
    monkeypatch.setattr(
        Latencies, "add", lambda self, name, s: (taken.append(s) if name == "bar" else None, add(self, name, s))
    )
    store = open_store(url, wait=60)
    begun = threading.Thread(target=lambda: members[1].start())

    def at(bar):
        time.sleep(0.05)  # a member takes seconds to come back: that many bars meanwhile
        seen.append(store.health().nodes)
        if bar == KILLED:
            members[1].kill()
        if bar == STARTED:
            begun.start()

    try:
        publish(store, BEGIN)
        opened = open_feed(pristine, "replay:m", config, FeedOptions(0.0, BEGIN, STOP))
        acts = {first + k: lambda k=k: at(k) for k in range(120)}
        opened = dataclasses.replace(opened, feed=ActingFeed(opened.feed, acts), store=store, store_url=url)
        ended = trade_paper(
            pristine, Runs(config, UNFROZEN, "blue"), opened, tmp_path / "s",
            Settings(fsync="seconds:5", snapshot_bars=25, risk=RISK), feed="replay:m", say=print, store=url,
        )  # fmt: skip
        begun.join()
    finally:
        for one in members:
            one.stop()
    assert ended.bars == 120 and prove(pristine, tmp_path / "s").equal
    assert min(seen) == 2 and seen[0] == 3
    assert (risk_of(tmp_path / "s")[:, 3] == APEX).all()  # two of three have everything
    usual, gone = np.array(taken[5:KILLED]), np.array(taken[KILLED:])
    print(f"a bar took {1e3 * np.median(usual):.2f} ms, {1e3 * usual.max():.2f} at most; from the kill on "
          f"{1e3 * np.median(gone):.2f} and {1e3 * gone.max():.2f}; members {seen[::10]}")  # fmt: skip
    assert gone.max() < GENEROUS
