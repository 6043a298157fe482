"""The look of every page, and the few lines of script that sort, draw and print it."""

from __future__ import annotations

from importlib.resources import files


def _asset(name: str) -> str:
    return (files("dolphin.report") / name).read_text(encoding="utf-8")


CSS = _asset("page.css")
TABLES = _asset("tables.js")
CHARTS = _asset("charts.js")
COPY = _asset("copy.js")
