"""A selftest from end to end: faults of different kinds, copies that are whole again, results that are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from thorough import rounds

from dolphin.cli import main
from dolphin.errors import DolphinError
from dolphin.files import read_json
from dolphin.selftest import runner
from dolphin.selftest.copies import PACKAGE, Copy, package_digest, sources
from dolphin.selftest.fault import Fault
from dolphin.selftest.runner import selftest
from dolphin.selftest.table import BEGIN, END, rows, score, write_page

#: In Python alone, seen within seconds.
CHEAP = "constants-outside-engine-digest"
#: Faults of the core, one of each kind: books, decision, fills, orders, digest.
CORE = ("fee-on-one-side", "nan-treated-as-zero", "fill-at-signal-price", "expiry-one-bar-late", "digest-not-chained")


def same_sources(copy: Copy) -> bool:
    return sources(copy.package) == sources() and all(
        (copy.package / path).read_bytes() == (PACKAGE / path).read_bytes() for path in sources()
    )


@pytest.mark.slow
def test_one_fault_is_caught_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[int, int, str]] = []
    report = selftest([CHEAP], root=tmp_path, progress=lambda *told: heard.append(told))
    (one,) = report.outcomes
    assert (one.caught, one.seen_by, one.stage, report.passed) == (True, "engine digest", "code", True), one.sentence
    assert heard == [(1, 1, "faults")] and score(report).startswith("1 of 1 faults")
    assert same_sources(Copy(tmp_path / "copy0"))
    kept = read_json(tmp_path / "results.json")
    assert kept["package"] == package_digest() and len(kept["found"]) == 2, "the sound package, and the fault"

    def again(*arguments: object, **options: object) -> None:
        raise AssertionError("what was found is not looked for again")

    monkeypatch.setattr(Copy, "detect", again)
    assert selftest([CHEAP], root=tmp_path) == report
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    write_page(page, report)
    text = page.read_text()
    assert text.startswith("# Before\n") and text.endswith("After.\n") and "old" not in text
    assert f"| {CHEAP} |" in text and "| engine digest | code | - |" in text


@pytest.mark.slow
def test_a_fault_that_nobody_sees_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = Fault(
        "harmless", "a name of a message", "core/fingerprint.py", '"(when imported)"', '"(when it is imported)"',
        "engine digest", "code",
    )  # fmt: skip
    monkeypatch.setattr(runner, "FAULTS", (harmless,))
    report = selftest(root=tmp_path)
    assert not report.passed and report.outcomes[0].seen_by is None
    assert rows(report)[0][2] == "NOBODY (engine digest at stage code was to)"
    assert report.as_dict()["caught"] == 0


def test_a_package_that_is_wrong_without_a_fault_is_not_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [{"detector": "engine digest", "seconds": 0.0, "stage": "code", "bar": None, "sentence": "it is broken"}]
    monkeypatch.setattr(Copy, "detect", lambda self, names, every=False: seen)
    with pytest.raises(DolphinError, match="wrong without any fault: engine digest says it is broken"):
        selftest([CHEAP], root=tmp_path)


def test_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["faults"]
    assert CHEAP in [fault["name"] for fault in listed] and len(listed) >= 40
    assert main(["selftest", "--only", "fee-on-one-sid"]) == 2
    assert "no fault 'fee-on-one-sid'" in capsys.readouterr().err


@pytest.mark.slow
def test_faults_of_the_core_are_caught(tmp_path: Path) -> None:
    report = selftest(CORE[: rounds(len(CORE), 2)], root=tmp_path)
    assert report.passed, [
        (one.name, one.seen_by, one.stage, one.sentence) for one in report.outcomes if not one.caught
    ]
