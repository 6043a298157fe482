"""Verdicts of the gate: of the champions, which keep theirs, and pages that were written into the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError
from dolphin.files import read_json
from dolphin.report.markup import Cell, card, table, text
from dolphin.ui.asked import Asked
from dolphin.ui.framed import is_ours, page_named, title_of
from dolphin.ui.shell import Marked, badge, frame, head, linked

#: How long a reason may be in a table.
_LONG = 160
#: How deep pages are looked for, and where none are.
DEPTH, SKIPPED = 5, ("data_catalog", "notebooks", "node_modules")


def verdicts(ask: Asked) -> tuple[str, str]:
    """The page."""
    root = ask.workspace.root
    rows = [_row(root, path) for path in sorted((ask.workspace.promote / "champions").glob("*/gate.json"))]
    body = head("Verdicts", "Is there an edge, and is it good enough")
    if rows:
        heads = ("Candidate", "Verdict", "Edge", "Good enough", "When", "First reason")
        body += card("Of champions", table(heads, rows, names=1), kind="long")
    pages = [path for path in pages_below(root) if path.name != "gate.html" and is_ours(path)]
    written = [_page(root, path) for path in pages]
    if written:
        body += card(
            "Pages in this workspace", table(("Page", "File"), written, names=2), kind="long",
            note="dolphin gate, parity, report and stress write them with --html or --out.",
        )  # fmt: skip
    if not rows and not written:
        body += '<p class="empty">None yet: <code>dolphin gate CANDIDATE --html verdict.html</code></p>'
    return "Verdicts", body


def _row(root: Path, path: Path) -> list[Cell]:
    page = path.with_name("gate.html").relative_to(root).as_posix()
    short = path.parent.name[:12]
    try:
        report = read_json(path)
        reasons = report.get("reasons") or [""]
        first = str(reasons[0])
        return [
            linked(f"/verdict/{page}", short),
            Marked(report["verdict"], inner=verdict_badge(report["verdict"])),
            *(Cell(_answer(report, key)) for key in ("edge", "floors")),
            Cell(str(report["created"])[:16].replace("T", " ")),
            Cell(first if len(first) <= _LONG else f"{first[: _LONG - 3]}...", tone="prose"),
        ]
    except (DolphinError, KeyError, TypeError):
        return [Cell(short), Marked("", inner=badge("bad small", "unreadable")), *(Cell("") for _ in range(4))]


def _answer(report: dict[str, Any], key: str) -> str:
    answers = report.get("answers") or {}
    found = answers.get(key)
    value = found.get("answer", found.get("passed")) if isinstance(found, dict) else found
    return {True: "yes", False: "no", None: "-"}.get(value, str(value))


def verdict_badge(verdict: str) -> str:
    """PASS or REFUSED."""
    return badge(f"{'good' if verdict == 'PASS' else 'bad'} small", verdict)


def _page(root: Path, path: Path) -> list[Cell]:
    name = path.relative_to(root).as_posix()
    try:
        title = title_of(path)
    except (DolphinError, OSError):
        title = path.stem
    return [linked(f"/verdict/{name}", title), Cell(name)]


def verdict(ask: Asked) -> tuple[str, str]:
    """One page in its frame."""
    page_named(ask)
    title = ask.name.removeprefix("promote/champions/")
    shown = f"Verdict on {title[:12]}" if title != ask.name else ask.name
    return shown, head(shown, f"<code>{text(ask.name)}</code>") + frame(f"/frame/verdict/{ask.name}", shown)


def pages_below(root: Path) -> list[Path]:
    """HTML files that lie in a workspace, caches and data left out."""
    found: list[Path] = []
    below = [root]
    for _ in range(DEPTH):
        found += [path for folder in below for path in folder.glob("*.html")]
        below = [
            path for folder in below for path in folder.iterdir()
            if path.is_dir() and not path.is_symlink() and path.name not in SKIPPED and path.name[0] != "."
        ]  # fmt: skip
    return sorted(found)
