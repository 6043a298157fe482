"""A session in figures: how it is now, and what a day brought."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from dolphin.core.hooks import risk_at
from dolphin.core.records import POSTURES, State
from dolphin.files import json_value, write_json
from dolphin.live.session import Session
from dolphin.times import format_day, format_time
from dolphin.trade.folder import StateFolder
from dolphin.trade.limits import Guard


def status_of(
    session: Session, guard: Guard, symbols: tuple[str, ...], about: dict[str, Any], state: str
) -> dict[str, Any]:  # fmt: skip
    """Plain JSON types."""
    account, bar, market = session.state.account[0], session.bar, session.market
    risk = risk_at(session.state, market, bar)
    capital = float(account["capital"])
    initial = float(about["initial_capital"])
    equity, peak = float(account["equity"]), float(account["peak_equity"])
    held = np.flatnonzero(session.state.slots["side"])
    return json_value({
        "state": state, "account": about["account"], "champion": about["champion"], "feed": about["feed"],
        "bar": bar, "time": format_time(int(market.ts[bar])), "written": format_time(time.time_ns() // 10**9 * 10**9),
        "capital": capital, "equity": equity, "roi": equity / initial - 1.0,
        "drawdown": 1.0 - equity / peak if peak > 0.0 else 0.0, "trades": int(account["trades"]),
        "positions": [
            {
                "symbol": symbols[int(slot["asset"])], "side": int(slot["side"]), "quantity": float(slot["qty"]),
                "entry_price": float(slot["entry_price"]),
            }
            for slot in session.state.slots[held]
        ],
        "posture": POSTURES[int(risk["posture"])], "rm": float(risk["rm"]), "boost": float(risk["boost"]),
        "features": {name: float(value) for name, value in zip(about["features"], market.features[bar], strict=True)},
        "halted": guard.wanted.halted, "flatten": guard.wanted.flatten, "reason": guard.wanted.reason,
        "daily_loss": guard.lost, "may_trade": guard.may_trade, "digest": f"{int(account['digest']):016x}",
    })  # type: ignore[no-any-return]  # fmt: skip


def account_of(state: State) -> dict[str, float]:
    """What a day's figures count from: capital, equity, fees paid, trades."""
    account = state.account[0]
    found = {name: float(account[name]) for name in ("capital", "equity", "fees_paid")}
    found["trades"] = int(account["trades"])
    return found


class DayFigures:
    """Gathers what a UTC day brought."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self.day = -1
        self._from: dict[str, float] = {}

    def begin(self, day: int, account: dict[str, float]) -> None:
        """A day began with the account like this (:func:`account_of`)."""
        self.day, self._from = day, dict(account)

    def write(self, session: Session, *, closed: bool) -> dict[str, Any]:
        """The summary so far, or of the whole day."""
        account = session.state.account[0]
        risk = risk_at(session.state, session.market, session.bar)
        document = json_value({
            "date": format_day(self.day), "closed": closed, "begin": self._from,
            "capital": float(account["capital"]), "equity": float(account["equity"]),
            "pnl": float(account["equity"]) - self._from["equity"],
            "trades": int(account["trades"]) - int(self._from["trades"]),
            "fees": float(account["fees_paid"]) - self._from["fees_paid"], "boost": float(risk["boost"]),
            "posture": POSTURES[int(risk["posture"])], "last_bar": session.bar,
            "digest": f"{int(account['digest']):016x}",
        })  # fmt: skip
        write_json(self._folder.days / f"{format_day(self.day)}.json", document)
        return dict(document)
