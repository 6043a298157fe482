"""What the verbs share: options, progress on stderr, one JSON document or tables on stdout."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli import completion
from dolphin.progress import Progress

if TYPE_CHECKING:
    from dolphin.config import Config
    from dolphin.stores import Store
    from dolphin.workspace import Workspace

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="Dataset.", autocompletion=completion.datasets)]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]
ConfigFile = Annotated[Path, typer.Option("--config", help="Config file, TOML or YAML.")]
From = Annotated[str | None, typer.Option("--from", help="First bar close, inclusive (UTC), e.g. 2025-01-31.")]
To = Annotated[str | None, typer.Option("--to", help="Last bar close, exclusive (UTC).")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="key=value over the config file; repeatable.")]

OpenHoldout = Annotated[
    bool, typer.Option("--open-holdout", help="Look at a sealed holdout, for good; needs --reason.")
]
HoldoutReason = Annotated[str | None, typer.Option("--reason", help="Why the holdout is opened; goes on record.")]


def reason_to_open(open_holdout: bool, reason: str | None) -> str | None:
    """The reason for which a holdout is opened; None if it stays sealed."""
    from dolphin.errors import DolphinError

    if open_holdout and not (reason or "").strip():
        raise DolphinError("a reason is mandatory", where="--open-holdout", mend="say why: --reason TEXT")
    if reason is not None and not open_holdout:
        raise DolphinError("says why a holdout is opened, and none is", where="--reason", mend="add --open-holdout")
    return reason


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on stderr with rate and time left; yields ``callable(done, total, text)``."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _told_in_lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def advance(done: int, total: int, text: str) -> None:
            if text not in tasks:
                tasks[text] = bars.add_task(text, total=total)
            bars.update(tasks[text], completed=done, total=total)

        yield advance


#: Seconds between two lines of progress where there is no terminal; the variable says another number, 0 none.
EVERY, EVERY_VARIABLE = 10.0, "DOLPHIN_PROGRESS"


def _told_in_lines() -> Progress:
    """Progress as a line on stderr every ten seconds, for logs; what is done sooner says nothing."""
    told, every = time.monotonic(), EVERY
    with contextlib.suppress(KeyError, ValueError):
        every = float(os.environ[EVERY_VARIABLE]) or math.inf

    def advance(done: int, total: int, text: str) -> None:
        nonlocal told
        if time.monotonic() - told >= every:
            told = time.monotonic()
            note(f"{text}: {done:,} of {total:,}" if total else f"{text}: {done:,}")

    return advance


def emit(document: Mapping[str, Any], as_json: bool, show: Callable[[], None]) -> None:
    """The result: as one JSON document, or as ``show`` prints it."""
    if as_json:
        print(json.dumps(document, indent=1, allow_nan=False, default=str))
    else:
        show()


def say(*parts: object, style: str | None = None) -> None:
    """A line for people on stdout, with rich markup off."""
    console().print(*parts, style=style, markup=False, highlight=False, soft_wrap=True)


def note(line: str) -> None:
    """A line for people on stderr."""
    print(line, file=sys.stderr)


def hint(command: str) -> None:
    """What may come next, on stderr and only where somebody reads it."""
    if command and sys.stderr.isatty() and sys.stdout.isatty():
        print(f"next: {command}", file=sys.stderr)


#: What every page of ours holds, however old.
_OURS = b"Content-Security-Policy"


def page_out(path: Path | None, force: bool = False) -> str:
    """Refuse a place where no page can be written, or where something lies that is no page of ours.

    Returns what is to be said where an earlier page will be replaced.
    """
    from dolphin.errors import DolphinError

    if path is None:
        return ""
    if path.is_dir():
        raise DolphinError("is a folder", where=str(path), mend="give the name of an HTML file")
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        ours = _OURS in stream.read(4096)
    if not ours and not force:
        raise DolphinError("is there, and no page of this program", where=str(path), mend="another name, or --force")
    return " (it replaces an earlier one)"


def table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout; numbers to the right. Not cut to the width of a pipe, and in parts on a narrow terminal."""
    from rich.markup import escape
    from rich.table import Table

    on = console()
    for block, places in enumerate(_blocks(columns, rows, on.width if sys.stdout.isatty() else None)):
        drawn = Table(
            title=None if block else title, title_justify="left", header_style="bold", show_header=any(columns)
        )
        for k in places:
            numeric = bool(rows) and all(_is_number(row[k]) for row in rows)
            drawn.add_column(columns[k], justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            drawn.add_row(*(escape(figure(row[k])) for k in places))
        on.print(drawn)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and (value == "-" or value.endswith(" %")))


