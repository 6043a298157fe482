"""What a session may run: a frozen champion that is here as it was frozen, or, on paper alone, any configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dolphin.config import Config, read_config
from dolphin.errors import BadInput, Refused
from dolphin.files import read_json, sha256_bytes
from dolphin.gate.candidate import frozen_config
from dolphin.gate.champions import Champion, champion_at, open_champion, pointer_path
from dolphin.gate.freeze import sources
from dolphin.gate.promotion import runtime_problems
from dolphin.strategies import load
from dolphin.workspace import Workspace

UNFROZEN = "UNFROZEN"


@dataclass(frozen=True)
class Runs:
    """A configuration and where it comes from: ``champion`` is its hash, or UNFROZEN; ``account`` names its account."""

    config: Config
    champion: str
    account: str

    @property
    def frozen(self) -> bool:
        """Whether it went through the gate."""
        return self.champion != UNFROZEN


def champion_to_run(workspace: Workspace, pointer: str) -> Runs:
    """The champion of a pointer, if everything here is as it was frozen.

    Raises
    ------
    Refused
        With a line per file, engine, source or library that is not.
    DolphinError
        If the pointer names none.
    """
    champion = _named(workspace, pointer)
    problems = champion_problems(workspace, champion)
    if problems:
        raise Refused(
            f"{pointer} is not what was frozen: {'; '.join(problems)}", where=str(champion.folder), details=problems
        )
    return Runs(frozen_config(workspace, champion), champion.hash, pointer)


def champion_problems(workspace: Workspace, champion: Champion) -> list[str]:
    """What differs here from what was frozen, the strategy's sources by name."""
    problems = runtime_problems(workspace, champion)
    if champion.problems():
        return problems
    frozen = champion.document("provenance.json")["strategy"]
    here = {name: sha256_bytes(data) for name, data in sources(load(frozen["name"], workspace.research)).items()}
    then = frozen["sources"]
    return problems + [
        f"strategy source {name}: not as it was frozen"
        for name in sorted({*then, *here})
        if then.get(name) != here.get(name)
    ]  # fmt: skip


def config_to_run(workspace: Workspace, path: Path) -> Runs:
    """A config file, on paper alone.

    Raises
    ------
    BadInput
        If a number of it is a percentile of a window: there is no window yet.
    """
    config = read_config(path, research=workspace.research)
    if config.of_window:
        name = next(iter(config.of_window))[0]
        raise BadInput(
            f"{name} is a percentile of a window, and a session has none", where=str(path),
            mend="write the number: config.json of a backtest holds it",
        )  # fmt: skip
    return Runs(config, UNFROZEN, f"unfrozen-{Path(path).stem}")


def _named(workspace: Workspace, pointer: str) -> Champion:
    path = pointer_path(workspace, pointer)
    if path.is_file():
        document = read_json(path)
        if isinstance(document, dict) and isinstance(document.get("champion"), str):
            return champion_at(workspace, document["champion"])
    return open_champion(workspace, pointer)
