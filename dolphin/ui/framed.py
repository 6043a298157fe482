"""Whole pages of ``report``, as the commands write them, for the app's frame; made anew only when what they show is."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from dolphin.errors import DolphinError, NotFound
from dolphin.manifests import MANIFEST
from dolphin.ui.asked import Asked, inside

#: Pages that are remembered: a few MB.
REMEMBERED = 8
#: What every page of ours holds near its beginning.
OURS = b"Content-Security-Policy"

_lock = threading.Lock()
_made: OrderedDict[tuple[str, str, int], str] = OrderedDict()


def run(ask: Asked) -> str:
    """The tear sheet."""
    from dolphin.report import tear_sheet

    folder = ask.run_folder()
    return _once("run", folder / MANIFEST, lambda: tear_sheet(folder))


def study(ask: Asked) -> str:
    """The page of a study."""
    from dolphin.report import study_page
    from dolphin.study.findings.study_summary import gather

    folder = inside(ask.workspace.experiments, ask.name)
    return _once("study", folder / "study.json", lambda: study_page(gather(ask.workspace, ask.name)))


def quality(ask: Asked) -> str:
    """The quality page of a dataset."""
    from dolphin.catalog import open_dataset
    from dolphin.catalog.quality.report import quality_document, read_quality
    from dolphin.report import quality_page

    data = open_dataset(ask.workspace, ask.name)
    return quality_page(quality_document(read_quality(data)))


def verdict(ask: Asked) -> str:
    """The gate's page of a champion, or a page that somebody wrote into the workspace."""
    return page_named(ask).read_text(encoding="utf-8")


def page_named(ask: Asked) -> Path:
    """The page of ours that the address names."""
    path = inside(ask.workspace.root, ask.name)
    if path.suffix != ".html" or not path.is_file() or not is_ours(path):
        raise NotFound("no page of this program", where=ask.name)
    return path


def is_ours(path: Path) -> bool:
    """Whether an HTML file is one that this program wrote."""
    try:
        with path.open("rb") as stream:
            return OURS in stream.read(4096)
    except OSError:
        return False


def _once(kind: str, stamp: Path, make: Callable[[], str]) -> str:
    """The page, from memory while the file that tells of a change is the same."""
    try:
        key = kind, str(stamp), stamp.stat().st_mtime_ns
    except OSError:
        return make()
    with _lock:
        if key in _made:
            return _made[key]
    page = make()
    with _lock:
        _made[key] = page
        while len(_made) > REMEMBERED:
            _made.popitem(last=False)
    return page


def title_of(path: Path) -> str:
    """What a page calls itself."""
    head = path.read_bytes()[:200_000].decode(errors="replace")
    start, end = head.find("<title>"), head.find("</title>")
    if start < 0 or end < start:
        raise DolphinError("has no title", where=str(path))
    import html

    return html.unescape(head[start + 7 : end])
