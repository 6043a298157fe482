"""The gate page shows every floor, check and piece of evidence, and cannot contradict them."""

from __future__ import annotations

import copy
import re

import pytest

from dolphin.errors import DolphinError
from dolphin.report import gate_page

REPORT = {
    "verdict": "PASS",
    "created": "2026-03-01T12:00:00Z",
    "candidate": {"strategy": "vel_div", "params": {"tp_pct": 0.0095}},
    "floors": [
        {
            "name": "profit factor", "metric": "profit_factor", "window": "pinned 10 days", "op": ">=",
            "limit": 1.08, "value": "inf", "passed": True, "reason": None,
        },
        {
            "name": "max drawdown", "metric": "max_drawdown", "window": "55 days", "op": "<",
            "limit": 0.2, "value": 0.14953, "passed": True, "reason": "",
        },
    ],
    "checks": [{"name": "determinism", "passed": True, "detail": {"processes": 2}}],
    "evidence": {
        "pbo": {"blocks": 16, "by_block": [{"block": 1, "rank": 0.25}, {"block": 2, "logit": -0.5}]},
        "bootstrap": [{"metric": "profit_factor", "low": 0.61, "high": 0.94}],
        "trials": 4200,
        "windows": ["2024-01", "2024-02"],
        "empty": {},
    },
}  # fmt: skip


@pytest.fixture
def report():
    return copy.deepcopy(REPORT)


def words(document: str) -> str:
    return re.sub(r"<[^>]+>", " ", document[document.index("<body>") :])


def test_everything_is_on_the_page(report):
    page = words(gate_page(report | {"remark": "by hand"}))

    for shown in (
        "PASS", "vel_div", "params.tp_pct", "0.0095", "profit factor", "∞", "≥ 1.08",
        "&lt; 20.00 %", "14.95 %", "determinism", "processes: 2", "PBO", "16", "0.2500",
        "\u22120.5000", "Bootstrap", "0.6100",
        "4,200", "2024-01, 2024-02", "by hand", "2026-03-01T12:00:00Z",
    ):  # fmt: skip
        assert shown in page, shown
    assert "REFUSED" not in page and "FAIL" not in page


def test_a_refusal_names_what_did_not_pass(report):
    report["verdict"] = "REFUSED"
    report["floors"][1] |= {"passed": False, "value": "nan", "reason": "not a number"}
    report["checks"][0]["passed"] = False

    page = words(gate_page(report))

    assert "2 of 3 did not pass: max drawdown, determinism." in page
    assert page.count("FAIL") == 2 and "not a number" in page


def test_a_refusal_for_other_reasons_is_said(report):
    assert "although every floor and check passed" in words(gate_page(report | {"verdict": "REFUSED"}))


def test_a_pass_that_contradicts_its_floors_is_not_printed(report):
    report["floors"][0]["passed"] = False
    with pytest.raises(DolphinError, match="profit factor did not pass"):
        gate_page(report)


@pytest.mark.parametrize("key", sorted(REPORT))
def test_an_incomplete_report_is_refused(report, key):
    del report[key]
    with pytest.raises(DolphinError, match=key):
        gate_page(report)


def test_an_unknown_verdict_is_refused(report):
    with pytest.raises(DolphinError, match="MAYBE"):
        gate_page(report | {"verdict": "MAYBE"})


def test_static_self_contained_and_escaped(report):
    report["checks"][0]["detail"] = "<script>alert(1)</script>"
    report["evidence"]["<img src=x>"] = {"a": "<b>"}
    report["candidate"] = "<i>me</i>"

    document = gate_page(report)

    assert not re.search(r"<(script|img|link|iframe|i>|b>)", document.replace('<i class="mark"', ""))
    assert "http:" not in document and "https:" not in document
    assert len(document) < 30_000


def test_a_generated_market_is_badged(report):
    assert "SYNTHETIC" not in gate_page(report)
    report["candidate"]["synthetic"] = True
    assert "SYNTHETIC DATA" in gate_page(report)
