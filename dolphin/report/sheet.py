"""The tear sheet: one run, one page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.report import benchmark_cards, figures, risk_card, trade_tables
from dolphin.report.calendar import calendar_picture
from dolphin.report.markup import card, chart_page, embedded_json, facts, flatten, text, write_page
from dolphin.report.numerals import duration, instant, number, percent
from dolphin.report.palette import GAIN, QUIET, reason_marks
from dolphin.report.run_folder import METRICS, Run, read_run
from dolphin.report.summaries import period_returns
from dolphin.times import return_day

_SHORT_RUN_DAYS = 62
_PRICES = (
    "The assets with the most trades. Triangle up: bought, down: sold short; circle: an exit that gained, cross: one "
    "that did not."
)
_NO_TRADES = '<p class="empty">No closed trade in this run.</p>'


def tear_sheet(run_dir: Path) -> str:
    """Return a run folder as one self-contained HTML document.

    Parameters
    ----------
    run_dir : Path
        A folder as ``dolphin backtest`` writes it.

    Returns
    -------
    str
        The page, scripts and styles inside; it makes no request (its own security policy forbids any).

    Raises
    ------
    DolphinError
        The folder is incomplete or damaged.
    """
    run = read_run(Path(run_dir))
    body = "\n".join(_sections(run))
    return chart_page(_title(run), body)


def write_tear_sheet(run_dir: Path, out: Path) -> None:
    """Write :func:`tear_sheet` to ``out``, atomically: a damaged run leaves an older page as it was."""
    write_page(tear_sheet(run_dir), out)


def _sections(run: Run) -> Iterator[str]:
    yield _header(run)
    yield from _notices(run)
    yield _key_figures(run)
    yield _equity_card(run)
    yield from benchmark_cards.benchmark_cards(run, _chart)
    if risk_card.has_risk(run):
        chart = _chart("risk", risk_card.risk_figure(run))
        yield card("Risk inputs", chart + risk_card.cost_table(run), note=risk_card.breaker_note(run))
    yield card("Monthly returns", trade_tables.monthly_table(run))
    if 1 < _days(run) <= _SHORT_RUN_DAYS:
        yield card("Daily returns", _chart("daily", figures.daily_figure(run), "low"))
    elif _days(run) > _SHORT_RUN_DAYS:
        days = period_returns(run, "1d").select("period", "ret").rows()
        yield card("Daily returns", calendar_picture(days), note="Blue gains; orange, with a bar, loses. UTC days.")
    if run.trades.is_empty():
        yield card("Trades", _NO_TRADES)
    else:
        yield _scatter_card(run)
        yield card("Distribution of returns", _chart("histogram", figures.histogram_figure(run)), kind="slim")
        sides = "<h3>By side</h3>" + trade_tables.side_table(run)
        yield card("Exits", trade_tables.reason_table(run) + sides)
        if run.prices.height:
            yield card("Prices, entries and exits", benchmark_cards.price_tiles(run, _chart), note=_PRICES)
        hours = trade_tables.hour_table(run, benchmark_cards.entry_times(run, run.trades))
        yield card("Hours", hours, note="A click on a heading sorts.", kind="long")
        yield card("Assets", trade_tables.asset_table(run), note="A click on a heading sorts.", kind="long")
        yield card("Largest gains and losses", trade_tables.extreme_trades_table(run))
    yield card("Parameters", _parameters(run), kind="half")
    yield card("Provenance", _provenance(run), kind="half")


def _chart(name: str, figure: dict[str, Any], size: str = "") -> str:
    return f'<div class="chart {size}" data-figure="figure-{name}"></div>' + embedded_json(f"figure-{name}", figure)


def _title(run: Run) -> str:
    mark = "SYNTHETIC " if run.synthetic else ""
    return f"{mark}{run.config.get('strategy', 'run')} on {_dataset(run)}"


def _dataset(run: Run) -> str:
    dataset = run.facts["dataset"]
    return str(dataset.get("name", "?") if isinstance(dataset, dict) else dataset)


def _days(run: Run) -> int:
    return int(return_day(run.equity["ts"][-1]) - return_day(run.equity["ts"][0]) + 1)


def _ruin(run: Run) -> int | None:
    """Time of the first bar without capital; from there on nothing is entered."""
    gone = run.equity.filter(pl.min_horizontal("capital", "equity") <= 0)
    return None if gone.is_empty() else int(gone["ts"][0])


def _header(run: Run) -> str:
    badges = '<span class="badge synthetic">SYNTHETIC DATA</span>' if run.synthetic else ""
    badges += '<span class="badge bad">RUINED</span>' if _ruin(run) is not None else ""
    bars = f"{run.equity.height:,} bars" if run.equity.height != 1 else "1 bar"
    spacing = f" of {duration(run.spacing)}" if run.spacing else ""
    first, last = instant(run.equity["ts"][0]), instant(run.equity["ts"][-1])
    preset = f"preset <b>{text(run.config['preset'])}</b> · " if run.config.get("preset") else ""
    return (
        f'<header><div class="title"><h1>{text(run.config.get("strategy", "run"))}</h1>{badges}</div>'
        f'<p class="sub">{preset}dataset <b>{text(_dataset(run))}</b>'
        f' · <b class="when">{first}</b> to <b class="when">{last}</b> UTC · {bars}{spacing}</p></header>'
    )


def _notices(run: Run) -> Iterator[str]:
    if run.synthetic:
        made = ", ".join(f"{k} {run.facts[k]}" for k in ("preset", "seed") if run.facts.get(k) is not None)
        yield _notice(
            "synthetic",
            f"This market was generated{f' ({made})' if made else ''}. It says nothing about a real market.",
        )
    ruined = _ruin(run)
    if ruined is not None:
        trades = int((run.trades["ts"] <= ruined).sum())
        yield _notice(
            "bad",
            f"The account was ruined at {instant(ruined)} UTC: no capital was left after {trades:,} trades, and "
            "nothing is entered from there on. Figures after that day mean nothing; ratios are of the days before.",
        )
    caveats = run.facts.get("caveats") or []
    for caveat in [caveats] if isinstance(caveats, str) else caveats:
        yield _notice("caveat", str(caveat))


def _notice(kind: str, words: str) -> str:
    return f'<p class="notice {kind}">{text(words)}</p>'


def _key_figures(run: Run) -> str:
    m, trades, equity = run.metrics, run.trades, run.equity
    wins = int((trades["pnl"] > 0).sum())
    trough = instant(equity["ts"][int(equity["drawdown"].arg_max() or 0)])[:16]
    mean = trades["pnl"].mean() if trades.height else None
    held = int((equity["position"] != 0).sum())
    position, remark = trade_tables.open_position_text(m["open_position"])
    gain = m["final_equity"] - run.initial_capital
    cells = [
        ("Return (ROI)", percent(m["roi"], signed=True), f"{number(gain, signed=True)} USDT", m["roi"]),
        ("Sharpe (365 days)", number(m["sharpe_365"]), f"{number(m['sharpe_252'])} on 252 days", None),
        (
            "Max drawdown",
            percent(m["max_drawdown"]),
            f"trough {trough}" if m["max_drawdown"] else "never",
            None,
        ),
        ("Profit factor", number(m["profit_factor"], 3), f"{_mean(mean)} a trade", None),
        ("Win rate", percent(m["win_rate"], 1), f"{wins:,} won, {trades.height - wins:,} not", None),
        ("Trades", number(m["trades"], 0), f"{number(trades.height / _days(run), 1)} a day", None),
        (
            "Fees paid",
            number(m["fees_paid"]),
            f"{percent(m['fees_paid'] / run.initial_capital, 1)} of the start",
            None,
        ),
        ("Final equity", number(m["final_equity"]), f"from {number(run.initial_capital)} USDT", None),
        (
            "Time in market",
            percent(held / equity.height, 1),
            "share of bars",
            None,
        ),
        ("Open position", position, remark or "at the last bar", None),
    ]
    items = "".join(
        f'<div><dt>{text(name)}</dt><dd{_tone(sign)} title="{text(value)}">{text(value)}'
        f'<small title="{text(sub)}">{text(sub)}</small></dd></div>'
        for name, value, sub, sign in cells
    )
    return f'<dl class="figures">{items}</dl>'


def _mean(value: Any) -> str:
    return number(value, signed=True) if value is not None else number(None)


def _tone(sign: float | None) -> str:
    return "" if not sign else ' class="gain"' if sign > 0 else ' class="loss"'


def _equity_card(run: Run) -> str:
    keys = _keys([("Equity", GAIN, "●", 1), ("Realised capital", QUIET, "●", 0)])
    chart = _chart("equity", figures.equity_figure(run), "tall")
    many = run.equity.height > figures.POINTS
    note = "Drag to zoom, double-click for the whole run."
    if many:
        note += f" Drawn in at most {figures.POINTS:,} points a curve; the extremes are kept."
    return card("Equity and drawdown", keys + chart, note=note)


def _scatter_card(run: Run) -> str:
    marks = reason_marks(figures.exit_reasons(run))
    keys = _keys([(reason, mark[0], mark[2], i) for i, (reason, mark) in enumerate(marks.items())], views=True)
    drawn = min(run.trades.height, figures.MARKERS)
    note = (
        f"{drawn:,} of {run.trades.height:,} trades drawn: the extremes and an even sample of the rest."
        if drawn < run.trades.height
        else ""
    )
    return card("Trades", keys + _chart("trades", figures.trade_figure(run)), note=note, kind="wide")


def _keys(traces: list[tuple[str, str, str, int]], *, views: bool = False) -> str:
    buttons = "".join(
        f'<button type="button" aria-pressed="true" data-trace="{i}">'
        f'<i class="mark" style="color:{color}">{sign}</i>{text(name)}</button>'
        for name, color, sign, i in traces
    )
    if views:
        buttons += (
            '<span class="views">'
            '<button type="button" data-view="held" aria-pressed="true">by bars held</button>'
            '<button type="button" data-view="time" aria-pressed="false">by time</button></span>'
        )
    return f'<div class="keys">{buttons}</div>'


def _parameters(run: Run) -> str:
    flat = {k: v for k, v in run.config.items() if not isinstance(v, dict)}
    blocks = [facts(flat.items())] if flat else []
    for name, section in run.config.items():
        if isinstance(section, dict) and section:
            blocks.append(f"<h3>{text(name)}</h3>" + facts(flatten(section)))
    return "".join(blocks)


def _provenance(run: Run) -> str:
    elsewhere = ("caveats", "synthetic", "config_hash", "final_digest")
    shown = {k: v for k, v in run.facts.items() if k not in elsewhere}
    single = {k: v for k, v in shown.items() if not isinstance(v, dict)}
    own = [
        ("market", "synthetic (generated)" if run.synthetic else "real"),
        ("config_hash", run.config_hash),
        ("final_state_digest", f"{run.final_digest:016x}"),
    ]
    blocks = [facts([*own, *_readable(single)])]
    for name, section in shown.items():
        if isinstance(section, dict) and section:
            blocks.append(f"<h3>{text(name)}</h3>" + facts(_readable(section)))
    further = [(k, _occurred(v) if k == "exits" else v) for k, v in run.metrics.items() if k not in METRICS]
    if further:
        blocks.append("<h3>further metrics</h3>" + facts(flatten(dict(further))))
    return "".join(blocks)


def _occurred(exits: Any) -> Any:
    """Exits without those that never were."""
    return {reason: count for reason, count in exits.items() if count} if isinstance(exits, dict) else exits


def _readable(section: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield facts with bar times as dates and seeds without separators."""
    for name, value in flatten(section):
        key = name.rsplit(".", 1)[-1]
        if isinstance(value, int) and key == "ts":
            yield name, f"{instant(value)} UTC"
        else:
            yield name, str(value) if key == "seed" else value
