"""Champions: what blue and green are, and every move of a pointer, the chain checked."""

from __future__ import annotations

from typing import Any

from dolphin.errors import DolphinError
from dolphin.gate.audit import AuditLog, read_audit
from dolphin.gate.champions import POINTERS, TAG, champion_at, lineage, pointer_path
from dolphin.report.markup import card, facts, text, value_text
from dolphin.report.numerals import number, percent
from dolphin.ui.asked import Asked
from dolphin.ui.shell import badge, empty, head, link, moment


def champions(ask: Asked) -> tuple[str, str]:
    """The page."""
    log = read_audit(ask.workspace.promote / "audit.jsonl")
    body = head("Champions", "", badges=chain_badge(log))
    if log.problem:
        body += f'<p class="notice bad">{text(log.problem)}; restore it from git</p>'
    if log.torn:
        body += f'<p class="notice caveat">{log.torn} bytes at its end are no whole line: a crash left them.</p>'
    body += "".join(_pointer(ask, log, name) for name in POINTERS)
    if not log.lines:
        return "Champions", body + empty("No line yet", "dolphin promote blue RUN --reason WHY")
    lines = "".join(_line(ask, line) for line in reversed(log.lines))
    note = "The newest first. Each line carries the hash of the one before; all were checked for this page."
    return "Champions", body + card("Audit", f'<ol class="timeline">{lines}</ol>', note=note, kind="long")


def chain_badge(log: AuditLog) -> str:
    """Whether every line follows from the one before."""
    if log.problem:
        return badge("bad small", f"✗ chain broken after {len(log.lines)} lines")
    return chain_words(len(log.lines))


def chain_words(lines: int) -> str:
    """A whole chain of so many lines."""
    return badge("good small", f"✓ {lines:,} {'line' if lines == 1 else 'lines'}, chain verified")


def _pointer(ask: Asked, log: AuditLog, name: str) -> str:
    held = lineage(log, name)[-1:]
    if not held:
        return card(name.title(), '<p class="empty">No champion.</p>', kind=f"half pointer {name}")
    champion = champion_at(ask.workspace, held[0])
    problems = champion.problems()
    if not pointer_path(ask.workspace, name).is_file():
        problems = [f"{name}.json is missing: 'dolphin promote verify' says more", *problems]
    if problems:
        return card(name.title(), f'<p class="notice bad">{text(problems[0])}</p>', kind=f"half pointer {name}")
    whole = badge("good small", "✓ every file as frozen")
    page = link(f"/verdict/promote/champions/{champion.hash}/gate.html", "its verdict")
    return card(
        name.title(),
        f'<p class="state">{whole} {page}</p>' + facts(_facts(champion)),
        kind=f"half pointer {name}",
    )


def _facts(champion: Any) -> list[tuple[str, object]]:
    told: list[tuple[str, object]] = [("champion", champion.hash)]
    try:
        config, metrics = champion.document("config.json"), champion.document("metrics.json")["whole"]
        provenance, run = champion.document("provenance.json"), champion.document("run.json")
    except (DolphinError, KeyError, TypeError):
        return told
    resolved = config.get("config", config)
    told += [("strategy", resolved.get("strategy")), ("dataset", _dataset(run))]
    told += [("frozen", moment(str(provenance.get("created", "-")), 19)), ("by", provenance.get("who"))]
    told.append(("Sharpe", number(_float(metrics.get("sharpe_365")))))
    told.append(("return", percent(_float(metrics.get("roi")), 1, signed=True)))
    told.append(("drawdown", percent(_float(metrics.get("max_drawdown")), 1)))
    told.append(("trades", metrics.get("trades")))
    return told


def _dataset(run: Any) -> object:
    dataset = run.get("dataset")
    return dataset.get("name") if isinstance(dataset, dict) else dataset


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _line(ask: Asked, line: dict[str, Any]) -> str:
    pointer = line["pointer"]
    shown = pointer.removeprefix(TAG)
    kind = "tag" if pointer.startswith(TAG) else pointer
    page = f"promote/champions/{line['new']}/gate.html"
    verdict = link(f"/verdict/{page}", "verdict") if (ask.workspace.root / page).is_file() else ""
    old = f" (before: {value_text(line['old'])})" if line["old"] else ""
    move = f"<b>{text(line['action'])} {text(shown)}</b> → {value_text(line['new'])}{old} {verdict}"
    when, who = text(moment(str(line["time"]), 19)), text(line["who"])
    return (
        f'<li class="{text(kind)}"><div>{move}</div><p>{text(line["reason"])}</p>'
        f"<small>#{line['seq']} · {when} · {who} · line {value_text(line['hash'])}</small></li>"
    )
