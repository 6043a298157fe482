from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from dolphin.report import quality_page
from dolphin.report.gap_map import gap_figure

DAY = 86_400_000_000_000
NAMES = ("AUSDT", "<B>USDT")


def report(**changes: Any) -> dict[str, Any]:
    days = pl.DataFrame(
        {
            "date": [date(2025, 1, 1), date(2025, 1, 3), date(2025, 1, 2)],
            "symbol": ["AUSDT", "<B>USDT", "AUSDT"],
            "rule": ["gap", "gap", "nan"],
            "count": [60, 1440, 7], "gaps": [2, 1, None], "longest": [40, 1440, None], "expected": [1440, 1440, None],
        }
    )  # fmt: skip
    jump = {
        "symbol": ["AUSDT"], "ts": [DAY], "close": [110.0], "move": [0.1], "close_before": [100.0], "ts_before": [0],
        "volume": [1.0], "median_volume": [2.0], "second_close": [None],
    }  # fmt: skip
    gap = {"missing": 60, "gaps": 2, "longest": 40, "share": 0.01}
    return {
        "name": "k", "spacing_ns": 60 * 10**9, "first_ts": 20_089 * DAY, "last_ts": 20_091 * DAY, "synthetic": False,
        "numbers": {"rows": 1234, "rejected": 7, "flagged": 1, "counts": {"nan": 7, "price_jump": 1}, "rounded": 0,
                    "missing_share": 0.1, "gaps": {"AUSDT": gap, "<B>USDT": {**gap, "missing": 1440}}},
        "rules": [{"name": "nan", "text": "NaN value", "outcome": "set aside"},
                  {"name": "price_jump", "text": "jump", "outcome": "flagged"}],
        "days": days, "jumps": pl.DataFrame(jump), "notes": ["biased <i>"], "breaches": (), "facts": {"source": "here"},
    } | changes  # fmt: skip


def test_the_page_tells_all_and_calls_nobody() -> None:
    page = quality_page(report())
    body = page[page.index("<body>") : page.index("<script>")]
    for words in ("1,234", "biased &lt;i&gt;", "10.000%", "NaN value", "+10.00%", "&lt;B&gt;USDT", "0.50", "here"):
        assert words in body, words
    assert "<B>" not in body and "REFUSED" not in body and "SYNTHETIC" not in body
    assert "default-src 'none'" in page and "<link" not in page and "src=" not in page.split("<body>")[0]


def test_refused_and_synthetic_are_seen() -> None:
    page = quality_page(report(breaches=("missing_share: 10 %, limit 5 %",), synthetic=True))
    assert "REFUSED" in page and "missing_share: 10 %, limit 5 %" in page and "SYNTHETIC DATA" in page


def test_without_a_gap_or_a_jump() -> None:
    data = report()
    page = quality_page({**data, "days": data["days"][:0], "jumps": data["jumps"][:0]})
    assert "No price jump without confirmation" in page


def test_nothing_wrong_is_one_line() -> None:
    data = report()
    clean = {"counts": {}, "rejected": 0, "flagged": 0, "missing_share": 0.0}
    page = quality_page(
        {**data, "numbers": data["numbers"] | clean, "days": data["days"][:0], "jumps": data["jumps"][:0]}
    )
    assert "Nothing is wrong" in page and "<h2>Missing bars" not in page and "<details>" in page
    assert "Nothing is wrong" not in quality_page(data)


def test_the_heat_map_is_symbol_by_day() -> None:
    data = report()
    gaps = data["days"].filter(rule="gap")
    dates = ["2025-01-01", "2025-01-02", "2025-01-03"]
    figure = gap_figure(gaps, NAMES, dates, data["spacing_ns"])
    go.Figure({"data": figure["data"], "layout": figure["layout"]})  # plotly's own validation
    heat, bars = figure["data"]
    assert heat["y"] == ["AUSDT", "&lt;B&gt;USDT"] and heat["x"] == dates
    assert [[bool(z) for z in row] for row in heat["z"]] == [[True, False, False], [False, False, True]]
    assert heat["z"][1][2] == 1.0 and heat["z"][0][0] == pytest.approx((60 / 1440) ** 0.4, abs=1e-4)
    assert heat["text"][0][0] == "60 of 1,440 bars (4.17%) in 2 gaps, longest 40 min"
    assert bars["y"] == [60 / 2880, 0.0, 0.5]


def test_a_page_of_many_symbols_and_days_stays_light() -> None:
    names, dates = [f"S{k:02}USDT" for k in range(60)], [date.fromordinal(738_000 + k) for k in range(400)]
    days = pl.DataFrame([(day, name) for day in dates for name in names], schema=["date", "symbol"], orient="row")
    rng = np.random.default_rng(3)
    days = days.with_columns(
        pl.lit("gap").alias("rule"), pl.lit(1440).alias("expected"), pl.lit(1).alias("gaps"),
        count=pl.Series(rng.integers(1, 1440, days.height)), longest=pl.Series(rng.integers(1, 1440, days.height)),
    )  # fmt: skip
    data = report(days=days)
    gap = data["numbers"]["gaps"]["AUSDT"]
    numbers = data["numbers"] | {"gaps": dict.fromkeys(names, gap)}
    page = quality_page(data | {"numbers": numbers, "first_ts": 0, "last_ts": 400 * DAY})
    assert len(page.encode()) < 1_500_000 and 'role="img" aria-label="Missing bars"' in page
    assert 'role="region" aria-label="Symbols"' in page


def test_complete_data_needs_no_map() -> None:
    data = report()
    page = quality_page(data | {"days": data["days"].filter(pl.col("rule") != "gap")})
    assert "No bar is missing." in page and "figure-gaps" not in page
