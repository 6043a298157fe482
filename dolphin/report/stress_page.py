"""A stress test as a page: what is left of a run when the circumstances are worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dolphin.report import stress_figures as figures
from dolphin.report.markup import (
    Cell,
    big,
    card,
    chart_page,
    embedded_json,
    facts,
    flatten,
    signed,
    table,
    text,
    write_page,
)
from dolphin.report.numerals import MISSING, instant, number, percent

_NAMES = {
    "base": "as it is",
    "delayed": "filled a bar later",
    "noise": "price noise {:g} bps",
    "missed": "{:.0%} of the entries missed",
    "permuted": "trades in another order",
    "bootstrap": "trades drawn anew",
}


def stress_page(document: Mapping[str, Any]) -> str:
    """Return a stress test (``stress.json``) as one self-contained HTML document."""
    mark = "SYNTHETIC " if document["provenance"]["synthetic"] else ""
    title = f"{mark}stress of {document['config']['strategy']} on {document['dataset']}"
    return chart_page(title, "\n".join(_sections(document)))


def write_stress_page(document: Mapping[str, Any], out: Path) -> None:
    """Write :func:`stress_page` to ``out``, atomically."""
    write_page(stress_page(document), out)


def _sections(document: Mapping[str, Any]) -> Iterator[str]:
    yield _header(document)
    yield _verdict(document)
    if document["provenance"]["synthetic"]:
        yield '<p class="notice synthetic">This market was generated. It says nothing about a real market.</p>'
    for line in document["provenance"]["caveats"]:
        yield f'<p class="notice caveat">{text(line)}</p>'
    yield f'<p class="notice caveat">{text(_IN_SAMPLE)}</p>'
    yield _key_figures(document)
    friction = document["config"]["friction"]
    at = 2.0 * (friction["slippage_bps"] + friction["fee_bps"])
    drawn = figures.friction_figure(document["friction"], document["break_even_bps"], at)
    note = "Slippage and fee in equal parts; the band is every other split of the same round trip."
    yield card("Friction", _chart("friction", drawn), note=note, kind="half")
    yield card("Return under stress", _spread(document, "roi", "Return"), kind="half", note=_SPREAD)
    fans, base = document["fans"], document["base_path"]
    for kind, title, said in (
        (
            "noise",
            "Price noise",
            "Every fill at a price moved by random noise of this deviation (bps); decisions stay on true prices.",
        ),
        ("missed", "Missed trades", "Every entry signal is missed with this probability; the run goes on without it."),
    ):
        if kind in fans:
            yield _fan_card(kind, title, said, fans[kind], base)
    if "start" in fans:
        note = f"{len(fans['start'])} runs that begin on later days, each from 1; orange ones end below it."
        yield card("First day", _chart("starts", figures.starts_figure(fans["start"], base)), note=note, kind="half")
    if "bootstrap" in fans:
        yield _order_card(document)
    yield card(
        "Drawdown under stress", _spread(document, "max_drawdown", "Maximum drawdown"), kind="half", note=_SPREAD
    )
    yield card(
        "Chances", _chances(document), kind="half", note="Of a loss, and of a drawdown of more than 10 to 50 per cent."
    )
    yield card("Quantiles", _quantiles(document), note="A click on a heading sorts.", kind="long")
    yield card("Configuration", facts(flatten(document["config"])), kind="half")
    yield card("Provenance", _provenance(document), kind="half")


#: Sizes up to which a circumstance counts for the verdict: what happens to everybody, not what ends every strategy.
_USUAL = {"delayed": 1.0, "noise": 10.0, "missed": 0.5, "permuted": 1.0, "bootstrap": 1.0}


def _verdict(document: Mapping[str, Any]) -> str:
    """Robust, fragile, or lost already, in words."""
    base, even = document["base"], document["break_even_bps"]
    if not base["trades"]:
        return big("plain", "No trade, so there is nothing to stress.")
    if base["roi"] <= 0.0:
        return big("bad", "It loses as it is; stress has nothing to take away.")
    usual = [row for row in _shown(document) if row["parameter"] <= _USUAL.get(row["kind"], -1.0)]
    lost = [_name(row) for row in usual if row["roi"][2] <= 0.0]
    margin = f"It breaks even {'above 10' if even is None else f'at {even:.1f}'} bps a round trip."
    if lost:
        return big("bad", f"Fragile: more often than not it loses with {', '.join(lost)}.", margin)
    worst = max(usual, key=lambda row: row["loss"], default=None)
    chance = (
        f" The likeliest loss is with {_name(worst)}: {percent(worst['loss'], 0)} of the runs."
        if worst and worst["loss"]
        else ""
    )
    return big("good", "Robust: under every usual circumstance more runs earn than lose.", margin + chance)


_IN_SAMPLE = (
    "Stress shows how fragile a result is, not whether it is real: where the configuration was chosen on these days, "
    "every figure here is in sample."
)
_SPREAD = "Thin bar 5 to 95 per cent of the runs, thick bar the middle half, mark the median."


def _chart(name: str, figure: dict[str, Any], size: str = "") -> str:
    return f'<div class="chart {size}" data-figure="figure-{name}"></div>' + embedded_json(f"figure-{name}", figure)


def _name(row: Mapping[str, Any]) -> str:
    return _NAMES[row["kind"]].format(row["parameter"])


def _shown(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in document["outcomes"] if row["kind"] in _NAMES]


def _header(document: Mapping[str, Any]) -> str:
    badge = '<span class="badge synthetic">SYNTHETIC DATA</span>' if document["provenance"]["synthetic"] else ""
    return (
        f'<header><div class="title"><h1>Stress test of {text(document["config"]["strategy"])}</h1>{badge}</div>'
        f'<p class="sub">dataset <b>{text(document["dataset"])}</b> · '
        f'<b class="when">{instant(document["first_ts"])}</b> to '
        f'<b class="when">{instant(document["last_ts"])}</b> UTC · {document["runs"]:,} runs of each random kind, '
        f"seed {document['seed']}</p></header>"
    )


def _key_figures(document: Mapping[str, Any]) -> str:
    base, even = document["base"], document["break_even_bps"]
    rows = {(row["kind"], row["parameter"]): row for row in document["outcomes"]}
    cells = [
        ("Return as it is", percent(base["roi"], signed=True), f"{base['trades']:,} trades"),
        ("Maximum drawdown", percent(base["max_drawdown"]), "per bar, from the peak"),
        ("Breaks even at", _even(even), "a round trip"),
    ]
    if ("delayed", 1.0) in rows:
        cells.append(("Filled a bar later", percent(rows["delayed", 1.0]["roi"][2], signed=True), "return"))
    for kind, parameter, title in (
        ("noise", 10.0, "Price noise 10 bps"),
        ("missed", 0.5, "Half the entries missed"),
        ("bootstrap", 0.0, "Trades drawn anew"),
    ):
        if row := rows.get((kind, parameter)):
            cells.append((title, percent(row["loss"], 1), "of the runs lose"))
    starts = [row for row in document["outcomes"] if row["kind"] == "start"]
    if starts:
        lost = sum(row["loss"] for row in starts)
        cells.append(("Begun on another day", f"{lost:.0f} of {len(starts)}", "lose"))
    items = "".join(f"<div><dt>{text(a)}</dt><dd>{text(b)}<small>{text(c)}</small></dd></div>" for a, b, c in cells)
    columns = min((4, 5, 3), key=lambda n: -len(cells) % n)
    return f'<dl class="figures" style="--columns:{columns}">{items}</dl>'


def _even(bps: float | None) -> str:
    if bps is None:
        return "above 10 bps"
    return f"{number(bps, 1)} bps" if bps > 0.0 else "none"


def _spread(document: Mapping[str, Any], measure: str, title: str) -> str:
    rows = [row for row in _shown(document) if row["runs"] > 1]
    if not rows:
        return '<p class="empty">No trade, so nothing to stress.</p>'
    height = 70 + 27 * len(rows)
    figure = figures.spread_figure(rows, [_name(row) for row in rows], measure, title)
    name = f"spread-{measure}"
    return f'<div class="chart" style="height:{height}px" data-figure="figure-{name}"></div>' + embedded_json(
        f"figure-{name}", figure
    )


def _fan_card(kind: str, title: str, said: str, fans: Sequence[Mapping[str, Any]], base: Mapping[str, Any]) -> str:
    unit = (lambda p: f"{p:g} bps") if kind == "noise" else (lambda p: f"{p:.0%}")
    buttons = "".join(
        f'<button type="button" data-view="{fan["parameter"]:g}" '
        f'aria-pressed="{"true" if fan is fans[-1] else "false"}">'
        f"{unit(fan['parameter'])}</button>"
        for fan in fans
    )
    keys = f'<div class="keys"><span class="views">{buttons}</span></div>'
    note = f"{said} Bands: 5 to 95 and 25 to 75 per cent, line: median, dotted: as it is."
    return card(title, keys + _chart(kind, figures.fan_figure(fans, base)), note=note, kind="half")


def _order_card(document: Mapping[str, Any]) -> str:
    actual = document["trade_path"]
    figure = figures.fan_figure(document["fans"]["bootstrap"], actual, "Trade")
    rows = {row["kind"]: row for row in document["outcomes"] if row["kind"] in ("permuted", "bootstrap")}
    other = rows["permuted"]["max_drawdown"]
    note = (
        "As many trades drawn at random from those made, with replacement; dotted: as they came. In another order "
        f"alone the drawdown from trade to trade is {percent(other[2], 1)} in the median and {percent(other[4], 1)} "
        f"in the worst twentieth, as they came it is {percent(actual['max_drawdown'], 1)}."
    )
    return card("Order and luck of the trades", _chart("orders", figure), note=note, kind="half")


def _chances(document: Mapping[str, Any]) -> str:
    rows = _shown(document)
    limits = list(rows[0]["drawdown_above"])
    cells = [
        [
            Cell(_name(row)),
            _chance(row["loss"], row["runs"]),
            *(_chance(row["drawdown_above"][limit], row["runs"]) for limit in limits),
        ]
        for row in rows
    ]
    heads = ["", "Loss", *(f"> {percent(float(limit), 0)}" for limit in limits)]
    return table(heads, cells, kind="whole")


def _chance(share: float, runs: int) -> Cell:
    if runs == 1:
        return Cell("yes" if share else "no", order=share, tone="loss" if share else "")
    return Cell(percent(share, 1), order=share, tone="loss" if share >= 0.5 else "")


def _quantiles(document: Mapping[str, Any]) -> str:
    rows = []
    for row in _shown(document):
        roi, fall, sharpe = row["roi"], row["max_drawdown"], row["sharpe_365"]
        rows.append(
            [
                Cell(_name(row)),
                Cell(f"{row['runs']:,}", order=row["runs"]),
                *(signed(percent(v, signed=True), v) for v in roi),
                *(Cell(percent(fall[k]), order=fall[k]) for k in (2, 4)),
                *(
                    Cell(number(sharpe[k]) if sharpe else MISSING, order=sharpe[k] if sharpe else -1e300)
                    for k in (0, 2, 4)
                ),
                Cell(number(row["trades"][2], 0), order=row["trades"][2]),
            ]
        )
    heads = [
        "", "Runs", "Return 5 %", "25 %", "median", "75 %", "95 %", "Drawdown median", "95 %", "Sharpe 5 %", "median",
        "95 %", "Trades",
    ]  # fmt: skip
    return table(heads, rows, sortable=True)


def _provenance(document: Mapping[str, Any]) -> str:
    kept = {k: v for k, v in document["provenance"].items() if k not in ("caveats", "timings", "first_bar", "last_bar")}
    return facts((k, str(v) if k.endswith("seed") else v) for k, v in flatten(kept))
