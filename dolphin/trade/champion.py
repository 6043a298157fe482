"""What a session may run: a frozen champion that is here as it was frozen, or, on paper alone, any configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dolphin.config import Config, read_config
from dolphin.errors import BadInput, Refused
from dolphin.files import read_json, sha256_bytes
from dolphin.gate.candidate import frozen_config
from dolphin.gate.champions import Champion, champion_at, open_champion, pointer_path
from dolphin.gate.floors import parse_floors
from dolphin.gate.freeze import sources
from dolphin.gate.promotion import runtime_problems
from dolphin.strategies import load
from dolphin.workspace import Workspace

UNFROZEN = "UNFROZEN"


@dataclass(frozen=True)
class Runs:
    """A configuration and where it comes from.

    ``champion`` is its hash, or UNFROZEN; ``account`` names its account; ``dataset`` is what a champion was made on.
    """

    config: Config
    champion: str
    account: str
    dataset: str | None = None

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
    dataset = str(champion.document("run.json")["dataset"]["name"])
    return Runs(frozen_config(workspace, champion), champion.hash, pointer, dataset)


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


def may_buy(config: Config) -> bool:
    """Whether a configuration may go long: everything but what says ``short_only``, as the gate has it."""
    return getattr(config.params, "direction", None) != "short_only"


def require_long_record(workspace: Workspace, runs: Runs) -> None:
    """Refuse a champion that may go long and whose gate did not hold it to the floors of the long side.

    Raises
    ------
    Refused
        Naming the floors that its gate record lacks or that were breached.
    """
    if not may_buy(runs.config):
        return
    champion = champion_at(workspace, runs.champion)
    path = champion.folder / "floors.toml"
    floors = parse_floors(path.read_bytes(), str(path), own=True).tiers["green"]
    passed = {one["name"]: bool(one["passed"]) for one in champion.document("gate.json")["floors"]}
    lacking = [
        f"{f.name}: {'breached' if f.name in passed else 'not judged'}" for f in floors if not passed.get(f.name)
    ]
    if lacking or not floors:
        raise Refused(
            f"{runs.account} may go long and has no LONG gate record ({'; '.join(lacking) or 'no floors of it'}); "
            "until it has, it is short_only",
            where=str(champion.folder), details=lacking,
        )  # fmt: skip


def _named(workspace: Workspace, pointer: str) -> Champion:
    path = pointer_path(workspace, pointer)
    if path.is_file():
        document = read_json(path)
        if isinstance(document, dict) and isinstance(document.get("champion"), str):
            return champion_at(workspace, document["champion"])
    return open_champion(workspace, pointer)
