"""The cards of a gate page that are about the edge: answers and reasons, shifts, advisory evidence, chances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dolphin.report.gate_pictures import picture
from dolphin.report.markup import Cell, card, facts, table, text
from dolphin.report.numerals import MISSING, percent, plain, significant

#: Keys of ``evidence`` that these cards show; the page shows the others as they are.
SHOWN = ("edge", "holdout", "looks", "advisory", "chances", "own_error")


def opening(report: dict[str, Any]) -> Iterator[str]:
    """What stands first: rules that are weaker than the shipped ones, the two answers, the strongest reasons."""
    if report.get("weaker"):
        items = "".join(f"<li>{text(plain(line))}</li>" for line in report["weaker"])
        yield f'<div class="notice bad"><b>Judged under weaker rules than the shipped ones.</b><ul>{items}</ul></div>'
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
    """The cards of what a report has of these keys."""
    if isinstance(edge := evidence.get("edge"), dict):
        parts = "".join(_part(edge, name) for name in ("search", "holdout"))
        note = (
            "Grey dots: what the same signals earn when they are shifted against the prices. An edge stands apart "
            "from them, luck stands among them."
        )
        yield card("The edge, against shifted signals", parts, note=note)
    if isinstance(advice := evidence.get("advisory"), list) and advice:
        yield card(
            "Advisory evidence",
            "".join(map(_advice, advice)),
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
            yield card(title, facts(_flat(told)) + (_kinds(kinds) if isinstance(kinds, dict) else ""))


def _part(edge: dict[str, Any], name: str) -> str:
    part = edge.get(name)
    if not isinstance(part, dict):
        return "<p>Fewer registered trials than the policy asks for: the holdout alone decides.</p>"
    shown = {"kind": "dots", "values": part.get("under_shifts"), "mark": part.get("value")}
    words, figure = str(part.get("words")), f"p = {_figure(part.get('p'), False)}"
    return _row(picture(shown, words), plain(part.get("method")), figure, words, None)


def _advice(advice: dict[str, Any]) -> str:
    share = bool(advice.get("share"))
    limit = f"{_figure(advice.get('value'), share)}, should be {advice.get('op')} {_figure(advice.get('limit'), share)}"
    drawn = picture(advice.get("picture"), str(advice.get("name")))
    return _row(drawn, str(advice.get("name")), limit, str(advice.get("reading")), advice.get("good"))


def _row(drawn: str, name: str, figure: str, reading: str, good: bool | None) -> str:
    mark = {True: ("gain", "✔"), False: ("loss", "✖"), None: ("", "·")}[good]
    return (
        f'<div class="advice"><div>{drawn}</div><div><b><i class="mark {mark[0]}">{mark[1]}</i>{text(name)}</b> '
        f"<span>{text(figure)}</span><small>{text(reading)}</small></div></div>"
    )


def _chances(chances: dict[str, Any]) -> str:
    rows = [
        [
            Cell(plain(row.get("floor")), tone="prose", below=str(row.get("how") or "")),
            Cell(_figure(row.get("normal_days"), True)),
            Cell(_figure(row.get("fat_tailed_days"), True)),
        ]
        for row in chances.get("floors") or []
    ]
    heads = ["Floor", "breached by luck, normal days", "fat-tailed days"]
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
