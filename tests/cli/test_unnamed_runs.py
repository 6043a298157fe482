"""Runs that nobody named, and names that were mistyped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Answer

Call = Callable[..., Answer]


def test_a_run_without_a_folder_has_one_of_its_own(home: Path, call: Call) -> None:
    words = home, "backtest", "m", "--config", home / "config.toml", "--from", "2025-01-02", "--json"
    before = {path.name for path in (home / "runs").iterdir()}
    first = call(*words)
    assert first.code == 0, first.err
    folder = Path(first.json["out"])
    assert (home / "runs" / folder.name / "run.json").is_file() and folder.name.startswith("config-")
    # the same again is the same folder; what differs in anything has another
    assert call(*words).json["out"] == first.json["out"]
    other = call(*words, "--set", "fee_bps=3").json["out"]
    later = call(*words, "--to", "2025-01-03").json["out"]
    assert len({first.json["out"], other, later}) == 3
    new = {path.name for path in (home / "runs").iterdir()} - before
    assert new == {Path(out).name for out in (first.json["out"], other, later)}
    # such a run is known by its name below runs/
    listed = call(home, "runs", "compare", folder.name, Path(other).name, "--json")
    assert listed.code == 0 and listed.json["differ"]["friction.fee_bps"][1] == 3.0
    page = home / "page.html"
    assert call(home, "report", folder.name, "--out", page).code == 0 and page.is_file()


def test_a_choice_of_a_study_is_called_after_the_study(home: Path, call: Call) -> None:
    place = home / "experiments" / "look"
    place.mkdir(parents=True)
    (place / "best.toml").write_text((home / "config.toml").read_text())
    done = call(home, "backtest", "m", "--config", place / "best.toml", "--from", "2025-01-03", "--json")
    assert done.code == 0 and Path(done.json["out"]).name.startswith("look-")


@pytest.mark.slow
def test_the_nearest_file_or_run_is_named(home: Path, call: Call) -> None:
    runs = home / "runs"
    for words in (("report", runs / "rnu", "--out", home / "x.html"), ("why", runs / "rnu", "--bar", "1"),
                  ("gate", runs / "rnu"), ("runs", "compare", runs / "rnu", runs / "run")):  # fmt: skip
        said = call(home, *words)
        assert said.code == 2 and f"did you mean '{runs / 'run'}'?" in said.err, words
    said = call(home, "backtest", "m", "--config", home / "confg.toml")
    assert said.code == 2 and f"did you mean '{home / 'config.toml'}'?" in said.err


def test_people_read_per_cent_and_programs_fractions(home: Path, call: Call) -> None:
    metrics = json.loads((home / "runs" / "run" / "metrics.json").read_text())
    listed = call(home, "runs", "list")
    assert f"{100 * metrics['win_rate']:,.2f} %" in listed.out
    (one,) = [run for run in call(home, "runs", "list", "--json").json["runs"] if run["run"].endswith("/run")]
    assert one["metrics"]["win_rate"] == metrics["win_rate"]
