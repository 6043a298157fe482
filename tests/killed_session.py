"""A live session in a process of its own, to be killed: URL, journal, first row, last row, home of dataset ``m``.

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
from dolphin.live.binance.node import run_node
from dolphin.live.binance.running import Plan, make_trader
from dolphin.live.feed import History
from dolphin.workspace import Workspace


def main(url: str, journal: str, first: str, last: str, home: str) -> None:
    dataset = open_dataset(Workspace(Path(home)), "m")
    config = parse_config({"strategy": "vel_div", **BUSY, "friction": {"slippage_bps": 0.0, "fee_bps": 5.0}}, where="x")
    prices, start = dataset.prices(), int(first)
    history = History(0, prices.ts[:start], prices.close[:start], prices.age[:start])
    keys = Keys("key", "secret")
    plan = Plan(
        config, dataset.instruments, dataset.reference, dataset.spacing_ns, history, Path(journal), "killed",
        url=url, bars=2000, ask_after=1.0,
    )  # fmt: skip
    trader, clients, _ = make_trader(plan, keys, stop_at=int(last))
    bar, _, phase = os.environ.get("KILL", "").partition(":")
    if bar:
        die_at(trader, int(bar), phase)
    run_node(trader, clients, keys, "testnet", url)
    trader.session.journal.writer.flush()


def die_at(trader, bar, phase):
    def dies():
        if trader.session.bar == bar:
            os.kill(os.getpid(), 9)

    if phase == "intent":
        send = trader.send
        trader.send = lambda slot, order: (dies(), send(slot, order))
    elif phase == "sent":
        submit = trader.send
        trader.send = lambda slot, order: (submit(slot, order), trader._loop.call_later(0.1, dies))
    else:
        finish = trader._finish
        trader._finish = lambda outcome: (dies(), finish(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
