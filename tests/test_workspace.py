from __future__ import annotations

from pathlib import Path

import pytest

from dolphin.errors import DolphinError
from dolphin.workspace import FOLDERS, Workspace, create, find


@pytest.fixture(autouse=True)
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOLPHIN_HOME", raising=False)


def test_create_makes_every_folder_with_a_line_about_it(tmp_path: Path) -> None:
    home = create(tmp_path / "a" / "home")
    assert {path.name for path in home.root.iterdir()} == {*FOLDERS, "dolphin.toml", ".gitignore"}
    for folder, line in FOLDERS.items():
        assert (home.root / folder / "README.md").read_text() == f"# {folder}\n{line}\n"
    for path in (home.catalog, home.experiments, home.promote, home.research):
        assert path.is_dir()


def test_create_leaves_what_is_there(tmp_path: Path) -> None:
    home = create(tmp_path)
    for path in (home.root / "dolphin.toml", home.root / ".gitignore", home.research / "README.md"):
        path.write_text("mine")
    create(tmp_path)
    for path in (home.root / "dolphin.toml", home.root / ".gitignore", home.research / "README.md"):
        assert path.read_text() == "mine"


@pytest.mark.parametrize("below", ["", "file/deeper"])
def test_create_refuses_a_file(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DolphinError, match="file"):
        create(tmp_path / (below or "file"))
    assert (tmp_path / "file").read_text() == "x"


def test_find_looks_upwards_to_the_nearest(tmp_path: Path) -> None:
    outer, inner = create(tmp_path / "outer"), create(tmp_path / "outer" / "sub" / "inner")
    deep = inner.research / "x" / "y"
    deep.mkdir(parents=True)
    assert find(deep) == inner and find(inner.root) == inner and find(tmp_path / "outer" / "sub") == outer


def test_find_uses_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = create(tmp_path)
    monkeypatch.chdir(home.research)
    assert find() == home


def test_dolphin_home_wins_and_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(tmp_path / "here")
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path / "there"))
    assert find(tmp_path / "here") == Workspace(tmp_path / "there")
    assert (tmp_path / "there" / "dolphin.toml").is_file()


def test_no_workspace_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(DolphinError) as caught:
        find(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no workspace (dolphin.toml) here or above; run 'dolphin init DIR', or set DOLPHIN_HOME"
    )
