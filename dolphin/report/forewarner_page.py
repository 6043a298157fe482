"""How good a forewarner's forecasts are, as a page: its verdict in words, reliability, what it reads, drift."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dolphin.errors import DolphinError
from dolphin.report.markup import Cell, card, facts, page, table
from dolphin.report.palette import GAIN, LOSS, QUIET
from dolphin.report.svg import Frame, words

_KEYS = ("brier", "brier_climatology", "skill", "skill_interval", "market_skill", "market_skill_interval",
         "reliability", "examples", "windows", "bad_share", "auc")  # fmt: skip
#: The picture, the pixels for its labels below, and the largest circle.
FRAME, BELOW, LARGEST = Frame(640.0, 420.0, 52.0), 44.0, 16.0


def forewarner_page(judged: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Return a judgement as one self-contained HTML document without scripts.

    Parameters
    ----------
    judged : mapping
        What ``dolphin forewarn train`` or ``evaluate`` found (``validation`` of a forewarner's file).
    about : mapping
        Of what: shown as facts.

    Raises
    ------
    DolphinError
        If a key is missing.
    """
    missing = [key for key in _KEYS if key not in judged]
    if missing:
        raise DolphinError(f"no {', '.join(missing)}", where="forewarner", mend="train or evaluate it again")
    parts = [
        card("Verdict", facts(_figures(judged)), note=verdict_words(judged)),
        card("Reliability", reliability_picture(judged["reliability"], judged["bad_share"]), note=_READ),
    ]
    if judged.get("importance"):
        rows = [[Cell(name), Cell(f"{worse:+.4f}")] for name, worse in list(judged["importance"].items())[:10]]
        parts.append(card("What it reads", table(["Input", "Change of the Brier score"], rows), note=_SHUFFLED))
    if judged.get("drift"):
        parts.append(card("Drift from the training", _drift(judged["drift"]), note=_DRIFT))
    parts.append(card("Of what", facts(about.items())))
    head = '<header><div class="title"><h1>Forewarner</h1></div></header>'
    return page("Forewarner", "\n".join([head, *parts]))


_READ = (
    "Where windows forecast alike really went bad: on the diagonal forecasts are honest, below it they are too high. "
    "A circle's area is the number of forecasts; the dashed line is the share of all windows that went bad."
)


_SHUFFLED = "Each input shuffled among the windows: plus is worse, so that much of the forecast hangs on it."
_DRIFT = (
    "Whether the inputs judged here are distributed as in the training. PSI is the population stability index (act "
    "from 0.2 on), KS the largest distance of the two distributions, p how often luck finds one as large."
)


def verdict_words(judged: Mapping[str, Any]) -> str:
    """Whether it forecasts better than climatology, and than each configuration's own mean; one sentence each."""
    overall = judged["skill_interval"][0] > 0.0
    market = judged["market_skill_interval"][0] > 0.0
    first = "It forecasts better than climatology." if overall else "No skill: it does not beat climatology."
    second = (
        "The state of the market adds to what the configuration says."
        if market
        else "About the market it knows nothing that the configuration itself does not say."
    )
    return f"{first} {second}"


def reliability_picture(rows: list[dict[str, Any]], base: float) -> str:
    """Observed against forecast share by tenths of probability, as inline SVG."""

    def across(share: float) -> float:
        return FRAME.left + (FRAME.width - FRAME.left - 24.0) * share

    def down(share: float) -> float:
        return 12.0 + (FRAME.height - BELOW - 12.0) * (1.0 - share)

    marks = (0.0, 0.25, 0.5, 0.75, 1.0)
    parts = [FRAME.level(down(share), f"{share:.0%}", QUIET, "1 3") for share in marks]
    parts += [words(across(share), FRAME.height - 26.0, f"{share:.0%}", "middle") for share in marks]
    parts.append(
        f'<line x1="{across(0.0):.1f}" y1="{down(0.0):.1f}" x2="{across(1.0):.1f}" y2="{down(1.0):.1f}" '
        f'stroke="{QUIET}"/>'
    )
    parts.append(FRAME.level(down(base), "", LOSS, "6 3"))
    points = " ".join(f"{across(row['forecast']):.1f},{down(row['observed']):.1f}" for row in rows)
    parts.append(f'<polyline points="{points}" fill="none" stroke="{GAIN}" stroke-width="1.5"/>')
    most = max((row["count"] for row in rows), default=1)
    for row in rows:
        x, y = across(row["forecast"]), down(row["observed"])
        radius = max(2.5, LARGEST * math.sqrt(row["count"] / most))
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{GAIN}" fill-opacity="0.55">'
            f"<title>{row['count']:,} forecasts, mean {row['forecast']:.1%}, went bad {row['observed']:.1%}</title>"
            "</circle>"
        )
    middle = (FRAME.left + FRAME.width) / 2
    parts.append(
        words(
            middle, FRAME.height - 6.0, "across: share that was forecast to go bad; upwards: share that did", "middle"
        )
    )
    said = ", ".join(f"{row['forecast']:.0%}: {row['observed']:.0%} of {row['count']:,}" for row in rows)
    return FRAME.picture(f"Observed share by forecast: {said}", parts)


def _figures(judged: Mapping[str, Any]) -> list[tuple[str, object]]:
    def between(key: str) -> str:
        low, high = judged[key]
        return f"{low:.3f} to {high:.3f}"

    return [
        ("Windows", f"{judged['windows']:,}"),
        ("Examples", f"{judged['examples']:,}"),
        ("Went bad", f"{judged['bad_share']:.1%}"),
        ("Brier score", f"{judged['brier']:.4f}"),
        ("Brier score of climatology", f"{judged['brier_climatology']:.4f}"),
        ("Skill, 5 % to 95 %", f"{judged['skill']:.3f} ({between('skill_interval')})"),
        ("Of it by the market", f"{judged['market_skill']:.3f} ({between('market_skill_interval')})"),
        ("Area under the curve", "-" if judged["auc"] is None else f"{judged['auc']:.2f}"),
    ]


def _drift(shifts: Mapping[str, Mapping[str, Any]]) -> str:
    def shown(value: float | None) -> Cell:
        return Cell("-" if value is None else f"{value:.3f}")

    rows = [
        [Cell(name), shown(d["psi"]), shown(d["ks"]), shown(d["p"]), Cell(str(d["level"]))]
        for name, d in shifts.items()
    ]
    return table(["Input", "PSI", "KS", "p of KS", "Asks for"], rows)
