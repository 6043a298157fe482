"""Sessions as their folders tell them: account, positions, posture, days, the last bars; halt and resume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.errors import DolphinError
from dolphin.files import from_json_value, read_json
from dolphin.freshness import fresh
from dolphin.journal.reader import Journal
from dolphin.journal.schema import ACCOUNT_VALUES
from dolphin.journal.showing import event_text, part, wish_text
from dolphin.report.markup import Cell, card, facts, signed, table, text
from dolphin.report.numerals import duration, number, percent, significant
from dolphin.times import SECOND_NS, format_time
from dolphin.trade.control import read_audit
from dolphin.trade.folder import StateFolder, find_state
from dolphin.trade.looking import look
from dolphin.ui.asked import Asked, inside
from dolphin.ui.champions_page import chain_words
from dolphin.ui.feeds_card import feeds_card
from dolphin.ui.pictures import sparkline
from dolphin.ui.shell import Marked, badge, empty, form, fresh_badge, head, linked, moment

#: Bars of the newest journal that are looked at, bars whose decisions are listed, seconds between two looks.
BARS, DECISIONS, EVERY = 500, 12, 5
_EQUITY = ACCOUNT_VALUES.index("equity")
_HEADS = ("Session", "State", "Last bar", "Equity", "", "Return", "Drawdown", "Position", "Posture", "Trades")


def root_of(ask: Asked) -> Path:
    """Where sessions are."""
    return ask.workspace.root / "runs" / "trade"


def folders(ask: Asked) -> list[StateFolder]:
    """The sessions of the workspace."""
    return [StateFolder(path.parent) for path in sorted(root_of(ask).glob("*/session.json"))]


def sessions(ask: Asked) -> tuple[str, str]:
    """The page."""
    found = folders(ask)
    body = head("Sessions", "A champion on a feed, as its folder in <code>runs/trade/</code> tells it")
    if not found:
        return "Sessions", body + empty("None yet", "dolphin trade paper --feed replay:DATASET")
    rows = table(_HEADS, [row(folder) for folder in found], names=2)
    return "Sessions", body + f'<section class="card long" data-refresh="{EVERY}">{rows}</section>' + feeds_card(ask)


def row(folder: StateFolder) -> list[Cell]:
    """A session in a line."""
    name, status = folder.root.name, seen(folder)
    state = Marked("", inner=state_badge(status))
    if not status:
        return [linked(f"/session/{name}", name), state, *(Cell("-") for _ in _HEADS[2:])]
    held = ", ".join(f"{'long' if p['side'] > 0 else 'short'} {p['symbol']}" for p in status["positions"]) or "flat"
    roi = from_json_value(status["roi"])
    return [
        linked(f"/session/{name}", name),
        state,
        Cell(moment(status["time"])),
        Cell(number(from_json_value(status["equity"]))),
        Marked("", inner=sparkline(_days_equity(status), "equity at the end of each day")),
        signed(percent(roi, 2, signed=True), roi),
        Cell(percent(from_json_value(status["drawdown"]))),
        Cell(held),
        Cell(status["posture"]),
        Cell(number(status["trades"], 0)),
    ]


def seen(folder: StateFolder) -> dict[str, Any]:
    """What ``dolphin status`` says of it; empty if nothing that can be read."""
    try:
        return look(folder)
    except DolphinError:
        return {}


def state_badge(status: dict[str, Any]) -> str:
    """Running and how fresh, halted, or how it ended."""
    if status.get("halted"):
        return badge("bad small", "■ HALTED", str(status.get("reason", "")))
    if not status.get("running"):
        return badge("plain small", str(status.get("state", "not begun")))
    age = int(status["status_age_seconds"]) * SECOND_NS
    return fresh_badge(fresh("tick", age), f"running, told {duration(age)} ago")


def _days_equity(status: dict[str, Any]) -> list[float]:
    return [float(from_json_value(day["equity"])) for day in status["days"]]


def session(ask: Asked) -> tuple[str, str]:
    """One of them."""
    folder = find_state(inside(root_of(ask), ask.name))
    about, status = read_json(folder.about), seen(folder)
    champion = str(about.get("champion"))[:12]
    sub = f"{about.get('account', '-')} · champion {champion} · feed {about.get('feed', '-')}"
    body = head(ask.name, text(sub), badges=state_badge(status))
    live = []
    if status.get("halted"):
        live.append(f'<p class="notice bad">Halted: {text(status.get("reason", ""))}</p>')
    live.append(_figures(status) if status else '<p class="empty">It has not said anything yet.</p>')
    live.append(_last_bars(folder))
    body += f'<div class="inner" data-refresh="{EVERY}">{"".join(live)}</div>'
    if status:
        body += card("Inputs of the last bar", facts(_inputs(status)), kind="half")
    body += card("Operator", _operator(ask, folder), kind="half")
    body += card("Days", _days(status.get("days", ())), kind="half")
    body += card("Session", facts(_about(about)), kind="half")
    return ask.name, body


def _figures(status: dict[str, Any]) -> str:
    held = [
        f"{'long' if p['side'] > 0 else 'short'} {p['quantity']:g} {p['symbol']} at {significant(p['entry_price'], 8)}"
        for p in status["positions"]
    ]
    roi, fall = from_json_value(status["roi"]), from_json_value(status["drawdown"])
    risk = f"Rm {from_json_value(status['rm']):g}, boost {from_json_value(status['boost']):g}"
    cells = [
        ("Equity", number(from_json_value(status["equity"])), f"capital {number(from_json_value(status['capital']))}"),
        ("Return", percent(roi, 2, signed=True), f"drawdown {percent(fall)}"),
        ("Position", "; ".join(held) or "flat", f"{status['trades']:,} trades"),
        ("Posture", status["posture"], risk),
        ("Last bar", moment(status["time"]), f"bar {status['bar']:,}"),
    ]
    items = "".join(f"<div><dt>{n}</dt><dd>{text(v)}<small>{text(s)}</small></dd></div>" for n, v, s in cells)
    return f'<dl class="figures">{items}</dl>'


def _inputs(status: dict[str, Any]) -> list[tuple[str, object]]:
    features = [(name, from_json_value(value)) for name, value in status.get("features", {}).items()]
    return [*features, ("daily loss", status.get("daily_loss")), ("digest", status.get("digest"))]


def _last_bars(folder: StateFolder) -> str:
    """Equity, latencies and decisions of the newest journal's last bars."""
    path = folder.newest_journal()
    if path is None:
        return ""
    try:
        journal = Journal(path)
        count = min(BARS, journal.bars)
        held = part(journal, journal.bars - count, count)
    except (DolphinError, ValueError) as error:
        return card("Last bars", f'<p class="notice bad">{text(str(error))}</p>')
    equity = sparkline(held.account[:, _EQUITY], f"equity of the last {count} bars", width=420, height=64)
    symbols = list(journal.header["symbols"])
    told: list[tuple[int, str]] = [
        (int(bar), wish_text(one, symbols)) for bar, one in zip(held.intent_bars, held.intents, strict=True)
    ]
    told += [(event.bar, event_text(event, symbols)) for event in held.events]
    ts = dict(zip(held.bars.tolist(), held.ts.tolist(), strict=True))
    rows = [
        [Cell(_clock(ts.get(bar))), Cell(f"{bar:,}"), Cell(words, tone="prose")]
        for bar, words in sorted(told, key=lambda one: -one[0])[:DECISIONS]
    ]
    decided = table(("Time", "Bar", "Decision"), rows) if rows else empty("Nothing was wished in them.")
    latency = "".join(_latency(held.events, name, words) for name, words in _LATENCIES)
    pictures = f"<figure><figcaption>Equity, {count:,} bars of {text(path.stem)}</figcaption>{equity}</figure>{latency}"
    return card("Last bars", f'<div class="figs">{pictures}</div>') + card("Last decisions", decided)


