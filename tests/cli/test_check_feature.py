"""``dolphin check feature module:attribute N`` as a user runs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

RESEARCH = Path(__file__).resolve().parents[2] / "research"


def test_the_example_conforms(call: Callable, home: Path) -> None:
    shutil.copy(RESEARCH / "dispersion.py", home / "research")
    said = call(home, "check", "feature", "dispersion:DISPERSION", "m")
    assert said.code == 0 and said.out.count("ok ") == 9 and "feature dispersion on m" in said.out
    told = call(home, "check", "feature", "dispersion:DISPERSION", "m", "--json")
    assert told.code == 0 and told.json["passed"] and len(told.json["rules"]) == 9


def test_a_false_claim_is_an_honest_no_with_rule_and_bar(call: Callable, home: Path) -> None:
    source = (RESEARCH / "dispersion.py").read_text()
    (home / "research" / "hasty.py").write_text(source.replace("LOOKBACK + SETTLED", "LOOKBACK + 5"))
    told = call(home, "check", "feature", "hasty:DISPERSION", "m", "--json")
    assert told.code == 1 and not told.json["passed"]
    wrong = [rule for rule in told.json["rules"] if not rule["passed"]]
    assert [rule["name"] for rule in wrong] == ["warm-up stated and true"] and wrong[0]["bar"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("feature", "dispersion:DISPERSION"), "check feature needs a dataset"),
        (("feature", "dispersion:DISPERSON", "m"), "did you mean 'DISPERSION'?"),
        (("feature", "dispersion:DISPERSED", "m"), "defines no Feature named 'DISPERSED'"),
        (("feature", "dispersoin:DISPERSION", "m"), "no such feature module; did you mean 'dispersion'?"),
        (("feature", "dispersion:DISPERSION", "n"), "no dataset 'n'"),
        (("feature", "typo:DISPERSION", "m"), "feature 'dispersion' does not compile"),
        (("append-only", "m", "n"), "check append-only takes one name"),
    ],
)
def test_bad_input_is_one_line(call: Callable, home: Path, arguments: tuple[str, ...], words: str) -> None:
    source = (RESEARCH / "dispersion.py").read_text()
    (home / "research" / "dispersion.py").write_text(source)
    (home / "research" / "typo.py").write_text(source.replace("bar.log_price.size", "bar.log_prices.size"))
    said = call(home, "check", *arguments)
    assert said.code == 2 and words in said.complaint
