"""A run's page: what it is, where to go on, and its tear sheet."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from dolphin.files import from_json_value
from dolphin.report.markup import text
from dolphin.report.numerals import number, percent
from dolphin.study.findings.run_list import about_run
from dolphin.ui.asked import Asked
from dolphin.ui.shell import badge, form, frame, head, link, moment


def run(ask: Asked) -> tuple[str, str]:
    """The page."""
    ask.run_folder()
    question = f"Delete the run {ask.name}? Its trial stays registered."
    remove = form(f"/remove/{ask.name}", ask.csrf, '<button class="quiet danger">delete</button>', ask=question)
    return ask.name, run_head(ask, "run", tools=remove) + frame(f"/frame/run/{ask.name}", f"Tear sheet of {ask.name}")


def run_head(ask: Asked, here: str, tools: str = "") -> str:
    """The first lines of what is about one run."""
    about = about_run(ask.run_folder())
    tabs = "".join(
        f'<a href="{text(quote(f"/{place}/{ask.name}"))}"{" aria-current=page" if place == here else ""}>{name}</a>'
        for place, name in (("run", "Tear sheet"), ("explore", "Explorer"))
    )
    tabs = f'<nav class="tabs" aria-label="Run">{tabs}</nav>{tools}'
    if about["problem"]:
        return head(ask.name, text(about["problem"]), badges=badge("bad", "DAMAGED"), tools=tabs)
    marks = badge("synthetic", "SYNTHETIC DATA") if about["synthetic"] else ""
    return head(ask.name, _line(about), badges=marks, tools=tabs)


def _line(about: dict[str, Any]) -> str:
    found = {name: from_json_value(about["metrics"].get(name)) for name in ("sharpe_365", "roi", "max_drawdown")}
    return (
        f"<b>{text(about['strategy'])}</b> on {link(f'/datasets/{about["dataset"]}', about['dataset'])} · "
        f'<span class="when">{text(moment(about["from"]))}</span> to '
        f'<span class="when">{text(moment(about["to"]))}</span> · '
        f"Sharpe {number(found['sharpe_365'])} · {percent(found['roi'], 1, signed=True)} · drawdown "
        f"{percent(found['max_drawdown'], 1)} · {about['metrics']['trades']:,} trades"
    )
