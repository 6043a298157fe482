"""A study's holdout through the command: sealed for all, opened with a reason, and judged by the gate."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import dolphin

STUDY = """\
dataset = "m"
trials = 8
[config.params]
vol_gate_mode = "off"
short_threshold = -0.004
[search]
tp_pct = { low = 0.001, high = 0.01 }
[holdout]
from = "2025-01-03"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace with a market of three days, whose last one is the holdout of a study that has run."""
    home = tmp_path / "home"
    market = "data generate --name m --preset edge --days 3 --assets 6 --spacing 1m --seed 3"
    assert dolphin(home, "init", home).code == 0 and dolphin(home, *market.split()).code == 0
    (home / "keeps.toml").write_text(STUDY)
    (home / "c.toml").write_text("[params]\nvol_gate_mode = 'off'\n")
    swept = dolphin(home, "sweep", home / "keeps.toml", "--json")
    assert swept.code == 0 and swept.json["bars"] == 2 * 1440, swept.err
    return home


@pytest.mark.slow
def test_sealed_opened_and_judged(place: Path) -> None:
    run = ("backtest", "m", "--config", place / "c.toml", "--out", place / "run")
    refused = dolphin(place, *run)
    assert refused.code == 2 and len(refused.err.splitlines()) == 1 and "stay sealed until the gate" in refused.err
    assert not (place / "run").exists()
    stress = dolphin(place, "stress", "m", "--config", place / "c.toml", "--out", place / "s", "--runs", 2)
    assert stress.code == 2 and "holdout of study 'keeps'" in stress.err
    assert dolphin(place, *run, "--open-holdout").code == 2
    assert "add --open-holdout" in dolphin(place, *run, "--reason", "x").err
    assert dolphin(place, *run, "--open-holdout", "--reason", "to look").code == 0
    assert (place / "experiments" / "holdouts.jsonl").read_text().count('"action":"open"') == 1

    best = place / "experiments" / "keeps" / "best.toml"
    judged = dolphin(place, "gate", best, "--data", "m", "--to", "2025-01-03", "--json", "--html", place / "g.html")
    assert judged.code == 1, judged.err
    held = judged.json["evidence"]["holdout"]
    assert held["declared_by_the_study"] and held["span"].startswith("2025-01-03T00:00:00Z to 2025-01-03T23:59:00Z")
    assert judged.json["evidence"]["edge"]["families_on_this_holdout"] == 2  # the backtest was the first
    assert "needed" in judged.json["evidence"]["edge"]["holdout"]["words"]  # one day is too little to judge
    page = (place / "g.html").read_text()
    assert page.index("Is there an edge?") < page.index("Is it good enough?") < page.index("The strongest reasons")
    assert (place / "experiments" / "holdouts.jsonl").read_text().count('"action":"open"') == 2


@pytest.mark.slow
def test_the_gate_has_two_verbs(place: Path) -> None:
    assert dolphin(place, "gate", "--help").code == 0
    one, two = dolphin(place, "gate", "nobody"), dolphin(place, "gate", "judge", "nobody")
    assert one.code == two.code == 2 and one.complaint == two.complaint and "no such candidate" in one.complaint
    nothing = dolphin(place, "gate", "calibrate", place / "keeps.toml", "--markets", 2)
    assert nothing.code == 2 and "no bars are left after the study's window" in nothing.err
