"""``dolphin runs`` and ``dolphin why`` as a user has them, names that a shell completes, what no verb overwrites."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from command_line import Answer, dolphin

from dolphin.cli import common, completion

Call = Callable[..., Answer]


@pytest.fixture
def two(home: Path) -> Path:
    """The workspace with a second run, of another configuration."""
    out = home / "runs" / "deep" / "other"
    done = dolphin(home, "backtest", "m", "--config", home / "config.toml", "--set", "max_hold_bars=9", "--out", out)
    assert done.code == 0, done.err
    return home


def test_runs_are_listed_compared_and_deleted(two: Path, call: Call) -> None:
    listed = call(two, "runs", "list", "--json").json["runs"]
    names = [Path(run["run"]).relative_to(two / "runs").as_posix() for run in listed]
    assert names == ["deep/other", "run"]  # the newest first
    by_trades = call(two, "runs", "list", "--sort", "trades", "--json").json["runs"]
    counts = [run["metrics"]["trades"] for run in by_trades]
    assert counts == sorted(counts, reverse=True)
    assert "deep/other" in call(two, "runs", "list", "--dataset", "m").out
    assert "no run" in call(two, "runs", "list", "--dataset", "elsewhere").out
    assert "one of sharpe_365" in call(two, "runs", "list", "--sort", "luck").complaint

    run, other = two / "runs" / "run", two / "runs" / "deep" / "other"
    found = call(two, "runs", "compare", run, other, "--json").json
    assert found["differ"] == {"params.max_hold_bars": [30, 9]} and not found["same_decisions"]
    assert found["metrics"]["trades"] == [json.loads((f / "metrics.json").read_text())["trades"] for f in (run, other)]
    assert "max_hold_bars" in call(two, "runs", "compare", run, other).out
    assert "two run folders" in call(two, "runs", "compare", run).complaint
    assert "runs list" in call(two, "runs", "compare", run, two).complaint

    assert "--yes" in call(two, "runs", "rm", other).complaint and other.is_dir()
    (other / "mine.txt").write_text("notes")
    assert "mine.txt" in call(two, "runs", "rm", other, "--yes").complaint and other.is_dir()
    (other / "mine.txt").unlink()
    assert call(two, "runs", "rm", other, "--yes").code == 0 and not other.exists()
    trials = call(two, "trials", "backtest", "--json").json
    assert trials["found"] == 2  # a look stays a look


def test_a_damaged_run_is_listed_as_such(home: Path, call: Call) -> None:
    (home / "runs" / "run" / "metrics.json").write_text("{")
    (run,) = call(home, "runs", "list", "--json").json["runs"]
    assert run["problem"] and "damaged" in call(home, "runs", "list").out


def test_why_at_an_entry_an_exit_and_a_time(pristine: Path, call: Call) -> None:
    run = pristine / "runs" / "run"
    trade = pl.read_parquet(run / "trades.parquet").row(2, named=True)
    entered = call(pristine, "why", run, "--bar", trade["entry_bar"], "--json").json
    assert entered["reproduced"] and entered["agrees"]
    assert (entered["wishes"][0]["action"], entered["wishes"][0]["asset"]) == ("open", trade["asset"])
    said = call(pristine, "why", run, "--bar", trade["exit_bar"])
    assert trade["exit_reason"] in said.out and "exit_reason" in said.out and said.err == ""
    assert "wants" in call(pristine, "why", run, "--bar", "2025-01-02T10:00").out
    for bar in ("999999", "2031-01-01"):
        assert "no bar" in call(pristine, "why", run, "--bar", bar).complaint


def test_a_bar_of_another_engine_is_told(home: Path, call: Call) -> None:
    run = home / "runs" / "run"
    frame = pl.read_parquet(run / "digests.parquet").with_columns(pl.col("digest") ^ 1)
    frame.write_parquet(run / "digests.parquet")
    from dolphin.manifests import write_manifest

    write_manifest(run)
    said = call(home, "why", run, "--bar", "100")
    assert said.code == 0 and "not the recorded one" in said.err


def test_names_are_completed(pristine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOLPHIN_HOME", str(pristine))
    monkeypatch.chdir(pristine)
    assert completion.datasets("") == ["m"] and completion.datasets("x") == []
    assert completion.runs("ru") == ["runs/run"]
    assert completion.runs_and_studies("runs") == ["runs/run"]
    monkeypatch.delenv("DOLPHIN_HOME")
    monkeypatch.chdir(tmp_path)
    assert completion.datasets("") == [] and completion.studies("") == []
    assert list(tmp_path.iterdir()) == []


def test_a_page_replaces_pages_alone(pristine: Path, call: Call, tmp_path: Path) -> None:
    run, out = pristine / "runs" / "run", tmp_path / "sheet.html"
    assert "replaces an" not in call(pristine, "report", run, "--out", out).out
    assert "replaces an earlier one" in call(pristine, "report", run, "--out", out).out
    assert out.stat().st_size < 1_500_000
    notes = tmp_path / "notes.html"
    shutil.copy(pristine / "config.toml", notes)
    assert "--force" in call(pristine, "report", run, "--out", notes).complaint
    assert notes.read_bytes() == (pristine / "config.toml").read_bytes()
    assert call(pristine, "report", run, "--out", notes, "--force").code == 0


def test_version_short_help_and_where_to_read_on(tmp_path: Path, call: Call) -> None:
    assert call(tmp_path, "--version").out.startswith("dolphin ")
    assert call(tmp_path, "data", "list", "-h").out == call(tmp_path, "data", "list", "--help").out
    assert "gate [OPTIONS]" in call(tmp_path, "gate", "-h").out
    assert "see 'dolphin backtest --help'" in call(tmp_path, "backtest").complaint
    assert "see 'dolphin data show --help'" in call(tmp_path, "data", "show", "--nonsense").complaint


def test_progress_without_a_terminal_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.delenv("DOLPHIN_PROGRESS")
    monkeypatch.setattr(common.time, "monotonic", lambda: now[0])
    with common.progress_bar() as progress:
        for second in range(26):
            now[0] = float(second)
            progress(second, 26, "counting")
    assert capsys.readouterr().err.splitlines() == ["counting: 10 of 26", "counting: 20 of 26"]
    monkeypatch.setenv("DOLPHIN_PROGRESS", "0")
    with common.progress_bar() as progress:
        now[0] = 1e6
        progress(1, 2, "counting")
    assert capsys.readouterr().err == ""
