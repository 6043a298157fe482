"""What is here, and how fresh it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog.store.layout import current_manifests
from dolphin.errors import DolphinError
from dolphin.files import from_json_value
from dolphin.gate.audit import read_audit
from dolphin.gate.champions import POINTERS, champion_at, lineage
from dolphin.report.markup import Cell, card, signed, table, text, value_text
from dolphin.report.numerals import number, percent
from dolphin.study.findings.run_list import find_runs
from dolphin.times import format_time
from dolphin.ui.asked import Asked, name_of, runs_root
from dolphin.ui.champions_page import chain_badge
from dolphin.ui.datasets_page import state_badge
from dolphin.ui.feeds_card import feeds_card
from dolphin.ui.pictures import sparkline
from dolphin.ui.sessions_page import EVERY, folders, row
from dolphin.ui.shell import Marked, head, link, linked
from dolphin.ui.studies_page import registered

#: Of each kind so many are shown.
FEW = 6


def overview(ask: Asked) -> tuple[str, str]:
    """The page."""
    manifests, runs = current_manifests(ask.workspace.catalog), find_runs(runs_root(ask.workspace))
    studies, sessions = registered(ask), folders(ask)
    counts = (
        ("Datasets", len(manifests), "/datasets"), ("Runs", len(runs), "/runs"), ("Studies", len(studies), "/studies"),
        ("Trials", sum(one["trials"] for one in studies), "/studies"), ("Sessions", len(sessions), "/sessions"),
    )  # fmt: skip
    tiles = "".join(f"<div><dt>{name}</dt><dd>{link(path, f'{count:,}')}</dd></div>" for name, count, path in counts)
    body = head(ask.workspace.root.name, f"<code>{text(ask.workspace.root)}</code>")
    body += f'<dl class="figures">{tiles}</dl>'
    if sessions:
        cells = [[one for k, one in enumerate(row(folder)) if k in (0, 1, 2, 3, 4, 5, 7, 8)] for folder in sessions]
        heads = ("Session", "State", "Last bar", "Equity", "", "Return", "Position", "Posture")
        live = table(heads, cells, names=2)
        body += f'<section class="card long" data-refresh="{EVERY}"><h2>Sessions</h2>{live}</section>'
    body += card("Champions", _champions(ask), kind="half") + card("Datasets", _datasets(manifests), kind="half")
    body += card("Newest runs", _runs(ask, runs), kind="long") + feeds_card(ask)
    return "Overview", body


def _champions(ask: Asked) -> str:
    log = read_audit(ask.workspace.promote / "audit.jsonl")
    items = []
    for pointer in POINTERS:
        held = lineage(log, pointer)[-1:]
        shown = value_text(held[0]) if held else '<span class="quiet">none</span>'
        items.append(f'<div class="pointer {pointer}"><dt>{pointer}</dt><dd>{shown} {_told(ask, held)}</dd></div>')
    last = log.lines[-1:] and f"<p>{text(log.lines[-1]['action'])}: {text(log.lines[-1]['reason'])}</p>"
    return f'<dl class="facts">{"".join(items)}</dl><p class="state">{chain_badge(log)}</p>{last or ""}'


def _told(ask: Asked, held: Sequence[str]) -> str:
    if not held:
        return ""
    try:
        whole = champion_at(ask.workspace, held[0]).document("metrics.json")["whole"]
        return f"Sharpe {number(from_json_value(whole['sharpe_365']))}"
    except (DolphinError, KeyError, TypeError):
        return "damaged"


def _datasets(manifests: dict[str, dict[str, Any]]) -> str:
    if not manifests:
        return '<p class="empty">None yet.</p>'
    known = sorted(manifests.items(), key=lambda one: -int(one[1].get("last_ts", 0)))
    rows = [
        [
            linked(f"/datasets/{name}", name),
            Marked("", inner=state_badge(manifest)),
            Cell(format_time(int(manifest["last_ts"]))[:10]),
            Cell(f"{manifest['rows']:,}"),
        ]
        for name, manifest in known[:FEW]
        if manifest
    ]
    return table(("Dataset", "State", "Last", "Rows"), rows, names=2)


def _runs(ask: Asked, runs: list[dict[str, Any]]) -> str:
    if not runs:
        return '<p class="empty">None yet.</p>'
    rows = []
    for one in [run for run in runs if not run["problem"]][:FEW]:
        name, metrics = name_of(ask.workspace, Path(one["run"])), one["metrics"]
        roi = from_json_value(metrics["roi"])
        rows.append([
            linked(f"/run/{name}", name, below="synthetic" if one["synthetic"] else ""), Cell(one["strategy"]),
            Cell(one["dataset"]), Marked("", inner=sparkline(_daily(Path(one["run"])), f"equity of {name}")),
            Cell(number(from_json_value(metrics["sharpe_365"]))), signed(percent(roi, 1, signed=True), roi),
            Cell(percent(from_json_value(metrics["max_drawdown"]), 1)), Cell(f"{metrics['trades']:,}"),
            Marked("", inner=link(f"/explore/{name}", "explore")),
        ])  # fmt: skip
    heads = ("Run", "Strategy", "Dataset", "Equity", "Sharpe", "Return", "Drawdown", "Trades", "")
    return table(heads, rows, names=3)


def _daily(folder: Path) -> list[float]:
    """Equity at the end of each day."""
    try:
        return pl.read_parquet(folder / "daily.parquet", columns=["equity"])["equity"].to_list()
    except (OSError, pl.exceptions.PolarsError):
        return []
