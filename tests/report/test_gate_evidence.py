"""The cards about the edge say what the document says, first things first, and draw what can be drawn."""

from __future__ import annotations

import re

import pytest

from dolphin.report import gate_page
from dolphin.report.gate_pictures import picture

PART = {
    "p": 0.275,
    "method": "search rerun",
    "words": "as good in 27 of 99",
    "value": 8.6,
    "under_shifts": [7.0, None, 9.0],
}
REPORT = {
    "verdict": "REFUSED",
    "created": "2026-03-01T12:00:00Z",
    "candidate": {"name": "me", "synthetic": False},
    "floors": [],
    "checks": [{"name": "edge", "passed": False, "detail": "p = 0.7"}],
    "answers": {
        "edge": {"question": "Is there an edge?", "answer": "no", "line": "p = 0.7 is not within 0.05"},
        "floors": {"question": "Is it good enough?", "answer": "yes", "line": "all floors hold"},
    },
    "reasons": ["on unseen days <b>it loses</b>", "second", "third"],
    "weaker": ["policy.toml: guard is 0.9, the shipped policy has 0.3"],
    "evidence": {
        "edge": {"search": PART, "holdout": PART | {"p": "nan", "under_shifts": []}},
        "holdout": {"span": "55 days", "declared_by_the_study": False},
        "looks": {"looks_at_this_market_and_time": 2049, "datasets_of_this_market": ["a 12", "b 34"]},
        "advisory": [
            {
                "name": "profit factor, lower end", "value": "inf", "limit": 1.0, "op": ">=", "good": None,
                "reading": "how to read it", "share": False, "picture": {"kind": "bars", "values": [1.0, -2.0, "nan"]},
            },
            {
                "name": "overfitting", "value": 0.25, "limit": 0.5, "op": "<=", "good": True, "reading": "halves",
                "share": True, "picture": {"kind": "range", "low": 0, "high": 1, "mark": 0.25, "limit": 0.5},
            },
        ],
        "chances": {"words": "by bad luck in 35 of 100", "floors": [{"floor": "ROI", "normal_days": 0.29,
                    "fat_tailed_days": None, "how": "days"}]},
        "own_error": {"status": "stale", "kinds": {"boot": {"share": 0.04}}},
        "windows": [{"window": "pinned"}],
    },
}  # fmt: skip


def test_first_things_first() -> None:
    page = gate_page(REPORT)
    order = [
        "weaker rules than the shipped ones", "guard is 0.9", "Is there an edge?", "Is it good enough?",
        "The strongest reasons", "it loses", "second", "third", "1 of 1 did not pass", "<h2>Checks", "27 of 99",
        "Advisory evidence", "Luck of the floors", "Looks at this market", "The holdout", "own error", "<h2>Candidate",
    ]  # fmt: skip
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    words = re.sub(r"<[^>]+>", " ", page)
    for text in ("how to read it", "25.0", "∞", "2,049", "a 12, b 34", "35 of 100", "29.0", "stale", "p = 0.275"):
        assert text in words, text
    assert "<b>it loses" not in page and page.count("<svg") == 3  # a part without shifts draws none


@pytest.mark.parametrize(
    "document",
    [
        None, {}, {"kind": "pie"}, {"kind": "bars", "values": []}, {"kind": "bars", "values": [0.0]},
        {"kind": "range", "mark": 1.0}, {"kind": "range", "mark": "nan", "low": 0, "high": 1},
        {"kind": "dots", "values": [1.0, 2.0]},
    ],
)  # fmt: skip
def test_what_has_no_numbers_has_no_picture(document: object) -> None:
    assert picture(document, "x") == ""


def test_pictures_stay_inside_their_frame() -> None:
    for document in (
        {"kind": "range", "low": -5.0, "high": 2.9, "mark": -2.6, "limit": 0.0},
        {"kind": "bars", "values": [3, -1, 2]},
        {"kind": "dots", "values": [1.0, 9.0, 4.0], "mark": 13.0, "limit": 7.0},
        {"kind": "range", "low": 1.0, "high": 1.0, "mark": 1.0, "limit": 1.0},
    ):
        drawn = picture(document, 'a "name"')
        places = [float(x) for x in re.findall(r'(?:x|x1|x2|cx|cy|y|y1|y2)="(-?[\d.]+)"', drawn)]
        assert places and min(places) >= 0.0 and max(places) <= 168.0 and "&quot;" in drawn


CURVES = {
    "from": "2025-02-25T00:00:00Z", "days": ["2025-02-25", "2025-02-26"], "candidate": [1.0, 1.1, 0.9],
    "champion": [1.0, 1.0, 1.2], "hold": [1.0, 0.8, 0.7], "reference": "BTCUSDT",
}  # fmt: skip


def test_equity_stands_against_champion_and_reference() -> None:
    page = gate_page(REPORT | {"evidence": {"equity": CURVES}})
    card = page[page.index("<h2>Equity") : page.index("<h2>Checks")]
    assert card.count("<polyline") == 3 and card.count("stroke-dasharray") >= 2
    words = re.sub(r"<[^>]+>", " ", card)
    for text in ("candidate", "present champion", "buy and hold of BTCUSDT", "+20.0%", "\u221230.0%", "18.2%"):
        assert text in words, text
    alone = gate_page(REPORT | {"evidence": {"equity": CURVES | {"champion": None, "hold": None}}})
    assert alone.count("<polyline") == 1 and "no other champion" in alone
    assert "<h2>Equity" not in gate_page(REPORT)


def test_what_was_not_done_is_told_with_its_reason() -> None:
    evidence = {
        "not_run": {"determinism": "floors were breached"},
        "parity": {"not_run": [{"rung": 1, "name": "books", "reason": "it knows no limit orders"}]},
        "forewarner": {"status": "not available"},
    }
    page = gate_page(REPORT | {"evidence": evidence})
    words = re.sub(r"<[^>]+>", " ", page[page.index("Not done, and why") :])
    for text in ("determinism", "floors were breached", "parity rung 1: books", "no limit orders", "not available"):
        assert text in words, text


def test_hashes_are_short_and_copied_whole() -> None:
    digest = "0123456789abcdef" * 4
    page = gate_page(REPORT | {"candidate": {"name": "me", "digest": digest}})
    assert f'data-copy="{digest}"' in page and ">0123456789ab…<" in page and page.count("<script>") == 1


def test_a_verdict_draws_the_gates_own_error() -> None:
    """Promotions without an edge and power, from the calibration that it quotes."""
    about = {"markets": 300, "promoted": 12, "share": 0.04, "interval_95": [0.021, 0.069], "holdout_alone": 22,
             "both": 0, "mean_sharpe_of_the_chosen_unseen": 0.3, "edge_planted": False}  # fmt: skip
    edge = about | {"edge_planted": True, "promoted": 203, "share": 0.677, "mean_sharpe_of_the_chosen_unseen": 3.7}
    kinds = {"boot": about, "broad@4": edge}
    page = gate_page(REPORT | {"evidence": {"own_error": {"status": "measured for this policy", "kinds": kinds}}})
    assert "Share promoted without an edge: boot 4.0%" in page
    assert "Share that passes the evidence by Sharpe ratio: 3.7: 68%" in page
    assert "Share promoted" not in gate_page(REPORT), "figures that are not there are not drawn"
