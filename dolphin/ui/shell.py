"""The page around every page of the app, and the few pieces that the reports have not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from dolphin.freshness import Freshness
from dolphin.report.markup import Cell, text
from dolphin.ui.guard import CSRF_FIELD
from dolphin.workspace import Workspace

#: The navigation, in its order.
PLACES = (
    ("/", "Overview"),
    ("/datasets", "Datasets"),
    ("/runs", "Runs"),
    ("/studies", "Studies"),
    ("/verdicts", "Verdicts"),
    ("/champions", "Champions"),
    ("/sessions", "Sessions"),
)
#: A sign and a word for each: none is told by its colour alone.
_FRESHNESS: dict[str, tuple[str, str]] = {"fresh": ("good", "●"), "stale": ("stale", "◐"), "dead": ("bad", "○")}
#: Pages with scripts of their own begin with this mark.
EXPLORER = "<!-- explorer -->"


def shell(workspace: Workspace, title: str, body: str, place: str, csrf: str) -> str:
    """Return a whole document."""
    links = "".join(
        f'<a href="{path}"{" aria-current=page" if path == place else ""}>{name}</a>' for path, name in PLACES
    )
    scripts = ["ui.js", "tables.js", "copy.js"]
    scripts += ["chart.js", "explorer.js"] if body.startswith(EXPLORER) else []
    code = "".join(f'<script src="/assets/{name}" defer></script>' for name in scripts)
    wide = ' class="full"' if 'class="whole"' in body else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<meta name="csrf" content="{text(csrf)}">\n'
        f"<title>{text(title)} - DOLPHIN</title>\n"
        '<link rel="icon" href="data:,">\n'
        '<link rel="stylesheet" href="/assets/page.css">\n<link rel="stylesheet" href="/assets/ui.css">\n'
        f"{code}\n</head>\n<body{wide}>\n"
        f'<a class="skip" href="#content">to the content</a>\n'
        f'<div class="bar"><a class="home" href="/">DOLPHIN</a><nav aria-label="Pages">{links}</nav>'
        f'<span class="where" title="{text(workspace.root)}">{text(workspace.root.name)}</span></div>\n'
        f'<main id="content">\n{body}\n</main>\n</body>\n</html>\n'
    )


def head(title: str, sub: str = "", *, badges: str = "", tools: str = "") -> str:
    """The first lines of a page; all but the title are HTML."""
    under = f'<p class="sub">{sub}</p>' if sub else ""
    right = f'<div class="tools">{tools}</div>' if tools else ""
    return f'<header><div class="title"><h1>{text(title)}</h1>{badges}{right}</div>{under}</header>'


def link(path: str, shown: str, **query: str) -> str:
    """A link to a page of the app; ``path`` is not quoted yet."""
    asked = f"?{urlencode(query)}" if query else ""
    return f'<a href="{text(quote(path) + asked)}">{text(shown)}</a>'


def badge(kind: str, words: str, title: str = "") -> str:
    """A coloured word: good, bad, stale, plain, synth or synthetic (which marks the page, too)."""
    more = f' title="{text(title)}"' if title else ""
    return f'<span class="badge {kind}"{more}>{text(words)}</span>'


def fresh_badge(state: Freshness, words: str) -> str:
    """How old something is, by the table of limits."""
    kind, sign = _FRESHNESS[state]
    return badge(f"{kind} small", f"{sign} {words}", state)


def frame(path: str, title: str) -> str:
    """A whole page of ``report`` that fills the window."""
    place = text(quote(path))
    return f'<iframe class="whole" src="{place}" title="{text(title)}" sandbox="allow-scripts"></iframe>'


def empty(words: str, command: str = "") -> str:
    """A line where there is nothing, with what to type."""
    typed = f": <code>{text(command)}</code>" if command else ""
    return f'<p class="empty">{text(words)}{typed}</p>'


def moment(iso: str, length: int = 16) -> str:
    """An ISO time as it is shown, to the minute or to the second (19)."""
    return iso[:length].replace("T", " ")


def form(path: str, csrf: str, inner: str, *, ask: str = "", kind: str = "", name: str = "") -> str:
    """A form that writes; ``ask`` is a question before it is sent."""
    question = f' data-ask="{text(ask)}"' if ask else ""
    identity = f' id="{text(name)}"' if name else ""
    return (
        f'<form method="post" action="{text(quote(path))}" class="{kind}"{question}{identity}>'
        f'<input type="hidden" name="{CSRF_FIELD}" value="{text(csrf)}">{inner}</form>'
    )


@dataclass(frozen=True)
class Marked(Cell):
    """A cell whose inside is HTML already made."""

    inner: str = ""

    def html(self, tag: str, *, name: bool) -> str:
        whole = Cell("\0", self.order, self.tone, "", None, self.below, self.label).html(tag, name=name)
        return whole.replace("\0", self.inner, 1)


def linked(path: str, shown: str, *, order: Any = None, below: str = "", more: str = "") -> Marked:
    """A cell that leads to a page."""
    return Marked(shown, order=shown if order is None else order, below=below, inner=link(path, shown) + more)