#: Characters of a column of words that are not folded.
WORDS = 28


def _blocks(columns: Sequence[str], rows: Sequence[Sequence[object]], width: int | None) -> list[list[int]]:
    """Columns that stand side by side: all of them, or as many as a terminal has room for, the first one in each."""
    if width is None:
        return [list(range(len(columns)))]

    def room(k: int) -> int:
        longest = max((len(figure(row[k])) for row in rows), default=0)
        return max(min(longest, WORDS), *map(len, columns[k].split("\n"))) + 3

    blocks, used = [[0]], room(0) + 1
    for k in range(1, len(columns)):
        if used + room(k) > width and len(blocks[-1]) > 1:
            blocks.append([0])
            used = room(0) + 1
        blocks[-1].append(k)
        used += room(k)
    return blocks


def console() -> Any:
    """The stdout console; a pipe gets 160 columns."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=160)


def figure(value: object) -> str:
    """A value as people read it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 1000 else f"{value:,.2f}"
    return str(value)


def metric(name: str, value: object) -> object:
    """A metric as people read it; JSON has the fractions."""
    from dolphin.report.numerals import SHARES

    if value == "nan":
        return "-"
    return f"{100.0 * value:,.2f} %" if name in SHARES and isinstance(value, float) else value


def run_named(path: Path) -> Path:
    """A run folder as it was typed, or by its name below ``runs/`` of the workspace."""
    from dolphin import workspace
    from dolphin.errors import DolphinError

    if path.exists() or path.is_absolute():
        return path
    try:
        below = workspace.find().root / "runs" / path
    except DolphinError:
        return path
    return below if any((below / file).is_file() for file in ("run.json", "stress.json")) else path


def window(start: str | None, stop: str | None) -> tuple[int | None, int | None]:
    """``--from`` and ``--to`` in nanoseconds."""
    from dolphin.catalog import parse_time

    return (parse_time(start) if start else None), (parse_time(stop) if stop else None)


def unnamed(
    home: Workspace,
    name: str,
    settings: Config,
    file: Path,
    span: tuple[int | None, int | None],
    *more: int | str,
    suffix: str = "",
) -> Path:
    """The folder of results that nobody named, as one types it from here.

    It is called after its config file; a study's choice (``best.toml``) after the study.
    """
    from dolphin.study.backtest import folder_for

    called = (file.resolve().parent.name if file.stem == "best" else file.stem) + suffix
    folder, here = folder_for(home, name, settings, called, *span, *more), Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def load_config(path: Path, sets: list[str] | None) -> Config:
    """The config file with ``--set`` over it."""
    from dolphin import workspace
    from dolphin.config import read_config

    return read_config(path, overrides=_overrides(sets), research=workspace.find().research)


def default_config(home: Workspace, strategy: str, sets: list[str] | None) -> Config:
    """The defaults of a strategy with ``--set`` over them."""
    from dolphin.config import parse_config

    return parse_config({"strategy": strategy}, where=strategy, overrides=_overrides(sets), research=home.research)


def _overrides(sets: list[str] | None) -> dict[str, Any]:
    """``--set`` values by key."""
    from dolphin.config import parse_value
    from dolphin.errors import DolphinError

    overrides = {}
    for item in sets or ():
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            raise DolphinError(f"--set {item}: not of the form key=value", mend="e.g. --set tp_pct=0.0099")
        overrides[key.strip()] = parse_value(text.strip())
    return overrides


def cluster_of(url: str) -> Store:
    """A cluster's store, for a program beside the session.

    Raises
    ------
    DolphinError
        For an embedded one, which its session alone has open, or one that does not answer.
    """
    from dolphin.errors import BadInput, DolphinError
    from dolphin.stores import open_store

    if url.startswith("embedded"):
        raise BadInput(
            "an embedded store is open in its session alone", where=f"--store {url}",
            mend="leave --store out: a session of this workspace reads the recording's files; or name a cluster",
        )  # fmt: skip
    found = open_store(url, wait=10.0)
    if found.health().nodes < 1:
        found.close()
        raise DolphinError("no member answers", where=f"--store {url}", mend="start one, or mend the address")
    return found
