"""The Python of ``docs/strategies.md`` runs as it stands, block after block, in a workspace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dolphin import workspace

PAGE = (Path(__file__).parents[1] / "docs" / "strategies.md").read_text()
BLOCKS = re.findall(r"^```python ?(\S*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    home = workspace.create(tmp_path)
    monkeypatch.setenv("DOLPHIN_HOME", str(home.root))
    names: dict[str, object] = {}
    for file, code in BLOCKS:
        if file:
            (home.root / file).write_text(code)
        else:
            exec(compile(code, "docs/strategies.md", "exec"), names)
    assert len(BLOCKS) >= 4 and "<run of shortest:AVERAGE on small, synthetic" in capsys.readouterr().out
