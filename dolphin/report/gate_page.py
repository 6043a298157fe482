"""The report of the promotion gate, as a page a person reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dolphin.errors import DolphinError
from dolphin.report.gate_curves import equity_card
from dolphin.report.gate_evidence import SHOWN, edge_cards, opening, skipped_card
from dolphin.report.gate_pieces import floor_pieces, grid, value_of
from dolphin.report.markup import Cell, card, facts, flatten, page, table, text
from dolphin.report.numerals import plain

_KEYS = ("verdict", "candidate", "floors", "checks", "evidence", "created")
_OPENING = ("answers", "reasons", "weaker")
_ACRONYMS = ("cscv", "dsr", "pbo", "pf", "psr", "roi")


def gate_page(report: dict[str, Any]) -> str:
    """Return a gate report as one self-contained HTML document; its one script copies hashes.

    Parameters
    ----------
    report : dict
        ``verdict`` (PASS or REFUSED), ``candidate`` (facts), ``floors`` (each with name, metric, window, op,
        limit, value, passed, reason), ``checks`` (name, passed, detail), ``evidence`` (nested facts),
        ``created`` (time); ``answers``, ``reasons`` and ``weaker`` stand first where there are any. Other keys are
        shown as further evidence.

    Raises
    ------
    DolphinError
        A key is missing, or the verdict does not follow from its own floors and checks: such a page
        would tell a person something that the evidence below it denies.
    """
    missing = [key for key in _KEYS if key not in report]
    if missing:
        raise DolphinError(f"no {', '.join(missing)}", where="gate report", mend="run the gate again")
    verdict = str(report["verdict"])
    if verdict not in ("PASS", "REFUSED"):
        raise DolphinError(f"verdict {verdict!r} is neither PASS nor REFUSED", where="gate report")
    failed = [str(row.get("name", "?")) for row in [*report["floors"], *report["checks"]] if not row.get("passed")]
    if verdict == "PASS" and failed:
        raise DolphinError(f"verdict PASS although {', '.join(failed)} did not pass", where="gate report")
    return page(f"Gate {verdict}: {_name(report)}", "\n".join(_sections(report, verdict, failed)))


def _name(report: dict[str, Any]) -> str:
    candidate = report["candidate"]
    if not isinstance(candidate, dict):
        return str(candidate)
    return str(candidate.get("name") or candidate.get("strategy") or candidate.get("hash") or "candidate")


def _sections(report: dict[str, Any], verdict: str, failed: list[str]) -> Iterator[str]:
    tone = "good" if verdict == "PASS" else "bad"
    yield (
        f'<header><div class="title"><h1>Promotion gate: {text(_name(report))}</h1>'
        f'<span class="badge {tone}">{verdict}</span>{_synthetic(report)}</div>'
        f'<p class="sub">{text(_to_seconds(plain(report["created"])))}</p></header>'
    )
    yield from opening(report)
    count = len(report["floors"]) + len(report["checks"])
    if failed:
        yield f'<p class="notice bad">{len(failed)} of {count} did not pass: {text(", ".join(failed))}.</p>'
    elif verdict == "REFUSED":
        yield '<p class="notice bad">Refused although every floor and check passed; see the evidence.</p>'
    evidence = report["evidence"] if isinstance(report["evidence"], dict) else {}
    yield equity_card(evidence.get("equity"))
    if report["floors"]:
        body = grid(floor_pieces(report["floors"], evidence.get("chances")))
        yield card("Floors", body, note="Blue: the figure. Dashed: its limit. Grey: where it may be.")
    if report["checks"]:
        yield card("Checks", _checks(report["checks"]))
    yield skipped_card(report)
    yield from edge_cards(evidence)
    candidate = report["candidate"]
    yield card("Candidate", facts(flatten(candidate if isinstance(candidate, dict) else {"name": candidate})))
    further = {k: v for k, v in report.items() if k not in (*_KEYS, *_OPENING)}
    for name, value in {**{k: v for k, v in evidence.items() if not _told(k, v)}, **further}.items():
        yield card(_heading(name), _evidence(value))


def _told(name: str, value: Any) -> bool:
    """Whether the cards about the edge show this evidence."""
    return name in SHOWN and isinstance(value, dict | list)


def _to_seconds(time: str) -> str:
    """A time without its fraction of a second."""
    return re.sub(r"(:\d\d)\.\d+", r"\1", time)


def _synthetic(report: dict[str, Any]) -> str:
    candidate = report["candidate"]
    synthetic = isinstance(candidate, dict) and candidate.get("synthetic")
    return '<span class="badge synthetic">SYNTHETIC DATA</span>' if synthetic else ""


def _heading(name: object) -> str:
    words = str(name).replace("_", " ").split()
    known = [w.upper() if w in _ACRONYMS else w for w in words]
    return " ".join([known[0][:1].upper() + known[0][1:], *known[1:]]) if known else ""


def _outcome(passed: object) -> Cell:
    return (
        Cell("pass", tone="gain", mark=("var(--gain)", "✔"))
        if passed
        else Cell("FAIL", tone="loss", mark=("var(--loss)", "✖"))
    )


def _checks(checks: list[dict[str, Any]]) -> str:
    rows = [
        [_outcome(c.get("passed")), Cell(plain(c.get("name")), tone="prose", below=_detail(c.get("detail")))]
        for c in sorted(checks, key=lambda c: bool(c.get("passed")))
    ]
    return table(["", "Check"], rows, kind="whole")


def _detail(detail: object) -> str:
    if isinstance(detail, dict | list):
        return "; ".join(f"{k}: {value_of(v)}" if k else value_of(v) for k, v in flatten(detail))
    return str(detail) if detail is not None else ""


def _evidence(value: Any) -> str:
    """A list of records is a table, nested facts are lists under their own heading."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        every = dict.fromkeys(key for item in value for key in item)
        heads = [key for key in every if any(item.get(key) not in (None, "") for item in value)]
        wordy = {h for h in heads if any(isinstance(v := item.get(h), dict) or " " in str(v) for item in value)}
        rows = [[_value_cell(item.get(h), h in wordy) for h in heads] for item in value]
        return table([str(h).replace("_", " ") for h in heads], rows)
    if not isinstance(value, dict):
        return facts(flatten(value if isinstance(value, list) else [value]))
    flat = {k: v for k, v in value.items() if not _nested(v)}
    blocks = [facts(flatten(flat))] if flat else []
    blocks += [f"<h3>{text(str(k).replace('_', ' '))}</h3>{_evidence(v)}" for k, v in value.items() if _nested(v)]
    return "".join(blocks)


def _value_cell(value: Any, wordy: bool) -> Cell:
    shown = _detail(value) if isinstance(value, dict | list) else value_of(value)
    return Cell(shown, tone="prose" if wordy else "")


def _nested(value: Any) -> bool:
    return (isinstance(value, dict) and bool(value)) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict)
    )
