"""Small pieces of HTML: escaped text, tables, lists of facts, and the page around them."""

from __future__ import annotations

import base64
import gzip
import html
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError
from dolphin.files import publish
from dolphin.report.numerals import plain, significant
from dolphin.report.style import CHARTS, COPY, CSS, PLOTLY, TABLES, UNPACK, packed_plotly

# The browser itself refuses every request: a page in a run folder must not call home.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)


def text(value: object) -> str:
    """Return ``value`` escaped for element content and for quoted attributes."""
    return html.escape(str(value), quote=True)


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    shown : str
        Text as read; it is escaped on output.
    order : float or str, optional
        What a sortable table orders by; the shown text if absent.
    tone : str
        CSS classes, e.g. ``gain``.
    style : str
        Inline CSS.
    mark : tuple of (colour, character), optional
        A coloured sign in front.
    below : str
        A smaller line under it.
    label : str
        What its column is called where a narrow screen has no heads.
    """

    shown: str
    order: float | str | None = None
    tone: str = ""
    style: str = ""
    mark: tuple[str, str] | None = None
    below: str = ""
    label: str = ""

    def html(self, tag: str, *, name: bool) -> str:
        attributes = ' scope="row"' if tag == "th" else ""
        classes = " ".join(c for c in ("name" if name else "", self.tone) if c)
        attributes += f' class="{text(classes)}"' if classes else ""
        attributes += f' style="{text(self.style)}"' if self.style else ""
        attributes += f' data-order="{text(self.order)}"' if self.order is not None else ""
        attributes += f' data-label="{text(self.label)}"' if self.label else ""
        mark = f'<i class="mark" style="color:{self.mark[0]}">{self.mark[1]}</i>' if self.mark else ""
        below = f"<small>{text(self.below)}</small>" if self.below else ""
        return f"<{tag}{attributes}>{mark}{text(self.shown)}{below}</{tag}>"


def signed(shown: str, value: float | None, *, style: str = "") -> Cell:
    """Return a cell coloured by the sign of its value."""
    tone = "" if not value else "gain" if value > 0 else "loss"
    return Cell(shown, order=value, tone=tone, style=style)


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    foot: Sequence[Cell] | None = None,
    sortable: bool = False,
    names: int = 1,
    kind: str = "",
) -> str:
    """Return a table in its own scroll box; the first ``names`` columns are text, the others numbers."""
    rows = list(rows)
    prose = [bool(rows) and rows[0][i].tone == "prose" for i in range(len(heads))]
    head = "".join(
        f'<th scope="col"{_name(i < names or prose[i])}>'
        + (f'<button type="button">{text(h)}</button>' if sortable else text(h))
        + "</th>"
        for i, h in enumerate(heads)
    )
    body = "\n".join(_row(row, names) for row in rows)
    end = f"<tfoot>{_row(foot, names)}</tfoot>" if foot else ""
    classes = " ".join(c for c in ("sortable" if sortable else "", kind) if c)
    opening = f'<table class="{classes}">' if classes else "<table>"
    return (
        f'<div class="scroll" tabindex="0">{opening}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody>{end}</table></div>"
    )


def _row(cells: Sequence[Cell], names: int) -> str:
    tags = ("th" if i == 0 and names else "td" for i in range(len(cells)))
    inner = "".join(c.html(t, name=i < names) for i, (c, t) in enumerate(zip(cells, tags, strict=True)))
    return f"<tr>{inner}</tr>"


def _name(is_name: bool) -> str:
    return ' class="name"' if is_name else ""


#: What is shown by its first characters, and copied whole by a click.
_HASH = re.compile(r"[0-9a-f]{16,128}")
SHORT_HASH = 12
#: Numbers of more characters are rounded, the whole of them on hover.
ROUNDED = 8


def value_text(value: object) -> str:
    """Return a scalar as HTML; long numbers rounded and hashes cut, the whole on hover; a click copies a hash."""
    shown = plain(value)
    if isinstance(value, float) and math.isfinite(value) and len(shown) > ROUNDED:
        return f'<span title="{text(shown)}">{text(significant(value, ROUNDED - 2))}</span>'
    if not isinstance(value, str) or not _HASH.fullmatch(shown):
        return text(shown)
    return (
        f'<button type="button" class="hash" data-copy="{shown}" title="{shown} (a click copies it)">'
        f"{shown[:SHORT_HASH]}…</button>"
    )


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Return names and values as a definition list; hashes are short."""
    items = "".join(f"<div><dt>{text(k)}</dt><dd>{value_text(v)}</dd></div>" for k, v in pairs)
    return f'<dl class="facts">{items}</dl>'


def flatten(document: Any, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield (dotted name, scalar) of a nested document, in its order."""
    if isinstance(document, dict) and document:
        for key, value in document.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(document, list) and all(not isinstance(item, dict | list) for item in document):
        yield prefix, ", ".join(plain(item) for item in document) or None
    elif isinstance(document, list):
        for i, value in enumerate(document):
            yield from flatten(value, f"{prefix}[{i}]")
    else:
        yield prefix, None if document == {} else document


def card(title: str, body: str, *, note: str = "", kind: str = "") -> str:
    """Return a titled section; what can be scrolled or is drawn in it is named after it for who cannot see it."""
    for opening, role in (('<div class="scroll', "region"), ('<div class="chart', "img")):
        body = body.replace(opening, f'<div role="{role}" aria-label="{text(title)}"{opening.removeprefix("<div")}')
    aside = f'<p class="note">{text(note)}</p>' if note else ""
    return f'<section class="card {kind}"><h2>{text(title)}</h2>{aside}{body}</section>'


def big(tone: str, words: str, more: str = "") -> str:
    """A verdict in words, large; its tone is told by the words too."""
    return (
        f'<section class="card big {tone}"><p>{text(words)}</p>'
        + (f"<small>{text(more)}</small>" if more else "")
        + "</section>"
    )


#: Data of more characters is packed.
PACKED_FROM = 50_000


def embedded_json(name: str, document: object) -> str:
    """Return a data block that the charts' script reads, a long one packed; no name inside can close it."""
    body = json.dumps(document, separators=(",", ":"), allow_nan=False)
    if len(body) > PACKED_FROM:
        packed = base64.b64encode(gzip.compress(body.encode(), 9, mtime=0)).decode()
        return f'<script type="application/gzip" id="{text(name)}">{packed}</script>'
    for sign, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        body = body.replace(sign, escape)
    return f'<script type="application/json" id="{text(name)}">{body}</script>'


def page(title: str, body: str, *, scripts: Sequence[str] = ()) -> str:
    """Return a whole document with everything inside it."""
    scripts = [*scripts, COPY] if "data-copy=" in body else scripts
    code = "".join(f"<script>{script}</script>\n" for script in scripts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>{CSS}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n{code}</body>\n</html>\n"
    )


def chart_page(title: str, body: str) -> str:
    """:func:`page` with the scripts that draw charts and sort tables; the chart library is packed."""
    library = f'<script type="text/plain" id="plotly">{packed_plotly()}</script>\n<!-- {PLOTLY} -->'
    return page(title, f"{body}\n{library}", scripts=(UNPACK, CHARTS, TABLES))


def write_page(document: str, out: Path) -> None:
    """Write a whole document to ``out``, atomically."""
    if Path(out).is_dir():
        raise DolphinError("is a folder", where=str(out), mend="give the name of an HTML file")
    with publish(Path(out)) as part:
        part.write_text(document, encoding="utf-8")
