"""The quality of a dataset as a page: where bars are missing, what each rule found, which prices jumped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.report.gap_map import gap_figure, map_height
from dolphin.report.markup import Cell, card, chart_page, embedded_json, facts, flatten, signed, table, text, write_page
from dolphin.report.numerals import duration, instant, number, percent, significant
from dolphin.times import days_between, format_day

JUMPS_SHOWN = 200
_GAP = "gap"


def quality_page(report: Mapping[str, Any]) -> str:
    """Return the quality of a dataset as one self-contained HTML document.

    Parameters
    ----------
    report : mapping
        ``name``, ``spacing_ns``, ``first_ts``, ``last_ts`` (bar closes, ns), ``numbers`` (rows, rejected,
        flagged, counts per rule, missing_share, gaps per symbol), ``rules`` (name, text, outcome each, in
        order), ``days`` and ``jumps`` (frames as the catalog keeps them), ``notes``, ``breaches`` (limits
        that refused it), ``facts`` (nested, for the foot), ``synthetic``.

    Returns
    -------
    str
        The page, scripts and styles inside; it makes no request.
    """
    title = f"{'SYNTHETIC ' if report['synthetic'] else ''}quality of {report['name']}"
    return chart_page(title, "\n".join(_sections(report)))


def write_quality_page(report: Mapping[str, Any], out: Path) -> None:
    """Write :func:`quality_page` to ``out``, atomically."""
    write_page(quality_page(report), out)


def _sections(report: Mapping[str, Any]) -> Iterator[str]:
    yield _header(report)
    for line in report["breaches"]:
        yield f'<p class="notice bad">Limit broken: {text(line)}.</p>'
    for line in report["notes"]:
        yield f'<p class="notice caveat">{text(line)}</p>'
    yield _key_figures(report)
    if _is_clean(report):
        words = "Nothing is wrong: every bar is there, every row kept every rule, and no price jumped without volume."
        yield f'<p class="notice good">{words}</p>'
        rules = f"<details><summary>What every row was held to</summary>{_rules(report)}</details>"
        yield card("Rules", rules)
        yield card("Provenance", facts(flatten(dict(report["facts"]))))
        return
    yield _map_card(report)
    yield card("Rules", _rules(report), note="What every row was held to, and how many did not pass.", kind="wide")
    yield card("Symbols", _symbols(report), note="A click on a heading sorts.", kind="slim")
    yield card("Price jumps", _jumps(report), note=_jump_note(report))
    yield card("Provenance", facts(flatten(dict(report["facts"]))))


def _is_clean(report: Mapping[str, Any]) -> bool:
    """Whether there is nothing to look at."""
    numbers = report["numbers"]
    counted = numbers["rejected"] or numbers.get("flagged", 0) or any(numbers["counts"].values())
    return not (counted or numbers["missing_share"] or report["breaches"] or report["jumps"].height)


def _header(report: Mapping[str, Any]) -> str:
    badges = '<span class="badge synthetic">SYNTHETIC DATA</span>' if report["synthetic"] else ""
    badges += '<span class="badge bad">REFUSED</span>' if report["breaches"] else ""
    symbols = len(report["numbers"].get("gaps", {}))
    return (
        f'<header><div class="title"><h1>{text(report["name"])}: data quality</h1>{badges}</div>'
        f'<p class="sub">{symbols:,} symbols · <b class="when">{instant(report["first_ts"])}</b> to '
        f'<b class="when">{instant(report["last_ts"])}</b> UTC · bars of {duration(report["spacing_ns"])}</p></header>'
    )


def _key_figures(report: Mapping[str, Any]) -> str:
    numbers = report["numbers"]
    gaps = numbers["gaps"]
    longest = max(gaps, key=lambda s: gaps[s]["longest"])
    worst = max(gaps, key=lambda s: gaps[s]["share"])
    ordered = numbers["counts"].get("unsorted", 0)
    span = gaps[longest]["longest"] * report["spacing_ns"]
    cells = [
        ("Rows kept", number(numbers["rows"], 0), f"{numbers.get('rounded', 0):,} prices rounded"),
        ("Set aside", number(numbers["rejected"], 0), f"{ordered:,} put in order"),
        ("Flagged", number(numbers.get("flagged", 0), 0), "kept, to be looked at"),
        ("Missing", percent(numbers["missing_share"], 3), f"worst {worst}, {percent(gaps[worst]['share'])}"),
        ("Longest gap", duration(span) if span else "none", longest if span else "every bar is there"),
    ]
    items = "".join(f"<div><dt>{text(a)}</dt><dd>{text(b)}<small>{text(c)}</small></dd></div>" for a, b, c in cells)
    return f'<dl class="figures">{items}</dl>'


def _map_card(report: Mapping[str, Any]) -> str:
    gaps = report["days"].filter(pl.col("rule") == _GAP)
    if not gaps.height:
        return '<p class="notice good">No bar is missing.</p>'
    order = sorted(report["numbers"]["gaps"].items(), key=lambda item: (-item[1]["missing"], item[0]))
    symbols = [symbol for symbol, _ in order]
    figure = gap_figure(gaps, symbols, _dates(report, gaps), report["spacing_ns"])
    height = map_height(len(symbols))
    chart = f'<div class="chart" style="height:{height}px" data-figure="figure-gaps"></div>'
    note = "A row per symbol, those with most missing bars first; a column per day. Above, all symbols together."
    return card("Missing bars", chart + embedded_json("figure-gaps", figure), note=note)


def _dates(report: Mapping[str, Any], gaps: pl.DataFrame) -> list[str]:
    """Every UTC date of the data, and what a calendar's sessions add at its edges."""
    dates = {format_day(day) for day in days_between(report["first_ts"], report["last_ts"])}
    return sorted(dates | {str(d) for d in gaps["date"].unique()})


