from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from command_line import Answer, dolphin, process

from dolphin.cli.app import app

HEAVY = ("numba", "polars", "pandas", "numpy", "scipy", "plotly", "vectorbt", "nautilus_trader")
VERBS = {
    "init", "doctor", "data", "scan", "backtest", "sweep", "trials", "parity", "ladder", "check", "gate",
    "promote", "report", "sql", "cache", "stress", "journal", "risk", "forewarn", "compare",
    "selftest", "why", "runs", "demo", "feeds", "exchange", "trade", "status", "halt", "resume",
    "service", "new", "ui",
}  # fmt: skip


def commands() -> list[tuple[str, ...]]:
    """Every command and sub-command by its words; () is ``dolphin`` itself."""
    found: list[tuple[str, ...]] = []

    def walk(command: object, words: tuple[str, ...]) -> None:
        found.append(words)
        for name, below in getattr(command, "commands", {}).items():
            walk(below, (*words, name))

    walk(typer.main.get_command(app), ())
    return found


def test_the_verbs_are_the_contract() -> None:
    assert {words[0] for words in commands() if len(words) == 1} == VERBS
    below = {words for words in commands() if len(words) == 2}
    assert {("data", name) for name in ("import", "generate", "list", "show", "verify")} <= below
    assert {("promote", name) for name in ("blue", "rollback", "show", "verify")} <= below


@pytest.mark.slow
def test_no_help_imports_anything_heavy() -> None:
    program = f"""
import contextlib, io, sys
from dolphin.cli import main
for words in {commands()!r}:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main([*words, "--help"])
    assert code == 0, words
    assert "Usage: dolphin" in said.getvalue(), words
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    assert not heavy, (words, heavy)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), ["backtest", "sweep", "parity", "promote"]),
        (("data", "import"), ["--name", "--spacing", "--instruments", "--symbols", "--from", "--to", "--reference"]),
        (("backtest",), ["--config", "--out", "--from", "--to", "--set", "--json"]),
        (("sweep",), ["--resume", "--json"]),
        (("promote", "blue"), ["--reason"]),
    ],
)
def test_help_tells_the_options(words: tuple[str, ...], said: list[str], tmp_path: Path) -> None:
    done = dolphin(tmp_path, *words, "--help")
    assert (done.code, done.err) == (0, "")
    for part in said:
        assert part in done.out


@pytest.mark.parametrize(
    ("words", "run"), [((), dolphin), (("data",), dolphin), (("promote",), dolphin), ((), process)]
)
def test_without_a_verb_the_help_is_shown_and_nothing_was_done(
    words: tuple[str, ...], run: Callable[..., Answer], tmp_path: Path
) -> None:
    done = run(tmp_path, *words)
    assert done.code == 2 and "Usage: dolphin" in done.out + done.err
    assert "Traceback" not in done.err


def test_help_through_a_process(tmp_path: Path) -> None:
    done = process(tmp_path, "data", "import", "--help", cwd=tmp_path)
    assert (done.code, done.err) == (0, "") and "--on-bad" in done.out
