"""``dolphin data lineage``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dolphin.cli.common import Json, emit, say

if TYPE_CHECKING:
    from dolphin.catalog.query.lineage import Node

ENDS = 3  # of many days or files, so many are drawn at either end
FEW = 12


def lineage(
    thing: Annotated[str, typer.Argument(help="blue, green, a champion's id, a run folder, or a dataset[@digest].")],
    check: Annotated[bool, typer.Option("--check", help="Hash the source files where they still are.")] = False,
    full: Annotated[bool, typer.Option("--all", help="Draw every day and file.")] = False,
    as_json: Json = False,
) -> None:
    """Back to every source file by digest; exit 1 where something cannot be followed."""
    from dolphin import workspace
    from dolphin.gate.lineage import lineage_of

    root = lineage_of(workspace.find(), thing, check_sources=check)
    broken = [node for node in root.walk() if node.broken]

    def tell() -> None:
        say(_line(root))
        _draw(root, "", full)
        for node in broken:
            say(f"cannot be followed: {node.what} {node.label}: {node.broken}")

    emit({"complete": not broken, "lineage": root.as_dict()}, as_json, tell)
    if broken:
        raise typer.Exit(1)


def _draw(node: Node, before: str, full: bool) -> None:
    """What a node is made from, as branches below it; of many alike only the first and last."""
    branches: list[tuple[str, Node | None]] = []
    for what in dict.fromkeys(child.what for child in node.made_from):
        alike = [child for child in node.made_from if child.what == what]
        drawn: list[Node | None] = [*alike] if full or len(alike) <= FEW else [*alike[:ENDS], None, *alike[-ENDS:]]
        for child in drawn:
            more = f"... {len(alike) - 2 * ENDS:,} more (--all, --json)"
            branches.append((_line(child) if child else more, child))
    for number, (line, child) in enumerate(branches, 1):
        last = number == len(branches)
        say(f"{before}{'└── ' if last else '├── '}{line}")
        if child:
            _draw(child, before + ("    " if last else "│   "), full)


def _line(node: Node) -> str:
    """``what label  key value, ...``; digests cut to 16 digits."""
    facts = [f"{key} {_short(value)}" for key, value in node.facts.items() if _told(key, value, node)]
    line = f"{node.what} {_short(node.label)}  {', '.join(facts)}".rstrip()
    return f"{line}  !! {node.broken}" if node.broken else line


def _told(key: str, value: object, node: Node) -> bool:
    return value is not None and value != node.label and key not in ("name", "file", "made")


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = str(value)
    return text[:16] if len(text) == 64 and all(c in "0123456789abcdef" for c in text) else text
