"""The Python of the README and of ``docs/strategies.md`` runs as it stands, block after block, in a workspace."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from dolphin import workspace
from dolphin.core.records import ACCOUNT, INSTRUMENT, ORDER, RISK, SLOT, Market, State
from dolphin.core.strategy import Strategy

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "strategies.md").read_text()
README = (ROOT / "README.md").read_text()


def blocks(page: str) -> list[tuple[str, str]]:
    """The Python of a page: the file that it belongs in, or nothing where it is to be run."""
    return re.findall(r"^```python ?(\S*)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def run(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of a page, one after another, in a workspace of its own."""
    home = workspace.create(folder)
    monkeypatch.setenv("DOLPHIN_HOME", str(home.root))
    monkeypatch.chdir(home.root)
    names: dict[str, object] = {}
    for file, code in blocks(page):
        if file:
            (home.root / file).write_text(code)
        else:
            exec(compile(code, "a page", "exec"), names)


def test_the_readme_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blocks(README)[0] == blocks(PAGE)[0]
    run(README, tmp_path, monkeypatch)
    assert re.search(r"<run of shortest:AVERAGE on mine, synthetic.*> True$", capsys.readouterr().out, re.MULTILINE)
    assert (tmp_path / "runs" / "first" / "metrics.json").is_file()


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(PAGE, tmp_path, monkeypatch)
    said = capsys.readouterr().out
    assert len(blocks(PAGE)) >= 8
    for strategy in ("shortest:AVERAGE", "portfolio:PORTFOLIO"):
        assert f"<run of {strategy} on small, synthetic" in said
    assert "STOPPED" in said


def test_every_field_that_a_strategy_sees_is_on_the_page() -> None:
    records = (SLOT, ACCOUNT, ORDER, RISK, INSTRUMENT)
    fields = {name for record in records for name in record.names or ()} - {"tick", "lot"}
    fields |= {f"market.{name}" for name in Market._fields} | {f"state.{name}" for name in State._fields}
    fields |= {field.name for field in dataclasses.fields(Strategy)}
    prose = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    shown = set(re.findall(r"[\w.]+", " ".join(re.findall(r"`([^`]+)`", prose))))
    assert fields <= shown, sorted(fields - shown)
