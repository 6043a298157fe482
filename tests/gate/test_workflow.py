"""The workflow that is ready for workspaces: what its lines ask for is there, and what they leave is kept."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import typer
import yaml

from dolphin.cli.app import app

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_workflow_is_the_one_of_the_page_and_its_commands_are_there() -> None:
    text = (DOCS / "ci" / "gate.yml").read_text()
    assert text.partition("\n")[2] in (DOCS / "ci.md").read_text()
    job = yaml.safe_load(text)["gate"]
    calls = [shlex.split(line)[1:] for line in job["script"] if line.startswith(".venv/bin/dolphin ")]
    assert [call[:2] for call in calls] == [["promote", "verify"], ["gate", "blue"]]
    for call in calls:
        command: Any = typer.main.get_command(app)
        words = list(call)
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        command.make_context(call[0], words)  # an option that is none raises
    kept = {*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]}
    assert kept == {word for call in calls for word in call if word.startswith("gate.")}
