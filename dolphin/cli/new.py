"""``dolphin new``."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from dolphin.cli.common import Json, emit, say

if TYPE_CHECKING:
    from dolphin.starters import Started


class Kind(StrEnum):
    """What to begin."""

    strategy = "strategy"
    feature = "feature"
    study = "study"


def new(
    kind: Annotated[Kind, typer.Argument(help="strategy, feature or study.")],
    name: Annotated[str, typer.Argument(help="Its name: small letters, digits and _.")],
    dataset: Annotated[str | None, typer.Option("--dataset", help="Dataset that the next commands are for.")] = None,
    strategy: Annotated[str | None, typer.Option("--strategy", help="Of a study: bundled name or module:NAME.")] = None,
    as_json: Json = False,
) -> None:
    """Working files to begin with, commented, and what to type next."""
    from dolphin import workspace
    from dolphin.starters import start

    show_started(start(workspace.find(), kind.value, name, dataset=dataset, strategy=strategy), as_json)


def show_started(started: Started, as_json: bool, **more: str) -> None:
    """The files that were written, and the commands that go on from there."""

    def show() -> None:
        for path in started.files:
            say(f"written: {path}")
        say("next:")
        for line in started.next:
            say(f"  {line}")
        say("The first run of a strategy compiles its kernels: up to a minute, once.")

    files = [str(path) for path in started.files]
    emit({**more, "written": files, "next": list(started.next)}, as_json, show)