def _rules(report: Mapping[str, Any]) -> str:
    counts = report["numbers"]["counts"]
    rows = []
    for rule in report["rules"]:
        count = counts.get(rule["name"], 0)
        mark = (
            ("var(--loss)", "✖") if count and rule["outcome"] != "flagged" else ("var(--muted)", "⚑" if count else "✔")
        )
        rows.append(
            [
                Cell(rule["name"], mark=mark),
                Cell(rule["text"], tone="prose", below=rule["outcome"] if count else ""),
                Cell(number(count, 0), order=count),
            ]
        )
    return table(["Rule", "A row breaks it by", "Rows"], rows, kind="whole")


def _symbols(report: Mapping[str, Any]) -> str:
    found = report["days"].filter(pl.col("rule") != _GAP).group_by("symbol").agg(pl.col("count").sum())
    broken = dict(found.iter_rows())
    gaps = sorted(report["numbers"]["gaps"].items(), key=lambda item: (-item[1]["missing"], item[0]))
    rows = [
        [
            Cell(symbol),
            Cell(number(gap["missing"], 0), order=gap["missing"]),
            Cell(percent(gap["share"]), order=gap["share"]),
            Cell(number(gap["gaps"], 0), order=gap["gaps"]),
            Cell(duration(gap["longest"] * report["spacing_ns"]), order=gap["longest"]),
            Cell(number(broken.get(symbol, 0), 0), order=broken.get(symbol, 0)),
        ]
        for symbol, gap in gaps
    ]
    return table(["Symbol", "Missing", "Share", "Gaps", "Longest", "By rules"], rows, sortable=True)


def _jump_note(report: Mapping[str, Any]) -> str:
    count = report["jumps"].height
    shown = f"The {JUMPS_SHOWN} largest of {count:,}. " if count > JUMPS_SHOWN else ""
    return f"{shown}Closes more than 5 % from the one before, with less than 3 times the median volume." * bool(count)


def _jumps(report: Mapping[str, Any]) -> str:
    jumps = report["jumps"]
    if jumps.is_empty():
        return '<p class="empty">No price jump without confirmation.</p>'
    rows = []
    for jump in jumps.sort(pl.col("move").abs(), descending=True)[:JUMPS_SHOWN].iter_rows(named=True):
        median = jump["median_volume"]
        times = jump["volume"] / median if median else None
        after = jump["ts"] - jump["ts_before"]
        rows.append(
            [
                Cell(jump["symbol"]),
                Cell(instant(jump["ts"]), order=jump["ts"]),
                signed(percent(jump["move"], 2, signed=True), jump["move"]),
                Cell(significant(jump["close_before"], 8), order=jump["close_before"]),
                Cell(significant(jump["close"], 8), order=jump["close"]),
                Cell(duration(after), order=after),
                Cell(number(times, 2), order=times),
                Cell(number(None) if jump["second_close"] is None else significant(jump["second_close"], 8)),
            ]
        )
    heads = ["Symbol", "Bar closing (UTC)", "Move", "From", "To", "After", "Volume / median", "Second source"]
    return table(heads, rows, sortable=True, names=2)
