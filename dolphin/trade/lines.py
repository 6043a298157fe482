"""What a session's files of figures say, a line each; who only looks needs nothing of the engine."""

from __future__ import annotations

from typing import Any


def line_of(status: dict[str, Any]) -> str:
    """A session's status in a line."""
    held = ", ".join(f"{'long' if p['side'] > 0 else 'short'} {p['symbol']}" for p in status["positions"]) or "flat"
    marks = "".join(f" {mark}" for mark in ("HALTED",) if status["halted"])
    return (
        f"{status['time']}  equity {status['equity']:,.2f}  roi {status['roi']:+.2%}  drawdown {status['drawdown']:.2%}"
        f"  trades {status['trades']}  {held}  {status['posture']}{marks}"
    )


def day_line(document: dict[str, Any]) -> str:
    """A day in a line."""
    return (
        f"{document['date']}: P&L {document['pnl']:+,.2f}, {document['trades']} trades, fees {document['fees']:,.2f}, "
        f"capital {document['capital']:,.2f}, boost {document['boost']:g}, {document['posture']}"
    )
