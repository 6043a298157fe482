"""A session on a terminal: equity, positions, posture, the last decision and why, ages, latencies, alerts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dolphin.trade.folder import StateFolder
from dolphin.trade.lines import day_line, line_of
from dolphin.trade.looking import look

#: Bars of the sparkline, and the seconds beyond which a running session's status is old.
POINTS, OLD = 60, 30.0

_BARS = [chr(0x2581 + k) for k in range(8)]
_COLOURS = {"APEX": "green", "STALKER": "yellow", "TURTLE": "dark_orange", "HIBERNATE": "red"}


def sparkline(values: list[float]) -> str:
    """Eight heights from the least to the greatest; all the same where nothing moved."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = high - low
    return "".join(_BARS[int((value - low) / span * 7.999) if span > 0.0 else 3] for value in values)


def panel_of(found: dict[str, Any]) -> Panel:
    """All facts of :func:`~dolphin.trade.looking.look` in a box."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for name, text in rows_of(found):
        grid.add_row(name, text)
    parts: list[Any] = [grid]
    parts += [Text(f"ALERT {alert['about']}: {alert['text']}", style="bold red") for alert in alerts_of(found)]
    running = "running" if found["running"] else found["state"]
    title = f"{found['account']} on {found['feed']}: {running}, {found['time']}"
    # As texts: a name such as replay:m is no markup.
    below = Text(f"champion {found['champion'][:12]}")
    return Panel(Group(*parts), title=Text(title), subtitle=below, expand=False)


def rows_of(found: dict[str, Any]) -> Iterator[tuple[str, Text]]:
    """Names and texts, one a line."""
    figures = f"{found['equity']:,.2f}  roi {found['roi']:+.2%}  drawdown {found['drawdown']:.2%}"
    yield "equity", Text(f"{figures}  trades {found['trades']}")
    if curve := found.get("curve"):
        yield "", Text(f"{sparkline(curve)}  {min(curve):,.2f} to {max(curve):,.2f}", style="cyan")
    for position in found["positions"]:
        way = "long" if position["side"] > 0 else "short"
        yield "position", Text(f"{way} {position['quantity']:g} {position['symbol']} at {position['entry_price']:g}")
    if not found["positions"]:
        yield "position", Text("flat")
    posture = found["posture"]
    yield (
        "posture",
        Text(f"{posture}  Rm {found['rm']:.3f}  boost {found['boost']:.3f}", style=_COLOURS.get(posture, "")),
    )
    yield "decision", Text(_decision(found.get("last_decision")))
    yield "ages", Text(_ages(found))
    for name, one in found.get("latencies_ms", {}).items():
        label = name.replace("_", " ")
        yield label, Text(f"p50 {one['p50']:.3f}  p95 {one['p95']:.3f}  p99 {one['p99']:.3f} ms of {one['count']}")
    if found["halted"]:
        yield "halted", Text(found["reason"], style="bold red")
    if found["days"]:
        yield "day", Text(day_line(found["days"][-1]))


def alerts_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Its alerts, what a live one sees at the exchange, that it says nothing any more, or was killed."""
    alerts = list(found.get("alerts", ()))
    if found.get("hibernates"):
        text = f"{'; '.join(found['hibernates'])}; see: dolphin trade adopt --reason, dolphin trade flatten --reason"
        alerts.append({"about": "HIBERNATE", "text": text})
    if found.get("blocked"):
        alerts.append({"about": "account", "text": f"{found['blocked']}; no entries"})
    if not found["running"] and found["state"] == "running":
        alerts.append({"about": "session", "text": "it was killed; the same command goes on"})
    if found["running"] and found["status_age_seconds"] > OLD:
        alerts.append({"about": "session", "text": f"it runs and said nothing for {found['status_age_seconds']:.0f} s"})
    return alerts


def plain_lines(found: dict[str, Any]) -> Iterator[str]:
    """The same for a file or a pipe: a line, and one an alert."""
    decision = _decision(found.get("last_decision"))
    yield f"{line_of(found)}  last: {decision}  {_ages(found)}"
    for alert in alerts_of(found):
        yield f"ALERT {alert['about']}: {alert['text']}"


def watch(
    folder: StateFolder, console: Console, *, every: float, once: bool, wait: Callable[[float], Any] = time.sleep
) -> None:
    """Show a session until it ends, or an interrupt.

    On a terminal the box is drawn again and again; elsewhere a line is written when the session has said something
    new.
    """
    if once or not console.is_terminal:
        said = None
        while True:
            found = look(folder)
            if found["written"] != said:
                said = found["written"]
                for line in plain_lines(found):
                    console.print(line, highlight=False, markup=False, soft_wrap=True)
            if once or not found["running"]:
                return
            wait(every)
    with Live(panel_of(look(folder, POINTS)), console=console, auto_refresh=False) as live:
        while True:
            found = look(folder, POINTS)
            live.update(panel_of(found), refresh=True)
            if not found["running"]:
                return
            wait(every)


def _decision(last: dict[str, Any] | None) -> str:
    if last is None:
        return "none yet"
    way = "long" if last["side"] > 0 else "short"
    what = f"{last['action']} {way} {last['quantity']:g} {last['symbol']} at {last['time']}: {last['why']}"
    return what if last["stopped"] is None else f"{what}; STOPPED: {last['stopped']}"


def _ages(found: dict[str, Any]) -> str:
    """Ages as the status had them, and the status' own."""
    ages = found.get("ages", {})
    texts = [f"status {found['status_age_seconds']:.0f} s"]
    for name, value in ages.items():
        if value is not None:
            label, _, unit = name.rpartition("_")
            texts.append(f"{label.replace('_', ' ')} {value:.1f} {'ms' if unit == 'ms' else 's'}")
    return ", ".join(texts)
