"""Every notebook runs from top to bottom in a workspace of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jupytext
import nbclient
import pytest

from dolphin import workspace

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))


def executed(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The cells of a notebook after it ran in a workspace of its own."""
    home = workspace.create(tmp_path / "lab").root
    monkeypatch.setenv("DOLPHIN_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    notebook = jupytext.read(path)
    where = {"metadata": {"path": str(home)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    return list(notebook.cells)


def said(cells: list[Any]) -> str:
    """What the cells printed."""
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", ()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any(cell.get("outputs") for cell in executed(path, tmp_path, monkeypatch))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_without_real_klines_the_crash_is_generated_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOLPHIN_KLINES_2022", str(tmp_path / "none"))
    assert "SYNTHETIC: no folder" in said(executed(FOLDER / "2_crash.py", tmp_path, monkeypatch))


def test_notebooks_are_numbered_named_and_hold_no_output() -> None:
    readme = (FOLDER / "README.md").read_text()
    assert [path.name.partition("_")[0] for path in NOTEBOOKS] == [str(k) for k in range(1, 10)]
    for path in NOTEBOOKS:
        assert f"`{path.name}`" in readme and not list(FOLDER.glob("*.ipynb"))
