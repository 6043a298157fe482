"""The look of every page, and the few lines of script that sort, draw and print it."""

from __future__ import annotations

import base64
import functools
from importlib.resources import files


def _asset(name: str) -> str:
    return (files("dolphin.report") / name).read_text(encoding="utf-8")


CSS = _asset("page.css")
TABLES = _asset("tables.js")
CHARTS = _asset("charts.js")
COPY = _asset("copy.js")
UNPACK = _asset("unpack.js")
#: What draws the charts: plotly's bundle of cartesian traces, unchanged, packed with gzip.
PLOTLY = "plotly.js v4.1.1 (cartesian), Copyright 2012-2026, Plotly, Inc., MIT license"


@functools.cache
def packed_plotly() -> str:
    """The packed library in base 64, 0.66 MB."""
    return base64.b64encode((files("dolphin.report") / "plotly-cartesian.min.js.gz").read_bytes()).decode()
