"""Runs side by side: equity over each other, what differs in their configurations, their metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.errors import BadInput, DolphinError
from dolphin.files import from_json_value, read_json
from dolphin.report.markup import Cell, card, table, text
from dolphin.report.numerals import SHARES, number, percent, plain, significant
from dolphin.study.findings.run_list import compare_runs
from dolphin.ui.asked import Asked, run_folder
from dolphin.ui.pictures import STROKES, Curve, overlaid, stroke
from dolphin.ui.shell import Marked, head, link


def compare(ask: Asked) -> tuple[str, str]:
    """The page."""
    names = list(dict.fromkeys(ask.query.getall("run", [])))
    if len(names) < 2:
        raise BadInput("one run is no comparison", mend="tick two or more of the runs")
    if len(names) > len(STROKES):
        raise BadInput(f"{len(names)} runs are too many for one picture", mend=f"tick {len(STROKES)} at most")
    folders = [run_folder(ask.workspace, name) for name in names]
    found = compare_runs(folders)
    said = "their last digests are equal: every decision is the same" if found["same_decisions"] else ""
    legend = "".join(f"<li>{stroke(k)}{link(f'/run/{name}', name)}</li>" for k, name in enumerate(names))
    picture = overlaid([_curve(name, folder) for name, folder in zip(names, folders, strict=True)])
    body = head(f"{len(names)} runs side by side", said)
    body += card("Equity", f'<ul class="legend">{legend}</ul>{picture}', note="Return since the start of each run.")
    body += card("Metrics", _table(names, found["metrics"]))
    body += card("What differs", _table(names, found["differ"]) if found["differ"] else '<p class="empty">Nothing.</p>')
    if not found["same_decisions"]:
        command = f"dolphin parity runs/{names[0]} runs/{names[1]}"
        body += f'<p class="note">Where the first two part: <code>{text(command)}</code></p>'
    return "Compare", body


def _curve(name: str, folder: Path) -> Curve:
    try:
        frame = pl.read_parquet(folder / "equity.parquet", columns=["ts", "equity"])
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DolphinError(" ".join(str(error).split()), where=str(folder / "equity.parquet")) from None
    start = float(read_json(folder / "config.json")["config"]["account"]["initial_capital"])
    return Curve(name, frame["ts"].cast(pl.Int64).to_numpy(), np.nan_to_num(frame["equity"].to_numpy() / start - 1.0))


def _table(names: list[str], rows: dict[str, list[Any]]) -> str:
    heads = ["", *names]
    body = [[Cell(key), *(_cell(value, key in SHARES) for value in values)] for key, values in rows.items()]
    return table(heads, body, kind="whole")


def _cell(value: Any, share: bool) -> Cell:
    known = from_json_value(value)
    if isinstance(known, float):
        return Marked(
            "", inner=f'<span title="{text(plain(value))}">{text(percent(known) if share else _figure(known))}</span>'
        )
    if isinstance(known, list | dict):
        return Cell(text(str(known)))
    return Cell(plain(known))


def _figure(value: float) -> str:
    return number(value) if abs(value) >= 1000 or value != value else significant(value, 5)
