"""A live session in a process of its own, to be killed: URL, state folder, last row, home of dataset ``m``.

``KILL=bar:phase`` ends it there: intent (written, not sent), sent (sent, not filled), filled (filled, not booked).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from small_market import BUSY

from dolphin.catalog import open_dataset
from dolphin.config import parse_config
from dolphin.live.binance.keys import Keys
from dolphin.live.binance.trader import LiveTrader
from dolphin.trade.champion import UNFROZEN, Runs
from dolphin.trade.live.session import Venue, trade_live
from dolphin.trade.settings import Settings
from dolphin.workspace import Workspace


def main(url: str, state: str, last: str, home: str) -> None:
    workspace = Workspace(Path(home))
    dataset = open_dataset(workspace, "m")
    config = parse_config({"strategy": "vel_div", **BUSY, "friction": {"slippage_bps": 0.0, "fee_bps": 5.0}}, where="x")
    bar, _, phase = os.environ.get("KILL", "").partition(":")
    if bar:
        die_at(int(bar), phase)
    trade_live(
        workspace, Runs(config, UNFROZEN, "killed"), Venue(dataset, url=url, ask_after=1.0), Path(state),
        Settings(snapshot_bars=100 if phase == "sent" else 4), Keys("key", "secret"), say=print, stop_at=int(last),
    )  # fmt: skip


def die_at(bar, phase):
    def dies(trader):
        if trader.session.bar == bar:
            os.kill(os.getpid(), 9)

    send, finish = LiveTrader.send, LiveTrader._finish
    if phase == "intent":
        LiveTrader.send = lambda trader, slot, order: (dies(trader), send(trader, slot, order))
    elif phase == "sent":
        LiveTrader.send = lambda trader, slot, order: (
            send(trader, slot, order),
            trader._loop.call_later(0.1, dies, trader),
        )
    else:
        LiveTrader._finish = lambda trader, outcome: (dies(trader), finish(trader, outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
