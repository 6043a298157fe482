"""``dolphin stress`` and ``dolphin report STUDY`` as a user has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from command_line import Answer, dolphin, tree

Call = Callable[..., Answer]


def test_stress_from_the_command_to_the_page(home: Path) -> None:
    done = dolphin(home, "stress", "m", "--config", home / "config.toml", "--out", home / "s", "--runs", 5, "--html",
                   home / "s.html", "--json")  # fmt: skip
    assert done.code == 0, done.err
    base = json.loads((home / "runs" / "run" / "metrics.json").read_text())
    assert done.json["base"]["roi"] == base["roi"] and done.json["base"]["trades"] == base["trades"]
    rows = pl.read_parquet(home / "s" / "stress.parquet")
    assert rows.height == done.json["runs"] == 1 + 36 + 1 + 20 + 20 + 10
    assert json.loads((home / "s" / "stress.json").read_text())["runs"] == 5
    page = (home / "s.html").read_text()
    assert "SYNTHETIC DATA" in page and "Missed trades" in page
    again = dolphin(home, "report", home / "s", "--out", home / "again.html")
    assert again.code == 0 and (home / "again.html").read_text() == page


def test_stress_says_what_it_found_and_repeats_itself(home: Path, call: Call) -> None:
    words = ("stress", "m", "--config", home / "config.toml", "--runs", 3, "--seed", 5, "--from", "2025-01-02")
    first = call(home, *words, "--out", home / "a")
    second = call(home, *words, "--out", home / "b")
    assert first.code == second.code == 0 and "SYNTHETIC data" in first.out
    assert "trades drawn anew" in first.out and "P(loss)" in first.out
    a, b = (pl.read_parquet(home / name / "stress.parquet") for name in "ab")
    assert a.equals(b)
    # another one goes over it with --force alone
    other = (*words, "--set", "fee_bps=3", "--out", home / "a")
    refused = call(home, *other)
    assert refused.code == 2 and "holds the stress test of another configuration" in refused.complaint
    assert pl.read_parquet(home / "a" / "stress.parquet").equals(a)
    assert call(home, *other, "--force").code == 0
    assert not pl.read_parquet(home / "a" / "stress.parquet").equals(a)


def test_a_stress_test_without_a_folder_has_one_of_its_own(home: Path, call: Call) -> None:
    words = home, "stress", "m", "--config", home / "config.toml", "--from", "2025-01-02", "--json", "--runs"
    first, again, larger = (call(*words, runs).json["out"] for runs in (1, 1, 2))
    assert first == again != larger
    folder = home / "runs" / Path(first).name
    assert folder.name.startswith("config-stress-") and (folder / "stress.json").is_file()
    assert call(home, "report", folder.name, "--out", home / "own.html").code == 0
    assert "Missed trades" in (home / "own.html").read_text()


def test_the_page_of_a_study(home: Path, call: Call) -> None:
    assert call(home, "sweep", home / "study.toml").code == 0
    by_file = call(home, "report", home / "study.toml", "--out", home / "a.html")
    by_name = call(home, "report", "study", "--out", home / "b.html", "--json")
    assert by_file.code == by_name.code == 0, by_file.err + by_name.err
    assert "best trial" in by_file.out and by_name.json["study"] == "study" and by_name.json["verdict"] in by_file.out
    page = (home / "a.html").read_text()
    assert "Study study" in page and "SYNTHETIC DATA" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("stress m --config {home}/config.toml --out {home}/runs/run", "holds other files than a stress test"),
        ("stress m --config {home}/config.toml --out {home}/config.toml", "is a file"),
        ("stress m --config {home}/config.toml --out {home}/s --html {home}/runs", "is a folder"),
        ("stress m --config {home}/none.toml --out {home}/s", "no such file"),
        ("stress n --config {home}/config.toml --out {home}/s", "'n'"),
        ("stress m --config {home}/config.toml --out {home}/s --from 2030-01-01", "no bars between"),
        ("stress m --config {home}/config.toml --out {home}/s --runs 0", "--runs"),
        ("stress m --config {home}/config.toml --out {home}/s --set tp=1", "unknown key 'tp'"),
        ("report nosuch --out {home}/x.html", "no study 'nosuch' is registered"),
        ("report {home}/none.toml --out {home}/x.html", "no such file"),
        ("report {home}/nothing/there --out {home}/x.html", "no such run folder"),
        ("report {home}/study.toml --out {home}/x.html", "no study 'study' is registered"),
        ("report {home}/study.toml --out {home}/runs", "is a folder"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(pristine: Path, call: Call, words: str, said: str) -> None:
    before = tree(pristine)
    done = call(pristine, *words.format(home=pristine).split())
    assert done.code == 2 and said in done.complaint
    assert tree(pristine) == before


def test_a_sweep_says_what_its_best_trial_is_worth(home: Path, call: Call) -> None:
    done = call(home, "sweep", home / "study.toml", "--report", home / "p.html", "--json")
    assert done.code == 0, done.err
    page = (home / "p.html").read_text()
    verdict = done.json["plateau"]["verdict"]
    assert verdict in ("plateau", "ridge", "lonely peak") and verdict.upper() in page
    said = call(home, "sweep", home / "study.toml", "--resume").out
    assert {"plateau": "on a plateau", "ridge": "on a ridge", "lonely peak": "is a lonely peak"}[verdict] in said
    refused = call(home, "sweep", home / "study.toml", "--resume", "--report", home / "runs")
    assert refused.code == 2 and "is a folder" in refused.complaint
