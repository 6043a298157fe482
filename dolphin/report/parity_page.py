"""Two runs laid side by side at the first bar that differs, as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dolphin.report.figures import Figure, base_axis, base_layout
from dolphin.report.markup import Cell, big, card, chart_page, embedded_json, facts, table, text, write_page
from dolphin.report.numerals import MISSING
from dolphin.report.palette import GAIN, LOSS, QUIET


def parity_page(document: Mapping[str, Any]) -> str:
    """Return a comparison (``dolphin parity --json``) as one self-contained HTML document."""
    title = f"parity of {document['sides'][0]} and {document['sides'][1]}"
    return chart_page(title, "\n".join(_sections(document)))


def write_parity_page(document: Mapping[str, Any], out: Path) -> None:
    """Write :func:`parity_page` to ``out``, atomically."""
    write_page(parity_page(document), out)


def _sections(document: Mapping[str, Any]) -> Iterator[str]:
    verdict, tone = ("EQUAL", "good") if document["equal"] else ("DIFFERS", "bad")
    badge = f'<span class="badge {tone}">{verdict}</span>'
    if document.get("synthetic"):
        badge += '<span class="badge synthetic">SYNTHETIC DATA</span>'
    one, two = document["sides"]
    yield (
        f'<header><div class="title"><h1>Parity</h1>{badge}</div>'
        f'<p class="sub">A <b>{text(one)}</b> · B <b>{text(two)}</b></p></header>'
    )
    yield big(tone, document["sentence"])
    if document["tolerance"] is not None:
        said = f"Compared within a relative tolerance of {document['tolerance']:g}, not bit for bit."
        yield f'<p class="notice caveat">{text(said)}</p>'
    if not document["equal"] or document["notes"]:
        yield card("What is known of it", _words(document))
    if document["around"]:
        drawn = _figure(document)
        keys = "".join(
            f'<span class="key"><i class="mark" style="color:{color}">{sign}</i>{text(name)}</span>'
            for color, sign, name in ((GAIN, "━", f"A, {one}"), (LOSS, "┅", f"B, {two}"))
        )
        body = (
            f'<div class="keys">{keys}</div><div class="chart tall" data-figure="figure-around"></div>'
            + embedded_json("figure-around", drawn)
        )
        note = "Equity of both sides; the upright line is the first bar that differs. Below, B less A."
        yield card("Around the first bar that differs", body, note=note)
    if document["fields"]:
        note = "What that bar folds into its digest, stage by stage; bits of what differs."
        yield card("The bar, field by field", _fields(document), note=note, kind="long")
    if document["around"]:
        yield card("Bars around it", _bars(document), kind="long")


def _words(document: Mapping[str, Any]) -> str:
    later = document["later"]
    rows = [
        ("first bar", document["time"] or "none"),
        ("stage", document["stage"] or "none"),
        ("likely cause", document["cause"] or "none found"),
        ("one cause or several", f"{later['verdict']}: {later['sentence']}" if later else "not looked into"),
    ]
    if document["positions"]:
        rows += list(zip(("held before it, A", "held before it, B"), document["positions"], strict=True))
    told = {f"likely cause: {document['cause']}", later["sentence"] if later else ""}
    lines = "".join(f"<li>{text(line)}</li>" for line in document["notes"] if line not in told)
    return facts(rows) + (f"<ul>{lines}</ul>" if lines else "")


def _figure(document: Mapping[str, Any]) -> Figure:
    a, b = document["around"]
    line = {"type": "scatter", "mode": "lines+markers", "marker": {"size": 4}}
    shared = min(len(a["times"]), len(b["times"]))
    difference = [y - x for x, y in zip(a["equity"][:shared], b["equity"][:shared], strict=True)]
    data = [
        line | {"x": a["times"], "y": a["equity"], "name": "A", "line": {"color": GAIN, "width": 2},
                "hovertemplate": "%{y:,.4f}<extra>A</extra>"},
        line | {"x": b["times"], "y": b["equity"], "name": "B", "line": {"color": LOSS, "width": 2, "dash": "dot"},
                "hovertemplate": "%{y:,.4f}<extra>B</extra>"},
        {"type": "bar", "x": a["times"][:shared], "y": difference, "marker": {"color": QUIET}, "yaxis": "y2",
         "hovertemplate": "%{y:,.6f}<extra>B less A</extra>"},
    ]  # fmt: skip
    for side, color, sign in ((a, GAIN, "triangle-up"), (b, LOSS, "triangle-down")):
        marked = [k for k, events in enumerate(side["events"]) if events]
        data.append(
            {"type": "scatter", "mode": "markers", "x": [side["times"][k] for k in marked],
             "y": [side["equity"][k] for k in marked], "marker": {"color": color, "size": 11, "symbol": sign},
             "text": ["<br>".join(text(event) for event in side["events"][k]) for k in marked],
             "hovertemplate": "%{text}<extra></extra>"}
        )  # fmt: skip
    at = document["time"]
    layout = base_layout(
        hovermode="closest",
        xaxis=base_axis(type="date", showgrid=False, anchor="y2"),
        yaxis=base_axis(title="Equity", domain=[0.32, 1.0]),
        yaxis2=base_axis(title="B less A", domain=[0.0, 0.24]),
        shapes=[
            {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1,
             "line": {"color": QUIET, "width": 1.5, "dash": "dash"}}
        ],
    )  # fmt: skip
    return {"data": data, "layout": layout}


def _fields(document: Mapping[str, Any]) -> str:
    rows = []
    for field in document["fields"]:
        tone = "" if field["equal"] else "loss"
        sides = []
        for side in ("left", "right"):
            shown = MISSING if field[side] == "None" else field[side]
            bits = "" if field["equal"] else field[f"{side}_bits"] or ""
            sides.append(Cell(shown, tone=tone, below=bits))
        rows.append([Cell(field["stage"]), Cell(field["name"]), *sides, Cell("" if field["equal"] else "differs")])
    return table(("Stage", "Field", "A", "B", ""), rows, names=2)


def _bars(document: Mapping[str, Any]) -> str:
    a, b = document["around"]
    rows = []
    for k in range(min(len(a["bars"]), len(b["bars"]))):
        same = a["digests"][k] == b["digests"][k]
        tone = "" if same else "loss"
        rows.append(
            [
                Cell(f"{a['bars'][k]:,}"),
                Cell(a["times"][k]),
                Cell("; ".join(a["events"][k])),
                Cell("; ".join(b["events"][k])),
                Cell(f"{a['equity'][k]:,.4f}"),
                Cell(f"{b['equity'][k]:,.4f}", tone=tone),
                Cell("equal" if same else "differs", tone=tone),
            ]
        )
    return table(("Bar", "Time", "A did", "B did", "Equity A", "Equity B", "Digest"), rows, names=4)
