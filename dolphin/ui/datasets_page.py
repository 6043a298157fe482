"""The catalog: every dataset, and one with its manifest and its quality."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dolphin.catalog import open_dataset
from dolphin.catalog.store.layout import current_manifest, current_manifests, kind_of
from dolphin.catalog.store.scan_layout import folder_of, manifest_of
from dolphin.catalog.store.versions import list_versions
from dolphin.errors import NotFound, nearest
from dolphin.files import from_json_value
from dolphin.freshness import fresh
from dolphin.report.markup import Cell, card, facts, signed, table, text
from dolphin.report.numerals import duration, number, percent
from dolphin.study.findings.run_list import find_runs
from dolphin.times import DAY_NS, format_time
from dolphin.ui.asked import Asked, name_of, runs_root
from dolphin.ui.shell import Marked, badge, frame, fresh_badge, head, link, linked

#: Data that ended longer ago is history: nobody waits for its next bar.
HISTORY = 30 * DAY_NS
#: Runs on a dataset that are listed on its page.
RUNS = 8
_HEADS = ("Dataset", "State", "Data", "Spacing", "Symbols", "Rows", "First", "Last", "Missing", "Scanned")


def datasets(ask: Asked) -> tuple[str, str]:
    """The page."""
    found = current_manifests(ask.workspace.catalog)
    body = head("Datasets", f"{len(found)} in <code>data_catalog/</code>")
    if not found:
        return "Datasets", body + '<p class="empty">None yet: <code>dolphin data import FILES --name NAME</code></p>'
    rows = table(_HEADS, [_row(ask, name, manifest) for name, manifest in found.items()], sortable=True, names=3)
    return "Datasets", body + f'<section class="card long">{rows}</section>'


def state_badge(manifest: Mapping[str, Any]) -> str:
    """Generated, history, or how old the last bar is."""
    if manifest.get("synthetic"):
        return badge("synth small", "synthetic")
    age = time.time_ns() - int(manifest["last_ts"])
    if age > HISTORY:
        return badge("plain small", "history", f"ended {duration(age)} ago")
    return fresh_badge(fresh("scan", age), f"{duration(max(age, 0))} old")


def _row(ask: Asked, name: str, manifest: dict[str, Any]) -> list[Cell]:
    if not manifest:
        return [Cell(name), Marked("", inner=badge("bad small", "unreadable")), *(Cell("") for _ in _HEADS[2:])]
    missing = manifest.get("quality", {}).get("missing_share")
    first, last = (int(manifest[key]) for key in ("first_ts", "last_ts"))
    return [
        linked(f"/datasets/{name}", name),
        Marked("", inner=state_badge(manifest)),
        Cell(kind_of(manifest)),
        Cell(str(manifest.get("spacing", "-"))),
        Cell(f"{len(manifest.get('symbols') or ()):,}", order=len(manifest.get("symbols") or ())),
        Cell(f"{manifest['rows']:,}", order=manifest["rows"]),
        Cell(format_time(first)[:10], order=first),
        Cell(format_time(last)[:10], order=last),
        Cell("-" if missing is None else percent(missing, 2), order=missing or 0.0),
        Cell("yes" if _scanned(ask, name, manifest) else "no"),
    ]


def _scanned(ask: Asked, name: str, manifest: Mapping[str, Any]) -> bool:
    """Whether feature rows of this very version are there."""
    try:
        return manifest_of(folder_of(ask.workspace.catalog, name)).is_file()
    except OSError:
        return False


def dataset(ask: Asked) -> tuple[str, str]:
    """One of them."""
    catalog, name = ask.workspace.catalog, ask.name
    manifest = current_manifest(catalog, name)
    if not manifest:
        raise NotFound("no such dataset", where=name, mend=nearest(name, current_manifests(catalog)))
    bars = kind_of(manifest) == "bars"
    span = f"{format_time(int(manifest['first_ts']))[:16]} to {format_time(int(manifest['last_ts']))[:16]}"
    sub = f"{kind_of(manifest)} · {manifest.get('spacing', '-')} · {len(manifest.get('symbols') or ()):,} symbols · "
    sub += f"{manifest['rows']:,} rows · {span.replace('T', ' ')}"
    body = head(name, text(sub), badges=state_badge(manifest))
    body += card("Manifest", _facts(manifest), kind="half")
    body += card("Versions and runs", _versions(ask, name) + _runs(ask, name), kind="half")
    if bars and _has_quality(ask, name):
        body += frame(f"/frame/quality/{name}", f"Quality of {name}")
    return name, body


def _facts(manifest: Mapping[str, Any]) -> str:
    """Its scalars; days, files, sources and instruments by how many there are."""
    shown: list[tuple[str, object]] = []
    for key, value in manifest.items():
        if key in ("notes", "quality", "symbols"):
            continue
        if isinstance(value, dict | list):
            shown.append((key, f"{len(value):,}"))
        else:
            shown.append((key, _time(key, value)))
    symbols = list(manifest.get("symbols") or ())
    more = f" and {len(symbols) - 8} more" if len(symbols) > 8 else ""
    return facts([*shown, ("symbols", ", ".join(symbols[:8]) + more)])


def _time(key: str, value: object) -> object:
    return format_time(value) if key.endswith("_ts") and isinstance(value, int) else value


def _versions(ask: Asked, name: str) -> str:
    rows = [
        [Cell(version.label), Cell("now" if version.current else "older")]
        for version in list_versions(ask.workspace.catalog, name)
    ]
    return table(("Version", ""), rows) if rows else ""


def _runs(ask: Asked, name: str) -> str:
    found = [one for one in find_runs(runs_root(ask.workspace)) if one.get("dataset") == name]
    if not found:
        return '<p class="empty">No run on it.</p>'
    rows = []
    for one in found[:RUNS]:
        run, roi = name_of(ask.workspace, Path(one["run"])), from_json_value(one["metrics"]["roi"])
        sharpe = number(from_json_value(one["metrics"]["sharpe_365"]))
        rows.append([linked(f"/run/{run}", run), Cell(sharpe), signed(percent(roi, 1, signed=True), roi)])
    every = link("/runs", f"all {len(found)} side by side", dataset=name)
    return table(("Run", "Sharpe", "Return"), rows) + f'<p class="state">{every}</p>'


def _has_quality(ask: Asked, name: str) -> bool:
    from dolphin.catalog.quality.report import read_quality
    from dolphin.errors import DolphinError

    try:
        read_quality(open_dataset(ask.workspace, name))
    except DolphinError:
        return False
    return True
