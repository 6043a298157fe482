"""A live session in a process of its own, to be killed: URL, state folder, last row, home of dataset ``m``.

``KILL=bar:phase`` ends it there: intent (written, not sent), sent (sent, not filled), filled (filled, not booked). Of
orders that rest: lay (written, not sent), laid (the exchange has it, unheard), part (filled, not booked), leave (on
its way out), rest (a row is closed and orders work); closing (what an operator flattens is filled, not booked).
``CONFIG`` is a JSON document of another strategy.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from small_market import BUSY

from dolphin.catalog import open_dataset
from dolphin.config import parse_config
from dolphin.live.binance.keys import Keys
from dolphin.live.binance.market_desk import MarketDesk
from dolphin.live.binance.resting_desk import RestingDesk
from dolphin.live.binance.trader import LiveTrader
from dolphin.trade.champion import UNFROZEN, Runs
from dolphin.trade.live.session import trade_live
from dolphin.trade.live.venue import Venue
from dolphin.trade.settings import Settings
from dolphin.workspace import Workspace

#: What of the desk of resting orders is not reached any more.
RESTING = {"lay": "_submit", "laid": "accepted", "part": "_part", "leave": "ended", "rest": "after"}


def main(url: str, state: str, last: str, home: str) -> None:
    workspace = Workspace(Path(home))
    dataset = open_dataset(workspace, "m")
    plain = {"strategy": "vel_div", **BUSY, "friction": {"slippage_bps": 0.0, "fee_bps": 5.0}}
    config = parse_config(json.loads(os.environ.get("CONFIG", "null")) or plain, where="x")
    bar, _, phase = os.environ.get("KILL", "").partition(":")
    if bar:
        die_at(int(bar), phase)
    trade_live(
        workspace, Runs(config, UNFROZEN, "killed"), Venue(dataset, url=url, ask_after=1.0), Path(state),
        Settings(snapshot_bars=100 if phase == "sent" else 4), Keys("key", "secret"), say=print, stop_at=int(last),
    )  # fmt: skip


def die_at(bar, phase):
    def dies(desk):
        if desk._trader.session.bar == bar:
            os.kill(os.getpid(), 9)

    send, finish = MarketDesk.send, MarketDesk._finish
    if phase in RESTING:
        die_resting(bar, RESTING[phase])
    elif phase == "closing":
        filled = LiveTrader.on_order_filled
        LiveTrader.on_order_filled = lambda trader, event: (
            event.client_order_id.value.endswith("x") and os.kill(os.getpid(), 9),
            filled(trader, event),
        )
    elif phase == "intent":
        MarketDesk.send = lambda desk, slot, order: (dies(desk), send(desk, slot, order))
    elif phase == "sent":
        MarketDesk.send = lambda desk, slot, order: (
            send(desk, slot, order),
            desk._trader._loop.call_later(0.1, dies, desk),
        )
    else:
        MarketDesk._finish = lambda desk, outcome: (dies(desk), finish(desk, outcome))


def die_resting(bar, name):
    """From a bar on: a row is open, or closed, whichever it is then."""
    real = getattr(RestingDesk, name)

    def dies(desk, *given):
        if desk._trader.session.bar >= bar and (name != "after" or desk.of):
            os.kill(os.getpid(), 9)
        return real(desk, *given)

    setattr(RestingDesk, name, dies)


if __name__ == "__main__":
    main(*sys.argv[1:])
