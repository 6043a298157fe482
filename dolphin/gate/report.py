"""What the gate found, as JSON, as JUnit XML, and as the lines of a refusal."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from dolphin.files import publish
from dolphin.gate.floors import SHARES


@dataclass(frozen=True)
class FloorResult:
    """One floor, judged; ``days`` is the length of its window, or of every stretch of a ``rolling`` one."""

    name: str
    metric: str
    window: str
    op: str
    limit: float
    value: float
    passed: bool
    reason: str = ""
    days: float = 0.0
    rolling: bool = False

    @property
    def line(self) -> str:
        """One line that names the floor, its value and its limit."""
        value, limit = (figure(self.metric, x) for x in (self.value, self.limit))
        said = "cannot be told" if math.isnan(self.value) else f"is {value}"
        line = f"{self.name}: {self.metric} {said}, must be {self.op} {limit}"
        return f"{line} ({self.reason}; {self.window})" if self.reason else f"{line} ({self.window})"


@dataclass(frozen=True)
class Check:
    """One check that is not a number against a limit."""

    name: str
    passed: bool
    detail: str

    @property
    def line(self) -> str:
        """One line that names the check and what it found."""
        return f"{self.name}: {self.detail}"


@dataclass(frozen=True)
class GateReport:
    """A verdict with everything it rests on.

    ``answers`` says whether there is an edge and whether it is good enough, ``reasons`` are the strongest in words,
    ``weaker`` names where policy or floors ask for less than the package's. ``evidence`` holds further facts that do
    not decide. ``measure`` (the runs) is there for who freezes the
    candidate; it is no part of the document.
    """

    candidate: dict[str, Any]
    floors: tuple[FloorResult, ...]
    checks: tuple[Check, ...]
    evidence: dict[str, Any]
    created: str
    answers: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    weaker: tuple[str, ...] = ()
    measure: Any = field(default=None, repr=False, compare=False)

    @property
    def passed(self) -> bool:
        """Whether there are floors and checks, and every one of them holds."""
        return bool(self.floors and self.checks) and not self.failures

    @property
    def verdict(self) -> str:
        """PASS or REFUSED."""
        return "PASS" if self.passed else "REFUSED"

    @property
    def failures(self) -> list[FloorResult | Check]:
        """What did not hold."""
        results: list[FloorResult | Check] = [*self.floors, *self.checks]
        return [result for result in results if not result.passed]

    def __repr__(self) -> str:
        held = len(self.floors) + len(self.checks) - len(self.failures)
        why = "".join(f"; {reason}" for reason in self.reasons[:1])
        return f"<gate: {self.verdict}, {held} of {len(self.floors) + len(self.checks)} hold{why}>"

    def _repr_html_(self) -> str:
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.reasons)
        return f"<p><b>gate: {self.verdict}</b></p><ul>{reasons}</ul>"

    def as_dict(self) -> dict[str, Any]:
        """JSON document; infinity and not-a-number as the strings "inf", "nan"."""
        return plain(
            {
                "verdict": self.verdict,
                "answers": self.answers,
                "reasons": self.reasons,
                "weaker": self.weaker,
                "candidate": self.candidate,
                "floors": [vars(floor) for floor in self.floors],
                "checks": [vars(check) for check in self.checks],
                "evidence": self.evidence,
                "created": self.created,
            }
        )

    def refusal(self) -> str:
        """The lines of a refusal: every breached floor and failed check."""
        return "\n".join(result.line for result in self.failures)


def figure(metric: str, value: float) -> str:
    """A number of the report as people read it: shares in per cent."""
    if metric in SHARES and math.isfinite(value):
        return f"{100.0 * value:.6g} %"
    return f"{value:.6g}"


def plain(value: Any) -> Any:
    """Plain JSON types, throughout."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return plain(value.item()) if hasattr(value, "item") else str(value)


def write_junit(report: GateReport, path: Path) -> None:
    """Write the report as JUnit XML: a test case per floor and per check."""
    results: list[tuple[str, FloorResult | Check]] = [("floor", f) for f in report.floors]
    results += [("check", c) for c in report.checks]
    counts = {
        "tests": str(len(results)),
        "failures": str(len(report.failures)),
        "errors": "0",
        "skipped": "0",
    }
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(
        suites, "testsuite", {"name": "dolphin gate", "timestamp": report.created.removesuffix("Z"), **counts}
    )
    for kind, result in results:
        case = ElementTree.SubElement(suite, "testcase", {"classname": f"gate.{kind}", "name": result.name})
        if not result.passed:
            ElementTree.SubElement(case, "failure", {"message": result.line}).text = result.line
    ElementTree.indent(suites)
    with publish(path) as part:
        ElementTree.ElementTree(suites).write(part, encoding="utf-8", xml_declaration=True)
