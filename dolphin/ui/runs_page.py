"""The runs of the workspace: sorted by a click, filtered by a word, two or more side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dolphin.files import from_json_value
from dolphin.report.markup import Cell, signed, table, text
from dolphin.report.numerals import number, percent
from dolphin.study.findings.run_list import find_runs
from dolphin.times import SECOND_NS, format_time
from dolphin.ui.asked import Asked, name_of, runs_root
from dolphin.ui.shell import Marked, empty, head, linked, moment

_HEADS = ("Run", "Strategy", "Dataset", "From", "To", "Sharpe", "Return", "Profit factor", "Win rate", "Drawdown",
          "Trades", "Written")  # fmt: skip


def runs(ask: Asked) -> tuple[str, str]:
    """The page."""
    found = find_runs(runs_root(ask.workspace))
    shown = _filtered(ask, found)
    sub = f"{len(shown):,} of {len(found):,} below <code>runs/</code>, the newest first"
    body = head("Runs", sub) + _filter(ask, found)
    if not found:
        return "Runs", body + empty("No run yet", "dolphin backtest DATASET --config FILE.toml")
    rows = table(_HEADS, [_row(ask, one) for one in shown], sortable=True, names=3)
    tools = '<p class="controls"><button class="needs">Compare</button> <span class="quiet">tick two or more</span></p>'
    inner = f'<form method="get" action="/compare" data-least="2">{tools}{rows}</form>'
    return "Runs", body + f'<section class="card long">{inner}</section>'


def _filtered(ask: Asked, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    word, dataset, strategy = (ask.query.get(key, "").strip() for key in ("word", "dataset", "strategy"))
    return [
        one
        for one in found
        if (not word or word.lower() in name_of(ask.workspace, Path(one["run"])).lower())
        and (not dataset or one.get("dataset") == dataset)
        and (not strategy or one.get("strategy") == strategy)
    ]


def _filter(ask: Asked, found: list[dict[str, Any]]) -> str:
    def choice(key: str) -> str:
        values = sorted({one[key] for one in found if one.get(key)})
        chosen = ask.query.get(key, "")
        options = "".join(
            f'<option value="{text(value)}"{" selected" if value == chosen else ""}>{text(value)}</option>'
            for value in values
        )
        return f'<label>{key.title()} <select name="{key}"><option value="">all</option>{options}</select></label>'

    word = text(ask.query.get("word", ""))
    return (
        '<form class="controls" method="get" action="/runs" data-go>'
        f'<label>Name <input name="word" value="{word}" size="16" autocomplete="off"></label>'
        f"{choice('dataset')}{choice('strategy')}<button>filter</button></form>"
    )


def _row(ask: Asked, one: dict[str, Any]) -> list[Cell]:
    name, written = name_of(ask.workspace, Path(one["run"])), Cell(_written(one["written"]), order=one["written"])
    if one["problem"]:
        problem = Cell(f"damaged: {one['problem']}"[:80])
        return [linked(f"/run/{name}", name), problem, *(Cell("") for _ in _HEADS[3:]), written]
    tick = f'<input type="checkbox" name="run" value="{text(name)}" aria-label="compare {text(name)}"> '
    first = linked(f"/run/{name}", name)
    metrics = {key: from_json_value(value) for key, value in one["metrics"].items()}
    return [
        Marked(name, order=name, inner=tick + first.inner),
        Cell(one["strategy"], below="synthetic" if one["synthetic"] else ""),
        linked(f"/datasets/{one['dataset']}", one["dataset"]),
        Cell(one["from"][:10]),
        Cell(one["to"][:10]),
        Cell(number(metrics["sharpe_365"]), order=_order(metrics["sharpe_365"])),
        signed(percent(metrics["roi"], 1, signed=True), metrics["roi"]),
        Cell(number(metrics["profit_factor"]), order=_order(metrics["profit_factor"])),
        Cell(percent(metrics["win_rate"], 1), order=_order(metrics["win_rate"])),
        Cell(percent(metrics["max_drawdown"], 1), order=_order(metrics["max_drawdown"])),
        Cell(number(metrics["trades"], 0), order=metrics["trades"]),
        written,
    ]


def _order(value: float) -> float:
    """A number that the browser can order: what is none is last, infinity is large."""
    return -1e300 if value != value else min(max(value, -1e299), 1e299)


def _written(ns: int) -> str:
    return moment(format_time(ns // SECOND_NS * SECOND_NS))