_LATENCIES = (("scan_to_order", "Bar to order"), ("order_to_fill", "Order to fill"))


def _latency(events: Any, name: str, words: str) -> str:
    values = np.array([event[name] for event in events], np.float64) / 1e6
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    p50, p95 = np.quantile(values, (0.5, 0.95))
    label = f"{words}: median {p50:.3g} ms, p95 {p95:.3g} ms of {len(values):,}"
    return f"<figure><figcaption>{text(label)}</figcaption>{sparkline(values, label, width=260, height=64)}</figure>"


def _clock(ts: int | None) -> str:
    return moment(format_time(ts), 19) if ts is not None else "-"


def _days(days: Sequence[dict[str, Any]]) -> str:
    rows = []
    for day in list(reversed(days))[:60]:
        pnl, fees, equity = (float(from_json_value(day[name])) for name in ("pnl", "fees", "equity"))
        rows.append([
            Cell(day["date"], below="" if day["closed"] else "so far"), signed(number(pnl, signed=True), pnl),
            Cell(number(day["trades"], 0)), Cell(number(fees)), Cell(number(equity)), Cell(day["posture"]),
        ])  # fmt: skip
    return table(("Day", "P&L", "Trades", "Fees", "Equity", "Posture"), rows) if rows else empty("None yet.")


def _about(about: dict[str, Any]) -> list[tuple[str, object]]:
    told = {key: value for key, value in about.items() if not isinstance(value, dict | list)}
    if isinstance(told.get("first_ts"), int):
        told["first_ts"] = format_time(told["first_ts"])
    if isinstance(told.get("spacing_ns"), int):
        told["spacing_ns"] = duration(told["spacing_ns"])
    return [(key.removesuffix("_ns").replace("_ts", " bar"), value) for key, value in told.items()]


def _operator(ask: Asked, folder: StateFolder) -> str:
    """Halt and resume, and the record of who did what."""
    name = folder.root.name
    reason = '<label>Why <input name="reason" required size="22" autocomplete="off"></label>'
    flatten = '<label class="tick"><input type="checkbox" name="flatten" value="yes"> close what is open</label>'
    stop = f'{reason}{flatten}<button class="danger">halt</button>'
    halt = form(f"/session/{name}/halt", ask.csrf, stop, kind="controls")
    resume = form(f"/session/{name}/resume", ask.csrf, f"{reason}<button>resume</button>", kind="controls")
    try:
        lines = read_audit(folder)
        state = chain_words(len(lines))
    except DolphinError as error:
        lines, state = [], f'<p class="notice bad">{text(str(error))}</p>'
    items = "".join(
        f"<li><div><b>{text(line['action'])}</b>{' and flatten' if line.get('flatten') else ''}</div>"
        f"<p>{text(line.get('reason', ''))}</p><small>{text(moment(str(line['time']), 19))} · "
        f"{text(line['who'])}</small></li>"
        for line in reversed(lines)
    )
    return f'{halt}{resume}<p class="state">{state}</p><ol class="timeline">{items}</ol>'
