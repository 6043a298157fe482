"""New files of a workspace from the package's own, each of which runs as it is."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from dolphin.catalog import generate, list_datasets
from dolphin.config import parse_config
from dolphin.core.strategy import Strategy
from dolphin.errors import DolphinError, nearest
from dolphin.files import write_bytes
from dolphin.progress import Progress
from dolphin.times import parse_spacing
from dolphin.workspace import Workspace, create

KINDS = ("strategy", "feature", "study")
#: The market of an example: large enough for a trade a day, small enough for a second.
EXAMPLE = "demo"
CROSSING = "crossing"
#: Of a new study, at most.
TRIALS = 16
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Started:
    """Files that were written, and what to type next."""

    files: tuple[Path, ...]
    next: tuple[str, ...]


def start(
    workspace: Workspace, kind: str, name: str, *, dataset: str | None = None, strategy: str | None = None
) -> Started:
    """Write the files of a new strategy, feature or study; none that is there is replaced.

    Parameters
    ----------
    kind : {"strategy", "feature", "study"}
    name : str
        Of the module or the study.
    dataset : str, optional
        What is typed next is for this one; by default one of the workspace's.
    strategy : str, optional
        Of a study: the strategy that it searches, ``vel_div`` unless told.

    Raises
    ------
    DolphinError
        On an unknown kind, a name that is no module's, or a file that is there.
    """
    if kind not in KINDS:
        raise DolphinError(f"'{kind}' is nothing to begin with", mend=nearest(kind, KINDS))
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        raise DolphinError(f"'{name}' is no name of a module", mend="use small letters, digits and _, such as my_idea")
    known = list_datasets(workspace)
    on = dataset or (EXAMPLE if EXAMPLE in known else known[0] if known else "DATASET")
    research = workspace.research
    if kind == "strategy":
        config = f"research/{name}.toml"
        written = _write(workspace, {
            research / f"{name}.py": _text("strategy.py", NAME=name),
            workspace.root / config: _text("config.toml", NAME=name),
        })  # fmt: skip
        return Started(written, (
            f"dolphin check strategy {name}:STRATEGY",
            f"dolphin backtest {on} --config {config} --out runs/{name}",
            f"dolphin report runs/{name} --out {name}.html",
            f"dolphin ladder {on} --config {config}",
            f"dolphin new study {name} --strategy {name}:STRATEGY --dataset {on}",
        ))  # fmt: skip
    if kind == "feature":
        written = _write(workspace, {research / f"{name}.py": _text("feature.py", NAME=name)})
        return Started(written, (f"dolphin check feature {name}:FEATURE {on}",))
    settings = parse_config({"strategy": strategy or "vel_div"}, where=strategy or "vel_div", research=research)
    search, size = _search(settings.strategy)
    words = {"STRATEGY": settings.strategy_name, "SEARCH": search, "TRIALS": str(min(size, TRIALS))}
    text = _text("study.toml", NAME=name, DATASET=on, **words)
    written = _write(workspace, {workspace.experiments / f"{name}.toml": text})
    return Started(written, (
        f"dolphin sweep experiments/{name}.toml --report {name}_study.html",
        f"dolphin trials {name}",
    ))  # fmt: skip


def start_example(folder: Path, progress: Progress | None = None) -> Started:
    """A workspace with a generated market, a strategy, its config and a study, all of which run."""
    home = create(folder)
    if EXAMPLE not in list_datasets(home):
        size = {"days": 5, "assets": 8, "spacing_ns": parse_spacing("5m"), "seed": 1}
        generate(home, EXAMPLE, preset="edge", progress=progress, **size)  # type: ignore[arg-type]
    strategy = start(home, "strategy", CROSSING, dataset=EXAMPLE)
    study = start(home, "study", CROSSING, dataset=EXAMPLE, strategy=f"{CROSSING}:STRATEGY")
    return Started((*strategy.files, *study.files), (*strategy.next[:-1], *study.next))


def _text(file: str, **words: str) -> bytes:
    """A file of the package with its words in capitals filled in."""
    text = (_HERE / f"{file}.txt").read_text(encoding="utf-8")
    for word, value in words.items():
        # A replacement's backslashes would be read as groups.
        text = re.sub(rf"(?<![A-Za-z]){word}(?![A-Za-z])", value.replace("\\", r"\\"), text)
    return text.encode()


def _write(workspace: Workspace, files: dict[Path, bytes]) -> tuple[Path, ...]:
    for path in files:
        if path.exists():
            raise DolphinError("is there already", where=str(path), mend="choose another name, or remove it")
    for path, data in files.items():
        write_bytes(path, data)
    return tuple(path.relative_to(workspace.root) for path in files)


def _search(strategy: Strategy) -> tuple[str, int]:
    """The parameters that a study may begin with, and how many configurations these are.

    Whole numbers from half to twice their defaults, in four steps: an indicator of another length is another compiled
    feature, half a second the first time.
    """
    size, lines = 1, ["", "[search]  # low, high and step, or choices = [...]"]
    for name, about in strategy.params.model_fields.items():  # type: ignore[attr-defined]
        value, kind = about.default, about.annotation
        bounds = {key: getattr(m, key) for m in about.metadata for key in ("ge", "gt", "le", "lt") if hasattr(m, key)}
        if kind is int and isinstance(value, int) and value > 1:
            low, high = max(value // 2, bounds.get("ge", 1)), min(value * 2, bounds.get("le", value * 2))
            step = max(1, (high - low) // 3)
            lines.append(f"{name} = {{ low = {low}, high = {low + step * ((high - low) // step)}, step = {step} }}")
            size *= (high - low) // step + 1
        elif get_args(kind):
            lines.append(f"# {name} = {{ choices = {[*get_args(kind)]} }}".replace("'", '"'))
        elif kind is float and isinstance(value, float) and value > 0.0:
            lines.append(f"# {name} = {{ low = {value / 2!r}, high = {value * 2!r} }}")
    if size == 1:  # no whole number: what there is is searched, or the study would be about nothing
        lines = [line.removeprefix("# ") for line in lines]
    return "\n".join(lines), size if size > 1 else TRIALS
