"""The run explorer: its page, and the data that its script asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dolphin.report.markup import text
from dolphin.study.findings.run_list import about_run
from dolphin.ui.asked import Asked
from dolphin.ui.explorer import POINTS
from dolphin.ui.run_page import run_head
from dolphin.ui.shell import EXPLORER

#: Bars a second; 1x is one.
SPEEDS = (1, 2, 5, 10, 20, 50, 100)


def explore(ask: Asked) -> tuple[str, str]:
    """The page; nothing of the run is in it but its name."""
    about = about_run(ask.run_folder())
    if about["problem"]:
        return f"Explore {ask.name}", run_head(ask, "explore")
    speeds = "".join(f'<option value="{n}">{n}x</option>' for n in SPEEDS)
    buttons = "".join(
        f'<button type="button" data-do="{act}" title="{text(title)}">{shown}</button>'
        for act, shown, title in (
            ("trade-back", "|◀", "entry or exit before (P)"),
            ("back", "◀", "one bar back (left arrow; with Shift ten)"),
            ("play", "▶ Replay", "replay from here (space)"),
            ("on", "▶", "one bar on (right arrow; with Shift ten)"),
            ("trade-on", "▶|", "next entry or exit (N)"),
        )
    )
    zoom = (
        '<button type="button" data-do="out" title="zoom out (-)">&minus;</button>'
        '<button type="button" data-do="in" title="zoom in (+)">+</button>'
        '<button type="button" data-do="all" title="the whole run (0)">all</button>'
    )
    body = f"""{EXPLORER}
{run_head(ask, "explore")}
<section class="card explorer" data-run="{text(ask.name)}" aria-label="Run explorer">
<div class="controls">
<label>Asset <select id="asset"></select></label>
<span class="group">{buttons}<label class="speed">at <select id="speed">{speeds}</select></label></span>
<span class="group">{zoom}</span>
<form id="goto" class="group"><label>Bar <input id="bar" inputmode="numeric" autocomplete="off" size="9"></label>
<button>go</button></form>
</div>
<p id="told" class="told" role="status" aria-live="polite">Opening {text(about["strategy"])}{text(_size(about))}</p>
<div class="canvas" tabindex="0" role="application" aria-describedby="told keys"
 aria-label="Price with entries and exits, equity and features. Arrow keys walk bar by bar.">
<canvas id="chart"></canvas></div>
<div id="panels" class="keys"></div>
<p class="note" id="keys">Left and right walk a bar, with Shift ten; N and P go to the next and the last entry or exit;
space replays, 1x is one bar a second; + and - zoom, 0 shows all. Drag to move, wheel to zoom, a click chooses the bar
or opens a trade. Triangle up: bought, down: sold short; circle: an exit that gained, cross: one that did not.</p>
</section>
<section class="card half" aria-label="Trade"><h2>Trade</h2><div id="trade"><p class="empty">Choose a trade below or in
the chart.</p></div></section>
<section class="card half decision" aria-label="Decision"><h2>Why, at bar <span id="why-bar">-</span></h2>
<div id="why"><p class="empty">Choose a bar.</p></div></section>
<section class="card" aria-label="Trades"><h2>Trades <span id="count" class="quiet"></span></h2>
<div class="controls"><label>Asset <select id="of-asset"><option value="">all</option></select></label>
<label>Exit <select id="of-reason"><option value="">all</option></select></label>
<span class="group"><button type="button" id="page-back">◀</button><span id="page"></span>
<button type="button" id="page-on">▶</button></span></div>
<div class="scroll" tabindex="0"><table id="trades"><thead></thead><tbody></tbody></table></div></section>"""
    return f"Explore {ask.name}", body


def _size(about: dict[str, Any]) -> str:
    """What there is to read, so that one knows what one waits for."""
    bars, trades = (about["metrics"].get(name) for name in ("bars", "trades"))
    known = isinstance(bars, int) and isinstance(trades, int)
    return f": reading {bars:,} bars and {trades:,} trades" if known else ""


def _about(ask: Asked) -> dict[str, Any]:
    run = ask.explorer.run(ask.name)
    ask.explorer.compiling(run)  # the sooner it begins
    return run.about()


def _window(ask: Asked) -> dict[str, Any]:
    run = ask.explorer.run(ask.name)
    points = ask.number("points", POINTS)
    return run.window(ask.query.get("asset", ""), ask.number("low"), ask.number("high"), points)


def _bar(ask: Asked) -> dict[str, Any]:
    return ask.explorer.run(ask.name).at(ask.query.get("asset", ""), ask.number("bar"))


def _trades(ask: Asked) -> dict[str, Any]:
    run, query = ask.explorer.run(ask.name), ask.query
    return run.listed(
        ask.number("offset", 0), query.get("order", "entry_bar"), down=query.get("down") == "1",
        asset=query.get("asset", ""), reason=query.get("reason", ""),
    )  # fmt: skip


def _next(ask: Asked) -> dict[str, Any]:
    return ask.explorer.run(ask.name).next_event(ask.number("bar"), ask.number("way"))


def _why(ask: Asked) -> dict[str, Any]:
    run, bar = ask.explorer.run(ask.name), ask.number("bar")
    compiling = ask.explorer.compiling(run)
    if compiling is not None:
        return {"bar": run.bar(bar), "compiling": round(compiling)}
    return {"bar": bar, "html": run.why(bar)}


#: Addresses of the data.
DATA: dict[str, Callable[[Asked], Any]] = {
    "/data/about/{name:.+}": _about,
    "/data/window/{name:.+}": _window,
    "/data/bar/{name:.+}": _bar,
    "/data/trades/{name:.+}": _trades,
    "/data/next/{name:.+}": _next,
    "/data/why/{name:.+}": _why,
}
