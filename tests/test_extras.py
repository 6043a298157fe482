"""Without the extras the core works, and a verb that needs one says which."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dolphin.errors import DolphinError
from dolphin.extras import EXTRAS, missing, require
from dolphin.workspace import Workspace, create

ROOT = Path(__file__).resolve().parent.parent

#: A command in a Python in which no extra is installed.
WITHOUT = f"""
import sys
from importlib import metadata

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {set(EXTRAS)!r}:
            raise metadata.PackageNotFoundError(name)

sys.meta_path.insert(0, Without())
version = metadata.version
metadata.version = lambda name: Without().find_spec(name) or version(name)
from dolphin.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return create(tmp_path_factory.mktemp("extras") / "w")


def dolphin(home: Workspace, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *words], env={**os.environ, "DOLPHIN_HOME": str(home.root)},
        cwd=ROOT, text=True, capture_output=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_core_works_without_extras_and_the_ladder_names_its_own(home: Workspace) -> None:
    (home.root / "c.toml").write_text('[params]\nvol_gate_mode = "off"\n')
    for words in (
        ("data", "generate", "--name", "e", "--preset", "edge", "--days", "8", "--assets", "4", "--spacing", "5m"),
        ("scan", "e"),
        ("backtest", "e", "--config", str(home.root / "c.toml"), "--out", str(home.root / "runs" / "r")),
        ("report", str(home.root / "runs" / "r"), "--out", str(home.root / "r.html")),
        ("data", "quality", "e"),
    ):
        done = dolphin(home, *words)
        assert done.returncode == 0, done.stderr
    done = dolphin(home, "ladder", "e", "--config", str(home.root / "c.toml"))
    assert done.returncode == 2 and done.stderr == (
        "dolphin: vectorbt and nautilus_trader are not installed, which this needs; "
        "pip install 'dolphin-quant[vectorbt,nautilus]', or rungs that go without: --rungs 0,R\n"
    )
    assert "Traceback" not in done.stderr
    done = dolphin(home, "feeds", "run")
    assert done.returncode == 2 and "msgspec is not installed" in done.stderr.splitlines()[-1]


def test_every_extra_is_one_of_the_project() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS.values()) <= set(extras)
    everything = extras["all"][0].removeprefix("dolphin-quant[").removesuffix("]").split(",")
    assert set(EXTRAS.values()) <= set(everything)


def test_what_is_not_there_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    require(["vectorbt"], "nothing")
    monkeypatch.setitem(EXTRAS, "no_such_package", "ui")
    mend = r"pip install 'dolphin-quant\[ui\]', or do without"
    with pytest.raises(DolphinError, match=rf"no_such_package is not installed, which this needs; {mend}"):
        require(["vectorbt", "no_such_package"], "do without")


def test_other_modules_are_not_explained_away() -> None:
    assert missing(ModuleNotFoundError("No module named 'x'", name="x")) is None
