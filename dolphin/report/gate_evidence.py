"""The cards of a gate page that are about the edge: answers and reasons, shifts, advisory evidence, chances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dolphin.report.calibration_page import pictures
from dolphin.report.gate_pictures import picture
from dolphin.report.gate_pieces import grid, operator, piece
from dolphin.report.markup import Cell, card, facts, table, text
from dolphin.report.numerals import MISSING, percent, plain, significant

#: Keys of ``evidence`` that these cards show; the page shows the others as they are.
SHOWN = ("edge", "holdout", "looks", "advisory", "chances", "own_error", "equity", "not_run")


def opening(report: dict[str, Any]) -> Iterator[str]:
    """What stands first: rules that are weaker than the shipped ones, the two answers, the strongest reasons."""
    if report.get("weaker"):
        items = "".join(f"<li>{text(plain(line))}</li>" for line in report["weaker"])
        yield (
            '<div class="notice shout" role="alert"><b>ALTERED RULES: judged under weaker rules than the shipped ones.'
            f"</b><ul>{items}</ul></div>"
        )
    answers = report.get("answers")
    if isinstance(answers, dict) and answers:
        yield '<div class="answers">' + "".join(_answer(answer) for answer in answers.values()) + "</div>"
    if report.get("reasons"):
        items = "".join(f"<li>{text(plain(line))}</li>" for line in report["reasons"])
        yield card("The strongest reasons", f'<ol class="reasons">{items}</ol>')


def _answer(answer: Any) -> str:
    word = str(answer.get("answer", "?"))
    tone = {"yes": "good", "no": "bad"}.get(word, "plain")
    return (
        f'<section class="card"><h2>{text(answer.get("question", ""))} '
        f'<span class="badge {tone}">{text(word.upper())}</span></h2><p>{text(plain(answer.get("line")))}</p></section>'
    )


def edge_cards(evidence: dict[str, Any]) -> Iterator[str]:
    """The cards of what a report has of these keys; the equity stands elsewhere."""
    if isinstance(edge := evidence.get("edge"), dict):
        parts = grid([_part(edge, name) for name in ("search", "holdout")])
        note = (
            "Grey dots: what the same signals earn when they are shifted against the prices. An edge stands apart "
            "from them, luck stands among them."
        )
        yield card("The edge, against shifted signals", parts, note=note)
    if isinstance(advice := evidence.get("advisory"), list) and advice:
        yield card(
            "Advisory evidence",
            grid(map(_advice, advice)),
            note="Never decisive. Blue: the figure. Dashed: its limit.",
        )
    if isinstance(chances := evidence.get("chances"), dict):
        yield card("Luck of the floors", _chances(chances), note=plain(chances.get("words") or ""))
    for name, title in (
        ("looks", "Looks at this market"),
        ("holdout", "The holdout"),
        ("own_error", "The gate's own error"),
    ):
        if isinstance(about := evidence.get(name), dict):
            kinds = about.get("kinds") if name == "own_error" else None
            told = {key: value for key, value in about.items() if key != "kinds"}
            drawn = pictures(kinds) + _kinds(kinds) if isinstance(kinds, dict) else ""
            yield card(title, facts(_flat(told)) + drawn)


def _part(edge: dict[str, Any], name: str) -> str:
    part = edge.get(name)
    title = {"search": "The search, run again on shifted signals", "holdout": "The unseen bars"}[name]
    if not isinstance(part, dict):
        few = "Fewer registered trials than the policy asks for: the holdout alone decides."
        return piece(title, value="not asked", reading=few)
    words = str(part.get("words"))
    drawn = picture({"kind": "dots", "values": part.get("under_shifts"), "mark": part.get("value")}, words)
    return piece(
        title, value=f"p = {_figure(part.get('p'), False)}", reading=words, drawn=drawn, below=plain(part.get("method"))
    )


def _advice(advice: dict[str, Any]) -> str:
    share, name = bool(advice.get("share")), str(advice.get("name"))
    good = advice.get("good")
    return piece(
        name,
        value=_figure(advice.get("value"), share),
        limit=f"{operator(advice.get('op'))} {_figure(advice.get('limit'), share)}",
        reading=str(advice.get("reading")),
        good=good if isinstance(good, bool) else None,
        drawn=picture(advice.get("picture"), name),
        advisory=True,
    )


def skipped_card(report: dict[str, Any]) -> str:
    """What was not done, and why; a report that did everything says so."""
    evidence = report["evidence"] if isinstance(report["evidence"], dict) else {}
    rows = [(str(name), str(why)) for name, why in _dict(evidence.get("not_run")).items()]
    rows += [
        (f"parity rung {rung.get('rung')}: {rung.get('name')}", str(rung.get("reason")))
        for rung in _dict(evidence.get("parity")).get("not_run") or ()
    ]
    for answer in _dict(report.get("answers")).values():
        if answer.get("answer") not in ("yes", "no"):
            rows.append((str(answer.get("question")), str(answer.get("line"))))
    if "status" in _dict(evidence.get("forewarner")):
        rows.append(("forewarner", str(evidence["forewarner"]["status"])))
    if not _dict(evidence.get("own_error")).get("kinds") and "status" in _dict(evidence.get("own_error")):
        rows.append(("the gate's own error", str(evidence["own_error"]["status"])))
    if "gate" in evidence and _dict(evidence["gate"]).get("champion_compared") is None:
        rows.append(("comparison with a champion", "there is no blue champion"))
    cells = [[Cell(what, tone="prose"), Cell(why, tone="prose")] for what, why in rows]
    body = table(["What", "Why"], cells, kind="whole") if cells else "<p>Nothing was skipped.</p>"
    return card("Not done, and why", body) if cells or "not_run" in evidence else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _chances(chances: dict[str, Any]) -> str:
    rows = [
        [
            Cell(plain(row.get("floor")), tone="prose", below=str(row.get("how") or "")),
            Cell(_figure(row.get("normal_days"), True)),
            Cell(_figure(row.get("fat_tailed_days"), True)),
        ]
        for row in chances.get("floors") or []
    ]
    heads = ["Breached by luck", "normal days", "fat tails"]
    return table(heads, rows, kind="whole") if rows else ""


def _kinds(kinds: dict[str, Any]) -> str:
    """The calibration, a row per kind of market."""
    rows = [
        [
            Cell(str(kind), tone="prose", below="an edge is planted" if about.get("edge_planted") else "no edge"),
            Cell(plain(about.get("markets"))),
            Cell(plain(about.get("promoted"))),
            Cell(_figure(about.get("share"), True)),
            Cell(" to ".join(_figure(end, True) for end in about.get("interval_95") or ())),
        ]
        for kind, about in kinds.items()
    ]
    return table(["Markets", "how many", "promoted", "share", "95 %"], rows, kind="whole") if rows else ""


def _figure(value: Any, share: bool) -> str:
    if isinstance(value, str):
        return {"inf": "∞", "-inf": "\u2212∞", "nan": MISSING}.get(value, value)
    if value is None:
        return MISSING
    return percent(float(value), 1) if share else significant(float(value), 4)


def _flat(about: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for key, value in about.items():
        if isinstance(value, dict):
            yield from ((f"{key} {k}".replace("_", " "), v) for k, v in _flat(value))
        else:
            shown = ", ".join(map(plain, value)) if isinstance(value, list) else value
            yield key.replace("_", " "), shown
